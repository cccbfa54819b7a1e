//! Time-stamps, by an authority of our own around `openssl ts`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use caselock::model::Sha256Hash;
use caselock::seal::{
    AllowedSigners, AuthorityRoots, SealOptions, StampProblem, check_stamp, seal_case, seal_case_with, stamp_request,
    stamp_request_with_nonce,
};
use caselock::verify::{Options, Report, SignatureState, Verdict};

use crate::findings::has;
use crate::sample::{PRINCIPAL, Sample, shell_ok, tool};

/// A root, and an authority under it with a key of this kind.
const AUTHORITY: &str = r#"
cat > ext.cnf <<X
[tsa]
basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
[other]
basicConstraints=critical,CA:false
extendedKeyUsage=critical,serverAuth
[both]
basicConstraints=critical,CA:false
extendedKeyUsage=critical,timeStamping,serverAuth
[lax]
basicConstraints=critical,CA:false
extendedKeyUsage=timeStamping
X
cat > ts.cnf <<X
[authority]
serial=./serial
default_policy=1.3.6.1.4.1.32473.1
digests=sha256,sha384,sha512
accuracy=secs:1
clock_precision_digits=3
signer_digest=$DIGEST
ess_cert_id_alg=sha256
X
echo 01 > serial
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj "/CN=Example Root" -days 3650 2>/dev/null
$KEY -out tsa.key 2>/dev/null
openssl req -new -key tsa.key -subj "/CN=Example Time" -out tsa.csr
openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -days 3000 -extfile ext.cnf -extensions tsa -out tsa.pem 2>/dev/null
"#;

const RSA: (&str, &str) = ("openssl genrsa", "sha256");
const P256: (&str, &str) = ("openssl ecparam -name prime256v1 -genkey -noout", "sha256");
const P384: (&str, &str) = ("openssl ecparam -name secp384r1 -genkey -noout", "sha384");

fn authority(folder: &Path, (key, digest): (&str, &str)) {
    fs::create_dir_all(folder).unwrap();
    shell_ok(folder, &format!("KEY='{key}' DIGEST={digest}\n{AUTHORITY}"));
}

fn answer(folder: &Path, question: &[u8]) -> Vec<u8> {
    fs::write(folder.join("question"), question).unwrap();
    shell_ok(
        folder,
        "openssl ts -reply -config ts.cnf -section authority -queryfile question -signer tsa.pem -inkey tsa.key -out answer",
    );
    fs::read(folder.join("answer")).unwrap()
}

fn roots(folder: &Path) -> AuthorityRoots {
    AuthorityRoots::parse(&fs::read(folder.join("root.pem")).unwrap()).unwrap()
}

fn verified(sample: &Sample, roots: Option<&AuthorityRoots>) -> Report {
    sample.verify_with(&Options { authority_roots: roots, ..Options::default() })
}

/// What is stamped.
fn statement_of(sample: &Sample) -> Vec<u8> {
    fs::read(sample.file("custody/seals/0001.json")).unwrap()
}

/// Files an authority's stamp over the seal, as if it had come with it.
fn file(sample: &Sample, stamp: &[u8]) {
    sample.overwrite("custody/seals/0001.json.tsr", stamp);
}

#[test]
fn stamps_by_every_kind_of_key_are_verified_fractions_included() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, kind) in [("rsa", RSA), ("p256", P256), ("p384", P384)] {
        let folder = scratch.path().join(name);
        authority(&folder, kind);
        let response = answer(&folder, &stamp_request(b"statement"));
        let stamp = check_stamp(b"statement", &response, Some(&roots(&folder))).unwrap();
        assert_eq!(stamp.trusted, Some(true), "{name}");
        assert_eq!(check_stamp(b"other", &response, None), Err(StampProblem::OtherData), "{name}");
    }
    let others = roots(&scratch.path().join("p256"));
    let response = fs::read(scratch.path().join("rsa/answer")).unwrap();
    assert_eq!(check_stamp(b"statement", &response, Some(&others)).unwrap().trusted, Some(false));
}

