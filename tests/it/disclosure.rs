//! Disclosures: what they prove, what they betray, and who notices when they were changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use caselock::model::Sha256Hash;
use caselock::package::{Glob, PackageError, PackageFiles, write_disclosure};
use caselock::seal::{DisclosedLine, SigningKey};
use caselock::verify::{Options, Report, Verdict, verify};

use crate::account::Ran;
use crate::findings::has;
use crate::forged::{DISCLOSED_OTHERWISE, LINES, by_python, rewrite};
use crate::peers;
use crate::sample::{Sample, shell_ok, started, verified_folder};

const CHOSEN: &str = "s3://example-corp/AWSLogs/**";

fn disclose(sample: &Sample, name: &str, patterns: &[&str]) -> Result<PathBuf, PackageError> {
    let include: Vec<Glob> = patterns.iter().map(|pattern| Glob::new(pattern)).collect();
    let case = sample.open();
    write_disclosure(&case, &include, &sample.path(name)).map(|summary| summary.path)
}

fn verified(path: &Path) -> Report {
    if path.is_dir() {
        return verified_folder(path);
    }
    verify(&PackageFiles::open(path).unwrap(), &Options::default()).unwrap()
}

/// Whether the Python program says that something is wrong.
#[track_caller]
fn is_bad_by_python(path: &Path, what: &str) {
    let ran = by_python(path);
    assert!(ran.code == 1 && ran.stdout.contains("BAD"), "{what}: {ran:?}");
}

/// Unpacks the disclosure; gives its top folder.
fn unpacked(sample: &Sample, zip: &Path) -> PathBuf {
    sample.shell(&format!("rm -rf open && mkdir open && unzip -q '{}' -d open && chmod -R u+w open", zip.display()));
    sample.path("open/IR-2026-014-disclosure")
}

#[test]
fn a_disclosure_is_proven_by_caselock_by_python_alone_and_is_a_bag() {
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &[CHOSEN, "s3://example-corp/a"]).unwrap();
    let report = verified(&zip);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
    assert_eq!((report.artifacts.total, report.artifacts.valid), (3, 3));
    let disclosure = report.disclosure.unwrap();
    let lines = sample.ledger().lines().count();
    assert_eq!((disclosure.lines_shown, disclosure.lines_sealed), (3, u64::try_from(lines).unwrap()));
    let folder = unpacked(&sample, &zip);
    for place in [&zip, &folder] {
        let said = by_python(place).expect(0).stdout;
        assert!(!said.contains("BAD") && said.contains("ok  the signature"), "{said}");
        assert_eq!(verified(place).verdict, Verdict::Pass);
    }
    assert!(peers::is_valid_bag(&folder));
    // Every command that VERIFY.txt gives, as it gives it.
    let text = fs::read_to_string(folder.join("VERIFY.txt")).unwrap();
    let commands: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with("SHA256:")).collect();
    assert_eq!(commands.len(), 4, "{text}");
    let said = shell_ok(&folder, &commands.join("\n"));
    for words in [
        "ok  the signature",
        "payload: every file is unchanged",
        "tag files: every file is unchanged",
        "Good \"caselock-seal\"",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!text.contains("{{"), "{text}");
    // On the command line, with the words for what it proves.
    let said = sample.run(&["verify", "part.zip"]).expect(0).stdout;
    assert!(said.contains("PASS: each file disclosed is") && said.contains("What this does not prove"), "{said}");
}

