//! Receipts beside a package that cannot be read, lie there twice, were left behind, or were signed for by somebody else.

use std::fs;

use serde_json::Value;

use crate::custody::{handed_over, transfer};
use crate::findings::{printed, printed_kinds};
use crate::sample::Sample;

/// A package that B and C have signed for, in that order.
fn twice_handed_over() -> Sample {
    let sample = handed_over();
    transfer(&sample, "p.zip", "A. Examiner", "B", &["--signing-key", "counsel"]).expect(0);
    transfer(&sample, "p.zip", "B", "C", &["--signing-key", "expert"]).expect(0);
    sample
}

fn of_receipts(report: &Value) -> Vec<&str> {
    printed_kinds(report).into_iter().filter(|kind| kind.starts_with("receipt-") || kind.starts_with("custody-")).collect()
}

#[test]
fn what_cannot_be_read_in_the_place_of_a_receipt_is_named_beside_the_verdict() {
    let pieces = [
        "mkdir p.zip.receipt-0001.json",
        "ln -s p.zip.receipt-0001.json p.zip.receipt-0001.json",
        "mkfifo p.zip.receipt-0001.json",
        "ln -s nowhere p.zip.receipt-0001.json",
    ];
    for piece in pieces {
        let sample = handed_over();
        sample.shell(piece);
        let intact = sample.run(&["verify", "p.zip", "--json"]).expect(4).json();
        assert_eq!(of_receipts(&intact), ["receipt-unreadable"], "{piece}");
        let refused = transfer(&sample, "p.zip", "A. Examiner", "B", &["--signing-key", "counsel"]).expect(1).json();
        assert!(refused["error"][0].as_str().unwrap().contains("p.zip.receipt-0001.json could not be read"), "{refused}");
        // What was tampered with is no less so.
        let script = "import sys\nbytes = bytearray(open('p.zip', 'rb').read())\nat = bytes.index(b'content of \"')\nbytes[at] ^= 1\n\
                      open('q.zip', 'wb').write(bytes)\n";
        fs::write(sample.path("tamper.py"), script).unwrap();
        sample.shell(&format!("python3 tamper.py && {}", piece.replace("p.zip", "q.zip")));
        let tampered = sample.run(&["verify", "q.zip", "--json"]).expect(3).json();
        assert!(printed_kinds(&tampered).contains(&"artifact-modified"), "{piece}: {tampered}");
        let refused = transfer(&sample, "q.zip", "A. Examiner", "B", &["--signing-key", "counsel"]).expect(3).json();
        assert!(refused["error"][0].as_str().unwrap().contains("damaged: artifact-modified"), "{refused}");
    }
}

#[test]
fn a_signature_that_cannot_be_read_is_not_taken_for_none() {
    let sample = twice_handed_over();
    sample.shell("rm p.zip.receipt-0001.json.sig && mkfifo p.zip.receipt-0001.json.sig");
    let report = sample.run(&["verify", "p.zip", "--json"]).expect(4).json();
    assert_eq!(of_receipts(&report), ["receipt-unreadable"], "{report}");
    assert_eq!(report["custody"][0]["signature"], "unchecked", "{report}");
}

#[test]
fn copies_of_a_receipt_are_one_receipt() {
    let sample = twice_handed_over();
    sample.shell("mkdir dup && cp p.zip.receipt* dup/ && rm p.zip.receipt-0002.json.sig");
    let named = ["--receipt", "dup/p.zip.receipt-0001.json", "--receipt", "dup/p.zip.receipt-0002.json"];
    let report = sample.run(&[&["verify", "p.zip", "--json"][..], &named].concat()).expect(4).json();
    assert_eq!(of_receipts(&report), Vec::<&str>::new(), "{report}");
    let signatures: Vec<&Value> = report["custody"].as_array().unwrap().iter().map(|link| &link["signature"]).collect();
    assert_eq!(signatures, ["valid", "valid"]);
}

