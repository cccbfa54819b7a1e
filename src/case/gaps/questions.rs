//! Which answer shows that a run asked again for what an earlier one could not have.

use super::super::event::{Gap, Listing, ResponseOrigin};
use super::super::gap::{AMONG_FOLDERS, About, FOLDERS, Place, Subject};
use crate::model::Timestamp;

/// What has to be answered before a gap can be closed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// An operation is asked this.
    Operation(Subject),
    /// The keys of a place are listed: only those right below it, or all; those that there are, or those that there ever were.
    Listing { place: Place, folders: bool, versions: bool },
    /// Anything about a bucket.
    Bucket(String),
    /// Anything about a log group.
    Group(String),
    /// The records of a log group; of which time, only the gap says.
    Records(String),
}

/// A stretch of time in milliseconds, its ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    from: i64,
    to: i64,
}

impl Stretch {
    /// The one that is missing of the records of a log group.
    pub(super) fn of(subject: &Subject) -> Option<Self> {
        let Subject::Records { stretch: Some(stretch), .. } = subject else { return None };
        let (from, to) = stretch.split_once(" to ")?;
        let at = |text: &str| Some(text.parse::<Timestamp>().ok()?.instant().timestamp_millis());
        Some(Self { from: at(from)?, to: at(to)? })
    }

    /// The one that an answer is of.
    pub(super) fn of_answer(origin: &ResponseOrigin) -> Option<Self> {
        let at = |name: &str| origin.parameters.get(name)?.parse().ok();
        Some(Self { from: at("startTime")?, to: at("endTime")? })
    }

    /// Whether others together leave nothing of it out.
    pub(super) fn is_covered_by(self, others: &mut [Self]) -> bool {
        others.sort_unstable();
        let mut open = self.from;
        for other in others.iter().filter(|other| other.to >= self.from) {
            if other.from > open {
                return false;
            }
            open = open.max(other.to.saturating_add(1));
        }
        open > self.to
    }
}

/// What closes a gap that no object closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// The end of a run that asked as the same.
    Nothing,
    /// Some answer to the same source, of the same account and region.
    AnyAnswer,
    /// This one.
    Answer(Question),
    /// All of these, in one run.
    Answers(Vec<Question>),
}

/// How far back the event history tells, in seconds.
const REMEMBERED: i64 = 90 * 86_400;
/// How a gap begins in words that rest on the event history.
const TOLD_BY_HISTORY: &str = "the event history says ";

/// What was answered of several questions.
#[derive(Debug)]
pub(super) struct Several {
    questions: Vec<Question>,
    /// What the history told happened then, or later.
    since: Option<Timestamp>,
    run: u32,
    heard: Vec<Question>,
}

impl Several {
    pub(super) fn of(gap: &Gap, needs: &Needs) -> Option<Self> {
        let Needs::Answers(questions) = needs else { return None };
        let words = gap.detail.as_deref().unwrap_or_default().split([' ', ';', ',']);
        let since = words.filter_map(|word| word.parse().ok()).min();
        Some(Self { questions: questions.clone(), since, run: 0, heard: Vec::new() })
    }

    /// Takes an answer to one of them that a run had; says whether the run has them all. An answer of the event history that reaches no further
    /// back than behind what it told before is none: that it tells it no more explains nothing.
    pub(super) fn hears(&mut self, question: &Question, origin: &ResponseOrigin, run: u32) -> bool {
        if origin.operation == LOOKUP {
            let at = |name: &str| origin.parameters.get(name)?.parse::<Timestamp>().ok();
            let since = self.since.or_else(|| at("StartTime"));
            if at("EndTime").zip(since).is_none_or(|(end, since)| end.plus_seconds(-REMEMBERED) > since) {
                return false;
            }
        }
        if self.run != run {
            (self.run, self.heard) = (run, Vec::new());
        }
        self.heard.push(question.clone());
        self.questions.iter().all(|question| self.heard.contains(question))
    }
}

