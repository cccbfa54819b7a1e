//! The layers of docs/architecture.md: each part uses the parts that the page's table names and no other, and leaves to others what it may not do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::account::files_below;

const PAGE: &str = include_str!("../../docs/architecture.md");

/// Which part's unit tests may use which part besides.
const FOR_TESTS: [(&str, &str); 1] = [("acquire", "sim")];

/// Words that some parts may not have in their code, and what to do instead.
struct Rule {
    parts: &'static [&'static str],
    words: &'static [&'static str],
    /// The file that may nevertheless, and what.
    but: Option<(&'static str, &'static str)>,
    instead: &'static str,
}

const ALL_BUT_CLI: &[&str] =
    &["main", "lib", "model", "case", "cloudtrail", "verify", "seal", "package", "report", "aws", "acquire", "sim"];
const OF_THE_VERIFIER: &[&str] = &["model", "case", "cloudtrail", "verify", "seal", "package", "report"];

const RULES: [Rule; 6] = [
    Rule {
        parts: ALL_BUT_CLI,
        words: &["print!", "println!", "eprint!", "eprintln!", "dbg!", "stdout()", "stderr()", "stdin()"],
        but: None,
        instead: "Only `cli` talks to people: return the value or the error, and let the command say it.",
    },
    Rule {
        parts: ALL_BUT_CLI,
        words: &["env::"],
        but: Some(("src/case/sorting.rs", "env::temp_dir")),
        instead: "Only `cli` reads arguments and the environment: take the value as an argument.",
    },
    Rule {
        parts: OF_THE_VERIFIER,
        words: &[
            "async ",
            ".await",
            "tokio::",
            "hyper::",
            "http::",
            "net::",
            "aws_config",
            "aws_sdk_",
            "aws_smithy_",
            "aws_types",
        ],
        but: None,
        instead: "This part is synchronous and offline: ask in `aws` or `acquire`, and hand over what came.",
    },
    Rule {
        parts: &["model", "cloudtrail"],
        words: &["fs::", "process::"],
        but: None,
        instead: "This part does no input or output: read in `case`, and hand over the bytes or a reader.",
    },
    Rule {
        parts: &["verify", "report"],
        words: &["fs::", "process::"],
        but: None,
        instead: "This part sees a case through `CaseFiles` alone and writes nothing: what is missing goes into `case`.",
    },
    Rule {
        parts: &["aws", "acquire"],
        words: &["CaseWriter::create", "CaseWriter::open", "fs::write", "File::create", "OpenOptions"],
        but: None,
        instead: "Evidence is written by the one task that owns the case: stage what was fetched, and send it to that task.",
    },
];

/// A file below src/.
struct Source {
    /// From the folder of the crate.
    path: String,
    text: String,
}

/// A line of code; those that are remarks are left out.
struct Line<'a> {
    number: usize,
    text: &'a str,
    is_test: bool,
    /// How many modules it lies in, the part's own being one.
    depth: usize,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The names of the modules that lead to it, the part's own first.
    fn modules(&self) -> Vec<&str> {
        self.path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap().split('/').collect()
    }

    fn part(&self) -> &str {
        self.modules()[0]
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let modules = self.modules();
        let whole = modules.iter().any(|module| module.contains("tests"));
        let tests_from = self.text.split_once("\nmod tests {").map_or(usize::MAX, |(code, _)| code.lines().count());
        let lines = self.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        lines.map(move |(at, text)| {
            let inside = at >= tests_from;
            Line { number: at + 1, text, is_test: whole || inside, depth: modules.len() + usize::from(inside) }
        })
    }

    fn place(&self, line: &Line<'_>) -> String {
        format!("{}:{}", self.path, line.number)
    }
}

fn sources() -> Vec<Source> {
    let files = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let sources = files.into_iter().filter(|(path, _)| path.ends_with(".rs"));
    sources.map(|(path, text)| Source::new(&format!("src/{path}"), &String::from_utf8(text).unwrap())).collect()
}

