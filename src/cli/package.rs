use std::path::PathBuf;

use serde::Serialize;

use crate::case::event::{Event, PackageCreated};
use crate::case::{CaseFolder, CaseWriter};
use crate::package::{Glob, PackageError, write_disclosure, write_package};

use super::output::{Output, bytes, thousands};
use super::tool::this_tool;
use super::{CliError, Exit};

/// Write a sealed case as one zip file for handover.
///
/// The package holds exactly what the latest seal covers. The same sealed case gives the same bytes on any machine, so a package can be
/// rebuilt and compared. Beside it lies its SHA-256.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: caselock package IR-2026-014 -o IR-2026-014.zip\n          \
    caselock package IR-2026-014 -o part.zip --include 's3://trail-bucket/**/us-east-1/2026/03/01/*'")]
pub(super) struct PackageArguments {
    /// The case folder.
    case: PathBuf,
    /// The zip file to write; it must not exist.
    #[arg(long, short = 'o', value_name = "FILE")]
    out: PathBuf,
    /// Disclose only these artifacts, with proofs that they belong to the sealed case, and nothing about the rest. A path in the case
    /// or `s3://BUCKET/KEY`, in which `*` stands for a part of a name and `**` for any folders.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
}

#[derive(Serialize)]
struct Written {
    path: String,
    size: u64,
    sha256: String,
    files: u64,
}

pub(super) fn run(arguments: &PackageArguments, output: &Output) -> Result<Exit, CliError> {
    let folder = CaseFolder::open(&arguments.case)?;
    let mut writer = CaseWriter::open(&arguments.case)?;
    let package = if arguments.include.is_empty() {
        write_package(&folder, &arguments.out)
    } else {
        let include: Vec<Glob> = arguments.include.iter().map(|pattern| Glob::new(pattern)).collect();
        write_disclosure(&folder, &include, &arguments.out)
    };
    let package = package.map_err(|error| explain(&error))?;
    let name = package.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Writing the same package again, as after an attempt that was cut off, is no other act.
    let mut recorded = false;
    writer.read_ledger(&mut |line| {
        recorded |= matches!(&line.entry.event, Event::PackageCreated(created) if created.sha256 == package.sha256 && created.file == name);
    })?;
    if !recorded {
        writer.append(Event::PackageCreated(PackageCreated {
            file: name,
            size: package.size,
            sha256: package.sha256,
            seal: package.seal.clone(),
            include: arguments.include.clone(),
            encrypted: None,
            tool: this_tool(),
        }))?;
    }
    let written = Written {
        path: package.path.display().to_string(),
        size: package.size,
        sha256: package.sha256.to_string(),
        files: package.files,
    };
    output.result(&written, || {
        [
            Output::bold(&format!("Packaged: {} files, {}", thousands(written.files), bytes(written.size))),
            format!("File     {} (its SHA-256 beside it)", written.path),
            format!("SHA-256  {}", written.sha256),
            String::new(),
            "Write the SHA-256 on the custody form: whoever has it can tell this package from any other.".to_owned(),
            format!("Next: caselock verify {}", written.path),
        ]
        .join("\n")
    })?;
    Ok(Exit::Done)
}

fn explain(error: &PackageError) -> CliError {
    let (exit, next) = match error {
        PackageError::NothingIncluded { .. } => {
            (Exit::Usage, "Compare the pattern with the paths in manifest-sha256.txt; * stays within a folder, ** does not.")
        }
        PackageError::NoCheckpoint { .. } => (Exit::Failed, "Seal the case again with this caselock, then disclose from it."),
        error if error.is_integrity_failure() => (Exit::Integrity, "Run `caselock verify` on the case for the whole picture."),
        _ => (Exit::Failed, "Run `caselock verify` on the case; a case must be sealed before it is packaged."),
    };
    CliError::new(exit, error).meaning("No package was written; the case is unchanged.").next(next)
}
