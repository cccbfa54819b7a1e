//! Evidence changing hands: in the case folder, and beside a package.

use std::fs;

use caselock::case::merkle::is_consistent;
use caselock::seal::{Receipt, SealStatement, SigningKey};
use serde_json::Value;

use crate::account::Ran;
use crate::findings::{has, printed_kinds};
use crate::report::commands_of;
use crate::sample::{Sample, shell_ok};

/// A sealed case in `case`, its package in `p.zip`, and the keys `key`, `counsel` and `expert`.
pub(crate) fn handed_over() -> Sample {
    let sample = Sample::sealed_after_a_run();
    for name in ["counsel", "expert"] {
        sample.key_of(name, &format!("{name}@example.com"));
    }
    sample.package("p.zip");
    sample
}

pub(crate) fn transfer(sample: &Sample, item: &str, from: &str, to: &str, more: &[&str]) -> Ran {
    let fixed = ["transfer", item, "--from", from, "--to", to, "--purpose", "legal review", "--json"];
    sample.run(&[&fixed, more].concat())
}

fn forget_the_second_seal(sample: &Sample) {
    for name in ["0002.json.sig", "0002.json"] {
        fs::remove_file(sample.file("custody/seals").join(name)).unwrap();
    }
}

/// What the program says of the case.
fn printed_report(sample: &Sample) -> Value {
    sample.run(&["verify", "case", "--json"]).expect(4).json()
}

