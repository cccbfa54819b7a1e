//! The zip being written: members by the `zip` crate in batches, so that a million of them do not have to be remembered.
#![expect(clippy::disallowed_methods, reason = "keeps the central directory beside the package until it is complete")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::model::{Sha256Hash, Sha256Hasher};

use super::error::IoContext as _;
use super::steady::{Failure, Steady};
use super::{PackageError, Progress};

/// From this size on a member has zip64 fields.
const ZIP64_FROM: u64 = 0xFFFF_FFFF;
/// Members after which a batch ends.
const BATCH_MEMBERS: u32 = 8192;
/// Bytes after which a batch ends.
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// Written and hashed at once.
const BUFFER: usize = 1024 * 1024;
/// Length of an end record.
const END_LENGTH: u64 = 22;
/// Length of a zip64 end record, its locator and an end record.
const ENDS_LENGTH: u64 = 56 + 20 + END_LENGTH;

/// A zip being written.
///
/// Each batch is a zip that begins where the batch before ended; the central headers it ends with are put aside, and the next batch
/// is written over them. What comes out is, byte for byte, what the `zip` crate would have written in one go.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    path: PathBuf,
    progress: Progress,
    batch: Option<Batch>,
    /// Central headers of the batches that ended.
    directory: BufWriter<File>,
    directory_size: u64,
    members: u64,
    /// Where the next batch starts: everything before is final.
    end: u64,
    hashing: Hashing,
    flushing: Flushing,
}

