//! The case as a CASE/UCO graph in JSON-LD, the exchange format of the forensic community.
//!
//! Written while the ledger is read, so a million artifacts take no more memory than one. Identifiers are derived from the case, so the
//! same case gives the same graph.

use std::io::Write;

use serde_json::{Value, json};

use crate::case::event::{Artifact, Event, Origin, Tool};
use crate::case::{CASE_TOML, CaseError, CaseFiles, CaseIdentity, read_identity};
use crate::model::{HashingReader, Sha256Hash, Timestamp};

use super::records::{ExportError, each_entry};

/// Writes the graph: the investigation, who and with what, each run as an action, each artifact as a file with its hash, and for each run a
/// provenance record that names the files it brought.
pub fn write_case_uco(files: &dyn CaseFiles, out: &mut dyn Write) -> Result<u64, ExportError> {
    let identity = read_identity(files)?;
    let case_toml = HashingReader::new(files.open(CASE_TOML)?).finish()?.0;
    let mut graph = Graph { out, case_toml, first: true };
    let runs = runs(files)?;
    graph.begin()?;
    graph.write_case(&identity, &runs)?;
    let mut artifacts = 0;
    let mut result = Ok(());
    each_entry(files, &mut |event, at, seq| {
        if let (Event::ArtifactAcquired(artifact), Ok(())) = (event, &result) {
            artifacts += 1;
            result = graph.write_artifact(artifact, at, seq);
        }
    })?;
    result?;
    graph.write_provenance(files, &identity, &runs)?;
    graph.out.write_all(b"\n]}\n")?;
    Ok(artifacts)
}

/// One run of `collect`, by the lines of the ledger.
#[derive(Debug)]
struct Run {
    number: u32,
    first_line: u64,
    started: Timestamp,
    finished: Option<Timestamp>,
    tool: Tool,
    account: String,
    principal: String,
    host: String,
}

fn runs(files: &dyn CaseFiles) -> Result<Vec<Run>, CaseError> {
    let mut runs: Vec<Run> = Vec::new();
    each_entry(files, &mut |event, at, seq| match event {
        Event::CollectionStarted(started) => runs.push(Run {
            number: started.run,
            first_line: seq,
            started: at,
            finished: None,
            tool: started.tool.clone(),
            account: started.caller.account.to_string(),
            principal: started.caller.arn.clone(),
            host: format!("{} ({})", started.host, started.system),
        }),
        Event::CollectionFinished(finished) => {
            if let Some(run) = runs.iter_mut().rev().find(|run| run.number == finished.run) {
                run.finished = Some(at);
            }
        }
        _ => {}
    })?;
    Ok(runs)
}

struct Graph<'a> {
    out: &'a mut dyn Write,
    case_toml: Sha256Hash,
    first: bool,
}

