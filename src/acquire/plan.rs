//! The same sources run without fetching: what there is, what it would take and cost, and which permissions are missing. No more than a byte
//! of any object is read.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::aws::{Halt, Identities, Recorder, time_of_aws};
use crate::case::event::{Caller, ClockOffset, Gap, GapReason};
use crate::case::gap::Subject;
use crate::model::{Region, Timestamp, Window};

use super::collect::{also_as, joined};
use super::errand::Errand;
use super::identified::{Identified, identify_all};
use super::notes::Notes;
use super::pipeline::{Intake, Owner};
use super::progress::Silent;
use super::tally::{Notice, Row, RowKey, Totals};
use super::{AcquireError, MOST_AT_ONCE, PERMISSIONS, Permission, Request, Source, chosen_sources, regions};

/// What a collection would take, and what it could not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Who AWS says is asking.
    pub caller: Caller,
    /// The other identities, where several roles were assumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_as: Vec<Caller>,
    /// The endpoint asked instead of AWS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The time asked about.
    pub window: Window,
    /// The regions that the scope came to.
    pub regions: Vec<Region>,
    /// What is there, by source, account and region. Logs that were delivered late become known only when digests are read.
    pub rows: Vec<Row>,
    /// The sum of the rows.
    pub totals: Totals,
    /// What is missing, and why.
    pub gaps: Vec<Gap>,
    /// What is notable, and not missing.
    pub notices: Vec<Notice>,
    /// Requests that the plan took.
    pub requests: u64,
    /// Requests that a collection would take, retries not counted.
    pub requests_expected: u64,
    /// IAM actions that were refused.
    pub missing_permissions: Vec<String>,
    /// What a collection may roughly take.
    pub estimate: Estimate,
    /// How the clocks compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
}

/// What a collection may roughly take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Its duration: of every request a share of 50 ms, at 20 MB a second, and at the pace that AWS grants.
    pub seconds: u64,
    /// What AWS asks for the requests, in millionths of a dollar.
    pub requests_microdollars: u64,
    /// What AWS asks for the transfer, in millionths of a dollar, where it leaves AWS.
    pub transfer_microdollars: u64,
}

impl Estimate {
    /// Of objects, their bytes, and other requests, so many side by side.
    fn of(objects: u64, bytes: u64, others: u64, concurrency: usize) -> Self {
        let side_by_side = u64::try_from(concurrency).unwrap_or(1).max(1);
        // 0.40 dollars for a million objects read, 5 for a million listings, 90 for a thousand gigabytes.
        Self {
            seconds: objects * 50 / 1_000 / side_by_side + bytes / 20_000_000 + others / 8 + 1,
            requests_microdollars: objects * 4 / 10 + others * 5,
            transfer_microdollars: bytes / 1_000_000 * 90,
        }
    }
}

