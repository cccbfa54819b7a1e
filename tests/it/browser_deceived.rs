//! `verify.html` against packages made to look better than they are, and against honest ones that only look odd.

use std::fs;
use std::path::{Path, PathBuf};

use caselock::case::event::{CaseSealed, Event};
use caselock::model::{Severity, Sha256Hash, printable};
use caselock::package::{Glob, PackageFiles, write_disclosure, write_parts};
use caselock::seal::{SealOptions, SealStatement, SigningKey, seal_case_with};
use caselock::verify::{Options, verify};

use crate::browser::{PAGE, page, verdict};
use crate::forged::{DISCLOSED_OTHERWISE, LIES, LINES, rewrite, sealed_again, sealed_with_a_lie, zipped};
use crate::sample::{PRINCIPAL, Sample, at, shell, shell_ok, tool};
use crate::seal::commands;

const PROGRAM: &str = include_str!("../../case-template/verify_disclosure.py");
const INSTRUCTIONS: &str = include_str!("../../case-template/VERIFY-DISCLOSURE.txt");

/// A copy of a package under another name, changed by `change`.
fn forged(sample: &Sample, zip: &Path, change: &str) -> PathBuf {
    let copy = sample.path(&format!("forged-{}", zip.file_name().unwrap().to_str().unwrap()));
    fs::remove_file(&copy).ok();
    fs::copy(zip, &copy).unwrap();
    rewrite(&copy, change);
    copy
}

fn parts(sample: &Sample, name: &str, limit: u64) -> Vec<PathBuf> {
    let written = write_parts(&sample.open(), &sample.path(name), limit).unwrap();
    written.into_iter().map(|part| part.path).collect()
}

fn all(parts: &[PathBuf]) -> Vec<&Path> {
    parts.iter().map(PathBuf::as_path).collect()
}

#[test]
fn the_page_knows_the_program_and_the_instructions_of_its_own_version() {
    let program = Sha256Hash::of(PROGRAM.as_bytes());
    assert!(
        PAGE.contains(&format!("const PROGRAM = '{program}';")),
        "verify.html must give the SHA-256 of verify_disclosure.py, {program}"
    );
    let mut expected = format!("const INSTRUCTIONS = ['{}'", Sha256Hash::of(INSTRUCTIONS.as_bytes()));
    let mut rest = INSTRUCTIONS;
    while let Some((before, from)) = rest.split_once("{{") {
        let (name, after) = from.split_once("}}").unwrap();
        expected += &format!(", [{}, '{name}']", before.len());
        rest = after;
    }
    expected += &format!(", [{}]];", rest.len());
    assert!(INSTRUCTIONS.is_ascii() && PAGE.contains(&expected), "verify.html must say of VERIFY-DISCLOSURE.txt: {expected}");
}

#[test]
fn parts_of_two_cuts_are_not_taken_for_a_whole() {
    let sample = Sample::sealed();
    let (halves, thirds) = (parts(&sample, "a.zip", 260), parts(&sample, "b.zip", 110));
    assert!(halves.len() >= 2 && thirds.len() > halves.len(), "{halves:?} {thirds:?}");
    let mut page = page(&sample);
    let (state, text) = verdict(&mut page, &all(&thirds));
    assert_eq!(state, "ok", "{text}");
    assert!(text.contains(&format!("All {} parts are here", thirds.len())), "{text}");
    // As many as there are in one of the two cuts, and each number once.
    let mut mixed = vec![halves[0].as_path()];
    mixed.extend(thirds[1..].iter().map(PathBuf::as_path));
    let (state, text) = verdict(&mut page, &mixed);
    assert_eq!(state, "unknown", "{text}");
    for missing in [format!("part 1 of {}", thirds.len()), format!("part 2 of {}", halves.len())] {
        assert!(text.contains(&missing), "{missing}: {text}");
    }
}

