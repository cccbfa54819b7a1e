//! What a case holds, as far as its ledger tells: no artifact is read, and nothing proven.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::case::event::{Gap, GapReason};
use crate::case::gap::{About, Subject};
use crate::case::summary::{Run, Summary, SummaryRow, WrittenPackage, summarize};
use crate::case::{CASE_TOML, CaseError, CaseFiles as _, CaseFolder, CaseIdentity, is_begun, is_ledger_gone, read_identity};
use crate::model::{AccountId, HashingReader, Region, Timestamp, TrailArn, Window, printable};
use crate::verify::digests_due_at;

use super::output::{Output, bytes, hanging, thousands, wrapped};
use super::progress::line;
use super::table::table;
use super::{CliError, Exit, advice, shell};

/// Show what a case holds so far, what could not be had, and what to do next.
///
/// Reads the ledger only, so it is quick, and may run beside a collection. It writes nothing, and it
/// proves nothing: `caselock verify` does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  caselock status IR-2026-014

Exits with 4 while the collection is unfinished, or something could not be had.")]
pub(super) struct StatusArguments {
    /// The case folder.
    case: PathBuf,
}

/// What `case.toml` says, with keys as all other JSON of the program has them.
#[derive(Serialize)]
struct CaseFields<'a> {
    format_version: u32,
    case_number: &'a str,
    evidence_number: &'a str,
    examiner: &'a str,
    organization: &'a str,
    authority: &'a str,
    description: &'a str,
    notes: &'a str,
    opened_at: Timestamp,
    window: Window,
    scope: ScopeFields<'a>,
}

/// The scope, likewise.
#[derive(Serialize)]
struct ScopeFields<'a> {
    sources: &'a [String],
    regions: &'a [Region],
    accounts: &'a [AccountId],
    trail_arn: Option<&'a TrailArn>,
    bucket: Option<&'a str>,
    prefix: Option<&'a str>,
    lookup_events: bool,
    lookup_attributes: &'a [String],
}

impl<'a> From<&'a CaseIdentity> for CaseFields<'a> {
    fn from(identity: &'a CaseIdentity) -> Self {
        let scope = &identity.scope;
        Self {
            format_version: identity.format_version,
            case_number: &identity.case_number,
            evidence_number: &identity.evidence_number,
            examiner: &identity.examiner,
            organization: &identity.organization,
            authority: &identity.authority,
            description: &identity.description,
            notes: &identity.notes,
            opened_at: identity.opened_at,
            window: identity.window,
            scope: ScopeFields {
                sources: &scope.sources,
                regions: &scope.regions,
                accounts: &scope.accounts,
                trail_arn: scope.trail_arn.as_ref(),
                bucket: scope.bucket.as_deref(),
                prefix: scope.prefix.as_deref(),
                lookup_events: scope.lookup_events,
                lookup_attributes: &scope.lookup_attributes,
            },
        }
    }
}

#[derive(Serialize)]
struct Status<'a> {
    case: CaseFields<'a>,
    #[serde(flatten)]
    summary: &'a Summary,
    /// What is wrong with the case as far as its ledger alone shows it.
    damage: &'a [String],
    next: String,
}

pub(super) fn run(arguments: &StatusArguments, output: &Output) -> Result<Exit, CliError> {
    let folder = CaseFolder::open(&arguments.case)?;
    if is_ledger_gone(&arguments.case) {
        return Err(CaseError::LedgerGone { path: arguments.case.clone() }.into());
    }
    let identity = read_identity(&folder)?;
    let (lines, _) = line(output, "reading");
    let summary = summarize(&folder)?;
    lines.finish();
    let damage = damage(&folder, &summary)?;
    let next = next(&identity, &summary, &damage, &arguments.case);
    let status = Status { case: CaseFields::from(&identity), summary: &summary, damage: &damage, next: next.join(", then ") };
    let exit = if !damage.is_empty() {
        Exit::Integrity
    } else if summary.is_complete() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    output.result(&status, || text(&identity, &status, &next, output.is_verbose())).map_err(|error| error.after(exit))?;
    Ok(exit)
}

/// What is wrong with the case as far as its ledger alone shows it.
fn damage(folder: &CaseFolder, summary: &Summary) -> Result<Vec<String>, CliError> {
    let mut damage = Vec::new();
    if let Some(problem) = &summary.ledger_problem {
        damage.push(format!("the ledger is BROKEN at line {}: {}", problem.line, printable(&problem.problem)));
    }
    let read = HashingReader::new(folder.open(CASE_TOML)?).finish();
    let (sha256, _) = read.map_err(|error| CliError::new(Exit::Failed, &error))?;
    if summary.case_toml_sha256.is_some_and(|opened| opened != sha256) {
        damage.push(format!("{CASE_TOML} was CHANGED: it is not the file that the ledger names"));
    }
    Ok(damage)
}

