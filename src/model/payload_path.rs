//! From the key of an object to a path that every system takes and no other object has. There is no way back: the ledger has the key.

use std::fmt;
use std::str::FromStr;

use super::{AccountId, Region, S3Location, Sha256Hash, serde_as_text};

/// Where an artifact lies in the case: a relative path under `data/`, with `/` between its components.
///
/// The path of an object is a function of its bucket, key and version alone. It is injective, also under case folding and
/// Unicode normalization, and safe on Linux, macOS and Windows; docs/case-format.md gives the rules. The ledger keeps the
/// exact key, so the path never has to be turned back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadPath(String);

/// The text is not a path that caselock writes.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a payload path of a case")]
pub struct ParsePayloadPathError {
    text: String,
}

/// Where noncurrent versions lie.
const VERSIONS: &str = "data/s3-versions";
/// Longest component, in bytes.
const COMPONENT_LIMIT: usize = 120;
/// Longest path from the case folder, in characters.
const PATH_LIMIT: usize = 200;
/// What a path that would be too long keeps of its last component.
const COLLAPSED_LIMIT: usize = 90;

/// Words of AWS's own keys whose casing is the expected one.
const CASED_WORDS: [&str; 6] =
    ["AWSLogs", "CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"];

/// Extensions that a marker is put in front of, so that other tools still know the file.
const EXTENSIONS: [&str; 9] = [".json.gz", ".log.gz", ".csv.gz", ".log.parquet", ".parquet", ".json", ".xml", ".gz", ".log"];

impl PayloadPath {
    /// The path of an object's current version: `data/s3/BUCKET/KEY`.
    #[must_use]
    pub fn for_object(location: &S3Location) -> Self {
        Self::below("data/s3", location, None)
    }

    /// The path of a noncurrent version of an object: `data/s3-versions/BUCKET/KEY~vHASH`, where HASH stands for the version id.
    #[must_use]
    pub fn for_version(location: &S3Location, version_id: &str) -> Self {
        Self::below(VERSIONS, location, Some(version_id))
    }

    /// Whether this is the path of a noncurrent version.
    #[must_use]
    pub fn is_of_version(&self) -> bool {
        self.0.strip_prefix(VERSIONS).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The path of one raw response: `data/api/SERVICE/ACCOUNT/REGION/OPERATION/NNNNN.EXTENSION`.
    ///
    /// `service`, `operation` and `extension` are caselock's own words and are taken as they are.
    #[must_use]
    pub fn for_api_page(
        service: &str,
        account: AccountId,
        region: &Region,
        operation: &str,
        number: u32,
        extension: &str,
    ) -> Self {
        Self(format!("data/api/{service}/{account}/{region}/{operation}/{number:05}.{extension}"))
    }

    fn below(root: &str, location: &S3Location, version_id: Option<&str>) -> Self {
        let bucket = component(&location.bucket, "", Role::Bucket);
        let marker = version_id.map(|id| format!("~v{}", short_hash(id.as_bytes(), 16))).unwrap_or_default();
        let mut parts: Vec<&str> = location.key.split('/').collect();
        let last = component(parts.pop().unwrap_or_default(), &marker, Role::File);
        let folders: Vec<String> = parts.into_iter().map(|part| component(part, "", Role::Folder)).collect();
        let mut path = format!("{root}/{bucket}");
        for folder in &folders {
            path.push('/');
            path.push_str(folder);
        }
        path.push('/');
        path.push_str(&last);
        if path.len() > PATH_LIMIT {
            let hash = short_hash(location.key.as_bytes(), 32);
            let last = if last.len() > COLLAPSED_LIMIT {
                shorten(&last, &format!("{}{marker}", location.key), COLLAPSED_LIMIT, Role::File)
            } else {
                last
            };
            path = format!("{root}/{bucket}/~t{hash}/{last}");
        }
        Self(path)
    }

    /// The path with `/` between components, from the case folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Bucket,
    Folder,
    File,
}

/// The safe form of one component of a key.
///
/// A file's name has an extension or the mark `~o`; a folder's name has neither or the mark `~w`. So a key may be both an object
/// and the folder of others.
fn component(raw: &str, marker: &str, role: Role) -> String {
    let mut safe = if raw.is_empty() { "~_".to_owned() } else { escaped(raw) };
    insert_before_extension(&mut safe, marker);
    let difference = case_difference(&safe);
    if !difference.is_empty() {
        insert_before_extension(&mut safe, &format!("~k{difference}"));
    }
    let looks_like_a_file = has_extension(&safe);
    match role {
        Role::File if !looks_like_a_file => safe.push_str("~o"),
        Role::Folder if looks_like_a_file => safe.push_str("~w"),
        _ => {}
    }
    if safe.len() > COMPONENT_LIMIT { shorten(&safe, &format!("{raw}{marker}"), COMPONENT_LIMIT, role) } else { safe }
}

/// Every byte outside the portable alphabet as `~XX`, and what Windows would not take as it is.
fn escaped(raw: &str) -> String {
    use fmt::Write as _;

    let only_dots = raw.bytes().all(|b| b == b'.');
    let reserved = is_reserved_on_windows(raw);
    let mut safe = String::with_capacity(raw.len());
    for (at, byte) in raw.bytes().enumerate() {
        let portable = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'=' | b'+' | b'@' | b',' | b'-');
        let last_dot = byte == b'.' && at + 1 == raw.len();
        let first_of_reserved = reserved && at == 0;
        if portable && !only_dots && !last_dot && !first_of_reserved {
            safe.push(char::from(byte));
        } else if write!(safe, "~{byte:02X}").is_err() {
            return safe;
        }
    }
    safe
}

