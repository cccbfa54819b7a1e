//! Who signed a seal, as whom, and whom the reader trusts.

use std::fs;

use caselock::seal::{AllowedSigners, SealOptions, seal_case_with};
use caselock::verify::{Options, Report};

use super::sealed::{Desk, receipt, sealed, sealed_by, without_keys};
use super::{Defect, Make};
use crate::sample::{PRINCIPAL, at, shell_ok, tool};

/// A case whose seal and checkpoint the examiner signed with a certificate; the allowed signers have its authority's key, as what `option` says.
fn by_certificate(option: &str) -> Report {
    let mut allowed = AllowedSigners::default();
    let case = sealed_by(|desk| {
        desk.seal("certified", PRINCIPAL);
        let authority = desk.key("authority", PRINCIPAL);
        let sign = "ssh-keygen -q -s authority -I certified -n certified certified.pub && for of in seals checkpoints; do \
                    ssh-keygen -q -Y sign -f certified-cert.pub -n caselock-seal < case/custody/$of/0001.json > signature && \
                    mv -f signature case/custody/$of/0001.json.sig; done";
        shell_ok(desk.0, sign);
        allowed = AllowedSigners::parse(&format!("{PRINCIPAL} {option}{}\n", authority.signer().public_key)).unwrap();
    });
    without_keys(case.verify_with(&Options { allowed_signers: Some(&allowed), ..Options::default() }))
}

/// The package of what `seal` makes of a case, verified by whoever trusts the examiner's key alone.
fn trusting_the_examiner(seal: impl FnOnce(&Desk<'_>)) -> Report {
    let mut allowed = AllowedSigners::default();
    let mut case = sealed_by(|desk| {
        seal(desk);
        allowed = desk.allowed(&[("key", PRINCIPAL)]);
    });
    case.package = true;
    without_keys(case.verify_with(&Options { allowed_signers: Some(&allowed), ..Options::default() }))
}

/// Writes a seal anew with other words, and signs it again with a key.
fn edit_and_sign(desk: &Desk<'_>, number: u32, key: &str, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = desk.path(&format!("custody/seals/{number:04}.json"));
    let mut statement = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut statement);
    fs::remove_file(&path).unwrap();
    fs::write(&path, serde_json_canonicalizer::to_vec(&statement).unwrap()).unwrap();
    fs::remove_file(desk.path(&format!("custody/seals/{number:04}.json.sig"))).unwrap();
    shell_ok(desk.0, &format!("ssh-keygen -q -Y sign -n caselock-seal -f {key} case/custody/seals/{number:04}.json"));
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = of_strangers();
    all.extend(of_holders());
    all
}

/// Seals by keys that nobody listed, on what somebody sealed who is.
fn of_strangers() -> Vec<Defect> {
    vec![
        Defect {
            name: "stranger-seals-over-damage-that-a-trusted-seal-names",
            about: "The examiner's seal says that an artifact was damaged which is not. Somebody whom nobody listed seals on top, without a word of it: \
                    that puts nothing right.",
            failures: &[],
            others: &["ledger-after-seal", "seal-damage-not-found", "seal-signer-unknown"],
            make: Make::Own(|| {
                trusting_the_examiner(|desk| {
                    desk.seal_over_damage("key");
                    desk.seal("stranger", "stranger@example.com");
                })
            }),
        },
        Defect {
            name: "stranger-seals-and-makes-up-damage",
            about: "Somebody whom nobody listed seals on top of the examiner, and says that an artifact is damaged which is not: the examiner's seal \
                    is over the case as it is.",
            failures: &[],
            others: &["ledger-after-seal", "seal-signer-unknown"],
            make: Make::Own(|| {
                trusting_the_examiner(|desk| {
                    desk.seal("key", PRINCIPAL);
                    desk.seal_over_damage("stranger");
                })
            }),
        },
        Defect {
            name: "stranger-seals-over-a-receipt-of-their-own",
            about: "Somebody whom nobody listed has the case handed to them in the ledger of a package, and seals over that.",
            failures: &[],
            others: &["ledger-after-seal", "seal-signer-unknown"],
            make: Make::Own(|| {
                trusting_the_examiner(|desk| {
                    desk.seal("key", PRINCIPAL);
                    let received = receipt(&desk.key("stranger", "stranger@example.com").signer().fingerprint);
                    desk.writer().append_all(vec![serde_json::from_value(received).unwrap()]).unwrap();
                    desk.seal("stranger", "stranger@example.com");
                })
            }),
        },
        Defect {
            name: "stranger-seals-and-counts-wrong",
            about: "Somebody whom nobody listed seals on top of the examiner, and says that the evidence is of one byte.",
            failures: &[],
            others: &["ledger-after-seal", "manifest-mismatch", "seal-signer-unknown"],
            make: Make::Own(|| {
                trusting_the_examiner(|desk| {
                    desk.seal("key", PRINCIPAL);
                    desk.seal("stranger", "stranger@example.com");
                    edit_and_sign(desk, 2, "stranger", |statement| statement["artifacts"]["bytes"] = 1.into());
                })
            }),
        },
        Defect {
            name: "later-seal-by-another-key-counts-wrong",
            about: "The same, and nobody says whom to trust: whether that seal is to be believed is open.",
            failures: &[],
            others: &["manifest-mismatch", "seal-signer-unknown"],
            make: Make::Own(|| {
                let case = sealed_by(|desk| {
                    desk.seal("key", PRINCIPAL);
                    desk.seal("stranger", "stranger@example.com");
                    edit_and_sign(desk, 2, "stranger", |statement| statement["artifacts"]["bytes"] = 1.into());
                });
                without_keys(case.verify())
            }),
        },
        Defect {
            name: "seal-that-counts-other-bytes",
            about: "The seal says that the evidence is of one byte, and is signed so.",
            failures: &["manifest-mismatch"],
            others: &[],
            make: Make::Own(|| {
                trusting_the_examiner(|desk| {
                    desk.seal("key", PRINCIPAL);
                    edit_and_sign(desk, 1, "key", |statement| statement["artifacts"]["bytes"] = 1.into());
                })
            }),
        },
    ]
}

fn of_holders() -> Vec<Defect> {
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
                            fs::remove_file(desk.path("custody").join(name)).unwrap();
                        }
                        let options = SealOptions { despite: true, ..SealOptions::default() };
                        let (key, at) = (desk.key("other", "other@example.com"), at());
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
            others: &["instructions-differ", "seal-signer-unknown"],
            make: Make::Own(|| {
                without_keys(
                    sealed_by(|desk| {
                        desk.seal("key", PRINCIPAL);
                        let (first, other) = (desk.key("key", PRINCIPAL), desk.key("other", PRINCIPAL));
                        let path = desk.path("custody/seals/0001.json");
                        let mut text = fs::read_to_string(&path).unwrap();
                        for (from, to) in [
                            (&first.signer().public_key, &other.signer().public_key),
                            (&first.signer().fingerprint, &other.signer().fingerprint),
                        ] {
                            text = text.replace(from.as_str(), to);
                        }
                        fs::remove_file(&path).unwrap();
                        fs::write(&path, text).unwrap();
                        fs::remove_file(desk.path("custody/seals/0001.json.sig")).unwrap();
                        let sign = "ssh-keygen -q -Y sign -n caselock-seal -f other case/custody/seals/0001.json";
                        shell_ok(desk.0, sign);
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
                    fs::remove_file(desk.path("custody/seals/0001.json.sig")).unwrap();
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
