//! Arguments that several commands share.

use std::num::NonZeroUsize;

use clap::Args;

use crate::case::{CaseIdentity, FORMAT_VERSION, Scope};
use crate::model::{AccountId, Bound, BucketName, Region, Timestamp, TrailArn, Window, parse_bound, printable};

use super::CliError;

/// What is asked for, and how AWS is reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(super) struct ScopeArguments {
    /// Start of the window: RFC 3339 with its offset, a UTC date, or a span back from now (-48h, -7d).
    #[arg(long, visible_alias = "from", alias = "since", value_name = "TIME", allow_hyphen_values = true)]
    pub(super) start: Option<String>,
    /// End of the window; now if left out. A plain date is that whole UTC day.
    #[arg(long, visible_alias = "to", alias = "until", value_name = "TIME", allow_hyphen_values = true)]
    pub(super) end: Option<String>,
    /// Collect this source only (repeatable): cloudtrail, flow-logs, ebs.
    #[arg(long = "source", value_name = "SOURCE", hide_possible_values = true, value_parser = ["cloudtrail", "flow-logs", "ebs"])]
    pub(super) sources: Vec<String>,
    /// Collect from this region only (repeatable); all enabled ones if left out.
    #[arg(long = "region", value_name = "REGION")]
    pub(super) regions: Vec<Region>,
    /// Collect the evidence of this account only (repeatable), where a bucket holds several.
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub(super) accounts: Vec<AccountId>,
    /// Collect this trail only.
    #[arg(long, value_name = "ARN")]
    pub(super) trail_arn: Option<TrailArn>,
    /// The bucket of a trail or flow log that AWS no longer knows, besides those that it knows.
    #[arg(long, value_name = "BUCKET")]
    pub(super) bucket: Option<BucketName>,
    /// The key prefix in that bucket.
    #[arg(long, value_name = "PREFIX", requires = "bucket")]
    pub(super) prefix: Option<String>,
    /// Ask for the whole event history (90 days, 2 requests a second), not only where no trail covers a region.
    #[arg(long)]
    pub(super) lookup_events: bool,
    /// Ask the event history for events with this attribute too (repeatable), such as AccessKeyId=AKIA….
    #[arg(long = "lookup-attribute", value_name = "KEY=VALUE", value_parser = lookup_attribute)]
    pub(super) lookup_attributes: Vec<String>,
}

/// The attributes that the event history can be asked by.
const LOOKUP_ATTRIBUTES: [&str; 8] =
    ["AccessKeyId", "EventId", "EventName", "EventSource", "ReadOnly", "ResourceName", "ResourceType", "Username"];

fn lookup_attribute(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, value)) if LOOKUP_ATTRIBUTES.contains(&key) && !value.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("write KEY=VALUE, where KEY is one of {}", LOOKUP_ATTRIBUTES.join(", "))),
    }
}

/// Most roles of one run.
const MOST_ROLES: usize = 20;

pub(super) fn role_arn(text: &str) -> Result<String, String> {
    match crate::aws::account_of_role(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("write the ARN of a role, such as arn:aws:iam::111122223333:role/NAME".to_owned()),
    }
}

/// How AWS is reached.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct ConnectionArguments {
    /// The profile of AWS's own configuration files; outranks `AWS_PROFILE` and keys in the environment.
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// Ask as this role (repeatable, one an account): every account is collected by itself.
    #[arg(long = "role-arn", value_name = "ARN", value_parser = role_arn)]
    pub(super) role_arns: Vec<String>,
    /// The external id that the roles ask for.
    #[arg(long, value_name = "ID", requires = "role_arns")]
    pub(super) external_id: Option<String>,
    /// The device of the second factor that the credentials ask for: its serial number or ARN.
    #[arg(long, value_name = "SERIAL", requires = "mfa_code")]
    pub(super) mfa_serial: Option<String>,
    /// The code that the device shows now; never recorded.
    #[arg(long, value_name = "CODE", requires = "mfa_serial")]
    pub(super) mfa_code: Option<String>,
    /// Ask this endpoint instead of AWS's own; recorded in the ledger.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", hide_env_values = true)]
    pub(super) endpoint_url: Option<String>,
}

/// How much is asked of AWS at once.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct ConcurrencyArguments {
    /// How many objects of a bucket are fetched at once; left out, as many as are found to help.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(super) concurrency: Option<u16>,
}

