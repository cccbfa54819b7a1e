//! The demonstration, from nothing to a package.

use std::fs;

use crate::account::{Ran, files_below, finish, program};

fn demo(folder: &std::path::Path) -> Ran {
    finish(program(&["demo", "-o", folder.to_str().unwrap()]).spawn().unwrap())
}

#[test]
fn the_demonstration_leaves_a_sealed_case_and_a_package_that_verifies() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("demo");
    let ran = demo(&folder).expect(0);
    assert!(ran.stdout.contains("What to try next"), "{}", ran.stdout);
    let (case, package) = (folder.join("IR-DEMO-001"), folder.join("IR-DEMO-001.zip"));
    assert!(case.join("custody/seals/0001.json.sig").is_file());
    let sum = fs::read_to_string(folder.join("IR-DEMO-001.zip.sha256")).unwrap();
    let hash = caselock::model::Sha256Hash::of(&fs::read(&package).unwrap()).to_string();
    assert!(sum.starts_with(&hash), "{sum}");
    for path in [&case, &package] {
        let signers = folder.join("allowed_signers");
        let words = ["verify", path.to_str().unwrap(), "--json", "--allowed-signers", signers.to_str().unwrap()];
        // Hours without logging are in the story: they cannot be proven, and nothing else is amiss.
        let ran = finish(program(&words).spawn().unwrap()).expect(4);
        let report = ran.json();
        assert_eq!(report["verdict"], "incomplete");
        assert_eq!(report["seals"][0]["trusted"], true);
        assert!(report["cloudtrail"].as_array().unwrap().iter().all(|row| row["hours"]["logging-off"].as_u64() > Some(0)));
    }

    let before = files_below(scratch.path());
    demo(&folder).expect(2).says(&["is there already", "evidence:", "replaces nothing", "next:", "-o"]);
    assert!(files_below(scratch.path()) == before, "the second run changed something");
}
