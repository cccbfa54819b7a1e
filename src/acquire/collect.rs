//! A collection from its first line in the ledger to its last: it begins the run, has the sources gather, and says what came of it. Whether
//! what came is genuine is not asked.

use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::aws::{Answers, Halt, Identities, KeepPage, Recorder, time_of_aws};
use crate::case::event::{Caller, ClockOffset, CollectionFinished, CollectionInterrupted, CollectionStarted, Event, Gap, Tool};
use crate::case::summary::{Summary, SummaryRow, Summing};
use crate::case::{CaseError, CaseWriter, Configuration, Gaps};
use crate::model::{AccountId, Region, Sha256Hash, Timestamp, Window};

use super::errand::Errand;
use super::identified::{Identified, identify_all};
use super::notes::{Notes, StoredObjectsReader};
use super::pipeline::{Ended, Inbox, Intake, Owner};
use super::plan::gather_all;
use super::progress::Progress;
use super::remembered::Remembered;
use super::stop::Stop;
use super::tally::{Notice, Row, RowKey, Tally, Totals};
use super::{AcquireError, Request, chosen_sources, regions};

/// What the ledger says of the program and the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunContext {
    /// The program.
    pub tool: Tool,
    /// The machine's name.
    pub host: String,
    /// The operating system and its release.
    pub system: String,
    /// The user of the operating system.
    pub os_user: String,
    /// The command line, secrets removed.
    pub command_line: Vec<String>,
    /// Settings that came from a file instead, where any did.
    pub configuration: Option<Configuration>,
}

/// What a collection came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectOutcome {
    /// The run of this case.
    pub run: u32,
    /// Who AWS says is asking.
    pub caller: Caller,
    /// The other identities of the run, where several roles were assumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_as: Vec<Caller>,
    /// The time asked about.
    pub window: Window,
    /// The regions that the scope came to.
    pub regions: Vec<Region>,
    /// What came of it, by source, account and region.
    pub rows: Vec<Row>,
    /// The sum of the rows.
    pub totals: Totals,
    /// What this run could not have, and why: the first thousands; the ledger has all.
    pub gaps: Vec<Gap>,
    /// What is notable, and not missing.
    pub notices: Vec<Notice>,
    /// Whether everything in scope is stored, and nothing that an earlier run could not have, or did not come to, is left.
    pub complete: bool,
    /// Why the run was stopped before its end, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
    /// How the clocks compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
    /// Requests that the run took.
    pub requests: u64,
    /// Everything that the case holds now, of this run and earlier ones.
    #[serde(skip)]
    pub case_rows: Vec<SummaryRow>,
    /// Everything that is missing in the case, whichever run met it.
    #[serde(skip)]
    pub case_gaps: Vec<Gap>,
    /// Lines of the ledger when the run had ended.
    #[serde(skip)]
    pub ledger_lines: u64,
    /// Their Merkle root.
    #[serde(skip)]
    pub ledger_root: Sha256Hash,
}

/// Collects what is asked for into a case, going on where an earlier run ended.
///
/// Dropping the future loses only what was not committed yet, as a crash would. On the stop signal, and when AWS ends the run, what
/// is staged is committed and the interruption recorded.
pub async fn collect(
    identities: impl Into<Identities>,
    case: CaseWriter,
    request: &Request,
    context: &RunContext,
    progress: Arc<dyn Progress>,
    stop: Stop,
) -> Result<CollectOutcome, AcquireError> {
    let identities: Identities = identities.into();
    // What is asked for until now is asked for until AWS's now.
    let now = time_of_aws(Timestamp::new(chrono::Utc::now()), identities.first().clock());
    collect_at(now, identities, case, request, context, progress, stop).await
}

