//! README.md and the pages of docs/: every command in them is run as it is written, and every link leads somewhere.
//!
//! A block of a page whose first line calls one of `PROGRAMS` is run, line by line, in one shell, in a folder of the page's own. Each line must
//! end with 0, or with the `exit N` that the remark behind it says. What lies in the folder says a comment in the page's source, from which on
//! everything follows from everything before: `<!-- start: STAGE -->`, one of `session::STAGES`. What cannot run here says why:
//! `<!-- not run: REASON -->` before its block. `cargo test --test it documents:: -- --nocapture` lists these.

mod page;
mod session;

use std::collections::BTreeSet;

use crate::documents::page::{Block, Page, pages, slug};
use crate::documents::session::Ground;

/// Programs that pages call.
const PROGRAMS: [&str; 28] = [
    ".ci/run",
    "age",
    "apt-get",
    "aws",
    "bagit.py",
    "benches/peers",
    "cargo",
    "caselock",
    "cat",
    "chmod",
    "cp",
    "curl",
    "df",
    "docker",
    "export",
    "for",
    "fuzz/run",
    "git",
    "gpg",
    "mkdir",
    "mv",
    "openssl",
    "printf",
    "python3",
    "sha256sum",
    "ssh-keygen",
    "tail",
    "unzip",
];

fn is_command(line: &str) -> bool {
    if line.contains('→') {
        return false; // a drawing
    }
    let is_setting = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    };
    let mut words = line.split_whitespace().peekable();
    let sets = words.peek().is_some_and(is_setting);
    let program = words.find(|word| !is_setting(word));
    program.map_or(sets, |program| PROGRAMS.contains(&program)) || (sets && line.contains("=$("))
}

#[test]
fn every_command_in_every_page_runs_as_it_is_written() {
    let ground = Ground::new();
    let pages = pages();
    let failed: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(|| session::run(&ground, page))).collect();
        running.into_iter().flat_map(|page| page.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    let commands = pages.iter().flat_map(|page| &page.blocks).filter(|block| block.runs()).count();
    assert!(commands >= 20, "only {commands} blocks were run");
}

#[test]
fn what_does_not_run_says_why() {
    for page in pages() {
        for block in &page.blocks {
            match &block.not_run {
                Some(reason) => {
                    println!("not run: {}:{}: {reason}: {}", page.name, block.line, block.lines.join(" ⏎ "));
                    assert!(reason.split_whitespace().count() >= 3, "{}:{} gives no reason", page.name, block.line);
                    assert!(block.is_shell(), "{}:{} would not be run anyway", page.name, block.line);
                }
                None => assert!(
                    block.is_shell() || !block.lines.iter().any(|line| line.trim_start_matches("$ ").starts_with("caselock ")),
                    "{}:{} holds a command that would not be run",
                    page.name,
                    block.line
                ),
            }
        }
    }
}

/// `caselock verify --online` within a sentence: its command and flags must exist, though it is not run.
#[test]
fn commands_within_sentences_exist_with_their_flags() {
    let root = caselock::cli::command();
    let flags = |command: &clap::Command| -> BTreeSet<String> {
        let own = command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned));
        let all = root.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned));
        own.chain(all).chain(["help".to_owned(), "version".to_owned()]).collect()
    };
    let mut commands = 0;
    for page in pages() {
        for code in &page.spans {
            let mut words = code.split_whitespace();
            if words.next() != Some("caselock") {
                continue;
            }
            let mut known = flags(&root);
            for word in words {
                if let Some(command) = root.find_subcommand(word).filter(|_| word != "help") {
                    known = flags(command);
                }
                let flag = word.strip_prefix("--").map(|flag| flag.split('=').next().unwrap());
                assert!(flag.is_none_or(|flag| known.contains(flag)), "{}: `{code}`: there is no {word}", page.name);
            }
            let name = code.split_whitespace().nth(1).unwrap_or("help");
            let exists = name.starts_with('-') || name == "COMMAND" || name == "help" || root.find_subcommand(name).is_some();
            assert!(exists, "{}: `{code}`: there is no such command", page.name);
            commands += 1;
        }
    }
    assert!(commands >= 20, "only {commands} commands were looked at");
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.iter().flat_map(|page| &page.links).count() >= 50, "hardly a link was found");
    for page in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.path() } else { page.path().parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.name);
            if !anchor.is_empty() {
                let target = target.canonicalize().unwrap();
                let target = pages.iter().find(|page| page.path().canonicalize().unwrap() == target).unwrap();
                assert!(
                    target.headings.iter().any(|heading| slug(heading) == anchor),
                    "{}: {link}: no such heading",
                    page.name
                );
            }
        }
    }
}

#[test]
fn every_page_is_listed_in_the_readme() {
    let pages = pages();
    let readme = pages.iter().find(|page| page.name == "README.md").unwrap();
    for page in pages.iter().filter(|page| page.name != "README.md") {
        let listed = readme.links.iter().any(|link| link.split('#').next() == Some(page.name.as_str()));
        assert!(listed, "README.md does not list {}", page.name);
    }
}

#[test]
fn a_page_is_read_as_people_read_it() {
    let page = Page::parse(
        "x.md",
        "# A *page*, of sorts\n\nSee [that](b.md#c) and `caselock verify\nX`.\n\n<!-- start: sealed -->\n\n    caselock verify X \\\n        --json    # exit 4\n\n\
         - item\n    no code\n\n```sh\ncaselock status X\n```\n\n<!-- not run: it never ends -->\n\n    cargo x\n\n    just output\n",
    );
    assert_eq!(slug(&page.headings[0]), "a-page-of-sorts");
    assert_eq!(
        (page.links.as_slice(), page.spans.as_slice()),
        (&["b.md#c".to_owned()][..], &["caselock verify X".to_owned()][..])
    );
    let lines: Vec<&[String]> = page.blocks.iter().map(|block| block.lines.as_slice()).collect();
    assert_eq!(
        lines,
        [
            &["caselock verify X  --json    # exit 4".to_owned()][..],
            &["caselock status X".to_owned()],
            &["cargo x".to_owned()],
            &["just output".to_owned()]
        ]
    );
    assert_eq!(page.blocks.iter().map(Block::runs).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(page.blocks[0].start.as_deref(), Some("sealed"));
    assert_eq!(page.blocks[2].not_run.as_deref(), Some("it never ends"));
    assert_eq!((session::expected("caselock x    # ends, exit 3"), session::expected("caselock x 'a # exit 3'")), (3, 0));
}
