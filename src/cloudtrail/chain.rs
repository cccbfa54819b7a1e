//! One chain of digests: a trail's digests of one account and region, each signed and each vouching for the one before.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{Finding, S3Location, Severity, Sha256Hash, Timestamp};

use super::{Digest, DigestName, KeyRing, KeyStanding};

/// The only signature algorithm that CloudTrail is known to use.
const ALGORITHM: &str = "SHA256withRSA";
/// How long after the end of its interval a digest may be signed, in seconds.
const SIGNED_WITHIN: i64 = 2 * 3600;
/// How far AWS's clocks may be apart, in seconds.
const CLOCKS: i64 = 5 * 60;

/// A digest file as it lies in the case: the current version of its object, or an older one.
#[derive(Clone, Debug)]
pub struct StoredDigest {
    /// Where it was fetched from.
    pub location: S3Location,
    /// Its key, taken apart.
    pub name: DigestName,
    /// Its content with the content's SHA-256, or the finding's code and words that say why it has none.
    pub content: Result<(Digest, Sha256Hash), (&'static str, String)>,
    /// `x-amz-meta-signature`.
    pub signature: Option<String>,
    /// `x-amz-meta-signature-algorithm`.
    pub signature_algorithm: Option<String>,
    /// When it was signed: `x-amz-meta-backfill-generation-timestamp` of a backfill digest.
    pub generated: Option<Timestamp>,
    /// When S3 says it was delivered.
    pub last_modified: Option<Timestamp>,
    /// The version of the object, where the bucket keeps versions.
    pub version_id: Option<String>,
    /// Whether it is what the key gave when the evidence was acquired, and not an older version.
    pub current: bool,
    /// The number of the artifact that it is, by which what it lists is found.
    pub number: u64,
}

/// A digest and whether all that was checked about it holds.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug)]
pub struct CheckedDigest {
    /// The digest: the current version, or the older one that takes its place.
    pub stored: StoredDigest,
    /// Parsed, in its place, signed by a published key, and as its successor recorded it.
    pub verified: bool,
    /// Whether it is an older version, because the current one does not hold or is not there.
    pub recovered: bool,
    /// Whether there is no current version.
    pub deleted: bool,
    /// Whether it is not verified only because a key to check its signature with is not to be had.
    pub unchecked: bool,
}

/// A digest that a verified successor names and that is not in the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingDigest {
    /// Where it should be.
    pub location: S3Location,
    /// The end of the newest digest before the hole, if there is one.
    pub from: Option<Timestamp>,
    /// The start of the oldest digest behind the hole.
    pub to: Timestamp,
    /// Whether a finding names it already: it was deleted, and none of its older versions holds.
    pub reported: bool,
}

/// What checking a chain came to.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// From the oldest to the newest.
    pub digests: Vec<CheckedDigest>,
    /// Digests that are named and not there.
    pub missing: Vec<MissingDigest>,
    /// What is wrong or notable.
    pub findings: Vec<Finding>,
}

impl CheckedDigest {
    /// Whether its name tells a time that had not come when S3 received it.
    #[must_use]
    pub fn is_ahead_of_its_time(&self) -> bool {
        is_ahead_of_its_time(&self.stored)
    }

    /// The content, if the digest is verified.
    #[must_use]
    pub fn proven(&self) -> Option<&Digest> {
        self.stored.content.as_ref().ok().filter(|_| self.verified).map(|(digest, _)| digest)
    }
}

impl MissingDigest {
    /// How many digests the hole takes, at one an hour.
    #[must_use]
    pub fn count(&self) -> u64 {
        let seconds = self.from.map_or(0, |from| (self.to.instant() - from.instant()).num_seconds());
        u64::try_from(seconds).unwrap_or(0).div_ceil(3600).max(1)
    }
}

fn is_ahead_of_its_time(stored: &StoredDigest) -> bool {
    stored.last_modified.is_some_and(|received| stored.name.end > received.plus_seconds(CLOCKS))
}

/// When a digest was signed, for the choice of its key: nobody signs before the interval ends, or after S3 received it.
///
/// What a backfill digest's metadata say of it is not signed, so that it is believed within these bounds only.
fn signed_at(stored: &StoredDigest, end: Timestamp) -> Timestamp {
    let said = stored.generated.filter(|_| stored.name.backfill).unwrap_or(end).max(end);
    stored.last_modified.map_or(said, |received| said.min(received))
}

/// The versions of one digest's object.
#[derive(Debug, Default)]
struct Versions {
    current: Option<StoredDigest>,
    /// The newest first.
    older: Vec<StoredDigest>,
}

