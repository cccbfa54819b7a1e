use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{AccountId, Region, S3Location};

use super::event::{Artifact, CollectionStarted, Event, Gap, Origin};
use super::gap::Subject;

/// How a gap about a role that was refused begins; its ARN follows.
pub(crate) const ROLE_REFUSED: &str = "AssumeRole of ";

/// How S3 names the version of an object that was written before its bucket kept versions.
const NO_VERSION_ID: &str = "null";

/// The gaps of a case, followed line by line: a later run may close what an earlier one left open.
///
/// A gap about one object, or one earlier version of it, is closed when just that is acquired, and not before: that a later listing does
/// not show it any more explains nothing, and what it was before it was overwritten is not what it is. Every other gap is closed by a later run that came to its end without meeting it again, if that run asked as
/// everybody as whom the earlier one did: what is refused to one account, another may never have heard of. A gap about a role is
/// closed only if that role was asked for again, or if its account was asked as in another way.
#[derive(Debug, Default)]
pub struct Gaps {
    open: Vec<Option<Gap>>,
    places: HashMap<Place, usize>,
    /// Which of the open gaps are about an object, a version of one, or a path in the case.
    objects: HashMap<Subject, Vec<usize>>,
    /// Those that are about no object, by the run that met them.
    others: BTreeMap<u32, Vec<usize>>,
    run: u32,
    asked: BTreeMap<u32, Asked>,
    unfinished_as: BTreeSet<AccountId>,
    closed: u64,
}

/// As whom a run asked.
#[derive(Debug, Default)]
struct Asked {
    accounts: BTreeSet<AccountId>,
    roles: Vec<String>,
}

/// What a gap is about; the same again replaces it.
type Place = (String, Option<AccountId>, Option<Region>, String);

impl Gaps {
    /// Shows the next line of the ledger.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::CollectionStarted(started) => self.started(started),
            Event::GapRecorded(gap) => self.record(gap),
            Event::ArtifactAcquired(artifact) => self.acquired(artifact),
            Event::CollectionFinished(finished) => self.finished(finished.run),
            _ => {}
        }
    }

    /// The gaps that are open, in the order of the ledger, and how many that made the case incomplete were closed.
    #[must_use]
    pub fn into_open(self) -> (Vec<Gap>, u64) {
        (self.open.into_iter().flatten().collect(), self.closed)
    }

    /// The accounts as which a run began, and none that came to its end has asked since.
    #[must_use]
    pub fn unfinished_as(&self) -> &BTreeSet<AccountId> {
        &self.unfinished_as
    }

    /// Every account as which a run asked.
    #[must_use]
    pub fn asked_as(&self) -> BTreeSet<AccountId> {
        self.asked.values().flat_map(|asked| asked.accounts.iter().copied()).collect()
    }

    /// Every role that a run was to assume.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<&str> {
        self.asked.values().flat_map(|asked| asked.roles.iter().map(String::as_str)).collect()
    }

    fn started(&mut self, started: &CollectionStarted) {
        self.run = started.run;
        let callers = std::iter::once(&started.caller).chain(&started.also_as);
        let accounts: BTreeSet<AccountId> = callers.map(|caller| caller.account).collect();
        self.unfinished_as.extend(&accounts);
        self.asked.insert(started.run, Asked { accounts, roles: started.roles.clone() });
    }

    fn record(&mut self, gap: &Gap) {
        let place = (gap.source.clone(), gap.account, gap.region.clone(), gap.what.clone());
        let at = self.open.len();
        if let Some(same) = self.places.insert(place, at).and_then(|same| self.open.get_mut(same)) {
            *same = None;
        }
        match gap.subject() {
            subject @ (Subject::Object { .. } | Subject::Artifact(_)) => self.objects.entry(subject).or_default().push(at),
            _ => self.others.entry(self.run).or_default().push(at),
        }
        self.open.push(Some(gap.clone()));
    }

    fn acquired(&mut self, artifact: &Artifact) {
        // Nearly always there is nothing to look for.
        if self.objects.is_empty() {
            return;
        }
        let mut acquired = vec![Subject::Artifact(artifact.path.to_string())];
        if let Origin::S3Object(origin) = &artifact.source {
            let location = S3Location::new(origin.bucket.clone(), origin.key.clone());
            // The current object has a version too; only the path says whether it was asked for by it.
            let version = artifact.path.is_of_version().then(|| origin.version_id.as_deref().unwrap_or(NO_VERSION_ID));
            acquired.push(Subject::object(&location, version));
        }
        for at in acquired.iter().filter_map(|subject| self.objects.remove(subject)).flatten().collect::<Vec<_>>() {
            self.close(at);
        }
    }

    /// A run came to its end: it asked for everything in scope again, as far as those as whom it asked may know of it.
    fn finished(&mut self, run: u32) {
        let Some(now) = self.asked.get(&run) else { return };
        self.unfinished_as.retain(|account| !now.accounts.contains(account));
        let mut answered = Vec::new();
        for (earlier, gaps) in self.others.range_mut(..run) {
            let Some(then) = self.asked.get(earlier) else { continue };
            gaps.retain(|&at| {
                let is_answered = self.open.get(at).and_then(Option::as_ref).is_none_or(|gap| now.answers(then, gap));
                if is_answered {
                    answered.push(at);
                }
                !is_answered
            });
        }
        for at in answered {
            self.close(at);
        }
    }

    fn close(&mut self, at: usize) {
        if let Some(gap) = self.open.get_mut(at).and_then(Option::take) {
            self.closed += u64::from(gap.reason.is_incompleteness());
        }
    }
}

