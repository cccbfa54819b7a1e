//! EC2: Query requests, XML answers.

mod inventory;

use http::StatusCode;

use super::super::disks::{Disks, Snapshot, Volume, disk_key};
use super::super::flow::FlowLog;
use super::super::record::timestamp;
use super::super::{ACCOUNT_ID, Account};
use super::xml::{self, Xml};
use super::{Form, Refusal};

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

pub(in super::super) fn answer(
    account: &Account,
    region: &str,
    operation: &str,
    form: &Form,
    request_id: &str,
) -> Result<String, Refusal> {
    let (disks, flow_logs) = (account.state().disks(), account.state().flow_logs());
    let call = Call { account, disks: &disks, flow_logs: &flow_logs, region, form };
    let write: Box<dyn Fn(&mut Xml) + '_> = match operation {
        "DescribeRegions" => call.regions(),
        "DescribeFlowLogs" => call.flow_logs()?,
        "DescribeSnapshots" => call.snapshots()?,
        "DescribeSnapshotAttribute" => call.snapshot_attribute()?,
        "DescribeVolumes" => call.volumes()?,
        other => call.inventory(other).ok_or_else(|| {
            let message = format!("The action {operation} is not valid for this web service.");
            Refusal::new(StatusCode::BAD_REQUEST, "InvalidAction", message)
        })?,
    };
    if form.flag("DryRun") == Some(true) {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "DryRunOperation", message));
    }
    Ok(xml::document(|xml| {
        xml.element_in(&format!("{operation}Response"), NAMESPACE, |xml| {
            xml.text("requestId", request_id);
            write(xml);
        });
    }))
}

fn invalid(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

/// One request on its way.
struct Call<'a> {
    account: &'a Account,
    disks: &'a Disks,
    flow_logs: &'a [FlowLog],
    region: &'a str,
    form: &'a Form,
}

type Written<'a> = Box<dyn Fn(&mut Xml) + 'a>;

