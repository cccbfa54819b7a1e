//! Packages in numbered parts, and packages past the limits of the first zip format.

use std::fs;
use std::path::{Path, PathBuf};

use caselock::case::{CaseFiles as _, CaseFolder, CaseWriter, Found};
use caselock::package::{PackageFiles, write_package, write_parts};
use caselock::seal::{SigningKey, seal_case};
use caselock::verify::{Options, Verdict, verify};
use serde_json::Value;

use crate::account::{program, run};
use crate::findings::{printed, printed_kinds};
use crate::forged::rewrite;
use crate::peers;
use crate::sample::{Sample, artifact, artifact_of, at, make_removable, shell_ok, started, tool, verified_folder};

fn verified(sample: &Sample, name: &str) -> (i32, Value) {
    let ran = sample.run(&["verify", name, "--json"]);
    (ran.code, ran.json())
}

fn missing_parts(report: &Value) -> usize {
    printed_kinds(report).into_iter().filter(|kind| *kind == "part-missing").count()
}

/// Three parts or more.
fn in_parts(sample: &Sample) -> Vec<PathBuf> {
    let said = sample.run(&["package", "case", "-o", "p.zip", "--split-size", "200B", "--json"]).expect(0).json();
    said["parts"].as_array().unwrap().iter().map(|part| sample.path(part["path"].as_str().unwrap())).collect()
}

