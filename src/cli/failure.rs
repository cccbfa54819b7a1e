//! From the library's errors to what a person needs to hear and to the exit code: the same fault of a case ends every command alike.

use std::error::Error;

use crate::case::{CASE_TOML, CaseError};
use crate::model::{Sha256Hash, WindowError, printable};
use crate::package::PackageError;
use crate::seal::SealError;

use super::Exit;

/// What the system's refusal means for the evidence.
const NOTHING_SAID: &str = "This says nothing about the evidence, which is as it was.";

/// Why a command ended early: what failed, what it means for the evidence, what to do next.
#[derive(Debug)]
pub(super) struct CliError {
    /// What failed, on what, and each cause below it.
    pub(super) what: Vec<String>,
    /// What it means for the evidence.
    pub(super) evidence: Option<String>,
    /// What to do.
    pub(super) next: Option<String>,
    /// The exit code.
    pub(super) exit: Exit,
    /// Whether a result on standard output has said it already.
    pub(super) told: bool,
    /// The ledger as a run left it that did not come to its end: its lines, and their Merkle root.
    pub(super) ledger: Option<Box<(u64, Sha256Hash)>>,
}

impl CliError {
    /// An error with its causes.
    pub(super) fn new(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut what = Vec::new();
        let mut cause = Some(error);
        while let Some(error) = cause {
            what.push(one_line(&error.to_string()));
            cause = error.source();
        }
        Self { what, evidence: None, next: None, exit, told: false, ledger: None }
    }

    /// A mistake on the command line.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self { what: vec![what.into()], evidence: None, next: None, exit: Exit::Usage, told: false, ledger: None }
    }

    /// Something that could not be done.
    pub(super) fn failed(what: impl Into<String>) -> Self {
        Self { what: vec![what.into()], evidence: None, next: None, exit: Exit::Failed, told: false, ledger: None }
    }

    /// A file that was named on the command line could not be read.
    pub(super) fn unreadable(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let path = printable(&path.display().to_string());
        Self::usage(format!("cannot read {what} `{path}`: {error}"))
            .meaning("Nothing was checked, and nothing was written.")
            .next("Check the path, and whether you may read it.")
    }

    /// A file that was named on the command line does not hold what it should.
    pub(super) fn not_understood(path: &std::path::Path, error: &(dyn Error + 'static)) -> Self {
        let mut explained = Self::new(Exit::Usage, error);
        explained.what.insert(0, printable(&format!("`{}` does not hold what it should", path.display())));
        explained.meaning("Nothing was checked, and nothing was written.").next("Mend the file, or name another one.")
    }

    /// The result did not reach standard output.
    pub(super) fn unwritten(error: &std::io::Error) -> Self {
        let mut unwritten = Self::new(Exit::Failed, error);
        unwritten.what.insert(0, "the result could not be written to standard output".to_owned());
        unwritten.meaning("What the command did stands; only its answer was not told, or not all of it.").next(
            "Write it somewhere else, or make room. Of a case, `caselock status` and `caselock verify` tell all of it again.",
        )
    }

    /// The same error of a command that found out what outranks it: an integrity failure stays one, told or not.
    pub(super) fn after(self, found: Exit) -> Self {
        if found == Exit::Integrity { Self { exit: found, ..self } } else { self }
    }

    /// A file that would have been written is there already: run again, it would fail again.
    pub(super) fn is_there(path: &std::path::Path) -> Self {
        let path = printable(&path.display().to_string());
        Self::usage(format!("`{path}` is there already"))
            .meaning("It was left as it is, for caselock replaces no file; the case is unchanged.")
            .next("Choose another name, or move that file away first.")
    }

    /// The JSON document that every command prints for an error.
    pub(super) fn document(&self) -> serde_json::Value {
        let mut document = serde_json::json!({ "error": self.what, "evidence": self.evidence, "next": self.next });
        if let (Some(ledger), Some(fields)) = (&self.ledger, document.as_object_mut()) {
            let (lines, root) = **ledger;
            fields.insert("ledger_lines".to_owned(), lines.into());
            fields.insert("ledger_root".to_owned(), root.to_string().into());
        }
        document
    }

    /// The same error after a result that has its document in it: there is one document on standard output.
    pub(super) fn told_in_result(self) -> Self {
        Self { told: true, ..self }
    }

    /// Says what it means for the evidence.
    pub(super) fn meaning(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = Some(evidence.into());
        self
    }

    /// Says what to do next.
    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Text of others in one line, as some write several.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        let between = if line.is_empty() {
            ""
        } else if line.ends_with([':', ';', ',']) {
            " "
        } else {
            "; "
        };
        line.push_str(between);
        line.push_str(part);
    }
    printable(&line)
}

