//! The second story: the intruder comes back to the log bucket and edits what is in it, and verification tells each edit.

use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::Value;

use crate::sim::{ACCOUNT_ID, Account, TRAIL_BUCKET, TRAIL_NAME, Upload};

use super::super::output::{Output, hanging, wrapped};
use super::super::shell;

/// The address from which the intruder of the simulated account comes.
const INTRUDER: &str = "203.0.113.77";

/// One thing that the intruder did to the evidence.
#[derive(Debug, Serialize)]
pub(super) struct Edit {
    /// What, in a sentence.
    edit: String,
    /// The kinds of findings that give it away.
    found: Vec<String>,
    /// How its findings are recognized: words that their object has, and the kinds.
    #[serde(skip)]
    object: String,
    #[serde(skip)]
    kinds: &'static [&'static str],
}

impl Edit {
    fn new(edit: impl Into<String>, object: impl Into<String>, kinds: &'static [&'static str]) -> Self {
        Self { edit: edit.into(), found: Vec::new(), object: object.into(), kinds }
    }

    /// The findings that are about it.
    fn findings<'a>(&'a self, verification: &'a Value) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = verification.get("findings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(|finding| {
            let text = |field: &str| finding.get(field).and_then(Value::as_str);
            let (kind, object, detail) = (text("kind")?, text("object")?, text("detail")?);
            (self.kinds.contains(&kind) && object.contains(&self.object)).then_some((kind, detail))
        })
    }
}

fn folder(kind: &str, region: &str) -> String {
    format!("AWSLogs/{ACCOUNT_ID}/{kind}/{region}/")
}

/// Edits the account's log bucket as somebody with rights to it could; what was stopped in the story belongs to it.
pub(super) fn edit(account: &Account) -> Vec<Edit> {
    let objects = account.objects();
    let mut edits = vec![Edit::new(
        "Switched the trail off with StopLogging, and worked unrecorded until a responder switched it on again.",
        TRAIL_NAME,
        &["logging-off"],
    )];
    let mut with_intruder = objects.keys(TRAIL_BUCKET, &folder("CloudTrail", "us-east-1")).into_iter().filter_map(|key| {
        let (rest, taken) = without_intruder(&objects.get(TRAIL_BUCKET, &key)?.body)?;
        (taken > 0).then_some((key, rest, taken))
    });
    if let Some((key, rest, taken)) = with_intruder.next()
        && let Some(object) = objects.get(TRAIL_BUCKET, &key)
    {
        objects.put_new_version(TRAIL_BUCKET, &key, Upload::like(&object, rest));
        let calls = if taken == 1 { "the call".to_owned() } else { format!("the {taken} calls") };
        let text = format!("Took {calls} from {INTRUDER} out of a log, and stored the rest in its place.");
        edits.push(Edit::new(text, key, &["log-modified"]));
    }
    if let Some((key, ..)) = with_intruder.next()
        && objects.erase(TRAIL_BUCKET, &key)
    {
        edits.push(Edit::new("Deleted the next log with calls from there, in every version.", key, &["log-missing"]));
    }
    let west = objects.keys(TRAIL_BUCKET, &folder("CloudTrail-Digest", "us-west-2"));
    if let [.., earlier, swapped, _, _, _, _, _, _, _, _] = west.as_slice()
        && let Some(object) = objects.get(TRAIL_BUCKET, earlier)
    {
        let body = object.body.clone();
        objects.put_new_version(TRAIL_BUCKET, swapped, Upload::like(&object, body));
        let text = "Put a genuine digest of AWS's, signature and all, in the place of the one after it (us-west-2).";
        edits.push(Edit::new(text, swapped, &["digest-moved", "digest-link-mismatch", "digest-name-mismatch"]));
    }
    let europe = objects.keys(TRAIL_BUCKET, &folder("CloudTrail-Digest", "eu-central-1"));
    if let Some(key) = europe.get(europe.len() / 2)
        && objects.erase(TRAIL_BUCKET, key)
    {
        let text = "Deleted a digest in mid chain, in every version, so that its logs lose their proof (eu-central-1).";
        edits.push(Edit::new(text, key, &["digest-missing"]));
    }
    if let [.., first, second, third] = europe.as_slice()
        && [first, second, third].into_iter().all(|key| objects.erase(TRAIL_BUCKET, key))
    {
        let text = "Deleted the three newest digests, so that no later one is left to miss them (eu-central-1).";
        edits.push(Edit::new(text, "eu-central-1", &["newest-digests-missing"]));
    }
    edits
}

/// A log without the intruder's calls, compressed, and how many there were.
fn without_intruder(log: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    GzDecoder::new(log).read_to_end(&mut content).ok()?;
    let mut document: Value = serde_json::from_slice(&content).ok()?;
    let records = document.get_mut("Records")?.as_array_mut()?;
    let before = records.len();
    records.retain(|record| record.get("sourceIPAddress").and_then(Value::as_str) != Some(INTRUDER));
    let taken = before - records.len();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(document.to_string().as_bytes()).ok()?;
    Some((packed.finish().ok()?, taken))
}

/// Looks up what verification says of each edit.
pub(super) fn look_up(edits: &mut [Edit], verification: &Value) {
    for edit in edits {
        let mut found: Vec<String> = edit.findings(verification).map(|(kind, _)| kind.to_owned()).collect();
        found.sort_unstable();
        found.dedup();
        edit.found = found;
    }
}

/// The story: each edit, and in verification's own words what gives it away.
pub(super) fn story(edits: &[Edit], verification: &Value, case: &str) -> String {
    let mut lines = vec![String::new(), Output::bold("What the intruder did, and what gives it away")];
    for (number, edit) in (1..).zip(edits) {
        lines.push(String::new());
        lines.push(hanging(&format!("{number}. {}", edit.edit), "  ", "     "));
        match edit.findings(verification).next() {
            Some((kind, detail)) => lines.push(hanging(&format!("→ {kind}: {detail}"), "     ", "       ")),
            None => lines.push("     → NOT FOUND".to_owned()),
        }
    }
    let recovered: u64 = verification
        .get("cloudtrail")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|trail| Some(trail.pointer("/logs/recovered")?.as_u64()? + trail.pointer("/digests/recovered")?.as_u64()?))
        .sum();
    lines.push(String::new());
    if recovered > 0 {
        lines.push(wrapped(
            &format!(
                "The bucket keeps versions, so collect found {recovered} of the overwritten files in their genuine form as well: what \
                 the intruder wanted gone is in the case, and AWS's signature proves it."
            ),
            "  ",
        ));
    }
    lines.push(wrapped(
        "No edit can be undone by another: each digest carries the hash and signature of the one before and the hash of each log, signed \
         with a key that never leaves AWS, and the trail's own status tells when the newest was delivered. What happened while the trail \
         was off nobody can prove; that it was off, and who did it, is proven.",
        "  ",
    ));
    let case = shell::path(Path::new(case));
    lines.extend([
        String::new(),
        Output::bold("What to try next"),
        format!("  caselock status {case}"),
        format!("  caselock verify {case} --verbose"),
        format!("  caselock report {case}"),
        "      (the pages for people, with each finding and the forms)".to_owned(),
        "  caselock demo -o caselock-demo-2".to_owned(),
        "      (the same intrusion, with the log bucket left alone)".to_owned(),
    ]);
    lines.join("\n")
}