impl<'a> Call<'a> {
    fn regions(&self) -> Written<'a> {
        let mut regions: Vec<(String, &str)> =
            self.account.scenario().regions.iter().map(|name| (name.clone(), "opt-in-not-required")).collect();
        if self.form.flag("AllRegions") == Some(true) {
            regions.push(("af-south-1".to_owned(), "not-opted-in"));
        }
        let asked: Vec<String> = self.form.list("RegionName").into_iter().map(str::to_owned).collect();
        regions.retain(|(name, _)| asked.is_empty() || asked.contains(name));
        Box::new(move |xml| {
            xml.element("regionInfo", |xml| {
                for (name, opt_in) in &regions {
                    xml.element("item", |xml| {
                        xml.text("regionName", name);
                        xml.text("regionEndpoint", &format!("ec2.{name}.amazonaws.com"));
                        xml.text("optInStatus", opt_in);
                    });
                }
            });
        })
    }

    fn flow_logs(&self) -> Result<Written<'a>, Refusal> {
        let asked = self.form.list("FlowLogId");
        let logs: Vec<_> = self.flow_logs.iter().filter(|log| log.region == self.region).collect();
        if let Some(unknown) = asked.iter().find(|id| logs.iter().all(|log| log.id != **id)) {
            return Err(invalid("InvalidFlowLogId.NotFound", format!("The flow log ID '{unknown}' does not exist")));
        }
        let filters = self.form.filters();
        let shown = logs.into_iter().filter(|log| asked.is_empty() || asked.contains(&log.id.as_str())).filter(|log| {
            filters.iter().all(|(name, values)| match *name {
                "resource-id" => values.contains(&log.resource.as_str()),
                "flow-log-id" => values.contains(&log.id.as_str()),
                "log-destination-type" => values.contains(&log.destination_type()),
                _ => true,
            })
        });
        let (page, token) = self.page(shown.collect(), 1)?;
        Ok(Box::new(move |xml| {
            xml.element("flowLogSet", |xml| {
                for log in &page {
                    xml.element("item", |xml| {
                        xml.text("creationTime", &timestamp(log.created));
                        xml.text("deliverLogsStatus", "SUCCESS");
                        xml.text("flowLogId", &log.id);
                        xml.text("flowLogStatus", "ACTIVE");
                        xml.text("resourceId", &log.resource);
                        xml.text("trafficType", "ALL");
                        xml.text("logDestinationType", log.destination_type());
                        xml.text("logDestination", &log.destination());
                        if let Some(group) = log.group() {
                            xml.text("logGroupName", group);
                        }
                        xml.text("logFormat", &log.format());
                        xml.value("maxAggregationInterval", log.aggregation);
                        xml.element("destinationOptions", |xml| {
                            xml.text("fileFormat", "plain-text");
                            xml.value("hiveCompatiblePartitions", log.hive);
                            xml.value("perHourPartition", log.hive);
                        });
                        tags(xml, &[("Name".to_owned(), format!("flows-{}", log.region))]);
                    });
                }
            });
            next_token(xml, token.as_deref());
        }))
    }

    fn snapshots(&self) -> Result<Written<'a>, Refusal> {
        let asked = self.form.list("SnapshotId");
        let mut owners = self.form.list("Owner");
        owners.extend(self.form.list("OwnerId"));
        let shared_with_us = !self.form.list("RestorableBy").is_empty();
        let ours = owners.is_empty() || owners.iter().any(|owner| *owner == "self" || *owner == ACCOUNT_ID);
        let here: Vec<&Snapshot> = self.disks.snapshots.iter().filter(|snapshot| snapshot.region == self.region).collect();
        if let Some(unknown) = asked.iter().find(|id| here.iter().all(|snapshot| snapshot.id != **id)) {
            return Err(invalid("InvalidSnapshot.NotFound", format!("The snapshot '{unknown}' does not exist.")));
        }
        let shown = here.into_iter().filter(|snapshot| ours && (asked.is_empty() || asked.contains(&snapshot.id.as_str())));
        let (page, token) = self.page(shown.collect(), 5)?;
        let region = self.region;
        Ok(Box::new(move |xml| {
            xml.element("snapshotSet", |xml| {
                for snapshot in &page {
                    xml.element("item", |xml| write_snapshot(xml, snapshot));
                }
                if shared_with_us && token.is_none() {
                    inventory::write_foreign_snapshot(xml, region);
                }
            });
            next_token(xml, token.as_deref());
        }))
    }

    fn snapshot_attribute(&self) -> Result<Written<'a>, Refusal> {
        let (Some(id), Some(attribute)) = (self.form.get("SnapshotId"), self.form.get("Attribute")) else {
            return Err(invalid("MissingParameter", "The request must contain the parameters SnapshotId and Attribute"));
        };
        let mut snapshots = self.disks.snapshots.iter();
        let Some(snapshot) = snapshots.find(|snapshot| snapshot.region == self.region && snapshot.id == id) else {
            return Err(invalid("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist.")));
        };
        let permissions = match attribute {
            "createVolumePermission" => true,
            "productCodes" => false,
            _ => {
                return Err(invalid(
                    "InvalidParameterValue",
                    format!("Value ({attribute}) for parameter attribute is invalid."),
                ));
            }
        };
        Ok(Box::new(move |xml| {
            xml.text("snapshotId", &snapshot.id);
            if !permissions {
                xml.element("productCodes", |_| ());
                return;
            }
            xml.element("createVolumePermission", |xml| {
                for account in &snapshot.shared_with {
                    xml.element("item", |xml| xml.text("userId", account));
                }
            });
        }))
    }

    fn volumes(&self) -> Result<Written<'a>, Refusal> {
        let asked = self.form.list("VolumeId");
        let here: Vec<&Volume> = self.disks.volumes.iter().filter(|volume| volume.region == self.region).collect();
        if let Some(unknown) = asked.iter().find(|id| here.iter().all(|volume| volume.id != **id)) {
            return Err(invalid("InvalidVolume.NotFound", format!("The volume '{unknown}' does not exist.")));
        }
        let shown = here.into_iter().filter(|volume| asked.is_empty() || asked.contains(&volume.id.as_str()));
        let (page, token) = self.page(shown.collect(), 5)?;
        Ok(Box::new(move |xml| {
            xml.element("volumeSet", |xml| {
                for volume in &page {
                    xml.element("item", |xml| write_volume(xml, volume));
                }
            });
            next_token(xml, token.as_deref());
        }))
    }

    /// Cuts a page out of a list, and names where the next one begins.
    fn page<T>(&self, list: Vec<&'a T>, least: usize) -> Result<(Vec<&'a T>, Option<String>), Refusal> {
        let skip = match self.form.get("NextToken") {
            None => 0,
            Some(token) => token
                .strip_prefix("page-")
                .and_then(|position| position.parse::<usize>().ok())
                .ok_or_else(|| invalid("InvalidNextToken", "The token provided is not valid"))?,
        };
        let limit = match self.form.get("MaxResults") {
            None => usize::MAX,
            Some(limit) => limit.parse().ok().filter(|limit| (least..=1000).contains(limit)).ok_or_else(|| {
                invalid(
                    "InvalidParameterValue",
                    format!(
                        "Value ( {limit} ) for parameter maxResults is invalid. Expecting a value between {least} and 1000."
                    ),
                )
            })?,
        };
        let limit = limit.min(self.account.objects().page_limit());
        let end = skip.saturating_add(limit);
        let token = (end < list.len()).then(|| format!("page-{end}"));
        Ok((list.into_iter().skip(skip).take(limit).collect(), token))
    }
}

