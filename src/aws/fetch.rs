use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use base64::Engine as _;
use md5::{Digest as _, Md5};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::case::event::{Agreement, ObjectOrigin};
use crate::case::{CaseError, StagedFile, Staging};
use crate::model::{AccountId, PayloadPath, Region, S3Location, Sha256Hash, Timestamp, printable};

use super::Halt;
use super::body::{Body, Held};
use super::content::{ContentHasher, content_hash};
use super::exchange::ExchangeTap;
use super::failure::{Failure, FailureKind, one_line};
use super::objects::timestamp;
use super::session::Session;

/// How often an object is asked for whose body did not come whole. The SDK repeats only what fails before the body.
const ATTEMPTS: u32 = 6;
/// The wait before the second attempt; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait for the next piece of a body.
const STALLED: Duration = Duration::from_secs(15);
/// Objects up to this size are gathered in memory, and written together with others.
const SMALL: u64 = 512 * 1024;
/// Objects up to this size are unpacked and hashed where they came in: to hand them to another thread would take as long.
const TINY: usize = 64 * 1024;
/// A large object is written and hashed in pieces of this size, while the next one comes in.
const PIECE: usize = 256 * 1024;
/// What all bodies that are held in memory at once may come to.
const HELD: usize = 64 * 1024 * 1024;
/// The unit in which that is counted out.
const UNIT: usize = 4 * 1024;
/// Most that one read from the wire brings, by which a piece may be larger.
const READ: usize = 512 * 1024;

/// An object to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The evidence source that wants it.
    pub source: &'static str,
    /// The account whose evidence it is.
    pub account: Option<AccountId>,
    /// The region whose evidence it is.
    pub region: Option<Region>,
    /// Where it lies.
    pub location: S3Location,
    /// The size that a listing named.
    pub size: Option<u64>,
    /// The entity tag that a listing named, as S3 wrote it.
    pub etag: Option<String>,
    /// When a listing says that it was written.
    pub last_modified: Option<Timestamp>,
    /// The version wanted, where it is an earlier one.
    pub version: Option<String>,
    /// Whether it may as well not be there.
    pub optional: bool,
}

impl Wanted {
    /// Where it belongs in a case.
    #[must_use]
    pub fn path(&self) -> PayloadPath {
        match &self.version {
            None => PayloadPath::for_object(&self.location),
            Some(version) => PayloadPath::for_version(&self.location, version),
        }
    }

    /// What it is called where it cannot be had.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.version {
            None => self.location.to_string(),
            Some(version) => format!("{} version {}", self.location, printable(version)),
        }
    }
}

/// A fetched object, whole and hashed.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes.
    pub body: Body,
    /// SHA-256 of what it unpacks to, where it is one whole gzip member.
    pub content_sha256: Option<Sha256Hash>,
    /// Everything S3 says of it.
    pub origin: ObjectOrigin,
    /// Whether AWS asked for fewer requests meanwhile.
    pub throttled: bool,
}

/// Fetches objects, the large ones into the staging area of a case.
#[derive(Clone, Debug)]
pub struct ObjectFetcher {
    session: Session,
    staging: Staging,
    /// Room for bodies in memory, by [`UNIT`].
    room: Arc<Semaphore>,
}

/// What came of one attempt.
enum Attempt {
    Whole(Box<Fetched>),
    /// Asking again may help.
    Broken(Failure),
    /// It will not.
    Refused(Failure),
}

impl ObjectFetcher {
    /// A fetcher into `staging`.
    #[must_use]
    pub fn new(session: &Session, staging: Staging) -> Self {
        Self { session: session.clone(), staging, room: Arc::new(Semaphore::new(HELD / UNIT)) }
    }

    /// Fetches one object whole, asking again as long as its body breaks off. It belongs at `path`.
    pub async fn fetch(
        &self,
        bucket_region: &Region,
        wanted: &Wanted,
        path: &PayloadPath,
    ) -> Result<Result<Fetched, Failure>, Halt> {
        let client = self.session.s3(bucket_region);
        let (mut attempt, mut wait, mut requests, mut version) = (1, FIRST_WAIT, 0, wanted.version.clone());
        loop {
            match self.attempt(&client, wanted, path, &mut requests, &mut version).await? {
                Attempt::Whole(fetched) => {
                    self.session.answered();
                    return Ok(Ok(*fetched));
                }
                Attempt::Refused(failure) => return Ok(Err(self.session.judge(failure).await?)),
                Attempt::Broken(failure) if attempt >= ATTEMPTS => return Ok(Err(self.session.judge(failure).await?)),
                Attempt::Broken(_) => {
                    tokio::time::sleep(wait).await;
                    attempt += 1;
                    wait *= 2;
                }
            }
        }
    }

