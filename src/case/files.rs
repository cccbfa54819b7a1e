//! Reading a case, wherever it lies: in a folder or, later, in a package.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::listing::list_in;
use super::{CASE_TOML, CaseError, IoContext as _, LEDGER, PathError};

/// The files of a case, for those who only read.
pub trait CaseFiles: Sync + std::fmt::Debug {
    /// Shows every file once, in the order of its path's bytes; paths have `/` and start below the case.
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError>;

    /// Opens a regular file by its path below the case. No link is followed.
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError>;

    /// How a person finds this file: the folder or package and the path in it.
    fn describe(&self, path: &str) -> PathBuf;

    /// The parts of a package that are not at hand.
    fn missing_parts(&self) -> Vec<MissingPart> {
        Vec::new()
    }

    /// Whether an artifact belongs into a part that is not at hand.
    fn is_in_missing_part(&self, _path: &str) -> bool {
        false
    }

    /// Whether they are a package, which holds exactly what its latest seal covers and never grows.
    fn is_package(&self) -> bool {
        false
    }
}

/// A part of a package that is not at hand, as the other parts tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingPart {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// How many artifacts it has.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One thing that lies in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A regular file.
    File {
        /// Its path below the case.
        path: &'a str,
    },
    /// Something that no case has: a link, a device, a pipe, a name that is not UTF-8, folders in folders without end.
    Foreign {
        /// Its path below the case, as far as it can be written.
        path: &'a str,
        /// What it is.
        what: &'static str,
    },
}

/// Reads a whole file of at most `limit` bytes.
pub fn read_bounded(files: &dyn CaseFiles, path: &str, limit: u64) -> Result<Vec<u8>, CaseError> {
    let place = files.describe(path);
    let mut bytes = Vec::new();
    files.open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes).doing("read", &place)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(CaseError::Malformed { path: place, problem: format!("it is larger than {limit} bytes") });
    }
    Ok(bytes)
}

/// A case in a folder.
#[derive(Clone, Debug)]
pub struct CaseFolder {
    root: PathBuf,
    /// The folder itself: what is read lies below it, whatever its name comes to mean meanwhile.
    folder: Arc<OwnedFd>,
}

/// A folder on the way must not be a link.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Most folders above one that is entered: no artifact's path has as many, and each takes memory and an open file until it is left.
const DEEPEST: usize = 128;
/// Without `O_NONBLOCK`, a planted pipe would be waited for forever.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

impl CaseFolder {
    /// The case in `root`, which must hold a `custody/case.toml`, or at least a ledger that misses it.
    pub fn open(root: &Path) -> Result<Self, CaseError> {
        // A ledger without its `case.toml` is a damaged case, which verification reports; it is no other folder.
        let begun = root.join(LEDGER).metadata().is_ok_and(|ledger| ledger.is_file() && ledger.len() > 0);
        let case_toml = root.join(CASE_TOML);
        match case_toml.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            _ if begun => {}
            // A disclosure has neither: it shows some lines and proves that they were sealed.
            _ if root.join("custody/disclosure.jsonl").is_file() => {}
            // What could not be looked at is not therefore absent.
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(PathError::new("look at", case_toml, error).into());
            }
            _ => return Err(CaseError::NoCase { path: root.to_owned() }),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, root, flags, Mode::empty()).doing("open", root)?;
        Ok(Self { root: root.to_owned(), folder: Arc::new(folder) })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a regular file by its path below the case, as [`CaseFiles::open`] does, and tells its bytes.
    pub fn open_file(&self, path: &str) -> Result<(File, u64), CaseError> {
        let place = self.describe(path);
        let file = open_below(self.folder.as_fd(), path, FILE).map(File::from).doing("open", &place)?;
        regular(file, &place)
    }

    /// Shows every file below one folder of the case, as [`CaseFiles::walk`] does.
    pub fn walk_below(&self, folder: &str, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        let opened = open_below(self.folder.as_fd(), folder, FOLDER).doing("list", &self.describe(folder))?;
        self.walk_folder(opened.as_fd(), folder, visit)
    }

    fn walk_folder(&self, folder: BorrowedFd<'_>, below: &str, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        let mut entries = list_in(folder).doing("list", &self.describe(below))?;
        // A folder sorts as if its name ended with the `/` that follows it in every path below, so that paths come in byte order.
        entries.sort_unstable_by(|(a, a_kind), (b, b_kind)| {
            in_paths((a.as_encoded_bytes(), a_kind.is_dir()), (b.as_encoded_bytes(), b_kind.is_dir()))
        });
        for (name, kind) in entries {
            let lossy = name.to_string_lossy();
            let path = if below.is_empty() { lossy.clone().into_owned() } else { format!("{below}/{lossy}") };
            if name.to_str().is_none() {
                visit(Found::Foreign { path: &path, what: "a name that is not UTF-8" });
            } else if kind.is_dir() && path.matches('/').count() >= DEEPEST {
                visit(Found::Foreign { path: &path, what: "a folder inside more folders than caselock ever makes" });
            } else if kind.is_dir() {
                let inner = openat(folder, &name, FOLDER, Mode::empty()).doing("list", &self.describe(&path))?;
                self.walk_folder(inner.as_fd(), &path, visit)?;
            } else if kind.is_file() {
                visit(Found::File { path: &path });
            } else {
                let what = if kind.is_symlink() { "a symbolic link" } else { "a device, pipe or socket" };
                visit(Found::Foreign { path: &path, what });
            }
        }
        Ok(())
    }
}

