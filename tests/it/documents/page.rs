//! A page as Markdown has it: blocks of code, words of code, links and headings.

use std::fs;
use std::path::{Path, PathBuf};

use super::is_command;

/// A page of the documents.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path below the project's folder.
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    /// Words of code within sentences.
    pub(super) spans: Vec<String>,
    pub(super) links: Vec<String>,
    pub(super) headings: Vec<String>,
}

/// A block of code.
#[derive(Debug)]
pub(super) struct Block {
    /// Where it begins in the page.
    pub(super) line: usize,
    /// Its lines, those that end in a backslash joined to the next.
    pub(super) lines: Vec<String>,
    /// What lies in the folder from here on, if it is said.
    pub(super) start: Option<String>,
    /// Why it is not run.
    pub(super) not_run: Option<String>,
}

impl Block {
    pub(super) fn is_shell(&self) -> bool {
        self.lines.first().is_some_and(|line| is_command(line))
    }

    pub(super) fn runs(&self) -> bool {
        self.is_shell() && self.not_run.is_none()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and all of docs/.
pub(super) fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names.iter().map(|name| Page::parse(name, &fs::read_to_string(root().join(name)).unwrap())).collect()
}

impl Page {
    pub(super) fn path(&self) -> PathBuf {
        root().join(&self.name)
    }

    pub(super) fn parse(name: &str, text: &str) -> Self {
        let mut page = Self { name: name.to_owned(), blocks: vec![], spans: vec![], links: vec![], headings: vec![] };
        let (mut prose, mut start, mut not_run) = (String::new(), None, None);
        let mut fence: Option<Vec<String>> = None;
        let mut indented: Vec<String> = Vec::new();
        let mut after_blank = true;
        for (number, line) in text.lines().chain([""]).enumerate() {
            let mut block = None;
            if line.starts_with("```") {
                match fence.take() {
                    Some(lines) => block = Some(lines),
                    None => fence = Some(Vec::new()),
                }
            } else if let Some(lines) = &mut fence {
                lines.push(line.to_owned());
            } else if line.starts_with("    ") && (after_blank || !indented.is_empty()) {
                indented.push(line[4..].to_owned());
            } else {
                if !indented.is_empty() {
                    block = Some(std::mem::take(&mut indented));
                }
                let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                if let Some(stage) = comment.and_then(|comment| comment.strip_prefix("start: ")) {
                    start = Some(stage.to_owned());
                } else if let Some(reason) = comment.and_then(|comment| comment.strip_prefix("not run: ")) {
                    not_run = Some(reason.to_owned());
                } else {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
            after_blank = line.trim().is_empty();
            if let Some(lines) = block {
                let (lines, line) = (joined(&lines), number - lines.len());
                page.blocks.push(Block { line, lines, start: start.take(), not_run: not_run.take() });
            }
        }
        assert!(fence.is_none(), "{name}: a block does not end");
        assert!(start.is_none() && not_run.is_none(), "{name}: a remark about a block that does not follow");
        page.read_prose(&prose);
        page
    }

    fn read_prose(&mut self, prose: &str) {
        self.headings = prose
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim().to_owned())
            .collect();
        // A paragraph at a time, so that a stray backtick spoils no other.
        for paragraph in prose.split("\n\n") {
            for (place, part) in paragraph.split('`').enumerate() {
                if place % 2 == 1 {
                    self.spans.push(part.split_whitespace().collect::<Vec<_>>().join(" "));
                }
            }
            self.links
                .extend(paragraph.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()));
        }
    }
}

/// Lines as the shell sees them.
fn joined(lines: &[String]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let (text, next) = line.strip_suffix('\\').map_or((line.as_str(), false), |text| (text, true));
        if goes_on {
            let last = joined.last_mut().unwrap();
            last.push(' ');
            last.push_str(text.trim_start());
        } else if !text.trim().is_empty() {
            joined.push(text.to_owned());
        }
        goes_on = next;
    }
    joined
}

/// A heading's anchor, as the usual renderers make it.
pub(super) fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
}
