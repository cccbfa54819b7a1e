//! Opens or makes the case, asks AWS, and tells what came of it. What is fetched is decided in `acquire`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::acquire::{AcquireError, CollectOutcome, Notice, Progress, RunContext, Stop, collect};
use crate::aws::without_userinfo;
use crate::case::event::{Caller, Gap};
use crate::case::summary::{SummaryRow, summarize};
use crate::case::{CaseFolder, CaseIdentity, CaseWriter, check_vacant, is_begun};
use crate::model::{Sha256Hash, Timestamp, printable};
use crate::verify::{Options, Report};

use super::advice::{begin_again, roles_of, with_roles};
use super::arguments::{CaseArguments, ConcurrencyArguments, ConnectionArguments, ScopeArguments, refuse_changes};
use super::asking::ask_for_missing;
use super::aws::{WrongClock, block_on, connect, note_endpoints, request};
use super::configuration::{ConfigurationFile, Defaults};
use super::destination::refuse_case_in_case;
use super::output::{Output, bytes, counted, thousands, wrapped};
use super::progress::{Lines, lines};
use super::regions::{note_unknown, refuse_unknown};
use super::signals::stop_in_order;
use super::status::{collect_again, collect_restored, gap_lines, in_turn, rows_table};
use super::tool::{look_at_this_tool, this_tool};
use super::verify::{LimitArguments, sentence, verify_showing_progress};
use super::{CliError, Exit, shell};

/// Collect the evidence of a window into a case folder; run again to resume.
///
/// Everything is stored byte for byte as AWS served it, hashed, and recorded in the ledger with its provenance. Whatever is empty, denied,
/// failed or out of scope is recorded too. AWS is only read from, never changed. Ctrl-C, SIGTERM and SIGHUP stop in order.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock collect IR-2026-014                  (asks for what is missing)
  caselock collect IR-2026-014 --case-number IR-2026-014 \\
      --examiner 'A. Examiner' --start -48h
  caselock collect IR-2026-014                  (again: goes on with the case)

What would be typed each time may stand in caselock.toml in the working folder,
or in a file named with --config; the command line outranks it, and for profile
AWS_PROFILE or keys in the environment do too. The ledger records what was used.
It never holds secrets. Its keys:
  examiner, organization, authority                           for a new case
  regions, profile, role-arns, concurrency                    plan and collect
  signing-key, principal, tsa                                 seal
  allowed-signers, tsa-roots          verify and report, with --config only")]
pub(super) struct CollectArguments {
    /// The case folder: a new or empty one, or a case to go on with.
    folder: PathBuf,
    #[command(flatten)]
    file: ConfigurationFile,
    #[command(flatten)]
    scope: ScopeArguments,
    #[command(flatten)]
    case: CaseArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(flatten)]
    at_once: ConcurrencyArguments,
    /// End without the first verification, which reads everything once more: `caselock verify` can make it later.
    #[arg(long, help_heading = "Case")]
    no_verification: bool,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Serialize)]
struct Collected<'a> {
    case: String,
    outcome: &'a CollectOutcome,
    /// Everything the case holds now, this run and earlier ones.
    case_rows: &'a [SummaryRow],
    /// Everything that is missing in the case, whichever run met it.
    case_gaps: &'a [Gap],
    ledger_lines: u64,
    ledger_root: Sha256Hash,
    /// None where it was not wanted yet.
    verification: Option<&'a Report>,
}

