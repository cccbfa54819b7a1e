//! Verification first, then the key, the seal, and a time-stamp where one is wanted. What a seal says is decided in `crate::seal`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::case::event::{Event, VerificationRecorded};
use crate::case::{CLOCKS_APART, CaseFolder, CaseWriter, Flag, Protection};
use crate::model::{Finding, Sha256Hash, Timestamp};
use crate::seal::{SealError, SealOptions, SealStatement, SigningKey, check_earlier_seals, read_seals, seal_case_with};
use crate::verify::{Report, SignatureState};

use super::configuration::ConfigurationFile;
use super::output::{Output, bytes, counted, hanging, thousands};
use super::timestamp::{self, Stamped, TimestampArguments};
use super::tool::{look_at_this_tool, this_tool};
use super::verify::verify_with_progress;
use super::{CliError, Exit, shell};

/// Sign for a case: exactly this evidence, exactly this ledger.
///
/// The case is verified first. Tampering that happened in AWS does not stand in the way, for it is evidence too and the seal covers
/// the finding; damage to the case itself does. Then the bag's manifests are written, the payload is made read-only, and the
/// statement over all of it is signed with an SSH key.
/// No byte of the evidence is changed, and no earlier seal is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock seal IR-2026-014 --signing-key ~/.ssh/id_ed25519
  caselock seal IR-2026-014 --signing-key ~/.ssh/id_ed25519 \\
      --tsa http://tsa.example.com
  caselock seal IR-2026-014 --tsa http://tsa.example.com   (stamps, seals not)

Ed25519 and ECDSA keys sign in process; RSA, agent and hardware keys
through the system's ssh-keygen. A passphrase is read from
CASELOCK_KEY_PASSPHRASE, never from the command line. Key, name and authority
may stand in caselock.toml: see caselock collect --help.")]
pub(super) struct SealArguments {
    /// The case folder.
    case: PathBuf,
    /// The SSH private key to sign with.
    #[arg(long, value_name = "KEY")]
    signing_key: Option<PathBuf>,
    /// The signer's name in the allowed signers, such as an e-mail address; the key's comment if left out.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Seal a case that is damaged, as it is found; also by a clock that contradicts the ledger, or in the place of somebody who has yet to
    /// sign. The seal names the damage, and verification goes on to report it.
    #[arg(long)]
    despite_damage: bool,
    /// Seal a case whose collection did not come to its end. A sealed case takes no more evidence, and the seal says that it is unfinished.
    #[arg(long)]
    unfinished: bool,
    /// Also set the immutable flag on the evidence and the append-only flag on the ledger, where the system permits. To delete such a
    /// case: chattr -R -i -a CASE first.
    #[arg(long)]
    immutable: bool,
    /// A remark that becomes part of the seal.
    #[arg(long, value_name = "TEXT", default_value = "")]
    notes: String,
    #[command(flatten)]
    timestamp: TimestampArguments,
    #[command(flatten)]
    file: ConfigurationFile,
}

/// What stands in the place of the time of a stamp that was asked for.
pub(super) const UNSTAMPED: &str = "Stamped  NO: the seal stands without a time-stamp";
/// What verification calls a collection that did not come to its end.
const UNFINISHED: &str = "collection-unfinished";

/// Findings that a seal over a damaged case names; the verification of the case has all.
pub(super) const DAMAGE_NAMED: usize = 1000;

#[derive(Serialize)]
struct Result<'a> {
    seal: &'a str,
    sha256: String,
    verdict: &'static str,
    statement: &'a SealStatement,
    protection: Protection,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a Stamped>,
    /// Why there is none that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_error: Option<serde_json::Value>,
    /// Whether the seal was there already and nothing has happened since that it does not cover, so that none was made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sealed_already: bool,
}

impl SealArguments {
    /// Whether another seal by the same key would say nothing that the one before does not.
    fn has_nothing_to_add(&self) -> bool {
        self.notes.is_empty() && !self.immutable && self.timestamp.tsa.is_none()
    }
}

/// What verification says of a collection that did not come to its end, as long as nobody has signed for the case.
fn unfinished(report: &Report) -> Vec<&Finding> {
    if report.seals.iter().any(|seal| seal.signature != SignatureState::Absent) {
        return Vec::new();
    }
    report.findings.iter().filter(|finding| finding.kind == UNFINISHED).collect()
}