#[test]
fn no_single_byte_of_a_stamp_can_be_changed_to_another_time_or_signer() {
    let scratch = tempfile::tempdir().unwrap();
    authority(scratch.path(), P256);
    let roots = roots(scratch.path());
    let response = answer(scratch.path(), &stamp_request(b"statement"));
    let good = check_stamp(b"statement", &response, Some(&roots)).unwrap();
    for at in 0..response.len() {
        let mut changed = response.clone();
        changed[at] ^= 1;
        if let Ok(stamp) = check_stamp(b"statement", &changed, Some(&roots)) {
            assert!(stamp.trusted == Some(false) || stamp == good, "byte {at} of {}: {stamp:?}", response.len());
        }
    }
}

#[test]
fn a_certificate_that_is_not_for_time_stamping_alone_is_not_trusted() {
    let scratch = tempfile::tempdir().unwrap();
    authority(scratch.path(), P256);
    let roots = roots(scratch.path());
    // Others of the same root, good when the stamp is made: for web servers, for them as well, and not critically for time-stamping.
    let usages = [("tsa", true), ("other", false), ("both", false), ("lax", false)];
    for (usage, _) in usages {
        let make = format!(
            "openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -days 30 -extfile ext.cnf -extensions {usage} -out {usage}-2.pem"
        );
        shell_ok(scratch.path(), &make);
    }
    let good = answer(scratch.path(), &stamp_request(b"statement"));
    assert_eq!(check_stamp(b"statement", &good, Some(&roots)).unwrap().trusted, Some(true));
    shell_ok(scratch.path(), TAKE_OUT);
    for (usage, trusted) in usages {
        let response = resigned(scratch.path(), &format!("{usage}-2.pem"));
        assert_eq!(check_stamp(b"statement", &response, Some(&roots)).unwrap().trusted, Some(trusted), "{usage}");
    }
}

/// What the authority signed, out of its answer into the file `stamp`.
const TAKE_OUT: &str =
    "openssl ts -reply -in answer -token_out -out token && openssl cms -verify -noverify -inform DER -in token -out stamp";

/// An answer with what stands in the file `stamp`, signed under this certificate.
fn resigned(folder: &Path, certificate: &str) -> Vec<u8> {
    let sign = format!(
        "openssl cms -sign -binary -nodetach -cades -md sha256 -in stamp -econtent_type 1.2.840.113549.1.9.16.1.4 \
             -signer {certificate} -inkey tsa.key -outform DER -out resigned"
    );
    shell_ok(folder, &sign);
    let token = fs::read(folder.join("resigned")).unwrap();
    let granted = [&[0x30, 0x03, 0x02, 0x01, 0x00], &token[..]].concat();
    let length = u16::try_from(granted.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], &length[..], &granted].concat()
}

/// The loop of VERIFY.txt over every stamp of every seal, with these root certificates.
fn every_stamp(text: &str, roots: &Path) -> String {
    let (_, after) = text.split_once("\nfor seal in ").unwrap();
    let (body, _) = after.split_once("\ndone\n").unwrap();
    format!("for seal in {body}\ndone").replace("ROOT.pem", &roots.display().to_string())
}

