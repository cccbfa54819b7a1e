//! The structure of a zip, read the strict way: APPNOTE 6.3 as far as caselock writes it, and not a byte more.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;

use crate::case::CaseError;
use crate::seal::manifest::is_portable;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;

pub(super) const LOCAL_LENGTH: u64 = 30;
pub(super) const CENTRAL_LENGTH: u64 = 46;
const END_LENGTH: u64 = 22;
const ZIP64_END_LENGTH: u64 = 56;
const ZIP64_LOCATOR_LENGTH: u64 = 20;

/// Longest name of a member: the top folder and the longest path in a case.
const NAME_LIMIT: u16 = 512;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) enum Fault {
    /// The structure is not as it should be.
    Structure { offset: u64, problem: String },
    /// The file could not be read.
    Io(io::Error),
    /// What is remembered of it could not be read back.
    Workspace(CaseError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) fn fault<T>(offset: u64, problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Structure { offset, problem: problem.into() })
}

/// Little-endian fields, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return fault(self.offset, "a record is cut short");
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let offset = self.offset;
        self.take(N)?.try_into().or_else(|_| fault(offset, "a record is cut short"))
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    fn expect(&mut self, value: u32, what: &str) -> Result<(), Fault> {
        if self.u32()? == value { Ok(()) } else { fault(self.offset, format!("there is no {what}")) }
    }
}

/// Where the central directory lies, and how many members it lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) members: u64,
}

impl Directory {
    /// Whether a number in it needs the longer end records.
    fn is_zip64(self) -> bool {
        self.members > u16::MAX.into() || self.offset.max(self.size) > u32::MAX.into()
    }

    /// What the short end record says of it.
    fn abridged(self, is_zip64: bool) -> Self {
        let limit = u64::from(u32::MAX);
        let size = if is_zip64 { limit } else { self.size.min(limit) };
        Self { offset: self.offset.min(limit), size, members: self.members.min(u16::MAX.into()) }
    }
}

/// One member, as the central directory tells.
#[derive(Debug)]
pub(super) struct CentralEntry {
    /// Where its central header starts.
    pub(super) at: u64,
    pub(super) name: String,
    pub(super) header_offset: u64,
    pub(super) size: u64,
    pub(super) crc: u32,
}

/// Midnight of 1980-01-01 as zip has it: the time of every member.
const TIME: [u8; 4] = [0, 0, 0x21, 0];
/// The attributes of every member: a regular file that everybody may read, by a Unix system.
const READABLE_FILE: u32 = 0o100_444 << 16;
const UNIX: u8 = 3;
/// The versions of the format that a member needs: by its size, in the second case.
const VERSION: u16 = 10;
const ZIP64_VERSION: u16 = 45;

impl CentralEntry {
    fn is_wide(&self) -> bool {
        self.size >= u32::MAX.into()
    }

    /// Version, flags, method, time and date, CRC-32, sizes, and the length of the name: what both headers have, in this order.
    fn shared_fields(&self) -> Vec<u8> {
        let version = if self.is_wide() { ZIP64_VERSION } else { VERSION };
        let size = u32::try_from(self.size).unwrap_or(u32::MAX).to_le_bytes();
        let name_length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        let mut fields = version.to_le_bytes().to_vec();
        fields.extend([0; 4]);
        for field in [TIME, self.crc.to_le_bytes(), size, size] {
            fields.extend(field);
        }
        fields.extend(name_length.to_le_bytes());
        fields
    }

