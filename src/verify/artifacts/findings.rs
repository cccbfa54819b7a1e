//! What is wrong with the files of a case, in findings.

use crate::case::is_temporary;
use crate::model::{Finding, Severity};

use super::Checked;

impl Checked {
    /// What is wrong with the files themselves.
    ///
    /// Files that no line names are what a crash leaves while a run is unfinished; the next run discards them.
    pub(in crate::verify) fn findings(&self, run_unfinished: bool, sealed: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut fail = |kind: &str, path: &String, detail: &str| {
            findings.push(Finding::new(Severity::Failure, kind, path, detail));
        };
        for path in &self.report.modified {
            fail(
                "artifact-modified",
                path,
                "Its bytes are not those that were acquired: they differ from the ledger's SHA-256.",
            );
        }
        for path in &self.report.missing {
            fail("artifact-missing", path, "The ledger says that it was stored, and it is not there.");
        }
        for path in &self.twice {
            fail("artifact-twice", path, "The ledger says twice that it was stored, each time with other bytes.");
        }
        for path in &self.misplaced {
            fail(
                "artifact-misplaced",
                path,
                "The ledger says that it is an object of S3 whose place in a case is another: collect never stored it here.",
            );
        }
        for (path, what) in &self.foreign {
            fail("foreign-file", path, &format!("It is {what}; a case holds regular files only."));
        }
        for path in &self.restored {
            let detail = "The ledger says again that it was stored, with the same bytes: so it is where a file was lost and was fetched once more.";
            findings.push(Finding::new(Severity::Notice, "artifact-restored", path, detail));
        }
        for (path, why) in &self.unreadable {
            let detail =
                format!("It is there and could not be read: {why}. Read it from a copy, or mend the disk, and verify again.");
            findings.push(Finding::new(Severity::Gap, "artifact-unreadable", path, &detail));
        }
        for path in &self.over_limit {
            let detail = "What it holds was not read, though the file is there: it unpacks to more than the limit \
                          that was given allows. Verify again with a higher one, or with none (--max-content, --max-ratio).";
            findings.push(Finding::new(Severity::Gap, "artifact-unreadable", path, detail));
        }
        for path in &self.contradicted {
            let detail = "It came twice the same, and its MD5 is not the one that S3 named as its entity tag. Where it is not S3 itself that was \
                          asked, entity tags need not be MD5.";
            findings.push(Finding::new(Severity::Notice, "artifact-contradicted", path, detail));
        }
        for path in &self.report.unlisted {
            if (run_unfinished || is_temporary(path)) && !sealed {
                let detail = "No line of the ledger names it; the interrupted run left it, and the next one discards it.";
                findings.push(Finding::new(Severity::Gap, "artifact-unrecorded", path, detail));
            } else {
                let detail =
                    "No line of the ledger names it: caselock did not put it there, or its line was taken away or damaged.";
                findings.push(Finding::new(Severity::Failure, "artifact-unlisted", path, detail));
            }
        }
        findings
    }
}
