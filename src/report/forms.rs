//! The forms: filled from the case, blank where a person must write, and never signed by a program.

use crate::model::{counted, thousands};
use crate::verify::{CustodyReport, Report, SignatureState, Verdict};

use super::facts::{Delivered, Facts, RunFacts, SealFacts, within_it};
use super::markup::Markup;
use super::sections::{clock_text, hours, number, or_all, other_keys, receipt_in, stamp_text, tool_text, unfinished};
use super::words;

const DRAFT: &str = "<strong class=\"draft\">DRAFT – not signed, not reviewed. To be checked, completed and adapted by counsel and by \
the person who will sign; not legal advice.</strong>\n";

const FAILED: &str = "<strong class=\"draft\">Verification found signs of change, removal or forgery (part 8). Nobody should sign before \
each is explained.</strong>\n";

/// Where a person signs, with what it is about, so that the page can be told from that of another case.
fn signature(page: &mut Markup, form: &'static str, facts: &Facts) {
    page.raw("<div class=\"signature\"><p class=\"small\">").text(form).raw(", ");
    for line in about(facts) {
        page.text(line).raw("<br>");
    }
    page.raw(
        "</p><span>Signature</span><span>Name in print, title</span><span>Place</span><span>Date, time and time zone</span></div>\n",
    );
}

/// What a form is about: the case, and the hashes that no other item has.
fn about(facts: &Facts) -> Vec<String> {
    let packages = facts.packages_of_the_case();
    let mut lines = vec![format!("case {}", facts.case_number())];
    lines.extend(packages.iter().map(|Delivered { head, .. }| format!("{}, SHA-256 {}", head.file, head.sha256)));
    if packages.is_empty() {
        lines.push(match facts.seals.last() {
            Some(seal) => format!("{}, SHA-256 {}", seal.path, seal.sha256),
            None => format!("not sealed; root of the ledger {}", facts.summary.ledger_root),
        });
    }
    lines
}

/// What is said of each run: once where all say the same, else by the run.
fn of_runs(facts: &Facts, say: impl Fn(&RunFacts) -> String) -> Vec<String> {
    let said: Vec<(u32, String)> = facts.runs.iter().map(|run| (run.started.run, say(run))).collect();
    match said.first() {
        Some((_, first)) if said.iter().all(|(_, other)| other == first) => vec![first.clone()],
        _ => said.into_iter().map(|(run, text)| format!("run {run}: {text}")).collect(),
    }
}

/// The package, or its parts; a part that was not there is named as such.
fn items(facts: &Facts, packages: &[Delivered]) -> Vec<String> {
    let of = packages.len() + facts.missing.len();
    let mut items = Vec::new();
    if of > 1 {
        items.push(format!("in {of} parts, each with its own hash"));
    }
    for Delivered { head, within } in packages {
        let encrypted = if within.is_some() { ", encrypted" } else { "" };
        items.push(format!("{} ({}{encrypted}), SHA-256 {}", head.file, counted(head.size, "byte"), head.sha256));
        items.extend(within.as_ref().map(within_it));
    }
    items.extend(facts.missing.iter().map(|part| format!("part {} of {} was not there", part.number, part.of)));
    items
}

/// Requests whose answers are in the case, and those among them that do more than read.
fn requests(facts: &Facts) -> (Vec<String>, Vec<String>) {
    let objects = (!facts.buckets.is_empty()).then(|| "s3:GetObject".to_owned());
    let all: Vec<String> = facts.operations.keys().cloned().chain(objects).collect();
    let reads = |request: &&String| {
        let operation = request.split_once(':').map_or("", |(_, operation)| operation);
        ["Get", "List", "Describe", "Lookup", "Head"].iter().any(|verb| operation.starts_with(verb))
    };
    let others = all.iter().filter(|request| !reads(request)).cloned().collect();
    (all, others)
}

/// The chain-of-custody form.
pub(super) fn chain_of_custody(page: &mut Markup, facts: &Facts, report: &Report) {
    page.raw("<section class=\"form\" id=\"form-custody\">\n<h2>Chain of custody</h2>\n");
    matter_item_and_source(page, facts, report);
    acquisition(page, facts);
    hashes_and_storage(page, facts, report);
    // On paper the heading stays with its table.
    page.raw("<div class=\"transfers\">\n<h3>9 &nbsp;Transfers – case ")
        .text(facts.case_number())
        .raw("</h3>\n<p class=\"small\">");
    for line in about(facts).iter().skip(1) {
        page.text(line).raw("<br>");
    }
    page.raw("</p>\n");
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
    page.raw("</div>\n");
    page.raw("<h3>10 &nbsp;Disposition</h3>\n").fields(&[
        ("Return, destroy, or retain until", String::new()),
        ("By whose authority", String::new()),
        ("Date", String::new()),
        ("Witness", String::new()),
    ]);
    signature(page, "Chain of custody", facts);
    page.raw("</section>\n");
}

