//! What a digest says, and the text that its signature is over. Whether that is true is decided chain by chain, in `chain`.

mod fields;

use std::collections::HashSet;

use crate::model::{AccountId, S3Location, Sha256Hash, Timestamp};

use self::fields::{Fields, Logs, required};
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

fn sha256(algorithm: &str, value: &str) -> Result<Sha256Hash, DigestProblem> {
    if algorithm != "SHA-256" {
        return Err(DigestProblem::HashAlgorithm(crate::model::printable(algorithm)));
    }
    value.parse().map_err(|_| DigestProblem::Hash)
}

impl Digest {
    /// Parses the uncompressed content of a digest file.
    pub fn parse(content: &[u8]) -> Result<Self, DigestProblem> {
        let fields: Fields = serde_json::from_slice(content)?;
        let account = required(fields.aws_account_id, "awsAccountId")?;
        let start = required(fields.digest_start_time, "digestStartTime")?;
        let end_as_written = required(fields.digest_end_time, "digestEndTime")?;
        let bucket = required(fields.digest_s3_bucket, "digestS3Bucket")?;
        let object = required(fields.digest_s3_object, "digestS3Object")?;
        let key_fingerprint = required(fields.digest_public_key_fingerprint, "digestPublicKeyFingerprint")?;
        let signature_algorithm = required(fields.digest_signature_algorithm, "digestSignatureAlgorithm")?;
        let previous = (
            required(fields.previous_digest_s3_bucket, "previousDigestS3Bucket")?,
            required(fields.previous_digest_s3_object, "previousDigestS3Object")?,
            required(fields.previous_digest_hash_value, "previousDigestHashValue")?,
            required(fields.previous_digest_hash_algorithm, "previousDigestHashAlgorithm")?,
            required(fields.previous_digest_signature, "previousDigestSignature")?,
        );
        let Logs { listed, problem } = required(fields.log_files, "logFiles")?;
        let end: Timestamp = end_as_written.parse().map_err(<serde_json::Error as serde::de::Error>::custom)?;
        let previous = match previous {
            (None, None, None, None, None) => None,
            (Some(bucket), Some(key), Some(hash), Some(algorithm), Some(signature)) => {
                Some(Previous { location: S3Location::new(bucket, key), sha256: sha256(&algorithm, &hash)?, signature })
            }
            _ => return Err(DigestProblem::HalfAPrevious),
        };
        let mut seen = HashSet::with_capacity(listed.len());
        let listed_once = listed.iter().all(|log| seen.insert(&log.location));
        match problem {
            _ if !listed_once => return Err(DigestProblem::LogTwice),
            Some((location, _)) if seen.contains(&location) => return Err(DigestProblem::LogTwice),
            Some((_, problem)) => return Err(problem),
            None => drop(seen),
        }
        if end < start {
            return Err(DigestProblem::Reversed);
        }
        Ok(Self {
            account,
            start,
            end,
            end_as_written,
            location: S3Location::new(bucket, object),
            key_fingerprint,
            signature_algorithm,
            previous,
            logs: listed.into_iter().collect(),
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
            SAMPLE.replacen('{', r#"{"unknown":[{"a":1,"b":{"c":1,"c":1}}],"#, 1),
            SAMPLE.replacen('{', r#"{"unknown":1,"unkn\u006fwn":2,"#, 1),
            SAMPLE.replacen('{', r#"{"awsAcc\u006funtId":"111122223333","#, 1),
            SAMPLE.replace(r#""logFiles":[{"#, r#""logFiles":[{"s3Bucket":"amzn-s3-demo-bucket","#),
            SAMPLE.replace(r#""logFiles":[{"#, r#""logFiles":[{"size":1,"size":1,"#),
            SAMPLE.replace(r#""logFiles":[{"#, r#""logFiles":[{"s3Object":"x"},{"#),
            SAMPLE.replace(r#""logFiles":[{"#, r#""logFiles":[{"unknown":"\ud800","#),
            format!("{SAMPLE} {SAMPLE}"),
            format!("[{SAMPLE}]"),
            SAMPLE.replacen('{', &format!(r#"{{"deep":{}{},"#, "[".repeat(200), "]".repeat(200)), 1),
        ] {
            assert!(matches!(Digest::parse(text.as_bytes()), Err(DigestProblem::Json(_))), "{text}");
        }
    }

    #[test]
    fn what_aws_may_add_is_passed_over() {
        let more = r#"{"more":{"a":[1,-2,3.5,true,null,"x",{"b":{},"c":[]}]},"evenMore":null,"#;
        let text = SAMPLE.replacen('{', more, 1).replace(r#""logFiles":[{"#, r#""logFiles":[{"size":{"bytes":7},"#);
        assert_eq!(Digest::parse(text.as_bytes()).unwrap(), Digest::parse(SAMPLE.as_bytes()).unwrap());
        let without_times = SAMPLE.replace(r#","oldestEventTime":"2015-08-17T14:42:27Z"}]"#, "}]");
        assert_ne!(without_times, SAMPLE);
        let null_time = SAMPLE.replace(r#""oldestEventTime":"2015-08-17T14:42:27Z"}]"#, r#""oldestEventTime":null}]"#);
        assert_eq!(Digest::parse(without_times.as_bytes()).unwrap(), Digest::parse(null_time.as_bytes()).unwrap());
    }

    /// Thousands of keys stand in no digest of AWS's, and remembering all of them takes many times the room they have in the file.
    #[test]
    fn more_keys_than_any_object_has_are_refused() {
        let keys = |count: u32| (0..count).map(|key| format!(r#""{key}":0"#)).collect::<Vec<_>>().join(",");
        let with = |count| SAMPLE.replacen('{', &format!("{{\"unknown\":{{{}}},", keys(count)), 1);
        assert!(Digest::parse(with(1000).as_bytes()).is_ok());
        assert!(matches!(Digest::parse(with(2000).as_bytes()), Err(DigestProblem::Json(_))));
    }

    #[test]
    fn of_two_defects_in_the_list_of_logs_the_first_is_told() {
        let (head, tail) = SAMPLE.split_once(r#""logFiles":["#).unwrap();
        let log = tail.trim_end_matches("]}");
        let (other, later) = (log.replace("SHA-256", "MD5"), log.replace("1445Z", "1450Z"));
        let parse = |logs: [&str; 3]| Digest::parse(format!(r#"{head}"logFiles":[{}]}}"#, logs.join(",")).as_bytes());
        assert!(matches!(parse([log, log, &other]), Err(DigestProblem::LogTwice)));
        assert!(matches!(parse([log, &other, log]), Err(DigestProblem::LogTwice)));
        assert!(matches!(parse([&other, log, log]), Err(DigestProblem::HashAlgorithm(_))));
        assert!(matches!(
            parse([log, &later, &later.replace("SHA-256", "MD5").replace("1450Z", "1455Z")]),
            Err(DigestProblem::HashAlgorithm(_))
        ));
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
