//! What can be done to a case that was sealed, and by whom it was.

use std::path::Path;
use std::sync::LazyLock;

use caselock::case::event::ClockOffset;
use caselock::case::{CaseFiles as _, CaseFolder, CaseWriter, Found, read_bounded};
use caselock::model::{Timestamp, Window};
use caselock::seal::{AllowedSigners, SealOptions, SigningKey, seal_case_with};
use caselock::verify::{Options, Report};
use chrono::TimeDelta;
use serde_json::json;

use super::case_folder::change;
use super::{Defect, Make};
use crate::memory_case::{Collection, MemoryCase, quiet};
use crate::sample::{PRINCIPAL, tool};

/// A sealed case, sealed once for all.
static SEALED: LazyLock<MemoryCase> = LazyLock::new(|| {
    sealed_by(|desk| {
        desk.seal_at("key", PRINCIPAL, SEALED_AT.parse().unwrap());
    })
});

const SEALED_AT: &str = "2026-03-02T13:00:00Z";

/// A case on disk, and whoever seals it.
struct Desk<'a>(&'a Path);

impl Desk<'_> {
    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.join("case").join(path)
    }

    /// The key of this name, made when it is first asked for.
    fn key(&self, name: &str, principal: &str) -> SigningKey {
        let path = self.0.join(name);
        if !path.exists() {
            SigningKey::generate_ed25519(&path, principal).unwrap();
        }
        SigningKey::load(&path, None).unwrap().with_principal(principal).unwrap()
    }

    fn writer(&self) -> CaseWriter {
        crate::sample::open_again(&self.0.join("case"))
    }

    fn seal(&self, key: &str, principal: &str) {
        self.seal_at(key, principal, crate::sample::at());
    }

    fn seal_at(&self, key: &str, principal: &str, at: Timestamp) {
        // A time that contradicts the ledger is refused otherwise.
        let options = SealOptions { despite: true, ..SealOptions::default() };
        seal_case_with(&mut self.writer(), &self.key(key, principal), at, &tool(), &options).unwrap();
    }

    /// Seals, and says that an artifact is damaged which is not.
    fn seal_over_damage(&self, key: &str) {
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
        seal_case_with(&mut self.writer(), &key, crate::sample::at(), &tool(), &options).unwrap();
    }

    /// Whom somebody vouches for, each under names of their own.
    fn allowed(&self, names: &[(&str, &str)]) -> AllowedSigners {
        let line = |(key, names): &(&str, &str)| format!("{names} {}\n", self.key(key, "x").signer().public_key);
        AllowedSigners::parse(&names.iter().map(line).collect::<String>()).unwrap()
    }
}