pub(super) fn run(mut arguments: CollectArguments, output: &Output) -> Result<Exit, CliError> {
    look_at_this_tool();
    let now = Timestamp::new(chrono::Utc::now());
    let mut defaults = arguments.file.read()?;
    // The folder first: whatever stands in the way there is told before anybody is asked, and before a code of a device is spent.
    let existing = existing_case(&arguments)?;
    let (identity, was_confirmed) = match &existing {
        Some(case) => (case.identity().clone(), false),
        None => new_case(&mut arguments, &mut defaults, now, output)?,
    };
    defaults.fill_connection(&mut arguments.connection, &mut arguments.at_once);
    defaults.note(output);
    let (scope, number) = (&identity.scope, &identity.case_number);
    output.note(&format!("Case {}, window {} (UTC)", printable(number), identity.window));
    note_unknown(&scope.regions, output);
    let bars = Arc::new(Bars { lines: lines(output), started: AtomicU64::new(0), output: output.clone() });
    // Of a run that came to its end nothing is under way any more.
    let is_whole = |outcome: &Result<Ran, CliError>| {
        outcome.as_ref().is_ok_and(|ran| ran.outcome.as_ref().is_ok_and(|outcome| outcome.interrupted.is_none()))
    };
    let collecting = async {
        // Then credentials: a folder is made only when there is something to put into it.
        let identities = connect(&arguments.connection, arguments.at_once.at_once(), scope, Some(number.clone()), true).await?;
        note_endpoints(&identities, output);
        let clock = WrongClock::of(&identities, now);
        let (tool, mut identity) = (this_tool(), identity.clone());
        let case = match existing {
            Some(case) => case,
            None => {
                refuse_unknown(&identities, scope).await?;
                if let Some(clock) = &clock {
                    identity = by_clock_of_aws(&arguments, &identity, clock, was_confirmed)?;
                }
                CaseWriter::create(&arguments.folder, &identity, &tool)?
            }
        };
        let warning = clock.map(|clock| warning(&clock, &identity));
        if let Some(warning) = &warning {
            output.note(&format!("WARNING: {warning}"));
        }
        let (switch, stop) = Stop::pair();
        let told = Arc::downgrade(&bars);
        let under_way = stop_in_order(move || {
            if let Some(bars) = told.upgrade() {
                bars.note("Stopping: storing what is under way (Ctrl-C again to end at once; the case survives that too) ...");
            }
            switch.stop();
        });
        let request = request(arguments.at_once, identity.window, scope);
        let progress: Arc<dyn Progress> = bars.clone();
        let outcome = collect(&identities, case, &request, &context(&tool, &defaults), progress, stop).await;
        under_way.end();
        Ok::<Ran, CliError>(Ran { outcome, warning })
    };
    let ran = block_on(collecting, is_whole);
    if let Some(bars) = Arc::into_inner(bars) {
        bars.lines.finish();
    }
    let Ran { outcome, warning } = ran??;
    let mut outcome = outcome.map_err(|error| at_its_ledger(error.into(), &arguments.folder))?;
    outcome.notices.extend(warning.map(of_session));
    if let Some(cause) = &outcome.interrupted {
        let stopped = CliError::failed(format!("the collection was stopped: {cause}"))
            .meaning(format!("What was stored is safe: {} in this run.", counted(outcome.totals.stored, "object")))
            .next(format!(
                "To go on where it stopped: caselock collect {}{}, with the same profile",
                shell::path(&arguments.folder),
                with_roles(&roles_of(&arguments.connection.role_arns, &outcome.case_gaps))
            ));
        return Err(CliError { ledger: Some(Box::new((outcome.ledger_lines, outcome.ledger_root))), ..stopped });
    }
    let folder = CaseFolder::open(&arguments.folder)?;
    let limited = Options { limits: arguments.limits.limits(), ..Options::default() };
    let report = if arguments.no_verification { None } else { Some(verify_showing_progress(&folder, &limited, output)?) };
    let collected = Collected {
        case: arguments.folder.display().to_string(),
        outcome: &outcome,
        case_rows: &outcome.case_rows,
        case_gaps: &outcome.case_gaps,
        ledger_lines: outcome.ledger_lines,
        ledger_root: outcome.ledger_root,
        verification: report.as_ref(),
    };
    let exit = if report.as_ref().is_some_and(|report| report.case_failures() > 0) {
        Exit::Integrity
    } else if outcome.complete {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    output
        .result(&collected, || format!("{}\n{}", text(&collected, output.is_verbose()), next(&arguments, &collected)))
        .map_err(|error| error.after(exit))?;
    Ok(exit)
}

/// A run, whether or not it came to its end, and what has to be said of the clock.
struct Ran {
    outcome: Result<CollectOutcome, AcquireError>,
    warning: Option<String>,
}

/// The identity of a new case: from the command line, then the file of settings, then from whoever sits there. Says whether that was
/// somebody who confirmed it.
fn new_case(
    arguments: &mut CollectArguments,
    defaults: &mut Defaults,
    now: Timestamp,
    output: &Output,
) -> Result<(CaseIdentity, bool), CliError> {
    defaults.fill_case(&mut arguments.case);
    defaults.fill_scope(&mut arguments.scope);
    let was_confirmed = ask_for_missing(&arguments.folder, &mut arguments.case, &mut arguments.scope, now, output)?;
    let identity = arguments.case.identity(&arguments.scope, now).map_err(|error| match begin_again(&arguments.folder) {
        Some(begin) => error.next(format!("The making of the case there was cut off; this makes it again: {begin}")),
        None => error,
    })?;
    Ok((identity, was_confirmed))
}

/// The same identity of a new case, with what counts from now counted by AWS's clock: the evidence bears AWS's times, and nobody means those
/// of a clock that is wrong. A window that somebody was shown and confirmed is not changed behind their back.
fn by_clock_of_aws(
    arguments: &CollectArguments,
    identity: &CaseIdentity,
    clock: &WrongClock,
    was_confirmed: bool,
) -> Result<CaseIdentity, CliError> {
    const UNASKED: &str = "Nothing was written. AWS was asked who is asking, and for no evidence.";
    let by_aws = arguments.case.identity(&arguments.scope, clock.began).map_err(|error| error.meaning(UNASKED))?;
    if was_confirmed && by_aws.window != identity.window {
        let window = by_aws.window;
        return Err(CliError::usage(format!("{}, so the window that was confirmed is not the one that was meant", clock.said))
            .meaning(UNASKED)
            .next(format!(
                "Set the clock and run the same command again, or give --start {} --end {}",
                window.start(),
                window.end()
            )));
    }
    Ok(by_aws)
}

/// What has to be said of a clock that is wrong: what goes by it, and what does not.
fn warning(clock: &WrongClock, identity: &CaseIdentity) -> String {
    format!(
        "{}. Whatever counts from now was counted by AWS's, and the window is {} (UTC); the times of the ledger's own lines are by this \
         machine's, and the ledger says how far it is off",
        clock.said, identity.window
    )
}

fn of_session(text: String) -> Notice {
    Notice { source: "session".to_owned(), account: None, region: None, text }
}

/// The same error, with the ledger as the run left it: it may be the last that is heard of the run.
fn at_its_ledger(error: CliError, folder: &Path) -> CliError {
    let ledger = CaseFolder::open(folder).and_then(|folder| summarize(&folder)).ok();
    CliError { ledger: ledger.map(|summary| Box::new((summary.ledger_lines, summary.ledger_root))), ..error }
}

/// The case in the folder, open to go on with, if there is one; what was given must not contradict it.
fn existing_case(arguments: &CollectArguments) -> Result<Option<CaseWriter>, CliError> {
    // A folder whose making was cut off before its ledger began is made again.
    if !is_begun(&arguments.folder) {
        check_vacant(&arguments.folder)?;
        refuse_case_in_case(&arguments.folder)?;
        return Ok(None);
    }
    let case = CaseWriter::open(&arguments.folder).map_err(CliError::of_collection)?;
    case.takes_evidence()?;
    refuse_changes(case.identity(), &arguments.scope, &arguments.case)?;
    Ok(Some(case))
}

/// What the ledger says of this process and machine.
fn context(tool: &crate::case::event::Tool, defaults: &Defaults) -> RunContext {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let name = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    RunContext {
        tool: tool.clone(),
        host: text(system.nodename()),
        system: format!("{} {} {}", text(system.sysname()), text(system.release()), text(system.machine())),
        os_user: os_user(&name, rustix::process::getuid().as_raw()),
        // Names of files need not be text.
        command_line: redacted(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())),
        configuration: defaults.used(),
    }
}