/// What follows `word` wherever it stands by itself in a line, the word with it.
fn from_word<'a>(line: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let begins = word.starts_with(|c: char| c.is_alphanumeric());
    line.match_indices(word).filter_map(move |(at, _)| {
        let is_longer = begins && line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        (!is_longer).then(|| &line[at..])
    })
}

/// The parts that a line names, empty where it names several at once.
fn named<'a>(line: &'a str, root: &str) -> impl Iterator<Item = &'a str> {
    let after = root.len();
    from_word(line, root).map(move |rest| rest[after..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
}

/// By how many modules a line climbs at most.
fn climbs(line: &str) -> usize {
    let paths = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    paths.map(|path| path.split("::").take_while(|name| *name == "super").count()).max().unwrap_or(0)
}

type Table<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The page's rows, from top to bottom.
fn rows(page: &str) -> Vec<(&str, BTreeSet<&str>)> {
    let (_, section) = page.split_once("## Who uses whom").expect("docs/architecture.md says who uses whom");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(part, uses)| (part, uses.split('`').skip(1).step_by(2).collect())).collect()
}

fn table() -> Table<'static> {
    rows(PAGE).into_iter().collect()
}

/// Each use of a part that the table does not allow.
fn trespasses(sources: &[Source], table: &Table<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let part = source.part();
        let (root, allowed) = match part {
            "main" => ("caselock::", BTreeSet::from(["cli"])),
            _ => ("crate::", table.get(part).cloned().unwrap_or_default()),
        };
        for line in source.lines() {
            let place = source.place(&line);
            if climbs(line.text) >= line.depth {
                found.push(format!("{place}: `super` leads out of `{part}`: write `crate::` and the part"));
            }
            for other in named(line.text, root) {
                let for_tests = line.is_test && FOR_TESTS.contains(&(part, other));
                if other.is_empty() {
                    found.push(format!("{place}: write a line for each part that is used, `use {root}part::…`"));
                } else if other != part && !allowed.contains(other) && !for_tests {
                    found.push(format!(
                        "{place}: `{part}` uses `{other}`, which the table in docs/architecture.md does not let it: hand over from above what \
                         it needs, or move what both need to a part below both; if it should be so, write it into the table"
                    ));
                }
            }
        }
    }
    found
}

/// Each use of a word that a rule forbids.
fn offences(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for rule in RULES.iter().filter(|rule| rule.parts.contains(&source.part())) {
            let may = |rest: &str| rule.but.is_some_and(|(path, word)| source.path == path && rest.starts_with(word));
            for line in source.lines().filter(|line| !line.is_test) {
                let words = rule.words.iter().filter(|word| from_word(line.text, word).any(|rest| !may(rest)));
                found.extend(
                    words.map(|word| format!("{}: `{word}` in `{}`. {}", source.place(&line), source.part(), rule.instead)),
                );
            }
        }
    }
    found
}

#[test]
fn no_part_uses_another_that_the_page_does_not_let_it_use() {
    let found = trespasses(&sources(), &table());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_part_does_what_is_for_others_to_do() {
    let found = offences(&sources());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_page_lists_every_part_and_nothing_that_is_not_needed() {
    let sources = sources();
    let listed = table();
    let is_part = |part: &&str| !["main", "lib"].contains(part);
    let parts: BTreeSet<&str> = sources.iter().map(Source::part).filter(is_part).collect();
    assert_eq!(
        listed.keys().copied().collect::<BTreeSet<_>>(),
        parts,
        "docs/architecture.md: a row for each part of src/ in its table"
    );
    for (part, allowed) in listed {
        let own = sources.iter().filter(|source| source.part() == part);
        let used: BTreeSet<&str> =
            own.flat_map(Source::lines).filter(|line| !line.is_test).flat_map(|line| named(line.text, "crate::")).collect();
        let idle: Vec<&&str> = allowed.iter().filter(|other| !used.contains(**other)).collect();
        assert!(idle.is_empty(), "`{part}` uses none of {idle:?}: take it out of the table in docs/architecture.md");
    }
}

#[test]
fn the_page_lists_each_part_below_those_that_it_uses() {
    let mut above = BTreeSet::new();
    for (part, uses) in rows(PAGE) {
        let below: Vec<&&str> = uses.difference(&above).collect();
        assert!(below.is_empty(), "`{part}` may use {below:?}, which stands below it: no two parts may need each other");
        above.insert(part);
    }
}

#[test]
fn each_file_says_in_its_first_line_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.text.strip_prefix("//! ").is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace())))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "begin these with `//! ` and what they are for: {silent:?}");
}

