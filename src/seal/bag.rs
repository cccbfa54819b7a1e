//! The texts of the bag's tag files (RFC 8493), `VERIFY.txt` and `verify.html`.

use ssh_key::PublicKey;

use crate::case::CaseIdentity;
use crate::case::event::Tool;
use crate::model::{Sha256Hash, Timestamp, printable};

use super::key::principal_from;
use super::{ArtifactTotals, MANIFEST, NAMESPACE, SealedBy, Signer, SigningKey, TAG_MANIFEST, manifest};

const VERIFY_TEMPLATE: &str = include_str!("../../case-template/VERIFY.txt");
/// `verify.html`: the same bytes in every case, so that one published hash is that of all.
pub(crate) const VERIFY_PAGE: &str = include_str!("../../case-template/verify.html");

/// SHA-256 of the `verify.html` that this version puts into every case.
#[must_use]
pub fn verify_page_sha256() -> Sha256Hash {
    Sha256Hash::of(VERIFY_PAGE.as_bytes())
}

/// Where a line of `bag-info.txt` is folded.
const WIDTH: usize = 79;

/// `bagit.txt`.
pub(crate) const BAGIT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// `bag-info.txt`.
pub(crate) fn bag_info(identity: &CaseIdentity, totals: ArtifactTotals, at: Timestamp, tool: &Tool) -> String {
    let fields = [
        ("Source-Organization", identity.organization.clone()),
        ("Contact-Name", identity.examiner.clone()),
        ("External-Identifier", identity.case_number.clone()),
        ("External-Description", identity.description.clone()),
        ("Internal-Sender-Identifier", identity.evidence_number.clone()),
        ("Internal-Sender-Description", identity.notes.clone()),
        ("Bagging-Date", at.instant().format("%Y-%m-%d").to_string()),
        ("Bag-Size", size_for_people(totals.bytes)),
        ("Payload-Oxum", format!("{}.{}", totals.bytes, totals.count)),
        ("Bag-Software-Agent", format!("{} {}", tool.name, tool.version)),
    ];
    fields.iter().map(|(label, value)| field(label, value)).collect()
}

/// One field, folded; nothing in its value can begin another.
pub(crate) fn field(label: &str, value: &str) -> String {
    let mut text = String::new();
    let mut line = format!("{label}:");
    let mut words = value.split_whitespace().map(printable).peekable();
    if words.peek().is_none() {
        return text;
    }
    for (at, word) in words.enumerate() {
        if at > 0 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            " ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(&word);
    }
    text.push_str(&line);
    text.push('\n');
    text
}

/// `custody/allowed_signers`: vouches for the key as far as the package itself can, in one line.
pub(super) fn allowed_signers(key: &SigningKey) -> String {
    one_signer(key.principal(), &key.signer().public_key)
}

fn one_signer(principal: &str, public_key: &str) -> String {
    format!("{principal} namespaces=\"{NAMESPACE}\" {public_key}\n")
}

/// `custody/allowed_signers` as it follows from what a seal says of its signer; none where no caselock ever wrote such a name or key, which
/// could make more of it than one line.
pub(crate) fn allowed_signers_of(signer: &SealedBy) -> Option<String> {
    let is_name = !signer.principal.is_empty() && signer.principal == principal_from(&signer.principal);
    let is_key = PublicKey::from_openssh(&signer.public_key)
        .ok()
        .and_then(|key| Signer::of(key.key_data()).ok())
        .is_some_and(|key| key.public_key == signer.public_key);
    (is_name && is_key).then(|| one_signer(&signer.principal, &signer.public_key))
}

/// `tagmanifest-sha256.txt`.
pub(crate) fn tag_manifest(hashes: &[(&str, Sha256Hash)]) -> String {
    hashes.iter().map(|(path, sha256)| manifest::line(sha256, path)).collect()
}

