//! The command line: the only part that prints, and the only one that reads arguments and the environment.
//!
//! Results go to standard output, progress and diagnostics to standard error.

mod advice;
#[cfg(feature = "acquire")]
mod arguments;
#[cfg(feature = "acquire")]
mod asking;
#[cfg(feature = "acquire")]
mod aws;
#[cfg(feature = "acquire")]
mod collect;
mod completions;
mod configuration;
#[cfg(feature = "demo")]
mod demo;
mod destination;
mod explain;
mod failure;
mod man;
mod output;
mod package;
#[cfg(feature = "acquire")]
mod plan;
#[cfg(feature = "acquire")]
mod policy;
#[cfg(feature = "acquire")]
mod profile;
mod progress;
#[cfg(feature = "acquire")]
mod regions;
mod report;
mod seal;
mod shell;
#[cfg(feature = "acquire")]
mod signals;
mod spelling;
mod status;
mod table;
mod timestamp;
mod tool;
mod transfer;
mod usage;
mod verify;
mod version;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use failure::CliError;
use output::Output;

/// How a command ended; the same meaning for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    /// Done.
    Done = 0,
    /// It could not be done; nothing is lost, run it again.
    Failed = 1,
    /// Refused before anything was done: the command line, or what it names, does not fit.
    Usage = 2,
    /// Something was changed, removed or forged.
    Integrity = 3,
    /// Done, but not everything could be had or proven.
    Incomplete = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::Integrity => Self::from(3),
            Exit::Incomplete => Self::from(4),
        }
    }
}

/// Evidence-preserving forensic acquisition for AWS.
///
/// It collects CloudTrail logs and digests, VPC flow logs and EBS snapshot metadata of a time window into a write-once case
/// folder, verifies what AWS signed, seals the case and packages it for handover. It never changes anything in AWS, and never
/// rewrites anything in a case.
#[derive(Debug, Parser)]
#[command(name = "caselock", version, long_version = version::long_version(), max_term_width = 100, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    output: OutputArguments,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
First steps:
  caselock demo                    the whole story, on a simulated account
  caselock plan --start -48h       what there is to collect, and what is denied
  caselock collect IR-2026-014     collect it; asks for what it has to know
  caselock COMMAND --help          what a command does, and never does

Exit codes, the same for every command:
  0  done
  1  could not be done; nothing is lost, run it again
  2  refused before anything was done: the command line, or what it names, does
     not fit (a file is there already, a case is not sealed)
  3  integrity failure: something was changed, removed or forged
  4  done, but not everything could be had or proven";

#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
struct OutputArguments {
    /// Print one JSON document on standard output instead of text.
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    /// Print only results and errors.
    #[arg(long, short, global = true, display_order = 901)]
    quiet: bool,
    /// Print every finding and gap in full.
    #[arg(long, short, global = true, display_order = 902)]
    verbose: bool,
    /// Show no progress.
    #[arg(long, global = true, display_order = 903)]
    no_progress: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "demo")]
    Demo(demo::DemoArguments),
    #[cfg(feature = "acquire")]
    Plan(Box<plan::PlanArguments>),
    #[cfg(feature = "acquire")]
    Collect(Box<collect::CollectArguments>),
    #[cfg(feature = "acquire")]
    Policy(policy::PolicyArguments),
    Status(status::StatusArguments),
    Verify(Box<verify::VerifyArguments>),
    Explain(explain::ExplainArguments),
    Seal(seal::SealArguments),
    Package(package::PackageArguments),
    Transfer(Box<transfer::TransferArguments>),
    Report(report::ReportArguments),
    Completions(completions::CompletionsArguments),
    Man(man::ManArguments),
}

/// Describes the whole command line: every command with its arguments and help.
#[must_use]
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(shown) if shown.kind() == ErrorKind::DisplayVersion => {
            return told(version::print(&shown.to_string(), &Output::unread()));
        }
        Err(shown) if !shown.use_stderr() => return told(Output::printed(shown.print())),
        Err(error) => return usage::explain(&error).into(),
    };
    let output = Output::new(&arguments.output);
    let outcome = match arguments.command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&arguments, &output),
        #[cfg(feature = "acquire")]
        Command::Plan(arguments) => plan::run(*arguments, &output),
        #[cfg(feature = "acquire")]
        Command::Collect(arguments) => collect::run(*arguments, &output),
        #[cfg(feature = "acquire")]
        Command::Policy(arguments) => policy::run(&arguments, &output),
        Command::Status(arguments) => status::run(&arguments, &output),
        Command::Verify(arguments) => verify::run(*arguments, &output),
        Command::Explain(arguments) => explain::run(&arguments, &output),
        Command::Seal(arguments) => seal::run(arguments, &output),
        Command::Package(arguments) => package::run(&arguments, &output),
        Command::Transfer(arguments) => transfer::run(&arguments, &output),
        Command::Report(arguments) => report::run(arguments, &output),
        Command::Completions(arguments) => completions::run(&arguments, &output),
        Command::Man(arguments) => man::run(&arguments, &output),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            error.exit.into()
        }
    }
}

/// How the program ends that only had to say something.
fn told(written: Result<(), CliError>) -> ExitCode {
    match written {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            Output::plain().error(&error);
            error.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
