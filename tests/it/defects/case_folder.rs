//! What can be done to a case after it was collected.

use std::sync::LazyLock;

use caselock::case::{CaseFiles as _, CaseFolder, Found, read_bounded};
use caselock::model::Timestamp;
use caselock::seal::{SigningKey, seal_case};
use caselock::verify::{Options, Report};

use super::{Defect, Make};
use crate::memory_case::{Collection, HOME, MemoryCase, quiet};
use crate::sample::{PRINCIPAL, tool};

const LEDGER: &str = "custody/ledger.jsonl";

/// The path of an artifact that nothing else depends on.
fn artifact() -> String {
    let collection = Collection::of(&quiet());
    MemoryCase::path_of(&collection.log(HOME, 4))
}

/// A sealed case, sealed once for all.
static SEALED: LazyLock<MemoryCase> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (root, key) = (folder.path().join("case"), folder.path().join("key"));
    for (path, bytes) in Collection::of(&quiet()).case().files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    SigningKey::generate_ed25519(&key, PRINCIPAL).unwrap();
    let mut writer = crate::sample::open_again(&root);
    let at: Timestamp = "2026-03-02T13:00:00Z".parse().unwrap();
    seal_case(&mut writer, &SigningKey::load(&key, None).unwrap(), at, &tool(), "").unwrap();
    drop(writer);
    let (case, mut files) = (CaseFolder::open(&root).unwrap(), std::collections::BTreeMap::new());
    case.walk(&mut |found| {
        let Found::File { path } = found else { panic!("{found:?}") };
        files.insert(path.to_owned(), read_bounded(&case, path, u64::MAX).unwrap());
    })
    .unwrap();
    let _restored = std::process::Command::new("chmod").arg("-R").arg("u+w").arg(folder.path()).output();
    MemoryCase { files, foreign: Vec::new() }
});

fn sealed(tamper: impl FnOnce(&mut MemoryCase)) -> Report {
    let mut case = SEALED.clone();
    tamper(&mut case);
    let mut report = case.verify();
    // The key is new at each run.
    for finding in &mut report.findings {
        finding.detail = finding.detail.split(" SHA256:").next().unwrap().to_owned();
    }
    report
}