    async fn attempt(
        &self,
        client: &aws_sdk_s3::Client,
        wanted: &Wanted,
        path: &PayloadPath,
        requests: &mut u32,
        version: &mut Option<String>,
    ) -> Result<Attempt, Halt> {
        let tap = ExchangeTap::default();
        let answer = client
            .get_object()
            .bucket(&wanted.location.bucket)
            .key(&wanted.location.key)
            // Whatever happens to the key meanwhile, this is the object that was listed, and every attempt gets the same one.
            .set_if_match(wanted.etag.clone())
            .set_version_id(version.clone())
            .checksum_mode(ChecksumMode::Enabled)
            .customize()
            .interceptor(tap.clone())
            .send()
            .await;
        self.session.note(&tap);
        let throttled = tap.was_throttled();
        let mut exchange = tap.exchange();
        *requests = requests.saturating_add(exchange.attempts);
        exchange.attempts = *requests;
        let mut output = match answer {
            Ok(output) => output,
            Err(error) => {
                let mut failure = Failure::of(&error);
                if matches!(failure.code.as_deref(), Some("NoSuchKey" | "NoSuchVersion")) && wanted.etag.is_some() {
                    failure.kind = FailureKind::Changed;
                }
                return Ok(Attempt::Refused(failure));
            }
        };
        if version.is_none() {
            *version = output.version_id().filter(|id| *id != "null").map(str::to_owned);
        }
        let Some(length) = output.content_length().and_then(|length| u64::try_from(length).ok()) else {
            return Ok(Attempt::Broken(broken("the answer does not say how long the object is", &output)));
        };
        if wanted.size.is_some_and(|listed| listed != length) {
            let listed = wanted.size.unwrap_or_default();
            let what = format!("the object is {length} bytes long, and was listed with {listed}");
            return Ok(Attempt::Broken(broken(&what, &output)));
        }
        let mut origin = origin(wanted, &output);
        origin.exchange = exchange;
        let body = std::mem::take(&mut output.body);
        let with_md5 = comparable_etag(&origin, &output).is_some();
        let received = if length <= SMALL {
            self.receive_small(body, length, path, with_md5).await?
        } else {
            self.receive_large(body, path, with_md5).await?
        };
        let received = match received {
            Ok(received) if received.body.size() == length => received,
            Ok(received) => {
                let what = format!("{} of {length} bytes came", received.body.size());
                return Ok(Attempt::Broken(broken(&what, &output)));
            }
            Err(what) => return Ok(Attempt::Broken(broken(&what, &output))),
        };
        origin.aws_digest = agreement(&origin, &output, received.body.sha256(), received.md5);
        let Received { body, content_sha256, .. } = received;
        Ok(Attempt::Whole(Box::new(Fetched { body, content_sha256, origin, throttled })))
    }

    /// Gathers the body in memory and hashes it.
    async fn receive_small(
        &self,
        mut body: ByteStream,
        length: u64,
        path: &PayloadPath,
        with_md5: bool,
    ) -> Result<Result<Received, String>, Halt> {
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        let room = self.room(size).await?;
        let mut bytes = Vec::with_capacity(size);
        loop {
            match next_piece(&mut body).await {
                Ok(Some(piece)) => bytes.extend_from_slice(piece.as_ref()),
                Ok(None) => break,
                Err(what) => return Ok(Err(what)),
            }
            // A body that runs on past its length is not gathered.
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > length {
                return Ok(Err("more bytes came than the answer said".to_owned()));
            }
        }
        let path = path.clone();
        let hash = move || {
            let (content_sha256, md5) = (content_hash(&bytes), with_md5.then(|| Md5::digest(&bytes).into()));
            let held = Held::new(path, bytes, room);
            Received { body: Body::Held(held), content_sha256, md5 }
        };
        if size <= TINY {
            return Ok(Ok(hash()));
        }
        tokio::task::spawn_blocking(hash).await.map(Ok).map_err(|_| Halt::TaskLost)
    }