const LOOKUP: &str = "LookupEvents";

/// The questions on which a gap rests that is told of in free words; none where any answer of the source will do.
fn questions_behind(words: &str, detail: &str) -> Option<Vec<Question>> {
    let asked = |operation: &&str| Question::Operation(Subject::answer(operation));
    let told = |event: &&str| Question::Operation(Subject::answer_to(LOOKUP, std::iter::once(("EventName", *event))));
    let of_trails = ["CreateTrail", "DeleteTrail", "UpdateTrail"];
    let (of_flow_logs, flow_logs) = (["CreateFlowLogs", "DeleteFlowLogs"], ["DescribeFlowLogs"]);
    if words.starts_with("logs and digests of trail ") || words.ends_with(" further places that trails were sent to") {
        return Some(of_trails.iter().map(told).collect());
    }
    if words.starts_with("trail ") {
        return Some(["DescribeTrails", "ListTrails"].iter().map(asked).collect());
    }
    if words.starts_with("records of flow log ") && detail.starts_with(TOLD_BY_HISTORY) {
        return Some(of_flow_logs.iter().map(told).chain(flow_logs.iter().map(asked)).collect());
    }
    let is_of_flow_log = words.starts_with("records of flow log ") || words.starts_with("some records of flow log ");
    is_of_flow_log.then(|| flow_logs.iter().map(asked).collect())
}

impl Needs {
    /// The questions, where there are any.
    pub(super) fn questions(&self) -> &[Question] {
        match self {
            Self::Nothing | Self::AnyAnswer => &[],
            Self::Answer(question) => std::slice::from_ref(question),
            Self::Answers(questions) => questions,
        }
    }

    pub(super) fn of(gap: &Gap) -> Self {
        let missing = gap.reason.is_incompleteness();
        let listing = |place, folders, versions| Self::Answer(Question::Listing { place, folders, versions });
        match gap.subject() {
            subject @ Subject::Answer { .. } => Self::Answer(Question::Operation(subject)),
            Subject::Listing(place) | Subject::Elsewhere(place) => listing(place, true, false),
            Subject::EarlierVersions { kind, place } => listing(place, kind == FOLDERS, true),
            Subject::Deleted { place, .. } | Subject::Recoverable { place, .. } => listing(place, false, true),
            Subject::Strays { kind, place, .. } => listing(place, kind == AMONG_FOLDERS, false),
            Subject::Objects { place, .. } if missing => listing(place, false, false),
            Subject::LateLogs { place, .. } | Subject::NamedLogs { place, .. } => listing(place, false, false),
            // That there is nothing may be told of a place that was not listed itself, but missed in what was.
            Subject::Objects { place, .. } | Subject::Within { place, .. } => Self::Answer(Question::Bucket(place.bucket)),
            Subject::Bucket(bucket) => Self::Answer(Question::Bucket(bucket)),
            Subject::Records { group, stretch: None } => Self::Answer(Question::Group(group)),
            Subject::Records { group, stretch: Some(_) } => Self::Answer(Question::Records(group)),
            Subject::Other(words) if missing => {
                let behind = questions_behind(&words, gap.detail.as_deref().unwrap_or_default());
                behind.map_or(Self::AnyAnswer, Self::Answers)
            }
            Subject::Object { .. } | Subject::Artifact(_) | Subject::Role(_) | Subject::Other(_) => Self::Nothing,
        }
    }
}

impl Question {
    /// Whether it is the same question in whatever region it is asked: a bucket there is once, and all trails are listed anywhere.
    pub(super) fn is_the_same_everywhere(&self) -> bool {
        self.is_about_s3() || *self == Self::Operation(Subject::answer("ListTrails"))
    }

    fn is_about_s3(&self) -> bool {
        matches!(self, Self::Listing { .. } | Self::Bucket(_))
    }

