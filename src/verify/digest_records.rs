//! Digests on their way to being checked chain by chain: only those of one chain are in memory at once.

use std::cmp::Ordering;

use crate::case::sorting::{Bytes, Record, put_instant, put_location, put_number, put_option, put_text};
use crate::cloudtrail::chain::StoredDigest;
use crate::cloudtrail::{Digest, DigestName, ListedLogs, Previous};
use crate::model::{AccountId, Region};

/// Why a digest has no content.
pub(super) const MALFORMED: &str = "digest-malformed";
/// The same.
pub(super) const MALFORMED_GZIP: &str = "digest-malformed-gzip";

/// A digest, what it lists taken out. In order they come trail by trail, and of each account and region together.
#[derive(Debug)]
pub(super) struct DigestRecord(pub(super) StoredDigest);

impl DigestRecord {
    fn key(&self) -> (&str, &Region, AccountId, &Region, Option<&str>, u64) {
        let DigestName { trail, home_region, account, region, organization, .. } = &self.0.name;
        (trail, home_region, *account, region, organization.as_deref(), self.0.number)
    }
}

impl Ord for DigestRecord {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for DigestRecord {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DigestRecord {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DigestRecord {}

fn put_digest(bytes: &mut Vec<u8>, digest: &Digest) {
    put_text(bytes, &digest.account.to_string());
    put_instant(bytes, digest.start);
    put_instant(bytes, digest.end);
    put_text(bytes, &digest.end_as_written);
    put_location(bytes, &digest.location);
    put_text(bytes, &digest.key_fingerprint);
    put_text(bytes, &digest.signature_algorithm);
    put_option(bytes, digest.previous.as_ref(), |bytes, Previous { location, sha256, signature }| {
        put_location(bytes, location);
        bytes.extend_from_slice(sha256.as_bytes());
        put_text(bytes, signature);
    });
    put_number(bytes, u64::try_from(digest.logs.len()).unwrap_or(u64::MAX));
}

fn digest(bytes: &mut Bytes<'_>) -> Option<Digest> {
    Some(Digest {
        account: bytes.text()?.parse().ok()?,
        start: bytes.instant()?,
        end: bytes.instant()?,
        end_as_written: bytes.text()?,
        location: bytes.location()?,
        key_fingerprint: bytes.text()?,
        signature_algorithm: bytes.text()?,
        previous: bytes
            .option(|bytes| Some(Previous { location: bytes.location()?, sha256: bytes.hash()?, signature: bytes.text()? }))
            .ok()?,
        logs: ListedLogs::held_elsewhere(usize::try_from(bytes.number()?).ok()?),
    })
}

impl Record for DigestRecord {
    fn write(&self, bytes: &mut Vec<u8>) {
        let stored = &self.0;
        put_location(bytes, &stored.location);
        match &stored.content {
            Ok((digest, sha256)) => {
                bytes.push(0);
                put_digest(bytes, digest);
                bytes.extend_from_slice(sha256.as_bytes());
            }
            Err((kind, detail)) => {
                bytes.push(if *kind == MALFORMED { 1 } else { 2 });
                put_text(bytes, detail);
            }
        }
        put_option(bytes, stored.signature.as_deref(), put_text);
        put_option(bytes, stored.signature_algorithm.as_deref(), put_text);
        put_option(bytes, stored.generated, put_instant);
        put_option(bytes, stored.last_modified, put_instant);
        put_option(bytes, stored.version_id.as_deref(), put_text);
        bytes.push(u8::from(stored.current));
        put_number(bytes, stored.number);
    }

    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let location = bytes.location()?;
        Some(Self(StoredDigest {
            name: location.key.parse().ok()?,
            location,
            content: match bytes.byte()? {
                0 => Ok((digest(bytes)?, bytes.hash()?)),
                1 => Err((MALFORMED, bytes.text()?)),
                _ => Err((MALFORMED_GZIP, bytes.text()?)),
            },
            signature: bytes.option(Bytes::text).ok()?,
            signature_algorithm: bytes.option(Bytes::text).ok()?,
            generated: bytes.option(Bytes::instant).ok()?,
            last_modified: bytes.option(Bytes::instant).ok()?,
            version_id: bytes.option(Bytes::text).ok()?,
            current: bytes.byte()? == 1,
            number: bytes.number()?,
        }))
    }

    fn held(&self) -> usize {
        let stored = &self.0;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        // The key and its parts, in the name and wherever it stands in the content.
        let names = 2 * (stored.location.bucket.len() + stored.location.key.len());
        let content = match &stored.content {
            Ok((digest, _)) => {
                let previous = digest.previous.as_ref();
                let previous = previous.map_or(0, |previous| previous.location.key.len() + previous.signature.len());
                digest.location.key.len() + digest.end_as_written.len() + digest.key_fingerprint.len() + previous
            }
            Err((_, detail)) => detail.len(),
        };
        names + content + text(&stored.signature) + text(&stored.signature_algorithm) + text(&stored.version_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{S3Location, Sha256Hash};

    fn stored(number: u64, trail: &str, content: Result<(Digest, Sha256Hash), (&'static str, String)>) -> StoredDigest {
        let key = format!(
            "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/111122223333_CloudTrail-Digest_us-east-2_{trail}_us-east-2_20150817T150131Z.json.gz"
        );
        StoredDigest {
            name: key.parse().unwrap(),
            location: S3Location::new("bucket", key),
            content,
            signature: Some("00ff".to_owned()),
            signature_algorithm: None,
            generated: None,
            last_modified: Some("2015-08-17T15:05:00.5Z".parse().unwrap()),
            version_id: Some("v".to_owned()),
            current: number.is_multiple_of(2),
            number,
        }
    }

    fn content(previous: bool) -> Digest {
        let location = S3Location::new("bucket", "previous");
        Digest {
            account: "111122223333".parse().unwrap(),
            start: "2015-08-17T14:01:31Z".parse().unwrap(),
            end: "2015-08-17T15:01:31Z".parse().unwrap(),
            end_as_written: "2015-08-17T15:01:31Z".to_owned(),
            location: S3Location::new("bucket", "key"),
            key_fingerprint: "31e8".to_owned(),
            signature_algorithm: "SHA256withRSA".to_owned(),
            previous: previous.then(|| Previous { location, sha256: Sha256Hash::of(b"p"), signature: "Ab".to_owned() }),
            logs: ListedLogs::held_elsewhere(3),
        }
    }

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        for content in [
            Ok((content(true), Sha256Hash::of(b"x"))),
            Ok((content(false), Sha256Hash::of(b"y"))),
            Err((MALFORMED, "a".to_owned())),
            Err((MALFORMED_GZIP, "b".to_owned())),
        ] {
            let record = DigestRecord(stored(4, "trail", content));
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            let read = DigestRecord::read(&mut Bytes(&bytes)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{record:?}"));
        }
    }

    #[test]
    fn digests_of_a_chain_come_together_in_the_order_of_the_ledger() {
        let of = |number, trail| DigestRecord(stored(number, trail, Err((MALFORMED, String::new()))));
        let mut records = [of(3, "b"), of(4, "a"), of(2, "b"), of(1, "a")];
        records.sort();
        assert_eq!(records.map(|record| record.0.number), [1, 4, 2, 3]);
    }
}
