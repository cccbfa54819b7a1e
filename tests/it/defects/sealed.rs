//! What can be done to a case that was sealed, to its package, and by which clocks it was sealed.

use std::path::Path;
use std::sync::LazyLock;

use caselock::case::event::ClockOffset;
use caselock::case::{CaseFiles as _, CaseFolder, CaseWriter, Found, LEDGER, read_bounded};
use caselock::model::{Sha256Hash, Timestamp, Window};
use caselock::seal::{AllowedSigners, SealOptions, SealStatement, SigningKey, seal_case_with};
use caselock::verify::Report;
use chrono::TimeDelta;
use serde_json::json;

use super::case_folder::change;
use super::{Defect, Make};
use crate::memory_case::{Collection, MemoryCase, quiet};
use crate::sample::{PRINCIPAL, at, make_removable, open_again, shell_ok, tool};

/// A sealed case, sealed once for all.
static SEALED: LazyLock<MemoryCase> = LazyLock::new(|| {
    sealed_by(|desk| {
        desk.seal_at("key", PRINCIPAL, SEALED_AT.parse().unwrap());
    })
});

const SEALED_AT: &str = "2026-03-02T13:00:00Z";

/// A case on disk, and whoever seals it.
pub(super) struct Desk<'a>(pub(super) &'a Path);

impl Desk<'_> {
    pub(super) fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.join("case").join(path)
    }

    /// The key of this name, made when it is first asked for.
    pub(super) fn key(&self, name: &str, principal: &str) -> SigningKey {
        let path = self.0.join(name);
        if !path.exists() {
            SigningKey::generate_ed25519(&path, principal).unwrap();
        }
        SigningKey::load(&path, None).unwrap().with_principal(principal).unwrap()
    }

    pub(super) fn writer(&self) -> CaseWriter {
        open_again(&self.0.join("case"))
    }

    pub(super) fn seal(&self, key: &str, principal: &str) {
        self.seal_at(key, principal, at());
    }

    pub(super) fn seal_at(&self, key: &str, principal: &str, at: Timestamp) {
        // A time that contradicts the ledger is refused otherwise.
        let options = SealOptions { despite: true, ..SealOptions::default() };
        seal_case_with(&mut self.writer(), &self.key(key, principal), at, &tool(), &options).unwrap();
    }

    /// Seals, and says that an artifact is damaged which is not.
    pub(super) fn seal_over_damage(&self, key: &str) {
        let mut files = Vec::new();
        CaseFolder::open(&self.0.join("case"))
            .unwrap()
            .walk(&mut |found| {
                if let Found::File { path } = found {
                    files.push(path.to_owned());
                }
            })
            .unwrap();
        let artifact = files.iter().filter(|path| path.starts_with("data/")).min().unwrap();
        let damage = vec![format!("artifact-modified {artifact}")];
        let options = SealOptions { damage, despite: true, ..SealOptions::default() };
        let key = self.key(key, PRINCIPAL);
        seal_case_with(&mut self.writer(), &key, at(), &tool(), &options).unwrap();
    }

    /// Whom somebody vouches for, each under names of their own.
    pub(super) fn allowed(&self, names: &[(&str, &str)]) -> AllowedSigners {
        let line = |(key, names): &(&str, &str)| format!("{names} {}\n", self.key(key, "x").signer().public_key);
        AllowedSigners::parse(&names.iter().map(line).collect::<String>()).unwrap()
    }
}

