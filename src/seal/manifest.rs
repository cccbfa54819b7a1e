//! `BagIt` manifests as caselock writes them: `HASH`, two blanks, path; in the order of the paths' bytes; nothing else.

use std::io::{BufRead, Read as _};

use crate::model::Sha256Hash;

/// Longest line that is read.
const LINE_LIMIT: u64 = 1024;

/// One line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestLine {
    /// SHA-256 of the file.
    pub sha256: Sha256Hash,
    /// Its path, from the case folder.
    pub path: String,
}

/// A manifest is not as caselock writes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It could not be read.
    #[error("line {line} cannot be read")]
    Io {
        /// The line, counted from 1.
        line: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is not as it should be.
    #[error("line {line} {problem}")]
    Malformed {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Which files a manifest may list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// `manifest-sha256.txt`: files under `data/`.
    Payload,
    /// `tagmanifest-sha256.txt`: files elsewhere.
    Tags,
}

/// Reads a manifest line by line, and refuses whatever caselock would not have written.
#[derive(Debug)]
pub struct ManifestReader<R> {
    reader: R,
    lists: Lists,
    line: u64,
    previous: String,
    buffer: Vec<u8>,
}

impl<R: BufRead> ManifestReader<R> {
    /// Reads from `reader`.
    pub fn new(reader: R, lists: Lists) -> Self {
        Self { reader, lists, line: 0, previous: String::new(), buffer: Vec::new() }
    }

    /// The next line; `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<ManifestLine>, ManifestError> {
        self.line += 1;
        let line = self.line;
        let malformed = |problem| ManifestError::Malformed { line, problem };
        self.buffer.clear();
        let read = (&mut self.reader).take(LINE_LIMIT).read_until(b'\n', &mut self.buffer);
        if read.map_err(|source| ManifestError::Io { line, source })? == 0 {
            return Ok(None);
        }
        let text = self.buffer.strip_suffix(b"\n").ok_or(malformed("does not end, or is too long"))?;
        let text = std::str::from_utf8(text).map_err(|_| malformed("is not UTF-8"))?;
        let (hash, path) = text.split_once("  ").ok_or(malformed("is not a hash, two blanks and a path"))?;
        if hash.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(malformed("has its hash in upper case"));
        }
        let sha256 = hash.parse().map_err(|_| malformed("does not begin with a SHA-256 hash"))?;
        if !is_portable(path) || path.starts_with("data/") != (self.lists == Lists::Payload) {
            return Err(malformed("names a file that this manifest cannot list"));
        }
        if path <= self.previous.as_str() {
            return Err(malformed("is out of order, or lists a file again"));
        }
        path.clone_into(&mut self.previous);
        Ok(Some(ManifestLine { sha256, path: path.to_owned() }))
    }
}

/// Writes one line.
#[must_use]
pub fn line(sha256: &Sha256Hash, path: &str) -> String {
    format!("{sha256}  {path}\n")
}

/// Whether a path has the shape of those in a case: relative, of portable components, none of them only dots.
#[must_use]
pub fn is_portable(path: &str) -> bool {
    let safe = |part: &str| {
        !part.is_empty()
            && part.len() <= 128
            && !part.bytes().all(|b| b == b'.')
            && !part.ends_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._=+@,-~".contains(&b))
    };
    path.len() <= 264 && path.split('/').all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn read(text: &str, lists: Lists) -> Result<Vec<String>, ManifestError> {
        let mut reader = ManifestReader::new(text.as_bytes(), lists);
        let mut paths = Vec::new();
        while let Some(line) = reader.next_line()? {
            paths.push(line.path);
        }
        Ok(paths)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = ["data/a", "data/a-b", "data/a/b"].map(|path| line(&HASH.parse().unwrap(), path)).concat();
        assert_eq!(read(&text, Lists::Payload).unwrap(), ["data/a", "data/a-b", "data/a/b"]);
    }

    #[test]
    fn whatever_caselock_would_not_write_is_refused() {
        let upper = HASH.to_uppercase();
        let long = "x".repeat(2000);
        for text in [
            format!("{HASH}  data/a"),
            format!("{HASH} data/a\n"),
            format!("{HASH}  data/a\r\n"),
            format!("{HASH} *data/a\n"),
            format!("{upper}  data/a\n"),
            format!("{HASH}  data/../a\n"),
            format!("{HASH}  /data/a\n"),
            format!("{HASH}  data/a%0Ab\n"),
            format!("{HASH}  data\\a\n"),
            format!("{HASH}  README.txt\n"),
            format!("{HASH}  data/b\n{HASH}  data/a\n"),
            format!("{HASH}  data/a\n{HASH}  data/a\n"),
            format!("{HASH}  data/{long}\n"),
            "\n".to_owned(),
        ] {
            assert!(read(&text, Lists::Payload).is_err(), "{text:?}");
        }
        assert!(read(&format!("{HASH}  data/a\n"), Lists::Tags).is_err());
    }
}
