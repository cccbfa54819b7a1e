//! Reading a package as a case, without unpacking it.
#![expect(clippy::disallowed_methods, reason = "opens the package for reading")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::case::{CaseError, CaseFiles, ChangedMember, Found, IoContext as _, PathError, Workspace};
use crate::model::printable;

use super::PackageError;
use super::central::{
    CentralEntry, Directory, DirectoryReader, Fault, FileSlice, LOCAL_LENGTH, check_local_header, fault, find_directory,
    split_name,
};
use super::lookup::{Lookup, Members};

/// Read at once while the directory is walked.
const WALK_BUFFER: usize = 256 * 1024;
/// Read at once to look at a single name.
const LOOK_BUFFER: usize = 512;

/// A case in a package.
///
/// Opening checks the whole structure: one top folder; sorted, portable, distinct names, distinct also where case is folded; stored
/// members that lie one after another from the first byte to the central directory, each with two headers that agree; and nothing
/// else in the file. A member's CRC-32 is checked when it is read to its end.
#[derive(Debug)]
pub struct PackageFiles {
    path: PathBuf,
    file: File,
    top: String,
    directory: Directory,
    lookup: Lookup,
}

impl PackageFiles {
    /// Opens a package, or refuses it and says what is wrong and where.
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        Self::open_in(path, &Workspace::default())
    }

    /// The same, with a place of one's own for what grows with the number of members.
    pub fn open_in(path: &Path, workspace: &Workspace<'_>) -> Result<Self, PackageError> {
        let file = OpenOptions::new().read(true).open(path).doing("open", path)?;
        let metadata = file.metadata().doing("look at", path)?;
        if !metadata.is_file() {
            return Err(PathError::new("open", path, io::Error::other("it is not a regular file")).into());
        }
        read_structure(path.to_owned(), file, metadata.len(), workspace).map_err(|fault| match fault {
            Fault::Workspace(error) => error.into(),
            Fault::Io(source) => PathError::new("read", path, source).into(),
            Fault::Structure { offset, problem } => PackageError::Malformed { path: path.to_owned(), offset, problem },
        })
    }

    /// The package's one top folder.
    #[must_use]
    pub fn top_folder(&self) -> &str {
        &self.top
    }

    /// How many files it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lookup.len()
    }

    /// Whether it holds none. No package that opens does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of the file at `path`, if there is one.
    pub fn size_of(&self, path: &str) -> Result<Option<u64>, CaseError> {
        Ok(self.find(path)?.map(|member| member.size))
    }

    /// The bytes of all files below `data/`.
    pub(super) fn payload_bytes(&self) -> Result<u64, CaseError> {
        let mut reader = DirectoryReader::new(&self.file, self.directory, self.directory.offset, WALK_BUFFER);
        let mut bytes = 0_u64;
        while let Some(entry) = reader.next_entry().map_err(|fault| self.case_error(fault))? {
            if split_name(&entry.name).is_some_and(|(_, path)| path.starts_with("data/")) {
                bytes = bytes.saturating_add(entry.size);
            }
        }
        Ok(bytes)
    }

    fn find(&self, path: &str) -> Result<Option<Member>, CaseError> {
        for place in self.lookup.candidates(path)? {
            let at = self.directory.offset + u64::from(place.central_offset);
            let mut reader = DirectoryReader::new(&self.file, self.directory, at, LOOK_BUFFER);
            let Some(entry) = reader.next_entry().map_err(|fault| self.case_error(fault))? else { continue };
            if split_name(&entry.name).is_some_and(|(_, found)| found == path) {
                let data_offset = name_end(&entry) + u64::from(place.extra);
                return Ok(Some(Member { data_offset, size: entry.size, crc: entry.crc }));
            }
        }
        Ok(None)
    }

    fn case_error(&self, fault: Fault) -> CaseError {
        match fault {
            Fault::Workspace(error) => error,
            Fault::Io(source) => PathError::new("read", &self.path, source).into(),
            Fault::Structure { offset, problem } => {
                CaseError::Malformed { path: self.path.clone(), problem: format!("at byte {offset}, {problem}") }
            }
        }
    }
}

/// Where a member's bytes lie.
#[derive(Clone, Copy, Debug)]
struct Member {
    data_offset: u64,
    size: u64,
    crc: u32,
}

/// Where the name in a member's local header ends.
fn name_end(entry: &CentralEntry) -> u64 {
    entry.header_offset + LOCAL_LENGTH + u64::try_from(entry.name.len()).unwrap_or(0)
}