fn matter_item_and_source(page: &mut Markup, facts: &Facts, report: &Report) {
    let identity = &facts.identity;
    page.raw("<h3>1 &nbsp;Matter</h3>\n").fields(&[
        ("Case number", identity.case_number.clone()),
        ("Matter or incident", identity.description.clone()),
        ("Client or organization", identity.organization.clone()),
        ("Legal authority or consent", identity.authority.clone()),
        ("Authorised by, date, document", String::new()),
    ]);
    let mut description =
        format!("AWS evidence, {}, {}", counted(facts.summary.artifacts, "file"), counted(facts.summary.bytes, "byte"));
    if report.artifacts.valid != facts.summary.artifacts {
        let unchanged = counted(report.artifacts.valid, "file");
        description = format!("{description}; of these {unchanged} here and unchanged");
    }
    page.raw("<h3>2 &nbsp;Item</h3>\n").fields(&[
        ("Evidence or exhibit number", identity.evidence_number.clone()),
        ("Item … of …", String::new()),
        ("Description", description),
        ("Period covered (UTC)", identity.window.to_string()),
    ]);
    let mut accounts: Vec<String> =
        facts.summary.rows.iter().filter_map(|row| row.account.map(|account| account.to_string())).collect();
    accounts.sort();
    accounts.dedup();
    let mut trails: Vec<&str> = report.cloudtrail.iter().map(|trail| trail.trail_arn.as_str()).collect();
    trails.dedup();
    let endpoints = |run: &RunFacts| run.endpoints().unwrap_or_else(|| "AWS's own".to_owned());
    let buckets = facts.buckets.iter().cloned().collect::<Vec<_>>().join(", ");
    page.raw("<h3>3 &nbsp;Source</h3>\n").fields_in_lines(&[
        ("Provider", vec!["Amazon Web Services".to_owned()]),
        ("Endpoints asked", of_runs(facts, endpoints)),
        ("Accounts", vec![accounts.join(", ")]),
        ("Regions", of_runs(facts, |run| or_all(&run.started.regions, "none"))),
        ("Buckets", vec![buckets]),
        ("Trails", vec![trails.join(", ")]),
        ("Owner or custodian of the source", Vec::new()),
    ]);
}

fn acquisition(page: &mut Markup, facts: &Facts) {
    let identity = &facts.identity;
    let ends = |run: &RunFacts| {
        let end = |id: &&str| id.chars().skip(id.chars().count().saturating_sub(4)).collect::<String>();
        or_all(&run.access_keys().iter().map(end).collect::<Vec<_>>(), "not known")
    };
    page.raw("<h3>4 &nbsp;Acquired by</h3>\n").fields_in_lines(&[
        ("Name", vec![identity.examiner.clone()]),
        ("Title", Vec::new()),
        ("Organization", vec![identity.organization.clone()]),
        ("Contact", Vec::new()),
        ("AWS principal", of_runs(facts, RunFacts::principals)),
        ("Access key, last four characters", of_runs(facts, ends)),
        ("Signed in with MFA (yes / no)", Vec::new()),
        ("Roles assumed on the way", Vec::new()),
    ]);
    let clocks = |run: &RunFacts| match run.finished.as_ref().and_then(|(_, finished)| finished.clock) {
        Some(end) => format!("at the start: {}; at the end: {}", clock_text(run.started.clock), clock_text(Some(end))),
        None => clock_text(run.started.clock),
    };
    page.raw("<h3>5 &nbsp;When and where</h3>\n").fields_in_lines(&[
        ("Start (UTC)", of_runs(facts, |run| run.at.to_string())),
        ("End (UTC)", of_runs(facts, RunFacts::ended)),
        ("Local time zone", Vec::new()),
        ("Workstation", of_runs(facts, |run| format!("{} ({})", run.started.host, run.started.system))),
        ("User", of_runs(facts, |run| run.started.os_user.clone())),
        ("Location", Vec::new()),
        ("Clock", of_runs(facts, clocks)),
    ]);
    let (requests, others) = requests(facts);
    let changing = if others.is_empty() { "none among those below".to_owned() } else { others.join(", ") };
    page.raw("<h3>6 &nbsp;Tool</h3>\n").fields_in_lines(&[
        ("Program", of_runs(facts, |run| tool_text(&run.started.tool))),
        ("Command line", of_runs(facts, |run| words::command_line(&run.started.command_line))),
        ("Requests that may change something at the source", vec![changing]),
        ("Requests whose answers are stored", vec![requests.join(", ")]),
    ]);
}

