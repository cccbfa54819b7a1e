//! Everything that can be checked about a case, offline, from its folder or its package. No network, no writes.

mod artifacts;
mod checkpoints;
mod cloudtrail;
mod collections;
mod custody;
mod delete_markers;
mod digest_records;
mod disclosure;
mod expected_root;
mod fingerprint;
mod log_records;
mod presence;
mod published_keys;
mod report;
mod seals;
mod stamps;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::num::NonZeroUsize;

use crate::case::event::{ClockOffset, Event, Gap, KeyComparison, is_of_aws};
use crate::case::ledger::{LedgerState, read_ledger};
use crate::case::{CASE_TOML, CaseError, CaseFiles, CaseIdentity, Gaps, LEDGER, Workspace, read_bounded, seconds_ahead};
use crate::cloudtrail::KeyRing;
use crate::cloudtrail::gzip::Limits;
use crate::model::{Finding, Severity, Sha256Hash, Timestamp};
use crate::seal::{AllowedSigners, AuthorityRoots, PackageHead, ReceiptFile};

pub use expected_root::{ExpectedRoot, ParseExpectedRootError};
pub use published_keys::{Published, compare_keys};
pub use report::{
    ArtifactReport, CustodyReport, DigestCounts, DisclosureReport, GapReport, LedgerReport, LogCounts, RenewalReport, Report,
    SealReport, SignatureState, TrailReport, Verdict,
};

/// Longest beginning of a first line that a crash leaves: the line names the case, and a case's number is short.
const BEGINNING: u64 = 1024 * 1024;

/// How to verify.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Who is trusted to seal; none means that nobody was vouched for.
    pub allowed_signers: Option<&'a AllowedSigners>,
    /// The roots of trusted time-stamping authorities; none means that nobody was vouched for.
    pub authority_roots: Option<&'a AuthorityRoots>,
    /// A root that the ledger must have had after one of its lines: the one that `collect` printed, as somebody kept it.
    pub expected_root: Option<&'a ExpectedRoot>,
    /// The receipts that lie beside a package, in the order of their numbers, and what the package is as a whole, or each of its parts.
    pub receipts: Option<(&'a [PackageHead], &'a [ReceiptFile])>,
    /// Public keys to verify CloudTrail's signatures with, instead of those that the case holds.
    pub keys: Option<&'a KeyRing>,
    /// How much a log or digest may unpack to.
    pub limits: Limits,
    /// Whether notices count: whatever is notable makes the verdict incomplete.
    pub strict: bool,
    /// How many files are read side by side.
    pub threads: NonZeroUsize,
    /// Where that is put which grows with the number of artifacts.
    pub workspace: Workspace<'a>,
    /// Called as artifacts are done, with how many and how many bytes.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("threads", &self.threads).field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            allowed_signers: None,
            authority_roots: None,
            expected_root: None,
            receipts: None,
            keys: None,
            limits: Limits::default(),
            strict: false,
            threads,
            workspace: Workspace::default(),
            progress: &|_, _| {},
        }
    }
}

/// What the ledger says besides its artifacts.
#[derive(Debug, Default)]
struct Acts {
    opened: Option<Sha256Hash>,
    /// The gaps that are open.
    gaps: Vec<Gap>,
    /// How many a later run closed.
    gaps_closed: u64,
    runs_open: bool,
    /// Whether the last collection did not come to its end, recorded or not.
    unfinished: bool,
    /// The accounts as which a collection began, and none that came to its end has asked since.
    unfinished_as: BTreeSet<crate::model::AccountId>,
    runs: u32,
    /// What each run asked, and where those looked that came to their end.
    collections: collections::Collections,
    /// The buckets that were listed for CloudTrail's files, each with what stood before `AWSLogs/`.
    listed: BTreeSet<(String, String)>,
    /// The accounts as which AWS was asked, in whichever run.
    callers: BTreeSet<crate::model::AccountId>,
    /// When the last run began.
    collecting_since: Option<Timestamp>,
    collected_until: Option<Timestamp>,
    case_number: Option<String>,
    /// What the ledger says of the case changing hands, with the line that says it, counted from 1.
    handovers: Vec<custody::Act>,
    /// Each `case.sealed`, by the seal's file; an attempt that was cut off leaves one more.
    sealed: BTreeMap<String, Vec<Announced>>,
    /// By how many seconds a clock that the case was collected by was ahead of AWS's, at most.
    clock_ahead: i64,
    /// The latest time at which a line was written, and the same of the lines before the last one.
    latest: Option<Timestamp>,
    before: Option<Timestamp>,
    /// Where AWS was asked for its public keys, if that was not AWS's own endpoint.
    endpoints: BTreeSet<String>,
    /// The seal that was announced last, as long as nothing happened since that takes a whole seal.
    sealing: Option<String>,
    /// The first line that stands where caselock writes none of its kind, counted from 1.
    out_of_place: Option<u64>,
    unknown: u64,
}

