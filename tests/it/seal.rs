//! Sealing, checked with programs that others wrote.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use caselock::case::{CaseFolder, CaseWriter, Workspace};
use caselock::model::Sha256Hash;
use caselock::package::PackageFiles;
use caselock::seal::{
    AllowedSigners, KeyError, SealError, SealOptions, SealStatement, SignatureProblem, SigningKey, Vouched, read_seals,
    seal_case, seal_case_with, verify_signature,
};
use caselock::verify::{Options, Verdict, verify};
use ssh_key::public::{EcdsaPublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PrivateKey, PublicKey, Signature, SshSig};

use crate::findings::has;
use crate::peers;
use crate::sample::{PRINCIPAL, Sample, at, shell, shell_ok, tool};

const VERIFY: &str = "ssh-keygen -Y verify -f custody/allowed_signers -I examiner@example.com -n caselock-seal \
     -s custody/seals/0001.json.sig < custody/seals/0001.json";

#[test]
fn a_sealed_case_is_a_bag_that_others_validate() {
    let sample = Sample::sealed();
    assert!(peers::is_valid_bag(&sample.case()));
    shell_ok(&sample.case(), "sha256sum --strict --quiet -c manifest-sha256.txt tagmanifest-sha256.txt");
    let info = fs::read_to_string(sample.file("bag-info.txt")).unwrap();
    assert_eq!(info.matches("Payload-Oxum").count(), 2, "the organization's name holds one, within its line: {info}");
    assert_eq!(info.lines().filter(|line| line.starts_with("Payload-Oxum: ")).count(), 1, "{info}");
}

#[test]
fn what_is_refused_does_not_depend_on_what_fits_into_memory() {
    for held in [0, usize::MAX] {
        let seal = |sample: &Sample, writer: &mut CaseWriter| {
            let workspace = Workspace { folder: None, held };
            seal_case_with(writer, &sample.key(), at(), &tool(), &SealOptions { workspace, ..SealOptions::default() })
        };
        let (sample, mut writer) = Sample::new();
        let first = Sample::payload()[0].to_string();
        let kept = fs::read(sample.file(&first)).unwrap();
        fs::remove_file(sample.file(&first)).unwrap();
        let refused = seal(&sample, &mut writer).unwrap_err();
        assert!(matches!(&refused, SealError::Missing { path } if *path == first), "{refused}");
        fs::write(sample.file(&first), kept).unwrap();
        fs::write(sample.file("data/s3/extra"), "x").unwrap();
        let refused = seal(&sample, &mut writer).unwrap_err();
        assert!(matches!(&refused, SealError::Unlisted { path } if path == "data/s3/extra"), "{refused}");
        fs::remove_file(sample.file("data/s3/extra")).unwrap();
        assert_eq!(
            seal(&sample, &mut writer).unwrap().statement.artifacts.count,
            u64::try_from(Sample::payload().len()).unwrap()
        );
    }
}

#[test]
fn the_payload_cannot_be_written_after_sealing() {
    let sample = Sample::sealed();
    for path in Sample::payload() {
        let path = sample.file(path.as_str());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o444, "{}", path.display());
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o555, "{}", path.display());
    }
}

#[test]
fn ssh_keygen_accepts_the_signature_and_refuses_it_over_other_bytes() {
    let sample = Sample::sealed();
    let answer = shell_ok(&sample.case(), VERIFY);
    assert!(answer.contains("Good \"caselock-seal\" signature for examiner@example.com"), "{answer}");
    let statement = fs::read(sample.file("custody/seals/0001.json")).unwrap();
    sample.overwrite("custody/seals/0001.json", &[&statement[..], b" "].concat());
    assert!(!shell(&sample.case(), VERIFY).status.success());
}

