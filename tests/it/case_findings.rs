//! Findings about a case's own files that no vector gives: each kind is named by a test that provokes it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use caselock::case::event::GapReason;
use caselock::case::{CASE_TOML, CaseError, CaseFiles, Found, LEDGER, PathError};
use caselock::model::Severity;
use caselock::seal::AllowedSigners;
use caselock::verify::{Options, Report, verify};
use serde_json::json;

use crate::findings::{kinds, of};
use crate::memory_case::{Collection, MemoryCase, quiet};
use crate::sample::{Sample, gap};

const SEAL: &str = "custody/seals/0001.json";

#[track_caller]
fn expect(report: &Report, severity: Severity, kind: &str) {
    assert!(kinds(report, severity).contains(kind), "{kind}: {:#?}", report.findings);
}

#[test]
fn a_seal_that_says_something_else_than_the_case_is_named_for_what_it_says() {
    for (from, to, kind) in [
        ("\"number\":1", "\"number\":2", "seal-number-mismatch"),
        ("\"case_number\":\"IR-2026-014\"", "\"case_number\":\"IR-2026-015\"", "seal-case-mismatch"),
        ("\"number\":1,", &format!("\"number\":1,\"previous_seal_sha256\":\"{}\",", "11".repeat(32)), "seal-chain-broken"),
        ("{", "{ ", "seal-malformed"),
    ] {
        let sample = Sample::sealed();
        sample.replace(SEAL, from, to);
        let report = sample.verify();
        expect(&report, Severity::Failure, kind);
        expect(&report, Severity::Failure, "seal-signature-invalid");
    }
}

#[test]
fn a_seal_signed_by_another_key_than_it_names_is_a_failure() {
    let sample = Sample::sealed();
    let script = "ssh-keygen -q -t ed25519 -N '' -C other -f other && cp case/custody/seals/0001.json statement && \
                  ssh-keygen -q -Y sign -f other -n caselock-seal statement";
    sample.shell(script);
    sample.overwrite("custody/seals/0001.json.sig", &fs::read(sample.path("statement.sig")).unwrap());
    expect(&sample.verify(), Severity::Failure, "seal-signer-mismatch");
}

#[test]
fn a_checkpoint_that_another_key_signed_is_a_failure_whatever_kind_of_key_that_is() {
    const CHECKPOINT: &str = "custody/checkpoints/0001.json.sig";
    let about = |sample: &Sample| -> Vec<(Severity, String)> {
        let findings = sample.verify().findings.into_iter().filter(|finding| finding.object == CHECKPOINT);
        findings.map(|finding| (finding.severity, finding.kind)).collect()
    };
    // Of the last kind, whether a signature holds is for ssh-keygen to say.
    let make = "ssh-keygen -q -t ed25519 -N '' -C a -f plain && ssh-keygen -q -t ecdsa -b 384 -N '' -C a -f p384 && \
                ssh-keygen -q -t ed25519 -N '' -C a -f certified && ssh-keygen -q -s plain -I a -n a certified.pub && echo anything > said && \
                for key in plain p384 certified; do ssh-keygen -q -Y sign -f $key -n caselock-seal < said > $key.sig; done && \
                ssh-keygen -q -Y sign -f certified-cert.pub -n caselock-seal < said > certified.sig";
    let sample = Sample::sealed();
    sample.shell(make);
    assert_eq!(about(&sample), []);
    for key in ["plain", "p384", "certified"] {
        sample.overwrite(CHECKPOINT, &fs::read(sample.path(&format!("{key}.sig"))).unwrap());
        assert_eq!(about(&sample), [(Severity::Failure, "checkpoint-mismatch".to_owned())], "{key}");
    }
    // A seal signed so: its checkpoint may be by the same key, which is not known, and that is told.
    let sign = "ssh-keygen -q -Y sign -f certified-cert.pub -n caselock-seal < case/custody/seals/0001.json > seal.sig";
    sample.shell(sign);
    sample.overwrite("custody/seals/0001.json.sig", &fs::read(sample.path("seal.sig")).unwrap());
    for (key, severity, kind) in [
        ("plain", Severity::Failure, "checkpoint-mismatch"),
        ("p384", Severity::Failure, "checkpoint-mismatch"),
        ("certified", Severity::Gap, "signature-not-checked"),
    ] {
        sample.overwrite(CHECKPOINT, &fs::read(sample.path(&format!("{key}.sig"))).unwrap());
        assert_eq!(about(&sample), [(severity, kind.to_owned())], "{key}");
    }
}

