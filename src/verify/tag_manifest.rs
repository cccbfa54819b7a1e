//! What the tag manifest covers, and the page that it lists.

use std::collections::BTreeSet;
use std::io::BufReader;

use crate::case::CaseFiles;
use crate::case::event::Tool;
use crate::model::{Finding, HashingReader, Severity};
use crate::seal::manifest::{Lists, ManifestReader};
use crate::seal::{TAG_FILES, TAG_MANIFEST, VERIFY_HTML, verify_page_sha256};

/// Which tag files of a case the tag manifest lists, each of which it should; none where it cannot be read, which is told of elsewhere.
pub(super) fn listed(files: &dyn CaseFiles, findings: &mut Vec<Finding>) -> Option<BTreeSet<&'static str>> {
    let mut reader = ManifestReader::new(BufReader::new(files.open(TAG_MANIFEST).ok()?), Lists::Tags);
    let mut listed = BTreeSet::new();
    while let Some(line) = reader.next_line().ok()? {
        listed.extend(TAG_FILES.into_iter().find(|path| *path == line.path));
    }
    // The bags of earlier versions had no page, and lack nothing.
    for path in TAG_FILES.into_iter().filter(|path| *path != VERIFY_HTML && !listed.contains(path)) {
        let detail = format!("It does not list {path}, which every bag of a case has: no seal covers that file.");
        findings.push(Finding::new(Severity::Failure, "manifest-mismatch", &TAG_MANIFEST, &detail));
    }
    Some(listed)
}

/// Names a page that is not the one which the program that sealed puts into every case, where that is this one.
pub(super) fn check_page(files: &dyn CaseFiles, sealed_by: &Tool, findings: &mut Vec<Finding>) {
    if (sealed_by.name.as_str(), sealed_by.version.as_str()) != (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")) {
        return;
    }
    // What does not read is told of where it is held against the tag manifest.
    let Some((found, _)) = files.open(VERIFY_HTML).ok().and_then(|page| HashingReader::new(page).finish().ok()) else { return };
    if found != verify_page_sha256() {
        let detail = format!(
            "It is not the page that caselock {} puts into every case, and by that version the case was sealed. Do not go by what it shows; take a \
             page from elsewhere.",
            sealed_by.version
        );
        findings.push(Finding::new(Severity::Notice, "verify-page-unknown", &VERIFY_HTML, &detail));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::path::PathBuf;

    use super::*;
    use crate::case::{CaseError, Found, PathError};
    use crate::model::Sha256Hash;
    use crate::seal::bag::{VERIFY_PAGE, tag_manifest};

    /// A case that has one file.
    #[derive(Debug)]
    struct One(&'static str, String);

    impl CaseFiles for One {
        fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
            visit(Found::File { path: self.0 });
            Ok(())
        }

        fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
            let there = (path == self.0).then_some(self.1.as_bytes());
            Ok(Box::new(there.ok_or_else(|| PathError::new("open", path, ErrorKind::NotFound))?))
        }

        fn describe(&self, path: &str) -> PathBuf {
            path.into()
        }
    }

    fn found_of(left_out: &[&str]) -> (usize, Vec<(Severity, String)>) {
        let hashes: Vec<(&str, Sha256Hash)> =
            TAG_FILES.into_iter().filter(|path| !left_out.contains(path)).map(|path| (path, Sha256Hash::ZERO)).collect();
        let mut findings = Vec::new();
        let listed = listed(&One(TAG_MANIFEST, tag_manifest(&hashes)), &mut findings).unwrap();
        (listed.len(), findings.into_iter().map(|finding| (finding.severity, finding.detail)).collect())
    }

    #[test]
    fn of_the_tag_files_only_the_page_may_be_left_out() {
        assert_eq!(found_of(&[]), (8, vec![]));
        assert_eq!(found_of(&[VERIFY_HTML]), (7, vec![]));
        let (count, found) = found_of(&["README.txt", "VERIFY.txt"]);
        assert_eq!((count, found.len()), (6, 2));
        assert!(
            found.iter().all(|(severity, _)| *severity == Severity::Failure) && found[0].1.contains("README.txt"),
            "{found:?}"
        );
    }

    #[test]
    fn another_page_than_that_of_the_version_that_sealed_is_named() {
        let told = |page: &str, version: &str| {
            let tool = Tool { name: "caselock".to_owned(), version: version.to_owned(), sha256: None };
            let mut findings = Vec::new();
            check_page(&One(VERIFY_HTML, page.to_owned()), &tool, &mut findings);
            findings.into_iter().map(|finding| (finding.severity, finding.kind)).collect::<Vec<_>>()
        };
        let (this, hostile) = (env!("CARGO_PKG_VERSION"), "<h1>PASS</h1>");
        assert_eq!(told(VERIFY_PAGE, this), []);
        assert_eq!(told(hostile, this), [(Severity::Notice, "verify-page-unknown".to_owned())]);
        assert_eq!(told(hostile, "0.0.1"), [], "what another version had is not known here");
    }
}