/// A line of the ledger that announces a seal.
#[derive(Debug)]
struct Announced {
    /// Size and root of the ledger with it.
    head: (u64, Sha256Hash),
    /// The key that was to sign.
    signer: String,
    /// The latest time of the lines before it, by the clocks of whoever wrote them.
    after: Option<Timestamp>,
}

/// The earliest that AWS's clocks, by which it dates what it delivers, can have shown when this machine's showed `at`.
fn on_clock_of_aws(at: Timestamp, clock: Option<ClockOffset>) -> Timestamp {
    // A machine whose battery is dead may be off by decades; what is more is no clock.
    const CENTURY: i64 = 100 * 366 * 86_400;
    let apart = clock.map_or(0, |clock| clock.offset_milliseconds.saturating_sub(clock.uncertainty_milliseconds));
    at.plus_seconds(apart.div_euclid(1000).clamp(-CENTURY, CENTURY))
}

/// Verifies the case in `files`.
///
/// Only a case that cannot be read at all is an error; everything that is wrong with it is in the report.
pub fn verify(files: &dyn CaseFiles, options: &Options<'_>) -> Result<Report, CaseError> {
    if disclosure::is_one(files) {
        return disclosure::check(files, options);
    }
    let mut findings = Vec::new();
    let identity = read_identity(files, &mut findings)?;
    let ledger_path = files.describe(LEDGER);
    let mut acts = Acts::default();
    let mut gaps = Gaps::default();
    let mut root_met = None;
    let (state, mut checked) = artifacts::check(files, options, |feed| {
        let ledger: Box<dyn Read + Send + '_> = match files.open(LEDGER) {
            Err(error) if error.is_not_found() => Box::new(std::io::empty()),
            opened => opened?,
        };
        let reader = BufReader::with_capacity(256 * 1024, ledger);
        read_ledger(reader, &ledger_path, &mut |line| {
            if root_met.is_none() && options.expected_root.is_some_and(|expected| expected.is_met_by(&line.tree.root())) {
                root_met = Some(line.tree.size());
            }
            acts.before = acts.latest;
            acts.latest = acts.latest.max(Some(line.entry.at));
            // A line that caselock writes nowhere like this tells of nothing but itself.
            if acts.is_out_of_place(&line.entry.event, line.entry.seq) {
                acts.out_of_place.get_or_insert(line.tree.size());
                return;
            }
            gaps.take(&line.entry.event);
            match line.entry.event {
                Event::ArtifactAcquired(artifact) => feed(*artifact),
                other => acts.take(&other, line.entry.at, line.tree.size(), line.tree.root()),
            }
        })
    })?;
    acts.unfinished_as.clone_from(gaps.unfinished_as());
    (acts.gaps, acts.gaps_closed) = gaps.into_open();
    if let Some(expected) = options.expected_root.filter(|_| root_met.is_none()) {
        let detail = format!(
            "The ledger, cut after any of its lines, never had a root that begins with {expected}: lines that were there when it was \
             noted have been changed or taken away, or it is the root of another case."
        );
        findings.push(Finding::new(Severity::Failure, "ledger-root-unexpected", &LEDGER, &detail));
    }
    let case_toml = hash_of(files, CASE_TOML)?;
    // Without a first line nothing was ever acknowledged; with evidence or seals beside it, that line was taken away.
    let never_begun = state.entries == 0 && state.problems.is_empty() && checked.is_bare() && state.bytes < BEGINNING;
    findings.extend(ledger_findings(&state, &acts, never_begun));
    if never_begun {
        let detail = "The making of the case was cut off before the ledger's first line. Run collect again to make it.";
        findings.push(Finding::new(Severity::Gap, "case-not-begun", &LEDGER, detail));
    } else if acts.opened.is_none_or(|recorded| Some(recorded) != case_toml) {
        let detail = "It is not the file whose hash the first line of the ledger holds.";
        findings.push(Finding::new(Severity::Failure, "case-file-modified", &CASE_TOML, detail));
    }
    for part in files.missing_parts() {
        let detail = format!(
            "Part {} of {} is not here: its {} artifacts ({} bytes) could not be checked. Put all parts into one folder.",
            part.number, part.of, part.files, part.bytes
        );
        findings.push(Finding::new(Severity::Gap, "part-missing", &format!("part {} of {}", part.number, part.of), &detail));
    }
    let seals = seals::check(files, &acts, &checked, options, &mut findings)?;
    if state.unterminated {
        let sealed = seals.iter().any(|seal| seal.ledger_size == Some(state.lines));
        let severity = if sealed { Severity::Failure } else { Severity::Gap };
        findings.push(Finding::new(severity, "ledger-unterminated", &LEDGER, "The newline at its end is missing."));
    }
    let mut holders = custody::of_the_ledger(&acts.handovers, &seals, &mut findings);
    custody::after_the_last_seal(&seals, state.lines, files.is_package(), &mut findings);
    if let Some((package, receipts)) = options.receipts {
        let case_number = identity.as_ref().map(|identity| identity.case_number.as_str());
        let received = custody::Received { case_number, seals: &seals, clock_ahead: acts.clock_ahead };
        holders.extend(custody::of_receipts(package, receipts, &received, options, &mut findings));
    }
    custody::check_chain(&holders, &mut findings);
    findings.extend(checked.findings(acts.runs_open, !seals.is_empty()));
    // Up to here everything is about the case itself; from here on, about what happened in AWS.
    let damage = failures_of(&findings);
    let (trails, keys) = match &identity {
        Some(identity) => cloudtrail::check(&mut checked, identity, &acts, options, &mut findings)?,
        None => (Vec::new(), KeyRing::default()),
    };
    for gap in acts.gaps.iter().filter(|gap| gap.reason.is_incompleteness()) {
        findings.push(gap_finding(gap));
    }
    cloudtrail::say_what_is_unproven(&trails, &mut findings);
    if !trails.is_empty() && options.keys.is_none() {
        findings.extend(acts.keys_from_elsewhere());
    }
    findings.sort();
    findings.dedup();
    let ledger = LedgerReport {
        entries: state.entries,
        lines: state.lines,
        root: state.tree.root(),
        valid: state.problems.is_empty(),
        expected_root_at: root_met,
    };
    Ok(Report {
        verdict: verdict(&findings, options.strict),
        window: identity.as_ref().map(|identity| identity.window),
        case_number: identity.map(|identity| identity.case_number),
        artifacts: checked.report,
        ledger,
        seals,
        disclosure: None,
        custody: holders,
        cloudtrail: trails,
        findings,
        gaps: acts.gaps.iter().map(GapReport::from).collect(),
        damage,
        online: None,
        keys,
    })
}

