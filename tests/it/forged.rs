//! Cases and packages as somebody who deceives would make them: changed, and then made to fit again as far as that somebody can.

use std::fs;
use std::path::Path;

use caselock::model::Sha256Hash;
use caselock::seal::{Checkpoint, SealStatement, SealedBy, SigningKey};
use serde_json::{Value, json};

use crate::account::Ran;
use crate::sample::Sample;

/// Rewrites a zip with members changed, added or left out, by Python's own `zipfile`, in all else as caselock writes it.
///
/// `change` is Python: `files` has the members' contents by their names, `top` the one folder's name, and `retag()` makes the tag manifest
/// list what is there, as whoever covers their tracks would.
pub(crate) fn rewrite(zip: &Path, change: &str) {
    let program = format!(
        "import hashlib, json, re, sys, zipfile\n\
         old = zipfile.ZipFile(sys.argv[1])\n\
         files = {{info.filename: old.read(info) for info in old.infolist()}}\n\
         top = min(files).split('/')[0]\n\
         def retag(*added):\n\
         \x20   tags = top + '/tagmanifest-sha256.txt'\n\
         \x20   listed = [line.split('  ')[1] for line in files[tags].decode().splitlines()] + list(added)\n\
         \x20   files[tags] = ''.join(hashlib.sha256(files[top + '/' + path]).hexdigest() + '  ' + path + '\\n' for path in sorted(listed)).encode()\n\
         {change}\n\
         with zipfile.ZipFile(sys.argv[2], 'w') as new:\n\
         \x20   for name in sorted(files):\n\
         \x20       info = zipfile.ZipInfo(name)\n\
         \x20       info.external_attr, info.create_system = 0o100444 << 16, 3\n\
         \x20       info.create_version = info.extract_version = 10\n\
         \x20       new.writestr(info, files[name])\n"
    );
    let changed = zip.with_extension("changed");
    let output = crate::peers::python().arg("-c").arg(program).arg(zip).arg(&changed).output().unwrap();
    assert!(output.status.success(), "{change}: {}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(zip).unwrap();
    fs::rename(changed, zip).unwrap();
}

/// Makes the first seal of a case fit what lies there now, signed with the key in the file `key`, under the name that it has already.
pub(crate) fn sealed_again(sample: &Sample, key: &str) {
    let seal = "custody/seals/0001.json";
    let mut statement = SealStatement::parse(&fs::read(sample.file(seal)).unwrap()).unwrap();
    let hash = |path: &str| fs::read(sample.file(path)).map_or(Sha256Hash::ZERO, |bytes| Sha256Hash::of(&bytes));
    let listed = fs::read_to_string(sample.file("tagmanifest-sha256.txt")).unwrap();
    let paths = listed.lines().map(|line| line.split_once("  ").unwrap().1).filter(|path| sample.file(path).exists());
    let again: String = paths.map(|path| format!("{}  {path}\n", hash(path))).collect();
    sample.overwrite("tagmanifest-sha256.txt", again.as_bytes());
    let signer = SigningKey::load(&sample.path(key), None).unwrap().signer().clone();
    statement.manifest_sha256 = hash("manifest-sha256.txt");
    statement.tagmanifest_sha256 = hash("tagmanifest-sha256.txt");
    let SealedBy { principal, .. } = statement.signer;
    statement.signer = SealedBy { principal, fingerprint: signer.fingerprint, public_key: signer.public_key };
    let checkpoint = Checkpoint::of(&statement).encode().unwrap();
    statement.checkpoint_sha256 = Some(Sha256Hash::of(&checkpoint));
    sample.overwrite("custody/checkpoints/0001.json", &checkpoint);
    sample.overwrite(seal, &statement.encode().unwrap());
    for signed in ["custody/checkpoints/0001.json", seal] {
        sample.sign_again(signed, key);
    }
}

/// What `verify_disclosure.py` says, the one that is part of the project and not the copy in the disclosure.
pub(crate) fn by_python(path: &Path) -> Ran {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("case-template/verify_disclosure.py");
    crate::peers::python().arg(program).arg(path).output().unwrap().into()
}

/// Whether `verify_disclosure.py` finds a zip to be its members and nothing else.
pub(crate) fn is_as_written_for_python(zip: &Path) -> bool {
    let program = "import sys, zipfile\n\
                   sys.path.insert(0, 'case-template')\n\
                   sys.dont_write_bytecode = True\n\
                   import verify_disclosure\n\
                   members = zipfile.ZipFile(sys.argv[1]).infolist()\n\
                   sys.exit(0 if verify_disclosure.is_as_written(sys.argv[1], members) else 1)";
    let mut python = crate::peers::python();
    python.args(["-I", "-c", program]).arg(zip).current_dir(env!("CARGO_MANIFEST_DIR"));
    python.output().unwrap().status.success()
}

/// What whoever holds the key may do to the lines of a ledger and to the seal over them.
type Lie = fn(&mut Vec<Value>, &mut Value);

/// Seals that no caselock made, by one who holds the key and signs for them: what it is, what step 3 of VERIFY.txt and `verify.html` say of it.
pub(crate) const LIES: [(&str, Lie, &str, &str); 8] = [
    (
        "collected behind a seal",
        |lines, _| {
            let (last, sealed) = (lines.len() - 2, lines[lines.len() - 1].clone());
            lines.insert(last, sealed);
        },
        "BAD the case was opened once, and nothing collected after its first seal: line 12",
        "line 12 was not written by caselock",
    ),
    (
        "opened twice",
        |lines, _| lines.insert(1, lines[0].clone()),
        "BAD the case was opened once, and nothing collected after its first seal: line 2",
        "line 2 was not written by caselock",
    ),
    (
        "recorded twice",
        |lines, _| {
            let mut other = lines[1].clone();
            other["sha256"] = json!("00".repeat(32));
            lines.insert(1, other);
        },
        "BAD the ledger records no file twice with different hashes: data/",
        "line 3 records data/",
    ),
    (
        "put in another's place",
        |lines, _| {
            let mut other = lines[lines.len() - 1].clone();
            other["signer"] = json!("SHA256:another");
            lines.insert(lines.len() - 1, other);
        },
        "BAD no seal was put in another's place",
        "one was put in the place of another",
    ),
    (
        "announced by another key",
        |lines, _| lines.last_mut().unwrap()["signer"] = json!("SHA256:another"),
        "BAD custody/seals/0001.json is announced by the last of them, with its key",
        "the ledger does not say that the case was sealed with it, by this key",
    ),
    (
        "dated before what it covers",
        |_, seal| seal["sealed_at"] = json!("2024-06-01T10:00:00Z"),
        "BAD custody/seals/0001.json is not dated before what it covers",
        "sealed before lines were written which it covers",
    ),
    (
        "with a time spelled otherwise",
        |_, seal| seal["sealed_at"] = json!("2036-06-01T10:00:00.000Z"),
        "BAD custody/seals/0001.json is spelled in the one way that a seal has",
        "its time is not spelled as caselock spells one",
    ),
    (
        "under a name for a terminal",
        |_, seal| seal["signer"]["principal"] = json!("*,x with ED25519 key SHA256:examiner\u{1b}[8m"),
        "BAD custody/seals/0001.json gives its signer a name as caselock writes it",
        "a name that caselock never writes",
    ),
];

/// Makes the first seal of a case one that lies, over a ledger that fits it, signed with the case's own key.
pub(crate) fn sealed_with_a_lie(sample: &Sample, lie: Lie) {
    let (seal, checkpoint) = ("custody/seals/0001.json", "custody/checkpoints/0001.json");
    let encode = |value: &Value| serde_json_canonicalizer::to_vec(value).unwrap();
    let ledger = sample.ledger();
    let mut lines: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut statement: Value = serde_json::from_slice(&fs::read(sample.file(seal)).unwrap()).unwrap();
    lie(&mut lines, &mut statement);
    let (mut text, mut previous) = (Vec::new(), Sha256Hash::ZERO);
    for (seq, line) in lines.iter_mut().enumerate() {
        line["seq"] = json!(seq);
        line["prev"] = json!(previous);
        let line = encode(line);
        previous = Sha256Hash::of(&line);
        text.extend(line);
        text.push(b'\n');
    }
    sample.overwrite("custody/ledger.jsonl", &text);
    let head = sample.verify().ledger;
    statement["ledger"] = json!({ "lines": head.lines, "root": head.root });
    let names = ["case_number", "format_version", "ledger", "number", "sealed_at", "signer"];
    let mut said: Value = names.iter().map(|name| ((*name).to_owned(), statement[*name].clone())).collect();
    said["kind"] = json!("checkpoint");
    let said = encode(&said);
    statement["checkpoint_sha256"] = json!(Sha256Hash::of(&said));
    sample.overwrite(checkpoint, &said);
    sample.overwrite(seal, &encode(&statement));
    for signed in [checkpoint, seal] {
        sample.sign_again(signed, "key");
    }
}

/// Zips a case folder by hand, in all else as caselock writes a package.
pub(crate) fn zipped(sample: &Sample, name: &str) -> std::path::PathBuf {
    let zip = sample.path(name);
    let script = format!(
        "rm -rf IR-2026-014 '{0}' && cp -r case IR-2026-014 && rm -rf IR-2026-014/reports && find IR-2026-014 -type f | LC_ALL=C sort | zip -q -0 -X -@ '{0}'",
        zip.display()
    );
    sample.shell(&script);
    rewrite(&zip, "pass");
    zip
}

/// Changes to a disclosure's lines that add nothing to what is proven and that a reader could take in two ways: for [`rewrite`], after [`LINES`].
pub(crate) const DISCLOSED_OTHERWISE: [(&str, &str); 9] = [
    ("a line twice", "files[shown] += lines[-1]"),
    ("the lines the other way round", "files[shown] = b''.join(lines[::-1])"),
    (
        "a member more",
        "files[shown] = lines[0].replace(b'{\"index\"', b'{\"a\":\"the examiner planted it\",\"index\"', 1) + b''.join(lines[1:])",
    ),
    ("a member twice", "files[shown] = b'{\"index\":0,' + files[shown][1:]"),
    ("a blank", "files[shown] = files[shown].replace(b',\"line\"', b', \"line\"', 1)"),
    ("a number with a point", "files[shown] = re.sub(rb'(\"index\":[0-9]+)', rb'\\1.0', files[shown], count=1)"),
    ("an empty line", "files[shown] = b'\\n' + files[shown]"),
    ("no end", "files[shown] = files[shown][:-1]"),
    (
        "a manifest in another order",
        "manifest = top + '/manifest-sha256.txt'; files[manifest] = b''.join(files[manifest].splitlines(True)[::-1])",
    ),
];

/// What those changes begin with.
pub(crate) const LINES: &str = "shown = top + '/custody/disclosure.jsonl'; lines = files[shown].splitlines(True)";