#[test]
fn the_seal_says_what_lies_in_the_case() {
    let sample = Sample::sealed();
    let seals = read_seals(&sample.open()).unwrap();
    let [seal] = &seals[..] else { panic!("{seals:?}") };
    let bytes = seal.statement.as_deref().unwrap();
    let statement = SealStatement::parse(bytes).unwrap();
    let hash = |path: &str| Sha256Hash::of(&fs::read(sample.file(path)).unwrap());
    assert_eq!(statement.manifest_sha256, hash("manifest-sha256.txt"));
    assert_eq!(statement.tagmanifest_sha256, hash("tagmanifest-sha256.txt"));
    assert_eq!((statement.number, statement.previous_seal_sha256), (1, None));
    assert_eq!(statement.artifacts.count, u64::try_from(Sample::payload().len()).unwrap());
    let ledger = sample.ledger();
    assert_eq!(statement.ledger.lines, u64::try_from(ledger.lines().count()).unwrap());
    assert!(ledger.lines().last().unwrap().contains("\"event\":\"case.sealed\""));
    let signer = verify_signature(bytes, seal.signature.as_deref().unwrap()).unwrap();
    assert_eq!(signer.fingerprint, statement.signer.fingerprint);
    let allowed = fs::read_to_string(sample.file("custody/allowed_signers")).unwrap();
    let vouched = AllowedSigners::parse(&allowed).unwrap();
    assert_eq!(vouched.vouch(&signer, PRINCIPAL, at()), Vouched::Yes { names: PRINCIPAL, for_a_time: false });
}

/// The commands of a text for people: lines set in by four blanks, and programs between lines of `---`.
pub(crate) fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut program: Option<String> = None;
    for line in text.lines() {
        if line.starts_with("---") {
            match program.take() {
                Some(program) => commands.push(program),
                None => program = Some(String::new()),
            }
        } else if let Some(program) = &mut program {
            program.push_str(line);
            program.push('\n');
        } else if let Some(command) = line.strip_prefix("    ").filter(|command| !command.starts_with("SHA256:")) {
            commands.push(command.to_owned());
        }
    }
    commands
}

/// A command where the BagIt validator is among the programs.
fn with_bagit(command: &str) -> String {
    format!("export PATH=\"{}:$PATH\"\n{command}", peers::bagit().parent().unwrap().display())
}

#[test]
fn every_command_of_verify_txt_works_as_written() {
    let (sample, other) = Sample::sealed_by_two();
    let text = fs::read_to_string(sample.file("VERIFY.txt")).unwrap();
    let commands = commands(&text);
    assert_eq!(commands.len(), 8, "{commands:#?}");
    let answers: Vec<String> = commands.iter().map(|command| shell_ok(&sample.case(), &with_bagit(command))).collect();
    let all = answers.concat();
    let fingerprint = &sample.key().signer().fingerprint.clone();
    assert!(answers[0].contains(fingerprint.as_str()) && text.contains(fingerprint.as_str()), "{all}");
    assert!(!all.contains("BAD"), "{all}");
    assert!(answers[2].contains("ok  custody/seals/0002.json signs the first"), "{all}");
    assert_eq!(all.matches("every file is unchanged").count(), 2, "{all}");
    assert!(all.contains("no file too many"), "{all}");
    let counsel = &other.signer().fingerprint;
    assert!(
        answers[7].contains("0002.json says it is by 'counsel@example.com'\nGood") && answers[7].contains(counsel),
        "{all}"
    );
}

#[test]
fn verify_txt_finds_what_was_changed() {
    type Change = fn(&Sample);
    let changes: [(&str, Change); 6] = [
        ("a payload file", |sample| sample.overwrite(Sample::payload()[0].as_str(), b"other")),
        ("one file too many", |sample| sample.overwrite("data/extra", b"extra")),
        ("a line of the ledger", |sample| {
            sample.replace("custody/ledger.jsonl", "\"attempts\":1", "\"attempts\":2");
        }),
        ("the ledger's end", |sample| {
            let ledger = sample.ledger();
            let kept: Vec<&str> = ledger.split_inclusive('\n').collect();
            sample.overwrite("custody/ledger.jsonl", kept[..kept.len() - 1].concat().as_bytes());
        }),
        ("the case's identity", |sample| {
            sample.replace("custody/case.toml", "A. Examiner", "B. Examiner");
        }),
        ("the seal", |sample| {
            sample.replace("custody/seals/0001.json", "IR-2026-014", "IR-2026-015");
        }),
    ];
    for (what, change) in changes {
        let sample = Sample::sealed();
        let commands = commands(&fs::read_to_string(sample.file("VERIFY.txt")).unwrap());
        change(&sample);
        let failed = commands.iter().any(|command| {
            let output = shell(&sample.case(), &with_bagit(command));
            !output.status.success() || String::from_utf8_lossy(&output.stdout).contains("BAD")
        });
        assert!(failed, "{what}");
    }
}

