//! As whom a run asks, and where each of them may.

use crate::aws::{Halt, Identities, Recorder};
use crate::case::event::Gap;
use crate::model::Region;

use super::Request;
use super::errand::gap_of;
use super::regions;
use super::tally::RowKey;

/// What the first questions of a run came to.
#[derive(Debug)]
pub(crate) struct Identified {
    /// Every region in which somebody may ask.
    pub(crate) regions: Vec<Region>,
    /// For each identity, who asks and where.
    pub(crate) parts: Vec<(Recorder, Vec<Region>)>,
    /// What is out of reach already.
    pub(crate) gaps: Vec<Gap>,
}

/// Asks for every identity who it is and which regions it has. A role that was refused is a gap.
pub(crate) async fn identify_all(recorder: &Recorder, identities: &Identities, request: &Request) -> Result<Identified, Halt> {
    let mut identified = Identified { regions: Vec::new(), parts: Vec::new(), gaps: Vec::new() };
    for refused in identities.refused() {
        let row = RowKey { source: regions::SOURCE, account: refused.account, region: None };
        identified.gaps.push(gap_of(&row, &format!("AssumeRole of {}", refused.role), &refused.failure));
    }
    for session in identities.sessions() {
        let recorder = recorder.with_session(session);
        let (regions, gaps) = regions::identify(&recorder, request).await?;
        identified.regions.extend(regions.iter().cloned());
        identified.gaps.extend(gaps);
        identified.parts.push((recorder, regions));
    }
    identified.regions.sort();
    identified.regions.dedup();
    Ok(identified)
}
