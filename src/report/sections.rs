//! The parts of the report, one function each.

use crate::case::event::{ClockOffset, GapReason, Tool};
use crate::cloudtrail::coverage::HourStatus;
use crate::model::{Finding, Severity, Timestamp, counted, thousands};
use crate::seal::PackageHead;
use crate::verify::{CustodyReport, Report, SealReport, SignatureState};

use super::coverage;
use super::facts::{Delivered, Facts, SealFacts};
use super::markup::Markup;
use super::words;

/// Findings of one kind that are shown; the rest is counted.
const SHOWN: usize = 40;
/// Gaps that are shown; the rest is counted.
const GAPS_SHOWN: usize = 300;

pub(super) fn or_all<T: ToString>(list: &[T], all: &str) -> String {
    if list.is_empty() { all.to_owned() } else { list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
}

pub(super) fn tool_text(tool: &Tool) -> String {
    let hash = tool.sha256.map(|sha256| format!(", program file SHA-256 {sha256}")).unwrap_or_default();
    format!("{} {}{hash}", tool.name, tool.version)
}

pub(super) fn clock_text(clock: Option<ClockOffset>) -> String {
    clock.map_or_else(
        || "not measured".to_owned(),
        |clock| {
            format!(
                "AWS's clock minus this machine's: {} ms, uncertain by ± {} ms ({} answers compared)",
                clock.offset_milliseconds, clock.uncertainty_milliseconds, clock.samples
            )
        },
    )
}

/// What can be said of a seal's time-stamp, and of each that renewed it.
pub(super) fn stamp_text(seal: &SealReport) -> String {
    let one = |state, stamped: Option<Timestamp>| match stamped {
        Some(time) => format!("{}: {time}", words::signature(state)),
        None => words::signature(state).to_owned(),
    };
    let renewals = seal.renewals.iter();
    let renewed = renewals.map(|renewal| format!("; renewed ({}): {}", renewal.file, one(renewal.timestamp, renewal.stamped)));
    std::iter::once(one(seal.timestamp, seal.stamped)).chain(renewed).collect()
}

/// A length as a number like all others.
pub(super) fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn count(findings: &[Finding], severity: Severity) -> u64 {
    number(findings.iter().filter(|finding| finding.severity == severity).count())
}

/// How many hours are proven, counted for each trail, account and region, how many from older versions, and how many there are.
pub(super) fn hours(report: &Report) -> (u64, u64, u64) {
    let hours = |wanted: fn(HourStatus) -> bool| -> u64 {
        let rows = report.cloudtrail.iter().flat_map(|trail| &trail.hours);
        rows.filter(|(status, _)| wanted(**status)).map(|(_, count)| count).sum()
    };
    (hours(|status| status == HourStatus::Verified), hours(|status| status == HourStatus::Recovered), hours(|_| true))
}

/// What AWS's signatures rest on where the public keys did not come from AWS's own endpoint.
pub(super) fn other_keys(facts: &Facts, report: &Report) -> Option<String> {
    let from: Vec<&str> = facts.keys_from().into_iter().collect();
    (!from.is_empty() && !report.cloudtrail.is_empty()).then(|| {
        format!(
            "The public keys came from {}, which was asked in the place of AWS's own endpoint: unless that server is AWS's, the \
             signatures prove no more than its word.",
            from.join(", ")
        )
    })
}

/// What is said wherever a collection is spoken of that did not come to its end.
pub(super) fn unfinished(facts: &Facts) -> Option<&'static str> {
    (!facts.summary.is_finished()).then_some(
        "The collection did not come to its end: what had not been asked for by then is neither in the case nor in part 9.",
    )
}

/// What somebody received and signed for with this seal.
pub(super) fn receipt_in<'a>(seal: &SealFacts, report: &'a Report) -> Option<&'a CustodyReport> {
    let signed = |link: &&CustodyReport| link.received_at.is_some() && link.signature != SignatureState::Absent;
    report.custody.iter().filter(signed).find(|link| link.signed_in.as_deref() == Some(seal.path.as_str()))
}

