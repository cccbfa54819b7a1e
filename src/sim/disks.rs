//! EBS volumes and snapshots, and who may copy them.

use chrono::{DateTime, Duration, Utc};

use super::chance::Chance;
use super::scenario::Scenario;
use super::{ACCOUNT_ID, FOREIGN_ACCOUNT_ID};

/// An EBS volume.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub(super) region: String,
    pub(super) id: String,
    pub(super) size: u32,
    pub(super) snapshot: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) instance: Option<String>,
    pub(super) encrypted: bool,
    pub(super) name: String,
}

/// An EBS snapshot.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) region: String,
    pub(super) id: String,
    pub(super) volume: String,
    pub(super) size: u32,
    pub(super) started: DateTime<Utc>,
    pub(super) description: String,
    pub(super) encrypted: bool,
    pub(super) archived: bool,
    pub(super) tags: Vec<(String, String)>,
    /// The accounts that may create volumes from it.
    pub(super) shared_with: Vec<String>,
}

/// All disks of the account.
#[derive(Debug)]
pub(super) struct Disks {
    pub(super) volumes: Vec<Volume>,
    pub(super) snapshots: Vec<Snapshot>,
}

impl Disks {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut chance = Chance::new(scenario.seed, "disks");
        let mut disks = Self { volumes: Vec::new(), snapshots: Vec::new() };
        for region in &scenario.regions {
            let home = region == scenario.home_region();
            let names: &[&str] = if home { &["web-1", "web-2", "db-1", "bastion"] } else { &["worker-1", "archive"] };
            for name in names {
                disks.add(&mut chance, scenario, region, name);
            }
        }
        disks
    }

    /// The intruder's snapshot of the database: readable by a foreign account.
    pub(super) fn leak(&mut self, scenario: &Scenario, snapshot: &str, started: DateTime<Utc>) {
        let home = scenario.home_region();
        let Some(database) = self.database(home) else {
            return;
        };
        let (volume, size) = (database.id.clone(), database.size);
        self.snapshots.push(Snapshot {
            region: home.to_owned(),
            id: snapshot.to_owned(),
            volume,
            size,
            started,
            description: "tmp".to_owned(),
            encrypted: false,
            archived: false,
            tags: Vec::new(),
            shared_with: vec![FOREIGN_ACCOUNT_ID.to_owned()],
        });
    }

    /// Takes one more snapshot of a region's first volume.
    pub(super) fn copy_first(&mut self, region: &str, started: DateTime<Utc>) -> Option<String> {
        let volume = self.volumes.iter().find(|volume| volume.region == region)?;
        let id = format!("snap-0{:016x}", self.snapshots.len());
        let snapshot = Snapshot {
            region: region.to_owned(),
            id: id.clone(),
            volume: volume.id.clone(),
            size: volume.size,
            started,
            description: String::new(),
            encrypted: volume.encrypted,
            archived: false,
            tags: Vec::new(),
            shared_with: Vec::new(),
        };
        self.snapshots.push(snapshot);
        Some(id)
    }

    /// Copies a region's first snapshot; the ids of the source and the copy.
    pub(super) fn copy_snapshot(&mut self, region: &str, started: DateTime<Utc>) -> Option<(String, String)> {
        let source = self.snapshots.iter().find(|snapshot| snapshot.region == region)?.clone();
        let id = format!("snap-0c{:015x}", self.snapshots.len());
        let copy = Snapshot {
            id: id.clone(),
            volume: "vol-ffffffff".to_owned(),
            started,
            description: format!("[Copied {} from {region}] {}", source.id, source.description),
            shared_with: Vec::new(),
            ..source.clone()
        };
        self.snapshots.push(copy);
        Some((source.id, id))
    }

    pub(super) fn database(&self, region: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.region == region && volume.name == "db-1")
    }

    fn add(&mut self, chance: &mut Chance, scenario: &Scenario, region: &str, name: &str) {
        let day = |days: u32| scenario.start() - Duration::days(i64::from(days));
        let encrypted = name.starts_with("web") || name == "archive";
        let volume = Volume {
            region: region.to_owned(),
            id: format!("vol-0{}", chance.hex(16)),
            size: chance.between(1, 25) * 8,
            snapshot: (name != "db-1").then(|| format!("snap-0{}", chance.hex(16))),
            created: day(chance.between(90, 300)),
            instance: (name != "archive").then(|| format!("i-0{}", chance.hex(16))),
            encrypted,
            name: name.to_owned(),
        };
        for age in 1..=chance.between(1, 3) {
            self.snapshots.push(Snapshot {
                region: region.to_owned(),
                id: format!("snap-0{}", chance.hex(16)),
                volume: volume.id.clone(),
                size: volume.size,
                started: day(age * 7) + Duration::seconds(i64::from(chance.below(3600))),
                description: format!("Weekly backup of {name}"),
                encrypted,
                archived: age == 3,
                tags: vec![("Name".to_owned(), format!("{name}-weekly")), ("backup-policy".to_owned(), "weekly".to_owned())],
                shared_with: Vec::new(),
            });
        }
        self.volumes.push(volume);
    }
}

/// The key with which encrypted disks of a region are encrypted.
pub(super) fn disk_key(region: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab")
}
