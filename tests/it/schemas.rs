//! The published schemas of all JSON that the program prints, against what it prints.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use caselock::sim::Fault;
use serde_json::Value;

use crate::account::{Ran, Simulated};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

/// All schemas, by name.
fn schemas() -> BTreeMap<String, Value> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let named = files.filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(".schema.json")?.to_owned();
        Some((name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()))
    });
    named.collect()
}

fn schema(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(format!("{name}.schema.json"))).unwrap()).unwrap()
}

/// What a schema has against a document.
fn objections(name: &str, document: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema(name)).unwrap();
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Holds a document to its schema, and the schema to the document: no field may be taken away or added unnoticed.
#[track_caller]
pub(crate) fn holds(name: &str, document: &Value) {
    assert_eq!(objections(name, document), Vec::<String>::new(), "{name}: {document:#}");
    let mut more = document.clone();
    more.as_object_mut().unwrap().insert("a_field_of_tomorrow".to_owned(), Value::Null);
    assert!(!objections(name, &more).is_empty(), "{name} lets fields in that it does not know");
    keys_are_snake_case(name, document);
}

/// Keys that are names of something else: statuses, reasons, settings, the words of IAM, environment variables.
const NAMES: [&str; 3] = ["hours", "gaps", "settings"];

#[track_caller]
fn keys_are_snake_case(name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let plain = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
                assert!(plain || name == "policy", "{name}: the key `{key}` is not in snake case");
                if !NAMES.contains(&key.as_str()) || value.is_array() {
                    keys_are_snake_case(name, value);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys_are_snake_case(name, value)),
        _ => {}
    }
}

#[test]
fn every_schema_is_one_and_says_which() {
    let all = schemas();
    assert!(all.len() >= 12, "{:?}", all.keys());
    for (name, schema) in all {
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(schema["$id"], format!("urn:caselock:schema:{name}"));
    }
}

#[test]
fn what_several_schemas_define_they_define_alike() {
    let mut known: BTreeMap<String, (String, Value)> = BTreeMap::new();
    let mut shared = 0;
    for (name, schema) in schemas() {
        let Some(definitions) = schema["$defs"].as_object() else { continue };
        for (defined, definition) in definitions {
            let (first, meaning) = known.entry(defined.clone()).or_insert_with(|| (name.clone(), definition.clone()));
            assert_eq!(meaning, definition, "{defined} in {first} and {name}");
            shared += usize::from(*first != name);
        }
    }
    assert!(shared > 0, "no two schemas define the same");
}

/// Every object that a schema describes says all its fields, so that one that is taken away or added is noticed.
#[test]
fn no_schema_is_open() {
    fn walk(place: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("properties") {
                    assert_eq!(fields.get("additionalProperties"), Some(&Value::Bool(false)), "{place}");
                    assert!(fields.contains_key("required"), "{place}");
                }
                for (key, value) in fields {
                    walk(&format!("{place}/{key}"), value);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(place, value)),
            _ => {}
        }
    }
    for (name, schema) in schemas() {
        walk(&name, &schema);
    }
}

#[test]
fn a_field_that_is_taken_away_or_of_another_kind_is_noticed() {
    let simulated = Simulated::quiet();
    let policy = simulated.run(&["policy", "--json"]).expect(0).json();
    let mut less = policy.clone();
    less["Statement"][0].as_object_mut().unwrap().remove("Sid");
    assert!(!objections("policy", &less).is_empty());
    let mut other = policy;
    other["Statement"][0]["Action"] = Value::from(7);
    assert!(!objections("policy", &other).is_empty());
}

fn held(name: &str, ran: &Ran) -> Value {
    let document = ran.json();
    holds(name, &document);
    document
}

#[test]
fn a_case_from_plan_to_receipt_is_told_as_the_schemas_say() {
    let simulated = Simulated::incident();
    held("plan", &simulated.plan(&["--json"]).expect(0));
    held("policy", &simulated.run(&["policy", "--json"]).expect(0));
    held("collect", &simulated.collect("case", &["--json", "--organization", "Example Corp"]).expect(0));
    held("collect", &simulated.run(&["collect", "case", "--json", "--no-verification"]).expect(0));
    held("status", &simulated.run(&["status", "case", "--json"]).expect(0));
    held("verify", &simulated.run(&["verify", "case", "--json"]).expect(4));
    held("verify", &simulated.run(&["verify", "case", "--json", "--online"]).expect(4));
    held("report", &simulated.run(&["report", "case", "--json"]).expect(4));
    simulated.seal("case");
    held("seal", &simulated.run(&["seal", "case", "--signing-key", "key", "--notes", "again", "--json"]).expect(0));
    held("seal", &simulated.run(&["seal", "case", "--timestamp-request", "question.tsq", "--json"]).expect(0));
    held("package", &simulated.run(&["package", "case", "-o", "case.zip", "--json"]).expect(0));
    held("package", &simulated.run(&["package", "case", "-o", "split.zip", "--split-size", "1MB", "--json"]).expect(0));
    let include = ["package", "case", "-o", "shown.zip", "--include", "**/CloudTrail-Digest/**", "--json"];
    held("package", &simulated.run(&include).expect(0));
    held("verify", &simulated.run(&["verify", "shown.zip", "--json"]).expect(0));
    let hand_over = |what: &str| {
        let words = ["--from", "A", "--to", "B", "--purpose", "review", "--method", "courier", "--signing-key", "key"];
        let line: Vec<&str> = ["transfer", what, "--json"].into_iter().chain(words).collect();
        held("transfer", &simulated.run(&line).expect(0));
    };
    hand_over("case.zip");
    hand_over("case");
    held("verify", &simulated.run(&["verify", "case.zip", "--json"]).expect(4));
    held("verify", &simulated.run(&["verify", "case", "--json"]).expect(4));
    held("status", &simulated.run(&["status", "case", "--json"]).expect(0));
    held("error", &simulated.run(&["status", "nowhere", "--json"]).expect(2));
    held("explain", &simulated.run(&["explain", "log-missing", "--json"]).expect(0));
    held("man", &simulated.run(&["man", "-o", "pages", "--json"]).expect(0));
    // Each the same text as without.
    let man = held("man", &simulated.run(&["man", "--json"]).expect(0));
    assert_eq!(man["page"], simulated.run(&["man"]).expect(0).stdout);
    let completions = held("completions", &simulated.run(&["completions", "bash", "--json"]).expect(0));
    assert_eq!(completions["script"], simulated.run(&["completions", "bash"]).expect(0).stdout);
    let version = held("version", &simulated.run(&["--version", "--json"]).expect(0));
    assert_eq!(version, held("version", &simulated.run(&["--json", "-V"]).expect(0)));
}

#[test]
fn a_damaged_case_and_what_could_not_be_had_are_told_so_too() {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(Fault::deny("s3:GetBucketLocation"));
    simulated.server.faults().add(Fault::deny("ec2:DescribeSnapshots"));
    let plan = held("plan", &simulated.plan(&["--json"]).expect(4));
    assert!(!plan["gaps"].as_array().unwrap().is_empty(), "{plan:#}");
    held("collect", &simulated.collect("case", &["--json"]).expect(4));
    held("status", &simulated.run(&["status", "case", "--json"]).expect(4));
    fs::remove_file(simulated.path("case/README.txt")).unwrap();
    fs::write(simulated.path("case/data/extra"), "x").unwrap();
    let report = held("verify", &simulated.run(&["verify", "case", "--json"]).expect(3));
    assert_eq!(report["verdict"], "fail");
}
