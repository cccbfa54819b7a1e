//! Encryption for handover: an age file (age-encryption.org/v1) around a package, for age recipients and SSH keys.
//!
//! It is outside everything that is hashed and signed: whoever decrypts it has the package, byte for byte.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write};
use std::path::Path;

use crate::case::IoContext as _;
use crate::model::{Sha256Hasher, printable};

use super::archive::Written;
use super::publish::Part;
use super::{PackageError, Progress};

/// Copied at once.
const BUFFER: usize = 256 * 1024;
/// Largest file of recipients that is read.
const RECIPIENTS_LIMIT: u64 = 1024 * 1024;

/// Somebody who can decrypt a package.
pub struct Recipient {
    key: Box<dyn age::Recipient>,
    text: String,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recipient").field(&self.text).finish()
    }
}

impl Recipient {
    /// Reads an age recipient (`age1…`) or a public SSH key (`ssh-ed25519`, `ssh-rsa`).
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let text = text.trim();
        let refuse = |problem: String| PackageError::Recipient { text: printable(text), problem };
        if text.starts_with("ssh-") {
            let key: age::ssh::Recipient = text.parse().map_err(|problem| refuse(format!("{problem:?}")))?;
            // Without the comment, which is nobody's business.
            let text = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            return Ok(Self { key: Box::new(key), text });
        }
        let key: age::x25519::Recipient = text.parse().map_err(|problem: &str| refuse(problem.to_owned()))?;
        Ok(Self { key: Box::new(key), text: text.to_owned() })
    }

    /// The public key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Reads recipients as they were given: each a public key, or a file with one on each line.
pub fn read_recipients(given: &[String]) -> Result<Vec<Recipient>, PackageError> {
    let mut recipients = Vec::new();
    for text in given {
        if text.starts_with("age1") || text.starts_with("ssh-") {
            recipients.push(Recipient::parse(text)?);
            continue;
        }
        let path = Path::new(text);
        let mut list = String::new();
        // A key that was mistyped is taken for the name of a file that is not there.
        let refuse = |problem: String| PackageError::Recipient { text: printable(text), problem };
        let read = File::open(path).and_then(|file| file.take(RECIPIENTS_LIMIT).read_to_string(&mut list));
        read.map_err(|error| refuse(error.to_string()))?;
        let before = recipients.len();
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            recipients.push(Recipient::parse(line)?);
        }
        if recipients.len() == before {
            return Err(refuse("the file names nobody".to_owned()));
        }
    }
    Ok(recipients)
}

/// Encrypts a package, as it was just written, into `target`.
pub(super) fn encrypt(
    package: &Part,
    written: Written,
    target: &Part,
    recipients: &[Recipient],
    progress: &Progress,
) -> Result<Written, PackageError> {
    progress.expect(0, written.size);
    let keys = recipients.iter().map(|recipient| &*recipient.key);
    let encryptor = age::Encryptor::with_recipients(keys).map_err(io::Error::other).doing("encrypt", package.path())?;
    let out = HashingWriter { file: target.file()?, hasher: Sha256Hasher::default(), size: 0 };
    let mut out = encryptor.wrap_output(out).doing("write", target.path())?;
    let mut source = package.file()?;
    source.rewind().doing("read", package.path())?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.doing("read", package.path())?,
        };
        out.write_all(buffer.get(..count).unwrap_or_default()).doing("write", target.path())?;
        progress.add(0, u64::try_from(count).unwrap_or(0));
    }
    let out = out.finish().doing("write", target.path())?;
    Ok(Written { members: written.members, size: out.size, sha256: out.hasher.finish() })
}

struct HashingWriter<'a> {
    file: &'a File,
    hasher: Sha256Hasher,
    size: u64,
}

impl Write for HashingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        self.size += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