    /// The extra field with the numbers that do not fit into four bytes; empty where all of them do.
    fn zip64_field(numbers: &[u64]) -> Vec<u8> {
        let mut field = Vec::new();
        if !numbers.is_empty() {
            field.extend(1_u16.to_le_bytes());
            field.extend(u16::try_from(numbers.len() * 8).unwrap_or(u16::MAX).to_le_bytes());
            field.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        field
    }

    /// The local header, its name and extra field included, byte for byte as caselock writes it.
    fn local_header(&self) -> Vec<u8> {
        let extra = if self.is_wide() { Self::zip64_field(&[self.size, self.size]) } else { Vec::new() };
        let mut header = LOCAL_HEADER.to_le_bytes().to_vec();
        header.extend(self.shared_fields());
        header.extend(u16::try_from(extra.len()).unwrap_or(u16::MAX).to_le_bytes());
        header.extend(self.name.as_bytes());
        header.extend(extra);
        header
    }

    /// The central header, the same way.
    fn central_header(&self) -> Vec<u8> {
        let mut numbers = if self.is_wide() { vec![self.size, self.size] } else { Vec::new() };
        if self.header_offset >= u32::MAX.into() {
            numbers.push(self.header_offset);
        }
        let extra = Self::zip64_field(&numbers);
        let shared = self.shared_fields();
        let mut header = CENTRAL_HEADER.to_le_bytes().to_vec();
        header.extend(shared.first());
        header.push(UNIX);
        header.extend(shared);
        header.extend(u16::try_from(extra.len()).unwrap_or(u16::MAX).to_le_bytes());
        // No comment, the first disk, no attributes of its own kind.
        header.extend([0; 6]);
        header.extend(READABLE_FILE.to_le_bytes());
        header.extend(u32::try_from(self.header_offset).unwrap_or(u32::MAX).to_le_bytes());
        header.extend(self.name.as_bytes());
        header.extend(extra);
        header
    }
}

fn read_at(file: &File, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    match file.read_exact_at(&mut bytes, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => fault(offset, "the file ends in the middle of a record"),
        other => Ok(other.map(|()| bytes)?),
    }
}

/// Finds the central directory from the records that must end the file, and nothing may follow.
pub(super) fn find_directory(file: &File, length: u64) -> Result<Directory, Fault> {
    let Some(end_at) = length.checked_sub(END_LENGTH) else { return fault(0, "the file is too short for a zip") };
    let bytes = read_at(file, end_at, END_LENGTH)?;
    let mut end = Fields { rest: &bytes, offset: end_at };
    end.expect(END, "end record where the file ends")?;
    let (disk, directory_disk) = (end.u16()?, end.u16()?);
    let (members_here, members) = (end.u16()?, end.u16()?);
    let (size, offset) = (end.u32()?, end.u32()?);
    if (disk, directory_disk, end.u16()?) != (0, 0, 0) || members_here != members {
        return fault(end_at, "the end record speaks of other disks or has a comment");
    }
    let short = Directory { offset: offset.into(), size: size.into(), members: members.into() };
    let (mut directory, mut directory_end) = (short, end_at);
    if let Some(locator_at) = end_at.checked_sub(ZIP64_LOCATOR_LENGTH)
        && (members == u16::MAX || size == u32::MAX || offset == u32::MAX)
    {
        let bytes = read_at(file, locator_at, ZIP64_LOCATOR_LENGTH)?;
        let mut locator = Fields { rest: &bytes, offset: locator_at };
        if locator.u32()? == ZIP64_LOCATOR {
            let (disk, zip64_at, disks) = (locator.u32()?, locator.u64()?, locator.u32()?);
            if (disk, disks) != (0, 1) || zip64_at.checked_add(ZIP64_END_LENGTH) != Some(locator_at) {
                return fault(locator_at, "the zip64 locator points elsewhere");
            }
            let whole = zip64_end(file, zip64_at)?;
            directory = whole;
            directory_end = zip64_at;
        }
    }
    let is_zip64 = directory_end != end_at;
    if short != directory.abridged(is_zip64) || is_zip64 != directory.is_zip64() {
        return fault(end_at, "the two end records disagree, or one of them is not needed");
    }
    if directory.offset.checked_add(directory.size) != Some(directory_end) {
        return fault(end_at, "the central directory is not where the end record says");
    }
    if directory.members > directory.size / CENTRAL_LENGTH {
        return fault(end_at, "more members are announced than the central directory can list");
    }
    Ok(directory)
}

fn zip64_end(file: &File, at: u64) -> Result<Directory, Fault> {
    let bytes = read_at(file, at, ZIP64_END_LENGTH)?;
    let mut end = Fields { rest: &bytes, offset: at };
    end.expect(ZIP64_END, "zip64 end record where its locator points")?;
    let record_size = end.u64()?;
    let versions = (end.u16()?, end.u16()?);
    let (disk, directory_disk) = (end.u32()?, end.u32()?);
    let (members_here, members) = (end.u64()?, end.u64()?);
    if (record_size, disk, directory_disk) != (ZIP64_END_LENGTH - 12, 0, 0) || members_here != members {
        return fault(at, "the zip64 end record speaks of other disks or has more in it than it should");
    }
    if versions != (ZIP64_VERSION, ZIP64_VERSION) {
        return fault(at, "the zip64 end record has another version than that of zip64");
    }
    Ok(Directory { size: end.u64()?, offset: end.u64()?, members })
}

/// Reads the central directory from its start to its end, header by header.
#[derive(Debug)]
pub(super) struct DirectoryReader<'a> {
    reader: BufReader<FileSlice<'a>>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl<'a> DirectoryReader<'a> {
    /// Starts at `from`, which is the start of the directory or of a header in it.
    pub(super) fn new(file: &'a File, directory: Directory, from: u64, capacity: usize) -> Self {
        let end = directory.offset + directory.size;
        let slice = FileSlice { file, at: from, end };
        Self { reader: BufReader::with_capacity(capacity, slice), at: from, end, buffer: Vec::new() }
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<CentralEntry>, Fault> {
        if self.at == self.end {
            return Ok(None);
        }
        let at = self.at;
        let fixed = self.read(CENTRAL_LENGTH)?.to_vec();
        let mut fields = Fields { rest: &fixed, offset: at };
        fields.expect(CENTRAL_HEADER, "central header")?;
        let made_by = fields.u16()?;
        let repeated: [u8; 10] = fields.array()?;
        let [_, _, flags_low, flags_high, method_low, method_high, ..] = repeated;
        let (crc, compressed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_length, extra_length, comment_length) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let (disk, internal, external, offset) = (fields.u16()?, fields.u16()?, fields.u32()?, fields.u32()?);
        if (flags_low, flags_high) != (0, 0) {
            return fault(at, "a member is encrypted, streamed or otherwise flagged");
        }
        if (method_low, method_high) != (0, 0) {
            return fault(at, "a member is compressed; a package's members are stored");
        }
        if name_length > NAME_LIMIT || extra_length > 32 || (comment_length, disk) != (0, 0) {
            return fault(at, "a member has a comment, too long a name or more than a zip64 field");
        }
        if !is_plain_file(made_by, internal, external) {
            return fault(at, "a member is a link, a folder or a device, or has other rights than to be read");
        }
        let name = match std::str::from_utf8(self.read(name_length.into())?) {
            Ok(name) => name.to_owned(),
            Err(_) => return fault(at, "a member's name is not UTF-8"),
        };
        let extra = self.read(extra_length.into())?.to_vec();
        let mut wide = Zip64Field::parse(&extra, at)?;
        let size = wide.resolve(size)?;
        let compressed = wide.resolve(compressed)?;
        let header_offset = wide.resolve(offset)?;
        wide.finish()?;
        if size != compressed {
            return fault(at, "a stored member has two sizes");
        }
        let entry = CentralEntry { at, name, header_offset, size, crc };
        // What nobody goes by, such as the time of a member, must be as caselock writes it, or it could tell anything.
        if entry.central_header() != [fixed, entry.name.clone().into_bytes(), extra].concat() {
            return fault(
                at,
                format!("the version, time or length in the header of `{}` is not that of a package", entry.name),
            );
        }
        Ok(Some(entry))
    }

    fn read(&mut self, count: u64) -> Result<&[u8], Fault> {
        if count > self.end - self.at {
            return fault(self.at, "the central directory ends in the middle of a header");
        }
        self.buffer.resize(usize::try_from(count).unwrap_or(0), 0);
        self.reader.read_exact(&mut self.buffer)?;
        self.at += count;
        Ok(&self.buffer)
    }
}

/// Whether the attributes are the ones that every member of a package has: a regular file that everybody may read, by a Unix system.
///
/// An unpacking program goes by them: a member must not become a link, a program or a file with rights of its own.
fn is_plain_file(made_by: u16, internal: u16, external: u32) -> bool {
    (made_by >> 8, internal, external) == (UNIX.into(), 0, READABLE_FILE)
}

/// The zip64 field of a header: the values that do not fit into four bytes, in their order.
struct Zip64Field<'a> {
    fields: Option<Fields<'a>>,
    at: u64,
}

