//! Evidence passes from one holder to the next: lines in the ledger and a new seal for a case folder, a signed receipt beside a package.

mod holder;
mod receipts;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::case::custody::{CustodyReceived, CustodyTransferred, Handover, Reverification};
use crate::case::event::Event;
use crate::case::{CaseFolder, CaseWriter};
use crate::model::{Sha256Hash, Timestamp};
use crate::package::{PackageError, PackageFiles, read_receipts, receipt_places, write_receipt};
use crate::seal::{Receipt, ReceiptFile, SealHead, SealOptions, SealStatement, SigningKey, read_seals, seal_case_with};
use crate::verify::{Options, Report};

use super::destination::refuse_file_in_case;
use super::output::{Output, counted, hanging, thousands, wrapped};
use super::seal::{DAMAGE_NAMED, UNSTAMPED, explain as explain_sealing, load_key, unstamped};
use super::timestamp::{self, TimestampArguments};
use super::tool::{look_at_this_tool, this_tool};
use super::verify::{open, refuse_what_is_no_package, verify_showing_progress};
use super::{CliError, Exit, shell};
use holder::check_holder;
use receipts::{check_receipts, explain, not_beside, refuse_receipts, refuse_what_is_no_receipt};
pub(super) use receipts::{hashed, receipts_of};

/// Record that a sealed case, or a package, passes from one holder to the next.
///
/// It is verified first, and what that came to is recorded with the transfer. With the receiver's key, the receiver signs for exactly
/// what was received: in a case folder with a new seal that provably extends the ledger, beside a package with a signed receipt.
/// Without a key, only the release is recorded, and the receiver runs the same command again with one.
/// The evidence and a package are never changed by it.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "caselock transfer [OPTIONS] --from <WHO> --to <WHO> --purpose <TEXT>\n                         <CASE>",
    after_help = "\
Examples:
  caselock transfer IR-2026-014 --from 'A. Examiner' --to 'B. Counsel' \\
      --purpose 'legal review' --signing-key counsel
  caselock transfer IR-2026-014.zip --from 'A. Examiner' --to 'B. Counsel' \\
      --purpose 'legal review' --method courier --signing-key counsel

The key is the receiver's, so it is never taken from caselock.toml. A passphrase
is read from CASELOCK_KEY_PASSPHRASE, never from the command line."
)]
pub(super) struct TransferArguments {
    /// The case folder, or a package.
    case: PathBuf,
    /// Who releases it: name, organization.
    #[arg(long, value_name = "WHO")]
    from: String,
    /// Who receives it: name, organization.
    #[arg(long, value_name = "WHO")]
    to: String,
    /// What for.
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// How it travelled: courier, SFTP, which medium and its seal number.
    #[arg(long, value_name = "TEXT")]
    method: Option<String>,
    /// In which condition it was received.
    #[arg(long, value_name = "TEXT")]
    condition: Option<String>,
    /// Where it is kept from now on.
    #[arg(long, value_name = "TEXT")]
    location: Option<String>,
    /// The receiver's SSH private key, to sign for what was received.
    #[arg(long, value_name = "KEY")]
    signing_key: Option<PathBuf>,
    /// The receiver's name in the allowed signers, such as an e-mail address; the key's comment if left out.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Let this RFC 3161 authority stamp the time of the receiver's signature.
    #[arg(long, value_name = "URL", requires = "signing_key")]
    tsa: Option<String>,
    /// The folder for the receipt of a package, where its own cannot be written to; `verify` and `report` read it from there with --receipt.
    #[arg(long, short = 'o', alias = "output", value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Record the transfer of a case that is damaged, as it is received. The receiver's seal, or receipt, says so.
    #[arg(long)]
    despite_damage: bool,
    /// An earlier receipt of the package that does not lie beside it; those that do are read anyway.
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Recorded<'a> {
    handover: &'a Handover,
    verification: &'a Reverification,
    /// Where it stands: the ledger, or the receipt.
    recorded_in: String,
    /// The seal or receipt that the receiver signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamped: Option<Timestamp>,
    /// Why there is no stamp that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_error: Option<serde_json::Value>,
    /// The receipts of the package that do not lie beside it, this one among them.
    #[serde(skip)]
    elsewhere: Vec<PathBuf>,
}

