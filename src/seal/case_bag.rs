//! The bag of a case: written by the first seal, and by every later one held against what was sealed.

use std::io::{self, Write};

use crate::case::event::Tool;
use crate::case::{CaseError, CaseFiles as _, CaseFolder, CaseWriter, IoContext as _, read_bounded};
use crate::model::{HashingReader, Sha256Hash, Sha256Hasher, Timestamp};

use super::manifest::{Lists, ManifestReader};
use super::payload::{self, Recorded};
use super::{
    ALLOWED_SIGNERS, ArtifactTotals, MANIFEST, NOT_THERE, SealError, SealStatement, SealedBy, SigningKey, TAG_FILES,
    TAG_MANIFEST, VERIFY_HTML, VERIFY_TXT, admit, bag,
};

/// Largest tag manifest that is read.
const TAG_MANIFEST_LIMIT: u64 = 1024 * 1024;
/// What a seal says of a file that an earlier one covers and that was found changed, before its path.
const CHANGED: &str = "tag-file-modified";

/// What a seal says of the bag.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaseBag {
    pub(super) artifacts: ArtifactTotals,
    pub(super) manifest_sha256: Sha256Hash,
    pub(super) tagmanifest_sha256: Sha256Hash,
}

impl From<&SealStatement> for CaseBag {
    fn from(seal: &SealStatement) -> Self {
        Self { artifacts: seal.artifacts, manifest_sha256: seal.manifest_sha256, tagmanifest_sha256: seal.tagmanifest_sha256 }
    }
}

impl CaseBag {
    /// Writes the bag's tag files, the tag manifest last. Without `recorded`, the manifest lists what is found.
    pub(super) fn write(
        writer: &mut CaseWriter,
        files: &CaseFolder,
        recorded: Option<Recorded>,
        (key, at, tool): (&SigningKey, Timestamp, &Tool),
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, SealError> {
        let mut manifest = writer.begin_tag_file(MANIFEST)?;
        let artifacts = match recorded {
            Some(recorded) => payload::check(writer, files, recorded, &mut manifest, progress)?,
            None => payload::list(files, &mut manifest, progress)?,
        };
        let manifest_sha256 = manifest.finish()?;
        let identity = writer.identity().clone();
        let texts = [
            ("bagit.txt", bag::BAGIT.to_owned()),
            ("bag-info.txt", bag::bag_info(&identity, artifacts, at, tool)),
            (VERIFY_TXT, bag::verify_text(&identity, artifacts, &manifest_sha256, &SealedBy::of(key))),
            (VERIFY_HTML, bag::VERIFY_PAGE.to_owned()),
            (ALLOWED_SIGNERS, bag::allowed_signers(key)),
        ];
        for (path, text) in &texts {
            writer.begin_tag_file(path)?.finish_with(text.as_bytes())?;
        }
        let mut hashes = Vec::new();
        for path in TAG_FILES {
            hashes.push((path, hash_file(files, path)?));
        }
        let tagmanifest_sha256 = writer.begin_tag_file(TAG_MANIFEST)?.finish_with(bag::tag_manifest(&hashes).as_bytes())?;
        Ok(Self { artifacts, manifest_sha256, tagmanifest_sha256 })
    }

    /// The bag as it lies there, of a case whose first seal is lost; none if it was never whole.
    pub(super) fn found(files: &CaseFolder) -> Result<Option<Self>, CaseError> {
        let (Some(tag_manifest), Some(manifest_sha256)) = (read(files, TAG_MANIFEST)?, found_hash(files, MANIFEST)?) else {
            return Ok(None);
        };
        let mut artifacts = ArtifactTotals::default();
        let mut lines = ManifestReader::new(io::BufReader::new(files.open(MANIFEST)?), Lists::Payload);
        while let Ok(Some(line)) = lines.next_line() {
            artifacts.count += 1;
            match files.open_file(&line.path) {
                Ok((_, size)) => artifacts.bytes = artifacts.bytes.saturating_add(size),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Self { artifacts, manifest_sha256, tagmanifest_sha256: Sha256Hash::of(&tag_manifest) }))
    }

    /// Checks that payload and tag files still are what seal number `seal` covers.
    ///
    /// Without `recorded` the payload is known to differ, and what differs of the rest is added to `damage`: the next seal is over the same bag,
    /// and says what was found to be otherwise.
    pub(super) fn check(
        self,
        writer: &CaseWriter,
        files: &CaseFolder,
        recorded: Option<Recorded>,
        seal: u32,
        damage: &mut Vec<String>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, SealError> {
        let as_found = recorded.is_none();
        if let Some(recorded) = recorded {
            let mut manifest = HashingSink::default();
            let artifacts = payload::check(writer, files, recorded, &mut manifest, progress)?;
            if (manifest.0.finish(), artifacts) != (self.manifest_sha256, self.artifacts) {
                return Err(SealError::NotAsSealed { path: files.describe(MANIFEST), seal });
            }
        }
        let mut compare = |path: &str, found: Option<Sha256Hash>, sealed: Sha256Hash| {
            let told = match found {
                Some(found) if found == sealed => return Ok(()),
                _ if !as_found => return Err(SealError::NotAsSealed { path: files.describe(path), seal }),
                Some(_) => CHANGED,
                None => NOT_THERE,
            };
            admit(damage, format!("{told} {path}"));
            Ok(())
        };
        let tag_manifest = read(files, TAG_MANIFEST)?;
        compare(MANIFEST, found_hash(files, MANIFEST)?, self.manifest_sha256)?;
        compare(TAG_MANIFEST, tag_manifest.as_deref().map(Sha256Hash::of), self.tagmanifest_sha256)?;
        let tag_manifest = tag_manifest.filter(|found| Sha256Hash::of(found) == self.tagmanifest_sha256).unwrap_or_default();
        let mut lines = ManifestReader::new(tag_manifest.as_slice(), Lists::Tags);
        let unread = |_| SealError::NotAsSealed { path: files.describe(TAG_MANIFEST), seal };
        while let Some(line) = lines.next_line().map_err(unread)? {
            compare(&line.path, found_hash(files, &line.path)?, line.sha256)?;
        }
        Ok(self)
    }
}

fn read(files: &CaseFolder, path: &str) -> Result<Option<Vec<u8>>, CaseError> {
    match read_bounded(files, path, TAG_MANIFEST_LIMIT) {
        Err(error) if error.is_not_found() => Ok(None),
        read => read.map(Some),
    }
}

/// The hash of a file, if it is there.
fn found_hash(files: &CaseFolder, path: &str) -> Result<Option<Sha256Hash>, CaseError> {
    match hash_file(files, path) {
        Err(error) if error.is_not_found() => Ok(None),
        hashed => hashed.map(Some),
    }
}

fn hash_file(files: &CaseFolder, path: &str) -> Result<Sha256Hash, CaseError> {
    let (sha256, _) = HashingReader::new(files.open(path)?).finish().doing("read", &files.describe(path))?;
    Ok(sha256)
}

#[derive(Default)]
struct HashingSink(Sha256Hasher);

impl Write for HashingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
