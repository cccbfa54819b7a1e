//! What closing a case asks and says: of collections that are not finished, of seals that say nothing new, of times and signers.

use std::fs;
use std::path::Path;

use caselock::case::CaseWriter;
use caselock::case::event::{CollectionFinished, CollectionInterrupted, Event};
use caselock::seal::SealStatement;
use serde_json::Value;

use crate::account::{Simulated, ledger};
use crate::sample::{Sample, shell_ok, started};
use crate::seal::commands;

fn finished() -> Event {
    let none = CollectionFinished { run: 1, artifacts: 10, bytes: 0, already_stored: 0, gaps: 0, clock: None };
    Event::CollectionFinished(none)
}

fn interrupted(cause: Option<&str>) -> Event {
    Event::CollectionInterrupted(CollectionInterrupted { run: 1, discarded: vec![], cause: cause.map(str::to_owned) })
}

/// A case in `case` with these events, and the key `key`.
fn case(events: impl IntoIterator<Item = Event>) -> Sample {
    let (sample, mut writer): (Sample, CaseWriter) = Sample::new();
    for event in events {
        writer.append(event).unwrap();
    }
    sample
}

const SEAL: [&str; 4] = ["seal", "case", "--signing-key", "key"];

fn statement(sample: &Sample, number: u32) -> SealStatement {
    SealStatement::parse(&fs::read(sample.file(&format!("custody/seals/{number:04}.json"))).unwrap()).unwrap()
}

/// The report, as a page.
fn page(sample: &Sample) -> String {
    let out = format!("{}.html", fs::read_dir(sample.path("")).unwrap().count());
    let ran = sample.run(&["report", "case", "-o", &out, "--quiet"]);
    assert!([0, 4].contains(&ran.code), "{ran:?}");
    fs::read_to_string(sample.path(&out)).unwrap()
}

/// What stands in a form.
fn form<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, form) = page.split_once(&format!("id=\"form-{name}\"")).unwrap();
    form.split_once("</section>").unwrap().0
}

#[test]
fn an_unfinished_collection_is_sealed_only_on_demand_and_the_seal_says_so() {
    let sample = case([started(1), interrupted(Some("Ctrl-C"))]);
    let before = sample.ledger();
    let refused = sample.run(&SEAL).expect(2);
    refused.says(&["not finished", "did not come to its end", "caselock collect case", "--unfinished"]);
    assert_eq!(sample.ledger(), before, "nothing was written");
    assert!(!sample.file("custody/seals").exists());

    let told = sample.run(&[&SEAL[..], &["--unfinished"]].concat()).expect(0).stdout;
    assert!(told.contains("UNFINISHED when sealed") && !told.contains("DAMAGED"), "{told}");
    assert_eq!(statement(&sample, 1).damage, ["collection-unfinished custody/ledger.jsonl"]);
    let told = sample.run(&["verify", "case"]).expect(4).stdout;
    assert!(told.contains("collection-unfinished") && !told.contains("Run collect again"), "{told}");
    // What was admitted once is not asked again.
    sample.run(&[&SEAL[..], &["--notes", "again"]].concat()).expect(0);
}

#[test]
fn an_unfinished_collection_is_no_damage_to_the_page_or_by_hand_whoever_seals_later() {
    let sample = case([started(1), interrupted(Some("Ctrl-C"))]);
    sample.run(&[&SEAL[..], &["--unfinished"]].concat()).expect(0);
    sample.key_of("other", "other@example.com");
    let mut browser = crate::browser::page(&sample);
    for name in ["first.zip", "again.zip"] {
        let steps = commands(&fs::read_to_string(sample.file("VERIFY.txt")).unwrap());
        let said = shell_ok(&sample.case(), &steps[2]);
        let others: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert!(matches!(others[..], [note] if note.starts_with("NOTE the collection did not come to its end")), "{said}");
        assert!(!said.contains("damaged"), "{said}");
        let zip = sample.package(name).path;
        let (state, text) = crate::browser::verdict(&mut browser, &[&zip]);
        assert_eq!(state, "ok", "{text}");
        for words in ["The collection did not come to its end, as seal 1 says", "; everything that was collected is unchanged"]
        {
            assert!(text.contains(words) && !text.contains("damaged"), "{words}: {text}");
        }
        sample.run(&["seal", "case", "--signing-key", "other"]).expect(0);
    }
}

#[test]
fn a_second_seal_by_the_same_key_that_would_say_nothing_new_is_not_made() {
    let sample = case([started(1), finished()]);
    sample.run(&SEAL).expect(0);
    let before = sample.ledger();
    let again = sample.run(&[&SEAL[..], &["--json"]].concat()).expect(0).json();
    assert_eq!((&again["sealed_already"], &again["seal"]), (&Value::Bool(true), &"custody/seals/0001.json".into()));
    crate::schemas::holds("seal", &again);
    assert_eq!(sample.ledger(), before);
    assert!(!sample.file("custody/seals/0002.json").exists());
    // Another key, or something to say, is a reason.
    sample.key_of("other", "other@example.com");
    sample.run(&["seal", "case", "--signing-key", "other"]).expect(0);
    sample.run(&[&SEAL[..], &["--notes", "reviewed"]].concat()).expect(0);
    assert_eq!(statement(&sample, 3).notes, "reviewed");
}

