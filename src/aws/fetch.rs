//! An object fetched whole: the very version that was listed, asked for again while its body breaks off, hashed as it comes in. A short or
//! a changed one is never given out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use md5::{Digest as _, Md5};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::case::event::{Agreement, Exchange, ObjectOrigin};
use crate::case::gap::Subject;
use crate::case::{BLOCK, BlockBuffer, CaseError, StagedFile, Staging};
use crate::model::{AccountId, PayloadPath, Region, S3Location, Sha256Hash, Timestamp};

use super::Halt;
use super::body::{Body, Held};
use super::content::{ContentHasher, Hashed, hash};
use super::exchange::ExchangeTap;
use super::failure::{Failure, FailureKind, one_line};
use super::object_answer::ObjectAnswer;
use super::pairs::Pairs;
use super::session::Session;
use super::short_way::{ExampleTap, ShortWays};

/// How often an object is asked for whose body did not come whole. The SDK repeats only what fails before the body.
const ATTEMPTS: u32 = 6;
/// The wait before the second attempt; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait for the next piece of a body.
const STALLED: Duration = Duration::from_secs(15);
/// Longest wait for a small body, or for a piece of a large one, as long as anything comes at all.
const SLOWEST: Duration = Duration::from_mins(5);
/// Objects up to this size are gathered in memory, and written together with others.
const SMALL: u64 = 512 * 1024;
/// Objects up to this size are unpacked and hashed where they came in: to hand them to another thread would take as long.
const TINY: usize = 64 * 1024;
/// A large object is written and hashed in pieces of this size, while the next one comes in.
const PIECE: usize = 512 * 1024;
/// What all bodies that are held in memory at once may come to.
const HELD: usize = 64 * 1024 * 1024;
/// The unit in which that is counted out.
const UNIT: usize = 4 * 1024;
const TOO_MUCH: &str = "more bytes came than the answer said";
const TOO_SLOW: &str = "the body came too slowly";
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
    /// Whether a listing says that it lies in an archive.
    pub archived: bool,
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
        Subject::object(&self.location, self.version.as_deref()).to_string()
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
    short_ways: ShortWays,
    /// Room for bodies in memory, by [`UNIT`].
    room: Arc<Semaphore>,
    pairs: Pairs,
    /// Memory for the pieces of large objects, while none of them needs it.
    pieces: Arc<Mutex<Vec<BlockBuffer>>>,
}

/// What came of one attempt.
enum Attempt {
    Whole(Box<Fetched>),
    /// Asking again may help.
    Broken(Failure),
    /// It will not.
    Refused(Failure),
}

/// How far asking for one object has come.
struct Asking {
    attempt: u32,
    /// Requests so far, those included that the SDK repeated.
    requests: u32,
    throttled: bool,
    /// The version that is asked for, once it is known.
    version: Option<String>,
    /// Whether it must not be named, which takes a permission of its own.
    unnamed: bool,
    /// The hash of bytes that contradicted what S3 says of them.
    contradicting: Option<Sha256Hash>,
}

impl Asking {
    /// Counts what was sent, and gives what the ledger says of it.
    fn note(&mut self, session: &Session, tap: &ExchangeTap) -> Exchange {
        session.note(tap);
        self.throttled |= tap.was_throttled();
        let exchange = tap.exchange();
        self.requests = self.requests.saturating_add(exchange.attempts);
        Exchange { attempts: self.requests, ..exchange }
    }
}

impl ObjectFetcher {
    /// A fetcher into `staging`.
    #[must_use]
    pub fn new(session: &Session, staging: Staging) -> Self {
        let room = Arc::new(Semaphore::new(HELD / UNIT));
        Self {
            session: session.clone(),
            staging,
            short_ways: ShortWays::default(),
            room,
            pairs: Pairs::default(),
            pieces: Arc::default(),
        }
    }