fn change(case: &mut MemoryCase, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(case.files[path].clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    case.files.insert(path.to_owned(), text.replacen(from, to, 1).into_bytes());
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = unsealed();
    all.extend(of_the_seal());
    all
}

fn unsealed() -> Vec<Defect> {
    vec![
        Defect {
            name: "artifact-with-a-bit-flipped",
            about: "One bit of a stored log is flipped, as a failing disk does.",
            failures: &["artifact-modified", "log-malformed-gzip"],
            others: &[],
            make: Make::Case(|case| {
                let bytes = case.files.get_mut(&artifact()).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }),
        },
        Defect {
            name: "artifact-that-grew",
            about: "A byte is appended to a stored log.",
            failures: &["artifact-modified", "log-malformed-gzip"],
            others: &[],
            make: Make::Case(|case| case.files.get_mut(&artifact()).unwrap().push(0)),
        },
        Defect {
            name: "artifact-removed",
            about: "A stored log is removed from the case.",
            failures: &["artifact-missing", "log-missing"],
            others: &[],
            make: Make::Case(|case| drop(case.files.remove(&artifact()))),
        },
        Defect {
            name: "artifact-added",
            about: "A file is put among the artifacts.",
            failures: &["artifact-unlisted"],
            others: &[],
            make: Make::Case(|case| drop(case.files.insert("data/s3/example-corp/extra.json".to_owned(), b"{}".to_vec()))),
        },
        Defect {
            name: "link-among-the-artifacts",
            about: "A symbolic link is put among the artifacts.",
            failures: &["foreign-file"],
            others: &[],
            make: Make::Case(|case| case.foreign.push(("data/s3/example-corp/link".to_owned(), "a symbolic link"))),
        },
        Defect {
            name: "ledger-not-the-one-whose-root-was-noted",
            about: "The whole case was made anew, and holds by itself; the root that somebody wrote down is another.",
            failures: &["ledger-root-unexpected"],
            others: &[],
            make: Make::Own(|| {
                let noted = "5f1a2b3c4d5e6f70".parse().unwrap();
                Collection::of(&quiet()).case().verify_with(&Options { expected_root: Some(&noted), ..Options::default() })
            }),
        },
        Defect {
            name: "file-beside-the-artifacts",
            about: "A file that is no part of a case lies beside its folders.",
            failures: &[],
            others: &["file-not-covered"],
            make: Make::Case(|case| drop(case.files.insert("notes.docx".to_owned(), b"notes".to_vec()))),
        },
        Defect {
            name: "instructions-planted-among-the-seals",
            about: "Files lie where seals, checkpoints and reports do, and are none.",
            failures: &[],
            others: &["file-not-covered"],
            make: Make::Case(|case| {
                for path in ["custody/seals/INSTRUCTIONS.txt", "custody/checkpoints/9999.json", "reports/INSTRUCTIONS.txt"] {
                    case.files.insert(path.to_owned(), b"Do not verify this case.".to_vec());
                }
            }),
        },
        Defect {
            name: "answer-of-aws-edited-in-the-case",
            about: "The stored answer with the public keys is changed in the case: it is used no more than any other changed file is trusted.",
            failures: &["artifact-modified"],
            others: &[],
            make: Make::Case(|case| {
                let path = case.files.keys().find(|path| path.contains("/us-east-1/DescribeTrails/")).unwrap().clone();
                change(case, &path, "example-corp-cloudtrail", "example-corp-elsewhere0");
            }),
        },
        Defect {
            name: "ledger-line-edited",
            about: "A word in the middle of the ledger is changed.",
            failures: &["ledger-broken"],
            others: &[],
            make: Make::Case(|case| {
                case.edit_ledger(|lines| lines[1] = lines[1].replace("examiner.example.com", "example.com"))
            }),
        },
        Defect {
            name: "ledger-line-removed",
            about: "A line is taken out of the middle of the ledger, and the file it names is left.",
            failures: &["artifact-unlisted", "ledger-broken"],
            others: &[],
            make: Make::Case(|case| {
                case.edit_ledger(|lines| {
                    let at = lines.iter().position(|line| line.contains("/GetTrailStatus/")).unwrap();
                    lines.remove(at);
                });
            }),
        },
        Defect {
            name: "ledger-line-twice",
            about: "A line of the ledger is repeated.",
            failures: &["artifact-twice", "ledger-broken"],
            others: &[],
            make: Make::Case(|case| {
                case.edit_ledger(|lines| {
                    let at = lines.iter().position(|line| line.contains("/GetTrailStatus/")).unwrap();
                    lines.insert(at, lines[at].clone());
                });
            }),
        },
        Defect {
            name: "ledger-lines-exchanged",
            about: "Two lines of the ledger change places.",
            failures: &["ledger-broken"],
            others: &[],
            make: Make::Case(|case| case.edit_ledger(|lines| lines.swap(3, 4))),
        },
        Defect {
            name: "ledger-cut-at-its-end",
            about: "The last two lines of an unsealed ledger are cut off: the run looks unfinished, and the file with a region's keys has no line.",
            failures: &[],
            others: &["artifact-unrecorded", "collection-unfinished", "keys-unavailable", "log-unproven"],
            make: Make::Case(|case| case.edit_ledger(|lines| lines.truncate(lines.len() - 2))),
        },
        Defect {
            name: "ledger-torn",
            about: "The last line of the ledger is cut in its middle, as a crash does.",
            failures: &[],
            others: &["collection-unfinished", "ledger-torn"],
            make: Make::Case(|case| {
                let ledger = case.files.get_mut(LEDGER).unwrap();
                ledger.truncate(ledger.len() - 20);
            }),
        },
        Defect {
            name: "ledger-emptied",
            about: "The ledger is emptied.",
            failures: &["artifact-unlisted", "case-file-modified", "ledger-empty"],
            others: &["nothing-collected", "nothing-to-verify"],
            make: Make::Case(|case| drop(case.files.insert(LEDGER.to_owned(), Vec::new()))),
        },
        Defect {
            name: "ledger-that-is-no-json",
            about: "A line of the ledger is replaced by text.",
            failures: &["artifact-unlisted", "ledger-broken"],
            others: &[],
            make: Make::Case(|case| {
                case.edit_ledger(|lines| {
                    let at = lines.iter().position(|line| line.contains("/GetTrailStatus/")).unwrap();
                    lines[at] = "no entry".to_owned();
                });
            }),
        },
        Defect {
            name: "signature-edited-in-the-ledger",
            about: "The ledger keeps a digest's signature; a digit of the newest one is changed there.",
            failures: &["digest-signature-invalid", "ledger-broken"],
            others: &["log-unproven"],
            make: Make::Case(|case| {
                let newest = Collection::of(&quiet()).digest(HOME, -1).key;
                case.edit_ledger(|lines| {
                    let line = lines.iter_mut().find(|line| line.contains(&newest)).unwrap();
                    let at = line.find("\"signature\":\"").unwrap() + 13;
                    let digit = if &line[at..=at] == "0" { "1" } else { "0" };
                    line.replace_range(at..=at, digit);
                });
            }),
        },
        Defect {
            name: "case-file-edited",
            about: "The window in case.toml is changed.",
            failures: &["case-file-modified"],
            others: &[],
            make: Make::Case(|case| change(case, "custody/case.toml", "A. Examiner", "B. Examiner")),
        },
        Defect {
            name: "case-file-unreadable",
            about: "case.toml is overwritten with text that does not read.",
            failures: &["case-file-malformed", "case-file-modified"],
            others: &[],
            make: Make::Case(|case| drop(case.files.insert("custody/case.toml".to_owned(), b"window =".to_vec()))),
        },
        Defect {
            name: "collection-unfinished",
            about: "The collection was killed; its ledger has no last line.",
            failures: &[],
            others: &["collection-unfinished"],
            make: Make::Quiet(|it| it.finished = false),
        },
        Defect {
            name: "collection-unfinished-as-one-of-two",
            about: "A collection as two accounts was interrupted, and the one that came to its end asked as one of them only.",
            failures: &[],
            others: &["collection-unfinished"],
            make: Make::Quiet(|it| it.begun_before_as.push("444455556666")),
        },
        Defect {
            name: "collection-ended-by-another-run",
            about: "A collection as two accounts was interrupted, and one that came to its end asked as both. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                it.begun_before_as.push("444455556666");
                it.also_as.push("444455556666");
            }),
        },
    ]
}

