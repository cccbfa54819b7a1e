//! Watching and disturbing the program's system calls, with strace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::account::{Simulated, without_aws};

/// The program under strace, which watches `calls` and may `inject` a fault; its log names what each call works on.
pub(crate) fn command(
    simulated: &Simulated,
    log: &Path,
    calls: &[&str],
    inject: Option<&str>,
    arguments: &[String],
) -> Command {
    crate::peers::are_there(&["strace"]);
    let mut command = Command::new("strace");
    without_aws(&mut command);
    simulated.is_asked_by(&mut command);
    // With its filter in the kernel strace is faster, but delivers no signals.
    if inject.is_none_or(|inject| !inject.contains("signal=")) {
        command.arg("--seccomp-bpf");
    }
    command.args(["-f", "-qq", "-y", "-s", "0", "-o"]).arg(log).arg("-e").arg(format!("trace={}", calls.join(",")));
    if let Some(inject) = inject {
        command.arg("-e").arg(format!("inject={inject}"));
    }
    command
        .arg(env!("CARGO_BIN_EXE_caselock"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The thread and the call of a line that begins one.
fn begun(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (call, _) = rest.trim_start().split_once('(')?;
    call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some((thread, call))
}

/// Which calls of each name worked on something below `place`, counted thread by thread from 1, as strace counts.
pub(crate) fn occurrences(log: &str, place: &str) -> BTreeMap<String, BTreeSet<usize>> {
    let mut counted: HashMap<(&str, &str), usize> = HashMap::new();
    let mut found: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call)) = begun(line) else { continue };
        let count = counted.entry((thread, call)).or_default();
        *count += 1;
        if line.contains(place) {
            found.entry(call.to_owned()).or_default().insert(*count);
        }
    }
    found
}

/// Whether the fault struck a call that worked on something below `place`.
pub(crate) fn hit(log: &str, call: &str, place: &str) -> bool {
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        if line.contains("(INJECTED)") {
            // Where another thread came between, the line has only the call's end; its beginning stands before.
            let thread = line.split(' ').next().unwrap_or_default();
            let beginning = lines[..=at].iter().rev().find(|line| begun(line).is_some_and(|begun| begun == (thread, call)));
            return beginning.is_some_and(|line| line.contains(place));
        }
        // Killed in the call: it never returned.
        let unreturned = line.ends_with("= ?") || line.ends_with("<unfinished ...>");
        unreturned
            && log.contains("+++ killed by SIGKILL +++")
            && begun(line).is_some_and(|begun| begun.1 == call)
            && line.contains(place)
    })
}