/// The operating system's user: the name is only what the environment says, the number is the system's own word.
fn os_user(name: &str, uid: u32) -> String {
    if name.is_empty() { format!("uid {uid}") } else { format!("{name} (uid {uid})") }
}

/// The arguments that are secrets: the external id is shared between two parties, the code stands for a device.
const SECRETS: [&str; 2] = ["--external-id", "--mfa-code"];

/// The command line without the values of secrets.
fn redacted(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut hide_next = false;
    let hide = |argument: String| {
        if std::mem::take(&mut hide_next) {
            return "[removed]".to_owned();
        }
        hide_next = SECRETS.contains(&argument.as_str());
        match argument.split_once('=') {
            Some((name, _)) if SECRETS.contains(&name) => format!("{name}=[removed]"),
            // An address may hold a name and a password.
            _ => without_userinfo(&argument),
        }
    };
    arguments.map(hide).collect()
}

/// A line for each source.
#[derive(Debug)]
struct Bars {
    lines: Lines,
    /// Sources at work, in all accounts together.
    started: AtomicU64,
    output: Output,
}

impl Progress for Bars {
    fn found(&self, source: &str, objects: u64, size: u64) {
        self.lines.meter(source).expect(objects, size);
    }

    fn stored(&self, source: &str, objects: u64, size: u64) {
        self.lines.meter(source).add(objects, size);
    }

    fn source_started(&self, source: &str) {
        self.started.fetch_add(1, Ordering::Relaxed);
        drop(self.lines.meter(source));
    }

    fn source_finished(&self, _source: &str) {
        if self.started.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.lines.found_everything();
        }
    }

    fn note(&self, text: &str) {
        self.lines.aside(|| self.output.note(&printable(text)));
    }
}

