//! OpenSSH's file of allowed signers (`ssh-keygen(1)`, "ALLOWED SIGNERS").

use chrono::{Local, NaiveDateTime, TimeZone as _};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use crate::model::Timestamp;

use super::{NAMESPACE, Signer};

/// The keys somebody vouches for.
#[derive(Clone, Debug, Default)]
pub struct AllowedSigners {
    entries: Vec<Entry>,
    notices: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    principals: String,
    key: KeyData,
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// A line of a file of allowed signers that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the allowed signers cannot be read: {problem}")]
pub struct ParseAllowedSignersError {
    line: usize,
    problem: String,
}

impl AllowedSigners {
    /// Reads the file's text. A line that cannot be read is an error, for whoever wrote it meant something by it.
    pub fn parse(text: &str) -> Result<Self, ParseAllowedSignersError> {
        let mut signers = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Entry::parse(line).map_err(|problem| ParseAllowedSignersError { line: at + 1, problem })? {
                Some(entry) => signers.entries.push(entry),
                None => signers.notices.push(format!(
                    "line {} vouches for a certificate authority, which is not checked in process; `ssh-keygen -Y verify` does",
                    at + 1
                )),
            }
        }
        Ok(signers)
    }

    /// What was left out, and why.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether `signer` may seal at `at`.
    #[must_use]
    pub fn is_allowed(&self, signer: &Signer, at: Timestamp) -> bool {
        self.principals_of(signer, at).is_some()
    }

    /// The principals, as the file spells them, under which `signer` may seal at `at`.
    #[must_use]
    pub fn principals_of(&self, signer: &Signer, at: Timestamp) -> Option<&str> {
        let key = PublicKey::from_openssh(&signer.public_key).ok()?;
        let allows = |entry: &&Entry| {
            entry.key == *key.key_data()
                && entry.namespaces.as_ref().is_none_or(|patterns| matches_list(patterns, NAMESPACE))
                && entry.valid_after.is_none_or(|after| at >= after)
                && entry.valid_before.is_none_or(|before| at < before)
        };
        self.entries.iter().find(allows).map(|entry| entry.principals.as_str())
    }
}

impl Entry {
    /// `None` for a line that vouches for a certificate authority.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let (principals, mut rest) = word(line)?;
        let principals = principals.trim_matches('"').to_owned();
        if principals.is_empty() {
            return Err("it names no principal".to_owned());
        }
        let (mut namespaces, mut valid_after, mut valid_before, mut authority) = (None, None, None, false);
        if !starts_with_key(rest) {
            let (options, after) = word(rest)?;
            rest = after;
            for option in split_options(options) {
                let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
                let value = value.map(|value| value.trim_matches('"'));
                match (name.to_ascii_lowercase().as_str(), value) {
                    ("cert-authority", None) => authority = true,
                    ("namespaces", Some(value)) => namespaces = Some(value.to_owned()),
                    ("valid-after", Some(value)) => valid_after = Some(time(value)?),
                    ("valid-before", Some(value)) => valid_before = Some(time(value)?),
                    _ => return Err(format!("the option `{}` is not known", crate::model::printable(option))),
                }
            }
        }
        if authority {
            return Ok(None);
        }
        let key = PublicKey::from_openssh(rest).map_err(|error| format!("its key cannot be read: {error}"))?;
        Ok(Some(Self { principals, key: key.key_data().clone(), namespaces, valid_after, valid_before }))
    }
}

/// The text up to the next blank outside quotes, and what follows it.
fn word(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && c.is_ascii_whitespace()
    });
    let end = end.ok_or("it ends too early")?;
    let (word, rest) = text.split_at(end);
    Ok((word, rest.trim_start()))
}

fn starts_with_key(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind))
}

fn split_options(options: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    options
        .split(move |c: char| {
            quoted ^= c == '"';
            !quoted && c == ','
        })
        .filter(|option| !option.is_empty())
}