#[test]
fn a_case_that_is_not_what_the_ledger_says_is_not_sealed() {
    let attempt = |change: &dyn Fn(&Sample)| {
        let (sample, mut writer) = Sample::new();
        change(&sample);
        let refused = seal_case(&mut writer, &sample.key(), at(), &tool(), "").unwrap_err();
        assert!(refused.is_integrity_failure(), "{refused}");
        assert!(!sample.file("manifest-sha256.txt").exists() && !sample.file("custody/seals").exists());
        refused
    };
    let first = Sample::payload()[0].to_string();
    let length = format!("content of {:?}", "x").len();
    let refused = attempt(&|sample| sample.overwrite(&first, b"other"));
    assert!(matches!(&refused, SealError::Modified { path, .. } if *path == first), "{refused}");
    let refused = attempt(&|sample| {
        let mut bytes = fs::read(sample.file(&first)).unwrap();
        bytes[length] ^= 1;
        sample.overwrite(&first, &bytes);
    });
    assert!(matches!(&refused, SealError::Modified { path, .. } if *path == first), "{refused}");
    let refused = attempt(&|sample| fs::remove_file(sample.file(&first)).unwrap());
    assert!(matches!(&refused, SealError::Missing { path } if *path == first), "{refused}");
    let refused = attempt(&|sample| sample.overwrite("data/s3/extra", b""));
    assert!(matches!(&refused, SealError::Unlisted { path } if path == "data/s3/extra"), "{refused}");
    let refused = attempt(&|sample| std::os::unix::fs::symlink("/etc/passwd", sample.file("data/s3/link")).unwrap());
    assert!(matches!(&refused, SealError::Foreign { path, .. } if path == "data/s3/link"), "{refused}");
}

#[test]
fn a_case_without_artifacts_is_not_sealed() {
    let (sample, writer) = Sample::new();
    let identity = writer.identity().clone();
    let mut empty = CaseWriter::create(&sample.path("empty"), &identity, &tool()).unwrap();
    assert!(matches!(seal_case(&mut empty, &sample.key(), at(), &tool(), ""), Err(SealError::Empty)));
}

#[test]
fn a_later_seal_extends_the_first_and_rewrites_nothing() {
    let (sample, mut writer) = Sample::new();
    let first = sample.seal(&mut writer);
    let before: Vec<(String, Vec<u8>)> = shell_ok(&sample.case(), "find . -type f ! -name ledger.jsonl")
        .lines()
        .map(|path| (path.to_owned(), fs::read(sample.file(path)).unwrap()))
        .collect();
    let other = sample.key_of("other", "counsel@example.com");
    let later = at().plus_seconds(86_400);
    let second = seal_case(&mut writer, &other, later, &tool(), "received by counsel").unwrap();
    assert_eq!(second.path, "custody/seals/0002.json");
    assert_eq!(second.statement.previous_seal_sha256, Some(first.sha256));
    assert_eq!(second.statement.ledger.lines, first.statement.ledger.lines + 1);
    for (path, bytes) in before {
        assert_eq!(fs::read(sample.file(&path)).unwrap(), bytes, "{path}");
    }
    assert!(peers::is_valid_bag(&sample.case()));
}

#[test]
fn a_case_that_was_changed_after_a_seal_is_not_sealed_again() {
    type Change = fn(&Sample);
    let changes: [(&str, Change); 5] = [
        ("README.txt", |sample| sample.overwrite("README.txt", b"other")),
        ("manifest", |sample| sample.overwrite("manifest-sha256.txt", b"other")),
        ("tag manifest", |sample| sample.overwrite("tagmanifest-sha256.txt", b"other")),
        ("statement", |sample| {
            sample.replace("custody/seals/0001.json", "IR-2026-014", "IR-2026-015");
        }),
        ("numbering", |sample| {
            for extension in ["json", "json.sig"] {
                let name = |number: u32| sample.file(&format!("custody/seals/{number:04}.{extension}"));
                fs::rename(name(1), name(2)).unwrap();
            }
        }),
    ];
    for (what, change) in changes {
        let (sample, mut writer) = Sample::new();
        sample.seal(&mut writer);
        change(&sample);
        let refused = seal_case(&mut writer, &sample.key(), at(), &tool(), "").unwrap_err();
        assert!(refused.is_integrity_failure(), "{what}: {refused}");
    }
}