pub(super) fn run(arguments: &TransferArguments, output: &Output) -> Result<Exit, CliError> {
    look_at_this_tool();
    let text = |text: &String| text.trim().to_owned();
    let handover = Handover {
        released_by: text(&arguments.from),
        received_by: text(&arguments.to),
        purpose: text(&arguments.purpose),
        method: arguments.method.as_ref().map(text),
        condition: arguments.condition.as_ref().map(text),
        location: arguments.location.as_ref().map(text),
    };
    for (option, value) in
        [("--from", &handover.released_by), ("--to", &handover.received_by), ("--purpose", &handover.purpose)]
    {
        if value.is_empty() {
            return Err(CliError::usage(format!("{option} is empty: a transfer names who, to whom and what for"))
                .meaning("Nothing was recorded, and nothing was signed.")
                .next("Say it in the words that shall stand on the custody form."));
        }
    }
    if handover.released_by == handover.received_by {
        return Err(CliError::usage("--from and --to are the same: nothing passes from one to the other")
            .meaning("Nothing was recorded, and nothing was signed.")
            .next("Name who holds it with --from, and who receives it with --to."));
    }
    if arguments.out.is_some() && arguments.case.is_dir() {
        return Err(CliError::usage("--out is for the receipt of a package; a case folder has its transfers in the ledger")
            .meaning("Nothing was recorded, and nothing was signed.")
            .next("Leave --out out, or name the package."));
    }
    if !arguments.receipt.is_empty() && arguments.case.is_dir() {
        return Err(CliError::usage("--receipt is for a package; a case folder has its transfers in the ledger")
            .meaning("Nothing was recorded, and nothing was signed.")
            .next("Leave --receipt out, or name the package."));
    }
    arguments.tsa.as_deref().map(timestamp::check_authority).transpose()?;
    let key = arguments.signing_key.as_deref().map(|key| load_key(key, arguments.principal.as_deref(), output)).transpose()?;
    if arguments.case.is_file() {
        refuse_what_is_no_package(&arguments.case)?;
        let key = key.ok_or_else(|| {
            CliError::usage("a package is not changed, so only a signed receipt can say that it was received")
                .meaning("Nothing was recorded; the package is unchanged.")
                .next("Give the receiver's key with --signing-key.")
        })?;
        return receive_package(arguments, &handover, &key, output);
    }
    transfer_case(arguments, &handover, key.as_ref(), output)
}

/// What verification came to.
fn reverified(report: &Report) -> Reverification {
    Reverification {
        verdict: report.verdict.as_str().to_owned(),
        artifacts: report.artifacts.total,
        artifacts_valid: report.artifacts.valid,
        damage: report.case_failures(),
        ledger_lines: report.ledger.lines,
        ledger_root: report.ledger.root,
    }
}

fn refuse_damage(report: &Report) -> CliError {
    if let Some(refused) = refuse_receipts(report) {
        return refused;
    }
    let named = report.name_damage(3).join("; ");
    CliError { exit: Exit::Integrity, ..CliError::failed(format!("what is handed over is damaged: {named}")) }
        .meaning("Nothing was recorded: whoever signs for it would sign for the damage as well.")
        .next(
            "Do not accept it; ask for another copy. If this is all there is, --despite-damage records it as it was received.",
        )
}

