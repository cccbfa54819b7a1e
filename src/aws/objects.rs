//! What lies in a bucket, a page at a time, and in which region the bucket has to be asked. Nothing is fetched.

use aws_sdk_s3::types::{EncodingType, ObjectStorageClass, OptionalObjectAttributes, RestoreStatus};

use crate::model::{AccountId, Region, Timestamp, printable, url_decoded};

use super::Halt;
use super::exchange::ExchangeTap;
use super::failure::{Failure, FailureKind};
use super::record::{Call, Recorder};

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The evidence source that asks.
    pub source: &'static str,
    /// The account whose evidence it is.
    pub account: AccountId,
    /// The region the bucket lies in.
    pub region: Region,
    /// The bucket.
    pub bucket: String,
    /// Only keys that start so.
    pub prefix: String,
    /// Whether keys are grouped up to the next `/`.
    pub folders: bool,
    /// Only keys after this one.
    pub start_after: Option<String>,
}

/// An object, as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// The exact key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// Its entity tag, as S3 wrote it, quotes included.
    pub etag: Option<String>,
    /// When it was last written.
    pub last_modified: Option<Timestamp>,
    /// Whether it lies in an archive. A listing that is kept does not say whether it was restored from there.
    pub archived: bool,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// The groups, each ending in `/`.
    pub folders: Vec<String>,
    /// What to ask the next page with.
    pub next: Option<String>,
}