#[test]
fn a_disclosure_betrays_nothing_about_the_rest() {
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &[CHOSEN]).unwrap();
    let bytes = fs::read(&zip).unwrap();
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(holds(b"AWSLogs") && holds(b"IR-2026-014"), "what may be shown is there in the clear");
    let ledger = sample.ledger();
    let lines: Vec<&str> = ledger.lines().collect();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for line in &lines {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        if entry["path"].as_str().is_some_and(|path| path.contains("AWSLogs")) {
            continue;
        }
        // No line that was not chosen, no salt of one, no path, key, content hash or content.
        secrets.push(line.as_bytes()[..60].to_vec());
        secrets.push(entry["salt"].as_str().unwrap_or_else(|| panic!("a line without a salt: {line}")).into());
        for value in [&entry["path"], &entry["sha256"], &entry["case_toml_sha256"], &entry["caller"]["arn"], &entry["host"]] {
            secrets.extend(value.as_str().filter(|value| value.len() > 6).map(Into::into));
        }
        if let Some(path) = entry["path"].as_str() {
            secrets.push(fs::read(sample.file(path)).unwrap());
            secrets.push(hex::decode(entry["sha256"].as_str().unwrap()).unwrap());
        }
    }
    for file in [
        "manifest-sha256.txt",
        "tagmanifest-sha256.txt",
        "custody/case.toml",
        "custody/seals/0001.json",
        "bag-info.txt",
        "VERIFY.txt",
    ] {
        let content = fs::read(sample.file(file)).unwrap();
        secrets.push(Sha256Hash::of(&content).to_string().into_bytes());
    }
    // What only the case's own tag files say: its description, its examiner, how many artifacts it has and their bytes.
    for words in [
        "Keys that were used from elsewhere",
        "A. Examiner",
        "Example Corp",
        "\"artifacts\"",
        "\"count\"",
        "manifest_sha256",
        "incident-response",
    ] {
        secrets.push(words.into());
    }
    assert!(secrets.len() > 40);
    for secret in secrets {
        assert!(!holds(&secret), "it holds `{}`", String::from_utf8_lossy(&secret));
    }
}

#[test]
fn no_two_lines_of_a_ledger_have_one_salt() {
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &["data/**"]).unwrap();
    let shown = fs::read_to_string(unpacked(&sample, &zip).join("custody/disclosure.jsonl")).unwrap();
    let first: DisclosedLine = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let ledger = sample.ledger();
    assert_eq!(ledger.lines().nth(usize::try_from(first.index).unwrap()), Some(first.line.as_str()));
    // The sample makes up the salts of its artifacts; what the ledger itself salts is random.
    let salts: Vec<String> = ledger
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|entry| entry["event"] != "artifact.acquired")
        .map(|entry| entry["salt"].as_str().unwrap().to_owned())
        .collect();
    let distinct: std::collections::BTreeSet<&String> = salts.iter().collect();
    assert!(salts.len() >= 3 && distinct.len() == salts.len() && salts.iter().all(|salt| salt.len() == 32), "{salts:?}");
}

#[test]
fn the_same_choice_gives_the_same_bytes() {
    let sample = Sample::sealed_after_a_run();
    let first = fs::read(disclose(&sample, "one.zip", &[CHOSEN]).unwrap()).unwrap();
    sample.open_again().append(started(2)).unwrap();
    let second = fs::read(disclose(&sample, "two.zip", &[CHOSEN]).unwrap()).unwrap();
    assert!(first == second);
}

#[test]
fn nothing_to_disclose_and_no_checkpoint_are_refused() {
    let sample = Sample::sealed_after_a_run();
    let refused = disclose(&sample, "part.zip", &[CHOSEN, "data/none/**"]);
    assert!(matches!(refused, Err(PackageError::NothingIncluded { pattern }) if pattern == "data/none/**"));
    sample.run(&["package", "case", "-o", "part.zip", "--include", "nothing"]).expect(2).says(&["nothing"]);
    fs::remove_file(sample.file("custody/checkpoints/0001.json")).unwrap();
    assert!(matches!(disclose(&sample, "part.zip", &[CHOSEN]), Err(PackageError::NoCheckpoint { seal: 1 })));
    assert!(!sample.path("part.zip").exists());
}

#[test]
fn a_checkpoint_that_is_not_the_seals_own_is_a_failure() {
    let changes = [
        ("tag-file-modified", "sed -i 's/IR-2026-014/IR-2026-015/' 0001.json"),
        ("tag-file-missing", "rm 0001.json"),
        ("tag-file-missing", "rm 0001.json.sig"),
        (
            "checkpoint-mismatch",
            "rm 0001.json.sig; ssh-keygen -q -t ed25519 -N '' -f ../../../other; ssh-keygen -q -Y sign -n caselock-seal -f ../../../other 0001.json",
        ),
    ];
    for (kind, change) in changes {
        let sample = Sample::sealed_after_a_run();
        shell_ok(&sample.file("custody/checkpoints"), change);
        let report = verified(&sample.case());
        let found =
            report.findings.iter().any(|finding| finding.kind == kind && finding.object.starts_with("custody/checkpoints/"));
        assert!(found && report.verdict == Verdict::Fail, "{change}: {:?}", report.findings);
        assert!(disclose(&sample, "part.zip", &[CHOSEN]).is_err(), "{change}");
    }
}

