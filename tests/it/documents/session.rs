//! Runs a page's commands from its top to its end, in a folder of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use caselock::seal::SigningKey;
use caselock::sim::{Account, Scenario};

use super::page::{Block, Page};
use crate::account::{Simulated, last_hour, without_aws};
use crate::sample::shell_ok;

/// What may lie in a page's folder: nothing but keys; a case that is collected, sealed, packaged; the package alone, whole or in parts; the demonstration's folder. In
/// `mfa` there are keys only, and AWS asks for a second factor.
pub(super) const STAGES: [&str; 8] = ["account", "collected", "sealed", "packaged", "received", "parts", "demo", "mfa"];

const CASE: &str = "IR-2026-014";
const MEMBER: &str = "444455556666";

/// Stands for cargo, which would build for minutes what is built already: it runs the program, and looks whether tests that are named exist.
const CARGO: &str = r#"#!/bin/sh
project=PROJECT
case "$*" in
"run --release -- "*) shift 3; exec caselock "$@" ;;
"build --release" | "build --release --no-default-features" | "install --path ." | "install --locked --path ." | "test") ;;
"build --release --locked "*"--target "*)
    for word in "$@"; do last=$word; done
    mkdir -p "target/$last/release" && ln -sf "$(command -v caselock)" "target/$last/release/caselock" ;;
"test --test it "* | "test --lib "*)
    for word in "$@"; do case "$word" in *::*) part=${word%%::*}; ls "$project/tests/it/$part.rs" "$project/src/$part.rs" 2>/dev/null | grep -q . ;; esac || exit 9; done ;;
"bench "*) for word in "$@"; do last=$word; done; test -e "$project/benches/$last.rs" ;;
*) echo "no stand-in for: cargo $*" >&2; exit 9 ;;
esac
"#;

/// The simulated accounts, and folders in every stage.
pub(super) struct Ground {
    simulated: Simulated,
    with_second_factor: Simulated,
}

impl Ground {
    pub(super) fn new() -> Self {
        crate::peers::usual_programs_are_there();
        #[cfg(feature = "encrypt")]
        crate::peers::are_there(&["age"]);
        let simulated = Simulated::quiet();
        let member = Scenario { seed: 7, ..Scenario::quiet(last_hour()) };
        simulated.server.add_member(MEMBER, Account::simulate(&member));
        let with_second_factor = Simulated::quiet();
        with_second_factor.server.add_member(MEMBER, Account::simulate(&member));
        let ground = Self { simulated, with_second_factor };
        ground.make_programs();
        ground.make_stages();
        ground
    }

    fn stage(&self, stage: &str) -> PathBuf {
        self.simulated.path("stages").join(stage)
    }

