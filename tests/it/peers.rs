//! Programs written by others that the tests compare with or work with.
//!
//! Those of which the version matters are installed once under `target/peers/`, by whichever test needs them first; the others come from the
//! system, and those that it lacks are installed on Debian where the tests run as root.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

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

/// Programs that tests call and a machine may lack, each with the package of Debian that has it; Python with the module that makes environments.
const DEBIAN: [(&str, &str); 10] = [
    ("7zz", "7zip"),
    ("age", "age"),
    ("bsdtar", "libarchive-tools"),
    ("chromium", "chromium"),
    ("openssl", "openssl"),
    ("python3", "python3-venv"),
    ("ssh-keygen", "openssh-client"),
    ("strace", "strace"),
    ("unzip", "unzip"),
    ("zip", "zip"),
];

/// Those that many tests call by way of a shell.
const USUAL: [&str; 5] = ["openssl", "python3", "ssh-keygen", "unzip", "zip"];

/// Makes sure, once in a process, that the programs are there which tests call without asking for each.
pub(crate) fn usual_programs_are_there() {
    static THERE: OnceLock<()> = OnceLock::new();
    THERE.get_or_init(|| are_there(&USUAL));
}

/// Python of the system.
pub(crate) fn python() -> Command {
    usual_programs_are_there();
    Command::new("python3")
}

/// Makes sure that some programs of `DEBIAN` are there: installs those that are not where that is possible, and says what to do where it is not.
pub(crate) fn are_there(programs: &[&str]) {
    if missing(programs).is_empty() {
        return;
    }
    if rustix::process::getuid().is_root() {
        // Several tests may want it at once: one installs, the others wait.
        let lock = File::create(std::env::temp_dir().join("caselock-tests-install.lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let packages: Vec<&str> = missing(programs).iter().map(|program| package_of(program)).collect();
        if !packages.is_empty() {
            let install = format!(
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {}",
                packages.join(" ")
            );
            let _tried = Command::new("sh").args(["-c", &install]).stdout(Stdio::null()).status();
        }
    }
    let missing = missing(programs);
    assert!(missing.is_empty(), "{}", advice(&missing));
}

/// Which of them are not in the search path, or lack what tests need of them.
fn missing<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    let search: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    let is_there = |program: &str| {
        let found = search.iter().any(|folder| folder.join(program).is_file());
        found && (program != "python3" || makes_environments())
    };
    programs.iter().copied().filter(|program| !is_there(program)).collect()
}

fn makes_environments() -> bool {
    Command::new("python3").args(["-c", "import ensurepip, venv"]).output().is_ok_and(|output| output.status.success())
}

fn package_of(program: &str) -> &'static str {
    let known = DEBIAN.iter().find(|(name, _)| *name == program);
    known.unwrap_or_else(|| panic!("`{program}` is called by a test: give it a package in DEBIAN")).1
}

fn advice(missing: &[&str]) -> String {
    let packages: Vec<&str> = DEBIAN.iter().map(|(_, package)| *package).collect();
    let needed = missing.join(" and ").replace("python3", "python3 with its venv module");
    format!("{needed} needed; on Debian, for all that tests call: apt-get install {}", packages.join(" "))
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
        run(python().args(["-m", "venv"]).arg(&environment), &advice(&["python3"]));
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

#[test]
fn the_documents_name_every_package_that_tests_install() {
    let install = advice(&["zip"]);
    let install = install.split_once(": ").unwrap().1;
    assert!(include_str!("../../docs/testing.md").contains(&format!("    {install}\n")), "docs/testing.md lacks: {install}");
    let prepared = include_str!("../../.ci/run");
    for (program, package) in DEBIAN {
        assert!(prepared.contains(&format!("({package})")), ".ci/run does not install {package}, for {program}");
    }
}

#[test]
fn whoever_lacks_a_program_is_told_what_installs_all_of_them() {
    let said = std::panic::catch_unwind(|| package_of("no-such-program")).unwrap_err();
    assert!(said.downcast_ref::<String>().unwrap().contains("DEBIAN"), "{said:?}");
    assert_eq!(missing(&["no-such-program", "sh"]), ["no-such-program"]);
    assert!(
        advice(&["zip"]).ends_with(
            "apt-get install 7zip age libarchive-tools chromium openssl python3-venv openssh-client strace unzip zip"
        )
    );
}