/// How names of one folder are ordered in paths, where `/` follows those of folders.
fn in_paths((a, a_is_folder): (&[u8], bool), (b, b_is_folder): (&[u8], bool)) -> Ordering {
    let shared = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (a.split_at(shared), b.split_at(shared));
    a.cmp(b).then_with(|| {
        let slash = |is_folder: bool| is_folder.then_some(&b'/');
        a_rest.iter().chain(slash(a_is_folder)).cmp(b_rest.iter().chain(slash(b_is_folder)))
    })
}

/// A file that was opened and its bytes, if it is a regular one.
fn regular(file: File, place: &Path) -> Result<(File, u64), CaseError> {
    let metadata = file.metadata().doing("look at", place)?;
    if !metadata.is_file() {
        return Err(PathError::new("open", place, io::Error::other("it is not a regular file")).into());
    }
    Ok((file, metadata.len()))
}

/// Opens files of a case one after the other: those beside the one before without the way through all folders above.
#[derive(Debug)]
pub struct FileOpener {
    case: CaseFolder,
    /// The folder of the file before.
    folder: Option<(String, OwnedFd)>,
}

impl FileOpener {
    /// Opens files of `case`.
    #[must_use]
    pub fn new(case: CaseFolder) -> Self {
        Self { case, folder: None }
    }

    /// Opens a regular file by its path below the case, as [`CaseFolder::open_file`] does.
    pub fn open_file(&mut self, path: &str) -> Result<(File, u64), CaseError> {
        let Some((folder, name)) = path.rsplit_once('/') else { return self.case.open_file(path) };
        if self.folder.as_ref().is_none_or(|(opened, _)| opened != folder) {
            let opened = open_below(self.case.folder.as_fd(), folder, FOLDER);
            self.folder = opened.ok().map(|opened| (folder.to_owned(), opened));
        }
        match self.folder.as_ref().map(|(_, folder)| open_below(folder.as_fd(), name, FILE)) {
            Some(Ok(file)) => regular(File::from(file), &self.case.describe(path)),
            // What is wrong is told by the way through all of them.
            _ => self.case.open_file(path),
        }
    }
}

/// Opens what lies at `path` below `folder`: neither it nor a folder on the way may be a link, and no `..` leads out.
fn open_below(folder: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { "." } else { path };
    match openat2(folder, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        // Older kernels, and containers that let only older calls through.
        Err(Errno::NOSYS | Errno::PERM) => open_stepwise(folder, path, flags),
        opened => opened,
    }
}

/// The same, a folder at a time.
fn open_stepwise(folder: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    if path.split('/').any(|part| part == "..") {
        return Err(Errno::XDEV);
    }
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut inner: Option<OwnedFd> = None;
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        inner = Some(openat(inner.as_ref().map_or(folder, |inner| inner.as_fd()), part, FOLDER, Mode::empty())?);
    }
    openat(inner.as_ref().map_or(folder, |inner| inner.as_fd()), name, flags, Mode::empty())
}

