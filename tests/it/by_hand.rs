//! VERIFY.txt and `verify_disclosure.py` against what is made to pass them, and against what only looks wrong.

use std::fs;
use std::path::Path;

use caselock::package::{Glob, write_disclosure, write_parts};
use caselock::report::{Made, read_facts, report_page};
use caselock::verify::Verdict;

use crate::account::Ran;
use crate::findings::has;
use crate::forged::{LIES, by_python, rewrite, sealed_again, sealed_with_a_lie};
use crate::report::commands_of;
use crate::sample::{PRINCIPAL, Sample, artifact, at, shell, shell_as_anybody, shell_ok, started, tool};
use crate::seal::commands;

fn instructions(sample: &Sample) -> Vec<String> {
    commands(&fs::read_to_string(sample.file("VERIFY.txt")).unwrap())
}

/// What a command answers, whether it succeeds or not.
fn answer(sample: &Sample, command: &str) -> String {
    let ran = Ran::from(shell(&sample.case(), command));
    ran.stdout + &ran.stderr
}

/// What somebody makes of two lines.
type Deception = fn(&str, &str) -> String;

#[test]
fn another_key_does_not_pass_for_the_signers_whatever_allowed_signers_shows() {
    // (what custody/allowed_signers says, for the genuine key and the forger's)
    let deceptions: [(&str, Deception); 5] = [
        ("the signer's line, then the forger's without its options", |honest, forger| {
            format!("{PRINCIPAL} namespaces=\"caselock-seal\" {honest}\n{PRINCIPAL} {forger}\n")
        }),
        ("the forger's line, and the signer's key as its comment", |honest, forger| format!("{PRINCIPAL} {forger} {honest}\n")),
        ("a tab where other programs expect a blank", |honest, forger| {
            format!("{PRINCIPAL}\t{forger} namespaces=\"caselock-seal\" {honest}\n")
        }),
        ("the forger's line alone", |_, forger| format!("{PRINCIPAL} namespaces=\"caselock-seal\" {forger}\n")),
        ("no line", |_, _| String::new()),
    ];
    for (what, write) in deceptions {
        let sample = Sample::sealed();
        let commands = instructions(&sample);
        let honest = sample.key().signer().clone();
        let said = answer(&sample, &commands[0]);
        assert!(
            said.starts_with(&format!("Good \"caselock-seal\" signature for {PRINCIPAL} with ED25519 key "))
                && said.trim_end().ends_with(&honest.fingerprint),
            "{said}"
        );
        let forger = sample.key_of("forger", PRINCIPAL);
        sample.overwrite("custody/allowed_signers", write(&honest.public_key, &forger.signer().public_key).as_bytes());
        sealed_again(&sample, "forger");
        let said = answer(&sample, &commands[0]);
        assert!(said.contains("BAD: this key did not sign") && !said.contains("Good"), "{what}: {said}");
        // Where the text was exchanged as well, its fingerprint is another than the signer's, and the answer shows whose it is.
        let exchanged = commands[0].replace(&honest.fingerprint, &forger.signer().fingerprint);
        let said = answer(&sample, &exchanged);
        assert!(!said.contains(&honest.fingerprint), "{what}: {said}");
        let alone = what == "the forger's line alone";
        assert_eq!(answer(&sample, &commands[2]).contains("BAD custody/allowed_signers is the one line"), !alone, "{what}");
    }
}

#[test]
fn the_name_that_a_later_seal_gives_cannot_pass_for_a_fingerprint() {
    let (sample, other) = Sample::sealed_by_two();
    let honest = sample.key().signer().fingerprint.clone();
    let name = format!("x with ED25519 key {honest}\\u001b[8m");
    sample.replace("custody/seals/0002.json", "counsel@example.com", &name);
    sample.sign_again("custody/seals/0002.json", "counsel");
    let said = answer(&sample, instructions(&sample).last().unwrap());
    assert_eq!(said.matches("Good \"caselock-seal\" signature for signer with ED25519 key").count(), 2, "{said}");
    assert!(said.trim_end().ends_with(&other.signer().fingerprint) && !said.contains('\u{1b}'), "{said}");
    // The same in the report, which gives the commands as well.
    let folder = sample.open();
    let report = sample.verify();
    assert!(has(&report, "seal-malformed"), "{:#?}", report.findings);
    let page = report_page(&read_facts(&folder).unwrap(), &report, &Made { at: at(), tool: tool() });
    let given = commands_of(&page);
    let said = answer(&sample, &given);
    assert_eq!(said.matches("Good \"caselock-seal\" signature for signer with ED25519 key").count(), 2, "{said}");
    assert!(said.trim_end().ends_with(&other.signer().fingerprint) && !said.contains('\u{1b}'), "{said}");
}