pub(super) fn summary(page: &mut Markup, facts: &Facts, report: &Report) {
    let artifacts = &report.artifacts;
    let holes = facts.summary.gaps.iter().filter(|gap| gap.reason.is_incompleteness()).count();
    let (proven, recovered, all) = hours(report);
    let cloudtrail = if report.cloudtrail.is_empty() {
        "CloudTrail: no digests, so nothing is proven by signatures that AWS made.".to_owned()
    } else {
        let recovered = match recovered {
            0 => String::new(),
            recovered => format!("; {} more from older versions of what was changed or deleted", thousands(recovered)),
        };
        let signatures = if facts.keys_from().is_empty() { "signatures that AWS made" } else { "signatures on the digests" };
        format!(
            "CloudTrail: {} of {} (counted for each trail, account and region) are proven by {signatures}{recovered}.",
            thousands(proven),
            counted(all, "hour")
        )
    };
    let mut lines = vec![
        format!(
            "{} of {} ({}) are byte for byte as they were acquired.",
            thousands(artifacts.valid),
            counted(artifacts.total, "stored file"),
            counted(artifacts.bytes, "byte")
        ),
        format!(
            "The ledger has {}; its chain of hashes {}.",
            if report.ledger.entries == 1 {
                "1 entry".to_owned()
            } else {
                format!("{} entries", thousands(report.ledger.entries))
            },
            if report.ledger.valid { "is unbroken" } else { "IS BROKEN" }
        ),
        cloudtrail,
    ];
    lines.extend(other_keys(facts, report).map(|said| {
        format!(
            "{said} Compare the keys with those that AWS publishes: “caselock verify --online”, or --keys with a saved answer."
        )
    }));
    let elsewhere = facts.asked_elsewhere();
    if !elsewhere.is_empty() {
        lines.push(format!(
            "Answers came from {}, asked in the place of AWS's own endpoints: unless that server is AWS's, what is in the case from there is no \
             more than its word.",
            elsewhere.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    lines.extend(unfinished(facts).map(str::to_owned));
    lines.extend([
        match holes {
            0 => "Nothing that was asked for is recorded as missing; where AWS answered that there is nothing, part 9 says so."
                .to_owned(),
            1 => "1 thing that was asked for could not be had; it is named in part 9.".to_owned(),
            holes => {
                format!("{} things that were asked for could not be had; each is named in part 9.", thousands(number(holes)))
            }
        },
        format!(
            "{} of change, removal or forgery; {} of missing proof; {} to know.",
            counted(count(&report.findings, Severity::Failure), "finding"),
            thousands(count(&report.findings, Severity::Gap)),
            thousands(count(&report.findings, Severity::Notice))
        ),
    ]);
    if facts.seals.is_empty() {
        lines.push("Not sealed yet: nobody has signed for this case, and this report is provisional.".to_owned());
    }
    lines.extend(facts.seals.iter().enumerate().map(|(at, seal)| {
        let statement = &seal.statement;
        let by = format!("{} by {} ({})", statement.sealed_at, statement.signer.principal, statement.signer.fingerprint);
        match receipt_in(seal, report) {
            Some(link) => format!("Received by {} from {}; sealed {by}.", link.handover.received_by, link.handover.released_by),
            None if at == 0 => format!("Sealed {by}."),
            None => format!("Sealed again {by}."),
        }
    }));
    page.list(&lines);
}

pub(super) fn case_and_scope(page: &mut Markup, facts: &Facts, _report: &Report) {
    let identity = &facts.identity;
    let scope = &identity.scope;
    page.fields(&[
        ("Case number", identity.case_number.clone()),
        ("Evidence number", identity.evidence_number.clone()),
        ("Examiner", identity.examiner.clone()),
        ("Organization", identity.organization.clone()),
        ("Authority", identity.authority.clone()),
        ("Description", identity.description.clone()),
        ("Notes", identity.notes.clone()),
        ("Case opened", facts.opened_at.unwrap_or(identity.opened_at).to_string()),
        ("Window asked for (UTC)", identity.window.to_string()),
        ("Sources", or_all(&scope.sources, "all")),
        ("Regions", or_all(&scope.regions, "all that are enabled")),
        ("Accounts", or_all(&scope.accounts, "the account of the credentials, and what its trails hold")),
        ("One trail only", scope.trail_arn.as_ref().map_or_else(|| "no".to_owned(), ToString::to_string)),
        (
            "Bucket and prefix given by hand",
            match (&scope.bucket, &scope.prefix) {
                (None, None) => "no".to_owned(),
                (bucket, prefix) => format!("s3://{}/{}", bucket.as_deref().unwrap_or("?"), prefix.as_deref().unwrap_or("")),
            },
        ),
        ("SHA-256 of custody/case.toml", facts.case_toml_sha256.map(|sha256| sha256.to_string()).unwrap_or_default()),
    ]);
}

pub(super) fn method(page: &mut Markup, facts: &Facts, _report: &Report) {
    if facts.runs.iter().any(|run| run.endpoints().is_some()) {
        page.paragraph(
            "In at least one run another server was asked in the place of AWS's own endpoints; part 4 names it. What is said below of \
             AWS holds of that server then.",
        );
    }
    page.paragraph(
        "Evidence was requested from AWS through its own interfaces, with requests that only read. Every object was stored byte for \
         byte as AWS served it, every answer of an interface as its raw body. Each file was hashed with SHA-256 while it was being \
         received, written once, never replaced, and recorded in the ledger only after it was safely on disk. What could not be had \
         was recorded with the reason.",
    );
    page.paragraph(
        "Changes at the source: requests that read leave traces of their own in the account's logs (CloudTrail and access logs \
         record them). Nothing else in the account is changed.",
    );
    page.raw("<h3>Requests whose answers are in the case</h3>\n");
    let mut operations: Vec<String> = facts
        .operations
        .iter()
        .map(|(operation, count)| format!("{operation} – {} stored", counted(*count, "answer")))
        .collect();
    operations.extend(facts.buckets.iter().map(|bucket| format!("s3:GetObject – objects of the bucket {bucket}")));
    page.raw("<ul class=\"many\">\n");
    for operation in operations {
        page.within("<li>", operation, "</li>\n");
    }
    page.raw("</ul>\n");
    page.raw("<h3>Comparison with hashes that AWS holds for its objects</h3>\n");
    let meaning = |word: &str| match word {
        "match" => "AWS's own hash of the object equals that of the copy",
        "mismatch" => "AWS's own hash differs",
        "not-comparable" => "AWS holds a hash, but not one over the whole object's bytes",
        _ => "AWS named no hash for the object",
    };
    let rows: Vec<Vec<String>> = facts
        .agreement
        .iter()
        .map(|(word, count)| vec![(*word).to_owned(), thousands(*count), meaning(word).to_owned()])
        .collect();
    page.table("plain", &["Result", "Objects", "Meaning"], &rows);
}

pub(super) fn who(page: &mut Markup, facts: &Facts, _report: &Report) {
    for run in &facts.runs {
        let started = &run.started;
        page.within("<h3>Run ", started.run, "</h3>\n").fields(&[
            ("Began", run.at.to_string()),
            ("Ended", run.ended()),
            ("AWS principal", run.principals()),
            ("AWS account of the credentials", started.caller.account.to_string()),
            ("Access key (id, never the secret)", or_all(&run.access_keys(), "not known")),
            ("Workstation", format!("{} ({})", started.host, started.system)),
            ("Operating system user", started.os_user.clone()),
            ("Program", tool_text(&started.tool)),
            ("Command line, secrets removed", words::command_line(&started.command_line)),
            ("Endpoint", run.endpoints().unwrap_or_else(|| "AWS's own".to_owned())),
            ("Regions asked", or_all(&started.regions, "none")),
        ]);
    }
    if facts.runs.is_empty() {
        page.paragraph("The ledger records no collection.");
    }
}

pub(super) fn acquired(page: &mut Markup, facts: &Facts, _report: &Report) {
    let rows: Vec<Vec<String>> = facts
        .summary
        .rows
        .iter()
        .map(|row| {
            let gaps: Vec<String> =
                row.gaps.iter().map(|(reason, count)| format!("{} {}", thousands(*count), reason.as_str())).collect();
            vec![
                row.source.clone(),
                row.account.map_or_else(|| "–".to_owned(), |account| account.to_string()),
                row.region.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string),
                thousands(row.found),
                thousands(row.objects),
                thousands(row.responses),
                thousands(row.bytes),
                gaps.join(", "),
            ]
        })
        .collect();
    page.table("rows", &["Source", "Account", "Region", "Found", "Objects", "Answers", "Bytes", "Not had"], &rows);
}

pub(super) fn coverage(page: &mut Markup, _facts: &Facts, report: &Report) {
    let Some(window) = report.window.filter(|_| !report.cloudtrail.is_empty()) else {
        page.paragraph("The case holds no CloudTrail digests, so no hour can be proven by signatures that AWS made.");
        return;
    };
    let unread = report.unread();
    coverage::draw(page, window, &report.cloudtrail, unread);
    let mut rows = Vec::new();
    for trail in &report.cloudtrail {
        for range in &trail.uncovered_hours {
            rows.push(vec![
                format!("{} {}", trail.account, trail.region),
                trail.trail_arn.rsplit('/').next().unwrap_or_default().to_owned(),
                range.from.to_string(),
                range.to.to_string(),
                words::hour(range.status, unread).to_owned(),
            ]);
        }
    }
    if rows.is_empty() {
        page.paragraph("Every hour of the window is proven, for every trail, account and region.");
    } else {
        page.raw("<h3>Hours that are not proven as they lie in the bucket</h3>\n");
        page.table("hours", &["Account and region", "Trail", "From (UTC)", "To (UTC)", "Why"], &rows);
    }
}

pub(super) fn findings(page: &mut Markup, _facts: &Facts, report: &Report) {
    if report.findings.is_empty() {
        page.paragraph("None.");
    }
    for (severity, title, class) in [
        (Severity::Failure, "Changed, removed or forged", "<div class=\"finding failure\">"),
        (Severity::Gap, "Cannot be proven, or could not be had", "<div class=\"finding gap\">"),
        (Severity::Notice, "To know; takes nothing from the proof", "<div class=\"finding notice\">"),
    ] {
        let chosen: Vec<&Finding> = report.findings.iter().filter(|finding| finding.severity == severity).collect();
        if chosen.is_empty() {
            continue;
        }
        page.raw("<h3>").text(title).raw(" (").text(chosen.len()).raw(")</h3>\n");
        for of_a_kind in chosen.chunk_by(|one, next| one.kind == next.kind) {
            for finding in of_a_kind.iter().take(SHOWN) {
                page.raw(class).text(&finding.detail).raw("<br><code>").text(&finding.kind).raw("</code> <code>");
                page.text(&finding.object).raw("</code></div>\n");
            }
            if let (Some(left_out @ 1..), Some(first)) = (of_a_kind.len().checked_sub(SHOWN), of_a_kind.first()) {
                page.paragraph(format_args!(
                    "And {left_out} more of the kind {}; “caselock verify --json” lists them all.",
                    first.kind
                ));
            }
        }
    }
}

pub(super) fn gaps(page: &mut Markup, facts: &Facts, _report: &Report) {
    let (holes, others): (Vec<_>, Vec<_>) = facts.summary.gaps.iter().partition(|gap| gap.reason.is_incompleteness());
    let (left_out, answers): (Vec<_>, Vec<_>) = others.into_iter().partition(|gap| gap.reason == GapReason::Skipped);
    for (title, gaps) in [
        ("Asked for, and could not be had", holes),
        ("Asked for, and AWS's answer was that there is nothing", answers),
        ("Left out, and not asked for", left_out),
    ] {
        page.raw("<h3>").text(title).raw(" (").text(gaps.len()).raw(")</h3>\n");
        let rows: Vec<Vec<String>> = gaps
            .iter()
            .take(GAPS_SHOWN)
            .map(|gap| {
                let place = [gap.account.map(|account| account.to_string()), gap.region.as_ref().map(ToString::to_string)];
                let code = gap.error_code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
                let detail = gap.detail.as_ref().map(|detail| format!("; {detail}")).unwrap_or_default();
                vec![
                    gap.source.clone(),
                    place.into_iter().flatten().collect::<Vec<_>>().join(" "),
                    gap.what.clone(),
                    format!("{}{code}{detail}", words::reason(gap.reason)),
                ]
            })
            .collect();
        if rows.is_empty() {
            page.paragraph("None.");
        } else {
            page.table("gaps", &["Source", "Account and region", "What", "Why"], &rows);
        }
        if let Some(left_out @ 1..) = gaps.len().checked_sub(GAPS_SHOWN) {
            page.paragraph(format_args!("And {left_out} more; “caselock status --verbose” lists them all."));
        }
    }
}

pub(super) fn clocks(page: &mut Markup, facts: &Facts, _report: &Report) {
    page.paragraph(
        "All times in this report are UTC. Times of acts are by the clock of the machine that acted; times in evidence are AWS's. \
         At each run the machine's clock was compared with the Date of AWS's answers:",
    );
    let mut rows = Vec::new();
    for run in &facts.runs {
        rows.push(vec![format!("{} at its beginning", run.started.run), clock_text(run.started.clock)]);
        if let Some((_, finished)) = &run.finished {
            rows.push(vec![format!("{} at its end", run.started.run), clock_text(finished.clock)]);
        }
    }
    page.table("plain", &["Run", "Comparison"], &rows);
}

pub(super) fn seals(page: &mut Markup, facts: &Facts, report: &Report) {
    page.fields(&[
        ("Hash algorithm", "SHA-256 (FIPS 180-4)".to_owned()),
        (
            "Ledger lines and Merkle root",
            format!("{}, {}", counted(facts.summary.ledger_lines, "line"), facts.summary.ledger_root),
        ),
    ]);
    for package in &facts.packages_read {
        page.fields(&[
            (if facts.packages_read.len() > 1 { "This part" } else { "This package" }, package.file.clone()),
            ("Its bytes", thousands(package.size)),
            ("Its SHA-256", package.sha256.to_string()),
        ]);
    }
    for package in &facts.packages {
        let written = if package.include.is_empty() { "Package written" } else { "Disclosure written" };
        let Delivered { head, within } = Delivered::of(package);
        let encrypted = if within.is_some() { " (encrypted)" } else { "" };
        let mut fields = vec![
            (written, format!("{}{encrypted}", head.file)),
            ("Bytes", thousands(head.size)),
            ("SHA-256", head.sha256.to_string()),
        ];
        let zip = |zip: PackageHead| format!("{}, {}, SHA-256 {}", zip.file, counted(zip.size, "byte"), zip.sha256);
        fields.extend(within.map(|within| ("Zip within it", zip(within))));
        fields.push(("Seal it carries", package.seal.clone()));
        page.fields(&fields);
    }
    for SealFacts { sha256, statement: seal, .. } in &facts.seals {
        let checked = report.seals.iter().find(|checked| checked.file.ends_with(&format!("/{:04}.json", seal.number)));
        page.within("<h3>Seal ", seal.number, "</h3>\n").fields(&[
            ("Sealed at (signer's clock)", seal.sealed_at.to_string()),
            ("Signer", seal.signer.principal.clone()),
            ("Key fingerprint", seal.signer.fingerprint.clone()),
            ("Signature", checked.map(|seal| words::signature(seal.signature).to_owned()).unwrap_or_default()),
            (
                "Key vouched for",
                match checked.and_then(|seal| seal.trusted) {
                    Some(true) => "yes: by the allowed signers that were given",
                    Some(false) => "NO: not by the allowed signers that were given",
                    None if checked.is_some_and(|seal| seal.vouched_as.is_some()) => {
                        "its key is, by the allowed signers that were given; that it made this signature was not checked"
                    }
                    None => "by nobody; compare the fingerprint with what the signer tells you",
                }
                .to_owned(),
            ),
            ("Time-stamp (RFC 3161)", checked.map(stamp_text).unwrap_or_default()),
            ("SHA-256 of the seal", sha256.to_string()),
            ("Ledger it covers", format!("{}, root {}", counted(seal.ledger.lines, "line"), seal.ledger.root)),
            ("manifest-sha256.txt", seal.manifest_sha256.to_string()),
            ("tagmanifest-sha256.txt", seal.tagmanifest_sha256.to_string()),
            (
                "Evidence it covers",
                format!("{}, {}", counted(seal.artifacts.count, "file"), counted(seal.artifacts.bytes, "byte")),
            ),
        ]);
    }
    if facts.seals.is_empty() {
        page.paragraph("The case is not sealed.");
    }
}
