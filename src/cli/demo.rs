//! The whole story on the built-in simulated account. The commands that run are the real ones, each in a process of its own; only the
//! endpoint is not AWS's.

mod tampered;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde_json::Value;

use crate::model::{Timestamp, Window};
use crate::seal::SigningKey;
use crate::sim::{Account, Scenario, Server};

use super::destination::refuse_folder_in_case;
use super::output::{Output, bytes, hanging, thousands, wrapped};
use super::{CliError, Exit, shell};

/// The number of the demonstration's case.
const CASE: &str = "IR-DEMO-001";

/// See the whole story on a built-in simulated AWS account.
///
/// Starts a simulated account on loopback, with an intrusion in its last day, and runs the real commands against it: plan, collect, verify,
/// seal, package, verify the package. Needs no AWS account and no network; it never asks AWS, and never uses your credentials.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock demo
  caselock demo --tampered -o caselock-demo-tampered
  caselock demo --serve            (for your own commands, until Ctrl-C)")]
pub(super) struct DemoArguments {
    /// The folder for the case and the package.
    #[arg(long, short = 'o', value_name = "DIR", default_value = "caselock-demo")]
    out: PathBuf,
    /// Let the intruder edit the log bucket first, and see what verification says of each edit.
    #[arg(long, conflicts_with = "serve")]
    tampered: bool,
    /// Only serve the simulated account, so that you can point caselock, the aws CLI or another tool at it, until Ctrl-C.
    #[arg(long)]
    serve: bool,
}

pub(super) fn run(arguments: &DemoArguments, output: &Output) -> Result<Exit, CliError> {
    let io = |error: &std::io::Error| CliError::new(Exit::Failed, error);
    let end = Utc::now().duration_trunc(TimeDelta::hours(1)).map_err(|error| CliError::new(Exit::Failed, &error))?;
    if arguments.serve {
        let server = Server::start(Account::simulate(&Scenario::incident(end))).map_err(|error| io(&error))?;
        return serve(&server, output);
    }
    let folder = &arguments.out;
    refuse_folder_in_case(folder)?;
    let case = folder.join(CASE);
    let taken = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if taken || folder.is_file() {
        return Err(CliError::usage(format!("`{}` is there already", folder.display()))
            .meaning("It was left as it is: caselock replaces nothing.")
            .next(format!(
                "Look at it with `caselock status {}`, remove the folder, or choose another with -o.",
                shell::path(&case)
            )));
    }
    output.note("Simulating an AWS account with an intrusion in its last day (nothing here is real, and nothing leaves this machine) ...");
    let account = Account::simulate(&Scenario::incident(end));
    let server = Server::start(account.clone()).map_err(|error| io(&error))?;
    create_folder(folder)?;
    if arguments.tampered {
        return tell_tampered(&account, &Story { server: &server, output }, &case, end);
    }
    let key = folder.join("demo-signing-key");
    SigningKey::generate_ed25519(&key, "examiner@example.com").map_err(|error| CliError::new(Exit::Failed, &error))?;
    let signers = folder.join("allowed_signers");
    write_allowed_signers(&key, &signers)?;
    let window = window(end)?;

    let story = Story { server: &server, output };
    let (start, stop) = (window.start().to_string(), window.end().to_string());
    let package = folder.join(format!("{CASE}.zip"));
    story.tell("What would be collected? Nothing is written yet.", &["plan", "--start", &start, "--end", &stop], &[])?;
    let case_text = case.display().to_string();
    let key_text = key.display().to_string();
    let package_text = package.display().to_string();
    let signers_text = signers.display().to_string();
    story.tell("Collect it into a write-once case folder.", &collection(&case_text, &start, &stop), &[])?;
    story.tell("Prove what AWS signed, offline, from the folder alone.", &["verify", &case_text], &[4])?;
    story.tell("Seal the case: sign for exactly this.", &["seal", &case_text, "--signing-key", &key_text], &[])?;
    story.tell("Package it for handover.", &["package", &case_text, "-o", &package_text], &[])?;
    let verified = story.hear(
        "Verify the package, as its recipient would.",
        &["verify", &package_text, "--allowed-signers", &signers_text, "--json"],
        &[4],
    )?;
    let status = story.hear("", &["status", &case_text, "--json"], &[])?;
    output.result(&serde_json::json!({ "case": case_text, "package": package_text, "verification": verified }), || {
        summary(&verified, &status, &case_text, &package_text)
    })?;
    Ok(Exit::Done)
}

