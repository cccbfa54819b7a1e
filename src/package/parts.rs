//! A package in numbered parts, each a bag of its own, for media and channels that take no large file.
//!
//! Every part has everything but the payload in full: ledger, seals, `case.toml`, and under `whole/` the manifests that were sealed. Of the
//! payload it has a run of files in the manifest's order, and `custody/part.json` says which part has which.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::case::ledger::canonical;
use crate::case::{CaseFiles as _, CaseFolder, FORMAT_VERSION, IoContext as _, read_bounded};
use crate::model::{Sha256Hash, strict_json};
use crate::seal::bag::tag_manifest;
use crate::seal::manifest::{self, Lists, ManifestLine, ManifestReader};
use crate::seal::{MANIFEST, TAG_MANIFEST};

use super::archive::Written;
use super::publish::{Delivery, Part, Prepared, prepare};
use super::writing::{BUFFER, Contents, Members, Tag};
use super::{PackageError, PackageSummary, Progress};

/// Where a part says which one it is.
pub(super) const PART: &str = "custody/part.json";
/// Where the files that were sealed lie in a part, which has others of its own under these names.
pub(super) const WHOLE: &str = "whole/";
/// The files of the bag that each part has of its own.
pub(super) const OWN: [&str; 3] = ["bag-info.txt", MANIFEST, TAG_MANIFEST];
/// Largest `custody/part.json` or `bag-info.txt` that is read.
pub(super) const LIMIT: u64 = 16 * 1024 * 1024;
/// Most parts that are read as those of one package.
const MOST: usize = 9999;
/// Most parts that are written: with more, a size was mistyped, and nobody keeps them together.
const MOST_WRITTEN: usize = 999;

/// `custody/part.json`, in RFC 8785 canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartStatement {
    /// Version of the format.
    pub(super) format_version: u32,
    /// Which part this is, from 1.
    pub(super) number: u32,
    /// SHA-256 of the latest seal, which is that of all parts.
    pub(super) seal_sha256: Sha256Hash,
    /// Every part.
    pub(super) parts: Vec<PartContent>,
}

/// What one part has of the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartContent {
    /// The path of its first file; it ends where the next part begins.
    pub(super) first: String,
    /// How many files.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

impl PartStatement {
    /// Reads what a part says of itself, and refuses what no caselock writes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let part: Self = serde_json::from_value(strict_json::parse(bytes).ok()?).ok()?;
        let ordered = part.parts.array_windows().all(|[a, b]| a.first < b.first);
        let numbered = usize::try_from(part.number).is_ok_and(|number| (1..=part.parts.len()).contains(&number));
        let same = canonical(&part).is_ok_and(|encoded| encoded == bytes);
        (part.format_version == FORMAT_VERSION && ordered && numbered && same).then_some(part)
    }

    /// Which part, from 0, has the payload file at `path`.
    pub(super) fn place_of(&self, path: &str) -> usize {
        self.parts.partition_point(|part| part.first.as_str() <= path).saturating_sub(1)
    }
}

/// The name of a part: `CASE.zip` gives `CASE.part-1-of-3.zip`.
pub(super) fn part_name(out: &Path, number: u32, of: usize) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let extension = out.extension().map_or_else(|| "zip".into(), |extension| extension.to_string_lossy());
    out.with_file_name(format!("{stem}.part-{number}-of-{of}.{extension}"))
}

/// What the name of a part says: the name of the whole, which part of it, and of how many.
#[must_use]
pub fn part_of(file_name: &str) -> Option<(String, u32, u32)> {
    let (stem, extension) = file_name.rsplit_once('.')?;
    let (whole, numbers) = stem.rsplit_once(".part-")?;
    let (number, of) = numbers.split_once("-of-")?;
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    let can_be = (1..=of).contains(&number) && usize::try_from(of).is_ok_and(|of| of <= MOST);
    can_be.then(|| (format!("{whole}.{extension}"), number, of))
}

/// Writes the package of a sealed case in parts, each with at most about `limit` bytes of payload; a file larger than that has a part of its own.
///
/// The same sealed case and the same limit give the same bytes.
pub fn write_parts(case: &CaseFolder, out: &Path, limit: u64) -> Result<Vec<PackageSummary>, PackageError> {
    write_parts_with(case, out, limit, &Delivery::plain(&Progress::default()))
}