#[test]
fn a_part_alone_says_first_that_others_are_missing_and_speaks_of_no_more_than_itself() {
    let sample = Sample::sealed();
    let parts = parts(&sample, "a.zip", 260);
    let mut page = page(&sample);
    let (state, text) = verdict(&mut page, &[&parts[0]]);
    assert_eq!(state, "unknown", "{text}");
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(place("NOT FULLY CHECKED") < place(&format!("PART 1 OF {}: UNCHANGED", parts.len())), "{text}");
    assert!(
        text.contains("Not one byte of this part of the evidence") && !text.contains("Not one byte of the evidence"),
        "{text}"
    );
    assert!(text.contains(&format!("of {} files in all parts", Sample::payload().len())), "{text}");
}

#[test]
fn what_a_part_has_of_its_own_is_derived_and_not_believed() {
    let sample = Sample::sealed();
    let parts = parts(&sample, "a.zip", 260);
    let mut page = page(&sample);
    let copy = forged(&sample, &parts[1], "pass");
    let others = [&parts[..1], &parts[2..]].concat();
    let with = |part: &Path| -> Vec<PathBuf> { [&[part.to_owned()], &others[..]].concat() };
    let (state, text) = verdict(&mut page, &all(&with(&copy)));
    assert_eq!(state, "ok", "written by another program, under another name: {text}");
    let info = "info = top + '/bag-info.txt'; files[info] = ";
    for (change, named) in [
        (
            format!("{info}re.sub(rb'Contact-Name: .*', b'Contact-Name: Mallory', files[info]); retag()"),
            "bag-info.txt does not follow",
        ),
        (format!("{info}files[info] + b'External-Description: nothing was found\\n'; retag()"), "bag-info.txt does not follow"),
        ("files[top + '/START-HERE.html'] = b'planted'; retag('START-HERE.html')".to_owned(), "files that no seal covers"),
        ("files[top + '/START-HERE.html'] = b'planted'".to_owned(), "does not list START-HERE.html"),
        ("files[top + '/whole/README.txt'] = b'planted'; retag('whole/README.txt')".to_owned(), "files that no seal covers"),
        (
            "files = {name.replace('IR-2026-014', 'IR-2026-015', 1): files[name] for name in files}".to_owned(),
            "its folder does not have the name",
        ),
        (
            "part = top + '/custody/part.json'; files[part] = files[part].replace(b'{', b'{\"also\":1,', 1); retag()"
                .to_owned(),
            "it is not as caselock writes it",
        ),
    ] {
        let (state, text) = verdict(&mut page, &all(&with(&forged(&sample, &parts[1], &change))));
        assert!(state == "bad" && text.contains(named) && !text.contains("Mallory"), "{change}: {text}");
    }
}

#[test]
fn a_package_holds_what_is_sealed_and_nothing_else() {
    let (sample, _) = Sample::sealed_by_two();
    let whole = sample.package("out.zip").path;
    let mut page = page(&sample);
    let seal = "files[top + '/custody/seals/0001.json";
    for honest in ["pass".to_owned(), format!("{seal}.tsr'] = {seal}.tsr.2'] = b'stamp'")] {
        let (state, text) = verdict(&mut page, &[&forged(&sample, &whole, &honest)]);
        assert_eq!(state, "ok", "{honest}: {text}");
    }
    let checkpoint = "'/custody/checkpoints/0001.json'";
    for (change, named) in [
        ("files[top + '/START-HERE.html'] = b'planted'".to_owned(), "START-HERE.html"),
        ("files[top + '/reports/report.html'] = b'planted'".to_owned(), "reports/report.html"),
        ("files[top + '/custody/disclosure.jsonl'] = b'planted'".to_owned(), "custody/disclosure.jsonl"),
        ("files[top + '/custody/part.json'] = b'planted'".to_owned(), "It does not fit the whole that was sealed"),
        (format!("{seal}.tsr.3'] = b'a renewal of nothing'"), "0001.json.tsr.3"),
        ("files[top + '/custody/seals/0004.json'] = b'{}'".to_owned(), "custody/seals/0004.json"),
        (
            format!("del files[top + {checkpoint}], files[top + {checkpoint} + '.sig']"),
            "it is not there, and the seal names it",
        ),
        (format!("del files[top + {checkpoint} + '.sig']"), "The checkpoint of seal 1 is not right"),
        (
            format!("files[top + {checkpoint}] = files[top + '/custody/checkpoints/0002.json']"),
            "it is not the one that was sealed",
        ),
        (
            "ledger = top + '/custody/ledger.jsonl'; last = files[ledger].split(b'\\n')[-2]; entry = json.loads(last)
entry.update(event='custody.received', seq=entry['seq'] + 1, prev=hashlib.sha256(last).hexdigest())
files[ledger] += json.dumps(entry, sort_keys=True, separators=(',', ':')).encode() + b'\\n'"
                .to_owned(),
            "The ledger goes on after the last seal",
        ),
        (
            "files = {name.replace('IR-2026-014', 'IR-2026-015', 1): files[name] for name in files}".to_owned(),
            "does not have the name of the case",
        ),
    ] {
        let (state, text) = verdict(&mut page, &[&forged(&sample, &whole, &change)]);
        assert!(state == "bad" && text.contains(named), "{change}: {text}");
    }
}