impl Graph<'_> {
    fn begin(&mut self) -> Result<(), ExportError> {
        let uco = |part: &str| format!("https://ontology.unifiedcyberontology.org/uco/{part}/");
        let context = json!({
            "kb": "urn:uuid:",
            "action": uco("action"),
            "core": uco("core"),
            "identity": uco("identity"),
            "investigation": "https://ontology.caseontology.org/case/investigation/",
            "observable": uco("observable"),
            "tool": uco("tool"),
            "types": uco("types"),
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        });
        write!(self.out, "{{\"@context\":{context},\"@graph\":[")?;
        Ok(())
    }

    fn separate(&mut self) -> Result<(), ExportError> {
        let separator: &[u8] = if std::mem::take(&mut self.first) { b"\n" } else { b",\n" };
        Ok(self.out.write_all(separator)?)
    }

    fn node(&mut self, node: &Value) -> Result<(), ExportError> {
        self.separate()?;
        Ok(write!(self.out, "{node}")?)
    }

    /// An identifier that the same thing of the same case always has: a UUID of version 5 (RFC 9562), which the community's validator
    /// expects. SHA-1 names here, it proves nothing.
    fn id(&self, what: &str, number: u64) -> String {
        const URL_NAMESPACE: [u8; 16] =
            [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
        let name = format!("urn:caselock:{}:{what}:{number}", self.case_toml);
        let named = [&URL_NAMESPACE[..], name.as_bytes()].concat();
        let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &named);
        let mut uuid: Vec<u8> = hash.as_ref().iter().take(16).copied().collect();
        for (at, keep, mark) in [(6, 0x0F, 0x50), (8, 0x3F, 0x80)] {
            if let Some(byte) = uuid.get_mut(at) {
                *byte = *byte & keep | mark;
            }
        }
        let text = hex::encode(uuid);
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        format!("kb:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    fn reference(&self, what: &str, number: u64) -> Value {
        json!({ "@id": self.id(what, number) })
    }

    fn write_case(&mut self, identity: &CaseIdentity, runs: &[Run]) -> Result<(), ExportError> {
        let numbers = || runs.iter().map(|run| u64::from(run.number));
        let mut parts: Vec<Value> = numbers().map(|run| self.reference("action", run)).collect();
        parts.extend(numbers().map(|run| self.reference("provenance", run)));
        let described = [&identity.description, &identity.authority, &identity.notes];
        let described: Vec<&str> = described.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        let mut investigation = json!({
            "@id": self.id("investigation", 0),
            "@type": "investigation:Investigation",
            "core:name": identity.case_number,
            "investigation:investigationForm": "incident",
        });
        set(&mut investigation, "core:description", described.join("\n\n").into());
        set(&mut investigation, "core:object", parts.into());
        self.node(&investigation)?;
        let examiner = if identity.examiner.trim().is_empty() { "not named" } else { &identity.examiner };
        let person = json!({ "@id": self.id("examiner", 0), "@type": "identity:Person", "core:name": examiner });
        self.node(&person)?;
        if !identity.organization.trim().is_empty() {
            let name = &identity.organization;
            let organization =
                json!({ "@id": self.id("organization", 0), "@type": "identity:Organization", "core:name": name });
            self.node(&organization)?;
        }
        for run in runs {
            self.write_run(run)?;
        }
        Ok(())
    }

    fn write_run(&mut self, run: &Run) -> Result<(), ExportError> {
        let number = run.number.into();
        let mut tool = json!({
            "@id": self.id("tool", number),
            "@type": "tool:Tool",
            "core:name": run.tool.name,
            "tool:toolType": "acquisition",
            "tool:version": run.tool.version,
        });
        if let Some(sha256) = &run.tool.sha256 {
            set(&mut tool, "core:description", format!("SHA-256 of the program: {sha256}").into());
        }
        self.node(&tool)?;
        let account = json!({
            "@id": self.id("account", number),
            "@type": "observable:ObservableObject",
            "core:name": format!("AWS account {}", run.account),
        });
        self.node(&account)?;
        let mut action = json!({
            "@id": self.id("action", number),
            "@type": "investigation:InvestigativeAction",
            "core:name": format!("Acquisition from AWS, run {}", run.number),
            "core:description": format!("As {} from {}", run.principal, run.host),
            "action:instrument": self.reference("tool", number),
            "action:object": self.reference("account", number),
            "action:performer": self.reference("examiner", 0),
            "action:result": self.reference("provenance", number),
            "action:startTime": date_time(run.started),
        });
        if let Some(finished) = run.finished {
            set(&mut action, "action:endTime", date_time(finished));
        }
        self.node(&action)
    }

    fn write_artifact(&mut self, artifact: &Artifact, at: Timestamp, seq: u64) -> Result<(), ExportError> {
        let path = artifact.path.as_str();
        let size = json!({ "@type": "xsd:integer", "@value": artifact.size.to_string() });
        let (identifier, context) = match &artifact.source {
            Origin::S3Object(object) => {
                let version = object.version_id.as_ref().map(|id| format!(" version {id}")).unwrap_or_default();
                (format!("s3://{}/{}{version}", object.bucket, object.key), "Amazon S3")
            }
            Origin::ApiResponse(response) => (
                format!(
                    "{}:{} in {} of {}, page {}",
                    response.service, response.operation, response.region, response.account, response.page
                ),
                "answer of an AWS API",
            ),
        };
        let node = json!({
            "@id": self.id("file", seq),
            "@type": "observable:File",
            "core:objectCreatedTime": date_time(at),
            "core:externalReference": {
                "@id": self.id("origin", seq),
                "@type": "core:ExternalReference",
                "core:definingContext": context,
                "core:externalIdentifier": identifier,
            },
            "core:hasFacet": [
                {
                    "@id": self.id("file-facet", seq),
                    "@type": "observable:FileFacet",
                    "observable:fileName": path.rsplit('/').next().unwrap_or_default(),
                    "observable:filePath": path,
                    "observable:isDirectory": false,
                    "observable:sizeInBytes": size,
                },
                {
                    "@id": self.id("content-facet", seq),
                    "@type": "observable:ContentDataFacet",
                    "observable:hash": {
                        "@id": self.id("hash", seq),
                        "@type": "types:Hash",
                        "types:hashMethod": "SHA256",
                        "types:hashValue": { "@type": "xsd:hexBinary", "@value": artifact.sha256.to_string() },
                    },
                    "observable:sizeInBytes": size,
                },
            ],
        });
        self.node(&node)
    }

    /// One record a run. Its files are named while the ledger is read once more, so the list is never held.
    fn write_provenance(&mut self, files: &dyn CaseFiles, identity: &CaseIdentity, runs: &[Run]) -> Result<(), ExportError> {
        let exhibit = if identity.evidence_number.is_empty() { &identity.case_number } else { &identity.evidence_number };
        let mut following = runs.iter().peekable();
        let mut open = false;
        let mut first = true;
        let mut result = Ok(());
        each_entry(files, &mut |event, _, seq| {
            let mut take = || -> Result<(), ExportError> {
                if let Some(run) = following.next_if(|run| run.first_line == seq) {
                    if open {
                        self.out.write_all(b"]}")?;
                    }
                    let record = json!({
                        "@id": self.id("provenance", run.number.into()),
                        "@type": "investigation:ProvenanceRecord",
                        "core:description": format!("What run {} acquired; custody/ledger.jsonl from line {}", run.number, seq + 1),
                        "investigation:exhibitNumber": format!("{exhibit}-{}", run.number),
                    });
                    let text = record.to_string();
                    self.separate()?;
                    // Left open for the files.
                    write!(self.out, "{},\"core:object\":[", text.strip_suffix('}').unwrap_or(&text))?;
                    (open, first) = (true, true);
                } else if let (Event::ArtifactAcquired(_), true) = (event, open) {
                    let separator: &[u8] = if first { b"\n" } else { b",\n" };
                    self.out.write_all(separator)?;
                    write!(self.out, "{}", self.reference("file", seq))?;
                    first = false;
                }
                Ok(())
            };
            if result.is_ok() {
                result = take();
            }
        })?;
        result?;
        if open {
            self.out.write_all(b"]}")?;
        }
        Ok(())
    }
}

