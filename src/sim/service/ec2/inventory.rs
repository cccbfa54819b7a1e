//! What else EC2 tells about disks, and about the networks behind flow logs.

use super::super::super::disks::Snapshot;
use super::super::super::{ACCOUNT_ID, FOREIGN_ACCOUNT_ID};
use super::super::xml::Xml;
use super::{Call, Written};

impl<'a> Call<'a> {
    /// The answers that are one element or one list.
    pub(super) fn inventory(&self, operation: &str) -> Option<Written<'a>> {
        let networks = || self.networks(operation);
        let empty = |list: &'static str| -> Option<Written<'a>> { Some(Box::new(move |xml| xml.element(list, |_| ()))) };
        match operation {
            "DescribeImages" => Some(self.images()),
            "DescribeImageAttribute" => self.image_attribute(),
            "DescribeSnapshotTierStatus" => Some(self.tiers()),
            "DescribeLockedSnapshots" | "ListSnapshotsInRecycleBin" => empty("snapshotSet"),
            "ListImagesInRecycleBin" => empty("imageSet"),
            "ListVolumesInRecycleBin" => empty("volumeSet"),
            "DescribeVolumesModifications" => empty("volumeModificationSet"),
            "DescribeFastSnapshotRestores" => empty("fastSnapshotRestoreSet"),
            "GetSnapshotBlockPublicAccessState" => Some(Box::new(|xml| xml.text("state", "block-all-sharing"))),
            "GetEbsEncryptionByDefault" => Some(Box::new(|xml| xml.value("ebsEncryptionByDefault", false))),
            "GetEbsDefaultKmsKeyId" => Some(Box::new(|xml| xml.text("kmsKeyId", "alias/aws/ebs"))),
            _ => networks(),
        }
    }

    fn networks(&self, operation: &str) -> Option<Written<'a>> {
        let (list, id, name) = match operation {
            "DescribeVpcs" => ("vpcSet", "vpcId", "vpc-0aa11bb22cc33dd44"),
            "DescribeSubnets" => ("subnetSet", "subnetId", "subnet-0aa11bb22cc33dd44"),
            "DescribeNetworkInterfaces" => ("networkInterfaceSet", "networkInterfaceId", "eni-0aa11bb22cc33dd44"),
            "DescribeSecurityGroups" => ("securityGroupInfo", "groupId", "sg-0aa11bb22cc33dd44"),
            "DescribeNetworkAcls" => ("networkAclSet", "networkAclId", "acl-0aa11bb22cc33dd44"),
            "DescribeInstances" => return Some(self.instances()),
            _ => return None,
        };
        Some(Box::new(move |xml| {
            xml.element(list, |xml| {
                xml.element("item", |xml| {
                    xml.text(id, name);
                    xml.text("ownerId", ACCOUNT_ID);
                });
            });
        }))
    }

    fn instances(&self) -> Written<'a> {
        let here = self.disks.volumes.iter().filter(|volume| volume.region == self.region);
        let instances: Vec<&str> = here.filter_map(|volume| volume.instance.as_deref()).collect();
        Box::new(move |xml| {
            xml.element("reservationSet", |xml| {
                for instance in &instances {
                    xml.element("item", |xml| {
                        xml.text("reservationId", &instance.replacen("i-", "r-", 1));
                        xml.text("ownerId", ACCOUNT_ID);
                        xml.element("instancesSet", |xml| {
                            xml.element("item", |xml| xml.text("instanceId", instance));
                        });
                    });
                }
            });
        })
    }

    fn images(&self) -> Written<'a> {
        let snapshot = self.own_snapshots().into_iter().next();
        Box::new(move |xml| {
            xml.element("imagesSet", |xml| {
                if let Some(snapshot) = snapshot {
                    xml.element("item", |xml| {
                        xml.text("imageId", &snapshot.id.replacen("snap-", "ami-", 1));
                        xml.text("imageOwnerId", ACCOUNT_ID);
                        xml.element("blockDeviceMapping", |xml| {
                            xml.element("item", |xml| {
                                xml.text("deviceName", "/dev/xvda");
                                xml.element("ebs", |xml| xml.text("snapshotId", &snapshot.id));
                            });
                        });
                    });
                }
            });
        })
    }

    /// An image is shared with those who may use the snapshot that it is made of.
    fn image_attribute(&self) -> Option<Written<'a>> {
        let (image, attribute) = (self.form.get("ImageId")?, self.form.get("Attribute")?);
        let snapshot = self.own_snapshots().into_iter().find(|one| one.id.replacen("snap-", "ami-", 1) == image)?;
        (attribute == "launchPermission").then_some(())?;
        Some(Box::new(move |xml| {
            xml.text("imageId", image);
            xml.element("launchPermission", |xml| {
                for account in &snapshot.shared_with {
                    xml.element("item", |xml| xml.text("userId", account));
                }
            });
        }))
    }

    fn tiers(&self) -> Written<'a> {
        let snapshots = self.own_snapshots();
        Box::new(move |xml| {
            xml.element("snapshotTierStatusSet", |xml| {
                for snapshot in &snapshots {
                    xml.element("item", |xml| {
                        xml.text("snapshotId", &snapshot.id);
                        xml.text("storageTier", if snapshot.archived { "archive" } else { "standard" });
                    });
                }
            });
        })
    }

    fn own_snapshots(&self) -> Vec<&'a Snapshot> {
        self.disks.snapshots.iter().filter(|snapshot| snapshot.region == self.region).collect()
    }
}

/// A snapshot that a foreign account lets this one copy.
pub(super) fn write_foreign_snapshot(xml: &mut Xml, region: &str) {
    xml.element("item", |xml| {
        xml.text("snapshotId", &format!("snap-0{:0>16}", region.replace('-', "").len()));
        xml.text("ownerId", FOREIGN_ACCOUNT_ID);
        xml.text("status", "completed");
    });
}
