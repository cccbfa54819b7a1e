//! A package and damaged ones, in the hands of programs written by others.

use std::fs;

use caselock::model::Severity;
use caselock::verify::Verdict;

use crate::findings::kinds;
use crate::forged::sealed_again;
use crate::peers;
use crate::sample::{Sample, shell, shell_ok};

/// How each program tests a zip in which every member can be read to its end with its CRC-32 as recorded.
const TESTS: [(&str, &str); 4] = [
    ("unzip", "unzip -tqq FILE"),
    ("7-Zip", "7zz t -bso0 -bsp0 FILE"),
    ("bsdtar", "bsdtar -xOf FILE > /dev/null"),
    ("zipfile", "python3 -c 'import sys, zipfile; sys.exit(zipfile.ZipFile(\"FILE\").testzip() is not None)'"),
];

/// How each checks the unpacked bag in `bag/`.
fn checks() -> [(&'static str, String); 4] {
    [
        ("sha256sum", "cd bag && sha256sum --check --strict --quiet manifest-sha256.txt tagmanifest-sha256.txt".to_owned()),
        (
            "openssl",
            "cd bag && while read -r hash path; do test \"$(openssl dgst -sha256 -r \"$path\")\" = \"$hash *$path\"; done \
             < manifest-sha256.txt"
                .to_owned(),
        ),
        ("bagit", format!("{} --validate --quiet bag", peers::bagit().display())),
        (
            "ssh-keygen",
            "cd bag && ssh-keygen -Y verify -f custody/allowed_signers -I examiner@example.com -n caselock-seal \
             -s custody/seals/0001.json.sig < custody/seals/0001.json"
                .to_owned(),
        ),
    ]
}

fn packaged() -> Sample {
    peers::are_there(&["7zz", "bsdtar"]);
    let sample = Sample::sealed();
    sample.package("out.zip");
    sample
}

/// The names of the programs that find nothing wrong.
fn satisfied<'a>(sample: &Sample, programs: &[(&'a str, String)]) -> Vec<&'a str> {
    let accepts = |script: &str| shell(&sample.path(""), script).status.success();
    programs.iter().filter(|(_, script)| accepts(script)).map(|(name, _)| *name).collect()
}

fn tests_of(file: &str) -> Vec<(&'static str, String)> {
    TESTS.iter().map(|(name, script)| (*name, script.replace("FILE", file))).collect()
}

#[test]
fn every_program_unpacks_the_same_bytes_and_finds_them_whole() {
    let sample = packaged();
    let scratch = sample.path("");
    assert_eq!(satisfied(&sample, &tests_of("out.zip")), ["unzip", "7-Zip", "bsdtar", "zipfile"]);
    shell_ok(&scratch, "sha256sum --check --strict out.zip.sha256");
    shell_ok(
        &scratch,
        "test \"$(openssl dgst -sha256 -r out.zip | tr -d '*' | tr -s ' ')\" = \"$(tr -s ' ' < out.zip.sha256)\"",
    );
    for (folder, unpack) in [
        ("unzip", "unzip -q ../out.zip"),
        ("seven", "7zz x -bso0 -bsp0 ../out.zip"),
        ("bsdtar", "bsdtar -xf ../out.zip"),
        ("zipfile", "python3 -m zipfile -e ../out.zip ."),
    ] {
        shell_ok(&scratch, &format!("mkdir {folder} && cd {folder} && {unpack} && diff -r IR-2026-014 ../case"));
    }
    shell_ok(&scratch, "mv unzip/IR-2026-014 bag");
    assert_eq!(satisfied(&sample, &checks()), ["sha256sum", "openssl", "bagit", "ssh-keygen"]);
}

#[test]
fn every_program_finds_a_byte_that_was_changed_on_the_way() {
    let sample = packaged();
    let mut bytes = fs::read(sample.path("out.zip")).unwrap();
    let content = b"content of \"a\"";
    let at = bytes.windows(content.len()).position(|window| window == content).unwrap();
    bytes[at] ^= 1;
    fs::write(sample.path("changed.zip"), bytes).unwrap();
    assert_eq!(satisfied(&sample, &tests_of("changed.zip")), [""; 0]);
    let list = "sed s/out.zip/changed.zip/ out.zip.sha256 | sha256sum --check --status";
    assert!(!shell(&sample.path(""), list).status.success());
}