/// The IAM actions that the gaps of a plan say are missing.
fn missing_permissions(gaps: &[Gap]) -> Vec<String> {
    let denied = gaps.iter().filter(|gap| gap.reason == GapReason::Denied);
    let mut missing: Vec<String> =
        denied.flat_map(|gap| actions_of(&gap.subject())).map(|action| (*action).to_owned()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The actions for what a gap is about: an operation, or a listing of a place in S3.
fn actions_of(subject: &Subject) -> &'static [&'static str] {
    let operation = match subject {
        Subject::Role(_) => return &["sts:AssumeRole"],
        Subject::Object { version: None, .. } => return &["s3:GetObject"],
        Subject::Object { version: Some(_), .. } => return &["s3:GetObjectVersion"],
        Subject::EarlierVersions { .. } => "ListObjectVersions",
        Subject::Listing(_) | Subject::Objects { .. } => "ListObjectsV2",
        Subject::Records { .. } => "FilterLogEvents",
        Subject::Answer { operation, .. } => match operation.as_str() {
            "GetObject" => return &["s3:GetObject"],
            "GetObjectVersion" => return &["s3:GetObjectVersion"],
            "kms:Decrypt" => return &["kms:Decrypt"],
            "createVolumePermission" => "DescribeSnapshotAttribute",
            "launchPermission" => "DescribeImageAttribute",
            other => other,
        },
        _ => return &[],
    };
    let named = |permission: &&Permission| permission.operation.split_once(':').is_some_and(|(_, name)| name == operation);
    PERMISSIONS.iter().find(named).map_or(&[], |permission| permission.actions)
}

/// Finds out what a collection would take. Reads one byte of one object in each bucket, to see whether it may; keeps and writes nothing.
pub async fn plan(identities: impl Into<Identities>, request: &Request) -> Result<Plan, AcquireError> {
    let sources = chosen_sources(&request.scope)?;
    let identities: Identities = identities.into();
    let session = identities.first();
    let (intake, inbox) = Intake::new(None);
    let recorder = Recorder::absent(session);
    let progress = Arc::new(Silent);
    let mut counting = JoinSet::new();
    counting.spawn(Owner::new(None, progress.clone()).run(inbox));
    let Identified { regions, parts, gaps } =
        identify_all(&recorder, &identities, request).await.map_err(AcquireError::Halted)?;
    let now = time_of_aws(Timestamp::new(chrono::Utc::now()), session.clock());
    let notes = Arc::new(Notes::default());
    let errands = parts.into_iter().map(|(recorder, regions)| {
        let errand = Errand::new(recorder, request.clone(), regions, now, intake.clone(), progress.clone(), None);
        Arc::new(errand.sharing(&notes))
    });
    let errands: Vec<Arc<Errand>> = errands.collect();
    gather_all(&sources, &errands, &intake, gaps).await.map_err(AcquireError::Halted)?;
    intake.close().await;
    let mut ended = joined(&mut counting).await?;
    for errand in errands.iter().filter(|errand| errand.wants_account(errand.caller().account)) {
        // A place where a source takes answers and no object is told as well, or it would look left out.
        for (source, region) in sources.iter().flat_map(|source| errand.regions.iter().map(move |region| (source, region))) {
            let account = Some(errand.caller().account);
            ended.tally.row(&RowKey { source: source.name(), account, region: Some(region.clone()) });
        }
    }
    let totals = ended.tally.totals();
    let requests = identities.requests();
    let expected = errands.iter().map(|errand| errand.expected_requests()).sum::<u64>();
    Ok(Plan {
        caller: session.caller().clone(),
        also_as: also_as(&identities),
        endpoint_url: session.endpoint_url().map(str::to_owned),
        window: request.window,
        regions,
        rows: ended.tally.rows(),
        requests,
        missing_permissions: missing_permissions(&ended.tally.gaps),
        estimate: Estimate::of(
            totals.found,
            totals.found_bytes,
            requests.saturating_add(expected),
            request.concurrency.map_or(MOST_AT_ONCE, NonZeroUsize::get),
        ),
        requests_expected: requests.saturating_add(totals.found).saturating_add(expected),
        totals,
        notices: ended.tally.notices(),
        gaps: ended.tally.gaps,
        clock: session.clock(),
    })
}

/// Runs the sources for one identity after the other: what one has brought, the next need not ask for.
pub(crate) async fn gather_all(
    sources: &[Box<dyn Source>],
    errands: &[Arc<Errand>],
    intake: &Intake,
    gaps: Vec<Gap>,
) -> Result<(), Halt> {
    for gap in gaps {
        intake.gap(gap).await?;
    }
    if let Some(first) = errands.first() {
        first.notes.askers.introduce(errands.iter().map(|errand| errand.asker()).collect());
    }
    for errand in errands {
        gather(sources, errand).await?;
    }
    if let Some(last) = errands.last() {
        for source in sources {
            source.conclude(Arc::clone(last)).await?;
        }
    }
    Ok(())
}

/// Runs the sources side by side; the first that ends the run ends them all.
async fn gather(sources: &[Box<dyn Source>], errand: &Arc<Errand>) -> Result<(), Halt> {
    let mut tasks = JoinSet::new();
    let asking = Arc::clone(errand);
    tasks.spawn(async move { regions::record_caller(&asking).await });
    for source in sources {
        let (name, gathering, progress) = (source.name(), source.gather(Arc::clone(errand)), Arc::clone(&errand.progress));
        progress.source_started(name);
        tasks.spawn(async move {
            let done = gathering.await;
            progress.source_finished(name);
            done
        });
    }
    super::errand::join_all(&mut tasks).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_denied_is_named_by_its_iam_action() {
        for (what, action) in [
            ("DescribeVolumes", "ec2:DescribeVolumes"),
            ("DescribeSnapshots with OwnerIds self", "ec2:DescribeSnapshots"),
            ("records in log group /vpc from 2026-03-01T09:00:00Z to 2026-03-01T10:00:00Z", "logs:FilterLogEvents"),
            ("GetBucketEncryption of bucket example", "s3:GetEncryptionConfiguration"),
            ("GetTrailStatus of arn:aws:cloudtrail:us-east-1:111122223333:trail/t", "cloudtrail:GetTrailStatus"),
            ("listing of s3://example/AWSLogs/", "s3:ListBucket"),
            ("flow log files under s3://example/AWSLogs/", "s3:ListBucket"),
            ("earlier versions of digests under s3://example/AWSLogs/", "s3:ListBucketVersions"),
            ("createVolumePermission of snap-0123456789abcdef0", "ec2:DescribeSnapshotAttribute"),
            ("launchPermission of ami-0123456789abcdef0", "ec2:DescribeImageAttribute"),
            ("GetObject of s3://example/AWSLogs/key", "s3:GetObject"),
            ("kms:Decrypt of s3://example/AWSLogs/key", "kms:Decrypt"),
            ("AssumeRole of arn:aws:iam::444455556666:role/reader", "sts:AssumeRole"),
        ] {
            assert_eq!(actions_of(&what.parse().unwrap()), [action], "{what}");
        }
    }

    #[test]
    fn an_estimate_grows_with_what_there_is() {
        let estimate = Estimate::of(1_000_000, 10_000_000_000, 8_000, 32);
        assert_eq!((estimate.requests_microdollars, estimate.transfer_microdollars), (440_000, 900_000));
        assert_eq!(estimate.seconds, 1_562 + 500 + 1_000 + 1);
    }
}
