//! Which snapshot was made of which volume, copied from which, used by which image, and shared with whom: `reports/snapshots.json`.
//!
//! It is put together while the answers pass, and derived: the raw pages are the evidence.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_ec2::types::{CreateVolumePermission, Image, LaunchPermission, PermissionGroup, Snapshot, Volume};
use serde::Serialize;

use crate::aws::timestamp;
use crate::model::{Region, Timestamp, Window};

use super::super::shared::Shared;

/// Version of the report's form.
const FORMAT_VERSION: u32 = 1;
/// What the report says of itself.
const ABOUT: &str =
    "Derived from the raw answers of EC2 under data/api/ec2, which are the evidence. Made anew by each collection.";
/// The volume that EC2 names for a snapshot that was copied.
const NO_VOLUME: &str = "vol-ffffffff";

/// What is known of the snapshots of a run, whichever identity learned it.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    known: Shared<Known>,
}

/// By region and id, so that everything comes out sorted.
type Key = (Region, String);

#[derive(Debug, Default)]
struct Known {
    asked: bool,
    snapshots: BTreeMap<Key, SnapshotEntry>,
    volumes: BTreeMap<Key, VolumeEntry>,
    images: BTreeMap<Key, ImageEntry>,
    shared: BTreeMap<Key, BTreeSet<String>>,
}

