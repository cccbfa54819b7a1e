//! Reading the parts of a package, as they came or unpacked, as one case, with those that are missing named.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::case::{CaseError, CaseFiles, CaseFolder, Found, LEDGER, MissingPart, PathError, read_bounded, read_identity};
use crate::model::{HashingReader, Sha256Hash, printable};
use crate::seal::manifest::{Lists, ManifestError, ManifestLine, ManifestReader};
use crate::seal::{CHECKPOINTS, Checkpoint, DISCLOSURE, MANIFEST, SEALS, SealNumbers, SealStatement, TAG_MANIFEST};

use super::disclosure::disclosure_folder;
use super::parts::{LIMIT, OWN, PART, PartContent, PartStatement, WHOLE, own_bag_info, part_name};
use super::{PackageError, PackageFiles, top_folder};

/// A case in several packages.
///
/// Opening checks each part that is there: that it says the same of all parts as the others, that all of them have the same tag files, that
/// its own manifests are those parts of the whole that it has, and that the rest of what it has of its own, which nobody signed, follows from
/// what was sealed. The rest is verified as in a package in one piece.
#[derive(Debug)]
pub struct JoinedParts {
    statement: PartStatement,
    /// In order; none where a part is missing.
    parts: Vec<Option<PartFiles>>,
    /// The part that tag files are read from.
    first: usize,
}

/// The files of one part.
#[derive(Debug)]
enum PartFiles {
    Packed(PackageFiles),
    /// The top folder of a part that somebody unpacked.
    Unpacked(CaseFolder),
}

impl PartFiles {
    fn files(&self) -> &dyn CaseFiles {
        match self {
            Self::Packed(package) => package,
            Self::Unpacked(folder) => folder,
        }
    }

    /// The part that lies at `place`, if there is one.
    fn beside(&self, place: &Path) -> Result<Option<Self>, PackageError> {
        match self {
            Self::Packed(_) if place.is_file() => Ok(Some(Self::Packed(PackageFiles::open(place)?))),
            Self::Unpacked(_) if place.join(PART).is_file() => Ok(Some(Self::Unpacked(CaseFolder::open(place)?))),
            _ => Ok(None),
        }
    }

    /// Where the other parts are looked for, with this one at `path`: what gives the place of each. None if its name is not that of such a part.
    fn base(&self, path: &Path, number: u32, of: usize) -> Option<Base> {
        let suffix = format!("part-{number}-of-{of}");
        match self {
            Self::Packed(_) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let base = stem.strip_suffix(&format!(".{suffix}"))?;
                Some(Base::Package(path.with_file_name(format!("{base}.zip"))))
            }
            Self::Unpacked(_) => {
                // A folder can be named as `.`.
                let path = path.canonicalize().ok()?;
                let base = path.file_name()?.to_str()?.strip_suffix(&format!("-{suffix}"))?.to_owned();
                Some(Base::Folder(path.with_file_name(base)))
            }
        }
    }

    /// Its top folder, whose name is part of a package; that of a folder is for whoever unpacked it to choose.
    fn top_folder(&self) -> Option<&str> {
        match self {
            Self::Packed(package) => Some(package.top_folder()),
            Self::Unpacked(_) => None,
        }
    }

    /// The bytes of all files below `data/`.
    fn payload_bytes(&self) -> Result<u64, CaseError> {
        let folder = match self {
            Self::Packed(package) => return package.payload_bytes(),
            Self::Unpacked(folder) => folder,
        };
        let (mut bytes, mut failed) = (0_u64, None);
        folder.walk(&mut |found| {
            if let Found::File { path } = found
                && path.starts_with("data/")
                && failed.is_none()
            {
                match folder.open_file(path) {
                    Ok((_, size)) => bytes = bytes.saturating_add(size),
                    Err(error) => failed = Some(error),
                }
            }
        })?;
        failed.map_or(Ok(bytes), Err)
    }
}

/// From what the places of all parts follow.
enum Base {
    Package(PathBuf),
    Folder(PathBuf),
}