/// Collects, with the present given.
async fn collect_at(
    now: Timestamp,
    identities: Identities,
    mut case: CaseWriter,
    request: &Request,
    context: &RunContext,
    progress: Arc<dyn Progress>,
    mut stop: Stop,
) -> Result<CollectOutcome, AcquireError> {
    let sources = chosen_sources(&request.scope)?;
    let session = identities.first();
    let run = case.begin_run()?;
    let (mut stored, mut summing) = (StoredObjectsReader::for_lines(case.ledger_tree().size()), Summing::default());
    let mut remembered = Remembered::default();
    let answers = Answers::of_case(&case, now, &mut |event, at| {
        stored.take(event);
        remembered.take(event);
        summing.take(event, at);
    })?;
    let elsewhere = asked_as_others(summing.gaps(), &identities);
    case.go_on_summing(summing);
    let notes = Arc::new(Notes::of(stored.finish()));
    let (staging, folder) = (case.staging(), case.files()?);
    let (told, from) = (Arc::clone(&notes), folder.clone());
    let telling = tokio::task::spawn_blocking(move || remembered.tell(&from, &told));
    telling.await.map_err(|lost| AcquireError::Halted(lost.into()))?;
    let (intake, inbox) = Intake::new(Some(staging.clone()));
    let keeper: Arc<dyn KeepPage> = Arc::new(intake.clone());
    let recorder = Recorder::keeping(session, keeper, answers);
    // The answers to these calls wait in the intake: the ledger first says that a run has started.
    let identified = tokio::select! {
        identified = identify_all(&recorder, &identities, request) => identified.map_err(AcquireError::Halted)?,
        () = stop.requested() => return Err(AcquireError::Halted(Halt::Stopped)),
    };
    // The answers to what is asked meanwhile wait as well.
    let begun = Event::CollectionStarted(Box::new(started(&identities, request, context, run, &identified.regions)));
    let mut owner = JoinSet::new();
    owner.spawn(own(case, begun, inbox, Arc::clone(&progress)));
    if let Some(text) = elsewhere {
        progress.note(&text);
        let row = RowKey { source: regions::SOURCE, account: None, region: None };
        // Where the case takes nothing any more, its owner says why.
        drop(intake.notice(&row, text).await);
    }
    let Identified { regions, parts, gaps } = identified;
    let errands = parts.into_iter().map(|(recorder, regions)| {
        let case = Some((staging.clone(), folder.clone()));
        let errand = Errand::new(recorder, request.clone(), regions, now, intake.clone(), Arc::clone(&progress), case);
        Arc::new(errand.sharing(&notes))
    });
    let errands: Vec<Arc<Errand>> = errands.collect();
    let gathered = tokio::select! {
        gathered = gather_all(&sources, &errands, &intake, gaps) => gathered,
        () = stop.requested() => Err(Halt::Stopped),
    };
    intake.close().await;
    let Ended { case, tally, unstaged, error } = joined(&mut owner).await?;
    if let Some(error) = error {
        return Err(AcquireError::Case(error));
    }
    let gathered = unstaged.map_or(gathered, |error| Err(Halt::Case(Box::new(error))));
    let Some(mut case) = case else { return Err(AcquireError::Halted(UNRETURNED)) };

    let (totals, notices) = (tally.totals(), tally.notices());
    let mut interrupted = None;
    match gathered {
        Ok(()) => {
            let window = request.window;
            // Sorting what is known of a hundred thousand snapshots would hold up a thread that others wait for.
            let report = tokio::task::spawn_blocking(move || notes.lineage.report(window)).await;
            if let Some(report) = report.map_err(|lost| AcquireError::Halted(lost.into()))? {
                case.write_report("snapshots.json", report.as_bytes())?;
            }
            case.append(Event::CollectionFinished(CollectionFinished {
                run,
                artifacts: totals.stored + totals.answers,
                bytes: tally.all_bytes,
                already_stored: totals.already_stored,
                gaps: totals.incompleteness(),
                clock: session.clock(),
            }))?;
        }
        Err(halt) => {
            let reason = chain(&halt);
            let discarded = Vec::new();
            case.append(Event::CollectionInterrupted(CollectionInterrupted { run, discarded, cause: Some(reason.clone()) }))?;
            match halt {
                Halt::Stopped => interrupted = Some(reason),
                Halt::Case(error) => return Err(AcquireError::Case(*error)),
                halt => return Err(AcquireError::Halted(halt)),
            }
        }
    }
    let summary = case.summary();
    Ok(CollectOutcome {
        run,
        caller: session.caller().clone(),
        also_as: also_as(&identities),
        window: request.window,
        regions,
        rows: tally.rows(),
        complete: interrupted.is_none() && summary.as_ref().is_some_and(Summary::is_complete),
        totals,
        gaps: tally.gaps,
        notices,
        interrupted,
        clock: session.clock(),
        requests: identities.requests(),
        case_gaps: summary.as_ref().map(|summary| summary.gaps.clone()).unwrap_or_default(),
        case_rows: summary.map(|summary| summary.rows).unwrap_or_default(),
        ledger_lines: case.ledger_tree().size(),
        ledger_root: case.ledger_tree().root(),
    })
}