#[test]
fn a_zip_that_was_made_anew_around_a_change_is_found_by_its_manifests() {
    let sample = packaged();
    // Whoever packs the zip again has every CRC-32 right.
    sample.shell(
        "unzip -q out.zip && chmod -R u+w IR-2026-014 && cd IR-2026-014 && f=$(find data -type f | sort | head -n 1) && \
         printf x >> \"$f\" && cd .. && zip -q -0 -r -X forged.zip IR-2026-014 && mv IR-2026-014 bag",
    );
    assert_eq!(satisfied(&sample, &tests_of("forged.zip")), ["unzip", "7-Zip", "bsdtar", "zipfile"]);
    assert_eq!(satisfied(&sample, &checks()), ["ssh-keygen"], "only the seal itself was not touched");
    sample.shell("printf ' ' >> bag/custody/seals/0001.json");
    assert_eq!(satisfied(&sample, &checks()), [""; 0]);
}

/// The rules behind the Library of Congress's conformance cases for bags of version 0.97 and 1.0, each broken in a sealed case.
///
/// Beside each, what caselock finds when the broken bag is sealed: what follows from the rule itself, and not from the change. It has no
/// such rule for `bagit.txt`, whose bytes are the sealed ones then.
#[test]
fn what_no_bag_may_be_is_refused() {
    let defects: [(&str, &str, Option<&str>); 15] = [
        ("no bagit.txt", "rm bagit.txt", None),
        ("a byte order mark in bagit.txt", "printf '\\357\\273\\277' > b; cat bagit.txt >> b; mv b bagit.txt", None),
        ("an unknown version", "sed -i s/1.0/2.0/ bagit.txt", None),
        ("more blanks in bagit.txt than there may be", "sed -i 's/: /:  /' bagit.txt", None),
        ("no payload manifest", "rm manifest-sha256.txt", Some("tag-file-missing manifest-sha256.txt")),
        (
            "a payload file that is missing",
            "f=$(head -n 1 manifest-sha256.txt | cut -c 67-); chmod u+w \"$(dirname \"$f\")\"; rm -f \"$f\"",
            Some("artifact-missing"),
        ),
        ("a payload file that no manifest lists", "printf x > data/extra", Some("artifact-unlisted data/extra")),
        (
            "a payload file that was changed",
            "f=$(head -n 1 manifest-sha256.txt | cut -c 67-); chmod u+w \"$f\"; printf x >> \"$f\"",
            Some("artifact-modified"),
        ),
        // Sealed so, it is what was sealed, and its hash is listed.
        ("a tag file that was changed", "printf x >> bag-info.txt", None),
        (
            "a file listed twice with the same hash",
            "head -n 1 manifest-sha256.txt >> manifest-sha256.txt",
            Some("manifest-malformed manifest-sha256.txt"),
        ),
        (
            "a file listed twice with different hashes",
            "head -n 1 manifest-sha256.txt | tr 0-9a-f a-f0-9 >> manifest-sha256.txt",
            Some("manifest-malformed manifest-sha256.txt"),
        ),
        (
            "a path out of the bag",
            "printf '%064d  ../x\\n' 0 >> manifest-sha256.txt",
            Some("manifest-malformed manifest-sha256.txt"),
        ),
        (
            "an absolute path",
            "printf '%064d  /etc/passwd\\n' 0 >> manifest-sha256.txt",
            Some("manifest-malformed manifest-sha256.txt"),
        ),
        (
            "a home folder",
            "printf '%064d  ~root/x\\n' 0 >> manifest-sha256.txt",
            Some("manifest-malformed manifest-sha256.txt"),
        ),
        // A manifest that the seal does not know is evidence of nothing: it is named, and fails nobody.
        (
            "a second manifest that does not list all files",
            "printf '%0128d  data/x\\n' 0 > manifest-sha512.txt",
            Some("file-not-covered manifest-sha512.txt"),
        ),
    ];
    for (what, script, rule) in defects {
        let sample = Sample::sealed();
        shell_ok(&sample.case(), &format!("chmod -R u+w . ; {script}"));
        let report = sample.verify();
        let stranger = rule.is_some_and(|rule| rule.starts_with("file-not-covered"));
        assert_eq!(report.verdict == Verdict::Fail, !stranger, "{what}: {:#?}", report.findings);
        assert!(!peers::is_valid_bag(&sample.case()), "{what}");
        let Some(rule) = rule else { continue };
        sealed_again(&sample, "key");
        assert!(!peers::is_valid_bag(&sample.case()), "{what}, and sealed");
        let report = sample.verify();
        let found: Vec<String> = report.findings.iter().map(|finding| format!("{} {}", finding.kind, finding.object)).collect();
        assert!(found.iter().any(|finding| finding.starts_with(rule)), "{what}: {found:#?}");
        assert_eq!(report.verdict == Verdict::Fail, !stranger, "{what}: {found:#?}");
        let by_hash = ["tag-file-modified", "seal-", "checkpoint-"];
        for kind in kinds(&report, Severity::Failure) {
            assert!(!by_hash.iter().any(|by_hash| kind.starts_with(by_hash)), "{what}: {found:#?}");
        }
    }
}
