//! Where a command may write: never into a case, which holds evidence and what is sealed, and nothing else.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::case::{CASE_TOML, LEDGER};
use crate::model::printable;
use crate::seal::DISCLOSURE;

use super::CliError;

/// Refuses a file to be written that would lie in a case, whichever, or in a folder that is not there.
pub(super) fn refuse_file_in_case(file: &Path) -> Result<(), CliError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = folder.canonicalize().map_err(|error| {
        let folder = printable(&folder.display().to_string());
        CliError::usage(format!("nothing can be written to the folder `{folder}`: {error}"))
            .meaning("Nothing was written.")
            .next(format!("Make the folder {folder} first."))
    })?;
    refuse_in_case(file, &place)
}

/// Refuses a folder to be filled, there or still to be made, that is a case or would lie in one.
pub(super) fn refuse_folder_in_case(folder: &Path) -> Result<(), CliError> {
    refuse_in_case(folder, &resolved(folder)?)
}

/// Refuses the folder of a new case that would lie in another one.
#[cfg(feature = "acquire")]
pub(super) fn refuse_case_in_case(folder: &Path) -> Result<(), CliError> {
    match resolved(folder)?.parent() {
        Some(around) => refuse_in_case(folder, around),
        None => Ok(()),
    }
}

fn refuse_in_case(asked: &Path, place: &Path) -> Result<(), CliError> {
    let Some(case) = place.ancestors().find(|folder| is_case(folder)) else { return Ok(()) };
    let [asked, case] = [asked, case].map(|path| printable(&path.display().to_string()));
    Err(CliError::usage(format!("`{asked}` lies in the case `{case}`"))
        .meaning("Nothing was written: a case holds evidence and what is sealed, nothing else.")
        .next("Name a place outside the case."))
}

/// Whether a folder is a case, or what was unpacked of one.
fn is_case(folder: &Path) -> bool {
    [CASE_TOML, LEDGER, DISCLOSURE].iter().any(|file| folder.join(file).symlink_metadata().is_ok())
}

/// Where a folder lies or will lie, whatever links lead there.
fn resolved(folder: &Path) -> Result<PathBuf, CliError> {
    let refused = |error: io::Error| {
        let folder = printable(&folder.display().to_string());
        CliError::usage(format!("nothing can be written to the folder `{folder}`: {error}")).meaning("Nothing was written.")
    };
    let whole = std::path::absolute(folder).map_err(refused)?;
    for there in whole.ancestors() {
        let mut place = match there.canonicalize() {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(refused(error)),
        };
        // What is not there yet will be made of plain folders.
        for component in whole.strip_prefix(there).unwrap_or(Path::new("")).components() {
            match component {
                Component::ParentDir => {
                    place.pop();
                }
                other => place.push(other),
            }
        }
        return Ok(place);
    }
    Ok(whole)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make a folder that looks like a case")]
mod tests {
    use std::fs;

    use super::super::Exit;
    use super::*;

    /// A folder with a case in it, and a link that leads there.
    fn case() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("case/custody/seals")).unwrap();
        fs::create_dir_all(folder.path().join("case/data")).unwrap();
        fs::write(folder.path().join("case").join(LEDGER), "").unwrap();
        std::os::unix::fs::symlink("case/data", folder.path().join("link")).unwrap();
        folder
    }

    #[test]
    fn a_file_in_a_case_is_refused_whatever_leads_there() {
        let folder = case();
        for file in ["case/x.zip", "case/data/x.zip", "link/x.zip", "case/data/../custody/seals/x.zip"] {
            let refused = refuse_file_in_case(&folder.path().join(file)).unwrap_err();
            assert!(refused.exit == Exit::Usage && refused.what[0].contains("lies in the case"), "{file}: {refused:?}");
        }
        for file in ["x.zip", "case.zip", "link/../../x.zip"] {
            refuse_file_in_case(&folder.path().join(file)).unwrap();
        }
    }

    #[test]
    fn a_file_in_a_folder_that_is_not_there_is_refused() {
        let folder = case();
        let refused = refuse_file_in_case(&folder.path().join("nowhere/x.zip")).unwrap_err();
        assert!(refused.exit == Exit::Usage && refused.next.unwrap().starts_with("Make the folder"), "{:?}", refused.what);
    }

    #[test]
    fn a_folder_in_a_case_is_refused_before_it_is_there() {
        let folder = case();
        for place in ["case", "case/pages", "case/a/b/c", "link/pages", "nowhere/../case/pages"] {
            assert!(refuse_folder_in_case(&folder.path().join(place)).is_err(), "{place}");
        }
        for place in ["pages", "a/b/c", "case/../pages", "case/nowhere/../../pages"] {
            refuse_folder_in_case(&folder.path().join(place)).unwrap();
        }
    }

    #[cfg(feature = "acquire")]
    #[test]
    fn a_case_may_be_gone_on_with_and_holds_no_other() {
        let folder = case();
        refuse_case_in_case(&folder.path().join("case")).unwrap();
        assert!(refuse_case_in_case(&folder.path().join("case/data/other")).is_err());
    }
}