/// The owner of a case that did not give it back.
const UNRETURNED: Halt = Halt::Unexpected("the owner of the case ended without it");

/// How the owner of a case ended.
pub(super) async fn joined(owner: &mut JoinSet<Ended>) -> Result<Ended, AcquireError> {
    match owner.join_next().await {
        Some(ended) => ended.map_err(|lost| AcquireError::Halted(lost.into())),
        None => Err(AcquireError::Halted(UNRETURNED)),
    }
}

/// Records that the run has begun, and then whatever comes in.
async fn own(mut case: CaseWriter, begun: Event, inbox: Inbox, progress: Arc<dyn Progress>) -> Ended {
    let recorded = tokio::task::spawn_blocking(move || case.append(begun).map(|_| case));
    match recorded.await.unwrap_or(Err(CaseError::Poisoned)) {
        Ok(case) => Owner::new(Some(case), progress).run(inbox).await,
        Err(error) => Ended { case: None, tally: Tally::default(), unstaged: None, error: Some(error) },
    }
}

/// What to tell whoever goes on with a case as somebody else: nobody but those who asked can close what they left open.
fn asked_as_others(earlier: &Gaps, identities: &Identities) -> Option<String> {
    let now: Vec<AccountId> = identities.sessions().map(|session| session.caller().account).collect();
    let others: Vec<String> =
        earlier.asked_as().into_iter().filter(|account| !now.contains(account)).map(|account| account.to_string()).collect();
    if others.is_empty() {
        return None;
    }
    let roles: Vec<String> = earlier.roles().into_iter().map(|role| format!("--role-arn {role}")).collect();
    let again =
        if roles.is_empty() { "the same profile as before".to_owned() } else { format!("as before: {}", roles.join(" ")) };
    Some(format!(
        "Earlier runs of this case asked as {}, and this one does not: nothing is asked for again as that account, and what was left open \
         then stays open. To go on with it, give {again}.",
        others.join(", ")
    ))
}

/// Everybody but the first.
pub(super) fn also_as(identities: &Identities) -> Vec<Caller> {
    identities.sessions().skip(1).map(|session| session.caller().clone()).collect()
}

pub(super) fn started(
    identities: &Identities,
    request: &Request,
    context: &RunContext,
    run: u32,
    regions: &[Region],
) -> CollectionStarted {
    let session = identities.first();
    CollectionStarted {
        run,
        tool: context.tool.clone(),
        host: context.host.clone(),
        system: context.system.clone(),
        os_user: context.os_user.clone(),
        command_line: context.command_line.clone(),
        configuration: context.configuration.clone(),
        caller: session.caller().clone(),
        also_as: also_as(identities),
        roles: identities.roles().to_vec(),
        endpoint_url: session.endpoint_url().map(str::to_owned),
        service_endpoints: session.service_endpoints().clone(),
        proxies: session.proxies().clone(),
        window: request.window,
        scope: request.scope.clone(),
        regions: regions.to_vec(),
        clock: session.clock(),
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
