//! Tells what verification came to, as text or JSON. What is wrong is found in `crate::verify`; how it is told is decided here.

mod coverage;
mod findings;
#[cfg(feature = "acquire")]
mod online;
mod opening;
mod sentence;
pub(super) mod totals;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;

use crate::case::event::KeyComparison;
use crate::case::summary::{Summary, summarize};
use crate::case::{CaseFiles, CaseFolder};
use crate::cloudtrail::KeyRing;
use crate::cloudtrail::gzip::Limits;
use crate::model::Severity;
use crate::seal::{AllowedSigners, ArtifactTotals, AuthorityRoots};
use crate::verify::{CustodyReport, DisclosureReport, ExpectedRoot, Options, Report, SignatureState, Verdict, verify};

use super::configuration::ConfigurationFile;
use super::output::{Output, bytes, counted, hanging, thousands, wrapped};
use super::status::{collect_again, in_turn};
use super::transfer::receipts_of;
use super::{CliError, Exit, advice, shell};
pub(super) use opening::{is_disclosure, open, refuse_what_is_no_package};
pub(super) use sentence::sentence;

/// Check everything that can be checked about a case folder or a package, offline.
///
/// Every stored byte against the ledger, the ledger's chain, the seals, and CloudTrail's own signatures: each digest, each link, each
/// listed log, each hour of the window. Nothing is written, and AWS is not asked, but with --online.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock verify IR-2026-014
  caselock verify IR-2026-014.zip --allowed-signers allowed_signers --json

Exits with 0 when everything in scope is there and proven, 3 when something was
changed, removed or forged, 4 when something can be neither proven nor blamed.")]
pub(super) struct VerifyArguments {
    /// The case folder, or the package.
    case: PathBuf,
    /// Who is trusted to seal, in OpenSSH's format of `allowed_signers`.
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// Who may stamp the time: root certificates of time-stamping authorities, in PEM, that you trust.
    #[arg(long, value_name = "FILE")]
    tsa_roots: Option<PathBuf>,
    /// Public keys obtained another way, as REGION=FILE with a saved answer of `ListPublicKeys`; used instead of those in the case.
    #[arg(long, value_name = "REGION=FILE")]
    keys: Vec<String>,
    /// Let notices count: whatever is notable makes the verdict incomplete.
    #[arg(long)]
    strict: bool,
    /// A receipt of the package that does not lie beside it; those that do are read anyway.
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
    /// The ledger's root as it was noted when the case was collected: its first 16 digits or more. Fails if the ledger never had it.
    #[arg(long, value_name = "HEX")]
    expect_root: Option<ExpectedRoot>,
    #[command(flatten)]
    file: ConfigurationFile,
    #[command(flatten)]
    limits: LimitArguments,
    #[cfg(feature = "acquire")]
    #[command(flatten)]
    online: online::OnlineArguments,
}

/// How much a log or digest may unpack to before it counts as a bomb.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArguments {
    /// The largest content that one log or digest may unpack to, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().content)]
    max_content: u64,
    /// How many bytes one compressed byte of a log or digest may unpack to.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().ratio)]
    max_ratio: u64,
}

impl LimitArguments {
    pub(super) fn limits(self) -> Limits {
        Limits { content: self.max_content, ratio: self.max_ratio, ..Limits::default() }
    }

    /// The options as they were given, each with a blank before it; what is as ever is left out.
    fn options(self) -> String {
        let usual = Limits::default();
        let given = [("--max-content", self.max_content, usual.content), ("--max-ratio", self.max_ratio, usual.ratio)];
        let changed = given.into_iter().filter(|(_, given, usual)| given != usual);
        let options: Vec<String> = changed.map(|(name, given, _)| format!(" {name} {given}")).collect();
        options.concat()
    }
}

/// How long a verification takes before it is worth counting what there is to verify.
const COUNTED_AFTER: Duration = Duration::from_secs(1);
/// What stands before a value that goes on, and before what is said of a holder.
const VALUE: &str = "               ";
const HOLDER: &str = "                  ";

