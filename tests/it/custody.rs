//! Evidence changing hands: in the case folder, and beside a package.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use caselock::case::CaseFolder;
use caselock::case::merkle::is_consistent;
use caselock::seal::{Receipt, SealOptions, SealStatement, SigningKey, read_seals, seal_case_with};
use caselock::verify::{Options, Report, verify};
use serde_json::Value;

use crate::sample::{Sample, shell_ok, started};

fn caselock(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_caselock")).args(arguments).current_dir(folder).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A sealed case in `case`, its package in `p.zip`, and the keys `key`, `counsel` and `expert`.
fn handed_over() -> Sample {
    let (sample, mut writer) = Sample::new();
    writer.append(started(1)).unwrap();
    sample.seal(&mut writer);
    drop(writer);
    for name in ["counsel", "expert"] {
        SigningKey::generate_ed25519(&sample.path(name), &format!("{name}@example.com")).unwrap();
    }
    caselock::package::write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path("p.zip")).unwrap();
    sample
}

fn transfer(sample: &Sample, item: &str, from: &str, to: &str, more: &[&str]) -> Output {
    let fixed = ["transfer", item, "--from", from, "--to", to, "--purpose", "legal review", "--json"];
    caselock(&[&fixed, more].concat(), &sample.path(""))
}

fn verified(sample: &Sample) -> Report {
    verify(&CaseFolder::open(&sample.case()).unwrap(), &Options::default()).unwrap()
}

fn kinds(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

fn statements(sample: &Sample) -> Vec<SealStatement> {
    let seals = read_seals(&CaseFolder::open(&sample.case()).unwrap()).unwrap();
    seals.iter().map(|seal| SealStatement::parse(seal.statement.as_deref().unwrap()).unwrap()).collect()
}

#[test]
fn the_receiver_signs_for_a_ledger_that_provably_extends_the_one_before() {
    let sample = handed_over();
    let more = ["--method", "courier", "--condition", "seal of the bag intact", "--signing-key", "counsel"];
    let done = transfer(&sample, "case", "A. Examiner", "B. Counsel", &more);
    assert_eq!(code(&done), 0, "{done:?}");
    assert_eq!(json(&done)["signed_in"], "custody/seals/0002.json");
    let seals = statements(&sample);
    let extends = seals[1].extends.clone().unwrap();
    assert_eq!(extends.from, seals[0].ledger);
    let head = |seal: &SealStatement| (seal.ledger.lines, seal.ledger.root);
    assert!(is_consistent(head(&seals[0]), head(&seals[1]), &extends.proof));

    let second = transfer(&sample, "case", "B. Counsel", "C. Expert", &["--signing-key", "expert"]);
    assert_eq!(code(&second), 0, "{second:?}");
    let report = verified(&sample);
    assert_eq!(report.case_failures(), 0, "{:?}", report.findings);
    let holders: Vec<(&str, &str, Option<&str>)> = report
        .custody
        .iter()
        .map(|link| (link.handover.released_by.as_str(), link.handover.received_by.as_str(), link.signed_in.as_deref()))
        .collect();
    let expected = [
        ("A. Examiner", "B. Counsel", Some("custody/seals/0002.json")),
        ("B. Counsel", "C. Expert", Some("custody/seals/0003.json")),
    ];
    assert_eq!(holders, expected);
    assert_eq!(report.custody[0].handover.condition.as_deref(), Some("seal of the bag intact"));
    assert_eq!(report.custody[0].verification.artifacts_valid, report.artifacts.total);
    let text = String::from_utf8(caselock(&["verify", "case"], &sample.path("")).stdout).unwrap();
    for words in
        ["1. A. Examiner → B. Counsel", "2. B. Counsel → C. Expert", "by courier", "signed for in custody/seals/0003.json"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // What VERIFY.txt gives for later seals accepts them.
    let text = fs::read_to_string(sample.file("VERIFY.txt")).unwrap();
    let script = text.rsplit("--- copy from the next line ---\n").next().unwrap();
    let script = script.split("--- to the line before this one ---").next().unwrap();
    let said = shell_ok(&sample.case(), script, &[]);
    assert!(said.matches("Good").count() == 3 && !said.contains("BAD"), "{said}");
}

#[test]
fn a_seal_whose_proof_or_predecessor_is_another_is_a_failure() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"])), 0);
    let mut statement = statements(&sample).remove(1);
    let mut proof = statement.extends.clone().unwrap();
    proof.proof[0] = caselock::model::Sha256Hash::ZERO;
    statement.extends = Some(proof);
    sample.overwrite("custody/seals/0002.json", &statement.encode().unwrap());
    shell_ok(
        &sample.case(),
        "rm -f custody/seals/0002.json.sig; ssh-keygen -q -Y sign -n caselock-seal -f ../counsel custody/seals/0002.json",
        &[],
    );
    let report = verified(&sample);
    assert!(report.findings.iter().any(|finding| finding.kind == "seal-not-an-extension"), "{:?}", report.findings);
    assert!(!report.findings.iter().any(|finding| finding.kind == "seal-signature-invalid"), "{:?}", report.findings);
}

#[test]
fn a_release_without_a_receipt_is_named_and_then_completed_once() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &[])), 0);
    let report = json(&caselock(&["verify", "case", "--json"], &sample.path("")));
    assert!(kinds(&report).contains(&"custody-not-received"), "{report}");
    assert!(kinds(&report).contains(&"ledger-after-seal"), "{report}");
    assert_eq!(report["custody"][0]["signed_in"], Value::Null);
    for _ in 0..2 {
        assert_eq!(code(&transfer(&sample, "case", "A", "B", &[])), 0, "again is no other act");
    }
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"])), 0);
    let report = json(&caselock(&["verify", "case", "--json"], &sample.path("")));
    assert_eq!(report["custody"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["custody"][0]["released_at"].is_string() && report["custody"][0]["received_at"].is_string());
    assert!(!kinds(&report).contains(&"ledger-after-seal") && !kinds(&report).contains(&"custody-not-received"), "{report}");
}

