//! What a gap is about, and the words that say so in the ledger (docs/case-format.md, "Gaps").

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::model::{S3Location, Timestamp, printable};

/// All logs and digests of a place, where it has none: the `kind` of [`Subject::Objects`].
pub const EVERYTHING: &str = "logs";
/// The log files of an account and region, where a place has no folder for them: the `kind` of [`Subject::Within`].
pub const LOG_FILES: &str = "log files";
/// Its digests, likewise.
pub const DIGEST_FILES: &str = "digests";
/// What a look at the folders of a place is about, where it could not see those of the past: the `kind` of [`Subject::EarlierVersions`].
pub const FOLDERS: &str = "folders";
/// Where objects lie beside the folders of a place: the `kind` of [`Subject::Strays`].
pub const AMONG_FOLDERS: &str = "the folders";

const VERSION: &str = " version ";
/// How a key's own ` version ` is written, so that nobody can name an object like another one's version.
const NO_VERSION: &str = r"\u{20}version ";
const LISTING: &str = "listing of ";
const EARLIER: &str = "earlier versions of ";
const CURRENT: &str = "current versions of ";
const DELETED: &str = " deleted ";
const STRAYS: &str = " objects among ";
const LATE: &str = "late logs that ";
const DIGESTS: &str = " digests in ";
const NAME: &str = " name";
const NAMED: &str = "late logs that digests in ";
const ABSENT: &str = " name and S3 does not have";
const FURTHER: &str = "further ";
const ELSEWHERE: &str = "logs or digests in another place, in bucket ";
const BELOW: &str = " below ";
const BUCKET: &str = "bucket ";
const ROLE: &str = "AssumeRole of ";
const GROUP: &str = "records in log group ";

/// Parameters that make no other question: how large its pages are, and until when it asks, which is until now.
const SAME_QUESTION: [&str; 3] = ["MaxResults", "StartTime", "EndTime"];

/// A place in S3: a bucket, and how the keys in it begin. Both as they are printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The prefix; empty for the whole bucket.
    pub prefix: String,
}

impl Place {
    /// The place of a bucket's keys that begin so.
    #[must_use]
    pub fn new(bucket: &str, prefix: &str) -> Self {
        Self { bucket: printable(bucket), prefix: printable(prefix) }
    }

    /// The folder that this one lies in; none above the whole bucket.
    #[must_use]
    pub fn above(&self) -> Option<Self> {
        let below = self.prefix.strip_suffix('/')?;
        let prefix = below.rfind('/').map_or("", |at| below.get(..=at).unwrap_or_default());
        Some(Self { bucket: self.bucket.clone(), prefix: prefix.to_owned() })
    }

    /// Reads `BUCKET/PREFIX`.
    fn read(text: &str) -> Option<Self> {
        let (bucket, prefix) = text.split_once('/')?;
        Some(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// What of an operation's answers is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// All of them.
    Everything,
    /// The one about a single thing.
    Thing(String),
    /// The one to a question with these parameters.
    Asked(String),
    /// The one about a stretch of time.
    Stretch(String),
}

/// What is not there: everything that is written into the `what` of a gap, and read out of it, in one place.
///
/// The words are part of the format: earlier ledgers hold them, and so they stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// An object as it is now, or one earlier version of it.
    Object {
        /// Its location, as it is printed.
        object: String,
        /// The version, where an earlier one was wanted.
        version: Option<String>,
    },
    /// An artifact, by its path in the case.
    Artifact(String),
    /// The folders and objects right below a place.
    Listing(Place),
    /// The objects of a kind below a place, as they are now.
    Objects {
        /// The kind, in words.
        kind: String,
        /// The place.
        place: Place,
    },
    /// Their earlier versions.
    EarlierVersions {
        /// The kind, in words.
        kind: String,
        /// The place.
        place: Place,
    },
    /// Objects of which nothing but delete markers is left.
    Deleted {
        /// How many.
        count: u64,
        /// The kind, in words.
        kind: String,
        /// The place.
        place: Place,
    },
    /// Objects that were deleted, and of which earlier versions are left.
    Recoverable {
        /// How many.
        count: u64,
        /// The kind, in words.
        kind: String,
        /// The place.
        place: Place,
    },
    /// Objects whose names are not AWS's, among others.
    Strays {
        /// How many.
        count: u64,
        /// The kind of the others, in words.
        kind: String,
        /// The place.
        place: Place,
    },
    /// Something that a place has not, or that was left out there.
    Within {
        /// What, in words.
        kind: String,
        /// The place.
        place: Place,
    },
    /// Logs that digests name which could not be read.
    LateLogs {
        /// How many digests.
        digests: u64,
        /// Where these lie.
        place: Place,
    },
    /// Logs that digests name and that were looked for one by one.
    NamedLogs {
        /// Whether S3 does not have them; if not, they are those for which there were too many to be looked for.
        absent: bool,
        /// Where the digests lie.
        place: Place,
    },
    /// A place that digests name and that nobody went through.
    Elsewhere(Place),
    /// A bucket that there is not.
    Bucket(String),
    /// A role that was refused.
    Role(String),
    /// The answer of an operation.
    Answer {
        /// The operation.
        operation: String,
        /// What of its answers.
        about: About,
    },
    /// The records in a log group.
    Records {
        /// The group.
        group: String,
        /// The stretch of time that they are of, where it is not all of the window.
        stretch: Option<String>,
    },
    /// Anything else, in words.
    Other(String),
}

impl Subject {
    /// An object, or one earlier version of it.
    #[must_use]
    pub fn object(location: &S3Location, version: Option<&str>) -> Self {
        let object = location.to_string().replace(VERSION, NO_VERSION);
        Self::Object { object, version: version.map(printable) }
    }