struct Batch {
    zip: ZipWriter<Steady>,
    failure: Failure,
    members: u32,
    bytes: u64,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("members", &self.members).field("bytes", &self.bytes).finish_non_exhaustive()
    }
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
        let file = file.try_clone().doing("write", path)?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(".directory");
        let aside = PathBuf::from(aside);
        // The package's own lock is held, so that what lies there was left by a run that was cut off.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).doing("discard the unfinished", &aside),
            _ => {}
        }
        let directory = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&aside);
        let directory = directory.doing("create", &aside)?;
        // It lives on without a name, and is gone with this process however that ends.
        fs::remove_file(&aside).doing("unlink", &aside)?;
        let hashing = Hashing::begin(file.try_clone().doing("read", path)?, 0);
        let flushing = Flushing::begin(file.try_clone().doing("flush", path)?);
        Ok(Self {
            file,
            path: path.to_owned(),
            progress,
            batch: None,
            directory: BufWriter::with_capacity(BUFFER, directory),
            directory_size: 0,
            members: 0,
            end: 0,
            hashing,
            flushing,
        })
    }

    /// Begins the next member, which will have `size` bytes.
    pub(super) fn begin_member(&mut self, name: &str, size: u64) -> Result<(), PackageError> {
        if self.batch.as_ref().is_some_and(|batch| batch.members >= BATCH_MEMBERS || batch.bytes >= BATCH_BYTES) {
            self.end_batch()?;
        }
        let batch = if let Some(batch) = &mut self.batch {
            batch
        } else {
            let file = self.file.try_clone().doing("write", &self.path)?;
            let (steady, failure) = Steady::new(file, self.end, BUFFER);
            self.batch.insert(Batch { zip: ZipWriter::new(steady), failure, members: 0, bytes: 0 })
        };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o444)
            .system(zip::System::Unix)
            .large_file(size >= ZIP64_FROM);
        batch.zip.start_file(name, options).map_err(|source| PackageError::Zip { path: self.path.clone(), source })?;
        batch.failure.check().doing("write", &self.path)?;
        batch.members += 1;
        batch.bytes = batch.bytes.saturating_add(size);
        self.members += 1;
        self.progress.add(1, 0);
        Ok(())
    }

    /// Writes the next bytes of the member.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        match &mut self.batch {
            Some(batch) => batch.zip.write_all(bytes).and_then(|()| batch.failure.check()).doing("write", &self.path)?,
            None => return Ok(()),
        }
        self.progress.add(0, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Puts the batch's central headers aside.
    fn end_batch(&mut self) -> Result<(), PackageError> {
        let Some(batch) = self.batch.take() else { return Ok(()) };
        let zip_error = |source| PackageError::Zip { path: self.path.clone(), source };
        let Batch { zip, failure, .. } = batch;
        zip.finish().map_err(zip_error)?.flush().and_then(|()| failure.check()).doing("write", &self.path)?;
        let (start, size) = self.central_headers().doing("read", &self.path)?;
        let mut headers = vec![0; usize::try_from(size).unwrap_or(0)];
        self.file.read_exact_at(&mut headers, start).doing("read", &self.path)?;
        self.directory.write_all(&headers).doing("write", &self.path)?;
        self.directory_size += size;
        self.file.set_len(start).doing("write", &self.path)?;
        self.end = start;
        self.hashing.advance(start);
        self.flushing.advance();
        Ok(())
    }

    /// Where the central headers of the batch just ended lie, and how many bytes they have, as its end records say.
    fn central_headers(&self) -> io::Result<(u64, u64)> {
        let length = self.file.metadata()?.len();
        let mut end = [0; 12];
        self.file.read_exact_at(&mut end, length.saturating_sub(END_LENGTH) + 10)?;
        let [_, _, s0, s1, s2, s3, o0, o1, o2, o3, ..] = end;
        let (size, start) = (u32::from_le_bytes([s0, s1, s2, s3]), u32::from_le_bytes([o0, o1, o2, o3]));
        if size != u32::MAX && start != u32::MAX {
            return Ok((start.into(), size.into()));
        }
        let number = |at: u64| {
            let mut bytes = [0; 8];
            self.file.read_exact_at(&mut bytes, length.saturating_sub(ENDS_LENGTH) + at)?;
            io::Result::Ok(u64::from_le_bytes(bytes))
        };
        Ok((number(48)?, number(40)?))
    }

    /// Writes the central directory and the end records.
    pub(super) fn finish(mut self) -> Result<Written, PackageError> {
        self.end_batch()?;
        let mut directory = self.directory.into_inner().map_err(io::IntoInnerError::into_error).doing("write", &self.path)?;
        directory.seek(SeekFrom::Start(0)).doing("read", &self.path)?;
        self.file.seek(SeekFrom::Start(self.end)).doing("write", &self.path)?;
        io::copy(&mut directory, &mut self.file).doing("write", &self.path)?;
        let ends = end_records(self.end, self.directory_size, self.members);
        self.file.write_all(&ends).doing("write", &self.path)?;
        let size = self.file.metadata().doing("look at", &self.path)?.len();
        let sha256 = self.hashing.finish(size).doing("read", &self.path)?;
        self.flushing.finish().doing("flush", &self.path)?;
        Ok(Written { members: self.members, size, sha256 })
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

/// Hashes the file on a thread of its own, as far as it is final.
#[derive(Debug)]
struct Hashing {
    frontier: Sender<u64>,
    thread: JoinHandle<io::Result<Sha256Hash>>,
}

impl Hashing {
    fn begin(file: File, from: u64) -> Self {
        let (frontier, progress) = channel();
        Self { frontier, thread: std::thread::spawn(move || hash_up_to(&file, from, &progress)) }
    }

    fn advance(&self, end: u64) {
        // A thread that gave up says why when it is joined.
        let _sent = self.frontier.send(end);
    }

    fn finish(self, end: u64) -> io::Result<Sha256Hash> {
        self.advance(end);
        drop(self.frontier);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the hashing thread ended early")))
    }
}

/// Has what is final brought to the disk while the rest is still being written, so that less is left to wait for.
///
/// The system tells of a failed write-back once: it must not be lost here.
#[derive(Debug)]
struct Flushing {
    more: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flushing {
    fn begin(file: File) -> Self {
        let (more, asked) = sync_channel(1);
        Self { more, thread: std::thread::spawn(move || asked.iter().try_for_each(|()| file.sync_data())) }
    }

    fn advance(&self) {
        // If one round is due already, it will do.
        let _due = self.more.try_send(());
    }

    fn finish(self) -> io::Result<()> {
        drop(self.more);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended early")))
    }
}

fn hash_up_to(file: &File, from: u64, progress: &Receiver<u64>) -> io::Result<Sha256Hash> {
    let mut hasher = Sha256Hasher::default();
    let mut buffer = vec![0; BUFFER];
    let mut at = from;
    while let Ok(end) = progress.recv() {
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(BUFFER);
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            file.read_exact_at(piece, at)?;
            hasher.update(piece);
            at += u64::try_from(wanted).unwrap_or(0);
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_here(count: u32) -> (Vec<u8>, Written) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip.part");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut archive = Archive::begin(&file, &path, Progress::default()).unwrap();
        for number in 0..count {
            let content = number.to_string();
            archive.begin_member(&format!("case/{number:06}"), u64::try_from(content.len()).unwrap()).unwrap();
            archive.write(content.as_bytes()).unwrap();
        }
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
    fn batches_give_the_bytes_of_one_go() {
        for count in [1, BATCH_MEMBERS - 1, BATCH_MEMBERS, BATCH_MEMBERS + 1, 65_535] {
            let (bytes, written) = written_here(count);
            assert!(bytes == written_in_one_go(count), "{count} members");
            assert_eq!((written.members, written.size), (count.into(), u64::try_from(bytes.len()).unwrap()));
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
        // A hole in the place of what would have been written before.
        file.set_len(FAR).unwrap();
        let mut archive = Archive::begin(&file, &path, Progress::default()).unwrap();
        archive.end = FAR;
        archive.hashing = Hashing::begin(file.try_clone().unwrap(), FAR);
        for name in ["case/a", "case/b"] {
            archive.begin_member(name, 6).unwrap();
            archive.write(name.as_bytes()).unwrap();
            archive.end_batch().unwrap();
        }
        archive.begin_member("case/c", ZIP64_FROM).unwrap();
        archive.write(b"case/c").unwrap();
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