impl<'a> Zip64Field<'a> {
    fn parse(extra: &'a [u8], at: u64) -> Result<Self, Fault> {
        if extra.is_empty() {
            return Ok(Self { fields: None, at });
        }
        let mut fields = Fields { rest: extra, offset: at };
        let (tag, length) = (fields.u16()?, fields.u16()?);
        if tag != 1 || usize::from(length) != fields.rest.len() {
            return fault(at, "a header has an extra field other than that of zip64");
        }
        Ok(Self { fields: Some(fields), at })
    }

    fn resolve(&mut self, short: u32) -> Result<u64, Fault> {
        match &mut self.fields {
            Some(fields) if short == u32::MAX => fields.u64(),
            _ => Ok(short.into()),
        }
    }

    fn finish(self) -> Result<(), Fault> {
        match self.fields {
            Some(fields) if !fields.rest.is_empty() => fault(self.at, "a zip64 field has more in it than it should"),
            _ => Ok(()),
        }
    }
}

/// Compares a member's local header with its central one. Gives where the member's bytes start.
pub(super) fn check_local_header(file: &File, entry: &CentralEntry) -> Result<u64, Fault> {
    let (at, expected) = (entry.header_offset, entry.local_header());
    let length = u64::try_from(expected.len()).unwrap_or(u64::MAX);
    let found = read_at(file, at, length)?;
    if !found.starts_with(&LOCAL_HEADER.to_le_bytes()) {
        return fault(at, "there is no local header where the central directory points");
    }
    if found != expected {
        return fault(at, format!("the local header of `{}` differs from its central one", entry.name));
    }
    Ok(at + length)
}

/// The top folder of a member and its path below; `None` where the name has another shape than those in a package.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    let (top, path) = name.split_once('/')?;
    (is_portable(top) && is_portable(path)).then_some((top, path))
}

/// A part of a file, read by position, so that many can be read at once.
#[derive(Debug)]
pub(super) struct FileSlice<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Read for FileSlice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = loop {
            match self.file.read_at(buffer, self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the package ends before its member does"));
        }
        self.at += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}