#[test]
fn an_attempt_that_was_cut_off_before_the_seal_is_made_again_without_a_second_record() {
    let sample = handed_over();
    let key = ["--signing-key", "counsel"];
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &key)), 0);
    for name in ["0002.json.sig", "0002.json"] {
        fs::remove_file(sample.file("custody/seals").join(name)).unwrap();
    }
    let before = fs::read_to_string(sample.file("custody/ledger.jsonl")).unwrap();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &key)), 0);
    let after = fs::read_to_string(sample.file("custody/ledger.jsonl")).unwrap();
    assert!(after.starts_with(&before));
    assert_eq!(after.matches("\"event\":\"custody.received\"").count(), 1);
    assert_eq!(verified(&sample).case_failures(), 0);
}

#[test]
fn a_transfer_that_is_the_last_on_record_is_not_recorded_again() {
    let sample = handed_over();
    for (item, place) in [("case", "custody/seals/0002.json"), ("p.zip", "p.zip.receipt-0001.json")] {
        let first = transfer(&sample, item, "A", "B", &["--signing-key", "counsel"]);
        assert!(code(&first) == 0 && !String::from_utf8_lossy(&first.stderr).contains("WARNING"), "{first:?}");
        let ledger = fs::read(sample.file("custody/ledger.jsonl")).unwrap();
        let again = transfer(&sample, item, "A", "B", &["--signing-key", "counsel"]);
        let said = json(&again)["error"][0].as_str().unwrap().to_owned();
        assert!(code(&again) == 2 && said.contains("is recorded already") && said.ends_with(place), "{said}");
        assert_eq!(fs::read(sample.file("custody/ledger.jsonl")).unwrap(), ledger, "nothing was recorded");
        let back = transfer(&sample, item, "B", "A", &["--signing-key", "key"]);
        assert_eq!(code(&back), 0, "what goes back is another transfer: {back:?}");
    }
    assert!(!sample.path("p.zip.receipt-0003.json").exists());
    assert_eq!(code(&transfer(&sample, "p.zip", "C", "C", &["--signing-key", "expert"])), 2, "to oneself");
}

