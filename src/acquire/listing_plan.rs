//! What a listing would have a collection take: keys in, keys out, by the same rules as a collection's.

use crate::aws::{ListPage, ListQuery};
use crate::cloudtrail::LogFolder;
use crate::cloudtrail::names::digest_file;
use crate::model::{Region, Window};

use super::log_files::{StampRange, file_name, flow_stamp, log_stamp};

/// How long around the window names are taken, in seconds.
const AROUND: i64 = 2 * 3600;

/// The keys of a page that a collection of `window` would fetch, by their names alone.
#[must_use]
pub fn chosen_keys(page: &ListPage, query: &ListQuery, region: &Region, window: Window) -> Vec<String> {
    let range = StampRange::around(window, AROUND, AROUND, AROUND);
    let is_chosen = |key: &&str| {
        let name = file_name(key);
        let stamp = LogFolder::ALL
            .iter()
            .find_map(|kind| log_stamp(name, query.account, kind.as_str(), region))
            .or_else(|| digest_file(name, query.account, region).map(|digest| digest.end))
            .or_else(|| flow_stamp(name, query.account, region));
        stamp.is_some_and(|stamp| range.holds(stamp))
    };
    page.objects.iter().map(|object| object.key.as_str()).filter(is_chosen).map(str::to_owned).collect()
}