fn hashes_and_storage(page: &mut Markup, facts: &Facts, report: &Report) {
    let packages = facts.packages_of_the_case();
    let checked = |seal: &SealFacts| report.seals.iter().find(|checked| checked.file == seal.path);
    let mut items = items(facts, &packages);
    if facts.packages_read.is_empty() && !packages.is_empty() {
        items.push("as the ledger says, in lines after the seal that nobody signed for: compare with the files".to_owned());
    }
    let signer = |seal: &SealFacts| {
        let trust = match checked(seal).and_then(|checked| checked.trusted) {
            Some(true) => "; vouched for by the allowed signers that were given",
            Some(false) => "; NOT vouched for by the allowed signers that were given",
            None => "",
        };
        format!("{}: {}{trust}", seal.path, signed_with(seal, report))
    };
    let of_seals = |say: &dyn Fn(&SealFacts) -> Option<String>| facts.seals.iter().filter_map(say).collect::<Vec<_>>();
    page.raw("<h3>7 &nbsp;Hashes and signature</h3>\n").fields_in_lines(&[
        ("Hash algorithm", vec!["SHA-256".to_owned()]),
        ("Package and its SHA-256", items),
        ("SHA-256 of the seal", of_seals(&|seal| Some(format!("{} ({})", seal.sha256, seal.path)))),
        (
            "Merkle root that the seal covers",
            facts.seals.last().map(|seal| seal.statement.ledger.root.to_string()).into_iter().collect(),
        ),
        ("Signer's key", of_seals(&|seal| Some(signer(seal)))),
        ("Time-stamp", of_seals(&|seal| checked(seal).map(|checked| format!("{}: {}", seal.path, stamp_text(checked))))),
        ("Time-stamping authority and serial", Vec::new()),
    ]);
    page.raw("<h3>8 &nbsp;Storage</h3>\n").fields(&[
        ("Storage location, media id", String::new()),
        ("Write protection", facts.protection.map(words::protection).unwrap_or_default()),
        ("Object lock mode, retained until", String::new()),
    ]);
}

/// A transfer that was recorded; its signature is a digital one, so the form says with which key.
fn transfer_row(link: &CustodyReport) -> Vec<String> {
    let handover = &link.handover;
    let times = [("released ", link.released_at), ("received ", link.received_at)];
    let times: Vec<String> = times.iter().filter_map(|(what, at)| at.map(|at| format!("{what}{at}"))).collect();
    let trust = match link.trusted {
        Some(true) => ", vouched for by the allowed signers that were given",
        Some(false) => ", NOT vouched for by the allowed signers that were given",
        None => "",
    };
    let signed = match (link.received_at, &link.signer, link.signature) {
        (None, _, _) => "not received, not signed for".to_owned(),
        (Some(_), Some(signer), SignatureState::Valid) => format!("signed with {signer}{trust}"),
        (Some(_), Some(signer), state) => format!("signature {}: {signer}{trust}", words::signature(state)),
        (Some(_), None, _) => "NOT SIGNED FOR".to_owned(),
    };
    let recorded = match &link.signed_in {
        Some(place) if link.signature == SignatureState::Absent => format!("recorded under {place}"),
        Some(place) => format!("signed in {place}"),
        None => "recorded after the last seal: nobody signed for this line".to_owned(),
    };
    let verification = &link.verification;
    let condition = handover.condition.as_deref().map(|condition| format!("{condition}; ")).unwrap_or_default();
    let location = handover.location.as_deref().map(|location| format!("{location}; ")).unwrap_or_default();
    vec![
        times.join(", "),
        handover.released_by.clone(),
        format!("{} ({signed})", handover.received_by),
        handover.purpose.clone(),
        handover.method.clone().unwrap_or_default(),
        format!(
            "{condition}re-verified: {}, {} of {} unchanged, ledger root {}, caselock",
            verification.verdict,
            thousands(verification.artifacts_valid),
            counted(verification.artifacts, "file"),
            verification.ledger_root
        ),
        format!("{location}{recorded}"),
    ]
}

