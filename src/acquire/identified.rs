//! As whom a run asks, and where each of them may.

use tokio::task::JoinSet;

use crate::aws::{Halt, Identities, Recorder};
use crate::case::event::Gap;
use crate::case::gap::Subject;
use crate::model::Region;

use super::Request;
use super::errand::gap_of;
use super::regions::{self, Regions};
use super::tally::RowKey;

/// What the first questions of a run came to.
#[derive(Debug)]
pub(crate) struct Identified {
    /// Every region in which somebody may ask.
    pub(crate) regions: Vec<Region>,
    /// For each identity, who asks and where.
    pub(crate) parts: Vec<(Recorder, Regions)>,
    /// What is out of reach already.
    pub(crate) gaps: Vec<Gap>,
}

/// Asks for every identity which regions it has. A role that was refused is a gap.
pub(crate) async fn identify_all(recorder: &Recorder, identities: &Identities, request: &Request) -> Result<Identified, Halt> {
    let mut identified = Identified { regions: Vec::new(), parts: Vec::new(), gaps: Vec::new() };
    for refused in identities.refused() {
        let row = RowKey { source: regions::SOURCE, account: refused.account, region: None };
        identified.gaps.push(gap_of(&row, &Subject::Role(refused.role.clone()), &refused.failure));
    }
    let mut asking = JoinSet::new();
    for (number, session) in identities.sessions().enumerate() {
        let (recorder, request) = (recorder.with_session(session), request.clone());
        asking.spawn(async move {
            let (regions, gaps) = regions::identify(&recorder, &request).await?;
            Ok::<_, Halt>((number, recorder, regions, gaps))
        });
    }
    let mut answered = Vec::new();
    while let Some(done) = asking.join_next().await {
        answered.push(done??);
    }
    // Whoever was named first comes first, whoever was answered first.
    answered.sort_unstable_by_key(|(number, ..)| *number);
    for (_, recorder, regions, gaps) in answered {
        identified.regions.extend(regions.in_scope.iter().cloned());
        identified.gaps.extend(gaps);
        identified.parts.push((recorder, regions));
    }
    identified.regions.sort();
    identified.regions.dedup();
    if identified.regions.is_empty() {
        identified.gaps.push(regions::nowhere(identities.first().caller().account));
    }
    Ok(identified)
}