fn next(identity: &CaseIdentity, summary: &Summary, damage: &[String], folder: &Path) -> Vec<String> {
    let case = shell::path(folder);
    vec![if !damage.is_empty() {
        format!("caselock verify {case}    (and keep the folder as it is)")
    } else if !is_begun(folder) {
        format!("{}    (its making was cut off)", advice::begin(identity, folder))
    } else if !summary.seals.is_empty() {
        // A sealed case takes no more evidence, whether or not its collection came to its end.
        match &summary.released {
            Some(released) => advice::receive(released, folder),
            None if summary.is_packaged() => format!("caselock verify {case}"),
            None => advice::package(Some(summary), folder),
        }
    } else if !summary.is_finished() {
        advice::go_on(summary, folder)
    } else {
        let (last, due) = (summary.runs.last(), digests_due_at(identity.window.end()));
        let sources = &identity.scope.sources;
        let asks_for_trails = sources.is_empty() || sources.iter().any(|source| source == "cloudtrail");
        let fresh = last.filter(|run| asks_for_trails && run.started < due);
        let asked = |run: &Run| format!("{case}{}", advice::with_roles(&advice::roles_of(&run.roles, &summary.gaps)));
        let again = fresh.map(|run| collect_again(&asked(run), due));
        let restored = last.and_then(|run| collect_restored(&asked(run), &summary.gaps));
        let proof = [format!("caselock verify {case}"), format!("caselock seal {case} --signing-key KEY")];
        return again.into_iter().chain(restored).chain(proof).collect();
    }]
}

/// A package that was written, and what is to be known of it.
fn package_line(package: &WrittenPackage, summary: &Summary) -> String {
    let marks = [
        (package.is_encrypted, "encrypted"),
        (package.is_disclosure, "disclosure"),
        (!summary.is_of_latest_seal(package), "OLD: of an earlier seal"),
    ];
    let marks: Vec<&str> = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark).collect();
    if marks.is_empty() { package.file.clone() } else { format!("{} ({})", package.file, marks.join("; ")) }
}

/// The command that takes what was too fresh, and from when on.
pub(super) fn collect_again(case: &str, due: Timestamp) -> String {
    format!("caselock collect {case}    (again, from {due} on: the newest digests should be there)")
}

/// The command that takes what lies in an archive, where anything does.
pub(super) fn collect_restored(case: &str, gaps: &[Gap]) -> Option<String> {
    let archived = gaps.iter().any(|gap| gap.reason == GapReason::Archived);
    archived.then(|| format!("caselock collect {case}    (again, once the archived objects are restored in S3)"))
}

/// Commands one after the other, each a line to copy, with what is said of it on a line of its own.
pub(super) fn in_turn(commands: &[String]) -> String {
    let mut lines = Vec::new();
    for (title, command) in std::iter::once("Next: ").chain(std::iter::repeat("then: ")).zip(commands) {
        match command.split_once("    (") {
            Some((command, said)) if command.len() + said.len() > 66 => {
                lines.extend([format!("{title}{command}"), wrapped(&format!("({said}"), "      ")]);
            }
            _ => lines.push(format!("{title}{command}")),
        }
    }
    lines.join("\n")
}

fn text(identity: &CaseIdentity, status: &Status<'_>, next: &[String], verbose: bool) -> String {
    let Status { summary, damage, .. } = status;
    let mut lines = vec![Output::bold(&format!("Case {}", printable(&identity.case_number)))];
    lines.extend(damage.iter().map(|damage| Output::bold(&hanging(damage, "DAMAGED  ", "         "))));
    lines.push(format!("Window   {} (UTC)", identity.window));
    for run in &summary.runs {
        let end = run.finished.map_or_else(|| "not finished".to_owned(), |at| format!("finished {at}"));
        lines.push(format!("{:<9}started {}, {end}", format!("Run {}", run.run), run.started));
        lines.push(hanging(&printable(&run.caller), "         as ", "            "));
    }
    if summary.runs.last().is_some_and(|run| run.finished.is_some()) && !summary.unfinished_as.is_empty() {
        let accounts: Vec<String> = summary.unfinished_as.iter().map(ToString::to_string).collect();
        let said = format!("what was begun as {} did not come to its end, and no later run asked as it", accounts.join(", "));
        lines.push(hanging(&said, "Begun    ", "         "));
    }
    lines.push(format!("Holds    {} artifacts, {}", thousands(summary.artifacts), bytes(summary.bytes)));
    lines.push(format!("Ledger   {} lines", thousands(summary.ledger_lines)));
    lines.push(format!("Root     {}", summary.ledger_root));
    let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { printable(&names.join(", ")) };
    lines.push(hanging(&listed(&summary.seals), "Seals    ", "         "));
    if !summary.seals.is_empty() {
        let packages: Vec<String> = summary.written.iter().map(|package| package_line(package, summary)).collect();
        lines.push(hanging(&listed(&packages), "Packages ", "         "));
    }
    lines.push(String::new());
    lines.push(rows_table(&summary.rows));
    lines.extend(gap_lines("Not had", &summary.gaps, verbose));
    lines.push(String::new());
    lines.push(in_turn(next));
    lines.join("\n")
}