impl From<WindowError> for CliError {
    fn from(error: WindowError) -> Self {
        let next = match &error {
            WindowError::Reversed { .. } => "Swap --start and --end. All times are compared in UTC.",
            WindowError::TooLong { .. } => "Start later: CloudTrail exists since November 2013.",
            WindowError::InTheFuture { .. } => {
                "Evidence that does not exist yet cannot be collected. Leave --end out to mean now, and check this machine's clock."
            }
            WindowError::NotATime { .. } | WindowError::NoOffset { .. } => {
                "For example: --start 2026-03-01T09:00:00Z --end 2026-03-01T21:00:00+01:00, or --start -48h"
            }
        };
        Self::new(Exit::Usage, &error).meaning("Nothing was written, and AWS was not asked.").next(next)
    }
}

impl Exit {
    /// How a command ends that a case stood in the way of. What would fail again for ever is the command line's mistake.
    pub(super) fn of_case(error: &CaseError) -> Self {
        match error {
            error if error.is_integrity_failure() => Self::Integrity,
            CaseError::NotACase { .. } | CaseError::NoCase { .. } | CaseError::Sealed { .. } => Self::Usage,
            _ => Self::Failed,
        }
    }

    /// How a command ends that could not seal.
    pub(super) fn of_seal(error: &SealError) -> Self {
        match error {
            SealError::Case(error) => Self::of_case(error),
            error if error.is_integrity_failure() => Self::Integrity,
            SealError::Empty | SealError::Announced { .. } | SealError::NotSignedFor { .. } => Self::Usage,
            _ => Self::Failed,
        }
    }