    /// Fetches one object whole, asking again as long as its body breaks off. It belongs at `path`.
    pub async fn fetch(
        &self,
        bucket_region: &Region,
        wanted: &Wanted,
        path: &PayloadPath,
    ) -> Result<Result<Fetched, Failure>, Halt> {
        let client = self.session.s3(bucket_region);
        let mut asking = Asking {
            attempt: 1,
            requests: 0,
            throttled: false,
            version: wanted.version.clone(),
            unnamed: false,
            contradicting: None,
        };
        let mut wait = FIRST_WAIT;
        loop {
            match self.attempt(&client, wanted, path, &mut asking).await? {
                Attempt::Whole(fetched) => {
                    self.session.answered();
                    return Ok(Ok(*fetched));
                }
                Attempt::Refused(failure) => return Ok(Err(self.session.judge(failure).await?)),
                Attempt::Broken(failure) if asking.attempt >= ATTEMPTS => {
                    return Ok(Err(self.session.judge(failure).await?));
                }
                Attempt::Broken(_) => {
                    tokio::time::sleep(wait).await;
                    asking.attempt += 1;
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
        asking: &mut Asking,
    ) -> Result<Attempt, Halt> {
        let (answer, exchange, checked) = match self.ask_shortly(wanted, asking).await {
            Some((answer, exchange)) => (answer, exchange, false),
            None => match self.ask_sdk(client, wanted, asking).await {
                Ok((answer, exchange)) => (answer, exchange, true),
                // The object may be had, and not by its version. It is the same one while its entity tag is.
                Err(failure) if failure.kind == FailureKind::Denied && asking.version != wanted.version => {
                    asking.version.clone_from(&wanted.version);
                    asking.unnamed = true;
                    return Ok(Attempt::Broken(failure));
                }
                Err(failure) => return Ok(Attempt::Refused(failure)),
            },
        };
        let request_id = answer.request_id.clone();
        let broken = |what: &str| {
            let mut failure = Failure::found(FailureKind::Network, what);
            failure.request_id.clone_from(&request_id);
            Ok(Attempt::Broken(failure))
        };
        if asking.version.is_none() && !asking.unnamed {
            asking.version = answer.version_id.clone().filter(|id| *id != "null");
        }
        let Some(length) = answer.length else { return broken("the answer does not say how long the object is") };
        if let Some(listed) = wanted.size.filter(|listed| *listed != length) {
            return broken(&format!("the object is {length} bytes long, and was listed with {listed}"));
        }
        let mut origin = answer.origin(wanted, exchange);
        let with_md5 = answer.md5().is_some();
        let (body, answer) = answer.without_body();
        let received = if length <= SMALL {
            self.receive_small(body, length, path, with_md5).await?
        } else {
            self.receive_large(body, length, path, with_md5).await?
        };
        let received = match received {
            Ok(received) if received.body.size() == length => received,
            Ok(received) => return broken(&format!("{} of {length} bytes came", received.body.size())),
            Err(what) => return broken(&what),
        };
        if !checked && !received.body.held().is_some_and(|bytes| answer.has_checksums_of(bytes)) {
            return broken("the bytes do not have the checksum that the answer names");
        }
        let sha256 = received.body.sha256();
        origin.aws_digest = answer.agreement(sha256, received.md5);
        // Not every store's entity tag is an MD5: bytes that come twice are what it holds.
        if origin.aws_digest == Agreement::Mismatch && asking.contradicting.replace(sha256) != Some(sha256) {
            return broken("the bytes are not those whose MD5 the entity tag is");
        }
        let Received { body, content_sha256, .. } = received;
        Ok(Attempt::Whole(Box::new(Fetched { body, content_sha256, origin, throttled: asking.throttled })))
    }

    /// Asks by the short way, where one is known and the object is a small one that was not asked for before.
    async fn ask_shortly(&self, wanted: &Wanted, asking: &mut Asking) -> Option<(ObjectAnswer, Exchange)> {
        if asking.attempt > 1 || asking.version.is_some() || wanted.size.is_none_or(|size| size > SMALL) {
            return None;
        }
        let bucket = &wanted.location.bucket;
        let way = self.short_ways.to(bucket)?;
        let tap = ExchangeTap::default();
        let answer = way.ask(wanted, &tap).await;
        let exchange = asking.note(&self.session, &tap);
        if answer.is_none() {
            self.short_ways.leave(bucket, &way);
        }
        Some((answer?, exchange))
    }

    /// Leaves it to the SDK to ask, and learns the short way from how it does.
    async fn ask_sdk(
        &self,
        client: &aws_sdk_s3::Client,
        wanted: &Wanted,
        asking: &mut Asking,
    ) -> Result<(ObjectAnswer, Exchange), Failure> {
        let (tap, example) = (ExchangeTap::default(), ExampleTap::default());
        let answer = client
            .get_object()
            .bucket(&wanted.location.bucket)
            .key(&wanted.location.key)
            // Whatever happens to the key meanwhile, this is the object that was listed, and every attempt gets the same one.
            .set_if_match(wanted.etag.clone())
            .set_version_id(asking.version.clone())
            .checksum_mode(ChecksumMode::Enabled)
            .customize()
            .interceptor(tap.clone())
            .interceptor(example.clone())
            .send()
            .await;
        let exchange = asking.note(&self.session, &tap);
        match answer {
            Ok(output) => {
                if let Some(example) = example.take().filter(|_| asking.version.is_none()) {
                    self.short_ways.learn(wanted, example).await;
                }
                Ok((output.into(), exchange))
            }
            Err(error) => {
                let mut failure = Failure::of(&error);
                if matches!(failure.code.as_deref(), Some("NoSuchKey" | "NoSuchVersion")) && wanted.etag.is_some() {
                    failure.kind = FailureKind::Changed;
                }
                Err(failure)
            }
        }
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
        let gathered = tokio::time::timeout(SLOWEST, gather(&mut body, length, size)).await;
        let bytes = match gathered.unwrap_or_else(|_| Err(TOO_SLOW.to_owned())) {
            Ok(bytes) => bytes,
            Err(what) => return Ok(Err(what)),
        };
        let path = path.clone();
        let received = move |(bytes, content_sha256): Hashed| {
            let md5 = with_md5.then(|| Md5::digest(bytes.bytes()).into());
            Received { body: Body::Held(Held::new(path, bytes, room)), content_sha256, md5 }
        };
        if size <= TINY {
            return self
                .pairs
                .hash(bytes)
                .await
                .map(|hashed| Ok(received(hashed)))
                .ok_or(Halt::Unexpected("a hash did not come back"));
        }
        tokio::task::spawn_blocking(move || received(hash(bytes))).await.map(Ok).map_err(Halt::from)
    }

    /// Writes and hashes the body piece by piece, while the next piece comes in.
    async fn receive_large(
        &self,
        mut body: ByteStream,
        length: u64,
        path: &PayloadPath,
        with_md5: bool,
    ) -> Result<Result<Received, String>, Halt> {
        let _room = self.room(2 * PIECE + READ).await?;
        let (mut piece, mut rest, mut came) = (self.piece(), None, 0);
        let (staging, path, spare) = (self.staging.clone(), path.clone(), self.piece());
        let mut writing: JoinHandle<Result<(Receiver, BlockBuffer), CaseError>> =
            tokio::task::spawn_blocking(move || Ok((Receiver::new(staging.stage(&path)?, with_md5), spare)));
        loop {
            let (mut ended, deadline) = (false, Instant::now() + SLOWEST);
            while !piece.is_full() && !ended {
                let next = match rest.take() {
                    Some(rest) => Ok(Some(rest)),
                    None if Instant::now() > deadline => Err(TOO_SLOW.to_owned()),
                    None => next_piece(&mut body).await.map(|next| next.map(|next| (next, 0))),
                };
                let problem = match next {
                    Ok(Some((next, from))) => {
                        let bytes = next.as_ref();
                        let taken = piece.fill(bytes.get(from..).unwrap_or_default());
                        came += u64::try_from(taken).unwrap_or(u64::MAX);
                        rest = (from + taken < bytes.len()).then_some((next, from + taken));
                        // A body that runs on past its length is not written.
                        (came > length).then(|| TOO_MUCH.to_owned())
                    }
                    Ok(None) => {
                        ended = true;
                        None
                    }
                    Err(what) => Some(what),
                };
                if let Some(what) = problem {
                    // Whatever was going wrong with the disk says more.
                    writing.await??;
                    return Ok(Err(what));
                }
            }
            let (mut receiver, spare) = writing.await??;
            let mut full = std::mem::replace(&mut piece, spare);
            writing = tokio::task::spawn_blocking(move || {
                receiver.take(full.bytes())?;
                full.clear();
                Ok((receiver, full))
            });
            if ended {
                let (receiver, spare) = writing.await??;
                self.pieces.lock().unwrap_or_else(PoisonError::into_inner).extend([piece, spare]);
                return Ok(Ok(receiver.finish()));
            }
        }
    }

    /// Memory for a piece of a large object.
    fn piece(&self) -> BlockBuffer {
        let kept = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| BlockBuffer::new(PIECE / BLOCK))
    }

    /// Waits until so many bytes may be held.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Halt> {
        let units = u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(units).await.map_err(|_| Halt::Closed)
    }
}

/// Gathers a body that is `length` bytes long.
async fn gather(body: &mut ByteStream, length: u64, capacity: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(capacity);
    while let Some(piece) = next_piece(body).await? {
        bytes.extend_from_slice(piece.as_ref());
        // A body that runs on past its length is not gathered.
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > length {
            return Err(TOO_MUCH.to_owned());
        }
    }
    Ok(bytes)
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