/// Lists every file in the manifests again, as somebody who covers their tracks would.
const REBAG: &str = "find data -type f | LC_ALL=C sort | xargs sha256sum > manifest-sha256.txt
    find . -type f ! -path './data/*' ! -name tagmanifest-sha256.txt | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum > tagmanifest-sha256.txt";

#[test]
fn a_disclosure_that_was_changed_fails_in_both() {
    let changes = [
        ("a byte of a file", "f=$(find data -type f | head -n 1); printf x >> \"$f\"", true),
        ("a file taken away", "rm \"$(find data -type f | head -n 1)\"", true),
        ("a file added", "printf x > data/extra", true),
        ("two files exchanged", "set -- $(find data -type f); mv $1 t; mv $2 $1; mv t $2", true),
        ("a line edited", "sed -i '1s/us-east-1/us-east-2/' custody/disclosure.jsonl", true),
        ("a hash in a line and its file", "printf other > \"$(find data -type f | head -n 1)\"", true),
        ("a line's number", "sed -i '1s/\"index\":[0-9]*/\"index\":0/' custody/disclosure.jsonl", true),
        ("a proof cut short", "sed -i '1s/\"proof\":\\[\"[0-9a-f]*\",/\"proof\":[/' custody/disclosure.jsonl", true),
        ("a hash in a proof", "sed -i '1s/\"proof\":\\[\"./\"proof\":[\"g/' custody/disclosure.jsonl", true),
        (
            "a line shown twice",
            "head -n 1 custody/disclosure.jsonl > t && cat custody/disclosure.jsonl >> t && mv t custody/disclosure.jsonl",
            true,
        ),
        ("no line at all", ": > custody/disclosure.jsonl; rm -r data; mkdir data", true),
        (
            "the root",
            "sed -i 's/\"root\":\"f/\"root\":\"0/; t; s/\"root\":\"./\"root\":\"f/' custody/checkpoints/0001.json",
            true,
        ),
        ("the time", "sed -i 's/\"sealed_at\":\"2/\"sealed_at\":\"1/' custody/checkpoints/0001.json", true),
        ("the signature", "sed -i '3s/^./A/; 3s/^\\(.\\)./\\1B/' custody/checkpoints/0001.json.sig", true),
        ("the signature taken away", "rm custody/checkpoints/0001.json.sig", true),
        ("the checkpoint taken away", "rm custody/checkpoints/0001.json*", true),
        (
            "another signer's signature",
            "ssh-keygen -q -t ed25519 -N '' -C x -f ../../mallory && rm custody/checkpoints/0001.json.sig && \
             ssh-keygen -q -Y sign -n caselock-seal -f ../../mallory custody/checkpoints/0001.json",
            true,
        ),
        ("a note added", "printf x > note.txt", false),
        ("the instructions", "printf x >> VERIFY.txt", false),
        ("the manifest", "sed -i '1s/^1/0/; t; 1s/^./1/' manifest-sha256.txt", false),
    ];
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &[CHOSEN, "s3://example-corp/a"]).unwrap();
    for (what, change, covering_tracks) in changes {
        let folder = unpacked(&sample, &zip);
        shell_ok(&folder, change);
        if covering_tracks {
            shell_ok(&folder, REBAG);
        }
        let report = verified(&folder);
        assert_eq!(report.verdict, Verdict::Fail, "{what}: {:?}", report.findings);
        is_bad_by_python(&folder, what);
        sample.shell("rm -f mallory mallory.pub");
    }
}

#[test]
fn what_is_wrong_with_a_disclosure_has_a_name() {
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &[CHOSEN, "s3://example-corp/a"]).unwrap();
    for (change, kind) in [
        ("rm custody/checkpoints/0001.json*", "checkpoint-malformed"),
        ("rm custody/checkpoints/0001.json.sig", "checkpoint-signature-invalid"),
        ("sed -i 's/\"sealed_at\":\"2/\"sealed_at\":\"1/' custody/checkpoints/0001.json", "checkpoint-signature-invalid"),
        (": > custody/disclosure.jsonl", "disclosure-malformed"),
        ("printf 'print(\"ok  all good\")' > verify_disclosure.py", "disclosure-text-unknown"),
        ("sed -i 's/python3/sh/' VERIFY.txt", "disclosure-text-unknown"),
        ("rm verify_disclosure.py", "tag-file-missing"),
        ("sed -i 's/^External-Identifier: .*/External-Identifier: IR-OTHER-999/' bag-info.txt", "tag-file-modified"),
        ("printf 'Contact-Name: Mallory\\n' >> bag-info.txt", "tag-file-modified"),
        (
            "cat custody/allowed_signers >> custody/allowed_signers.more; cat custody/allowed_signers.more >> custody/allowed_signers; \
          rm custody/allowed_signers.more",
            "tag-file-modified",
        ),
        ("mkdir reports; printf x > reports/expert-opinion.html", "file-not-covered"),
        ("sed -i '1s/us-east-1/us-east-2/' custody/disclosure.jsonl", "disclosure-unproven"),
    ] {
        let folder = unpacked(&sample, &zip);
        shell_ok(&folder, &format!("{change}\n{REBAG}"));
        let report = verified(&folder);
        assert!(has(&report, kind), "{change}: {:?}", report.findings);
    }
}

