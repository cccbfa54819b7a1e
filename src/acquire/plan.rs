use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::aws::{Halt, Recorder, Session};
use crate::case::event::{Caller, ClockOffset, Gap};
use crate::model::{Region, Timestamp, Window};

use super::errand::Errand;
use super::pipeline::{Intake, Owner};
use super::progress::Silent;
use super::tally::{Notice, Row, Totals};
use super::{AcquireError, Request, Source, chosen_sources, regions};

/// What a collection would take, and what it could not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Who AWS says is asking.
    pub caller: Caller,
    /// The endpoint asked instead of AWS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The time asked about.
    pub window: Window,
    /// The regions that the scope came to.
    pub regions: Vec<Region>,
    /// What is there, by source, account and region. Logs that were delivered late become known only when digests are read.
    pub rows: Vec<Row>,
    /// The sum of the rows.
    pub totals: Totals,
    /// What is missing, and why.
    pub gaps: Vec<Gap>,
    /// What is notable, and not missing.
    pub notices: Vec<Notice>,
    /// Requests that the plan took.
    pub requests: u64,
    /// Requests that a collection would take, retries not counted.
    pub requests_expected: u64,
    /// How the clocks compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
}

/// Finds out what a collection would take. Fetches no object and writes nothing.
pub async fn plan(session: &Session, request: &Request) -> Result<Plan, AcquireError> {
    let sources = chosen_sources(&request.scope)?;
    let (intake, inbox) = Intake::new(None);
    let recorder = Recorder::absent(session);
    let progress = Arc::new(Silent);
    let mut counting = JoinSet::new();
    counting.spawn(Owner::new(None, progress.clone()).run(inbox));
    let regions = regions::identify(&recorder, request, &intake).await.map_err(AcquireError::Halted)?;
    let now = Timestamp::new(chrono::Utc::now());
    let errand = Errand::new(recorder, request.clone(), regions.clone(), now, intake.clone(), progress, None);
    let errand = Arc::new(errand);
    gather(&sources, &errand).await.map_err(AcquireError::Halted)?;
    intake.close().await;
    let ended = match counting.join_next().await {
        Some(Ok(ended)) => ended,
        _ => return Err(AcquireError::Halted(Halt::TaskLost)),
    };
    let totals = ended.tally.totals();
    let requests = session.requests();
    Ok(Plan {
        caller: session.caller().clone(),
        endpoint_url: session.endpoint_url().map(str::to_owned),
        window: request.window,
        regions,
        rows: ended.tally.rows(),
        requests,
        requests_expected: requests.saturating_add(totals.found).saturating_add(errand.expected_requests()),
        totals,
        gaps: ended.tally.gaps,
        notices: ended.tally.notices,
        clock: session.clock(),
    })
}

/// Runs the sources side by side; the first that ends the run ends them all.
pub(crate) async fn gather(sources: &[Box<dyn Source>], errand: &Arc<Errand>) -> Result<(), Halt> {
    let mut tasks = JoinSet::new();
    for source in sources {
        let (name, gathering, progress) = (source.name(), source.gather(Arc::clone(errand)), Arc::clone(&errand.progress));
        progress.source_started(name);
        tasks.spawn(async move {
            let done = gathering.await;
            progress.source_finished(name);
            done
        });
    }
    super::errand::join_all(&mut tasks).await
}