/// Writes parts as [`write_parts`] does, plain or encrypted, and tells how far it has come.
pub fn write_parts_with(
    case: &CaseFolder,
    out: &Path,
    limit: u64,
    delivery: &Delivery<'_>,
) -> Result<Vec<PackageSummary>, PackageError> {
    let progress = delivery.progress();
    let sealed = Contents::of(case)?;
    let seal_sha256 = Sha256Hash::of(&read_bounded(case, &sealed.seal_path, LIMIT)?);
    let parts = divide(case, limit)?;
    let of = parts.len();
    if of > MOST_WRITTEN {
        let smallest = smallest_limit(&sizes(case)?, MOST_WRITTEN);
        return Err(PackageError::TooManyParts { parts: of, most: MOST_WRITTEN, smallest });
    }
    for number in (1_u32..).take(of) {
        delivery.refuse_taken(&part_name(out, number, of))?;
    }
    let (files, bytes) = sealed.totals_of_payload();
    progress.expect(files, bytes);
    let ((files, bytes), times) = (sealed.totals_of_tags(case), u64::try_from(of).unwrap_or(u64::MAX));
    progress.expect(files.saturating_mul(times), bytes.saturating_mul(times));
    let mut manifest = ManifestReader::new(BufReader::with_capacity(BUFFER, case.open(MANIFEST)?), Lists::Payload);
    let mut summaries = Vec::new();
    let mut waiting: Vec<(PathBuf, Prepared)> = Vec::new();
    for number in (1_u32..).take(of) {
        let statement = PartStatement { format_version: FORMAT_VERSION, number, seal_sha256, parts: parts.clone() };
        let part = PartBag::of(case, &sealed, &mut manifest, &statement)?;
        progress.expect_texts(part.texts.iter().map(|(_, bytes)| bytes.as_slice()));
        let path = part_name(out, number, of);
        let mut prepared = prepare(&path, delivery, |file| part.write(case, file, progress))?;
        if delivery.is_repeatable() {
            // An attempt that is cut off later finds this part again.
            summaries.push(prepared.publish()?.summary(path, sealed.seal_path.clone()));
            continue;
        }
        // It could not be told from another, so that an attempt that is cut off must leave none. The first one's lock is that of all.
        if number > 1 {
            prepared.close();
        }
        waiting.push((path, prepared));
    }
    let mut published = Vec::new();
    // The lock goes last.
    for (path, prepared) in waiting.into_iter().rev() {
        published.push(prepared.publish()?.summary(path, sealed.seal_path.clone()));
    }
    summaries.extend(published.into_iter().rev());
    Ok(summaries)
}

/// What goes into one part.
struct PartBag<'a> {
    top: String,
    payload: Vec<ManifestLine>,
    /// The tag files that this part has of its own, with their content.
    texts: Vec<(String, Vec<u8>)>,
    /// Those of the sealed case, with their places.
    tags: Vec<(String, &'a Tag)>,
}