    /// Writes and hashes the body piece by piece, while the next piece comes in. What comes in is not copied together.
    async fn receive_large(
        &self,
        mut body: ByteStream,
        path: &PayloadPath,
        with_md5: bool,
    ) -> Result<Result<Received, String>, Halt> {
        let _room = self.room(2 * (PIECE + READ)).await?;
        let (staging, path) = (self.staging.clone(), path.clone());
        let mut writing: JoinHandle<Result<Receiver, CaseError>> =
            tokio::task::spawn_blocking(move || Ok(Receiver::new(staging.stage(&path)?, with_md5)));
        loop {
            let (mut piece, mut length, mut ended) = (Vec::new(), 0, false);
            while length < PIECE && !ended {
                match next_piece(&mut body).await {
                    Ok(Some(more)) => {
                        length += more.as_ref().len();
                        piece.push(more);
                    }
                    Ok(None) => ended = true,
                    Err(what) => {
                        // Whatever was going wrong with the disk says more.
                        writing.await.map_err(|_| Halt::TaskLost)??;
                        return Ok(Err(what));
                    }
                }
            }
            let mut receiver = writing.await.map_err(|_| Halt::TaskLost)??;
            writing = tokio::task::spawn_blocking(move || {
                for part in &piece {
                    receiver.take(part.as_ref())?;
                }
                Ok(receiver)
            });
            if ended {
                return Ok(Ok(writing.await.map_err(|_| Halt::TaskLost)??.finish()));
            }
        }
    }

    /// Waits until so many bytes may be held.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Halt> {
        let units = u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| Halt::Closed)
    }
}

async fn next_piece(body: &mut ByteStream) -> Result<Option<impl AsRef<[u8]> + use<>>, String> {
    match tokio::time::timeout(STALLED, body.try_next()).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => {
            let (mut last, mut next) = (error.to_string(), std::error::Error::source(&error));
            while let Some(error) = next {
                last = error.to_string();
                next = error.source();
            }
            Err(format!("the body broke off: {}", one_line(&last)))
        }
        Err(_) => Err("the body stalled".to_owned()),
    }
}

fn broken(what: &str, output: &GetObjectOutput) -> Failure {
    let mut failure = Failure::found(FailureKind::Network, what);
    failure.request_id = output.request_id().map(str::to_owned);
    failure
}

/// Writes and hashes a large body, whatever it comes in.
struct Receiver {
    file: StagedFile,
    content: ContentHasher,
    /// Only where it will be compared: it costs more than everything else here.
    md5: Option<Md5>,
}

struct Received {
    body: Body,
    content_sha256: Option<Sha256Hash>,
    md5: Option<[u8; 16]>,
}

impl Receiver {
    fn new(file: StagedFile, with_md5: bool) -> Self {
        Self { file, content: ContentHasher::new(), md5: with_md5.then(Md5::new) }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), CaseError> {
        self.file.write(piece)?;
        self.content.update(piece);
        if let Some(md5) = &mut self.md5 {
            md5.update(piece);
        }
        Ok(())
    }

    fn finish(self) -> Received {
        let content_sha256 = self.content.finish();
        let body = Body::Staged(self.file.finish());
        Received { body, content_sha256, md5: self.md5.map(|md5| md5.finalize().into()) }
    }
}

fn origin(wanted: &Wanted, output: &GetObjectOutput) -> ObjectOrigin {
    let checksums = [
        ("crc32", output.checksum_crc32()),
        ("crc32c", output.checksum_crc32_c()),
        ("crc64nvme", output.checksum_crc64_nvme()),
        ("sha1", output.checksum_sha1()),
        ("sha256", output.checksum_sha256()),
    ];
    let text = |value: Option<&str>| value.map(str::to_owned);
    ObjectOrigin {
        source: wanted.source.to_owned(),
        account: wanted.account,
        region: wanted.region.clone(),
        bucket: wanted.location.bucket.clone(),
        key: wanted.location.key.clone(),
        version_id: text(output.version_id()),
        etag: output.e_tag().map(|etag| etag.trim_matches('"').to_owned()),
        checksums: checksums.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect(),
        last_modified: output.last_modified().and_then(timestamp),
        storage_class: output.storage_class().map(|class| class.as_str().to_owned()).filter(|class| class != "STANDARD"),
        encryption: output.server_side_encryption().map(|encryption| encryption.as_str().to_owned()),
        kms_key_id: text(output.ssekms_key_id()),
        content_type: text(output.content_type()),
        content_encoding: text(output.content_encoding()),
        metadata: output.metadata().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect(),
        aws_digest: Agreement::Absent,
        exchange: crate::case::event::Exchange::default(),
    }
}

