//! Which seals lie in a case, found by their names and read as bytes. Whether they hold is for others to say.

use std::collections::BTreeMap;

use crate::case::{CaseError, CaseFiles, Found, read_bounded};

use super::SEALS;

/// Largest statement that is read: one that names very much damage.
const STATEMENT_LIMIT: u64 = 4 * 1024 * 1024;
/// Largest signature that is read; OpenSSH's are below two kilobytes.
const SIGNATURE_LIMIT: u64 = 64 * 1024;
/// Largest time-stamp that is read; those of authorities are below ten kilobytes.
const STAMP_LIMIT: u64 = 1024 * 1024;
/// Most that is read of all seals of a case together, which are held in memory: five hundred with a time-stamp each have half of it.
const ALL_LIMIT: u64 = 8 * 1024 * 1024;

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

/// What a seal's file is named after its number, by its place among them: statement, signature, time-stamp, and from the second time-stamp on,
/// which has `json.tsr.2`, the renewals.
fn extension(place: u32) -> String {
    match place {
        0 => "json".to_owned(),
        1 => "json.sig".to_owned(),
        2 => "json.tsr".to_owned(),
        renewal => format!("json.tsr.{}", renewal - 1),
    }
}

/// The place of the last renewal that a seal can have.
const LAST: u32 = STAMPS + 1;

/// The place of the file with this extension; none if no file of a seal has it.
fn place_of(found: &str) -> Option<u32> {
    let stamp = || found.strip_prefix("json.tsr.")?.parse::<u32>().ok();
    let place = (0..3).find(|place| extension(*place) == found).or_else(|| stamp()?.checked_add(1))?;
    (place <= LAST && extension(place) == found).then_some(place)
}

