//! The program on a terminal of 80 columns: a pseudo-terminal that Python makes.

use std::ffi::OsStr;
use std::process::Stdio;

use crate::account::{Ran, Simulated, run};

/// Runs a command line on a terminal, types `answers` as its questions come, and gives what the terminal showed as standard output.
fn on_terminal<S: AsRef<OsStr>>(simulated: &Simulated, arguments: &[S], answers: &str) -> Ran {
    const SCRIPT: &str = r#"
import fcntl, os, pty, struct, sys, termios
answers = sys.argv[1].split("|")
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
shown = b""
while True:
    try:
        read = os.read(terminal, 4096)
    except OSError:
        break
    if not read:
        break
    shown += read
    if answers and read.endswith(b"]: "):
        answer = answers.pop(0)
        os.write(terminal, b"\x04" if answer == "EOF" else answer.encode() + b"\n")
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let inner = simulated.command(arguments);
    let mut command = crate::peers::python();
    command.args(["-c", SCRIPT, answers]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("USER", "responder").env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
    command.current_dir(simulated.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run(&mut command)
}

#[test]
fn a_new_case_asks_for_what_it_was_not_told() {
    let simulated = Simulated::quiet();
    let [start, end] = simulated.window(2, 2);
    let answers = format!("|A. Examiner|Example Corp||{start}|{end}|yes");
    let ran = on_terminal(&simulated, &["collect", "IR-7"], &answers).expect(0);
    assert!(ran.stdout.contains("Case number [IR-7]: ") && ran.stdout.contains("Examiner (your name) [responder]: "));
    let case = simulated.run(&["status", "IR-7", "--json"]).expect(0).json();
    let case = &case["case"];
    assert_eq!((&case["case_number"], &case["examiner"]), (&"IR-7".into(), &"A. Examiner".into()));
    assert_eq!((&case["organization"], &case["authority"]), (&"Example Corp".into(), &"".into()));
    assert_eq!(case["window"]["end"], end.as_str());
}

#[test]
fn a_window_that_cannot_be_is_asked_for_again() {
    let simulated = Simulated::quiet();
    let ran = on_terminal(&simulated, &["collect", "IR-7", "--case-number", "X", "--examiner", "A"], "||yesterday||-2h||no");
    let ran = ran.expect(2);
    assert!(ran.stdout.contains("`yesterday` is not a time"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("Case number ["), "{}", ran.stdout);
    assert!(!simulated.path("IR-7").exists(), "no was said");
}

#[test]
fn whoever_does_not_answer_leaves_no_trace() {
    let simulated = Simulated::quiet();
    let ran = on_terminal(&simulated, &["collect", "IR-7"], "EOF").expect(2);
    assert!(ran.stdout.contains("Nothing was written"), "{}", ran.stdout);
    assert!(!simulated.path("IR-7").exists());
    assert!(simulated.server.requests().is_empty());
}

#[test]
fn without_a_terminal_the_missing_flags_are_named() {
    let simulated = Simulated::quiet();
    let ran = simulated.run(&["collect", "IR-7"]).expect(2);
    ran.says(&[
        "needs its number, its examiner, and the start of its window",
        "--case-number",
        "--examiner",
        "--start -48h",
        "Nothing was written",
    ]);
    assert!(!simulated.path("IR-7").exists());
}

#[test]
fn nothing_is_asked_of_a_case_that_knows() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &[]).expect(0);
    let ran = on_terminal(&simulated, &["collect", "case"], "").expect(0);
    assert!(!ran.stdout.contains("]: "), "{}", ran.stdout);
}

#[test]
fn progress_leaves_nothing_behind_and_no_line_is_too_wide() {
    let simulated = Simulated::quiet();
    simulated.server.faults().set_latency(std::time::Duration::from_millis(60));
    let ran = on_terminal(&simulated, &simulated.collect_arguments("case", &["--concurrency", "1"]), "").expect(0);
    assert!(ran.stdout.contains("cloudtrail") && ran.stdout.contains(" of "), "{}", ran.stdout);
    assert!(ran.stdout.contains("left"), "{}", ran.stdout);
    let screen = Screen::showing(&ran.stdout);
    let shown = screen.rows();
    // A bar fills its line, and the next one begins where that one ends; whatever else goes on below was too wide.
    let too_wide = |(line, letter): &&(String, char)| {
        let bar = ('\u{2800}'..='\u{28ff}').contains(letter) || *letter == ' ';
        // An address is broken nowhere.
        !bar && !line.split(' ').next_back().is_some_and(|word| word.starts_with("s3://"))
    };
    let too_wide: Vec<&(String, char)> = screen.went_on.iter().filter(too_wide).collect();
    assert_eq!(too_wide, Vec::<&(String, char)>::new(), "a line was too wide");
    assert!(!screen.went_on.is_empty(), "bars fill their lines");
    // What was drawn was erased: in the end no bar stands before the results.
    let (before, results) = shown.split_at(shown.iter().position(|line| line.starts_with("Collected: ")).unwrap());
    assert!(results.iter().any(|line| line.starts_with("Next: caselock verify case")), "{results:#?}");
    assert!(before.iter().any(|line| line.starts_with("Case IR-1, window ")), "{before:#?}");
    let is_bar = |line: &&String| {
        let what = line.trim_start_matches(|letter: char| letter == ' ' || ('\u{2800}'..='\u{28ff}').contains(&letter));
        ["cloudtrail  ", "ebs  ", "flow-logs  ", "session  ", "verifying  "].iter().any(|bar| what.starts_with(bar))
    };
    assert!(ran.stdout.lines().map(str::to_owned).any(|line| is_bar(&&line)), "none was drawn: {}", ran.stdout);
    assert_eq!(before.iter().filter(is_bar).collect::<Vec<_>>(), Vec::<&String>::new(), "progress was left behind");
}

const COLUMNS: usize = 80;

/// What a terminal shows in the end, line by line from the first. A control that it does not know ends the test.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Lines that were full, and the letters for which there was no room, so that they began the next line.
    went_on: Vec<(String, char)>,
}