#[test]
fn a_seal_whose_signature_was_lost_accuses_nobody_once_a_later_one_says_so() {
    let (sample, _) = Sample::sealed_by_two();
    let unsigned = "del files[top + '/custody/seals/0001.json.sig']";
    let mut page = page(&sample);
    for (told, expected) in
        [("seal-unsigned custody/seals/0001.json", "unknown"), ("seal-unsigned custody/seals/0002.json", "bad")]
    {
        let path = sample.file("custody/seals/0002.json");
        let mut statement = SealStatement::parse(&fs::read(&path).unwrap()).unwrap();
        statement.damage = vec![told.to_owned()];
        sample.overwrite("custody/seals/0002.json", &statement.encode().unwrap());
        sample.sign_again("custody/seals/0002.json", "counsel");
        let whole = sample.package(&format!("{expected}.zip")).path;
        let (state, text) = verdict(&mut page, &[&forged(&sample, &whole, unsigned)]);
        assert_eq!(state, expected, "{told}: {text}");
        assert_eq!(text.contains("Seal 1 has no signature. A later seal says"), expected == "unknown", "{told}: {text}");
        // Once the signature is found again, nothing is wrong.
        let (state, text) = verdict(&mut page, &[&whole]);
        assert_eq!(state, "ok", "{told}: {text}");
    }
}

/// What `caselock verify` says of the seals in a package, but for whether somebody vouched for them.
fn findings(zip: &Path) -> Vec<(Severity, String)> {
    let report = verify(&PackageFiles::open(zip).unwrap(), &Options::default()).unwrap();
    let about_seals = report.findings.into_iter().filter(|finding| {
        let is_of_one = ["custody/seals/", "custody/checkpoints/"].iter().any(|folder| finding.object.starts_with(folder));
        is_of_one && finding.kind != "seal-signer-unknown"
    });
    about_seals.map(|finding| (finding.severity, finding.kind)).collect()
}

/// What step 3 of VERIFY.txt prints that does not begin with `ok`.
fn by_hand(sample: &Sample) -> Vec<String> {
    let steps = commands(&fs::read_to_string(sample.file("VERIFY.txt")).unwrap());
    let output = shell(&sample.case(), &steps[2]);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.stderr.is_empty() && said.contains("ok  the ledger's chain holds"), "{output:?}");
    said.lines().filter(|line| !line.starts_with("ok ")).map(str::to_owned).collect()
}