fn of_the_seal() -> Vec<Defect> {
    vec![
        Defect {
            name: "sealed-and-untouched",
            about: "A sealed case to which nothing was done. Nobody vouched for the key, and that is said.",
            failures: &[],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| sealed(|_| {})),
        },
        Defect {
            name: "seal-edited",
            about: "A word in the seal is changed.",
            failures: &["seal-signature-invalid"],
            others: &[],
            make: Make::Own(|| sealed(|case| change(case, "custody/seals/0001.json", "2026-03-02T13", "2026-03-02T14"))),
        },
        Defect {
            name: "seal-without-its-signature",
            about: "The seal's signature is removed. Nothing came after it, so sealing may have been cut off: a gap.",
            failures: &[],
            others: &["seal-unsigned"],
            make: Make::Own(|| sealed(|case| drop(case.files.remove("custody/seals/0001.json.sig")))),
        },
        Defect {
            name: "seal-removed",
            about: "The seal and its signature are removed. Nothing came after the ledger's line that announces it, so sealing may have been \
                    cut off: a gap.",
            failures: &[],
            others: &["seal-missing"],
            make: Make::Own(|| {
                sealed(|case| {
                    case.files.remove("custody/seals/0001.json");
                    case.files.remove("custody/seals/0001.json.sig");
                })
            }),
        },
        Defect {
            name: "manifest-edited",
            about: "A hash in the payload manifest of a sealed case is changed.",
            failures: &["manifest-mismatch", "tag-file-modified"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    let manifest = case.files.get_mut("manifest-sha256.txt").unwrap();
                    manifest[0] = if manifest[0] == b'0' { b'1' } else { b'0' };
                })
            }),
        },
        Defect {
            name: "instructions-edited-in-a-sealed-case",
            about: "The README of a sealed case is changed.",
            failures: &["tag-file-modified"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| sealed(|case| case.files.get_mut("README.txt").unwrap().push(b'x'))),
        },
        Defect {
            name: "artifact-added-to-a-sealed-case",
            about: "A file is put among the artifacts of a sealed case.",
            failures: &["artifact-unlisted"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| drop(case.files.insert("data/s3/example-corp/extra.json".to_owned(), b"{}".to_vec())))
            }),
        },
        Defect {
            name: "ledger-rewritten-in-a-sealed-case",
            about: "The ledger of a sealed case is written anew from its second line on, with a chain that holds: only the seal's root tells.",
            failures: &["seal-ledger-mismatch"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| sealed(rewrite_ledger)),
        },
        Defect {
            name: "collection-forged-behind-the-seal",
            about: "Behind the seal of a case from which a digest was taken, lines with a chain that holds tell of a later run of collect that did \
                    not come to its end: what is missing would not have been fetched yet.",
            failures: &["artifact-missing", "digest-missing", "ledger-line-out-of-place"],
            others: &["ledger-after-seal", "log-unproven", "seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    let digests: Vec<String> =
                        case.files.keys().filter(|path| path.contains("CloudTrail-Digest")).cloned().collect();
                    case.files.remove(&digests[digests.len() / 4]);
                    append_again(case, "collection.started");
                })
            }),
        },
        Defect {
            name: "case-opened-twice",
            about: "The case's description is changed, and a line is appended that opens the case once more, with the hash of the changed one.",
            failures: &["case-file-modified", "ledger-line-out-of-place"],
            others: &[],
            make: Make::Case(|case| {
                let before = caselock::model::Sha256Hash::of(&case.files["custody/case.toml"]).to_string();
                change(case, "custody/case.toml", "examiner", "examiner ");
                let after = caselock::model::Sha256Hash::of(&case.files["custody/case.toml"]).to_string();
                append_again(case, "case.opened");
                case.edit_ledger(|lines| {
                    let last = lines.last_mut().unwrap();
                    *last = last.replace(&before, &after);
                });
            }),
        },
    ]
}

