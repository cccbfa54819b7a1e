//! What AWS said about the trails: `DescribeTrails`, `GetTrailStatus`, `ListPublicKeys`, `LookupEvents`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cloudtrail::{KeyRing, events_in_history};
use crate::model::{AccountId, Finding, Region, Severity, Timestamp, TrailArn};

use super::{ChainOf, Place};
use crate::verify::artifacts::{Checked, StoredResponse};

/// One trail, as `DescribeTrails` gave it.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    pub(super) arn: TrailArn,
    bucket: String,
    prefix: String,
    multi_region: bool,
    pub(super) of_organization: bool,
    validated: bool,
}

/// A trail's `GetTrailStatus` in one region.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status {
    pub(super) latest_digest_delivery: Option<Timestamp>,
    pub(super) started: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Trails {
    trails: BTreeMap<TrailArn, Trail>,
    /// The oldest answer first.
    statuses: Vec<(String, Region, Status)>,
    keys: KeyRing,
    /// By account and region, where AWS told all trails that there are.
    described: BTreeSet<(AccountId, Region)>,
    /// Regions where it told them to somebody whom it shows the trails of an organization.
    described_of_organization: BTreeSet<Region>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "trailList")]
    trails: Vec<DescribedTrail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedTrail {
    #[serde(rename = "TrailARN")]
    arn: TrailArn,
    #[serde(rename = "S3BucketName", default)]
    bucket: String,
    #[serde(rename = "S3KeyPrefix", default)]
    prefix: Option<String>,
    #[serde(default)]
    is_multi_region_trail: bool,
    #[serde(default)]
    is_organization_trail: bool,
    #[serde(default)]
    log_file_validation_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedStatus {
    #[serde(default)]
    latest_digest_delivery_time: Option<f64>,
    #[serde(default)]
    start_logging_time: Option<f64>,
    #[serde(default)]
    stop_logging_time: Option<f64>,
}

/// Seconds since 1970, with a fraction, as AWS's JSON protocol writes instants.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the range is checked, and `as` saturates")]
fn epoch(seconds: f64) -> Option<Timestamp> {
    (seconds.abs() < 1e11).then(|| DateTime::from_timestamp((seconds.floor()) as i64, 0).map(Timestamp::new))?
}

impl Trails {
    pub(super) fn read(checked: &Checked, other_keys: Option<&KeyRing>, findings: &mut Vec<Finding>) -> Self {
        let mut all = Self::default();
        // What AWS said last counts, whichever run asked, and whichever thread read the answer.
        let mut responses: Vec<&StoredResponse> =
            checked.responses.iter().filter(|response| response.origin.status == 200).collect();
        responses.sort_by_key(|response| (response.origin.exchange.date, &response.origin.exchange.request_id));
        let mut unusable = BTreeMap::new();
        for response in responses {
            match all.take(response, findings) {
                Ok(()) => drop(unusable.remove(&question(response))),
                Err(problem) => drop(unusable.insert(question(response), problem)),
            }
        }
        for ((operation, _, region, ..), problem) in unusable {
            let object = format!("cloudtrail {operation} in {region}");
            let detail = format!("AWS's answer, as stored, cannot be used: {problem}.");
            findings.push(Finding::new(Severity::Gap, "answer-unusable", &object, &detail));
        }
        if let Some(keys) = other_keys {
            all.keys = keys.clone();
        }
        for key in all.keys.iter().filter(|(_, key)| key.wrapped).map(|(region, key)| (region, &key.fingerprint)) {
            let detail = "It was published as an X.509 SubjectPublicKeyInfo, not as the PKCS#1 key that is usual; the key in it is used.";
            findings.push(Finding::new(Severity::Notice, "key-encoding", &format!("key {} of {}", key.1, key.0), detail));
        }
        for trail in all.trails.values().filter(|trail| !trail.validated) {
            let detail =
                "Log file validation is off for this trail, so AWS signs nothing for it and its logs prove only themselves.";
            findings.push(Finding::new(Severity::Gap, "validation-off", &trail.arn, detail));
        }
        all
    }

    fn take(&mut self, response: &StoredResponse, findings: &mut Vec<Finding>) -> Result<(), String> {
        let origin = &response.origin;
        match origin.operation.as_str() {
            "ListPublicKeys" => {
                let problems = self.keys.add_answer(&origin.region, &response.body).map_err(|error| error.to_string())?;
                for problem in problems {
                    let object = format!("cloudtrail ListPublicKeys in {}", origin.region);
                    findings.push(Finding::new(
                        Severity::Gap,
                        "key-unusable",
                        &object,
                        &format!("It gives a key that is not used: {problem}."),
                    ));
                }
                if origin.last {
                    let bound = |name: &str| origin.parameters.get(name).and_then(|text| text.parse().ok());
                    self.keys.note_asked(&origin.region, bound("StartTime"), bound("EndTime"));
                }
            }
            "DescribeTrails" => {
                let described = parse::<Described>(response)?;
                self.described.insert((origin.account, origin.region.clone()));
                for trail in described.trails {
                    if trail.is_organization_trail {
                        self.described_of_organization.insert(origin.region.clone());
                    }
                    let prefix = trail.prefix.filter(|prefix| !prefix.is_empty());
                    let described = Trail {
                        arn: trail.arn.clone(),
                        bucket: trail.bucket,
                        prefix: prefix.map(|prefix| format!("{}/", prefix.trim_end_matches('/'))).unwrap_or_default(),
                        multi_region: trail.is_multi_region_trail,
                        of_organization: trail.is_organization_trail,
                        validated: trail.log_file_validation_enabled,
                    };
                    self.trails.insert(trail.arn, described);
                }
            }
            "GetTrailStatus" => {
                let status = parse::<DescribedStatus>(response)?;
                let name = origin.parameters.get("Name").cloned().unwrap_or_default();
                let status = Status {
                    latest_digest_delivery: status.latest_digest_delivery_time.and_then(epoch),
                    started: status.start_logging_time.and_then(epoch),
                    stopped: status.stop_logging_time.and_then(epoch),
                };
                self.statuses.push((name, origin.region.clone(), status));
            }
            "LookupEvents" => {
                // Only an answer that could not be read was kept.
                events_in_history(&response.body).map_err(|error| error.to_string())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a trail that delivers what happens in an account's region to this place has no digests, or whether that is not known: then
    /// a log that no digest lists may be its.
    ///
    /// Whose trails nobody could describe, in a bucket of many accounts or where the answer was refused, may have one of that kind.
    pub(super) fn may_deliver_unsigned(&self, account: AccountId, region: &Region, place: &Place) -> bool {
        let all_are_known = match place.organization {
            None => self.described.contains(&(account, region.clone())),
            Some(_) => self.described_of_organization.contains(region),
        };
        !all_are_known
            || self.trails.values().any(|trail| {
                !trail.validated
                    && trail.bucket == place.bucket
                    && trail.prefix == place.prefix
                    && trail.of_organization == place.organization.is_some()
            })
    }

    /// The trails that AWS described, or the one asked for.
    pub(super) fn described<'a>(&'a self, only: Option<&'a TrailArn>) -> impl Iterator<Item = &'a Trail> {
        self.trails.values().filter(move |trail| only.is_none_or(|arn| *arn == trail.arn))
    }

    /// Those of them with log file validation.
    pub(super) fn validated<'a>(&'a self, only: Option<&'a TrailArn>) -> impl Iterator<Item = &'a Trail> {
        self.described(only).filter(|trail| trail.validated)
    }

    pub(super) fn into_keys(self) -> KeyRing {
        self.keys
    }

    pub(super) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Whether AWS described the chain's trail, as one that is signed and records in every region.
    pub(super) fn is_multi_region(&self, of: &ChainOf) -> bool {
        self.trails.values().any(|trail| trail.multi_region && trail.validated && of.is_of(trail))
    }

    /// The chain's trail, as AWS described it; none if it may be one of several.
    fn of(&self, of: &ChainOf) -> Option<&Trail> {
        let mut trails = self.trails.values().filter(|trail| of.is_of(trail));
        trails.next().filter(|_| trails.next().is_none())
    }

    pub(super) fn arn_of(&self, of: &ChainOf) -> Option<String> {
        self.of(of).map(|trail| trail.arn.to_string())
    }

    /// Whose trail it is; none of an organization's that nothing describes.
    pub(super) fn owner_of(&self, of: &ChainOf) -> Option<AccountId> {
        if of.organization.is_none() { Some(of.account) } else { self.of(of).map(|trail| trail.arn.account()) }
    }

    /// Where the chain's trail delivers to now, as far as AWS said.
    pub(super) fn place_of(&self, of: &ChainOf) -> Option<Place> {
        let trail = self.of(of)?;
        Some(Place { bucket: trail.bucket.clone(), prefix: trail.prefix.clone(), organization: of.organization.clone() })
    }

    /// The status in the chain's region, as AWS told it last.
    pub(super) fn status(&self, of: &ChainOf) -> Option<Status> {
        self.statuses_of(of).last()
    }

    /// When a digest of the chain was last delivered, each time that AWS was asked.
    pub(super) fn digest_deliveries(&self, of: &ChainOf) -> BTreeSet<Timestamp> {
        self.statuses_of(of).filter_map(|status| status.latest_digest_delivery).collect()
    }

    /// What AWS said of the trail's status in the chain's region, the oldest answer first.
    fn statuses_of(&self, of: &ChainOf) -> impl Iterator<Item = Status> {
        let owner = self.owner_of(of);
        let of_trail = move |name: &str| match name.parse::<TrailArn>() {
            Ok(arn) => Some(arn.account()) == owner && arn.name() == of.trail && *arn.home_region() == of.home_region,
            // Only the account that owns a trail calls it by its name alone.
            Err(_) => name == of.trail && of.organization.is_none(),
        };
        let in_region = self.statuses.iter().filter(|(_, at, _)| *at == of.region);
        in_region.filter(move |(name, _, _)| of_trail(name)).map(|(_, _, status)| *status)
    }
}

impl Trail {
    /// The regions it records, of those in scope.
    pub(super) fn source_regions(&self, in_scope: &[Region]) -> Vec<Region> {
        in_scope.iter().filter(|region| self.records(region)).cloned().collect()
    }

    /// The bucket to which it delivers, and what stands before `AWSLogs/` there.
    pub(super) fn store(&self) -> (&str, &str) {
        (&self.bucket, &self.prefix)
    }

    /// Whether it delivers to a bucket and prefix as a user names them.
    pub(super) fn delivers_to(&self, bucket: &str, prefix: Option<&str>) -> bool {
        self.bucket == bucket && self.prefix.trim_matches('/') == prefix.unwrap_or_default().trim_matches('/')
    }

    /// Whether it records what happens in a region.
    pub(super) fn records(&self, region: &Region) -> bool {
        self.multi_region || region == self.arn.home_region()
    }
}

/// What an answer is one to: a later answer to the same takes its place.
type Question<'a> = (&'a str, AccountId, &'a Region, Vec<(&'a str, &'a str)>, u32);

fn question(response: &StoredResponse) -> Question<'_> {
    let origin = &response.origin;
    // For public keys every run asks until now, which takes in what an earlier one asked.
    let is_until_now = |name: &str| origin.operation == "ListPublicKeys" && name == "EndTime";
    let parameters = origin.parameters.iter().filter(|(name, _)| !is_until_now(name));
    let parameters = parameters.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    (&origin.operation, origin.account, &origin.region, parameters, origin.page)
}

fn parse<T: DeserializeOwned>(response: &StoredResponse) -> Result<T, String> {
    serde_json::from_slice(&response.body).map_err(|error| error.to_string())
}