/// What sealing writes behind the ledger's line, in this order.
const WRITTEN: [&str; 9] = [
    "manifest-sha256.txt",
    "bagit.txt",
    "bag-info.txt",
    "VERIFY.txt",
    "verify.html",
    "custody/allowed_signers",
    "tagmanifest-sha256.txt",
    "custody/seals/0001.json",
    "custody/seals/0001.json.sig",
];

/// Cut off before the file at `cut` had its name: it and all later ones are not there, and may be there in part.
fn cut_off(cut: usize) -> Sample {
    let sample = Sample::sealed();
    for path in &WRITTEN[cut..] {
        let path = sample.file(path);
        fs::rename(&path, format!("{}.part", path.display())).unwrap();
    }
    sample
}

#[test]
fn an_attempt_that_was_cut_off_anywhere_can_be_made_again() {
    for (cut, first) in WRITTEN.iter().enumerate() {
        let sample = cut_off(cut);
        // Another day: what the first attempt wrote says otherwise.
        let mut writer = sample.open_again();
        let sealed = seal_case(&mut writer, &sample.key(), at().plus_seconds(86_400), &tool(), "").unwrap();
        assert_eq!(sealed.path, "custody/seals/0001.json", "{first}");
        assert!(peers::is_valid_bag(&sample.case()), "{first}");
        shell_ok(&sample.case(), VERIFY);
        let leftovers = shell_ok(&sample.case(), "find . -name '*.part'");
        assert_eq!(leftovers, "", "{first}");
        let report = sample.verify();
        assert_eq!(report.case_failures(), 0, "{first}: {:#?}", report.findings);
    }
}

/// The files of a case but its ledger, which grows.
fn kept(sample: &Sample) -> Vec<(String, Vec<u8>)> {
    let paths = shell_ok(&sample.case(), "find . -type f ! -name ledger.jsonl ! -name '*.part'");
    paths.lines().map(|path| (path.to_owned(), fs::read(sample.file(path)).unwrap())).collect()
}

#[test]
fn a_seal_whose_signature_is_lost_is_not_replaced_by_another_key_but_extended() {
    let sample = cut_off(8);
    let before = kept(&sample);
    let other = sample.key_of("other", "counsel@example.com");
    let mut writer = sample.open_again();
    for number in 2..4 {
        let sealed = sample.seal_by(&other, &mut writer);
        assert_eq!(sealed.path, format!("custody/seals/{number:04}.json"));
        let found: &[String] = if number == 2 { &["seal-unsigned custody/seals/0001.json".to_owned()] } else { &[] };
        assert_eq!(sealed.statement.damage, found);
    }
    drop(writer);
    for (path, bytes) in before {
        assert_eq!(fs::read(sample.file(&path)).unwrap(), bytes, "{path}");
    }
    let case = sample.open();
    let about_the_first = |report: &caselock::verify::Report| {
        assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
        report.findings.iter().filter(|finding| finding.object == "custody/seals/0001.json").count()
    };
    assert_eq!(about_the_first(&verify(&case, &Options::default()).unwrap()), 1);
    let package = caselock::package::write_package(&case, &sample.path("p.zip")).unwrap();
    let files = PackageFiles::open(&package.path).unwrap();
    assert_eq!(about_the_first(&verify(&files, &Options::default()).unwrap()), 1);
    // Once the signature is found again, nothing is wrong.
    let signature = sample.file("custody/seals/0001.json.sig");
    fs::rename(format!("{}.part", signature.display()), &signature).unwrap();
    assert_eq!(about_the_first(&verify(&case, &Options::default()).unwrap()), 0);
}

#[test]
fn a_seal_of_which_nothing_is_left_is_made_by_another_key_only_on_demand_and_told_of() {
    let sample = cut_off(7);
    let other = sample.key_of("other", "counsel@example.com");
    let mut writer = sample.open_again();
    let ledger = sample.ledger();
    let before = kept(&sample);
    let refused = seal_case(&mut writer, &other, at(), &tool(), "").unwrap_err();
    assert!(
        matches!(&refused, SealError::Announced { signer, .. } if *signer == sample.key().signer().fingerprint),
        "{refused}"
    );
    assert!(!refused.is_integrity_failure());
    assert_eq!(sample.ledger(), ledger);
    assert!(kept(&sample) == before);
    let sealed = sample.seal_despite(&other, &mut writer);
    assert_eq!(sealed.statement.damage, ["seal-replaced custody/seals/0001.json"]);
    drop(writer);
    let report = sample.verify();
    assert!(has(&report, "seal-replaced"), "{:#?}", report.findings);
}