impl Report {
    /// Takes in what AWS said of its keys when it was asked again.
    pub fn take_keys(&mut self, comparison: KeyComparison, findings: Vec<Finding>, strict: bool) {
        self.online = Some(comparison);
        self.findings.extend(findings);
        self.findings.sort();
        self.verdict = verdict(&self.findings, strict);
    }
}

/// The failures among what was found so far, each once.
fn failures_of(findings: &[Finding]) -> Vec<Finding> {
    let mut failures: Vec<Finding> = findings.iter().filter(|finding| finding.severity == Severity::Failure).cloned().collect();
    failures.sort();
    failures.dedup();
    failures
}

/// Strictly, a notice is as good as a gap: it makes nothing a failure, but nothing notable passes.
fn verdict(findings: &[Finding], strict: bool) -> Verdict {
    match findings.iter().map(|finding| finding.severity).min() {
        Some(Severity::Failure) => Verdict::Fail,
        Some(Severity::Gap) => Verdict::Incomplete,
        Some(Severity::Notice) if strict => Verdict::Incomplete,
        Some(Severity::Notice) | None => Verdict::Pass,
    }
}

/// The identity, or a finding: a damaged `case.toml` must not keep the rest from being checked.
fn read_identity(files: &dyn CaseFiles, findings: &mut Vec<Finding>) -> Result<Option<CaseIdentity>, CaseError> {
    match crate::case::read_identity(files) {
        Ok(identity) => Ok(Some(identity)),
        Err(CaseError::Malformed { problem, .. }) => {
            findings.push(Finding::new(
                Severity::Failure,
                "case-file-malformed",
                &CASE_TOML,
                &format!("It does not read: {problem}."),
            ));
            Ok(None)
        }
        Err(error) if error.is_not_found() => {
            findings.push(Finding::new(Severity::Failure, "case-file-missing", &CASE_TOML, "It is not there."));
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// The hash of a file, if it can be had; an error if only the system could not read it.
fn hash_of(files: &dyn CaseFiles, path: &str) -> Result<Option<Sha256Hash>, CaseError> {
    match read_bounded(files, path, 64 * 1024 * 1024) {
        Ok(bytes) => Ok(Some(Sha256Hash::of(&bytes))),
        Err(CaseError::Io { doing, path, source }) if artifacts::is_trouble(&source) => {
            Err(CaseError::Io { doing, path, source })
        }
        Err(_) => Ok(None),
    }
}

impl Acts {
    /// The lines that announce the seal at `path`.
    fn announced(&self, path: &str) -> impl Iterator<Item = &Announced> {
        self.sealed.get(path).into_iter().flatten()
    }

    /// Who answered in AWS's place when it was asked for its public keys.
    fn keys_from_elsewhere(&self) -> Option<Finding> {
        let from: Vec<&str> = self.endpoints.iter().map(String::as_str).collect();
        let detail = format!(
            "The public keys came from {}, not from AWS: the signatures prove no more than the word of whoever answers there. Compare the \
             keys with AWS's own (`verify --online`), or give them (`verify --keys`).",
            from.join(" and ")
        );
        (!from.is_empty()).then(|| Finding::new(Severity::Notice, "keys-from-another-endpoint", &LEDGER, &detail))
    }

    /// Whether caselock never writes such a line there: a case is opened once, by the first line, and nothing is collected into a sealed one.
    fn is_out_of_place(&self, event: &Event, seq: u64) -> bool {
        match event {
            Event::CaseOpened(_) => seq != 0,
            Event::CollectionStarted(_)
            | Event::CollectionFinished(_)
            | Event::CollectionInterrupted(_)
            | Event::ListingRecorded(_)
            | Event::ArtifactAcquired(_)
            | Event::GapRecorded(_) => !self.sealed.is_empty(),
            _ => false,
        }
    }

    fn take(&mut self, event: &Event, at: Timestamp, lines: u64, root: Sha256Hash) {
        self.clock_ahead = self.clock_ahead.max(seconds_ahead(event));
        let by_aws = match event {
            Event::CollectionStarted(started) => on_clock_of_aws(at, started.clock),
            Event::CollectionFinished(finished) => on_clock_of_aws(at, finished.clock),
            _ => at,
        };
        self.collections.take(event, by_aws);
        match event {
            Event::CaseSealed(sealed) => self.sealing = Some(sealed.seal.clone()),
            // An attempt to seal that was cut off is made again, beginning with a verification.
            Event::VerificationRecorded(_) | Event::LedgerRecovered(_) => {}
            _ => self.sealing = None,
        }
        match event {
            Event::CaseOpened(opened) => {
                self.opened = Some(opened.case_toml_sha256);
                self.case_number = Some(opened.case_number.clone());
            }
            Event::CollectionStarted(started) => {
                self.runs = self.runs.max(started.run);
                self.runs_open = true;
                self.unfinished = true;
                self.callers.extend(started.callers().map(|caller| caller.account));
                self.endpoints.extend(started.cloudtrail_endpoint().filter(|url| !is_of_aws(url)).map(str::to_owned));
                self.collecting_since = Some(by_aws);
                self.collected_until = Some(by_aws);
            }
            Event::CollectionFinished(_) => {
                self.runs_open = false;
                self.unfinished = false;
                self.collected_until = Some(by_aws);
            }
            Event::CollectionInterrupted(_) => self.runs_open = false,
            Event::CaseSealed(sealed) => {
                let announced = Announced { head: (lines, root), signer: sealed.signer.clone(), after: self.before };
                self.sealed.entry(sealed.seal.clone()).or_default().push(announced);
            }
            Event::CustodyTransferred(act) => self.handovers.push(custody::Act::released(lines, at, act)),
            Event::CustodyReceived(act) => self.handovers.push(custody::Act::received(lines, at, act)),
            Event::Unknown => self.unknown += 1,
            Event::ListingRecorded(listing) if listing.source == "cloudtrail" => {
                let root = collections::root_of(&listing.prefix);
                self.listed.extend(root.map(|root| (listing.bucket.clone(), root.to_owned())));
            }
            Event::ArtifactAcquired(_)
            | Event::GapRecorded(_)
            | Event::ListingRecorded(_)
            | Event::LedgerRecovered(_)
            | Event::VerificationRecorded(_)
            | Event::PackageCreated(_) => {}
        }
    }
}

fn ledger_findings(state: &LedgerState, acts: &Acts, never_begun: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for problem in &state.problems {
        let detail = format!("Line {} does not hold: {}.", problem.line, problem.problem);
        findings.push(Finding::new(Severity::Failure, "ledger-broken", &LEDGER, &detail));
    }
    if let Some(line) = acts.out_of_place {
        let detail = format!(
            "Line {line} was not written by caselock: a case is opened once, by its first line, and nothing is collected into a sealed one. \
             What such lines say is not believed."
        );
        findings.push(Finding::new(Severity::Failure, "ledger-line-out-of-place", &LEDGER, &detail));
    }
    if state.entries == 0 && !never_begun {
        findings.push(Finding::new(Severity::Failure, "ledger-empty", &LEDGER, "It has no entries, or is not there."));
    }
    if let Some(tail) = &state.torn_tail {
        let detail = format!(
            "It ends with {} bytes that are no whole line, as a crash leaves them; the next run of collect will account for them.",
            tail.bytes
        );
        findings.push(Finding::new(Severity::Gap, "ledger-torn", &LEDGER, &detail));
    }
    if acts.runs == 0 {
        let detail = "No collection was ever started, so there is nothing to prove.";
        findings.push(Finding::new(Severity::Gap, "nothing-collected", &LEDGER, detail));
    } else if acts.unfinished {
        let detail = "The last collection did not come to its end. Run collect again to complete it.";
        findings.push(Finding::new(Severity::Gap, "collection-unfinished", &LEDGER, detail));
    } else if !acts.unfinished_as.is_empty() {
        let accounts: Vec<String> = acts.unfinished_as.iter().map(ToString::to_string).collect();
        let detail = format!(
            "A collection as {} did not come to its end, and no later one asked as it. Run collect again as it to complete it.",
            accounts.join(", ")
        );
        findings.push(Finding::new(Severity::Gap, "collection-unfinished", &LEDGER, &detail));
    }
    if acts.gaps_closed > 0 {
        let detail = format!("{} gaps that were recorded were closed by later answers.", acts.gaps_closed);
        findings.push(Finding::new(Severity::Notice, "gaps-closed", &LEDGER, &detail));
    }
    if acts.unknown > 0 {
        let detail = format!("{} lines are of a kind that a later caselock writes; their hashes were checked.", acts.unknown);
        findings.push(Finding::new(Severity::Notice, "ledger-unknown-events", &LEDGER, &detail));
    }
    findings
}

fn gap_finding(gap: &Gap) -> Finding {
    let place = [gap.account.map(|account| account.to_string()), gap.region.as_ref().map(ToString::to_string)];
    let place: Vec<String> = place.into_iter().flatten().collect();
    let code = gap.error_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    let place = if place.is_empty() { String::new() } else { format!(", in {}", place.join(" ")) };
    let more = gap.detail.as_ref().map(|detail| format!(" {detail}")).unwrap_or_default();
    let detail = format!("It was in scope and could not be had: {}{code}{place}.{more}", gap.reason.as_str());
    Finding::new(Severity::Gap, &format!("gap-{}", gap.reason.as_str()), &format!("{}: {}", gap.source, gap.what), &detail)
}
