//! What gaps are about, written and read.

use super::*;

fn read(text: &str) -> Subject {
    text.parse().unwrap()
}

fn place() -> Place {
    Place::new("b", "team/AWSLogs/")
}

#[test]
fn whatever_is_written_is_read_as_what_it_was() {
    let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/a.json.gz";
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let hour = (time("2026-03-01T09:00:00Z"), time("2026-03-01T10:00:00Z"));
    let kind = || "CloudTrail logs".to_owned();
    for (subject, words) in [
        (Subject::object(&S3Location::new("b", key), None), format!("s3://b/{key}")),
        (Subject::object(&S3Location::new("b", key), Some("v1")), format!("s3://b/{key} version v1")),
        (Subject::object(&S3Location::new("b", "k version v1"), None), r"s3://b/k\u{20}version v1".to_owned()),
        (Subject::object(&S3Location::new("b", "k\n"), None), r"s3://b/k\u{a}".to_owned()),
        (Subject::Artifact("data/s3/b/k~o".to_owned()), "data/s3/b/k~o".to_owned()),
        (Subject::Listing(place()), "listing of s3://b/team/AWSLogs/".to_owned()),
        (Subject::Listing(Place::new("b", "")), "listing of s3://b/".to_owned()),
        (Subject::objects(EVERYTHING, place()), "logs under s3://b/team/AWSLogs/".to_owned()),
        (Subject::objects("digests", Place::new("b", "p/ under s3://c/")), "digests under s3://b/p/ under s3://c/".to_owned()),
        (Subject::earlier_versions(FOLDERS, place()), "earlier versions of folders under s3://b/team/AWSLogs/".to_owned()),
        (
            Subject::Deleted { count: 3, kind: kind(), place: place() },
            "3 deleted CloudTrail logs under s3://b/team/AWSLogs/".to_owned(),
        ),
        (
            Subject::Recoverable { count: 3, kind: kind(), place: place() },
            "current versions of 3 deleted CloudTrail logs under s3://b/team/AWSLogs/".to_owned(),
        ),
        (
            Subject::Strays { count: 2, kind: AMONG_FOLDERS.to_owned(), place: place() },
            "2 objects among the folders under s3://b/team/AWSLogs/".to_owned(),
        ),
        (Subject::within("other regions", place()), "other regions in s3://b/team/AWSLogs/".to_owned()),
        (Subject::LateLogs { digests: 2, place: place() }, "late logs that 2 digests in s3://b/team/AWSLogs/ name".to_owned()),
        (
            Subject::NamedLogs { absent: true, place: place() },
            "late logs that digests in s3://b/team/AWSLogs/ name and S3 does not have".to_owned(),
        ),
        (
            Subject::NamedLogs { absent: false, place: place() },
            "further late logs that digests in s3://b/team/AWSLogs/ name".to_owned(),
        ),
        (Subject::Elsewhere(place()), "logs or digests in another place, in bucket b below team/AWSLogs/".to_owned()),
        (Subject::Bucket("b".to_owned()), "bucket b".to_owned()),
        (
            Subject::Role("arn:aws:iam::444455556666:role/reader".to_owned()),
            "AssumeRole of arn:aws:iam::444455556666:role/reader".to_owned(),
        ),
        (Subject::answer("DescribeVolumes"), "DescribeVolumes".to_owned()),
        (Subject::answer_about("ListTags", "arn:aws:x"), "ListTags of arn:aws:x".to_owned()),
        (Subject::answer_about("kms:Decrypt", "s3://b/k"), "kms:Decrypt of s3://b/k".to_owned()),
        (Subject::answer_about_bucket("GetBucketPolicy", "b"), "GetBucketPolicy of bucket b".to_owned()),
        (
            Subject::answer_to("DescribeSnapshots", [("Asked", "again"), ("OwnerIds", "self")].into_iter()),
            "DescribeSnapshots with Asked again, OwnerIds self".to_owned(),
        ),
        (Subject::answer_to("DescribeVolumes", [("MaxResults", "1000")].into_iter()), "DescribeVolumes".to_owned()),
        (
            Subject::answer_from("LookupEvents", hour),
            "LookupEvents from 2026-03-01T09:00:00Z to 2026-03-01T10:00:00Z".to_owned(),
        ),
        (Subject::records("/vpc/from here", None), "records in log group /vpc/from here".to_owned()),
        (
            Subject::records("/vpc", Some(hour)),
            "records in log group /vpc from 2026-03-01T09:00:00Z to 2026-03-01T10:00:00Z".to_owned(),
        ),
        (Subject::Other("snapshots".to_owned()), "snapshots".to_owned()),
    ] {
        assert_eq!(subject.to_string(), words);
        assert_eq!(read(&words), subject, "{words}");
    }
}

#[test]
fn words_that_are_no_others_stay_as_they_are() {
    for words in [
        "",
        "trails",
        "event history",
        "logging of arn:aws:cloudtrail:us-east-1:111122223333:trail/t",
        "trail arn:aws:cloudtrail:us-east-1:111122223333:trail/t",
        "records of flow log fl-0123456789abcdef0",
        "CloudTrail logs",
        "digests",
        "other regions in s3://b",
        "listing of s3://b",
        "007 deleted digests under s3://b/p/",
        "some deleted digests in bucket",
        "flow logs of s3://b/p/",
    ] {
        assert_eq!(read(words), Subject::Other(words.to_owned()));
    }
}

#[test]
fn a_folder_lies_in_the_one_above_it() {
    let above = |prefix: &str| Place::new("b", prefix).above().map(|place| place.prefix);
    assert_eq!(above("AWSLogs/111122223333/CloudTrail/").as_deref(), Some("AWSLogs/111122223333/"));
    assert_eq!(above("AWSLogs/").as_deref(), Some(""));
    assert_eq!((above(""), above("key")), (None, None));
}
