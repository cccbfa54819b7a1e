//! Verifies a case and writes the page, or the list of its artifacts, where a command may write. What is in them is made in `report`.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::case::CaseFiles;
use crate::case::read_identity;
use crate::model::{Sha256Hash, Sha256Hasher, Timestamp, printable};
use crate::report::{ExportError, Made, RecordFormat, read_facts, report_page, write_case_uco, write_records};
use crate::seal::read_seals;
use crate::verify::{Options, Report};

use super::configuration::ConfigurationFile;
use super::destination::refuse_file_in_case;
use super::output::Output;
use super::progress::line;
use super::tool::{look_at_this_tool, this_tool};
use super::transfer::{hashed, receipts_of};
use super::verify::{
    LimitArguments, exit_of, is_disclosure, open, read_allowed_signers, read_keys, read_roots, verify_showing_progress,
};
use super::{CliError, Exit, shell};

/// Write the report and the forms that people read, as one HTML page, or a list of the evidence for programs.
///
/// Verifies the case, then writes what was acquired, by whom, what is proven and what is not, with a chain-of-custody form and drafts of
/// a certificate and a witness statement. The page needs no script and no network, and prints well. With --format csv, jsonl or case-uco
/// it writes every artifact with its origin and hashes instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock report IR-2026-014 -o IR-2026-014-report.html
  caselock report IR-2026-014.zip --format csv -o artifacts.csv

Without -o the report of an unsealed case is reports/report.html in it, made
anew each time; that of a sealed case or a package lies beside it, for nothing
is written into what is sealed. Exits as verify does with the same options: 3
when something was changed, 4 when incomplete.")]
pub(super) struct ReportArguments {
    /// The case folder, or a package.
    case: PathBuf,
    /// The file to write; it must not exist, and not lie in the case.
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to write: the page for people, a table or JSON lines of all artifacts, or a CASE/UCO graph (JSON-LD). Left out, the name after
    /// -o tells by its ending, and without one it is the page.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Who may seal: an allowed signers file of OpenSSH that you trust.
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// Who may stamp the time: root certificates of time-stamping authorities, in PEM, that you trust.
    #[arg(long, value_name = "FILE")]
    tsa_roots: Option<PathBuf>,
    /// Public keys obtained another way, as REGION=FILE with a saved answer of `ListPublicKeys`; used instead of those in the case.
    #[arg(long, value_name = "REGION=FILE")]
    keys: Vec<String>,
    /// A receipt of the package that does not lie beside it; those that do are read anyway.
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
    #[command(flatten)]
    file: ConfigurationFile,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One page for people, with the forms.
    Html,
    /// A table for spreadsheets; no cell of it is a formula.
    Csv,
    /// One JSON object an artifact and line.
    Jsonl,
    /// The forensic community's exchange format, CASE/UCO, in JSON-LD.
    CaseUco,
}

impl Format {
    /// What such a file is called in the case, and beside it after a hyphen.
    fn file_name(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Csv => "artifacts.csv",
            Self::Jsonl => "artifacts.jsonl",
            Self::CaseUco => "case-uco.jsonld",
        }
    }

    /// What a file of this name is to hold.
    fn of(name: &Path) -> Option<Self> {
        match name.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "html" | "htm" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "jsonl" => Some(Self::Jsonl),
            "jsonld" => Some(Self::CaseUco),
            _ => None,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Html => "Open it in any browser; print it to sign the forms at its end.",
            Self::Csv => {
                "Import every column as text. Cells that begin like a formula have an apostrophe in front; JSON lines are exact."
            }
            Self::Jsonl => "One artifact a line, every value exactly as in the ledger.",
            Self::CaseUco => "case_validate of the PyPI package case-utils checks it.",
        }
    }
}

#[derive(Serialize)]
struct Written {
    path: String,
    sha256: Sha256Hash,
    verdict: &'static str,
}