fn read_structure(path: PathBuf, file: File, length: u64, workspace: &Workspace<'_>) -> Result<PackageFiles, Fault> {
    let directory = find_directory(&file, length)?;
    if directory.members == 0 || directory.members > u32::MAX.into() || directory.size > u32::MAX.into() {
        return fault(directory.offset, format!("{} members are announced", directory.members));
    }
    let mut found = Members::new(workspace);
    let mut reader = DirectoryReader::new(&file, directory, directory.offset, WALK_BUFFER);
    let mut top: Option<String> = None;
    let mut previous = String::new();
    let mut next_header = 0;
    let mut members = 0;
    while let Some(entry) = reader.next_entry()? {
        let Some((this_top, below)) = split_name(&entry.name) else {
            return fault(entry.at, format!("`{}` cannot be the name of a member", printable(&entry.name)));
        };
        if top.get_or_insert_with(|| this_top.to_owned()) != this_top {
            return fault(entry.at, format!("`{}` is not under the one top folder", entry.name));
        }
        if entry.name <= previous {
            return fault(entry.at, format!("`{}` stands there twice, or out of order", entry.name));
        }
        if entry.header_offset != next_header {
            return fault(entry.at, format!("`{}` does not start where the member before ends", entry.name));
        }
        let data_offset = check_local_header(&file, &entry)?;
        next_header = match data_offset.checked_add(entry.size) {
            Some(end) if end <= directory.offset => end,
            _ => return fault(entry.at, format!("`{}` is said to be larger than there is room for", entry.name)),
        };
        let central_offset = u32::try_from(entry.at - directory.offset).unwrap_or(u32::MAX);
        // At most 32, as was just checked.
        let extra = u8::try_from(data_offset - name_end(&entry)).unwrap_or(u8::MAX);
        found.add(below, central_offset, extra);
        previous = entry.name;
        members += 1;
    }
    if members != directory.members {
        return fault(directory.offset, format!("{} members are announced, {members} are listed", directory.members));
    }
    if next_header != directory.offset {
        return fault(next_header, "something lies between the last member and the central directory");
    }
    let (lookup, twin) = found.finish().map_err(Fault::Workspace)?;
    if let Some(twin) = twin {
        let (at, name) = find_twin(&file, directory, &lookup, twin)?;
        return fault(at, format!("`{name}` is also the name of another member or folder where case is folded"));
    }
    Ok(PackageFiles { path, file, top: top.unwrap_or_default(), directory, lookup })
}

/// The last member whose path, or a folder above it, has this folded hash.
fn find_twin(file: &File, directory: Directory, lookup: &Lookup, twin: u64) -> Result<(u64, String), Fault> {
    let mut reader = DirectoryReader::new(file, directory, directory.offset, WALK_BUFFER);
    let mut found = (directory.offset, String::new());
    while let Some(CentralEntry { at, name, .. }) = reader.next_entry()? {
        let path = split_name(&name).map_or("", |(_, path)| path);
        let mut ends = path.match_indices('/').map(|(slash, _)| slash).chain([path.len()]);
        if ends.any(|end| lookup.folded_hash(path.get(..end).unwrap_or_default()) == twin) {
            found = (at, name);
        }
    }
    Ok(found)
}

impl CaseFiles for PackageFiles {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        let mut reader = DirectoryReader::new(&self.file, self.directory, self.directory.offset, WALK_BUFFER);
        while let Some(entry) = reader.next_entry().map_err(|fault| self.case_error(fault))? {
            let path = split_name(&entry.name).map_or("", |(_, path)| path);
            visit(Found::File { path });
        }
        Ok(())
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        let Some(Member { data_offset, size, crc }) = self.find(path)? else {
            let source = io::Error::new(io::ErrorKind::NotFound, "the package has no such member");
            return Err(PathError::new("open", self.describe(path), source).into());
        };
        let slice = FileSlice { file: &self.file, at: data_offset, end: data_offset + size };
        Ok(Box::new(MemberReader { slice, crc: flate2::Crc::new(), expected: crc }))
    }

    fn describe(&self, path: &str) -> PathBuf {
        self.path.join(&self.top).join(path)
    }

    fn is_package(&self) -> bool {
        true
    }
}

/// A member, which fails at its end if its CRC-32 is not the recorded one.
#[derive(Debug)]
struct MemberReader<'a> {
    slice: FileSlice<'a>,
    crc: flate2::Crc,
    expected: u32,
}

impl Read for MemberReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.slice.read(buffer)?;
        self.crc.update(buffer.get(..count).unwrap_or_default());
        if self.slice.at == self.slice.end && self.crc.sum() != self.expected {
            return Err(ChangedMember.into());
        }
        Ok(count)
    }
}
