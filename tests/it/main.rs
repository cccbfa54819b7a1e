//! Integration tests.
#![expect(
    clippy::pedantic,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what must hold by panicking, and plant what a crash, a hand or an intruder would"
)]

mod accidents;
mod account;
mod adverse;
mod agreement;
mod bad_input;
mod browser;
mod browser_deceived;
mod by_hand;
mod case_findings;
mod chromium;
mod closing;
mod custody;
mod defects;
mod demo;
mod disclosure;
mod documents;
#[cfg(feature = "encrypt")]
mod encryption;
mod endpoints;
mod expected_root;
mod exports;
mod faults;
mod flipped;
mod forged;
mod fuzz;
mod help;
mod json;
mod memory_case;
mod model;
mod moto;
mod other_programs;
mod package;
mod parts;
mod peers;
mod picture;
mod policy;
mod power_loss;
mod progress;
mod proofs;
mod reads_only;
mod reference;
mod refusals;
mod report;
mod resume;
mod roles;
mod sample;
mod schemas;
mod seal;
mod secrets;
mod settings;
mod shell;
mod strace;
mod summaries;
mod tamper;
mod tampering;
mod terminal;
mod threat_model;
mod timestamp;
mod vectors;
mod verification_page;
mod verify_command;

#[test]
fn every_file_of_this_folder_is_listed_here() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(
            module == "main" || module == "snapshots" || listed.contains(&format!("\nmod {module};\n")),
            "tests/it/{name} is not a module of tests/it/main.rs, so its tests never run"
        );
    }
}
