//! What the event history told earlier runs of the case. It forgets after 90 days, and may be refused: what it said stays true.

use serde::Deserialize;

use crate::case::event::{Event, Origin};
use crate::case::{CaseFolder, read_bounded};
use crate::model::{AccountId, PayloadPath, Region};

use super::notes::Notes;

/// Largest page that is read: of fifty events, each of which has at most a quarter of a megabyte.
const PAGE_LIMIT: u64 = 32 * 1024 * 1024;

/// The pages of a case on which the event history tells of events of one name, while the ledger is read.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pages: Vec<(AccountId, Region, PayloadPath)>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "Events", default)]
    events: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "EventName", default)]
    name: Option<String>,
    #[serde(rename = "CloudTrailEvent", default)]
    record: Option<String>,
}

impl Remembered {
    /// Shows the next line of the ledger.
    pub(crate) fn take(&mut self, event: &Event) {
        if let Event::ArtifactAcquired(artifact) = event
            && let Origin::ApiResponse(origin) = &artifact.source
            && origin.operation == "LookupEvents"
            && origin.status == 200
            && origin.parameters.get("LookupAttributes").is_some_and(|asked| asked.starts_with("EventName="))
        {
            self.pages.push((origin.account, origin.region.clone(), artifact.path.clone()));
        }
    }

    /// Notes what they tell. Pages that cannot be read are for verification to report.
    pub(crate) fn tell(&self, folder: &CaseFolder, notes: &Notes) {
        for (account, region, path) in &self.pages {
            let body = read_bounded(folder, path.as_str(), PAGE_LIMIT).ok();
            let page = body.and_then(|body| serde_json::from_slice::<Page>(&body).ok());
            for told in page.into_iter().flat_map(|page| page.events) {
                notes.note_event(*account, region, told.name.as_deref(), told.record.as_deref());
            }
        }
    }
}