#[test]
fn a_disclosure_under_another_name_is_a_failure_in_both() {
    let (sample, mut writer) = Sample::with_case_number(" IR\u{2028}2026 /\u{1f512} of 41 characters, the last two cut off ");
    sample.seal(&mut writer);
    let zip = disclose(&sample, "part.zip", &["s3://example-corp/a*"]).unwrap();
    sample.run(&["verify", "part.zip"]).expect(0);
    assert!(by_python(&zip).expect(0).stdout.contains("ok  the folder in the zip has the name of the case"));
    rewrite(&zip, "files = {name.replace(top, 'ALL-LOGS-COMPLETE-AND-CERTIFIED', 1): files[name] for name in files}");
    sample.run(&["verify", "part.zip"]).expect(3).says(&["top folder"]);
    is_bad_by_python(&zip, "another name");
}

#[test]
fn what_is_larger_than_it_can_be_is_a_finding_and_the_rest_is_checked() {
    for (file, kind) in [("0001.json", "checkpoint-malformed"), ("0001.json.sig", "checkpoint-signature-invalid")] {
        let sample = Sample::sealed_after_a_run();
        let zip = disclose(&sample, "part.zip", &[CHOSEN]).unwrap();
        let planted = "path = next(name for name in sorted(files) if '/data/' in name); files[path] += b'x'";
        rewrite(&zip, &format!("files[top + '/custody/checkpoints/{file}'] = b'0' * (1 << 21); {planted}"));
        let report = verified(&zip);
        assert!(has(&report, kind) && report.verdict == Verdict::Fail, "{:?}", report.findings);
        assert!(report.disclosure.is_some() && report.findings.iter().any(|finding| finding.object.starts_with("data/")));
    }
}

#[test]
fn of_a_line_that_is_not_proven_nothing_is_believed_or_kept() {
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &[CHOSEN, "s3://example-corp/a"]).unwrap();
    let folder = unpacked(&sample, &zip);
    // The last line once more, as a later one: it is about a file that is there.
    let change = "tail -n 1 custody/disclosure.jsonl | sed 's/\"index\":[0-9]*/\"index\":9999/' >> custody/disclosure.jsonl
        printf x > data/extra
        tail -n 1 custody/disclosure.jsonl | sed 's/\\\\\"path\\\\\":\\\\\"[^\\\\]*/\\\\\"path\\\\\":\\\\\"data\\/extra/; s/9999/10000/' >> custody/disclosure.jsonl";
    shell_ok(&folder, &format!("{change}\n{REBAG}"));
    let report = verified(&folder);
    assert_eq!((report.artifacts.total, report.artifacts.valid, report.verdict), (3, 3, Verdict::Fail));
    assert_eq!(report.disclosure.unwrap().lines_shown, 5);
    let unproven = report.findings.iter().filter(|finding| finding.kind == "disclosure-unproven").count();
    assert_eq!(unproven, 2, "{:#?}", report.findings);
    assert_eq!(report.artifacts.unlisted, ["data/extra"]);
}

