//! The verdict in the one sentence that people quote.

use crate::cloudtrail::coverage::HourStatus;
use crate::model::Severity;
use crate::verify::{Report, Verdict};

use super::{counted, thousands};

/// What verification came to.
pub(in crate::cli) fn sentence(report: &Report) -> String {
    let said = of_the_verdict(report);
    // Nothing but --strict makes a verdict of notices.
    let notices_alone =
        !report.findings.is_empty() && report.findings.iter().all(|finding| finding.severity == Severity::Notice);
    if report.verdict == Verdict::Incomplete && notices_alone {
        let notices = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
        let count = if notices == 1 { "counts" } else { "count" };
        return format!("{said} {} {count} because of --strict.", counted(notices, "notice"));
    }
    said
}

fn of_the_verdict(report: &Report) -> String {
    let hours = |wanted: fn(HourStatus) -> bool| -> u64 {
        let rows = report.cloudtrail.iter().flat_map(|trail| &trail.hours);
        rows.filter(|(status, _)| wanted(**status)).map(|(_, count)| count).sum()
    };
    let (proven, open) = (hours(|status| status == HourStatus::Verified), hours(|status| status != HourStatus::Verified));
    match report.verdict {
        Verdict::Pass if report.disclosure.is_some() => {
            "PASS: each file disclosed is, byte for byte, what the sealed ledger recorded when it was acquired.".to_owned()
        }
        Verdict::Incomplete if report.disclosure.is_some() => {
            "INCOMPLETE: what could be read is what the sealed ledger recorded; not everything could be checked.".to_owned()
        }
        // Without CloudTrail in scope AWS signed nothing that could be checked, and nothing may sound as if it had.
        Verdict::Pass if report.cloudtrail.is_empty() => {
            "PASS: every stored byte is as acquired. CloudTrail was not in scope, so no signature of AWS's backs it.".to_owned()
        }
        Verdict::Pass => {
            "PASS: every stored byte is as acquired, and AWS's signatures prove every hour of the window.".to_owned()
        }
        Verdict::Fail => format!(
            "FAIL: {} of tampering, loss or damage. Do not rely on this evidence before each is explained.",
            counted(report.failures(), "sign")
        ),
        Verdict::Incomplete => {
            let (valid, total) = (report.artifacts.valid, report.artifacts.total);
            let read = match total {
                0 => "no file is stored; ".to_owned(),
                // That all could be read is the rule where there is more to say.
                _ if valid == total && proven + open > 0 => String::new(),
                _ => format!("{} of {} could be read; ", thousands(valid), counted(total, "stored file")),
            };
            let of_aws = if proven + open > 0 {
                let all = counted(proven + open, "hour");
                format!("AWS's signatures prove {} of {all} (hours × regions)", thousands(proven))
            } else if is_cloudtrail_in_scope(report) {
                "AWS's signatures prove none of it".to_owned()
            } else {
                "CloudTrail was not in scope".to_owned()
            };
            format!("INCOMPLETE: nothing that could be checked was changed; {read}{of_aws}.")
        }
    }
}

/// Where CloudTrail was asked for and there is no row of it, that is a finding.
fn is_cloudtrail_in_scope(report: &Report) -> bool {
    !report.cloudtrail.is_empty() || report.findings.iter().any(|finding| finding.kind == "nothing-to-verify")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{CaseError, CaseFiles, Found, PathError};
    use crate::model::Finding;
    use crate::verify::{ArtifactReport, DigestCounts, LogCounts, Options, TrailReport, verify};

    #[derive(Debug)]
    struct Nothing;

    impl CaseFiles for Nothing {
        fn walk(&self, _: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
            Ok(())
        }

        fn open(&self, path: &str) -> Result<Box<dyn std::io::Read + Send + '_>, CaseError> {
            Err(PathError::new("open", self.describe(path), std::io::ErrorKind::NotFound).into())
        }

        fn describe(&self, path: &str) -> std::path::PathBuf {
            path.into()
        }
    }

    fn incomplete(valid: u64, total: u64) -> Report {
        let artifacts = ArtifactReport { total, valid, ..ArtifactReport::default() };
        let of_nothing = verify(&Nothing, &Options::default()).unwrap();
        Report { verdict: Verdict::Incomplete, artifacts, findings: Vec::new(), ..of_nothing }
    }

    fn with_hours(report: Report) -> Report {
        let row = TrailReport {
            trail_arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/trail".to_owned(),
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            home_region: "us-east-1".parse().unwrap(),
            digests: DigestCounts::default(),
            backfill: DigestCounts::default(),
            logs: LogCounts::default(),
            hours: [(HourStatus::Verified, 5), (HourStatus::Pending, 1)].into(),
            uncovered_hours: Vec::new(),
        };
        Report { cloudtrail: vec![row], ..report }
    }

    #[test]
    fn without_cloudtrail_nothing_is_said_of_signatures_and_what_could_not_be_read_is_not_called_as_acquired() {
        let said = sentence(&incomplete(24, 25));
        let expected = "INCOMPLETE: nothing that could be checked was changed; 24 of 25 stored files could be read; CloudTrail was not in scope.";
        assert_eq!(said, expected);
        assert!(sentence(&incomplete(0, 0)).contains("; no file is stored; CloudTrail"));
    }

    #[test]
    fn where_cloudtrail_was_asked_for_and_nothing_of_it_is_there_its_signatures_prove_nothing() {
        let mut report = incomplete(25, 25);
        report.findings.push(Finding::new(Severity::Gap, "nothing-to-verify", &"cloudtrail", "Nothing."));
        let said = sentence(&report);
        assert!(said.ends_with("; 25 of 25 stored files could be read; AWS's signatures prove none of it."), "{said}");
    }

    #[test]
    fn hours_are_counted_and_files_where_some_could_not_be_read() {
        let said = sentence(&with_hours(incomplete(25, 25)));
        assert!(said.ends_with("was changed; AWS's signatures prove 5 of 6 hours (hours × regions)."), "{said}");
        let said = sentence(&with_hours(incomplete(24, 25)));
        assert!(said.contains("; 24 of 25 stored files could be read; AWS's signatures prove 5 of 6 hours"), "{said}");
    }
}
