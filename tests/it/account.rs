//! A simulated account on loopback, and the real program run against it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use caselock::acquire::EVENTS_UNTIL_NOW;
use caselock::model::Sha256Hash;
use caselock::sim::{Account, Request, Scenario, Server};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use rustix::process::{Pid, Signal, kill_process};
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

    /// Everything there is, in little: one region in which little happens.
    pub(crate) fn small() -> Self {
        let mut scenario = Scenario::quiet(last_hour());
        scenario.regions.truncate(1);
        scenario.events_per_hour = 6;
        Self::of(&scenario)
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
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = program(arguments);
        self.is_asked_by(&mut command);
        command.current_dir(self.folder.path());
        command
    }

    /// Puts into a program's environment that this account is AWS.
    pub(crate) fn is_asked_by(&self, command: &mut Command) {
        let credentials = self.server.credentials();
        command
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key)
            .env("AWS_REGION", "us-east-1");
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Plans for the account's provable hours.
    pub(crate) fn plan(&self, more: &[&str]) -> Ran {
        run(&mut self.planning(more))
    }

    pub(crate) fn planning(&self, more: &[&str]) -> Command {
        let [start, end] = self.window(2, 2);
        self.command(&[&["plan", "--start", &start, "--end", &end], more].concat())
    }

    /// The command line that collects the account's provable hours into `case`, with more arguments.
    pub(crate) fn collect_arguments(&self, case: &str, more: &[&str]) -> Vec<String> {
        let [start, end] = self.window(2, 2);
        let line = ["collect", case, "--case-number", "IR-1", "--examiner", "A. Examiner", "--start", &start, "--end", &end];
        line.iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    /// The program, told to collect the account's provable hours into `case`.
    pub(crate) fn collecting(&self, case: &str, more: &[&str]) -> Command {
        self.command(&self.collect_arguments(case, more))
    }

    pub(crate) fn start_collecting(&self, case: &str, more: &[&str]) -> Child {
        self.collecting(case, more).spawn().unwrap()
    }

    pub(crate) fn collect(&self, case: &str, more: &[&str]) -> Ran {
        run(&mut self.collecting(case, more))
    }

    /// What the ledger says of the case's first run.
    pub(crate) fn first_run(&self, case: &str) -> Value {
        ledger(&self.path(case)).into_iter().find(|line| line["event"] == "collection.started").unwrap()
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
        self.key();
        self.run(&["seal", case, "--signing-key", "key"]).expect(0);
    }

    /// Makes the examiner's key, in the file `key`, if it is not there.
    pub(crate) fn key(&self) {
        let key = self.path("key");
        if !key.exists() {
            caselock::seal::SigningKey::generate_ed25519(&key, crate::sample::PRINCIPAL).unwrap();
        }
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
        crate::sample::make_removable(self.folder.path());
    }
}

/// The program, in an environment without anything of AWS.
pub(crate) fn program<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
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

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    finish(command.spawn().unwrap())
}

/// Waits for the end of a program, for as long as a test may take.
pub(crate) fn finish(mut child: Child) -> Ran {
    // Both pipes are emptied side by side, so that neither can fill up.
    let readers = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || read(readers.0));
    let stderr = std::thread::spawn(move || read(readers.1));
    let (process, (ended, end)) = (Pid::from_child(&child), mpsc::channel::<()>());
    let guard = std::thread::spawn(move || {
        let too_long = end.recv_timeout(Duration::from_secs(300)) == Err(mpsc::RecvTimeoutError::Timeout);
        too_long.then(|| kill_process(process, Signal::KILL))
    });
    let status = child.wait().unwrap();
    drop(ended);
    let ran = Ran { code: status.code().unwrap_or(-1), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
    assert!(guard.join().unwrap().is_none(), "it did not end\n{ran:?}");
    ran
}

fn read(mut from: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
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

/// The entries of the ledger.
pub(crate) fn ledger(case: &Path) -> Vec<Value> {
    let text = fs::read_to_string(case.join("custody/ledger.jsonl")).unwrap();
    // A line that a crash cut short stays in the ledger, and is no JSON.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What the ledger says the case holds, as it lies there: each object by its path, and each answer by its question, as far as it is the same
/// whenever it is asked.
///
/// A run that came to its end is followed by one that looks afresh, so an answer may be there more than once; an object may not.
pub(crate) fn artifacts(case: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut artifacts = BTreeMap::new();
    for line in ledger(case).iter().filter(|line| line["event"] == "artifact.acquired") {
        let path = line["path"].as_str().unwrap();
        let bytes = fs::read(case.join(path)).unwrap();
        assert_eq!(Sha256Hash::of(&bytes).to_string(), line["sha256"], "{path}");
        let source = &line["source"];
        if source["kind"] == "s3-object" {
            assert!(artifacts.insert(path.to_owned(), bytes).is_none(), "{path} was stored twice");
        } else {
            let question = ["service", "operation", "account", "region", "page"].map(|field| source[field].to_string());
            let mut parameters = source["parameters"].clone();
            if asks_until_now(source) {
                parameters.as_object_mut().unwrap().remove("EndTime");
            }
            let answer = without_request_id(String::from_utf8(bytes).unwrap());
            artifacts.insert(format!("{} {parameters}", question.join(" ")), answer.into_bytes());
        }
    }
    artifacts
}

/// Whether the end of a question's time says no more than "until now".
fn asks_until_now(source: &Value) -> bool {
    let asked = source["parameters"]["LookupAttributes"].as_str().and_then(|asked| asked.strip_prefix("EventName="));
    source["operation"] == "ListPublicKeys" || asked.is_some_and(|name| EVENTS_UNTIL_NOW.contains(&name))
}

/// EC2 and STS write the id of the request into each answer, S3 into each refusal. Nothing else differs between two runs but the
/// order, and so the numbers, of answers to questions that are asked side by side.
fn without_request_id(mut body: String) -> String {
    for name in ["requestId", "RequestId", "HostId"] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        if let (Some(from), Some(to)) = (body.find(&open), body.find(&close)) {
            body.replace_range(from..to, "");
        }
    }
    body
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
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.insert(path, fs::read(entry.path()).unwrap());
        }
    }
    files
}
