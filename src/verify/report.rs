//! What verification says, as values whose JSON docs/schemas describe. Nothing is decided here, and nothing printed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::case::custody::{Handover, Reverification};
use crate::case::event::{Gap, GapReason, KeyComparison};
use crate::cloudtrail::KeyRing;
use crate::cloudtrail::coverage::{HourRange, HourStatus};
use crate::model::{AccountId, Finding, Region, Severity, Sha256Hash, Timestamp, Window};

/// What verification comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything in scope is there and proven.
    Pass,
    /// Something was changed, removed or forged.
    Fail,
    /// What is there holds, but not everything can be proven.
    Incomplete,
}

impl Verdict {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The whole result of `caselock verify`, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it comes to.
    pub verdict: Verdict,
    /// Which case, if its identity could be read.
    pub case_number: Option<String>,
    /// The window it asks about.
    pub window: Option<Window>,
    /// The stored files.
    pub artifacts: ArtifactReport,
    /// The ledger.
    pub ledger: LedgerReport,
    /// The seals, oldest first.
    pub seals: Vec<SealReport>,
    /// How much of the case is shown, where it is not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<DisclosureReport>,
    /// Who held the evidence after it was acquired, the first holder first.
    pub custody: Vec<CustodyReport>,
    /// CloudTrail, a row for each trail, account and region.
    pub cloudtrail: Vec<TrailReport>,
    /// What is wrong or notable, the weightiest first.
    pub findings: Vec<Finding>,
    /// Everything that could not be had, in any run.
    pub gaps: Vec<GapReport>,
    /// What AWS said of its keys when it was asked again, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<KeyComparison>,
    /// The public keys that signatures were checked with.
    #[serde(skip)]
    pub keys: KeyRing,
    /// The failures that are about the case itself, not about what happened in AWS.
    #[serde(skip)]
    pub damage: Vec<Finding>,
}

impl Report {
    /// How many findings are failures.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let failures = self.findings.iter().filter(|finding| finding.severity == Severity::Failure).count();
        u64::try_from(failures).unwrap_or(u64::MAX)
    }

    /// How many failures are about the case itself.
    #[must_use]
    pub fn case_failures(&self) -> u64 {
        u64::try_from(self.damage.len()).unwrap_or(u64::MAX)
    }

    /// How many hours (× regions) are pending.
    #[must_use]
    pub fn pending_hours(&self) -> u64 {
        self.cloudtrail.iter().filter_map(|trail| trail.hours.get(&HourStatus::Pending)).sum()
    }

    /// What can be said of hours that are `unreadable`.
    #[must_use]
    pub fn unread(&self) -> Unread {
        let any = |kinds: &[&str]| self.findings.iter().any(|finding| kinds.contains(&finding.kind.as_str()));
        let others = ["artifact-unreadable", "part-missing", "keys-unavailable", "gap-denied", "gap-failed", "gap-archived"];
        match (any(&["collection-unfinished"]), any(&others)) {
            (true, false) => Unread::NotFetched,
            (true, true) => Unread::Either,
            (false, _) => Unread::Unreadable,
        }
    }

    /// When the digests of pending hours should be there, where any are pending.
    #[must_use]
    pub fn digests_due(&self) -> Option<Timestamp> {
        let hours = self.cloudtrail.iter().flat_map(|trail| &trail.uncovered_hours);
        let last = hours.filter(|hours| hours.status == HourStatus::Pending).map(|hours| hours.to).max()?;
        Some(digests_due_at(self.window.map_or(last, |window| window.end().min(last))))
    }

    /// The names of what is wrong with the case itself, `kind object`, of `most` failures.
    #[must_use]
    pub fn name_damage(&self, most: usize) -> Vec<String> {
        self.damage.iter().take(most).map(|finding| format!("{} {}", finding.kind, finding.object)).collect()
    }
}

/// What can be said of hours whose files verification had not before it: the status of all of them is `unreadable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The collection did not come to its end, and nothing else stood in the way.
    NotFetched,
    /// That, or something else.
    Either,
    /// The files are there, or may be, and could not be read.
    Unreadable,
}

