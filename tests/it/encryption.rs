//! Packages encrypted for their recipients: only they can read them, with any program that knows the format.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use caselock::model::Sha256Hash;

use crate::account::Ran;
use crate::peers::are_there;
use crate::sample::{Sample, shell_ok};

fn package(sample: &Sample, more: &[&str]) -> Ran {
    sample.run(&[&["package", "case", "-o", "p.zip", "--json"], more].concat())
}

fn decrypted(file: &Path, identity: &dyn age::Identity) -> Result<Vec<u8>, String> {
    let bytes = fs::read(file).unwrap();
    let decryptor = age::Decryptor::new(bytes.as_slice()).map_err(|error| error.to_string())?;
    let mut reader = decryptor.decrypt(std::iter::once(identity)).map_err(|error| error.to_string())?;
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

#[test]
fn recipients_of_every_kind_decrypt_to_the_very_package() {
    // The implementation in Go: the one in this program is another's.
    are_there(&["age"]);
    let sample = Sample::sealed();
    let here = sample.path("");
    let plain = fs::read(sample.package("plain.zip").path).unwrap();
    let identity = age::x25519::Identity::generate();
    shell_ok(&here, "ssh-keygen -q -t ed25519 -N '' -C a -f ed && ssh-keygen -q -t rsa -b 2048 -N '' -C b -f rsa && age-keygen -o go.key 2> go.log
         { echo '# who may read it'; echo; sed -n 's/^Public key: //p' go.log; cat rsa.pub; } > recipients");
    let ed = fs::read_to_string(sample.path("ed.pub")).unwrap();
    let recipient = identity.to_public().to_string();
    let done =
        package(&sample, &["--encrypt-to", &recipient, "--encrypt-to", ed.trim(), "--encrypt-to", "recipients"]).expect(0);
    assert_eq!(done.json()["encrypted"]["recipients"].as_array().unwrap().len(), 4, "{done:?}");
    let left = shell_ok(&here, "ls");
    assert!(
        left.contains("p.zip.age") && left.contains("p.zip.age.sha256") && !left.lines().any(|name| name == "p.zip"),
        "{left}"
    );
    shell_ok(&here, "sha256sum --strict -c p.zip.age.sha256");
    // By this crate, and by the implementation in Go.
    assert!(decrypted(&sample.path("p.zip.age"), &identity).unwrap() == plain);
    for key in ["go.key", "ed", "rsa"] {
        shell_ok(&here, &format!("age --decrypt -i {key} -o {key}.zip p.zip.age && cmp {key}.zip plain.zip"));
    }
    assert!(decrypted(&sample.path("p.zip.age"), &age::x25519::Identity::generate()).is_err());
    // The ledger has both hashes and who can read it, keys without comments.
    let ledger = sample.ledger();
    let line: serde_json::Value = serde_json::from_str(ledger.lines().last().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["sha256"]), (&"package.created".into(), &Sha256Hash::of(&plain).to_string().into()));
    let encrypted = fs::read(sample.path("p.zip.age")).unwrap();
    assert_eq!(line["encrypted"]["sha256"], Sha256Hash::of(&encrypted).to_string());
    let recipients: Vec<&str> =
        line["encrypted"]["recipients"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(recipients[0] == recipient && ed.starts_with(recipients[1]) && !recipients[1].ends_with(" a"), "{recipients:?}");
}

#[test]
fn nothing_is_written_for_a_recipient_that_is_none_and_nothing_is_replaced() {
    let sample = Sample::sealed();
    fs::write(sample.path("empty"), "# nobody\n").unwrap();
    for wrong in ["age1nonsense", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3MAAACBAPZ", "empty", "no-such-file"] {
        package(&sample, &["--encrypt-to", wrong]).expect(2);
        assert!(!sample.shell("ls").contains("p.zip"), "{wrong}");
    }
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    package(&sample, &["--encrypt-to", &recipient]).expect(0);
    let before = fs::read(sample.path("p.zip.age")).unwrap();
    // Another encryption is another file.
    package(&sample, &["--encrypt-to", &recipient]).expect(2).says(&["p.zip.age"]);
    assert!(fs::read(sample.path("p.zip.age")).unwrap() == before);
}

#[test]
fn a_package_that_was_there_before_stays_and_that_it_is_plain_is_said() {
    let sample = Sample::sealed();
    package(&sample, &[]).expect(0);
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let done = package(&sample, &["--encrypt-to", &recipient]).expect(0);
    assert!(sample.path("p.zip").exists() && sample.path("p.zip.sha256").exists() && sample.path("p.zip.age").exists());
    assert!(done.stderr.contains("p.zip lies there too, and is NOT encrypted"), "{done:?}");
}

#[test]
fn parts_are_encrypted_each_and_those_packaged_before_stay() {
    let sample = Sample::sealed();
    let files = |pattern: &str| sample.shell(&format!("ls | grep -c '{pattern}' || true")).trim().to_owned();
    package(&sample, &["--split-size", "200B"]).expect(0);
    let parts = files("^p.part-.*[.]zip$");
    assert!(parts.parse::<u32>().unwrap() >= 3, "{parts}");
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let done = package(&sample, &["--split-size", "200B", "--encrypt-to", &recipient]).expect(0);
    for kind in ["[.]zip", "[.]zip[.]sha256", "[.]zip[.]age", "[.]zip[.]age[.]sha256"] {
        assert_eq!(files(&format!("^p.part-.*{kind}$")), parts, "{kind}");
    }
    let said = done.stderr.matches("is NOT encrypted").count();
    assert_eq!(said.to_string(), parts, "{done:?}");
    let first = format!("p.part-1-of-{parts}.zip");
    assert!(decrypted(&sample.path(&format!("{first}.age")), &identity).unwrap() == fs::read(sample.path(&first)).unwrap());
}

#[test]
fn an_attempt_that_is_cut_off_while_it_encrypts_leaves_nothing_that_can_be_read() {
    let sample = Sample::sealed();
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    // Killed as the encrypted file gets its protection, so that everything before has been written.
    let script = format!(
        "strace -f -qq -o trace -e inject=fchmod:signal=SIGKILL:when=1 -P \"$PWD/p.zip.age.part\" {} package case -o p.zip --encrypt-to {recipient} || true",
        env!("CARGO_BIN_EXE_caselock")
    );
    are_there(&["strace"]);
    sample.shell(&script);
    let left = sample.shell("ls -l");
    assert!(left.contains("p.zip.age.part") && !left.contains("p.zip.age.sha256"), "{left}");
    for line in left.lines().filter(|line| line.contains("p.zip")) {
        assert!(line.starts_with("-rw-------") && line.ends_with("p.zip.age.part"), "{left}");
    }
    let part = fs::read(sample.path("p.zip.age.part")).unwrap();
    assert!(part.starts_with(b"age-encryption.org/v1") && !part.windows(4).any(|four| four == b"PK\x03\x04"));
    package(&sample, &["--encrypt-to", &recipient]).expect(0);
    assert!(!sample.path("p.zip.age.part").exists() && !sample.path("p.zip").exists());
}

#[test]
fn encrypted_parts_of_an_attempt_that_is_cut_off_do_not_stand_in_the_way_of_the_next() {
    let sample = Sample::sealed();
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let line = ["--split-size", "200B", "--encrypt-to", &recipient];
    // Killed as a later part gets its protection: the first one has been written.
    let script = format!(
        "strace -f -qq -o trace -e inject=fchmod:signal=SIGKILL:when=2 -e trace=fchmod {} package case -o p.zip {} || true",
        env!("CARGO_BIN_EXE_caselock"),
        line.join(" ")
    );
    are_there(&["strace"]);
    sample.shell(&script);
    let left = sample.shell("ls | grep '^p[.]part-'");
    assert!(left.lines().count() >= 2 && left.lines().all(|name| name.ends_with(".zip.age.part")), "{left}");
    package(&sample, &line).expect(0);
    assert!(!sample.shell("ls").contains(".age.part\n"));
    // One that is taken away can only be made again with the others, and that is said before the work.
    let names = sample.shell("ls -d p.part-*.age; rm -f p.part-1-of-*");
    let refused = package(&sample, &line).expect(2);
    let said = refused.stderr;
    assert!(said.contains("never has the same bytes") && !said.contains("It is not the package"), "{said}");
    assert_eq!(sample.shell("ls -d p.part-*.age").lines().count() + 1, names.lines().count());
}
