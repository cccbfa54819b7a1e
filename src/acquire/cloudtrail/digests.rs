//! Which digests of a folder a window needs, so that each chain can be checked from before its first one, and what they name. Nothing is
//! proven here: a digest only tells where else to look.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use serde::Deserialize;

use crate::aws::ListedObject;
use crate::cloudtrail::names::digest_file;
use crate::model::{AccountId, Region, S3Location, Timestamp, TrailArn, Window};

use super::super::log_files::file_name;
use super::super::shared::Shared;
use super::super::sweep::{Choose, Chosen};

/// Largest digest that is read for the logs it names.
const DIGEST_LIMIT: u64 = 256 * 1024 * 1024;

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct NamedLog {
    #[serde(rename = "s3Bucket")]
    pub(super) bucket: String,
    #[serde(rename = "s3Object")]
    pub(super) key: String,
    #[serde(rename = "oldestEventTime", default)]
    oldest: Option<Timestamp>,
    #[serde(rename = "newestEventTime", default)]
    newest: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Digest {
    #[serde(rename = "digestStartTime", default)]
    start: Option<Timestamp>,
    #[serde(rename = "logFiles", default)]
    log_files: Vec<NamedLog>,
    #[serde(rename = "previousDigestS3Bucket", default)]
    previous_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object", default)]
    previous_key: Option<String>,
}

fn read(body: &[u8]) -> Option<Digest> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(body).take(DIGEST_LIMIT).read_to_end(&mut content).ok()?;
    serde_json::from_slice(&content).ok()
}

/// What a digest names.
///
/// Nothing here is proof: whether the digest is genuine is for verification to say. It only tells where else to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// The logs whose events overlap the window.
    pub(super) logs: Vec<NamedLog>,
    /// The digest before it.
    pub(super) predecessor: Option<S3Location>,
    /// When its own time begins, and with it the predecessor's ends.
    pub(super) start: Option<Timestamp>,
}

/// What a digest names. None where it cannot be read.
pub(super) fn names_in(body: &[u8], window: Window) -> Option<Names> {
    let digest = read(body)?;
    let overlaps = |log: &NamedLog| match (log.oldest, log.newest) {
        (Some(oldest), Some(newest)) => window.overlaps(oldest, newest),
        _ => false,
    };
    Some(Names {
        logs: digest.log_files.into_iter().filter(overlaps).collect(),
        predecessor: digest.previous_bucket.zip(digest.previous_key).map(|(bucket, key)| S3Location::new(bucket, key)),
        start: digest.start,
    })
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
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(json).unwrap();
        let window = Window::new("2026-03-01T08:00:00Z".parse().unwrap(), "2026-03-01T10:00:00Z".parse().unwrap()).unwrap();
        let names = names_in(&packed.finish().unwrap(), window).unwrap();
        assert_eq!(names.logs.iter().map(|log| log.key.as_str()).collect::<Vec<_>>(), ["late"]);
        assert_eq!((names.predecessor, names.start), (None, None));
        assert_eq!(names_in(b"not a digest", window), None);
    }
}