fn refuse_unfinished(finding: &Finding, case: &Path) -> CliError {
    CliError::usage(format!("the collection is not finished: {}", finding.detail))
        .meaning("Nothing was sealed: a sealed case takes no more evidence, and what was not asked for yet would never be in it.")
        .next(format!(
            "caselock collect {} goes on where it stopped. If that is all there will be, --unfinished seals it as it is, and the seal says so.",
            case.display()
        ))
}

/// A seal that covers all that the case holds.
struct Standing {
    path: String,
    sha256: Sha256Hash,
    statement: SealStatement,
    protection: Protection,
}

/// The last seal, if it is by this key and nothing has happened since.
fn standing_seal(
    folder: &CaseFolder,
    writer: &CaseWriter,
    report: &Report,
    key: &SigningKey,
) -> std::result::Result<Option<Standing>, CliError> {
    let fingerprint = &key.signer().fingerprint;
    let Some(last) = report.seals.last().filter(|_| report.case_failures() == 0) else { return Ok(None) };
    if last.signature != SignatureState::Valid
        || last.signer.as_ref() != Some(fingerprint)
        || last.ledger_size != Some(report.ledger.lines)
    {
        return Ok(None);
    }
    let seals = read_seals(folder)?;
    let read = seals.last().and_then(|seal| seal.statement.as_deref());
    let Some((bytes, statement)) = read.and_then(|bytes| Some((bytes, SealStatement::parse(bytes).ok()?))) else {
        return Ok(None);
    };
    if statement.signer.principal != key.principal() {
        return Ok(None);
    }
    let mut protection = None;
    writer.read_ledger(&mut |line| {
        if let Event::CaseSealed(sealed) = &line.entry.event {
            protection = sealed.protection;
        }
    })?;
    let standing = |protection| Standing { path: last.file.clone(), sha256: Sha256Hash::of(bytes), statement, protection };
    Ok(protection.map(standing))
}

/// Says that there is such a seal.
fn show_standing(standing: &Standing, report: &Report, case: &Path, output: &Output) -> std::result::Result<Exit, CliError> {
    let result = Result {
        seal: &standing.path,
        sha256: standing.sha256.to_string(),
        verdict: report.verdict.as_str(),
        statement: &standing.statement,
        protection: standing.protection,
        timestamp: None,
        timestamp_error: None,
        sealed_already: true,
    };
    output.result(&result, || text(&result, case, 0))?;
    Ok(Exit::Done)
}