#[derive(Clone, Debug, Serialize)]
struct SnapshotEntry {
    snapshot_id: String,
    region: Region,
    owner: Option<String>,
    state: Option<String>,
    started: Option<Timestamp>,
    in_window: Option<bool>,
    volume_id: Option<String>,
    volume_attached_to: Vec<String>,
    size_gib: Option<i32>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
    storage_tier: Option<String>,
    description: Option<String>,
    /// Where the snapshot was copied from, as its description says; EC2 itself does not.
    copied_from: Option<CopiedFrom>,
    copies: Vec<String>,
    volumes_made: Vec<String>,
    images: Vec<String>,
    /// Accounts, and `all` for everybody; nothing where nobody may ask.
    shared_with: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct CopiedFrom {
    /// Not named by every copy.
    snapshot_id: Option<String>,
    region: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct VolumeEntry {
    volume_id: String,
    region: Region,
    created: Option<Timestamp>,
    from_snapshot: Option<String>,
    attached_to: Vec<String>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ImageEntry {
    image_id: String,
    region: Region,
    owner: Option<String>,
    name: Option<String>,
    created: Option<String>,
    snapshots: Vec<String>,
    shared_with: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Report {
    format_version: u32,
    about: &'static str,
    window: Window,
    snapshots: Vec<SnapshotEntry>,
    volumes: Vec<VolumeEntry>,
    images: Vec<ImageEntry>,
}

impl Lineage {
    /// Notes that disks are asked about at all.
    pub(super) fn begin(&self) {
        self.known.lock().asked = true;
    }

    /// Notes the account's own snapshots.
    pub(super) fn snapshots(&self, region: &Region, snapshots: &[Snapshot]) {
        let mut known = self.known.lock();
        for (id, entry) in snapshots.iter().filter_map(|snapshot| snapshot_entry(region, snapshot)) {
            known.snapshots.insert((region.clone(), id), entry);
        }
    }

    /// Notes snapshots that the account may make volumes of. What is said of its own where it asks for those counts for more.
    pub(super) fn restorable_snapshots(&self, region: &Region, snapshots: &[Snapshot]) {
        let mut known = self.known.lock();
        for (id, entry) in snapshots.iter().filter_map(|snapshot| snapshot_entry(region, snapshot)) {
            known.snapshots.entry((region.clone(), id)).or_insert(entry);
        }
    }

    pub(super) fn volumes(&self, region: &Region, volumes: &[Volume]) {
        let mut known = self.known.lock();
        for volume in volumes {
            let Some(id) = volume.volume_id() else { continue };
            let attached = volume.attachments().iter().filter_map(|attachment| attachment.instance_id());
            let entry = VolumeEntry {
                volume_id: id.to_owned(),
                region: region.clone(),
                created: volume.create_time().and_then(timestamp),
                from_snapshot: volume.snapshot_id().filter(|id| !id.is_empty()).map(str::to_owned),
                attached_to: sorted(attached),
                encrypted: volume.encrypted(),
                kms_key_id: volume.kms_key_id().map(str::to_owned),
            };
            known.volumes.insert((region.clone(), id.to_owned()), entry);
        }
    }

    pub(super) fn images(&self, region: &Region, images: &[Image]) {
        let mut known = self.known.lock();
        for image in images {
            let Some(id) = image.image_id() else { continue };
            let disks = image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.snapshot_id());
            let entry = ImageEntry {
                image_id: id.to_owned(),
                region: region.clone(),
                owner: image.owner_id().map(str::to_owned),
                name: image.name().map(str::to_owned),
                created: image.creation_date().map(str::to_owned),
                snapshots: sorted(disks),
                shared_with: None,
            };
            known.images.insert((region.clone(), id.to_owned()), entry);
        }
    }

    /// Notes who may make volumes of a snapshot.
    pub(super) fn snapshot_shared(&self, region: &Region, id: &str, with: &[CreateVolumePermission]) {
        let with = with.iter().filter_map(|one| one.user_id().or_else(|| one.group().map(PermissionGroup::as_str)));
        let with = with.map(str::to_owned).collect();
        self.known.lock().shared.insert((region.clone(), id.to_owned()), with);
    }

    /// Notes who may start an image.
    pub(super) fn image_shared(&self, region: &Region, id: &str, with: &[LaunchPermission]) {
        let with = with.iter().filter_map(|one| {
            let group = || one.group().map(PermissionGroup::as_str);
            one.user_id().or_else(group).or_else(|| one.organization_arn()).or_else(|| one.organizational_unit_arn())
        });
        let with = with.map(str::to_owned).collect();
        self.known.lock().shared.insert((region.clone(), id.to_owned()), with);
    }

    /// The report as JSON; nothing where nobody asked about disks.
    pub(crate) fn report(&self, window: Window) -> Option<String> {
        let known = self.known.lock();
        if !known.asked {
            return None;
        }
        let shared = |region: &Region, id: &str| {
            let with = known.shared.get(&(region.clone(), id.to_owned()))?;
            Some(with.iter().cloned().collect::<Vec<_>>())
        };
        let of_snapshots = OfSnapshots::of(&known);
        let mut snapshots: Vec<SnapshotEntry> = known.snapshots.values().cloned().collect();
        for entry in &mut snapshots {
            let (id, region) = (entry.snapshot_id.clone(), entry.region.clone());
            let id = id.as_str();
            entry.in_window = entry.started.map(|started| window.start() <= started && started <= window.end());
            let volume = entry.volume_id.as_ref().and_then(|volume| known.volumes.get(&(region.clone(), volume.clone())));
            entry.volume_attached_to = volume.map(|volume| volume.attached_to.clone()).unwrap_or_default();
            entry.copies = named(&of_snapshots.copies, id);
            entry.volumes_made = named(&of_snapshots.volumes, id);
            entry.images = named(&of_snapshots.images, id);
            entry.shared_with = shared(&region, id);
        }
        let mut images: Vec<ImageEntry> = known.images.values().cloned().collect();
        for entry in &mut images {
            entry.shared_with = shared(&entry.region, &entry.image_id);
        }
        let volumes = known.volumes.values().cloned().collect();
        let report = Report { format_version: FORMAT_VERSION, about: ABOUT, window, snapshots, volumes, images };
        serde_json::to_string_pretty(&report).ok().map(|text| text + "\n")
    }
}

/// What is known of each snapshot from elsewhere, by its id: an account may have so many that looking for each among all takes minutes.
#[derive(Debug, Default)]
struct OfSnapshots<'a> {
    /// They may lie in another region; volumes and images never do.
    copies: Ids<'a>,
    volumes: Ids<'a>,
    images: Ids<'a>,
}

/// Ids, sorted, by the id of a snapshot.
type Ids<'a> = HashMap<&'a str, BTreeSet<&'a str>>;

impl<'a> OfSnapshots<'a> {
    fn of(known: &'a Known) -> Self {
        let mut of_snapshots = Self::default();
        for copy in known.snapshots.values() {
            if let Some(from) = copy.copied_from.as_ref().and_then(|from| from.snapshot_id.as_deref()) {
                of_snapshots.copies.entry(from).or_default().insert(&copy.snapshot_id);
            }
        }
        for volume in known.volumes.values() {
            if let Some(from) = volume.from_snapshot.as_deref() {
                of_snapshots.volumes.entry(from).or_default().insert(&volume.volume_id);
            }
        }
        for image in known.images.values() {
            for snapshot in &image.snapshots {
                of_snapshots.images.entry(snapshot).or_default().insert(&image.image_id);
            }
        }
        of_snapshots
    }
}

fn named(ids: &Ids<'_>, snapshot: &str) -> Vec<String> {
    ids.get(snapshot).into_iter().flatten().map(|id| (*id).to_owned()).collect()
}

fn snapshot_entry(region: &Region, snapshot: &Snapshot) -> Option<(String, SnapshotEntry)> {
    let id = snapshot.snapshot_id()?;
    let description = snapshot.description().filter(|text| !text.is_empty());
    let entry = SnapshotEntry {
        snapshot_id: id.to_owned(),
        region: region.clone(),
        owner: snapshot.owner_id().map(str::to_owned),
        state: snapshot.state().map(|state| state.as_str().to_owned()),
        started: snapshot.start_time().and_then(timestamp),
        in_window: None,
        volume_id: snapshot.volume_id().filter(|id| *id != NO_VOLUME).map(str::to_owned),
        volume_attached_to: Vec::new(),
        size_gib: snapshot.volume_size(),
        encrypted: snapshot.encrypted(),
        kms_key_id: snapshot.kms_key_id().map(str::to_owned),
        storage_tier: snapshot.storage_tier().map(|tier| tier.as_str().to_owned()),
        description: description.map(str::to_owned),
        copied_from: copied_from(description, snapshot.volume_id()),
        copies: Vec::new(),
        volumes_made: Vec::new(),
        images: Vec::new(),
        shared_with: None,
    };
    Some((id.to_owned(), entry))
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    names.into_iter().collect()
}

/// What the description of a snapshot says about its source. EC2 writes it itself where nobody else does: `[Copied snap-… from REGION]`
/// for a copy, `Copied for DestinationAmi … SourceSnapshot snap-…` for the copy of an image.
fn copied_from(description: Option<&str>, volume: Option<&str>) -> Option<CopiedFrom> {
    let text = description.unwrap_or_default();
    let word_after = |mark: &str| {
        let (_, rest) = text.split_once(mark)?;
        rest.split([' ', ']', '.', ',']).find(|word| !word.is_empty()).map(str::to_owned)
    };
    let source = word_after("[Copied ").or_else(|| word_after("SourceSnapshot "));
    let snapshot_id = source.filter(|id| id.starts_with("snap-"));
    let is_copy = snapshot_id.is_some() || volume == Some(NO_VOLUME);
    let region = if text.contains("[Copied ") { word_after(" from ") } else { None };
    is_copy.then_some(CopiedFrom { snapshot_id, region })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(description: &str, volume: &str) -> Option<(Option<String>, Option<String>)> {
        copied_from(Some(description), Some(volume)).map(|from| (from.snapshot_id, from.region))
    }

    #[test]
    fn a_copy_names_its_source_in_its_description() {
        let console = from("[Copied snap-0123456789abcdef0 from us-east-1] Weekly backup", NO_VOLUME);
        assert_eq!(console, Some((Some("snap-0123456789abcdef0".to_owned()), Some("us-east-1".to_owned()))));
        let image = "Copied for DestinationAmi ami-1 from SourceAmi ami-2 for SourceSnapshot snap-3. Task created on 1,788.";
        assert_eq!(from(image, NO_VOLUME), Some((Some("snap-3".to_owned()), None)));
        assert_eq!(from("mine", NO_VOLUME), Some((None, None)), "that it is a copy is known all the same");
    }

    #[test]
    fn what_was_made_of_a_volume_is_no_copy() {
        assert_eq!(from("Copied snap-1 by hand", "vol-0123456789abcdef0"), None);
    }

    #[test]
    fn nothing_is_reported_where_nobody_asked() {
        let window = Window::new("2026-03-01T00:00:00Z".parse().unwrap(), "2026-03-02T00:00:00Z".parse().unwrap()).unwrap();
        let lineage = Lineage::default();
        assert_eq!(lineage.report(window), None);
        lineage.begin();
        assert!(lineage.report(window).unwrap().contains("\"snapshots\": []"));
    }

    #[test]
    fn what_was_made_of_each_of_many_snapshots_is_found_at_once() {
        let (lineage, many) = (Lineage::default(), 30_000);
        lineage.begin();
        let [home, far] = ["us-east-1", "eu-central-1"].map(|name| name.parse::<Region>().unwrap());
        let id = |number: usize| format!("snap-{number:017x}");
        for region in [&home, &far] {
            let own = |number: usize| if *region == home { id(number) } else { id(many + number) };
            let snapshot = |number| {
                let copied = format!("[Copied {} from us-east-1] nightly", id(number));
                let snapshot = Snapshot::builder().snapshot_id(own(number)).volume_id(NO_VOLUME);
                if *region == far { snapshot.description(copied).build() } else { snapshot.build() }
            };
            let snapshots: Vec<Snapshot> = (0..many).map(snapshot).collect();
            lineage.snapshots(region, &snapshots);
            let volumes = (0..many)
                .map(|number| Volume::builder().volume_id(format!("vol-{}", own(number))).snapshot_id(own(number)).build());
            lineage.volumes(region, &volumes.collect::<Vec<_>>());
        }
        let window = Window::new("2026-03-01T00:00:00Z".parse().unwrap(), "2026-03-02T00:00:00Z".parse().unwrap()).unwrap();
        let begun = std::time::Instant::now();
        let report: serde_json::Value = serde_json::from_str(&lineage.report(window).unwrap()).unwrap();
        let snapshots = report["snapshots"].as_array().unwrap();
        assert_eq!(snapshots.len(), 2 * many);
        let first = snapshots.iter().find(|entry| entry["snapshot_id"] == id(0)).unwrap();
        assert_eq!(first["copies"], serde_json::json!([id(many)]));
        assert_eq!(first["volumes_made"], serde_json::json!([format!("vol-{}", id(0))]));
        // Each among all would be billions of comparisons.
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }
}