fn is_reserved_on_windows(raw: &str) -> bool {
    let stem = raw.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered.is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
}

fn has_extension(safe: &str) -> bool {
    safe.rfind('.').is_some_and(|at| at > 0)
}

fn insert_before_extension(safe: &mut String, marker: &str) {
    if marker.is_empty() {
        return;
    }
    let at = EXTENSIONS
        .iter()
        .find(|extension| safe.len() > extension.len() && safe.ends_with(*extension))
        .map_or(safe.len(), |extension| safe.len() - extension.len());
    safe.insert_str(at, marker);
}

/// Where the casing departs from the one AWS's own names have, as hexadecimal; empty where it does not.
///
/// Bit 0 stands for the last letter. Two names that are equal under case folding differ here, whatever the expected casing is.
fn case_difference(safe: &str) -> String {
    let expected = expected_casing(&safe.to_ascii_lowercase());
    let mut bits = Vec::new();
    let mut in_escape = 0;
    for (actual, expected) in safe.bytes().zip(expected.bytes()) {
        if actual == b'~' {
            in_escape = 2;
        } else if in_escape > 0 {
            in_escape -= 1;
        } else if actual.is_ascii_alphabetic() {
            bits.push(actual != expected);
        }
    }
    bits.reverse();
    while bits.last() == Some(&false) {
        bits.pop();
    }
    bits.chunks(4)
        .rev()
        .map(|chunk| {
            let value = chunk.iter().enumerate().map(|(at, differs)| u32::from(*differs) << at).sum();
            char::from_digit(value, 16).unwrap_or('0')
        })
        .collect()
}

/// The casing AWS gives a name, from its folded form. Any function would keep paths apart; this one keeps AWS's names plain.
fn expected_casing(folded: &str) -> String {
    let segments: Vec<String> = folded
        .split('_')
        .map(|segment| {
            let word = CASED_WORDS.iter().find(|word| word.eq_ignore_ascii_case(segment));
            word.map_or_else(|| cased_stamp(segment), |word| (*word).to_owned())
        })
        .collect();
    segments.join("_")
}