impl Unread {
    /// In a few words.
    #[must_use]
    pub fn in_a_legend(self) -> &'static str {
        match self {
            Self::NotFetched => "not fetched: the collection did not come to its end",
            Self::Either => "not fetched (the collection did not come to its end) or unreadable",
            Self::Unreadable => "unreadable",
        }
    }
}

/// How long after a moment the digest that covers it should be there, in seconds: its hour may have just begun, and AWS delivers it mostly
/// within another.
const DIGEST_DUE: i64 = 2 * 3600;

/// When the digest that covers the last moment before `end` should be there.
#[must_use]
pub fn digests_due_at(end: Timestamp) -> Timestamp {
    end.plus_seconds(DIGEST_DUE)
}

/// The stored files against the ledger.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ArtifactReport {
    /// Artifacts in the ledger.
    pub total: u64,
    /// Of these, unchanged.
    pub valid: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Paths whose bytes are not those recorded.
    pub modified: Vec<String>,
    /// Paths with no file.
    pub missing: Vec<String>,
    /// Files under `data/` that no line of the ledger names.
    pub unlisted: Vec<String>,
}

/// The ledger's chain.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerReport {
    /// Entries.
    pub entries: u64,
    /// Lines, which are the leaves of the Merkle tree. A line that a crash cut short is no entry.
    pub lines: u64,
    /// The Merkle root over all its lines.
    pub root: Sha256Hash,
    /// Whether every line follows from the one before.
    pub valid: bool,
    /// After how many lines it first had the root that was expected, where one was and it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_root_at: Option<u64>,
}

/// Whether a signature or time-stamp holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureState {
    /// It holds.
    Valid,
    /// It does not.
    Invalid,
    /// There is none.
    Absent,
    /// It is of a kind that is not checked in process; `ssh-keygen` or `openssl` can.
    Unchecked,
}

/// One seal.
#[derive(Clone, Debug, Serialize)]
pub struct SealReport {
    /// Its file, from the case folder.
    pub file: String,
    /// Its SSH signature.
    pub signature: SignatureState,
    /// Whose key signed it: the fingerprint, as `ssh-keygen -l` prints it.
    pub signer: Option<String>,
    /// Whether somebody vouched for that key; none when nobody was asked, or when the signature of a key they vouch for was not checked.
    pub trusted: Option<bool>,
    /// Its time-stamp.
    pub timestamp: SignatureState,
    /// The time that the time-stamp gives, where it is valid.
    pub stamped: Option<Timestamp>,
    /// Later time-stamps, each over the seal and those before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renewals: Vec<RenewalReport>,
    /// Whose key it is by the allowed signers that were given, as their file spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vouched_as: Option<String>,
    /// When the signer says it was sealed.
    pub time: Option<Timestamp>,
    /// How many lines of the ledger it covers.
    pub ledger_size: Option<u64>,
    /// The name that the signer gives; only the key is signed with.
    #[serde(skip)]
    pub principal: Option<String>,
}

impl SealReport {
    /// Of a seal of which nothing is known yet but its file.
    pub(super) fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            signature: SignatureState::Absent,
            signer: None,
            trusted: None,
            timestamp: SignatureState::Absent,
            stamped: None,
            renewals: Vec::new(),
            vouched_as: None,
            time: None,
            ledger_size: None,
            principal: None,
        }
    }
}

/// A part of a case, shown with proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DisclosureReport {
    /// Lines of the ledger that are shown.
    pub lines_shown: u64,
    /// Lines of the ledger that were sealed.
    pub lines_sealed: u64,
}

