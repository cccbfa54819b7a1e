//! What holds for every account, not only for those with a defect that somebody thought of.

use std::collections::BTreeSet;

use caselock::cloudtrail::coverage::HourStatus;
use caselock::cloudtrail::gzip::{self, Limits};
use caselock::cloudtrail::{Digest, DigestName, LogName};
use caselock::model::{S3Location, Severity};
use caselock::sim::Scenario;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use serde_json::Value;

use crate::memory_case::{Collection, HOME, end, quiet};

/// Cases of each property; a day's run takes more by `PROPTEST_CASES`.
fn config(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() }
}

#[test]
fn any_changed_byte_of_any_digest_or_log_is_found_on_that_object() {
    let collection = Collection::of(&quiet());
    let objects = collection.account.objects();
    // Of the logs, those that a digest lists: what comes after the newest digest is pending, not proven.
    let digests = collection.digests(HOME);
    let listed: Vec<S3Location> =
        (0..digests.len()).flat_map(|number| collection.logs(HOME, number.try_into().unwrap())).collect();
    let files: Vec<S3Location> = digests.into_iter().chain(listed).collect();
    let mut runner = TestRunner::new(config(48));
    let choice = (0..files.len(), any::<prop::sample::Index>(), 1_u8..);
    runner
        .run(&choice, |(file, at, flip)| {
            let location = &files[file];
            let genuine = collection.object(location).unwrap().body;
            let mut changed = genuine.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            assert!(objects.put(&location.bucket, &location.key, changed.clone()));
            let report = collection.report();
            assert!(objects.put(&location.bucket, &location.key, genuine.clone()));
            // A header's time stamp, flags of how it was compressed and the system's name are no part of the content.
            if unpacked(&changed) == unpacked(&genuine) && unpacked(&changed).is_some() {
                prop_assert!(report.findings.is_empty(), "byte {at} of {location}: {:?}", report.findings);
                return Ok(());
            }
            let object = location.to_string();
            let found = report.findings.iter().any(|finding| finding.severity == Severity::Failure && finding.object == object);
            prop_assert!(found, "byte {at} of {location}: {:?}", report.findings);
            Ok(())
        })
        .unwrap();
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    gzip::read_member(bytes, &Limits::default(), &mut |piece| content.extend_from_slice(piece)).ok()?;
    Some(content)
}

/// What deleting digests must do to the hours, worked out from nothing but the digests' times.
///
/// A digest that is gone takes its interval with it. A run of them at the new end is known only from the trail's status, which
/// remembers the newest delivery. An hour is lost if any part of it, or of the quarter of an hour after it, is in a lost interval.
fn lost_hours(collection: &Collection, ends: &[DateTime<Utc>], deleted: &BTreeSet<usize>) -> Vec<DateTime<Utc>> {
    let (start, end) = (collection.window.start().instant(), collection.window.end().instant());
    let mut lost = Vec::new();
    let mut hour = start;
    while hour < end {
        let until = hour + TimeDelta::minutes(75);
        let gone = |number: &usize| {
            let digest_end = ends[*number];
            digest_end - TimeDelta::hours(1) < until && digest_end > hour
        };
        if deleted.iter().any(gone) {
            lost.push(hour);
        }
        hour += TimeDelta::hours(1);
    }
    lost
}

/// How many digests are named as missing: those of every hole behind which the chain goes on and which the window needs.
fn named_as_missing(collection: &Collection, ends: &[DateTime<Utc>], deleted: &BTreeSet<usize>) -> u64 {
    let (start, end) = (collection.window.start().instant(), collection.window.end().instant() + TimeDelta::minutes(15));
    let mut named = 0;
    let mut hole = 0;
    for number in 1..ends.len() {
        if deleted.contains(&number) {
            hole += 1;
        } else {
            let (from, to) = (ends[number - 1 - hole], ends[number - 1]);
            named += if to > start && from < end { u64::try_from(hole).unwrap() } else { 0 };
            hole = 0;
        }
    }
    named
}

