//! Which digests of a folder a window needs, so that each chain can be checked from before its first one, and what they name. Nothing is
//! proven here: a digest only tells where else to look.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufReader, Read as _};
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::aws::ListedObject;
use crate::cloudtrail::gzip::Limits;
use crate::cloudtrail::names::digest_file;
use crate::model::{AccountId, Region, S3Location, Timestamp, TrailArn, Window};

use super::super::log_files::file_name;
use super::super::shared::Shared;
use super::super::sweep::{Choose, Chosen};

/// Bytes of a digest's content that are unpacked at a time.
const PIECE: usize = 64 * 1024;

/// Chooses digests: chain by chain, from the predecessor of the first that ends after the anchor up to the newest.
pub(super) struct DigestRule {
    account: AccountId,
    region: Region,
    anchor: Timestamp,
    only: Option<TrailArn>,
    /// The last digest of each chain that ends no later than the anchor.
    predecessors: BTreeMap<Chain, ListedObject>,
    begun: BTreeSet<Chain>,
    unanchored: Unanchored,
}

/// A trail, its home region, and whether the chain is the one of backfills.
type Chain = (String, Region, bool);

/// The keys of digests that are the first of their chain in a listing: their predecessors, if any, lie further back.
pub(super) type Unanchored = Arc<Shared<BTreeSet<String>>>;

impl DigestRule {
    pub(super) fn new(account: AccountId, region: Region, anchor: Timestamp, only: Option<TrailArn>) -> Self {
        let (predecessors, begun, unanchored) = (BTreeMap::new(), BTreeSet::new(), Unanchored::default());
        Self { account, region, anchor, only, predecessors, begun, unanchored }
    }

    /// Where the keys of first digests without a listed predecessor are noted as they are chosen.
    pub(super) fn unanchored(&self) -> Unanchored {
        Arc::clone(&self.unanchored)
    }
}

impl Choose for DigestRule {
    fn choose(&mut self, object: ListedObject) -> Chosen {
        let name = file_name(&object.key);
        if name.is_empty() && object.size == 0 {
            return Chosen::InScope(Vec::new()); // the console's folder
        }
        let Some(digest) = digest_file(name, self.account, &self.region) else { return Chosen::Stranger(object) };
        if self.only.as_ref().is_some_and(|arn| arn.name() != digest.trail || *arn.home_region() != digest.home_region) {
            return Chosen::InScope(Vec::new());
        }
        let chain = (digest.trail, digest.home_region, digest.backfill);
        if digest.end <= self.anchor {
            self.predecessors.insert(chain, object);
            return Chosen::InScope(Vec::new());
        }
        let mut chosen: Vec<ListedObject> = self.predecessors.remove(&chain).into_iter().collect();
        if self.begun.insert(chain) && chosen.is_empty() {
            self.unanchored.lock().insert(object.key.clone());
        }
        chosen.push(object);
        Chosen::InScope(chosen)
    }

    fn finish(&mut self) -> Vec<ListedObject> {
        // A chain that ended before the window still says that it did.
        std::mem::take(&mut self.predecessors).into_values().collect()
    }
}

/// A log that a digest names.
#[derive(Debug, Deserialize)]
struct NamedLog {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3Object")]
    key: String,
    #[serde(rename = "oldestEventTime", default)]
    oldest: Option<Timestamp>,
    #[serde(rename = "newestEventTime", default)]
    newest: Option<Timestamp>,
}

/// What a digest says besides.
///
/// Nothing here is proof: whether the digest is genuine is for verification to say. It only tells where else to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// The digest before it.
    pub(super) predecessor: Option<S3Location>,
    /// When its own time begins, and with it the predecessor's ends.
    pub(super) start: Option<Timestamp>,
}

/// What a digest names; `log` is shown each log whose events overlap the window. None where it cannot be read to its end.
///
/// Anybody may have written it, so nothing of it is held but what is asked for.
pub(super) fn names_in(body: &[u8], window: Window, log: &mut dyn FnMut(S3Location)) -> Option<Names> {
    let content = GzDecoder::new(body).take(Limits::default().digest);
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(PIECE, content));
    let names = Digest { window, log }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(names)
}

/// Reads a digest, and shows its logs one by one.
struct Digest<'a> {
    window: Window,
    log: &'a mut dyn FnMut(S3Location),
}

/// Reads its list of logs.
struct Logs<'a, 'b>(&'a mut Digest<'b>);

impl<'de> DeserializeSeed<'de> for Digest<'_> {
    type Value = Names;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Names, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Digest<'_> {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Names, A::Error> {
        let (mut bucket, mut key, mut start) = (None::<String>, None::<String>, None);
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "digestStartTime" => start = map.next_value()?,
                "previousDigestS3Bucket" => bucket = map.next_value()?,
                "previousDigestS3Object" => key = map.next_value()?,
                "logFiles" => map.next_value_seed(Logs(&mut self))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Names { predecessor: bucket.zip(key).map(|(bucket, key)| S3Location::new(bucket, key)), start })
    }
}

