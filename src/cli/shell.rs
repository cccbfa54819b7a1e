//! Words of the commands that the program prints to be copied, as a shell takes them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A word, in quotes where a shell would take it apart or for something else.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A path as a word. One that begins as an option does is written so that it is none.
pub(super) fn path(path: &Path) -> String {
    let text = path.display().to_string();
    word(&if text.starts_with('-') { format!("./{text}") } else { text })
}

/// What the package of a case folder is called, beside it.
pub(super) fn package_of(case: &Path) -> String {
    path(&named_beside(case, ".zip"))
}

/// A folder's path with something behind its name, whether it was written as `case`, `case/` or `.`.
fn named_beside(folder: &Path, more: &str) -> PathBuf {
    let folder = match folder.file_name() {
        Some(_) => folder.to_owned(),
        None => folder.canonicalize().unwrap_or_else(|_| folder.to_owned()),
    };
    let mut name = folder.file_name().map_or_else(|| OsString::from("case"), ToOwned::to_owned);
    name.push(more);
    folder.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_word_for_what_it_was() {
        let names = ["IR-2026-014", "my case", "it's", "a\"b", "$HOME", "`id`", "~root", "é", "a;b", "", "x&", "*"];
        for name in names {
            let script = format!("printf %s {}", word(name));
            let shown = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(shown.stdout).unwrap(), name, "{script}");
        }
        assert_eq!(word("/cases/IR_1@x.zip"), "/cases/IR_1@x.zip", "what needs no quotes has none");
    }

    #[test]
    fn a_path_that_begins_like_an_option_is_told_from_one() {
        assert_eq!(path(Path::new("-v")), "./-v");
        assert_eq!(path(Path::new("-v x")), "'./-v x'");
    }

    #[test]
    fn a_package_lies_beside_its_case_however_the_folder_was_written() {
        let told = ["case", "case/", "a/my case/"].map(|case| package_of(Path::new(case)));
        assert_eq!(told, ["case.zip", "case.zip", "'a/my case.zip'"]);
        let here = package_of(Path::new("."));
        assert!(here.strip_suffix(".zip").is_some_and(|name| !name.ends_with('/') && name.starts_with('/')), "{here}");
    }
}
