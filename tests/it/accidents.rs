//! What losses, crashes, wrong clocks and refusing keys leave of a case, and that an honest holder can always go on from there.

use std::collections::BTreeSet;
use std::fs;

use caselock::case::custody::{CustodyReceived, Handover, Reverification};
use caselock::case::event::{ClockOffset, Event};
use caselock::model::{Severity, Sha256Hash};
use caselock::package::{PackageFiles, write_package};
use caselock::seal::{SealError, SealOptions, SealStatement, Sealed, SigningKey, seal_case, seal_case_with};
use caselock::verify::{Options, Verdict, verify};

use crate::account::Ran;
use crate::findings::{has, kinds};
use crate::memory_case::{Collection, HOME, MemoryCase, quiet};
use crate::sample::{Sample, at, shell_ok, started, tool};

/// A sealed case, and the key `other` of somebody else.
fn sealed() -> (Sample, SigningKey) {
    let sample = Sample::sealed_after_a_run();
    let other = sample.key_of("other", "counsel@example.com");
    (sample, other)
}

/// Seals as `seal --despite-damage` does: what verification finds is what the seal names.
fn seal_as_found(sample: &Sample, key: &SigningKey) -> Result<Sealed, SealError> {
    let options = SealOptions { damage: sample.verify().name_damage(1000), despite: true, ..SealOptions::default() };
    seal_case_with(&mut sample.open_again(), key, at(), &tool(), &options)
}

fn transfer(sample: &Sample, key: &str, more: &[&str]) -> Ran {
    let fixed = ["transfer", "case", "--from", "A. Examiner", "--to", "B", "--purpose", "review", "--signing-key", key];
    sample.run(&[&fixed, more].concat())
}