#[test]
fn what_was_put_among_the_seals_or_reports_is_told_of() {
    let uncovered = |sample: &Sample| -> Vec<String> {
        let findings = sample.verify().findings.into_iter().filter(|finding| finding.kind == "file-not-covered");
        findings.map(|finding| finding.object).collect()
    };
    let (sample, mut writer) = Sample::new();
    fs::create_dir(sample.file("reports")).unwrap();
    sample.overwrite("reports/report.html", b"<p>");
    sample.overwrite("reports/snapshots.json", b"{}");
    assert_eq!(uncovered(&sample), [""; 0], "what caselock itself puts into a case that nothing seals");
    sample.overwrite("reports/READ-ME-FIRST.txt", b"trust me");
    assert_eq!(uncovered(&sample), ["reports/READ-ME-FIRST.txt"]);
    fs::remove_dir_all(sample.file("reports")).unwrap();
    sample.seal(&mut writer);
    sample.seal(&mut writer);
    for made in ["custody/seals/0001.json.tsr", "custody/seals/0001.json.tsr.2"] {
        sample.overwrite(made, b"a stamp");
    }
    assert_eq!(uncovered(&sample), [""; 0]);
    fs::create_dir(sample.file("reports")).unwrap();
    let planted = [
        "custody/checkpoints/0003.json",
        "custody/checkpoints/0003.json.sig",
        "custody/checkpoints/9999.json",
        "custody/seals/0001.json.tsr.4",
        "custody/seals/INSTRUCTIONS.txt",
        "custody/seals/more/0001.json",
        "reports/report.html",
    ];
    fs::create_dir(sample.file("custody/seals/more")).unwrap();
    for path in planted {
        sample.overwrite(path, b"trust me");
    }
    assert_eq!(uncovered(&sample), planted);
}

#[test]
fn a_seal_by_somebody_whom_nobody_allowed_is_a_failure() {
    let sample = Sample::sealed();
    let other = sample.key_of("other", "other@example.com").signer().public_key.clone();
    let allowed = AllowedSigners::parse(&format!("other@example.com {other}")).unwrap();
    let options = Options { allowed_signers: Some(&allowed), ..Options::default() };
    let report = sample.verify_with(&options);
    expect(&report, Severity::Failure, "seal-untrusted");
}

#[test]
fn where_trusted_signers_are_named_a_case_without_a_seal_is_no_pass_and_a_strangers_seal_covers_nothing() {
    let (sample, mut writer) = Sample::new();
    let allowed = AllowedSigners::parse(&format!("examiner@example.com {}", sample.key().signer().public_key)).unwrap();
    let options = Options { allowed_signers: Some(&allowed), ..Options::default() };
    let verified = || sample.verify_with(&options);
    expect(&verified(), Severity::Gap, "seal-absent");
    sample.seal(&mut writer);
    assert!(verified().findings.iter().all(|finding| !finding.kind.starts_with("seal-")), "{:#?}", verified().findings);
    // Whoever has the folder can seal it once more.
    let stranger = sample.key_of("stranger", "stranger@example.com");
    sample.seal_by(&stranger, &mut writer);
    let report = verified();
    expect(&report, Severity::Notice, "seal-signer-unknown");
    expect(&report, Severity::Notice, "ledger-after-seal");
}

/// An attacker's whole work: everything sealed anew, and the genuine key left to be seen first.
#[test]
fn a_forged_case_that_shows_the_genuine_key_as_well_is_a_failure() {
    let (genuine, sample) = (Sample::sealed(), Sample::sealed());
    let first = fs::read_to_string(genuine.file("custody/allowed_signers")).unwrap();
    let both = first + &fs::read_to_string(sample.file("custody/allowed_signers")).unwrap();
    sample.overwrite("custody/allowed_signers", both.as_bytes());
    let listed = fs::read_to_string(sample.file("tagmanifest-sha256.txt")).unwrap();
    let hash = |bytes: &[u8]| caselock::model::Sha256Hash::of(bytes).to_string();
    let line = |line: &str| match line.strip_suffix("  custody/allowed_signers") {
        Some(_) => format!("{}  custody/allowed_signers\n", hash(both.as_bytes())),
        None => format!("{line}\n"),
    };
    let mended: String = listed.lines().map(line).collect();
    sample.overwrite("tagmanifest-sha256.txt", mended.as_bytes());
    sample.replace(SEAL, &hash(listed.as_bytes()), &hash(mended.as_bytes()));
    sample.sign_again("custody/seals/0001.json", "key");
    let report = sample.verify();
    assert_eq!(of(&report, Severity::Failure).map(|(kind, _)| kind).collect::<Vec<_>>(), ["allowed-signers-mismatch"]);
}