#[test]
fn receipts_may_lie_in_another_folder_than_the_package_and_form_the_same_chain() {
    let sample = handed_over();
    fs::create_dir(sample.path("my receipts")).unwrap();
    let elsewhere = ["-o", "my receipts"];
    for (from, to, key) in [("A", "B", "counsel"), ("B", "C", "expert")] {
        let done = transfer(&sample, "p.zip", from, to, &[&["--signing-key", key][..], &elsewhere].concat());
        assert!(code(&done) == 0 && !String::from_utf8_lossy(&done.stderr).contains("WARNING"), "{done:?}");
    }
    assert!(!sample.path("p.zip.receipt-0001.json").exists());
    let [first, second] = [1, 2].map(|number| format!("my receipts/p.zip.receipt-000{number}.json"));
    let report = json(&caselock(&["verify", "p.zip", "--json", "--receipt", &first, "--receipt", &second], &sample.path("")));
    assert_eq!(report["custody"].as_array().unwrap().len(), 2, "{report}");
    assert!(!kinds(&report).iter().any(|kind| kind.starts_with("receipt-") || kind.starts_with("custody-")), "{report}");
    let mut told = vec!["transfer", "p.zip", "--from", "C", "--to", "D", "--purpose", "trial", "--signing-key", "key"];
    told.extend(elsewhere);
    let told = String::from_utf8(caselock(&told, &sample.path("")).stdout).unwrap();
    assert!(told.contains("Next: caselock verify p.zip --receipt 'my receipts/p.zip.receipt-0003.json'"), "{told}");
    let of_a_case = transfer(&sample, "case", "A", "B", &[&["--signing-key", "counsel"][..], &elsewhere].concat());
    assert_eq!(code(&of_a_case), 2, "its transfers are in its ledger");
}

#[test]
fn a_holder_who_is_not_the_one_on_record_is_noticed() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"])), 0);
    let stranger = transfer(&sample, "case", "X", "C", &["--signing-key", "expert"]);
    let said = String::from_utf8_lossy(&stranger.stderr);
    assert!(code(&stranger) == 0 && said.contains("WARNING: the holder on record is B, not X"), "{stranger:?}");
    let report = json(&caselock(&["verify", "case", "--json"], &sample.path("")));
    assert!(kinds(&report).contains(&"custody-chain-interrupted"), "{report}");
}

#[test]
fn a_receipt_whose_seal_was_replaced_by_that_of_another_key_is_signed_for_by_nobody_and_that_is_told() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"])), 0);
    for name in ["0002.json.sig", "0002.json"] {
        fs::remove_file(sample.file("custody/seals").join(name)).unwrap();
    }
    let mut writer = crate::sample::open_again(&sample.case());
    let options = SealOptions { despite: true, ..SealOptions::default() };
    seal_case_with(&mut writer, &sample.key(), crate::sample::at(), &crate::sample::tool(), &options).unwrap();
    drop(writer);
    let report = verified(&sample);
    for kind in ["custody-not-signed-for", "seal-replaced"] {
        assert!(report.findings.iter().any(|finding| finding.kind == kind), "{kind}: {:?}", report.findings);
    }
}