/// Names of modules that the programs take from Python's own library.
const MODULES: [&str; 14] = [
    "base64",
    "datetime",
    "glob",
    "hashlib",
    "json",
    "os",
    "random",
    "re",
    "shutil",
    "struct",
    "subprocess",
    "tempfile",
    "time",
    "zipfile",
];

#[test]
fn no_program_of_the_case_is_run_by_the_steps_that_check_it() {
    let plant = |folder: &Path, ran: &Path| {
        let code = format!("import sys\nopen({ran:?}, 'w')\nprint('ok  it is all as it was sealed')\nsys.exit(0)\n");
        for module in MODULES {
            fs::write(folder.join(format!("{module}.py")), &code).unwrap();
        }
    };
    let sample = Sample::sealed();
    let ran = sample.path("ran");
    plant(&sample.case(), &ran);
    let commands = instructions(&sample);
    for at in [2, 7] {
        let said = answer(&sample, &commands[at]);
        assert!(!ran.exists() && !said.contains("as it was sealed"), "{said}");
    }
    assert!(answer(&sample, &commands[2]).contains("NOTE nobody signed for 'glob.py'"));

    let zip = sample.path("part.zip");
    let sample = Sample::sealed();
    write_disclosure(&sample.open(), &[Glob::new("data/**")], &zip).unwrap();
    let open = zip.with_extension("open");
    shell_ok(Path::new("/"), &format!("unzip -q '{}' -d '{1}'; chmod -R u+w '{1}'", zip.display(), open.display()));
    let folder = open.join("IR-2026-014-disclosure");
    plant(&folder, &ran);
    for command in [
        "python3 -I verify_disclosure.py .",
        "python3 verify_disclosure.py .",
        "cd / && python3 \"$OLDPWD/verify_disclosure.py\" \"$OLDPWD\"",
    ] {
        let said = Ran::from(shell(&folder, command)).expect(1).stdout;
        assert!(said.contains("ok  the signature over the checkpoint holds"), "{said}");
        assert!(!ran.exists() && said.contains("no others: base64.py"), "{command}: {said}");
    }
}

#[test]
fn no_name_in_the_case_can_wipe_a_line_off_the_screen() {
    let sample = Sample::sealed();
    let commands = instructions(&sample);
    let wipe = "\u{1b}[2J\u{1b}[Hok  there is a seal\r\nok  all is well\u{1b}[8m";
    let seal = fs::read(sample.file("custody/seals/0001.json")).unwrap();
    sample.overwrite(&format!("custody/seals/0001{wipe}.json"), &seal);
    let manifest = fs::read_to_string(sample.file("manifest-sha256.txt")).unwrap();
    sample.overwrite("manifest-sha256.txt", format!("{manifest}{}  data/x\u{1b}[2J\u{1b}[8m\n", "0".repeat(64)).as_bytes());
    let ledger = sample.ledger();
    let twice = ledger.lines().nth(1).unwrap().replace("\"path\":\"data/", "\"path\":\"data/\\u001b[2J");
    sample.overwrite("custody/ledger.jsonl", format!("{ledger}{twice}\n{twice}\n").as_bytes());
    for (at, command) in commands.iter().enumerate().filter(|(at, _)| [2, 3, 4, 7].contains(at)) {
        let said = answer(&sample, command);
        assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{at}: {said:?}");
        assert_eq!(said.contains("BAD"), [2, 3, 4].contains(&at), "{at}: {said}");
    }
    let said = answer(&sample, &commands[2]);
    assert!(said.contains("NOTE nobody signed for 'custody/seals/0001\\x1b[2J"), "{said}");
}

#[test]
fn a_seal_that_caselock_cannot_have_made_is_refused_though_its_signature_holds() {
    for (what, lie, named, _) in LIES {
        let sample = Sample::sealed();
        sealed_with_a_lie(&sample, lie);
        let said = answer(&sample, &instructions(&sample)[2]);
        assert!(said.contains(named) && said.contains("ok  custody/seals/0001.json signs the first"), "{what}: {said}");
        let report = sample.verify();
        assert_eq!(report.verdict, Verdict::Fail, "{what}: {:#?}", report.findings);
    }
    let sample = Sample::sealed();
    sealed_with_a_lie(&sample, |_, _| {});
    let said = answer(&sample, &instructions(&sample)[2]);
    assert!(said.lines().all(|line| line.starts_with("ok  ")), "made again without a lie: {said}");
}

