//! The answers that a case holds already, and which of them need not be asked for again.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;

use crate::case::event::{Event, Origin};
use crate::case::{CaseError, CaseFolder, CaseWriter, read_bounded};
use crate::model::{PayloadPath, Sha256Hash, Timestamp};

use super::failure::is_answer_for_good;
use super::record::{Call, identity};
use super::wire::StoredAnswer;

/// Largest stored answer that is read back.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// How long after the end of the time that a question is about nothing new belongs to it any more: as long as deliveries are waited for.
const CLOSED_AFTER: i64 = 2 * 3600;
/// How long it stays known, while a run is taken up again, who may use a single thing.
///
/// An account may have so many of them that no session lasts until all have been asked about.
const USERS_KNOWN_FOR: TimeDelta = TimeDelta::days(1);

/// The answers that a case holds already, and that a new one could not differ from.
///
/// What is listed, and whatever is said of the present, is asked anew by every run: what came or went meanwhile would be missed.
#[derive(Debug, Default)]
pub struct Answers {
    folder: Option<CaseFolder>,
    pages: HashMap<Sha256Hash, Vec<StoredPage>>,
    numbers: HashMap<String, u32>,
}

#[derive(Clone, Debug)]
struct StoredPage {
    path: PayloadPath,
    sha256: Sha256Hash,
    status: u16,
    last: bool,
    good: Good,
}

/// How long an answer is as good as a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    /// It is of a time that is over.
    ForEver,
    /// Since then, as long as no run came to its end.
    Since(Timestamp, u32),
}

impl Good {
    fn is_at(self, now: Timestamp, finished_runs: u32) -> bool {
        match self {
            Self::ForEver => true,
            Self::Since(at, runs) => {
                runs == finished_runs && now.instant().signed_duration_since(at.instant()) < USERS_KNOWN_FOR
            }
        }
    }
}

/// Whether what was answered at a time can be taken up again.
fn good(operation: &str, parameters: &BTreeMap<String, String>, answered: Timestamp, finished_runs: u32) -> Option<Good> {
    let end: Timestamp = match operation {
        "LookupEvents" => parameters.get("EndTime")?.parse().ok()?,
        "FilterLogEvents" => {
            let milliseconds = parameters.get("endTime")?.parse().ok()?;
            Timestamp::new(chrono::DateTime::from_timestamp_millis(milliseconds)?)
        }
        "DescribeSnapshotAttribute" | "DescribeImageAttribute" => return Some(Good::Since(answered, finished_runs)),
        _ => return None,
    };
    (end.plus_seconds(CLOSED_AFTER) <= answered).then_some(Good::ForEver)
}

impl Answers {
    /// Reads from the ledger which answers can be taken up again, and how far the numbers of all have come.
    ///
    /// `also` is shown every event and when it was recorded, so that the ledger is read once for all who want to know it.
    pub fn of_case(case: &CaseWriter, now: Timestamp, also: &mut dyn FnMut(&Event, Timestamp)) -> Result<Self, CaseError> {
        let mut answers = Self { folder: Some(case.files()?), ..Self::default() };
        let mut finished_runs = 0;
        case.read_ledger(&mut |line| {
            also(&line.entry.event, line.entry.at);
            match &line.entry.event {
                Event::CollectionFinished(_) => finished_runs += 1,
                Event::ArtifactAcquired(artifact) => {
                    let Origin::ApiResponse(origin) = &artifact.source else { return };
                    let number = answers.numbers.entry(folder_of(artifact.path.as_str()).to_owned()).or_default();
                    *number = (*number).max(number_of(artifact.path.as_str()));
                    // AWS's clock, where it showed it, decides whether a time was over.
                    let answered = origin.exchange.date.unwrap_or(line.entry.at);
                    let Some(good) = good(&origin.operation, &origin.parameters, answered, finished_runs) else { return };
                    let key = identity(&origin.service, origin.account, &origin.region, &origin.operation, &origin.parameters);
                    let pages = answers.pages.entry(key).or_default();
                    let place = usize::try_from(origin.page).unwrap_or(usize::MAX).saturating_sub(1);
                    // A later answer to the same question replaces what was known from its page on.
                    pages.truncate(place);
                    if pages.len() == place {
                        pages.push(StoredPage {
                            path: artifact.path.clone(),
                            sha256: artifact.sha256,
                            status: origin.status,
                            last: origin.last,
                            good,
                        });
                    }
                }
                _ => {}
            }
        })?;
        answers.pages.retain(|_, pages| is_whole(pages) && pages.iter().all(|page| page.good.is_at(now, finished_runs)));
        Ok(answers)
    }

    /// Whether all pages of the answer to a question are there.
    pub(super) fn holds(&self, call: &Call) -> bool {
        self.pages.contains_key(&call.identity())
    }

    /// How far the numbers of all answers have come, by folder; they are given away once.
    pub(super) fn take_numbers(&mut self) -> HashMap<String, u32> {
        std::mem::take(&mut self.numbers)
    }

    /// A stored page's status and bytes, if they are still the ones that the ledger names and settle the question.
    ///
    /// What was refused may be permitted now; what did not exist is an answer for good.
    pub(super) async fn settled(&self, call: &Call, page: u32) -> Option<StoredAnswer> {
        self.page(call, page).await.filter(|stored| is_settled(stored.status, &stored.body))
    }