/// Who the case is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Case")]
pub(super) struct CaseArguments {
    /// The number under which the case is filed.
    #[arg(long, alias = "case-id", alias = "incident-id", value_name = "NUMBER")]
    pub(super) case_number: Option<String>,
    /// The exhibit's number.
    #[arg(long, value_name = "NUMBER")]
    pub(super) evidence_number: Option<String>,
    /// Who acquires the evidence.
    #[arg(long, alias = "investigator", value_name = "NAME")]
    pub(super) examiner: Option<String>,
    /// For which organization.
    #[arg(long, value_name = "NAME")]
    pub(super) organization: Option<String>,
    /// By whose authority: a warrant, a consent, an instruction.
    #[arg(long, value_name = "TEXT")]
    pub(super) authority: Option<String>,
    /// What the case is about.
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// Anything else.
    #[arg(long, value_name = "TEXT")]
    pub(super) notes: Option<String>,
}

impl ConnectionArguments {
    /// The roles to assume: one an account, and no more than one run can tell apart.
    pub(super) fn roles(&self) -> Result<Vec<String>, CliError> {
        let mut accounts = std::collections::BTreeSet::new();
        let twice = self.role_arns.iter().find(|role| !accounts.insert(crate::aws::account_of_role(role)));
        if let Some(role) = twice {
            return Err(CliError::usage(format!("two roles of one account were named, one of them {role}"))
                .meaning("Nothing was written, and AWS was not asked.")
                .next("Name one role an account: whatever two of them see would be collected twice."));
        }
        if self.role_arns.len() > MOST_ROLES {
            return Err(CliError::usage(format!("{} roles were named; a run takes {MOST_ROLES}", self.role_arns.len()))
                .meaning("Nothing was written, and AWS was not asked.")
                .next("Collect the accounts in several cases, each with some of the roles."));
        }
        Ok(self.role_arns.clone())
    }

    /// The endpoint, if it was named on the command line and not by the environment.
    pub(super) fn named_endpoint(&self) -> Option<&String> {
        self.endpoint_url.as_ref().filter(|url| std::env::var("AWS_ENDPOINT_URL").as_ref() != Ok(url))
    }
}

impl ConcurrencyArguments {
    /// How many objects of a bucket are fetched at once, where that was said.
    pub(super) fn at_once(self) -> Option<NonZeroUsize> {
        self.concurrency.and_then(|number| NonZeroUsize::new(usize::from(number)))
    }
}

impl ScopeArguments {
    /// Refuses what no chosen source could make use of: it would be ignored without a word.
    pub(super) fn refuse_unused(&self) -> Result<(), CliError> {
        let asks_for = |source: &str| self.sources.is_empty() || self.sources.iter().any(|name| name == source);
        let (trails, flows) = (asks_for("cloudtrail"), asks_for("flow-logs"));
        let unused = [
            (self.bucket.is_some() && !trails && !flows, "--bucket", "cloudtrail or flow-logs"),
            (self.trail_arn.is_some() && !trails, "--trail-arn", "cloudtrail"),
            (self.lookup_events && !trails, "--lookup-events", "cloudtrail"),
            (!self.lookup_attributes.is_empty() && !trails, "--lookup-attribute", "cloudtrail"),
        ];
        let Some((_, flag, sources)) = unused.iter().find(|(is_unused, ..)| *is_unused) else { return Ok(()) };
        Err(CliError::usage(format!("{flag} is of no use to the sources that were chosen: {}", self.sources.join(", ")))
            .meaning("Nothing was written, and AWS was not asked.")
            .next(format!("Leave it out, or add --source {sources}.")))
    }

    /// The window, which must have a start.
    pub(super) fn window(&self, now: Timestamp) -> Result<Window, CliError> {
        let Some(start) = &self.start else {
            return Err(CliError::usage("the window has no start")
                .meaning("Nothing was written, and AWS was not asked.")
                .next("Add --start, for example --start -48h or --start 2026-03-01"));
        };
        Ok(Window::parse(start, self.end.as_deref(), now)?)
    }

    /// The scope without the window.
    pub(super) fn scope(&self) -> Scope {
        Scope {
            sources: self.sources.clone(),
            regions: self.regions.clone(),
            accounts: self.accounts.clone(),
            trail_arn: self.trail_arn.clone(),
            bucket: self.bucket.as_ref().map(ToString::to_string),
            prefix: self.prefix.clone(),
            lookup_events: self.lookup_events,
            lookup_attributes: self.lookup_attributes.clone(),
        }
    }

