//! A simulated account on loopback, and the real program run against it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use caselock::sim::{Account, Request, Scenario, Server};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde_json::Value;

/// The account, served, and a scratch folder for what is collected from it.
pub(crate) struct Simulated {
    pub(crate) account: Account,
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

/// How a run of the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The last full hour, at which simulated histories end.
pub(crate) fn last_hour() -> DateTime<Utc> {
    Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap()
}

impl Simulated {
    /// A small account in which nothing happens.
    pub(crate) fn quiet() -> Self {
        Self::of(&Scenario::quiet(last_hour()))
    }

    /// The account of the demonstration.
    pub(crate) fn incident() -> Self {
        Self::of(&Scenario::incident(last_hour()))
    }

    pub(crate) fn of(scenario: &Scenario) -> Self {
        let account = Account::simulate(scenario);
        let server = Server::start(account.clone()).unwrap();
        Self { account, server, folder: tempfile::tempdir().unwrap() }
    }

    /// A window, in hours after the history's beginning and before its end.
    pub(crate) fn window(&self, after_start: i64, before_end: i64) -> [String; 2] {
        let scenario = self.account.scenario();
        let (start, end) = (scenario.start() + TimeDelta::hours(after_start), scenario.end - TimeDelta::hours(before_end));
        [start, end].map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, told to ask this account.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let credentials = self.server.credentials();
        let mut command = program(arguments);
        command
            .current_dir(self.folder.path())
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key)
            .env("AWS_REGION", "us-east-1");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// The command line that collects the account's provable hours into `case`, with more arguments.
    pub(crate) fn collect_arguments(&self, case: &str, more: &[&str]) -> Vec<String> {
        let [start, end] = self.window(2, 2);
        let line = ["collect", case, "--case-number", "IR-1", "--examiner", "A. Examiner", "--start", &start, "--end", &end];
        line.iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    pub(crate) fn start_collecting(&self, case: &str, more: &[&str]) -> Child {
        let line = self.collect_arguments(case, more);
        self.command(&line.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap()
    }

    pub(crate) fn collect(&self, case: &str, more: &[&str]) -> Ran {
        finish(self.start_collecting(case, more))
    }

    /// Verifies a case and gives the report with the exit code.
    pub(crate) fn verify(&self, case: &str) -> (i32, Value) {
        let ran = self.run(&["verify", case, "--json"]);
        (ran.code, ran.json())
    }

    /// A collected case, sealed and packaged as `case.zip`.
    pub(crate) fn sealed_case(&self, more: &[&str]) -> PathBuf {
        self.collect("case", more).expect(0);
        self.seal("case");
        self.run(&["package", "case", "-o", "case.zip"]).expect(0);
        self.path("case")
    }

    pub(crate) fn seal(&self, case: &str) {
        let key = self.path("key");
        if !key.exists() {
            caselock::seal::SigningKey::generate_ed25519(&key, crate::sample::PRINCIPAL).unwrap();
        }
        self.run(&["seal", case, "--signing-key", "key"]).expect(0);
    }

    /// How often each object was fetched.
    pub(crate) fn fetched(&self) -> BTreeMap<String, usize> {
        let mut fetched = BTreeMap::new();
        for request in self.requests("s3:GetObject").into_iter().filter(|request| request.status == 200) {
            *fetched.entry(request.target).or_default() += 1;
        }
        fetched
    }

    pub(crate) fn requests(&self, action: &str) -> Vec<Request> {
        self.server.requests().into_iter().filter(|request| request.action() == action).collect()
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _restored = Command::new("chmod").arg("-R").arg("u+w").arg(self.folder.path()).output();
    }
}

/// The program, in an environment without anything of AWS.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caselock"));
    without_aws(&mut command);
    // The tester's own terminal does not decide where lines are broken.
    command.env_remove("COLUMNS");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Takes everything of the tester's own AWS set-up out of a command's environment.
pub(crate) fn without_aws(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
        .env("NO_PROXY", "127.0.0.1");
}

/// Waits for the end of a program, for as long as a test may take.
pub(crate) fn finish(mut child: Child) -> Ran {
    // Both pipes are emptied side by side, so that neither can fill up.
    let readers = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || read(readers.0));
    let stderr = std::thread::spawn(move || read(readers.1));
    let deadline = Instant::now() + Duration::from_secs(300);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end\n{}\n{}", stdout.join().unwrap(), stderr.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ran { code: status.code().unwrap_or(-1), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read(mut from: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

impl Ran {
    /// The one JSON document that was printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }

    /// The same, if it ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The same, if its diagnostics hold all these words.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in:\n{}", self.stderr);
        }
        self
    }
}

/// The findings of a severity, as kind and object.
pub(crate) fn findings(report: &Value, severity: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["severity"] == severity)
        .map(|finding| (text(finding, "kind"), text(finding, "object")))
        .collect()
}

/// The entries of the ledger.
pub(crate) fn ledger(case: &Path) -> Vec<Value> {
    let text = fs::read_to_string(case.join("custody/ledger.jsonl")).unwrap();
    // A line that a crash cut short stays in the ledger, and is no JSON.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How many lines of the ledger are of a kind.
pub(crate) fn events(case: &Path, event: &str) -> usize {
    ledger(case).iter().filter(|line| line["event"] == event).count()
}

/// Every file below a folder with its bytes, by its path.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let mut bytes = Vec::new();
            File::open(entry.path()).unwrap().read_to_end(&mut bytes).unwrap();
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.insert(path, bytes);
        }
    }
    files
}