#[test]
fn the_receiver_signs_for_a_ledger_that_provably_extends_the_one_before() {
    let sample = handed_over();
    let more = ["--method", "courier", "--condition", "seal of the bag intact", "--signing-key", "counsel"];
    let done = transfer(&sample, "case", "A. Examiner", "B. Counsel", &more).expect(0);
    assert_eq!(done.json()["signed_in"], "custody/seals/0002.json");
    let seals = sample.statements();
    let extends = seals[1].extends.clone().unwrap();
    assert_eq!(extends.from, seals[0].ledger);
    let head = |seal: &SealStatement| (seal.ledger.lines, seal.ledger.root);
    assert!(is_consistent(head(&seals[0]), head(&seals[1]), &extends.proof));

    transfer(&sample, "case", "B. Counsel", "C. Expert", &["--signing-key", "expert"]).expect(0);
    let report = sample.verify();
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
    let text = sample.run(&["verify", "case"]).stdout;
    for words in
        ["1. A. Examiner → B. Counsel", "2. B. Counsel → C. Expert", "by courier", "signed for in custody/seals/0003.json"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // What VERIFY.txt gives for later seals accepts them.
    let text = fs::read_to_string(sample.file("VERIFY.txt")).unwrap();
    let script = text.rsplit("--- copy from the next line ---\n").next().unwrap();
    let script = script.split("--- to the line before this one ---").next().unwrap();
    let said = shell_ok(&sample.case(), script);
    assert!(said.matches("Good").count() == 3 && !said.contains("BAD"), "{said}");
}

#[test]
fn a_seal_whose_proof_or_predecessor_is_another_is_a_failure() {
    let sample = handed_over();
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(0);
    let mut statement = sample.statements().remove(1);
    let mut proof = statement.extends.clone().unwrap();
    proof.proof[0] = caselock::model::Sha256Hash::ZERO;
    statement.extends = Some(proof);
    sample.overwrite("custody/seals/0002.json", &statement.encode().unwrap());
    sample.sign_again("custody/seals/0002.json", "counsel");
    let report = sample.verify();
    assert!(has(&report, "seal-not-an-extension"), "{:?}", report.findings);
    assert!(!has(&report, "seal-signature-invalid"), "{:?}", report.findings);
}

#[test]
fn a_release_without_a_receipt_is_named_and_then_completed_once() {
    let sample = handed_over();
    transfer(&sample, "case", "A", "B", &[]).expect(0);
    let report = printed_report(&sample);
    assert!(printed_kinds(&report).contains(&"custody-not-received"), "{report}");
    assert!(printed_kinds(&report).contains(&"ledger-after-seal"), "{report}");
    assert_eq!(report["custody"][0]["signed_in"], Value::Null);
    for _ in 0..2 {
        transfer(&sample, "case", "A", "B", &[]).expect(0);
    }
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(0);
    let report = printed_report(&sample);
    assert_eq!(report["custody"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["custody"][0]["released_at"].is_string() && report["custody"][0]["received_at"].is_string());
    assert!(
        !printed_kinds(&report).contains(&"ledger-after-seal") && !printed_kinds(&report).contains(&"custody-not-received"),
        "{report}"
    );
}

#[test]
fn an_attempt_that_was_cut_off_before_the_seal_is_made_again_without_a_second_record() {
    let sample = handed_over();
    let key = ["--signing-key", "counsel"];
    transfer(&sample, "case", "A", "B", &key).expect(0);
    forget_the_second_seal(&sample);
    let before = sample.ledger();
    transfer(&sample, "case", "A", "B", &key).expect(0);
    let after = sample.ledger();
    assert!(after.starts_with(&before));
    assert_eq!(after.matches("\"event\":\"custody.received\"").count(), 1);
    assert_eq!(sample.verify().case_failures(), 0);
}

#[test]
fn a_transfer_that_is_the_last_on_record_is_not_recorded_again() {
    let sample = handed_over();
    for (item, place) in [("case", "custody/seals/0002.json"), ("p.zip", "p.zip.receipt-0001.json")] {
        let first = transfer(&sample, item, "A. Examiner", "B", &["--signing-key", "counsel"]).expect(0);
        assert!(!first.stderr.contains("WARNING"), "{first:?}");
        let ledger = sample.ledger();
        let again = transfer(&sample, item, "A. Examiner", "B", &["--signing-key", "counsel"]).expect(2).json();
        let said = again["error"][0].as_str().unwrap();
        assert!(said.contains("is recorded already") && said.ends_with(place), "{said}");
        assert_eq!(sample.ledger(), ledger, "nothing was recorded");
        // What goes back is another transfer.
        let back = transfer(&sample, item, "B", "A. Examiner", &["--signing-key", "key"]).expect(0);
        assert!(!back.stderr.contains("WARNING"), "{back:?}");
    }
    assert!(!sample.path("p.zip.receipt-0003.json").exists());
    // To oneself.
    transfer(&sample, "p.zip", "C", "C", &["--signing-key", "expert"]).expect(2);
}

#[test]
fn receipts_may_lie_in_another_folder_than_the_package_and_form_the_same_chain() {
    let sample = handed_over();
    fs::create_dir(sample.path("my receipts")).unwrap();
    let elsewhere = ["-o", "my receipts"];
    for (from, to, key) in [("A. Examiner", "B", "counsel"), ("B", "C", "expert")] {
        let done = transfer(&sample, "p.zip", from, to, &[&["--signing-key", key][..], &elsewhere].concat()).expect(0);
        assert!(!done.stderr.contains("WARNING"), "{done:?}");
    }
    assert!(!sample.path("p.zip.receipt-0001.json").exists());
    let [first, second] = [1, 2].map(|number| format!("my receipts/p.zip.receipt-000{number}.json"));
    let report = sample.run(&["verify", "p.zip", "--json", "--receipt", &first, "--receipt", &second]).json();
    assert_eq!(report["custody"].as_array().unwrap().len(), 2, "{report}");
    let kinds = printed_kinds(&report);
    assert!(!kinds.iter().any(|kind| kind.starts_with("receipt-") || kind.starts_with("custody-chain-")), "{report}");
    let mut told = vec!["transfer", "p.zip", "--from", "C", "--to", "D", "--purpose", "trial", "--signing-key", "key"];
    told.extend(elsewhere);
    let told = sample.run(&told).expect(0).stdout;
    let named = |number: u32| format!(" --receipt 'my receipts/p.zip.receipt-{number:04}.json'");
    let next = format!("Next: caselock verify p.zip{}{}{}", named(1), named(2), named(3));
    assert!(told.ends_with(&format!("{next}\n")), "every receipt that it follows: {told}");
    // Its transfers are in its ledger.
    transfer(&sample, "case", "A", "B", &[&["--signing-key", "counsel"][..], &elsewhere].concat()).expect(2);
}

#[test]
fn the_form_names_the_receiver_whose_receipt_lies_elsewhere() {
    let sample = handed_over();
    fs::create_dir(sample.path("post")).unwrap();
    transfer(&sample, "p.zip", "A", "B. Counsel", &["--signing-key", "counsel", "--output", "post"]).expect(0);
    let named = ["--receipt", "post/p.zip.receipt-0001.json"];
    let next = sample.run(&[&["verify", "p.zip"], &named[..]].concat()).stdout;
    assert!(next.contains("Next: caselock report p.zip --receipt post/p.zip.receipt-0001.json"), "{next}");
    for (out, more, times) in [("without.html", &[][..], 0), ("with.html", &named, 1)] {
        sample.run(&[&["report", "p.zip", "-o", out, "--quiet"], more].concat()).expect(4);
        let page = fs::read_to_string(sample.path(out)).unwrap();
        assert_eq!(page.matches("<td>B. Counsel (signed with SHA256:").count(), times, "{out}");
    }
    sample.run(&[&["report", "case"], &named[..]].concat()).expect(2).says(&["--receipt is for a package"]);
}

#[test]
fn a_holder_who_is_not_the_one_on_record_is_noticed() {
    let sample = handed_over();
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(0);
    let stranger = transfer(&sample, "case", "X", "C", &["--signing-key", "expert"]).expect(0);
    assert!(stranger.stderr.contains("WARNING: the holder on record is B, not X"), "{stranger:?}");
    let report = printed_report(&sample);
    assert!(printed_kinds(&report).contains(&"custody-chain-interrupted"), "{report}");
}

#[test]
fn a_receipt_whose_seal_was_replaced_by_that_of_another_key_is_signed_for_by_nobody_and_that_is_told() {
    let sample = handed_over();
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(0);
    forget_the_second_seal(&sample);
    sample.seal_despite(&sample.key(), &mut sample.open_again());
    let report = sample.verify();
    for kind in ["custody-not-signed-for", "seal-replaced"] {
        assert!(has(&report, kind), "{kind}: {:?}", report.findings);
    }
}

#[test]
fn a_receipt_in_the_name_of_another_who_is_allowed_is_a_failure_and_one_in_ones_own_is_not() {
    let sample = handed_over();
    sample.shell(
        "for name in counsel expert; do printf '%s@example.com %s\\n' $name \"$(cut -d ' ' -f 1,2 $name.pub)\"; done > signers
         printf 'examiner@example.com %s\\n' \"$(cut -d ' ' -f 1,2 key.pub)\" >> signers",
    );
    let verify = ["verify", "p.zip", "--json", "--allowed-signers", "signers"];
    transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"]).expect(0);
    let report = sample.run(&verify).json();
    assert!(!printed_kinds(&report).iter().any(|kind| kind.starts_with("receipt-") || kind.starts_with("seal-")), "{report}");
    assert_eq!(report["custody"][0]["vouched_as"], "counsel@example.com");
    assert_eq!(report["seals"][0]["vouched_as"], "examiner@example.com");
    let forged = ["--signing-key", "counsel", "--principal", "expert@example.com"];
    transfer(&sample, "p.zip", "B", "C. Expert", &forged).expect(0);
    let report = sample.run(&verify).json();
    assert!(printed_kinds(&report).contains(&"receipt-principal-mismatch"), "{report}");
    assert_eq!(report["custody"][1]["trusted"], false);
}

#[test]
fn damage_is_not_signed_for_unseen() {
    let sample = handed_over();
    sample.overwrite(Sample::payload()[2].as_str(), b"other");
    let lines = |sample: &Sample| sample.ledger().lines().count();
    let before = lines(&sample);
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(3);
    assert_eq!(lines(&sample), before);
    let recorded = transfer(&sample, "case", "A", "B", &["--signing-key", "counsel", "--despite-damage"]).expect(3);
    assert_eq!(lines(&sample), before + 3);
    assert_eq!(recorded.json()["verification"]["verdict"], "fail");
    let damage = sample.statements().pop().unwrap().damage;
    assert_eq!(damage, [format!("artifact-modified {}", Sample::payload()[2])], "the receiver's seal says so");
    transfer(&sample, "case", "B", "C", &["--despite-damage"]).expect(3);
    assert_eq!(lines(&sample), before + 4);
    assert!(!sample.file("custody/seals/0003.json").exists());
}

#[test]
fn what_was_signed_for_is_told_when_no_authority_stamps_it() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stamped_by_nobody = ["--signing-key", "counsel", "--tsa", &format!("http://{nobody}/")].map(str::to_owned);
    let options: Vec<&str> = stamped_by_nobody.iter().map(String::as_str).collect();
    let sample = handed_over();
    let told = transfer(&sample, "case", "A", "B", &options).expect(1).json();
    crate::schemas::holds("transfer", &told);
    assert_eq!((&told["signed_in"], &told["stamped"]), (&"custody/seals/0002.json".into(), &Value::Null), "{told:#}");
    assert_eq!(told["signer"], sample.statements()[1].signer.fingerprint);
    assert_eq!(told["timestamp_error"]["evidence"], "The case is sealed; only the time-stamp is missing.");
    assert!(told["timestamp_error"]["next"].as_str().unwrap().contains("caselock seal case --tsa http://"), "{told:#}");
    // To a person as well; and damage weighs more than a stamp that is missing.
    sample.overwrite(Sample::payload()[2].as_str(), b"other");
    let fixed = ["transfer", "case", "--from", "B", "--to", "C", "--purpose", "review", "--despite-damage"];
    let received = sample.run(&[&fixed[..], &options[..]].concat()).expect(3);
    for line in ["Signed   custody/seals/0003.json", "Key      SHA256:", "Stamped  NO", "DAMAGED"] {
        assert!(received.stdout.contains(line), "{line}: {}", received.stdout);
    }
    received.says(&["only the time-stamp is missing"]);
    // A receipt is written with its stamp or not at all.
    let refused = transfer(&sample, "p.zip", "A", "B", &options).expect(1).json();
    assert!(refused["evidence"].as_str().unwrap().contains("No receipt was written"), "{refused:?}");
    assert!(!sample.path("p.zip.receipt-0001.json").exists());
}

#[test]
fn an_unsealed_case_and_an_empty_name_are_refused() {
    let sample = Sample::unsealed();
    transfer(&sample, "case", "A", "B", &[]).expect(2);
    transfer(&sample, "case", " ", "B", &[]).expect(2);
}

#[test]
fn receipts_beside_a_package_are_checked_with_it_and_form_a_chain() {
    let sample = handed_over();
    let before = fs::read(sample.path("p.zip")).unwrap();
    transfer(&sample, "p.zip", "A", "B", &[]).expect(2);
    transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel", "--method", "SFTP"]).expect(0);
    transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"]).expect(0);
    assert_eq!(fs::read(sample.path("p.zip")).unwrap(), before);
    let receipt = fs::read(sample.path("p.zip.receipt-0002.json")).unwrap();
    let receipt = Receipt::parse(&receipt).unwrap();
    assert_eq!(receipt.package.sha256, caselock::model::Sha256Hash::of(&before));
    assert_eq!(receipt.seal.as_ref().unwrap().file, "custody/seals/0001.json");
    // Others can check the signature.
    sample.shell("printf 'counsel@example.com %s\\n' \"$(cut -d ' ' -f 1,2 counsel.pub)\" > signers
         ssh-keygen -Y verify -f signers -I counsel@example.com -n caselock-seal -s p.zip.receipt-0001.json.sig < p.zip.receipt-0001.json");
    let report = sample.run(&["verify", "p.zip", "--json", "--allowed-signers", "signers"]).expect(3).json();
    let chain = report["custody"].as_array().unwrap();
    assert_eq!(chain.len(), 2, "{report}");
    assert_eq!(
        (&chain[0]["received_by"], &chain[0]["method"], &chain[0]["trusted"]),
        (&"B".into(), &"SFTP".into(), &true.into())
    );
    assert_eq!((&chain[1]["received_by"], &chain[1]["trusted"]), (&"C".into(), &false.into()));
    let of_receipts: Vec<_> = printed_kinds(&report).into_iter().filter(|kind| kind.starts_with("receipt-")).collect();
    assert_eq!(of_receipts, ["receipt-signer-unknown"], "the second one's: {report}");
    // The form shows them, and who vouches for whom.
    sample.run(&["report", "p.zip", "-o", "page.html", "--allowed-signers", "signers"]).expect(3);
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
        ("receipt-chain-broken", |sample| dated(sample, 1, "counsel", "2099-06-01T10:00:00.000Z")),
        ("receipt-malformed", |sample| {
            fs::remove_file(sample.path("p.zip.receipt-0001.json")).unwrap();
            fs::write(sample.path("p.zip.receipt-0001.json"), "{}").unwrap();
        }),
        ("receipt-of-another-package", |sample| {
            sample.seal(&mut sample.open_again());
            fs::remove_file(sample.path("p.zip")).unwrap();
            fs::remove_file(sample.path("p.zip.sha256")).unwrap();
            sample.package("p.zip");
        }),
        ("receipt-signature-invalid", |sample| {
            // Signed by somebody else than the one it names.
            fs::remove_file(sample.path("p.zip.receipt-0002.json.sig")).unwrap();
            sample.shell("ssh-keygen -q -Y sign -n caselock-seal -f key p.zip.receipt-0002.json");
        }),
    ];
    for (expected, change) in changes {
        let sample = handed_over();
        transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"]).expect(0);
        transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"]).expect(0);
        change(&sample);
        let report = sample.run(&["verify", "p.zip", "--json"]).expect(3).json();
        assert!(printed_kinds(&report).contains(&expected), "{expected}: {report:#}");
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
    transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"]).expect(0);
    let times = |report: &Value| printed_kinds(report).into_iter().filter(|kind| *kind == "receipt-time-mismatch").count();
    let verified = || sample.run(&["verify", "p.zip", "--json"]).json();
    assert_eq!(times(&verified()), 0);
    dated(&sample, 1, "counsel", "2024-06-01T10:00:00.000Z");
    // A key that was retired since was good by then.
    sample.shell(
        "printf 'counsel@example.com valid-before=\"20250101Z\" %s\n' \"$(cut -d ' ' -f 1,2 counsel.pub)\" > signers
         printf 'examiner@example.com %s\n' \"$(cut -d ' ' -f 1,2 key.pub)\" >> signers",
    );
    let refused = sample.run(&["verify", "p.zip", "--json", "--allowed-signers", "signers"]).expect(3).json();
    assert_eq!(times(&refused), 1, "{refused:#}");
    // The first one years ahead, so that the second one contradicts it and the first one nothing.
    dated(&sample, 1, "counsel", "2099-06-01T10:00:00.000Z");
    transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"]).expect(0);
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
    sample.shell("python3 strip.py");
    let report = sample.run(&["verify", "stripped.zip", "--json"]).expect(3).json();
    assert!(printed_kinds(&report).contains(&"seal-absent"), "{report:#}");
    transfer(&sample, "stripped.zip", "A", "B", &["--signing-key", "counsel"]).expect(3);
    assert!(!sample.path("stripped.zip.receipt-0001.json").exists());
}

#[test]
fn a_receipt_that_lies_elsewhere_is_read_when_it_is_named() {
    let sample = handed_over();
    transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"]).expect(0);
    sample.shell("mkdir post && mv p.zip.receipt-* post/");
    let none = sample.run(&["verify", "p.zip", "--json"]).json();
    assert_eq!(none["custody"].as_array().unwrap().len(), 0);
    let named = ["verify", "p.zip", "--json", "--receipt", "post/p.zip.receipt-0001.json"];
    let report = sample.run(&named).json();
    assert_eq!(report["custody"][0]["received_by"], "B", "{report}");
    sample.run(&["verify", "case", "--receipt", "post/p.zip.receipt-0001.json"]).expect(2);
}

#[test]
fn a_damaged_package_is_received_only_when_that_is_said() {
    let sample = handed_over();
    let mut bytes = fs::read(sample.path("p.zip")).unwrap();
    let at = bytes.windows(12).position(|window| window == b"content of \"").unwrap();
    bytes[at] ^= 1;
    fs::remove_file(sample.path("p.zip")).unwrap();
    fs::write(sample.path("p.zip"), bytes).unwrap();
    transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel"]).expect(3);
    assert!(!sample.path("p.zip.receipt-0001.json").exists());
    let received = transfer(&sample, "p.zip", "A", "B", &["--signing-key", "counsel", "--despite-damage"]).expect(3);
    assert_eq!(received.json()["verification"]["verdict"], "fail");
    let receipt = Receipt::parse(&fs::read(sample.path("p.zip.receipt-0001.json")).unwrap()).unwrap();
    assert!(receipt.verification.damage > 0);
}

/// The report of the case, as a page.
fn page(sample: &Sample, item: &str) -> String {
    let out = format!("{}.html", fs::read_dir(sample.path("")).unwrap().count());
    sample.run(&["report", item, "-o", &out, "--quiet"]).expect(4);
    fs::read_to_string(sample.path(&out)).unwrap()
}

#[test]
fn a_release_is_not_signed_for_by_whoever_seals_next() {
    let sample = handed_over();
    transfer(&sample, "case", "A", "B", &["--location", "safe 4"]).expect(0);
    sample.run(&["seal", "case", "--signing-key", "key", "--quiet"]).expect(0);
    let link = printed_report(&sample)["custody"][0].clone();
    assert_eq!((&link["signer"], &link["signature"]), (&Value::Null, &"absent".into()), "{link}");
    assert_eq!(link["signed_in"], "custody/seals/0002.json", "where it is recorded");
    let text = sample.run(&["verify", "case"]).stdout;
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
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(0);
    let signed = page(&sample, "case");
    assert!(signed.contains("; signed for with the key SHA256:") && signed.contains("B (signed with SHA256:"), "{signed}");
    forget_the_second_seal(&sample);
    sample.run(&["report", "case", "-o", "unsigned.html", "--quiet"]).expect(4);
    let unsigned = fs::read_to_string(sample.path("unsigned.html")).unwrap();
    assert!(unsigned.contains("NO SEAL by that key covers this line") && unsigned.contains("B (NOT SIGNED FOR)"), "{unsigned}");
    assert!(unsigned.contains("[after the last seal: nobody signed for this line]"), "{unsigned}");
    sample.seal_despite(&sample.key(), &mut sample.open_again());
    let by_another = sample.verify();
    assert_eq!((by_another.custody[0].signer.as_deref(), by_another.custody[0].received_at.is_some()), (None, true));
}

#[test]
fn the_commands_that_the_report_prints_accept_what_another_holder_sealed() {
    let sample = handed_over();
    transfer(&sample, "case", "A", "B", &["--signing-key", "counsel"]).expect(0);
    sample.package("q.zip");
    let page = page(&sample, "q.zip");
    let commands = commands_of(&page);
    sample.shell("unzip -q q.zip");
    let said = shell_ok(&sample.path("IR-2026-014"), &commands);
    assert!(said.matches("Good \"caselock-seal\" signature").count() == 2 && !said.contains("BAD"), "{said}\n{commands}");
    for seal in sample.statements() {
        let fingerprint = &seal.signer.fingerprint;
        assert!(said.contains(fingerprint), "{fingerprint}\n{said}");
        assert!(page.contains(&format!("Seal {}: {fingerprint}", seal.number)), "to compare with");
    }
}
