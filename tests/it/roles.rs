//! Several accounts in one case, each as a role of its own.

use caselock::sim::{Account, Fault, Scenario};
use serde_json::Value;

use crate::account::{Simulated, files_below, last_hour};

const MEMBER: &str = "444455556666";
const HOME_ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const MEMBER_ROLE: &str = "arn:aws:iam::444455556666:role/reader";
const SERIAL: &str = "arn:aws:iam::111122223333:mfa/responder";

fn organization() -> Simulated {
    let simulated = Simulated::quiet();
    let member = Scenario { seed: 7, ..Scenario::quiet(last_hour()) };
    simulated.server.add_member(MEMBER, Account::simulate(&member));
    simulated
}

fn accounts(rows: &Value) -> Vec<&str> {
    let mut accounts: Vec<&str> = rows.as_array().unwrap().iter().filter_map(|row| row["account"].as_str()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

#[test]
fn plan_collect_and_status_show_each_account_by_itself() {
    let simulated = organization();
    let roles = ["--role-arn", HOME_ROLE, "--role-arn", MEMBER_ROLE];
    let planned = simulated.plan(&[&["--json"], &roles[..]].concat()).expect(0).json();
    assert_eq!(accounts(&planned["rows"]), ["111122223333", MEMBER]);
    let collected = simulated.collect("case", &roles).expect(0);
    assert!(collected.stdout.contains("444455556666:assumed-role/reader/caselock-IR-1"), "{}", collected.stdout);
    let status = simulated.run(&["status", "case", "--json"]).expect(0).json();
    assert_eq!(accounts(&status["rows"]), ["111122223333", MEMBER]);
    assert_eq!(simulated.verify("case").0, 0);
    assert_eq!(simulated.first_run("case")["also_as"][0]["account"], MEMBER);
}

#[test]
fn a_denied_role_is_told_of_and_the_rest_is_collected() {
    let simulated = organization();
    simulated.server.faults().add(Fault::deny("sts:AssumeRole").on(MEMBER));
    let roles = ["--role-arn", MEMBER_ROLE, "--role-arn", HOME_ROLE];
    let collected = simulated.collect("case", &roles).expect(4);
    assert!(collected.stdout.contains(&format!("denied AssumeRole of {MEMBER_ROLE}")), "{}", collected.stdout);
    simulated.server.faults().clear();
    simulated.collect("case", &roles).expect(0);
    simulated.run(&["status", "case"]).expect(0);
}

#[test]
fn neither_the_code_nor_the_external_id_nor_the_roles_credentials_are_kept_or_printed() {
    let simulated = organization();
    simulated.server.require_second_factor(SERIAL, "271828");
    simulated.server.require_external_id("between-us-two");
    let line = [
        "--role-arn",
        MEMBER_ROLE,
        "--external-id",
        "between-us-two",
        "--mfa-serial",
        SERIAL,
        "--mfa-code",
        "271828",
        "--verbose",
    ];
    let ran = simulated.collect("case", &line).expect(0);
    for word in ["271828", "between-us-two", "simulatedSessionToken"] {
        assert!(!ran.stdout.contains(word) && !ran.stderr.contains(word), "`{word}` was printed");
        for (path, bytes) in files_below(&simulated.path("case")) {
            assert!(memchr::memmem::find(&bytes, word.as_bytes()).is_none(), "`{word}` is in {path}");
        }
    }
    // A code is good once.
    simulated
        .collect("case", &line)
        .expect(1)
        .says(&["did not accept the code", "next: Wait until the device shows another code"]);
}

#[test]
fn what_is_no_role_or_a_second_role_of_an_account_is_refused() {
    let simulated = organization();
    for (line, said) in [
        (&["--role-arn", "reader"][..], "write the ARN of a role"),
        (&["--role-arn", HOME_ROLE, "--role-arn", "arn:aws:iam::111122223333:role/other"], "two roles of one account"),
        (&["--mfa-code", "123456"], "--mfa-serial"),
        (&["--external-id", "x"], "--role-arn"),
    ] {
        simulated.collect("case", line).expect(2).says(&[said]);
    }
    assert!(simulated.server.requests().is_empty() && !simulated.path("case").exists());
}
