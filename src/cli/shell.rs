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

/// The command that decrypts a package, which comes out under the name that it had before, beside it or wherever the recipient is.
pub(super) fn decrypt(encrypted: &Path) -> String {
    let is_age = encrypted.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("age"));
    let out = if is_age { encrypted.file_stem().map(Path::new) } else { None };
    format!("age --decrypt -i KEY -o {} {}", path(out.unwrap_or(Path::new("PACKAGE.zip"))), path(encrypted))
}

/// What the package of a case folder is called, beside it.
pub(super) fn package_of(case: &Path) -> String {
    path(&named_beside(case, ".zip"))
}

/// What another package of a case folder is called, beside it, where earlier ones lie there: no file is ever replaced.
pub(super) fn new_package_of(case: &Path) -> String {
    let is_free = |path: &PathBuf| {
        let encrypted = path.with_extension("zip.age");
        [path, &encrypted].iter().all(|path| path.symlink_metadata().is_err())
    };
    let numbered = (2..1000).map(|number| named_beside(case, &format!("-{number}.zip")));
    let first = named_beside(case, ".zip");
    path(&std::iter::once(first.clone()).chain(numbered).find(is_free).unwrap_or(first))
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
    fn what_is_decrypted_has_the_name_that_it_had() {
        let told = ["p.part-1-of-3.zip.age", "a/p.zip.age", "p.bin"].map(|name| decrypt(Path::new(name)));
        assert_eq!(
            told,
            [
                "age --decrypt -i KEY -o p.part-1-of-3.zip p.part-1-of-3.zip.age",
                "age --decrypt -i KEY -o p.zip a/p.zip.age",
                "age --decrypt -i KEY -o PACKAGE.zip p.bin"
            ]
        );
    }

    #[test]
    fn a_path_that_begins_like_an_option_is_told_from_one() {
        assert_eq!(path(Path::new("-v")), "./-v");
        assert_eq!(path(Path::new("-v x")), "'./-v x'");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test writes files that stand for packages")]
    fn another_package_has_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let case = folder.path().join("IR-1");
        let named = || new_package_of(&case).rsplit_once('/').unwrap().1.to_owned();
        for (expected, then) in [("IR-1.zip", "IR-1.zip"), ("IR-1-2.zip", "IR-1-2.zip.age"), ("IR-1-3.zip", "x")] {
            assert_eq!(named(), expected);
            std::fs::write(folder.path().join(then), "").unwrap();
        }
    }

    #[test]
    fn a_package_lies_beside_its_case_however_the_folder_was_written() {
        let told = ["case", "case/", "a/my case/"].map(|case| package_of(Path::new(case)));
        assert_eq!(told, ["case.zip", "case.zip", "'a/my case.zip'"]);
        let here = package_of(Path::new("."));
        assert!(here.strip_suffix(".zip").is_some_and(|name| !name.ends_with('/') && name.starts_with('/')), "{here}");
    }
}
