//! `verify --online`: AWS is asked again for its public keys, and the answer recorded where the case can still be written.

use std::path::Path;

use clap::Arg;

use crate::acquire::published_keys;
use crate::aws::Session;
use crate::case::event::{Event, VerificationRecorded};
use crate::case::{CaseWriter, Scope};
use crate::cloudtrail::KeyRing;
use crate::model::{Finding, Region, Severity, Timestamp, printable};
use crate::verify::{Published, Report, compare_keys};

use super::super::arguments::ConnectionArguments;
use super::super::aws::{block_on, connect};
use super::super::output::Output;
use super::super::tool::this_tool;
use super::CliError;

/// Whether, and as whom, AWS is asked.
#[derive(Debug, clap::Args)]
#[command(mut_args(for_online))]
pub(super) struct OnlineArguments {
    /// Ask AWS again for the public keys of the case's time, a read, and compare them with those in the case.
    #[arg(long, conflicts_with = "keys", help_heading = "AWS")]
    pub(super) online: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// The arguments that mean nothing unless AWS is asked. The endpoint is none of them: the environment names one to commands that do not ask.
const OF_ONLINE: [&str; 5] = ["profile", "role_arns", "external_id", "mfa_serial", "mfa_code"];

/// Every argument of the command as it is, those alone with what they need.
fn for_online(argument: Arg) -> Arg {
    if OF_ONLINE.contains(&argument.get_id().as_str()) { argument.requires("online") } else { argument }
}

impl OnlineArguments {
    /// Refuses an endpoint that was named on the command line though AWS is not asked: it would be ignored without a word.
    pub(super) fn refuse_unused(&self) -> Result<(), CliError> {
        match self.connection.named_endpoint() {
            Some(_) if !self.online => Err(CliError::usage("--endpoint-url is of no use without --online: AWS is not asked")
                .meaning("Nothing was checked, and nothing was written.")
                .next("Add --online, or leave --endpoint-url out.")),
            _ => Ok(()),
        }
    }
}

/// Asks AWS for the keys of every region of which the case holds some, and takes what it says into the report.
pub(super) fn ask(arguments: &OnlineArguments, report: &mut Report, strict: bool, output: &Output) -> Result<(), CliError> {
    let now = Timestamp::new(chrono::Utc::now());
    let spans: Vec<(Region, Timestamp, Timestamp)> = report
        .keys
        .asked()
        .into_iter()
        .map(|(region, (from, until))| {
            (region.clone(), from.or(report.window.map(|window| window.start())).unwrap_or(now), until.unwrap_or(now))
        })
        .collect();
    output.note(&format!("Asking AWS again for the public keys of {} regions; nothing else is asked.", spans.len()));
    let scope = Scope { regions: spans.iter().take(1).map(|(region, ..)| region.clone()).collect(), ..Scope::default() };
    let asking = async {
        let identities = connect(&arguments.connection, None, &scope, report.case_number.clone(), false).await.map_err(|error| {
            error.next("Give credentials that may call cloudtrail:ListPublicKeys, or leave --online out: everything else is checked offline.")
        })?;
        let session = identities.first().clone();
        let mut published = Published::new();
        for (region, from, until) in spans {
            let answer = ask_region(&session, &region, from, until).await;
            published.insert(region, answer);
        }
        Ok::<(Session, Published), CliError>((session, published))
    };
    let (session, published) = block_on(asking, |_| true)??;
    let (mut comparison, mut findings) = compare_keys(&report.keys, &published);
    if published.is_empty() {
        let detail = "The case holds no answer of AWS about its public keys, so there is nothing to compare.";
        findings.push(Finding::new(Severity::Gap, "keys-not-compared", &"public keys", detail));
    }
    session.caller().arn.clone_into(&mut comparison.caller);
    comparison.endpoint_url = session.endpoint_url().map(printable);
    report.take_keys(comparison, findings, strict);
    Ok(())
}

async fn ask_region(session: &Session, region: &Region, from: Timestamp, until: Timestamp) -> Result<KeyRing, String> {
    let bodies = published_keys(session, region, from, until).await.map_err(|failure| failure.to_string())?;
    let mut ring = KeyRing::default();
    for body in bodies {
        let problems = ring.add_answer(region, &body).map_err(|error| format!("the answer does not parse: {error}"))?;
        if let Some(problem) = problems.first() {
            return Err(format!("it gives a key that cannot be used: {problem}"));
        }
    }
    Ok(ring)
}

/// Records the verification in the ledger of a case that is still open; gives, in words, what came of it.
pub(super) fn record(case: &Path, report: &Report) -> String {
    if !case.is_dir() {
        return "Not recorded: a package is not written to.".to_owned();
    }
    if !report.seals.is_empty() {
        return "Not recorded: the case is sealed.".to_owned();
    }
    let line = Event::VerificationRecorded(VerificationRecorded {
        verdict: report.verdict.as_str().to_owned(),
        artifacts_valid: report.artifacts.valid,
        failures: report.failures(),
        online: report.online.clone(),
        tool: this_tool(),
    });
    let recorded = CaseWriter::open(case)
        .and_then(|mut writer| if writer.is_sealed() { Ok(false) } else { writer.append(line).map(|_| true) });
    match recorded {
        Ok(true) => "Recorded in the ledger.".to_owned(),
        Ok(false) => "Not recorded: the case is sealed.".to_owned(),
        Err(error) => format!("Not recorded: {}.", printable(&error.to_string())),
    }
}