/// Whether a digest that AWS holds for the object agrees with the bytes received.
///
/// The SDK checks a whole-object checksum while the body passes, so one that is named has been met. Where there is none, the entity
/// tag of an object that was put in one piece and not encrypted under a KMS or customer key is its MD5.
fn agreement(origin: &ObjectOrigin, output: &GetObjectOutput, sha256: Sha256Hash, md5: Option<[u8; 16]>) -> Agreement {
    let whole = |value: &String| !value.contains('-');
    if let Some(named) = origin.checksums.get("sha256").filter(|value| whole(value)) {
        let ours = base64::engine::general_purpose::STANDARD.encode(sha256.as_bytes());
        return if *named == ours { Agreement::Match } else { Agreement::Mismatch };
    }
    if origin.checksums.values().any(whole) {
        return Agreement::Match;
    }
    match (comparable_etag(origin, output), md5) {
        (Some(etag), Some(md5)) if etag.eq_ignore_ascii_case(&hex::encode(md5)) => Agreement::Match,
        (Some(_), Some(_)) => Agreement::Mismatch,
        _ if origin.etag.is_none() && origin.checksums.is_empty() => Agreement::Absent,
        _ => Agreement::NotComparable,
    }
}

/// The entity tag, where it is the MD5 of the object and no checksum says more.
fn comparable_etag<'a>(origin: &'a ObjectOrigin, output: &GetObjectOutput) -> Option<&'a str> {
    let keyed =
        matches!(output.server_side_encryption(), Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse))
            || output.sse_customer_algorithm().is_some();
    let is_md5 = |etag: &&str| etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let checked = origin.checksums.values().any(|value| !value.contains('-'));
    origin.etag.as_deref().filter(is_md5).filter(|_| !keyed && !checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "every test makes its own")]
    fn judged(output: GetObjectOutput) -> Agreement {
        let wanted = Wanted {
            source: "cloudtrail",
            account: None,
            region: None,
            location: S3Location::new("example-logs", "a"),
            size: None,
            etag: None,
            last_modified: None,
            version: None,
            optional: false,
        };
        agreement(&origin(&wanted, &output), &output, Sha256Hash::of(b"abc"), Some(Md5::digest(b"abc").into()))
    }

    /// MD5 of "abc" (RFC 1321, A.5).
    const ABC: &str = "\"900150983cd24fb0d6963f7d28e17f72\"";

    #[test]
    fn an_entity_tag_of_one_piece_is_compared() {
        assert_eq!(judged(GetObjectOutput::builder().e_tag(ABC).build()), Agreement::Match);
        assert_eq!(
            judged(GetObjectOutput::builder().e_tag("\"000150983cd24fb0d6963f7d28e17f72\"").build()),
            Agreement::Mismatch
        );
    }

    #[test]
    fn entity_tags_of_parts_and_of_kms_objects_are_not_comparable() {
        assert_eq!(
            judged(GetObjectOutput::builder().e_tag("\"900150983cd24fb0d6963f7d28e17f72-3\"").build()),
            Agreement::NotComparable
        );
        let kms = GetObjectOutput::builder().e_tag(ABC).server_side_encryption(ServerSideEncryption::AwsKms);
        assert_eq!(judged(kms.build()), Agreement::NotComparable);
    }

    #[test]
    fn a_whole_sha256_outranks_the_entity_tag() {
        let named = base64::engine::general_purpose::STANDARD.encode(Sha256Hash::of(b"abc").as_bytes());
        assert_eq!(judged(GetObjectOutput::builder().checksum_sha256(named).e_tag("\"x\"").build()), Agreement::Match);
        assert_eq!(judged(GetObjectOutput::builder().checksum_sha256("AAAA").build()), Agreement::Mismatch);
        assert_eq!(judged(GetObjectOutput::builder().checksum_sha256("AAAA-2").build()), Agreement::NotComparable);
    }

    #[test]
    fn nothing_named_is_absent() {
        assert_eq!(judged(GetObjectOutput::builder().build()), Agreement::Absent);
    }
}
