//! Which seals lie in a case, found by their names and read as bytes. Whether they hold is for others to say.

use std::collections::BTreeSet;

use crate::case::{CaseError, CaseFiles, Found, read_bounded};

use super::SEALS;

/// Largest file of a seal that is read.
const SEAL_LIMIT: u64 = 4 * 1024 * 1024;

/// The files of one seal, as they lie in the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealFile {
    /// The number in the files' names.
    pub number: u32,
    /// The statement's path, from the case folder.
    pub path: String,
    /// The statement's bytes; `None` where a signature or a time-stamp lies there without one.
    pub statement: Option<Vec<u8>>,
    /// The SSH signature in PEM.
    pub signature: Option<Vec<u8>>,
    /// The RFC 3161 time-stamp response in DER.
    pub timestamp: Option<Vec<u8>>,
    /// Later time-stamps, each over the statement and every time-stamp before it.
    pub renewals: Vec<Vec<u8>>,
}

/// Most time-stamps of a seal, renewals included.
const STAMPS: u32 = 99;

/// The extension of a renewal's file: the second time-stamp has `json.tsr.2`.
fn renewal_extension(stamp: u32) -> String {
    format!("json.tsr.{stamp}")
}

impl SealFile {
    /// The bytes that the next time-stamp is over: the statement, and every time-stamp that it has already, in their order.
    ///
    /// So the next one proves that those before existed when their authority's key was still good.
    #[must_use]
    pub fn next_stamped(&self) -> Vec<u8> {
        self.stamped_before(usize::MAX)
    }

    /// The bytes that the renewal with this place, from 0, is over.
    #[must_use]
    pub fn stamped_before(&self, renewal: usize) -> Vec<u8> {
        let stamps = self.timestamp.iter().chain(self.renewals.iter().take(renewal));
        self.statement.iter().chain(stamps).flatten().copied().collect()
    }

    /// Where the renewal with this place, from 0, lies.
    #[must_use]
    pub fn renewal_path(&self, renewal: usize) -> String {
        format!("{}.tsr.{}", self.path, renewal.saturating_add(2))
    }

    /// Where the next time-stamp is to be filed.
    #[must_use]
    pub fn next_stamp_path(&self) -> String {
        match self.timestamp {
            None => format!("{}.tsr", self.path),
            Some(_) => self.renewal_path(self.renewals.len()),
        }
    }

    /// Whether it has both statement and signature. Anything less is what an interrupted attempt leaves.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.statement.is_some() && self.signature.is_some()
    }
}

/// Which seals a case has, found while its files are walked.
#[derive(Clone, Debug, Default)]
pub struct SealNumbers(BTreeSet<(u32, String)>);

impl SealNumbers {
    /// Takes note of `path` if it belongs to a seal.
    pub fn observe(&mut self, path: &str) {
        let name = path.strip_prefix(SEALS).and_then(|rest| rest.strip_prefix('/'));
        let Some((number, extension)) = name.and_then(|name| name.split_once('.')) else { return };
        let is_number = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
        let renewal = || (2..=STAMPS).any(|stamp| extension == renewal_extension(stamp));
        if let (true, Ok(parsed)) = (is_number, number.parse())
            && (["json", "json.sig", "json.tsr"].contains(&extension) || renewal())
        {
            self.0.insert((parsed, extension.to_owned()));
        }
    }

    /// Reads their files, in the order of their numbers.
    pub fn read(&self, files: &dyn CaseFiles) -> Result<Vec<SealFile>, CaseError> {
        let numbers: BTreeSet<u32> = self.0.iter().map(|(number, _)| *number).collect();
        let read = |number: u32| {
            let path = path_of(number);
            let part = |extension: &str| {
                let there = self.0.contains(&(number, extension.to_owned()));
                there.then(|| read_bounded(files, &format!("{SEALS}/{number:04}.{extension}"), SEAL_LIMIT)).transpose()
            };
            let (statement, signature, timestamp) = (part("json")?, part("json.sig")?, part("json.tsr")?);
            let mut renewals = Vec::new();
            // Without the time-stamp that it renews, a renewal is none.
            for stamp in (2..=STAMPS).take_while(|_| timestamp.is_some()) {
                match part(&renewal_extension(stamp))? {
                    Some(bytes) => renewals.push(bytes),
                    None => break,
                }
            }
            Ok(SealFile { number, path, statement, signature, timestamp, renewals })
        };
        numbers.into_iter().map(read).collect()
    }
}

/// Where a seal's statement lies.
pub(crate) fn path_of(number: u32) -> String {
    format!("{SEALS}/{number:04}.json")
}

/// Reads every seal of a case, in the order of their numbers.
///
/// Whoever walks the case anyway uses [`SealNumbers`] and spares a second walk.
pub fn read_seals(files: &dyn CaseFiles) -> Result<Vec<SealFile>, CaseError> {
    let mut numbers = SealNumbers::default();
    files.walk(&mut |found| {
        if let Found::File { path } = found {
            numbers.observe(path);
        }
    })?;
    numbers.read(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_seals_are_taken_note_of() {
        let mut numbers = SealNumbers::default();
        for path in [
            "custody/seals/0002.json",
            "custody/seals/0001.json.sig",
            "custody/seals/1.json",
            "custody/seals/+001.json",
            "custody/seals/0003.json.part",
            "custody/seals/0004/x.json",
            "custody/0005.json",
            "custody/seals/0006.json.tsr.1",
            "custody/seals/0006.json.tsr.02",
        ] {
            numbers.observe(path);
        }
        assert_eq!(numbers.0.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    }
}
