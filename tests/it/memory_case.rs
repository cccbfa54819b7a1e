//! A case in memory, made from a simulated account without a network: hundreds of them take seconds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use caselock::case::{CaseError, CaseFiles, Found, LEDGER, Workspace};
use caselock::model::{PayloadPath, S3Location};
use caselock::verify::{Options, Report, verify};
use chrono::{DateTime, Utc};
use serde_json::json;

mod collection;
mod later;
mod listings;
mod writing;

pub(crate) use collection::{Answer, Collection, quiet, stopped};
pub(crate) use later::LaterRun;

pub(crate) const HOME: &str = "us-east-1";
pub(crate) const ABROAD: &str = "eu-central-1";

/// When simulated histories of this kind end.
pub(crate) fn end() -> DateTime<Utc> {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// A case that lies in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryCase {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) foreign: Vec<(String, &'static str)>,
    /// Whether it is to be taken for what a package holds.
    pub(crate) package: bool,
}

impl CaseFiles for MemoryCase {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        for path in self.files.keys() {
            visit(Found::File { path });
        }
        for (path, what) in &self.foreign {
            visit(Found::Foreign { path, what });
        }
        Ok(())
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        match self.files.get(path) {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes))),
            None => Err(CaseError::NoCase { path: self.describe(path) }),
        }
    }

    fn describe(&self, path: &str) -> PathBuf {
        PathBuf::from("/case").join(path)
    }

    fn is_package(&self) -> bool {
        self.package
    }
}

impl MemoryCase {
    /// Verifies it twice: in memory, and with everything that may grow put on disk and more threads; it must come to the same.
    pub(crate) fn verify(&self) -> Report {
        let report = self.verify_with(&Options::default());
        let workspace = Workspace { folder: None, held: 0 };
        let on_disk = verify(self, &Options { threads: 3.try_into().unwrap(), workspace, ..Options::default() }).unwrap();
        assert_eq!(json!(report), json!(on_disk));
        report
    }

    pub(crate) fn verify_with(&self, options: &Options<'_>) -> Report {
        verify(self, &Options { threads: 1.try_into().unwrap(), ..*options }).unwrap()
    }

    /// Writes it to the disk.
    pub(crate) fn write_to(&self, root: &Path) {
        for (path, bytes) in &self.files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// The path of an object's current version.
    pub(crate) fn path_of(location: &S3Location) -> String {
        PayloadPath::for_object(location).to_string()
    }

    /// Changes the ledger, line by line, without mending its chain.
    pub(crate) fn edit_ledger(&mut self, edit: impl FnOnce(&mut Vec<String>)) {
        let text = String::from_utf8(self.files[LEDGER].clone()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.files.insert(LEDGER.to_owned(), text.into_bytes());
    }
}
