//! Where AWS is asked instead of at AWS: shown, recorded, and never with a password.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::account::{Simulated, ledger, run};

/// The command that collects the disks into `case`.
fn collecting(simulated: &Simulated) -> Command {
    simulated.collecting("case", &["--source", "ebs", "--no-verification"])
}

#[test]
fn the_password_of_an_endpoint_is_neither_printed_nor_recorded() {
    let simulated = Simulated::quiet();
    let with_password = simulated.server.endpoint().replace("http://", "http://somebody:s3cret@");
    let mut command = collecting(&simulated);
    command.args(["--verbose", "--endpoint-url", &with_password]);
    let ran = run(&mut command).expect(0).says(&[&format!("Asking {} instead", simulated.server.endpoint())]);
    let kept = fs::read_to_string(simulated.path("case/custody/ledger.jsonl")).unwrap();
    for text in [&ran.stdout, &ran.stderr, &kept] {
        assert!(!text.contains("s3cret") && !text.contains("somebody"), "{text}");
    }
    assert_eq!(simulated.first_run("case")["endpoint_url"], simulated.server.endpoint());
}

#[test]
fn endpoints_of_single_services_are_shown_and_recorded_wherever_they_are_set() {
    let simulated = Simulated::quiet();
    let (endpoint, keys) = (simulated.server.endpoint(), simulated.server.credentials());
    let services: String =
        ["sts", "ec2", "kms", "cloudtrail"].iter().map(|name| format!("{name} =\n  endpoint_url = {endpoint}\n")).collect();
    let config = format!(
        "[profile incident]\nregion = us-east-1\nservices = elsewhere\naws_access_key_id = {}\naws_secret_access_key = {}\n\
         [services elsewhere]\n{services}",
        keys.access_key_id, keys.secret_access_key
    );
    fs::write(simulated.path("config"), config).unwrap();
    let mut command = collecting(&simulated);
    command.env_remove("AWS_ENDPOINT_URL").env("AWS_CONFIG_FILE", simulated.path("config")).args(["--profile", "incident"]);
    // Disks need no logs: it is not asked.
    command.env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", endpoint.replace("http://", "http://somebody:s3cret@"));
    let ran = run(&mut command).expect(0).says(&[&format!("Asking {endpoint} instead of AWS's own endpoint of EC2")]);
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    let started = simulated.first_run("case");
    let expected = ["CLOUDTRAIL", "CLOUDWATCH_LOGS", "EC2", "KMS", "STS"].map(|name| (name.to_owned(), json!(endpoint)));
    assert_eq!(started["service_endpoints"], Value::Object(expected.into_iter().collect()));
    assert!(started.get("endpoint_url").is_none() && started.get("proxies").is_none(), "{started:#}");
}

#[test]
fn neither_a_variable_nor_a_folder_has_to_be_text() {
    let simulated = Simulated::quiet();
    let folder = OsStr::from_bytes(b"case-\xfc");
    let mut line = simulated.collect_arguments("case", &["--source", "ebs", "--no-verification"]);
    let rest = line.split_off(2);
    let mut command = simulated.command(&["collect"]);
    fs::write(simulated.path("caselock.toml"), "profile = \"of-the-file\"\n").unwrap();
    command.arg(folder).args(rest).env("GREETING", OsStr::from_bytes(b"gr\xfc\xdf")).env("USER", OsStr::from_bytes(b"\xfc"));
    run(&mut command).expect(0);
    let case = simulated.path("").join(folder);
    let recorded = ledger(&case).into_iter().find(|line| line["event"] == "collection.started").unwrap();
    assert_eq!(recorded["command_line"][2], "case-\u{fffd}");
}