    /// All answers of an operation.
    #[must_use]
    pub fn answer(operation: &str) -> Self {
        Self::Answer { operation: operation.to_owned(), about: About::Everything }
    }

    /// An operation's answer about a single thing.
    #[must_use]
    pub fn answer_about(operation: &str, thing: &str) -> Self {
        Self::Answer { operation: operation.to_owned(), about: About::Thing(printable(thing)) }
    }

    /// An operation's answer about a bucket.
    #[must_use]
    pub fn answer_about_bucket(operation: &str, bucket: &str) -> Self {
        Self::answer_about(operation, &format!("{BUCKET}{bucket}"))
    }

    /// An operation's answer to a question with these parameters; all its answers where none of them tells it from another question.
    #[must_use]
    pub fn answer_to<'a>(operation: &str, parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let telling = parameters.filter(|(name, _)| !SAME_QUESTION.contains(name));
        let parameters: Vec<String> = telling.map(|(name, value)| printable(&format!("{name} {value}"))).collect();
        let about = if parameters.is_empty() { About::Everything } else { About::Asked(parameters.join(", ")) };
        Self::Answer { operation: operation.to_owned(), about }
    }

    /// An operation's answer about a stretch of time.
    #[must_use]
    pub fn answer_from(operation: &str, (from, to): (Timestamp, Timestamp)) -> Self {
        Self::Answer { operation: operation.to_owned(), about: About::Stretch(stretch(from, to)) }
    }

    /// The records of a log group, of a stretch of time if one is given.
    #[must_use]
    pub fn records(group: &str, of: Option<(Timestamp, Timestamp)>) -> Self {
        Self::Records { group: printable(group), stretch: of.map(|(from, to)| stretch(from, to)) }
    }

    /// The objects of a kind below a place.
    #[must_use]
    pub fn objects(kind: &str, place: Place) -> Self {
        Self::Objects { kind: kind.to_owned(), place }
    }

    /// The earlier versions of the objects of a kind below a place.
    #[must_use]
    pub fn earlier_versions(kind: &str, place: Place) -> Self {
        Self::EarlierVersions { kind: kind.to_owned(), place }
    }

    /// Something that a place has not, or that was left out there.
    #[must_use]
    pub fn within(kind: &str, place: Place) -> Self {
        Self::Within { kind: kind.to_owned(), place }
    }

    fn read(text: &str) -> Option<Self> {
        if text.starts_with("data/") {
            return Some(Self::Artifact(text.to_owned()));
        }
        if let Some(role) = text.strip_prefix(ROLE) {
            return Some(Self::Role(role.to_owned()));
        }
        if let Some(bucket) = text.strip_prefix(BUCKET) {
            return Some(Self::Bucket(bucket.to_owned()));
        }
        if let Some(group) = text.strip_prefix(GROUP) {
            let of_time = group.rsplit_once(" from ").filter(|(_, stretch)| is_stretch(stretch));
            let (group, stretch) = of_time.map_or((group, None), |(group, stretch)| (group, Some(stretch.to_owned())));
            return Some(Self::Records { group: group.to_owned(), stretch });
        }
        if let Some((bucket, prefix)) = text.strip_prefix(ELSEWHERE).and_then(|place| place.split_once(BELOW)) {
            return Some(Self::Elsewhere(Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() }));
        }
        text.split_once("s3://").and_then(|(before, place)| Self::in_s3(before, place)).or_else(|| Self::of_operation(text))
    }

    /// Reads what names a location: its words, and the location without `s3://`.
    fn in_s3(before: &str, place: &str) -> Option<Self> {
        if before.is_empty() {
            let (object, version) = match place.split_once(VERSION) {
                Some((object, version)) => (object, Some(version.to_owned())),
                None => (place, None),
            };
            return Some(Self::Object { object: format!("s3://{object}"), version });
        }
        if before == LISTING {
            return Place::read(place).map(Self::Listing);
        }
        if before == NAMED {
            return Some(Self::NamedLogs { absent: true, place: Place::read(place.strip_suffix(ABSENT)?)? });
        }
        if before.strip_prefix(FURTHER) == Some(NAMED) {
            return Some(Self::NamedLogs { absent: false, place: Place::read(place.strip_suffix(NAME)?)? });
        }
        if let Some(digests) = before.strip_prefix(LATE) {
            let (digests, place) = (digests.strip_suffix(DIGESTS)?, place.strip_suffix(NAME)?);
            return Some(Self::LateLogs { digests: digests.parse().ok()?, place: Place::read(place)? });
        }
        if let Some(kind) = before.strip_suffix(" in ") {
            return Some(Self::Within { kind: kind.to_owned(), place: Place::read(place)? });
        }
        let (words, place) = (before.strip_suffix(" under ")?, Place::read(place)?);
        if let Some(kind) = words.strip_prefix(EARLIER) {
            return Some(Self::EarlierVersions { kind: kind.to_owned(), place });
        }
        if let Some(deleted) = words.strip_prefix(CURRENT) {
            let (count, kind) = counted(deleted, DELETED)?;
            return Some(Self::Recoverable { count, kind, place });
        }
        if words.starts_with(|first: char| first.is_ascii_digit()) {
            if let Some((count, kind)) = counted(words, DELETED) {
                return Some(Self::Deleted { count, kind, place });
            }
            let (count, kind) = counted(words, STRAYS)?;
            return Some(Self::Strays { count, kind, place });
        }
        Some(Self::Objects { kind: words.to_owned(), place })
    }

    fn of_operation(text: &str) -> Option<Self> {
        let (operation, rest) = text.split_once(' ').map_or((text, None), |(operation, rest)| (operation, Some(rest)));
        let is_name = operation.chars().all(|c| c.is_ascii_alphanumeric() || c == ':')
            && operation.chars().skip(1).any(|c| c.is_ascii_uppercase())
            && operation.chars().any(|c| c.is_ascii_lowercase());
        let about = match rest.map(|rest| rest.split_once(' ')) {
            None => About::Everything,
            Some(Some(("of", thing))) => About::Thing(thing.to_owned()),
            Some(Some(("with", parameters))) => About::Asked(parameters.to_owned()),
            Some(Some(("from", stretch))) => About::Stretch(stretch.to_owned()),
            Some(_) => return None,
        };
        is_name.then(|| Self::Answer { operation: operation.to_owned(), about })
    }
}

