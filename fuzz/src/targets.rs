//! What hostile bytes are fed to, and what must hold whatever they are: no panic, and nothing accepted that is not what it was read as.

use std::path::Path;

use caselock::case::CaseIdentity;
use caselock::case::ledger::read_ledger;
use caselock::cloudtrail::gzip::{Limits, read_member, unpack_at_once};
use caselock::cloudtrail::{Digest, DigestName, LogName};
use caselock::model::{Bound, PayloadPath, S3Location, parse_bound};
use caselock::package::PackageFiles;
use caselock::seal::manifest::{Lists, ManifestReader};
use caselock::seal::{AllowedSigners, SealStatement, verify_signature};

/// A target by its name.
pub(crate) type Target = (&'static str, fn(&[u8], &Path));

/// All targets. The folder is for those that need a file.
pub(crate) const TARGETS: &[Target] = &[
    ("ledger", ledger),
    ("case-toml", case_toml),
    ("seal", seal),
    ("signature", signature),
    ("manifest", manifest),
    ("package", package),
    ("payload-path", payload_path),
    ("time", time),
    ("digest", digest),
    ("log-name", log_name),
    ("gzip", gzip),
    #[cfg(feature = "acquire")]
    ("s3-listing", s3_listing),
];

/// The targets that are named, all of them where none is; else the word that names none.
pub(crate) fn chosen(words: &[String]) -> Result<Vec<&'static Target>, &str> {
    let is_named = |word: &str| TARGETS.iter().any(|(name, _)| *name == word);
    match words.iter().find(|word| !is_named(word)) {
        Some(unknown) => Err(unknown),
        None => Ok(TARGETS.iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| word == name)).collect()),
    }
}

fn ledger(bytes: &[u8], _: &Path) {
    let mut shown = 0;
    let Ok(state) = read_ledger(bytes, Path::new("ledger"), &mut |_| shown += 1) else { return };
    assert_eq!(state.entries, shown);
    assert!(state.lines >= state.entries && state.tree.size() == state.lines);
    assert!(state.bytes <= u64::try_from(bytes.len()).unwrap());
    if let Some(tail) = state.torn_tail {
        assert!(tail.offset + tail.bytes <= state.bytes);
    }
}

fn case_toml(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(identity) = CaseIdentity::parse(text, Path::new("case.toml")) {
        assert_eq!(CaseIdentity::parse(&identity.to_toml(), Path::new("case.toml")).unwrap(), identity);
    }
}

fn seal(bytes: &[u8], _: &Path) {
    if let Ok(statement) = SealStatement::parse(bytes) {
        assert_eq!(statement.encode().unwrap(), bytes, "one statement has one spelling");
    }
}

fn signature(bytes: &[u8], _: &Path) {
    assert!(verify_signature(b"what nobody signed", bytes).is_err());
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _parsed = AllowedSigners::parse(text);
    }
}

fn manifest(bytes: &[u8], _: &Path) {
    for lists in [Lists::Payload, Lists::Tags] {
        let mut reader = ManifestReader::new(bytes, lists);
        while let Ok(Some(line)) = reader.next_line() {
            assert!(!line.path.starts_with('/') && !line.path.split('/').any(|part| part == ".."), "{}", line.path);
            assert_eq!(line.path.starts_with("data/"), lists == Lists::Payload);
        }
    }
}

fn package(bytes: &[u8], scratch: &Path) {
    use caselock::case::CaseFiles;
    let path = scratch.join("package.zip");
    std::fs::write(&path, bytes).unwrap();
    let Ok(files) = PackageFiles::open(&path) else { return };
    let mut members = Vec::new();
    files.walk(&mut |found| members.push(format!("{found:?}"))).unwrap();
    assert!(!members.iter().any(|member| member.contains("../")), "{members:?}");
}

fn payload_path(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<PayloadPath>() {
        assert_eq!(path.as_str(), text);
        assert!(text.starts_with("data/") && !text.split('/').any(|part| matches!(part, "" | "." | "..")));
    }
    let path = PayloadPath::for_object(&S3Location::new("example-corp", text));
    assert_eq!(path.as_str().parse::<PayloadPath>().unwrap(), path);
    assert!(path.as_str().len() <= 200 && path.as_str().starts_with("data/s3/example-corp/"));
}

fn time(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = "2026-03-02T12:00:00Z".parse().unwrap();
    for bound in [Bound::Start, Bound::End] {
        if let Ok(instant) = parse_bound(text, bound, now) {
            let printed = instant.to_string();
            assert_eq!(parse_bound(&printed, bound, now).unwrap(), instant, "{text}");
        }
    }
}

fn digest(bytes: &[u8], _: &Path) {
    if let Ok(digest) = Digest::parse(bytes) {
        assert!(digest.start <= digest.end);
        let mut listed: Vec<S3Location> = digest.logs.iter().map(|log| log.location).collect();
        listed.sort();
        listed.dedup();
        assert_eq!(listed.len(), digest.logs.len(), "a log twice");
    }
}

fn log_name(bytes: &[u8], _: &Path) {
    let Ok(key) = std::str::from_utf8(bytes) else { return };
    let log = key.parse::<LogName>();
    let digest = key.parse::<DigestName>();
    assert!(log.is_err() || digest.is_err(), "{key} is both");
    if let Ok(name) = digest {
        assert!(
            key.starts_with(&name.prefix) && key.contains(&name.trail) && key.ends_with("_backfill.json.gz") == name.backfill
        );
    }
    if let Ok(name) = log {
        assert!(key.starts_with(&name.prefix) && key.contains(name.region.as_str()));
    }
}

fn gzip(bytes: &[u8], _: &Path) {
    let limits = Limits { content: 1 << 20, ratio: 200, ratio_from: 1 << 16, ..Limits::default() };
    let mut content = Vec::new();
    let outcome = read_member(bytes, &limits, &mut |piece| content.extend_from_slice(piece));
    let given = u64::try_from(content.len()).unwrap();
    assert!(given <= limits.content);
    if let Ok((_, length)) = outcome {
        assert_eq!(length, given);
    }
    let mut at_once = Vec::new();
    if unpack_at_once(bytes, limits.allowed(bytes), &mut at_once) {
        assert!(outcome.is_ok(), "it is one whole member to one decoder and not to the other");
        assert_eq!(at_once, content);
    }
}

#[cfg(feature = "acquire")]
fn s3_listing(bytes: &[u8], _: &Path) {
    use caselock::acquire::chosen_keys;
    use caselock::aws::{ListQuery, read_listing};
    let region: caselock::model::Region = "us-east-1".parse().unwrap();
    let query = ListQuery {
        source: "cloudtrail",
        account: "111122223333".parse().unwrap(),
        region: region.clone(),
        bucket: "example-corp".to_owned(),
        prefix: "AWSLogs/".to_owned(),
        folders: false,
        start_after: None,
    };
    let window = caselock::model::Window::new("2026-03-01T08:00:00Z".parse().unwrap(), "2026-03-01T12:00:00Z".parse().unwrap());
    let Ok(page) = read_listing(&query, bytes) else { return };
    for object in &page.objects {
        assert!(object.key.starts_with(&query.prefix), "{}", object.key);
    }
    for key in chosen_keys(&page, &query, &region, window.unwrap()) {
        let path = PayloadPath::for_object(&S3Location::new("example-corp", key.as_str()));
        assert!(page.objects.iter().any(|object| object.key == key) && path.as_str().starts_with("data/s3/example-corp/"));
    }
}