/// Ten quiet hours, sealed as `seal` has it.
pub(super) fn sealed_by(seal: impl FnOnce(&Desk<'_>)) -> MemoryCase {
    sealed_of(&Collection::of(&quiet()), seal)
}

/// What was collected, sealed as `seal` has it.
fn sealed_of(collection: &Collection, seal: impl FnOnce(&Desk<'_>)) -> MemoryCase {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("case");
    collection.case().write_to(&root);
    seal(&Desk(folder.path()));
    let (case, mut files) = (CaseFolder::open(&root).unwrap(), std::collections::BTreeMap::new());
    case.walk(&mut |found| {
        let Found::File { path } = found else { panic!("{found:?}") };
        files.insert(path.to_owned(), read_bounded(&case, path, u64::MAX).unwrap());
    })
    .unwrap();
    make_removable(folder.path());
    MemoryCase { files, ..MemoryCase::default() }
}

pub(super) fn sealed(tamper: impl FnOnce(&mut MemoryCase)) -> Report {
    let mut case = SEALED.clone();
    tamper(&mut case);
    without_keys(case.verify())
}

/// The report without the fingerprints of keys, which are new at each run.
pub(super) fn without_keys(mut report: Report) -> Report {
    for finding in &mut report.findings {
        let mut parts = finding.detail.split("SHA256:");
        let mut detail = parts.next().unwrap().to_owned();
        for part in parts {
            detail += &format!("SHA256:KEY{}", &part[43..]);
        }
        finding.detail = detail;
    }
    report
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = of_the_seal();
    all.extend(of_packages());
    all.extend(of_times());
    all
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
            name: "seal-without-its-signature-announced-again",
            about: "The seal's signature is removed after counsel received the case, and the ledger gets a line that announces the seal once more, as if it \
                    had been the last thing that happened.",
            failures: &["seal-unsigned"],
            others: &[],
            make: Make::Own(|| {
                sealed(|case| {
                    append_receipt(case);
                    append_again(case, "case.sealed");
                    case.files.remove("custody/seals/0001.json.sig");
                })
            }),
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
            name: "oversized-seal-planted-in-a-damaged-case",
            about: "An artifact of a sealed case is changed, and a seal and a time-stamp are planted that are larger than any: that must hide nothing.",
            failures: &["artifact-modified", "seal-malformed", "seal-missing", "seal-unsigned", "timestamp-invalid"],
            others: &["answer-unusable", "seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    let answer = case.files.keys().find(|path| path.starts_with("data/api/")).unwrap().clone();
                    case.files.get_mut(&answer).unwrap().push(b'x');
                    case.files.insert("custody/seals/0001.json.tsr".to_owned(), vec![0; (1 << 20) + 1]);
                    case.files.insert("custody/seals/0009.json".to_owned(), vec![0; (4 << 20) + 1]);
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
                let before = Sha256Hash::of(&case.files["custody/case.toml"]).to_string();
                change(case, "custody/case.toml", "examiner", "examiner ");
                let after = Sha256Hash::of(&case.files["custody/case.toml"]).to_string();
                append_again(case, "case.opened");
                case.edit_ledger(|lines| {
                    let last = lines.last_mut().unwrap();
                    *last = last.replace(&before, &after);
                });
            }),
        },
    ]
}

/// Takes seals and checkpoints away, all but the ledger's lines that announce them.
fn without_seals(case: &mut MemoryCase) {
    case.package = true;
    case.files.retain(|path, _| !path.starts_with("custody/seals/") && !path.starts_with("custody/checkpoints/"));
}

/// A package of a case that was sealed without these tag files, by an earlier version.
fn without_tag_files(left_out: &[&str]) -> MemoryCase {
    let mut case = sealed_by(|desk| {
        desk.seal_at("key", PRINCIPAL, SEALED_AT.parse().unwrap());
        let read = |path: &str| std::fs::read_to_string(desk.path(path)).unwrap();
        let is_left = |line: &&str| !left_out.iter().any(|path| line.ends_with(path));
        let listed: String =
            read("tagmanifest-sha256.txt").split_inclusive('\n').filter(|line| is_left(&line.trim_end())).collect();
        let seal = "custody/seals/0001.json";
        let mut statement = SealStatement::parse(read(seal).as_bytes()).unwrap();
        statement.tagmanifest_sha256 = Sha256Hash::of(listed.as_bytes());
        "0.0.9".clone_into(&mut statement.tool.version);
        for (path, bytes) in [("tagmanifest-sha256.txt", listed.as_bytes()), (seal, &statement.encode().unwrap())] {
            std::fs::remove_file(desk.path(path)).unwrap();
            std::fs::write(desk.path(path), bytes).unwrap();
        }
        shell_ok(desk.0, &format!("rm -f case/{seal}.sig && ssh-keygen -q -Y sign -n caselock-seal -f key case/{seal}"));
    });
    case.package = true;
    case.files.retain(|path, _| !left_out.contains(&path.as_str()));
    case
}