/// `YYYYMMDD[HHMM[SS]][Z]`; without the `Z`, in the time of this place, as OpenSSH reads it.
fn time(text: &str) -> Result<Timestamp, String> {
    let bad = || format!("`{}` is not a time such as 20260301 or 20260301093000Z", crate::model::printable(text));
    let (digits, universal) = text.strip_suffix('Z').map_or((text, false), |digits| (digits, true));
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(bad()),
    };
    let naive = NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%S").map_err(|_| bad())?;
    let instant =
        if universal { naive.and_utc() } else { Local.from_local_datetime(&naive).earliest().ok_or_else(bad)?.to_utc() };
    Ok(Timestamp::new(instant))
}

/// OpenSSH's pattern list: `*` and `?`, `!` excludes whatever else matches.
fn matches_list(patterns: &str, text: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches_pattern(excluded.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= matches_pattern(pattern.as_bytes(), text.as_bytes()),
        }
    }
    matched
}

/// In time that grows with the product of the lengths at most: on a mismatch only the last `*` is tried again.
fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, taken)) = retry else { return false };
                retry = Some((star, taken + 1));
                p = star + 1;
                t = taken + 1;
            }
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use ssh_key::rand_core::OsRng;
    use ssh_key::{Algorithm, PrivateKey};

    use super::*;

    fn signer() -> Signer {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        Signer::of(key.public_key().key_data()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_allowed_by_its_own_line_alone() {
        let (known, unknown) = (signer(), signer());
        let text = format!("# those who seal\n\nexaminer@example.com {} a comment\n", known.public_key);
        let signers = AllowedSigners::parse(&text).unwrap();
        assert_eq!(signers.principals_of(&known, at("2026-03-01T00:00:00Z")), Some("examiner@example.com"));
        assert!(!signers.is_allowed(&unknown, at("2026-03-01T00:00:00Z")));
    }

    #[test]
    fn a_key_for_other_namespaces_is_not_allowed() {
        let signer = signer();
        for (namespaces, allowed) in [
            ("caselock-seal", true),
            ("git", false),
            ("git,caselock-*", true),
            ("*,!caselock-seal", false),
            ("caselock-sea?", true),
        ] {
            let line = format!("a,b namespaces=\"{namespaces}\" {}", signer.public_key);
            let signers = AllowedSigners::parse(&line).unwrap();
            assert_eq!(signers.is_allowed(&signer, at("2026-03-01T00:00:00Z")), allowed, "{namespaces}");
        }
    }

    #[test]
    fn a_key_is_allowed_only_while_its_line_says() {
        let signer = signer();
        let line = format!("a valid-after=\"20260301Z\",VALID-BEFORE=\"20260401093000Z\" {}", signer.public_key);
        let signers = AllowedSigners::parse(&line).unwrap();
        for (time, allowed) in [
            ("2026-02-28T23:59:59Z", false),
            ("2026-03-01T00:00:00Z", true),
            ("2026-04-01T09:29:59Z", true),
            ("2026-04-01T09:30:00Z", false),
        ] {
            assert_eq!(signers.is_allowed(&signer, at(time)), allowed, "{time}");
        }
    }

    #[test]
    fn a_certificate_authority_is_left_out_with_a_notice() {
        let signer = signer();
        let signers = AllowedSigners::parse(&format!("*@example.com cert-authority {}", signer.public_key)).unwrap();
        assert_eq!(signers.notices().len(), 1);
        assert!(!signers.is_allowed(&signer, at("2026-03-01T00:00:00Z")));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error() {
        let key = signer().public_key;
        let lines = [
            "examiner@example.com".to_owned(),
            "a ssh-ed25519 AAAA".to_owned(),
            format!("a valid-after=\"yesterday\" {key}"),
            format!("a no-such-option {key}"),
            format!("a namespaces=\"git {key}"),
        ];
        for line in lines {
            assert!(AllowedSigners::parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_matched_quickly() {
        assert!(!matches_pattern("*a".repeat(2_000).as_bytes(), "a".repeat(1_999).as_bytes()));
        assert!(matches_pattern(b"*.example.*", b"www.example.com"));
    }
}
