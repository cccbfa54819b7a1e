//! What to do next, as commands to copy: whoever types them gets what the case still needs, and no refusal.

use std::path::Path;

use crate::case::custody::Handover;
use crate::case::event::Gap;
use crate::case::gap::Subject;
use crate::case::summary::Summary;
use crate::case::{CaseFolder, CaseIdentity, is_begun, read_identity};
use crate::model::printable;

use super::shell;

/// Roles as a command line has them.
pub(super) fn with_roles(roles: &[String]) -> String {
    let roles: Vec<String> = roles.iter().map(|role| format!(" --role-arn {}", shell::word(role))).collect();
    roles.concat()
}

/// The roles to ask as again: those of a run, and those that were refused before and are missed to this day.
pub(super) fn roles_of(run: &[String], open: &[Gap]) -> Vec<String> {
    let account = |role: &str| role.split(':').nth(4).map(str::to_owned);
    let mut roles = run.to_vec();
    // Who asked as no role must not be made to ask as one: what was begun would not be gone on with.
    for gap in open.iter().filter(|gap| !run.is_empty() && gap.reason.is_incompleteness()) {
        if let Subject::Role(role) = gap.subject()
            && !roles.iter().any(|known| account(known) == account(&role))
        {
            roles.push(role);
        }
    }
    roles
}

/// The command that goes on with a collection that did not come to its end.
pub(super) fn go_on(summary: &Summary, folder: &Path) -> String {
    let begun = summary.runs.iter().rev().find(|run| run.finished.is_none()).or(summary.runs.last());
    let roles = begun.map(|run| with_roles(&roles_of(&run.roles, &summary.gaps))).unwrap_or_default();
    format!("caselock collect {}{roles}    (goes on where it stopped)", shell::path(folder))
}

/// The command that makes a case whose making was cut off, with all that its identity says: nothing of it was acknowledged.
pub(super) fn begin(identity: &CaseIdentity, folder: &Path) -> String {
    let scope = &identity.scope;
    let one = |option: &'static str, value: &str| (!value.is_empty()).then(|| (option, value.to_owned()));
    let all = |option: &'static str, values: Vec<String>| values.into_iter().map(move |value| (option, value));
    let (start, end) = (identity.window.start().to_string(), identity.window.end().to_string());
    let texts = [
        ("--case-number", identity.case_number.as_str()),
        ("--evidence-number", &identity.evidence_number),
        ("--examiner", &identity.examiner),
        ("--organization", &identity.organization),
        ("--authority", &identity.authority),
        ("--description", &identity.description),
        ("--notes", &identity.notes),
        ("--start", &start),
        ("--end", &end),
        ("--trail-arn", &scope.trail_arn.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("--bucket", scope.bucket.as_deref().unwrap_or_default()),
        ("--prefix", scope.prefix.as_deref().unwrap_or_default()),
    ];
    let values = texts
        .into_iter()
        .filter_map(|(option, value)| one(option, value))
        .chain(all("--source", scope.sources.clone()))
        .chain(all("--region", scope.regions.iter().map(ToString::to_string).collect()))
        .chain(all("--account", scope.accounts.iter().map(ToString::to_string).collect()))
        .chain(all("--lookup-attribute", scope.lookup_attributes.clone()));
    let lookup_events = if scope.lookup_events { " --lookup-events" } else { "" };
    format!("caselock collect {}{}{lookup_events}", shell::path(folder), options(values))
}

/// Options with their values, as a command line has them.
fn options(values: impl Iterator<Item = (&'static str, String)>) -> String {
    let option = |(option, value): (&str, String)| {
        let value = printable(&value);
        // What begins as an option does is told from one.
        let between = if value.starts_with('-') { "=" } else { " " };
        format!(" {option}{between}{}", shell::word(&value))
    };
    values.map(option).collect()
}

/// The first command of the case in a folder whose making was cut off, where it can still be told.
pub(super) fn begin_again(folder: &Path) -> Option<String> {
    if is_begun(folder) {
        return None;
    }
    let files = CaseFolder::open(folder).ok()?;
    read_identity(&files).ok().map(|identity| begin(&identity, folder))
}

/// The command with which the receiver signs for what was released to them.
pub(super) fn receive(released: &Handover, folder: &Path) -> String {
    let values = [
        ("--from", Some(&released.released_by)),
        ("--to", Some(&released.received_by)),
        ("--purpose", Some(&released.purpose)),
        ("--method", released.method.as_ref()),
        ("--condition", released.condition.as_ref()),
        ("--location", released.location.as_ref()),
    ];
    let said = options(values.into_iter().filter_map(|(option, value)| Some((option, value?.clone()))));
    format!("caselock transfer {}{said} --signing-key KEY    (by whoever received it)", shell::path(folder))
}

/// The command that packages what the latest seal covers: under the usual name where that was done before, else under one that is free.
pub(super) fn package(summary: Option<&Summary>, folder: &Path) -> String {
    let is_packaged = summary.is_some_and(Summary::is_packaged);
    let out = if is_packaged { shell::package_of(folder) } else { shell::new_package_of(folder) };
    format!("caselock package {} -o {out}", shell::path(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::event::GapReason;
    use crate::model::Window;

    const HOME: &str = "arn:aws:iam::111122223333:role/reader";
    const MEMBER: &str = "arn:aws:iam::444455556666:role/reader";

    #[test]
    fn a_role_that_was_refused_and_is_missed_is_asked_as_again() {
        let refused = Gap::denied("session", &Subject::Role(MEMBER.to_owned()).to_string());
        let roles = |run: &[&str], gap: &Gap| {
            let run: Vec<String> = run.iter().map(|&role| role.to_owned()).collect();
            roles_of(&run, std::slice::from_ref(gap))
        };
        assert_eq!(roles(&[HOME], &refused), [HOME, MEMBER]);
        assert_eq!(roles(&[HOME, MEMBER], &refused), [HOME, MEMBER], "once");
        assert_eq!(roles(&[], &refused), [""; 0], "as nobody else than before");
        let other = "arn:aws:iam::444455556666:role/other";
        assert_eq!(roles(&[other], &refused), [other], "one role an account");
        assert_eq!(roles(&[HOME], &Gap { reason: GapReason::Skipped, ..refused }), [HOME]);
    }

    #[test]
    fn the_first_command_says_all_that_the_identity_does() {
        let window = Window::new("2026-03-01T00:00:00Z".parse().unwrap(), "2026-03-02T00:00:00Z".parse().unwrap()).unwrap();
        let mut identity = CaseIdentity {
            case_number: "IR-1".to_owned(),
            examiner: "A. Examiner".to_owned(),
            notes: "-x".to_owned(),
            ..CaseIdentity::unnamed(window)
        };
        identity.scope.sources = vec!["ebs".to_owned()];
        identity.scope.regions = vec!["us-east-1".parse().unwrap(), "us-west-2".parse().unwrap()];
        identity.scope.lookup_events = true;
        assert_eq!(
            begin(&identity, Path::new("n1")),
            "caselock collect n1 --case-number IR-1 --examiner 'A. Examiner' --notes=-x --start 2026-03-01T00:00:00Z --end \
             2026-03-02T00:00:00Z --source ebs --region us-east-1 --region us-west-2 --lookup-events"
        );
    }
}