#[test]
fn a_seal_that_was_stamped_is_not_written_anew_by_its_own_key_either() {
    let sample = cut_off(8);
    sample.overwrite("custody/seals/0001.json.tsr", b"a stamp");
    let before = fs::read(sample.file("custody/seals/0001.json")).unwrap();
    let mut writer = sample.open_again();
    assert_eq!(sample.seal(&mut writer).path, "custody/seals/0002.json");
    assert_eq!(fs::read(sample.file("custody/seals/0001.json")).unwrap(), before);
}

#[test]
fn a_key_that_refuses_leaves_no_announcement() {
    let (sample, mut writer) = Sample::new();
    // A public key whose private half no agent has.
    sample.shell("ssh-keygen -q -t rsa -b 2048 -N '' -C examiner@example.com -f made && rm made");
    let key = SigningKey::load(&sample.path("made.pub"), None).unwrap();
    let before = sample.ledger();
    let refused = seal_case(&mut writer, &key, at(), &tool(), "").unwrap_err();
    assert!(matches!(refused, SealError::Key(_)), "{refused}");
    assert_eq!(sample.ledger(), before);
    assert_eq!(sample.seal(&mut writer).path, "custody/seals/0001.json");
}

/// The kinds of key that `ssh-keygen` makes, with their sizes.
const KINDS: [(&str, &str); 5] = [("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("ed25519", "256")];

/// The key `made` of that kind, as `ssh-keygen` makes it.
fn made(sample: &Sample, kind: &str, bits: &str) -> SigningKey {
    let make = format!("rm -f made*; ssh-keygen -q -t {kind} -b {bits} -N '' -C {PRINCIPAL} -f made");
    shell_ok(&sample.path(""), &make);
    SigningKey::load(&sample.path("made"), None).unwrap()
}

/// What is found about seal and checkpoint where these are vouched for.
fn about_the_seal(sample: &Sample, allowed: &AllowedSigners) -> Vec<String> {
    let options = Options { allowed_signers: Some(allowed), ..Options::default() };
    let report = verify(&CaseFolder::open(&sample.case()).unwrap(), &options).unwrap();
    let about = |object: &str| object.contains("custody/seals") || object.contains("custody/checkpoints");
    report.findings.into_iter().filter(|finding| about(&finding.object)).map(|finding| finding.kind).collect()
}

#[test]
fn what_a_key_of_any_kind_signs_ssh_keygen_accepts_and_what_ssh_keygen_signs_holds_here() {
    for (kind, bits) in KINDS {
        let (sample, mut writer) = Sample::new();
        let key = made(&sample, kind, bits);
        // A quarter of all P-521 keys are spelled so that they are not read here.
        assert!(bits == "521" || key.signs_through_ssh_keygen() == (kind == "rsa"), "{kind} {bits}");
        seal_case(&mut writer, &key, at(), &tool(), "").unwrap();
        drop(writer);
        shell_ok(&sample.case(), VERIFY);
        let allowed = AllowedSigners::parse(&format!("{PRINCIPAL} {}", key.signer().public_key)).unwrap();
        assert_eq!(about_the_seal(&sample, &allowed), [""; 0], "{kind} {bits}");
        // The same by ssh-keygen's own hand.
        let parts =
            [("custody/seals/0001.json", "seal-signature-invalid"), ("custody/checkpoints/0001.json", "checkpoint-mismatch")];
        for (path, _) in parts {
            let sign = format!("ssh-keygen -q -Y sign -n caselock-seal -f ../made < {path} > ../signature && cat ../signature");
            let signature = shell_ok(&sample.case(), &sign);
            sample.overwrite(&format!("{path}.sig"), signature.as_bytes());
            assert_eq!(verify_signature(&fs::read(sample.file(path)).unwrap(), signature.as_bytes()).unwrap(), *key.signer());
        }
        assert_eq!(about_the_seal(&sample, &allowed), [""; 0], "{kind} {bits}");
        // One letter of a signature, then one of what is signed.
        for (path, finding) in parts {
            let genuine = fs::read_to_string(sample.file(&format!("{path}.sig"))).unwrap();
            let last_line = genuine.trim_end().rsplit('\n').nth(1).unwrap();
            let other = if last_line.starts_with('A') { "B" } else { "A" };
            sample.overwrite(
                &format!("{path}.sig"),
                genuine.replace(last_line, &(other.to_owned() + &last_line[1..])).as_bytes(),
            );
            let found = about_the_seal(&sample, &allowed);
            assert!(found.iter().any(|kind| kind == finding), "{kind} {bits}: {found:?}");
            sample.overwrite(&format!("{path}.sig"), genuine.as_bytes());
        }
        let statement = fs::read_to_string(sample.file("custody/seals/0001.json")).unwrap();
        sample.overwrite("custody/seals/0001.json", statement.replace("IR-2026-014", "IR-2026-015").as_bytes());
        let found = about_the_seal(&sample, &allowed);
        for expected in ["seal-signature-invalid", "seal-untrusted"] {
            assert!(found.iter().any(|kind| kind == expected), "{kind} {bits}: {found:?}");
        }
    }
}

#[test]
fn a_key_that_is_spelled_as_only_ssh_keygen_reads_it_signs_through_it() {
    let (sample, mut writer) = Sample::new();
    // P-521 numbers with leading zeros, which ssh-keygen leaves out: one key in four.
    let key = (0..100).map(|_| made(&sample, "ecdsa", "521")).find(SigningKey::signs_through_ssh_keygen).unwrap();
    seal_case(&mut writer, &key, at(), &tool(), "").unwrap();
    shell_ok(&sample.case(), VERIFY);
    let statement = fs::read(sample.file("custody/seals/0001.json")).unwrap();
    let signature = fs::read(sample.file("custody/seals/0001.json.sig")).unwrap();
    assert_eq!(verify_signature(&statement, &signature).unwrap(), *key.signer());
    // Protected by a passphrase, it is still that key and no wrong passphrase.
    shell_ok(&sample.path(""), "ssh-keygen -q -p -N 'correct horse' -f made");
    assert!(SigningKey::load(&sample.path("made"), Some("correct horse")).unwrap().signs_through_ssh_keygen());
    assert!(matches!(SigningKey::load(&sample.path("made"), Some("battery")), Err(KeyError::WrongPassphrase { .. })));
    // Without its public half, the way out is told, and is one.
    shell_ok(&sample.path(""), "ssh-keygen -q -p -P 'correct horse' -N '' -f made && rm made.pub");
    let refused = SigningKey::load(&sample.path("made"), None).unwrap_err().to_string();
    let (_, way_out) = refused.split_once("once the public half is there: ").unwrap();
    shell_ok(&sample.path(""), way_out);
    assert_eq!(SigningKey::load(&sample.path("made"), None).unwrap().signer(), key.signer());
}

/// Seals' signatures as hardware keys make them, over their flags and counter and hashes; the secrets are those of keys in memory.
pub(crate) fn signed_by_hardware(statement: &[u8]) -> Vec<(PublicKey, String)> {
    let signed = |key: &PrivateKey, bytes: &[u8]| {
        fn with(key: &impl ssh_key::SigningKey, bytes: &[u8]) -> Signature {
            key.try_sign(bytes).unwrap()
        }
        with(key, bytes)
    };
    let (application, flags_and_counter) = ("ssh:", [1, 0, 0, 0, 7]);
    let keys = [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }];
    let keys = keys.map(|kind| PrivateKey::random(&mut OsRng, kind).unwrap());
    let by_one = |key: &PrivateKey| {
        let public = match key.public_key().key_data() {
            KeyData::Ed25519(public) => KeyData::SkEd25519(SkEd25519::new(*public, application)),
            KeyData::Ecdsa(EcdsaPublicKey::NistP256(public)) => {
                KeyData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::new(*public, application))
            }
            other => panic!("{other:?}"),
        };
        let asked = SshSig::signed_data("caselock-seal", HashAlg::Sha512, statement).unwrap();
        let hashes = [application.as_bytes(), &asked].map(|bytes| Sha256Hash::of(bytes).as_bytes().to_vec());
        let made = signed(key, &[&hashes[0][..], &flags_and_counter, &hashes[1]].concat());
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let public = PublicKey::new(public, "");
        let made =
            [string(public.algorithm().as_str().as_bytes()), string(made.as_bytes()), flags_and_counter.to_vec()].concat();
        let fields = [&public.to_bytes().unwrap()[..], b"caselock-seal", b"", b"sha512", &made];
        let blob = [b"SSHSIG\0\0\0\x01".to_vec(), fields.map(string).concat()].concat();
        let text = base64::engine::general_purpose::STANDARD.encode(blob);
        let lines = text.as_bytes().chunks(70).map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()));
        (public, format!("-----BEGIN SSH SIGNATURE-----\n{}-----END SSH SIGNATURE-----\n", lines.collect::<String>()))
    };
    keys.iter().map(by_one).collect()
}