/// `20261121t0935z` as `20261121T0935Z`; anything else as it is.
fn cased_stamp(segment: &str) -> String {
    let stamp = |digits: usize| {
        let bytes = segment.as_bytes();
        let is_digits =
            |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
        is_digits(0..8) && bytes.get(8) == Some(&b't') && is_digits(9..9 + digits) && bytes.get(9 + digits) == Some(&b'z')
    };
    match [4, 6].into_iter().find(|digits| stamp(*digits)) {
        Some(digits) => {
            let (head, tail) = segment.split_at(digits + 10);
            format!("{}{tail}", head.to_ascii_uppercase())
        }
        None => segment.to_owned(),
    }
}

/// The head of a name with the hash of what it stands for.
fn shorten(safe: &str, identity: &str, limit: usize, role: Role) -> String {
    let extension = EXTENSIONS.iter().find(|extension| safe.ends_with(*extension)).copied().unwrap_or(".object");
    let tail = match role {
        Role::File => extension,
        Role::Folder | Role::Bucket => "~w",
    };
    let mut end = limit.saturating_sub(34 + tail.len()).min(safe.len());
    // Never half an escape: `~XX` is cut before its tilde.
    let head = safe.get(..end).unwrap_or_default();
    if let Some(tilde) = head.rfind('~') {
        end = tilde;
    }
    format!("{}~t{}{tail}", safe.get(..end).unwrap_or_default(), short_hash(identity.as_bytes(), 32))
}

fn short_hash(bytes: &[u8], digits: usize) -> String {
    Sha256Hash::of(bytes).to_string().chars().take(digits).collect()
}

impl FromStr for PayloadPath {
    type Err = ParsePayloadPathError;

    /// Accepts paths below `data/` that are made of portable components, none of them `.` or `..`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let safe = |part: &str| {
            !part.is_empty()
                && part.len() <= COMPONENT_LIMIT + 8
                && !part.bytes().all(|b| b == b'.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._=+@,-~".contains(&b))
        };
        let below_data = text.strip_prefix("data/").is_some_and(|rest| rest.split('/').all(safe));
        if below_data && text.len() <= PATH_LIMIT + 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParsePayloadPathError { text: super::printable(&text.chars().take(256).collect::<String>()) })
        }
    }
}