#[test]
fn the_seal_and_its_line_in_the_ledger_tell_one_time() {
    let sample = case([started(1), finished()]);
    sample.run(&SEAL).expect(0);
    let transferred = ["transfer", "case", "--from", "A. Examiner", "--to", "B", "--purpose", "review", "--signing-key", "key"];
    sample.run(&transferred).expect(0);
    let lines = ledger(&sample.case());
    let at =
        |seal: &str| lines.iter().find(|line| line["event"] == "case.sealed" && line["seal"] == seal).unwrap()["at"].clone();
    for number in [1, 2] {
        let line = at(&format!("custody/seals/{number:04}.json"));
        assert_eq!(line, statement(&sample, number).sealed_at.to_string());
    }
    let opened = lines.iter().find(|line| line["event"] == "case.opened").unwrap()["at"].as_str().unwrap();
    assert!(page(&sample).contains(&format!("<th scope=\"row\">Case opened</th><td>{opened}")), "{opened}: {}", page(&sample));
}

#[test]
fn the_drafts_say_that_a_collection_did_not_come_to_its_end_and_when_it_was_interrupted() {
    for cause in [Some("Ctrl-C"), None] {
        let sample = case([started(1), interrupted(cause)]);
        let lines = ledger(&sample.case());
        let at = lines.iter().find(|line| line["event"] == "collection.interrupted").unwrap()["at"].as_str().unwrap();
        let page = page(&sample);
        for draft in ["certificate", "statement"] {
            let draft = form(&page, draft);
            let when = match cause {
                Some(cause) => format!("did not come to its end: interrupted {at} ({cause})"),
                None => format!("did not come to its end: found interrupted {at}"),
            };
            for words in [when.as_str(), "The collection did not come to its end: what had not been asked for by then"] {
                assert!(draft.contains(words), "{words}\n{draft}");
            }
            assert!(!draft.contains("unrecorded time") && !draft.contains("is listed in part 9"), "{draft}");
            assert_eq!(draft.contains(&format!("and {at} (UTC)")), cause.is_some(), "{draft}");
        }
    }
}

#[test]
fn the_first_seal_is_the_sealing_and_a_receivers_seal_is_told_as_a_receipt() {
    let sample = case([started(1), finished()]);
    sample.run(&SEAL).expect(0);
    sample.key_of("counsel", "counsel@example.com");
    let transferred =
        ["transfer", "case", "--from", "A. Examiner", "--to", "B. Counsel", "--purpose", "review", "--signing-key", "counsel"];
    sample.run(&transferred).expect(0);
    let page = page(&sample);
    let [first, second] = [statement(&sample, 1), statement(&sample, 2)];
    let key = |seal: &SealStatement| format!("the key {} under the name {}", seal.signer.fingerprint, seal.signer.principal);
    let statement = form(&page, "statement");
    for words in [
        format!("The case was sealed at {} with {}", first.sealed_at, key(&first)),
        format!(
            "B. Counsel received the case from A. Examiner and signed for it at {} with {}",
            second.sealed_at,
            key(&second)
        ),
    ] {
        assert!(statement.contains(&words), "{words}\n{statement}");
    }
    let certificate = form(&page, "certificate");
    for words in [key(&first), key(&second), "by which B. Counsel signed for having received the case".to_owned()] {
        assert!(certificate.contains(&words), "{words}\n{certificate}");
    }
    for words in [
        format!("Sealed {} by {}", first.sealed_at, first.signer.principal),
        format!("Received by B. Counsel from A. Examiner; sealed {} by counsel@example.com", second.sealed_at),
    ] {
        assert!(page.contains(&words), "{words}");
    }
}

#[test]
fn a_first_releaser_whom_the_case_does_not_know_is_noticed() {
    let begins = |from: &str| {
        let sample = case([started(1), finished()]);
        sample.run(&SEAL).expect(0);
        sample.run(&["transfer", "case", "--from", from, "--to", "B", "--purpose", "review"]).expect(0);
        let report = sample.run(&["verify", "case", "--json"]).json();
        let findings = report["findings"].as_array().unwrap();
        findings.iter().any(|finding| finding["kind"] == "custody-begins-elsewhere")
    };
    assert!(begins("Mallory"));
    for known in ["A. Examiner", "a. examiner, Example Corp", crate::sample::PRINCIPAL] {
        assert!(!begins(known), "{known}");
    }
}

#[test]
fn answers_from_another_endpoint_are_noticed_and_count_with_strict() {
    let Event::CollectionStarted(mut elsewhere) = started(1) else { unreachable!() };
    elsewhere.endpoint_url = Some("http://192.0.2.7:9000".to_owned());
    let sample = case([Event::CollectionStarted(elsewhere), finished()]);
    let report = sample.run(&["verify", "case", "--json"]).json();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["kind"] == "answers-from-another-endpoint").unwrap();
    assert_eq!(found["severity"], "notice");
    assert!(found["detail"].as_str().unwrap().contains("http://192.0.2.7:9000"), "{found}");
    let page = page(&sample);
    let (_, summary) = page.split_once("id=\"part-1\"").unwrap();
    let (summary, _) = summary.split_once("</section>").unwrap();
    assert!(summary.contains("Answers came from http://192.0.2.7:9000, asked in the place of AWS"), "{summary}");
}

#[test]
fn the_report_names_the_hash_of_the_page_that_caselock_ships() {
    let sample = case([started(1), finished()]);
    sample.run(&SEAL).expect(0);
    let shipped = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("case-template/verify.html")).unwrap();
    assert!(page(&sample).contains(&caselock::model::Sha256Hash::of(&shipped).to_string()));
}

#[test]
fn a_verdict_that_notices_alone_make_says_that_it_is_because_of_strict() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    let told = |more: &[&str], code: i32| {
        let ran = simulated.run(&[&["verify", "case"], more].concat()).expect(code);
        ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let plain = told(&[], 0);
    assert!(plain.starts_with("PASS") && plain.contains("answers-from-another-endpoint"), "{plain}");
    assert!(!plain.contains("--strict"), "{plain}");
    let strict = told(&["--strict"], 4);
    assert!(strict.starts_with("INCOMPLETE") && strict.contains("1 notice counts because of --strict."), "{strict}");
}