fn transfer_case(
    arguments: &TransferArguments,
    handover: &Handover,
    key: Option<&SigningKey>,
    output: &Output,
) -> Result<Exit, CliError> {
    let folder = CaseFolder::open(&arguments.case)?;
    let mut writer = CaseWriter::open(&arguments.case)?;
    let seals = read_seals(&folder)?;
    let seal = seals.iter().rev().find(|seal| seal.is_complete());
    let Some((seal, statement)) = seal.and_then(|seal| Some((seal, seal.statement.as_deref()?))) else {
        return Err(CliError::usage("the case has no seal, so nothing says what is handed over")
            .meaning("The case is unchanged.")
            .next("Seal it first: caselock seal CASE_DIR --signing-key KEY"));
    };
    let report = verify_showing_progress(&folder, &Options::default(), output)?;
    let damaged = report.case_failures() > 0;
    if damaged && !arguments.despite_damage {
        return Err(refuse_damage(&report));
    }
    check_holder(&folder, &report, handover, key, output)?;
    let verification = reverified(&report);
    let sealed_lines = SealStatement::parse(statement).map_or(0, |statement| statement.ledger.lines);
    let past = Past::read(&writer, handover, key, sealed_lines)?;
    let (tool, seal_path, seal_sha256) = (this_tool(), seal.path.clone(), Sha256Hash::of(statement));
    let mut acts = Vec::new();
    if !past.released {
        acts.push(Event::CustodyTransferred(Box::new(CustodyTransferred {
            handover: handover.clone(),
            seal: seal_path.clone(),
            seal_sha256,
            verification: verification.clone(),
            tool: tool.clone(),
        })));
    }
    let mut recorded = Recorded {
        handover,
        verification: &verification,
        recorded_in: crate::case::LEDGER.to_owned(),
        signed_in: None,
        signer: None,
        stamped: None,
        timestamp_error: None,
        elsewhere: Vec::new(),
    };
    let Some(key) = key else {
        writer.append_all(acts)?;
        return show(&recorded, &arguments.case, damaged, output);
    };
    if !past.received {
        acts.push(Event::CustodyReceived(Box::new(CustodyReceived {
            handover: handover.clone(),
            seal: seal_path,
            seal_sha256,
            verification: verification.clone(),
            signer: key.signer().fingerprint.clone(),
            tool: tool.clone(),
        })));
    }
    let now = Timestamp::new(chrono::Utc::now());
    let (lines, meter) = super::progress::line(output, "sealing");
    meter.expect(report.artifacts.total, report.artifacts.bytes);
    let progress = |files: u64, size: u64| meter.add(files, size);
    let options = SealOptions {
        damage: report.name_damage(DAMAGE_NAMED),
        despite: arguments.despite_damage,
        by_the_ledger: true,
        acts,
        progress: &progress,
        ..SealOptions::default()
    };
    let before = writer.ledger_tree().size();
    let sealed = seal_case_with(&mut writer, key, now, &tool, &options);
    lines.finish();
    let sealed = sealed.map_err(|error| {
        // Without a word of it in the ledger, another key or another machine may be taken.
        if writer.ledger_tree().size() == before {
            return explain_sealing(&error, "Nothing was recorded, and nothing was signed");
        }
        CliError::new(if error.is_integrity_failure() { Exit::Integrity } else { Exit::Failed }, &error)
            .meaning("The transfer is recorded in the ledger, and not signed for yet.")
            .next("Mend the cause, then run the same command again, with the same key; nothing is recorded twice.")
    })?;
    // The lock is for one at a time.
    drop(writer);
    recorded.signed_in = Some(sealed.path);
    recorded.signer = Some(key.signer().fingerprint.clone());
    let stamped = arguments.tsa.as_deref().map_or(Ok(None), |url| {
        let again = "not by the same transfer, which would be recorded and signed for once more";
        let stamped = timestamp::stamp(&arguments.case, &TimestampArguments::asking(url));
        stamped.map(|stamped| Some(stamped.time())).map_err(|error| unstamped(error, &arguments.case, url, again))
    });
    recorded.stamped = stamped.as_ref().ok().copied().flatten();
    recorded.timestamp_error = stamped.as_ref().err().map(CliError::document);
    let exit = show(&recorded, &arguments.case, damaged, output)?;
    // Signed for is signed for: it was told first, stamped or not. That it is damaged weighs more than that a stamp is missing.
    stamped.map(|_| exit).map_err(|error| if damaged { CliError { exit, ..error } } else { error }.told_in_result())
}

/// What the ledger holds of this transfer already.
#[derive(Default)]
struct Past {
    released: bool,
    received: bool,
}