/// One passing of the evidence from one holder to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustodyReport {
    /// From whom to whom, what for and how.
    #[serde(flatten)]
    pub handover: Handover,
    /// When it was released, by the releasing machine's clock, where that was recorded.
    pub released_at: Option<Timestamp>,
    /// When it was received, by the receiving machine's clock; none where nobody has recorded that yet.
    pub received_at: Option<Timestamp>,
    /// What verification came to at receipt, or at release where it was not received yet.
    pub verification: Reverification,
    /// Where it is recorded: the ledger, or a receipt beside the package.
    pub recorded_in: String,
    /// The receipt, or the seal that covers the record; none where nothing covers it yet.
    pub signed_in: Option<String>,
    /// The receiver's signature there; absent where nobody has received it yet, or somebody else than the receiver sealed.
    pub signature: SignatureState,
    /// Whose key signed for the receipt: the fingerprint, as `ssh-keygen -l` prints it.
    pub signer: Option<String>,
    /// The name that whoever holds that key gives themselves there; only the key is signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_as: Option<String>,
    /// Whether somebody vouched for that key; none when nobody was asked, or when the signature of a key they vouch for was not checked.
    pub trusted: Option<bool>,
    /// Whose key it is by the allowed signers that were given, as their file spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vouched_as: Option<String>,
    /// The time that a time-stamp gives, where there is a valid one.
    pub stamped: Option<Timestamp>,
    /// Whether receipts before it are not here, so that who held it until then is not known.
    #[serde(skip)]
    pub after_a_gap: bool,
}

/// One renewal of a seal's time-stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RenewalReport {
    /// Its file, from the case folder.
    pub file: String,
    /// Whether it holds.
    pub timestamp: SignatureState,
    /// The time it gives, where it could be read.
    pub stamped: Option<Timestamp>,
}

/// The digests of one chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DigestCounts {
    /// Verified.
    pub verified: u64,
    /// There, but not what AWS signed.
    pub invalid: u64,
    /// Named and not there.
    pub missing: u64,
    /// Named, and could not be fetched.
    pub unreadable: u64,
    /// Of the invalid and the missing, those whose genuine bytes an older version holds.
    pub recovered: u64,
}

/// The logs of one trail, account and region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogCounts {
    /// As a verified digest says.
    pub verified: u64,
    /// With other content.
    pub modified: u64,
    /// Listed and not there.
    pub missing: u64,
    /// Not one whole gzip member.
    pub malformed: u64,
    /// There, and in no digest.
    pub uncovered: u64,
    /// There, and too fresh for a digest.
    pub pending: u64,
    /// Listed, and could not be fetched.
    pub unreadable: u64,
    /// Of the modified, missing and malformed, those whose genuine bytes an older version holds.
    pub recovered: u64,
}

/// One trail in one account and region.
#[derive(Clone, Debug, Serialize)]
pub struct TrailReport {
    /// The trail.
    pub trail_arn: String,
    /// Whose events.
    pub account: AccountId,
    /// Where they were recorded.
    pub region: Region,
    /// Where the trail was created.
    pub home_region: Region,
    /// Its digests.
    pub digests: DigestCounts,
    /// Its backfill digests.
    pub backfill: DigestCounts,
    /// Its logs.
    pub logs: LogCounts,
    /// How many hours of the window have each status.
    pub hours: BTreeMap<HourStatus, u64>,
    /// The hours that are not verified.
    pub uncovered_hours: Vec<HourRange>,
}

/// One gap, as the collection recorded it.
#[derive(Clone, Debug, Serialize)]
pub struct GapReport {
    /// The evidence source.
    pub source: String,
    /// The account, where known.
    pub account: Option<AccountId>,
    /// The region, where there is one.
    pub region: Option<Region>,
    /// What is not there.
    pub what: String,
    /// Why.
    pub reason: GapReason,
    /// What else is known.
    pub detail: Option<String>,
}

impl From<&Gap> for GapReport {
    fn from(gap: &Gap) -> Self {
        Self {
            source: gap.source.clone(),
            account: gap.account,
            region: gap.region.clone(),
            what: crate::model::printable(&gap.what),
            reason: gap.reason,
            detail: gap.detail.as_deref().map(crate::model::printable),
        }
    }
}