/// Its diagnostics, wherever lines were broken.
fn said(ran: &Ran) -> String {
    ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn whatever_is_lost_of_a_seal_the_case_can_be_sealed_and_packaged_again_and_no_seal_looks_forged() {
    let parts = ["checkpoints/0001.json", "checkpoints/0001.json.sig", "seals/0001.json", "seals/0001.json.sig"];
    for left in 0..16_usize {
        for by_the_same in [true, false] {
            let (sample, other) = sealed();
            let key = if by_the_same { sample.key() } else { other };
            let is_left = |part: usize| left & (1 << part) != 0;
            let what = format!("left {left:04b}, by the same key: {by_the_same}");
            for (_, part) in parts.iter().enumerate().filter(|(at, _)| !is_left(*at)) {
                fs::remove_file(sample.file("custody").join(part)).unwrap();
            }
            let signature = fs::read(sample.file("custody/seals/0001.json.sig")).ok();
            let sealed = seal_as_found(&sample, &key).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            if signature.is_some() {
                assert_eq!(fs::read(sample.file("custody/seals/0001.json.sig")).ok(), signature, "{what}");
                assert_eq!(sealed.path, "custody/seals/0002.json", "{what}");
            }
            assert_eq!(sample.ledger().matches("\"event\":\"case.sealed\"").count(), 2, "{what}");
            let report = sample.verify();
            // That the key of another took the place of one of which nothing is left is told for good.
            let nothing_left = !is_left(2) && !is_left(3);
            let expected = if nothing_left && !by_the_same { BTreeSet::from(["seal-replaced"]) } else { BTreeSet::new() };
            assert_eq!(kinds(&report, Severity::Failure), expected, "{what}: {:#?}", report.findings);
            let lost = is_left(3) && !is_left(2);
            assert_eq!(kinds(&report, Severity::Gap).contains("seal-missing"), lost, "{what}: {:#?}", report.findings);
            assert_eq!(sealed.statement.admits("seal-missing", "custody/seals/0001.json"), lost, "{what}");
            let zip = sample.path("p.zip");
            let packaged = write_package(&sample.open(), &zip);
            packaged.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let files = PackageFiles::open(&zip).unwrap();
            let of_package = verify(&files, &Options::default()).unwrap();
            assert_eq!(kinds(&of_package, Severity::Failure), expected, "{what}: {:#?}", of_package.findings);
            // And so it goes on.
            let next = sample.seal_by(&key, &mut sample.open_again());
            assert!(next.statement.damage.is_empty(), "{what}: {:?}", next.statement.damage);
        }
    }
}

#[test]
fn what_follows_from_a_seal_is_put_back_as_it_was_and_a_signature_by_its_own_key_alone() {
    let lose = |sample: &Sample| {
        let lost = ["custody/checkpoints/0001.json", "custody/checkpoints/0001.json.sig"].map(|path| sample.file(path));
        let before = lost.each_ref().map(|path| fs::read(path).unwrap());
        lost.iter().for_each(|path| fs::remove_file(path).unwrap());
        (lost, before)
    };
    let (sample, other) = sealed();
    let ([_, signature], before) = lose(&sample);
    let by_another = seal_as_found(&sample, &other).unwrap();
    assert_eq!(by_another.statement.damage, ["tag-file-missing custody/checkpoints/0001.json.sig"]);
    assert_eq!(fs::read(sample.file("custody/checkpoints/0001.json")).unwrap(), before[0]);
    let report = sample.verify();
    let of_it: Vec<Severity> =
        report.findings.iter().filter(|finding| finding.kind == "tag-file-missing").map(|finding| finding.severity).collect();
    assert_eq!((of_it, report.case_failures()), (vec![Severity::Gap], 0), "{:#?}", report.findings);
    // Whoever has the key makes up for it, and then nothing is wrong any more.
    let by_the_signer = sample.seal(&mut sample.open_again());
    assert!(by_the_signer.statement.damage.is_empty() && signature.exists());
    assert!(!has(&sample.verify(), "tag-file-missing"));

    let (sample, _) = sealed();
    let (lost, before) = lose(&sample);
    assert!(seal_as_found(&sample, &sample.key()).unwrap().statement.damage.is_empty());
    assert_eq!(lost.map(|path| fs::read(path).unwrap()), before);
}

#[test]
fn a_statement_that_is_found_again_takes_its_place_again() {
    for lost in [1, 2] {
        let (sample, other) = sealed();
        if lost == 2 {
            sample.seal_by(&other, &mut sample.open_again());
        }
        let path = format!("custody/seals/{lost:04}.json");
        let statement = fs::read(sample.file(&path)).unwrap();
        fs::remove_file(sample.file(&path)).unwrap();
        let next = seal_as_found(&sample, &other).unwrap();
        assert_eq!((next.statement.number, next.statement.damage.clone()), (lost + 1, vec![format!("seal-missing {path}")]));
        assert_eq!(next.statement.extends.is_some(), lost == 2, "it extends what is there");
        let report = sample.verify();
        assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
        sample.overwrite(&path, &statement);
        let report = sample.verify();
        assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
        assert!(!has(&report, "seal-missing"), "{:#?}", report.findings);
        sample.seal_by(&other, &mut sample.open_again());
        // An attacker's word is no admission: without its signature that seal says nothing.
        fs::remove_file(sample.file(&path)).unwrap();
        fs::remove_file(sample.file(&format!("custody/seals/{:04}.json.sig", lost + 1))).unwrap();
        assert!(kinds(&sample.verify(), Severity::Failure).contains("seal-missing"));
    }
}

#[test]
fn whom_nobody_vouched_for_excuses_nothing() {
    let (sample, other) = sealed();
    let lines = sample.ledger().lines().count();
    transfer(&sample, "key", &[]).expect(0);
    let path = "custody/seals/0002.json";
    fs::remove_file(sample.file(path)).unwrap();
    // Whoever holds the other key writes another receiver into the lines behind the first seal.
    let mut rewritten: Vec<String> = Vec::new();
    for (number, line) in sample.ledger().lines().enumerate() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        if number >= lines {
            line["prev"] = serde_json::json!(Sha256Hash::of(rewritten[number - 1].as_bytes()).to_string());
            if line["event"] == "custody.transferred" {
                assert_eq!(line["handover"]["received_by"], "B");
                line["handover"]["received_by"] = serde_json::json!("Mallory");
            }
        }
        rewritten.push(String::from_utf8(serde_json_canonicalizer::to_vec(&line).unwrap()).unwrap());
    }
    assert!(rewritten.len() > lines + 1);
    sample.overwrite(caselock::case::LEDGER, format!("{}\n", rewritten.join("\n")).as_bytes());
    assert!(seal_as_found(&sample, &other).unwrap().statement.admits("seal-missing", path));
    let vouched = |keys: &[&SigningKey]| {
        let lines: Vec<String> = keys.iter().map(|key| format!("* {}", key.signer().public_key)).collect();
        let allowed = caselock::seal::AllowedSigners::parse(&lines.join("\n")).unwrap();
        let options = Options { allowed_signers: Some(&allowed), ..Options::default() };
        let report = sample.verify_with(&options);
        kinds(&report, Severity::Failure).into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    // The checkpoint of the seal that was taken away tells in any case.
    let told = BTreeSet::from(["checkpoint-mismatch".to_owned()]);
    assert_eq!(vouched(&[&sample.key(), &other]), told);
    let unexcused = vouched(&[&sample.key()]);
    assert!(unexcused.contains("seal-missing") && unexcused.contains("checkpoint-mismatch"), "{unexcused:?}");
    for name in ["json", "json.sig"] {
        fs::remove_file(sample.file(&format!("custody/checkpoints/0002.{name}"))).unwrap();
    }
    assert_eq!(vouched(&[&sample.key(), &other]), BTreeSet::new());
    assert!(vouched(&[&sample.key()]).contains("seal-missing"));
}

#[test]
fn a_folder_that_takes_no_seal_is_found_out_before_anything_is_recorded() {
    let (sample, other) = sealed();
    let before = sample.ledger();
    fs::create_dir(sample.file("custody/seals/0002.json")).unwrap();
    let refused = seal_case(&mut sample.open_again(), &other, at(), &tool(), "").unwrap_err();
    assert!(matches!(refused, SealError::Case(_)), "{refused:?}");
    assert_eq!(sample.ledger(), before);
    assert!(!sample.file("custody/checkpoints/0002.json").exists());
    assert_eq!(shell_ok(&sample.case(), "find custody -name '*.part'"), "");
    fs::remove_dir(sample.file("custody/seals/0002.json")).unwrap();
    sample.seal_by(&other, &mut sample.open_again());
}

#[test]
fn a_sealed_case_whose_evidence_was_changed_is_sealed_and_handed_over_as_it_is_and_never_passes() {
    let (sample, _) = sealed();
    let path = Sample::payload()[2].to_string();
    sample.overwrite(&path, b"other");
    let seal = ["seal", "case", "--signing-key", "other"];
    let refused = sample.run(&seal).expect(3);
    assert!(said(&refused).contains(&path) && said(&refused).contains("--despite-damage"), "{}", said(&refused));
    sample.run(&[&seal[..], &["--despite-damage"]].concat()).expect(0);
    let received = transfer(&sample, "other", &["--despite-damage"]).expect(3);
    assert!(received.stdout.contains("DAMAGED: signed for"), "{received:?}");
    let statements = sample.statements();
    assert_eq!(statements.len(), 3);
    for later in &statements[1..] {
        assert_eq!(later.damage, [format!("artifact-modified {path}")]);
        let bag = |seal: &SealStatement| (seal.manifest_sha256, seal.tagmanifest_sha256, seal.artifacts);
        assert_eq!(bag(later), bag(&statements[0]), "it is the bag that was sealed first");
    }
    let report = sample.verify();
    assert_eq!((report.verdict, kinds(&report, Severity::Failure)), (Verdict::Fail, BTreeSet::from(["artifact-modified"])));
    assert_eq!(report.custody[0].signed_in.as_deref(), Some("custody/seals/0003.json"));
}

#[test]
fn of_a_sealed_case_each_file_that_was_changed_is_named_by_the_next_seal() {
    let (sample, other) = sealed();
    sample.overwrite("README.txt", b"other");
    sample.overwrite("manifest-sha256.txt", b"other");
    fs::remove_file(sample.file("VERIFY.txt")).unwrap();
    let told = ["tag-file-missing VERIFY.txt", "tag-file-modified README.txt", "tag-file-modified manifest-sha256.txt"];
    // Named also where whoever seals did not know of it.
    let damage = vec!["artifact-modified data/x".to_owned()];
    let options = SealOptions { damage, ..SealOptions::default() };
    let sealed = seal_case_with(&mut sample.open_again(), &other, at(), &tool(), &options).unwrap();
    for told in told {
        assert!(sealed.statement.damage.iter().any(|named| named == told), "{told}: {:?}", sealed.statement.damage);
    }
    let report = sample.verify();
    assert!(kinds(&report, Severity::Failure).is_superset(&BTreeSet::from(["tag-file-modified", "tag-file-missing"])));
}

#[test]
fn no_way_out_is_advised_that_is_none() {
    let (sample, _) = sealed();
    sample.replace("custody/seals/0001.json", "IR-2026-014", "IR-2026-015");
    let before = sample.ledger();
    for more in [&[][..], &["--despite-damage"]] {
        let refused = sample.run(&[&["seal", "case", "--signing-key", "other"], more].concat()).expect(3);
        assert!(!said(&refused).contains("--despite-damage"), "{}", said(&refused));
        assert_eq!(sample.ledger(), before);
    }
}

#[test]
fn a_seal_that_would_be_dated_before_what_it_covers_is_not_made() {
    let days = 3 * 86_400;
    let (sample, other) = sealed();
    let before = sample.ledger();
    let early = at().plus_seconds(-days);
    let refused = seal_case(&mut sample.open_again(), &other, early, &tool(), "").unwrap_err();
    assert!(matches!(refused, SealError::Clock { now, .. } if now == early) && !refused.is_integrity_failure(), "{refused}");
    assert!(refused.to_string().contains(&early.to_string()), "{refused}");
    assert_eq!(sample.ledger(), before);
    let despite = SealOptions { despite: true, ..SealOptions::default() };
    let sealed_all_the_same = seal_case_with(&mut sample.open_again(), &other, early, &tool(), &despite).unwrap();
    assert_eq!(sealed_all_the_same.statement.damage, ["seal-time-mismatch custody/seals/0002.json"]);
    // Collected by a clock that was ahead, as the ledger says.
    let (sample, mut writer) = Sample::new();
    let Event::CollectionStarted(mut run) = started(1) else { unreachable!() };
    let clock = ClockOffset { offset_milliseconds: -days * 1000, uncertainty_milliseconds: 500, samples: 4 };
    run.clock = Some(clock);
    writer.append(Event::CollectionStarted(run)).unwrap();
    assert!(seal_case(&mut writer, &sample.key(), early, &tool(), "").unwrap().statement.damage.is_empty());
}

#[test]
fn a_key_that_refuses_leaves_no_record_of_a_transfer_and_the_receivers_other_key_signs() {
    let (sample, _) = sealed();
    // A public key whose private half no agent has, as that of a hardware key which is not plugged in.
    sample.shell("ssh-keygen -q -t rsa -b 2048 -N '' -C b@example.com -f hardware && rm hardware");
    let before = sample.ledger();
    let refused = transfer(&sample, "hardware.pub", &[]).expect(1);
    assert!(said(&refused).contains("Nothing was recorded"), "{}", said(&refused));
    assert_eq!(sample.ledger(), before);
    transfer(&sample, "other", &[]).expect(0);
    let report = sample.verify();
    assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
    assert!(!report.findings.iter().any(|finding| finding.kind.starts_with("custody-")), "{:#?}", report.findings);
}

/// A case that B is recorded to have received from A, with a key of B's that signed nothing.
fn received_and_not_signed_for() -> Sample {
    let (sample, _) = sealed();
    let third = sample.key_of("third", "b@example.com");
    let handover = Handover {
        released_by: "A. Examiner".to_owned(),
        received_by: "B".to_owned(),
        purpose: "review".to_owned(),
        method: None,
        condition: None,
        location: None,
    };
    let report = sample.verify();
    let verification = Reverification {
        verdict: report.verdict.as_str().to_owned(),
        artifacts: report.artifacts.total,
        artifacts_valid: report.artifacts.valid,
        damage: 0,
        ledger_lines: report.ledger.lines,
        ledger_root: report.ledger.root,
    };
    let statement = fs::read(sample.file("custody/seals/0001.json")).unwrap();
    let received = CustodyReceived {
        handover,
        seal: "custody/seals/0001.json".to_owned(),
        seal_sha256: Sha256Hash::of(&statement),
        verification,
        signer: third.signer().fingerprint.clone(),
        tool: tool(),
    };
    sample.open_again().append(Event::CustodyReceived(Box::new(received))).unwrap();
    sample
}

#[test]
fn whoever_received_a_case_signs_for_it_with_another_key_and_it_stays_one_transfer() {
    let sample = received_and_not_signed_for();
    transfer(&sample, "other", &[]).expect(0);
    assert_eq!(sample.ledger().matches("\"event\":\"custody.received\"").count(), 2, "each names its own key");
    let report = sample.verify();
    assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
    let told = report.findings.iter().find(|finding| finding.kind == "custody-not-signed-for").unwrap();
    assert_eq!(told.severity, Severity::Notice);
    let [link] = &report.custody[..] else { panic!("{:#?}", report.custody) };
    let other = SigningKey::load(&sample.path("other"), None).unwrap();
    assert_eq!(link.signer.as_deref(), Some(other.signer().fingerprint.as_str()));
    // With the key that was named, the record is gone on with.
    let sample = received_and_not_signed_for();
    transfer(&sample, "third", &[]).expect(0);
    assert_eq!(sample.ledger().matches("\"event\":\"custody.received\"").count(), 1);
    assert!(!sample.verify().findings.iter().any(|finding| finding.kind.starts_with("custody-")));
}

#[test]
fn nobody_seals_in_the_place_of_a_receiver_who_has_not_signed_but_on_demand_and_that_is_a_notice() {
    let sample = received_and_not_signed_for();
    let before = sample.ledger();
    let seal = ["seal", "case", "--signing-key", "key"];
    let refused = sample.run(&seal).expect(2);
    assert!(
        said(&refused).contains("B received the case") && said(&refused).contains("--despite-damage"),
        "{}",
        said(&refused)
    );
    assert_eq!(sample.ledger(), before);
    sample.run(&[&seal[..], &["--despite-damage"]].concat()).expect(0);
    let report = sample.verify();
    assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
    assert!(kinds(&report, Severity::Notice).contains("custody-not-signed-for"), "{:#?}", report.findings);
    assert_eq!((report.custody[0].signer.as_deref(), report.custody[0].received_at.is_some()), (None, true));
}

#[test]
fn damage_to_the_case_is_told_apart_from_tampering_in_aws() {
    let it = Collection::of(&quiet());
    it.delete(&it.log(HOME, 4));
    it.overwrite(&it.log(HOME, 5), b"other".to_vec());
    let changed = MemoryCase::path_of(&it.log(HOME, 6));
    let mut case = it.case();
    case.files.insert(changed.clone(), b"changed on disk".to_vec());
    let report = case.verify();
    let failures = kinds(&report, Severity::Failure);
    assert!(failures.is_superset(&BTreeSet::from(["artifact-modified", "log-missing"])), "{failures:?}");
    assert!(report.failures() > report.case_failures());
    assert_eq!(report.name_damage(1000), [format!("artifact-modified {changed}")]);
}
