//! From AWS into the case: what to collect, the plan of it, and the pipeline that stores it.
//!
//! Every kind of evidence is a [`Source`]; a new one is a new file here and one line in [`sources`]. A plan and a collection run the
//! same sources: a plan keeps nothing and only counts.

mod askers;
mod bucket;
mod cloudtrail;
mod collect;
mod ebs;
mod errand;
mod flow_logs;
mod identified;
mod kms;
mod listing_plan;
mod log_files;
mod notes;
mod on_body;
mod pages;
mod parallelism;
mod permissions;
mod pipeline;
mod plan;
mod progress;
mod published_keys;
mod recorded;
mod regions;
mod remembered;
mod shared;
mod stop;
mod strays;
mod sweep;
mod tally;
mod unasked;
mod versions;

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;

pub use cloudtrail::EVENTS_UNTIL_NOW;
pub use collect::{CollectOutcome, RunContext, collect};
pub use errand::Errand;
pub use listing_plan::chosen_keys;
pub use permissions::{PERMISSIONS, Permission, permissions_of, policy};
pub use plan::{Estimate, Plan, plan};
pub use progress::{Progress, Silent};
pub use published_keys::published_keys;
pub use regions::unknown_regions;
pub use stop::{Stop, StopSwitch};
pub use tally::{Notice, Row, Totals};

use crate::aws::{AwsError, Halt};
use crate::case::{CaseError, Scope};
use crate::model::Window;

/// A kind of evidence.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name, as on the command line and in the ledger.
    fn name(&self) -> &'static str;

    /// What it brings, in a phrase.
    fn about(&self) -> &'static str;

    /// Finds the evidence and brings it in, or only counts it when the errand is a plan.
    ///
    /// What is denied, absent or broken is recorded as a gap, and the rest goes on; an error ends the whole run.
    fn gather(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>>;

    /// Says what none of the identities found, once the last of them has been through it.
    fn conclude(&self, _errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// All sources.
#[must_use]
pub fn sources() -> Vec<Box<dyn Source>> {
    vec![Box::new(cloudtrail::CloudTrail), Box::new(flow_logs::FlowLogs), Box::new(ebs::Ebs)]
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The time asked about.
    pub window: Window,
    /// What, and where.
    pub scope: Scope,
    /// How many objects of a bucket may be fetched at once; none to find out how many help.
    pub concurrency: Option<NonZeroUsize>,
}

/// Most objects fetched at once from a bucket where nothing else is asked.
pub const MOST_AT_ONCE: usize = 512;

/// Why a plan or a collection did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// There is no session with AWS.
    #[error("no session with AWS could be opened")]
    Aws(#[from] AwsError),
    /// AWS ended the run; what was committed stays, and running again resumes.
    #[error("the run could not be finished")]
    Halted(#[source] Halt),
    /// The case could not be read or written.
    #[error("the case could not be extended")]
    Case(#[from] CaseError),
    /// A source was asked for that there is not.
    #[error("there is no source `{name}`: there are {known}")]
    UnknownSource {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// The sources that a scope asks for; an empty list means all.
fn chosen_sources(scope: &Scope) -> Result<Vec<Box<dyn Source>>, AcquireError> {
    let all = sources();
    if let Some(name) = scope.sources.iter().find(|name| all.iter().all(|source| source.name() != name.as_str())) {
        let known: Vec<&str> = all.iter().map(|source| source.name()).collect();
        return Err(AcquireError::UnknownSource { name: crate::model::printable(name), known: known.join(", ") });
    }
    let wanted = |source: &dyn Source| scope.sources.is_empty() || scope.sources.iter().any(|name| name == source.name());
    Ok(all.into_iter().filter(|source| wanted(source.as_ref())).collect())
}

/// The name of a source, as one that lives as long as the program.
fn known_source(name: &str) -> &'static str {
    sources().iter().map(|source| source.name()).find(|known| *known == name).unwrap_or(regions::SOURCE)
}

#[cfg(all(test, feature = "demo"))]
mod tests;