pub(super) fn run(mut arguments: VerifyArguments, output: &Output) -> Result<Exit, CliError> {
    #[cfg(feature = "acquire")]
    arguments.online.refuse_unused()?;
    let mut defaults = arguments.file.read()?;
    defaults.fill_trust(&mut arguments.allowed_signers, &mut arguments.tsa_roots);
    defaults.note(output);
    let files = open(&arguments.case)?;
    let allowed = arguments.allowed_signers.as_deref().map(read_allowed_signers).transpose()?;
    let roots = arguments.tsa_roots.as_deref().map(read_roots).transpose()?;
    let keys = read_keys(&arguments.keys)?;
    let receipts = receipts_of(&arguments.case, &arguments.receipt, output)?;
    let wanted = Options {
        allowed_signers: allowed.as_ref(),
        authority_roots: roots.as_ref(),
        keys: keys.as_ref(),
        strict: arguments.strict,
        expected_root: arguments.expect_root.as_ref(),
        receipts: receipts.as_ref().map(|(packages, receipts)| (packages.as_slice(), receipts.as_slice())),
        limits: arguments.limits.limits(),
        ..Options::default()
    };
    #[cfg_attr(not(feature = "acquire"), expect(unused_mut, reason = "only AWS's answer changes it"))]
    let mut report = verify_showing_progress(&*files, &wanted, output)?;
    #[cfg(feature = "acquire")]
    if arguments.online.online {
        online::ask(&arguments.online, &mut report, arguments.strict, output)?;
        output.note(&online::record(&arguments.case, &report));
    }
    output
        .result(&report, || {
            let next = next(&report, &arguments).map(|next| format!("\n\n{next}")).unwrap_or_default();
            format!("{}{next}", text(&report, output.is_verbose()))
        })
        .map_err(|error| error.after(exit_of(report.verdict)))?;
    Ok(exit_of(report.verdict))
}

/// What to do with a case that was verified, if there is more to do: of a disclosure, that was all.
fn next(report: &Report, arguments: &VerifyArguments) -> Option<String> {
    let case = &arguments.case;
    let place = shell::path(case);
    if report.case_failures() == 0 && report.disclosure.is_some() {
        return None;
    }
    Some(if report.case_failures() > 0 {
        let found = report.damage.first().map(|damage| format!("caselock explain {}", damage.kind));
        let keep = "keep it exactly as it is, and compare it with a copy or a package".to_owned();
        in_turn(&std::iter::once(keep).chain(found).collect::<Vec<_>>())
    } else if case.is_file() {
        format!("Next: caselock report {place}{}", as_before(arguments))
    } else if let Some(begin) = advice::begin_again(case) {
        format!("Next: {begin}")
    } else {
        let summary = CaseFolder::open(case).and_then(|folder| summarize(&folder)).ok();
        let unfinished = summary.as_ref().filter(|summary| !summary.runs.is_empty() && !summary.is_finished());
        match (report.seals.is_empty(), unfinished) {
            (true, Some(summary)) => in_turn(&[advice::go_on(summary, case)]),
            (true, None) => {
                let run = summary.as_ref().and_then(|summary| Some((summary.runs.last()?, summary)));
                let roles = run.map(|(run, summary)| advice::roles_of(&run.roles, &summary.gaps)).unwrap_or_default();
                let again = report.digests_due();
                let again = again.map(|due| collect_again(&format!("{place}{}", advice::with_roles(&roles)), due));
                in_turn(&again.into_iter().chain([format!("caselock seal {place} --signing-key KEY")]).collect::<Vec<_>>())
            }
            (false, _) if summary.as_ref().is_some_and(Summary::is_packaged) => {
                format!("Next: caselock report {place}{}", as_before(arguments))
            }
            (false, _) => format!("Next: {}", advice::package(summary.as_ref(), case)),
        }
    })
}

/// The options that count for a report as well: whom to trust, and what to go by.
fn as_before(arguments: &VerifyArguments) -> String {
    let trust = [("--allowed-signers", &arguments.allowed_signers), ("--tsa-roots", &arguments.tsa_roots)];
    let named = trust.into_iter().flat_map(|(option, file)| file.iter().map(move |file| (option, file)));
    let receipts = arguments.receipt.iter().map(|receipt| ("--receipt", receipt));
    let files = named.chain(receipts).map(|(option, file)| format!(" {option} {}", shell::path(file)));
    let keys = arguments.keys.iter().map(|keys| format!(" --keys {}", shell::word(keys)));
    files.chain(keys).chain([arguments.limits.options()]).collect()
}