impl Base {
    fn part(&self, number: u32, of: usize) -> PathBuf {
        match self {
            Self::Package(base) => part_name(base, number, of),
            Self::Folder(base) => {
                let name = base.file_name().unwrap_or_default().to_string_lossy();
                base.with_file_name(format!("{name}-part-{number}-of-{of}"))
            }
        }
    }
}

impl JoinedParts {
    /// Opens the package at `path` with the other parts that lie beside it; gives it back if it is no part.
    pub fn open(path: &Path, package: PackageFiles) -> Result<Result<Self, PackageFiles>, PackageError> {
        if package.size_of(PART)?.is_none() {
            let misnamed = name_of(&package)?.is_some_and(|name| name != package.top_folder());
            return if misnamed {
                Err(malformed(path, "its top folder is not named after its case"))
            } else {
                Ok(Err(package))
            };
        }
        Self::join(path, PartFiles::Packed(package)).map(Ok)
    }

    /// Opens the top folder of a part that was unpacked with the other parts that were unpacked beside it; gives it back if it is none.
    pub fn open_folder(folder: CaseFolder) -> Result<Result<Self, CaseFolder>, PackageError> {
        // Somebody who put all parts together may have left the one, but hardly the other.
        let is_part = [PART.to_owned(), format!("{WHOLE}{MANIFEST}")].iter().all(|path| folder.describe(path).is_file());
        if !is_part {
            return Ok(Err(folder));
        }
        let path = folder.root().to_owned();
        Self::join(&path, PartFiles::Unpacked(folder)).map(Ok)
    }

    fn join(path: &Path, opened: PartFiles) -> Result<Self, PackageError> {
        let statement = statement(path, opened.files())?;
        let of = statement.parts.len();
        let first = usize::try_from(statement.number).unwrap_or(1).saturating_sub(1);
        // Under another name it is still a part, but its siblings cannot be told.
        let base = opened.base(path, statement.number, of);
        let mut beside = Vec::new();
        for number in (1_u32..).take(of) {
            let place = base.as_ref().filter(|_| number != statement.number).map(|base| base.part(number, of));
            let found = place.as_deref().map(|place| opened.beside(place)).transpose()?.flatten();
            beside.push((place.unwrap_or_default(), found));
        }
        let mut parts: Vec<Option<PartFiles>> = Vec::new();
        let mut opened = Some(opened);
        let mut expected = None;
        for (at, (place, found)) in beside.into_iter().enumerate() {
            let number = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
            let (place, files) = if at == first { (path.to_owned(), opened.take()) } else { (place, found) };
            if let Some(files) = &files {
                let said = self::statement(&place, files.files())?;
                if said.number != number || (said.seal_sha256, &said.parts) != (statement.seal_sha256, &statement.parts) {
                    return Err(malformed(&place, "it is not that part of the same package"));
                }
                let tags = Part { path: &place, opened: files, statement: &statement, at }.check()?;
                if *expected.get_or_insert_with(|| tags.clone()) != tags {
                    return Err(malformed(&place, "its ledger, seals or tag files are not those of the other parts"));
                }
            }
            parts.push(files);
        }
        Ok(Self { statement, parts, first })
    }

    fn part(&self, path: &str) -> Option<(&dyn CaseFiles, String)> {
        if path.starts_with("data/") {
            return Some((self.parts.get(self.statement.place_of(path))?.as_ref()?.files(), path.to_owned()));
        }
        let inside = if OWN.contains(&path) { format!("{WHOLE}{path}") } else { path.to_owned() };
        Some((self.parts.get(self.first)?.as_ref()?.files(), inside))
    }
}