fn date_time(at: Timestamp) -> Value {
    json!({ "@type": "xsd:dateTime", "@value": at.to_string() })
}

/// Sets a field that only some nodes have; an empty text is none.
fn set(node: &mut Value, field: &str, value: Value) {
    if value.as_str() == Some("") {
        return;
    }
    if let Value::Object(fields) = node {
        fields.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_uuids_that_depend_on_the_case_and_the_thing() {
        let mut out = Vec::new();
        let of = |case: &[u8], out: &mut Vec<u8>| {
            let graph = Graph { out, case_toml: Sha256Hash::of(case), first: true };
            [graph.id("file", 1), graph.id("file", 2), graph.id("hash", 1)]
        };
        let [one, two, other] = of(b"case", &mut out);
        assert_eq!(of(b"case", &mut out)[0], one);
        let all = [one, two, other, of(b"another case", &mut out)[0].clone()];
        for (at, id) in all.iter().enumerate() {
            let marks: Vec<char> =
                [3 + 8, 3 + 13, 3 + 14, 3 + 18, 3 + 23].iter().filter_map(|at| id.chars().nth(*at)).collect();
            assert_eq!((id.len(), marks[0], marks[1], marks[2], marks[3], marks[4]), (39, '-', '-', '5', '-', '-'), "{id}");
            assert!(!all[..at].contains(id), "{id}");
        }
    }
}