/// Verifies, showing how far it has come.
pub(super) fn verify_with_progress(
    files: &dyn CaseFiles,
    allowed: Option<&AllowedSigners>,
    output: &Output,
) -> Result<Report, CliError> {
    verify_showing_progress(files, &Options { allowed_signers: allowed, ..Options::default() }, output)
}

/// Verifies as wanted, showing how far it has come.
pub(super) fn verify_showing_progress(
    files: &dyn CaseFiles,
    wanted: &Options<'_>,
    output: &Output,
) -> Result<Report, CliError> {
    let (lines, meter) = super::progress::line(output, "verifying");
    let progress = |files: u64, size: u64| meter.add(files, size);
    let wanted = Options { progress: &progress, ..*wanted };
    let expect = |all: ArtifactTotals| meter.expect(all.count, all.bytes);
    let all = totals::announced(files);
    let report = if all.is_some() || !output.shows_progress() {
        all.into_iter().for_each(expect);
        verify(files, &wanted)
    } else {
        std::thread::scope(|scope| {
            let (working, ended) = channel::<()>();
            scope.spawn(move || {
                // What is over at once needs no count. One that comes late is no harm.
                if ended.recv_timeout(COUNTED_AFTER) == Err(RecvTimeoutError::Timeout) {
                    let stop = || ended.try_recv() == Err(TryRecvError::Disconnected);
                    totals::in_ledger(files, &stop).into_iter().for_each(expect);
                }
            });
            let report = verify(files, &wanted);
            drop(working);
            report
        })
    };
    lines.finish();
    Ok(report?)
}

/// Reads who may stamp the time.
pub(super) fn read_roots(path: &Path) -> Result<AuthorityRoots, CliError> {
    let bytes = std::fs::read(path).map_err(|error| CliError::unreadable("the root certificates", path, &error))?;
    AuthorityRoots::parse(&bytes).map_err(|error| CliError::not_understood(path, &error))
}

/// Answers of `ListPublicKeys` that the user vouches for. What they do not hold counts as not asked.
pub(super) fn read_keys(given: &[String]) -> Result<Option<KeyRing>, CliError> {
    let mut keys = KeyRing::default();
    for given in given {
        let malformed = || {
            CliError::usage(format!("`{given}` is not REGION=FILE with a saved answer of ListPublicKeys"))
                .meaning("Nothing was checked, and nothing was written.")
                .next("aws cloudtrail list-public-keys --region REGION > FILE saves one.")
        };
        let (region, file) = given.split_once('=').ok_or_else(malformed)?;
        let region = region.parse().map_err(|_| malformed())?;
        let body =
            std::fs::read(file).map_err(|error| CliError::unreadable("the saved public keys", Path::new(file), &error))?;
        let problems = keys.add_answer(&region, &body).map_err(|_| malformed())?;
        if let Some(problem) = problems.first() {
            return Err(CliError::not_understood(Path::new(file), problem));
        }
    }
    Ok((!given.is_empty()).then_some(keys))
}

/// Reads who may seal.
pub(super) fn read_allowed_signers(path: &Path) -> Result<AllowedSigners, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::unreadable("the allowed signers", path, &error))?;
    AllowedSigners::parse(&text).map_err(|error| {
        CliError::not_understood(path, &error)
            .next("A line is a name and a public key: examiner@example.com ssh-ed25519 AAAA…; ALLOWED SIGNERS in `man ssh-keygen` has the rest.")
    })
}

pub(super) fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Pass => Exit::Done,
        Verdict::Fail => Exit::Integrity,
        Verdict::Incomplete => Exit::Incomplete,
    }
}

