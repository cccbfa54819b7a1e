//! Members that lie in memory together, as they will lie in the zip.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use crate::model::{Sha256Hash, Sha256Hasher};

use super::headers::local_header_length;

/// Hashed at once while there is something else to look out for.
const STEP: usize = 128 * 1024;

/// Members with room for their headers, in one piece.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Never emptied, so that it need not be filled again.
    buffer: Vec<u8>,
    used: usize,
    members: Vec<Member>,
    /// Members before this one need not be hashed any more.
    hashed: usize,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// Where its header begins.
    header: usize,
    content: Range<usize>,
    /// What it must be.
    expected: Option<Expected>,
}

#[derive(Debug)]
struct Expected {
    /// Its path in the case.
    path: String,
    sha256: Sha256Hash,
    hasher: Sha256Hasher,
    /// So much of the content has been hashed.
    hashed: usize,
}

impl Load {
    /// Makes room for other members.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.members.clear();
        self.hashed = 0;
    }

    /// Adds a member that is no file.
    pub(super) fn add_text(&mut self, name: String, text: &[u8]) {
        let content = self.room(&name, text.len());
        if let Some(place) = self.buffer.get_mut(content.clone()) {
            place.copy_from_slice(text);
        }
        self.take(name, content, None);
    }

    /// Adds a file of the case that has `size` bytes. Says whether it has as many.
    pub(super) fn add_file(
        &mut self,
        name: String,
        path: String,
        size: usize,
        sha256: Option<Sha256Hash>,
        mut file: impl Read,
    ) -> io::Result<bool> {
        let content = self.room(&name, size);
        let mut at = content.start;
        while at < content.end {
            match file.read(self.buffer.get_mut(at..content.end).unwrap_or_default()) {
                Ok(0) => return Ok(false),
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let expected = sha256.map(|sha256| Expected { path, sha256, hasher: Sha256Hasher::default(), hashed: 0 });
        self.take(name, content, expected);
        Ok(true)
    }

    /// Where the content of a member will lie.
    fn room(&mut self, name: &str, size: usize) -> Range<usize> {
        let start = self.used + local_header_length(name);
        let end = start + size;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        start..end
    }

    fn take(&mut self, name: String, content: Range<usize>, expected: Option<Expected>) {
        let header = self.used;
        self.used = content.end;
        self.members.push(Member { name, header, content, expected });
    }

    /// Name and content of each member.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.members.iter().map(|member| (member.name.as_str(), self.buffer.get(member.content.clone()).unwrap_or_default()))
    }

    /// Puts the headers where room was left for them. Says whether they fill it.
    pub(super) fn take_headers<'a>(&mut self, headers: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut taken = 0;
        for (member, header) in self.members.iter().zip(headers) {
            match self.buffer.get_mut(member.header..member.content.start) {
                Some(place) if place.len() == header.len() => place.copy_from_slice(header),
                _ => return false,
            }
            taken += 1;
        }
        taken == self.members.len()
    }

    /// Hashes a little of what must be compared, if there is anything left.
    pub(super) fn hash_some(&mut self) -> bool {
        let Self { buffer, members, hashed, .. } = self;
        let mut left = members.iter_mut().enumerate().skip(*hashed).filter_map(|(at, member)| {
            let content = buffer.get(member.content.clone()).unwrap_or_default();
            let expected = member.expected.as_mut().filter(|expected| expected.hashed < content.len())?;
            let rest = content.get(expected.hashed..).unwrap_or_default();
            Some((at, expected, rest.get(..STEP).unwrap_or(rest)))
        });
        let Some((at, one, piece)) = left.next() else { return false };
        match left.next() {
            Some((_, other, others)) => {
                one.hasher.update_beside(piece, &mut other.hasher, others);
                other.hashed += others.len();
            }
            None => one.hasher.update(piece),
        }
        one.hashed += piece.len();
        *hashed = at;
        true
    }

    /// Hashes everything as bytes of the zip, and what of the files is not hashed yet.
    pub(super) fn hash_into(&mut self, zip: &mut Sha256Hasher) {
        for member in &mut self.members {
            zip.update(self.buffer.get(member.header..member.content.start).unwrap_or_default());
            let content = self.buffer.get(member.content.clone()).unwrap_or_default();
            let Some(expected) = &mut member.expected else {
                zip.update(content);
                continue;
            };
            let (hashed, rest) = content.split_at(expected.hashed.min(content.len()));
            zip.update(hashed);
            zip.update_beside(rest, &mut expected.hasher, rest);
            expected.hashed = content.len();
        }
        self.hashed = self.members.len();
    }

    /// The path of the first file that is not what it must be, once everything is hashed.
    pub(super) fn changed(&self) -> Option<&str> {
        let mut expected = self.members.iter().filter_map(|member| member.expected.as_ref());
        expected.find(|expected| expected.hasher.clone().finish() != expected.sha256).map(|expected| expected.path.as_str())
    }

    /// How many members there are, and the bytes of their content.
    pub(super) fn totals(&self) -> (u64, u64) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        (count(self.members.len()), self.members.iter().map(|member| count(member.content.len())).sum())
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_what_it_must_be_is_found_however_it_was_hashed() {
        let long = vec![7; STEP + 100];
        for steps in 0..5 {
            for wrong in [None, Some(0), Some(1), Some(2)] {
                let mut load = Load::default();
                for (at, content) in [b"first".as_slice(), &long, b""].into_iter().enumerate() {
                    let sha256 = if wrong == Some(at) { Sha256Hash::ZERO } else { Sha256Hash::of(content) };
                    load.add_text(format!("text {at}"), b"text");
                    assert!(load.add_file(format!("file {at}"), at.to_string(), content.len(), Some(sha256), content).unwrap());
                }
                // Two files at a time, and then the rest of the long one.
                for step in 0..steps {
                    assert_eq!(load.hash_some(), step < 2);
                }
                let mut zip = Sha256Hasher::default();
                load.hash_into(&mut zip);
                assert_eq!(zip.finish(), Sha256Hash::of(load.bytes()));
                assert_eq!(load.changed(), wrong.map(|at| ["0", "1", "2"][at]));
            }
        }
    }

    #[test]
    fn a_file_that_ends_early_is_told_of() {
        let mut load = Load::default();
        assert!(!load.add_file("name".to_owned(), "path".to_owned(), 5, None, b"four".as_slice()).unwrap());
    }
}
