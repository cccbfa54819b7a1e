//! Prints the completions of a shell, made from the arguments of this program.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::output::Output;
use super::{Arguments, CliError, Exit};

/// Print the completions of a shell.
///
/// They are made from the arguments of this very program. Nothing is installed: where they belong is the shell's own affair.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock completions bash > caselock.bash
  caselock completions zsh > _caselock
  caselock completions fish > caselock.fish

For bash, put it into ~/.local/share/bash-completion/completions as caselock;
for zsh, into a folder of $fpath; for fish, into ~/.config/fish/completions.")]
pub(super) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments, output: &Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "caselock", &mut script);
    output.text_or(
        &script,
        || serde_json::json!({ "shell": arguments.shell.to_string(), "script": String::from_utf8_lossy(&script) }),
    )?;
    Ok(Exit::Done)
}
