//! Pages of keys and versions, in S3's order.

use std::ops::Bound;

use super::StoredObject;
use super::bucket::Bucket;

/// Where a listing of keys begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Start<'a> {
    /// With the first key.
    First,
    /// After this key.
    AfterKey(&'a str),
    /// After everything under this common prefix.
    AfterPrefix(&'a str),
}

/// Where a listing of versions begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum VersionStart<'a> {
    /// After everything a `Start` stands for.
    Keys(Start<'a>),
    /// After one version of one key.
    AfterVersion(&'a str, &'a str),
}

/// What a page was cut after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Cut {
    Key(String),
    Version(String, String),
    Prefix(String),
}

/// One page of a listing.
#[derive(Debug)]
pub(in super::super) struct Page<T> {
    pub(in super::super) entries: Vec<T>,
    pub(in super::super) common_prefixes: Vec<String>,
    /// The last thing on the page, when there is more after it.
    pub(in super::super) more_after: Option<Cut>,
}

/// A version as a listing shows it.
#[derive(Debug)]
pub(in super::super) struct ListedVersion<'a> {
    pub(in super::super) key: &'a str,
    pub(in super::super) version: &'a StoredObject,
    pub(in super::super) latest: bool,
}

impl Bucket {
    /// Lists current objects.
    pub(in super::super) fn list<'a>(
        &'a self,
        prefix: &str,
        delimiter: Option<&str>,
        start: Start<'_>,
        limit: usize,
    ) -> Page<(&'a str, &'a StoredObject)> {
        self.pages(
            prefix,
            delimiter,
            VersionStart::Keys(start),
            limit,
            |key, versions, _| {
                versions.last().filter(|version| !version.delete_marker).map(|version| (key, version)).into_iter().collect()
            },
            |(key, _)| Cut::Key((*key).to_owned()),
        )
    }

    /// Lists versions and delete markers, the newest of each key first.
    pub(in super::super) fn list_versions<'a>(
        &'a self,
        prefix: &str,
        delimiter: Option<&str>,
        start: VersionStart<'_>,
        limit: usize,
    ) -> Page<ListedVersion<'a>> {
        self.pages(
            prefix,
            delimiter,
            start,
            limit,
            |key, versions, after| {
                let newest = versions.len().saturating_sub(1);
                let listed = versions.iter().enumerate().rev().map(|(index, version)| ListedVersion {
                    key,
                    version,
                    latest: index == newest,
                });
                match after {
                    Some(after) => listed.skip_while(|listed| listed.version.version_id != after).skip(1).collect(),
                    None => listed.collect(),
                }
            },
            |listed| Cut::Version(listed.key.to_owned(), listed.version.version_id.clone()),
        )
    }

    /// Walks the keys in order without ever looking at one twice: a common prefix is stepped over
    /// as a whole, and a page begins where the one before it ended.
    fn pages<'a, T>(
        &'a self,
        prefix: &str,
        delimiter: Option<&str>,
        start: VersionStart<'_>,
        limit: usize,
        entries_of: impl Fn(&'a str, &'a [StoredObject], Option<&str>) -> Vec<T>,
        cut_after: impl Fn(&T) -> Cut,
    ) -> Page<T> {
        let mut page = Page { entries: Vec::new(), common_prefixes: Vec::new(), more_after: None };
        let mut last = None;
        let mut position = match start {
            VersionStart::Keys(Start::First) => Bound::Included(prefix.to_owned()),
            VersionStart::Keys(Start::AfterKey(key)) if key < prefix => Bound::Included(prefix.to_owned()),
            VersionStart::Keys(Start::AfterKey(key)) => Bound::Excluded(key.to_owned()),
            VersionStart::Keys(Start::AfterPrefix(passed)) => end_of(passed),
            VersionStart::AfterVersion(key, _) => Bound::Included(key.to_owned()),
        };
        'seek: loop {
            for (key, versions) in self.entries.range((position.clone(), Bound::Unbounded)) {
                if !key.starts_with(prefix) {
                    if key.as_str() < prefix {
                        continue;
                    }
                    return page;
                }
                let after = match start {
                    VersionStart::AfterVersion(marked, version) if marked == key => Some(version),
                    _ => None,
                };
                let found = entries_of(key, versions, after);
                if found.is_empty() {
                    continue;
                }
                let full = || page.entries.len() + page.common_prefixes.len() >= limit;
                if let Some(common) = common_prefix(key, prefix, delimiter) {
                    if full() {
                        page.more_after = last;
                        return page;
                    }
                    last = Some(Cut::Prefix(common.to_owned()));
                    position = end_of(common);
                    page.common_prefixes.push(common.to_owned());
                    continue 'seek;
                }
                for entry in found {
                    if page.entries.len() + page.common_prefixes.len() >= limit {
                        page.more_after = last;
                        return page;
                    }
                    last = Some(cut_after(&entry));
                    page.entries.push(entry);
                }
            }
            return page;
        }
    }
}

fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.get(prefix.len()..)?;
    let found = rest.find(delimiter)?;
    key.get(..prefix.len() + found + delimiter.len())
}

/// Where the keys begin that come after all that begin with the prefix: at the prefix with the next character in the place of its last.
fn end_of(prefix: &str) -> Bound<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Bound::Included(end);
        }
    }
    Bound::Excluded(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Upload;
    use super::*;

    fn bucket(keys: &[&str]) -> Bucket {
        let mut bucket = Bucket { versioned: true, ..Bucket::default() };
        for key in keys {
            bucket.put("b", key, Upload::new("x"));
        }
        bucket
    }

    #[test]
    fn a_common_prefix_is_stepped_over_with_the_last_of_all_keys_below_it() {
        let bucket = bucket(&["a/\u{10ffff}b", "a/b", "a0", "b"]);
        for limit in 1..5 {
            let (mut seen, _) = all_pages(&bucket, "", Some("/"), limit);
            seen.sort();
            assert_eq!(seen, ["a/", "a0", "b"], "{limit}");
        }
    }

    fn all_pages(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, limit: usize) -> (Vec<String>, usize) {
        let (mut seen, mut pages, mut cut) = (Vec::new(), 0, None);
        loop {
            let start = match &cut {
                None => Start::First,
                Some(Cut::Key(key) | Cut::Version(key, _)) => Start::AfterKey(key),
                Some(Cut::Prefix(passed)) => Start::AfterPrefix(passed),
            };
            let page = bucket.list(prefix, delimiter, start, limit);
            pages += 1;
            seen.extend(page.entries.iter().map(|(key, _)| (*key).to_owned()));
            seen.extend(page.common_prefixes);
            match page.more_after {
                Some(after) => cut = Some(after),
                None => return (seen, pages),
            }
        }
    }

    #[test]
    fn pages_of_any_size_add_up_to_the_whole_listing() {
        let keys: Vec<String> = (0..57).map(|number| format!("logs/{number:03}")).collect();
        let bucket = bucket(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        for limit in [1, 7, 19, 57, 1000] {
            let (seen, pages) = all_pages(&bucket, "logs/", None, limit);
            assert_eq!(seen, keys);
            assert_eq!(pages, 57_usize.div_ceil(limit));
        }
    }

    #[test]
    fn a_delimiter_rolls_up_each_folder_once_on_any_page_size() {
        let bucket = bucket(&["a", "b/1", "b/2", "b/c/3", "d", "e/1", "other"]);
        for limit in [1, 2, 3, 10] {
            let (mut seen, _) = all_pages(&bucket, "", Some("/"), limit);
            seen.sort();
            assert_eq!(seen, ["a", "b/", "d", "e/", "other"]);
        }
        assert_eq!(all_pages(&bucket, "b/", Some("/"), 10).0, ["b/1", "b/2", "b/c/"]);
    }

    #[test]
    fn a_deleted_object_is_in_no_listing_but_that_of_versions() {
        let mut bucket = bucket(&["a", "b"]);
        bucket.delete("bucket", "a", None);
        assert_eq!(all_pages(&bucket, "", None, 10).0, ["b"]);
        let versions = bucket.list_versions("", None, VersionStart::Keys(Start::First), 10);
        let listed: Vec<_> =
            versions.entries.iter().map(|listed| (listed.key, listed.version.delete_marker, listed.latest)).collect();
        assert_eq!(listed, [("a", true, true), ("a", false, false), ("b", false, true)]);
    }

    #[test]
    fn a_listing_of_versions_resumes_within_a_key() {
        let mut bucket = bucket(&["a", "a", "a", "b"]);
        bucket.delete("bucket", "b", None);
        let (mut seen, mut cut) = (Vec::new(), None);
        loop {
            let start = match &cut {
                Some(Cut::Version(key, version)) => VersionStart::AfterVersion(key, version),
                _ => VersionStart::Keys(Start::First),
            };
            let page = bucket.list_versions("", None, start, 2);
            seen.extend(page.entries.iter().map(|listed| (listed.key.to_owned(), listed.latest)));
            match page.more_after {
                Some(after) => cut = Some(after),
                None => break,
            }
        }
        let expected = [("a", true), ("a", false), ("a", false), ("b", true), ("b", false)];
        assert_eq!(seen, expected.map(|(key, latest)| (key.to_owned(), latest)));
    }
}