    /// What of that which was given would change `identity`. What was not given changes nothing, and neither do the words with which the
    /// case was opened: whatever counts from now counts from then. But one word of the scope stands for all of it.
    fn differences(&self, identity: &CaseIdentity) -> Result<Vec<Difference>, CliError> {
        let (given, kept) = (self.scope(), &identity.scope);
        let mut found = Vec::new();
        if given != Scope::default() {
            let text = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
            let all = |values: &[String]| values.to_vec();
            let switched = |on: bool| if on { vec!["given".to_owned()] } else { Vec::new() };
            let arn = |arn: &Option<TrailArn>| text(arn.as_ref().map(ToString::to_string));
            let fields = [
                ("--source", all(&kept.sources), all(&given.sources)),
                ("--region", words(&kept.regions), words(&given.regions)),
                ("--account", words(&kept.accounts), words(&given.accounts)),
                ("--trail-arn", arn(&kept.trail_arn), arn(&given.trail_arn)),
                ("--bucket", text(kept.bucket.clone()), text(given.bucket.clone())),
                ("--prefix", text(kept.prefix.clone()), text(given.prefix.clone())),
                ("--lookup-events", switched(kept.lookup_events), switched(given.lookup_events)),
                ("--lookup-attribute", all(&kept.lookup_attributes), all(&given.lookup_attributes)),
            ];
            found.extend(fields.into_iter().filter(|(_, kept, given)| kept != given).map(|(option, kept, given)| {
                let told = |values: Vec<String>| if values.is_empty() { "not given".to_owned() } else { values.join(", ") };
                Difference { option, kept: told(kept), given: told(given) }
            }));
        }
        let bounds = [
            ("--start", self.start.as_ref(), Bound::Start, identity.window.start()),
            ("--end", self.end.as_ref(), Bound::End, identity.window.end()),
        ];
        for (option, text, bound, kept) in bounds {
            let Some(text) = text else { continue };
            let given = parse_bound(text, bound, identity.opened_at.floor_second())?;
            if given != kept {
                found.push(Difference { option, kept: kept.to_string(), given: given.to_string() });
            }
        }
        Ok(found)
    }
}

impl CaseArguments {
    fn differences(&self, identity: &CaseIdentity) -> impl Iterator<Item = Difference> {
        let fields = [
            ("--case-number", &self.case_number, &identity.case_number),
            ("--evidence-number", &self.evidence_number, &identity.evidence_number),
            ("--examiner", &self.examiner, &identity.examiner),
            ("--organization", &self.organization, &identity.organization),
            ("--authority", &self.authority, &identity.authority),
            ("--description", &self.description, &identity.description),
            ("--notes", &self.notes, &identity.notes),
        ];
        fields.into_iter().filter_map(|(option, given, kept)| {
            let given = given.as_ref().filter(|given| *given != kept)?;
            Some(Difference { option, kept: kept.clone(), given: given.clone() })
        })
    }

    /// The identity of a new case.
    pub(super) fn identity(&self, scope: &ScopeArguments, now: Timestamp) -> Result<CaseIdentity, CliError> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (case_number, examiner) = (text(&self.case_number), text(&self.examiner));
        // They are written once, and stand in every form: none of them can be added later.
        let needed = [
            (
                case_number.trim().is_empty(),
                "its number",
                "--case-number, the number under which your organization files the case",
            ),
            (examiner.trim().is_empty(), "its examiner", "--examiner, your name"),
            (scope.start.is_none(), "the start of its window", "--start, for example --start -48h"),
        ];
        if needed.iter().take(2).any(|(is_missing, ..)| *is_missing) {
            let missing = || needed.iter().filter(|(is_missing, ..)| *is_missing);
            let (names, flags): (Vec<&str>, Vec<&str>) = missing().map(|(_, name, flag)| (*name, *flag)).unzip();
            return Err(CliError::usage(format!("a new case needs {}", listed(&names)))
                .meaning("Nothing was written, and AWS was not asked.")
                .next(format!("Add {}. On a terminal, collect asks for what is missing.", listed(&flags))));
        }
        let window = scope.window(now)?;
        scope.refuse_unused()?;
        Ok(CaseIdentity {
            format_version: FORMAT_VERSION,
            case_number,
            evidence_number: text(&self.evidence_number),
            examiner,
            organization: text(&self.organization),
            authority: text(&self.authority),
            description: text(&self.description),
            notes: text(&self.notes),
            opened_at: now,
            window,
            scope: scope.scope(),
        })
    }
}

/// One thing that a case was opened with, and what was given in its place.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    option: &'static str,
    kept: String,
    given: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [kept, given] = [&self.kept, &self.given].map(|text| printable(text));
        write!(f, "{} is `{kept}` in the case, not `{given}`", self.option)
    }
}

fn words<T: std::fmt::Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// `a`, `a, and b`, `a, b, and c`.
fn listed(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [before @ .., last] => format!("{}, and {last}", before.join(", ")),
    }
}