/// Packages, which are written of what is sealed whole.
fn of_packages() -> Vec<Defect> {
    vec![
        Defect {
            name: "package-sealed-and-untouched",
            about: "What a package of a sealed case holds. Nothing is wrong.",
            failures: &[],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| sealed(|case| case.package = true)),
        },
        Defect {
            name: "receipt-appended-to-a-package",
            about: "A line with a chain that holds is appended to the ledger of a package: counsel received the case and would sign with a key. \
                    Nobody signed.",
            failures: &["ledger-after-seal"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    case.package = true;
                    append_receipt(case);
                })
            }),
        },
        Defect {
            name: "words-behind-the-last-line-of-a-package",
            about: "Bytes without a newline are appended to the ledger of a package. In a case folder, a crash might have left them.",
            failures: &["ledger-after-seal"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    case.package = true;
                    case.files.get_mut(LEDGER).unwrap().extend(b"The examiner admits that this is forged");
                })
            }),
        },
        Defect {
            name: "torn-line-in-a-sealed-case",
            about: "The ledger of a sealed case ends in half a line, as a crash leaves it.",
            failures: &[],
            others: &["ledger-torn", "seal-signer-unknown"],
            make: Make::Own(|| sealed(|case| case.files.get_mut(LEDGER).unwrap().extend(b"{\"at\":"))),
        },
        Defect {
            name: "page-planted-in-a-package",
            about: "A page is added to a package, whose structure is as caselock writes it.",
            failures: &["file-not-covered"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    case.package = true;
                    case.files.insert("START-HERE.html".to_owned(), b"<h1>Do not verify this</h1>".to_vec());
                })
            }),
        },
        Defect {
            name: "package-of-a-version-that-had-no-page",
            about: "A package of a case that was sealed by a version of caselock which put no page into it. Nothing is wrong.",
            failures: &[],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| without_keys(without_tag_files(&["verify.html"]).verify())),
        },
        Defect {
            name: "tag-files-planted-that-were-not-sealed",
            about: "A page and a README are put into a package whose sealed tag manifest lists neither: they need not fit anything.",
            failures: &["file-not-covered", "manifest-mismatch"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                let mut case = without_tag_files(&["verify.html", "README.txt"]);
                for path in ["verify.html", "README.txt"] {
                    case.files.insert(path.to_owned(), b"<h1>PASS</h1>".to_vec());
                }
                without_keys(case.verify())
            }),
        },
        Defect {
            name: "package-whose-seals-were-taken-away",
            about: "Seals and checkpoints are taken out of a package, and the line of the ledger that announces them: what is left looks like a case \
                    that nobody sealed yet, and whoever made it so could have changed everything.",
            failures: &["seal-absent"],
            others: &[],
            make: Make::Own(|| {
                sealed(|case| {
                    without_seals(case);
                    case.edit_ledger(|lines| assert!(lines.pop().unwrap().contains("case.sealed")));
                })
            }),
        },
        Defect {
            name: "package-without-the-seal-that-its-ledger-announces",
            about: "Seals and checkpoints are taken out of a package; the ledger is left as it is. In a case folder, sealing might have been cut off.",
            failures: &["seal-absent", "seal-missing"],
            others: &[],
            make: Make::Own(|| sealed(without_seals)),
        },
        Defect {
            name: "package-whose-seal-has-no-signature",
            about: "The signature of the seal is taken out of a package. In a case folder, sealing might have been cut off.",
            failures: &["seal-unsigned"],
            others: &[],
            make: Make::Own(|| {
                sealed(|case| {
                    case.package = true;
                    case.files.remove("custody/seals/0001.json.sig");
                })
            }),
        },
        Defect {
            name: "package-without-the-last-of-two-seals",
            about: "The second seal of a case is taken out of its package; the first one holds.",
            failures: &["ledger-after-seal", "seal-missing"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                let mut case = sealed_by(|desk| {
                    desk.seal("key", PRINCIPAL);
                    desk.seal("other", "other@example.com");
                });
                case.package = true;
                case.files.retain(|path, _| !path.contains("/0002.json"));
                case.verify()
            }),
        },
    ]
}

