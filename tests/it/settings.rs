//! `caselock.toml`: what it may say, what it must not, and where it is recorded.

use std::fs;

use caselock::sim::Fault;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::account::{Simulated, ledger, run};
use crate::schemas::holds;

fn write(simulated: &Simulated, name: &str, text: &str) {
    fs::write(simulated.path(name), text).unwrap();
}

#[test]
fn settings_of_the_working_folder_are_used_shown_and_recorded() {
    let simulated = Simulated::quiet();
    let text = "examiner = \"Of The File\"\norganization = \"Example Corp\"\nregions = [\"us-east-1\"]\nconcurrency = 3\n";
    write(&simulated, "caselock.toml", text);
    let plan = simulated.plan(&["--json"]).expect(0).json();
    holds("plan", &plan);
    assert_eq!(plan["regions"], json!(["us-east-1"]));
    assert_eq!(plan["configuration"]["settings"], json!({"regions": ["us-east-1"], "concurrency": 3}));
    let shown = simulated.plan(&[]).expect(0).stdout;
    assert!(shown.contains("Settings from caselock.toml: concurrency 3, regions us-east-1."), "{shown}");

    simulated.collect("case", &[]).expect(0).says(&["Settings from caselock.toml"]);
    let case = simulated.run(&["status", "case", "--json"]).expect(0).json();
    assert_eq!(case["case"]["organization"], "Example Corp");
    assert_eq!(case["case"]["examiner"], "A. Examiner", "the command line outranks the file");
    let recorded = &simulated.first_run("case")["configuration"];
    assert_eq!(recorded["file"], "caselock.toml");
    assert_eq!(recorded["sha256"], caselock::model::Sha256Hash::of(text.as_bytes()).to_string());
    let settings = json!({"organization": "Example Corp", "regions": ["us-east-1"], "concurrency": 3});
    assert_eq!(recorded["settings"], settings, "what was outranked was not used");
    assert_eq!(simulated.verify("case").0, 0);
}

#[test]
fn a_case_that_is_gone_on_with_keeps_what_it_was_opened_with() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &[]).expect(0);
    assert!(simulated.first_run("case").get("configuration").is_none());
    write(&simulated, "caselock.toml", "examiner = \"Another\"\nregions = [\"eu-central-1\"]\n");
    simulated.run(&["collect", "case"]).expect(0);
    let case = simulated.run(&["status", "case", "--json"]).expect(0).json();
    assert_eq!((&case["case"]["examiner"], &case["case"]["scope"]["regions"]), (&"A. Examiner".into(), &json!([])));
}

#[test]
fn a_setting_that_is_none_ends_everything_before_it_begins() {
    let simulated = Simulated::quiet();
    for (text, words) in [
        ("examinr = \"A\"\n", ["caselock.toml does not read: line 1: unknown field `examinr`", "next: Mend caselock.toml"]),
        ("external-id = \"s3cret\"\n", ["unknown field `external-id`", "secrets do not belong"]),
        ("key-passphrase = \"s3cret\"\n", ["unknown field `key-passphrase`", "CASELOCK_KEY_PASSPHRASE"]),
        ("regions = [\"nowhere\"]\n", ["line 1", "`nowhere` is not an AWS region"]),
        ("role-arns = [\"reader\"]\n", ["role-arns: `reader`", "write the ARN of a role"]),
    ] {
        write(&simulated, "caselock.toml", text);
        let ran = simulated.collect("case", &[]).expect(2).says(&words);
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    }
    assert!(!simulated.path("case").exists() && simulated.server.requests().is_empty());
    simulated.run(&["collect", "case", "--config", "nowhere.toml"]).expect(2).says(&["nowhere.toml could not be read"]);
}

#[test]
fn a_file_of_settings_is_refused_where_nothing_is_taken_from_it() {
    let simulated = Simulated::quiet();
    for line in ["status case", "policy", "package case -o p.zip", "transfer case --from A --to B --purpose x", "man", "demo"] {
        let line: Vec<&str> = line.split(' ').chain(["--config", "nowhere.toml"]).collect();
        simulated.run(&line).expect(2).says(&["unexpected argument '--config'"]);
    }
    let stamp = ["seal", "case", "--tsa", "http://192.0.2.1", "--config", "nowhere.toml"];
    simulated.run(&stamp).expect(2).says(&["--config is of no use to a time-stamp"]);
    for line in ["plan --start -1h", "verify case", "seal case", "report case"] {
        let line: Vec<&str> = line.split(' ').chain(["--config", "nowhere.toml"]).collect();
        simulated.run(&line).expect(2).says(&["nowhere.toml could not be read"]);
    }
}