pub(super) fn run(mut arguments: ReportArguments, output: &Output) -> Result<Exit, CliError> {
    look_at_this_tool();
    let format = format(&arguments)?;
    let mut defaults = arguments.file.read()?;
    defaults.fill_trust(&mut arguments.allowed_signers, &mut arguments.tsa_roots);
    defaults.note(output);
    let files = open(&arguments.case)?;
    let allowed = arguments.allowed_signers.as_deref().map(read_allowed_signers).transpose()?;
    if is_disclosure(&*files) {
        return Err(CliError::usage("a disclosure has no report: it shows some files of a case, and not the case")
            .meaning("Nothing was written.")
            .next(format!("All that it proves: caselock verify {}", shell::path(&arguments.case))));
    }
    // A report needs an identity; verification alone could do without.
    read_identity(&*files)?;
    let roots = arguments.tsa_roots.as_deref().map(read_roots).transpose()?;
    let keys = read_keys(&arguments.keys)?;
    let receipts = receipts_of(&arguments.case, &arguments.receipt, output)?;
    let wanted = Options {
        allowed_signers: allowed.as_ref(),
        authority_roots: roots.as_ref(),
        keys: keys.as_ref(),
        receipts: receipts.as_ref().map(|(packages, receipts)| (packages.as_slice(), receipts.as_slice())),
        limits: arguments.limits.limits(),
        ..Options::default()
    };
    let sealed = !read_seals(&*files)?.is_empty();
    let place = match &arguments.out {
        Some(out) => Place { path: out.clone(), replaces: false },
        None if arguments.case.is_file() || sealed => Place { path: beside(&arguments.case, format), replaces: false },
        None => Place { path: arguments.case.join("reports").join(format.file_name()), replaces: true },
    };
    // Verifying may take an hour; what cannot be written then can be told now.
    if !place.replaces {
        refuse_file_in_case(&place.path)?;
    }
    if !place.replaces && place.path.symlink_metadata().is_ok() {
        return Err(CliError::is_there(&place.path));
    }
    let report = verify_showing_progress(&*files, &wanted, output)?;
    let (lines, _) = line(output, "writing");
    let sha256 = match format {
        Format::Html => {
            let page = page(&arguments.case, &*files, &report, output)?;
            write(&place, &|out| Ok(out.write_all(page.as_bytes())?))
        }
        Format::Csv => write(&place, &|out| write_records(&*files, RecordFormat::Csv, out).map(drop)),
        Format::Jsonl => write(&place, &|out| write_records(&*files, RecordFormat::JsonLines, out).map(drop)),
        Format::CaseUco => write(&place, &|out| write_case_uco(&*files, out).map(drop)),
    }?;
    lines.finish();
    let written = Written { path: place.path.display().to_string(), sha256, verdict: report.verdict.as_str() };
    output
        .result(&written, || {
            format!(
                "{}\nSHA-256  {}\nVerdict  {}\n\n{}",
                Output::bold(&format!("Report: {}", written.path)),
                written.sha256,
                written.verdict,
                format.hint()
            )
        })
        .map_err(|error| error.after(exit_of(report.verdict)))?;
    Ok(exit_of(report.verdict))
}

/// What to write: as it was said, or as the file's name says.
fn format(arguments: &ReportArguments) -> Result<Format, CliError> {
    let Some(out) = &arguments.out else { return Ok(arguments.format.unwrap_or(Format::Html)) };
    if out.as_os_str() == "-" {
        return Err(CliError::usage("`-` is no file: a report is never written to standard output, which has the verdict")
            .meaning("Nothing was checked, and nothing was written.")
            .next("Name a file with -o, or leave -o out."));
    }
    // An ending that says something else would be written on what is a page all the same.
    match (arguments.format.or_else(|| Format::of(out)), out.extension()) {
        (Some(format), _) => Ok(format),
        (None, None) => Ok(Format::Html),
        (None, Some(ending)) => {
            let ending = printable(&ending.display().to_string());
            Err(CliError::usage(format!("no format of a report has names that end in .{ending}"))
                .meaning("Nothing was checked, and nothing was written.")
                .next("Name the file .html, .csv, .jsonl or .jsonld, or say with --format what is to be in it."))
        }
    }
}

/// The page for people.
fn page(case: &Path, files: &dyn CaseFiles, report: &Report, output: &Output) -> Result<String, CliError> {
    let mut facts = read_facts(files)?;
    if case.is_file() {
        facts.packages_read = hashed(case, output)?;
    }
    Ok(report_page(&facts, report, &Made { at: Timestamp::new(chrono::Utc::now()), tool: this_tool() }))
}

