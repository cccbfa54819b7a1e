//! The receipts of a package in the order of the numbers that were signed, and whether each follows from the one before.

use crate::model::{Finding, Severity, Sha256Hash};
use crate::seal::{Receipt, ReceiptFile};

/// A receipt in its place.
pub(super) struct Link<'a> {
    pub(super) file: &'a ReceiptFile,
    pub(super) receipt: Receipt,
    /// Whether one before it is not here or cannot be read, so that who held the package until then is not known.
    pub(super) after_a_gap: bool,
    /// Whether it is one before it once more, with another signature.
    pub(super) is_again: bool,
}

/// Those that can be read, by their numbers. One that was left behind is missing; what contradicts itself was exchanged.
pub(super) fn in_order<'a>(files: &'a [ReceiptFile], findings: &mut Vec<Finding>) -> Vec<Link<'a>> {
    let mut find = |severity, kind: &str, object: &str, detail: &str| {
        findings.push(Finding::new(severity, kind, &object, detail));
    };
    let mut readable: Vec<(Receipt, &ReceiptFile)> = Vec::new();
    // Numbers of which something is there that cannot be read.
    let mut unknown: Vec<u32> = Vec::new();
    for file in files {
        if let Some(problem) = &file.unread {
            let detail = format!("It is there and could not be read: {problem}. The package itself is not concerned.");
            find(Severity::Gap, "receipt-unreadable", &file.name, &detail);
            if file.statement.is_empty() {
                unknown.extend(file.number());
                continue;
            }
        }
        match Receipt::parse(&file.statement) {
            Ok(receipt) => readable.push((receipt, file)),
            Err(problem) => {
                find(Severity::Failure, "receipt-malformed", &file.name, &format!("It cannot be read: {problem}."));
                unknown.extend(file.number());
            }
        }
    }
    readable.sort_by_key(|(receipt, _)| receipt.number);
    unknown.sort_unstable();
    let mut links = Vec::new();
    let mut seen: Vec<(u32, Sha256Hash)> = Vec::new();
    for (receipt, file) in readable {
        let itself = (receipt.number, Sha256Hash::of(&file.statement));
        let due = seen.last().map_or(1, |(last, _)| last.saturating_add(1));
        let before: Vec<Sha256Hash> =
            seen.iter().filter(|(number, _)| number.saturating_add(1) == receipt.number).map(|(_, sha256)| *sha256).collect();
        let is_again = seen.contains(&itself);
        let mut broken = |detail: &str| find(Severity::Failure, "receipt-chain-broken", &file.name, detail);
        if !is_again && seen.iter().any(|(number, _)| *number == receipt.number) {
            let detail = format!(
                "Another receipt has its number {} too, and says something else: the package was passed on twice from one holder, or one of the \
                 two was exchanged.",
                receipt.number
            );
            broken(&detail);
        }
        let follows = match receipt.previous_receipt_sha256 {
            None => receipt.number == 1,
            // Of one that is not here, nothing can be compared.
            Some(previous) => receipt.number > 1 && (before.is_empty() || before.contains(&previous)),
        };
        if !follows {
            broken("It does not hold the hash of the receipt before it: one of the two was exchanged.");
        }
        let after_a_gap = receipt.number > due;
        if after_a_gap {
            for (from, to) in missing(due, receipt.number, &unknown) {
                let (object, is) = if from == to {
                    (format!("receipt {from:04}"), "It is")
                } else {
                    (format!("receipts {from:04} to {to:04}"), "They are")
                };
                let detail = format!(
                    "{is} not here: {} says that it follows. Who held the package until then cannot be told; ask {}, who released it then, or a \
                     holder before. The package itself is not concerned.",
                    file.name, receipt.handover.released_by
                );
                find(Severity::Gap, "receipt-missing", &object, &detail);
            }
        }
        seen.push(itself);
        links.push(Link { file, receipt, after_a_gap, is_again });
    }
    links
}