#[test]
fn a_key_of_the_file_seals_and_paths_count_from_the_file() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &[]).expect(0);
    simulated.run(&["seal", "case"]).expect(2).says(&["no key to sign with", "--signing-key", "caselock.toml"]);
    fs::create_dir(simulated.path("desk")).unwrap();
    caselock::seal::SigningKey::generate_ed25519(&simulated.path("desk/key"), "somebody@example.com").unwrap();
    write(
        &simulated,
        "desk/mine.toml",
        "signing-key = \"key\"\nprincipal = \"examiner@example.com\"\nallowed-signers = \"signers\"\n",
    );
    let sealed = simulated.run(&["seal", "case", "--config", "desk/mine.toml", "--json"]).expect(0).json();
    assert_eq!(sealed["statement"]["signer"]["principal"], "examiner@example.com");
    let public = fs::read_to_string(simulated.path("desk/key.pub")).unwrap();
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    write(&simulated, "desk/signers", &format!("examiner@example.com {}\n", key.join(" ")));
    let trusted = |arguments: &[&str]| simulated.run(arguments).expect(0).json()["seals"][0]["trusted"].clone();
    assert_eq!(trusted(&["verify", "case", "--json", "--config", "desk/mine.toml"]), Value::Bool(true));

    // A file that merely lies there may have come with the evidence, and would vouch for itself.
    fs::copy(simulated.path("desk/signers"), simulated.path("signers")).unwrap();
    fs::copy(simulated.path("desk/mine.toml"), simulated.path("caselock.toml")).unwrap();
    assert_eq!(trusted(&["verify", "case", "--json"]), Value::Null);
}

#[test]
fn the_environment_outranks_the_profile_of_the_file_and_the_command_line_both() {
    let simulated = Simulated::quiet();
    write(&simulated, "caselock.toml", "profile = \"of-the-file\"\n");
    let plan = |more: &[&str], profile: Option<&str>| {
        let mut command = simulated.planning(&[&["--source", "ebs"], more].concat());
        // Profiles are all that there is: no keys in the environment.
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let credentials = simulated.server.credentials();
        let keys = format!(
            "aws_access_key_id = {}\naws_secret_access_key = {}\n",
            credentials.access_key_id, credentials.secret_access_key
        );
        write(&simulated, "credentials", &format!("[of-the-file]\n{keys}[of-the-environment]\n{keys}"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", simulated.path("credentials"));
        if let Some(profile) = profile {
            command.env("AWS_PROFILE", profile);
        }
        run(&mut command)
    };
    // The file's alone is used, and told.
    let told = plan(&[], None).expect(0).stdout;
    assert!(told.contains("Settings from caselock.toml: profile of-the-file."), "{told}");
    // The environment's is nearer.
    let told = plan(&[], Some("of-the-environment")).expect(0).stdout;
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("AWS_PROFILE in the environment outranks the profile of-the-file of caselock.toml."), "{told}");
    assert!(!told.contains("Settings from"), "{told}");
    let told: Value = plan(&["--json"], Some("of-the-environment")).expect(0).json();
    assert!(told["configuration_outranked"].as_str().unwrap().starts_with("AWS_PROFILE in the environment"), "{told}");
    // One that does not exist shows which is asked for: the environment's, then the command line's.
    plan(&[], Some("nobody")).expect(1);
    let told = plan(&["--profile", "of-the-file"], Some("nobody")).expect(0).stdout;
    assert!(!told.contains("outranks"), "{told}");
}

#[test]
fn a_profile_that_is_named_outranks_keys_of_the_environment() {
    let simulated = Simulated::quiet();
    // Keys are in the environment of each.
    let plan = |more: &[&str]| simulated.plan(&[&["--source", "ebs"], more].concat());
    plan(&["--profile", "nobody"]).expect(1).says(&["there is no profile `nobody` in ", "evidence: AWS was not", "--profile"]);
    assert!(simulated.server.requests().is_empty(), "somebody else asked");
    plan(&[]).expect(0);
    write(&simulated, "caselock.toml", "profile = \"nobody\"\n");
    let told = plan(&[]).expect(0).stdout;
    assert!(told.contains("AWS_ACCESS_KEY_ID in the environment outranks the profile nobody of"), "{told}");
}

#[test]
fn a_profile_that_does_not_exist_is_never_somebody_else() {
    let simulated = Simulated::quiet();
    write(&simulated, "config", "[profile incident]\nregion = us-east-1\n");
    let plan = |profile: &str| {
        // Keys are in the environment, and would be taken in its place.
        let mut command = simulated.planning(&["--source", "ebs"]);
        run(command.env("AWS_CONFIG_FILE", simulated.path("config")).env("AWS_PROFILE", profile))
    };
    for slip in ["incidnet", "default"] {
        let said = [&format!("there is no profile `{slip}` in "), "evidence: AWS was not asked", "next: Correct AWS_PROFILE"];
        plan(slip).expect(1).says(&said.map(|said| said as &str));
    }
    write(&simulated, "config", "[profile incident\n");
    plan("incident").expect(1).says(&["could not be read", "because: "]);
    assert!(simulated.server.requests().is_empty(), "somebody else asked");
    write(&simulated, "config", "[profile incident]\nregion = us-east-1\n");
    plan("incident").expect(0);
    plan("").expect(0);
}

#[test]
fn the_user_is_recorded_with_the_number_that_nobody_can_claim() {
    let simulated = Simulated::quiet();
    run(simulated.collecting("case", &["--source", "ebs"]).env("USER", "mallory")).expect(0);
    let uid = std::process::Command::new("id").arg("-u").output().unwrap();
    let uid = String::from_utf8(uid.stdout).unwrap();
    assert_eq!(simulated.first_run("case")["os_user"], format!("mallory (uid {})", uid.trim()));
}

#[test]
fn a_plan_names_every_source_in_every_region_and_keeps_answers_apart_from_what_is_out_of_reach() {
    let simulated = Simulated::quiet();
    let plan = simulated.plan(&["--json"]).expect(0).json();
    let rows = plan["rows"].as_array().unwrap();
    assert_eq!(plan["regions"].as_array().unwrap().len(), 2, "{plan:#}");
    for region in plan["regions"].as_array().unwrap() {
        for source in ["cloudtrail", "flow-logs", "ebs"] {
            let named = rows.iter().filter(|row| row["source"] == source && row["region"] == *region);
            assert_eq!(named.filter(|row| row["account"] == "111122223333").count(), 1, "{source} {region}: {plan:#}");
        }
    }
    let shown = simulated.plan(&["--verbose"]).expect(0).stdout;
    assert!(shown.lines().any(|line| line.starts_with("ebs") && line.ends_with("answers only")), "{shown}");
    assert!(shown.contains("Not enabled, empty or left out (") && !shown.contains("Out of reach"), "{shown}");
    // A source that is left out is no row.
    let plan = simulated.plan(&["--json", "--source", "cloudtrail"]).expect(0).json();
    let rows = plan["rows"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["source"] == "cloudtrail"), "{plan:#}");
}

