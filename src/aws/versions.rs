//! Earlier versions and delete markers of a bucket, a page at a time. Nothing is fetched.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{EncodingType, ObjectVersionStorageClass};

use crate::model::{Timestamp, printable};

use super::Halt;
use super::failure::{Failure, FailureKind};
use super::objects::{ListQuery, attributes, decoded, is_archived, timestamp};
use super::record::{Call, Recorder};

/// A version of an object, or a delete marker, as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVersion {
    /// The exact key.
    pub key: String,
    /// The version's id; `null` for what was stored while the bucket kept no versions.
    pub version_id: String,
    /// Its bytes; a delete marker has none.
    pub size: Option<u64>,
    /// Its entity tag, as S3 wrote it, quotes included.
    pub etag: Option<String>,
    /// When it was written.
    pub last_modified: Option<Timestamp>,
    /// Whether it is what the key stands for now.
    pub latest: bool,
    /// Whether it lies in an archive. A listing that is kept does not say whether it was restored from there.
    pub archived: bool,
}

/// One page of a listing of versions, by key and then as S3 orders them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Versions and delete markers, sorted by key.
    pub versions: Vec<ListedVersion>,
    /// The groups, each ending in `/`; also those in which nothing is current any more.
    pub folders: Vec<String>,
    /// The key and version after which the next page begins.
    pub next: Option<(String, Option<String>)>,
}

/// Asks for one page of all versions, and refuses one that does not add up.
pub async fn list_versions_page(
    recorder: &Recorder,
    query: &ListQuery,
    page: u32,
    after: Option<&(String, Option<String>)>,
) -> Result<Result<VersionPage, Failure>, Halt> {
    let client = recorder.session().s3(&query.region);
    let mut call = Call::new(query.source, "s3", "ListObjectVersions", query.account, &query.region)
        .with("Bucket", query.bucket.clone())
        .with("Prefix", query.prefix.clone());
    if query.folders {
        call = call.with("Delimiter", "/");
    }
    if let Some(key) = &query.start_after {
        call = call.with("KeyMarker", key.clone());
    }
    let (key_marker, version_marker) = match after {
        Some((key, version)) => (Some(key.clone()), version.clone()),
        None => (query.start_after.clone(), None),
    };
    let answer = recorder
        .call(
            &call,
            page,
            |output: &ListObjectVersionsOutput| output.is_truncated() != Some(true),
            |tap| {
                client
                    .list_object_versions()
                    .bucket(&query.bucket)
                    .prefix(&query.prefix)
                    .set_delimiter(query.folders.then(|| "/".to_owned()))
                    .set_key_marker(key_marker.clone())
                    .set_version_id_marker(version_marker.clone())
                    .encoding_type(EncodingType::Url)
                    .set_optional_object_attributes(attributes(recorder))
                    .customize()
                    .interceptor(tap)
                    .send()
            },
        )
        .await?;
    Ok(answer.and_then(|output| read_page(&output, query).map_err(|what| Failure::found(FailureKind::Other, &what))))
}

fn read_page(output: &ListObjectVersionsOutput, query: &ListQuery) -> Result<VersionPage, String> {
    let Some(truncated) = output.is_truncated() else {
        return Err("the listing of versions does not say whether there are more".to_owned());
    };
    let name = |raw: Option<&str>| {
        let raw = raw.ok_or("the listing of versions holds one without a key")?;
        let key = decoded(raw, output.encoding_type())
            .ok_or_else(|| format!("the listing of versions holds a name that cannot be read: {}", printable(raw)))?;
        if key.starts_with(&query.prefix) {
            return Ok(key);
        }
        Err(format!("the listing of versions holds a key that was not asked for: {}", printable(&key)))
    };
    let nameless = "the listing of versions holds one without its id";
    let mut page = VersionPage::default();
    for version in output.versions() {
        let size = version.size().and_then(|size| u64::try_from(size).ok());
        page.versions.push(ListedVersion {
            key: name(version.key())?,
            version_id: version.version_id().ok_or(nameless)?.to_owned(),
            size: Some(size.ok_or("the listing of versions holds one without a size")?),
            etag: version.e_tag().map(str::to_owned),
            last_modified: version.last_modified().and_then(timestamp),
            latest: version.is_latest().ok_or("the listing of versions does not say which are current")?,
            archived: is_archived(version.storage_class().map(ObjectVersionStorageClass::as_str), version.restore_status()),
        });
    }
    for marker in output.delete_markers() {
        page.versions.push(ListedVersion {
            key: name(marker.key())?,
            version_id: marker.version_id().ok_or(nameless)?.to_owned(),
            size: None,
            etag: None,
            last_modified: marker.last_modified().and_then(timestamp),
            latest: marker.is_latest().ok_or("the listing of versions does not say which are current")?,
            archived: false,
        });
    }
    page.versions.sort_by(|left, right| left.key.cmp(&right.key));
    for folder in output.common_prefixes() {
        page.folders.push(name(folder.prefix())?);
    }
    if truncated {
        let key = output.next_key_marker().filter(|key| !key.is_empty());
        let key = key.ok_or("the listing of versions says there is more, and not how to ask for it")?;
        let key = decoded(key, output.encoding_type()).ok_or("the listing of versions goes on at a key that cannot be read")?;
        let version = output.next_version_id_marker().filter(|version| !version.is_empty());
        page.next = Some((key, version.map(str::to_owned)));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{CommonPrefix, DeleteMarkerEntry, ObjectVersion};

    use super::*;

    fn query() -> ListQuery {
        ListQuery {
            source: "cloudtrail",
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            bucket: "example-logs".to_owned(),
            prefix: "AWSLogs/".to_owned(),
            folders: false,
            start_after: None,
        }
    }

    #[test]
    fn versions_and_delete_markers_come_in_the_order_of_their_keys() {
        let version = ObjectVersion::builder().key("AWSLogs/b").version_id("1").size(3).is_latest(false).build();
        let marker = DeleteMarkerEntry::builder().key("AWSLogs/a").version_id("2").is_latest(true).build();
        let output = ListObjectVersionsOutput::builder().is_truncated(false).versions(version).delete_markers(marker).build();
        let page = read_page(&output, &query()).unwrap();
        let found: Vec<_> = page.versions.iter().map(|version| (version.key.as_str(), version.size)).collect();
        assert_eq!(found, [("AWSLogs/a", None), ("AWSLogs/b", Some(3))]);
    }

    #[test]
    fn folders_are_named_as_they_are_and_only_below_the_prefix() {
        let with = |prefix: &str| {
            let folder = CommonPrefix::builder().prefix(prefix).build();
            ListObjectVersionsOutput::builder().is_truncated(false).encoding_type(EncodingType::Url).common_prefixes(folder)
        };
        let page = read_page(&with("AWSLogs/a+b/").build(), &query()).unwrap();
        assert_eq!(page.folders, ["AWSLogs/a b/"]);
        assert!(read_page(&with("other/").build(), &query()).is_err());
    }

    #[test]
    fn a_listing_of_versions_that_does_not_add_up_is_refused() {
        assert!(read_page(&ListObjectVersionsOutput::builder().build(), &query()).is_err());
        assert!(read_page(&ListObjectVersionsOutput::builder().is_truncated(true).build(), &query()).is_err());
        let foreign = ObjectVersion::builder().key("other").version_id("1").size(3).is_latest(false).build();
        let output = ListObjectVersionsOutput::builder().is_truncated(false).versions(foreign).build();
        assert!(read_page(&output, &query()).is_err());
    }
}
