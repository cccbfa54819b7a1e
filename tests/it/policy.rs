//! The printed policy permits what is asked, and nothing else.

use std::collections::BTreeSet;

use caselock::acquire::PERMISSIONS;
use caselock::sim::FlowDestination;
use serde_json::Value;

use crate::account::Simulated;

/// Every action that a policy allows.
fn allowed(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"));
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// The actions for the operations that were asked of the simulated account.
fn needed(simulated: &Simulated) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for request in simulated.server.requests() {
        let action = request.action();
        let permission = PERMISSIONS.iter().find(|permission| permission.operation == action);
        let permission = permission.unwrap_or_else(|| panic!("{action} is not among the permissions"));
        needed.extend(permission.actions.iter().map(|action| (*action).to_owned()));
    }
    needed
}

fn printed(simulated: &Simulated, more: &[&str]) -> Value {
    let line: Vec<&str> = std::iter::once("policy").chain(more.iter().copied()).collect();
    simulated.run(&line).expect(0).json()
}

#[test]
fn the_policy_allows_every_operation_that_a_collection_uses_and_nothing_else() {
    let simulated = Simulated::quiet();
    simulated.account.add_log_group("us-east-1", "flows", []);
    simulated.account.add_flow_log("us-east-1", FlowDestination::LogGroup("flows".to_owned()));
    simulated.collect("case", &[]).expect(0);
    assert_eq!(allowed(&printed(&simulated, &[])), needed(&simulated));
}

#[test]
fn the_policy_of_one_source_is_what_that_source_uses() {
    for source in ["cloudtrail", "ebs"] {
        let simulated = Simulated::quiet();
        simulated.account.set_trail_key(Some("arn:aws:kms:us-east-1:111122223333:key/example".to_owned()));
        simulated.collect("case", &["--source", source]).expect(0);
        assert_eq!(allowed(&printed(&simulated, &["--source", source])), needed(&simulated), "{source}");
    }
}

#[test]
fn a_plan_names_the_missing_permissions_and_what_a_collection_may_take() {
    let simulated = Simulated::quiet();
    let faults = simulated.server.faults();
    faults.add(caselock::sim::Fault::deny("ec2:DescribeImages"));
    faults.add(caselock::sim::Fault::deny("s3:ListObjectVersions"));
    let plan = simulated.plan(&["--json"]).expect(4).json();
    assert_eq!(plan["missing_permissions"], serde_json::json!(["ec2:DescribeImages", "s3:ListBucketVersions"]));
    faults.add(caselock::sim::Fault::deny("s3:GetObject").on(caselock::sim::TRAIL_BUCKET));
    let message = "User is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext";
    let fault = caselock::sim::Fault::refuse("s3:GetObject", 403, "AccessDenied", message);
    faults.add(fault.on(caselock::sim::FLOW_BUCKET));
    let unreadable = simulated.plan(&["--json"]).expect(4).json();
    let missing = ["ec2:DescribeImages", "kms:Decrypt", "s3:GetObject", "s3:ListBucketVersions"];
    assert_eq!(unreadable["missing_permissions"], serde_json::json!(missing));
    assert!(plan["estimate"]["seconds"].as_u64().unwrap() > 0);
    assert!(plan["estimate"]["requests_microdollars"].as_u64().unwrap() > 0);
    assert!(plan["requests_expected"].as_u64() > plan["requests"].as_u64());
}

#[test]
fn a_bucket_that_is_no_bucket_s_name_is_refused_with_the_name_that_was_meant() {
    for command in ["policy", "plan", "collect case"] {
        for bucket in ["s3://example-corp/AWSLogs", "arn:aws:s3:::example-corp", "example-corp/AWSLogs"] {
            let line: Vec<&str> = command.split(' ').chain(["--bucket", bucket]).collect();
            let ran = crate::account::finish(crate::account::program(&line).spawn().unwrap()).expect(2);
            assert!(ran.stderr.contains("the bucket in it is `example-corp`"), "{command} {bucket}: {}", ran.stderr);
        }
    }
}