/// Ten quiet hours, sealed as `seal` has it.
fn sealed_by(seal: impl FnOnce(&Desk<'_>)) -> MemoryCase {
    sealed_of(&Collection::of(&quiet()), seal)
}

/// What was collected, sealed as `seal` has it.
fn sealed_of(collection: &Collection, seal: impl FnOnce(&Desk<'_>)) -> MemoryCase {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("case");
    for (path, bytes) in collection.case().files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    seal(&Desk(folder.path()));
    let (case, mut files) = (CaseFolder::open(&root).unwrap(), std::collections::BTreeMap::new());
    case.walk(&mut |found| {
        let Found::File { path } = found else { panic!("{found:?}") };
        files.insert(path.to_owned(), read_bounded(&case, path, u64::MAX).unwrap());
    })
    .unwrap();
    let _restored = std::process::Command::new("chmod").arg("-R").arg("u+w").arg(folder.path()).output();
    MemoryCase { files, ..MemoryCase::default() }
}

fn sealed(tamper: impl FnOnce(&mut MemoryCase)) -> Report {
    let mut case = SEALED.clone();
    tamper(&mut case);
    without_keys(case.verify())
}

/// The report without the fingerprints of keys, which are new at each run.
fn without_keys(mut report: Report) -> Report {
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
    all.extend(of_signers());
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

/// Takes seals and checkpoints away, all but the ledger's lines that announce them.
fn without_seals(case: &mut MemoryCase) {
    case.package = true;
    case.files.retain(|path, _| !path.starts_with("custody/seals/") && !path.starts_with("custody/checkpoints/"));
}

/// Packages, which are written of what is sealed whole.
fn of_packages() -> Vec<Defect> {
    vec![
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

/// Who signed as whom.
fn of_signers() -> Vec<Defect> {
    vec![
        Defect {
            name: "seal-of-a-key-that-is-not-checked-and-that-nobody-listed",
            about: "Somebody signs a seal with a certificate, which only ssh-keygen checks, and the allowed signers have no authority of certificates.",
            failures: &["seal-untrusted"],
            others: &["signature-not-checked"],
            make: Make::Own(|| by_certificate("")),
        },
        Defect {
            name: "seal-of-a-key-that-is-not-checked-and-is-listed",
            about: "The examiner signs a seal with a certificate, which only ssh-keygen checks, and an authority of certificates is among the allowed \
                    signers: whether the signature holds is open.",
            failures: &[],
            others: &["signature-not-checked"],
            make: Make::Own(|| by_certificate("cert-authority ")),
        },
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
                    case.edit_ledger(|lines| {
                        let prev = caselock::model::Sha256Hash::of(lines.last().unwrap().as_bytes()).to_string();
                        let verification = json!({"artifacts": 1, "artifacts_valid": 1, "damage": 0, "ledger_lines": 1,
                            "ledger_root": "93".repeat(32), "verdict": "pass"});
                        let handover = json!({"released_by": "A. Examiner", "received_by": "B. Counsel", "purpose": "inspection"});
                        let line = json!({"at": "2026-03-02T14:00:00.000Z", "event": "custody.received", "handover": handover,
                            "prev": prev, "salt": "00".repeat(16), "seal": "custody/seals/0001.json", "seal_sha256": "11".repeat(32),
                            "seq": lines.len(), "signer": "SHA256:9Yzx8MLddJbifuR7wTyDVM3GWJrw4jfcYGa1cA0z8Rk", "tool": tool(),
                            "verification": verification});
                        lines.push(String::from_utf8(serde_json_canonicalizer::to_vec(&line).unwrap()).unwrap());
                    });
                })
            }),
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
            name: "second-key-among-the-allowed-signers",
            about: "The file with the first signer's key gets a second line, with another key under the same name.",
            failures: &["allowed-signers-mismatch", "tag-file-modified"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed(|case| {
                    let line = case.files["custody/allowed_signers"].clone();
                    case.files.get_mut("custody/allowed_signers").unwrap().extend(line);
                })
            }),
        },
        Defect {
            name: "seal-dated-before-what-it-covers",
            about: "A case of 2026 is sealed with the date of 2024, when a key that was retired since was still good.",
            failures: &["seal-time-mismatch"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed_by(|desk| desk.seal_at("key", PRINCIPAL, "2024-06-01T10:00:00Z".parse().unwrap())).verify()
            }),
        },
        Defect {
            name: "sealed-by-a-clock-of-another-time-zone",
            about: "The clock of the machine that seals is two hours behind that of the one that collected. Nothing is wrong.",
            failures: &[],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                sealed_by(|desk| desk.seal_at("key", PRINCIPAL, "2026-03-02T10:00:00Z".parse().unwrap())).verify()
            }),
        },
        Defect {
            name: "seal-replaced-by-that-of-another-key",
            about: "The seal is taken away, and somebody else's put in its place: the ledger still announces the first.",
            failures: &["seal-replaced"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                without_keys(
                    sealed_by(|desk| {
                        desk.seal("key", PRINCIPAL);
                        for name in
                            ["seals/0001.json", "seals/0001.json.sig", "checkpoints/0001.json", "checkpoints/0001.json.sig"]
                        {
                            std::fs::remove_file(desk.path("custody").join(name)).unwrap();
                        }
                        let options = SealOptions { despite: true, ..SealOptions::default() };
                        let (key, at) = (desk.key("other", "other@example.com"), crate::sample::at());
                        seal_case_with(&mut desk.writer(), &key, at, &tool(), &options).unwrap();
                    })
                    .verify(),
                )
            }),
        },
        Defect {
            name: "seal-of-another-key-under-the-line-of-the-first",
            about: "The statement of the seal is written anew, with another key and its signature; the ledger is left as it is.",
            failures: &["allowed-signers-mismatch", "checkpoint-mismatch", "seal-signer-mismatch"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                without_keys(
                    sealed_by(|desk| {
                        desk.seal("key", PRINCIPAL);
                        let (first, other) = (desk.key("key", PRINCIPAL), desk.key("other", PRINCIPAL));
                        let path = desk.path("custody/seals/0001.json");
                        let mut text = std::fs::read_to_string(&path).unwrap();
                        for (from, to) in [
                            (&first.signer().public_key, &other.signer().public_key),
                            (&first.signer().fingerprint, &other.signer().fingerprint),
                        ] {
                            text = text.replace(from.as_str(), to);
                        }
                        std::fs::remove_file(&path).unwrap();
                        std::fs::write(&path, text).unwrap();
                        std::fs::remove_file(desk.path("custody/seals/0001.json.sig")).unwrap();
                        let sign = "ssh-keygen -q -Y sign -n caselock-seal -f other case/custody/seals/0001.json";
                        crate::sample::shell_ok(desk.0, sign, &[]);
                    })
                    .verify(),
                )
            }),
        },
        Defect {
            name: "seal-over-damage-that-is-not-there",
            about: "The last seal says that an artifact was changed when it was made; the artifact is as it was acquired. It was put back from a copy \
                    and not sealed since, or the signer said what was not so.",
            failures: &[],
            others: &["seal-damage-not-found", "seal-signer-unknown"],
            make: Make::Own(|| {
                sealed_by(|desk| {
                    desk.seal("key", PRINCIPAL);
                    desk.seal_over_damage("key");
                })
                .verify()
            }),
        },
        Defect {
            name: "seal-over-damage-that-was-put-right-and-sealed-again",
            about: "The same, and a later seal is over the case as it is.",
            failures: &[],
            others: &["seal-damage-not-found", "seal-signer-unknown"],
            make: Make::Own(|| {
                sealed_by(|desk| {
                    desk.seal_over_damage("key");
                    desk.seal("key", PRINCIPAL);
                })
                .verify()
            }),
        },
        Defect {
            name: "seal-without-its-signature-that-the-next-one-extends",
            about: "Sealing is cut off before the signature is there, or the signature is lost; somebody else seals then, and that seal names \
                    what it found.",
            failures: &[],
            others: &["seal-signer-unknown", "seal-unsigned"],
            make: Make::Own(|| {
                sealed_by(|desk| {
                    desk.seal("key", PRINCIPAL);
                    std::fs::remove_file(desk.path("custody/seals/0001.json.sig")).unwrap();
                    desk.seal("other", "other@example.com");
                })
                .verify()
            }),
        },
        Defect {
            name: "signature-of-the-first-of-two-seals-removed",
            about: "A case is sealed by two, and the signature of the first is removed.",
            failures: &["seal-unsigned"],
            others: &["seal-signer-unknown"],
            make: Make::Own(|| {
                let mut case = sealed_by(|desk| {
                    desk.seal("key", PRINCIPAL);
                    desk.seal("other", "other@example.com");
                });
                case.files.remove("custody/seals/0001.json.sig");
                case.verify()
            }),
        },
        Defect {
            name: "sealed-by-two-of-several-who-are-allowed",
            about: "The file of allowed signers has several holders, one of them by a pattern; two of them sealed, each under their own name. \
                    Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Own(|| {
                let mut allowed = AllowedSigners::default();
                let case = sealed_by(|desk| {
                    desk.seal("examiner", PRINCIPAL);
                    desk.seal("counsel", "b.counsel@law.example.com");
                    allowed = desk.allowed(&[
                        ("expert", "expert@example.com"),
                        ("counsel", "counsel@example.com,*@law.example.com"),
                        ("examiner", PRINCIPAL),
                    ]);
                });
                case.verify_with(&Options { allowed_signers: Some(&allowed), ..Options::default() })
            }),
        },
        Defect {
            name: "seal-in-the-name-of-another-who-is-allowed",
            about: "Counsel, who is among the allowed signers, seals a case in the examiner's name.",
            failures: &["seal-principal-mismatch", "seal-untrusted"],
            others: &[],
            make: Make::Own(|| {
                let mut allowed = AllowedSigners::default();
                let case = sealed_by(|desk| {
                    desk.seal("counsel", PRINCIPAL);
                    allowed = desk.allowed(&[("examiner", PRINCIPAL), ("counsel", "counsel@example.com")]);
                });
                case.verify_with(&Options { allowed_signers: Some(&allowed), ..Options::default() })
            }),
        },
        Defect {
            name: "second-seal-in-the-name-of-the-first-signer",
            about: "The examiner sealed; counsel, who is among the allowed signers, seals again in the examiner's name.",
            failures: &["seal-principal-mismatch"],
            others: &["ledger-after-seal", "seal-signer-unknown"],
            make: Make::Own(|| {
                let mut allowed = AllowedSigners::default();
                let case = sealed_by(|desk| {
                    desk.seal("examiner", PRINCIPAL);
                    desk.seal("counsel", PRINCIPAL);
                    allowed = desk.allowed(&[("examiner", PRINCIPAL), ("counsel", "counsel@example.com")]);
                });
                case.verify_with(&Options { allowed_signers: Some(&allowed), ..Options::default() })
            }),
        },
    ]
}

/// A case whose seal and checkpoint the examiner signed with a certificate; the allowed signers have its authority's key, as what `option` says.
fn by_certificate(option: &str) -> Report {
    let mut allowed = AllowedSigners::default();
    let case = sealed_by(|desk| {
        desk.seal("certified", PRINCIPAL);
        let authority = desk.key("authority", PRINCIPAL);
        let sign = "ssh-keygen -q -s authority -I certified -n certified certified.pub && for of in seals checkpoints; do \
                    ssh-keygen -q -Y sign -f certified-cert.pub -n caselock-seal < case/custody/$of/0001.json > signature && \
                    mv -f signature case/custody/$of/0001.json.sig; done";
        crate::sample::shell_ok(desk.0, sign, &[]);
        allowed = AllowedSigners::parse(&format!("{PRINCIPAL} {option}{}\n", authority.signer().public_key)).unwrap();
    });
    without_keys(case.verify_with(&Options { allowed_signers: Some(&allowed), ..Options::default() }))
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