#[test]
fn damage_that_a_seal_names_and_that_is_not_there_is_weighed_alike_by_all_three() {
    let (sample, mut writer) = Sample::new();
    sample.seal(&mut writer);
    let told = format!("artifact-modified {}", Sample::payload()[0]);
    let options = SealOptions { damage: vec![told.clone()], despite: true, ..SealOptions::default() };
    seal_case_with(&mut writer, &sample.key(), at(), &tool(), &options).unwrap();
    let mut page = page(&sample);
    let note = format!("NOTE custody/seals/0002.json says that the case was damaged when it was sealed: {told}");
    for (name, state, mark, severity) in
        [("last.zip", "unknown", "NOT CHECKED", Severity::Gap), ("again.zip", "ok", "NOTE", Severity::Notice)]
    {
        let zip = sample.package(name).path;
        let (found, text) = verdict(&mut page, &[&zip]);
        assert_eq!(found, state, "{text}");
        assert!(text.contains(&told) && text.contains(mark) && text.contains("left to caselock verify"), "{text}");
        assert_eq!(findings(&zip), [(severity, "seal-damage-not-found".to_owned())]);
        assert_eq!(by_hand(&sample), [note.as_str()]);
        // Somebody signs for the case as it is.
        sample.seal(&mut writer);
    }
}