impl Screen {
    fn showing(written: &str) -> Self {
        let mut screen = Self::default();
        let mut rest = written;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            match letter {
                '\n' => screen.row += 1,
                '\r' => screen.column = 0,
                '\u{1b}' => {
                    let control = rest.strip_prefix('[').unwrap_or_else(|| panic!("not a control that is known: {rest:.20?}"));
                    let end = control.find(|letter: char| letter.is_ascii_alphabetic()).unwrap();
                    screen.obey(&control[..end], &control[end..=end]);
                    rest = &control[end + 1..];
                }
                letter => screen.put(letter),
            }
        }
        screen
    }

    fn put(&mut self, letter: char) {
        assert!(!letter.is_control(), "{letter:?}");
        if self.column == COLUMNS {
            self.went_on.push((self.lines[self.row].iter().collect(), letter));
            (self.row, self.column) = (self.row + 1, 0);
        }
        self.lines.resize(self.lines.len().max(self.row + 1), Vec::new());
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = letter;
        self.column += 1;
    }

    fn obey(&mut self, number: &str, control: &str) {
        let count = number.parse().unwrap_or(1);
        match (number, control) {
            (_, "A") => self.row = self.row.checked_sub(count).expect("above the first line"),
            (_, "B") => self.row += count,
            ("2", "K") => {
                if let Some(line) = self.lines.get_mut(self.row) {
                    line.clear();
                }
            }
            ("" | "0", "J") => {
                self.lines.truncate(self.row + 1);
                if let Some(line) = self.lines.get_mut(self.row) {
                    line.truncate(self.column);
                }
            }
            // Bold and colours take no room; nor does a cursor that is hidden.
            (_, "m") | ("?25", "l" | "h") => {}
            _ => panic!("not a control that is known: {number}{control}"),
        }
    }

    fn rows(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
    }
}

#[test]
fn a_screen_shows_what_was_not_erased_or_written_over() {
    let shown = |written: &str| Screen::showing(written).rows();
    assert_eq!(shown("bar\r\u{1b}[2Kend\r\n"), ["end"]);
    assert_eq!(shown("one\r\ntwo\u{1b}[1A\r\u{1b}[2K\u{1b}[1B\r\u{1b}[2K"), ["", ""]);
    assert_eq!(shown("bar left\r\nend"), ["bar left", "end"], "a bar that is left behind is seen");
    assert_eq!(shown(&format!("{}\u{1b}[1A\r\u{1b}[2K", "x".repeat(81))), ["", "x"]);
    assert_eq!(Screen::showing(&format!("{}y", "x".repeat(80))).went_on, [("x".repeat(80), 'y')]);
    assert!(Screen::showing(&"x".repeat(80)).went_on.is_empty());
}