/// The name that the top folder of a package in one piece must have. What does not read is told of when the case is verified.
fn name_of(package: &PackageFiles) -> Result<Option<String>, CaseError> {
    if package.size_of(DISCLOSURE)?.is_none() || package.size_of(LEDGER)?.is_some() {
        return Ok(read_identity(package).ok().map(|identity| top_folder(&identity.case_number)));
    }
    let mut found = None;
    package.walk(&mut |there| {
        if let Found::File { path } = there
            && found.is_none()
            && path.starts_with(CHECKPOINTS)
            && path.strip_suffix(".json").is_some()
        {
            found = Some(path.to_owned());
        }
    })?;
    let bytes = found.and_then(|path| read_bounded(package, &path, LIMIT).ok());
    let checkpoint = bytes.and_then(|bytes| Checkpoint::parse(&bytes).ok());
    Ok(checkpoint.map(|checkpoint| disclosure_folder(&checkpoint)))
}

fn malformed(path: &Path, problem: &str) -> PackageError {
    PackageError::Malformed { path: path.to_owned(), offset: 0, problem: problem.to_owned() }
}

/// The disk's trouble says nothing about the package.
fn unhashed(path: &Path, problem: io::Error) -> PackageError {
    match problem.raw_os_error() {
        Some(_) => PathError::new("read", path, problem).into(),
        None => malformed(path, &problem.to_string()),
    }
}

fn unread(path: &Path, manifest: &str, problem: ManifestError) -> PackageError {
    match problem {
        ManifestError::Io { source, .. } if source.raw_os_error().is_some() => unhashed(path, source),
        problem => malformed(path, &format!("in {manifest}, {problem}")),
    }
}

fn statement(path: &Path, files: &dyn CaseFiles) -> Result<PartStatement, PackageError> {
    let bytes = read_bounded(files, PART, LIMIT)?;
    PartStatement::parse(&bytes).ok_or_else(|| malformed(path, "its custody/part.json is not as caselock writes it"))
}

/// The lines of a manifest in a part.
struct Lines<'a> {
    path: PathBuf,
    manifest: String,
    reader: ManifestReader<BufReader<Box<dyn Read + Send + 'a>>>,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<ManifestLine>, PackageError> {
        self.reader.next_line().map_err(|error| unread(&self.path, &self.manifest, error))
    }
}

/// One of several parts, as it says that it is.
struct Part<'a> {
    path: &'a Path,
    opened: &'a PartFiles,
    statement: &'a PartStatement,
    /// Which of the parts, from 0.
    at: usize,
}

/// Hashes of tag files, by their paths.
type Tags = BTreeMap<String, Sha256Hash>;

impl<'a> Part<'a> {
    /// Checks the part against itself, and gives the hashes of the tag files that all parts must share.
    ///
    /// First its manifest against that of the whole, then which files are there, then their hashes, then what it has of its own.
    fn check(&self) -> Result<Tags, PackageError> {
        self.check_manifest()?;
        let found = self.find_tags()?;
        let shared = self.hash_tags(&found)?;
        self.check_own(&found)?;
        Ok(shared)
    }

    fn malformed(&self, problem: &str) -> PackageError {
        malformed(self.path, problem)
    }

