//! Whether some digest could still list a log that none lists.

use crate::cloudtrail::coverage::{HourStatus, Index, Timeline};
use crate::model::Timestamp;

use super::TrailTime;

/// What is known of the deliveries of one chain.
#[derive(Debug)]
pub(in crate::verify::cloudtrail) struct Deliveries {
    proven: Index,
    known: Index,
    /// The end of the newest verified digest.
    until: Option<Timestamp>,
}

impl TrailTime {
    /// What verified digests prove of deliveries, whoever planted others among them, and beyond them what else is known.
    pub(in crate::verify::cloudtrail) fn deliveries(&self) -> Deliveries {
        let mut proven = Timeline::new(self.window);
        for (from, to) in &self.covered {
            proven.add(*from, *to, HourStatus::Verified);
        }
        Deliveries {
            proven: proven.index(HourStatus::NoDigests),
            known: self.timeline.index(HourStatus::NoDigests),
            until: self.covered.iter().map(|(_, to)| *to).max(),
        }
    }
}

impl Deliveries {
    /// Whether verified digests cover the time around an instant.
    pub(in crate::verify::cloudtrail) fn are_proven(&self, at: Timestamp, slack: i64) -> bool {
        self.proven.worst(at.plus_seconds(-slack), at.plus_seconds(slack)) == HourStatus::Verified
    }

    /// What can be said of a log that no digest lists, named for the `slot`, that S3 received when it says.
    ///
    /// A digest lists what was delivered in its interval: of a log that came late, a later digest tells than that of its slot.
    pub(in crate::verify::cloudtrail) fn of_unlisted(
        &self,
        slot: Timestamp,
        received: Option<Timestamp>,
        slack: i64,
    ) -> HourStatus {
        let around = |at: Timestamp| {
            let (from, to) = (at.plus_seconds(-slack), at.plus_seconds(slack));
            match self.proven.worst(from, to) {
                HourStatus::Verified => HourStatus::Verified,
                _ => self.known.worst(from, to).max(HourStatus::Pending),
            }
        };
        let Some(received) = received.filter(|received| *received > slot) else { return around(slot) };
        let of_receipt = around(received);
        // While a trail is off, between two chains of it, nothing is delivered.
        let idle =
            of_receipt == HourStatus::LoggingOff && self.until.is_some_and(|until| received.plus_seconds(slack) <= until);
        around(slot).max(if idle { HourStatus::Verified } else { of_receipt })
    }
}
