//! What the ledger can say: one type an event (docs/case-format.md, "The ledger").

mod closing;
mod listing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, PayloadPath, Region, Sha256Hash, Timestamp, Window};

use super::configuration::Configuration;
use super::custody::{CustodyReceived, CustodyTransferred};
use super::gap::Subject;
use super::identity::Scope;

pub use closing::{CaseSealed, Encrypted, KeyComparison, PackageCreated, VerificationRecorded};
pub use listing::Listing;

/// One act, as the ledger records it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// The case folder was made.
    #[serde(rename = "case.opened")]
    CaseOpened(CaseOpened),
    /// A run of `collect` began.
    #[serde(rename = "collection.started")]
    CollectionStarted(Box<CollectionStarted>),
    /// The objects under a prefix were listed.
    #[serde(rename = "listing.recorded")]
    ListingRecorded(Listing),
    /// An artifact is on disk, durably.
    #[serde(rename = "artifact.acquired")]
    ArtifactAcquired(Box<Artifact>),
    /// Something in scope is not there.
    #[serde(rename = "gap.recorded")]
    GapRecorded(Gap),
    /// A run of `collect` came to its end.
    #[serde(rename = "collection.finished")]
    CollectionFinished(CollectionFinished),
    /// An earlier run of `collect` did not come to its end.
    #[serde(rename = "collection.interrupted")]
    CollectionInterrupted(CollectionInterrupted),
    /// The ledger's last line had been cut short by a crash.
    #[serde(rename = "ledger.recovered")]
    LedgerRecovered(LedgerRecovered),
    /// The case was verified.
    #[serde(rename = "verification.recorded")]
    VerificationRecorded(VerificationRecorded),
    /// The case was sealed; the last line that the seal covers.
    #[serde(rename = "case.sealed")]
    CaseSealed(CaseSealed),
    /// A package was written.
    #[serde(rename = "package.created")]
    PackageCreated(PackageCreated),
    /// The case was released to another holder.
    #[serde(rename = "custody.transferred")]
    CustodyTransferred(Box<CustodyTransferred>),
    /// The case was received from another holder, and verified by the one who received it.
    #[serde(rename = "custody.received")]
    CustodyReceived(Box<CustodyReceived>),
    /// An event of a later caselock.
    #[serde(other, rename = "unknown")]
    Unknown,
}

/// Which program wrote a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `caselock`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the program file, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hash>,
}

/// `case.opened`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseOpened {
    /// Version of the case format.
    pub format_version: u32,
    /// As in `case.toml`.
    pub case_number: String,
    /// SHA-256 of `custody/case.toml`.
    pub case_toml_sha256: Sha256Hash,
    /// The program.
    pub tool: Tool,
}

/// Who AWS says is asking (`sts:GetCallerIdentity`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The account of the credentials.
    pub account: AccountId,
    /// The principal.
    pub arn: String,
    /// Its unique id.
    pub user_id: String,
    /// The id (never the secret) of the access key used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
}

/// How this machine's clock compares with AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// AWS's clock minus this machine's, in milliseconds.
    pub offset_milliseconds: i64,
    /// How far the offset may be wrong either way: half the round trip, and the second that `Date` is rounded to.
    pub uncertainty_milliseconds: i64,
    /// How many answers it was taken from.
    pub samples: u32,
}

/// `collection.started`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionStarted {
    /// 1 for the first run of this case.
    pub run: u32,
    /// The program.
    pub tool: Tool,
    /// The machine's name.
    pub host: String,
    /// The operating system and its release.
    pub system: String,
    /// The user of the operating system.
    pub os_user: String,
    /// The command line, secrets removed.
    pub command_line: Vec<String>,
    /// Settings that came from a file instead, where any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Who AWS says is asking.
    pub caller: Caller,
    /// The other identities of the run, where several roles were assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_as: Vec<Caller>,
    /// The ARNs of the roles that were to be assumed, granted or refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The endpoint asked instead of AWS's own, if one was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The endpoints set for single services.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_endpoints: BTreeMap<String, String>,
    /// The proxies that were used, by the variable that names each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proxies: BTreeMap<String, String>,
    /// What the window was.
    pub window: Window,
    /// What the scope was.
    pub scope: Scope,
    /// The regions that the scope came to.
    pub regions: Vec<Region>,
    /// How the clocks compare, where an answer had a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
}

impl CollectionStarted {
    /// Everybody as whom the run asked, the first one first.
    pub fn callers(&self) -> impl Iterator<Item = &Caller> {
        std::iter::once(&self.caller).chain(&self.also_as)
    }

    /// The endpoint that was asked for CloudTrail's public keys, if one was set.
    #[must_use]
    pub fn cloudtrail_endpoint(&self) -> Option<&str> {
        let own = self.service_endpoints.iter().find(|(service, _)| service.eq_ignore_ascii_case("cloudtrail"));
        own.map(|(_, url)| url).or(self.endpoint_url.as_ref()).map(String::as_str)
    }
}

/// Whether a URL names a server of AWS's own, such as an endpoint inside a network of the account's; whoever answers there has AWS's certificate.
#[must_use]
pub fn is_of_aws(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', ':', '?', '#']).next());
    let names = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"];
    host.is_some_and(|host| !host.contains('@') && names.iter().any(|name| host.strip_suffix(name).is_some()))
}