#[test]
fn a_signature_by_a_hardware_key_holds_here_as_for_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    for (key, signature) in signed_by_hardware(b"{}") {
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("signers", &format!("a {}\n", key.to_openssh().unwrap()));
        write("signature", &signature);
        shell_ok(folder.path(), "printf '{}' | ssh-keygen -Y verify -f signers -I a -n caselock-seal -s signature");
        let signer = verify_signature(b"{}", signature.as_bytes()).unwrap();
        assert_eq!(signer.public_key, key.to_openssh().unwrap());
        assert!(matches!(verify_signature(b"[]", signature.as_bytes()), Err(SignatureProblem::Invalid { .. })));
    }
}

#[test]
fn a_signature_by_a_certificate_is_neither_a_pass_nor_an_accusation() {
    let (sample, mut writer) = Sample::new();
    let key = made(&sample, "ed25519", "256");
    seal_case(&mut writer, &key, at(), &tool(), "").unwrap();
    drop(writer);
    let certify = "ssh-keygen -q -t ed25519 -N '' -C authority -f authority && ssh-keygen -q -s authority -I made -n made made.pub && \
                   for of in seals checkpoints; do ssh-keygen -q -Y sign -n caselock-seal -f made-cert.pub < case/custody/$of/0001.json > $of.sig; done";
    shell_ok(&sample.path(""), certify);
    for of in ["seals", "checkpoints"] {
        sample.overwrite(&format!("custody/{of}/0001.json.sig"), &fs::read(sample.path(&format!("{of}.sig"))).unwrap());
    }
    let genuine = fs::read_to_string(sample.file("custody/seals/0001.json.sig")).unwrap();
    let last_line = genuine.trim_end().rsplit('\n').nth(1).unwrap();
    let other = if last_line.starts_with('A') { "B" } else { "A" };
    // Whether it is genuine or any bytes of its shape, nobody has checked it, and that is no pass.
    for bytes in [genuine.clone(), genuine.replace(last_line, &(other.to_owned() + &last_line[1..]))] {
        sample.overwrite("custody/seals/0001.json.sig", bytes.as_bytes());
        let report = verify(&CaseFolder::open(&sample.case()).unwrap(), &Options::default()).unwrap();
        let about = report.findings.iter().filter(|finding| finding.object == "custody/seals/0001.json");
        let kinds: Vec<&str> = about.map(|finding| finding.kind.as_str()).collect();
        assert_eq!((report.verdict, kinds), (Verdict::Incomplete, vec!["signature-not-checked"]), "{:#?}", report.findings);
        assert!(!report.findings.iter().any(|finding| finding.kind == "seal-signer-unknown"), "{:#?}", report.findings);
    }
}