#[test]
fn a_file_that_the_seal_covers_and_that_is_gone_or_no_list_is_a_failure() {
    let sample = Sample::sealed();
    sample.overwrite("VERIFY.txt", b"");
    fs::remove_file(sample.file("VERIFY.txt")).unwrap();
    sample.overwrite("manifest-sha256.txt", b"no manifest\n");
    let report = sample.verify();
    expect(&report, Severity::Failure, "tag-file-missing");
    expect(&report, Severity::Failure, "manifest-malformed");
}

#[test]
fn a_case_without_its_identity_is_a_failure() {
    let case = Collection::of(&quiet()).case();
    let report = verify(&Failing(&case, CASE_TOML, 2), &Options::default()).unwrap();
    expect(&report, Severity::Failure, "case-file-missing");
}

#[test]
fn a_case_whose_making_was_cut_off_is_no_failure() {
    let mut case = Collection::of(&quiet()).case();
    case.files.retain(|path, _| path == CASE_TOML);
    case.files.insert(LEDGER.to_owned(), Vec::new());
    let report = case.verify();
    expect(&report, Severity::Gap, "case-not-begun");
    assert_eq!(report.failures(), 0, "{:#?}", report.findings);
}

#[test]
fn a_ledger_without_its_last_newline_is_a_gap() {
    let mut case = Collection::of(&quiet()).case();
    assert_eq!(case.files.get_mut(LEDGER).unwrap().pop(), Some(b'\n'));
    let report = case.verify();
    expect(&report, Severity::Gap, "ledger-unterminated");
    assert_eq!(report.failures(), 0, "{:#?}", report.findings);
}

#[test]
fn a_line_of_a_later_version_is_a_notice() {
    let mut case = Collection::of(&quiet()).case();
    case.edit_ledger(|lines| {
        let prev = caselock::model::Sha256Hash::of(lines.last().unwrap().as_bytes()).to_string();
        let line = json!({"seq": lines.len(), "prev": prev, "at": "2026-03-02T12:00:00Z", "event": "weather.observed"});
        lines.push(String::from_utf8(serde_json_canonicalizer::to_vec(&line).unwrap()).unwrap());
    });
    let report = case.verify();
    expect(&report, Severity::Notice, "ledger-unknown-events");
    assert_eq!(report.failures(), 0, "{:#?}", report.findings);
}

/// A case on a disk that does not give some of its files.
#[derive(Debug)]
struct Failing<'a>(&'a dyn CaseFiles, &'static str, i32);

impl CaseFiles for Failing<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        self.0.walk(visit)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        if path.ends_with(self.1) {
            let source = std::io::Error::from_raw_os_error(self.2);
            return Err(PathError::new("opening", self.describe(path), source).into());
        }
        self.0.open(path)
    }

    fn describe(&self, path: &str) -> PathBuf {
        self.0.describe(path)
    }
}

fn on_a_failing_disk(case: &dyn CaseFiles, path: &'static str) -> Report {
    verify(&Failing(case, path, 5), &Options::default()).unwrap()
}

#[test]
fn what_the_disk_does_not_give_is_a_gap_and_no_tampering() {
    let case: MemoryCase = Collection::of(&quiet()).case();
    let path = case.files.keys().find(|path| path.contains("_CloudTrail_us-east-1_")).unwrap().clone();
    let report = on_a_failing_disk(&case, path.leak());
    expect(&report, Severity::Gap, "artifact-unreadable");
    assert_eq!(report.failures(), 0, "{:#?}", report.findings);

    let sample = Sample::sealed();
    let report = on_a_failing_disk(&sample.open(), "VERIFY.txt");
    expect(&report, Severity::Gap, "tag-file-unreadable");
}

#[test]
fn whatever_could_not_be_had_is_named_by_its_reason_and_an_answer_is_no_gap() {
    for (reason, kind) in [
        (GapReason::Denied, Some("gap-denied")),
        (GapReason::Failed, Some("gap-failed")),
        (GapReason::Archived, Some("gap-archived")),
        (GapReason::ChangedDuringAcquisition, Some("gap-changed-during-acquisition")),
        (GapReason::Empty, None),
        (GapReason::NotEnabled, None),
        (GapReason::Skipped, None),
    ] {
        let (sample, mut writer) = Sample::new();
        writer.append(gap("snapshots", reason)).unwrap();
        sample.seal(&mut writer);
        let gaps = sample.verify().findings.into_iter().filter(|finding| finding.kind.starts_with("gap-"));
        let gaps: Vec<(Severity, String)> = gaps.map(|finding| (finding.severity, finding.kind)).collect();
        let expected: Vec<(Severity, String)> = kind.map(|kind| (Severity::Gap, kind.to_owned())).into_iter().collect();
        assert_eq!(gaps, expected, "{reason:?}");
    }
}