#[test]
fn a_carried_question_and_answer_are_filed_checked_and_accepted_by_openssl() {
    let sample = Sample::sealed();
    let desk = sample.path("desk");
    authority(&desk, RSA);
    sample.run(&["seal", "case", "--timestamp-request", "question.tsq"]).expect(0);
    let question = fs::read(sample.path("question.tsq")).unwrap();
    fs::write(sample.path("response.tsr"), answer(&desk, &question)).unwrap();

    fs::write(sample.path("wrong.tsr"), answer(&desk, &stamp_request(b"something else"))).unwrap();
    sample.run(&["seal", "case", "--timestamp-response", "wrong.tsr"]).expect(2);
    assert!(!sample.file("custody/seals/0001.json.tsr").exists());

    let said = sample.run(&["seal", "case", "--timestamp-response", "response.tsr"]).expect(0).stdout;
    let command = said.lines().last().unwrap().trim().replace("ROOT.pem", &desk.join("root.pem").display().to_string());
    assert!(command.contains("-attime "), "{command}");
    assert!(shell_ok(&sample.case(), &command).contains("Verification: OK"));
    // And the loop that VERIFY.txt gives.
    let text = fs::read_to_string(sample.file("VERIFY.txt")).unwrap();
    let script = every_stamp(&text, &desk.join("root.pem"));
    assert_eq!(shell_ok(&sample.case(), &script).matches("Verification: OK").count(), 1);

    let report = verified(&sample, Some(&roots(&desk)));
    assert_eq!(report.seals[0].timestamp, SignatureState::Valid);
    assert!(report.seals[0].stamped.is_some());
    assert!(verified(&sample, None).findings.iter().any(|finding| finding.kind == "timestamp-authority-unknown"));
    sample.package("p.zip");
    let said = sample.run(&["verify", "p.zip", "--tsa-roots", "desk/root.pem", "--quiet"]).expect(4).stdout;
    assert!(said.contains("time-stamp valid"), "{said}");
}

#[test]
fn a_stamp_over_another_hash_than_those_known_here_is_left_to_openssl_and_said_to_be() {
    let sample = Sample::sealed();
    let desk = sample.path("desk");
    authority(&desk, P256);
    let statement = statement_of(&sample);
    fs::write(desk.join("statement"), statement).unwrap();
    let question = "sed -i 's/^digests=.*/digests=sha1,sha256/' ts.cnf && openssl ts -query -sha1 -data statement -cert -out question.sha1";
    shell_ok(&desk, question);
    let stamp = answer(&desk, &fs::read(desk.join("question.sha1")).unwrap());
    file(&sample, &stamp);
    let report = verified(&sample, None);
    assert_eq!(report.seals[0].timestamp, SignatureState::Unchecked);
    assert!(has(&report, "timestamp-not-checked"), "{:#?}", report.findings);
}

#[test]
fn a_stamp_of_something_else_or_by_somebody_else_is_a_failure_and_one_that_is_due_and_absent_a_gap() {
    let sample = Sample::sealed();
    let (desk, other) = (sample.path("desk"), sample.path("other"));
    authority(&desk, P256);
    authority(&other, P256);
    let absent = |report: Report| has(&report, "timestamp-absent");
    assert!(absent(verified(&sample, Some(&roots(&desk)))) && !absent(verified(&sample, None)));
    file(&sample, &answer(&desk, &stamp_request(&statement_of(&sample))));
    let untrusted = verified(&sample, Some(&roots(&other)));
    assert_eq!((untrusted.seals[0].timestamp, untrusted.verdict), (SignatureState::Invalid, Verdict::Fail));
    assert!(has(&untrusted, "timestamp-untrusted"));
    file(&sample, &answer(&desk, &stamp_request(b"something else")));
    let report = verified(&sample, None);
    assert_eq!((report.seals[0].timestamp, report.verdict), (SignatureState::Invalid, Verdict::Fail));
    assert!(has(&report, "timestamp-invalid"));
}

