//! How much there is to verify; for the progress alone, so it may cost next to nothing.

use std::io::{BufRead as _, BufReader};

use memchr::memmem;

use crate::case::{CaseFiles, LEDGER, read_bounded};
use crate::seal::{ArtifactTotals, SealStatement};

/// Most bytes of a file that says it.
const LIMIT: u64 = 1024 * 1024;
/// Lines of a ledger that are read between two looks at whether anybody still wants to know.
const LOOK: u64 = 4096;

/// What the first seal says, or the bag of a disclosure.
pub(in super::super) fn announced(files: &dyn CaseFiles) -> Option<ArtifactTotals> {
    let sealed = || SealStatement::parse(&read_bounded(files, "custody/seals/0001.json", LIMIT).ok()?).ok();
    sealed().map(|statement| statement.artifacts).or_else(|| in_bag_info(&read_bounded(files, "bag-info.txt", LIMIT).ok()?))
}

/// `Payload-Oxum: BYTES.FILES`
fn in_bag_info(text: &[u8]) -> Option<ArtifactTotals> {
    let text = std::str::from_utf8(text).ok()?;
    let (bytes, count) = text.lines().find_map(|line| line.strip_prefix("Payload-Oxum: "))?.split_once('.')?;
    Some(ArtifactTotals { count: count.parse().ok()?, bytes: bytes.parse().ok()? })
}

/// What the ledger of an unsealed case adds up to. Its lines are only searched, which is a hundred times quicker than to verify them.
pub(super) fn in_ledger(files: &dyn CaseFiles, stop: &dyn Fn() -> bool) -> Option<ArtifactTotals> {
    let artifact = memmem::Finder::new(b"\"event\":\"artifact.acquired\"");
    let size = memmem::Finder::new(b",\"size\":");
    let mut reader = BufReader::with_capacity(256 * 1024, files.open(LEDGER).ok()?);
    let mut totals = ArtifactTotals::default();
    let (mut line, mut lines) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return Some(totals);
        }
        lines += 1;
        if lines.is_multiple_of(LOOK) && stop() {
            return None;
        }
        // In canonical JSON neither can be within a string, where each quotation mark has a backslash.
        let rest = artifact.find(&line).and_then(|at| line.get(at..)).unwrap_or_default();
        let Some(digits) = size.find(rest).and_then(|at| rest.get(at + 8..)) else { continue };
        totals.count += 1;
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
        let bytes = digits.fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        totals.bytes = totals.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::PathBuf;

    use crate::case::{CaseError, Found};

    use super::*;

    /// A case of which only the ledger is asked for.
    #[derive(Debug)]
    struct Ledger(String);

    impl CaseFiles for Ledger {
        fn walk(&self, _visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
            Ok(())
        }

        fn open(&self, _path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
            Ok(Box::new(self.0.as_bytes()))
        }

        fn describe(&self, path: &str) -> PathBuf {
            PathBuf::from(path)
        }
    }

    #[test]
    fn only_artifacts_count_and_only_their_own_size() {
        let ledger = Ledger(
            "{\"at\":\"x\",\"event\":\"case.opened\",\"size\":7}\n\
             {\"event\":\"artifact.acquired\",\"path\":\"data/\\\"size\\\":9\",\"sha256\":\"00\",\"size\":1234,\"source\":{\"size\":1}}\n\
             {\"event\":\"gap.recorded\",\"detail\":\"\\\"event\\\":\\\"artifact.acquired\\\"\",\"size\":5}\n\
             {\"event\":\"artifact.acquired\",\"sha256\":\"00\",\"size\":6}\n\
             {\"event\":\"artifact.acq"
                .to_owned(),
        );
        let totals = in_ledger(&ledger, &|| false).unwrap();
        assert_eq!((totals.count, totals.bytes), (2, 1240));
    }

    #[test]
    fn nobody_waits_for_a_count_that_nobody_wants() {
        let line = "{\"event\":\"artifact.acquired\",\"sha256\":\"00\",\"size\":6}\n";
        assert!(in_ledger(&Ledger(line.repeat(5000)), &|| true).is_none());
    }

    #[test]
    fn a_disclosure_says_in_its_bag_what_it_holds() {
        let totals = in_bag_info(b"Bag-Size: 1 kB\nPayload-Oxum: 1000.3\n").unwrap();
        assert_eq!((totals.count, totals.bytes), (3, 1000));
        assert!(in_bag_info(b"Bag-Size: 1 kB\n").is_none());
    }
}