impl SealFile {
    /// The bytes that the next time-stamp is over: the statement, and every time-stamp that it has already, in their order.
    ///
    /// So the next one proves that those before existed when their authority's key was still good.
    #[must_use]
    pub fn next_stamped(&self) -> Vec<u8> {
        let pieces = self.statement.iter().chain(&self.timestamp).chain(&self.renewals);
        pieces.map(Vec::as_slice).collect::<Vec<_>>().concat()
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
///
/// Each number with a bit for each of its files that is there.
#[derive(Clone, Debug, Default)]
pub struct SealNumbers(BTreeMap<u32, u128>);

impl SealNumbers {
    /// Takes note of `path` if it belongs to a seal.
    pub fn observe(&mut self, path: &str) {
        let name = path.strip_prefix(SEALS).and_then(|rest| rest.strip_prefix('/'));
        let Some((number, found)) = name.and_then(|name| name.split_once('.')) else { return };
        let is_number = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
        if let (true, Ok(parsed), Some(place)) = (is_number, number.parse(), place_of(found)) {
            *self.0.entry(parsed).or_default() |= 1_u128 << place;
        }
    }

    /// Reads their files, in the order of their numbers.
    pub fn read(&self, files: &dyn CaseFiles) -> Result<Vec<SealFile>, CaseError> {
        let mut failed = None;
        let seals = self.read_each(files, &mut |_, error| failed = failed.take().or(Some(error)));
        failed.map_or(Ok(seals), Err)
    }

    /// Reads what can be read of their files, and tells of each that cannot be, which then stands as an empty one: no seal has such.
    ///
    /// No more is held in memory than all seals of a case may have together, whatever lies there.
    pub fn read_each(&self, files: &dyn CaseFiles, tell: &mut dyn FnMut(&str, CaseError)) -> Vec<SealFile> {
        let mut left = ALL_LIMIT;
        let mut read = |path: &str, limit: u64| {
            let most = limit.min(left);
            let read = read_bounded(files, path, most);
            // What is too large was read as well.
            let taken = read.as_ref().map_or(most, |bytes| u64::try_from(bytes.len()).unwrap_or(most));
            left = left.saturating_sub(taken);
            read.unwrap_or_else(|mut error| {
                if let CaseError::Malformed { problem, .. } = &mut error
                    && most < limit
                {
                    *problem = format!("all files of seals together have more than {ALL_LIMIT} bytes");
                }
                tell(path, error);
                Vec::new()
            })
        };
        let mut seals = Vec::with_capacity(self.0.len());
        for (&number, there) in &self.0 {
            let mut part = |place: u32, limit: u64| {
                let is_there = there & (1_u128 << place) != 0;
                is_there.then(|| read(&format!("{SEALS}/{number:04}.{}", extension(place)), limit))
            };
            let (statement, signature) = (part(0, STATEMENT_LIMIT), part(1, SIGNATURE_LIMIT));
            let timestamp = part(2, STAMP_LIMIT);
            // Without the time-stamp that it renews, a renewal is none.
            let renewals = (3..=LAST).take_while(|_| timestamp.is_some()).map_while(|place| part(place, STAMP_LIMIT)).collect();
            seals.push(SealFile { number, path: path_of(number), statement, signature, timestamp, renewals });
        }
        seals
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
    use std::io::{self, Read};
    use std::path::PathBuf;

    use super::*;

    /// Files of zeros, each as long as is said.
    #[derive(Debug)]
    struct Zeros(BTreeMap<String, u64>);

    impl CaseFiles for Zeros {
        fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
            self.0.keys().for_each(|path| visit(Found::File { path }));
            Ok(())
        }

        fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
            Ok(Box::new(io::repeat(0).take(self.0[path])))
        }

        fn describe(&self, path: &str) -> PathBuf {
            path.into()
        }
    }

    fn zeros(files: impl IntoIterator<Item = (String, u64)>) -> Zeros {
        Zeros(files.into_iter().map(|(name, size)| (format!("{SEALS}/{name}"), size)).collect())
    }

    /// The seals, and what could not be read of them.
    fn read(files: &Zeros) -> (Vec<SealFile>, Vec<(String, String)>) {
        let (mut numbers, mut told) = (SealNumbers::default(), Vec::new());
        files.0.keys().for_each(|path| numbers.observe(path));
        let seals = numbers.read_each(files, &mut |path, error| {
            let CaseError::Malformed { problem, .. } = error else { panic!("{error}") };
            told.push((path.to_owned(), problem));
        });
        (seals, told)
    }

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
            "custody/seals/0006.json.tsr.100",
        ] {
            numbers.observe(path);
        }
        assert_eq!(numbers.0.keys().copied().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn every_file_of_a_seal_is_read_into_its_place() {
        let renewals = (2..=STAMPS).map(|stamp| (format!("0001.json.tsr.{stamp}"), u64::from(stamp)));
        let named = [("0001.json", 7), ("0001.json.sig", 8), ("0001.json.tsr", 9), ("0002.json.tsr.2", 1)];
        let files = zeros(named.map(|(name, size)| (name.to_owned(), size)).into_iter().chain(renewals));
        let (seals, told) = read(&files);
        let [first, second] = &seals[..] else { panic!("{seals:?}") };
        assert_eq!(told, []);
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(Vec::len);
        assert_eq!([&first.statement, &first.signature, &first.timestamp].map(length), [Some(7), Some(8), Some(9)]);
        assert_eq!(first.renewals.iter().map(Vec::len).collect::<Vec<_>>(), (2..=99).collect::<Vec<_>>());
        assert_eq!(
            (first.renewal_path(0), first.renewal_path(97)),
            (format!("{SEALS}/0001.json.tsr.2"), format!("{SEALS}/0001.json.tsr.99"))
        );
        assert_eq!(second.renewals.len(), 0, "without the time-stamp that it renews, a renewal is none");
    }

    #[test]
    fn a_file_too_large_for_its_kind_is_told_of_and_the_rest_is_read() {
        let files = [
            ("0001.json", 10),
            ("0001.json.sig", SIGNATURE_LIMIT + 1),
            ("0001.json.tsr", STAMP_LIMIT),
            ("0002.json", STATEMENT_LIMIT + 1),
        ];
        let files = zeros(files.map(|(name, size)| (name.to_owned(), size)));
        let (seals, told) = read(&files);
        let paths: Vec<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["custody/seals/0001.json.sig", "custody/seals/0002.json"]);
        assert!(told.iter().all(|(_, problem)| problem.starts_with("it is larger than")), "{told:?}");
        assert_eq!(seals[0].signature, Some(Vec::new()));
        assert_eq!(seals[0].timestamp.as_ref().map(Vec::len), usize::try_from(STAMP_LIMIT).ok());
        assert_eq!(seals[1].statement, Some(Vec::new()));
        assert!(read_seals(&files).is_err());
    }

    #[test]
    fn however_many_seals_there_are_no_more_is_read_than_all_may_have_together() {
        // Half of them larger than any can be, which must not cost more.
        let files = zeros((1..=100).map(|number| (format!("{number:04}.json"), STATEMENT_LIMIT + number % 2)));
        let (seals, told) = read(&files);
        let held: usize = seals.iter().flat_map(|seal| &seal.statement).map(Vec::len).sum();
        assert_eq!((seals.len(), held), (100, 4 * 1024 * 1024));
        assert_eq!(told.len(), 99);
        assert!(told[1..].iter().all(|(_, problem)| problem.contains("together")), "{told:?}");
    }
}