/// The key of a seal, the name that its signer gave, and whether its signature holds.
fn signed_with(seal: &SealFacts, report: &Report) -> String {
    let checked = report.seals.iter().find(|checked| checked.file == seal.path);
    let state = checked.map_or("not checked", |checked| words::signature(checked.signature));
    let signer = &seal.statement.signer;
    format!("the key {} under the name {} (signature {state})", signer.fingerprint, signer.principal)
}

/// What one run was, in a sentence of a statement.
fn run_in_words(facts: &Facts, run: &RunFacts) -> String {
    let (time, end) = match (&run.finished, &run.interrupted) {
        (Some((until, _)), _) => (format!("Between {} and {until}", run.at), String::new()),
        // The time is that of the interruption only where the run itself could still say so.
        (None, Some((until, Some(_)))) => (format!("Between {} and {until}", run.at), run.interruption()),
        (None, _) => (format!("From {} on", run.at), run.interruption()),
    };
    let end = if end.is_empty() { end } else { format!(" This did not come to its end: {end}.") };
    let asked = match run.endpoints() {
        Some(endpoints) => format!("records were requested, in the place of AWS's own endpoints, from {endpoints},"),
        None => "records were requested from Amazon Web Services".to_owned(),
    };
    format!(
        "{time} (UTC), on the computer {}, {asked} for the case {} with {}. The requester was identified as {}.{end}",
        run.started.host,
        facts.case_number(),
        tool_text(&run.started.tool),
        run.principals()
    )
}

/// A draft certificate under the Federal Rules of Evidence 902(13) and (14).
pub(super) fn certificate(page: &mut Markup, facts: &Facts, report: &Report) {
    page.raw(
        "<section class=\"form\" id=\"form-certificate\">\n<h2>Certificate under Fed. R. Evid. 902(13) and 902(14)</h2>\n",
    )
    .raw(DRAFT)
    .raw(if report.verdict == Verdict::Fail { FAILED } else { "" });
    page.raw("<p>I, <span class=\"line\"></span>, declare:</p>\n<ol>\n");
    page.raw(
        "<li>I am employed by <span class=\"line\"></span> as <span class=\"line\"></span>. My training and experience in the \
              acquisition of electronic evidence are: <span class=\"line\"></span>.</li>\n",
    );
    for run in &facts.runs {
        page.within("<li>", run_in_words(facts, run), "</li>\n");
    }
    page.raw("<li>The process (902(13)): the program makes requests that only read, stores each answer and each object exactly as it \
              was received, computes its SHA-256 hash while receiving it, and records source, time and hash in a ledger in which each \
              line holds the hash of the line before.");
    if !report.cloudtrail.is_empty() {
        let (proven, recovered, all) = hours(report);
        page.raw(" AWS signs an hourly list of its CloudTrail logs with their hashes. These signatures were checked: of the ");
        page.text(counted(all, "hour"))
            .raw(" of the period, counted for each trail, account and region, ")
            .text(thousands(proven));
        page.raw(" were proven by them");
        if recovered > 0 {
            page.raw(", and ").text(thousands(recovered)).raw(" from older versions of what was changed or deleted");
        }
        page.raw(" (part 7 of the report).");
        if let Some(keys) = other_keys(facts, report) {
            page.raw(" ").text(keys);
        }
    }
    page.raw(" Every stored byte is covered by a hash computed at receipt.</li>\n");
    page.raw("<li>Hashes (902(14)): on re-computation ").text(thousands(report.artifacts.valid)).raw(" of ");
    page.text(counted(report.artifacts.total, "file")).raw(" had the SHA-256 hash that was recorded at acquisition.");
    let agreement = |word: &str| facts.agreement.get(word).copied().unwrap_or(0);
    if !facts.agreement.is_empty() {
        page.raw(" For ").text(counted(agreement("match"), "object"));
        page.raw(" the hash that AWS holds for the original equals that of the copy; for ");
        page.text(counted(agreement("mismatch"), "object"));
        page.raw(" it differs; for ").text(counted(agreement("not-comparable") + agreement("absent"), "object"));
        page.raw(" AWS supplied none that can be compared.");
    }
    for (at, seal) in facts.seals.iter().enumerate() {
        if at == 0 {
            page.raw(" Each file's hash is in manifest-sha256.txt, whose own hash (").text(seal.statement.manifest_sha256);
            page.raw(") is in the seal ").text(&seal.path);
        } else {
            page.raw(" The same hash is in the later seal ").text(&seal.path);
        }
        if let Some(link) = receipt_in(seal, report) {
            page.raw(", by which ").text(&link.handover.received_by).raw(" signed for having received the case");
        }
        page.raw(", which has the SHA-256 ")
            .text(seal.sha256)
            .raw(" and is signed with ")
            .text(signed_with(seal, report))
            .raw(".");
    }
    if facts.seals.is_empty() {
        page.raw(" Each file's hash is in the ledger, which is not sealed: nobody has signed for it yet.");
    }
    page.raw("</li>\n<li>The records that this certificate is about: <span class=\"line\"></span> (exhibits).</li>\n");
    let (verdict, meaning) = words::verdict(report, "parts 7, 8 and 9 of the report");
    page.raw("<li>Limits: verification ended with the verdict ").text(verdict).raw(". ").text(meaning);
    page.text(unfinished(facts).map(|said| format!(" {said}")).unwrap_or_default()).raw("</li>\n</ol>\n");
    page.raw(
        "<p>I declare under penalty of perjury under the laws of the United States of America that the foregoing is true and \
              correct (28 U.S.C. § 1746).</p>\n",
    );
    signature(page, "Certificate", facts);
    page.raw("</section>\n");
}

