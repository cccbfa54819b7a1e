//! What the bag says of itself to people: it follows from `case.toml` and the first seal, so nothing else may stand there.

use crate::case::{CaseFiles, CaseIdentity, read_bounded};
use crate::model::{Finding, Severity, printable};
use crate::seal::{SealStatement, VERIFY_HTML, VERIFY_TXT, bag};

const BAG_INFO: &str = "bag-info.txt";
/// How its line about the size of the payload begins, in every version.
const OXUM: &str = "Payload-Oxum:";
/// The line that tells by whose clock nobody knows when it was written: shortly before the seal.
const DATE: &str = "Bagging-Date:";
/// Larger than any that is written.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Holds `bag-info.txt` and the instructions against what the first seal and the case's own description say.
///
/// Earlier and later versions may have written them otherwise: of theirs, only the size of the payload is compared.
pub(super) fn check(
    files: &dyn CaseFiles,
    statement: &SealStatement,
    identity: Option<&CaseIdentity>,
    findings: &mut Vec<Finding>,
) {
    // That one is not there, or cannot be read, is said already.
    let read = |path: &str| read_bounded(files, path, LIMIT).ok();
    let Some(information) = read(BAG_INFO).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else { return };
    let mut differs = |detail: &str| findings.push(Finding::new(Severity::Failure, "manifest-mismatch", &BAG_INFO, detail));
    let counted = statement.artifacts;
    let sealed = format!("{OXUM} {}.{}", counted.bytes, counted.count);
    let told: Vec<&str> = information.lines().filter(|line| line.starts_with(OXUM)).collect();
    if told != [sealed.as_str()] {
        let told = told.first().copied().unwrap_or("no Payload-Oxum");
        differs(&format!("It says {}, and the first seal {sealed}.", printable(told)));
        return;
    }
    let is_of_this_version =
        (statement.tool.name.as_str(), statement.tool.version.as_str()) == ("caselock", env!("CARGO_PKG_VERSION"));
    let Some(identity) = identity.filter(|_| is_of_this_version) else { return };
    let written = bag::bag_info(identity, counted, statement.sealed_at, &statement.tool);
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with(DATE)).map(str::to_owned).collect::<Vec<_>>();
    let (found, written) = (lines(&information), lines(&written));
    if let Some(first) =
        found.iter().find(|line| !written.contains(line)).or_else(|| written.iter().find(|line| !found.contains(line)))
    {
        let detail = format!(
            "It does not say what follows from custody/case.toml and the first seal, which was made with this version of caselock: {}.",
            printable(first)
        );
        differs(&detail);
    }
    let text = bag::verify_text(identity, counted, &statement.manifest_sha256, &statement.signer);
    for (path, written) in [(VERIFY_TXT, text.as_str()), (VERIFY_HTML, bag::VERIFY_PAGE)] {
        if read(path).is_some_and(|found| found != written.as_bytes()) {
            let detail = "It is not what this version of caselock writes, with which the case says that it was sealed. Do not follow it: the \
                          documentation of caselock has the steps, and the page.";
            findings.push(Finding::new(Severity::Notice, "instructions-differ", &path, detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::event::Tool;
    use crate::case::{CaseError, Found};
    use crate::model::{Sha256Hash, Window};
    use crate::seal::{ArtifactTotals, LedgerHead, SealedBy};
    use std::collections::BTreeMap;
    use std::io::{Cursor, Read};
    use std::path::PathBuf;

    #[derive(Debug)]
    struct Files(BTreeMap<&'static str, String>);

    impl CaseFiles for Files {
        fn walk(&self, _: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
            Ok(())
        }

        fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
            let text = self.0.get(path).ok_or_else(|| CaseError::NoCase { path: self.describe(path) })?;
            Ok(Box::new(Cursor::new(text.as_bytes())))
        }

        fn describe(&self, path: &str) -> PathBuf {
            path.into()
        }
    }

    /// What is found of a bag as this version writes it, but for what `edit` does, sealed with a version.
    fn found(version: &str, edit: impl FnOnce(&mut BTreeMap<&'static str, String>)) -> Vec<(Severity, String)> {
        let at = |text: &str| text.parse().unwrap();
        let window = Window::new(at("2026-02-28T00:00:00Z"), at("2026-03-01T00:00:00Z")).unwrap();
        let identity = CaseIdentity {
            case_number: "IR-2026-014".to_owned(),
            examiner: "A. Examiner".to_owned(),
            opened_at: at("2026-03-01T10:00:00Z"),
            ..CaseIdentity::unnamed(window)
        };
        let statement = SealStatement {
            format_version: 1,
            case_number: identity.case_number.clone(),
            number: 1,
            sealed_at: at("2026-03-02T10:00:00Z"),
            ledger: LedgerHead { lines: 3, root: Sha256Hash::ZERO },
            manifest_sha256: Sha256Hash::ZERO,
            tagmanifest_sha256: Sha256Hash::ZERO,
            previous_seal_sha256: None,
            extends: None,
            checkpoint_sha256: None,
            artifacts: ArtifactTotals { count: 3, bytes: 10 },
            signer: SealedBy { principal: "a".to_owned(), fingerprint: "f".to_owned(), public_key: "k".to_owned() },
            tool: Tool { name: "caselock".to_owned(), version: version.to_owned(), sha256: None },
            damage: Vec::new(),
            notes: String::new(),
        };
        // It was written the day before the seal was made.
        let information = bag::bag_info(&identity, statement.artifacts, at("2026-03-01T23:59:00Z"), &statement.tool);
        let text = bag::verify_text(&identity, statement.artifacts, &Sha256Hash::ZERO, &statement.signer);
        let mut files: BTreeMap<&'static str, String> =
            [(BAG_INFO, information), (VERIFY_TXT, text), (VERIFY_HTML, bag::VERIFY_PAGE.to_owned())].into();
        edit(&mut files);
        let mut findings = Vec::new();
        check(&Files(files), &statement, Some(&identity), &mut findings);
        findings.into_iter().map(|finding| (finding.severity, finding.object)).collect()
    }

    const THIS: &str = env!("CARGO_PKG_VERSION");

    #[test]
    fn what_was_written_is_what_follows_from_case_and_seal() {
        assert_eq!(found(THIS, |_| {}), []);
        let other = |from: &'static str, to: &'static str| {
            move |files: &mut BTreeMap<&'static str, String>| {
                let text = files.get_mut(BAG_INFO).unwrap();
                assert!(text.contains(from), "{text}");
                *text = text.replace(from, to);
            }
        };
        let information = [(Severity::Failure, BAG_INFO.to_owned())];
        assert_eq!(found(THIS, other("Oxum: 10.3", "Oxum: 10.9")), information);
        assert_eq!(found("0.0.1", other("Oxum: 10.3", "Oxum: 10.9")), information);
        assert_eq!(found(THIS, other("A. Examiner", "B. Counsel")), information);
        assert_eq!(found(THIS, other("Bag-Size", "Bag-Note: more\nBag-Size")), information);
        assert_eq!(found("0.0.1", other("A. Examiner", "B. Counsel")), [], "another version may have written it otherwise");
    }

    #[test]
    fn instructions_of_somebody_else_are_told_of() {
        let page =
            |files: &mut BTreeMap<&'static str, String>| drop(files.insert(VERIFY_HTML, "<h1>UNCHANGED</h1>".to_owned()));
        assert_eq!(found(THIS, page), [(Severity::Notice, VERIFY_HTML.to_owned())]);
        assert_eq!(found("0.0.1", page), []);
    }
}
