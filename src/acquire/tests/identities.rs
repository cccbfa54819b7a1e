//! Runs as several roles: what each brings, who is asked for what another may not see, and what stays open.

use super::*;
use crate::aws::{AwsError, Identities, SecondFactor};
use crate::sim::FOREIGN_ACCOUNT_ID;

const SERIAL: &str = "arn:aws:iam::111122223333:mfa/responder";

fn role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/security/reader")
}

/// An organization of two accounts, each with disks of its own.
fn organization() -> Stage {
    let stage = Stage::new();
    let member = Scenario { seed: 7, ..Scenario::quiet("2026-03-02T06:00:00Z".parse().unwrap()) };
    stage.server.add_member(FOREIGN_ACCOUNT_ID, Account::simulate(&member));
    stage
}

fn connection(stage: &Stage, accounts: &[&str]) -> Connection {
    Connection {
        role_arns: accounts.iter().map(|account| role(account)).collect(),
        case_number: Some("IR-1".to_owned()),
        ..stage.connection()
    }
}

async fn collect_as(stage: &Stage, identities: &Identities) -> CollectOutcome {
    let case = stage.open(&stage.request());
    let (_switch, stop) = Stop::pair();
    collect(identities, case, &stage.request(), &context(), Arc::new(Silent), stop).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roles_bring_two_accounts_and_what_both_see_once() {
    let stage = organization();
    let identities = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let planned = plan(&identities, &stage.request()).await.unwrap();
    let outcome = collect_as(&stage, &identities).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!((planned.totals.found, planned.totals.gaps.clone()), (outcome.totals.found, outcome.totals.gaps.clone()));
    for source in ["ebs", "flow-logs", "cloudtrail"] {
        for account in [ACCOUNT_ID, FOREIGN_ACCOUNT_ID] {
            let rows = outcome.rows.iter().filter(|row| row.source == source);
            let answers: u64 = rows.filter(|row| row.account.unwrap().to_string() == account).map(|row| row.answers).sum();
            assert!(answers > 0, "{source} of {account}");
        }
    }
    // The organization's trail is swept by whoever comes first.
    assert_eq!(outcome.totals.stored, outcome.totals.found);
    let Event::CollectionStarted(started) = &stage.events()[1] else { panic!("{:?}", stage.events()[1]) };
    assert!(started.caller.arn.ends_with("111122223333:assumed-role/reader/caselock-IR-1"), "{}", started.caller.arn);
    assert_eq!(started.also_as.iter().map(|caller| caller.account.to_string()).collect::<Vec<_>>(), [FOREIGN_ACCOUNT_ID]);
    stage.all_requests_are_reads();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_group_of_another_account_is_read_as_that_account() {
    let stage = Stage::new();
    let member = Account::simulate(&Scenario { seed: 7, ..Scenario::quiet("2026-03-02T06:00:00Z".parse().unwrap()) });
    let at = stage.account.scenario().start() + chrono::Duration::minutes(5);
    member.add_log_group("us-east-1", "example/flows", [(at, "eni".to_owned(), "theirs".to_owned())]);
    stage.account.add_log_group("us-east-1", "example/flows", [(at, "eni".to_owned(), "ours".to_owned())]);
    stage.account.add_flow_log("us-east-1", crate::sim::FlowDestination::ForeignLogGroup("example/flows".to_owned()));
    stage.server.add_member(FOREIGN_ACCOUNT_ID, member);
    let identities = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let outcome = collect_as(&stage, &identities).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let artifacts = stage.artifacts();
    let read = artifacts.iter().filter(|artifact| artifact.path.as_str().contains("/FilterLogEvents/"));
    let read: Vec<_> = read.map(|artifact| artifact.path.as_str()).collect();
    assert!(!read.is_empty() && read.iter().all(|path| path.contains(FOREIGN_ACCOUNT_ID)), "{read:#?}");
    let said: String = read.iter().map(|path| String::from_utf8(stored_bytes(&stage.case(), path)).unwrap()).collect();
    assert!(said.contains("theirs") && !said.contains("ours"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_denied_is_a_gap_and_the_other_accounts_are_collected() {
    let stage = organization();
    stage.server.faults().add(Fault::deny("sts:AssumeRole").on(FOREIGN_ACCOUNT_ID));
    let identities = Identities::connect(&connection(&stage, &[FOREIGN_ACCOUNT_ID, ACCOUNT_ID])).await.unwrap();
    let planned = plan(&identities, &stage.request()).await.unwrap();
    assert_eq!(planned.missing_permissions, ["sts:AssumeRole"]);
    let outcome = collect_as(&stage, &identities).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert_eq!(denied.len(), 1, "{denied:#?}");
    assert_eq!(denied[0].what, format!("AssumeRole of {}", role(FOREIGN_ACCOUNT_ID)));
    assert_eq!(denied[0].account.unwrap().to_string(), FOREIGN_ACCOUNT_ID);
    assert!(denied[0].request_id.is_some() && denied[0].error_code.is_some(), "{denied:#?}");
    assert!(!outcome.complete && outcome.totals.stored > 50);
}

/// What is open in the case and makes it incomplete.
fn open(outcome: &CollectOutcome) -> Vec<&str> {
    outcome.case_gaps.iter().filter(|gap| gap.reason.is_incompleteness()).map(|gap| gap.what.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_as_somebody_else_closes_nothing_and_says_so() {
    let stage = organization();
    let home = Identities::connect(&connection(&stage, &[ACCOUNT_ID])).await.unwrap();
    stage.server.faults().add(Fault::deny("ec2:DescribeVolumes"));
    assert!(!collect_as(&stage, &home).await.complete);
    stage.server.faults().clear();
    let other = Identities::connect(&connection(&stage, &[FOREIGN_ACCOUNT_ID])).await.unwrap();
    let second = collect_as(&stage, &other).await;
    assert_eq!((second.complete, second.totals.incompleteness()), (false, 0), "{:#?}", second.gaps);
    assert_eq!(open(&second), ["DescribeVolumes", "DescribeVolumes"]);
    let told: Vec<_> = second.notices.iter().filter(|notice| notice.source == "session").collect();
    assert!(told.len() == 1 && told[0].text.contains(&format!("asked as {ACCOUNT_ID}")), "{told:#?}");
    assert!(told[0].text.contains(&format!("--role-arn {}", role(ACCOUNT_ID))), "{told:#?}");
    let both = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let third = collect_as(&stage, &both).await;
    assert!(third.complete && third.notices.iter().all(|notice| notice.source != "session"), "{:#?}", third.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_denied_stays_open_until_it_is_asked_for_again() {
    let stage = organization();
    stage.server.faults().add(Fault::deny("sts:AssumeRole").on(FOREIGN_ACCOUNT_ID));
    let accounts = connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID]);
    assert!(!collect_as(&stage, &Identities::connect(&accounts).await.unwrap()).await.complete);
    let Event::CollectionStarted(started) = &stage.events()[1] else { panic!("{:?}", stage.events()[1]) };
    assert_eq!(started.roles, [role(ACCOUNT_ID), role(FOREIGN_ACCOUNT_ID)], "granted and refused");
    stage.server.faults().clear();
    let home = Identities::connect(&connection(&stage, &[ACCOUNT_ID])).await.unwrap();
    let second = collect_as(&stage, &home).await;
    assert_eq!((second.complete, open(&second)), (false, vec![format!("AssumeRole of {}", role(FOREIGN_ACCOUNT_ID)).as_str()]));
    let third = collect_as(&stage, &Identities::connect(&accounts).await.unwrap()).await;
    assert!(third.complete, "{:#?}", third.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_as_two_is_not_ended_by_one() {
    let stage = organization();
    let both = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    // As a run leaves it that was cut off.
    let mut case = stage.open(&stage.request());
    let run = case.begin_run().unwrap();
    let home = Identities::connect(&connection(&stage, &[ACCOUNT_ID])).await.unwrap();
    case.append(Event::CollectionStarted(Box::new(collect::started(&both, &stage.request(), &context(), run, &[])))).unwrap();
    drop(case);
    let one = collect_as(&stage, &home).await;
    assert_eq!((one.complete, open(&one)), (false, vec![]));
    let status = crate::case::summary::summarize(&CaseFolder::open(&stage.case()).unwrap()).unwrap();
    assert_eq!(status.unfinished_as, [FOREIGN_ACCOUNT_ID.parse().unwrap()]);
    assert!(collect_as(&stage, &both).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_role_may_not_see_another_one_brings_whoever_is_named_first() {
    let whole = organization();
    let identities = Identities::connect(&connection(&whole, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let undisturbed = collect_as(&whole, &identities).await;
    let (first, second) = ([ACCOUNT_ID, FOREIGN_ACCOUNT_ID], [FOREIGN_ACCOUNT_ID, ACCOUNT_ID]);
    for (action, accounts) in [("s3:GetObject", first), ("s3:List*", second), ("s3:GetBucket*", first), ("s3:*", second)] {
        let stage = organization();
        stage.server.faults().add(Fault::deny(action).on(TRAIL_BUCKET).for_account(accounts[0]));
        let identities = Identities::connect(&connection(&stage, &accounts)).await.unwrap();
        let planned = plan(&identities, &stage.request()).await.unwrap();
        assert_eq!(planned.missing_permissions, Vec::<String>::new(), "{action}");
        let outcome = collect_as(&stage, &identities).await;
        assert!(outcome.complete, "{action}: {:#?}", outcome.gaps);
        assert_eq!(stage.objects(), whole.objects(), "{action}");
        assert_eq!(gaps(&outcome, GapReason::Empty).len(), gaps(&undisturbed, GapReason::Empty).len(), "{:#?}", outcome.gaps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_in_is_asked_first_the_next_time() {
    let stage = organization();
    stage.server.faults().add(Fault::deny("s3:GetObject").on(TRAIL_BUCKET).for_account(ACCOUNT_ID));
    let identities = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let (request, (_switch, stop)) = (Request { concurrency: NonZeroUsize::new(2), ..stage.request() }, Stop::pair());
    let case = stage.open(&request);
    assert!(collect(&identities, case, &request, &context(), Arc::new(Silent), stop).await.unwrap().complete);
    let refused = stage.server.requests().into_iter().filter(|request| request.status == 403).count();
    assert!((1..=2).contains(&refused), "those that were on their way when the first one was let in: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_role_may_see_is_one_gap() {
    let stage = organization();
    let key = digest_keys(&stage).pop().unwrap();
    stage.server.faults().add(Fault::deny("s3:GetObject").on(&key));
    let identities = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let outcome = collect_as(&stage, &identities).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert!(denied.len() == 1 && denied[0].what.ends_with(&key), "{denied:#?}");
    assert!(denied[0].detail.as_ref().unwrap().contains("other identity"), "{denied:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_role_is_denied_nothing_begins() {
    let stage = organization();
    stage.server.faults().add(Fault::deny("sts:AssumeRole"));
    let refused = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap_err();
    assert!(matches!(refused, AwsError::AssumeRole { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_external_id_opens_a_role_that_asks_for_it() {
    let stage = organization();
    stage.server.require_external_id("between-us-two");
    let mut connection = connection(&stage, &[FOREIGN_ACCOUNT_ID]);
    assert!(Identities::connect(&connection).await.is_err());
    connection.external_id = Some("between-us-two".to_owned());
    let session = Session::connect(&connection).await.unwrap();
    assert_eq!(session.caller().account.to_string(), FOREIGN_ACCOUNT_ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_of_a_second_factor_opens_every_role() {
    let stage = organization();
    stage.server.require_second_factor(SERIAL, "123456");
    let mut connection = connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID]);
    assert!(Identities::connect(&connection).await.is_err(), "without it no role is granted");
    connection.second_factor = Some(SecondFactor { serial: SERIAL.to_owned(), code: "123456".to_owned() });
    let identities = Identities::connect(&connection).await.unwrap();
    assert_eq!((identities.sessions().count(), identities.refused().len()), (2, 0));
    let again = Identities::connect(&connection).await.unwrap_err();
    assert!(matches!(again, AwsError::SecondFactor(_)), "a code is good once: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_role_takes_the_code_itself_where_nothing_else_is_permitted() {
    let stage = organization();
    stage.server.require_second_factor(SERIAL, "123456");
    stage.server.faults().add(Fault::deny("sts:GetSessionToken"));
    let mut connection = connection(&stage, &[FOREIGN_ACCOUNT_ID]);
    connection.second_factor = Some(SecondFactor { serial: SERIAL.to_owned(), code: "123456".to_owned() });
    let identities = Identities::connect(&connection).await.unwrap();
    assert_eq!(identities.first().caller().account.to_string(), FOREIGN_ACCOUNT_ID);
    let asked: Vec<_> = stage.server.requests().into_iter().filter(|request| request.operation == "AssumeRole").collect();
    assert_eq!(asked.len(), 1, "and is assumed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_role_the_second_factor_buys_a_session() {
    let stage = Stage::new();
    stage.server.require_second_factor(SERIAL, "123456");
    let mut connection = connection(&stage, &[]);
    connection.second_factor = Some(SecondFactor { serial: SERIAL.to_owned(), code: "123456".to_owned() });
    let session = Session::connect(&connection).await.unwrap();
    assert!(session.caller().access_key_id.as_ref().unwrap().starts_with("ASIA"), "{:?}", session.caller());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_about_as_its_own_account_whoever_met_it() {
    let stage = organization();
    let key = format!("arn:aws:kms:us-east-1:{FOREIGN_ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let keys = || BTreeSet::from([key.clone()]);
    let asked = |identities: Identities| {
        let stage = &stage;
        async move {
            let (intake, inbox) = super::super::pipeline::Intake::new(None);
            let counting = tokio::spawn(super::super::pipeline::Owner::new(None, Arc::new(Silent)).run(inbox));
            let notes = Arc::new(super::super::notes::Notes::default());
            let errands: Vec<Arc<Errand>> = identities
                .sessions()
                .map(|session| {
                    let recorder = crate::aws::Recorder::absent(session);
                    let now = "2026-03-02T06:00:00Z".parse().unwrap();
                    let errand = Errand::new(
                        recorder,
                        stage.request(),
                        regions::Regions::default(),
                        now,
                        intake.clone(),
                        Arc::new(Silent),
                        None,
                    );
                    Arc::new(errand.sharing(&notes))
                })
                .collect();
            notes.askers.introduce(errands.iter().map(|errand| errand.asker()).collect());
            let region = "us-east-1".parse().unwrap();
            for errand in &errands {
                super::super::kms::describe_keys(errand, "cloudtrail", &region, keys()).await.unwrap();
            }
            intake.close().await;
            let gaps = counting.await.unwrap().tally.gaps;
            gaps.into_iter().map(|gap| (gap.reason, gap.what)).collect::<Vec<_>>()
        }
    };
    let both = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    assert_eq!(asked(both).await, []);
    let requests = || stage.server.requests().into_iter().filter(|request| request.service == "kms").count();
    assert_eq!(requests(), 2, "described once, and its policy asked for once");
    // Without an identity of its account it is described as far as that is permitted, and its policy is out of reach.
    let one = Identities::connect(&connection(&stage, &[ACCOUNT_ID])).await.unwrap();
    let told = [(GapReason::Denied, format!("DescribeKey of {key}")), (GapReason::Skipped, format!("GetKeyPolicy of {key}"))];
    assert_eq!(asked(one).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_own_account_may_not_describe_is_described_as_another() {
    let stage = organization();
    stage.server.faults().add(Fault::deny("kms:DescribeKey").for_account(ACCOUNT_ID));
    stage.server.faults().add(Fault::deny("kms:GetKeyPolicy"));
    let identities = Identities::connect(&connection(&stage, &[ACCOUNT_ID, FOREIGN_ACCOUNT_ID])).await.unwrap();
    let outcome = collect_as(&stage, &identities).await;
    let denied = gaps(&outcome, GapReason::Denied);
    assert!(denied.iter().any(|what| what.starts_with("GetKeyPolicy of ")), "{denied:#?}");
    let of_keys = stage.server.requests().into_iter().filter(|request| request.operation == "DescribeKey");
    assert!(of_keys.clone().any(|request| request.status != 200), "its own account is asked first");
}