/// Who signed when, by whose clock.
fn of_times() -> Vec<Defect> {
    vec![
        Defect {
            name: "collected-by-a-clock-three-days-fast",
            about: "The clock of the machine that collects is three days fast, which the ledger says; the seal is made by one that is right. Nothing is \
                    wrong, and nobody is accused.",
            failures: &[],
            others: &["seal-signer-unknown", "seal-time-mismatch"],
            make: Make::Own(|| {
                let mut collection = Collection::of(&quiet());
                collection.at += TimeDelta::days(3);
                let three_days = -3 * 86_400_000;
                let clock = ClockOffset { offset_milliseconds: three_days, uncertainty_milliseconds: 600, samples: 3 };
                collection.clock = Some(clock);
                let at = SEALED_AT.parse().unwrap();
                sealed_of(&collection, |desk| desk.seal_at("key", PRINCIPAL, at)).verify()
            }),
        },
        Defect {
            name: "window-up-to-now-of-a-sealed-case",
            about: "The window reaches up to the moment of collection, and the case was sealed at once: the last hours wait for their digest, and only a \
                    new case can have it.",
            failures: &[],
            others: &["digests-pending", "seal-signer-unknown"],
            make: Make::Own(|| {
                let mut collection = Collection::of(&quiet());
                let end = Timestamp::new(collection.account.scenario().end);
                collection.window = Window::new(collection.window.start(), end).unwrap();
                let at = SEALED_AT.parse().unwrap();
                sealed_of(&collection, |desk| desk.seal_at("key", PRINCIPAL, at)).verify()
            }),
        },
    ]
}

/// The line of a ledger that has counsel receive the case.
pub(super) fn receipt(signer: &str) -> serde_json::Value {
    let verification = json!({"artifacts": 1, "artifacts_valid": 1, "damage": 0, "ledger_lines": 1,
        "ledger_root": "93".repeat(32), "verdict": "pass"});
    let handover = json!({"released_by": "A. Examiner", "received_by": "B. Counsel", "purpose": "inspection"});
    json!({"event": "custody.received", "handover": handover, "seal": "custody/seals/0001.json", "seal_sha256": "11".repeat(32),
        "signer": signer, "tool": tool(), "verification": verification})
}

/// Appends it, with a chain that holds.
fn append_receipt(case: &mut MemoryCase) {
    case.edit_ledger(|lines| {
        let mut line = receipt("SHA256:9Yzx8MLddJbifuR7wTyDVM3GWJrw4jfcYGa1cA0z8Rk");
        line["prev"] = json!(Sha256Hash::of(lines.last().unwrap().as_bytes()).to_string());
        (line["at"], line["salt"], line["seq"]) =
            (json!("2026-03-02T14:00:00.000Z"), json!("00".repeat(16)), json!(lines.len()));
        lines.push(String::from_utf8(serde_json_canonicalizer::to_vec(&line).unwrap()).unwrap());
    });
}

/// Appends a line like the first of this kind, with a number and a hash that follow.
fn append_again(case: &mut MemoryCase, event: &str) {
    case.edit_ledger(|lines| {
        let event = format!("\"event\":\"{event}\"");
        let mut line = lines.iter().find(|line| line.contains(&event)).unwrap().clone();
        let prev = Sha256Hash::of(lines.last().unwrap().as_bytes()).to_string();
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
            let prev = Sha256Hash::of(lines[at - 1].as_bytes()).to_string();
            let from = lines[at].find("\"prev\":\"").unwrap() + 8;
            lines[at].replace_range(from..from + 64, &prev);
        }
    });
}
