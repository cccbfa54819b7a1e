//! Packages encrypted for their recipients: only they can read them, with any program that knows the format.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Once;

use caselock::case::CaseFolder;
use caselock::model::Sha256Hash;
use caselock::package::write_package;

use crate::sample::{Sample, shell_ok};

/// Makes sure that age is there, the implementation in Go: the one in this program is another's.
pub(crate) fn age_is_there() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let runs = || Command::new("age").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        if !runs() && rustix::process::getuid().is_root() {
            let install =
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends age";
            let _tried = Command::new("sh").args(["-c", install]).stdout(Stdio::null()).status();
        }
        assert!(runs(), "age is needed; on Debian: apt-get install age");
    });
}

fn package(sample: &Sample, more: &[&str]) -> Output {
    let fixed = ["package", "case", "-o", "p.zip", "--json"];
    Command::new(env!("CARGO_BIN_EXE_caselock")).args([&fixed, more].concat()).current_dir(sample.path("")).output().unwrap()
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
    age_is_there();
    let sample = Sample::sealed();
    let here = sample.path("");
    let plain =
        fs::read(write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path("plain.zip")).unwrap().path).unwrap();
    let identity = age::x25519::Identity::generate();
    shell_ok(
        &here,
        "ssh-keygen -q -t ed25519 -N '' -C a -f ed && ssh-keygen -q -t rsa -b 2048 -N '' -C b -f rsa && age-keygen -o go.key 2> go.log
         { echo '# who may read it'; echo; sed -n 's/^Public key: //p' go.log; cat rsa.pub; } > recipients",
        &[],
    );
    let ed = fs::read_to_string(sample.path("ed.pub")).unwrap();
    let recipient = identity.to_public().to_string();
    let done = package(&sample, &["--encrypt-to", &recipient, "--encrypt-to", ed.trim(), "--encrypt-to", "recipients"]);
    assert!(done.status.success(), "{done:?}");
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["encrypted"]["recipients"].as_array().unwrap().len(), 4, "{said}");
    let left = shell_ok(&here, "ls", &[]);
    assert!(
        left.contains("p.zip.age") && left.contains("p.zip.age.sha256") && !left.lines().any(|name| name == "p.zip"),
        "{left}"
    );
    shell_ok(&here, "sha256sum --strict -c p.zip.age.sha256", &[]);
    // By this crate, and by the implementation in Go.
    assert!(decrypted(&sample.path("p.zip.age"), &identity).unwrap() == plain);
    for key in ["go.key", "ed", "rsa"] {
        shell_ok(&here, &format!("age --decrypt -i {key} -o {key}.zip p.zip.age && cmp {key}.zip plain.zip"), &[]);
    }
    assert!(decrypted(&sample.path("p.zip.age"), &age::x25519::Identity::generate()).is_err());
    // The ledger has both hashes and who can read it, keys without comments.
    let ledger = fs::read_to_string(sample.file("custody/ledger.jsonl")).unwrap();
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
        let refused = package(&sample, &["--encrypt-to", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}: {refused:?}");
        assert!(!shell_ok(&sample.path(""), "ls", &[]).contains("p.zip"), "{wrong}");
    }
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    assert!(package(&sample, &["--encrypt-to", &recipient]).status.success());
    let before = fs::read(sample.path("p.zip.age")).unwrap();
    assert!(!package(&sample, &["--encrypt-to", &recipient]).status.success(), "another encryption is another file");
    assert!(fs::read(sample.path("p.zip.age")).unwrap() == before);
}

#[test]
fn a_package_that_was_there_before_stays_and_that_it_is_plain_is_said() {
    let sample = Sample::sealed();
    assert!(package(&sample, &[]).status.success());
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let done = package(&sample, &["--encrypt-to", &recipient]);
    assert!(done.status.success(), "{done:?}");
    assert!(sample.path("p.zip").exists() && sample.path("p.zip.sha256").exists() && sample.path("p.zip.age").exists());
    assert!(String::from_utf8_lossy(&done.stderr).contains("p.zip lies there too, and is NOT encrypted"), "{done:?}");
}

#[test]
fn parts_are_encrypted_each_and_those_packaged_before_stay() {
    let sample = Sample::sealed();
    let files = |pattern: &str| shell_ok(&sample.path(""), &format!("ls | grep -c '{pattern}' || true"), &[]).trim().to_owned();
    assert!(package(&sample, &["--split-size", "200B"]).status.success());
    let parts = files("^p.part-.*[.]zip$");
    assert!(parts.parse::<u32>().unwrap() >= 3, "{parts}");
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let done = package(&sample, &["--split-size", "200B", "--encrypt-to", &recipient]);
    assert!(done.status.success(), "{done:?}");
    for kind in ["[.]zip", "[.]zip[.]sha256", "[.]zip[.]age", "[.]zip[.]age[.]sha256"] {
        assert_eq!(files(&format!("^p.part-.*{kind}$")), parts, "{kind}");
    }
    let said = String::from_utf8_lossy(&done.stderr).matches("is NOT encrypted").count();
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
    crate::strace::is_there();
    shell_ok(&sample.path(""), &script, &[]);
    let left = shell_ok(&sample.path(""), "ls -l", &[]);
    assert!(left.contains("p.zip.age.part") && !left.contains("p.zip.age.sha256"), "{left}");
    for line in left.lines().filter(|line| line.contains("p.zip")) {
        assert!(line.starts_with("-rw-------") && line.ends_with("p.zip.age.part"), "{left}");
    }
    let part = fs::read(sample.path("p.zip.age.part")).unwrap();
    assert!(part.starts_with(b"age-encryption.org/v1") && !part.windows(4).any(|four| four == b"PK\x03\x04"));
    assert!(package(&sample, &["--encrypt-to", &recipient]).status.success(), "simply made again");
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
    crate::strace::is_there();
    shell_ok(&sample.path(""), &script, &[]);
    let left = shell_ok(&sample.path(""), "ls | grep '^p[.]part-'", &[]);
    assert!(left.lines().count() >= 2 && left.lines().all(|name| name.ends_with(".zip.age.part")), "{left}");
    let again = package(&sample, &line);
    assert!(again.status.success(), "{again:?}");
    assert!(!shell_ok(&sample.path(""), "ls", &[]).contains(".age.part\n"));
    // One that is taken away can only be made again with the others, and that is said before the work.
    let names = shell_ok(&sample.path(""), "ls -d p.part-*.age; rm -f p.part-1-of-*", &[]);
    let refused = package(&sample, &line);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("never has the same bytes") && !said.contains("It is not the package"), "{said}");
    assert_eq!(shell_ok(&sample.path(""), "ls -d p.part-*.age", &[]).lines().count() + 1, names.lines().count());
}
