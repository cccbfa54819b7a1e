//! The report: complete, escaped, and never written into what is sealed.

use std::collections::BTreeSet;
use std::fs;

use caselock::case::event::{Caller, CollectionFinished, CollectionInterrupted, Event, GapReason};
use caselock::case::{CaseFiles, CaseWriter};
use caselock::report::{Made, read_facts, report_page};
use caselock::verify::{Options, verify};

use crate::account::{Ran, Simulated};
use crate::findings::has;
use crate::memory_case::{Collection, quiet};
use crate::sample::{Sample, artifact, at, gap, started, tool};

fn report(sample: &Sample, more: &[&str]) -> Ran {
    sample.run(&[&["report"], more, &["--quiet"]].concat())
}

fn page(sample: &Sample) -> String {
    page_of(&sample.open())
}

fn page_of(files: &dyn CaseFiles) -> String {
    let report = verify(files, &Options::default()).unwrap();
    report_page(&read_facts(files).unwrap(), &report, &Made { at: at(), tool: tool() })
}

#[test]
fn nothing_from_the_evidence_becomes_markup() {
    let (sample, mut writer) = Sample::with_case_number("</title><script>alert(1)</script>");
    writer.commit(vec![artifact(&writer, "<img src=x onerror=alert(2)>", b"x")]).unwrap();
    sample.seal(&mut writer);
    sample.overwrite("data/<b>planted", b"planted");
    let page = page(&sample);
    assert!(page.contains("&lt;/title&gt;&lt;script&gt;alert(1)"), "the case number is shown");
    assert!(page.contains("data/&lt;b&gt;planted"), "the planted file is named");
    for markup in ["<script", "<img", "<b>"] {
        assert!(!page.contains(markup), "{markup}");
    }
}

