//! The forms: filled from the case, blank where a person must write, and never signed by a program.

use crate::verify::{CustodyReport, Report, SignatureState};

use super::facts::Facts;
use super::markup::Markup;
use super::sections::{clock_text, or_all, stamp_text, tool_text};
use super::words;

const SIGNATURE: &str = "<div class=\"signature\"><span>Signature</span><span>Name in print, title</span>\
<span>Place</span><span>Date, time and time zone</span></div>\n";

const DRAFT: &str = "<strong class=\"draft\">DRAFT – not signed, not reviewed. To be checked, completed and adapted by counsel and by \
the person who will sign; not legal advice.</strong>\n";

/// The chain-of-custody form.
pub(super) fn chain_of_custody(page: &mut Markup, facts: &Facts, report: &Report) {
    let identity = &facts.identity;
    let (first, last) = (facts.runs.first(), facts.runs.last());
    let started = first.map(|run| &run.started);
    let seal = facts.seals.last();
    let package = facts.packages.last();
    let blank = String::new;
    page.raw("<section class=\"form\" id=\"form-custody\">\n<h2>Chain of custody</h2>\n");
    page.raw("<h3>1 &nbsp;Matter</h3>\n").fields(&[
        ("Case number", identity.case_number.clone()),
        ("Matter or incident", identity.description.clone()),
        ("Client or organization", identity.organization.clone()),
        ("Legal authority or consent", identity.authority.clone()),
        ("Authorised by, date, document", blank()),
    ]);
    page.raw("<h3>2 &nbsp;Item</h3>\n").fields(&[
        ("Evidence or exhibit number", identity.evidence_number.clone()),
        ("Item", "1 of 1".to_owned()),
        ("Description", format!("AWS evidence, {} files, {} bytes", facts.summary.artifacts, facts.summary.bytes)),
        ("Period covered (UTC)", identity.window.to_string()),
    ]);
    let mut accounts: Vec<String> =
        facts.summary.rows.iter().filter_map(|row| row.account.map(|account| account.to_string())).collect();
    accounts.sort();
    accounts.dedup();
    let mut trails: Vec<&str> = report.cloudtrail.iter().map(|trail| trail.trail_arn.as_str()).collect();
    trails.dedup();
    page.raw("<h3>3 &nbsp;Source</h3>\n").fields(&[
        ("Provider", "Amazon Web Services".to_owned()),
        ("Accounts", accounts.join(", ")),
        ("Regions", started.map(|started| or_all(&started.regions, "")).unwrap_or_default()),
        ("Buckets", facts.buckets.iter().cloned().collect::<Vec<_>>().join(", ")),
        ("Trails", trails.join(", ")),
        ("Owner or custodian of the source", blank()),
    ]);
    page.raw("<h3>4 &nbsp;Acquired by</h3>\n").fields(&[
        ("Name", identity.examiner.clone()),
        ("Title", blank()),
        ("Organization", identity.organization.clone()),
        ("Contact", blank()),
        ("AWS principal", started.map(|started| started.caller.arn.clone()).unwrap_or_default()),
        (
            "Access key, last four characters",
            started
                .and_then(|started| started.caller.access_key_id.as_deref())
                .map(|id| id.chars().skip(id.chars().count().saturating_sub(4)).collect())
                .unwrap_or_default(),
        ),
        ("Signed in with MFA (yes / no)", blank()),
        ("Roles assumed on the way", blank()),
    ]);
    page.raw("<h3>5 &nbsp;When and where</h3>\n").fields(&[
        ("Start (UTC)", first.map(|run| run.at.to_string()).unwrap_or_default()),
        ("End (UTC)", last.and_then(|run| run.finished.as_ref()).map(|(at, _)| at.to_string()).unwrap_or_default()),
        ("Local time zone", blank()),
        ("Workstation", started.map(|started| format!("{} ({})", started.host, started.system)).unwrap_or_default()),
        ("User", started.map(|started| started.os_user.clone()).unwrap_or_default()),
        ("Location", blank()),
        ("Clock", started.map(|started| clock_text(started.clock)).unwrap_or_default()),
    ]);
    page.raw("<h3>6 &nbsp;Tool</h3>\n").fields(&[
        ("Program", facts.opened_by.as_ref().map(tool_text).unwrap_or_default()),
        ("Command line", started.map(|started| started.command_line.join(" ")).unwrap_or_default()),
        ("Requests that change anything at the source", "none".to_owned()),
        (
            "Requests that read",
            facts
                .operations
                .keys()
                .cloned()
                .chain((!facts.buckets.is_empty()).then(|| "s3:GetObject".to_owned()))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    ]);
    let this = facts.package.as_ref().map(|package| (package.file.clone(), package.sha256));
    let named = this.or_else(|| package.map(|package| (package.file.clone(), package.sha256)));
    page.raw("<h3>7 &nbsp;Hashes and signature</h3>\n").fields(&[
        ("Hash algorithm", "SHA-256".to_owned()),
        ("Package", named.as_ref().map(|(file, _)| file.clone()).unwrap_or_default()),
        ("SHA-256 of the package", named.map(|(_, sha256)| sha256.to_string()).unwrap_or_default()),
        ("SHA-256 of the seal", seal.map(|(sha256, _)| sha256.to_string()).unwrap_or_default()),
        ("Merkle root that the seal covers", seal.map(|(_, seal)| seal.ledger.root.to_string()).unwrap_or_default()),
        ("Signer's key", seal.map(|(_, seal)| seal.signer.fingerprint.clone()).unwrap_or_default()),
        ("Time-stamp", report.seals.last().map(stamp_text).unwrap_or_default()),
        ("Time-stamping authority and serial", blank()),
    ]);
    page.raw("<h3>8 &nbsp;Storage</h3>\n").fields(&[
        ("Storage location, media id", blank()),
        ("Write protection", "files 0444, folders 0555 once sealed".to_owned()),
        ("Object lock mode, retained until", blank()),
    ]);
    page.raw("<h3>9 &nbsp;Transfers</h3>\n");
    let recorded = report.custody.iter().map(transfer_row);
    // Room for those that nobody has recorded.
    let blank_rows = std::iter::repeat_with(|| vec![String::new(); 7]).take(if report.custody.is_empty() { 5 } else { 3 });
    let rows: Vec<Vec<String>> = (1..)
        .zip(recorded.chain(blank_rows))
        .map(|(row, cells)| std::iter::once(row.to_string()).chain(cells).collect())
        .collect();
    page.table(
        "custody",
        &[
            "No.",
            "Date, time (UTC)",
            "Released by: name, organization, signature",
            "Received by: name, organization, signature",
            "Purpose",
            "Method, carrier, seal no.",
            "Condition; hash re-verified (y/n, value, tool)",
            "Location, comments",
        ],
        &rows,
    );
    page.raw("<h3>10 &nbsp;Disposition</h3>\n").fields(&[
        ("Return, destroy, or retain until", blank()),
        ("By whose authority", blank()),
        ("Date", blank()),
        ("Witness", blank()),
    ]);
    page.raw(SIGNATURE).raw("</section>\n");
}

/// A transfer that was recorded; its signature is a digital one, so the form says with which key.
fn transfer_row(link: &CustodyReport) -> Vec<String> {
    let handover = &link.handover;
    let times = [("released ", link.released_at), ("received ", link.received_at)];
    let times: Vec<String> = times.iter().filter_map(|(what, at)| at.map(|at| format!("{what}{at}"))).collect();
    let signed = match (&link.signer, link.signature) {
        (Some(signer), SignatureState::Valid) => format!(" (signed with {signer})"),
        (Some(signer), _) => format!(" ({}: {signer})", words::signature(link.signature)),
        (None, _) => " (not signed for)".to_owned(),
    };
    let verification = &link.verification;
    let condition = handover.condition.as_deref().map(|condition| format!("{condition}; ")).unwrap_or_default();
    vec![
        times.join(", "),
        handover.released_by.clone(),
        format!("{}{signed}", handover.received_by),
        handover.purpose.clone(),
        handover.method.clone().unwrap_or_default(),
        format!(
            "{condition}re-verified: {}, {} of {} files unchanged, ledger root {}, caselock",
            verification.verdict, verification.artifacts_valid, verification.artifacts, verification.ledger_root
        ),
        handover.location.clone().unwrap_or_default(),
    ]
}

/// A draft certificate under the Federal Rules of Evidence 902(13) and (14).
pub(super) fn certificate(page: &mut Markup, facts: &Facts, report: &Report) {
    let run = facts.runs.first();
    page.raw(
        "<section class=\"form\" id=\"form-certificate\">\n<h2>Certificate under Fed. R. Evid. 902(13) and 902(14)</h2>\n",
    )
    .raw(DRAFT);
    page.raw("<p>I, <span class=\"line\"></span>, declare:</p>\n<ol>\n");
    page.raw(
        "<li>I am employed by <span class=\"line\"></span> as <span class=\"line\"></span>. My training and experience in the \
              acquisition of electronic evidence are: <span class=\"line\"></span>.</li>\n",
    );
    page.raw("<li>On ").text(run.map(|run| run.at.to_string()).unwrap_or_default());
    page.raw(" (UTC) records of Amazon Web Services were acquired in case ").text(facts.case_number());
    page.raw(" with ").text(run.map(|run| tool_text(&run.started.tool)).unwrap_or_default());
    page.raw(", as the AWS principal ").text(run.map(|run| run.started.caller.arn.clone()).unwrap_or_default()).raw(".</li>\n");
    page.raw("<li>The process (902(13)): the program requests records from AWS with requests that only read, stores each exactly as \
              AWS served it, computes its SHA-256 hash while receiving it, and records source, time and hash in a ledger in which each \
              line holds the hash of the line before. AWS itself signs an hourly list of its CloudTrail logs with their hashes; \
              these signatures were checked. The process produces an accurate result because every stored byte is covered by a \
              hash computed at receipt, and, where AWS supplies a hash or a signature of its own, was compared with it.</li>\n");
    page.raw("<li>Hashes (902(14)): on re-computation ").text(report.artifacts.valid).raw(" of ").text(report.artifacts.total);
    page.raw(" files have the SHA-256 hash that was recorded at acquisition. For ");
    page.text(facts.agreement.get("match").copied().unwrap_or(0));
    page.raw(" objects the hash that AWS holds for the original equals that of the copy; for ");
    page.text(facts.agreement.get("mismatch").copied().unwrap_or(0));
    page.raw(
        " it differs; for the others AWS supplies none that can be compared. Each file's hash is in manifest-sha256.txt, whose \
              own hash is in the seal",
    );
    if let Some((sha256, seal)) = facts.seals.last() {
        page.raw(" (").text(seal.manifest_sha256).raw("); the seal has the SHA-256 ").text(sha256);
    }
    page.raw(".</li>\n<li>The records that this certificate is about: <span class=\"line\"></span> (exhibits).</li>\n");
    let (verdict, meaning) = words::verdict(report);
    page.raw("<li>Limits: verification ended with the verdict ").text(verdict).raw(". ").text(meaning);
    page.raw(" What could not be had or cannot be proven is listed in parts 7, 8 and 9 of the report.</li>\n</ol>\n");
    page.raw(
        "<p>I declare under penalty of perjury under the laws of the United States of America that the foregoing is true and \
              correct (28 U.S.C. § 1746).</p>\n",
    );
    page.raw(SIGNATURE).raw("</section>\n");
}

/// A draft statement that takes no side and names no jurisdiction.
pub(super) fn statement(page: &mut Markup, facts: &Facts, report: &Report) {
    let identity = &facts.identity;
    page.raw("<section class=\"form\" id=\"form-statement\">\n<h2>Witness statement</h2>\n").raw(DRAFT);
    page.raw("<p>Statement of <span class=\"line\"></span> (name), <span class=\"line\"></span> (occupation), in the matter of case ");
    page.text(facts.case_number()).raw(".</p>\n<ol>\n");
    page.raw("<li>I make this statement from my own knowledge, except where I say otherwise.</li>\n");
    page.raw("<li>I was instructed by <span class=\"line\"></span> on <span class=\"line\"></span> to preserve records for the period ");
    page.text(identity.window).raw(" (UTC).</li>\n");
    for run in &facts.runs {
        page.raw("<li>Between ").text(run.at).raw(" and ");
        page.text(run.finished.as_ref().map_or_else(|| "an unrecorded time".to_owned(), |(at, _)| at.to_string()));
        page.raw(" (UTC), on the computer ").text(&run.started.host).raw(", the program ").text(tool_text(&run.started.tool));
        page.raw(" was run. AWS identified the requester as ").text(&run.started.caller.arn).raw(".</li>\n");
    }
    page.raw("<li>The result is ").text(facts.summary.artifacts).raw(" files of ").text(facts.summary.bytes);
    page.raw(" bytes in all. What was asked for and could not be had is listed in part 9 of the report.</li>\n");
    page.raw("<li>I re-computed the hash of every file on <span class=\"line\"></span>. ").text(report.artifacts.valid);
    page.raw(" files had the hash that was recorded when they were acquired; ");
    page.text(report.artifacts.modified.len() + report.artifacts.missing.len()).raw(" did not or were missing.</li>\n");
    if let Some((sha256, seal)) = facts.seals.last() {
        page.raw("<li>The case was sealed at ").text(seal.sealed_at).raw(" with the key ").text(&seal.signer.fingerprint);
        page.raw(". The SHA-256 of the seal is ").text(sha256).raw(".</li>\n");
    }
    page.raw(
        "<li>I handed the item over to <span class=\"line\"></span> on <span class=\"line\"></span>. Until then it was kept at \
              <span class=\"line\"></span>, where <span class=\"line\"></span> had access.</li>\n",
    );
    page.raw("<li>I describe what was done and found. I draw no conclusion as to who acted or why.</li>\n</ol>\n");
    page.raw("<p>I believe that the facts stated here are true.</p>\n");
    page.raw(SIGNATURE).raw("</section>\n");
}
