//! Which gaps of a case are still open: decided in this one place for the summary, for verification and for the next run.

mod questions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::model::{AccountId, Region, S3Location};

use super::event::{Artifact, CollectionStarted, Event, Gap, Listing, Origin, ResponseOrigin};
use super::gap::Subject;
use questions::{Needs, Question, Several, Stretch};

/// How S3 names the version of an object that was written before its bucket kept versions.
const NO_VERSION_ID: &str = "null";

/// The gaps of a case, followed line by line: a later run may close what an earlier one left open.
///
/// A gap about one object, or one earlier version of it, is closed when just that is acquired, and not before: that a later listing does
/// not show it any more explains nothing, and what it was before it was overwritten is not what it is. Every other gap is closed by a
/// later run that asked again, had an answer, and came to its end without meeting the gap again; and that asked as everybody as whom
/// the earlier one did, since what is refused to one account, another may never have heard of. A run that never came to the question,
/// because what led to it is gone, closes nothing. A gap about a role is closed only if that role was asked for again, or if its account
/// was asked as in another way.
#[derive(Debug, Default)]
pub struct Gaps {
    open: Vec<Option<Open>>,
    places: HashMap<Same, usize>,
    /// Which of the open gaps are about an object, a version of one, or a path in the case.
    objects: HashMap<Subject, Vec<usize>>,
    /// How many are about none.
    others: usize,
    /// Which of these wait for an answer.
    waiting: HashMap<Question, Vec<usize>>,
    /// Which are about a place that was looked into by its name alone, by the question about the one above it.
    below: HashMap<Question, Vec<usize>>,
    /// The rest of them, by what closes them: a run that comes to its end need not go through all that are open.
    closed_by: HashMap<Closer, Vec<usize>>,
    /// Those to which the run had the answer.
    answered: Vec<usize>,
    /// The accounts as which runs asked, each such set with its number.
    callers: BTreeMap<BTreeSet<AccountId>, usize>,
    /// Whose answers the run has had, as far as gaps are open from before it.
    heard: BTreeSet<Row>,
    /// The listings that the run could not have, or not whole: whatever else it was told of the place does not answer them.
    refused: HashSet<Question>,
    has_earlier: bool,
    run: u32,
    asked: BTreeMap<u32, Asked>,
    unfinished_as: BTreeSet<AccountId>,
    closed: u64,
}

/// An open gap.
#[derive(Debug)]
struct Open {
    gap: Gap,
    /// The run that met it.
    run: u32,
    needs: Needs,
    /// Whether it is about an object, a version of one, or a path in the case.
    is_of_object: bool,
    /// The role that it is about.
    role: Option<String>,
    /// The latest run that had the answer it needs.
    answered: Option<u32>,
    /// Where it is about a stretch of time, that one, and what was answered of it.
    stretch: Option<(Stretch, Vec<Stretch>)>,
    /// Where it needs several answers, which of them there are.
    several: Option<Several>,
}

/// What the end of a run must have brought, of runs that asked as one of the sets of callers, so that a gap may be closed by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Closer {
    /// Nothing more.
    End(usize),
    /// An answer to this.
    Answer(Row, usize),
    /// The answer to what is asked once, by whichever run it was had.
    Once(usize),
    /// That this role was assumed.
    Role(String),
    /// That this account was asked as.
    Caller(AccountId),
}

/// As whom a run asked.
#[derive(Debug, Default)]
struct Asked {
    accounts: BTreeSet<AccountId>,
    roles: Vec<String>,
}

/// What a gap is about; the same again replaces it.
type Same = (String, Option<AccountId>, Option<Region>, String);

/// A source, and the account and region of an answer to it.
type Row = (String, Option<AccountId>, Option<Region>);