#[test]
fn a_receipt_in_the_name_of_another_who_is_allowed_is_a_failure_and_one_in_ones_own_is_not() {
    let sample = handed_over();
    shell_ok(
        &sample.path(""),
        "for name in counsel expert; do printf '%s@example.com %s\\n' $name \"$(cut -d ' ' -f 1,2 $name.pub)\"; done > signers
         printf 'examiner@example.com %s\\n' \"$(cut -d ' ' -f 1,2 key.pub)\" >> signers",
        &[],
    );
    let verify = ["verify", "p.zip", "--json", "--allowed-signers", "signers"];
    assert_eq!(code(&transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"])), 0);
    let report = json(&caselock(&verify, &sample.path("")));
    assert!(!kinds(&report).iter().any(|kind| kind.starts_with("receipt-") || kind.starts_with("seal-")), "{report}");
    assert_eq!(report["custody"][0]["vouched_as"], "counsel@example.com");
    assert_eq!(report["seals"][0]["vouched_as"], "examiner@example.com");
    let forged = ["--signing-key", "counsel", "--principal", "expert@example.com"];
    assert_eq!(code(&transfer(&sample, "p.zip", "B", "C. Expert", &forged)), 0);
    let report = json(&caselock(&verify, &sample.path("")));
    assert!(kinds(&report).contains(&"receipt-principal-mismatch"), "{report}");
    assert_eq!(report["custody"][1]["trusted"], false);
}

#[test]
fn damage_is_not_signed_for_unseen() {
    let sample = handed_over();
    sample.overwrite(Sample::payload()[2].as_str(), b"other");
    let lines = |sample: &Sample| fs::read_to_string(sample.file("custody/ledger.jsonl")).unwrap().lines().count();
    let before = lines(&sample);
    let refused = transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]);
    assert_eq!((code(&refused), lines(&sample)), (3, before), "{refused:?}");
    let recorded = transfer(&sample, "case", "A", "B", &["--signing-key", "counsel", "--despite-damage"]);
    assert_eq!((code(&recorded), lines(&sample)), (3, before + 3), "{recorded:?}");
    assert_eq!(json(&recorded)["verification"]["verdict"], "fail");
    let damage = statements(&sample).pop().unwrap().damage;
    assert_eq!(damage, [format!("artifact-modified {}", Sample::payload()[2])], "the receiver's seal says so");
    let released = transfer(&sample, "case", "B", "C", &["--despite-damage"]);
    assert_eq!((code(&released), lines(&sample)), (3, before + 4), "{released:?}");
    assert!(!sample.file("custody/seals/0003.json").exists());
}

#[test]
fn an_unsealed_case_and_an_empty_name_are_refused() {
    let (sample, writer) = Sample::new();
    drop(writer);
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &[])), 2);
    assert_eq!(code(&transfer(&sample, "case", " ", "B", &[])), 2);
}