#[test]
fn each_exception_is_needed() {
    let sources = sources();
    for (path, word) in RULES.iter().filter_map(|rule| rule.but) {
        let source = sources.iter().find(|source| source.path == path);
        let is_there = source.is_some_and(|source| source.lines().any(|line| from_word(line.text, word).next().is_some()));
        assert!(is_there, "{path} has no `{word}` any more: take the exception out of RULES");
    }
    for (part, other) in FOR_TESTS {
        let own = sources.iter().filter(|source| source.part() == part);
        let is_there =
            own.flat_map(Source::lines).any(|line| line.is_test && named(line.text, "crate::").any(|used| used == other));
        assert!(is_there, "no unit test of `{part}` uses `{other}` any more: take it out of FOR_TESTS");
    }
}

#[test]
fn what_breaks_the_layers_is_noticed() {
    let uses = |path: &str, text: &str| trespasses(&[Source::new(path, text)], &table()).len();
    assert_eq!(uses("src/model/hash.rs", "use crate::case::CaseFiles;\n"), 1);
    assert_eq!(uses("src/model/hash.rs", "    let files = crate::case::CaseFolder::open(crate::seal::SEALS);\n"), 2);
    assert_eq!(uses("src/verify/seals.rs", "use crate::{case::CaseFiles, aws::Session};\n"), 1);
    assert_eq!(uses("src/model/hash.rs", "use super::super::case;\n"), 1);
    assert_eq!(uses("src/sim.rs", "use super::model;\n"), 1);
    assert_eq!(uses("src/acquire/plan.rs", "use crate::sim::Server;\n"), 1);
    assert_eq!(uses("src/main.rs", "fn main() { caselock::case::read(); }\n"), 1);
    let inside = "use crate::case::CaseFiles;\n#[cfg(test)]\nmod tests {\n    use crate::sim::Server;\n    use super::super::pages;\n}\n";
    assert_eq!((uses("src/acquire/plan.rs", inside), uses("src/case/gap.rs", inside)), (0, 1));
    assert_eq!(
        uses("src/model/hash.rs", "/// See [`crate::case::Ledger`].\nuse super::Hash;\nlet crate::model::Hash(a) = b;\n"),
        0
    );

    let does = |path: &str, text: &str| offences(&[Source::new(path, text)]).len();
    assert_eq!(does("src/case/files.rs", "    println!(\"{path}\");\n"), 1);
    assert_eq!(does("src/case/files.rs", "    let root = std::env::var(\"ROOT\");\n"), 1);
    assert_eq!(does("src/case/sorting.rs", "    let (a, b) = (env::temp_dir(), env::var(\"TMPDIR\"));\n"), 1);
    assert_eq!(does("src/case/sorting.rs", "    let folder = std::env::temp_dir();\n"), 0);
    assert_eq!(does("src/verify/seals.rs", "pub async fn ask() { tokio::spawn(it).await }\n"), 3);
    assert_eq!(does("src/cloudtrail/gzip.rs", "    std::fs::read(path)\n"), 1);
    assert_eq!(does("src/cli/output.rs", "    println!(\"{}\", std::env::args().count());\n"), 0);
    assert_eq!(does("src/case/files.rs", "    let folder = other_env::folder();\n"), 0);
}
