//! What can be done to a case after it was collected.

use caselock::model::Sha256Hash;
use caselock::verify::Options;
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{Collection, HOME, MemoryCase, quiet};

const LEDGER: &str = "custody/ledger.jsonl";

/// The path of an artifact that nothing else depends on.
fn artifact() -> String {
    let collection = Collection::of(&quiet());
    MemoryCase::path_of(&collection.log(HOME, 4))
}

/// Puts other words into a file.
pub(super) fn change(case: &mut MemoryCase, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(case.files[path].clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    case.files.insert(path.to_owned(), text.replacen(from, to, 1).into_bytes());
}

pub(super) fn all() -> Vec<Defect> {
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
            name: "object-that-is-not-what-its-entity-tag-says",
            about: "When it was collected, an object came twice with bytes whose MD5 is not its entity tag. Nobody changed the case.",
            failures: &[],
            others: &["artifact-contradicted"],
            make: Make::Case(|case| {
                let (path, mut previous) = (artifact(), String::new());
                case.edit_ledger(|lines| {
                    for line in lines {
                        let mut entry: Value = serde_json::from_str(line).unwrap();
                        if !previous.is_empty() {
                            entry["prev"] = json!(Sha256Hash::of(previous.as_bytes()).to_string());
                        }
                        if entry["path"] == json!(path) {
                            entry["source"]["aws_digest"] = json!("mismatch");
                        }
                        *line = String::from_utf8(serde_json_canonicalizer::to_vec(&entry).unwrap()).unwrap();
                        previous.clone_from(line);
                    }
                });
            }),
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
            failures: &["ledger-broken"],
            others: &["artifact-restored"],
            make: Make::Case(|case| {
                case.edit_ledger(|lines| {
                    let at = lines.iter().position(|line| line.contains("/GetTrailStatus/")).unwrap();
                    lines.insert(at, lines[at].clone());
                });
            }),
        },
        Defect {
            name: "ledger-line-twice-with-other-bytes",
            about: "A line of the ledger is repeated with another hash before it.",
            failures: &["artifact-modified", "artifact-twice", "ledger-broken"],
            others: &[],
            make: Make::Case(|case| {
                case.edit_ledger(|lines| {
                    let at = lines.iter().position(|line| line.contains("/GetTrailStatus/")).unwrap();
                    let mut line: serde_json::Value = serde_json::from_str(&lines[at]).unwrap();
                    line["sha256"] = "00".repeat(32).into();
                    lines.insert(at, line.to_string());
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