/// The report as text: the verdict in one sentence first, then what was proven, then findings by weight.
pub(super) fn text(report: &Report, verbose: bool) -> String {
    let mut lines = vec![Output::bold(&wrapped(&sentence(report), "")), String::new()];
    let artifacts = &report.artifacts;
    lines.push(format!(
        "Stored files   {} of {} unchanged since they were acquired ({})",
        thousands(artifacts.valid),
        thousands(artifacts.total),
        bytes(artifacts.bytes)
    ));
    if let Some(disclosure) = &report.disclosure {
        return disclosure_text(report, disclosure, lines, verbose);
    }
    let chain = if report.ledger.valid { ", every line follows from the one before" } else { ", BROKEN" };
    lines.push(match report.ledger.entries {
        0 => format!("Ledger         no entries{}", if report.ledger.valid { "" } else { chain }),
        1 => format!("Ledger         1 entry{chain}"),
        entries => format!("Ledger         {} entries{chain}", thousands(entries)),
    });
    lines.push(format!("Ledger root    {}", report.ledger.root));
    if let Some(after) = report.ledger.expected_root_at {
        lines.push(format!("               had the root you expected after {}", counted(after, "line")));
    }
    lines.extend(seal_lines(report));
    lines.extend(custody_lines(&report.custody));
    lines.extend(report.online.as_ref().map(key_line));
    lines.extend(trail_lines(report));
    for severity in [Severity::Failure, Severity::Gap, Severity::Notice] {
        lines.extend(findings::lines(&report.findings, severity, verbose));
    }
    if !report.cloudtrail.is_empty() {
        lines.push(String::new());
        lines.push(Output::bold("What this does not prove"));
        lines.push(wrapped(
            "That CloudTrail recorded everything that happened: its signatures prove what it delivered. What a finding means, how sure \
             it is, and what innocent cause it could have:",
            "  ",
        ));
        let kind = report.findings.first().map(|finding| format!(" {}", finding.kind)).unwrap_or_default();
        lines.push(format!("      caselock explain{kind}"));
    }
    lines.join("\n")
}

/// The rest of the text where only a part of a case is shown: what that proves is another thing.
fn disclosure_text(report: &Report, disclosure: &DisclosureReport, mut lines: Vec<String>, verbose: bool) -> String {
    let proven = if report.ledger.valid { "each proven to belong to it" } else { "NOT ALL PROVEN" };
    lines.push(format!(
        "Ledger         {} of {} shown, {proven}",
        thousands(disclosure.lines_shown),
        counted(disclosure.lines_sealed, "sealed line")
    ));
    lines.push(format!("Ledger root    {}", report.ledger.root));
    lines.extend(seal_lines(report));
    lines.extend(custody_lines(&report.custody));
    for severity in [Severity::Failure, Severity::Gap, Severity::Notice] {
        lines.extend(findings::lines(&report.findings, severity, verbose));
    }
    lines.push(String::new());
    lines.push(Output::bold("What this does not prove"));
    lines.push(wrapped(
        "That these are all the files of a kind, or all that matter; what the rest says; when it was signed, for the time-stamp is on \
         the seal, which is not shown; that AWS's signatures on CloudTrail's files hold. Whoever has the whole case can show that.",
        "  ",
    ));
    lines.join("\n")
}

fn key_line(online: &KeyComparison) -> String {
    let held = online.confirmed + online.contradicted + online.forgotten;
    let endpoint = online.endpoint_url.as_ref().map_or_else(|| "AWS".to_owned(), |url| format!("{url}, not AWS's own,"));
    let regions = counted(online.answered, "region");
    let asked = wrapped(
        &format!(
            "{} of {held} are published by {endpoint} as the case holds them; {regions} of {} answered",
            online.confirmed, online.regions
        ),
        VALUE,
    );
    format!("Public keys    {}", asked.trim_start())
}

fn seal_lines(report: &Report) -> Vec<String> {
    if report.seals.is_empty() {
        let taken = report.findings.iter().any(|found| found.kind == "seal-absent" && found.severity == Severity::Failure);
        let why =
            if taken { "NONE, and a package has one: it was taken away" } else { "none yet: nobody has signed for this case" };
        return vec![format!("Seal           {why}")];
    }
    let mut lines = Vec::new();
    for seal in &report.seals {
        let signature = match seal.signature {
            SignatureState::Valid => "signature valid",
            SignatureState::Invalid => "signature INVALID",
            SignatureState::Absent => "NOT SIGNED",
            SignatureState::Unchecked => "signature not checked here (use ssh-keygen, see VERIFY.txt)",
        };
        lines.push(hanging(&format!("{}: {signature}", seal.file), "Seal           ", VALUE));
        lines.extend(seal.time.map(|time| format!("               sealed {time}")));
        let trust = match (seal.trusted, &seal.vouched_as) {
            (Some(true), Some(names)) => format!("is trusted: the allowed signers you gave have it as {names}"),
            (Some(false), Some(names)) => {
                format!(
                    "is NOT trusted: the allowed signers you gave have it as {names}, and not under the seal's name and for its time"
                )
            }
            (Some(_), None) => "is NOT among the allowed signers you gave".to_owned(),
            (None, Some(names)) => {
                format!("is that of {names} by the allowed signers you gave; whether it made this signature is not known")
            }
            (None, None) => "vouched for by nobody: compare it with what the signer tells you".to_owned(),
        };
        if let Some(signer) = &seal.signer {
            lines.push(format!("               key {signer}"));
            lines.push(wrapped(&trust, VALUE));
        }
        match (seal.timestamp, seal.stamped) {
            (SignatureState::Valid, Some(time)) => lines.push(format!("               time-stamp valid: {time}")),
            (SignatureState::Invalid, _) => lines.push("               time-stamp INVALID".to_owned()),
            (SignatureState::Unchecked, _) => {
                lines.push("               time-stamp not checked here (use openssl, see VERIFY.txt)".to_owned());
            }
            _ => {}
        }
        for renewal in &seal.renewals {
            let state = match renewal.timestamp {
                SignatureState::Valid => "valid",
                SignatureState::Invalid => "INVALID",
                _ => "not checked here (use openssl, see VERIFY.txt)",
            };
            let time = renewal.stamped.map(|time| format!(": {time}")).unwrap_or_default();
            lines.push(wrapped(&format!("time-stamp renewed, {state}{time}"), VALUE));
        }
    }
    lines
}

