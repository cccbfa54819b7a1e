use serde::Deserialize;

use crate::case::strict_json;
use crate::model::{AccountId, S3Location, Sha256Hash, Timestamp};

use super::listed_logs::{ListedLog, ListedLogs};

/// A digest file's content, parsed strictly (user guide, "CloudTrail digest file structure").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The account whose logs it lists.
    pub account: AccountId,
    /// The start of its interval of delivery.
    pub start: Timestamp,
    /// The end of its interval of delivery.
    pub end: Timestamp,
    /// `digestEndTime` as it is spelled, because that is what is signed.
    pub end_as_written: String,
    /// Where CloudTrail put it.
    pub location: S3Location,
    /// Which key signed it.
    pub key_fingerprint: String,
    /// With which algorithm.
    pub signature_algorithm: String,
    /// The digest before it; none in the first of a chain.
    pub previous: Option<Previous>,
    /// The logs it vouches for.
    pub logs: ListedLogs,
}

/// What a digest says of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Where it lies.
    pub location: S3Location,
    /// SHA-256 of its uncompressed content.
    pub sha256: Sha256Hash,
    /// Its signature, as hexadecimal, as it is spelled.
    pub signature: String,
}

/// Why content is not a digest.
#[derive(Debug, thiserror::Error)]
pub enum DigestProblem {
    /// Not JSON, a key twice, a field missing or of the wrong kind.
    #[error("it does not parse: {0}")]
    Json(#[from] serde_json::Error),
    /// Some of the five fields about the previous digest are null and some are not.
    #[error("of the five fields about the previous digest some are null and some are not")]
    HalfAPrevious,
    /// A hash algorithm other than SHA-256.
    #[error("it names the hash algorithm `{0}`; only SHA-256 is known")]
    HashAlgorithm(String),
    /// A hash that is none.
    #[error("a hash in it is not SHA-256 in hexadecimal")]
    Hash,
    /// The same log twice.
    #[error("it lists the same log twice")]
    LogTwice,
    /// It ends before it starts.
    #[error("it ends before it starts")]
    Reversed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    aws_account_id: AccountId,
    digest_start_time: Timestamp,
    digest_end_time: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    // No `default`: the fields must be there, though they may be null.
    #[serde(deserialize_with = "present")]
    previous_digest_s3_bucket: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_s3_object: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_hash_value: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_hash_algorithm: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_signature: Option<String>,
    log_files: Vec<LogFields>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogFields {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: String,
    #[serde(default)]
    newest_event_time: Option<Timestamp>,
    #[serde(default)]
    oldest_event_time: Option<Timestamp>,
}

fn sha256(algorithm: &str, value: &str) -> Result<Sha256Hash, DigestProblem> {
    if algorithm != "SHA-256" {
        return Err(DigestProblem::HashAlgorithm(crate::model::printable(algorithm)));
    }
    value.parse().map_err(|_| DigestProblem::Hash)
}

impl Digest {
    /// Parses the uncompressed content of a digest file.
    pub fn parse(content: &[u8]) -> Result<Self, DigestProblem> {
        let fields: Fields = serde_json::from_value(strict_json::parse(content)?)?;
        let end: Timestamp = fields.digest_end_time.parse().map_err(<serde_json::Error as serde::de::Error>::custom)?;
        let previous = match (
            fields.previous_digest_s3_bucket,
            fields.previous_digest_s3_object,
            fields.previous_digest_hash_value,
            fields.previous_digest_hash_algorithm,
            fields.previous_digest_signature,
        ) {
            (None, None, None, None, None) => None,
            (Some(bucket), Some(key), Some(hash), Some(algorithm), Some(signature)) => {
                Some(Previous { location: S3Location::new(bucket, key), sha256: sha256(&algorithm, &hash)?, signature })
            }
            _ => return Err(DigestProblem::HalfAPrevious),
        };
        let mut logs = Vec::with_capacity(fields.log_files.len());
        let mut seen = std::collections::HashSet::new();
        for log in fields.log_files {
            let location = S3Location::new(log.s3_bucket, log.s3_object);
            if !seen.insert(location.clone()) {
                return Err(DigestProblem::LogTwice);
            }
            logs.push(ListedLog {
                location,
                sha256: sha256(&log.hash_algorithm, &log.hash_value)?,
                oldest_event: log.oldest_event_time,
                newest_event: log.newest_event_time,
            });
        }
        if end < fields.digest_start_time {
            return Err(DigestProblem::Reversed);
        }
        Ok(Self {
            account: fields.aws_account_id,
            start: fields.digest_start_time,
            end,
            end_as_written: fields.digest_end_time,
            location: S3Location::new(fields.digest_s3_bucket, fields.digest_s3_object),
            key_fingerprint: fields.digest_public_key_fingerprint,
            signature_algorithm: fields.digest_signature_algorithm,
            previous,
            logs: logs.into_iter().collect(),
        })
    }

    /// The text that CloudTrail signs (user guide, "Digest file signature"): four lines, no newline after the last.
    #[must_use]
    pub fn signed_text(&self, content_sha256: Sha256Hash) -> String {
        let previous = self.previous.as_ref().map_or("null", |previous| previous.signature.as_str());
        let S3Location { bucket, key } = &self.location;
        format!("{}\n{bucket}/{key}\n{content_sha256}\n{previous}", self.end_as_written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample digest of the user guide's page on custom validation, cut to one log.
    pub(super) const SAMPLE: &str = r#"{"awsAccountId":"111122223333","digestStartTime":"2015-08-17T14:01:31Z","digestEndTime":"2015-08-17T15:01:31Z","digestS3Bucket":"amzn-s3-demo-bucket","digestS3Object":"AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/111122223333_CloudTrail-Digest_us-east-2_your-trail-name_us-east-2_20150817T150131Z.json.gz","digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":"2015-08-17T14:52:27Z","oldestEventTime":"2015-08-17T14:42:27Z","previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"logFiles":[{"s3Bucket":"amzn-s3-demo-bucket","s3Object":"AWSLogs/111122223333/CloudTrail/us-east-2/2015/08/17/111122223333_CloudTrail_us-east-2_20150817T1445Z_9nYN7gp2eWAJHIfT.json.gz","hashValue":"9bb6196fc6b84d6f075a56548feca262bd99ba3c2de41b618e5b6e22c1fc71f6","hashAlgorithm":"SHA-256","newestEventTime":"2015-08-17T14:52:27Z","oldestEventTime":"2015-08-17T14:42:27Z"}]}"#;

    #[test]
    fn the_documented_form_is_read() {
        let digest = Digest::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!((digest.logs.len(), digest.previous.is_none()), (1, true));
        let text = digest.signed_text(Sha256Hash::ZERO);
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!((lines.len(), lines[0], lines[3]), (4, "2015-08-17T15:01:31Z", "null"));
    }

    #[test]
    fn half_a_previous_digest_is_refused() {
        let text = SAMPLE.replace(r#""previousDigestSignature":null"#, r#""previousDigestSignature":"00""#);
        assert!(matches!(Digest::parse(text.as_bytes()), Err(DigestProblem::HalfAPrevious)));
    }

    #[test]
    fn a_field_that_is_missing_or_there_twice_is_refused() {
        for text in [
            SAMPLE.replace(r#""previousDigestSignature":null,"#, ""),
            SAMPLE.replace(r#""logFiles""#, r#""logfiles""#),
            SAMPLE.replacen('{', r#"{"awsAccountId":"444455556666","#, 1),
            SAMPLE.replacen('{', r#"{"unknown":1,"unknown":2,"#, 1),
        ] {
            assert!(matches!(Digest::parse(text.as_bytes()), Err(DigestProblem::Json(_))), "{text}");
        }
    }

    #[test]
    fn other_algorithms_and_a_log_listed_twice_are_refused() {
        let other = SAMPLE.replace(r#""hashAlgorithm":"SHA-256""#, r#""hashAlgorithm":"MD5""#);
        assert!(matches!(Digest::parse(other.as_bytes()), Err(DigestProblem::HashAlgorithm(_))));
        let (head, tail) = SAMPLE.split_once(r#""logFiles":["#).unwrap();
        let log = tail.trim_end_matches("]}");
        let twice = format!(r#"{head}"logFiles":[{log},{log}]}}"#);
        assert!(matches!(Digest::parse(twice.as_bytes()), Err(DigestProblem::LogTwice)));
    }
}
