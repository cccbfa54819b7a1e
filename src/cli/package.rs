//! A sealed case becomes one file, numbered parts, a disclosure or an encrypted package; of the case only the ledger grows, by that act.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::case::event::{Encrypted, Event, PackageCreated};
use crate::case::{CaseFolder, CaseWriter};
#[cfg(feature = "encrypt")]
use crate::package::read_recipients;
use crate::package::{
    Delivery, Glob, PackageError, PackageSummary, Progress, write_disclosure_with, write_package_with, write_parts_with,
};

use super::destination::refuse_file_in_case;
use super::output::{Output, bytes, thousands};
use super::progress::following;
use super::tool::{look_at_this_tool, this_tool};
use super::{CliError, Exit, shell};

/// Write a sealed case as one zip file for handover.
///
/// The package holds exactly what the latest seal covers. The same sealed case gives the same bytes on any machine, so a package can be
/// rebuilt and compared. Beside it lies its SHA-256. No file is ever replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock package IR-2026-014 -o IR-2026-014.zip
  caselock package IR-2026-014 -o IR-2026-014.zip --split-size 4GiB
  caselock package IR-2026-014 -o part.zip --include '**/us-east-1/**'")]
pub(super) struct PackageArguments {
    /// The case folder.
    case: PathBuf,
    /// The zip file to write, not in a case; an existing file is never replaced; the very same package there is fine.
    #[arg(long, short = 'o', value_name = "FILE")]
    out: PathBuf,
    /// Disclose only these artifacts, with proofs that they belong to the sealed case, and nothing about the rest. A path in the case
    /// or `s3://BUCKET/KEY`, in which `*` stands for a part of a name and `**` for any folders.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Write several packages, each with at most this much evidence, such as 4GiB or 700MB (a bare number is bytes); a larger file has one of its
    /// own.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "include")]
    split_size: Option<u64>,
    /// Encrypt the package for this recipient, and write only FILE.age: an age recipient, an SSH key (ed25519 or RSA), or a file of
    /// them. May be given several times.
    #[cfg(feature = "encrypt")]
    #[arg(long, value_name = "RECIPIENT")]
    encrypt_to: Vec<String>,
}

/// One package, or one part of it.
#[derive(Serialize)]
struct Written {
    path: String,
    size: u64,
    sha256: String,
    files: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<Encrypted>,
}

/// What was written: one package, or its parts.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    One(Written),
    Parts { parts: Vec<Written> },
}

/// A number of bytes as people write it: `700MB`, `4GiB`, `1000000`.
fn parse_size(text: &str) -> Result<u64, String> {
    let malformed = || format!("`{text}` is no size such as 4GiB or 700MB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "kib" | "k" => 1 << 10,
        "mb" => 1_000_000,
        "mib" | "m" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" | "g" => 1 << 30,
        _ => return Err(malformed()),
    };
    let number: u64 = number.parse().map_err(|_| malformed())?;
    number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(malformed)
}

pub(super) fn run(arguments: &PackageArguments, output: &Output) -> Result<Exit, CliError> {
    look_at_this_tool();
    let folder = CaseFolder::open(&arguments.case)?;
    refuse_file_in_case(&arguments.out)?;
    #[cfg(feature = "encrypt")]
    let recipients = read_recipients(&arguments.encrypt_to).map_err(|error| explain(&error))?;
    let mut before = Vec::new();
    let mut writer = CaseWriter::open_showing(&arguments.case, &mut |line| {
        if let Event::PackageCreated(created) = &line.entry.event {
            before.push(created.clone());
        }
    })?;
    let progress = Progress::default();
    let delivery = Delivery::plain(&progress);
    #[cfg(feature = "encrypt")]
    let delivery = delivery.encrypted_for(&recipients);
    let lines = following(output, "packaging", progress.clone());
    let packages = if let Some(limit) = arguments.split_size {
        write_parts_with(&folder, &arguments.out, limit, &delivery)
    } else if arguments.include.is_empty() {
        write_package_with(&folder, &arguments.out, &delivery).map(|package| vec![package])
    } else {
        let include: Vec<Glob> = arguments.include.iter().map(|pattern| Glob::new(pattern)).collect();
        write_disclosure_with(&folder, &include, &arguments.out, &delivery).map(|package| vec![package])
    };
    lines.finish();
    let mut written = Vec::new();
    for package in packages.map_err(|error| explain(&error))? {
        let encrypted = package.encrypted.as_ref().map(|encrypted| Encrypted {
            file: encrypted.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size: encrypted.size,
            sha256: encrypted.sha256,
            #[cfg(feature = "encrypt")]
            recipients: recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect(),
            #[cfg(not(feature = "encrypt"))]
            recipients: Vec::new(),
        });
        if encrypted.is_some() && package.path.symlink_metadata().is_ok() {
            // It was packaged on its own account, and is not taken away for having been encrypted.
            output.note(&format!(
                "{} lies there too, and is NOT encrypted: it was there before, and was left as it is.",
                package.path.display()
            ));
        }
        record(&mut writer, &mut before, &package, &arguments.include, encrypted.as_ref())?;
        let path = match &encrypted {
            Some(encrypted) => package.path.with_file_name(&encrypted.file),
            None => package.path.clone(),
        };
        written.push(Written {
            path: path.display().to_string(),
            size: package.size,
            sha256: package.sha256.to_string(),
            files: package.files,
            encrypted,
        });
    }
    let outcome = match written.len() {
        1 if arguments.split_size.is_none() => Outcome::One(written.remove(0)),
        _ => Outcome::Parts { parts: written },
    };
    output.result(&outcome, || text(&outcome))?;
    Ok(Exit::Done)
}

