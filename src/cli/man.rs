//! Prints or writes the manual pages, made from the help of this program.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use serde::Serialize;

use super::destination::refuse_folder_in_case;
use super::output::{Output, counted};
use super::{Arguments, CliError, Exit};

/// Print the manual page, or write the pages of all commands into a folder.
///
/// They are made from the help of this very program. Pages of an earlier version in that folder are written anew; nothing else is touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock man > caselock.1
  caselock man -o man1                (then: man ./man1/caselock-collect.1)")]
pub(super) struct ManArguments {
    /// The folder for caselock.1, caselock-collect.1 and so on.
    #[arg(long, short = 'o', value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    pages: Vec<String>,
}

pub(super) fn run(arguments: &ManArguments, output: &Output) -> Result<Exit, CliError> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &arguments.out else {
        let page = page(command).map_err(|error| CliError::new(Exit::Failed, &error))?;
        output.text_or(&page, || serde_json::json!({ "page": String::from_utf8_lossy(&page) }))?;
        return Ok(Exit::Done);
    };
    refuse_folder_in_case(folder)?;
    let pages = write_pages(folder, command).map_err(|error| {
        CliError::new(Exit::Failed, &error).next(format!("Check the folder {}, or name another with -o.", folder.display()))
    })?;
    let written = Written { pages };
    output.result(&written, || {
        let count = u64::try_from(written.pages.len()).unwrap_or(u64::MAX);
        format!("{} written to {}", counted(count, "page"), folder.display())
    })?;
    Ok(Exit::Done)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

#[expect(clippy::disallowed_methods, reason = "manual pages are no evidence")]
fn write_pages(folder: &Path, command: Command) -> io::Result<Vec<String>> {
    std::fs::create_dir_all(folder)?;
    let commands: Vec<Command> = command.get_subcommands().cloned().collect();
    let mut pages = Vec::new();
    for command in std::iter::once(command).chain(commands) {
        pages.push(Man::new(command).generate_to(folder)?.display().to_string());
    }
    Ok(pages)
}