/// A draft statement that takes no side and names no jurisdiction.
pub(super) fn statement(page: &mut Markup, facts: &Facts, report: &Report) {
    let identity = &facts.identity;
    page.raw("<section class=\"form\" id=\"form-statement\">\n<h2>Witness statement</h2>\n").raw(DRAFT);
    page.raw(if report.verdict == Verdict::Fail { FAILED } else { "" });
    page.raw("<p>Statement of <span class=\"line\"></span> (name), <span class=\"line\"></span> (occupation), in the matter of case ");
    page.text(facts.case_number()).raw(".</p>\n<ol>\n");
    page.raw("<li>I make this statement from my own knowledge, except where I say otherwise.</li>\n");
    page.raw("<li>I was instructed by <span class=\"line\"></span> on <span class=\"line\"></span> to preserve records for the period ");
    page.text(identity.window).raw(" (UTC).</li>\n");
    for run in &facts.runs {
        page.within("<li>", run_in_words(facts, run), "</li>\n");
    }
    page.raw("<li>The result is ").text(counted(facts.summary.artifacts, "file")).raw(" of ");
    page.text(counted(facts.summary.bytes, "byte")).raw(" in all. ");
    page.raw(if facts.summary.gaps.iter().any(|gap| gap.reason.is_incompleteness()) {
        "What was asked for and could not be had is listed in part 9 of the report."
    } else {
        "Nothing that was asked for is recorded as missing."
    });
    page.text(unfinished(facts).map(|said| format!(" {said}")).unwrap_or_default()).raw("</li>\n");
    page.raw("<li>I re-computed the hash of every file on <span class=\"line\"></span>. ");
    page.text(thousands(report.artifacts.valid)).raw(" of ").text(counted(report.artifacts.total, "file"));
    page.raw(" had the hash that was recorded when they were acquired; ");
    page.text(thousands(number(report.artifacts.modified.len()))).raw(" had another, and ");
    page.text(thousands(number(report.artifacts.missing.len()))).raw(" were missing.</li>\n");
    for (at, seal) in facts.seals.iter().enumerate() {
        page.raw("<li>");
        match receipt_in(seal, report) {
            Some(link) => {
                page.text(&link.handover.received_by).raw(" received the case from ").text(&link.handover.released_by);
                page.raw(" and signed for it");
            }
            None if at == 0 => {
                page.raw("The case was sealed");
            }
            None => {
                page.raw("The case was sealed again");
            }
        }
        page.raw(" at ").text(seal.statement.sealed_at).raw(" with ").text(signed_with(seal, report));
        page.raw(". The SHA-256 of ").text(&seal.path).raw(" is ").text(seal.sha256).raw(".</li>\n");
    }
    page.raw(
        "<li>I handed the item over to <span class=\"line\"></span> on <span class=\"line\"></span>. Until then it was kept at \
              <span class=\"line\"></span>, where <span class=\"line\"></span> had access.</li>\n",
    );
    page.raw("<li>I describe what was done and found. I draw no conclusion as to who acted or why.</li>\n</ol>\n");
    page.raw("<p>I believe that the facts stated here are true.</p>\n");
    signature(page, "Witness statement", facts);
    page.raw("</section>\n");
}