/// What a verified digest recorded of the one before it.
struct Vouch {
    sha256: Sha256Hash,
    signature: String,
}

/// Checks the digests of one chain, whatever their order.
#[must_use]
pub fn check_chain(mut stored: Vec<StoredDigest>, keys: &KeyRing) -> Chain {
    stored.sort_by(|a, b| (b.last_modified, &a.version_id).cmp(&(a.last_modified, &b.version_id)));
    let depths = backfill_depths(&stored);
    let mut places: BTreeMap<(u64, Timestamp, S3Location), Versions> = BTreeMap::new();
    for digest in stored {
        let depth = depths.get(&digest.location).copied().unwrap_or(0);
        let versions = places.entry((depth, digest.name.end, digest.location.clone())).or_default();
        if digest.current && versions.current.is_none() {
            versions.current = Some(digest);
        } else {
            versions.older.push(digest);
        }
    }
    let there: HashMap<S3Location, Timestamp> = places.keys().map(|(_, end, location)| (location.clone(), *end)).collect();
    let mut chain = Chain::default();
    // The newest comes first, so that a successor's word is there when the older is judged.
    let mut vouched: HashMap<S3Location, Vouch> = HashMap::new();
    let mut gone = HashSet::new();
    for ((_, end, location), versions) in places.into_iter().rev() {
        let Some(checked) = check_versions(&location, versions, keys, vouched.get(&location), &mut chain.findings) else {
            gone.insert(location);
            continue;
        };
        if let Some(previous) = checked.proven().and_then(|content| content.previous.clone()) {
            match there.get(&previous.location) {
                Some(older) if *older >= end && !is_backfill(&location) => chain.findings.push(Finding::new(
                    Severity::Failure,
                    "digest-order",
                    &location,
                    "It names as its predecessor a digest that is not older.",
                )),
                Some(_) => {}
                None => {
                    let to = checked.proven().map_or(end, |content| content.start);
                    chain.missing.push(MissingDigest { location: previous.location.clone(), from: None, to, reported: false });
                }
            }
            let vouch = Vouch { sha256: previous.sha256, signature: previous.signature };
            if vouched.insert(previous.location.clone(), vouch).is_some() {
                let detail = format!(
                    "Another signed digest names the same predecessor, {}: the chain forks here, and which branch is the \
                     trail's history cannot be told.",
                    previous.location
                );
                chain.findings.push(Finding::new(Severity::Gap, "chain-fork", &location, &detail));
            }
        }
        chain.digests.push(checked);
    }
    chain.digests.reverse();
    chain.missing.reverse();
    chain.findings.reverse();
    // A deleted digest of which no version holds is as good as not there.
    for digest in chain.digests.iter().filter(|digest| digest.verified) {
        let Some(content) = digest.proven() else { continue };
        if let Some(previous) = content.previous.as_ref().filter(|previous| gone.contains(&previous.location)) {
            let to = content.start;
            chain.missing.push(MissingDigest { location: previous.location.clone(), from: None, to, reported: true });
        }
    }
    // Up to where the digests before a hole reach, only those say that hold, or that could not be checked.
    let mut ends: Vec<Timestamp> = chain
        .digests
        .iter()
        .filter(|digest| digest.verified || digest.unchecked)
        .map(|digest| digest.stored.name.end)
        .collect();
    ends.sort_unstable();
    for missing in &mut chain.missing {
        let before = ends.partition_point(|end| *end <= missing.to);
        missing.from = before.checked_sub(1).and_then(|last| ends.get(last)).copied();
    }
    continuity(&mut chain);
    chain
}

fn is_backfill(location: &S3Location) -> bool {
    location.key.parse::<DigestName>().is_ok_and(|name| name.backfill)
}

/// How many backfill digests of these lie before each in its chain.
///
/// They follow each other as AWS wrote them, which need not be in the order of the hours that they are of; when that was only their
/// metadata say, which nobody signed.
fn backfill_depths(stored: &[StoredDigest]) -> HashMap<S3Location, u64> {
    // In order: of digests that name each other in a circle, which nobody signed, the first one decides.
    let mut previous: BTreeMap<&S3Location, &S3Location> = BTreeMap::new();
    for digest in stored.iter().filter(|digest| digest.name.backfill) {
        if let Some(before) = digest.content.as_ref().ok().and_then(|(content, _)| content.previous.as_ref()) {
            // The current version's word comes before that of older ones.
            if digest.current || !previous.contains_key(&digest.location) {
                previous.insert(&digest.location, &before.location);
            }
        }
    }
    let mut depths: HashMap<S3Location, u64> = HashMap::new();
    for start in previous.keys().copied() {
        let (mut path, mut at, mut seen) = (Vec::new(), start, HashSet::new());
        while !depths.contains_key(at) && seen.insert(at) {
            path.push(at);
            let Some(before) = previous.get(at) else { break };
            at = before;
        }
        let mut depth = depths.get(at).copied().unwrap_or(0);
        for location in path.into_iter().rev() {
            depth += 1;
            depths.insert(location.clone(), depth);
        }
    }
    depths
}