    /// Whether it is the same question as whatever account it is asked: so is that about an ARN.
    pub(super) fn is_the_same_to_all(&self) -> bool {
        let is_about_an_arn = matches!(self, Self::Operation(Subject::Answer { about: About::Thing(thing), .. })
            if thing.starts_with("arn:"));
        is_about_an_arn || self.is_about_s3()
    }

    /// Whether a run that is taken up again does not ask it twice, so that the answer of an interrupted one counts.
    pub(super) fn is_asked_once(&self) -> bool {
        match self {
            Self::Records(_) => true,
            Self::Operation(Subject::Answer { operation, .. }) => {
                matches!(operation.as_str(), "LookupEvents" | "createVolumePermission" | "launchPermission")
            }
            _ => false,
        }
    }

    /// What led to this one, where it did: a place is looked into by its name alone where the one above it could not be listed.
    pub(super) fn above(&self) -> Option<Self> {
        match self {
            Self::Listing { place, folders: true, versions } => {
                Some(Self::Listing { place: place.above()?, folders: true, versions: *versions })
            }
            _ => None,
        }
    }

    /// The questions that an answer is one to.
    pub(super) fn answered_by(origin: &ResponseOrigin) -> Vec<Self> {
        // That something is not configured is an answer too.
        let (whole, absent) = ((200..300).contains(&origin.status), origin.status == 404);
        if !origin.last || !(whole || absent) {
            return Vec::new();
        }
        let parameter = |name: &str| origin.parameters.get(name).map(String::as_str);
        let (operation, bucket) = (origin.operation.as_str(), parameter("Bucket"));
        let mut answered = Vec::new();
        if let Some(bucket) = bucket.filter(|_| whole) {
            let place = Place::new(bucket, parameter("Prefix").unwrap_or_default());
            let folders = parameter("Delimiter").is_some();
            if operation == "ListObjectsV2" {
                answered.push(Self::Listing { place: place.clone(), folders, versions: false });
            }
            if matches!(operation, "ListObjectsV2" | "ListObjectVersions") {
                // Who comes to list what is there asks for the versions as well, if the bucket keeps any.
                answered.push(Self::Listing { place: place.clone(), folders, versions: true });
            }
            answered.push(Self::Bucket(place.bucket));
        }
        let group = parameter("logGroupName").or_else(|| parameter("logGroupNamePrefix"));
        if let Some(Subject::Records { group, .. }) = group.map(|group| Subject::records(group, None)) {
            if operation == "FilterLogEvents" && whole {
                answered.push(Self::Records(group.clone()));
            }
            answered.push(Self::Group(group));
        }
        let all = origin.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut subjects = vec![Subject::answer(operation), Subject::answer_to(operation, all.clone())];
        subjects.extend(bucket.map(|bucket| Subject::answer_about_bucket(operation, bucket)));
        for (_, value) in all {
            subjects.push(Subject::answer_about(operation, value));
            subjects.extend(parameter("Attribute").map(|attribute| Subject::answer_about(attribute, value)));
        }
        match (
            parameter("LookupAttributes").and_then(|text| text.split_once('=')),
            parameter("StartTime"),
            parameter("EndTime"),
        ) {
            (Some(attribute), ..) => subjects.push(Subject::answer_to(operation, std::iter::once(attribute))),
            (None, Some(from), Some(to)) => {
                let about = About::Stretch(format!("{from} to {to}"));
                subjects.push(Subject::Answer { operation: operation.to_owned(), about });
            }
            _ => {}
        }
        answered.extend(subjects.into_iter().map(Self::Operation));
        answered
    }

    /// The questions that a recorded listing is an answer to.
    pub(super) fn answered_by_listing(listing: &Listing) -> Vec<Self> {
        let place = Place::new(&listing.bucket, &listing.prefix);
        let current = Self::Listing { place: place.clone(), folders: false, versions: false };
        let versions = Self::Listing { place, folders: false, versions: true };
        if listing.is_of_versions() { vec![versions] } else { vec![current, versions] }
    }
}
