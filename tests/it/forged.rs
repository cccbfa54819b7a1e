//! Cases and packages as somebody who deceives would make them: changed, and then made to fit again as far as that somebody can.

use std::fs;
use std::path::Path;
use std::process::Command;

use caselock::model::Sha256Hash;
use caselock::seal::{Checkpoint, SealStatement, SealedBy, SigningKey};

use crate::sample::{Sample, shell_ok};

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
    let output = Command::new("python3").arg("-c").arg(program).arg(zip).arg(&changed).output().unwrap();
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
    let script = format!(
        "for signed in custody/checkpoints/0001.json {seal}; do
           rm -f $signed.sig; ssh-keygen -q -Y sign -n caselock-seal -f '{}' $signed
         done",
        sample.path(key).display()
    );
    shell_ok(&sample.case(), &script, &[]);
}
