//! What a ledger says was collected, as a table: source by account by region.

use std::collections::BTreeMap;
use std::io::BufReader;

use serde::Serialize;

use crate::model::{AccountId, Region, Sha256Hash, Timestamp};

use super::custody::Handover;
use super::event::{Event, Gap, GapReason, Origin};
use super::ledger::{LedgerProblem, read_ledger};
use super::merkle::MerkleTree;
use super::{CaseError, CaseFiles, Gaps, LEDGER};

/// What a case holds, by its ledger alone; nothing is hashed for it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// A row for each source, account and region.
    pub rows: Vec<SummaryRow>,
    /// Artifacts in all.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Every gap that is open: recorded, and not closed by a later run.
    pub gaps: Vec<Gap>,
    /// Every run of `collect`.
    pub runs: Vec<Run>,
    /// The accounts as which a run began, and none that came to its end has asked since.
    pub unfinished_as: Vec<AccountId>,
    /// The seals that the ledger announces.
    pub seals: Vec<String>,
    /// The packages that were written, disclosures among them, each once and by the name of the file that was.
    pub packages: Vec<String>,
    /// The same, with what each is; of two with one name the later.
    #[serde(skip)]
    pub written: Vec<WrittenPackage>,
    /// To whom the case was released last, if nobody has signed for having received it.
    #[serde(skip)]
    pub released: Option<Handover>,
    /// Lines of the ledger.
    pub ledger_lines: u64,
    /// The Merkle root over them.
    pub ledger_root: Sha256Hash,
    /// The first thing in it that does not hold, where anything does not.
    #[serde(skip)]
    pub ledger_problem: Option<LedgerProblem>,
    /// SHA-256 of `case.toml` as the case was opened.
    #[serde(skip)]
    pub case_toml_sha256: Option<Sha256Hash>,
}

/// One source in one account and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// The evidence source.
    pub source: String,
    /// The account, where the evidence is of one.
    pub account: Option<AccountId>,
    /// The region, where the evidence is of one.
    pub region: Option<Region>,
    /// Objects that listings found in scope.
    pub found: u64,
    /// Objects stored.
    pub objects: u64,
    /// Answers of APIs stored.
    pub responses: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// How many gaps there are, by reason.
    pub gaps: BTreeMap<GapReason, u64>,
}

/// One run of `collect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Counted from 1.
    pub run: u32,
    /// When it began.
    pub started: Timestamp,
    /// When it came to its end.
    pub finished: Option<Timestamp>,
    /// Who AWS said was asking; several, where several roles were assumed.
    pub caller: String,
    /// The roles that were to be assumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// One package that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPackage {
    /// The name of the file: of the encrypted one, where it was encrypted.
    pub file: String,
    /// The seal that it carries.
    pub seal: String,
    /// Whether it discloses a part of the case, and is no package of it.
    pub is_disclosure: bool,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

type Place = (String, Option<AccountId>, Option<Region>);

/// Reads the ledger of a case and sums it up.
pub fn summarize(files: &dyn CaseFiles) -> Result<Summary, CaseError> {
    let mut summing = Summing::default();
    let path = files.describe(LEDGER);
    let reader = BufReader::new(files.open(LEDGER)?);
    let state = read_ledger(reader, &path, &mut |line| summing.take(&line.entry.event, line.entry.at))?;
    let ledger_problem = state.problems.into_iter().next();
    Ok(Summary { ledger_problem, ..summing.finish(&state.tree) })
}

/// A summary in the making, event by event in the order of the ledger.
#[derive(Debug)]
pub struct Summing {
    summary: Summary,
    rows: BTreeMap<Place, SummaryRow>,
    gaps: Gaps,
    /// A later run lists the same places again. Objects and their versions are listed at one place by two rules.
    listings: BTreeMap<(Place, String, String, String), u64>,
    /// Whether somebody says to have received what was released, and no seal has signed for it yet.
    is_received: bool,
}

impl Default for Summing {
    fn default() -> Self {
        let summary = Summary {
            rows: Vec::new(),
            artifacts: 0,
            bytes: 0,
            gaps: Vec::new(),
            runs: Vec::new(),
            unfinished_as: Vec::new(),
            seals: Vec::new(),
            packages: Vec::new(),
            written: Vec::new(),
            released: None,
            ledger_lines: 0,
            ledger_root: Sha256Hash::ZERO,
            ledger_problem: None,
            case_toml_sha256: None,
        };
        Self { summary, rows: BTreeMap::new(), gaps: Gaps::default(), listings: BTreeMap::new(), is_received: false }
    }
}