impl<'a> PartBag<'a> {
    /// The next part, whose payload comes next in the case's manifest.
    fn of(
        case: &CaseFolder,
        sealed: &'a Contents,
        manifest: &mut ManifestReader<impl BufRead>,
        statement: &PartStatement,
    ) -> Result<Self, PackageError> {
        let (number, of) = (statement.number, statement.parts.len());
        let at = usize::try_from(number.saturating_sub(1)).ok();
        let content = at.and_then(|at| statement.parts.get(at)).ok_or_else(|| not_as_sealed(case, "it has fewer parts"))?;
        let mut payload = Vec::new();
        while u64::try_from(payload.len()).unwrap_or(u64::MAX) < content.files {
            match manifest.next_line().map_err(|error| not_as_sealed(case, &error.to_string()))? {
                Some(line) => payload.push(line),
                None => return Err(not_as_sealed(case, "it is shorter than it was")),
            }
        }
        let own_manifest: String = payload.iter().map(|line| manifest::line(&line.sha256, &line.path)).collect();
        let mut texts: Vec<(String, Vec<u8>)> = vec![
            ("bag-info.txt".to_owned(), bag_info(case, number, of, content)?.into_bytes()),
            (PART.to_owned(), canonical(statement).map_err(|error| not_as_sealed(case, &error.to_string()))?),
            (MANIFEST.to_owned(), own_manifest.into_bytes()),
        ];
        let mut hashes: Vec<(String, Sha256Hash)> =
            texts.iter().map(|(path, bytes)| (path.clone(), Sha256Hash::of(bytes))).collect();
        let mut tags = Vec::new();
        for tag in &sealed.tags {
            let place = if OWN.contains(&tag.path.as_str()) { format!("{WHOLE}{}", tag.path) } else { tag.path.clone() };
            // The ledger and what signs for it are covered by the seal, as in the whole package.
            if let Some(sha256) = tag.sha256.filter(|_| !tag.path.starts_with("custody/seals/")) {
                hashes.push((place.clone(), sha256));
            }
            tags.push((place, tag));
        }
        hashes.sort();
        let listed: Vec<(&str, Sha256Hash)> = hashes.iter().map(|(path, sha256)| (path.as_str(), *sha256)).collect();
        texts.push((TAG_MANIFEST.to_owned(), tag_manifest(&listed).into_bytes()));
        Ok(Self { top: format!("{}-part-{number}-of-{of}", sealed.top), payload, texts, tags })
    }

