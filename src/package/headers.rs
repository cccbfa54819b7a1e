//! The headers of members whose content is in memory, or passes by: by the `zip` crate, which is shown the content and keeps none of it.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::ops::Range;
use std::rc::Rc;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// From this size on a member has zip64 fields.
const ZIP64_FROM: u64 = 0xFFFF_FFFF;
/// Length of an end record.
const END_LENGTH: usize = 22;
/// Length of a zip64 end record, its locator and an end record.
const ENDS_LENGTH: usize = 56 + 20 + END_LENGTH;
/// How the locator of a zip64 end record begins.
const LOCATOR: [u8; 4] = 0x0706_4b50_u32.to_le_bytes();
/// Length of a local header but for the name.
const LOCAL_LENGTH: usize = 30;

/// Bytes that the local header of a member takes that has no zip64 fields.
pub(super) fn local_header_length(name: &str) -> usize {
    LOCAL_LENGTH + name.len()
}

/// Makes the headers of members that lie one after the other in a zip.
pub(super) struct HeaderWriter {
    zip: ZipWriter<Sink>,
    layout: Rc<RefCell<Layout>>,
    local: Vec<Range<usize>>,
}

/// The headers of some members.
#[derive(Debug)]
pub(super) struct Headers {
    bytes: Vec<u8>,
    local: Vec<Range<usize>>,
    central: Range<usize>,
}

impl Headers {
    /// The local headers, one for each member.
    pub(super) fn local(&self) -> impl Iterator<Item = &[u8]> {
        self.local.iter().map(|range| self.bytes.get(range.clone()).unwrap_or_default())
    }

    /// The central headers of all members.
    pub(super) fn central(&self) -> &[u8] {
        self.bytes.get(self.central.clone()).unwrap_or_default()
    }
}

impl HeaderWriter {
    /// The first member lies at `offset`.
    pub(super) fn new(offset: u64) -> Self {
        let layout = Rc::new(RefCell::new(Layout { offset, position: offset, ..Layout::default() }));
        Self { zip: ZipWriter::new(Sink(Rc::clone(&layout))), layout, local: Vec::new() }
    }

    /// Begins the next member, which will have `size` bytes.
    pub(super) fn begin(&mut self, name: &str, size: u64) -> Result<(), ZipError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o444)
            .system(zip::System::Unix)
            .large_file(size >= ZIP64_FROM);
        let start = self.layout.borrow().bytes.len();
        self.zip.start_file(name, options)?;
        self.local.push(start..self.layout.borrow().bytes.len());
        Ok(())
    }

    /// The next bytes of the member.
    pub(super) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.layout.borrow_mut().is_content = true;
        let shown = self.zip.write_all(bytes);
        self.layout.borrow_mut().is_content = false;
        shown
    }

    /// Ends the last member.
    pub(super) fn finish(self) -> Result<Headers, ZipError> {
        drop(self.zip.finish()?);
        let bytes = std::mem::take(&mut self.layout.borrow_mut().bytes);
        let start = self.local.last().map_or(0, |last| last.end);
        let locator = bytes.len().checked_sub(20 + END_LENGTH).and_then(|at| bytes.get(at..)?.first_chunk());
        let ends = if locator == Some(&LOCATOR) && bytes.len() >= start + ENDS_LENGTH { ENDS_LENGTH } else { END_LENGTH };
        let end = bytes.len().saturating_sub(ends);
        Ok(Headers { bytes, local: self.local, central: start..end })
    }
}

/// What the `zip` crate writes, without the content of members.
#[derive(Debug, Default)]
struct Layout {
    bytes: Vec<u8>,
    /// Where in the zip the first of them lies.
    offset: u64,
    /// Bytes of content before the last header.
    content_before: u64,
    /// Bytes of content after the last header.
    content: u64,
    position: u64,
    /// Whether what is written now is content.
    is_content: bool,
}

impl Layout {
    fn end(&self) -> u64 {
        [length(&self.bytes), self.content_before, self.content].into_iter().fold(self.offset, u64::saturating_add)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

struct Sink(Rc<RefCell<Layout>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut layout = self.0.borrow_mut();
        let end = layout.end();
        match (layout.position == end, layout.is_content) {
            (true, true) => layout.content = layout.content.saturating_add(length(bytes)),
            (true, false) => {
                layout.content_before = layout.content_before.saturating_add(layout.content);
                layout.content = 0;
                layout.bytes.extend_from_slice(bytes);
            }
            // Only the last header is mended, once the content after it is known.
            (false, _) => {
                let at = layout.position.checked_sub(layout.offset.saturating_add(layout.content_before));
                let range = at.and_then(|at| usize::try_from(at).ok()).map(|at| at..at.saturating_add(bytes.len()));
                let place = range.and_then(|range| layout.bytes.get_mut(range)).ok_or(ErrorKind::InvalidInput)?;
                place.copy_from_slice(bytes);
            }
        }
        layout.position = layout.position.saturating_add(length(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut layout = self.0.borrow_mut();
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => layout.position.checked_add_signed(by),
            SeekFrom::End(by) => layout.end().checked_add_signed(by),
        };
        // No zip has holes.
        let wanted = wanted.filter(|at| *at <= layout.end()).ok_or(ErrorKind::InvalidInput)?;
        layout.position = wanted;
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_a_zip_written_in_one_go_wherever_it_lies() {
        let large = vec![7; 100_000];
        let members = [("case/a", &b"some content"[..]), ("case/empty", b""), ("case/b", &large)];
        let mut whole = ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o444)
            .system(zip::System::Unix);
        for (name, content) in members {
            whole.start_file(name, options).unwrap();
            whole.write_all(content).unwrap();
        }
        let whole = whole.finish().unwrap().into_inner();
        let made = |offset| {
            let mut headers = HeaderWriter::new(offset);
            for (name, content) in members {
                headers.begin(name, length(content)).unwrap();
                for piece in content.chunks(999) {
                    headers.content(piece).unwrap();
                }
            }
            headers.finish().unwrap()
        };
        let headers = made(0);
        let mut joined = Vec::new();
        for (header, (name, content)) in headers.local().zip(members) {
            assert_eq!(header.len(), local_header_length(name));
            joined.extend_from_slice(header);
            joined.extend_from_slice(content);
        }
        joined.extend_from_slice(headers.central());
        assert!(whole.starts_with(&joined));
        assert_eq!(whole.len(), joined.len() + END_LENGTH);
        // Local headers do not say where they lie; central ones do, and need more room for it far away.
        let far = made(1 << 40);
        assert!(far.local().eq(headers.local()));
        assert!(far.central().len() > headers.central().len());
        assert!(far.central().windows(8).any(|bytes| bytes == (1_u64 << 40).to_le_bytes()));
    }
}