impl Past {
    /// A release that nobody received yet needs no second one; a receipt that no seal covers was cut off before it was signed for. One that names
    /// another key stays, and what is signed for now is recorded by itself.
    fn read(writer: &CaseWriter, handover: &Handover, key: Option<&SigningKey>, sealed_lines: u64) -> Result<Self, CliError> {
        let mut past = Self::default();
        writer.read_ledger(&mut |line| match &line.entry.event {
            Event::CustodyTransferred(act) => {
                let same =
                    (&act.handover.released_by, &act.handover.received_by) == (&handover.released_by, &handover.received_by);
                past = Self { released: same, received: false };
            }
            Event::CustodyReceived(act) => {
                let unsigned = line.tree.size() > sealed_lines && act.handover == *handover;
                let by_this_key = key.is_some_and(|key| key.signer().fingerprint == act.signer);
                past = Self { released: unsigned, received: unsigned && by_this_key };
            }
            _ => {}
        })?;
        Ok(past)
    }
}

fn receive_package(
    arguments: &TransferArguments,
    handover: &Handover,
    key: &SigningKey,
    output: &Output,
) -> Result<Exit, CliError> {
    let package = &arguments.case;
    // Receipts are named after the package wherever they lie.
    let beside = match (&arguments.out, package.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => package.clone(),
    };
    refuse_file_in_case(&beside)?;
    let files = open(package)?;
    refuse_what_is_no_receipt(&arguments.receipt)?;
    let top = PackageFiles::open(package).map_err(|error| explain(&error))?.top_folder().to_owned();
    if let Some(missing) = files.missing_parts().first() {
        return Err(CliError::usage(format!(
            "part {} of {} does not lie beside it, and a receipt is for all parts",
            missing.number, missing.of
        ))
        .meaning("Nothing was recorded, and nothing was signed.")
        .next("Put all parts into one folder, under the names they were given, then run the same command again."));
    }
    let heads = hashed(package, output)?;
    let elsewhere = if arguments.out.is_some() { receipt_places(&beside) } else { Ok(Vec::new()) };
    let elsewhere = [arguments.receipt.clone(), elsewhere.map_err(|error| explain(&error))?].concat();
    let earlier = read_receipts(package, &elsewhere);
    let wanted = Options { receipts: Some((&heads, &earlier)), ..Options::default() };
    let report = verify_showing_progress(&*files, &wanted, output)?;
    let damaged = report.case_failures() > 0;
    if damaged && !arguments.despite_damage {
        return Err(refuse_damage(&report));
    }
    check_receipts(&earlier, &report, output)?;
    check_holder(&*files, &report, handover, Some(key), output)?;
    let verification = reverified(&report);
    let now = Timestamp::new(chrono::Utc::now());
    let case_number = report.case_number.clone().unwrap_or(top);
    let Some(head) = heads.first().cloned() else {
        return Err(CliError::failed("the package is gone"));
    };
    let mut receipt = Receipt::new(case_number, now, head, handover.clone(), verification.clone(), key, this_tool());
    if heads.len() > 1 {
        receipt.parts = heads;
    }
    let numbered = earlier.iter().filter_map(|receipt| Some((receipt.number()?, receipt)));
    if let Some((number, last)) = numbered.max_by_key(|(number, _)| *number) {
        receipt.number = number.saturating_add(1);
        receipt.previous_receipt_sha256 = Some(Sha256Hash::of(&last.statement));
    }
    receipt.seal = read_seals(&*files)?
        .iter()
        .rev()
        .find_map(|seal| Some(SealHead { file: seal.path.clone(), sha256: Sha256Hash::of(seal.statement.as_deref()?) }));
    let (statement, signature) = receipt.sign(key).map_err(|error| {
        CliError::new(Exit::Failed, &error)
            .meaning("Nothing was written.")
            .next("Mend the cause, then run the same command again.")
    })?;
    let stamped = arguments.tsa.as_deref().map(|url| timestamp::ask_for_stamp(url, &statement)).transpose();
    let stamped = stamped.map_err(|error| {
        error
            .meaning("No receipt was written: nothing has been signed for yet.")
            .next("Run the same command again, name another authority, or leave --tsa out.")
    })?;
    let (timestamp, stamp) = stamped.unzip();
    let (name, path) = (String::new(), PathBuf::new());
    let file = ReceiptFile { name, path, unread: None, statement, signature: Some(signature), timestamp };
    let path = write_receipt(&beside, receipt.number, &file).map_err(|error| unwritten(&error))?;
    let recorded = Recorded {
        handover,
        verification: &verification,
        recorded_in: path.display().to_string(),
        signed_in: Some(path.display().to_string()),
        signer: Some(key.signer().fingerprint.clone()),
        stamped: stamp.map(|stamp| stamp.time),
        timestamp_error: None,
        elsewhere: not_beside(package, earlier.iter().map(|receipt| &*receipt.path).chain([&*path])),
    };
    show(&recorded, &arguments.case, damaged, output)
}

