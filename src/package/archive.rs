//! The zip being written: members one after the other, hashed on their way, each at its place in the file.
#![expect(clippy::disallowed_methods, reason = "keeps the central directory beside the package until it is complete")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::{Advice, fadvise};
use zip::result::ZipError;

use crate::case::{IoContext as _, PathError};
use crate::model::{Sha256Hash, Sha256Hasher};

use super::headers::HeaderWriter;
use super::large::Large;
use super::load::Load;
use super::publish::with_suffix;
use super::{PackageError, Progress};

/// The central headers wait in memory until there are so many bytes of them.
const BUFFER: usize = 256 * 1024;
/// Bytes after which what was written is brought to the disk.
const FLUSHED: u64 = 32 * 1024 * 1024;

/// A zip being written. Whoever has it adds the next members; who has written them into the file needs only the [`Output`].
#[derive(Debug)]
pub(super) struct Archive {
    output: Arc<Output>,
    progress: Progress,
    /// Central headers of the members so far: a million of them need not be remembered.
    directory: BufWriter<File>,
    directory_size: u64,
    members: u64,
    /// Where the next member begins.
    end: u64,
    /// Of all bytes before.
    hasher: Sha256Hasher,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) members: u64,
    pub(super) size: u64,
    pub(super) sha256: Sha256Hash,
}

impl Archive {
    /// Writes to `file`, which is empty and lies at `path`.
    pub(super) fn begin(file: &File, path: &Path, progress: Progress) -> Result<Self, PackageError> {
        let directory = unnamed(path, ".directory")?;
        let flushing = Flushing::begin(file.try_clone().doing("flush", path)?);
        let output = Output { file: file.try_clone().doing("write", path)?, path: path.to_owned(), flushing };
        Ok(Self {
            output: Arc::new(output),
            progress,
            directory: BufWriter::with_capacity(BUFFER, directory),
            directory_size: 0,
            members: 0,
            end: 0,
            hasher: Sha256Hasher::default(),
        })
    }

    /// Where members are written.
    pub(super) fn output(&self) -> Arc<Output> {
        Arc::clone(&self.output)
    }

    /// Adds the members of a load, whose content is hashed on the way; says where in the file the load belongs.
    pub(super) fn add(&mut self, load: &mut Load) -> Result<u64, PackageError> {
        let path = &self.output.path;
        let mut headers = HeaderWriter::new(self.end);
        for (name, content) in load.members() {
            headers.begin(name, length(content)).map_err(|source| zip_error(path, source))?;
            headers.content(content).doing("write", path)?;
        }
        let headers = headers.finish().map_err(|source| zip_error(path, source))?;
        if !load.take_headers(headers.local()) {
            return Err(PackageError::Unfinished);
        }
        load.hash_into(&mut self.hasher);
        self.list(headers.central())?;
        let at = self.end;
        let (members, bytes) = load.totals();
        self.members += members;
        self.end = self.end.saturating_add(length(load.bytes()));
        self.progress.add(members, bytes);
        Ok(at)
    }

    /// Adds a member that is too large for memory, and writes it. Says whether it is what it should be.
    pub(super) fn add_large(&mut self, large: &Large) -> Result<bool, PackageError> {
        let path = &self.output.path;
        let mut headers = HeaderWriter::new(self.end);
        headers.begin(&large.name, large.size).map_err(|source| zip_error(path, source))?;
        // Its checksum stands before it.
        let whole = large.read(&mut |piece| headers.content(piece).doing("write", path))?;
        let headers = headers.finish().map_err(|source| zip_error(path, source))?;
        let header: Vec<u8> = headers.local().flatten().copied().collect();
        if !whole {
            return Ok(false);
        }
        self.progress.add(1, 0);
        self.output.write(&header, self.end)?;
        self.hasher.update(&header);
        let start = self.end.saturating_add(length(&header));
        let crc = header.get(14..).and_then(|rest| rest.first_chunk()).map_or(0, |crc| u32::from_le_bytes(*crc));
        let as_it_should_be = large.copy(&self.output, start, &mut self.hasher, crc, &self.progress)?;
        self.list(headers.central())?;
        self.members += 1;
        self.end = start.saturating_add(large.size);
        Ok(as_it_should_be)
    }

    fn list(&mut self, central: &[u8]) -> Result<(), PackageError> {
        self.directory.write_all(central).doing("write", &self.output.path)?;
        self.directory_size += length(central);
        Ok(())
    }

    /// Writes the central directory and the end records.
    pub(super) fn finish(self) -> Result<Written, PackageError> {
        let Self { output, directory, directory_size, members, end, mut hasher, .. } = self;
        let path = &output.path;
        let mut directory = directory.into_inner().map_err(io::IntoInnerError::into_error).doing("write", path)?;
        directory.seek(SeekFrom::Start(0)).doing("read", path)?;
        let mut at = end;
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = match directory.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.doing("read", path)?,
            };
            let piece = buffer.get(..count).unwrap_or_default();
            hasher.update(piece);
            output.write(piece, at)?;
            at = at.saturating_add(length(piece));
        }
        let ends = end_records(end, directory_size, members);
        hasher.update(&ends);
        output.write(&ends, at)?;
        let size = at.saturating_add(length(&ends));
        Ok(Written { members, size, sha256: hasher.finish() })
    }
}

fn zip_error(path: &Path, source: ZipError) -> PackageError {
    PackageError::Zip { path: path.to_owned(), source }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A new file that never has a name for others: it is gone with this process however that ends.
pub(super) fn unnamed(beside: &Path, suffix: &str) -> Result<File, PathError> {
    let aside = with_suffix(beside, suffix);
    // The package's own lock is held, so that what lies there was left by a run that was cut off.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PathError::new("discard the unfinished", aside, error));
        }
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&aside).doing("create", &aside)?;
    fs::remove_file(&aside).doing("unlink", &aside)?;
    Ok(file)
}