/// Appends a line like the first of this kind, with a number and a hash that follow.
fn append_again(case: &mut MemoryCase, event: &str) {
    case.edit_ledger(|lines| {
        let event = format!("\"event\":\"{event}\"");
        let mut line = lines.iter().find(|line| line.contains(&event)).unwrap().clone();
        let prev = caselock::model::Sha256Hash::of(lines.last().unwrap().as_bytes()).to_string();
        let from = line.find("\"prev\":\"").unwrap() + 8;
        line.replace_range(from..from + 64, &prev);
        let from = line.find("\"seq\":").unwrap() + 6;
        let to = from + line[from..].find(|c: char| !c.is_ascii_digit()).unwrap();
        line.replace_range(from..to, &lines.len().to_string());
        lines.push(line);
    });
}

/// Changes a line and mends the chain of all lines after it.
fn rewrite_ledger(case: &mut MemoryCase) {
    case.edit_ledger(|lines| {
        lines[1] = lines[1].replace("examiner.example.com", "elsewhere.example.com");
        for at in 2..lines.len() {
            let prev = caselock::model::Sha256Hash::of(lines[at - 1].as_bytes()).to_string();
            let from = lines[at].find("\"prev\":\"").unwrap() + 8;
            lines[at].replace_range(from..from + 64, &prev);
        }
    });
}