fn text(collected: &Collected<'_>, verbose: bool) -> String {
    let outcome = collected.outcome;
    let totals = &outcome.totals;
    let complete = if outcome.complete { "everything in scope is stored" } else { "NOT everything in scope could be had" };
    let mut lines = vec![
        Output::bold(&format!("Collected: {complete}")),
        as_whom(&outcome.caller, &outcome.also_as),
        format!("Window   {} (UTC)", outcome.window),
        format!(
            "Stored   {} of {} found, {}; {} from earlier runs\n         {} of AWS's APIs",
            thousands(totals.stored + totals.already_stored),
            counted(totals.found, "object"),
            bytes(totals.stored_bytes),
            thousands(totals.already_stored),
            counted(totals.answers, "answer"),
        ),
    ];
    if let Some(clock) = outcome.clock {
        let apart = clock.offset_milliseconds;
        lines.push(format!(
            "Clock    AWS's is {} ms {} this machine's (± {} ms, {})",
            apart.unsigned_abs(),
            if apart < 0 { "behind" } else { "ahead of" },
            clock.uncertainty_milliseconds,
            counted(clock.samples.into(), "sample")
        ));
    }
    lines.push(String::new());
    lines.push(rows_table(collected.case_rows));
    lines.extend(gap_lines("Not had", collected.case_gaps, verbose));
    lines.extend(notice_lines(&outcome.notices));
    lines.extend([
        String::new(),
        match collected.verification {
            Some(report) => wrapped(&format!("First verification: {}", sentence(report)), ""),
            None => "First verification: not made; nothing is proven before `caselock verify`".to_owned(),
        },
        format!("Ledger   {} lines", thousands(collected.ledger_lines)),
        format!("Root     {}", collected.ledger_root),
        "         Write the root down, or read its first 16 digits to a colleague: they".to_owned(),
        "         pin down everything above; `caselock verify --expect-root` checks them.".to_owned(),
    ]);
    lines.join("\n")
}

/// What to do with what was collected: what is too fresh or archived first, while the case still takes it.
fn next(arguments: &CollectArguments, collected: &Collected<'_>) -> String {
    let case = shell::path(&arguments.folder);
    let asked = format!("{case}{}", with_roles(&roles_of(&arguments.connection.role_arns, collected.case_gaps)));
    let again = collected.verification.and_then(Report::digests_due).map(|due| collect_again(&asked, due));
    let restored = collect_restored(&asked, collected.case_gaps);
    in_turn(&again.into_iter().chain(restored).chain([format!("caselock verify {case}")]).collect::<Vec<_>>())
}

/// Who asked, one identity a line.
pub(super) fn as_whom(caller: &Caller, also_as: &[Caller]) -> String {
    let names: Vec<String> = std::iter::once(caller).chain(also_as).map(|caller| printable(&caller.arn)).collect();
    format!("As       {}", names.join("\n         "))
}

/// What is notable, one thing a line.
pub(super) fn notice_lines(notices: &[Notice]) -> Vec<String> {
    let mut lines = Vec::new();
    if !notices.is_empty() {
        lines.extend([String::new(), Output::bold(&format!("Notable ({})", notices.len()))]);
        let mut told: Vec<String> =
            notices.iter().map(|notice| format!("{} [{}]", printable(&notice.text), notice.source)).collect();
        told.sort();
        lines.extend(told.iter().map(|notice| wrapped(notice, "  ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{os_user, redacted};

    #[test]
    fn whatever_the_environment_calls_the_user_the_system_s_number_stands_beside_it() {
        assert_eq!((os_user("mallory", 0), os_user("", 1000)), ("mallory (uid 0)".to_owned(), "uid 1000".to_owned()));
    }

    #[test]
    fn the_password_of_an_endpoint_is_not_recorded() {
        let line = ["caselock", "--endpoint-url", "http://user:s3cret@192.0.2.1", "--endpoint-url=https://user:s3cret@h/x"];
        let recorded = redacted(line.map(str::to_owned).into_iter());
        assert_eq!(recorded, ["caselock", "--endpoint-url", "http://192.0.2.1", "--endpoint-url=https://h/x"]);
    }

    #[test]
    fn neither_the_external_id_nor_the_code_is_recorded() {
        for name in super::SECRETS {
            let line = ["caselock", "collect", name, "s3cret", &format!("{name}=s3cret"), "x"].map(str::to_owned);
            let recorded = redacted(line.into_iter());
            assert!(!recorded.iter().any(|argument| argument.contains("s3cret")), "{recorded:?}");
            assert_eq!((recorded.len(), recorded.last().map(String::as_str)), (6, Some("x")));
        }
    }
}