/// The numbers from `due` to the one before `number`, without those that are `unknown`, from and to.
fn missing(due: u32, number: u32, unknown: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges = Vec::new();
    let mut from = due;
    let there = unknown.iter().copied().filter(|there| (due..number).contains(there));
    for there in there.chain([number]) {
        if from < there {
            ranges.push((from, there.saturating_sub(1)));
        }
        from = there.saturating_add(1);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::custody::{Handover, Reverification};
    use crate::case::event::Tool;
    use crate::seal::{PackageHead, SigningKey};

    /// Receipts 1 to 3 of one package, each holding the hash of the one before.
    fn three() -> Vec<ReceiptFile> {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_ed25519(&folder.path().join("key"), "counsel@example.com").unwrap();
        let mut files: Vec<ReceiptFile> = Vec::new();
        for number in 1..=3 {
            let previous = files.last().map(|file| Sha256Hash::of(&file.statement));
            files.push(receipt(&key, number, previous, "legal review"));
        }
        files
    }

    fn receipt(key: &SigningKey, number: u32, previous: Option<Sha256Hash>, purpose: &str) -> ReceiptFile {
        let handover = Handover {
            released_by: "A".to_owned(),
            received_by: "B".to_owned(),
            purpose: purpose.to_owned(),
            method: None,
            condition: None,
            location: None,
        };
        let verification = Reverification {
            verdict: "pass".to_owned(),
            artifacts: 1,
            artifacts_valid: 1,
            damage: 0,
            ledger_lines: 1,
            ledger_root: Sha256Hash::ZERO,
        };
        let package = PackageHead { file: "p.zip".to_owned(), size: 1, sha256: Sha256Hash::ZERO };
        let tool = Tool { name: "caselock".to_owned(), version: "0.1.0".to_owned(), sha256: None };
        let at = "2026-03-02T10:00:00Z".parse().unwrap();
        let mut receipt = Receipt::new("IR-1".to_owned(), at, package, handover, verification, key, tool);
        (receipt.number, receipt.previous_receipt_sha256) = (number, previous);
        let (statement, signature) = receipt.sign(key).unwrap();
        let name = format!("p.zip.receipt-{number:04}.json");
        ReceiptFile { path: name.clone().into(), name, unread: None, statement, signature: Some(signature), timestamp: None }
    }

    fn found(files: &[ReceiptFile]) -> Vec<(Severity, String, String)> {
        let mut findings = Vec::new();
        in_order(files, &mut findings);
        findings.into_iter().map(|finding| (finding.severity, finding.kind, finding.object)).collect()
    }

    fn gap(kind: &str, object: &str) -> (Severity, String, String) {
        (Severity::Gap, kind.to_owned(), object.to_owned())
    }

    #[test]
    fn a_chain_that_is_whole_is_one_in_whatever_order_it_is_given() {
        let mut files = three();
        files.reverse();
        assert_eq!(found(&files), []);
        let numbers: Vec<u32> = in_order(&files, &mut Vec::new()).iter().map(|link| link.receipt.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn what_was_left_behind_is_missing_and_nothing_was_exchanged() {
        let mut files = three();
        files.remove(1);
        assert_eq!(found(&files), [gap("receipt-missing", "receipt 0002")]);
        assert_eq!(found(&files[1..]), [gap("receipt-missing", "receipts 0001 to 0002")]);
        let gaps: Vec<bool> = in_order(&files, &mut Vec::new()).iter().map(|link| link.after_a_gap).collect();
        assert_eq!(gaps, [false, true]);
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_not_missing() {
        let mut files = three();
        (files[0].statement, files[0].unread) = (Vec::new(), Some("no".to_owned()));
        assert_eq!(found(&files), [gap("receipt-unreadable", "p.zip.receipt-0001.json")]);
        (files[0].statement, files[0].unread) = (b"{}".to_vec(), None);
        assert_eq!(found(&files).iter().map(|found| found.1.as_str()).collect::<Vec<_>>(), ["receipt-malformed"]);
    }

    #[test]
    fn another_one_in_the_place_of_one_breaks_the_chain() {
        let broken = |object: &str| (Severity::Failure, "receipt-chain-broken".to_owned(), object.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_ed25519(&folder.path().join("key"), "expert@example.com").unwrap();
        let mut files = three();
        let other = receipt(&key, 1, None, "another purpose");
        files.insert(1, other.clone());
        assert_eq!(found(&files), [broken("p.zip.receipt-0001.json")], "two with one number");
        files.remove(0);
        assert_eq!(found(&files), [broken("p.zip.receipt-0002.json")], "exchanged");
        assert_eq!(found(&[receipt(&key, 2, None, "x")])[0], broken("p.zip.receipt-0002.json"), "it names none");
        assert_eq!(found(&[receipt(&key, 1, Some(Sha256Hash::ZERO), "x")]), [broken("p.zip.receipt-0001.json")]);
        // Signed once more, it is the same.
        let again = ReceiptFile { signature: None, ..other.clone() };
        assert_eq!(found(&[other, again]), []);
    }
}