    async fn page(&self, call: &Call, page: u32) -> Option<StoredAnswer> {
        let place = usize::try_from(page).ok()?.checked_sub(1)?;
        let stored = self.pages.get(&call.identity())?.get(place)?.clone();
        let folder = self.folder.clone()?;
        tokio::task::spawn_blocking(move || {
            let body = read_bounded(&folder, stored.path.as_str(), ANSWER_LIMIT).ok()?;
            (Sha256Hash::of(&body) == stored.sha256).then_some(StoredAnswer { status: stored.status, body })
        })
        .await
        .ok()
        .flatten()
    }
}

/// Whether pages lead from the first to the end of their answer. Tokens expire within the hour, so pages that do not lead nowhere; and
/// an error in the place of a further page is no end, whatever the ledger of an earlier caselock says of it.
fn is_whole(pages: &[StoredPage]) -> bool {
    let is_answer = |page: &StoredPage| (200..300).contains(&page.status);
    pages.last().is_some_and(|page| page.last) && (pages.len() == 1 || pages.iter().all(is_answer))
}

/// Whether a stored answer need not be asked for again.
fn is_settled(status: u16, body: &[u8]) -> bool {
    (200..300).contains(&status)
        || ((400..500).contains(&status) && error_code(body).is_some_and(|code| is_answer_for_good(&code)))
}

/// The error code in a body of the JSON, XML or Query protocol.
fn error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if let Some((_, rest)) = text.split_once("<Code>") {
        return rest.split_once("</Code>").map(|(code, _)| code.to_owned());
    }
    let fields: serde_json::Value = serde_json::from_str(text).ok()?;
    let code = fields.get("__type").or_else(|| fields.get("code"))?.as_str()?;
    Some(code.rsplit('#').next().unwrap_or(code).to_owned())
}

pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn number_of(path: &str) -> u32 {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_what_does_not_exist_are_settled() {
        assert!(is_settled(200, b"{}"));
        assert!(is_settled(404, b"<Error><Code>NoSuchLifecycleConfiguration</Code></Error>"));
        assert!(is_settled(400, br#"{"__type":"InsightNotEnabledException","message":"none"}"#));
        assert!(is_settled(400, br#"{"__type":"com.amazonaws.cloudtrail#TrailNotFoundException"}"#));
    }

    #[test]
    fn refusals_and_throttles_are_asked_again() {
        for (status, body) in [
            (403, &b"<Error><Code>AccessDenied</Code></Error>"[..]),
            (400, br#"{"__type":"AccessDeniedException"}"#),
            (400, br#"{"__type":"ThrottlingException"}"#),
            (503, b"<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"),
            (404, b"not an answer of AWS"),
        ] {
            assert!(!is_settled(status, body), "{status}");
        }
    }

    fn page(status: u16, last: bool) -> StoredPage {
        let path =
            PayloadPath::for_api_page("s", "111122223333".parse().unwrap(), &"us-east-1".parse().unwrap(), "O", 1, "json");
        StoredPage { path, sha256: Sha256Hash::ZERO, status, last, good: Good::ForEver }
    }

    #[test]
    fn an_error_in_the_place_of_a_further_page_is_no_end_of_an_answer() {
        assert!(is_whole(&[page(200, true)]) && is_whole(&[page(200, false), page(200, true)]));
        assert!(is_whole(&[page(400, true)]), "what does not exist may be all there is to say");
        for refused in [400, 403, 500] {
            assert!(!is_whole(&[page(200, false), page(refused, true)]), "{refused}");
        }
        assert!(!is_whole(&[page(200, false)]) && !is_whole(&[]));
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judged(operation: &str, name: &str, value: &str, answered: &str) -> Option<Good> {
        good(operation, &BTreeMap::from([(name.to_owned(), value.to_owned())]), at(answered), 1)
    }

    #[test]
    fn an_answer_about_a_time_that_was_over_is_good_for_ever() {
        let ends = "2026-03-01T10:00:00Z";
        let milliseconds = at(ends).instant().timestamp_millis().to_string();
        for (operation, name, value) in [("LookupEvents", "EndTime", ends), ("FilterLogEvents", "endTime", &milliseconds)] {
            assert_eq!(judged(operation, name, value, "2026-03-01T12:00:00Z"), Some(Good::ForEver), "{operation}");
            assert_eq!(judged(operation, name, value, "2026-03-01T11:59:59Z"), None, "{operation} may still grow");
            assert_eq!(judged(operation, name, "soon", "2026-03-01T12:00:00Z"), None, "{operation}");
        }
    }

    #[test]
    fn an_answer_about_what_is_there_or_how_it_stands_is_never_taken_up_again() {
        for operation in ["ListObjectsV2", "ListObjectVersions", "ListPublicKeys", "DescribeTrails", "DescribeRegions"] {
            assert_eq!(judged(operation, "EndTime", "2026-03-01T10:00:00Z", "2026-03-05T10:00:00Z"), None, "{operation}");
        }
    }

    #[test]
    fn who_may_use_a_snapshot_stays_known_for_a_day_of_one_collection() {
        let answered = "2026-03-01T10:00:00Z";
        let good = judged("DescribeSnapshotAttribute", "SnapshotId", "snap-1", answered).unwrap();
        assert!(good.is_at(at("2026-03-02T09:59:59Z"), 1));
        assert!(!good.is_at(at("2026-03-02T10:00:00Z"), 1), "a day later it may have been shared");
        assert!(!good.is_at(at("2026-03-01T10:30:00Z"), 2), "a run that came to its end is looked at afresh");
    }
}