#[test]
fn any_digests_deleted_take_exactly_their_hours() {
    let collection = Collection::of(&quiet());
    let digests = collection.digests(HOME);
    let ends: Vec<DateTime<Utc>> = digests.iter().map(|digest| collection.ends(digest)).collect();
    let newest = digests.len() - 1;
    let mut runner = TestRunner::new(config(48));
    // The first digest is the chain's start: with it the case may begin one later, which the next test is about.
    let choice = prop::collection::btree_set(1..=newest, 0..=newest);
    runner
        .run(&choice, |deleted| {
            let mut collected = Collection::of(&quiet());
            collected.left_out = deleted.iter().map(|number| digests[*number].clone()).collect();
            let report = collected.report();
            let row = report.cloudtrail.iter().find(|row| row.region.as_str() == HOME).unwrap();
            let mut lost: Vec<DateTime<Utc>> = Vec::new();
            for range in &row.uncovered_hours {
                prop_assert_eq!(range.status, HourStatus::DigestMissing);
                let mut hour = range.from;
                while hour < range.to {
                    lost.push(hour.instant());
                    hour = hour.plus_seconds(3600);
                }
            }
            prop_assert_eq!(lost, lost_hours(&collection, &ends, &deleted), "deleted {:?}", deleted);
            prop_assert_eq!(row.digests.missing, named_as_missing(&collection, &ends, &deleted));
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_untouched_account_is_accused() {
    let mut runner = TestRunner::new(config(6));
    runner
        .run(&(0..3_u64, 8..20_u32, any::<bool>(), any::<bool>()), |(seed, hours, stop_logging, restart_logging)| {
            let stop_logging = stop_logging && hours > 12;
            let scenario = Scenario { seed, hours, stop_logging, restart_logging, ..Scenario::quiet(end()) };
            let report = Collection::of(&scenario).report();
            let failures: Vec<_> = report.findings.iter().filter(|finding| finding.severity == Severity::Failure).collect();
            prop_assert!(failures.is_empty(), "{failures:?}");
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(config(512))]

    /// The parsers take whatever comes, and answer.
    #[test]
    fn no_name_makes_a_parser_panic(name in "(AWSLogs/(o-[a-z]{0,4}/)?[0-9]{0,13}/)?[A-Za-z0-9_/.-]{0,80}(_[0-9TZ]{0,17})?(_backfill)?(\\.json\\.gz)?|.{0,120}") {
        let _log = name.parse::<LogName>();
        let _digest = name.parse::<DigestName>();
    }

    #[test]
    fn a_name_that_is_taken_apart_says_what_it_says(
        account in "[0-9]{12}", region in "(us|eu|ap)-(east|west|central)-[1-3]", trail in "[A-Za-z0-9]([._-]?[A-Za-z0-9]){2,20}",
        seconds in 0..4_000_000_000_i64, backfill: bool, prefix in "([a-z]{1,8}/){0,2}",
    ) {
        let at = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
        let key = format!(
            "{prefix}AWSLogs/{account}/CloudTrail-Digest/{region}/{}/{account}_CloudTrail-Digest_{region}_{trail}_{region}_{}{}.json.gz",
            at.format("%Y/%m/%d"), at.format("%Y%m%dT%H%M%SZ"), if backfill { "_backfill" } else { "" },
        );
        let name: DigestName = key.parse().unwrap();
        prop_assert_eq!((name.trail, name.backfill, name.end.instant(), name.prefix), (trail, backfill, at, prefix));
    }

    #[test]
    fn no_content_makes_the_digest_parser_panic(content in prop::collection::vec(any::<u8>(), 0..400)) {
        let _digest = Digest::parse(&content);
    }

    #[test]
    fn no_member_unfolds_beyond_its_limit(piece in prop::collection::vec(any::<u8>(), 1..100), times in 0..40_usize, tail in any::<bool>()) {
        let content = piece.repeat(times);
        let member = crate::tampering::gzip(&content);
        let limits = Limits { content: 1000, ratio: 1000, ratio_from: 10, ..Limits::default() };
        let mut seen = Vec::new();
        let outcome = gzip::read_member(&[&member[..], if tail { &piece } else { &[] }].concat(), &limits, &mut |piece| seen.extend_from_slice(piece));
        prop_assert!(seen.len() <= 1000 && content.starts_with(&seen));
        prop_assert_eq!(outcome.is_ok(), content.len() <= 1000 && !tail, "{:?}", outcome);
        prop_assert!(outcome.is_err() || seen == content);
    }

    #[test]
    fn no_bytes_make_the_reader_of_members_panic_or_go_beyond_its_limit(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let limits = Limits { content: 1000, ratio: 1000, ratio_from: 10, ..Limits::default() };
        let mut seen = 0;
        let _outcome = gzip::read_member(&[&[0x1f, 0x8b, 8][..], &bytes].concat(), &limits, &mut |piece| seen += piece.len());
        prop_assert!(seen <= 1000);
    }
}

#[test]
fn a_digest_with_any_byte_changed_is_read_or_refused_but_never_panics() {
    let collection = Collection::of(&quiet());
    let content = collection.content(&collection.digest(HOME, 4));
    let mut runner = TestRunner::new(config(512));
    runner
        .run(&(0..content.len(), any::<u8>()), |(at, byte)| {
            let mut content = content.clone();
            content[at] = byte;
            let _digest = Digest::parse(&content);
            Ok(())
        })
        .unwrap();
}

/// Two signatures that AWS really made, published as `previousDigestSignature` of the user guide's sample digests. The text they are over
/// was edited for publication; its hash was recovered from the signatures themselves.
#[test]
fn signatures_that_aws_made_hold_under_the_key_that_aws_published() {
    let published: Vec<Value> = serde_json::from_str(include_str!("../vectors/aws-real-signatures.json")).unwrap();
    let text = |vector: &Value, field: &str| vector[field].as_str().unwrap().to_owned();
    let mut checked = 0;
    for vector in published {
        let key =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text(&vector, "public_key_pkcs1_b64")).unwrap();
        let key = RsaPublicKey::from_pkcs1_der(&key).unwrap();
        let (hash, signature) = (
            hex::decode(text(&vector, "sha256_of_data_to_sign")).unwrap(),
            hex::decode(text(&vector, "signature_hex")).unwrap(),
        );
        key.verify(Pkcs1v15Sign::new::<sha2::Sha256>(), &hash, &signature).unwrap();
        checked += 1;
    }
    assert_eq!(checked, 2);
}