    /// Writes the part's zip: all members in the order of their paths.
    fn write(&self, case: &CaseFolder, file: &Part, progress: &Progress) -> Result<Written, PackageError> {
        let mut members = Members::begin(case, file, &self.top, progress)?;
        let texts = self.texts.iter().map(|(path, bytes)| (path.as_str(), Source::Text(bytes)));
        let tags = self.tags.iter().map(|(place, tag)| (place.as_str(), Source::Tag(tag)));
        let mut order: Vec<(&str, Source<'_>)> = texts.chain(tags).collect();
        order.sort_by_key(|(path, _)| *path);
        let (before, after): (Vec<_>, Vec<_>) = order.into_iter().partition(|(path, _)| *path < "data/");
        for (path, source) in before {
            add(&mut members, path, &source)?;
        }
        for line in &self.payload {
            members.add(&line.path, Some(line.sha256), None)?;
        }
        for (path, source) in after {
            add(&mut members, path, &source)?;
        }
        members.finish()
    }
}

enum Source<'a> {
    Text(&'a [u8]),
    Tag(&'a Tag),
}

fn add(members: &mut Members<'_>, place: &str, source: &Source<'_>) -> Result<(), PackageError> {
    match source {
        Source::Text(bytes) => members.add_bytes(place, bytes),
        Source::Tag(tag) => members.add_as(place, &tag.path, tag.sha256, tag.bytes),
    }
}

/// Which part has which files: runs of the manifest, each of at most `limit` bytes, but for single files that are larger.
fn divide(case: &CaseFolder, limit: u64) -> Result<Vec<PartContent>, PackageError> {
    let mut parts: Vec<PartContent> = Vec::new();
    let mut manifest = ManifestReader::new(BufReader::with_capacity(BUFFER, case.open(MANIFEST)?), Lists::Payload);
    while let Some(line) = manifest.next_line().map_err(|error| not_as_sealed(case, &error.to_string()))? {
        let place = case.describe(&line.path);
        let size = place.symlink_metadata().doing("look at", &place)?.len();
        match parts.last_mut() {
            Some(part) if part.bytes.saturating_add(size) <= limit => {
                part.files += 1;
                part.bytes += size;
            }
            _ => parts.push(PartContent { first: line.path, files: 1, bytes: size }),
        }
    }
    if parts.is_empty() { Err(not_as_sealed(case, "it lists nothing")) } else { Ok(parts) }
}

/// The sizes of the payload files, in the manifest's order.
fn sizes(case: &CaseFolder) -> Result<Vec<u64>, PackageError> {
    let mut sizes = Vec::new();
    let mut manifest = ManifestReader::new(BufReader::with_capacity(BUFFER, case.open(MANIFEST)?), Lists::Payload);
    while let Some(line) = manifest.next_line().map_err(|error| not_as_sealed(case, &error.to_string()))? {
        let place = case.describe(&line.path);
        sizes.push(place.symlink_metadata().doing("look at", &place)?.len());
    }
    Ok(sizes)
}

/// The smallest limit with which files of these sizes, in this order, make at most `most` parts.
fn smallest_limit(sizes: &[u64], most: usize) -> u64 {
    let parts = |limit: u64| {
        let (mut count, mut filled) = (0_usize, 0_u64);
        for size in sizes {
            if count > 0 && filled.saturating_add(*size) <= limit {
                filled += size;
            } else {
                (count, filled) = (count + 1, *size);
            }
        }
        count
    };
    // More never makes more parts.
    let (mut few, mut enough) = (0, sizes.iter().sum());
    while few < enough {
        let between = few + (enough - few) / 2;
        if parts(between) <= most { enough = between } else { few = between + 1 }
    }
    enough
}

/// The sealed `bag-info.txt` with the numbers of this part (RFC 8493 section 2.2.2).
fn bag_info(case: &CaseFolder, number: u32, of: usize, content: &PartContent) -> Result<String, PackageError> {
    let sealed = read_bounded(case, "bag-info.txt", LIMIT)?;
    let sealed = String::from_utf8(sealed).map_err(|error| not_as_sealed(case, &error.to_string()))?;
    let group = super::top_folder(&crate::case::read_identity(case)?.case_number);
    Ok(own_bag_info(&sealed, &group, number, of, content))
}

/// The `bag-info.txt` of a part, from the one that was sealed.
pub(super) fn own_bag_info(sealed: &str, group: &str, number: u32, of: usize, content: &PartContent) -> String {
    let mut text = String::new();
    let mut kept = true;
    for line in sealed.split_inclusive('\n') {
        // A folded line goes with the one it continues.
        if !line.starts_with([' ', '\t']) {
            kept = !["Payload-Oxum:", "Bag-Size:"].iter().any(|label| line.starts_with(label));
        }
        if kept {
            text.push_str(line);
        }
    }
    for (label, value) in [
        ("Bag-Group-Identifier", group.to_owned()),
        ("Bag-Count", format!("{number} of {of}")),
        ("Payload-Oxum", format!("{}.{}", content.bytes, content.files)),
    ] {
        text.push_str(&crate::seal::bag::field(label, &value));
    }
    text
}

fn not_as_sealed(case: &CaseFolder, problem: &str) -> PackageError {
    PackageError::NotAsSealed { path: case.describe(MANIFEST), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_is_the_first_that_makes_few_enough_parts() {
        let of = |sizes: &[u64], most| smallest_limit(sizes, most);
        assert_eq!([of(&[4, 4, 4, 4], 4), of(&[4, 4, 4, 4], 2), of(&[4, 4, 4, 4], 1)], [0, 8, 16]);
        assert_eq!(of(&[1, 9, 1, 1], 2), 10, "9 and 1 before it, or after it");
        assert_eq!(of(&[1, 9, 1, 1], 3), 2, "a file that is larger has a part of its own");
        let many: Vec<u64> = (0..5_000).map(|number| number * 37 % 101).collect();
        let smallest = of(&many, MOST_WRITTEN);
        let parts = |limit: u64| {
            let mut parts: Vec<u64> = Vec::new();
            for size in &many {
                match parts.last_mut() {
                    Some(part) if *part + size <= limit => *part += size,
                    _ => parts.push(*size),
                }
            }
            parts.len()
        };
        assert!(parts(smallest) <= MOST_WRITTEN && parts(smallest - 1) > MOST_WRITTEN, "{smallest}");
    }

    #[test]
    fn the_name_of_a_part_tells_whose_it_is() {
        let name = part_name(Path::new("IR-1.part-2.zip"), 2, 13);
        let told = part_of(name.to_str().unwrap());
        assert_eq!(told, Some(("IR-1.part-2.zip".to_owned(), 2, 13)));
        let others =
            ["p.zip", "p.part-1.zip", "p.part-4-of-3.zip", "p.part-0-of-3.zip", "p.part-x-of-y.zip", "p.part-1-of-10000.zip"];
        for other in others {
            assert_eq!(part_of(other), None, "{other}");
        }
    }
}
