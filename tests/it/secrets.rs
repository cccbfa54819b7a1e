//! No secret reaches a case, a package or the output.

use crate::account::{Simulated, files_below, run};

/// The session token that the commands are given; the simulated account takes any.
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLEsessionTOKENthatNobodyMayKeep";

#[test]
fn no_secret_is_kept_or_printed() {
    let simulated = Simulated::quiet();
    let secret = simulated.server.credentials().secret_access_key.clone();
    let [start, end] = simulated.window(2, 2);
    let case = ["--case-number", "IR-1", "--examiner", "A. Examiner", "--start", &start, "--end", &end];
    let collect = [&["collect", "case", "--verbose"][..], &case].concat();
    let mut said = String::new();
    let lines: [&[&str]; 4] = [
        &["plan", "--start", &start, "--end", &end, "--verbose"],
        &collect,
        &["status", "case", "--json"],
        &["verify", "case", "--verbose"],
    ];
    for line in lines {
        let ran = run(simulated.command(line).env("AWS_SESSION_TOKEN", TOKEN)).expect(0);
        assert!(!(ran.stdout.is_empty() && ran.stderr.is_empty()), "{line:?} says nothing");
        said += &(ran.stdout + &ran.stderr);
    }
    // A failure says much, and must not say this.
    let mut wrong = simulated.command(&["plan", "--start", &start, "--verbose"]);
    wrong.env("AWS_SECRET_ACCESS_KEY", "wrongSecretEXAMPLE").env("AWS_SESSION_TOKEN", TOKEN);
    said += &run(&mut wrong).expect(1).says(&["does not accept these credentials"]).stderr;
    simulated.seal("case");
    simulated.run(&["package", "case", "-o", "case.zip"]).expect(0);

    let forbidden = [secret.as_str(), "wrongSecretEXAMPLE", TOKEN, "AWS4-HMAC-SHA256", "Signature=", "x-amz-security-token"];
    for word in forbidden {
        assert!(!said.to_ascii_lowercase().contains(&word.to_ascii_lowercase()), "`{word}` was printed");
    }
    let (mut seen, mut seen_unpacked) = (0, 0);
    for (path, bytes) in files_below(&simulated.path("")).into_iter().filter(|(path, _)| path.starts_with("case")) {
        for word in forbidden {
            assert!(memchr::memmem::find(&bytes, word.as_bytes()).is_none(), "`{word}` is in {path}");
        }
        // What is packed is looked into as well.
        if let Ok(content) = unpacked(&bytes) {
            for word in forbidden {
                assert!(memchr::memmem::find(&content, word.as_bytes()).is_none(), "`{word}` is in {path}, unpacked");
            }
            seen_unpacked += 1;
        }
        seen += 1;
    }
    assert!(seen > 50 && seen_unpacked > 30, "{seen} files, {seen_unpacked} of them packed");
    // The id of the key is no secret: it is what CloudTrail shows.
    assert!(std::fs::read_to_string(simulated.path("case/custody/ledger.jsonl")).unwrap().contains("AKIAIOSFODNN7EXAMPLE"));
}

fn unpacked(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut content)?;
    Ok(content)
}