#[test]
fn a_region_that_there_is_not_is_refused_before_anything_is_written() {
    let simulated = Simulated::quiet();
    let plan = |region: &str| simulated.plan(&["--region", region]);
    let slip = ["AWS knows no region `us-esat-1`", "Nothing was written", "next: Did you mean us-east-1?"];
    plan("us-esat-1").expect(2).says(&slip).says(&["note: this caselock knows no region `us-esat-1`"]);
    plan("us-east-9").expect(2).says(&["AWS knows no region `us-east-9`", "It may be new.", "next: Check --region."]);
    let regions = ["--source", "ebs", "--region", "us-east-1", "--region", "us-esat-1"];
    simulated.collect("case", &regions).expect(2).says(&slip);
    assert!(!simulated.path("case").exists());
    let document = simulated.collect("case", &[&regions[..], &["--json"]].concat()).expect(2).json();
    holds("error", &document);
    assert!(!plan("eu-central-1").expect(0).stderr.contains("knows no region"));
}

#[test]
fn a_case_that_asks_for_a_region_that_there_is_not_is_never_complete() {
    let simulated = Simulated::quiet();
    // Where nobody may ask which regions there are, what was asked for is taken at its word.
    simulated.server.faults().add(Fault::deny("ec2:DescribeRegions"));
    simulated.collect("case", &["--source", "ebs", "--region", "us-esat-1"]).expect(4);
    simulated.server.faults().clear();
    let again = simulated.run(&["collect", "case", "--json"]).expect(4).json();
    let failed: Vec<&Value> = gaps(&again).into_iter().filter(|gap| gap["reason"] == "failed").collect();
    assert_eq!(failed.iter().map(|gap| gap["what"].as_str().unwrap()).collect::<Vec<_>>(), ["the region", "any region"]);
    assert_eq!(simulated.verify("case").0, 4);
}