fn stretch(from: Timestamp, to: Timestamp) -> String {
    format!("{from} to {to}")
}

fn is_stretch(text: &str) -> bool {
    let is_time = |text: &str| text.parse::<Timestamp>().is_ok();
    text.split_once(" to ").is_some_and(|(from, to)| is_time(from) && is_time(to))
}

/// Reads `N`, a word, and a kind.
fn counted(text: &str, word: &str) -> Option<(u64, String)> {
    let (count, kind) = text.split_once(word)?;
    Some((count.parse().ok()?, kind.to_owned()))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { object, version: None } => f.write_str(object),
            Self::Object { object, version: Some(version) } => write!(f, "{object}{VERSION}{version}"),
            Self::Listing(place) => write!(f, "{LISTING}{place}"),
            Self::Objects { kind, place } => write!(f, "{kind} under {place}"),
            Self::EarlierVersions { kind, place } => write!(f, "{EARLIER}{kind} under {place}"),
            Self::Deleted { count, kind, place } => write!(f, "{count}{DELETED}{kind} under {place}"),
            Self::Recoverable { count, kind, place } => write!(f, "{CURRENT}{count}{DELETED}{kind} under {place}"),
            Self::Strays { count, kind, place } => write!(f, "{count}{STRAYS}{kind} under {place}"),
            Self::Within { kind, place } => write!(f, "{kind} in {place}"),
            Self::LateLogs { digests, place } => write!(f, "{LATE}{digests}{DIGESTS}{place}{NAME}"),
            Self::NamedLogs { absent: true, place } => write!(f, "{NAMED}{place}{ABSENT}"),
            Self::NamedLogs { absent: false, place } => write!(f, "{FURTHER}{NAMED}{place}{NAME}"),
            Self::Elsewhere(Place { bucket, prefix }) => write!(f, "{ELSEWHERE}{bucket}{BELOW}{prefix}"),
            Self::Bucket(bucket) => write!(f, "{BUCKET}{bucket}"),
            Self::Role(role) => write!(f, "{ROLE}{role}"),
            Self::Answer { operation, about: About::Everything } => f.write_str(operation),
            Self::Answer { operation, about: About::Thing(thing) } => write!(f, "{operation} of {thing}"),
            Self::Answer { operation, about: About::Asked(parameters) } => write!(f, "{operation} with {parameters}"),
            Self::Answer { operation, about: About::Stretch(stretch) } => write!(f, "{operation} from {stretch}"),
            Self::Records { group, stretch: None } => write!(f, "{GROUP}{group}"),
            Self::Records { group, stretch: Some(stretch) } => write!(f, "{GROUP}{group} from {stretch}"),
            Self::Artifact(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl FromStr for Subject {
    type Err = Infallible;

    /// Words that are none of these are [`Subject::Other`].
    fn from_str(text: &str) -> Result<Self, Infallible> {
        // Whatever is read says the same when it is written.
        let read = Self::read(text).filter(|subject| subject.to_string() == text);
        Ok(read.unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

#[cfg(test)]
mod tests;
