//! The time-stamp of a seal.

use crate::model::{Finding, Severity, Timestamp};
use crate::seal::{AuthorityRoots, SealFile, StampProblem, StampedContent, check_stamp_over, is_authority_trusted_at};

use super::report::{RenewalReport, SealReport, SignatureState};
use super::trust;

/// Checks the time-stamp of a seal, if it has one, and its renewals.
pub(super) fn check(seal: &SealFile, roots: Option<&AuthorityRoots>, report: &mut SealReport, findings: &mut Vec<Finding>) {
    let (Some(statement), Some(response)) = (&seal.statement, &seal.timestamp) else { return };
    let mut content = StampedContent::of(statement);
    (report.timestamp, report.stamped) = check_over(&content, response, &format!("{}.tsr", seal.path), roots, findings);
    let mut before = (response, report.timestamp, report.stamped);
    for (at, renewal) in seal.renewals.iter().enumerate() {
        let place = seal.renewal_path(at);
        let (renewed, renewed_state, renewed_time) = before;
        if renewed_state == SignatureState::Invalid && renewed_time.is_none() {
            let detail = "It renews a time-stamp that does not hold, so neither it nor any after it was checked.";
            findings.push(Finding::new(Severity::Failure, "timestamp-invalid", &place, detail));
            report.renewals.push(RenewalReport { file: place, timestamp: SignatureState::Invalid, stamped: None });
            return;
        }
        content.add(renewed);
        let (state, time) = check_over(&content, renewal, &place, roots, findings);
        if let (Some(roots), Some(time), SignatureState::Valid, SignatureState::Valid) = (roots, time, renewed_state, state)
            && !is_authority_trusted_at(renewed, roots, time)
        {
            let detail = format!(
                "It was made {time}, when the certificate of the authority whose stamp it renews had ended: that the one before was \
                 there while only that authority could have made it, it does not show."
            );
            findings.push(Finding::new(Severity::Gap, "timestamp-renewed-late", &place, &detail));
        }
        before = (renewal, state, time);
        report.renewals.push(RenewalReport { file: place, timestamp: state, stamped: time });
    }
}

/// Names that there is no time-stamp, or none that shows anything, where it was said who may make one.
///
/// One that does not show that a seal was made in the time of its key, anybody can have added.
pub(super) fn check_presence(seals: &[SealReport], findings: &mut Vec<Finding>) {
    let is_late = |seal: &SealReport| {
        let unproven = |finding: &Finding| finding.kind == trust::UNPROVEN && finding.object == seal.file;
        seal.timestamp == SignatureState::Valid && findings.iter().any(unproven)
    };
    let stamped = || seals.iter().filter(|seal| seal.timestamp != SignatureState::Absent);
    if seals.is_empty() || stamped().any(|seal| !is_late(seal)) {
        return;
    }
    let detail = if stamped().next().is_none() {
        "You said which authorities may stamp the time, and no seal has a time-stamp. Either none was asked for, or it was taken away."
    } else {
        "You said which authorities may stamp the time, and no time-stamp is of the time for which the allowed signers you gave have the key: a \
         later one does not show that it was signed in that time."
    };
    findings.push(Finding::new(Severity::Gap, "timestamp-absent", &"custody/seals", detail));
}

/// The time of a stamp that holds, if its authority is vouched for.
pub(super) fn trusted_time(
    roots: Option<&AuthorityRoots>,
    state: SignatureState,
    time: Option<Timestamp>,
) -> Option<Timestamp> {
    time.filter(|_| roots.is_some() && state == SignatureState::Valid)
}

/// Checks the one time-stamp over `statement`, which lies at `place`.
pub(super) fn check_one(
    statement: &[u8],
    response: &[u8],
    place: &str,
    roots: Option<&AuthorityRoots>,
    findings: &mut Vec<Finding>,
) -> (SignatureState, Option<Timestamp>) {
    check_over(&StampedContent::of(statement), response, place, roots, findings)
}

fn check_over(
    content: &StampedContent,
    response: &[u8],
    place: &str,
    roots: Option<&AuthorityRoots>,
    findings: &mut Vec<Finding>,
) -> (SignatureState, Option<Timestamp>) {
    let mut find = |severity, kind, detail: &str| findings.push(Finding::new(severity, kind, &place, detail));
    let mut state = SignatureState::Valid;
    match check_stamp_over(content, response, roots) {
        Ok(stamp) => {
            match stamp.trusted {
                Some(true) => {}
                Some(false) => {
                    state = SignatureState::Invalid;
                    let detail = "Its authority's certificate did not lead to any of the roots you gave at the time it names.";
                    find(Severity::Failure, "timestamp-untrusted", detail);
                }
                None => {
                    let detail = "Nobody vouched for the authority that stamped the time. The stamp is over exactly this seal; \
                                  give the authority's root certificate with --tsa-roots to check who made it.";
                    find(Severity::Notice, "timestamp-authority-unknown", detail);
                }
            }
            (state, Some(stamp.time))
        }
        Err(StampProblem::NotChecked) => {
            // Who said whom to trust asked for more than a notice.
            let severity = if roots.is_some() { Severity::Gap } else { Severity::Notice };
            find(severity, "timestamp-not-checked", &format!("{}.", StampProblem::NotChecked));
            (SignatureState::Unchecked, None)
        }
        Err(problem) => {
            find(Severity::Failure, "timestamp-invalid", &format!("The time-stamp does not hold: {problem}."));
            (SignatureState::Invalid, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_that_anybody_can_have_added_is_as_good_as_none() {
        let seal =
            |number: u32, timestamp| SealReport { timestamp, ..SealReport::of(&format!("custody/seals/{number:04}.json")) };
        let gaps = |seals: &[SealReport], unproven: &[u32]| {
            let find = |number: &u32| {
                Finding::new(Severity::Notice, trust::UNPROVEN, &format!("custody/seals/{number:04}.json"), "It was found.")
            };
            let mut findings: Vec<Finding> = unproven.iter().map(find).collect();
            check_presence(seals, &mut findings);
            findings.iter().filter(|finding| finding.severity == Severity::Gap).count()
        };
        let (absent, valid) = (SignatureState::Absent, SignatureState::Valid);
        assert_eq!(gaps(&[], &[]), 0);
        assert_eq!((gaps(&[seal(1, absent)], &[1]), gaps(&[seal(1, valid)], &[1])), (1, 1), "a late one changes nothing");
        assert_eq!(gaps(&[seal(1, valid)], &[]), 0);
        let of_two = |second| gaps(&[seal(1, valid), seal(2, second)], &[2]);
        assert_eq!((of_two(absent), of_two(valid)), (0, 0), "nor beside one that shows something");
    }

    #[test]
    fn behind_a_stamp_that_does_not_hold_no_renewal_is_checked() {
        let seal = SealFile {
            number: 1,
            path: "custody/seals/0001.json".to_owned(),
            statement: Some(b"statement".to_vec()),
            signature: None,
            timestamp: Some(b"no stamp".to_vec()),
            renewals: vec![b"nor this".to_vec(); 98],
        };
        let (mut report, mut findings) = (SealReport::of(&seal.path), Vec::new());
        check(&seal, None, &mut report, &mut findings);
        let found: Vec<(&str, &str)> =
            findings.iter().map(|finding| (finding.kind.as_str(), finding.object.as_str())).collect();
        let (first, second) = ("custody/seals/0001.json.tsr", "custody/seals/0001.json.tsr.2");
        assert_eq!(found, [("timestamp-invalid", first), ("timestamp-invalid", second)]);
        assert_eq!(report.renewals.len(), 1);
    }
}
