//! A digest once its chain is checked: what the hours need of it, a tenth of what the check did.

use crate::cloudtrail::Digest;
use crate::cloudtrail::chain::{Chain, CheckedDigest, MissingDigest};
use crate::cloudtrail::coverage::HourStatus;
use crate::model::Timestamp;

/// A chain that was checked.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// From the oldest to the newest.
    pub(super) digests: Vec<Link>,
    pub(super) missing: Vec<MissingDigest>,
}

/// One of its digests.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The number of the artifact that it is.
    pub(super) number: u64,
    /// The end of its interval, by its name.
    pub(super) end: Timestamp,
    /// When S3 received it.
    pub(super) received: Option<Timestamp>,
    /// When its interval begins, by its content, whether or not it is verified.
    pub(super) claimed_start: Option<Timestamp>,
    /// What it proves, if it is verified.
    pub(super) proven: Option<Proven>,
    pub(super) verified: bool,
    pub(super) recovered: bool,
    pub(super) deleted: bool,
    pub(super) unchecked: bool,
    /// Whether its name tells a time that had not come when S3 received it.
    pub(super) ahead_of_its_time: bool,
    /// The worst that is known of the logs that it lists.
    pub(super) logs: HourStatus,
}

/// What the content of a verified digest says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proven {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Whether it is the first of a chain.
    pub(super) is_first: bool,
    /// Whether it lists no log.
    pub(super) is_empty: bool,
}

impl Proven {
    fn of(content: &Digest) -> Self {
        Self { start: content.start, end: content.end, is_first: content.previous.is_none(), is_empty: content.logs.is_empty() }
    }

    /// Whether it proves anything of its interval: an empty starting digest spans the hour before logging began.
    pub(super) fn proves_its_time(self) -> bool {
        !self.is_first || !self.is_empty
    }
}

impl Link {
    fn of(digest: &CheckedDigest) -> Self {
        let stored = &digest.stored;
        Self {
            number: stored.number,
            end: stored.name.end,
            received: stored.last_modified,
            claimed_start: stored.content.as_ref().ok().map(|(content, _)| content.start),
            proven: digest.proven().map(Proven::of),
            verified: digest.verified,
            recovered: digest.recovered,
            deleted: digest.deleted,
            unchecked: digest.unchecked,
            ahead_of_its_time: digest.is_ahead_of_its_time(),
            logs: HourStatus::Verified,
        }
    }
}

impl From<Chain> for Links {
    fn from(chain: Chain) -> Self {
        Self { digests: chain.digests.iter().map(Link::of).collect(), missing: chain.missing }
    }
}
