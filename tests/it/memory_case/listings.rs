//! Where the case says that collect looked.

use std::collections::BTreeSet;

use caselock::case::event::Listing;
use caselock::sim::TRAIL_BUCKET;

use super::{Collection, end};

impl Collection {
    /// One listing of each store that there is or, in the trail's own bucket, was.
    pub(super) fn listings(&self) -> Vec<Listing> {
        let mut folders = BTreeSet::new();
        for bucket in self.account.objects().buckets().into_iter().filter(|bucket| bucket.contains("cloudtrail")) {
            let was = self.index.keys().filter(|_| bucket == TRAIL_BUCKET).cloned();
            for key in self.account.objects().keys(&bucket, "").into_iter().chain(was) {
                let root = key.find("AWSLogs/").map(|at| key[..at + "AWSLogs/".len()].to_owned());
                folders.extend(root.filter(|_| !self.not_listed.contains(&bucket)).map(|root| (bucket.clone(), root)));
            }
        }
        let listing = |(bucket, prefix)| Listing {
            source: "cloudtrail".to_owned(),
            account: None,
            region: None,
            bucket,
            prefix,
            start_after: None,
            listed: 0,
            in_scope: 0,
            bytes: 0,
            pages: 1,
            rule: self.rule.clone(),
            whole: Some(true),
        };
        folders.into_iter().map(listing).collect()
    }

    /// Deletes an object that never was: what is left is a delete marker.
    pub(crate) fn delete_what_never_was(&mut self, key: &str) {
        assert!(!self.account.objects().delete(TRAIL_BUCKET, key));
        self.index.entry("deleted".to_owned()).or_default().push(key.to_owned());
    }

    pub(super) fn version_listing(&self) -> String {
        let mut text = format!("<ListVersionsResult><Name>{TRAIL_BUCKET}</Name>");
        for key in self.index.values().flatten() {
            for version in self.account.objects().versions(TRAIL_BUCKET, key) {
                let element = if version.delete_marker { "DeleteMarker" } else { "Version" };
                // Who deletes in a simulated bucket does it now; the listing shows one time, so that expectations can name it.
                let marked = if version.delete_marker { end() } else { version.last_modified };
                let at = marked.format("%Y-%m-%dT%H:%M:%S.000Z");
                text += &format!(
                    "<{element}><Key>{key}</Key><VersionId>{}</VersionId><LastModified>{at}</LastModified></{element}>",
                    version.version_id
                );
            }
        }
        text + "</ListVersionsResult>"
    }
}