impl Asked {
    /// Whether whoever asked so would have met a gap again that was met when it was asked as `then`.
    fn answers(&self, then: &Self, gap: &Gap) -> bool {
        let Some(role) = gap.what.strip_prefix(ROLE_REFUSED) else { return then.accounts.is_subset(&self.accounts) };
        let in_another_way = |account| self.accounts.contains(&account) && !then.accounts.contains(&account);
        self.roles.iter().any(|asked| asked == role) || gap.account.is_some_and(in_another_way)
    }
}

#[cfg(test)]
mod tests {
    use crate::case::event::GapReason;

    use super::*;

    fn gap(what: &str) -> Event {
        Event::GapRecorded(Gap {
            source: "cloudtrail".to_owned(),
            account: None,
            region: None,
            what: what.to_owned(),
            reason: GapReason::Denied,
            error_code: None,
            detail: None,
            request_id: None,
        })
    }

    fn line(json: serde_json::Value) -> Event {
        serde_json::from_value(json).unwrap()
    }

    const HOME: &str = "111122223333";
    const MEMBER: &str = "444455556666";
    const ROLE: &str = "arn:aws:iam::444455556666:role/reader";

    fn started(run: u32) -> Event {
        started_as(run, &[HOME], &[])
    }

    fn started_as(run: u32, accounts: &[&str], roles: &[&str]) -> Event {
        let callers: Vec<_> =
            accounts.iter().map(|account| serde_json::json!({"account": account, "arn": "", "user_id": ""})).collect();
        line(serde_json::json!({"event": "collection.started", "run": run, "tool": {"name": "caselock", "version": "1"},
            "host": "", "system": "", "os_user": "", "command_line": [],
            "caller": callers[0], "also_as": callers[1..], "roles": roles,
            "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}, "scope": {}, "regions": []}))
    }

    fn finished(run: u32) -> Event {
        line(
            serde_json::json!({"event": "collection.finished", "run": run, "artifacts": 0, "bytes": 0, "already_stored": 0, "gaps": 0}),
        )
    }

    fn acquired(key: &str) -> Event {
        stored(&crate::model::PayloadPath::for_object(&S3Location::new("b", key)), key, Some("v2"))
    }

    fn acquired_version(key: &str, version: &str) -> Event {
        stored(&crate::model::PayloadPath::for_version(&S3Location::new("b", key), version), key, Some(version))
    }

    fn stored(path: &crate::model::PayloadPath, key: &str, version: Option<&str>) -> Event {
        line(serde_json::json!({"event": "artifact.acquired", "path": path, "size": 0, "sha256": "00".repeat(32), "salt": "",
            "source": {"kind": "s3-object", "source": "cloudtrail", "bucket": "b", "key": key, "version_id": version,
                "aws_digest": "absent", "exchange": {"attempts": 1}}}))
    }

    fn after(events: &[Event]) -> Gaps {
        let mut gaps = Gaps::default();
        for event in events {
            gaps.take(event);
        }
        gaps
    }

    fn open(events: &[Event]) -> Vec<String> {
        after(events).into_open().0.into_iter().map(|gap| gap.what).collect()
    }

    fn unfinished(events: &[Event]) -> Vec<String> {
        after(events).unfinished_as().iter().map(ToString::to_string).collect()
    }

    fn refused_role(account: Option<&str>) -> Event {
        let Event::GapRecorded(gap) = gap(&format!("{ROLE_REFUSED}{ROLE}")) else { panic!("a gap") };
        Event::GapRecorded(Gap { account: account.map(|account| account.parse().unwrap()), ..gap })
    }

    #[test]
    fn a_finished_run_closes_what_it_does_not_meet_again() {
        assert_eq!(open(&[started(1), gap("one"), gap("two"), finished(1), started(2), gap("two"), finished(2)]), ["two"]);
    }

    #[test]
    fn a_run_that_does_not_end_closes_nothing() {
        assert_eq!(open(&[started(1), gap("one"), finished(1), started(2)]), ["one"]);
    }

    #[test]
    fn a_gap_about_an_object_is_closed_only_by_the_object() {
        let first = [started(1), gap("s3://b/k"), finished(1), started(2)];
        assert_eq!(open(&[&first[..], &[finished(2)]].concat()), ["s3://b/k"]);
        assert_eq!(open(&[&first[..], &[acquired("other"), finished(2)]].concat()), ["s3://b/k"]);
        assert_eq!(open(&[&first[..], &[acquired("k"), finished(2)]].concat()), Vec::<String>::new());
    }

    #[test]
    fn an_earlier_version_is_not_the_object_nor_the_object_its_earlier_version() {
        let after = |what: &str, then: Event| open(&[started(1), gap(what), then, finished(1)]).len();
        assert_eq!(after("s3://b/k", acquired_version("k", "v1")), 1, "what was overwritten is not what overwrote it");
        assert_eq!(after("s3://b/k", acquired("k")), 0);
        assert_eq!(after("s3://b/k version v1", acquired_version("k", "v1")), 0);
        assert_eq!(after("s3://b/k version v1", acquired_version("k", "v2")), 1);
        assert_eq!(after("s3://b/k version v1", acquired("k")), 1);
        assert_eq!(after("s3://b/k version v1", acquired("k version v1")), 1, "anybody can name an object so");
        assert_eq!(after("data/s3/b/k~o", acquired("k")), 0);
    }

    #[test]
    fn somebody_else_closes_nothing_and_whoever_met_it_does() {
        let first = [started(1), gap("one"), finished(1)];
        let other = [started_as(2, &[MEMBER], &[]), finished(2)];
        assert_eq!(open(&[&first[..], &other].concat()), ["one"]);
        let both = [started_as(3, &[MEMBER, HOME], &[]), finished(3)];
        assert_eq!(open(&[&first[..], &other, &both].concat()), Vec::<String>::new());
    }

    #[test]
    fn one_of_two_closes_nothing_that_both_may_have_met() {
        let first = [started_as(1, &[HOME, MEMBER], &[]), gap("one"), finished(1)];
        assert_eq!(open(&[&first[..], &[started(2), finished(2)]].concat()), ["one"]);
        let both = [started_as(2, &[MEMBER, HOME], &[]), finished(2)];
        assert_eq!(open(&[&first[..], &both].concat()), Vec::<String>::new());
    }

    #[test]
    fn a_refused_role_is_closed_by_asking_for_it_again_or_as_its_account() {
        let first = [started_as(1, &[HOME], &[ROLE]), refused_role(Some(MEMBER)), finished(1)];
        let then = |run: &[Event]| open(&[&first[..], run].concat()).len();
        assert_eq!(then(&[started(2), finished(2)]), 1, "the role was not asked for");
        assert_eq!(then(&[started_as(2, &[HOME, MEMBER], &[ROLE]), finished(2)]), 0);
        assert_eq!(then(&[started_as(2, &[MEMBER], &[]), finished(2)]), 0, "the account answers, whoever asks as it");
        assert_eq!(then(&[started_as(2, &[HOME], &[ROLE]), refused_role(Some(MEMBER)), finished(2)]), 1, "met again");
        // A second role of an account as which the run asked all along.
        let second = [started_as(1, &[MEMBER], &[ROLE]), refused_role(Some(MEMBER)), finished(1)];
        assert_eq!(open(&[&second[..], &[started_as(2, &[MEMBER], &[]), finished(2)]].concat()).len(), 1);
    }

    #[test]
    fn what_was_begun_as_an_account_is_ended_by_a_run_as_that_account() {
        let begun = [started_as(1, &[HOME, MEMBER], &[])];
        assert_eq!(unfinished(&begun), [HOME, MEMBER]);
        let one = [started(2), finished(2)];
        assert_eq!(unfinished(&[&begun[..], &one].concat()), [MEMBER]);
        let other = [started_as(3, &[MEMBER], &[]), finished(3)];
        assert_eq!(unfinished(&[&begun[..], &one, &other].concat()), Vec::<String>::new());
    }
}
