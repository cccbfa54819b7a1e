//! What AWS said about the trails: `DescribeTrails`, `GetTrailStatus`, `ListPublicKeys`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cloudtrail::KeyRing;
use crate::model::{Finding, Region, Severity, Timestamp, TrailArn};

use super::ChainOf;
use crate::verify::artifacts::{Checked, StoredResponse};

/// One trail, as `DescribeTrails` gave it.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    pub(super) arn: TrailArn,
    multi_region: bool,
    validated: bool,
}

/// A trail's `GetTrailStatus` in one region.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status {
    pub(super) is_logging: bool,
    pub(super) latest_digest_delivery: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Trails {
    trails: BTreeMap<TrailArn, Trail>,
    statuses: BTreeMap<(String, Region), Status>,
    keys: KeyRing,
    asked: BTreeSet<Region>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "trailList", default)]
    trails: Vec<DescribedTrail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedTrail {
    #[serde(rename = "TrailARN")]
    arn: TrailArn,
    #[serde(default)]
    is_multi_region_trail: bool,
    #[serde(default)]
    log_file_validation_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedStatus {
    #[serde(default)]
    is_logging: bool,
    #[serde(default)]
    latest_digest_delivery_time: Option<f64>,
    #[serde(default)]
    stop_logging_time: Option<f64>,
}

/// Seconds since 1970, with a fraction, as AWS's JSON protocol writes instants.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the range is checked, and `as` saturates")]
fn epoch(seconds: f64) -> Option<Timestamp> {
    (seconds.abs() < 1e11).then(|| DateTime::from_timestamp((seconds.floor()) as i64, 0).map(Timestamp::new))?
}

impl Trails {
    pub(super) fn read(checked: &Checked, findings: &mut Vec<Finding>) -> Self {
        let mut all = Self::default();
        for response in checked.responses.iter().filter(|response| response.origin.status == 200) {
            let region = &response.origin.region;
            let outcome = match response.origin.operation.as_str() {
                "ListPublicKeys" => {
                    all.asked.insert(region.clone());
                    all.keys.add_answer(region, &response.body).map(drop).map_err(|problem| problem.to_string())
                }
                "DescribeTrails" => parse::<Described>(response).map(|described| {
                    for trail in described.trails {
                        let (multi_region, validated) = (trail.is_multi_region_trail, trail.log_file_validation_enabled);
                        let arn = trail.arn;
                        all.trails.insert(arn.clone(), Trail { arn, multi_region, validated });
                    }
                }),
                "GetTrailStatus" => parse::<DescribedStatus>(response).map(|status| {
                    let name = response.origin.parameters.get("Name").cloned().unwrap_or_default();
                    let status = Status {
                        is_logging: status.is_logging,
                        latest_digest_delivery: status.latest_digest_delivery_time.and_then(epoch),
                        stopped: status.stop_logging_time.and_then(epoch),
                    };
                    all.statuses.insert((name, region.clone()), status);
                }),
                _ => Ok(()),
            };
            if let Err(problem) = outcome {
                let object = format!("cloudtrail {} in {region}", response.origin.operation);
                let detail = format!("AWS's answer, as stored, cannot be used: {problem}.");
                findings.push(Finding::new(Severity::Gap, "answer-unusable", &object, &detail));
            }
        }
        for trail in all.trails.values().filter(|trail| !trail.validated) {
            let detail =
                "Log file validation is off for this trail, so AWS signs nothing for it and its logs prove only themselves.";
            findings.push(Finding::new(Severity::Gap, "validation-off", &trail.arn, detail));
        }
        all
    }

    /// The trails with log file validation, or the one asked for.
    pub(super) fn validated<'a>(&'a self, only: Option<&'a TrailArn>) -> impl Iterator<Item = &'a Trail> {
        self.trails.values().filter(move |trail| trail.validated && only.is_none_or(|arn| *arn == trail.arn))
    }

    pub(super) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    pub(super) fn keys_asked(&self, region: &Region) -> bool {
        self.asked.contains(region)
    }

    pub(super) fn arn_of(&self, of: &ChainOf) -> Option<String> {
        self.trails.keys().find(|arn| of.is_of(arn)).map(ToString::to_string)
    }

    /// The status in the chain's region, or in the trail's home region.
    pub(super) fn status(&self, of: &ChainOf) -> Option<Status> {
        let named = |region: &Region| {
            let of_trail = |name: &str| name == of.trail || name.parse::<TrailArn>().is_ok_and(|arn| of.is_of(&arn));
            self.statuses.iter().find(|((name, at), _)| at == region && of_trail(name)).map(|(_, status)| *status)
        };
        named(&of.region)
    }
}

impl Trail {
    pub(super) fn source_regions(&self, enabled: &[Region]) -> Vec<Region> {
        if self.multi_region { enabled.to_vec() } else { vec![self.arn.home_region().clone()] }
    }
}

fn parse<T: DeserializeOwned>(response: &StoredResponse) -> Result<T, String> {
    serde_json::from_slice(&response.body).map_err(|error| error.to_string())
}
