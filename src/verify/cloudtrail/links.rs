//! A digest once its chain is checked: what the hours need of it, a tenth of what the check did.

use crate::cloudtrail::Digest;
use crate::cloudtrail::chain::{Chain, CheckedDigest, MissingDigest};
use crate::cloudtrail::coverage::HourStatus;
use crate::model::Timestamp;

use super::Place;

/// A chain that was checked.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// From the oldest to the newest.
    pub(super) digests: Vec<Link>,
    pub(super) missing: Vec<MissingDigest>,
    /// Where verified ones lie; others may lie anywhere, for all that they say.
    pub(super) places: Vec<Place>,
}

/// One of its digests.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The number of the artifact that it is.
    pub(super) number: u64,
    /// The end of its interval, by its name.
    pub(super) end: Timestamp,
    /// The number of its place, if it is verified.
    place: Option<u16>,
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
    fn of(digest: &CheckedDigest, place: Option<u16>) -> Self {
        let stored = &digest.stored;
        Self {
            number: stored.number,
            end: stored.name.end,
            place,
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
        let mut places: Vec<Place> = Vec::new();
        let mut digests = Vec::with_capacity(chain.digests.len());
        for digest in &chain.digests {
            let number = digest.verified.then(|| {
                let there = Place::of(&digest.stored);
                places.iter().position(|place| *place == there).unwrap_or_else(|| {
                    places.push(there);
                    places.len() - 1
                })
            });
            digests.push(Link::of(digest, number.and_then(|number| u16::try_from(number).ok())));
        }
        Self { digests, missing: chain.missing, places }
    }
}

impl Links {
    /// Where verified digests were delivered before an instant, as far as that is known.
    pub(super) fn place_delivered_before(&self, at: Timestamp, slack: i64) -> Option<&Place> {
        let delivered =
            |digest: &&Link| digest.received.is_some_and(|received| received < at) || digest.end.plus_seconds(slack) < at;
        self.until(at).rev().filter(delivered).find_map(|digest| self.place_of(digest)).map(|(_, place)| place)
    }

    /// The newest verified digest that ends no later than an instant: its end, and where it lies.
    pub(super) fn place_before(&self, at: Timestamp) -> Option<(Timestamp, &Place)> {
        self.until(at).rev().find_map(|digest| self.place_of(digest))
    }

    /// The oldest that ends later.
    pub(super) fn place_after(&self, at: Timestamp) -> Option<(Timestamp, &Place)> {
        self.behind(at).find_map(|digest| self.place_of(digest))
    }

    /// Those that end no later than an instant, of a chain whose digests are in the order of their ends.
    fn until(&self, at: Timestamp) -> impl DoubleEndedIterator<Item = &Link> {
        let until = self.digests.partition_point(|digest| digest.end <= at);
        self.digests.iter().take(until)
    }

    /// Those that end later.
    fn behind(&self, at: Timestamp) -> impl Iterator<Item = &Link> {
        let until = self.digests.partition_point(|digest| digest.end <= at);
        self.digests.iter().skip(until)
    }

    /// When S3 received the first verified digest that ends later than an instant: whatever ends by then had been made before that one was.
    pub(super) fn received_behind(&self, at: Timestamp) -> Option<Timestamp> {
        self.behind(at).filter(|digest| digest.verified).find_map(|digest| digest.received)
    }

    /// The end of a verified digest, and where it lies.
    pub(super) fn place_of(&self, digest: &Link) -> Option<(Timestamp, &Place)> {
        Some((digest.end, self.places.get(usize::from(digest.place?))?))
    }
}