    fn lines(&self, manifest: String, lists: Lists) -> Result<Lines<'a>, PackageError> {
        let reader = ManifestReader::new(BufReader::new(self.opened.files().open(&manifest)?), lists);
        Ok(Lines { path: self.path.to_owned(), manifest, reader })
    }

    /// Its manifest is a run of the whole one's lines, and the parts have the files that the statement counts. Both are in the same
    /// order, and may be long.
    fn check_manifest(&self) -> Result<(), PackageError> {
        let parts = &self.statement.parts;
        let mut own = self.lines(MANIFEST.to_owned(), Lists::Payload)?;
        let mut whole = self.lines(format!("{WHOLE}{MANIFEST}"), Lists::Payload)?;
        let mut files_of = vec![0_u64; parts.len()];
        while let Some(line) = whole.next()? {
            let place = self.statement.place_of(&line.path);
            if let (Some(files), Some(part)) = (files_of.get_mut(place), parts.get(place)) {
                if *files == 0 && part.first != line.path {
                    return Err(self.malformed("its custody/part.json does not fit the manifest of the whole"));
                }
                *files += 1;
            }
            if place == self.at && own.next()?.as_ref() != Some(&line) {
                return Err(self.malformed("its manifest is not the part of the whole that it has"));
            }
        }
        if own.next()?.is_some() {
            return Err(self.malformed("its manifest is not the part of the whole that it has"));
        }
        if !parts.iter().map(|part| part.files).eq(files_of) {
            return Err(self.malformed("its custody/part.json does not fit the manifest of the whole"));
        }
        Ok(())
    }

    /// The tag files that are there, and no payload file that its manifest does not list: one that belongs to another part would take
    /// its place once the parts are unpacked together.
    fn find_tags(&self) -> Result<Vec<String>, PackageError> {
        let mut own = self.lines(MANIFEST.to_owned(), Lists::Payload)?;
        let mut line = own.next()?;
        let (mut found, mut stray, mut failed) = (Vec::new(), None, None);
        self.opened.files().walk(&mut |there| {
            let (Found::File { path } | Found::Foreign { path, .. }) = there;
            if !path.starts_with("data/") {
                if path.strip_prefix(WHOLE).is_some_and(|name| !OWN.contains(&name)) {
                    stray.get_or_insert_with(|| path.to_owned());
                } else {
                    found.push(path.to_owned());
                }
                return;
            }
            while failed.is_none() && line.as_ref().is_some_and(|line| line.path.as_str() < path) {
                match own.next() {
                    Ok(next) => line = next,
                    Err(error) => failed = Some(error),
                }
            }
            if line.as_ref().is_none_or(|line| line.path != path) {
                stray.get_or_insert_with(|| path.to_owned());
            }
        })?;
        match (failed, stray) {
            (Some(error), _) => Err(error),
            (None, Some(stray)) => Err(self.malformed(&format!("no manifest of it lists {}", printable(&stray)))),
            (None, None) => Ok(found),
        }
    }

    /// Checks the tag files that are there against its tag manifest, and gives the hashes of those that all parts must share.
    fn hash_tags(&self, found: &[String]) -> Result<Tags, PackageError> {
        let (mut listed, mut shared) = (Tags::new(), Tags::new());
        let mut lines = self.lines(TAG_MANIFEST.to_owned(), Lists::Tags)?;
        while let Some(line) = lines.next()? {
            listed.insert(line.path, line.sha256);
        }
        for tag in found {
            let reader = HashingReader::new(self.opened.files().open(tag)?);
            let (sha256, _) = reader.finish().map_err(|problem| unhashed(self.path, problem))?;
            match listed.get(tag) {
                Some(listed) if *listed != sha256 => {
                    return Err(self.malformed(&format!("its {tag} is not the one that its tag manifest lists")));
                }
                listed if listed.is_some() != is_listed(tag) => {
                    let problem = if listed.is_some() { "lists" } else { "does not list" };
                    return Err(self.malformed(&format!("its tag manifest {problem} {}", printable(tag))));
                }
                _ => {}
            }
            if tag != PART && !OWN.contains(&tag.as_str()) {
                shared.insert(tag.clone(), sha256);
            }
        }
        match listed.keys().find(|tag| !found.contains(*tag)) {
            Some(tag) => Err(self.malformed(&format!("its tag manifest lists {tag}, which is not there"))),
            None => Ok(shared),
        }
    }

    /// Checks what a part has of its own and no seal covers: it follows from what was sealed.
    fn check_own(&self, found: &[String]) -> Result<(), PackageError> {
        let (files, parts) = (self.opened.files(), &self.statement.parts);
        let mut numbers = SealNumbers::default();
        for tag in found {
            numbers.observe(tag);
        }
        // What does not read is told of when the case is verified.
        let seals = numbers.read_each(files, &mut |_, _| {});
        let latest = seals.last().and_then(|seal| seal.statement.as_deref());
        if latest.map(Sha256Hash::of) != Some(self.statement.seal_sha256) {
            return Err(self.malformed("its latest seal is not the one that its custody/part.json names"));
        }
        let add = |(files, bytes): (u64, u64), part: &PartContent| {
            (files.saturating_add(part.files), bytes.saturating_add(part.bytes))
        };
        let totals = parts.iter().fold((0, 0), add);
        let sealed = latest.and_then(|seal| SealStatement::parse(seal).ok());
        if sealed.is_some_and(|seal| (seal.artifacts.count, seal.artifacts.bytes) != totals) {
            return Err(self.malformed("its custody/part.json counts otherwise than the seal"));
        }
        let (number, of) = (u32::try_from(self.at).unwrap_or(u32::MAX).saturating_add(1), parts.len());
        let group = top_folder(&read_identity(files)?.case_number);
        if self.opened.top_folder().is_some_and(|top| top != format!("{group}-part-{number}-of-{of}")) {
            return Err(self.malformed("its top folder does not have the name of such a part"));
        }
        let Some(content) = parts.get(self.at) else { return Ok(()) };
        if self.opened.payload_bytes()? != content.bytes {
            return Err(self.malformed("its files do not have the size that its custody/part.json tells"));
        }
        let sealed = read_bounded(files, &format!("{WHOLE}bag-info.txt"), LIMIT)?;
        let expected = own_bag_info(&String::from_utf8_lossy(&sealed), &group, number, of, content);
        if read_bounded(files, "bag-info.txt", LIMIT)? != expected.into_bytes() {
            return Err(self.malformed("its bag-info.txt does not follow from the one that was sealed"));
        }
        Ok(())
    }
}