    /// How a command ends that could not read or write a package.
    pub(super) fn of_package(error: &PackageError) -> Self {
        match error {
            PackageError::Case(error) => Self::of_case(error),
            error if error.is_integrity_failure() => Self::Integrity,
            PackageError::Unsealed { .. }
            | PackageError::NoCheckpoint { .. }
            | PackageError::NothingIncluded { .. }
            | PackageError::Recipient { .. }
            | PackageError::Exists { .. }
            | PackageError::Name { .. }
            | PackageError::TooManyParts { .. } => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<CaseError> for CliError {
    fn from(error: CaseError) -> Self {
        let base = Self::new(Exit::of_case(&error), &error);
        match &error {
            CaseError::Io(refused) if error.is_integrity_failure() && refused.path.ends_with(CASE_TOML) => {
                base
                    .meaning("The file that tells which case this is was taken away. Nothing was written.")
                    .next("Keep the folder as it is, and compare it with a copy or a package.")
            }
            CaseError::Io(_) if error.is_changed_member() => base
                .meaning("The package was changed or damaged after it was written: what is in it proves nothing. Nothing was written.")
                .next("Compare its SHA-256 with the one that was handed over with it, and ask for another copy."),
            CaseError::Io(refused) => {
                base.meaning(NOTHING_SAID).next(after(&refused.source))
            }
            CaseError::NotACase { .. } => base
                .meaning("Nothing was written: evidence is never mixed with other files.")
                .next("Name a folder that does not exist yet, or an empty one."),
            // Those that take a package as well have opened it as one.
            CaseError::NoCase { path } if path.is_file() => base
                .meaning("Nothing was read or written.")
                .next("This command takes the case folder, which holds custody/case.toml. A package can be verified, reported on and transferred."),
            CaseError::NoCase { path } if is_nowhere(path) => {
                Self::usage(format!("there is no file or folder `{}`", printable(&path.display().to_string())))
                    .meaning("Nothing was read or written.")
                    .next("Check how it is spelled, and the folder that you are in.")
            }
            CaseError::NoCase { .. } => base
                .meaning("Nothing was read or written.")
                .next("Name the folder that collect wrote (it holds custody/case.toml), or a package ending in .zip."),
            CaseError::LedgerGone { .. } => base
                .meaning("The ledger is gone, and evidence is there that it told of: somebody or something took it away. Nothing was written.")
                .next("Keep the folder as it is, and look for the ledger in a copy or a package. `caselock verify` tells what can still be said."),
            CaseError::Sealed { .. } => base
                .meaning("A sealed case takes no more evidence: its seal covers exactly what it holds.")
                .next("Collect into a new folder, under the same case number if it belongs to the same matter."),
            CaseError::Locked { .. } => base
                .meaning("Nothing was written: only one process may extend a case at a time.")
                .next("Wait until the other one has ended; `caselock status` may be used meanwhile."),
            CaseError::BrokenLedger { .. } => base
                .meaning("The ledger was changed after it was written, so nothing may be added to it.")
                .next("Run `caselock verify` on the folder for the whole picture, and keep the folder as it is."),
            CaseError::Malformed { .. } => base
                .meaning("The file was changed after it was written, or it was written by another version.")
                .next("Keep the folder as it is, and compare it with a copy or a package."),
            CaseError::AlreadyWritten { .. } => base
                .meaning("What is there was kept: a case never replaces a file.")
                .next("Run `caselock verify` on the folder."),
            CaseError::Poisoned => {
                base.meaning("Everything the ledger names is safe.").next("Run the same command again.")
            }
        }
    }
}

impl CliError {
    /// What stood in the way of a collection whose ledger is there, so that it can be gone on with.
    #[cfg(feature = "acquire")]
    pub(super) fn of_collection(error: CaseError) -> Self {
        let explained = Self::from(error);
        match explained.evidence.as_deref() {
            Some(NOTHING_SAID) => {
                explained.meaning("Everything the ledger names is safe; what was under way is fetched again.")
            }
            _ => explained,
        }
    }
}

/// Whether nothing at all has this name.
fn is_nowhere(path: &std::path::Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// What to do about the system's refusal.
fn after(refusal: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match refusal.kind() {
        StorageFull | QuotaExceeded => "Make room on the disk, then run the same command again.",
        ReadOnlyFilesystem => {
            "This command writes, and that medium cannot be written to: copy what is on it to a disk, and name the copy."
        }
        PermissionDenied => "Run it as somebody who may, or on a copy of your own.",
        NotFound => "Check the path.",
        _ => "Mend the cause, then run the same command again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::PathError;

    #[test]
    fn the_same_fault_of_a_case_ends_every_command_alike() {
        let faults: [fn() -> CaseError; 5] = [
            || CaseError::LedgerGone { path: "case".into() },
            || CaseError::Malformed { path: "case/custody/case.toml".into(), problem: "it is another".to_owned() },
            || CaseError::AlreadyWritten { path: "case/bagit.txt".into() },
            || CaseError::NoCase { path: "case".into() },
            || CaseError::Locked { path: "case".into() },
        ];
        let integrity = [Exit::Integrity; 3].into_iter();
        for (fault, exit) in faults.into_iter().zip(integrity.chain([Exit::Usage, Exit::Failed])) {
            let itself = CliError::from(fault()).exit;
            let sealing = Exit::of_seal(&SealError::Case(fault()));
            let packaging = Exit::of_package(&PackageError::Case(fault()));
            assert_eq!([itself, sealing, packaging], [exit; 3], "{}", fault());
        }
    }

    #[cfg(feature = "acquire")]
    #[test]
    fn only_a_collection_is_told_that_it_goes_on_where_it_stopped() {
        let fault = |kind: std::io::ErrorKind| CaseError::from(PathError::new("open", "case/x", kind));
        let full = || fault(std::io::ErrorKind::StorageFull);
        let collected = CliError::of_collection(full());
        assert!(collected.evidence.unwrap().contains("what was under way is fetched again"));
        let elsewhere = CliError::from(full());
        assert_eq!(elsewhere.evidence.as_deref(), Some(NOTHING_SAID));
        assert!(elsewhere.next.unwrap().starts_with("Make room"));
        let read_only = CliError::from(fault(std::io::ErrorKind::ReadOnlyFilesystem));
        assert!(read_only.next.is_some_and(|next| next.contains("cannot be written to") && !next.contains("again")));
        let locked = CliError::of_collection(CaseError::Locked { path: "case".into() });
        assert!(locked.evidence.unwrap().starts_with("Nothing was written"));
    }

    #[test]
    fn what_would_fail_again_for_ever_is_usage() {
        let unsealed = PackageError::Unsealed { path: "case".into() };
        let parts = PackageError::TooManyParts { parts: 10_000, most: 999, smallest: 4096 };
        assert_eq!([Exit::of_package(&unsealed), Exit::of_package(&parts)], [Exit::Usage; 2]);
        assert_eq!(Exit::of_package(&PackageError::Busy { path: "p.zip.part".into() }), Exit::Failed);
    }

    #[test]
    fn what_others_say_in_several_lines_is_told_in_one() {
        let chain = "no credentials found in chain. Attempted:\n  Environment: not set\n  Profile: no profile\u{1b}\n";
        let error = CliError::new(Exit::Failed, &std::io::Error::other(chain));
        let told = "no credentials found in chain. Attempted: Environment: not set; Profile: no profile\\u{1b}";
        assert_eq!(error.what, [told]);
    }
}