/// Refuses arguments that would change what an existing case is about: they were asked once and are kept.
pub(super) fn refuse_changes(identity: &CaseIdentity, scope: &ScopeArguments, case: &CaseArguments) -> Result<(), CliError> {
    let differences: Vec<Difference> = case.differences(identity).chain(scope.differences(identity)?).collect();
    if differences.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(CliError::usage(format!("this case was opened with other words: {}", told.join("; ")))
        .meaning("They are written once, so that nobody has to ask later which of them the evidence answers.")
        .next("To go on with the case, give only its folder, and --profile or --role-arn as before. For another window, collect into another folder."))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        scope: ScopeArguments,
        #[command(flatten)]
        case: CaseArguments,
    }

    fn line(arguments: &str) -> Line {
        Line::try_parse_from(std::iter::once("caselock").chain(arguments.split_whitespace())).unwrap()
    }

    fn now() -> Timestamp {
        "2026-03-02T12:00:00Z".parse().unwrap()
    }

    fn refused(again: &str) -> bool {
        let first = line("--case-number IR-1 --examiner A --start -48h --end 2026-03-02T10:00:00Z --region us-east-1");
        let identity = first.case.identity(&first.scope, now()).unwrap();
        let again = line(again);
        refuse_changes(&identity, &again.scope, &again.case).is_err()
    }

    fn refused_window(first: &str, again: &str) -> bool {
        let first = line(&format!("--case-number IR-1 --examiner A {first}"));
        let identity = first.case.identity(&first.scope, now().plus_seconds(1)).unwrap();
        let again = line(again);
        refuse_changes(&identity, &again.scope, &again.case).is_err()
    }

    #[test]
    fn the_same_command_line_goes_on_though_its_span_counts_back_from_another_now() {
        assert!(!refused("--case-number IR-1 --examiner A --start -48h --end 2026-03-02T10:00:00Z --region us-east-1"));
        assert!(!refused(""));
        for words in ["--start -1h", "--start -30d --end -1d", "--start -2h --end now", "--start 2026-03-01 --end 2026-03-02"] {
            assert!(!refused_window(words, words), "{words}");
        }
        assert!(!refused_window("--start -2d", "--start -48h"), "as long a span");
        assert!(!refused_window("--start -2d", "--start -2d --end now"), "what was left out then means now");
    }

    #[test]
    fn a_span_that_means_another_window_is_refused() {
        for (first, again) in [
            ("--start -1h", "--start -30d --end -1d"),
            ("--start -1h", "--start -2h"),
            ("--start -2h --end -1h", "--end now"),
            ("--start -2h --end -1h", "--start -1h"),
            ("--start 2026-02-01 --end 2026-02-02", "--start -48h"),
            ("--start -48h --end 2026-03-02T10:00:00Z", "--end 2026-03-02"),
        ] {
            assert!(refused_window(first, again), "{first}, then {again}");
        }
    }

    #[test]
    fn what_no_chosen_source_could_use_is_refused() {
        let refused = |arguments: &str| line(arguments).scope.refuse_unused().is_err();
        for unused in [
            "--source ebs --bucket example",
            "--source ebs --bucket example --prefix team",
            "--source ebs --source flow-logs --trail-arn arn:aws:cloudtrail:us-east-1:111122223333:trail/main",
            "--source flow-logs --lookup-events",
            "--source ebs --lookup-attribute Username=alice",
        ] {
            assert!(refused(unused), "{unused}");
        }
        for used in ["--bucket example", "--source ebs --source flow-logs --bucket example", "--source ebs", "--lookup-events"]
        {
            assert!(!refused(used), "{used}");
        }
        let case = line("--case-number IR-1 --examiner A --start -48h --source ebs --bucket example");
        assert!(case.case.identity(&case.scope, now()).is_err());
    }

    #[test]
    fn an_attribute_that_the_event_history_does_not_know_is_refused() {
        assert!(lookup_attribute("Username=a=b").is_ok());
        for wrong in ["Username", "Username=", "=alice", "SourceIpAddress=192.0.2.1"] {
            assert!(lookup_attribute(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_differs_is_told_by_its_option_with_both_values() {
        let first =
            line("--case-number IR-1 --examiner A --start 2026-03-01 --end 2026-03-01 --region us-east-1 --region us-west-2");
        let identity = first.case.identity(&first.scope, now()).unwrap();
        let again = line("--case-number IR-1 --examiner B --start 2026-03-01T06:00:00Z --region us-east-1 --bucket example");
        let refused = refuse_changes(&identity, &again.scope, &again.case).unwrap_err();
        let told = "this case was opened with other words: --examiner is `A` in the case, not `B`; --region is `us-east-1, us-west-2` in \
                    the case, not `us-east-1`; --bucket is `not given` in the case, not `example`; --start is `2026-03-01T00:00:00Z` in \
                    the case, not `2026-03-01T06:00:00Z`";
        assert_eq!(refused.what, [told]);
    }

    #[test]
    fn another_number_person_window_or_scope_is_refused() {
        for again in [
            "--case-number IR-2",
            "--examiner B",
            "--start 2026-03-01",
            "--end 2026-03-01",
            "--region us-west-2",
            "--source ebs",
            "--lookup-events",
            "--lookup-attribute Username=alice",
        ] {
            assert!(refused(again), "{again}");
        }
    }
}