#[test]
fn an_encrypted_key_made_by_ssh_keygen_opens_with_its_passphrase() {
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "384")] {
        let (sample, mut writer) = Sample::new();
        let make = format!("ssh-keygen -q -t {kind} -b {bits} -N 'correct horse' -C {PRINCIPAL} -f made");
        shell_ok(&sample.path(""), &make);
        assert!(SigningKey::load(&sample.path("made"), None).is_err());
        let key = SigningKey::load(&sample.path("made"), Some("correct horse")).unwrap();
        assert_eq!(key.principal(), PRINCIPAL);
        assert!(!key.signs_through_ssh_keygen());
        seal_case(&mut writer, &key, at(), &tool(), "").unwrap();
        shell_ok(&sample.case(), VERIFY);
    }
}

#[test]
fn a_signature_made_by_ssh_keygen_for_another_purpose_is_refused() {
    let sample = Sample::sealed();
    let sign = format!("ssh-keygen -q -Y sign -n file -f '{}' < custody/seals/0001.json", sample.key_path().display());
    let output = shell(&sample.case(), &sign);
    let statement = fs::read(sample.file("custody/seals/0001.json")).unwrap();
    assert_eq!(
        verify_signature(&statement, &output.stdout),
        Err(SignatureProblem::WrongNamespace { namespace: "file".to_owned() })
    );
}