/// Whether a part's tag manifest lists the tag file at `path`: all but itself, the ledger, and what is signed.
fn is_listed(path: &str) -> bool {
    let is_below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let is_signature = is_below(CHECKPOINTS) && path.strip_suffix(".sig").is_some();
    !(path == TAG_MANIFEST || path == LEDGER || is_below(SEALS) || is_signature)
}

impl CaseFiles for JoinedParts {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        let mut tags = Vec::new();
        if let Some(first) = self.parts.get(self.first).and_then(Option::as_ref) {
            first.files().walk(&mut |found| {
                if let Found::File { path } = found
                    && path != PART
                    && !path.starts_with("data/")
                    && !OWN.contains(&path)
                {
                    tags.push(path.strip_prefix(WHOLE).unwrap_or(path).to_owned());
                }
            })?;
        }
        tags.sort();
        let (before, after): (Vec<_>, Vec<_>) = tags.iter().partition(|path| path.as_str() < "data/");
        for path in before {
            visit(Found::File { path });
        }
        for part in self.parts.iter().flatten() {
            part.files().walk(&mut |found| {
                if matches!(found, Found::File { path } if path.starts_with("data/")) {
                    visit(found);
                }
            })?;
        }
        for path in after {
            visit(Found::File { path });
        }
        Ok(())
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        match self.part(path) {
            Some((part, inside)) if path != PART => part.open(&inside),
            _ => {
                let source = io::Error::new(io::ErrorKind::NotFound, "it is in a part that is missing");
                Err(PathError::new("open", self.describe(path), source).into())
            }
        }
    }

    fn describe(&self, path: &str) -> PathBuf {
        let part = self.part(path).or_else(|| self.part(MANIFEST));
        part.map_or_else(|| PathBuf::from(path), |(part, _)| part.describe(path))
    }

    fn is_package(&self) -> bool {
        true
    }

    fn missing_parts(&self) -> Vec<MissingPart> {
        let of = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        let numbered = (1_u32..).zip(self.parts.iter().zip(&self.statement.parts));
        let missing = numbered.filter(|(_, (part, _))| part.is_none());
        missing.map(|(number, (_, content))| MissingPart { number, of, files: content.files, bytes: content.bytes }).collect()
    }

    fn is_in_missing_part(&self, path: &str) -> bool {
        path.starts_with("data/") && self.parts.get(self.statement.place_of(path)).is_some_and(Option::is_none)
    }
}
