//! Completions, manual pages, versions.

use std::fs;

use caselock::model::Sha256Hash;

use crate::account::{Ran, program, run};

fn ran(arguments: &[&str]) -> Ran {
    run(&mut program(arguments)).expect(0)
}

#[test]
fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let shown = ran(&["completions", shell]);
        for word in ["collect", "verify", "signing-key", "flow-logs"] {
            assert!(shown.stdout.contains(word), "{shell} does not know {word}");
        }
    }
    let shown = ran(&["completions", "bash"]);
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("caselock.bash"), shown.stdout).unwrap();
    let script = "source caselock.bash && COMP_WORDS=(caselock ver) COMP_CWORD=1 && _caselock caselock ver caselock && echo ${COMPREPLY[@]}";
    let shown = std::process::Command::new("bash").args(["-c", script]).current_dir(scratch.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), "verify", "{shown:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("man1");
    ran(&["man", "-o", folder.to_str().unwrap()]);
    let page = fs::read_to_string(folder.join("caselock-collect.1")).unwrap();
    for words in [".TH caselock-collect 1", "case\\-number", "caselock collect IR\\-2026\\-014"] {
        assert!(page.contains(words), "{words} is not in\n{page}");
    }
    let main = ran(&["man"]).stdout;
    assert_eq!(fs::read_to_string(folder.join("caselock.1")).unwrap().trim_end(), main.trim_end());
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "caselock.1" || main.contains(&name.replace(".1", "(1)").replace('-', "\\-")),
            "{name} is not in\n{main}"
        );
    }
}

#[test]
fn the_version_is_one_line_or_everything_that_tells_this_program_from_another() {
    assert_eq!(ran(&["-V"]).stdout, format!("caselock {}\n", env!("CARGO_PKG_VERSION")));
    let long = ran(&["--version"]).stdout;
    let own = Sha256Hash::of(&fs::read(env!("CARGO_BIN_EXE_caselock")).unwrap());
    assert!(long.ends_with(&format!("SHA-256   {own}\n")), "{long}");
    for words in ["commit    ", "features  acquire, demo"] {
        assert!(long.contains(words), "{long}");
    }
}
