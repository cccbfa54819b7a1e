//! Tells what a collection would take. Nothing is written, and no case is needed.

use serde::Serialize;

use crate::acquire::{Plan, plan};
use crate::case::Configuration;
use crate::model::{Timestamp, printable};

use super::arguments::{ConcurrencyArguments, ConnectionArguments, ScopeArguments};
use super::aws::{WrongClock, block_on, connect, note_endpoints, request};
use super::collect::{as_whom, notice_lines};
use super::configuration::{ConfigurationFile, words};
use super::output::{Output, bytes, counted, hanging, thousands, wrapped};
use super::progress::line;
use super::regions::{note_unknown, refuse_unknown};
use super::status::gap_lines;
use super::table::table;
use super::{CliError, Exit};

/// Show what collect would take: objects, bytes, requests, and what is out of reach.
///
/// Asks AWS the same questions as collect does, reads a byte of one object in each bucket to see whether it may, and writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock plan --start -48h
  caselock plan --start 2026-03-01 --end 2026-03-02 --profile incident

Settings are taken from caselock.toml too: see caselock collect --help.")]
pub(super) struct PlanArguments {
    #[command(flatten)]
    file: ConfigurationFile,
    #[command(flatten)]
    scope: ScopeArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
    #[command(flatten)]
    at_once: ConcurrencyArguments,
}

#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// Settings that came from a file, where any did.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<Configuration>,
    /// Why the profile of the file was not used.
    #[serde(rename = "configuration_outranked", skip_serializing_if = "Option::is_none")]
    outranked: Option<String>,
}

pub(super) fn run(mut arguments: PlanArguments, output: &Output) -> Result<Exit, CliError> {
    let now = Timestamp::new(chrono::Utc::now());
    let mut defaults = arguments.file.read()?;
    defaults.fill_scope(&mut arguments.scope);
    defaults.fill_connection(&mut arguments.connection, &mut arguments.at_once);
    let window = arguments.scope.window(now)?;
    arguments.scope.refuse_unused()?;
    note_unknown(&arguments.scope.regions, output);
    let scope = arguments.scope.scope();
    output.note(&format!("Window {window} (UTC). Asking AWS what there is; nothing is fetched or written."));
    let planning = async {
        let identities = connect(&arguments.connection, arguments.at_once.at_once(), &scope, None, true).await?;
        note_endpoints(&identities, output);
        refuse_unknown(&identities, &scope).await?;
        let mut window = window;
        if let Some(clock) = WrongClock::of(&identities, now) {
            let asked =
                |error: CliError| error.meaning("Nothing was written. AWS was asked who is asking, and for no evidence.");
            window = arguments.scope.window(clock.began).map_err(asked)?;
            output.note(&format!("WARNING: {}. The window is taken by AWS's: {window} (UTC).", clock.said));
        }
        let (lines, _) = line(output, "listing");
        let planned = plan(&identities, &request(arguments.at_once, window, &scope)).await;
        lines.finish();
        Ok::<Plan, CliError>(planned?)
    };
    let plan = block_on(planning, |_| true)??;
    let planned = Planned { plan: &plan, configuration: defaults.used(), outranked: defaults.outranked() };
    output.result(&planned, || text(&planned, output.is_verbose()))?;
    Ok(if plan.totals.incompleteness() > 0 { Exit::Incomplete } else { Exit::Done })
}

/// What stands before a value that goes on.
const VALUE: &str = "         ";

fn text(planned: &Planned<'_>, verbose: bool) -> String {
    let plan = planned.plan;
    let regions: Vec<&str> = plan.regions.iter().map(crate::model::Region::as_str).collect();
    let mut lines = vec![
        Output::bold(&format!("Would collect {}, {}", counted(plan.totals.found, "object"), bytes(plan.totals.found_bytes))),
        as_whom(&plan.caller, &plan.also_as),
        format!("Window   {} (UTC)", plan.window),
        hanging(&regions.join(", "), "Regions  ", VALUE),
    ];
    if let Some(used) = &planned.configuration {
        lines.push(wrapped(&words(used), ""));
    }
    lines.extend(planned.outranked.as_ref().map(|outranked| wrapped(outranked, "")));
    if let Some(url) = &plan.endpoint_url {
        lines.push(format!("Endpoint {} instead of AWS's own", printable(url)));
    }
    lines.push(format!(
        "Requests {} were made for this plan; a collection makes about {}",
        thousands(plan.requests),
        thousands(plan.requests_expected)
    ));
    let estimate = &plan.estimate;
    lines.push(format!(
        "Roughly  {} for the requests, {} for the transfer if it leaves AWS\n         {}",
        dollars(estimate.requests_microdollars),
        dollars(estimate.transfer_microdollars),
        duration(estimate.seconds)
    ));
    if !plan.missing_permissions.is_empty() {
        lines.push(hanging(&plan.missing_permissions.join(", "), "Missing  ", VALUE));
        lines.extend(remedies(&plan.missing_permissions).map(|remedy| wrapped(remedy, VALUE)));
    }
    lines.push(String::new());
    let rows = plan.rows.iter().map(|row| {
        let gaps: Vec<String> = row.gaps.iter().map(|(reason, count)| format!("{count} {}", reason.as_str())).collect();
        vec![
            row.source.clone(),
            row.account.map_or_else(|| "-".to_owned(), |account| account.to_string()),
            row.region.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            thousands(row.found),
            bytes(row.found_bytes),
            // A source without objects is collected all the same.
            if row.found == 0 && gaps.is_empty() { "answers only".to_owned() } else { gaps.join(", ") },
        ]
    });
    lines.push(table(&["Source", "Account", "Region", "Objects", "Bytes", "Gaps"], &[3, 4], rows.collect()));
    lines.extend(gap_lines("Out of reach", &plan.gaps, verbose));
    lines.extend(notice_lines(&plan.notices));
    lines.extend([String::new(), "Next: caselock collect CASE_DIR, with the options that were given here".to_owned()]);
    lines.join("\n")
}

/// What to do about what is missing. A role is assumed by whoever has no part in it yet: the policy of a reader does not help there.
fn remedies(missing: &[String]) -> impl Iterator<Item = &'static str> {
    let (roles, others): (Vec<&String>, Vec<&String>) = missing.iter().partition(|action| *action == "sts:AssumeRole");
    let policy = "`caselock policy` prints a policy that permits what is needed, and nothing else.";
    let role = "sts:AssumeRole takes two things: a policy of yours that permits it on the role, and the role's trust policy, which must \
                name you. `caselock policy` is for the role itself.";
    [(!others.is_empty()).then_some(policy), (!roles.is_empty()).then_some(role)].into_iter().flatten()
}

/// Millionths of a dollar as dollars, to the cent and never below it.
fn dollars(millionths: u64) -> String {
    let cents = millionths.div_ceil(10_000);
    format!("${}.{:02}", thousands(cents / 100), cents % 100)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("{seconds} seconds"),
        91..=5_400 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::remedies;

    #[test]
    fn a_role_that_may_not_be_assumed_is_no_matter_of_the_reader_s_policy() {
        let told = |missing: &[&str]| {
            remedies(&missing.iter().map(|&action| action.to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let role = told(&["sts:AssumeRole"]);
        assert!(matches!(role[..], [one] if one.contains("trust policy") && !one.contains("prints a policy")), "{role:?}");
        assert!(matches!(told(&["s3:GetObject"])[..], [one] if one.contains("prints a policy")));
        assert_eq!(told(&["s3:GetObject", "sts:AssumeRole"]).len(), 2);
    }
}
