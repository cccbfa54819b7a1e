//! One chain of digests: a trail's digests of one account and region, each signed and each vouching for the one before.

use std::collections::HashMap;

use crate::model::{Finding, S3Location, Severity, Sha256Hash, Timestamp};

use super::{Digest, DigestName, KeyRing};

/// The only signature algorithm that CloudTrail is known to use.
const ALGORITHM: &str = "SHA256withRSA";

/// A digest file as it lies in the case.
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
}

/// A digest and whether all that was checked about it holds.
#[derive(Clone, Debug)]
pub struct CheckedDigest {
    /// The digest.
    pub stored: StoredDigest,
    /// Parsed, in its place, signed by a published key, and as its successor recorded it.
    pub verified: bool,
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
    /// The content, if the digest is verified.
    #[must_use]
    pub fn proven(&self) -> Option<&Digest> {
        self.stored.content.as_ref().ok().filter(|_| self.verified).map(|(digest, _)| digest)
    }
}

/// Checks the digests of one chain, whatever their order.
///
/// `keys_asked` says whether the source region answered `ListPublicKeys` at all: a key that nobody published is a failure, keys that
/// could not be had are a gap.
#[must_use]
pub fn check_chain(mut stored: Vec<StoredDigest>, keys: &KeyRing, keys_asked: bool) -> Chain {
    stored.sort_by(|a, b| (a.name.end, &a.location).cmp(&(b.name.end, &b.location)));
    let places: HashMap<S3Location, usize> =
        stored.iter().enumerate().map(|(at, digest)| (digest.location.clone(), at)).collect();
    let mut findings = Vec::new();
    // What a verified successor recorded of a digest. The newest comes first, so that its word is there when the older is judged.
    let mut vouched: HashMap<S3Location, (Sha256Hash, String)> = HashMap::new();
    let mut verified = vec![false; stored.len()];
    let mut missing = Vec::new();
    for (at, digest) in stored.iter().enumerate().rev() {
        let vouch = vouched.get(&digest.location);
        let holds = check_digest(digest, keys, keys_asked, vouch, &mut findings);
        if let Some(place) = verified.get_mut(at) {
            *place = holds;
        }
        let Some((content, _)) = digest.content.as_ref().ok().filter(|_| holds) else { continue };
        let Some(previous) = &content.previous else { continue };
        match places.get(&previous.location).and_then(|at| stored.get(*at)) {
            Some(older) if older.name.end >= digest.name.end => findings.push(Finding::new(
                Severity::Failure,
                "digest-order",
                &digest.location,
                "It names as its predecessor a digest that is not older.",
            )),
            Some(older) => {
                if let Ok((older, _)) = &older.content
                    && older.end != content.start
                {
                    let detail = format!("It starts {} but its predecessor ends {}.", content.start, older.end);
                    findings.push(Finding::new(Severity::Gap, "digest-time-hole", &digest.location, &detail));
                }
            }
            None => {
                let from = at.checked_sub(1).and_then(|before| stored.get(before)).map(|before| before.name.end);
                missing.push(MissingDigest { location: previous.location.clone(), from, to: content.start });
            }
        }
        vouched.insert(previous.location.clone(), (previous.sha256, previous.signature.clone()));
    }
    missing.reverse();
    findings.reverse();
    let digests = stored.into_iter().zip(verified).map(|(stored, verified)| CheckedDigest { stored, verified }).collect();
    Chain { digests, missing, findings }
}

/// Checks one digest by itself, and against what its verified successor recorded of it.
fn check_digest(
    stored: &StoredDigest,
    keys: &KeyRing,
    keys_asked: bool,
    vouch: Option<&(Sha256Hash, String)>,
    findings: &mut Vec<Finding>,
) -> bool {
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
    if let Some((vouched_sha256, vouched_signature)) = vouch {
        if vouched_sha256 != sha256 {
            let detail = "It is not the digest that its successor recorded: the hash of its content differs.";
            fail(Severity::Failure, "digest-link-mismatch", detail);
        } else if stored.signature.as_ref().is_some_and(|own| !own.eq_ignore_ascii_case(vouched_signature)) {
            let detail = "Its signature is not the one that its successor recorded.";
            fail(Severity::Failure, "digest-link-mismatch", detail);
        }
    }
    let signature = stored.signature.as_ref().or(vouch.map(|(_, signature)| signature));
    match (signature, keys.get(&stored.name.region, &digest.key_fingerprint)) {
        (None, _) => {
            let detail = "It has no signature in its metadata, and no successor that recorded one.";
            fail(Severity::Failure, "digest-signature-missing", detail);
        }
        (Some(_), None) if keys_asked => {
            let detail = format!(
                "It is signed with key {}, which {} did not publish for this time.",
                digest.key_fingerprint, stored.name.region
            );
            fail(Severity::Failure, "key-unknown", &detail);
        }
        (Some(_), None) => {
            let detail =
                format!("The public keys of {} are not in the case, so nothing it signed can be checked.", stored.name.region);
            fail(Severity::Gap, "keys-unavailable", &detail);
        }
        (Some(signature), Some(key)) => {
            if let Err(problem) = key.verify(&digest.signed_text(*sha256), signature) {
                fail(Severity::Failure, "digest-signature-invalid", &format!("Its content is not what AWS signed: {problem}."));
            }
        }
    }
    if findings.len() > before {
        return false;
    }
    // From here on only what takes nothing from the proof.
    if let Some(key) = keys.get(&stored.name.region, &digest.key_fingerprint)
        && !key.is_valid_at(stored.generated.or(stored.last_modified).unwrap_or(digest.end))
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
