//! What somebody with rights to the bucket, or a copy of the case, can do.

use std::io::Write as _;

use caselock::model::S3Location;
use caselock::sim::{TRAIL_BUCKET, TRAIL_NAME, Upload};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::memory_case::{Collection, HOME};

/// One gzip member.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    gzip_at(content, 6)
}

pub(crate) fn gzip_at(content: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A time in the way CloudTrail writes it.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn written(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Collection {
    pub(crate) fn delete(&self, location: &S3Location) {
        assert!(self.account.objects().delete(&location.bucket, &location.key), "{location}");
    }

    /// Removes every version.
    pub(crate) fn erase(&self, location: &S3Location) {
        assert!(self.account.objects().erase(&location.bucket, &location.key), "{location}");
    }

    /// Stores other bytes over an object, keeping what it says of itself, as a client can.
    pub(crate) fn overwrite(&self, location: &S3Location, body: Vec<u8>) {
        let like = self.object(location).unwrap();
        let upload = Upload { at: Some(at("2026-03-02T11:59:00Z")), ..Upload::like(&like, body) };
        self.account.objects().put_new_version(&location.bucket, &location.key, upload).unwrap();
    }

    /// Overwrites an object with other content, compressed.
    pub(crate) fn rewrite(&self, location: &S3Location, content: &[u8]) {
        self.overwrite(location, gzip(content));
    }

    pub(crate) fn edit(&self, location: &S3Location, from: &str, to: &str) {
        let content = String::from_utf8(self.content(location)).unwrap();
        assert!(content.contains(from), "{from} is not in {content}");
        self.rewrite(location, content.replacen(from, to, 1).as_bytes());
    }

    pub(crate) fn append(&self, location: &S3Location, more: &[u8]) {
        self.overwrite(location, [&self.object(location).unwrap().body[..], more].concat());
    }

    pub(crate) fn cut(&self, location: &S3Location, bytes: usize) {
        let body = self.object(location).unwrap().body;
        self.overwrite(location, body[..body.len() - bytes].to_vec());
    }

    /// Changes an object's user metadata.
    pub(crate) fn metadata(&self, location: &S3Location, name: &str, value: Option<&str>) {
        let changed = self.account.objects().change(&location.bucket, &location.key, |object| {
            match value {
                Some(value) => object.metadata.insert(name.to_owned(), value.to_owned()),
                None => object.metadata.remove(name),
            };
        });
        assert!(changed);
    }

    /// Puts one object over another, metadata and all.
    pub(crate) fn copy(&self, from: &S3Location, to: &S3Location) {
        let object = self.object(from).unwrap();
        let body = object.body.clone();
        self.account.objects().put_new_version(&to.bucket, &to.key, Upload::like(&object, body)).unwrap();
    }

    /// Stores an object of one's own, while digests of its time were still to come.
    pub(crate) fn plant(&self, key: &str, body: Vec<u8>) -> S3Location {
        self.plant_at(key, body, "2026-03-02T09:30:00Z")
    }

    pub(crate) fn plant_at(&self, key: &str, body: Vec<u8>, time: &str) -> S3Location {
        let upload = Upload { at: Some(at(time)), ..Upload::new(body) };
        self.account.objects().put_new_version(TRAIL_BUCKET, key, upload).unwrap();
        S3Location::new(TRAIL_BUCKET, key)
    }

    /// Signs a digest as AWS alone can, and stores it where it says it lies, a new version if there is one.
    pub(crate) fn publish(&self, region: &str, document: &[u8], generated: Option<&str>) -> S3Location {
        let signature = self.account.sign_digest(region, document).unwrap();
        let fields: Value = serde_json::from_slice(document).unwrap();
        let location = S3Location::new(fields["digestS3Bucket"].as_str().unwrap(), fields["digestS3Object"].as_str().unwrap());
        let mut metadata = vec![("signature", signature.as_str()), ("signature-algorithm", "SHA256withRSA")];
        metadata.extend(generated.map(|time| ("backfill-generation-timestamp", time)));
        let delivered = at(fields["digestEndTime"].as_str().unwrap()) + chrono::TimeDelta::minutes(26);
        let upload = Upload {
            metadata: metadata.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            at: Some(delivered),
            ..Upload::new(gzip(document))
        };
        self.account.objects().put_new_version(&location.bucket, &location.key, upload).unwrap();
        location
    }

    /// Changes a digest and signs it anew, as AWS alone can.
    pub(crate) fn resign(&self, region: &str, location: &S3Location, change: impl FnOnce(&mut Value)) {
        let mut document = self.document(location);
        change(&mut document);
        self.publish(region, &serde_json::to_vec(&document).unwrap(), None);
    }

    /// Publishes changed copies of a region's digests from number `first` on, each linked to the one before it.
    ///
    /// The first keeps the link it has. `change` is given the number and the document.
    pub(crate) fn rechain(&self, region: &str, first: usize, mut change: impl FnMut(usize, &mut Value)) -> Vec<S3Location> {
        let mut published: Vec<S3Location> = Vec::new();
        let originals: Vec<Value> = self.digests(region).iter().skip(first).map(|location| self.document(location)).collect();
        for (number, mut document) in (first..).zip(originals) {
            if let Some(previous) = published.last() {
                let content = self.content(previous);
                let signature = self.object(previous).unwrap().metadata["signature"].clone();
                document["previousDigestS3Bucket"] = json!(previous.bucket);
                document["previousDigestS3Object"] = json!(previous.key);
                document["previousDigestHashValue"] = json!(caselock::model::Sha256Hash::of(&content).to_string());
                document["previousDigestHashAlgorithm"] = json!("SHA-256");
                document["previousDigestSignature"] = json!(signature);
            }
            change(number, &mut document);
            published.push(self.publish(region, &serde_json::to_vec(&document).unwrap(), None));
        }
        published
    }

    /// Puts data events that tell of deletions into a log, and signs the digests from there on anew, as AWS alone can.
    pub(crate) fn plant_proven_deletions(&self, gone: &[S3Location]) {
        let teller = self.log(HOME, 8);
        let deletion = |location: &S3Location| {
            json!({"eventName": "DeleteObject", "eventSource": "s3.amazonaws.com", "eventTime": "2026-03-02T09:30:00Z",
                "awsRegion": HOME, "eventID": "99999999-2222-3333-4444-555555555555", "sourceIPAddress": "203.0.113.77",
                "userIdentity": {"arn": "arn:aws:iam::111122223333:user/contractor"},
                "requestParameters": {"bucketName": location.bucket, "key": location.key}})
        };
        let records: Vec<Value> = gone.iter().map(deletion).collect();
        let content = json!({"Records": records}).to_string();
        assert!(self.account.objects().put(&teller.bucket, &teller.key, gzip(content.as_bytes())));
        let hash = caselock::model::Sha256Hash::of(content.as_bytes()).to_string();
        self.rechain(HOME, 8, |number, document| {
            if number == 8 {
                document["logFiles"][0]["hashValue"] = json!(hash);
            }
        });
    }

    /// What AWS's event history tells about the trail.
    pub(crate) fn history(&mut self, events: &[(&str, &str, Value)]) {
        let shown: Vec<Value> = events
            .iter()
            .map(|(name, time, parameters)| {
                let mut parameters = parameters.clone();
                parameters["name"] = json!(TRAIL_NAME);
                let record = json!({"eventName": name, "eventTime": time, "eventSource": "cloudtrail.amazonaws.com", "awsRegion": HOME,
                    "eventID": "11111111-2222-3333-4444-555555555555", "sourceIPAddress": "203.0.113.77",
                    "userIdentity": {"arn": "arn:aws:iam::111122223333:user/contractor"}, "requestParameters": parameters});
                json!({"EventName": name, "CloudTrailEvent": record.to_string()})
            })
            .collect();
        self.answer("LookupEvents", HOME, &[("EventName", "StopLogging")], json!({"Events": shown}));
    }

    /// The end of a digest's interval.
    pub(crate) fn ends(&self, location: &S3Location) -> DateTime<Utc> {
        at(self.document(location)["digestEndTime"].as_str().unwrap())
    }

    /// A time so many minutes after a digest's end, as events are dated.
    pub(crate) fn after(&self, location: &S3Location, minutes: i64) -> String {
        written(self.ends(location) + chrono::TimeDelta::minutes(minutes))
    }
}

/// Makes a document the first of a chain.
pub(crate) fn unlink(document: &mut Value) {
    for field in ["S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature"] {
        document[format!("previousDigest{field}")] = Value::Null;
    }
}