/// The gaps under their title, and what is left unsaid.
pub(super) fn gap_lines(title: &str, gaps: &[Gap], verbose: bool) -> Vec<String> {
    let (missing, answers): (Vec<&Gap>, Vec<&Gap>) = gaps.iter().partition(|gap| gap.reason.is_incompleteness());
    let mut lines = Vec::new();
    let mut titled = vec![(title, missing)];
    if verbose {
        // That something is not enabled is an answer, and nothing that could have been had.
        titled.push(("Not enabled, empty or left out", answers));
    } else if !answers.is_empty() {
        lines.push("(--verbose tells what is not enabled, empty or left out)".to_owned());
    }
    for (title, shown) in titled.into_iter().filter(|(_, shown)| !shown.is_empty()) {
        lines.extend([String::new(), Output::bold(&format!("{title} ({})", shown.len()))]);
        // In the same order whoever answered first; several calls that were refused alike are told once, without their parameters.
        let mut told: Vec<[String; 2]> =
            shown.into_iter().map(|gap| [gap_line(gap, &without_parameters(gap)), gap_line(gap, &gap.what)]).collect();
        told.sort();
        for same in told.chunk_by(|[one, _], [other, _]| one == other) {
            match same {
                [[_, alone]] => lines.push(alone.clone()),
                [[alike, _], ..] => lines.extend([alike.clone(), format!("      ({} calls alike)", same.len())]),
                [] => {}
            }
        }
    }
    lines
}

fn without_parameters(gap: &Gap) -> String {
    match gap.subject() {
        Subject::Answer { operation, about: About::Asked(_) } => operation,
        subject => subject.to_string(),
    }
}

fn gap_line(gap: &Gap, what: &str) -> String {
    let place: Vec<String> =
        gap.account.iter().map(ToString::to_string).chain(gap.region.iter().map(ToString::to_string)).collect();
    let code = gap.error_code.as_ref().map(|code| format!(" ({})", printable(code))).unwrap_or_default();
    let what = format!("{} {} [{}] {}{code}", gap.reason.as_str(), printable(what), place.join(" "), gap.source);
    let detail = gap.detail.as_ref().map(|detail| format!("\n{}", hanging(&printable(detail), "      ", "      ")));
    format!("{}{}", hanging(&what, "  ", "      "), detail.unwrap_or_default())
}

/// The table source × account × region.
pub(super) fn rows_table(rows: &[SummaryRow]) -> String {
    let rows = rows.iter().map(|row| {
        let gaps: Vec<String> =
            row.gaps.iter().map(|(reason, count): (&GapReason, &u64)| format!("{count} {}", reason.as_str())).collect();
        vec![
            row.source.clone(),
            row.account.map_or_else(|| "-".to_owned(), |account| account.to_string()),
            row.region.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            thousands(row.found),
            thousands(row.objects),
            thousands(row.responses),
            bytes(row.bytes),
            gaps.join(", "),
        ]
    });
    table(&["Source", "Account", "Region", "Found", "Stored", "API", "Bytes", "Gaps"], &[3, 4, 5, 6], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_archived_is_to_be_restored_before_it_is_collected() {
        let gap = |reason| Gap {
            source: "cloudtrail".to_owned(),
            account: None,
            region: None,
            what: "s3://example-logs/key".to_owned(),
            reason,
            error_code: None,
            detail: None,
            request_id: None,
        };
        let (denied, archived) = (gap(GapReason::Denied), gap(GapReason::Archived));
        assert_eq!(collect_restored("case", std::slice::from_ref(&denied)), None);
        let told = in_turn(&collect_restored("case", &[denied, archived]).into_iter().collect::<Vec<_>>());
        assert!(told.starts_with("Next: caselock collect case") && told.contains("restored"), "{told}");
    }
}
