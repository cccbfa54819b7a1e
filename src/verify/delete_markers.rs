//! Delete markers, as `ListObjectVersions` shows them: that an object was deleted, and when.

use crate::cloudtrail::{DigestName, LogName};
use crate::model::{S3Location, Timestamp, url_decoded};

/// One delete marker on one of CloudTrail's own files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeleteMarker {
    pub(super) location: S3Location,
    pub(super) version_id: String,
    pub(super) at: Option<Timestamp>,
}

/// The delete markers on logs and digests in one answer of `ListObjectVersions`.
///
/// It is read with a scanner for just these elements: S3 writes them flat, and what does not look like that is passed over.
pub(super) fn delete_markers(body: &[u8], bucket: Option<&str>) -> Vec<DeleteMarker> {
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    let Some(bucket) = bucket.map(str::to_owned).or_else(|| element(text, "Name")) else { return Vec::new() };
    let url_encoded = element(text, "EncodingType").as_deref() == Some("url");
    let mut markers = Vec::new();
    for part in text.split("<DeleteMarker>").skip(1) {
        let Some((part, _)) = part.split_once("</DeleteMarker>") else { continue };
        let (Some(key), Some(version_id)) = (element(part, "Key"), element(part, "VersionId")) else { continue };
        let Some(key) = (if url_encoded { url_decoded(&key) } else { Some(key) }) else { continue };
        if key.parse::<LogName>().is_err() && key.parse::<DigestName>().is_err() {
            continue;
        }
        let at = element(part, "LastModified").and_then(|at| at.parse().ok());
        markers.push(DeleteMarker { location: S3Location::new(bucket.clone(), key), version_id, at });
    }
    markers
}

/// The text of the first element of this name.
fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    Some(content.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_AbCdEfGh12345678.json.gz";

    fn page(encoding: &str, key: &str) -> String {
        format!(
            "<ListVersionsResult><Name>example-corp</Name>{encoding}<Version><Key>{key}</Key><VersionId>v1</VersionId></Version>\
             <DeleteMarker><Key>{key}</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>\
             <LastModified>2026-03-01T12:00:00.000Z</LastModified></DeleteMarker></ListVersionsResult>"
        )
    }

    #[test]
    fn a_marker_on_a_log_is_found_in_either_encoding() {
        let plain = delete_markers(page("", KEY).as_bytes(), None);
        let encoded = delete_markers(page("<EncodingType>url</EncodingType>", &KEY.replace('/', "%2F")).as_bytes(), None);
        assert_eq!(plain, encoded);
        assert_eq!((plain[0].location.key.as_str(), plain[0].version_id.as_str()), (KEY, "v2"));
        assert_eq!(plain[0].at, Some("2026-03-01T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn markers_on_other_objects_and_cut_pages_give_nothing() {
        assert_eq!(delete_markers(page("", "reports/1.csv").as_bytes(), None), []);
        let whole = page("", KEY);
        assert_eq!(delete_markers(&whole.as_bytes()[..whole.len() - 60], None), []);
        assert_eq!(delete_markers(b"\xff", None), []);
    }
}
