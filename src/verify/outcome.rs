//! What becomes of a pass: its parts are held against one another, and everything that is wrong or notable goes into the report.

use crate::case::event::Gap;
use crate::case::ledger::LedgerState;
use crate::case::{CASE_TOML, CaseError, CaseFiles, CaseIdentity, LEDGER};
use crate::cloudtrail::KeyRing;
use crate::model::{Finding, Severity};

use super::acts::Acts;
use super::pass::Pass;
use super::report::{GapReport, LedgerReport, Report};
use super::verdict::{failures_of, verdict};
use super::{Options, admissions, case_toml, cloudtrail, custody, holder_keys, seals};

/// Longest beginning of a first line that a crash leaves: the line names the case, and a case's number is short.
const BEGINNING: u64 = 1024 * 1024;

/// What is said of a collection that did not come to its end once the case is sealed.
const SEALED_UNFINISHED: &str = "The case was sealed so: it takes no more, and what had not been asked for by then can only be collected \
     into a case of its own.";

/// The report on the case that `pass` went over. `findings` are those that were made before it.
pub(super) fn of(
    files: &dyn CaseFiles,
    identity: Option<CaseIdentity>,
    pass: Pass,
    mut findings: Vec<Finding>,
    options: &Options<'_>,
) -> Result<Report, CaseError> {
    let Pass { ledger: state, root_met, acts, artifacts: mut checked } = pass;
    if let Some(expected) = options.expected_root.filter(|_| root_met.is_none()) {
        let detail = format!(
            "The ledger, cut after any of its lines, never had a root that begins with {expected}: lines that were there when it was \
             noted have been changed or taken away, or it is the root of another case."
        );
        findings.push(Finding::new(Severity::Failure, "ledger-root-unexpected", &LEDGER, &detail));
    }
    let case_toml = case_toml::hash(files)?;
    // Without a first line nothing was ever acknowledged; with evidence or seals beside it, that line was taken away.
    let never_begun = state.entries == 0 && state.problems.is_empty() && checked.is_bare() && state.bytes < BEGINNING;
    findings.extend(ledger_findings(&state, &acts, (never_begun, files.is_package())));
    if never_begun {
        let detail = "The making of the case was cut off before the ledger's first line. The first command of collect again, with all that \
                      it said of the case, makes it.";
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
    let (seals, signed) = seals::check(files, (&acts, identity.as_ref()), &checked, options, &mut findings)?;
    if state.unterminated {
        let sealed = seals.iter().any(|seal| seal.ledger_size == Some(state.lines));
        let severity = if sealed { Severity::Failure } else { Severity::Gap };
        findings.push(Finding::new(severity, "ledger-unterminated", &LEDGER, "The newline at its end is missing."));
    }
    let mut holders = custody::of_the_ledger(&acts.handovers, &seals, &mut findings);
    custody::after_the_last_seal(&seals, (state.lines, acts.last_said), files.is_package(), &mut findings);
    if let Some((package, receipts)) = options.receipts {
        let case_number = identity.as_ref().map(|identity| identity.case_number.as_str());
        let received = custody::Received { case_number, seals: &seals, clock_ahead: acts.clock_ahead };
        holders.extend(custody::of_receipts(package, receipts, &received, options, &mut findings));
    }
    if let (Some(first), Some(identity)) = (holders.first(), &identity) {
        findings.extend(custody::check_beginning(first, &identity.examiner, seals.first()));
    }
    custody::check_chain(&holders, &mut findings);
    let examiner = identity.as_ref().map_or("", |identity| identity.examiner.as_str());
    holder_keys::check(&holders, &seals, examiner, &mut findings);
    findings.extend(checked.findings(acts.runs_open, !seals.is_empty()));
    // What lies in a part that is not here cannot be looked for.
    if files.missing_parts().is_empty() {
        admissions::check(&signed, &mut findings);
    }
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
    let keys_from_elsewhere = keys_from_elsewhere(&acts).filter(|_| !trails.is_empty() && options.keys.is_none());
    findings.extend(answers_from_elsewhere(&acts, keys_from_elsewhere.is_some()));
    findings.extend(keys_from_elsewhere);
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

/// Who answered in AWS's place when it was asked for its public keys.
fn keys_from_elsewhere(acts: &Acts) -> Option<Finding> {
    let from: Vec<&str> = acts.endpoints.iter().map(String::as_str).collect();
    let detail = format!(
        "The public keys came from {}, not from AWS: the signatures prove no more than the word of whoever answers there. Compare the \
         keys with AWS's own (`verify --online`), or give them (`verify --keys`).",
        from.join(" and ")
    );
    (!from.is_empty()).then(|| Finding::new(Severity::Notice, "keys-from-another-endpoint", &LEDGER, &detail))
}

/// Who answered in AWS's place otherwise; those that keys came from are named already where that is told.
fn answers_from_elsewhere(acts: &Acts, keys_are_told: bool) -> Option<Finding> {
    let told = |url: &&String| keys_are_told && acts.endpoints.contains(*url);
    let from: Vec<&str> = acts.asked_elsewhere.iter().filter(|url| !told(url)).map(String::as_str).collect();
    let detail = format!(
        "What was asked of {} was not asked of AWS: what is in the case from there is no more than the word of whoever answers there.",
        from.join(" and ")
    );
    (!from.is_empty()).then(|| Finding::new(Severity::Notice, "answers-from-another-endpoint", &LEDGER, &detail))
}

fn ledger_findings(state: &LedgerState, acts: &Acts, (never_begun, is_package): (bool, bool)) -> Vec<Finding> {
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
        let (severity, kind, what) = if is_package {
            let what = "and a package ends with its seal: somebody appended to it. What is said there, nobody signed for.";
            (Severity::Failure, "ledger-after-seal", what)
        } else if acts.sealed.is_empty() {
            let what = "as a crash leaves them; the next run of collect will account for them.";
            (Severity::Gap, "ledger-torn", what)
        } else {
            let what = "as a crash leaves them; the next command that writes into the case (transfer, package or seal) will account for them.";
            (Severity::Gap, "ledger-torn", what)
        };
        let detail = format!("It ends with {} bytes that are no whole line, {what}", tail.bytes);
        findings.push(Finding::new(severity, kind, &LEDGER, &detail));
    }
    if acts.runs == 0 {
        let detail = "No collection was ever started, so there is nothing to prove.";
        findings.push(Finding::new(Severity::Gap, "nothing-collected", &LEDGER, detail));
    } else if acts.unfinished {
        let next = if acts.sealed.is_empty() { "Run collect again to complete it." } else { SEALED_UNFINISHED };
        let detail = format!("The last collection did not come to its end. {next}");
        findings.push(Finding::new(Severity::Gap, "collection-unfinished", &LEDGER, &detail));
    } else if !acts.unfinished_as.is_empty() {
        let accounts: Vec<String> = acts.unfinished_as.iter().map(ToString::to_string).collect();
        let next = if acts.sealed.is_empty() { "Run collect again as it to complete it." } else { SEALED_UNFINISHED };
        let detail =
            format!("A collection as {} did not come to its end, and no later one asked as it. {next}", accounts.join(", "));
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