#[test]
fn keys_that_python_alone_cannot_check_are_checked_with_ssh_keygen_or_said_to_be_unchecked() {
    let (sample, mut writer) = Sample::new();
    sample.shell("ssh-keygen -q -t ecdsa -b 256 -N '' -C examiner@example.com -f made");
    let key = SigningKey::load(&sample.path("made"), None).unwrap();
    sample.seal_by(&key, &mut writer);
    drop(writer);
    let zip = disclose(&sample, "part.zip", &["data/**"]).unwrap();
    by_python(&zip).expect(0);
    let python = sample.shell("python3 -c 'import sys; print(sys.executable)'");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("case-template/verify_disclosure.py");
    let alone = Command::new(python.trim()).arg(program).arg(&zip).env("PATH", "/nowhere").output().unwrap();
    let said = Ran::from(alone).expect(2).stdout;
    assert!(said.contains("??"), "{said}");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_by_both() {
    let sample = Sample::sealed_after_a_run();
    let good = disclose(&sample, "part.zip", &[CHOSEN, "s3://example-corp/a"]).unwrap();
    for (what, change) in DISCLOSED_OTHERWISE {
        let zip = sample.path("forged.zip");
        fs::copy(&good, &zip).unwrap();
        rewrite(&zip, &format!("{LINES}\n{change}\nretag()"));
        let report = verified(&zip);
        assert_eq!(report.verdict, Verdict::Fail, "{what}: {:?}", report.findings);
        is_bad_by_python(&zip, what);
        fs::remove_file(&zip).unwrap();
    }
}

#[test]
fn a_zip_with_anything_besides_its_members_is_refused_by_both() {
    let sample = Sample::sealed_after_a_run();
    let good = disclose(&sample, "part.zip", &[CHOSEN]).unwrap();
    by_python(&good).expect(0);
    let script = "
import struct, zipfile, zlib
raw = open('part.zip', 'rb').read()
end = raw.rindex(b'PK\\5\\6')
(listed,) = struct.unpack('<I', raw[end + 16:end + 20])
name, planted = b'IR-2026-014-disclosure/data/hidden', b'planted'
hidden = struct.pack('<IHHHHHIIIHH', 0x04034b50, 10, 0, 0, 0, 33, zlib.crc32(planted), 7, 7, len(name), 0) + name + planted
made = {
    'before': b'#!/bin/sh\\n' + raw,
    'after': raw + b'x',
    'comment': raw[:end + 20] + struct.pack('<H', 5) + b'hello',
    'hidden': raw[:listed] + hidden + raw[listed:end + 16] + struct.pack('<I', listed + len(hidden)) + raw[end + 20:],
    'rights': raw[:listed + 38] + struct.pack('<I', 0o120777 << 16) + raw[listed + 42:],
}
for name in made:
    open(name + '.zip', 'wb').write(made[name])
members = zipfile.ZipFile('part.zip')
with zipfile.ZipFile('packed.zip', 'w', zipfile.ZIP_DEFLATED) as packed:
    for member in members.namelist():
        packed.writestr(member, members.read(member))
";
    fs::write(sample.path("forge.py"), script).unwrap();
    sample.shell("python3 forge.py");
    for name in ["before", "after", "comment", "hidden", "rights", "packed"] {
        let zip = sample.path(&format!("{name}.zip"));
        assert!(PackageFiles::open(&zip).is_err(), "{name}");
        is_bad_by_python(&zip, name);
    }
}

#[test]
fn however_many_lines_are_wrong_some_are_named_and_the_rest_are_counted() {
    let sample = Sample::sealed_after_a_run();
    let zip = disclose(&sample, "part.zip", &[CHOSEN]).unwrap();
    let folder = unpacked(&sample, &zip);
    let shown = folder.join("custody/disclosure.jsonl");
    let good = fs::read(&shown).unwrap();
    fs::write(&shown, [&good[..], &vec![b'\n'; 100_000]].concat()).unwrap();
    let report = verified(&folder);
    let about: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.kind == "disclosure-malformed")
        .map(|finding| finding.detail.as_str())
        .collect();
    assert_eq!(about.len(), 101, "{about:?}");
    assert!(about.iter().any(|detail| detail.ends_with("99900 more are not as they should be.")), "{about:?}");
}

#[test]
fn a_root_that_was_noted_before_the_seal_is_not_held_against_a_disclosure() {
    let (sample, mut writer) = Sample::new();
    let noted = writer.ledger_tree().root().to_string();
    let sealed = sample.seal(&mut writer).statement.ledger.root.to_string();
    drop(writer);
    let zip = disclose(&sample, "part.zip", &[CHOSEN]).unwrap();
    let check = |root: &str| {
        let expected = root.parse().unwrap();
        let options = Options { expected_root: Some(&expected), ..Options::default() };
        verify(&PackageFiles::open(&zip).unwrap(), &options).unwrap()
    };
    let report = check(&noted);
    assert_eq!((report.verdict, report.ledger.expected_root_at), (Verdict::Incomplete, None), "{:#?}", report.findings);
    assert!(has(&report, "expected-root-not-shown"), "{:#?}", report.findings);
    let report = check(&sealed[..16]);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    assert!(report.ledger.expected_root_at.is_some());
}
