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
mod advice;
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
mod findings;
mod flipped;
mod forged;
mod fuzz;
mod help;
mod json;
mod layers;
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
mod receipts;
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
    fn look(folder: &std::path::Path, parent: &std::path::Path) {
        let listed = std::fs::read_to_string(parent).unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let module = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() && module != "snapshots" {
                look(&path, &path.with_extension("rs"));
            }
            assert!(
                ["main", "snapshots"].contains(&module)
                    || [format!("\nmod {module};\n"), format!("\npub(crate) mod {module};\n")]
                        .iter()
                        .any(|line| listed.contains(line)),
                "{} is not a module of {}, so its tests never run",
                path.display(),
                parent.display()
            );
        }
    }
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    look(&here, &here.join("main.rs"));
}
