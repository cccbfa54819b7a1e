use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::case::read_identity;
use crate::model::{HashingReader, Sha256Hash, Timestamp};
use crate::report::{Made, PackageFacts, read_facts, report_page};
use crate::verify::Options;

use super::output::Output;
use super::tool::this_tool;
use super::transfer::receipts_of;
use super::verify::{exit_of, open, read_allowed_signers, read_roots, verify_showing_progress};
use super::{CliError, Exit};

/// Write the report and the forms that people read, as one HTML page.
///
/// Verifies the case, then writes what was acquired, by whom, what is proven and what is not, with a chain-of-custody form and drafts of
/// a certificate and a witness statement. The page needs no script and no network, and prints well.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: caselock report IR-2026-014 -o IR-2026-014-report.html\n\n\
    Without -o the report of an unsealed case is reports/report.html in it, made anew each time; that of a sealed case or a package\n\
    lies beside it, for nothing is written into what is sealed. Exits as verify does: 3 when something was changed, 4 when incomplete.")]
pub(super) struct ReportArguments {
    /// The case folder, or a package.
    case: PathBuf,
    /// The page to write; it must not exist, and not lie in the case.
    #[arg(long, short = 'o', value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Who may seal: an allowed signers file of OpenSSH that you trust.
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// Who may stamp the time: root certificates of time-stamping authorities, in PEM, that you trust.
    #[arg(long, value_name = "FILE")]
    tsa_roots: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    path: String,
    sha256: Sha256Hash,
    verdict: &'static str,
}

pub(super) fn run(arguments: &ReportArguments, output: &Output) -> Result<Exit, CliError> {
    let files = open(&arguments.case)?;
    let allowed = arguments.allowed_signers.as_deref().map(read_allowed_signers).transpose()?;
    // A report needs an identity; verification alone could do without.
    read_identity(&*files)?;
    let roots = arguments.tsa_roots.as_deref().map(read_roots).transpose()?;
    let receipts = receipts_of(&arguments.case, &[])?;
    let wanted = Options {
        allowed_signers: allowed.as_ref(),
        authority_roots: roots.as_ref(),
        receipts: receipts.as_ref().map(|(package, receipts)| (package, receipts.as_slice())),
        ..Options::default()
    };
    let report = verify_showing_progress(&*files, &wanted, output)?;
    let mut facts = read_facts(&*files)?;
    let is_package = arguments.case.is_file();
    if is_package {
        facts.package = Some(package_facts(&arguments.case)?);
    }
    let place = match &arguments.out {
        Some(out) => elsewhere(&arguments.case, out)?,
        None if is_package || !report.seals.is_empty() => Place { path: beside(&arguments.case), replaces: false },
        None => Place { path: arguments.case.join("reports").join("report.html"), replaces: true },
    };
    let made = Made { at: Timestamp::new(chrono::Utc::now()), tool: this_tool() };
    let page = report_page(&facts, &report, &made);
    write(&place, page.as_bytes())?;
    let written = Written {
        path: place.path.display().to_string(),
        sha256: Sha256Hash::of(page.as_bytes()),
        verdict: report.verdict.as_str(),
    };
    output.result(&written, || {
        format!(
            "{}\nSHA-256  {}\nVerdict  {}\n\nOpen it in any browser; print it to sign the forms at its end.",
            Output::bold(&format!("Report: {}", written.path)),
            written.sha256,
            written.verdict
        )
    })?;
    Ok(exit_of(report.verdict))
}

/// Where the page goes.
struct Place {
    path: PathBuf,
    replaces: bool,
}

/// The place that was asked for, which must not be in the case.
fn elsewhere(case: &Path, out: &Path) -> Result<Place, CliError> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder
        .canonicalize()
        .map_err(|error| CliError::new(Exit::Usage, &error).next(format!("Make the folder {} first.", folder.display())))?;
    if case.is_dir() && case.canonicalize().is_ok_and(|case| folder.starts_with(case)) {
        return Err(CliError { exit: Exit::Usage, ..CliError::failed(format!("`{}` lies in the case", out.display())) }
            .meaning("Nothing was written: a case holds evidence and what is sealed, nothing else.")
            .next("Name a file outside the case with -o."));
    }
    Ok(Place { path: out.to_owned(), replaces: false })
}

/// `IR-1` and `IR-1.zip` have `IR-1-report.html` beside them.
fn beside(case: &Path) -> PathBuf {
    let case = case.canonicalize().unwrap_or_else(|_| case.to_owned());
    let name = if case.is_file() { case.file_stem() } else { case.file_name() };
    let mut name = name.map_or_else(|| OsString::from("case"), ToOwned::to_owned);
    name.push("-report.html");
    case.with_file_name(name)
}

#[expect(clippy::disallowed_methods, reason = "a report is derived, no evidence")]
fn write(place: &Place, bytes: &[u8]) -> Result<(), CliError> {
    let path = &place.path;
    let failed = |error: &std::io::Error| {
        let next = if error.kind() == std::io::ErrorKind::AlreadyExists {
            format!("`{}` is there already and was left as it is; choose another name with -o.", path.display())
        } else {
            format!("Mend the cause, or write somewhere else than {} with -o.", path.display())
        };
        CliError::new(Exit::Failed, error).meaning("The case is unchanged.").next(next)
    };
    let create = |path: &Path| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    if !place.replaces {
        return create(path).map_err(|error| failed(&error));
    }
    // A name of its own first, so that no half-written page is ever taken for a report.
    let part = path.with_extension(format!("html.part-{}", std::process::id()));
    let folder = path.parent().unwrap_or(path);
    let write = || {
        std::fs::create_dir_all(folder)?;
        if folder.symlink_metadata()?.is_symlink() {
            return Err(std::io::Error::other("the folder for reports is a symbolic link"));
        }
        create(&part)?;
        std::fs::rename(&part, path)
    };
    write().map_err(|error| failed(&error))
}

fn package_facts(path: &Path) -> Result<PackageFacts, CliError> {
    let read = std::fs::File::open(path).and_then(|file| HashingReader::new(file).finish());
    let (sha256, size) = read.map_err(|error| CliError::new(Exit::Failed, &error))?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(PackageFacts { file, size, sha256 })
}
