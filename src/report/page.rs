//! The order of the page: head, verdict, parts, glossary, forms. What each part says stands elsewhere.

use crate::case::event::Tool;
use crate::model::Timestamp;
use crate::verify::{Report, Verdict};

use super::facts::Facts;
use super::markup::Markup;
use super::{checks, forms, sections, timeline, words};

/// When, and with what, a report was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// With which program.
    pub tool: Tool,
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n<title>";

type Section = (&'static str, fn(&mut Markup, &Facts, &Report));

/// The parts of the report, in order; their numbers follow from it.
const SECTIONS: [Section; 12] = [
    ("Summary", sections::summary),
    ("Case and scope", sections::case_and_scope),
    ("Method", sections::method),
    ("Who acquired it, and with what", sections::who),
    ("Timeline of the acquisition", timeline::timeline),
    ("What was acquired", sections::acquired),
    ("Coverage: which hours are proven", sections::coverage),
    ("Findings", sections::findings),
    ("What is not in the case", sections::gaps),
    ("Clocks", sections::clocks),
    ("Hashes, seals and signers", sections::seals),
    ("How to verify this yourself", checks::how_to_verify),
];

/// Writes the report: everything in one page, the forms at its end.
#[must_use]
pub fn report_page(facts: &Facts, report: &Report, made: &Made) -> String {
    let mut page = Markup::default();
    page.raw(HEAD).text(facts.case_number()).raw(" – acquisition report</title>\n<style>\n");
    page.raw(include_str!("style.css")).raw("</style>\n</head>\n<body>\n");
    page.within("<h1>Acquisition report: case ", facts.case_number(), "</h1>\n");
    page.raw("<p class=\"subtitle\">Made ").text(made.at).raw(" (UTC) with ").text(&made.tool.name).raw(" ");
    page.text(&made.tool.version).raw(". Derived from the case; not itself evidence.</p>\n");
    let (verdict, meaning) = words::verdict(report, "parts 7, 8 and 9 of this report");
    page.raw(match report.verdict {
        Verdict::Pass => "<div class=\"verdict pass\"><strong>",
        Verdict::Fail => "<div class=\"verdict fail\"><strong>",
        Verdict::Incomplete => "<div class=\"verdict incomplete\"><strong>",
    });
    page.text(verdict).raw("</strong>").text(meaning).raw("</div>\n");
    page.raw("<nav aria-label=\"Contents\"><ol>\n");
    for (at, (title, _)) in (1_u32..).zip(SECTIONS) {
        page.raw("<li><a href=\"#part-").text(at).raw("\">").text(title).raw("</a></li>\n");
    }
    page.raw(
        "<li><a href=\"#glossary\">Glossary</a></li>\n<li><a href=\"#form-custody\">Form: chain of custody</a></li>\n\
         <li><a href=\"#form-certificate\">Draft: FRE 902 certificate</a></li>\n\
         <li><a href=\"#form-statement\">Draft: witness statement</a></li>\n</ol></nav>\n",
    );
    for (at, (title, write)) in (1_u32..).zip(SECTIONS) {
        page.raw("<section id=\"part-").text(at).raw("\">\n<h2>").text(at).raw(" &nbsp;").text(title).raw("</h2>\n");
        write(&mut page, facts, report);
        page.raw("</section>\n");
    }
    page.raw("<section id=\"glossary\">\n<h2>Glossary</h2>\n<dl>\n");
    for (word, meaning) in words::GLOSSARY {
        page.within("<div><dt>", word, "</dt><dd>").text(meaning).raw("</dd></div>\n");
    }
    page.raw("</dl>\n</section>\n");
    forms::chain_of_custody(&mut page, facts, report);
    forms::certificate(&mut page, facts, report);
    forms::statement(&mut page, facts, report);
    page.raw("<footer>Case ").text(facts.case_number()).raw(" · ledger root <span class=\"hash\">").text(report.ledger.root);
    page.raw("</span> · this page holds no script and loads nothing.</footer>\n</body>\n</html>\n");
    page.finish()
}
