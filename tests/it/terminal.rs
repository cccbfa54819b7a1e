//! The program on a terminal of 80 columns: a pseudo-terminal that Python makes.

use std::process::{Command, Stdio};

use crate::account::{Ran, Simulated, finish};

/// Runs a command line on a terminal, types `answers` as its questions come, and gives what the terminal showed as standard output.
fn on_terminal(simulated: &Simulated, arguments: &[&str], answers: &str) -> Ran {
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
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT, answers]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("USER", "responder").env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
    command.current_dir(simulated.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
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
        "needs its number and the start of its window",
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
    let [start, end] = simulated.window(2, 2);
    simulated.server.faults().set_latency(std::time::Duration::from_millis(60));
    let line = ["collect", "case", "--case-number", "IR-1", "--start", &start, "--end", &end, "--concurrency", "1"];
    let ran = on_terminal(&simulated, &line, "").expect(0);
    assert!(ran.stdout.contains("cloudtrail") && ran.stdout.contains(" of "), "{}", ran.stdout);
    assert!(ran.stdout.contains("left"), "{}", ran.stdout);
    // What was drawn was erased: the last thing on each of its lines is an erasure.
    assert!(ran.stdout.contains("\u{1b}[2K"), "{:?}", ran.stdout);
    let results = ran.stdout.split("Collected: ").last().unwrap();
    assert!(!results.contains("about"), "{results}");
}