/// The window of both stories. The last hours of the history have no digests yet, as in life; it ends where proof is possible.
fn window(end: DateTime<Utc>) -> Result<Window, CliError> {
    Ok(Window::new(Timestamp::new(end - TimeDelta::hours(14)), Timestamp::new(end - TimeDelta::hours(2)))?)
}

fn collection<'a>(case: &'a str, start: &'a str, end: &'a str) -> [&'a str; 12] {
    let people = ["--case-number", CASE, "--examiner", "Demo Examiner", "--organization", "Example Corp"];
    let [number, case_number, examiner, name, organization, corp] = people;
    ["collect", case, "--start", start, "--end", end, number, case_number, examiner, name, organization, corp]
}

/// The second story, up to what verification makes of it.
fn tell_tampered(account: &Account, story: &Story<'_>, case: &Path, end: DateTime<Utc>) -> Result<Exit, CliError> {
    let output = story.output;
    output.note("The intruder comes back, to the log bucket this time ...");
    let mut edits = tampered::edit(account);
    let window = window(end)?;
    let (start, stop) = (window.start().to_string(), window.end().to_string());
    let case = case.display().to_string();
    let collect = collection(&case, &start, &stop);
    story.tell("Collect what is left. Nothing of it looks wrong yet.", &with(&collect, "--no-verification"), &[])?;
    let verified = story.hear("Verify it, offline, from the folder alone.", &["verify", &case, "--json"], &[3])?;
    tampered::look_up(&mut edits, &verified);
    let told = serde_json::json!({ "case": case, "edits": edits, "verification": verified });
    output.result(&told, || tampered::story(&edits, &verified, &case))?;
    Ok(Exit::Done)
}

fn with<'a>(arguments: &[&'a str], more: &'a str) -> Vec<&'a str> {
    arguments.iter().copied().chain([more]).collect()
}

/// Runs commands of this program against the simulated account.
struct Story<'a> {
    server: &'a Server,
    output: &'a Output,
}

impl Story<'_> {
    fn command(&self, what: &str, arguments: &[&str]) -> Result<Command, CliError> {
        if !what.is_empty() {
            let shown: Vec<String> = arguments.iter().map(|argument| shell::word(argument)).collect();
            self.output.note(&format!("\n{}\n$ caselock {}", Output::bold(what), shown.join(" ")));
        }
        let program = std::env::current_exe().map_err(|error| CliError::new(Exit::Failed, &error))?;
        let mut command = Command::new(program);
        let credentials = self.server.credentials();
        command.args(arguments).stdin(Stdio::null());
        // Nothing of the user's own AWS set-up may reach the simulated account, or the other way round.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/nonexistent/config")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
            .env("NO_PROXY", "127.0.0.1");
        Ok(command)
    }

    /// Runs a command whose output the user sees.
    fn tell(&self, what: &str, arguments: &[&str], also: &[i32]) -> Result<(), CliError> {
        let mut command = self.command(what, arguments)?;
        if self.output.is_json() || self.output.is_quiet() {
            command.arg("--quiet").stdout(Stdio::null());
        }
        let status = command.status().map_err(|error| CliError::new(Exit::Failed, &error))?;
        expect(arguments, status.code(), also)
    }

    /// Runs a command for its JSON.
    fn hear(&self, what: &str, arguments: &[&str], also: &[i32]) -> Result<Value, CliError> {
        let mut command = self.command(what, arguments)?;
        let answer = command.stderr(Stdio::inherit()).output().map_err(|error| CliError::new(Exit::Failed, &error))?;
        expect(arguments, answer.status.code(), also)?;
        serde_json::from_slice(&answer.stdout).map_err(|error| CliError::new(Exit::Failed, &error))
    }
}

fn expect(arguments: &[&str], code: Option<i32>, also: &[i32]) -> Result<(), CliError> {
    if code.is_some_and(|code| code == 0 || also.contains(&code)) {
        return Ok(());
    }
    let command = arguments.first().copied().unwrap_or_default();
    let code = code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
    Err(CliError::failed(format!("the demonstration's `caselock {command}` ended with {code}"))
        .meaning("No real evidence is concerned.")
        .next("What it said stands above. Mend the cause, then run the demonstration again into another folder (-o)."))
}

#[expect(clippy::disallowed_methods, reason = "the demonstration's own folder is no case")]
fn create_folder(folder: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(folder).map_err(|error| {
        CliError::failed(format!("cannot make the folder `{}`: {error}", folder.display()))
            .meaning("Nothing was begun; no real evidence is concerned.")
            .next("Choose a folder that can be made with -o.")
    })
}