#[test]
fn all_parts_together_are_the_whole_and_each_is_a_bag() {
    let sample = Sample::sealed_after_a_run();
    let parts = in_parts(&sample);
    assert!(parts.len() >= 3, "{parts:?}");
    let of = parts.len();
    let mut payload = 0;
    for (at, part) in parts.iter().enumerate() {
        assert_eq!(part.file_name().unwrap().to_str().unwrap(), format!("p.part-{}-of-{of}.zip", at + 1));
        sample.shell(&format!("sha256sum --strict -c {0}.sha256 && unzip -q {0} -d open", part.display()));
        let bag = sample.path("open").join(format!("IR-2026-014-part-{}-of-{of}", at + 1));
        assert!(peers::is_valid_bag(&bag));
        let info = fs::read_to_string(bag.join("bag-info.txt")).unwrap();
        assert!(
            info.contains(&format!("Bag-Count: {} of {of}\n", at + 1)) && info.contains("Bag-Group-Identifier: IR-2026-014\n"),
            "{info}"
        );
        assert_eq!(info.matches("\nPayload-Oxum:").count(), 1, "{info}");
        payload += shell_ok(&bag, "find data -type f").lines().count();
    }
    assert_eq!(payload, Sample::payload().len());
    // Put together by hand, they are what the package in one piece holds.
    sample.package("one.zip");
    shell_ok(
        &sample.path("open"),
        "mkdir whole && for part in IR-2026-014-part-*; do cp -rf $part/. whole/; done
         mv -f whole/whole/* whole/ && rmdir whole/whole && rm -f whole/custody/part.json
         unzip -q ../one.zip && diff -r whole IR-2026-014",
    );
    let (code, report) = verified(&sample, parts[1].to_str().unwrap());
    assert_eq!((code, missing_parts(&report)), (4, 0), "{report}");
    assert_eq!(report["artifacts"]["valid"], report["artifacts"]["total"]);
    let whole = verified_folder(&sample.path("open/whole"));
    assert_eq!(whole.case_failures(), 0, "{:?}", whole.findings);
}

#[test]
fn one_part_alone_says_which_parts_it_lacks_and_accuses_nobody() {
    let sample = Sample::sealed_after_a_run();
    let parts = in_parts(&sample);
    for gone in [&parts[0], &parts[2]] {
        fs::remove_file(gone).unwrap();
    }
    let (code, report) = verified(&sample, parts[1].to_str().unwrap());
    assert_eq!(code, 4, "{report}");
    let missing = [1, 3].map(|number| ("part-missing".to_owned(), format!("part {number} of {}", parts.len())));
    assert!(missing.iter().all(|missing| printed(&report, "gap").contains(missing)), "{report}");
    assert_eq!(missing_parts(&report), 2);
    assert_eq!(printed(&report, "failure"), [], "{report}");
    assert!(report["artifacts"]["valid"].as_u64().unwrap() < report["artifacts"]["total"].as_u64().unwrap());
    assert_eq!(report["artifacts"]["missing"].as_array().unwrap().len(), 0);
    // Under another name it is still that part.
    sample.shell(&format!("mkdir post && mv {} post/received.zip", parts[1].display()));
    let (code, report) = verified(&sample, "post/received.zip");
    assert_eq!((code, missing_parts(&report)), (4, parts.len() - 1), "{report}");
}

#[test]
fn parts_that_were_unpacked_are_verified_as_parts_and_accuse_nobody() {
    let sample = Sample::sealed_after_a_run();
    let parts = in_parts(&sample);
    for part in &parts {
        sample.shell(&format!("unzip -q {} -d open", part.display()));
    }
    let of = parts.len();
    let folder = |number: usize| format!("open/IR-2026-014-part-{number}-of-{of}");
    let (code, report) = verified(&sample, &folder(2));
    assert_eq!((code, &report["artifacts"]["valid"]), (4, &report["artifacts"]["total"]), "{report}");
    assert_eq!((missing_parts(&report), printed(&report, "failure")), (0, vec![]), "{report}");
    // By another name of the same place.
    let here = run(program(&["verify", ".", "--json"]).current_dir(sample.path(&folder(1)))).expect(4).json();
    assert_eq!(here["artifacts"]["valid"], report["artifacts"]["total"]);
    // One is not there, and then the one alone.
    sample.shell(&format!("chmod -R u+w {0} && mv {0} gone", folder(1)));
    let (code, report) = verified(&sample, &folder(2));
    assert_eq!((code, missing_parts(&report)), (4, 1), "{report}");
    let (code, report) = verified(&sample, "gone");
    assert_eq!((code, missing_parts(&report)), (4, of - 1), "{report}");
    assert_eq!(printed(&report, "failure"), [], "{report}");
    // What was put beside its files, or changed, is found all the same.
    fs::write(sample.path("gone/note.txt"), "x").unwrap();
    sample.run(&["verify", "gone"]).expect(3).says(&["note.txt"]);
    fs::remove_file(sample.path("gone/note.txt")).unwrap();
    shell_ok(&sample.path("gone"), "f=$(find data -type f | head -n 1); chmod u+w \"$f\"; printf x >> \"$f\"");
    sample.run(&["verify", "gone"]).expect(3);
}

#[test]
fn the_same_case_in_the_same_sizes_gives_the_same_parts() {
    let sample = Sample::sealed_after_a_run();
    let case = sample.open();
    let first = write_parts(&case, &sample.path("a.zip"), 200).unwrap();
    let second = write_parts(&case, &sample.path("b.zip"), 200).unwrap();
    let hashes = |parts: &[caselock::package::PackageSummary]| parts.iter().map(|part| part.sha256).collect::<Vec<_>>();
    assert_eq!(hashes(&first), hashes(&second));
    assert_eq!(write_parts(&case, &sample.path("c.zip"), u64::MAX).unwrap().len(), 1);
}

#[test]
fn a_part_that_was_changed_or_exchanged_is_a_failure() {
    let changes = [
        "name = [n for n in files if '/data/' in n][0]; files[name] = files[name] + b'x'",
        "del files[[n for n in files if '/data/' in n][0]]",
        "files[top + '/data/zzz'] = b'x'",
        // A second version of a file that another part has, which would replace the genuine one where the parts are unpacked together.
        "listed = [line.split('  ')[1] for line in files[top + '/whole/manifest-sha256.txt'].decode().splitlines()]; \
         files[top + '/' + [name for name in listed if top + '/' + name not in files][0]] = b'x'",
        "listed = [line.split('  ')[1] for line in files[top + '/whole/manifest-sha256.txt'].decode().splitlines()]; \
         files[top + '/whole/' + [name for name in listed if top + '/' + name not in files][0]] = b'x'",
        "files[top + '/custody/ledger.jsonl'] = files[top + '/custody/ledger.jsonl'][:-10]",
        "files[top + '/whole/manifest-sha256.txt'] += b'0' * 64 + b'  data/zzz\\n'",
        "files[top + '/manifest-sha256.txt'] = b''",
        "files[top + '/VERIFY.txt'] = b'trust me'",
        "files[top + '/custody/part.json'] = files[top + '/custody/part.json'].replace(b'\"number\":2', b'\"number\":1')",
        "del files[top + '/bag-info.txt']",
        "files[top + '/custody/seals/0001.json'] = b'{}'",
    ];
    let sample = Sample::sealed_after_a_run();
    let parts = in_parts(&sample);
    let good = fs::read(&parts[1]).unwrap();
    rewrite(&parts[1], "pass");
    assert_eq!(fs::read(&parts[1]).unwrap(), good, "what is changed below is all that is changed");
    for change in changes {
        rewrite(&parts[1], change);
        for opened in [&parts[0], &parts[1]] {
            let (code, report) = verified(&sample, opened.to_str().unwrap());
            assert_eq!(code, 3, "{change}: {report}");
        }
        fs::remove_file(&parts[1]).unwrap();
        fs::write(&parts[1], &good).unwrap();
    }
    assert_eq!(verified(&sample, parts[0].to_str().unwrap()).0, 4);
    fs::remove_file(&parts[2]).unwrap();
    fs::copy(&parts[1], &parts[2]).unwrap();
    assert_eq!(verified(&sample, parts[0].to_str().unwrap()).0, 3, "one part in the place of another");
}

/// A part has a tag manifest of its own, which nobody signed: whoever changes a file that it lists makes it fit.
#[test]
fn what_a_part_has_of_its_own_follows_from_what_was_sealed() {
    const MEND: &str = "; import hashlib; tags = top + '/tagmanifest-sha256.txt'; \
         files[tags] = b''.join(hashlib.sha256(files[top + '/' + p]).hexdigest().encode() + b'  ' + p.encode() + b'\\n' for p in \
         sorted(line.split('  ')[1] for line in files[tags].decode().splitlines()))";
    let info = "info = top + '/bag-info.txt'; files[info] = ";
    let changes = [
        ("pass".to_owned(), None),
        (format!("{info}b'Contact-Name: Mallory\\n' + files[info]{MEND}"), Some("bag-info.txt")),
        (format!("{info}files[info] + b'External-Description: nothing was found\\n'{MEND}"), Some("bag-info.txt")),
        (format!("{info}files[info].replace(b'Bag-Count: 2', b'Bag-Count: 1'){MEND}"), Some("bag-info.txt")),
        (
            format!(
                "import re; part = top + '/custody/part.json'; \
                 files[part] = re.sub(b'\"seal_sha256\":\"[0-9a-f]*\"', b'\"seal_sha256\":\"' + b'0' * 64 + b'\"', files[part]){MEND}"
            ),
            Some("latest seal"),
        ),
        (
            format!(
                "import re; part = top + '/custody/part.json'; \
                 files[part] = re.sub(b'\"files\":[0-9]+', b'\"files\":7', files[part]){MEND}"
            ),
            Some("part.json"),
        ),
        (
            format!(
                "import re; part = top + '/custody/part.json'; \
                 files[part] = re.sub(b'\"bytes\":[0-9]+', b'\"bytes\":7', files[part]){MEND}"
            ),
            Some("counts otherwise than the seal"),
        ),
        // A byte more here and one less there.
        (
            format!(
                "import re; part = top + '/custody/part.json'; numbers = iter((1, -1)); \
                 files[part] = re.sub(b'\"bytes\":([0-9]+)', lambda m: b'\"bytes\":%d' % (int(m[1]) + next(numbers, 0)), files[part]){MEND}"
            ),
            Some("do not have the size"),
        ),
        ("tags = top + '/tagmanifest-sha256.txt'; files[tags] = b''".to_owned(), Some("tag manifest does not list")),
        ("files[top + '/INSTRUCTIONS.txt'] = b'trust me'".to_owned(), Some("tag manifest does not list INSTRUCTIONS.txt")),
        ("files = {name.replace('-part-', '-PART-', 1): files[name] for name in files}".to_owned(), Some("top folder")),
    ];
    let sample = Sample::sealed_after_a_run();
    let parts = in_parts(&sample);
    let good = fs::read(&parts[1]).unwrap();
    // Alone, where no other part can contradict it.
    fs::create_dir(sample.path("alone")).unwrap();
    let alone = sample.path("alone").join(parts[1].file_name().unwrap());
    for (change, named) in changes {
        fs::write(&alone, &good).unwrap();
        rewrite(&alone, &change);
        let ran = sample.run(&["verify", alone.to_str().unwrap()]);
        match named {
            None => drop(ran.expect(4)),
            Some(named) => drop(ran.expect(3).says(&[named])),
        }
    }
}

#[test]
fn a_package_under_the_name_of_another_case_is_a_failure() {
    let sample = Sample::sealed_after_a_run();
    let zip = sample.path("one.zip");
    sample.package("one.zip");
    rewrite(&zip, "pass");
    assert_eq!(verified(&sample, "one.zip").0, 4);
    rewrite(&zip, "files = {name.replace('IR-2026-014', 'IR-2026-015', 1): files[name] for name in files}");
    sample.run(&["verify", "one.zip"]).expect(3).says(&["top folder"]);
}

/// Run by hand: `cargo test --test it parts:: -- --ignored`. Figures in docs/testing.md.
#[test]
#[ignore = "writes 9 GB and takes minutes: more room than a machine that only builds need have; the zip64 fields themselves are tested in package::archive"]
fn a_package_past_four_gigabytes_and_65535_members_is_read_by_everybody() {
    const LARGE: u64 = (4 << 30) + (64 << 20);
    let folder = tempfile::Builder::new().prefix("caselock-large").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (case, zip) = (folder.path().join("case"), folder.path().join("large.zip"));
    let mut writer: CaseWriter = Sample::empty_case(&case);
    writer.append(started(1)).unwrap();
    for batch in 0..66 {
        let pending = (0..1000).map(|number| artifact(&writer, &format!("small/{batch}/{number}"), b"small")).collect();
        writer.commit(pending).unwrap();
    }
    let piece = vec![0x5a; 1 << 20];
    let large = artifact_of(&writer, "large", std::iter::repeat_n(&piece[..], usize::try_from(LARGE >> 20).unwrap()));
    writer.commit(vec![large, artifact(&writer, "zz/after", b"behind four gigabytes")]).unwrap();
    let key = SigningKey::generate_ed25519(&folder.path().join("key"), "examiner@example.com").unwrap();
    seal_case(&mut writer, &key, at(), &tool(), "").unwrap();
    drop(writer);
    let summary = write_package(&CaseFolder::open(&case).unwrap(), &zip).unwrap();
    assert!(summary.size > LARGE && summary.files > 66_000, "{summary:?}");
    let files = PackageFiles::open(&zip).unwrap();
    let mut count = 0;
    files.walk(&mut |found| count += u64::from(matches!(found, Found::File { .. }))).unwrap();
    assert_eq!(count, summary.files);
    let report = verify(&files, &Options::default()).unwrap();
    assert_eq!((report.case_failures(), report.artifacts.valid), (0, 66_002), "{:?}", report.findings.first());
    assert_ne!(report.verdict, Verdict::Fail);
    shell_ok(folder.path(), "unzip -tqq large.zip && sha256sum --strict -c large.zip.sha256");
    shell_ok(
        folder.path(),
        "python3 -c 'import zipfile; z = zipfile.ZipFile(\"large.zip\"); assert len(z.namelist()) > 66000; assert z.testzip() is None'",
    );
    make_removable(folder.path());
}

#[test]
fn a_receipt_is_for_all_parts_and_is_seen_from_each() {
    let sample = Sample::sealed_after_a_run();
    let parts = in_parts(&sample);
    sample.key_of("counsel", "counsel@example.com");
    let words = ["--purpose", "legal review", "--signing-key", "counsel", "--json"];
    let passed = |part: &Path, from: &str, to: &str| {
        sample.run(&[&["transfer", part.to_str().unwrap(), "--from", from, "--to", to][..], &words].concat())
    };
    let transfer = |part: &Path| passed(part, "A", "B");
    // Not all there: nobody can sign for what they have not.
    let aside = sample.path("aside.zip");
    fs::rename(&parts[1], &aside).unwrap();
    transfer(&parts[0]).expect(2);
    fs::rename(&aside, &parts[1]).unwrap();

    transfer(&parts[1]).expect(0);
    let receipt = fs::read(sample.path("p.zip.receipt-0001.json")).unwrap();
    let receipt = caselock::seal::Receipt::parse(&receipt).unwrap();
    let named: Vec<String> = receipt.packages().iter().map(|part| part.file.clone()).collect();
    let names: Vec<String> = parts.iter().map(|part| part.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(named, names);
    for part in &parts {
        let (_, report) = verified(&sample, part.to_str().unwrap());
        assert_eq!(report["custody"][0]["received_by"], "B", "{report}");
        assert!(!printed_kinds(&report).iter().any(|kind| kind.starts_with("receipt-")), "{report}");
    }
    // The second holder goes on from there.
    // It is recorded, whichever part is named.
    transfer(&parts[2]).expect(2);
    passed(&parts[2], "B", "C").expect(0);
    assert!(sample.path("p.zip.receipt-0002.json").exists());
    // One part alone is still one of those that were signed for.
    for part in &parts[1..] {
        fs::remove_file(part).unwrap();
    }
    let (code, report) = verified(&sample, parts[0].to_str().unwrap());
    assert_eq!((code, printed_kinds(&report).iter().any(|kind| kind.starts_with("receipt-"))), (4, false), "{report}");
    // Parts of another size are others.
    sample.run(&["package", "case", "-o", "p.zip", "--split-size", "1KB", "--quiet"]).expect(0);
    let other = sample.shell("ls p.part-1-of-*.zip");
    let other = other.lines().find(|name| Path::new(name).file_name() != parts[0].file_name()).unwrap();
    let (code, report) = verified(&sample, other);
    assert!(code == 3 && printed_kinds(&report).contains(&"receipt-of-another-package"), "{report}");
}