/// Where the file goes.
struct Place {
    path: PathBuf,
    replaces: bool,
}

/// `IR-1` and `IR-1.zip` have `IR-1-report.html` beside them.
fn beside(case: &Path, format: Format) -> PathBuf {
    // As it was named, but where it has no name of its own: `.` or `..`.
    let case = match case.file_name() {
        Some(_) => case.to_owned(),
        None => case.canonicalize().unwrap_or_else(|_| case.to_owned()),
    };
    let name = if case.is_file() { case.file_stem() } else { case.file_name() };
    let mut name = name.map_or_else(|| OsString::from("case"), ToOwned::to_owned);
    name.push("-");
    name.push(format.file_name());
    case.with_file_name(name)
}

/// Passes bytes on, and hashes them.
struct Hashing<W> {
    out: W,
    hasher: Sha256Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a file, from whatever `content` writes into it, and gives its SHA-256.
#[expect(clippy::disallowed_methods, reason = "a report is derived, no evidence")]
fn write(place: &Place, content: &dyn Fn(&mut dyn Write) -> Result<(), ExportError>) -> Result<Sha256Hash, CliError> {
    let path = &place.path;
    let failed = |error: ExportError| {
        let source = match error {
            ExportError::Io(source) => source,
            ExportError::Case(error) => return error.into(),
        };
        if source.kind() == io::ErrorKind::AlreadyExists {
            return CliError::is_there(path);
        }
        let mut error = CliError::new(Exit::Failed, &source);
        error.what.insert(0, printable(&format!("cannot write `{}`", path.display())));
        error.meaning("The case is unchanged.").next("Mend the cause, or write somewhere else with -o.")
    };
    let create = |path: &Path| -> Result<Sha256Hash, ExportError> {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut out = BufWriter::new(Hashing { out: &file, hasher: Sha256Hasher::default() });
        let written = content(&mut out).and_then(|()| Ok(out.flush()?)).and_then(|()| Ok(file.sync_all()?));
        // No part of a file is ever taken for the whole.
        written.inspect_err(|_| drop(std::fs::remove_file(path)))?;
        let (hashing, _) = out.into_parts();
        Ok(hashing.hasher.finish())
    };
    if !place.replaces {
        return create(path).map_err(failed);
    }
    // A name of its own first, so that no half-written file is ever taken for a report.
    let part = path.with_extension(format!("part-{}", std::process::id()));
    let folder = path.parent().unwrap_or(path);
    let write = || -> Result<Sha256Hash, ExportError> {
        std::fs::create_dir_all(folder)?;
        if folder.symlink_metadata()?.is_symlink() {
            return Err(io::Error::other("the folder for reports is a symbolic link").into());
        }
        let sha256 = create(&part)?;
        std::fs::rename(&part, path)?;
        Ok(sha256)
    };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        report: ReportArguments,
    }

    fn said(line: &str) -> Result<Format, CliError> {
        format(&Line::try_parse_from(format!("report case {line}").split_whitespace()).unwrap().report)
    }

    #[test]
    fn the_name_of_the_file_tells_what_is_wanted_where_nothing_else_does() {
        for (line, expected) in [
            ("", Format::Html),
            ("-o page", Format::Html),
            ("-o a.html", Format::Html),
            ("-o a.CSV", Format::Csv),
            ("-o a.jsonl", Format::Jsonl),
            ("-o a.jsonld", Format::CaseUco),
            ("-o a.txt --format csv", Format::Csv),
            ("--format case-uco", Format::CaseUco),
        ] {
            assert_eq!(said(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_name_that_ends_like_no_format_is_refused_unless_the_format_is_said() {
        for name in ["x.json", "x.pdf", "x.txt2", "x.html.bak", "2026.03"] {
            assert!(said(&format!("-o {name}")).is_err_and(|error| error.exit == Exit::Usage), "{name}");
            assert_eq!(said(&format!("-o {name} --format html")).unwrap(), Format::Html, "{name}");
        }
    }

    #[test]
    fn standard_output_is_no_file() {
        assert!(said("--format csv -o -").is_err_and(|error| error.exit == Exit::Usage));
    }
}
