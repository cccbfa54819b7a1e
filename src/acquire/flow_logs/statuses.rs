//! What flow logs say about themselves: intervals without traffic, and records that AWS had to drop.

use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::Arc;

use super::super::on_body::OnBody;
use super::super::shared::Shared;

/// Most bytes of one file that are searched.
const CONTENT_LIMIT: u64 = 256 * 1024 * 1024;
/// Longest line that is taken for a record.
const LINE_LIMIT: usize = 64 * 1024;
/// The fields of the default format.
const DEFAULT_FORMAT: &str =
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// What the records of one place say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statuses {
    /// Files or answers whose records were read to their end.
    pub(super) read: u64,
    /// Intervals in which an interface had no traffic.
    pub(super) no_data: u64,
    /// Intervals of which AWS dropped records: one such line may stand for many.
    pub(super) skip_data: u64,
}

impl Statuses {
    /// What people are told, if there is something to tell.
    pub(super) fn sentence(&self, place: &str, unread: u64) -> Option<String> {
        let mut parts = Vec::new();
        if self.skip_data > 0 {
            parts.push(format!(
                "{} SKIPDATA records: AWS dropped flows in these intervals, and nobody can say how many",
                self.skip_data
            ));
        }
        if self.no_data > 0 {
            parts.push(format!("{} NODATA records: no traffic in these intervals", self.no_data));
        }
        if unread > 0 {
            parts.push(format!("{unread} files were not searched for such records (parquet, large, damaged or not stored)"));
        }
        (!parts.is_empty()).then(|| format!("{place}: {}", parts.join("; ")))
    }

    /// Counts one record, where the format says which field is its status.
    pub(super) fn take(&mut self, record: &str, status_at: Option<usize>) {
        match status_at.and_then(|at| record.split_ascii_whitespace().nth(at)) {
            Some("NODATA") => self.no_data += 1,
            Some("SKIPDATA") => self.skip_data += 1,
            _ => {}
        }
    }
}

/// Which field of a record is its status: of `${version} ${…}` as `DescribeFlowLogs` writes it, or of a file's first line.
pub(super) fn status_field(format: Option<&str>) -> Option<usize> {
    let is_status = |field: &str| field.trim_start_matches("${").trim_end_matches('}') == "log-status";
    format.unwrap_or(DEFAULT_FORMAT).split_ascii_whitespace().position(is_status)
}

/// Counts what the text files of a sweep say, as they come in.
pub(super) fn counting() -> (Arc<Shared<Statuses>>, OnBody) {
    let counted: Arc<Shared<Statuses>> = Arc::default();
    let on_body = {
        let counted = Arc::clone(&counted);
        OnBody::of_small(move |key, body| {
            if let Some(of_file) = key.ends_with(".log.gz").then(|| read(body)).flatten() {
                let mut all = counted.lock();
                all.read += 1;
                all.no_data += of_file.no_data;
                all.skip_data += of_file.skip_data;
            }
        })
    };
    (counted, on_body)
}

/// The statuses of one text file; nothing where it cannot be read to its end within limits.
fn read(body: &[u8]) -> Option<Statuses> {
    let mut content = BufReader::new(flate2::read::MultiGzDecoder::new(body).take(CONTENT_LIMIT));
    let (mut statuses, mut line, mut status_at, mut bytes) = (Statuses::default(), Vec::new(), None, 0_u64);
    let mut first = true;
    loop {
        line.clear();
        let limit = u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX);
        let read = content.by_ref().take(limit).read_until(b'\n', &mut line).ok()?;
        if read == 0 {
            break;
        }
        if read == LINE_LIMIT {
            return None;
        }
        bytes += u64::try_from(read).unwrap_or(0);
        let text = String::from_utf8_lossy(&line);
        if first {
            status_at = status_field(Some(&text));
            first = false;
        } else {
            statuses.take(&text, status_at);
        }
    }
    (bytes < CONTENT_LIMIT).then_some(statuses)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_status_is_found_wherever_the_format_puts_it() {
        let file = "log-status version\nOK 2\nNODATA 2\nSKIPDATA 2\nNODATA 2\n";
        assert_eq!(read(&packed(file)), Some(Statuses { read: 0, no_data: 2, skip_data: 1 }));
        assert_eq!(status_field(Some("${version} ${log-status} ${end}")), Some(1));
        assert_eq!(status_field(None), Some(13));
        assert_eq!(status_field(Some("version")), None);
    }

    #[test]
    fn a_file_that_breaks_off_or_never_ends_a_line_is_not_counted() {
        let whole = packed(&"log-status\nSKIPDATA\n".repeat(100));
        assert_eq!(read(&whole[..whole.len() - 12]), None);
        assert_eq!(read(&packed(&"x".repeat(LINE_LIMIT * 2))), None);
        assert_eq!(read(b"not gzip"), None);
    }

    #[test]
    fn what_was_not_searched_is_told_too() {
        assert_eq!(Statuses::default().sentence("p", 0), None);
        let told = Statuses { read: 1, no_data: 0, skip_data: 2 }.sentence("p", 3).unwrap();
        assert!(told.contains("2 SKIPDATA") && told.contains("3 files"), "{told}");
    }
}