/// Every holder after the one who acquired it, the latest last.
fn custody_lines(custody: &[CustodyReport]) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, link) in (1..).zip(custody) {
        let handover = &link.handover;
        let when = match (link.received_at, link.released_at) {
            (Some(at), _) => format!("received {at}"),
            (None, Some(at)) => format!("released {at}, NOT RECORDED AS RECEIVED"),
            (None, None) => String::new(),
        };
        let title = if number == 1 { "Custody" } else { "" };
        let who = format!("{} → {}, {when}", handover.released_by, handover.received_by);
        lines.push(hanging(&who, &format!("{title:<15}{number}. "), HOLDER));
        let by = handover.method.as_deref().map(|method| format!("; by {method}")).unwrap_or_default();
        let condition = handover.condition.as_deref().map(|condition| format!("; condition: {condition}")).unwrap_or_default();
        let about = format!(
            "{}{by}{condition}; verified then: {}, {} of {} unchanged",
            handover.purpose,
            link.verification.verdict,
            thousands(link.verification.artifacts_valid),
            counted(link.verification.artifacts, "file")
        );
        lines.push(wrapped(&about, HOLDER));
        let signed = match (&link.signed_in, link.signature) {
            (None, _) => "covered by no seal yet".to_owned(),
            (Some(place), _) if link.received_at.is_none() => {
                format!("recorded under {place}; nobody has signed for having received it")
            }
            (Some(place), SignatureState::Valid) => format!("signed for in {place}"),
            (Some(place), SignatureState::Invalid) => format!("signature INVALID in {place}"),
            (Some(place), SignatureState::Absent) => format!("NOT SIGNED FOR in {place}"),
            (Some(place), SignatureState::Unchecked) => format!("signature not checked here: {place} (use ssh-keygen)"),
        };
        lines.push(wrapped(&signed, HOLDER));
        if let (Some(signer), true) = (&link.signer, link.received_at.is_some()) {
            lines.push(format!("{HOLDER}key {signer}"));
            let signed_as = link.signed_as.as_deref().map(|name| format!("signed as {name}, by the signer's own word"));
            lines.extend(signed_as.map(|signed_as| wrapped(&signed_as, HOLDER)));
            lines.extend(link.trusted.map(|trusted| {
                let trust = match (&link.vouched_as, trusted) {
                    (Some(names), true) => format!("is trusted: the allowed signers you gave have it as {names}"),
                    (Some(names), false) => format!("is NOT trusted: the allowed signers you gave have it as {names}"),
                    (None, _) => "is NOT among the allowed signers you gave".to_owned(),
                };
                wrapped(&trust, HOLDER)
            }));
        }
        if let Some(time) = link.stamped {
            lines.push(format!("{HOLDER}time-stamp: {time}"));
        }
    }
    lines
}

fn trail_lines(report: &Report) -> Vec<String> {
    if report.cloudtrail.is_empty() {
        return vec!["CloudTrail     no digests, nothing to prove".to_owned()];
    }
    coverage::lines(&report.cloudtrail, report.window.as_ref(), report.unread())
}
