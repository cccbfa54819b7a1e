//! docs/verification.md, taken apart: what it says of each kind of finding, as plain text.

use serde::Serialize;

/// The page, as it lies in the sources of this very version.
pub(super) const PAGE: &str = include_str!("../../../docs/verification.md");

/// What the page says of a kind of finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Explanation {
    pub(super) kind: String,
    /// Failure, gap or notice, and on what that depends.
    pub(super) weight: String,
    /// What it is about: the case, its seal, digests and so on.
    pub(super) part: String,
    /// The kinds that are explained together with it.
    pub(super) with: Vec<String>,
    pub(super) text: String,
    pub(super) innocent_cause: Option<String>,
    /// The tests that show that it is found.
    pub(super) test: Option<String>,
}

impl Explanation {
    /// What it means, in the first sentence.
    pub(super) fn meaning(&self) -> &str {
        self.text.split_inclusive(". ").next().unwrap_or_default().trim_end()
    }
}

/// The kinds that the page names, in its order.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    PAGE.split("**`").skip(1).filter_map(|rest| rest.split_once("`**")).map(|(kind, _)| kind)
}

/// What the page says of every kind, in its order.
pub(super) fn explanations() -> Vec<Explanation> {
    of_page(PAGE)
}

/// What the words mean that say in each explanation how sure it is.
pub(super) fn certainty() -> String {
    let told = PAGE.split("\n\n").find(|paragraph| paragraph.contains("**Certain** means"));
    told.map(|paragraph| plain(&flowing(paragraph))).unwrap_or_default()
}

fn of_page(page: &str) -> Vec<Explanation> {
    let (mut found, mut part) = (Vec::new(), "");
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        part = line.strip_prefix("### ").unwrap_or(part);
        // An entry is an item of a list, and begins with the kinds that it is about.
        let Some(first) = line.strip_prefix("- ").filter(|first| first.starts_with("**`")) else { continue };
        let mut entry = first.to_owned();
        while let Some(next) = lines.next_if(|next| next.starts_with("  ")) {
            entry.push(' ');
            entry.push_str(next);
        }
        found.extend(of_entry(part, &flowing(&entry)));
    }
    found
}

/// An entry: ``**`kind`** (weight), **`kind`** (weight). Text. *Innocent cause:* text. *Test:* text.``
fn of_entry(part: &str, entry: &str) -> Vec<Explanation> {
    let (mut heads, mut rest) = (Vec::new(), entry);
    while let Some((kind, after)) = rest.strip_prefix("**`").and_then(|named| named.split_once("`**")) {
        let weighed = after.strip_prefix(" (").and_then(|weight| weight.split_once(')'));
        let (weight, after) = weighed.map_or((None, after), |(weight, after)| (Some(weight), after));
        heads.push((kind, weight));
        rest = after.trim_start_matches(", ");
    }
    let (text, test) = apart(rest.trim_start_matches(". "), "*Test:*");
    let (text, innocent_cause) = apart(text, "*Innocent cause:*");
    let (text, test, innocent_cause) = (plain(text), test.map(plain), innocent_cause.map(plain));
    let of_head = |(at, (kind, _)): (usize, &(&str, Option<&str>))| Explanation {
        kind: (*kind).to_owned(),
        // Several kinds may have one weight, which then stands behind the last of them.
        weight: heads.iter().skip(at).find_map(|(_, weight)| weight.map(plain)).unwrap_or_default(),
        part: part.to_owned(),
        with: heads.iter().map(|(other, _)| *other).filter(|other| other != kind).map(str::to_owned).collect(),
        text: text.clone(),
        innocent_cause: innocent_cause.clone(),
        test: test.clone(),
    };
    heads.iter().enumerate().map(of_head).collect()
}

/// What stands before a mark, and what behind it.
fn apart<'a>(text: &'a str, mark: &str) -> (&'a str, Option<&'a str>) {
    text.split_once(mark).map_or((text.trim(), None), |(before, after)| (before.trim(), Some(after.trim())))
}

fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text without the marks of Markdown; of a link its words, and its address if that leads somewhere else than into the sources.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for (at, part) in without_links(text).split('`').enumerate() {
        // What stands between backticks is meant to the letter.
        if at % 2 == 1 { plain.push_str(part) } else { plain.push_str(&part.replace('*', "")) }
    }
    plain
}

fn without_links(text: &str) -> String {
    let (mut without, mut rest) = (String::new(), text);
    while let Some((before, from)) = rest.split_once('[') {
        without.push_str(before);
        let link = from.split_once("](").filter(|(words, _)| !words.contains(['[', ']']));
        let link = link.and_then(|(words, target)| Some((words, target.split_once(')')?)));
        let Some((words, (target, after))) = link else {
            without.push('[');
            rest = from;
            continue;
        };
        without.push_str(words);
        if target.contains("://") {
            without.extend([" (", target, ")"]);
        }
        rest = after;
    }
    without + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_told_in_its_parts_without_marks() {
        let page = "### Seals\n\nWords.\n\n- **`torn`** (gap), **`cut`**, **`lost`** (gap; failure with\n  `--strict`). The *last* \
                    line of `a*b` is [cut](x.md#y)\n  [short](https://example.com/). Certain. *Innocent\n  cause:* a crash. *Test:* `t`.\n\
                    Behind.\n- **`one`** (notice). That.\n";
        let all = of_page(page);
        let kinds: Vec<(&str, &str)> = all.iter().map(|of| (of.kind.as_str(), of.weight.as_str())).collect();
        let strictly = "gap; failure with --strict";
        assert_eq!(kinds, [("torn", "gap"), ("cut", strictly), ("lost", strictly), ("one", "notice")]);
        let told = all.first().unwrap();
        assert_eq!(told.text, "The last line of a*b is cut short (https://example.com/). Certain.");
        assert_eq!(told.meaning(), "The last line of a*b is cut short (https://example.com/).");
        assert_eq!((told.innocent_cause.as_deref(), told.test.as_deref()), (Some("a crash."), Some("t.")));
        assert_eq!((told.part.as_str(), told.with.join(" ").as_str()), ("Seals", "cut lost"));
        let last = all.last().unwrap();
        assert_eq!((last.meaning(), &last.innocent_cause, &last.test), ("That.", &None, &None));
    }

    #[test]
    fn every_kind_that_the_page_names_has_an_entry_that_reads_as_plain_text() {
        let all = explanations();
        assert_eq!(all.iter().map(|of| of.kind.as_str()).collect::<Vec<_>>(), kinds().collect::<Vec<_>>());
        for of in &all {
            let weight = of.weight.split([' ', ';', ',']).next().unwrap();
            assert!(["failure", "gap", "notice"].contains(&weight), "{of:?}");
            assert!(!of.part.is_empty() && of.text.ends_with('.') && of.meaning().ends_with('.'), "{of:?}");
            let told = [Some(&of.text), of.innocent_cause.as_ref(), of.test.as_ref()];
            let marks = ["`", "**", "](", "Test:", "Innocent cause:"];
            assert!(told.iter().flatten().all(|text| !marks.iter().any(|mark| text.contains(mark))), "{of:?}");
        }
        assert!(certainty().starts_with("One word in an entry says") && certainty().contains("Open means"), "{}", certainty());
    }
}