impl Summing {
    /// Takes the next event, and when it was recorded.
    pub fn take(&mut self, event: &Event, at: Timestamp) {
        self.gaps.take(event);
        if let Event::ListingRecorded(listing) = event {
            let place = (listing.source.clone(), listing.account, listing.region.clone());
            let (bucket, prefix, rule) = (listing.bucket.clone(), listing.prefix.clone(), listing.rule.clone());
            self.listings.insert((place, bucket, prefix, rule), listing.in_scope);
        }
        self.summary.take(event, at, &mut self.rows);
        match event {
            Event::CustodyTransferred(act) => {
                self.summary.released = Some(act.handover.clone());
                self.is_received = false;
            }
            Event::CustodyReceived(_) => self.is_received = true,
            Event::CaseSealed(_) if self.is_received => self.summary.released = None,
            _ => {}
        }
    }

    /// The gaps so far.
    #[must_use]
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// The summary, with the tree over all the lines that were taken.
    #[must_use]
    pub fn finish(self, tree: &MerkleTree) -> Summary {
        let Self { mut summary, mut rows, gaps, listings, .. } = self;
        for (((source, account, region), ..), in_scope) in listings {
            row(&mut rows, &source, account, region.as_ref()).found += in_scope;
        }
        summary.unfinished_as = gaps.unfinished_as().iter().copied().collect();
        summary.gaps = gaps.into_open().0;
        for gap in &summary.gaps {
            *row(&mut rows, &gap.source, gap.account, gap.region.as_ref()).gaps.entry(gap.reason).or_default() += 1;
        }
        summary.rows = rows.into_values().collect();
        summary.packages = summary.written.iter().map(|package| package.file.clone()).collect();
        summary.ledger_lines = tree.size();
        summary.ledger_root = tree.root();
        summary
    }
}

fn row<'a>(
    rows: &'a mut BTreeMap<Place, SummaryRow>,
    source: &str,
    account: Option<AccountId>,
    region: Option<&Region>,
) -> &'a mut SummaryRow {
    rows.entry((source.to_owned(), account, region.cloned())).or_insert_with(|| SummaryRow {
        source: source.to_owned(),
        account,
        region: region.cloned(),
        found: 0,
        objects: 0,
        responses: 0,
        bytes: 0,
        gaps: BTreeMap::new(),
    })
}

impl Summary {
    fn take(&mut self, event: &Event, at: Timestamp, rows: &mut BTreeMap<Place, SummaryRow>) {
        match event {
            // The case is opened once; a later line that says so again changes nothing.
            Event::CaseOpened(opened) => {
                self.case_toml_sha256.get_or_insert(opened.case_toml_sha256);
            }
            Event::ArtifactAcquired(artifact) => {
                let row = match &artifact.source {
                    Origin::S3Object(origin) => {
                        let row = row(rows, &origin.source, origin.account, origin.region.as_ref());
                        row.objects += 1;
                        row
                    }
                    Origin::ApiResponse(origin) => {
                        let row = row(rows, &origin.source, Some(origin.account), Some(&origin.region));
                        row.responses += 1;
                        row
                    }
                };
                row.bytes = row.bytes.saturating_add(artifact.size);
                self.artifacts += 1;
                self.bytes = self.bytes.saturating_add(artifact.size);
            }
            Event::CollectionStarted(started) => {
                let caller = started.callers().map(|caller| caller.arn.as_str()).collect::<Vec<_>>().join(", ");
                self.runs.push(Run { run: started.run, started: at, finished: None, caller, roles: started.roles.clone() });
            }
            Event::CollectionFinished(finished) => {
                if let Some(run) = self.runs.iter_mut().find(|run| run.run == finished.run) {
                    run.finished = Some(at);
                }
            }
            Event::CaseSealed(sealed) => self.seals.push(sealed.seal.clone()),
            Event::PackageCreated(package) => {
                let written = WrittenPackage {
                    file: package.written_as().to_owned(),
                    seal: package.seal.clone(),
                    is_disclosure: !package.include.is_empty(),
                    is_encrypted: package.encrypted.is_some(),
                };
                self.written.retain(|before| before.file != written.file);
                self.written.push(written);
            }
            _ => {}
        }
    }

    /// Whether what was begun came to its end, as everybody as whom it was begun.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.runs.last().is_some_and(|run| run.finished.is_some()) && self.unfinished_as.is_empty()
    }

    /// Whether what the latest seal covers was packaged, be it in parts.
    #[must_use]
    pub fn is_packaged(&self) -> bool {
        self.written.iter().any(|package| !package.is_disclosure && self.is_of_latest_seal(package))
    }

    /// Whether a package carries the latest seal.
    #[must_use]
    pub fn is_of_latest_seal(&self, package: &WrittenPackage) -> bool {
        self.seals.last() == Some(&package.seal)
    }

    /// Whether everything in scope was asked for and is stored.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_finished() && !self.gaps.iter().any(|gap| gap.reason.is_incompleteness())
    }
}