#[test]
fn receipts_of_a_package_that_takes_none_are_named_to_transfer_as_to_verify() {
    let sample = handed_over();
    sample.shell("mkdir one two three");
    sample.key_of("third", "third@example.com");
    let passed = |from: &str, to: &str, key: &str, more: &str| {
        let line = format!("transfer p.zip --from {from} --to {to} --purpose trial --signing-key {key} {more}");
        sample.run(&line.split(' ').map(|word| if word == "A" { "A. Examiner" } else { word }).collect::<Vec<_>>()).expect(0)
    };
    let [first, second] = ["one/p.zip.receipt-0001.json", "two/p.zip.receipt-0002.json"];
    passed("A", "B", "counsel", "-o one");
    passed("B", "C", "expert", &format!("-o two --receipt {first}"));
    // Left out, the one who released it is on no record.
    let unnamed = passed("C", "D", "third", "-o three");
    assert!(unnamed.stderr.contains("C is not on record as a holder") && unnamed.stderr.contains("--receipt"), "{unnamed:?}");
    sample.shell("rm three/*");
    let named = passed("C", "D", "third", &format!("-o three --receipt {first} --receipt {second}"));
    assert!(!named.stderr.contains("WARNING"), "{named:?}");
    let next = named.stdout.lines().find_map(|line| line.strip_prefix("Next: caselock ")).unwrap();
    let words: Vec<&str> = next.split(' ').chain(["--json"]).collect();
    let report = sample.run(&words).expect(4).json();
    assert_eq!((report["custody"].as_array().unwrap().len(), of_receipts(&report).len()), (3, 0), "{report}");
    // A case folder has none.
    transfer(&sample, "case", "A. Examiner", "B", &["--signing-key", "counsel", "--receipt", first]).expect(2);
}

#[test]
fn a_first_releaser_whom_the_case_does_not_know_is_warned_of_before_anybody_signs() {
    let sample = handed_over();
    for (item, to) in [("case", "B"), ("p.zip", "B")] {
        let warned = transfer(&sample, item, "Nobody Known", to, &["--signing-key", "counsel"]).expect(0);
        assert!(warned.stderr.contains("WARNING: Nobody Known is not on record as a holder"), "{warned:?}");
        assert!(warned.stderr.contains("custody-begins-elsewhere"), "{warned:?}");
    }
}

#[test]
fn a_receipt_that_was_left_behind_is_missing_and_the_package_is_passed_on() {
    let sample = twice_handed_over();
    sample.shell("mkdir kept && mv p.zip.receipt-0001* kept/");
    let report = sample.run(&["verify", "p.zip", "--json"]).expect(4).json();
    assert_eq!(of_receipts(&report), ["receipt-missing"], "{report}");
    assert!(printed(&report, "gap").contains(&("receipt-missing".to_owned(), "receipt 0001".to_owned())), "{report}");
    let passed = transfer(&sample, "p.zip", "C", "D", &["--signing-key", "key", "--quiet"]).expect(0).json();
    assert_eq!(passed["recorded_in"], "p.zip.receipt-0003.json");
    // Put back, the chain is whole.
    sample.shell("mv kept/* .");
    let report = sample.run(&["verify", "p.zip", "--json"]).expect(4).json();
    assert_eq!(of_receipts(&report), ["custody-signed-with-earlier-key"], "{report}");
}

#[test]
fn receipts_that_do_not_hold_are_not_told_as_damage_of_the_package() {
    let sample = twice_handed_over();
    sample.shell("rm -f p.zip.receipt-0002.json.sig");
    let refused = transfer(&sample, "p.zip", "C", "D", &["--signing-key", "key"]).expect(3).json();
    let said = refused["error"][0].as_str().unwrap();
    assert_eq!(said, "the receipts beside the package do not hold: receipt-unsigned p.zip.receipt-0002.json");
    assert!(refused["next"].as_str().unwrap().contains("for the receipts"), "{refused}");
}