#[test]
fn a_run_that_has_no_region_to_ask_is_never_complete() {
    let simulated = Simulated::quiet();
    let collected = simulated.collect("case", &["--json", "--source", "ebs", "--region", "af-south-1"]).expect(4).json();
    let told: Vec<_> = gaps(&collected).into_iter().map(|gap| (gap["what"].as_str(), gap["reason"].as_str())).collect();
    assert!(told.contains(&(Some("the region"), Some("not-enabled"))), "{told:?}");
    assert!(told.contains(&(Some("any region"), Some("failed"))), "{told:?}");
    assert_eq!(simulated.verify("case").0, 4);
    // Beside one that is, it is an answer.
    simulated.collect("two", &["--source", "ebs", "--region", "us-east-1", "--region", "af-south-1"]).expect(0);
}

fn gaps(collected: &Value) -> Vec<&Value> {
    collected["outcome"]["gaps"].as_array().unwrap().iter().collect()
}

#[test]
fn a_window_that_counts_from_now_counts_by_aws_s_clock_where_this_machine_s_is_wrong() {
    let simulated = Simulated::quiet();
    // This machine's clock is ahead, by less than what a signature is refused for.
    let ahead = TimeDelta::minutes(10);
    simulated.server.faults().set_clock_ahead(-ahead);
    let line = ["--case-number", "IR-1", "--examiner", "A", "--start", "-4h", "--source", "cloudtrail", "--json"];
    let ran = simulated.run(&[&["collect", "case"][..], &line].concat());
    let clock = "this machine's clock is 10 minutes ahead of AWS's";
    let collected = ran.says(&[&format!("WARNING: {clock}")]).json();
    holds("collect", &collected);
    let end: DateTime<Utc> = collected["outcome"]["window"]["end"].as_str().unwrap().parse().unwrap();
    let wanted = Utc::now() - ahead;
    assert!((wanted - end).num_seconds().abs() < 120, "{end}");
    assert!(collected["outcome"]["totals"]["stored"].as_u64().unwrap() > 10, "{collected:#}");
    let notices = collected["outcome"]["notices"].as_array().unwrap();
    assert!(notices.iter().any(|notice| notice["text"].as_str().unwrap().starts_with(clock)), "{notices:#?}");
    // What is asked for until now is asked for until AWS's now.
    let keys =
        ledger(&simulated.path("case")).into_iter().find(|line| line["source"]["operation"] == "ListPublicKeys").unwrap();
    let until: DateTime<Utc> = keys["source"]["parameters"]["EndTime"].as_str().unwrap().parse().unwrap();
    assert!((wanted - until).num_seconds().abs() < 120, "{until}");
    // The same words go on with the case.
    let again = simulated.run(&["collect", "case", "--start", "-4h"]).says(&[clock]);
    assert!([0, 4].contains(&again.code), "{}", again.stderr);
    let plan = simulated.run(&["plan", "--start", "-4h", "--source", "ebs"]).expect(0).says(&[clock]);
    let shown = plan.stdout.lines().find(|line| line.starts_with("Window   ")).unwrap();
    let end: DateTime<Utc> = shown.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!((wanted - end).num_seconds().abs() < 300, "{shown}");
}

#[test]
fn what_lies_in_aws_s_future_is_refused_though_this_machine_thinks_it_is_over() {
    let simulated = Simulated::quiet();
    simulated.server.faults().set_clock_ahead(TimeDelta::hours(-12));
    simulated
        .collect("case", &["--source", "ebs"])
        .expect(2)
        .says(&["lies in the future", "Nothing was written. AWS was asked"]);
    assert!(!simulated.path("case").exists());
}

#[test]
fn another_window_is_refused_though_it_counts_from_now() {
    let simulated = Simulated::quiet();
    let line = ["--case-number", "IR-1", "--examiner", "A", "--start", "-3h", "--source", "ebs"];
    let shown = simulated.run(&[&["collect", "case"][..], &line].concat()).expect(0).stdout;
    assert!(shown.lines().any(|line| line.starts_with("Window   ") && line.ends_with(" (UTC)")), "{shown}");
    simulated.run(&[&["collect", "case"][..], &line].concat()).expect(0);
    let asked = simulated.server.requests().len();
    let refused = simulated.run(&["collect", "case", "--start", "-30d", "--end", "-1d"]).expect(2);
    refused.says(&["this case was opened with other words"]);
    assert_eq!(simulated.server.requests().len(), asked);
}
