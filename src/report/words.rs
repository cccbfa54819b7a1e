//! What codes mean, for people who have never seen the tool.

use crate::case::event::GapReason;
use crate::case::{Flag, Protection};
use crate::cloudtrail::coverage::HourStatus;
use crate::verify::{Report, SignatureState, Unread, Verdict};

/// The verdict in one word and in plain words. What is open is named in `place`.
pub(super) fn verdict(report: &Report, place: &str) -> (&'static str, String) {
    let (word, meaning) = match report.verdict {
        Verdict::Pass if report.cloudtrail.is_empty() => (
            "PASS",
            "Every stored file is exactly as it was acquired. CloudTrail was not in scope, so no signature made by AWS backs it.",
        ),
        Verdict::Pass => (
            "PASS",
            "Every stored file is exactly as it was acquired, and signatures made by AWS prove every hour of the period asked for.",
        ),
        Verdict::Fail => (
            "FAIL",
            "At least one sign of change, removal or forgery was found. Do not rely on this evidence before each of them is \
             explained; they are named in",
        ),
        Verdict::Incomplete => (
            "INCOMPLETE",
            "Nothing was found to be changed, removed or forged. For part of the period, or for part of what was asked, no proof \
             is possible or the evidence could not be had; each is named in",
        ),
    };
    match report.verdict {
        Verdict::Pass => (word, meaning.to_owned()),
        Verdict::Fail | Verdict::Incomplete => (word, format!("{meaning} {place}.")),
    }
}

/// A command line as a shell takes it.
pub(super) fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./~-".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// How far the system keeps a sealed case from being changed.
pub(super) fn protection(protection: Protection) -> String {
    let flag = |flag: Flag| match flag {
        Flag::Set => "set",
        Flag::Refused => "refused by the system",
        Flag::NotAsked => "not asked for",
    };
    let read_only = if protection.read_only { "permit no writing" } else { "can be written" };
    format!(
        "when sealed: files and folders under data/ {read_only}; immutable flag {}; append-only flag of the ledger {}",
        flag(protection.immutable),
        flag(protection.append_only)
    )
}

/// Why something is not in the case.
pub(super) fn reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Empty => "AWS answered, and there is nothing",
        GapReason::NotEnabled => "not switched on in the account",
        GapReason::Denied => "AWS refused: permission is missing",
        GapReason::Failed => "could not be had: see the detail",
        GapReason::Skipped => "left out: outside the scope or the period, or not shown by AWS to this account",
        GapReason::Archived => "in archive storage; must be restored first",
        GapReason::ChangedDuringAcquisition => "replaced or removed while it was being fetched",
    }
}

/// What can be said of an hour.
pub(super) fn hour(status: HourStatus, unread: Unread) -> &'static str {
    match status {
        HourStatus::Verified => "proven by AWS's signatures",
        HourStatus::Recovered => "changed or deleted, and proven from an older version",
        HourStatus::Pending => "too fresh when collected: AWS had not yet signed",
        HourStatus::LoggingOff => "logging was switched off in part or all of it",
        HourStatus::Restart => "a new signature chain begins; nothing says why",
        HourStatus::NoDigests => "no digest in the case covers it",
        HourStatus::Unreadable => match unread {
            Unread::NotFetched => "not fetched: the collection did not come to its end",
            Unread::Either => {
                "a file that covers it was not fetched, as the collection did not come to its end, or could not be read, or its key is not \
                 in the case"
            }
            Unread::Unreadable => "a file that covers it could not be read, or its key is not in the case",
        },
        HourStatus::LogMissing => "a log that AWS signed for is missing",
        HourStatus::DigestMissing => "a signed digest is missing",
        HourStatus::DigestInvalid => "a digest is not what AWS signed",
        HourStatus::LogModified => "a log has other content than AWS signed for",
    }
}

/// Whether a signature holds.
pub(super) fn signature(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Valid => "valid",
        SignatureState::Invalid => "INVALID",
        SignatureState::Absent => "none",
        SignatureState::Unchecked => "present, not checked by this report (VERIFY.txt gives the command)",
    }
}

/// Words of the field.
pub(super) const GLOSSARY: [(&str, &str); 13] = [
    (
        "Artifact",
        "One stored file under data/: an object from S3 byte for byte, or the raw body of one answer of an AWS interface.",
    ),
    ("Bag", "A folder laid out as RFC 8493 (BagIt) says, so that archives and their tools can check it."),
    ("Case", "One investigation's folder: evidence, ledger, seals and the files that explain them."),
    ("CloudTrail", "The AWS service that records who did what in an account."),
    (
        "Digest file",
        "Each hour AWS writes a list of the CloudTrail logs it delivered, with the hash of each, and signs it. Each list names the one before, which makes a chain.",
    ),
    ("Finding", "Something wrong or notable that verification reports: a failure, a gap, or a notice."),
    ("Gap", "Something that was asked for and is not there, with the reason."),
    (
        "Hash, SHA-256",
        "A fingerprint of 64 hexadecimal digits. Two files with the same SHA-256 are, for every practical purpose, the same file; the smallest change gives another hash.",
    ),
    (
        "Ledger",
        "The record of every act on the case. Each line holds the hash of the line before, so a single line cannot be changed, removed or inserted without breaking the chain; the seal fixes its end.",
    ),
    ("Merkle root", "One hash that stands for all lines of the ledger up to a point."),
    (
        "Seal",
        "A signed statement that names the hashes of the manifests and the Merkle root of the ledger. Whoever seals signs for exactly that.",
    ),
    ("Time-stamp", "A statement signed by a time-stamping authority (RFC 3161) that the seal existed at a certain time."),
    ("Window", "The period that was asked about, in UTC, both ends included."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_copied_into_a_shell() {
        let words = ["caselock", "collect", "--examiner", "A. Examiner", "--notes", "it's", "", "s3://b/k"].map(str::to_owned);
        assert_eq!(command_line(&words), r"caselock collect --examiner 'A. Examiner' --notes 'it'\''s' '' s3://b/k");
    }
}
