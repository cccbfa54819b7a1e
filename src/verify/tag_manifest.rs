//! What the tag manifest covers.

use std::collections::BTreeSet;
use std::io::BufReader;

use crate::case::CaseFiles;
use crate::model::{Finding, Severity};
use crate::seal::manifest::{Lists, ManifestReader};
use crate::seal::{TAG_FILES, TAG_MANIFEST, VERIFY_HTML};

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

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::path::PathBuf;

    use super::*;
    use crate::case::{CaseError, Found, PathError};
    use crate::model::Sha256Hash;
    use crate::seal::bag::tag_manifest;

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
}