/// Asks for one page of a listing, and refuses one that does not add up: S3's answer to nothing is not an empty document.
pub async fn list_page(
    recorder: &Recorder,
    query: &ListQuery,
    page: u32,
    token: Option<&str>,
) -> Result<Result<ListPage, Failure>, Halt> {
    let client = recorder.session().s3(&query.region);
    let mut call = Call::new(query.source, "s3", "ListObjectsV2", query.account, &query.region)
        .with("Bucket", query.bucket.clone())
        .with("Prefix", query.prefix.clone());
    if query.folders {
        call = call.with("Delimiter", "/");
    }
    if let Some(key) = &query.start_after {
        call = call.with("StartAfter", key.clone());
    }
    let answer = recorder
        .call(
            &call,
            page,
            |output: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| output.is_truncated() != Some(true),
            |tap| {
                client
                    .list_objects_v2()
                    .bucket(&query.bucket)
                    .prefix(&query.prefix)
                    .set_delimiter(query.folders.then(|| "/".to_owned()))
                    .set_start_after(query.start_after.clone())
                    .set_continuation_token(token.map(str::to_owned))
                    // A key may hold characters that XML cannot.
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

pub(super) fn read_page(
    output: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output,
    query: &ListQuery,
) -> Result<ListPage, String> {
    let decode = |text: &str| decoded(text, output.encoding_type());
    let unreadable = |text: &str| format!("the listing holds a name that cannot be read: {}", printable(text));
    let (Some(count), Some(truncated)) = (output.key_count(), output.is_truncated()) else {
        return Err("the listing says neither how many keys it holds nor whether there are more".to_owned());
    };
    let mut page = ListPage::default();
    for object in output.contents() {
        let raw = object.key().ok_or("the listing holds an object without a key")?;
        let key = decode(raw).ok_or_else(|| unreadable(raw))?;
        if !key.starts_with(&query.prefix) {
            return Err(format!("the listing holds a key that was not asked for: {}", printable(&key)));
        }
        let size =
            object.size().and_then(|size| u64::try_from(size).ok()).ok_or("the listing holds an object without a size")?;
        page.objects.push(ListedObject {
            key,
            size,
            etag: object.e_tag().map(str::to_owned),
            last_modified: object.last_modified().and_then(timestamp),
            archived: is_archived(object.storage_class().map(ObjectStorageClass::as_str), object.restore_status()),
        });
    }
    for folder in output.common_prefixes() {
        let raw = folder.prefix().ok_or("the listing holds a group without a name")?;
        page.folders.push(decode(raw).ok_or_else(|| unreadable(raw))?);
    }
    if usize::try_from(count).ok() != Some(page.objects.len() + page.folders.len()) {
        return Err(format!("the listing says it holds {count} keys, and holds {}", page.objects.len() + page.folders.len()));
    }
    if truncated {
        let token = output.next_continuation_token().filter(|token| !token.is_empty());
        page.next = Some(token.ok_or("the listing says there is more, and not how to ask for it")?.to_owned());
    }
    Ok(page)
}

/// What listings are asked to say beyond the usual: whoever fetches nothing does not learn otherwise what was restored.
pub(super) fn attributes(recorder: &Recorder) -> Option<Vec<OptionalObjectAttributes>> {
    recorder.keeps_nothing().then(|| vec![OptionalObjectAttributes::RestoreStatus])
}

/// Whether an object cannot be read before it is restored. From the other classes of Glacier and of archives it can.
pub(super) fn is_archived(class: Option<&str>, restored: Option<&RestoreStatus>) -> bool {
    let is_readable =
        restored.is_some_and(|status| status.is_restore_in_progress() != Some(true) && status.restore_expiry_date().is_some());
    matches!(class, Some("GLACIER" | "DEEP_ARCHIVE")) && !is_readable
}

/// An SDK time as one of ours.
pub(crate) fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    chrono::DateTime::from_timestamp(time.secs(), time.subsec_nanos()).map(Timestamp::new)
}

/// A key as it is, out of a listing that may say that its keys are encoded.
pub(crate) fn decoded(text: &str, encoding: Option<&EncodingType>) -> Option<String> {
    if encoding == Some(&EncodingType::Url) { url_decoded(text) } else { Some(text.to_owned()) }
}

/// Where a bucket lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketRegion {
    /// There.
    Known(Region),
    /// There, as S3 says in passing to those whom it refuses the answer.
    Inferred(Region, Failure),
    /// It is gone, or never was.
    Gone(Failure),
    /// AWS does not say; the session's own region is as good a guess as any.
    Unknown(Failure),
}

/// Codes with which S3 says that a question has to be asked in the bucket's own region.
const ASKED_ELSEWHERE: [&str; 4] =
    ["AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException"];

/// Finds out where a bucket lies: S3 names its region even to those who may not ask for it.
///
/// The bucket stands in the path, not in the host: to a host of the bucket's own, some regions answer only what was signed for them.
pub async fn region_of_bucket(
    recorder: &Recorder,
    source: &'static str,
    account: AccountId,
    bucket: &str,
) -> Result<BucketRegion, Halt> {
    let session = recorder.session();
    let client = session.s3(session.region());
    let call = Call::new(source, "s3", "GetBucketLocation", account, session.region()).with("Bucket", bucket);
    let answer = recorder
        .call(
            &call,
            1,
            |_| true,
            |tap| {
                let in_path = aws_sdk_s3::config::Builder::default().force_path_style(true);
                client.get_bucket_location().bucket(bucket).customize().config_override(in_path).interceptor(tap).send()
            },
        )
        .await?;
    let failure = match answer {
        Ok(output) => {
            let constraint = output.location_constraint().map_or("", |constraint| constraint.as_str());
            let name = match constraint {
                "" => "us-east-1",
                "EU" => "eu-west-1",
                other => other,
            };
            match name.parse() {
                Ok(region) => return Ok(BucketRegion::Known(region)),
                Err(_) => Failure::found(FailureKind::Other, "the bucket's region cannot be read"),
            }
        }
        Err(failure) if failure.code.as_deref() == Some("NoSuchBucket") => return Ok(BucketRegion::Gone(failure)),
        Err(failure) => failure,
    };
    let tap = ExchangeTap::default();
    let head = client.head_bucket().bucket(bucket).customize().interceptor(tap.clone()).send().await;
    session.note(&tap);
    if let Some(region) = tap.bucket_region().and_then(|region| region.parse().ok()) {
        // Where it has to be asked is an answer to where it lies.
        let answered = failure.code.as_deref().is_some_and(|code| ASKED_ELSEWHERE.contains(&code));
        return Ok(if answered { BucketRegion::Known(region) } else { BucketRegion::Inferred(region, failure) });
    }
    Ok(match head {
        Err(error) if Failure::of(&error).kind == FailureKind::NotFound => BucketRegion::Gone(failure),
        Ok(_) | Err(_) => BucketRegion::Unknown(failure),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
    use aws_sdk_s3::types::Object;

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

    fn object(key: &str) -> Object {
        Object::builder().key(key).size(3).build()
    }

    #[test]
    fn an_empty_document_is_not_an_empty_listing() {
        assert!(read_page(&ListObjectsV2Output::builder().build(), &query()).is_err());
        let empty = ListObjectsV2Output::builder().key_count(0).is_truncated(false).build();
        assert_eq!(read_page(&empty, &query()), Ok(ListPage::default()));
    }

    #[test]
    fn a_page_that_does_not_add_up_is_refused() {
        let fewer = ListObjectsV2Output::builder().key_count(2).is_truncated(false).contents(object("AWSLogs/a")).build();
        assert!(read_page(&fewer, &query()).is_err());
        let no_token = ListObjectsV2Output::builder().key_count(1).is_truncated(true).contents(object("AWSLogs/a")).build();
        assert!(read_page(&no_token, &query()).is_err());
        let foreign = ListObjectsV2Output::builder().key_count(1).is_truncated(false).contents(object("other/a")).build();
        assert!(read_page(&foreign, &query()).is_err());
    }

    #[test]
    fn what_has_to_be_restored_and_was_not_is_archived() {
        for class in ["GLACIER", "DEEP_ARCHIVE"] {
            let status = RestoreStatus::builder();
            let restored = status.clone().is_restore_in_progress(false);
            let restored = restored.restore_expiry_date(aws_smithy_types::DateTime::from_secs(1)).build();
            assert!(is_archived(Some(class), None) && !is_archived(Some(class), Some(&restored)), "{class}");
            assert!(is_archived(Some(class), Some(&status.is_restore_in_progress(true).build())), "{class}");
        }
        for class in [None, Some("STANDARD"), Some("GLACIER_IR"), Some("INTELLIGENT_TIERING")] {
            assert!(!is_archived(class, None), "{class:?}");
        }
    }

    #[test]
    fn keys_are_decoded_only_where_the_answer_says_that_they_are_encoded() {
        let plain = ListObjectsV2Output::builder().key_count(1).is_truncated(false).contents(object("AWSLogs/a%2Fb+c"));
        assert_eq!(read_page(&plain.clone().build(), &query()).unwrap().objects[0].key, "AWSLogs/a%2Fb+c");
        let encoded = plain.encoding_type(EncodingType::Url).build();
        assert_eq!(read_page(&encoded, &query()).unwrap().objects[0].key, "AWSLogs/a/b c");
    }
}