    fn make_programs(&self) {
        let programs = self.simulated.path("programs");
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_caselock"), programs.join("caselock")).unwrap();
        let cargo = programs.join("cargo");
        fs::write(&cargo, CARGO.replace("PROJECT", env!("CARGO_MANIFEST_DIR"))).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn make_stages(&self) {
        let account = self.stage("account");
        fs::create_dir_all(account.join(".ssh")).unwrap();
        fs::create_dir_all(account.join(".aws")).unwrap();
        for (key, who) in [(".ssh/id_ed25519", "examiner@example.com"), ("counsel", "counsel@example.com")] {
            SigningKey::generate_ed25519(&account.join(key), who).unwrap();
        }
        let public = fs::read_to_string(account.join(".ssh/id_ed25519.pub")).unwrap();
        fs::write(account.join("allowed_signers"), format!("examiner@example.com {public}")).unwrap();
        let credentials = self.simulated.server.credentials();
        let keys = format!(
            "region = us-east-1\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            credentials.access_key_id, credentials.secret_access_key
        );
        fs::write(account.join(".aws/config"), format!("[default]\n{keys}[profile incident]\n{keys}")).unwrap();
        let [start, end] = self.simulated.window(2, 2);
        let on = |stage: &str, before: &str, script: &str| {
            self.begin(stage, before);
            let done = self.shell(&self.stage(stage), script, &self.simulated);
            assert!(done.0 == 0, "{script}\n{}", done.1);
        };
        let person = "--examiner 'A. Examiner' --organization 'Example Corp'";
        on(
            "collected",
            "account",
            &format!("caselock collect {CASE} --case-number {CASE} {person} --start {start} --end {end}"),
        );
        on("sealed", "collected", &format!("caselock seal {CASE} --signing-key ~/.ssh/id_ed25519"));
        on("packaged", "sealed", &format!("caselock package {CASE} -o {CASE}.zip"));
        on("received", "packaged", &format!("chmod -R u+w {CASE} && rm -r {CASE}"));
        let split = format!("caselock package {CASE} -o {CASE}.zip --split-size 100KB");
        on("parts", "sealed", &format!("{split} && chmod -R u+w {CASE} && rm -r {CASE}"));
        on("demo", "account", "caselock demo --quiet");
        on("mfa", "account", "true");
    }

    /// Lays out a stage's folder as another stage left it.
    fn begin(&self, stage: &str, before: &str) {
        shell_ok(&self.simulated.path("stages"), &format!("cp -a {before} {stage}"));
    }

    /// Runs a script; gives how it ended and what was printed.
    fn shell(&self, folder: &Path, script: &str, asked: &Simulated) -> (i32, String) {
        let mut command = std::process::Command::new("sh");
        without_aws(&mut command);
        let mut search = vec![self.simulated.path("programs")];
        search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        asked.is_asked_by(&mut command);
        let done = command
            .args(["-c", script])
            .current_dir(folder)
            .stdin(std::process::Stdio::null())
            .env("PATH", std::env::join_paths(search).unwrap())
            .env("HOME", folder)
            .env("COLUMNS", "80")
            .env("AWS_CONFIG_FILE", folder.join(".aws/config"))
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code().unwrap_or(-1), text)
    }
}

/// Runs a page; gives what did not go as it says.
pub(super) fn run(ground: &Ground, page: &Page) -> Vec<String> {
    let folders = ground.simulated.path("pages").join(page.name.replace('/', "-"));
    fs::create_dir_all(&folders).unwrap();
    let mut folder: Option<PathBuf> = None;
    let mut asked = &ground.simulated;
    let mut failed = Vec::new();
    for block in &page.blocks {
        if let Some(stage) = &block.start {
            assert!(STAGES.contains(&stage.as_str()), "{}:{}: no stage {stage}", page.name, block.line);
            let here = folders.join(block.line.to_string());
            shell_ok(&folders, &format!("cp -a '{}' '{}'", ground.stage(stage).display(), here.display()));
            folder = Some(here);
            asked = if stage == "mfa" { &ground.with_second_factor } else { &ground.simulated };
            // A code is good once: here begins a page's next use of it.
            ground.with_second_factor.server.require_second_factor("arn:aws:iam::111122223333:mfa/responder", "123456");
        }
        if !block.runs() {
            continue;
        }
        let Some(folder) = &folder else {
            failed.push(format!("{}:{}: nothing says what lies in the folder: <!-- start: STAGE -->", page.name, block.line));
            continue;
        };
        let (code, text) = ground.shell(folder, &script(block), asked);
        if code != 0 {
            failed.push(format!("{}:{}\n{text}", page.name, block.line));
        }
    }
    failed
}

/// The block's lines, each followed by a look at how it ended.
fn script(block: &Block) -> String {
    let line = |line: &String| {
        let said = line.replace('\'', "'\\''");
        let look = format!(
            "was=$?; [ $was = {} ] || {{ printf '%s\\nended with %s\\n' '{said}' $was >&2; exit 99; }}",
            expected(line)
        );
        format!("{line}\n{look}\n")
    };
    block.lines.iter().map(line).collect()
}

/// How a line is to end: with the exit code of the remark behind it, or well.
pub(super) fn expected(line: &str) -> i32 {
    // What stands within quotes is no remark.
    let begins = line.match_indices(" # ").find(|(place, _)| line[..*place].matches('\'').count().is_multiple_of(2));
    let remark = begins.map(|(place, _)| &line[place..]);
    let digit = remark.and_then(|remark| remark.split_once("exit ")).and_then(|(_, rest)| rest.chars().next());
    digit.and_then(|digit| digit.to_digit(10)).map_or(0, |digit| i32::try_from(digit).unwrap())
}
