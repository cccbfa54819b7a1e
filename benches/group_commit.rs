//! Files a second into a case: one sync for a group of artifacts, against one sync for each, on the disk of the folder that is named.
//!
//! `cargo bench --no-default-features --bench group_commit [-- FOLDER]`
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark makes and removes its own folders, and says what it measured"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use caselock::case::event::{Artifact, Event, Exchange, Origin, ResponseOrigin, Tool};
use caselock::case::{CaseIdentity, CaseWriter, FORMAT_VERSION, HashedBytes, Pending, Scope, Staging};
use caselock::model::{PayloadPath, Window};

const FILES: u32 = 8_000;
const GROUP: u32 = 500;
const SIZE: usize = 4 * 1024;

fn identity() -> CaseIdentity {
    let (start, end) = ("2026-02-28T00:00:00Z".parse().expect("a time"), "2026-03-01T00:00:00Z".parse().expect("a time"));
    let text = String::new;
    CaseIdentity {
        format_version: FORMAT_VERSION,
        case_number: "BENCH".to_owned(),
        evidence_number: text(),
        examiner: text(),
        organization: text(),
        authority: text(),
        description: text(),
        notes: text(),
        opened_at: start,
        window: Window::new(start, end).expect("a window"),
        scope: Scope::default(),
    }
}

fn pending(staging: &Staging, number: u32) -> Pending {
    let (account, region) = ("111122223333".parse().expect("an account"), "us-east-1".parse().expect("a region"));
    let path = PayloadPath::for_api_page("ec2", account, &region, "DescribeSnapshots", number, "xml");
    let staged = staging.stage_whole(&path, &HashedBytes::new(vec![b'x'; SIZE])).expect("it stages");
    let origin = ResponseOrigin {
        source: "ebs".to_owned(),
        service: "ec2".to_owned(),
        account,
        region,
        operation: "DescribeSnapshots".to_owned(),
        parameters: std::collections::BTreeMap::new(),
        page: number,
        last: false,
        status: 200,
        exchange: Exchange::default(),
    };
    let event = Event::ArtifactAcquired(Box::new(Artifact {
        path,
        size: staged.size,
        sha256: staged.sha256,
        content_sha256: None,
        source: Origin::ApiResponse(Box::new(origin)),
        salt: "00".repeat(16),
    }));
    Pending { staged, event }
}

/// Files a second, committed in groups of `group`; as `collect` does it, the next group is staged while one waits for the disk.
fn committed(root: &Path, group: u32, files: u32) -> f64 {
    let tool = Tool { name: "caselock".to_owned(), version: "0.1.0".to_owned(), sha256: None };
    let mut writer = CaseWriter::create(root, &identity(), &tool).expect("a case");
    let staging = writer.staging();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let (sender, staged) = sync_channel::<Vec<Pending>>(1);
        scope.spawn(move || {
            for first in (1..=files).step_by(usize::try_from(group).expect("a small number")) {
                sender
                    .send((first..(first + group).min(files + 1)).map(|number| pending(&staging, number)).collect())
                    .expect("it is taken");
            }
        });
        for batch in staged {
            writer.commit(batch).expect("it commits");
        }
    });
    f64::from(files) / begun.elapsed().as_secs_f64()
}

/// Files a second as one would write them by hand: created, written, flushed, one after the other, and no ledger.
fn flushed_one_by_one(root: &Path, files: u32) -> f64 {
    fs::create_dir_all(root).expect("a folder");
    let begun = Instant::now();
    for number in 0..files {
        let mut file = File::create_new(root.join(format!("{number:05}.xml"))).expect("a file");
        file.write_all(&vec![b'x'; SIZE]).and_then(|()| file.sync_all()).expect("it writes");
    }
    f64::from(files) / begun.elapsed().as_secs_f64()
}

fn main() {
    let named = std::env::args().skip(1).find(|word| !word.starts_with('-')).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = named.join(format!("caselock-group-commit-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    for round in 0..3 {
        let each = flushed_one_by_one(&folder.join(format!("plain-{round}")), FILES / 16);
        let single = committed(&folder.join(format!("single-{round}")), 1, FILES / 16);
        let group = committed(&folder.join(format!("group-{round}")), GROUP, FILES);
        println!(
            "fsync each, no ledger {each:8.0} files/s   a case, one by one {single:8.0} files/s   a case, groups of {GROUP} {group:8.0} files/s   {:5.1} x and {:5.1} x",
            group / each,
            group / single
        );
    }
    let _removed = fs::remove_dir_all(folder);
}