/// What a recipient would have got by another channel: the signer's name and public key.
#[expect(clippy::disallowed_methods, reason = "the demonstration's own folder is no case")]
fn write_allowed_signers(key: &Path, path: &Path) -> Result<(), CliError> {
    let public = std::fs::read_to_string(key.with_extension("pub")).map_err(|error| CliError::new(Exit::Failed, &error))?;
    let mut words = public.split_whitespace();
    let (kind, body) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    std::fs::write(path, format!("examiner@example.com namespaces=\"caselock-seal\" {kind} {body}\n"))
        .map_err(|error| CliError::new(Exit::Failed, &error))
}

fn serve(server: &Server, output: &Output) -> Result<Exit, CliError> {
    let credentials = server.credentials();
    let exports = format!(
        "export AWS_ENDPOINT_URL={}\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\nexport AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1",
        server.endpoint(),
        credentials.access_key_id,
        credentials.secret_access_key
    );
    let value = serde_json::json!({
        "AWS_ENDPOINT_URL": server.endpoint(),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_REGION": "us-east-1",
    });
    output.result(&value, || exports)?;
    output.note("The simulated account is served until Ctrl-C. Its credentials are good for nothing else.");
    loop {
        std::thread::park();
    }
}

/// What was taken, what was proven, what was not, where it lies, what to try next.
fn summary(verified: &Value, status: &Value, case: &str, package: &str) -> String {
    let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let trails = verified.get("cloudtrail").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sum = |pointer: &str| trails.iter().map(|trail| number(trail, pointer)).sum::<u64>();
    let hours: u64 = trails
        .iter()
        .filter_map(|trail| trail.get("hours").and_then(Value::as_object))
        .flat_map(|hours| hours.values().filter_map(Value::as_u64))
        .sum();
    let findings = verified.get("findings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines = vec![
        String::new(),
        Output::bold("What happened"),
        hanging(
            &format!(
                "{} artifacts, {}: CloudTrail logs and digests, the trail's configuration and AWS's public keys, VPC flow logs, \
                 EBS snapshot metadata",
                thousands(number(status, "/artifacts")),
                bytes(number(status, "/bytes"))
            ),
            "  Taken       ",
            "              ",
        ),
        format!(
            "  Proven      {} of {} stored files are unchanged;\n              \
             {} digests and {} logs carry the trail's signature\n              \
             (in a real account it is AWS's own);\n              \
             {} of {} hours (× regions) have no hole",
            thousands(number(verified, "/artifacts/valid")),
            thousands(number(verified, "/artifacts/total")),
            thousands(sum("/digests/verified")),
            thousands(sum("/logs/verified")),
            thousands(sum("/hours/verified")),
            thousands(hours)
        ),
    ];
    let gaps = findings.iter().filter(|finding| finding.get("severity").and_then(Value::as_str) == Some("gap"));
    let reasons: BTreeSet<&str> = gaps.filter_map(|gap| gap.get("detail").and_then(Value::as_str)).collect();
    for reason in &reasons {
        let text = wrapped(reason, "              ");
        lines.push(format!("  Not proven  {}", text.trim_start()));
    }
    if reasons.is_empty() {
        lines.push("  Not proven  nothing".to_owned());
    }
    lines.extend([format!("  Case        {case}"), format!("  Package     {package}, and its SHA-256 beside it")]);
    let [readme, case, package] = [&format!("{case}/README.txt"), case, package].map(|path| shell::path(Path::new(path)));
    lines.extend([
        String::new(),
        Output::bold("What to try next"),
        format!("  caselock status {case}"),
        format!("  caselock verify {case}"),
        "      (when logging was off, who switched it off, and what signatures prove)".to_owned(),
        format!("  caselock report {case}"),
        "      (the pages for people, with the forms to sign)".to_owned(),
        format!("  unzip {package}"),
        "      (and follow its VERIFY.txt: sha256sum, ssh-keygen and a BagIt validator".to_owned(),
        "      check it all without caselock)".to_owned(),
        format!("  chmod u+w {readme}"),
        format!("  printf x >> {readme}"),
        format!("  caselock verify {case}"),
        "      (the verdict is now FAIL, and it names the file)".to_owned(),
        "  caselock demo --tampered -o caselock-demo-tampered".to_owned(),
        "      (what the same intruder's edits of the log bucket look like)".to_owned(),
        "  caselock demo --serve".to_owned(),
        "      (keeps the simulated account up, for the aws CLI or another tool)".to_owned(),
    ]);
    lines.join("\n")
}