pub(super) fn run(mut arguments: SealArguments, output: &Output) -> std::result::Result<Exit, CliError> {
    look_at_this_tool();
    let stamps = &mut arguments.timestamp;
    let stamps_only = arguments.signing_key.is_none()
        && (stamps.tsa.is_some() || stamps.timestamp_request.is_some() || stamps.timestamp_response.is_some());
    if stamps_only {
        arguments.file.refuse_unused("a time-stamp over a seal that is there")?;
    } else {
        let mut defaults = arguments.file.read()?;
        defaults.fill_seal(&mut arguments.signing_key, &mut arguments.principal, &mut stamps.tsa);
        defaults.note(output);
        if arguments.signing_key.is_none() {
            return Err(CliError::no_signing_key());
        }
    }
    let Some(signing_key) = &arguments.signing_key else {
        return timestamp::run(&arguments.case, &arguments.timestamp, output);
    };
    // A seal cannot be taken back, so what makes its time-stamp impossible is told before.
    arguments.timestamp.tsa.as_deref().map(timestamp::check_authority).transpose()?;
    let folder = CaseFolder::open(&arguments.case)?;
    let key = load_key(signing_key, arguments.principal.as_deref(), output)?;
    let mut writer = CaseWriter::open(&arguments.case)?;
    let report = verify_with_progress(&folder, None, output)?;
    if report.case_failures() > 0 && !arguments.despite_damage {
        let damaged = format!("the case itself is damaged: {}", report.name_damage(3).join("; "));
        let refused = CliError { exit: Exit::Integrity, ..CliError::failed(damaged) }
            .meaning("Nothing was sealed: a seal over damaged evidence would only hide the damage.");
        // What is no way out is not advised.
        return Err(refused.next(if check_earlier_seals(&writer, &key).is_ok() {
            "Run `caselock verify` for the whole picture, and compare the folder with a copy. If this is all there is, \
             --despite-damage seals it as it is found, and the seal says so."
        } else {
            "Run `caselock verify` for the whole picture, and take the earlier seals and the ledger from a copy: no seal can follow \
             them as they are."
        }));
    }
    let unfinished = unfinished(&report);
    if let Some(finding) = unfinished.first().filter(|_| !arguments.unfinished) {
        return Err(refuse_unfinished(finding, &arguments.case));
    }
    if arguments.has_nothing_to_add()
        && let Some(standing) = standing_seal(&folder, &writer, &report, &key)?
    {
        return show_standing(&standing, &report, &arguments.case, output);
    }
    let tool = this_tool();
    let verified = Event::VerificationRecorded(VerificationRecorded {
        verdict: report.verdict.as_str().to_owned(),
        artifacts_valid: report.artifacts.valid,
        failures: report.failures(),
        online: None,
        tool: tool.clone(),
    });
    let now = Timestamp::new(chrono::Utc::now());
    let (lines, meter) = super::progress::line(output, "sealing");
    meter.expect(report.artifacts.total, report.artifacts.bytes);
    let progress = |files: u64, size: u64| meter.add(files, size);
    let options = SealOptions {
        notes: arguments.notes.clone(),
        flags: arguments.immutable,
        damage: report.name_damage(DAMAGE_NAMED),
        despite: arguments.despite_damage,
        admitted: unfinished.iter().map(|finding| format!("{} {}", finding.kind, finding.object)).collect(),
        by_the_ledger: true,
        acts: vec![verified],
        progress: &progress,
        ..SealOptions::default()
    };
    let sealed =
        seal_case_with(&mut writer, &key, now, &tool, &options).map_err(|error| explain(&error, "Nothing was sealed"))?;
    lines.finish();
    // The lock is for one at a time.
    drop(writer);
    // A case that was sealed before took nothing more already.
    let given_up = if report.seals.is_empty() { report.pending_hours() } else { 0 };
    let stamped = match &arguments.timestamp.tsa {
        None => Ok(None),
        Some(url) => {
            let again = "without --signing-key, which would seal once more";
            let stamped = timestamp::stamp(&arguments.case, &arguments.timestamp);
            stamped.map(Some).map_err(|error| unstamped(error, &arguments.case, url, again))
        }
    };
    let result = Result {
        seal: &sealed.path,
        sha256: sealed.sha256.to_string(),
        verdict: report.verdict.as_str(),
        statement: &sealed.statement,
        protection: sealed.protection,
        timestamp: stamped.as_ref().ok().and_then(Option::as_ref),
        timestamp_error: stamped.as_ref().err().map(CliError::document),
        sealed_already: false,
    };
    output.result(&result, || text(&result, &arguments.case, given_up))?;
    // Sealed is sealed: it was told first, stamped or not.
    stamped.map(|_| Exit::Done).map_err(CliError::told_in_result)
}

/// The same error once the case is sealed: whatever stood in the way, only the time-stamp is missing. `again` says what not to do.
pub(super) fn unstamped(error: CliError, case: &Path, url: &str, again: &str) -> CliError {
    CliError { exit: Exit::Failed, ..error }.meaning("The case is sealed; only the time-stamp is missing.").next(format!(
        "Try again later, and {again}: caselock seal {} --tsa {}",
        shell::path(case),
        shell::word(url)
    ))
}

fn text(result: &Result<'_>, case: &Path, given_up: u64) -> String {
    let statement = result.statement;
    let is_unfinished = |told: &&String| told.split_once(' ').is_some_and(|(kind, _)| kind == UNFINISHED);
    let damage = statement.damage.iter().filter(|told| !is_unfinished(told)).count();
    let mut lines = vec![
        Output::bold(&format!(
            "{}: {} artifacts, {}",
            if result.sealed_already { "Sealed already, by this key, and nothing has happened since" } else { "Sealed" },
            thousands(statement.artifacts.count),
            bytes(statement.artifacts.bytes)
        )),
        format!("Seal     {}", result.seal),
        format!("SHA-256  {}", result.sha256),
        format!("Ledger   {} lines", thousands(statement.ledger.lines)),
        format!("Root     {}", statement.ledger.root),
        format!("Signer   {}", statement.signer.principal),
        format!("Key      {}", statement.signer.fingerprint),
        if damage == 0 {
            format!("Verdict  {} {}", result.verdict, if result.sealed_already { "now" } else { "when sealed" })
        } else {
            format!(
                "Verdict  {} when sealed: DAMAGED, and the seal names {}",
                result.verdict,
                counted(u64::try_from(damage).unwrap_or(u64::MAX), "finding")
            )
        },
    ];
    if statement.damage.iter().any(|told| is_unfinished(&told)) {
        lines.push("Collect  UNFINISHED when sealed, and the seal says so".to_owned());
    }
    if result.sealed_already {
        lines.push("Written  nothing: another seal would say the same, and change the package's SHA-256".to_owned());
    }
    if given_up > 0 {
        let hours = counted(given_up, "hour");
        lines.push(hanging(
            &format!("{hours} (× regions) stay unproven here: no digest can be added any more"),
            "Pending  ",
            "         ",
        ));
    }
    lines.extend(flags(result.protection));
    lines.push(match (result.timestamp, &result.timestamp_error) {
        (Some(stamped), _) => stamped.text(),
        (None, Some(_)) => format!("{UNSTAMPED}\n"),
        (None, None) => String::new(),
    });
    lines.push("Tell the recipient the key's fingerprint by another channel: it is what makes".to_owned());
    lines.push("the seal yours.".to_owned());
    let package = if result.sealed_already { shell::package_of(case) } else { shell::new_package_of(case) };
    lines.push(format!("Next: caselock package {} -o {package}", shell::path(case)));
    lines.join("\n")
}