#[test]
fn who_signs_for_a_receipt_with_the_key_of_another_is_warned_of_and_noticed() {
    let sample = handed_over();
    for (from, to, key, whose) in [
        ("A. Examiner", "B", "key", "the key that sealed the case"),
        ("B", "C", "counsel", ""),
        ("C", "D", "counsel", "with which C"),
    ] {
        let passed = transfer(&sample, "p.zip", from, to, &["--signing-key", key]).expect(0);
        assert_eq!(passed.stderr.contains("custody-signed-with-earlier-key"), !whose.is_empty(), "{passed:?}");
        assert!(passed.stderr.contains(whose), "{passed:?}");
    }
    let report = sample.run(&["verify", "p.zip", "--json"]).expect(4).json();
    let noticed: Vec<String> = printed(&report, "notice")
        .into_iter()
        .filter(|(kind, _)| kind == "custody-signed-with-earlier-key")
        .map(|(_, object)| object)
        .collect();
    assert_eq!(noticed, ["p.zip.receipt-0001.json", "p.zip.receipt-0003.json"], "{report}");
    assert_eq!(report["custody"][1]["signed_as"], "counsel@example.com");
    let text = sample.run(&["verify", "p.zip"]).stdout;
    assert!(text.contains("signed as counsel@example.com, by the signer's own word"), "{text}");
    // In the case folder as well, where the receiver's seal is that of the receiver alone.
    transfer(&sample, "case", "A. Examiner", "B", &["--signing-key", "counsel"]).expect(0);
    transfer(&sample, "case", "B", "C", &["--signing-key", "counsel"]).expect(0);
    let report = sample.run(&["verify", "case", "--json"]).json();
    let about: Vec<(String, String)> = printed(&report, "notice");
    assert!(about.contains(&("custody-signed-with-earlier-key".to_owned(), "custody/seals/0003.json".to_owned())), "{report}");
    assert!(!about.contains(&("custody-signed-with-earlier-key".to_owned(), "custody/seals/0002.json".to_owned())), "{report}");
}

#[test]
fn what_is_named_as_a_receipt_and_is_none_says_nothing_about_the_package() {
    let sample = twice_handed_over();
    let named = |file: &str| {
        let refused = sample.run(&["verify", "p.zip", "--json", "--receipt", file]).expect(2).json();
        assert!(refused["evidence"].as_str().unwrap().contains("says nothing about the package"), "{refused}");
        let signing = ["--signing-key", "key", "--receipt", file];
        assert_eq!(transfer(&sample, "p.zip", "C", "D", &signing).expect(2).json()["error"], refused["error"]);
        (refused["error"][0].as_str().unwrap().to_owned(), refused["next"].as_str().unwrap().to_owned())
    };
    assert_eq!(named("p.zip").0, "`p.zip` is not a receipt");
    assert!(named("nofile").0.starts_with("cannot read the receipt `nofile`: No such file"));
    assert!(named("case").0.ends_with("it is not a regular file"));
    let (what, next) = named("p.zip.receipt-0001.json.sig");
    assert_eq!(what, "`p.zip.receipt-0001.json.sig` is not a receipt");
    assert!(next.ends_with("--receipt p.zip.receipt-0001.json"), "{next}");
}

#[test]
fn the_step_for_receipts_in_verify_txt_shows_who_signed_for_which_zip_and_in_which_order() {
    let sample = twice_handed_over();
    let text = fs::read_to_string(sample.file("VERIFY.txt")).unwrap();
    let (_, step) = text.split_once("7  RECEIPTS").unwrap();
    let commands: Vec<&str> =
        step.lines().filter(|line| line.starts_with("ssh-keygen ") || line.starts_with("sha256sum ")).collect();
    assert_eq!(commands.len(), 2, "{step}");
    sample.shell("printf 'counsel@example.com %s\\n' \"$(cut -d ' ' -f 1,2 counsel.pub)\" > receivers");
    let said = sample.shell(&commands.join("\n").replace("FILE.zip", "p.zip").replace("NAME", "counsel@example.com"));
    assert!(said.contains("Good \"caselock-seal\" signature for counsel@example.com"), "{said}");
    let hash = |name: &str| said.lines().find_map(|line| line.strip_suffix(&format!("  {name}"))).unwrap().to_owned();
    let receipt = |number: u32| -> Value {
        serde_json::from_slice(&fs::read(sample.path(&format!("p.zip.receipt-{number:04}.json"))).unwrap()).unwrap()
    };
    assert_eq!(receipt(1)["package"]["sha256"], hash("p.zip"));
    assert_eq!(receipt(2)["previous_receipt_sha256"], hash("p.zip.receipt-0001.json"));
}