/// `VERIFY.txt`: the template with this case's values.
pub(crate) fn verify_text(
    identity: &CaseIdentity,
    totals: ArtifactTotals,
    manifest_sha256: &Sha256Hash,
    signer: &SealedBy,
) -> String {
    let one_line = |text: &str| printable(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let values = [
        ("{{case-number}}", one_line(&identity.case_number)),
        ("{{organization}}", one_line(&identity.organization)),
        ("{{artifacts}}", totals.count.to_string()),
        ("{{bytes}}", totals.bytes.to_string()),
        ("{{size}}", size_for_people(totals.bytes)),
        ("{{manifest}}", MANIFEST.to_owned()),
        ("{{tag-manifest}}", TAG_MANIFEST.to_owned()),
        ("{{manifest-sha256}}", manifest_sha256.to_string()),
        ("{{namespace}}", NAMESPACE.to_owned()),
        ("{{principal}}", signer.principal.clone()),
        ("{{fingerprint}}", signer.fingerprint.clone()),
    ];
    fill(VERIFY_TEMPLATE, &values)
}

/// Puts values in the place of `{{names}}`, in one pass: what a value holds is never taken for a name.
pub(crate) fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let found = values.iter().find_map(|(name, value)| from.strip_prefix(name).map(|after| (value.as_str(), after)));
        let (value, after) = found.unwrap_or_else(|| from.split_at(2));
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A size in the largest unit that leaves at least one before the point.
pub(crate) fn size_for_people(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "bytes";
    for next in units {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_begin_a_field_of_its_own() {
        let text = field("External-Description", "one\nPayload-Oxum: 0.0\r\n\u{85}Bag-Size: 0\u{2028}x");
        assert_eq!(text, "External-Description: one Payload-Oxum: 0.0 Bag-Size: 0 x\n");
        assert_eq!(field("External-Description", " \n "), "");
    }

    #[test]
    fn long_values_are_folded_between_words() {
        let text = field("External-Description", &"word ".repeat(60));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("  word")), "{text}");
        assert_eq!(text.split_whitespace().filter(|word| *word == "word").count(), 60);
    }

    #[test]
    fn a_value_that_looks_like_a_name_stays_as_it_is() {
        let values = [("{{a}}", "{{b}}".to_owned()), ("{{b}}", "x".to_owned())];
        assert_eq!(fill("{{a}} {{b}} {{c}}", &values), "{{b}} x {{c}}");
    }

    #[test]
    fn every_name_in_the_template_has_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_ed25519(&folder.path().join("key"), "examiner@example.com").unwrap();
        let window =
            crate::model::Window::new("2026-02-28T00:00:00Z".parse().unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
        let identity = CaseIdentity {
            case_number: "IR\n2026".to_owned(),
            opened_at: "2026-03-01T10:00:00Z".parse().unwrap(),
            ..CaseIdentity::unnamed(window.unwrap())
        };
        let text = verify_text(&identity, ArtifactTotals { count: 3, bytes: 10 }, &Sha256Hash::ZERO, &SealedBy::of(&key));
        assert!(!text.contains("{{"), "{text}");
        assert!(text.contains("IR 2026"), "{text}");
    }

    #[test]
    fn no_signer_makes_more_than_one_line_of_allowed_signers() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_ed25519(&folder.path().join("key"), "examiner@example.com").unwrap();
        let signer = SealedBy {
            principal: key.principal().to_owned(),
            fingerprint: key.signer().fingerprint.clone(),
            public_key: key.signer().public_key.clone(),
        };
        assert_eq!(allowed_signers_of(&signer), Some(allowed_signers(&key)));
        for principal in ["", "a b", "*", "-x", "examiner@example.com ssh-ed25519 AAAA\nexaminer@example.com"] {
            assert_eq!(
                allowed_signers_of(&SealedBy { principal: principal.to_owned(), ..signer.clone() }),
                None,
                "{principal}"
            );
        }
        for more in ["\nb ssh-ed25519 AAAA", " comment", "\n"] {
            let public_key = format!("{}{more}", signer.public_key);
            assert_eq!(allowed_signers_of(&SealedBy { public_key, ..signer.clone() }), None, "{more}");
        }
    }

    #[test]
    fn sizes_are_given_in_the_unit_people_use() {
        for (bytes, text) in
            [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_999_999, "1.9 MB"), (u64::MAX, "18.4 EB")]
        {
            assert_eq!(size_for_people(bytes), text);
        }
    }
}