impl Gaps {
    /// Shows the next line of the ledger.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::CollectionStarted(started) => self.started(started),
            Event::GapRecorded(gap) => self.record(gap),
            Event::ArtifactAcquired(artifact) => self.acquired(artifact),
            Event::ListingRecorded(listing) => self.listed(listing),
            Event::CollectionFinished(finished) => self.finished(finished.run),
            _ => {}
        }
    }

    /// The gaps that are open, in the order of the ledger, and how many that made the case incomplete were closed.
    #[must_use]
    pub fn into_open(self) -> (Vec<Gap>, u64) {
        (self.open.into_iter().flatten().map(|open| open.gap).collect(), self.closed)
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
        self.heard.clear();
        self.refused.clear();
        self.keep_answers();
        self.has_earlier = self.others > 0;
        let callers = std::iter::once(&started.caller).chain(&started.also_as);
        let accounts: BTreeSet<AccountId> = callers.map(|caller| caller.account).collect();
        self.unfinished_as.extend(&accounts);
        let next = self.callers.len();
        self.callers.entry(accounts.clone()).or_insert(next);
        self.asked.insert(started.run, Asked { accounts, roles: started.roles.clone() });
    }

    fn record(&mut self, gap: &Gap) {
        let same = (gap.source.clone(), gap.account, gap.region.clone(), gap.what.clone());
        let at = self.open.len();
        if let Some(before) = self.places.insert(same, at).and_then(|before| self.open.get_mut(before)?.take()) {
            self.others -= usize::from(!before.is_of_object);
        }
        let (needs, subject) = (Needs::of(gap), gap.subject());
        let stretch = Stretch::of(&subject).map(|stretch| (stretch, Vec::new()));
        if let (Subject::Listing(_) | Subject::Objects { .. } | Subject::EarlierVersions { .. }, Needs::Answer(question)) =
            (&subject, &needs)
            && gap.reason.is_incompleteness()
        {
            self.refused.insert(question.clone());
        }
        let role = if let Subject::Role(role) = &subject { Some(role.clone()) } else { None };
        let is_of_object = matches!(subject, Subject::Object { .. } | Subject::Artifact(_));
        if is_of_object {
            self.objects.entry(subject).or_default().push(at);
        } else {
            self.others += 1;
        }
        let several = Several::of(gap, &needs);
        let open = Open { gap: gap.clone(), run: self.run, needs, is_of_object, role, answered: None, stretch, several };
        self.index(at, &open);
        self.open.push(Some(open));
    }

    /// Notes what closes a gap.
    fn index(&mut self, at: usize, open: &Open) {
        if open.is_of_object {
            return;
        }
        for question in open.needs.questions() {
            self.waiting.entry(question.clone()).or_default().push(at);
            if let Some(above) = question.above() {
                self.below.entry(above).or_default().push(at);
            }
        }
        if !open.needs.questions().is_empty() {
            return;
        }
        let Some(asked) = self.asked.get(&self.run) else { return };
        let Some(caller) = self.callers.get(&asked.accounts).copied() else { return };
        let mut closes = |closer| self.closed_by.entry(closer).or_default().push(at);
        match (&open.role, &open.needs) {
            (Some(role), _) => {
                closes(Closer::Role(role.clone()));
                if let Some(account) = open.gap.account.filter(|account| !asked.accounts.contains(account)) {
                    closes(Closer::Caller(account));
                }
            }
            (None, Needs::AnyAnswer) => {
                let row = (open.gap.source.clone(), open.gap.account, open.gap.region.clone());
                closes(Closer::Answer(row, caller));
            }
            (None, _) => closes(Closer::End(caller)),
        }
    }

    fn acquired(&mut self, artifact: &Artifact) {
        // Nearly always there is nothing to look for.
        if let Origin::ApiResponse(origin) = &artifact.source
            && self.has_earlier
        {
            self.answered(origin);
        }
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

    fn answered(&mut self, origin: &ResponseOrigin) {
        let questions = Question::answered_by(origin);
        if !questions.is_empty() {
            self.heard.insert((origin.source.clone(), Some(origin.account), Some(origin.region.clone())));
        }
        let run = self.run;
        for question in questions {
            self.hear(&question, |open| {
                let is_of_account = || open.gap.account.is_none_or(|account| account == origin.account);
                let is_of_region = || open.gap.region.as_ref().is_none_or(|region| *region == origin.region);
                (question.is_the_same_to_all() || is_of_account())
                    && (question.is_the_same_everywhere() || is_of_region())
                    && open.is_answered_by(&question, origin, run)
            });
        }
    }

    fn listed(&mut self, listing: &Listing) {
        if self.has_earlier && listing.is_whole() {
            self.heard.insert((listing.source.clone(), listing.account, listing.region.clone()));
            for question in Question::answered_by_listing(listing) {
                self.hear(&question, |_| true);
            }
        }
    }

    /// Notes that the run has an answer to a question, as far as it is one to the gaps that wait for it.
    fn hear(&mut self, question: &Question, is_for: impl Fn(&mut Open) -> bool) {
        let Some(waiting) = self.waiting.get_mut(question) else { return };
        let open = &mut self.open;
        waiting.retain(|at| {
            let Some(open) = open.get_mut(*at).and_then(Option::as_mut) else { return false };
            // What the run met itself, it met behind whatever else it was told.
            if open.run < self.run && is_for(open) && open.answered.replace(self.run) != Some(self.run) {
                self.answered.push(*at);
            }
            true
        });
    }

    /// A run came to its end: what it asked for again, and did not meet again, is there by now, as far as those as whom it asked may know.
    fn finished(&mut self, run: u32) {
        let Some(now) = self.asked.get(&run) else { return };
        self.unfinished_as.retain(|account| !now.accounts.contains(account));
        let closers = self.closers(now);
        let found = closers.iter().filter_map(|closer| self.closed_by.get(closer)).flatten().copied();
        let candidates = found.chain(self.answered.iter().copied()).chain(self.guessed_below());
        let is_closed = |at: &usize| {
            let Some(open) = self.open.get(*at).and_then(Option::as_ref).filter(|open| open.run < run) else { return false };
            self.asked.get(&open.run).is_some_and(|then| now.answers(then, open)) && self.has_answer(open, run)
        };
        let closed: Vec<usize> = candidates.filter(is_closed).collect();
        for at in closed {
            self.close(at);
        }
        for closer in &closers {
            if let Some(gaps) = self.closed_by.get_mut(closer) {
                gaps.retain(|at| self.open.get(*at).is_some_and(Option::is_some));
            }
        }
        self.keep_answers();
    }

    /// Keeps the answers to what is asked once: what did not end, or asked as somebody else, may have had them for a later run.
    fn keep_answers(&mut self) {
        for at in std::mem::take(&mut self.answered) {
            let Some(open) = self.open.get(at).and_then(Option::as_ref).filter(|open| open.is_asked_once()) else { continue };
            let Some(then) = self.asked.get(&open.run) else { continue };
            if let Some(caller) = self.callers.get(&then.accounts) {
                self.closed_by.entry(Closer::Once(*caller)).or_default().push(at);
            }
        }
    }

    /// What the end of a run that asked so may close gaps by.
    fn closers(&self, now: &Asked) -> Vec<Closer> {
        let mut closers: Vec<Closer> = now.roles.iter().cloned().map(Closer::Role).collect();
        closers.extend(now.accounts.iter().copied().map(Closer::Caller));
        // A gap may leave open of which account or region it is.
        let mut rows: BTreeSet<Row> = BTreeSet::new();
        for (source, account, region) in &self.heard {
            for account in [*account, None] {
                rows.extend([region.clone(), None].map(|region| (source.clone(), account, region)));
            }
        }
        for first in &now.accounts {
            let from_it = self.callers.range(BTreeSet::from([*first])..).take_while(|(then, _)| then.first() == Some(first));
            for (_, caller) in from_it.filter(|(then, _)| then.is_subset(&now.accounts)) {
                closers.extend([Closer::End(*caller), Closer::Once(*caller)]);
                closers.extend(rows.iter().map(|row| Closer::Answer(row.clone(), *caller)));
            }
        }
        closers
    }

    /// The gaps about places that were looked into because of what the run has an answer to now.
    fn guessed_below(&self) -> Vec<usize> {
        let mut from: VecDeque<usize> = self.answered.iter().copied().collect();
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        while let Some(at) = from.pop_front() {
            let Some(open) = self.open.get(at).and_then(Option::as_ref) else { continue };
            let Needs::Answer(question) = &open.needs else { continue };
            if !seen.insert((open.run, question)) {
                continue;
            }
            let below = self.below.get(question).into_iter().flatten().copied();
            let of_run = |at: &usize| self.open.get(*at).and_then(Option::as_ref).is_some_and(|below| below.run == open.run);
            let below: Vec<usize> = below.filter(of_run).collect();
            from.extend(&below);
            found.extend(below);
        }
        found
    }

    /// Whether a run that came to its end had the answer that a gap needs.
    fn has_answer(&self, open: &Open, run: u32) -> bool {
        let question = match &open.needs {
            Needs::Nothing => return true,
            Needs::AnyAnswer => return self.heard.iter().any(|row| open.is_of(row)),
            Needs::Answers(_) => return open.is_answered(run),
            Needs::Answer(question) => question,
        };
        if open.is_answered(run) && !self.refused.contains(question) {
            return true;
        }
        // Nobody knew that there is such a place: it was a guess, and what was guessed at can be seen now.
        let mut above = question.above();
        while let Some(question) = above {
            let guessed_from = self.waiting.get(&question).into_iter().flatten().filter_map(|at| self.open.get(*at)?.as_ref());
            let mut guessed_from = guessed_from.filter(|other| other.run == open.run).peekable();
            if guessed_from.peek().is_none() {
                return false;
            }
            if !self.refused.contains(&question) && guessed_from.any(|other| other.is_answered(run)) {
                return true;
            }
            above = question.above();
        }
        false
    }

    fn close(&mut self, at: usize) {
        if let Some(open) = self.open.get_mut(at).and_then(Option::take) {
            self.others -= usize::from(!open.is_of_object);
            self.closed += u64::from(open.gap.reason.is_incompleteness());
        }
    }
}