impl CaseFiles for CaseFolder {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        self.walk_below("", visit)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        Ok(Box::new(self.open_file(path)?.0))
    }

    fn describe(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_stands_where_its_paths_do() {
        let mut names = [("a", true), ("a-b", false), ("a.b", true), ("a0", false), ("b", false), ("a!", true), ("ab", true)];
        names.sort_by(|(a, a_is), (b, b_is)| in_paths((a.as_bytes(), *a_is), (b.as_bytes(), *b_is)));
        let below = |(name, is_folder): &(&str, bool)| if *is_folder { format!("{name}/x") } else { (*name).to_owned() };
        let paths: Vec<String> = names.iter().map(below).collect();
        assert!(paths.is_sorted(), "{paths:?}");
    }

    #[test]
    fn files_beside_one_another_are_opened_as_each_by_itself() {
        let place = tempfile::tempdir().unwrap();
        for folder in ["custody", "data/one", "data/other", "data/file"] {
            fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        for (path, content) in
            [("custody/case.toml", "case"), ("data/one/a", "a"), ("data/one/b", "bb"), ("data/other/a", "ccc"), ("top", "")]
        {
            fs::write(place.path().join(path), content).unwrap();
        }
        std::os::unix::fs::symlink("a", place.path().join("data/one/link")).unwrap();
        std::os::unix::fs::symlink("one", place.path().join("data/turn")).unwrap();
        let case = CaseFolder::open(place.path()).unwrap();
        let mut opener = FileOpener::new(case.clone());
        let said = |opened: Result<(File, u64), CaseError>| match opened {
            Ok((file, length)) => Ok((io::read_to_string(file).unwrap(), length)),
            Err(error) => Err(format!("{error:?}")),
        };
        for path in [
            "top",
            "data/one/a",
            "data/one/b",
            "data/other/a",
            "data/one/a",
            "data/one/none",
            "data/one/link",
            "data/turn/a",
            "data/none/a",
            "data/none/b",
            "data/one/..",
            "data/../data/one/a",
            "data/../../x",
            "data/one/a/b",
            "data/file",
            "data/one/",
            "data/one/b",
        ] {
            assert_eq!(said(opener.open_file(path)), said(case.open_file(path)), "{path}");
        }
    }

    #[test]
    fn folders_in_folders_are_entered_as_deep_as_any_path_goes_and_no_deeper() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("custody")).unwrap();
        fs::write(place.path().join(CASE_TOML), "").unwrap();
        // The deepest path there can be: 200 characters.
        let deepest = format!("data/{}file", "a/".repeat(95));
        fs::create_dir_all(place.path().join(&deepest).parent().unwrap()).unwrap();
        fs::write(place.path().join(&deepest), "").unwrap();
        fs::create_dir_all(place.path().join("data").join("b/".repeat(1000))).unwrap();
        let mut found = Vec::new();
        CaseFolder::open(place.path())
            .unwrap()
            .walk(&mut |there| match there {
                Found::File { path } => found.push((path.to_owned(), "a file")),
                Found::Foreign { path, what } => found.push((path.to_owned(), what)),
            })
            .unwrap();
        let endless = format!("data/{}", ["b"; 128].join("/"));
        let what = "a folder inside more folders than caselock ever makes";
        assert_eq!(found, [(CASE_TOML.to_owned(), "a file"), (deepest, "a file"), (endless, what)]);
    }

    #[test]
    fn neither_way_of_opening_follows_a_link_or_leaves_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let case = place.path().join("case");
        fs::create_dir_all(case.join("data/deep")).unwrap();
        fs::write(place.path().join("outside"), "secret").unwrap();
        fs::write(case.join("data/deep/file"), "evidence").unwrap();
        std::os::unix::fs::symlink("file", case.join("data/deep/link")).unwrap();
        std::os::unix::fs::symlink("deep", case.join("data/turn")).unwrap();
        std::os::unix::fs::symlink("/etc", case.join("data/away")).unwrap();
        let folder = fs::File::open(&case).unwrap();
        for open in [open_below, open_stepwise] {
            let said = |path: &str| open(folder.as_fd(), path, FILE).map(|_| ());
            assert_eq!(said("data/deep/file"), Ok(()));
            assert_eq!(said("data//deep/file"), Ok(()));
            assert_eq!(said("data/deep/none"), Err(Errno::NOENT));
            assert_eq!(said("data/deep/link"), Err(Errno::LOOP));
            assert_eq!(said("data/deep/file/more"), Err(Errno::NOTDIR));
            assert_eq!(said("../outside"), Err(Errno::XDEV));
            assert_eq!(said("data/../../outside"), Err(Errno::XDEV));
            for through in ["data/turn/file", "data/away/passwd"] {
                assert!(matches!(said(through), Err(Errno::LOOP | Errno::NOTDIR)), "{through}");
            }
        }
    }
}