impl fmt::Display for PayloadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PayloadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(PayloadPath);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn path(key: &str) -> String {
        PayloadPath::for_object(&S3Location::new("example-corp", key)).to_string()
    }

    #[test]
    fn names_of_aws_stay_as_they_are() {
        for key in [
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_abcdefgh12345678.json.gz",
            "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/01/111122223333_CloudTrail-Digest_us-east-1_management-events_us-east-1_20260301T094121Z.json.gz",
            "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/03/01/111122223333_vpcflowlogs_us-east-1_fl-0abc_20260301T0935Z_1a2b3c4d.log.gz",
            "eu/AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-central-1/year=2026/month=03/day=01/hour=09/x.log.parquet",
        ] {
            let expected = format!("data/s3/example-corp/{key}");
            if expected.len() <= PATH_LIMIT {
                assert_eq!(path(key), expected);
            }
        }
    }

    #[test]
    fn a_random_part_of_mixed_case_is_told_apart_by_a_mark_before_the_extension() {
        let name = |unique: &str| path(&format!("a/111122223333_CloudTrail_us-east-1_20260301T0935Z_{unique}.json.gz"));
        assert!(
            name("AbCdefgh12345678").ends_with("_AbCdefgh12345678~k2800000.json.gz") || name("AbCdefgh12345678").contains("~k")
        );
        assert_ne!(name("AbCdefgh12345678").to_lowercase(), name("aBcdefgh12345678").to_lowercase());
    }

    #[test]
    fn hostile_components_are_spelled_out() {
        for (key, expected) in [
            ("../../etc/passwd", "~2E~2E/~2E~2E/etc/passwd~o"),
            ("a//b.gz", "a/~_/b.gz"),
            ("/", "~_/~_~o"),
            ("folder/", "folder/~_~o"),
            ("a", "a~o"),
            ("a/b", "a/b~o"),
            ("a.b/c", "a.b~w/c~o"),
            ("./x.", "~2E/x~2E~o"),
            ("con", "~63on~o"),
            ("aux.log", "~61ux.log"),
            ("com1 .txt", "~63om1~20.txt"),
            ("a\\b:c%d~e", "a~5Cb~3Ac~25d~7Ee~o"),
            ("new\nline", "new~0Aline~o"),
            ("é.gz", "~C3~A9.gz"),
        ] {
            assert_eq!(path(key), format!("data/s3/example-corp/{expected}"), "{key:?}");
        }
    }

    #[test]
    fn long_keys_are_bounded_and_keep_their_extension() {
        let long = path(&format!("{}.json.gz", "x".repeat(1000)));
        let deep = path(&format!("{}log.json.gz", "folder/".repeat(140)));
        for path in [&long, &deep] {
            assert!(path.len() <= PATH_LIMIT && path.ends_with(".json.gz"), "{path}");
            assert!(path.split('/').all(|part| part.len() <= COMPONENT_LIMIT), "{path}");
        }
    }

    #[test]
    fn versions_of_one_object_have_paths_of_their_own() {
        let location = S3Location::new("example-corp", "a/b.json.gz");
        let first = PayloadPath::for_version(&location, "3HL4kqtJvjVBH40Nrjfkd");
        assert_ne!(first, PayloadPath::for_version(&location, "3HL4kqtJvjVBH40NrjfkD"));
        assert!(first.as_str().starts_with("data/s3-versions/example-corp/a/b~v") && first.as_str().ends_with(".json.gz"));
    }

    #[test]
    fn paths_from_outside_are_parsed_only_when_safe() {
        for text in ["data/../x", "data//x", "/data/x", "data/", "custody/ledger.jsonl", "data/a\\b", "data/a b", "data/./x"] {
            assert!(text.parse::<PayloadPath>().is_err(), "{text}");
        }
        assert!("data/api/sts/111122223333/us-east-1/GetCallerIdentity/00001.xml".parse::<PayloadPath>().is_ok());
    }

    /// Keys from an alphabet in which twins of every kind are likely.
    fn keys() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[aAbB._~/]{1,4}",
            1 => Just("e\u{301}".to_owned()),
            1 => Just("\u{e9}".to_owned()),
            1 => Just("~6".to_owned()),
            1 => Just("con".to_owned()),
            1 => Just("NUL".to_owned()),
            1 => Just(".json.gz".to_owned()),
            1 => Just("AWSLogs/".to_owned()),
            1 => Just("awslogs/".to_owned()),
            1 => Just("~k1".to_owned()),
            1 => "\\PC{1,3}",
            1 => Just("x".repeat(70)),
        ];
        prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Guarantee G10: every S3 key has a path of its own, inside `data/`, on file systems that fold case or normalize Unicode as
        /// well.
        #[test]
        fn no_two_keys_share_a_path_even_on_a_file_system_that_folds_case(keys in prop::collection::hash_set(keys(), 2..40)) {
            let mut seen: HashMap<String, String> = HashMap::new();
            let mut folders: HashMap<String, String> = HashMap::new();
            for key in &keys {
                let path = path(key).to_lowercase();
                for (at, _) in path.match_indices('/') {
                    folders.insert(path[..at].to_owned(), key.clone());
                }
                if let Some(other) = seen.insert(path.clone(), key.clone()) {
                    prop_assert!(false, "{key:?} and {other:?} both lie at {path}");
                }
            }
            for (path, key) in &seen {
                prop_assert!(!folders.contains_key(path), "{key:?} is also the folder of {:?}", folders.get(path));
            }
        }

        #[test]
        fn every_path_is_safe_bounded_and_parses(key in keys()) {
            let path = path(&key);
            prop_assert!(path.len() <= PATH_LIMIT);
            prop_assert_eq!(path.parse::<PayloadPath>().unwrap().to_string(), path.clone());
            for part in path.split('/') {
                prop_assert!(part.len() <= COMPONENT_LIMIT && !part.ends_with('.') && !is_reserved_on_windows(part), "{}", part);
            }
        }
    }
}
