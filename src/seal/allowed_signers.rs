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

/// What a file of allowed signers says of a key that signed, the best of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched<'a> {
    /// It may sign, under the name it signed with and at that time.
    Yes {
        /// The names of the key, as the file spells them.
        names: &'a str,
        /// Whether it may do so for a time only, so that it matters when it signed.
        for_a_time: bool,
    },
    /// The same, but not at that time.
    AtAnotherTime {
        /// The names of the key, as the file spells them.
        names: &'a str,
    },
    /// The key is there, and is somebody else's than the name it signed with.
    UnderAnotherName {
        /// The names of the key, as the file spells them.
        names: &'a str,
    },
    /// No line speaks of it.
    No,
}

/// Why a file of allowed signers vouches for nobody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAllowedSignersError {
    /// A line cannot be read.
    #[error("line {line} of the allowed signers cannot be read: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no line but blank ones and remarks.
    #[error("the file of allowed signers names nobody")]
    Empty,
}

impl AllowedSigners {
    /// Reads the file's text. A line that cannot be read is an error, for whoever wrote it meant something by it, and so is a file without
    /// any: it would vouch for nobody, and every seal would look like a stranger's.
    pub fn parse(text: &str) -> Result<Self, ParseAllowedSignersError> {
        let mut signers = Self::default();
        // Some editors write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Entry::parse(line).map_err(|problem| ParseAllowedSignersError::Line { line: at + 1, problem })? {
                Some(entry) => signers.entries.push(entry),
                None => signers.notices.push(format!(
                    "line {} vouches for a certificate authority, which is not checked in process; `ssh-keygen -Y verify` does",
                    at + 1
                )),
            }
        }
        if signers.entries.is_empty() && signers.notices.is_empty() {
            return Err(ParseAllowedSignersError::Empty);
        }
        Ok(signers)
    }

    /// What was left out, and why.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What it says of `signer`, who signed as `principal` at `at`.
    ///
    /// As for `ssh-keygen -Y verify -I`, a line vouches for its key under the names it gives and no other: else whoever is listed could sign
    /// as anybody.
    #[must_use]
    pub fn vouch(&self, signer: &Signer, principal: &str, at: Timestamp) -> Vouched<'_> {
        let Ok(key) = PublicKey::from_openssh(&signer.public_key) else { return Vouched::No };
        let of_the_key = self.entries.iter().filter(|entry| {
            entry.key == *key.key_data() && entry.namespaces.as_ref().is_none_or(|patterns| matches_list(patterns, NAMESPACE))
        });
        let says = of_the_key.map(|entry| {
            let names = entry.principals.as_str();
            let for_a_time = entry.valid_after.is_some() || entry.valid_before.is_some();
            if !matches_list(names, principal) {
                Vouched::UnderAnotherName { names }
            } else if entry.valid_after.is_some_and(|after| at < after) || entry.valid_before.is_some_and(|before| at >= before)
            {
                Vouched::AtAnotherTime { names }
            } else {
                Vouched::Yes { names, for_a_time }
            }
        });
        // The first of those that say the best.
        says.min_by_key(|vouched| match vouched {
            Vouched::Yes { for_a_time, .. } => u8::from(*for_a_time),
            Vouched::AtAnotherTime { .. } => 2,
            Vouched::UnderAnotherName { .. } => 3,
            Vouched::No => 4,
        })
        .unwrap_or(Vouched::No)
    }
}

impl Entry {
    /// `None` for a line that vouches for a certificate authority.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        if let Some(other) = other_than_a_line(line) {
            return Err(other.to_owned());
        }
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

