//! Where the trail delivered when: what lies where nobody looked is not gone, and what belongs where somebody looked is due there.

use crate::model::Timestamp;

use super::super::looked::Looked;
use super::super::switches::Destination;
use super::super::{Place, Row};
use super::{FIRST_DIGEST, FRESH, NEXT_DUE, TrailTime};

/// The trail was told to deliver elsewhere than before, or may have been.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    pub(super) at: Timestamp,
    pub(super) why: String,
    /// Whether collect looked where it delivered from then on.
    pub(super) looked: bool,
    /// Whether the trail was made then: it delivered nowhere before.
    pub(super) creates: bool,
}

/// A stretch in which it delivered to one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Whether collect looked there.
    pub(super) looked: bool,
    /// What ended it.
    pub(super) left: Option<&'a Moved>,
}

/// One part of a place: the bucket, or the prefix.
type Part = fn(&Destination) -> Option<&str>;
type PartOfPlace = fn(&Place) -> &str;

/// The moves of a chain's trail, oldest first. Whoever names the place again that it delivers to anyway moves nothing.
pub(super) fn resolve(destinations: &[Destination], row: &Row, looked: &Looked<'_>, now: Option<&Place>) -> Vec<Moved> {
    let parts: [(Part, PartOfPlace); 2] =
        [(|to| to.bucket.as_deref(), |place| &place.bucket), (|to| to.prefix.as_deref(), |place| &place.prefix)];
    // When each part is named next, from the last destination to the first.
    let mut following = [None; 2];
    let mut next: Vec<[Option<Timestamp>; 2]> = Vec::with_capacity(destinations.len());
    for to in destinations.iter().rev() {
        next.push(following);
        for (at, (named, _)) in following.iter_mut().zip(parts) {
            *at = named(to).map(|_| to.at).or(*at);
        }
    }
    let mut moves = Vec::new();
    let mut earlier: [Option<&str>; 2] = [None; 2];
    for (to, next) in destinations.iter().zip(next.into_iter().rev()) {
        let mut changed = false;
        let mut place: Vec<Option<&str>> = Vec::new();
        for (((named, of), next), earlier) in parts.into_iter().zip(next).zip(&mut earlier) {
            // A digest is delivered some time after its end, so it shows the place only if no event changed that in between.
            let in_time = |end: Timestamp| next.is_none_or(|next| end.plus_seconds(NEXT_DUE) < next);
            let shown = |(end, place)| in_time(end).then(|| of(place));
            let was = earlier.or_else(|| row.standard.place_delivered_before(to.at, NEXT_DUE).map(of));
            changed |= named(to).is_some_and(|named| was != Some(named));
            let digests = [row.standard.place_before(to.at), row.standard.place_after(to.at)];
            let shown = || digests.into_iter().flatten().find_map(shown);
            place.push(named(to).or(was).or_else(shown).or_else(|| now.filter(|_| next.is_none()).map(of)));
            *earlier = named(to).or(*earlier);
        }
        if !changed {
            continue;
        }
        let looked = match place.as_slice() {
            [Some(bucket), Some(prefix)] => {
                let organization = row.of.organization.clone();
                let place = Place { bucket: (*bucket).to_owned(), prefix: (*prefix).to_owned(), organization };
                looked.at(&place, row.of.account)
            }
            _ => false,
        };
        moves.push(Moved { at: to.at, why: to.why.clone(), looked, creates: to.creates });
    }
    moves
}

impl TrailTime {
    /// The first move between two instants.
    pub(super) fn moved_between(&self, from: Timestamp, to: Timestamp) -> Option<&Moved> {
        self.moves.iter().find(|moved| !moved.creates && moved.at >= from && moved.at <= to)
    }

    /// Where it delivered between two instants, given whether collect looked where it did at some time before.
    pub(super) fn stays(&self, from: Timestamp, to: Timestamp, (known, looked): (Timestamp, bool)) -> Vec<Stay<'_>> {
        let before = self.moves.iter().rfind(|moved| moved.at <= from && moved.at > known);
        let mut stay = Stay { from, to, looked: before.map_or(looked, |before| before.looked), left: None };
        let mut stays = Vec::new();
        for moved in self.moves.iter().filter(|moved| moved.at > from && moved.at <= to) {
            stays.push(Stay { to: moved.at, left: Some(moved), ..stay });
            stay = Stay { from: moved.at, to, looked: moved.looked, left: None };
        }
        stays.push(stay);
        stays
    }

    /// The first stay between two instants whose digests were due where collect looked, given that none is there of this time, in which the
    /// trail was on. Of the last `slack` seconds none is due.
    pub(super) fn undelivered(&self, from: Timestamp, to: Timestamp, known: (Timestamp, bool), slack: i64) -> Option<Stay<'_>> {
        let due = |stay: &Stay<'_>| {
            let soon = self.moved_between(stay.to, stay.to.plus_seconds(FRESH));
            let slack = match (stay.left, soon) {
                (Some(left), _) => left.slack(),
                (None, Some(soon)) => slack.max(soon.slack()),
                (None, None) => slack,
            };
            stay.looked && stay.to > stay.from.plus_seconds(slack)
        };
        self.stays(from, to, known).into_iter().find(due)
    }
}

impl Moved {
    /// How many seconds before it signed nothing that must lie where collect looked. A digest goes where the trail delivers by then: an hour's
    /// interval, and its delivery where nobody looked.
    pub(super) fn slack(&self) -> i64 {
        if self.looked { FIRST_DIGEST } else { FRESH }
    }
}