#[test]
fn receipts_beside_a_package_are_checked_with_it_and_form_a_chain() {
    let sample = handed_over();
    let before = fs::read(sample.path("p.zip")).unwrap();
    assert_eq!(code(&transfer(&sample, "p.zip", "A", "B", &[])), 2, "a receipt is signed or it is none");
    let first = transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel", "--method", "SFTP"]);
    assert_eq!(code(&first), 0, "{first:?}");
    assert_eq!(code(&transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"])), 0);
    assert_eq!(fs::read(sample.path("p.zip")).unwrap(), before);
    let receipt = fs::read(sample.path("p.zip.receipt-0002.json")).unwrap();
    let receipt = Receipt::parse(&receipt).unwrap();
    assert_eq!(receipt.package.sha256, caselock::model::Sha256Hash::of(&before));
    assert_eq!(receipt.seal.as_ref().unwrap().file, "custody/seals/0001.json");
    // Others can check the signature.
    shell_ok(
        &sample.path(""),
        "printf 'counsel@example.com %s\\n' \"$(cut -d ' ' -f 1,2 counsel.pub)\" > signers
         ssh-keygen -Y verify -f signers -I counsel@example.com -n caselock-seal -s p.zip.receipt-0001.json.sig < p.zip.receipt-0001.json",
        &[],
    );
    let verified = caselock(&["verify", "p.zip", "--json", "--allowed-signers", "signers"], &sample.path(""));
    let report = json(&verified);
    let chain = report["custody"].as_array().unwrap();
    assert_eq!(chain.len(), 2, "{report}");
    assert_eq!(
        (&chain[0]["received_by"], &chain[0]["method"], &chain[0]["trusted"]),
        (&"B".into(), &"SFTP".into(), &true.into())
    );
    assert_eq!((&chain[1]["received_by"], &chain[1]["trusted"]), (&"C".into(), &false.into()));
    let of_receipts: Vec<_> = kinds(&report).into_iter().filter(|kind| kind.starts_with("receipt-")).collect();
    assert_eq!(of_receipts, ["receipt-signer-unknown"], "the second one's: {report}");
    // The form shows them, and who vouches for whom.
    let _exit = caselock(&["report", "p.zip", "-o", "page.html", "--allowed-signers", "signers"], &sample.path(""));
    let page = fs::read_to_string(sample.path("page.html")).unwrap();
    assert!(page.contains("SFTP") && page.contains("re-verified: "), "the custody form");
    assert!(page.contains(", vouched for by the allowed signers that were given)"), "the first");
    assert!(page.contains(", NOT vouched for by the allowed signers that were given)"), "the second");
}

#[test]
fn receipts_that_were_changed_taken_away_or_belong_elsewhere_are_failures() {
    type Change = fn(&Sample);
    let changes: [(&str, Change); 6] = [
        ("receipt-signature-invalid", |sample| {
            let path = sample.path("p.zip.receipt-0001.json");
            let text = fs::read_to_string(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, text.replace("legal review", "legal revieW")).unwrap();
        }),
        ("receipt-unsigned", |sample| fs::remove_file(sample.path("p.zip.receipt-0002.json.sig")).unwrap()),
        ("receipt-chain-broken", |sample| fs::remove_file(sample.path("p.zip.receipt-0001.json")).unwrap()),
        ("receipt-malformed", |sample| {
            fs::remove_file(sample.path("p.zip.receipt-0001.json")).unwrap();
            fs::write(sample.path("p.zip.receipt-0001.json"), "{}").unwrap();
        }),
        ("receipt-of-another-package", |sample| {
            let mut writer = crate::sample::open_again(&sample.case());
            sample.seal(&mut writer);
            drop(writer);
            fs::remove_file(sample.path("p.zip")).unwrap();
            fs::remove_file(sample.path("p.zip.sha256")).unwrap();
            caselock::package::write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path("p.zip")).unwrap();
        }),
        ("receipt-signature-invalid", |sample| {
            // Signed by somebody else than the one it names.
            fs::remove_file(sample.path("p.zip.receipt-0002.json.sig")).unwrap();
            shell_ok(&sample.path(""), "ssh-keygen -q -Y sign -n caselock-seal -f key p.zip.receipt-0002.json", &[]);
        }),
    ];
    for (expected, change) in changes {
        let sample = handed_over();
        assert_eq!(code(&transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"])), 0);
        assert_eq!(code(&transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"])), 0);
        change(&sample);
        let verified = caselock(&["verify", "p.zip", "--json"], &sample.path(""));
        assert_eq!(code(&verified), 3, "{expected}: {verified:?}");
        assert!(kinds(&json(&verified)).contains(&expected), "{expected}: {}", json(&verified)["findings"]);
    }
}

/// Makes a receipt beside the package anew, as its signer would who says another time.
fn dated(sample: &Sample, number: u32, key: &str, at: &str) {
    let path = sample.path(&format!("p.zip.receipt-{number:04}.json"));
    let mut receipt = Receipt::parse(&fs::read(&path).unwrap()).unwrap();
    receipt.received_at = at.parse().unwrap();
    let (statement, signature) = receipt.sign(&SigningKey::load(&sample.path(key), None).unwrap()).unwrap();
    for (path, bytes) in [(path.clone(), statement), (path.with_extension("json.sig"), signature)] {
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_receipt_dated_before_the_seal_or_before_the_receipt_before_is_a_failure() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"])), 0);
    let times = |report: &Value| kinds(report).into_iter().filter(|kind| *kind == "receipt-time-mismatch").count();
    let verified = || json(&caselock(&["verify", "p.zip", "--json"], &sample.path("")));
    assert_eq!(times(&verified()), 0);
    dated(&sample, 1, "counsel", "2024-06-01T10:00:00.000Z");
    // A key that was retired since was good by then.
    shell_ok(
        &sample.path(""),
        "printf 'counsel@example.com valid-before=\"20250101Z\" %s\n' \"$(cut -d ' ' -f 1,2 counsel.pub)\" > signers
         printf 'examiner@example.com %s\n' \"$(cut -d ' ' -f 1,2 key.pub)\" >> signers",
        &[],
    );
    let refused = caselock(&["verify", "p.zip", "--json", "--allowed-signers", "signers"], &sample.path(""));
    assert_eq!((code(&refused), times(&json(&refused))), (3, 1), "{refused:?}");
    // The first one years ahead, so that the second one contradicts it and the first one nothing.
    dated(&sample, 1, "counsel", "2099-06-01T10:00:00.000Z");
    assert_eq!(code(&transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"])), 0);
    let report = verified();
    let about = report["findings"].as_array().unwrap().iter().find(|found| found["kind"] == "receipt-time-mismatch").unwrap();
    assert_eq!((times(&report), &about["object"]), (1, &"p.zip.receipt-0002.json".into()), "{report}");
}

#[test]
fn a_package_whose_seals_were_taken_away_is_not_received() {
    let sample = handed_over();
    let top = "IR-2026-014";
    let script = format!(
        r#"
import zipfile
with zipfile.ZipFile("p.zip") as old:
    members = [(m, old.read(m)) for m in old.infolist()]
with zipfile.ZipFile("stripped.zip", "w", zipfile.ZIP_STORED) as new:
    for member, data in members:
        if "/custody/seals/" in member.filename or "/custody/checkpoints/" in member.filename:
            continue
        if member.filename == "{top}/custody/ledger.jsonl":
            data = b"".join(line for line in data.splitlines(keepends=True) if b'"event":"case.sealed"' not in line)
        new.writestr(member, data)
"#
    );
    fs::write(sample.path("strip.py"), script).unwrap();
    shell_ok(&sample.path(""), "python3 strip.py", &[]);
    let verified = caselock(&["verify", "stripped.zip", "--json"], &sample.path(""));
    assert_eq!(code(&verified), 3, "{verified:?}");
    assert!(kinds(&json(&verified)).contains(&"seal-absent"), "{verified:?}");
    assert_eq!(code(&transfer(&sample, "stripped.zip", "A", "B", &["--signing-key", "counsel"])), 3);
    assert!(!sample.path("stripped.zip.receipt-0001.json").exists());
}

#[test]
fn a_receipt_that_lies_elsewhere_is_read_when_it_is_named() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"])), 0);
    shell_ok(&sample.path(""), "mkdir post && mv p.zip.receipt-* post/", &[]);
    let none = json(&caselock(&["verify", "p.zip", "--json"], &sample.path("")));
    assert_eq!(none["custody"].as_array().unwrap().len(), 0);
    let named = ["verify", "p.zip", "--json", "--receipt", "post/p.zip.receipt-0001.json"];
    let report = json(&caselock(&named, &sample.path("")));
    assert_eq!(report["custody"][0]["received_by"], "B", "{report}");
    assert_eq!(code(&caselock(&["verify", "case", "--receipt", "post/p.zip.receipt-0001.json"], &sample.path(""))), 2);
}

#[test]
fn a_damaged_package_is_received_only_when_that_is_said() {
    let sample = handed_over();
    let mut bytes = fs::read(sample.path("p.zip")).unwrap();
    let at = bytes.windows(12).position(|window| window == b"content of \"").unwrap();
    bytes[at] ^= 1;
    fs::remove_file(sample.path("p.zip")).unwrap();
    fs::write(sample.path("p.zip"), bytes).unwrap();
    assert_eq!(code(&transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"])), 3);
    assert!(!sample.path("p.zip.receipt-0001.json").exists());
    let received = transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel", "--despite-damage"]);
    assert_eq!((code(&received), &json(&received)["verification"]["verdict"]), (3, &"fail".into()));
    let receipt = Receipt::parse(&fs::read(sample.path("p.zip.receipt-0001.json")).unwrap()).unwrap();
    assert!(receipt.verification.damage > 0);
}

/// The report of the case, as a page.
fn page(sample: &Sample, item: &str) -> String {
    let out = format!("{}.html", fs::read_dir(sample.path("")).unwrap().count());
    let made = caselock(&["report", item, "-o", &out, "--quiet"], &sample.path(""));
    assert_eq!(code(&made), 4, "{made:?}");
    fs::read_to_string(sample.path(&out)).unwrap()
}

#[test]
fn a_release_is_not_signed_for_by_whoever_seals_next() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--location", "safe 4"])), 0);
    let sealed = caselock(&["seal", "case", "--signing-key", "key", "--quiet"], &sample.path(""));
    assert_eq!(code(&sealed), 0, "{sealed:?}");
    let link = json(&caselock(&["verify", "case", "--json"], &sample.path("")))["custody"][0].clone();
    assert_eq!((&link["signer"], &link["signature"]), (&Value::Null, &"absent".into()), "{link}");
    assert_eq!(link["signed_in"], "custody/seals/0002.json", "where it is recorded");
    let text = String::from_utf8(caselock(&["verify", "case"], &sample.path("")).stdout).unwrap();
    assert!(text.contains("recorded under custody/seals/0002.json; nobody has signed"), "{text}");
    let page = page(&sample, "case");
    let (_, row) = page.split_once("<td>B (").unwrap();
    let (row, _) = row.split_once("</tr>").unwrap();
    assert!(row.starts_with("not received, not signed for)"), "{row}");
    assert!(row.contains("safe 4; recorded under custody/seals/0002.json") && !row.contains("SHA256:"), "{row}");
}

#[test]
fn a_receipt_that_another_key_sealed_is_signed_for_by_nobody() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"])), 0);
    let signed = page(&sample, "case");
    assert!(signed.contains("; signed for with the key SHA256:") && signed.contains("B (signed with SHA256:"), "{signed}");
    for name in ["0002.json.sig", "0002.json"] {
        fs::remove_file(sample.file("custody/seals").join(name)).unwrap();
    }
    let unsigned = caselock(&["report", "case", "-o", "unsigned.html", "--quiet"], &sample.path(""));
    assert_eq!(code(&unsigned), 4, "{unsigned:?}");
    let unsigned = fs::read_to_string(sample.path("unsigned.html")).unwrap();
    assert!(unsigned.contains("NO SEAL by that key covers this line") && unsigned.contains("B (NOT SIGNED FOR)"), "{unsigned}");
    assert!(unsigned.contains("[after the last seal: nobody signed for this line]"), "{unsigned}");
    let mut writer = crate::sample::open_again(&sample.case());
    let options = SealOptions { despite: true, ..SealOptions::default() };
    seal_case_with(&mut writer, &sample.key(), crate::sample::at(), &crate::sample::tool(), &options).unwrap();
    drop(writer);
    let by_another = verified(&sample);
    assert_eq!((by_another.custody[0].signer.as_deref(), by_another.custody[0].received_at.is_some()), (None, true));
}

#[test]
fn the_commands_that_the_report_prints_accept_what_another_holder_sealed() {
    let sample = handed_over();
    assert_eq!(code(&transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"])), 0);
    caselock::package::write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path("q.zip")).unwrap();
    let page = page(&sample, "q.zip");
    let (_, commands) = page.split_once("<pre>").unwrap();
    let (commands, _) = commands.split_once("</pre>").unwrap();
    let mut commands = commands.to_owned();
    for (escaped, plain) in [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")] {
        commands = commands.replace(escaped, plain);
    }
    shell_ok(&sample.path(""), "unzip -q q.zip", &[]);
    let said = shell_ok(&sample.path("IR-2026-014"), &commands, &[]);
    assert!(said.matches("Good \"caselock-seal\" signature").count() == 2 && !said.contains("BAD"), "{said}\n{commands}");
    for seal in statements(&sample) {
        let fingerprint = &seal.signer.fingerprint;
        assert!(said.contains(fingerprint), "{fingerprint}\n{said}");
        assert!(page.contains(&format!("Seal {}: {fingerprint}", seal.number)), "to compare with");
    }
}