#[test]
fn the_page_needs_nothing_else() {
    let page = page(&Sample::sealed());
    for reference in ["src=", "href=\"h", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_tag_that_opens_closes() {
    let page = page(&Sample::sealed());
    let names = page.split('<').skip(1).map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap());
    // Those that have no end.
    let tags: BTreeSet<&str> =
        names.filter(|name| !["", "br", "col", "hr", "img", "link", "meta", "wbr"].contains(name)).collect();
    assert!(["table", "section", "li", "p", "dl", "h2"].iter().all(|tag| tags.contains(tag)), "{tags:?}");
    for tag in tags {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_forms_are_filled_from_the_case_and_say_that_they_are_drafts() {
    let sample = Sample::sealed();
    let page = page(&sample);
    let fingerprint = &sample.key().signer().fingerprint.clone();
    for part in ["Chain of custody", "902(13) and 902(14)", "Witness statement", "A. Examiner", fingerprint] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("DRAFT – not signed").count(), 2);
    for number in 1..=10 {
        assert!(page.contains(&format!("<h3>{number} &nbsp;")), "field group {number} of the custody form");
    }
}

#[test]
fn a_change_is_named_on_the_first_page() {
    let sample = Sample::sealed();
    let first = Sample::payload().first().unwrap().as_str().to_owned();
    sample.overwrite(&first, b"other");
    let page = page(&sample);
    assert!(page.contains("<strong>FAIL</strong>"), "{page}");
    assert!(page.contains("<div class=\"finding failure\">"));
    assert!(page.contains(&first));
}

#[test]
fn the_report_of_an_unsealed_case_is_in_it_and_made_anew() {
    let sample = Sample::unsealed();
    for _ in 0..2 {
        report(&sample, &["case"]).expect(4);
    }
    let folder: Vec<_> = fs::read_dir(sample.file("reports")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(folder, ["report.html"]);
}

#[test]
fn nothing_is_written_into_a_sealed_case_and_nothing_is_replaced() {
    let sample = Sample::sealed();
    report(&sample, &["case"]).expect(4);
    assert!(!sample.file("reports").exists());
    let beside = sample.path("case-report.html");
    let first = fs::read(&beside).unwrap();
    report(&sample, &["case"]).expect(2);
    assert_eq!(fs::read(&beside).unwrap(), first);
    report(&sample, &["case", "-o", "case/data/report.html"]).expect(2);
    assert!(!sample.file("data/report.html").exists());
}

#[test]
fn a_package_is_reported_with_its_own_hash() {
    let sample = Sample::sealed();
    let package = sample.package("handed.zip");
    report(&sample, &["handed.zip"]).expect(4);
    let page = fs::read_to_string(sample.path("handed-report.html")).unwrap();
    assert!(page.contains(&package.sha256.to_string()));
}

/// A run on another machine, as it would begin.
fn started_elsewhere(run: u32) -> Event {
    let Event::CollectionStarted(mut run) = started(run) else { unreachable!() };
    run.host = "second-host".to_owned();
    run.os_user = "second-user".to_owned();
    run.command_line = ["caselock", "collect", "--examiner", "B. Second"].map(str::to_owned).to_vec();
    run.also_as =
        vec![Caller { arn: "arn:aws:sts::444455556666:assumed-role/incident-response/x".to_owned(), ..run.caller.clone() }];
    for (service, url) in
        [("S3", "http://192.0.2.7:9000"), ("STS", "http://192.0.2.7:9000"), ("CLOUDTRAIL", "http://192.0.2.8")]
    {
        run.service_endpoints.insert(service.to_owned(), url.to_owned());
    }
    Event::CollectionStarted(run)
}

fn finished(run: u32) -> Event {
    let none = CollectionFinished { run, artifacts: 1, bytes: 0, already_stored: 0, gaps: 0, clock: None };
    Event::CollectionFinished(none)
}

fn with_runs(runs: impl IntoIterator<Item = Event>) -> (Sample, CaseWriter) {
    let (sample, mut writer) = Sample::new();
    for event in runs {
        writer.append(event).unwrap();
    }
    (sample, writer)
}

/// The commands that a page gives, as they are copied from it.
pub(crate) fn commands_of(page: &str) -> String {
    let (_, after) = page.split_once("<pre>").unwrap();
    let escapes = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    escapes.iter().fold(after.split_once("</pre>").unwrap().0.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// What stands in a form.
fn form<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, form) = page.split_once(&format!("id=\"form-{name}\"")).unwrap();
    form.split_once("</section>").unwrap().0
}

#[test]
fn every_run_with_its_machine_its_principals_and_what_it_asked_stands_in_report_and_forms() {
    let (sample, mut writer) = with_runs([started(1), finished(1), started_elsewhere(2), finished(2)]);
    sample.seal(&mut writer);
    let page = page(&sample);
    let said = [
        "run 1: AWS&#39;s own<br>run 2: http://192.0.2.7:9000 for S3, STS; http://192.0.2.8 for CLOUDTRAIL; AWS&#39;s own for all others",
        "run 1: host (Linux)<br>run 2: second-host (Linux)",
        "run 1: user<br>run 2: second-user",
        "run 2: caselock collect --examiner &#39;B. Second&#39;",
        "incident-response/x, arn:aws:sts::444455556666:assumed-role",
    ];
    for words in said {
        assert!(form(&page, "custody").contains(words), "{words}\n{}", form(&page, "custody"));
    }
    assert_eq!(page.matches("<td>AWS&#39;s own</td>").count(), 1, "the endpoint of the first run alone");
    assert!(page.contains("another server was asked in the place of AWS&#39;s own endpoints; part 4 names it"));
    for draft in ["certificate", "statement"] {
        let draft = form(&page, draft);
        for words in [
            "on the computer host,",
            "on the computer second-host, records were requested, in the place of AWS&#39;s own endpoints, from http://192.0.2.7:9000",
        ] {
            assert!(draft.contains(words), "{words}\n{draft}");
        }
    }
    assert!(
        page.contains("Collection run 2 ended: 1 artifact stored, 0 were there already; it missed nothing that was in scope.")
    );
}

#[test]
fn a_run_that_says_why_it_stopped_is_told_with_the_reason() {
    let interrupted = CollectionInterrupted { run: 1, discarded: vec![], cause: Some("Ctrl-C".to_owned()) };
    let sample = with_runs([started(1), Event::CollectionInterrupted(interrupted)]).0;
    let page = page(&sample);
    assert!(page.contains("Collection run 1 was interrupted (Ctrl-C); 0 files that no ledger line names discarded"), "{page}");
    assert!(page.contains("The collection did not come to its end"), "{page}");
}

#[test]
fn an_unsealed_case_is_not_said_to_be_signed_nor_checked_by_signatures_that_it_has_not() {
    let sample = with_runs([started(1), finished(1)]).0;
    let page = page(&sample);
    let certificate = form(&page, "certificate");
    assert!(certificate.contains("which is not sealed: nobody has signed for it yet"), "{certificate}");
    for untrue in ["signatures were checked", "manifest-sha256.txt", "named below"] {
        assert!(!certificate.contains(untrue), "{untrue}\n{certificate}");
    }
    assert!(!page.contains("The collection did not come to its end"), "it did");
    assert!(!page.contains("VERIFY.txt in it gives") && !page.contains("PRINCIPAL"), "nothing that is not there");
    assert!(!form(&page, "custody").contains("0444"), "{}", form(&page, "custody"));
}

#[test]
fn what_aws_signed_is_counted_and_where_the_keys_came_from_is_said() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&[]);
    simulated.run(&["report", "case.zip", "-o", "page.html"]).expect(0);
    let page = fs::read_to_string(simulated.path("page.html")).unwrap();
    let endpoint = simulated.server.endpoint();
    let (summary, _) = page.split_once("id=\"part-2\"").unwrap();
    let keys = format!("The public keys came from {endpoint}, which was asked in the place of AWS&#39;s own endpoint");
    assert!(summary.contains(&keys) && summary.contains("proven by signatures on the digests"), "{summary}");
    let certificate = form(&page, "certificate");
    assert!(certificate.contains(&keys), "{certificate}");
    let (_, hours) = certificate.split_once("These signatures were checked: of the ").unwrap();
    let (all, rest) = hours.split_once(" hours of the period").unwrap();
    let (_, proven) = rest.split_once("region, ").unwrap();
    assert!(proven.starts_with(&format!("{all} were proven by them")), "{certificate}");
    assert!(certificate.contains("custody/seals/0001.json") && certificate.contains("(signature valid)"), "{certificate}");
    assert!(form(&page, "custody").contains("files and folders under data/ permit no writing"), "{}", form(&page, "custody"));
    assert!(page.contains("--examiner &#39;A. Examiner&#39;"), "a command line that can be copied");
}

#[test]
fn the_form_of_a_case_folder_names_the_package_of_its_latest_seal_and_no_disclosure() {
    let (sample, mut writer) = with_runs([started(1), finished(1)]);
    sample.seal(&mut writer);
    drop(writer);
    let run = |words: &str| drop(sample.run(&words.split(' ').collect::<Vec<_>>()).expect(0));
    let form_of = || form(&page(&sample), "custody").to_owned();
    assert!(!form_of().contains(".zip"), "nothing was packaged");
    run("package case -o p.zip --quiet");
    run("package case -o some.zip --include **/us-east-1/** --quiet");
    let named = form_of();
    assert!(named.contains("p.zip (") && !named.contains("some.zip") && named.contains("nobody signed for"), "{named}");
    assert!(!named.contains("1 of 1"), "{named}");
    run("package case -o q.zip --split-size 200B --quiet");
    let named = form_of();
    assert!(named.contains("q.part-1-of-") && named.contains("q.part-2-of-") && !named.contains("p.zip ("), "{named}");
    run("seal case --signing-key key --quiet");
    assert!(!form_of().contains(".zip"), "a package of an earlier seal is not the case as it was sealed last");
}

#[test]
fn all_parts_stand_in_the_form_with_their_hashes_and_those_that_are_not_there_are_named() {
    let sample = Sample::sealed();
    sample.run(&["package", "case", "-o", "p.zip", "--split-size", "200B"]).expect(0);
    let hashes = sample.shell("cat p.part-*.sha256");
    let of = hashes.lines().count();
    assert!(of >= 3, "{hashes}");
    let report = |out: &str| {
        report(&sample, &[&format!("p.part-2-of-{of}.zip"), "-o", out]).expect(4);
        let page = fs::read_to_string(sample.path(out)).unwrap();
        form(&page, "custody").to_owned()
    };
    let whole = report("all.html");
    assert!(whole.contains(&format!("in {of} parts")), "{whole}");
    for line in hashes.lines() {
        let (sha256, name) = line.split_once("  ").unwrap();
        let (_, transfers) = whole.split_once("Transfers – case IR-2026-014").unwrap();
        assert!(whole.contains(name) && transfers.contains(&format!("{name}, SHA-256 {sha256}")), "{line}\n{whole}");
    }
    fs::remove_file(sample.path(&format!("p.part-1-of-{of}.zip"))).unwrap();
    let some = report("some.html");
    assert!(some.contains(&format!("part 1 of {of} was not there")) && some.contains("here and unchanged"), "{some}");
}

#[test]
fn what_was_left_out_is_not_said_to_be_answered_by_aws() {
    let gaps =
        [gap("snapshots", GapReason::Empty), gap("other regions", GapReason::Skipped), gap("volumes", GapReason::Denied)];
    let sample = with_runs([started(1)].into_iter().chain(gaps).chain([finished(1)])).0;
    let page = page(&sample);
    let table = |title: &str| -> &str {
        let (_, after) = page.split_once(&format!("<h3>{title} (1)</h3>")).unwrap_or_else(|| panic!("{title}\n{page}"));
        after.split_once("</table>").unwrap().0
    };
    for (title, what) in [
        ("Asked for, and could not be had", "volumes"),
        ("Asked for, and AWS&#39;s answer was that there is nothing", "snapshots"),
        ("Left out, and not asked for", "other regions"),
    ] {
        let table = table(title);
        for any in ["volumes", "snapshots", "other regions"] {
            assert_eq!(table.contains(any), any == what, "{title}: {any}\n{table}");
        }
    }
}

#[test]
fn keys_that_came_from_aws_inside_a_private_network_are_not_said_to_come_from_elsewhere() {
    let said = |url: &'static str| {
        let mut collection = Collection::of(&quiet());
        collection.endpoints[1] = Some(url);
        let case = collection.case();
        let report = case.verify();
        let page = page_of(&case);
        let by_verify = has(&report, "keys-from-another-endpoint");
        (by_verify, page.contains("The public keys came from "))
    };
    assert_eq!(said("https://vpce-0example.cloudtrail.us-east-1.vpce.amazonaws.com"), (false, false));
    assert_eq!(said("http://192.0.2.8"), (true, true));
}