impl<'de> DeserializeSeed<'de> for Logs<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Logs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the logs of a digest")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut logs: A) -> Result<(), A::Error> {
        while let Some(log) = logs.next_element::<NamedLog>()? {
            if let (Some(oldest), Some(newest)) = (log.oldest, log.newest)
                && self.0.window.overlaps(oldest, newest)
            {
                (self.0.log)(S3Location::new(log.bucket, log.key));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn digest(day: &str, stamp: &str, trail: &str, suffix: &str) -> ListedObject {
        let name = format!("111122223333_CloudTrail-Digest_us-east-1_{trail}_us-east-1_{stamp}{suffix}.json.gz");
        ListedObject {
            key: format!("AWSLogs/111122223333/CloudTrail-Digest/us-east-1/{day}/{name}"),
            size: 1,
            etag: None,
            last_modified: None,
            archived: false,
        }
    }

    fn chosen(rule: &mut DigestRule, objects: Vec<ListedObject>) -> Vec<String> {
        let mut all = Vec::new();
        for object in objects {
            match rule.choose(object) {
                Chosen::InScope(these) => all.extend(these),
                Chosen::Stranger(object) => panic!("{}", object.key),
            }
        }
        all.extend(rule.finish());
        all.iter().map(|object| object.key.rsplit('_').next().unwrap().to_owned()).collect()
    }

    fn rule(only: Option<&str>) -> DigestRule {
        let anchor = "2026-03-01T08:45:00Z".parse().unwrap();
        DigestRule::new(
            "111122223333".parse().unwrap(),
            "us-east-1".parse().unwrap(),
            anchor,
            only.map(|arn| arn.parse().unwrap()),
        )
    }

    #[test]
    fn a_chain_is_taken_from_the_predecessor_of_its_first_digest_to_its_newest() {
        let objects = ["T064121Z", "T074121Z", "T084121Z", "T094121Z", "T104121Z"];
        let objects = objects.map(|time| digest("2026/03/01", &format!("20260301{time}"), "trail", "")).to_vec();
        let taken = chosen(&mut rule(None), objects);
        assert_eq!(taken, ["20260301T084121Z.json.gz", "20260301T094121Z.json.gz", "20260301T104121Z.json.gz"]);
    }

    #[test]
    fn a_digest_that_ends_at_the_anchor_is_the_predecessor() {
        let objects = ["T074500Z", "T084500Z", "T094500Z"];
        let objects = objects.map(|time| digest("2026/03/01", &format!("20260301{time}"), "trail", "")).to_vec();
        assert_eq!(chosen(&mut rule(None), objects), ["20260301T084500Z.json.gz", "20260301T094500Z.json.gz"]);
    }

    #[test]
    fn a_chain_that_ended_before_the_window_keeps_its_last_digest() {
        let objects =
            vec![digest("2026/02/28", "20260228T064121Z", "trail", ""), digest("2026/02/28", "20260228T074121Z", "trail", "")];
        assert_eq!(chosen(&mut rule(None), objects), ["20260228T074121Z.json.gz"]);
    }

    #[test]
    fn backfill_and_standard_chains_have_their_own_predecessors() {
        let objects = vec![
            digest("2026/03/01", "20260301T084121Z", "trail", ""),
            digest("2026/03/01", "20260301T084121Z", "trail", "_backfill"),
            digest("2026/03/01", "20260301T094121Z", "trail", ""),
        ];
        assert_eq!(chosen(&mut rule(None), objects).len(), 3);
    }

    #[test]
    fn one_trail_asked_for_leaves_the_others_out() {
        let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/trail";
        let objects =
            vec![digest("2026/03/01", "20260301T094121Z", "other", ""), digest("2026/03/01", "20260301T094121Z", "trail", "")];
        assert_eq!(chosen(&mut rule(Some(arn)), objects).len(), 1);
    }

    #[test]
    fn a_late_log_is_found_by_its_events() {
        let json = br#"{"logFiles":[
            {"s3Bucket":"b","s3Object":"late","oldestEventTime":"2026-03-01T09:00:00Z","newestEventTime":"2026-03-01T09:01:00Z"},
            {"s3Bucket":"b","s3Object":"other","oldestEventTime":"2026-03-02T09:00:00Z","newestEventTime":"2026-03-02T09:01:00Z"}]}"#;
        let window = Window::new("2026-03-01T08:00:00Z".parse().unwrap(), "2026-03-01T10:00:00Z".parse().unwrap()).unwrap();
        let mut late = Vec::new();
        let names = names_in(&packed(json), window, &mut |log| late.push(log.key)).unwrap();
        assert_eq!(late, ["late"]);
        assert_eq!(names, Names::default());
        assert_eq!(names_in(b"not a digest", window, &mut |_| {}), None);
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(content).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn a_digest_says_what_came_before_it_and_one_that_unpacks_to_too_much_is_not_read() {
        let json = br#"{"awsAccountId":"1","digestStartTime":"2026-03-01T08:00:00Z","logFiles":[],"previousDigestS3Bucket":"b",
            "previousDigestS3Object":"before","previousDigestSignature":null}"#;
        let window = Window::new("2026-03-01T08:00:00Z".parse().unwrap(), "2026-03-01T10:00:00Z".parse().unwrap()).unwrap();
        let names = |content: &[u8]| names_in(&packed(content), window, &mut |log| panic!("{log}"));
        let read = names(json).unwrap();
        assert_eq!((read.predecessor, read.start), (Some(S3Location::new("b", "before")), Some(window.start())));
        assert_eq!(names(&[json.as_slice(), b"{}"].concat()), None, "something follows it");
        let one = br#"{"s3Bucket":"","s3Object":""},"#;
        let many = |bytes: usize| {
            [b"{\"logFiles\":[", &one.repeat(bytes / one.len())[..], b"{\"s3Bucket\":\"\",\"s3Object\":\"\"}]}"].concat()
        };
        assert!(names(&many(1 << 20)).is_some());
        assert_eq!(names(&many(33 << 20)), None);
    }
}
