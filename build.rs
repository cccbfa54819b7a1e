//! Tells a release build which commit it is made from, so that `caselock --version` can say it.
//!
//! Builds for development do not ask: they would be stale with the next commit, or compile everything again after each.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CASELOCK_COMMIT");
    let given = std::env::var("CASELOCK_COMMIT").ok().filter(|commit| !commit.is_empty());
    if given.is_some() || std::env::var("PROFILE").is_ok_and(|profile| profile != "release") {
        return;
    }
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
    // A checkout that these sources merely lie in is not theirs.
    let commit = if Path::new(&root).join(".git").exists() { of_checkout(&root) } else { of_package(&root) };
    if let Some(commit) = commit {
        println!("cargo::rustc-env=CASELOCK_COMMIT={commit}");
    }
}

/// The commit of a checkout, and whether anything was changed since.
fn of_checkout(root: &str) -> Option<String> {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    for name in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for sources in ["src", "case-template", "docs/verification.md", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={sources}");
    }
    let commit = git(&["rev-parse", "HEAD"]).filter(|commit| !commit.is_empty())?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, with changes") })
}

/// The commit that `cargo package` noted in a package.
fn of_package(root: &str) -> Option<String> {
    let noted = std::fs::read_to_string(Path::new(root).join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = noted.split_once("\"sha1\":")?;
    let commit = rest.split('"').nth(1)?;
    commit.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| commit.to_owned())
}