fn write_snapshot(xml: &mut Xml, snapshot: &Snapshot) {
    xml.text("snapshotId", &snapshot.id);
    xml.text("volumeId", &snapshot.volume);
    xml.text("status", "completed");
    xml.text("startTime", &timestamp(snapshot.started));
    xml.text("completionTime", &timestamp(snapshot.started + chrono::Duration::minutes(11)));
    xml.text("progress", "100%");
    xml.text("ownerId", ACCOUNT_ID);
    xml.value("volumeSize", snapshot.size);
    xml.value("fullSnapshotSizeInBytes", u64::from(snapshot.size) << 29);
    xml.text("description", &snapshot.description);
    xml.value("encrypted", snapshot.encrypted);
    if snapshot.encrypted {
        xml.text("kmsKeyId", &disk_key(&snapshot.region));
    }
    xml.text("storageTier", if snapshot.archived { "archive" } else { "standard" });
    tags(xml, &snapshot.tags);
}

fn write_volume(xml: &mut Xml, volume: &Volume) {
    xml.text("volumeId", &volume.id);
    xml.value("size", volume.size);
    xml.text("snapshotId", volume.snapshot.as_deref().unwrap_or_default());
    xml.text("availabilityZone", &format!("{}a", volume.region));
    xml.text("status", if volume.instance.is_some() { "in-use" } else { "available" });
    xml.text("createTime", &timestamp(volume.created));
    xml.element("attachmentSet", |xml| {
        if let Some(instance) = &volume.instance {
            xml.element("item", |xml| {
                xml.text("volumeId", &volume.id);
                xml.text("instanceId", instance);
                xml.text("device", "/dev/xvda");
                xml.text("status", "attached");
                xml.text("attachTime", &timestamp(volume.created));
                xml.value("deleteOnTermination", true);
            });
        }
    });
    tags(xml, &[("Name".to_owned(), volume.name.clone())]);
    xml.text("volumeType", "gp3");
    xml.value("iops", 3000);
    xml.value("throughput", 125);
    xml.value("encrypted", volume.encrypted);
    if volume.encrypted {
        xml.text("kmsKeyId", &disk_key(&volume.region));
    }
    xml.value("multiAttachEnabled", false);
}

fn tags(xml: &mut Xml, tags: &[(String, String)]) {
    xml.element("tagSet", |xml| {
        for (key, value) in tags {
            xml.element("item", |xml| {
                xml.text("key", key);
                xml.text("value", value);
            });
        }
    });
}

fn next_token(xml: &mut Xml, token: Option<&str>) {
    if let Some(token) = token {
        xml.text("nextToken", token);
    }
}