#[test]
fn a_renewal_without_the_stamp_that_it_renews_is_no_part_of_a_seal() {
    let sample = Sample::sealed();
    sample.overwrite("custody/seals/0001.json.tsr.2", b"stamp");
    let said = answer(&sample, &instructions(&sample)[2]);
    assert!(said.contains("NOTE nobody signed for 'custody/seals/0001.json.tsr.2'"), "{said}");
    let report = sample.verify();
    let named = |kind: &str| report.findings.iter().any(|finding| finding.kind == kind && finding.object.ends_with(".tsr.2"));
    assert!(named("file-not-covered"), "{:#?}", report.findings);
    sample.package("out.zip");
    let listed = sample.shell("unzip -l out.zip");
    assert!(!listed.contains(".tsr"), "{listed}");
}

#[test]
fn parts_are_put_together_as_the_text_says_by_whoever_is_not_root() {
    let sample = Sample::sealed();
    let text = fs::read_to_string(sample.file("VERIFY.txt")).unwrap();
    let given: Vec<&str> =
        text.lines().filter(|line| line.starts_with("mkdir whole") || line.starts_with("mv -f whole")).collect();
    assert_eq!(given.len(), 2, "{text}");
    let parts = write_parts(&sample.open(), &sample.path("p.zip"), 200).unwrap();
    assert!(parts.len() >= 3);
    let open = sample.path("open");
    fs::create_dir(&open).unwrap();
    let script = format!(
        "for part in ../p.part-*.zip; do unzip -q $part; done
         {}
         cd whole && sha256sum --check --quiet manifest-sha256.txt tagmanifest-sha256.txt",
        given.join("\n")
    );
    let output = shell_as_anybody(&sample, &open, &script);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn lines_that_crashes_cut_short_one_after_the_other_are_accounted_for() {
    let torn = |sample: &Sample, tail: &[u8]| {
        sample.overwrite("custody/ledger.jsonl", &[sample.ledger().as_bytes(), tail].concat());
    };
    for tail in [&b"{\"at\":\"2026-03-0"[..], b"{\"at\":\"2026-03-0\n{\"at\":\"20", b"{\"at\"\0\0\0\n{\"seq\":1}\n{\"a"] {
        let sample = Sample::unsealed();
        torn(&sample, tail);
        sample.seal(&mut sample.open_again());
        let program = instructions(&sample).remove(2);
        let said = answer(&sample, &program);
        assert!(said.contains("ok  the ledger's chain holds") && !said.contains("BAD") && !said.contains("NOTE"), "{said}");
        // Accounted for by place, length and hash, and by nothing else.
        let text = sample.ledger();
        let changes = [
            ("{\"at\":\"2026-03-0\n", "{\"at\":\"2026-03-1\n"),
            ("{\"at\"\0", "{\"aT\"\0"),
            ("\"torn_offset\":", "\"torn_offset\":1"),
        ];
        let changes: Vec<_> = changes.iter().filter(|(from, _)| text.contains(from)).collect();
        assert_eq!(changes.len(), 2, "the torn line, and the place that is told of it: {text}");
        for (from, to) in changes {
            sample.overwrite("custody/ledger.jsonl", text.replace(from, to).as_bytes());
            let said = answer(&sample, &program);
            assert!(said.contains("BAD the ledger's chain holds"), "{to}: {said}");
        }
    }
}

#[test]
fn what_nobody_signed_for_is_named_and_what_was_signed_for_is_not() {
    let (sample, _) = Sample::sealed_by_two();
    sample.overwrite("custody/seals/0001.json.tsr", b"stamp");
    sample.overwrite("custody/seals/0001.json.tsr.2", b"stamp");
    let program = instructions(&sample).remove(2);
    let said = answer(&sample, &program);
    assert!(said.lines().all(|line| line.starts_with("ok  ")), "{said}");
    sample.overwrite("START-HERE.html", b"planted");
    sample.open_again().append(started(9)).unwrap();
    let said = answer(&sample, &program);
    for note in ["NOTE nobody signed for 'START-HERE.html'", "NOTE 1 lines at the ledger's end stand after the last seal"] {
        assert!(said.contains(note), "{note}: {said}");
    }
    fs::remove_file(sample.file("custody/checkpoints/0001.json")).unwrap();
    let said = answer(&sample, &program);
    assert!(said.contains("BAD custody/seals/0001.json signs custody/checkpoints/0001.json"), "{said}");
}

#[test]
fn separators_that_are_no_line_ends_stay_within_their_line() {
    let (sample, mut writer) = Sample::new();
    let odd = artifact(&writer, "one\u{2028}two\u{2029}three\u{85}four\u{c}five\u{1e}", b"content");
    writer.commit(vec![odd]).unwrap();
    sample.seal(&mut writer);
    let zip = sample.path("part.zip");
    write_disclosure(&sample.open(), &[Glob::new("data/**")], &zip).unwrap();
    let said = by_python(&zip).expect(0).stdout;
    assert!(said.contains("ok  11 lines of the ledger"), "{said}");
    sample.package("out.zip");
    let said = answer(&sample, &instructions(&sample)[2]);
    assert!(!said.contains("BAD") && said.contains("lists the 11 files"), "{said}");
}

#[test]
fn lists_of_any_size_are_read_to_their_end_and_small_files_are_never_cut() {
    let script = "import io, sys
sys.path.insert(0, 'case-template')
sys.dont_write_bytecode = True
import verify_disclosure as program
class Files:
    def open(self, name):
        return io.BytesIO((b'x' * 1023 + b'\\n') * (70 * 1024))
print(sum(1 for line in program.lines(Files(), 'manifest-sha256.txt') if len(line) == 1023))
class Endless:
    def open(self, name):
        return open('/dev/zero', 'rb')
try:
    list(program.lines(Endless(), 'custody/disclosure.jsonl'))
except ValueError as error:
    print(error)
try:
    program.read(Files(), 'bag-info.txt')
except ValueError as error:
    print(error)
";
    let said = shell_ok(Path::new(env!("CARGO_MANIFEST_DIR")), &format!("python3 - <<'END'\n{script}END"));
    let endless = "custody/disclosure.jsonl has a line that does not end, or is longer than any can be";
    assert_eq!(said, format!("71680\n{endless}\nbag-info.txt is larger than it can be\n"));
}

#[test]
fn what_is_around_a_disclosure_follows_from_what_was_signed() {
    let hostile = "IR 2026\u{2014}014 /\u{202e} of the very long name that is folded somewhere in the middle, as names of cases sometimes are";
    for case_number in ["IR-2026-014", hostile] {
        let (sample, mut writer) = Sample::with_case_number(case_number);
        sample.seal(&mut writer);
        drop(writer);
        let good = sample.path("good.zip");
        write_disclosure(&sample.open(), &[Glob::new("data/**")], &good).unwrap();
        by_python(&good).expect(0);
        let info = "info = top + '/bag-info.txt'; files[info] = ";
        for (change, expected, named) in [
            (
                format!(
                    "{info}re.sub(rb'External-Identifier: .*', b'External-Identifier: IR-OTHER-999', files[info]); retag()"
                ),
                1,
                "BAD bag-info.txt says what follows",
            ),
            (format!("{info}b'Contact-Name: Mallory\\n' + files[info]; retag()"), 1, "BAD bag-info.txt says what follows"),
            (
                "files[top + '/custody/allowed_signers'] *= 2; retag()".to_owned(),
                1,
                "BAD custody/allowed_signers says what follows",
            ),
            (
                "files[top + '/reports/opinion.html'] = b'planted'; retag('reports/opinion.html')".to_owned(),
                1,
                "BAD there are the files of a disclosure and no others: reports/opinion.html",
            ),
            (
                "files = {name.replace('-disclosure/', '-complete/', 1): files[name] for name in files}".to_owned(),
                1,
                "BAD the folder in the zip has the name of the case",
            ),
            (
                "files[top + '/verify_disclosure.py'] = b'print(\"ok\")'; retag()".to_owned(),
                2,
                "??  verify_disclosure.py among the files is not this program",
            ),
        ] {
            let zip = sample.path("forged.zip");
            fs::copy(&good, &zip).unwrap();
            rewrite(&zip, &change);
            let said = by_python(&zip).expect(expected).stdout;
            assert!(said.contains(named), "{change}: {said}");
            fs::remove_file(&zip).unwrap();
        }
    }
}
