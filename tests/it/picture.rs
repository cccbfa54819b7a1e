//! docs/verify.svg, the picture in the README: what a terminal shows when the demonstration's case is verified.
//!
//! With `UPDATE_PICTURE=1` it is drawn anew from a run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::account::{program, run};
use crate::sample::make_removable;

const COLUMNS: usize = 110;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.svg")
}

/// What is shown: the demonstration's case, verified from its folder, as in the README.
fn screen() -> String {
    let scratch = tempfile::tempdir().unwrap();
    let ran = |words: &[&str]| {
        let mut command = program(words);
        run(command.current_dir(scratch.path()).env("COLUMNS", "80"))
    };
    ran(&["demo", "--quiet"]).expect(0);
    let words = ["verify", "caselock-demo/IR-DEMO-001.zip", "--allowed-signers", "caselock-demo/allowed_signers"];
    let verified = ran(&words).expect(4);
    make_removable(scratch.path());
    format!("$ caselock {}\n{}", words.join(" ").replace(" --allowed", " \\\n    --allowed"), verified.stdout)
}

fn folded(line: &str) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    if letters.is_empty() {
        return vec![String::new()];
    }
    letters.chunks(COLUMNS).map(|part| part.iter().collect()).collect()
}

fn drawn(screen: &str) -> String {
    let lines: Vec<String> = screen.trim_end().lines().flat_map(folded).collect();
    let (width, height) = (COLUMNS * 8 + 40, lines.len() * 18 + 60);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title>caselock verifies the demonstration's package</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#16191d\"/>\n\
         <circle cx=\"22\" cy=\"20\" r=\"5\" fill=\"#4b535d\"/><circle cx=\"40\" cy=\"20\" r=\"5\" fill=\"#4b535d\"/><circle cx=\"58\" cy=\"20\" r=\"5\" fill=\"#4b535d\"/>\n\
         <g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"13\" fill=\"#d5d9de\">\n"
    );
    let verdict_ends = lines.iter().position(String::is_empty).unwrap();
    for (row, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let style = match line.as_str() {
            _ if row < 2 => " fill=\"#8fd19e\"",
            _ if row < verdict_ends => " fill=\"#ffffff\" font-weight=\"bold\"",
            line if line.starts_with(|letter: char| letter.is_uppercase()) => " fill=\"#ffffff\"",
            _ => "",
        };
        // Every letter has its own place, whatever font there is.
        // Blanks that no renderer swallows.
        let text = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}");
        let text = coloured(&text);
        let wide = line.chars().count() * 8;
        writeln!(svg, "<text x=\"20\" y=\"{}\" textLength=\"{wide}\"{style}>{text}</text>", row * 18 + 56).unwrap();
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// A row of hours with the proven ones and the others in colours of their own.
fn coloured(text: &str) -> String {
    let Some((before, rest)) = text.split_once("###") else { return text.to_owned() };
    let (signs, after) = rest.split_once('\u{a0}').unwrap_or((rest, ""));
    let mut row = before.to_owned();
    for sign in "###".chars().chain(signs.chars()) {
        let colour = if sign == '#' { "#8fd19e" } else { "#f0b45b" };
        write!(row, "<tspan fill=\"{colour}\">{sign}</tspan>").unwrap();
    }
    format!("{row}\u{a0}{after}")
}

/// The words of a screen, without what differs from run to run: numbers, times, hashes, places where lines are folded.
fn words(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_once('>').map_or(line, |(_, rest)| rest).trim_end_matches("</text>"));
    let sentences = lines.collect::<Vec<_>>().join("\n");
    let words = sentences.split(|letter: char| !(letter.is_alphanumeric() || "/:+-=._".contains(letter)));
    let plain = words
        .map(|word| word.trim_matches(['.', ':', ',']))
        .filter(|word| word.len() > 2 && word.chars().all(|letter| letter.is_alphabetic() || letter == '-'));
    plain.map(str::to_owned).collect()
}

#[test]
fn the_picture_in_the_readme_shows_what_the_program_says() {
    let screen = screen();
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        std::fs::write(file(), drawn(&screen)).unwrap();
    }
    let picture = std::fs::read_to_string(file()).unwrap();
    assert_eq!(words(&picture), words(&drawn(&screen)), "UPDATE_PICTURE=1 cargo test --test it picture::");
}