/// What became of the flags, where they were asked for.
fn flags(protection: Protection) -> Vec<String> {
    let word = |flag| match flag {
        Flag::Set => "set",
        Flag::Refused => "refused",
        Flag::NotAsked => "not asked for",
    };
    let both = [protection.immutable, protection.append_only];
    if both == [Flag::NotAsked; 2] {
        return Vec::new();
    }
    let [immutable, append_only] = both.map(word);
    let mut lines = vec![format!("Flags    immutable {immutable}, append-only {append_only}")];
    if both.contains(&Flag::Refused) {
        lines.push("         (they take the administrator, and a file system that has them)".to_owned());
    }
    lines
}

/// Loads the key to sign with.
pub(super) fn load_key(path: &Path, principal: Option<&str>, output: &Output) -> std::result::Result<SigningKey, CliError> {
    let passphrase = std::env::var("CASELOCK_KEY_PASSPHRASE").ok();
    let mut key = SigningKey::load(path, passphrase.as_deref()).map_err(|error| {
        CliError::new(Exit::Usage, &error)
            .meaning("The case is unchanged.")
            .next("Give an SSH private key with --signing-key; ssh-keygen -t ed25519 makes one. The passphrase of one that has any is read from CASELOCK_KEY_PASSPHRASE.")
    })?;
    if let Some(principal) = principal {
        key = key.with_principal(principal).map_err(|error| {
            CliError::new(Exit::Usage, &error)
                .meaning("The case is unchanged.")
                .next("Give a name without blanks with --principal, such as examiner@example.com.")
        })?;
    }
    for notice in key.notices() {
        output.note(&format!("note: {notice}"));
    }
    Ok(key)
}

/// Why no seal was made, and what to do about it; `undone` says what came of it.
pub(super) fn explain(error: &SealError, undone: &str) -> CliError {
    if error.is_integrity_failure() {
        return CliError::new(Exit::Integrity, error)
            .meaning(format!("{undone}: a seal over damaged evidence would only hide the damage."))
            .next("Run `caselock verify` for the whole picture, and take what is named from a copy.");
    }
    let explained = CliError::new(Exit::of_seal(error), error);
    match error {
        SealError::Announced { .. } => explained
            .meaning(format!("{undone}: whose seal it was could not be told from whose it is any more."))
            .next("Look for the signature, or seal with that key. If it is gone for good, --despite-damage seals all the same, and verification goes on to tell of it."),
        SealError::NotSignedFor { .. } => explained
            .meaning(format!("{undone}: the seal would stand where theirs belongs."))
            .next("Let them sign: the same transfer, with their key. If they never will, --despite-damage seals all the same, and verification says that they did not sign."),
        SealError::Clock { written, .. } => explained
            .meaning(format!("{undone}: dated before what it covers, a seal looks made up, for good."))
            .next(format!(
                "Set this machine's clock right. If it is right, wait until it says {}; or --despite-damage seals all the same, and verification \
                 goes on to call the times contradictory.",
                written.plus_seconds(-CLOCKS_APART)
            )),
        _ => explained
            .meaning(format!("{undone}. The evidence is unchanged."))
            .next("Mend the cause, then run the same command again; an attempt that was cut off is simply made again."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_of_where_they_were_asked_for() {
        let said = |immutable, append_only| flags(Protection { read_only: true, immutable, append_only });
        assert!(said(Flag::NotAsked, Flag::NotAsked).is_empty());
        assert_eq!(said(Flag::Set, Flag::Set), ["Flags    immutable set, append-only set"]);
        let refused = said(Flag::Refused, Flag::Set);
        assert_eq!(refused[0], "Flags    immutable refused, append-only set");
        assert!(refused[1].contains("administrator"));
    }
}