/// `artifact.acquired`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it lies in the case.
    pub path: PayloadPath,
    /// Bytes on disk.
    pub size: u64,
    /// SHA-256 of the bytes on disk.
    pub sha256: Sha256Hash,
    /// SHA-256 of the uncompressed content, where the object is one whole gzip member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<Sha256Hash>,
    /// Where it came from.
    pub source: Origin,
    /// Sixteen random bytes in hexadecimal, so that a line that is not disclosed cannot be guessed.
    pub salt: String,
}

/// Where an artifact came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Origin {
    /// An object of S3.
    #[serde(rename = "s3-object")]
    S3Object(Box<ObjectOrigin>),
    /// The body of one answer of an API.
    #[serde(rename = "api-response")]
    ApiResponse(Box<ResponseOrigin>),
}

/// An object, with everything S3 says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectOrigin {
    /// The evidence source that asked for it.
    pub source: String,
    /// The account whose evidence it is, where the key says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The region whose evidence it is, where the key says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The bucket.
    pub bucket: String,
    /// The exact key.
    pub key: String,
    /// The version fetched, where the bucket is versioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The entity tag, quotes removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Checksums that S3 holds, by algorithm.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
    /// When S3 says the object was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
    /// The storage class, where not `STANDARD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// The server-side encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// The KMS key of that encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The object's `Content-Type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The object's `Content-Encoding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// User metadata (`x-amz-meta-*`), prefix removed; CloudTrail keeps a digest's signature here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether a digest that AWS itself holds for the object agrees with the bytes received.
    pub aws_digest: Agreement,
    /// The exchange.
    pub exchange: Exchange,
}

/// Whether a digest that AWS holds agrees with what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// They are equal.
    Match,
    /// They differ.
    Mismatch,
    /// There is one, but it is not over the whole object's bytes (a multipart or KMS entity tag, a composite checksum).
    NotComparable,
    /// AWS named none.
    Absent,
}

/// The body of one answer of an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseOrigin {
    /// The evidence source that asked.
    pub source: String,
    /// The service, as in IAM policies.
    pub service: String,
    /// The account that was asked about.
    pub account: AccountId,
    /// The region that was asked.
    pub region: Region,
    /// The operation.
    pub operation: String,
    /// What was asked, without continuation tokens.
    pub parameters: BTreeMap<String, String>,
    /// 1 for the first page of an answer.
    pub page: u32,
    /// Whether the answer ends with this page.
    pub last: bool,
    /// The HTTP status.
    pub status: u16,
    /// The exchange.
    pub exchange: Exchange,
}

/// One exchange with AWS, as far as it can be named to AWS later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// `x-amzn-requestid` or `x-amz-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `x-amz-id-2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_request_id: Option<String>,
    /// The answer's `Date`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// The host that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How many attempts it took.
    pub attempts: u32,
}

/// `gap.recorded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The evidence source.
    pub source: String,
    /// The account, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The region, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// What is not there: an operation, an object, a kind of record.
    pub what: String,
    /// Why.
    pub reason: GapReason,
    /// AWS's error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What else is known, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The id of the request that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Gap {
    /// A gap of a refused question, for tests.
    #[cfg(test)]
    pub(crate) fn denied(source: &str, what: &str) -> Self {
        let (source, what) = (source.to_owned(), what.to_owned());
        let reason = GapReason::Denied;
        Self { source, account: None, region: None, what, reason, error_code: None, detail: None, request_id: None }
    }

    /// What is not there, read out of its words.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let Ok(subject) = self.what.parse();
        subject
    }
}

/// Why something in scope is not in the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// AWS answered, and there is nothing.
    Empty,
    /// The source is not switched on.
    NotEnabled,
    /// AWS refused.
    Denied,
    /// The request failed after every attempt.
    Failed,
    /// The user left it out of scope.
    Skipped,
    /// It lies in a storage class that must be restored first.
    Archived,
    /// It was replaced or removed while it was being fetched.
    ChangedDuringAcquisition,
}

impl GapReason {
    /// Whether the collection is incomplete for it. An empty answer, a source that is off and the user's own scope are answers.
    #[must_use]
    pub fn is_incompleteness(self) -> bool {
        match self {
            Self::Empty | Self::NotEnabled | Self::Skipped => false,
            Self::Denied | Self::Failed | Self::Archived | Self::ChangedDuringAcquisition => true,
        }
    }

    /// The word in the ledger and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotEnabled => "not-enabled",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Archived => "archived",
            Self::ChangedDuringAcquisition => "changed-during-acquisition",
        }
    }
}

/// `collection.finished`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionFinished {
    /// The run, as in `collection.started`.
    pub run: u32,
    /// Artifacts stored by this run.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Artifacts that were in the case already.
    pub already_stored: u64,
    /// Gaps recorded by this run that make the collection incomplete.
    pub gaps: u64,
    /// How the clocks compare at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
}

/// `collection.interrupted`: written by the run that finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionInterrupted {
    /// The run that did not end.
    pub run: u32,
    /// Files without a ledger line that were discarded, to be fetched again.
    pub discarded: Vec<String>,
    /// What ended it, where it could still say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// `ledger.recovered`: accounts for the line before it, which a crash cut short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecovered {
    /// Where in the ledger the torn line starts.
    pub torn_offset: u64,
    /// How many bytes of it there are, its closing newline not counted.
    pub torn_bytes: u64,
    /// Their SHA-256.
    pub torn_sha256: Sha256Hash,
}