/// Whether each digest begins where its predecessor ends, and no two of them cover the same time.
fn continuity(chain: &mut Chain) {
    let ends: HashMap<&S3Location, Timestamp> =
        chain.digests.iter().filter_map(|digest| Some((&digest.stored.location, digest.proven()?.end))).collect();
    let mut known_until: Option<Timestamp> = None;
    let mut findings = Vec::new();
    for digest in &chain.digests {
        let Some(content) = digest.proven() else { continue };
        let older_end = content.previous.as_ref().and_then(|previous| ends.get(&previous.location));
        if let Some(older_end) = older_end.filter(|end| **end != content.start && !digest.stored.name.backfill) {
            let detail = format!("It starts {} but its predecessor ends {older_end}.", content.start);
            findings.push(Finding::new(Severity::Gap, "digest-time-hole", &digest.stored.location, &detail));
        } else if !digest.stored.name.backfill && known_until.is_some_and(|known| overlaps(content, known)) {
            let detail = "It covers time that an earlier digest of the same trail, account and region covers already: two \
                          chains ran side by side, and which of them is the trail's history cannot be told.";
            findings.push(Finding::new(Severity::Gap, "chain-overlap", &digest.stored.location, detail));
        }
        known_until = known_until.max(Some(content.end));
    }
    chain.findings.extend(findings);
}

/// Whether a digest covers time before `known_until` that another one covers.
///
/// An empty starting digest spans the hour before its chain began, whatever came before: that alone is no overlap.
fn overlaps(content: &Digest, known_until: Timestamp) -> bool {
    let empty_start = content.previous.is_none() && content.logs.is_empty();
    if empty_start { content.end <= known_until } else { content.start < known_until }
}

/// The version of a digest that holds, with what is wrong with the current one; none if it was deleted and no version holds.
fn check_versions(
    location: &S3Location,
    versions: Versions,
    keys: &KeyRing,
    vouch: Option<&Vouch>,
    findings: &mut Vec<Finding>,
) -> Option<CheckedDigest> {
    let deleted = versions.current.is_none();
    let mut wrong = Vec::new();
    if let Some(current) = &versions.current
        && check_digest(current, keys, vouch, &mut wrong)
    {
        findings.append(&mut wrong);
        let stored = versions.current?;
        return Some(CheckedDigest { stored, verified: true, recovered: false, deleted: false, unchecked: false });
    }
    if deleted {
        let detail = "It was deleted: only older versions of it are there.";
        wrong.push(Finding::new(Severity::Failure, "digest-missing", location, detail));
    }
    let unchecked = !deleted && !wrong.iter().any(|finding| finding.severity == Severity::Failure);
    findings.append(&mut wrong);
    for older in versions.older {
        let mut notes = Vec::new();
        if check_digest(&older, keys, vouch, &mut notes) {
            findings.append(&mut notes);
            findings.push(Finding::new(
                Severity::Notice,
                "digest-recovered",
                location,
                &recovered(&older, versions.current.as_ref()),
            ));
            return Some(CheckedDigest { stored: older, verified: true, recovered: true, deleted, unchecked: false });
        }
    }
    Some(CheckedDigest { stored: versions.current?, verified: false, recovered: false, deleted: false, unchecked })
}

fn recovered(genuine: &StoredDigest, current: Option<&StoredDigest>) -> String {
    let version = genuine.version_id.as_deref().unwrap_or("without an id");
    let stored = genuine.last_modified.map(|at| format!(", stored {at},")).unwrap_or_default();
    let instead = match current {
        Some(current) => {
            let version = current.version_id.as_deref().unwrap_or("without an id");
            let at = current.last_modified.map(|at| format!(" of {at}")).unwrap_or_default();
            format!("the current version {version}{at} does not hold")
        }
        None => "the object was deleted".to_owned(),
    };
    format!("Its genuine bytes are in the case: version {version}{stored} is what AWS signed, though {instead}.")
}

