//! Talking to AWS: sessions, who is asking, the clock, raw answers, listing and streaming objects.
//!
//! Raw first: what AWS sent is evidence, and the SDK's view of it only decides the next request. Nothing here can change
//! anything at the source: the HTTP client refuses every request that is not a read.

mod answers;
mod body;
mod bounded;
mod clock;
mod connection;
mod content;
mod exchange;
mod failure;
mod fetch;
mod identities;
mod listing_replay;
mod object_answer;
mod objects;
mod pairs;
mod profiles;
mod proxy;
mod reach;
mod record;
mod session;
mod short_way;
mod trial;
mod versions;
mod whole_answer;
mod wire;

pub use answers::Answers;
pub use body::{Body, Held};
pub use clock::{ClockSamples, is_wrong, time_of_aws};
pub use connection::{AccessKey, AwsError, Connection, SecondFactor};
pub use exchange::ExchangeTap;
pub(crate) use exchange::without_userinfo;
pub use failure::{Failure, FailureKind};
pub use fetch::{Fetched, ObjectFetcher, Wanted};
pub use identities::{Identities, RefusedRole, account_of_role};
pub use listing_replay::read_listing;
pub(crate) use objects::timestamp;
pub use objects::{BucketRegion, ListPage, ListQuery, ListedObject, list_page, region_of_bucket};
pub use profiles::{has_profile, profile_of_environment};
pub use proxy::Proxies;
pub use record::{Call, KeepPage, Page, Recorder};
pub use session::Session;
pub(crate) use trial::try_reading;
pub use versions::{ListedVersion, VersionPage, list_versions_page};

use tokio::task::JoinError;

use crate::case::CaseError;

/// Why a run cannot go on. What was committed so far stays; running again resumes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// The credentials are wrong or have expired.
    #[error("AWS does not accept the credentials any more")]
    Credentials(#[source] Failure),
    /// Request after request found no way to AWS.
    #[error("AWS cannot be reached")]
    Unreachable(#[source] Failure),
    /// The case cannot be written.
    #[error("the case cannot be written")]
    Case(#[source] Box<CaseError>),
    /// Somebody asked the run to stop.
    #[error("the run was asked to stop")]
    Stopped,
    /// The owner of the case has stopped taking evidence; it knows why.
    #[error("the case takes no more evidence")]
    Closed,
    /// A task of the run ended in a way that it never should.
    #[error("a task of the collection was lost")]
    TaskLost(#[from] JoinError),
    /// Something did not come that always comes.
    #[error("{0}: this is an error in caselock")]
    Unexpected(&'static str),
}

impl From<CaseError> for Halt {
    fn from(error: CaseError) -> Self {
        Self::Case(Box::new(error))
    }
}