impl Open {
    /// Whether an answer to its question answers it, now that it is there: of a stretch of time, every moment has to be answered, and of
    /// several questions each.
    fn is_answered_by(&mut self, question: &Question, origin: &ResponseOrigin, run: u32) -> bool {
        if let Some(several) = &mut self.several {
            return several.hears(question, origin, run);
        }
        let Some((all, heard)) = &mut self.stretch else { return true };
        heard.extend(Stretch::of_answer(origin));
        all.is_covered_by(heard)
    }

    fn is_answered(&self, run: u32) -> bool {
        self.answered.is_some_and(|answered| answered == run || self.is_asked_once())
    }

    fn is_asked_once(&self) -> bool {
        matches!(&self.needs, Needs::Answer(question) if question.is_asked_once())
    }

    fn is_of(&self, (source, account, region): &Row) -> bool {
        *source == self.gap.source
            && (self.gap.account.is_none() || self.gap.account == *account)
            && (self.gap.region.is_none() || self.gap.region == *region)
    }
}

impl Asked {
    /// Whether whoever asked so would have met a gap again that was met when it was asked as `then`.
    fn answers(&self, then: &Self, open: &Open) -> bool {
        let Some(role) = &open.role else { return then.accounts.is_subset(&self.accounts) };
        let in_another_way = |account| self.accounts.contains(&account) && !then.accounts.contains(&account);
        self.roles.contains(role) || open.gap.account.is_some_and(in_another_way)
    }
}
