//! What CloudTrail's files mean: the names of logs and digests, digests and their chains, keys, coverage. No input or output.
//!
//! The semantics are those of the user guide's "Validating CloudTrail log file integrity", read strictly: whatever a digest does
//! not prove is reported.

pub mod chain;
pub mod coverage;
mod digest;
pub mod gzip;
mod keys;
mod listed_logs;
pub(crate) mod names;
mod records;
mod region_events;
mod trail_events;

pub use digest::{Digest, DigestProblem, Previous};
pub use keys::{KeyProblem, KeyRing, KeyStanding, PublicKey, SignatureProblem};
pub use listed_logs::{ListedLog, ListedLogs, LogPlace, LogSlot};
pub use names::{DigestName, LogFolder, LogName};
pub use region_events::{RegionDisabled, regions_disabled_in_history};
pub use trail_events::{ObjectEvent, Telling, TrailEvent, Witness, events_in_history, events_in_log};