/// Why no receipt was written; a medium that takes none is no obstacle.
fn unwritten(error: &PackageError) -> CliError {
    let explained = explain(error).meaning("No receipt was written, and the package is unchanged.");
    match error {
        PackageError::Io(error) if matches!(error.source.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
            explained.next(
                "Name a folder for the receipt that can be written to: -o FOLDER. `verify` and `report` read it from there with --receipt.",
            )
        }
        _ => explained,
    }
}

/// What stands before a value that goes on.
const VALUE: &str = "         ";

fn show(recorded: &Recorded<'_>, case: &Path, damaged: bool, output: &Output) -> Result<Exit, CliError> {
    output.result(recorded, || {
        let (handover, verification) = (recorded.handover, recorded.verification);
        let mut lines = vec![
            Output::bold(&hanging(&format!("{} → {}", handover.released_by, handover.received_by), "Transferred: ", VALUE)),
            hanging(&handover.purpose, "Purpose  ", VALUE),
            format!(
                "Verified {}: {} of {} unchanged",
                verification.verdict,
                thousands(verification.artifacts_valid),
                counted(verification.artifacts, "file")
            ),
            format!("Recorded {}", recorded.recorded_in),
        ];
        match (&recorded.signed_in, &recorded.signer) {
            (Some(place), Some(signer)) => {
                lines.push(format!("Signed   {place}"));
                lines.push(format!("Key      {signer}"));
                lines.extend(recorded.stamped.map(|time| format!("Stamped  {time}")));
                lines.extend(recorded.timestamp_error.as_ref().map(|_| UNSTAMPED.to_owned()));
                if damaged {
                    lines.push("DAMAGED: signed for as it was received; what was signed says so.".to_owned());
                }
                lines.push(String::new());
                lines.push("Tell whoever relies on it the key's fingerprint by another channel.".to_owned());
            }
            _ if damaged => {
                lines.push(String::new());
                lines.push("DAMAGED: recorded as it was released; nobody has signed for it.".to_owned());
            }
            _ => {
                lines.push(String::new());
                lines.push(wrapped(
                    "Not signed for yet: the receiver runs the same command with --signing-key. Until then no seal covers the record.",
                    "",
                ));
            }
        }
        if recorded.signed_in.is_some() {
            let receipts = recorded.elsewhere.iter().map(|place| format!(" --receipt {}", shell::path(place)));
            lines.push(format!("Next: caselock verify {}{}", shell::path(case), receipts.collect::<String>()));
        }
        lines.join("\n")
    })?;
    Ok(if damaged { Exit::Integrity } else { Exit::Done })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::PathError;

    #[test]
    fn a_medium_that_takes_no_receipt_is_told_with_the_way_round_it() {
        let refused = |kind: ErrorKind| {
            let error = PackageError::from(PathError::new("create", "p.zip.receipt-0001.json", kind));
            unwritten(&error).next.unwrap()
        };
        for kind in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
            assert!(refused(kind).contains("-o FOLDER"), "{kind}");
        }
        assert!(!refused(ErrorKind::StorageFull).contains("-o FOLDER"));
    }
}
