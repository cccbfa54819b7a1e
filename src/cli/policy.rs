//! Prints the IAM policy that permits what caselock asks, and nothing else.

use crate::acquire::policy;
use crate::model::BucketName;

use super::output::Output;
use super::{CliError, Exit};

/// Print the least-privilege IAM policy for an acquisition.
///
/// It permits the operations that collect and plan use for the chosen sources, and nothing else. Every one of them reads.
/// AWS is not asked, and nothing is changed there: whoever may do that attaches the policy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock policy > policy.json
  caselock policy --source cloudtrail --bucket example-corp-cloudtrail")]
pub(super) struct PolicyArguments {
    /// Permit this source only (repeatable): cloudtrail, flow-logs, ebs.
    #[arg(long = "source", value_name = "SOURCE", hide_possible_values = true, value_parser = ["cloudtrail", "flow-logs", "ebs"])]
    sources: Vec<String>,
    /// Permit this bucket only (repeatable); all buckets if left out.
    #[arg(long = "bucket", value_name = "BUCKET")]
    buckets: Vec<BucketName>,
}

pub(super) fn run(arguments: &PolicyArguments, output: &Output) -> Result<Exit, CliError> {
    let buckets: Vec<String> = arguments.buckets.iter().map(ToString::to_string).collect();
    let policy = policy(&arguments.sources, &buckets);
    // A policy is JSON whichever way it is asked for.
    output.result(&policy, || format!("{policy:#}"))?;
    Ok(Exit::Done)
}