/// Reads a request to its last byte: closing with some of it unread would reset the connection, answer and all.
fn question_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    assert!(head.contains("Content-Type: application/timestamp-query"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    let mut question = vec![0; length];
    stream.read_exact(&mut question).unwrap();
    question
}

#[test]
fn an_authority_is_asked_over_http_and_its_silence_leaves_the_seal() {
    let sample = Sample::unsealed();
    let desk = sample.path("desk");
    authority(&desk, P384);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/stamp", listener.local_addr().unwrap());
    let served = desk.clone();
    let server = std::thread::spawn(move || {
        for refuse in [true, false] {
            let (mut stream, _) = listener.accept().unwrap();
            let question = question_of(&mut stream);
            if refuse {
                stream.write_all(b"HTTP/1.0 503 Busy\r\n\r\n").unwrap();
            } else {
                stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n").unwrap();
                stream.write_all(&answer(&served, &question)).unwrap();
            }
        }
    });
    let seal = ["seal", "case", "--signing-key", "key", "--tsa"];
    let told = sample.run(&[&seal[..], &[&url, "--json"]].concat()).expect(1).json();
    assert!(sample.file("custody/seals/0001.json.sig").exists());
    // What was sealed is told, and the error with it, in one document.
    crate::schemas::holds("seal", &told);
    let statement = statement_of(&sample);
    assert_eq!(told["sha256"], Sha256Hash::of(&statement).to_string());
    assert!(told["timestamp_error"]["error"][0].as_str().unwrap().contains("503"), "{told:#}");
    assert_eq!(told["timestamp_error"]["evidence"], "The case is sealed; only the time-stamp is missing.");
    sample.run(&["seal", "case", "--tsa", &url]).expect(0);
    server.join().unwrap();
    assert_eq!(verified(&sample, Some(&roots(&desk))).seals[0].timestamp, SignatureState::Valid);
    // Nobody listens there any more.
    let told = sample.run(&[&seal[..], &[&url]].concat()).expect(1).stdout;
    for line in ["Seal     custody/seals/0002.json", "SHA-256  ", "Root     ", "Key      SHA256:", "Stamped  NO"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    // An authority that can never be asked is told of before anything is sealed.
    sample.run(&[&seal[..], &["https://tsa.example.com"]].concat()).expect(2);
    assert!(!sample.file("custody/seals/0003.json").exists());
}

#[test]
fn a_file_that_is_no_answer_is_the_command_lines_mistake() {
    let sample = Sample::sealed();
    sample.run(&["seal", "case", "--timestamp-response", "key"]).expect(2).says(&["nothing was filed"]);
    assert!(!sample.file("custody/seals/0001.json.tsr").exists());
}

#[test]
fn a_stamp_is_renewed_by_another_over_the_seal_and_the_old_one() {
    let sample = Sample::sealed();
    let (old, new) = (sample.path("old"), sample.path("new"));
    authority(&old, P256);
    authority(&new, P384);
    let mut last = String::new();
    for (number, desk) in [&old, &new, &old].into_iter().enumerate() {
        let (question, response) = (format!("{number}.tsq"), format!("{number}.tsr"));
        sample.run(&["seal", "case", "--timestamp-request", &question]).expect(0);
        fs::write(sample.path(&response), answer(desk, &fs::read(sample.path(&question)).unwrap())).unwrap();
        last = sample.run(&["seal", "case", "--timestamp-response", &response]).expect(0).stdout;
        // The same answer once more is none to the question that is due now.
        sample.run(&["seal", "case", "--timestamp-response", &response]).expect(2);
    }
    let root = old.join("root.pem");
    let command = last.lines().last().unwrap().trim().replace("ROOT.pem", &root.display().to_string());
    assert!(command.contains("0001.json.tsr.3"), "{command}");
    assert!(shell_ok(&sample.case(), &command).contains("Verification: OK"), "{command}");
    sample.shell("cat old/root.pem new/root.pem > both.pem");
    let both = AuthorityRoots::parse(&fs::read(sample.path("both.pem")).unwrap()).unwrap();
    let report = verified(&sample, Some(&both));
    let states: Vec<SignatureState> = report.seals[0].renewals.iter().map(|renewal| renewal.timestamp).collect();
    assert_eq!((report.seals[0].timestamp, states), (SignatureState::Valid, vec![SignatureState::Valid; 2]));
    assert_eq!(report.case_failures(), 0, "{:?}", report.findings);
    // A later seal has a stamp of its own, and the loop of VERIFY.txt checks them all.
    sample.key_of("counsel", "counsel@example.com");
    sample.run(&["seal", "case", "--signing-key", "counsel"]).expect(0);
    sample.run(&["seal", "case", "--timestamp-request", "later.tsq"]).expect(0);
    fs::write(sample.path("later.tsr"), answer(&new, &fs::read(sample.path("later.tsq")).unwrap())).unwrap();
    sample.run(&["seal", "case", "--timestamp-response", "later.tsr"]).expect(0);
    let script = every_stamp(&fs::read_to_string(sample.file("VERIFY.txt")).unwrap(), &sample.path("both.pem"));
    let said = shell_ok(&sample.case(), &script);
    let stamps = ["0001.json.tsr", "0001.json.tsr.2", "0001.json.tsr.3", "0002.json.tsr"];
    let named: Vec<String> = stamps.iter().map(|stamp| format!("custody/seals/{stamp}\n")).collect();
    assert!(named.iter().all(|name| said.contains(name)) && said.matches("Verification: OK").count() == 4, "{said}");
    sample.package("p.zip");
    let said = sample.run(&["verify", "p.zip", "--tsa-roots", "both.pem"]).expect(4).stdout;
    assert_eq!(said.matches("time-stamp renewed, valid").count(), 2, "{said}");
    sample.run(&["report", "p.zip", "--tsa-roots", "both.pem", "-o", "stamps.html"]).expect(4);
    let page = fs::read_to_string(sample.path("stamps.html")).unwrap();
    assert_eq!(page.matches("renewed (custody/seals/0001.json.tsr.3): valid: ").count(), 2, "the seal and the form: {page}");
    // Without the stamp that it renews, a renewal says nothing.
    let other = answer(&new, &stamp_request(&statement_of(&sample)));
    file(&sample, &other);
    let report = verified(&sample, Some(&both));
    assert!(report.seals[0].renewals.iter().all(|renewal| renewal.timestamp == SignatureState::Invalid), "{:?}", report.seals);
}

#[test]
fn an_answer_to_another_question_is_not_filed_though_it_stamps_the_same_seal() {
    let sample = Sample::sealed();
    let desk = sample.path("desk");
    authority(&desk, P256);
    let statement = statement_of(&sample);
    let (question, nonce) = stamp_request_with_nonce(&statement, [0xff; 8]);
    let replayed = answer(&desk, &question);
    assert_eq!(check_stamp(&statement, &replayed, None).unwrap().nonce, Some(nonce));
    assert_eq!(check_stamp(&statement, &answer(&desk, &stamp_request(&statement)), None).unwrap().nonce, None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        question_of(&mut stream);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        stream.write_all(&replayed).unwrap();
    });
    sample.run(&["seal", "case", "--tsa", &url]).expect(1).says(&["another question"]);
    server.join().unwrap();
    assert!(!sample.file("custody/seals/0001.json.tsr").exists());
}

/// Stamps `bytes` at the authority in `folder`, as if its clock were so many years ahead.
fn answer_in_years(folder: &Path, bytes: &[u8], years: u16) -> Vec<u8> {
    answer(folder, &stamp_request(bytes));
    shell_ok(folder, TAKE_OUT);
    let mut stamp = fs::read(folder.join("stamp")).unwrap();
    // The time is the one text of digits that ends with `Z`.
    let is_time =
        |at: &usize| stamp[*at..].len() > 18 && stamp[*at..*at + 14].iter().all(u8::is_ascii_digit) && stamp[*at - 2] == 0x18;
    let at = (2..stamp.len() - 14).find(is_time).unwrap();
    let year: u16 = std::str::from_utf8(&stamp[at..at + 4]).unwrap().parse().unwrap();
    stamp[at..at + 4].copy_from_slice((year + years).to_string().as_bytes());
    fs::write(folder.join("stamp"), stamp).unwrap();
    resigned(folder, "tsa.pem")
}

#[test]
fn a_stamp_is_renewed_in_time_or_that_is_said() {
    let sample = Sample::sealed();
    let (short, long) = (sample.path("short"), sample.path("long"));
    authority(&short, P256);
    authority(&long, P256);
    // The first authority's certificate ends within the year.
    shell_ok(
        &short,
        "openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -days 300 -extfile ext.cnf -extensions tsa -out tsa.pem 2>/dev/null",
    );
    sample.shell("cat short/root.pem long/root.pem > both.pem");
    let both = AuthorityRoots::parse(&fs::read(sample.path("both.pem")).unwrap()).unwrap();
    let statement = statement_of(&sample);
    let first = answer(&short, &stamp_request(&statement));
    file(&sample, &first);
    let stamped = [statement, first].concat();
    let late = |report: &Report| has(report, "timestamp-renewed-late");
    for (years, is_late) in [(0, false), (4, true)] {
        sample.overwrite("custody/seals/0001.json.tsr.2", &answer_in_years(&long, &stamped, years));
        let report = verified(&sample, Some(&both));
        let seal = &report.seals[0];
        assert_eq!(
            (seal.timestamp, seal.renewals[0].timestamp),
            (SignatureState::Valid, SignatureState::Valid),
            "{:?}",
            report.findings
        );
        assert_eq!((late(&report), report.case_failures()), (is_late, 0), "{years}: {:?}", report.findings);
        assert!(!late(&verified(&sample, None)), "nobody said whom to trust");
    }
}

#[test]
fn that_a_key_was_still_allowed_a_stamp_of_its_time_shows_and_a_later_one_shows_nothing() {
    let (sample, mut writer) = Sample::new();
    let said = "2024-06-01T10:00:00Z".parse().unwrap();
    let options = SealOptions { despite: true, ..SealOptions::default() };
    seal_case_with(&mut writer, &sample.key(), said, &tool(), &options).unwrap();
    drop(writer);
    let desk = sample.path("desk");
    authority(&desk, P256);
    file(&sample, &answer(&desk, &stamp_request(&statement_of(&sample))));
    let roots = roots(&desk);
    let verified = |limit: &str, roots: Option<&AuthorityRoots>| -> (Option<bool>, Vec<String>) {
        let line = format!("{} {limit} {}", PRINCIPAL, sample.key().signer().public_key);
        let allowed = AllowedSigners::parse(&line).unwrap();
        let options = Options { allowed_signers: Some(&allowed), authority_roots: roots, ..Options::default() };
        let report = sample.verify_with(&options);
        (report.seals[0].trusted, report.findings.into_iter().map(|finding| finding.kind).collect())
    };
    let has = |kinds: &[String], kind: &str| kinds.iter().any(|found| found == kind);
    // Retired before the seal was stamped: anybody may have had that done since. That it is dated before what it covers, it says itself.
    for roots in [Some(&roots), None] {
        let (trusted, kinds) = verified("valid-before=\"20250101Z\"", roots);
        assert!(
            trusted == Some(true) && has(&kinds, "signing-time-unproven") && has(&kinds, "seal-time-mismatch"),
            "{kinds:?}"
        );
        assert!(!has(&kinds, "seal-untrusted") && has(&kinds, "timestamp-absent") == roots.is_some(), "{kinds:?}");
    }
    // Good until long after it.
    let (trusted, kinds) = verified("valid-before=\"20990101Z\"", Some(&roots));
    assert!(trusted == Some(true) && !has(&kinds, "signing-time-unproven"), "{kinds:?}");
    let (trusted, kinds) = verified("namespaces=\"caselock-seal\"", None);
    assert!(trusted == Some(true) && !has(&kinds, "signing-time-unproven"), "{kinds:?}");
}

#[test]
fn a_stamp_that_nobody_vouched_for_accuses_nobody() {
    let (sample, mut writer) = Sample::new();
    // As if the stamp were of years before.
    let said = "2099-06-01T10:00:00Z".parse().unwrap();
    seal_case(&mut writer, &sample.key(), said, &tool(), "").unwrap();
    drop(writer);
    let desk = sample.path("desk");
    authority(&desk, P256);
    file(&sample, &answer(&desk, &stamp_request(&statement_of(&sample))));
    let accused = |report: &Report| has(report, "seal-time-mismatch");
    let planted = verified(&sample, None);
    assert!(!accused(&planted) && planted.case_failures() == 0, "anybody can have made it: {:?}", planted.findings);
    assert!(accused(&verified(&sample, Some(&roots(&desk)))), "an authority that is trusted tells of the time");
}