/// Checks one digest by itself, and against what its verified successor recorded of it.
fn check_digest(stored: &StoredDigest, keys: &KeyRing, vouch: Option<&Vouch>, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let mut fail = |severity: Severity, kind: &str, detail: &str| {
        findings.push(Finding::new(severity, kind, &stored.location, detail));
    };
    let (digest, sha256) = match &stored.content {
        Ok(content) => content,
        Err((kind, detail)) => {
            fail(Severity::Failure, kind, detail);
            return false;
        }
    };
    if digest.location != stored.location {
        let detail = format!("It says that it lies at {}; it was fetched from here.", digest.location);
        fail(Severity::Failure, "digest-moved", &detail);
    }
    if digest.end != stored.name.end || digest.account != stored.name.account {
        fail(Severity::Failure, "digest-name-mismatch", "Its name and its content disagree on its time or account.");
    }
    let algorithms = [Some(&digest.signature_algorithm), stored.signature_algorithm.as_ref()];
    if let Some(other) = algorithms.into_iter().flatten().find(|algorithm| *algorithm != ALGORITHM) {
        let detail = format!("It names the signature algorithm `{other}`; CloudTrail signs with {ALGORITHM}.");
        fail(Severity::Failure, "digest-algorithm", &detail);
    }
    if stored.signature.is_some() && stored.signature_algorithm.is_none() {
        fail(Severity::Failure, "digest-algorithm", "Its metadata has a signature and does not say with which algorithm.");
    }
    if stored.name.backfill && stored.generated.is_none() {
        let detail = "It is a backfill digest, and its metadata does not say when it was generated.";
        fail(Severity::Failure, "digest-backfill-time", detail);
    }
    if let Some(vouch) = vouch {
        if vouch.sha256 != *sha256 {
            let detail = "It is not the digest that its successor recorded: the hash of its content differs.";
            fail(Severity::Failure, "digest-link-mismatch", detail);
        } else if stored.signature.as_ref().is_some_and(|own| !own.eq_ignore_ascii_case(&vouch.signature)) {
            let detail = "Its signature is not the one that its successor recorded.";
            fail(Severity::Failure, "digest-link-mismatch", detail);
        }
    }
    if is_ahead_of_its_time(stored) {
        let received = stored.last_modified.map_or_else(String::new, |at| at.to_string());
        let detail = format!(
            "By its name it ends {}, and S3 received it {received}: AWS signs no digest before its end.",
            stored.name.end
        );
        fail(Severity::Failure, "digest-ahead-of-its-time", &detail);
    }
    let signed_at = signed_at(stored, digest.end);
    let standing = keys.standing(&stored.name.region, &digest.key_fingerprint, signed_at);
    let (fingerprint, region) = (crate::model::printable(&digest.key_fingerprint), &stored.name.region);
    match (stored.signature.as_ref().or(vouch.map(|vouch| &vouch.signature)), standing) {
        (None, _) => {
            let detail = "It has no signature in its metadata, and no successor that recorded one.";
            fail(Severity::Failure, "digest-signature-missing", detail);
        }
        (Some(_), KeyStanding::Unknown) => {
            let detail = format!("It is signed with key {fingerprint}, which {region} did not publish for this time.");
            fail(Severity::Failure, "key-unknown", &detail);
        }
        (Some(_), KeyStanding::NotAsked) => {
            let detail = format!(
                "The case does not hold the public keys of {region} for this time, so its signature, by key {fingerprint}, cannot \
                 be checked."
            );
            fail(Severity::Gap, "keys-unavailable", &detail);
        }
        (Some(_), KeyStanding::Unusable) => {
            let detail = format!("What {region} answered for key {fingerprint} is not usable as that key.");
            fail(Severity::Gap, "key-unusable", &detail);
        }
        (Some(signature), KeyStanding::Published(key)) => {
            if let Err(problem) = key.verify(&digest.signed_text(*sha256), signature) {
                fail(Severity::Failure, "digest-signature-invalid", &format!("Its content is not what AWS signed: {problem}."));
            }
        }
    }
    if findings.len() > before {
        return false;
    }
    // From here on only what takes nothing from the proof.
    if let KeyStanding::Published(key) = standing
        && (signed_at > key.valid_until || signed_at.plus_seconds(SIGNED_WITHIN) < key.valid_from)
    {
        let detail = format!(
            "It is signed with key {}, valid {} to {}, and was signed outside of that.",
            key.fingerprint, key.valid_from, key.valid_until
        );
        findings.push(Finding::new(Severity::Notice, "key-outside-validity", &stored.location, &detail));
    }
    if stored.signature.is_none() {
        let detail = "Its own metadata has no signature; the one that its successor recorded holds.";
        findings.push(Finding::new(Severity::Notice, "digest-signature-from-successor", &stored.location, detail));
    }
    true
}