#[test]
fn a_seal_whose_statement_was_lost_accuses_nobody_once_a_later_one_says_so() {
    for lost in [1, 2] {
        let (sample, mut writer) = Sample::new();
        sample.seal(&mut writer);
        let other = SigningKey::generate_ed25519(&sample.path("other"), "counsel@example.com").unwrap();
        if lost == 2 {
            sample.seal_by(&other, &mut writer);
        }
        let path = format!("custody/seals/{lost:04}.json");
        let statement = fs::read(sample.file(&path)).unwrap();
        fs::remove_file(sample.file(&path)).unwrap();
        sample.seal_by(&other, &mut writer);
        sample.seal_by(&other, &mut writer);
        let whole = sample.package("whole.zip").path;
        let mut page = page(&sample);
        let (state, text) = verdict(&mut page, &[&whole]);
        assert_eq!(state, "unknown", "{text}");
        assert!(text.contains(&format!("Seal {lost} is not there")), "{text}");
        assert!(findings(&whole).contains(&(Severity::Gap, "seal-missing".to_owned())), "{:?}", findings(&whole));
        assert!(!findings(&whole).iter().any(|(severity, _)| *severity == Severity::Failure), "{:?}", findings(&whole));
        assert_eq!(by_hand(&sample), [format!("NOTE {path} is not there, and a later seal says that it was found so")]);
        // Nobody's word but that of a signed seal counts.
        let unsaid = format!("del files[top + '/custody/seals/{:04}.json.sig']", lost + 1);
        let (state, text) = verdict(&mut page, &[&forged(&sample, &whole, &unsaid)]);
        assert!(state == "bad" && text.contains(&format!("Seal {lost} is not there")), "{text}");
        let (signature, away) = (sample.file(&format!("custody/seals/{:04}.json.sig", lost + 1)), sample.path("away"));
        fs::rename(&signature, &away).unwrap();
        assert!(by_hand(&sample).contains(&format!("BAD {path} is there")), "{:?}", by_hand(&sample));
        fs::rename(&away, &signature).unwrap();
        // Of a seal of which nothing is left, nobody can say that it was found so.
        let (state, text) = verdict(&mut page, &[&forged(&sample, &whole, &format!("del files[top + '/{path}.sig']"))]);
        assert!(state == "bad" && text.contains("a seal was taken away"), "{text}");
        // Found again, it takes its place again.
        sample.overwrite(&path, &statement);
        let again = sample.package("again.zip").path;
        let (state, text) = verdict(&mut page, &[&again]);
        assert_eq!(state, "ok", "{text}");
        assert_eq!((findings(&again), by_hand(&sample)), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_checkpoint_whose_signature_was_lost_accuses_nobody_once_a_later_seal_says_so() {
    let (sample, mut writer) = Sample::new();
    sample.seal(&mut writer);
    let whole = sample.package("before.zip").path;
    let mut page = page(&sample);
    let unsigned = "del files[top + '/custody/checkpoints/0001.json.sig']";
    let (state, text) = verdict(&mut page, &[&forged(&sample, &whole, unsigned)]);
    assert_eq!(state, "bad", "nobody says so: {text}");
    fs::remove_file(sample.file("custody/checkpoints/0001.json.sig")).unwrap();
    let other = SigningKey::generate_ed25519(&sample.path("other"), "counsel@example.com").unwrap();
    sample.seal_by(&other, &mut writer);
    let whole = sample.package("after.zip").path;
    let (state, text) = verdict(&mut page, &[&whole]);
    assert!(state == "unknown" && text.contains("The checkpoint of seal 1 has no signature"), "{text}");
    assert_eq!(findings(&whole), [(Severity::Gap, "tag-file-missing".to_owned())]);
    assert_eq!(by_hand(&sample), [""; 0]);
}

#[test]
fn a_seal_that_the_ledger_announces_under_two_keys_was_replaced() {
    let (sample, mut writer) = Sample::new();
    let sealed = sample.seal(&mut writer);
    let announced = |signer: &str| {
        Event::CaseSealed(CaseSealed { seal: sealed.path.clone(), signer: signer.to_owned(), tool: tool(), protection: None })
    };
    let key = sample.key().signer().fingerprint.clone();
    let mut page = page(&sample);
    for (signer, expected) in [(key.as_str(), "ok"), ("SHA256:another", "bad")] {
        writer.append(announced(signer)).unwrap();
        sample.seal(&mut writer);
        let (state, text) = verdict(&mut page, &[&sample.package(&format!("{expected}.zip")).path]);
        assert_eq!(state, expected, "{text}");
        assert_eq!(text.contains("by different keys"), expected == "bad", "{text}");
    }
}

#[test]
fn allowed_signers_is_the_one_line_that_the_first_seal_gives() {
    let sample = Sample::sealed();
    let honest = sample.key().signer().clone();
    let forger = sample.key_of("forger", PRINCIPAL);
    let lines = |more: &str| format!("{PRINCIPAL} namespaces=\"caselock-seal\" {}\n{more}", honest.public_key);
    let mut page = page(&sample);
    for (name, key, text, expected) in [
        ("same.zip", "key", lines(""), "ok"),
        ("comment.zip", "key", lines("# it is I\n"), "bad"),
        ("two.zip", "forger", lines(&format!("{PRINCIPAL} {}\n", forger.signer().public_key)), "bad"),
        ("comment2.zip", "forger", format!("{PRINCIPAL} {} {}\n", forger.signer().public_key, honest.public_key), "bad"),
    ] {
        sample.overwrite("custody/allowed_signers", text.as_bytes());
        sealed_again(&sample, key);
        // The ledger says which key sealed; whoever forges all of it makes it say their own.
        let zip = zipped(&sample, name);
        let (state, said) = verdict(&mut page, &[&zip]);
        assert_eq!(state, expected, "{name}: {said}");
        assert_eq!(said.contains("custody/allowed_signers is not the one line"), expected == "bad", "{name}: {said}");
        assert_eq!(said.contains("by this key"), key == "forger", "{name}: {said}");
    }
}

#[test]
fn what_is_around_a_disclosure_is_derived_and_not_believed() {
    let hostile = "IR 2026\u{2014}014 /\u{202e} of the very long name that is folded somewhere in the middle, as names of cases sometimes are";
    let mut pages = None;
    for case_number in ["IR-2026-014", hostile] {
        let (sample, mut writer) = Sample::with_case_number(case_number);
        sample.seal(&mut writer);
        let zip = sample.path("part.zip");
        write_disclosure(&sample.open(), &[Glob::new("s3://example-corp/a*")], &zip).unwrap();
        let page = pages.get_or_insert_with(|| page(&sample));
        let (state, text) = verdict(page, &[&zip]);
        assert_eq!(state, "ok", "{text}");
        assert!(text.contains("follows from what was signed") && !text.contains("Organization"), "{text}");
        let info = "info = top + '/bag-info.txt'; files[info] = ";
        for (change, expected, named) in [
            (format!("{info}re.sub(rb'External-Identifier: .*', b'External-Identifier: IR-OTHER-999', files[info]); retag()"), "bad", "bag-info.txt does not say"),
            (format!("{info}b'Contact-Name: Mallory\\n' + files[info]; retag()"), "bad", "bag-info.txt does not say"),
            ("files[top + '/custody/allowed_signers'] *= 2; retag()".to_owned(), "bad", "allowed_signers is not the one line"),
            ("files[top + '/reports/opinion.html'] = b'x'; retag('reports/opinion.html')".to_owned(), "bad", "reports/opinion.html is no part"),
            ("files[top + '/reports/opinion.html'] = b'x'".to_owned(), "bad", "does not list reports/opinion.html"),
            ("files = {name.replace('-disclosure', '-DISCLOSURE', 1): files[name] for name in files}".to_owned(), "bad", "does not have the name of the case"),
            ("del files[top + '/VERIFY.txt']; tags = top + '/tagmanifest-sha256.txt'; files[tags] = b''.join(line for line in files[tags].splitlines(True) if b'VERIFY' not in line)".to_owned(), "bad", "Files that every package has are not there"),
            ("files[top + '/verify_disclosure.py'] = b'print(\"ok\")'; retag()".to_owned(), "unknown", "verify_disclosure.py"),
            ("text = top + '/VERIFY.txt'; files[text] += b'    python3 trust_me.py\\n'; retag()".to_owned(), "unknown", "VERIFY.txt"),
            ("text = top + '/VERIFY.txt'; files[text] = files[text].replace(b'exactly', b'roughly'); retag()".to_owned(), "unknown", "VERIFY.txt"),
        ] {
            let (state, text) = verdict(page, &[&forged(&sample, &zip, &change)]);
            assert!(state == expected && text.contains(named), "{change}: {text}");
            assert!(!text.contains("Mallory") && !text.contains("OTHER-999"), "{change}: {text}");
        }
    }
}

#[test]
fn every_list_of_hashes_is_compared_or_said_to_be_compared_with_nothing() {
    let sample = Sample::sealed();
    let whole = sample.package("out.zip").path;
    let (right, wrong) = (Sha256Hash::of(&fs::read(&whole).unwrap()).to_string(), "0".repeat(64));
    fs::create_dir(sample.path("renamed")).unwrap();
    let renamed = sample.path("renamed/out (1).zip");
    fs::copy(&whole, &renamed).unwrap();
    let list = sample.path("list.sha256");
    let mut page = page(&sample);
    for (text, plain, under_another_name) in [
        (format!("{right}  out.zip\n"), "ok", "ok"),
        (format!("{right}  out.zip\r\n"), "ok", "ok"),
        (format!("{right} *out.zip"), "ok", "ok"),
        (format!("{}  folder/out.zip\n", right.to_uppercase()), "ok", "ok"),
        (right.clone(), "ok", "ok"),
        (format!("{wrong}  out.zip\n"), "bad", "unknown"),
        (format!("{wrong}  out.zip\r\n"), "bad", "unknown"),
        (format!("{wrong} *out.zip\n"), "bad", "unknown"),
        (format!("{right}  out.zip\n{wrong}  other.zip\n"), "unknown", "unknown"),
        (format!("SHA256 (out.zip) = {wrong}\n"), "unknown", "unknown"),
        (String::new(), "unknown", "unknown"),
    ] {
        fs::write(&list, &text).unwrap();
        for (zip, expected) in [(&whole, plain), (&renamed, under_another_name)] {
            let (state, said) = verdict(&mut page, &[zip, &list]);
            assert_eq!(state, expected, "{text:?} for {}: {said}", zip.display());
            let compared = said.contains("has the SHA-256 that the .sha256 file gives");
            assert_eq!(compared, text.to_lowercase().contains(&right) && !text.contains("SHA256 ("), "{text:?}: {said}");
            assert_eq!(said.starts_with("The .sha256 files\nNOT FULLY CHECKED"), expected == "unknown", "{text:?}: {said}");
        }
    }
}

#[test]
fn what_is_encrypted_or_no_package_is_accused_of_nothing() {
    let sample = Sample::sealed();
    let encrypted = sample.path("out.zip.age");
    fs::write(&encrypted, b"age-encryption.org/v1\n-> X25519 x\n").unwrap();
    let list = sample.path("out.zip.age.sha256");
    let mut page = page(&sample);
    for (sha256, expected) in [(Sha256Hash::of(&fs::read(&encrypted).unwrap()), "unknown"), (Sha256Hash::ZERO, "bad")] {
        fs::write(&list, format!("{sha256}  out.zip.age\n")).unwrap();
        let (state, text) = verdict(&mut page, &[&encrypted, &list]);
        assert_eq!(state, expected, "{text}");
        assert!(text.contains("It is encrypted") && text.contains("age --decrypt -i KEY -o out.zip out.zip.age"), "{text}");
    }
    fs::write(sample.path("notes.txt"), b"{}").unwrap();
    let (state, text) = verdict(&mut page, &[&sample.path("notes.txt")]);
    assert!(state == "unknown" && text.contains("It is no package") && text.contains("NOTHING WAS CHECKED"), "{text}");
    assert!(!text.contains("Nothing wrong was found"), "{text}");
}

#[test]
fn a_receipt_is_told_with_the_commands_that_check_it_and_no_word_of_it_is_run() {
    let sample = Sample::sealed();
    let mut page = page(&sample);
    let mut said = |name: &str, content: &str| {
        fs::write(sample.path(name), content).unwrap();
        let (state, text) = verdict(&mut page, &[&sample.path(name)]);
        assert!(state == "unknown" && text.contains("NOTHING WAS CHECKED") && text.contains("It is of a receipt"), "{text}");
        text
    };
    let receipt = |principal: &str| {
        let handover = serde_json::json!({ "released_by": "A", "received_by": "B" });
        serde_json::json!({ "signer": { "principal": principal }, "handover": handover, "package": { "sha256": "aa" } })
            .to_string()
    };
    let text = said("out.zip.receipt-0001.json", &receipt("counsel@example.com"));
    let by_hand = "ssh-keygen -Y verify -f SIGNERS -I counsel@example.com -n caselock-seal -s out.zip.receipt-0001.json.sig < \
                   out.zip.receipt-0001.json";
    assert!(text.contains("caselock verify out.zip\n") && text.contains(by_hand) && text.contains("A to B"), "{text}");
    assert!(said("out.zip.receipt-0002.json.sig", "-----BEGIN SSH SIGNATURE-----").contains("-I SIGNER -n"));
    let hostile = said("out.zip.receipt-0003.json", &receipt("x; reboot"));
    assert!(!hostile.contains("reboot"), "{hostile}");
    let named = said("my $(reboot) it's.zip.receipt-0001.json", "{}");
    assert!(named.contains(r"caselock verify 'my $(reboot) it'\''s.zip'"), "{named}");
}

#[test]
fn a_phone_shows_every_character_of_what_is_to_be_compared() {
    let sample = Sample::sealed();
    let whole = sample.package("out.zip").path;
    let mut page = page(&sample);
    let screen = serde_json::json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    page.call("Emulation.setDeviceMetricsOverride", screen);
    let (state, text) = verdict(&mut page, &[&whole]);
    assert_eq!(state, "ok", "{text}");
    let width = page.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(width <= 390, "it is {width} pixels wide");
}

#[test]
fn a_seal_that_caselock_cannot_have_made_is_refused_though_its_signature_holds() {
    let honest = Sample::sealed();
    sealed_with_a_lie(&honest, |_, _| {});
    let mut page = page(&honest);
    let (state, said) = verdict(&mut page, &[&zipped(&honest, "out.zip")]);
    assert_eq!(state, "ok", "made again without a lie: {said}");
    for (what, lie, _, named) in LIES {
        let sample = Sample::sealed();
        sealed_with_a_lie(&sample, lie);
        let (state, said) = verdict(&mut page, &[&zipped(&sample, "out.zip")]);
        assert!(state == "bad" && said.contains(named), "{what}: {said}");
        assert!(said.contains("The signature of seal 1 is valid"), "{what}: {said}");
    }
    let sample = Sample::sealed();
    sample.overwrite("custody/seals/0001.json.tsr.2", b"stamp");
    let (state, said) = verdict(&mut page, &[&zipped(&sample, "out.zip")]);
    assert!(state == "bad" && said.contains("custody/seals/0001.json.tsr.2"), "{said}");
}

#[test]
fn a_disclosure_that_could_be_read_in_two_ways_or_shows_nothing_is_refused() {
    let sample = Sample::sealed();
    let zip = sample.path("part.zip");
    write_disclosure(&sample.open(), &[Glob::new("s3://example-corp/a*")], &zip).unwrap();
    let mut page = page(&sample);
    assert_eq!(verdict(&mut page, &[&zip]).0, "ok");
    for (what, change) in DISCLOSED_OTHERWISE {
        let (state, said) = verdict(&mut page, &[&forged(&sample, &zip, &format!("{LINES}\n{change}\nretag()"))]);
        assert_eq!(state, "bad", "{what}: {said}");
    }
    let nothing = "files = {name: files[name] for name in files if '/data/' not in name}
files[top + '/custody/disclosure.jsonl'] = files[top + '/manifest-sha256.txt'] = b''
retag()";
    let (state, said) = verdict(&mut page, &[&forged(&sample, &zip, nothing)]);
    assert!(state == "bad" && said.contains("nothing is shown"), "{said}");
    let many = format!("{LINES}\nfiles[shown] += b'\\n' * 100000\nretag()");
    let (state, said) = verdict(&mut page, &[&forged(&sample, &zip, &many)]);
    assert!(state == "bad" && said.contains("and 81 more"), "{said}");
}

/// caselock, the page and the Python program derive the same texts: a character that one of them spells out, all spell out.
#[test]
fn all_three_spell_out_the_same_characters() {
    let sample = Sample::sealed();
    let mut page = page(&sample);
    let by_page = page.evaluate(
        "(() => {
            const found = [], hidden = new RegExp(`^[${HIDDEN}]$`, 'u');
            for (let c = 0; c < 0x110000; c++) if ((c < 0xd800 || c > 0xdfff) && hidden.test(String.fromCodePoint(c))) found.push(c);
            return found;
        })()",
    );
    let by_page: Vec<u32> = by_page.as_array().unwrap().iter().map(|c| u32::try_from(c.as_u64().unwrap()).unwrap()).collect();
    let script = "python3 -I -c \"import sys
sys.path.insert(0, 'case-template')
sys.dont_write_bytecode = True
import re, verify_disclosure
print(*(c for c in range(0x110000) if not 0xd800 <= c <= 0xdfff and re.fullmatch(verify_disclosure.HIDDEN, chr(c))))\"";
    let by_python = shell_ok(Path::new(env!("CARGO_MANIFEST_DIR")), script);
    let by_python: Vec<u32> = by_python.split_whitespace().map(|c| c.parse().unwrap()).collect();
    let by_caselock: Vec<u32> =
        ('\0'..=char::MAX).filter(|c| printable(&c.to_string()) != c.to_string()).map(u32::from).collect();
    assert_eq!(by_page, by_caselock);
    assert_eq!(by_python, by_caselock);
    for (text, written) in [("a\u{61c}b \u{e0041}c", r"a\u{61c}b \u{e0041}c"), ("🔒 e\u{301}", "🔒 e\u{301}")] {
        let said = page.evaluate(&format!("words({}).join(' ')", serde_json::json!(text)));
        assert_eq!(said, written);
        assert_eq!(printable(text), written);
    }
}