/// Writing the same package again, as after an attempt that was cut off, is no other act; encrypting it again is.
fn record(
    writer: &mut CaseWriter,
    before: &mut Vec<PackageCreated>,
    package: &PackageSummary,
    include: &[String],
    encrypted: Option<&Encrypted>,
) -> Result<(), CliError> {
    let name = package.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_recorded = before
        .iter()
        .any(|created| created.sha256 == package.sha256 && created.file == name && created.encrypted.as_ref() == encrypted);
    if !is_recorded {
        let created = PackageCreated {
            file: name,
            size: package.size,
            sha256: package.sha256,
            seal: package.seal.clone(),
            include: include.to_vec(),
            encrypted: encrypted.cloned(),
            tool: this_tool(),
        };
        before.push(created.clone());
        writer.append(Event::PackageCreated(created))?;
    }
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    let parts = match outcome {
        Outcome::One(one) => std::slice::from_ref(one),
        Outcome::Parts { parts } => parts.as_slice(),
    };
    let (files, size) = parts.iter().fold((0, 0), |(files, size), part| (files + part.files, size + part.size));
    let mut lines = vec![Output::bold(&format!("Packaged: {} files, {}", thousands(files), bytes(size)))];
    for part in parts {
        lines.push(format!("File     {} (its SHA-256 beside it)", part.path));
        match &part.encrypted {
            None => lines.push(format!("SHA-256  {}", part.sha256)),
            Some(encrypted) => {
                lines.push(format!("SHA-256  {}", encrypted.sha256));
                lines.push(format!("SHA-256  {}", part.sha256));
                lines.push("         (the second is that of the zip within)".to_owned());
                for recipient in &encrypted.recipients {
                    lines.push(format!("For      {recipient}"));
                }
            }
        }
    }
    lines.push(String::new());
    lines.push("Write the SHA-256 on the custody form: whoever has it can tell this package".to_owned());
    lines.push("from any other.".to_owned());
    if parts.len() > 1 {
        lines.push("Keep the parts in one folder: each of them is verified with the others.".to_owned());
    }
    let encrypted = parts.iter().filter(|part| part.encrypted.is_some());
    // Parts are found by their names, so each must come out under its own.
    let mut decrypted = encrypted.map(|part| shell::decrypt(Path::new(&part.path))).peekable();
    if decrypted.peek().is_some() {
        lines.push("The recipient:".to_owned());
        lines.extend(decrypted.map(|command| format!("    {command}")));
    } else if let Some(first) = parts.first() {
        lines.push(format!("Next: caselock verify {}", shell::path(Path::new(&first.path))));
    }
    lines.join("\n")
}

fn explain(error: &PackageError) -> CliError {
    if let PackageError::Exists { path } = error {
        let next = if path.extension().is_some_and(|extension| extension == "age") {
            "It may be this package: what is encrypted twice never has the same bytes, so this cannot be told. Choose another name \
             with -o, or move it away first with its .sha256; of parts, all that an attempt which was cut off has left."
        } else {
            "It is not the package that was to be written. Choose another name with -o, or move that file away first."
        };
        return CliError::is_there(path)
            .meaning("No package was written, and what is there was left as it is: caselock replaces no file. The case is unchanged.")
            .next(next);
    }
    let explained = CliError::new(Exit::of_package(error), error);
    if let PackageError::TooManyParts { smallest, .. } = error {
        return explained
            .meaning("No package was written; the case is unchanged.")
            .next(format!("Give a larger size, at least --split-size {smallest}; a bare number is bytes."));
    }
    let next = match error {
        _ if explained.exit == Exit::Integrity => "Run `caselock verify` on the case for the whole picture.",
        PackageError::NothingIncluded { .. } => {
            "Compare the pattern with the paths in manifest-sha256.txt; * stays within a folder, ** does not."
        }
        PackageError::Recipient { .. } => "Give what age-keygen prints as public key, or a public SSH key.",
        PackageError::Unsealed { .. } => {
            "Seal it first: caselock seal CASE --signing-key KEY. A package holds exactly what a seal covers."
        }
        PackageError::NoCheckpoint { .. } => "Seal the case again with this caselock, then disclose from it.",
        PackageError::Busy { .. } => "Wait until the other one has ended, then compare what it wrote.",
        PackageError::Name { .. } => "Name a file with -o, such as CASE.zip.",
        _ => "Mend the cause (room on the disk, rights), then run the same command again.",
    };
    explained.meaning("No package was written; the case is unchanged.").next(next)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [("1000", 1000), ("4GiB", 4 << 30), ("700MB", 700_000_000), ("2 kib", 2048), ("1g", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "0", "-1", "4 parsecs", "GiB", "1.5GiB", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