/// The file that a zip is written into, by several at a time.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    path: PathBuf,
    flushing: Flushing,
}

impl Output {
    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes at their place.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> Result<(), PathError> {
        self.file.write_all_at(bytes, at).doing("write", &self.path)?;
        let end = at.saturating_add(length(bytes));
        if at / FLUSHED != end / FLUSHED {
            self.flushing.advance(end);
        }
        Ok(())
    }

    /// Waits until nothing is being brought to the disk any more.
    pub(super) fn finish(self) -> Result<(), PathError> {
        self.flushing.finish().doing("flush", &self.path)
    }
}

/// The records that end a zip (APPNOTE 6.3, sections 4.3.14 to 4.3.16), with zip64 where a number needs it.
fn end_records(start: u64, size: u64, members: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let is_zip64 = members > u16::MAX.into() || start.max(size) > u32::MAX.into();
    if is_zip64 {
        bytes.extend(0x0606_4b50_u32.to_le_bytes());
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 8]);
        for number in [members, members, size, start] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(0x0706_4b50_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(start.saturating_add(size).to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
    }
    let members = u16::try_from(members).unwrap_or(u16::MAX).to_le_bytes();
    let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend(0x0605_4b50_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(members);
    bytes.extend(members);
    bytes.extend(if is_zip64 { [0xFF; 4] } else { short(size) });
    bytes.extend(short(start));
    bytes.extend([0; 2]);
    bytes
}

/// The version of the format that zip64 needs.
const VERSION: u16 = 45;

/// Has what is written brought to the disk while the rest is still on its way, so that less is left to wait for, and has the system forget
/// what is there: the pages are used again at once, and those of the case stay.
///
/// The system tells of a failed write-back once: it must not be lost here.
#[derive(Debug)]
struct Flushing {
    more: SyncSender<u64>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flushing {
    fn begin(file: File) -> Self {
        let (more, asked) = sync_channel(1);
        Self { more, thread: std::thread::spawn(move || asked.iter().try_for_each(|end| flush(&file, end))) }
    }

    fn advance(&self, end: u64) {
        // If one round is due already, it will do.
        let _due = self.more.try_send(end);
    }

    fn finish(self) -> io::Result<()> {
        drop(self.more);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended early")))
    }
}

fn flush(file: &File, end: u64) -> io::Result<()> {
    file.sync_data()?;
    // Only advice: what is not yet on disk stays, and a file system that knows nothing of it does no harm.
    let _advised = fadvise(file, 0, NonZeroU64::new(end), Advice::DontNeed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, DateTime, ZipWriter};

    use super::*;

    fn add(archive: &mut Archive, load: &mut Load) {
        let at = archive.add(load).unwrap();
        archive.output().write(load.bytes(), at).unwrap();
        load.clear();
    }

    fn written_here(count: u32) -> (Vec<u8>, Written) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip.part");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut archive = Archive::begin(&file, &path, Progress::default()).unwrap();
        let mut load = Load::default();
        for number in 0..count {
            load.add_text(format!("case/{number:06}"), number.to_string().as_bytes());
            if number % 1000 == 7 {
                add(&mut archive, &mut load);
            }
        }
        add(&mut archive, &mut load);
        let written = archive.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        (fs::read(&path).unwrap(), written)
    }

    fn written_in_one_go(count: u32) -> Vec<u8> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o444)
            .system(zip::System::Unix);
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for number in 0..count {
            zip.start_file(format!("case/{number:06}"), options).unwrap();
            zip.write_all(number.to_string().as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn loads_give_the_bytes_of_one_go() {
        for count in [1, 1007, 1008, 1009, 65_535] {
            let (bytes, written) = written_here(count);
            assert!(bytes == written_in_one_go(count), "{count} members");
            assert_eq!((written.members, written.size), (count.into(), length(&bytes)));
            assert_eq!(written.sha256, Sha256Hash::of(&bytes));
        }
    }

    #[test]
    fn more_members_than_a_short_end_record_can_count_have_a_long_one() {
        let (bytes, _) = written_here(65_536);
        let expected = written_in_one_go(65_536);
        // The zip crate gives the zip64 end record's two versions as 10 where no member needs more; nothing else differs.
        assert_eq!(bytes.len(), expected.len());
        let differences = bytes.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(differences, 2);
    }

    #[test]
    fn members_beyond_four_gigabytes_are_listed_where_they_lie() {
        const FAR: u64 = (4 << 30) + 1;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip.part");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut archive = Archive::begin(&file, &path, Progress::default()).unwrap();
        // A hole in the place of what would have been written before.
        archive.end = FAR;
        for name in ["case/a", "case/b"] {
            let mut load = Load::default();
            load.add_text(name.to_owned(), name.as_bytes());
            add(&mut archive, &mut load);
        }
        let large = tempfile::tempfile().unwrap();
        large.write_all_at(b"case/c", 0).unwrap();
        let large = Large { name: "case/c".to_owned(), size: 6, file: large, place: PathBuf::new(), sha256: None };
        assert!(archive.add_large(&large).unwrap());
        let written = archive.finish().unwrap();
        assert_eq!(written.size, file.metadata().unwrap().len());
        let mut read_back = zip::ZipArchive::new(file).unwrap();
        for (at, name) in ["case/a", "case/b", "case/c"].into_iter().enumerate() {
            let mut member = read_back.by_index(at).unwrap();
            assert!(member.header_start() >= FAR);
            let mut content = String::new();
            io::Read::read_to_string(&mut member, &mut content).unwrap();
            assert_eq!((member.name().unwrap().as_ref(), content.as_str()), (name, name));
        }
    }
}
