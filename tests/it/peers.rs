//! Programs written by others that the tests compare with or work with.
//!
//! Those of which the version matters are installed once under `target/peers/`, by whichever test needs them first; the others come from the
//! system.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// The Library of Congress's BagIt validator.
const BAGIT: &str = "bagit==1.9.0";
/// AWS's own command line, for `aws cloudtrail validate-logs`.
const AWSCLI: &str = "awscli==1.45.64";
/// A simulated AWS that others wrote.
const MOTO: &str = "moto[server]==5.2.5";

/// The CASE community's validator, with its ontologies.
const CASE_UTILS: &str = "case-utils==0.18.0";

/// `case_validate`, for CASE/UCO graphs.
pub(crate) fn case_validate() -> PathBuf {
    installed(CASE_UTILS, "case_validate")
}

/// `bagit.py`, the BagIt validator. Its folder can stand in `PATH`.
pub(crate) fn bagit() -> PathBuf {
    installed(BAGIT, "bagit.py")
}

/// Whether the BagIt validator finds nothing wrong with a folder.
pub(crate) fn is_valid_bag(folder: &Path) -> bool {
    Command::new(bagit()).args(["--validate", "--quiet"]).arg(folder).output().unwrap().status.success()
}

/// Makes sure that programs are there: installs these packages of Debian where that is possible, and says what to do where it is not.
pub(crate) fn are_there(programs: &[&str], packages: &str) {
    let search: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    let there = || programs.iter().all(|program| search.iter().any(|folder| folder.join(program).is_file()));
    if there() {
        return;
    }
    // Several tests may want it at once: one installs, the others wait.
    let lock = File::create(std::env::temp_dir().join("caselock-tests-install.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if !there() && rustix::process::getuid().is_root() {
        let install = format!(
            "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {packages}"
        );
        let _tried = Command::new("sh").args(["-c", &install]).stdout(Stdio::null()).status();
    }
    assert!(there(), "{} needed; on Debian: apt-get install {packages}", programs.join(" and "));
}

/// `aws`, AWS's own command line.
pub(crate) fn aws() -> PathBuf {
    installed(AWSCLI, "aws")
}

/// The Python that has moto, and boto3 with it.
pub(crate) fn moto_python() -> PathBuf {
    installed(MOTO, "moto_server").with_file_name("python")
}

/// The program `name` of a Python package, in an environment of its own.
fn installed(package: &str, name: &str) -> PathBuf {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    fs::create_dir_all(&peers).unwrap();
    let environment = peers.join(package.replace("==", "-").replace('[', "-").replace(']', ""));
    let program = environment.join("bin").join(name);
    let ready = environment.join("ready");
    // Several test processes may want it at once: one installs, the others wait.
    let lock = File::create(peers.join(format!("{name}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if !ready.exists() {
        let _leftover = fs::remove_dir_all(&environment);
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&environment),
            "python3 with its venv module is needed; on Debian: apt-get install python3-venv",
        );
        run(
            Command::new(environment.join("bin/python")).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                package,
            ]),
            "the network, or a pip configuration that reaches a package index, is needed once",
        );
        fs::write(&ready, package).unwrap();
    }
    assert!(program.exists(), "`{package}` was installed without `{}`; remove `{}`", program.display(), environment.display());
    program
}

fn run(command: &mut Command, needed: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}\n{needed}"));
    assert!(output.status.success(), "{command:?} failed: {}\n{needed}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_pinned_versions_are_the_ones_that_run() {
    let moto = Command::new(moto_python()).args(["-c", "import moto; print(moto.__version__)"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&moto.stdout).trim(), MOTO.split("==").last().unwrap());
    for (program, version) in [(bagit(), BAGIT), (aws(), AWSCLI)] {
        let output = Command::new(program).arg("--version").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(version.split("==").last().unwrap()), "{version}: {said}");
    }
}
