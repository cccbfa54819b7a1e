//! Every artifact of a case in one flat record: a table for spreadsheets, or JSON line by line for programs.

use std::io::{self, BufReader, Write};

use serde::Serialize;

use crate::case::event::{Artifact, Event, Origin, ResponseOrigin};
use crate::case::ledger::read_ledger;
use crate::case::{CaseError, CaseFiles, LEDGER};
use crate::model::Timestamp;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// RFC 4180, with a heading; no cell can be taken for a formula.
    Csv,
    /// One JSON object a line, every value exactly as it is.
    JsonLines,
}

/// A case could not be turned into another format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The case could not be read.
    #[error("the case cannot be read")]
    Case(#[from] CaseError),
    /// The result could not be written.
    #[error("the export cannot be written")]
    Io(#[from] io::Error),
}

/// What is said of each artifact, in the order of the columns.
#[derive(Debug, Default, Serialize)]
struct Record {
    path: String,
    kind: &'static str,
    source: String,
    account: Option<String>,
    region: Option<String>,
    bucket: Option<String>,
    key: Option<String>,
    version_id: Option<String>,
    last_modified: Option<String>,
    etag: Option<String>,
    storage_class: Option<String>,
    encryption: Option<String>,
    aws_digest: Option<&'static str>,
    operation: Option<String>,
    page: Option<u32>,
    size: u64,
    sha256: String,
    content_sha256: Option<String>,
    acquired_at: String,
    request_id: Option<String>,
    ledger_line: u64,
}

impl Record {
    fn of(artifact: &Artifact, at: Timestamp, seq: u64) -> Self {
        let record = Self {
            path: artifact.path.to_string(),
            size: artifact.size,
            sha256: artifact.sha256.to_string(),
            content_sha256: artifact.content_sha256.map(|sha256| sha256.to_string()),
            acquired_at: at.to_string(),
            ledger_line: seq,
            ..Self::default()
        };
        match &artifact.source {
            Origin::S3Object(object) => Self {
                kind: "s3-object",
                source: object.source.clone(),
                account: object.account.map(|account| account.to_string()),
                region: object.region.as_ref().map(ToString::to_string),
                bucket: Some(object.bucket.clone()),
                key: Some(object.key.clone()),
                version_id: object.version_id.clone(),
                last_modified: object.last_modified.map(|at| at.to_string()),
                etag: object.etag.clone(),
                storage_class: object.storage_class.clone(),
                encryption: object.encryption.clone(),
                aws_digest: Some(super::facts::agreement(object.aws_digest)),
                request_id: object.exchange.request_id.clone(),
                ..record
            },
            Origin::ApiResponse(response) => {
                let ResponseOrigin { source, service, account, region, operation, page, exchange, .. } = &**response;
                Self {
                    kind: "api-response",
                    source: source.clone(),
                    account: Some(account.to_string()),
                    region: Some(region.to_string()),
                    operation: Some(format!("{service}:{operation}")),
                    page: Some(*page),
                    request_id: exchange.request_id.clone(),
                    ..record
                }
            }
        }
    }
}

/// The heading of the table: the fields of [`Record`].
const COLUMNS: [&str; 21] = [
    "path",
    "kind",
    "source",
    "account",
    "region",
    "bucket",
    "key",
    "version_id",
    "last_modified",
    "etag",
    "storage_class",
    "encryption",
    "aws_digest",
    "operation",
    "page",
    "size",
    "sha256",
    "content_sha256",
    "acquired_at",
    "request_id",
    "ledger_line",
];

impl Record {
    fn cells(&self) -> [String; 21] {
        [
            self.path.clone(),
            self.kind.to_owned(),
            self.source.clone(),
            self.account.clone().unwrap_or_default(),
            self.region.clone().unwrap_or_default(),
            self.bucket.clone().unwrap_or_default(),
            self.key.clone().unwrap_or_default(),
            self.version_id.clone().unwrap_or_default(),
            self.last_modified.clone().unwrap_or_default(),
            self.etag.clone().unwrap_or_default(),
            self.storage_class.clone().unwrap_or_default(),
            self.encryption.clone().unwrap_or_default(),
            self.aws_digest.unwrap_or_default().to_owned(),
            self.operation.clone().unwrap_or_default(),
            self.page.map(|page| page.to_string()).unwrap_or_default(),
            self.size.to_string(),
            self.sha256.clone(),
            self.content_sha256.clone().unwrap_or_default(),
            self.acquired_at.clone(),
            self.request_id.clone().unwrap_or_default(),
            self.ledger_line.to_string(),
        ]
    }
}

/// Writes one record for each artifact that the ledger names, in the ledger's order. Gives how many.
pub fn write_records(files: &dyn CaseFiles, format: RecordFormat, out: &mut dyn Write) -> Result<u64, ExportError> {
    if format == RecordFormat::Csv {
        out.write_all(csv_line(&COLUMNS.map(ToOwned::to_owned)).as_bytes())?;
    }
    let mut count = 0;
    each_artifact(files, &mut |artifact, at, seq| {
        count += 1;
        let record = Record::of(artifact, at, seq);
        match format {
            RecordFormat::Csv => out.write_all(csv_line(&record.cells()).as_bytes()),
            RecordFormat::JsonLines => {
                serde_json::to_writer(&mut *out, &record)?;
                out.write_all(b"\n")
            }
        }
    })?;
    Ok(count)
}

/// Shows every artifact of the ledger, with its time and the number of its line, until one cannot be written.
fn each_artifact(
    files: &dyn CaseFiles,
    visit: &mut dyn FnMut(&Artifact, Timestamp, u64) -> io::Result<()>,
) -> Result<(), ExportError> {
    let mut result = Ok(());
    each_entry(files, &mut |event, at, seq| {
        if let (Event::ArtifactAcquired(artifact), Ok(())) = (event, &result) {
            result = visit(artifact, at, seq);
        }
    })?;
    Ok(result?)
}

/// Shows every entry of the ledger.
pub(super) fn each_entry(files: &dyn CaseFiles, visit: &mut dyn FnMut(&Event, Timestamp, u64)) -> Result<(), CaseError> {
    let reader = BufReader::with_capacity(256 * 1024, files.open(LEDGER)?);
    read_ledger(reader, &files.describe(LEDGER), &mut |line| visit(&line.entry.event, line.entry.at, line.entry.seq))?;
    Ok(())
}

/// One line of a table, as RFC 4180 has it.
fn csv_line(cells: &[String]) -> String {
    let mut line = cells.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A cell that a spreadsheet shows as the text it is.
///
/// What begins like a formula gets an apostrophe in front, and what could hold a separator or an end of line stands in quotes.
fn csv_cell(text: &str) -> String {
    let begins_formula = |c: char| "=+-@\t\r\n＝＋－＠".contains(c);
    let guarded = text.starts_with(begins_formula) || text.trim_start().starts_with(begins_formula);
    let text = if guarded { format!("'{text}") } else { text.to_owned() };
    if text.contains(|c: char| c.is_control() || "\",;'".contains(c) || c.is_whitespace()) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for (text, cell) in [
            ("AWSLogs/x.json.gz", "AWSLogs/x.json.gz"),
            ("=HYPERLINK(\"https://example.com\")", "\"'=HYPERLINK(\"\"https://example.com\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r\n=1", "\"'\r\n=1\""),
            (" =1", "\"' =1\""),
            ("＝1", "\"'＝1\""),
            ("a,b", "\"a,b\""),
            ("", ""),
        ] {
            assert_eq!(csv_cell(text), cell, "{text:?}");
        }
    }

    #[test]
    fn the_columns_are_the_fields() {
        let text = serde_json::to_string(&Record::default()).unwrap();
        let places: Vec<usize> = COLUMNS.iter().map(|column| text.find(&format!("\"{column}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
        assert_eq!(text.matches("\":").count(), COLUMNS.len());
        assert_eq!(Record::default().cells().len(), COLUMNS.len());
    }
}