/// What people take for such a line, and is none.
fn other_than_a_line(line: &str) -> Option<&'static str> {
    let mut words = line.split_ascii_whitespace();
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    let is_fingerprint = |word: &str| word.starts_with("SHA256:") || word.starts_with("MD5:");
    if line.starts_with("-----BEGIN") {
        Some("it is the beginning of a key file; wanted is the signer's name, a blank, and the line of their .pub file")
    } else if is_fingerprint(first) || (first.bytes().all(|b| b.is_ascii_digit()) && is_fingerprint(second)) {
        Some(
            "it is a fingerprint, which only tells keys apart; wanted is the signer's name, a blank, and the public key itself",
        )
    } else if starts_with_key(first) && second.starts_with("AAAA") {
        Some("it is a public key alone; the signer's name and a blank are wanted before it")
    } else {
        None
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

    /// What is said of a key that signs as `a` on the first of March.
    fn vouch<'a>(signers: &'a AllowedSigners, signer: &Signer) -> Vouched<'a> {
        signers.vouch(signer, "a", at("2026-03-01T00:00:00Z"))
    }

    #[test]
    fn a_key_is_allowed_by_its_own_line_alone() {
        let (known, unknown) = (signer(), signer());
        let text = format!("# those who seal\n\na {} a comment\n", known.public_key);
        let signers = AllowedSigners::parse(&text).unwrap();
        assert_eq!(vouch(&signers, &known), Vouched::Yes { names: "a", for_a_time: false });
        assert_eq!(vouch(&signers, &unknown), Vouched::No);
    }

    #[test]
    fn a_key_is_allowed_under_the_names_of_its_own_line_alone() {
        let (examiner, counsel) = (signer(), signer());
        let text = format!(
            "examiner@example.com {}\n*@law.example.com,counsel@example.com,!guest@law.example.com {}\n",
            examiner.public_key, counsel.public_key
        );
        let signers = AllowedSigners::parse(&text).unwrap();
        let says = |key: &Signer, name: &str| signers.vouch(key, name, at("2026-03-01T00:00:00Z"));
        assert!(matches!(says(&examiner, "examiner@example.com"), Vouched::Yes { .. }));
        for name in ["counsel@example.com", "b@law.example.com"] {
            assert!(matches!(says(&counsel, name), Vouched::Yes { .. }), "{name}");
        }
        for name in ["examiner@example.com", "guest@law.example.com", "Counsel@example.com", "", "*@law.example.com,counsel"] {
            assert!(matches!(says(&counsel, name), Vouched::UnderAnotherName { .. }), "{name}");
        }
        assert_eq!(says(&examiner, "counsel@example.com"), Vouched::UnderAnotherName { names: "examiner@example.com" });
    }

    #[test]
    fn a_key_with_several_lines_is_allowed_by_the_one_that_fits() {
        let key = signer();
        let text = format!(
            "b {0}\na valid-before=\"20250101Z\" {0}\na valid-after=\"20260101Z\" {0}\nc namespaces=\"git\" {0}\n",
            key.public_key
        );
        let signers = AllowedSigners::parse(&text).unwrap();
        assert_eq!(vouch(&signers, &key), Vouched::Yes { names: "a", for_a_time: true });
        assert_eq!(signers.vouch(&key, "a", at("2025-06-01T00:00:00Z")), Vouched::AtAnotherTime { names: "a" });
        assert_eq!(signers.vouch(&key, "c", at("2025-06-01T00:00:00Z")), Vouched::UnderAnotherName { names: "b" });
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
            let expected = if allowed { Vouched::Yes { names: "a,b", for_a_time: false } } else { Vouched::No };
            assert_eq!(vouch(&signers, &signer), expected, "{namespaces}");
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
            let expected =
                if allowed { Vouched::Yes { names: "a", for_a_time: true } } else { Vouched::AtAnotherTime { names: "a" } };
            assert_eq!(signers.vouch(&signer, "a", at(time)), expected, "{time}");
        }
    }

    #[test]
    fn a_certificate_authority_is_left_out_with_a_notice() {
        let signer = signer();
        let signers = AllowedSigners::parse(&format!("*@example.com cert-authority {}", signer.public_key)).unwrap();
        assert_eq!(signers.notices().len(), 1);
        assert_eq!(vouch(&signers, &signer), Vouched::No);
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
    fn what_people_take_for_such_a_line_is_told_by_its_name() {
        let signer = signer();
        let lines = [
            (format!("{} counsel@example.com", signer.public_key), "a public key alone"),
            (signer.fingerprint.clone(), "a fingerprint"),
            (format!("256 {} counsel@example.com (ED25519)", signer.fingerprint), "a fingerprint"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(), "a key file"),
        ];
        for (line, named) in lines {
            let said = AllowedSigners::parse(&line).unwrap_err().to_string();
            assert!(said.contains(named) && said.contains("wanted"), "{line}: {said}");
        }
        let name_like_a_key = format!("ssh-admin@example.com {}", signer.public_key);
        assert!(AllowedSigners::parse(&name_like_a_key).is_ok());
    }

    #[test]
    fn a_file_that_names_nobody_is_an_error() {
        for text in ["", "\n  \n", "# nobody yet\n", "\u{feff}"] {
            assert!(matches!(AllowedSigners::parse(text), Err(ParseAllowedSignersError::Empty)), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        let signer = signer();
        let signers = AllowedSigners::parse(&format!("\u{feff}a {}\r\n", signer.public_key)).unwrap();
        assert_eq!(vouch(&signers, &signer), Vouched::Yes { names: "a", for_a_time: false });
    }

    #[test]
    fn a_pattern_of_many_stars_is_matched_quickly() {
        assert!(!matches_pattern("*a".repeat(2_000).as_bytes(), "a".repeat(1_999).as_bytes()));
        assert!(matches_pattern(b"*.example.*", b"www.example.com"));
    }
}
