//! Taking away the permission to write, as far as the system goes along.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{IFlags, Mode, fchmod, fstat, ioctl_getflags, ioctl_setflags};
use serde::{Deserialize, Serialize};

use super::listing::list;
use super::{IoContext as _, PathError};

/// How far the system keeps a sealed case from being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Files and folders under `data/` permit no writing.
    pub read_only: bool,
    /// Files and folders under `data/` have the immutable flag, which binds the administrator too.
    pub immutable: Flag,
    /// The ledger has the append-only flag.
    pub append_only: Flag,
}

/// Whether the file system took a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// Everything has it.
    Set,
    /// The system or the file system did not permit it.
    Refused,
    /// Nobody asked for it.
    NotAsked,
}

/// Protects what lies below `data`, and the ledger.
pub(crate) fn protect(data: &Path, ledger: &File, flags_wanted: bool) -> Result<Protection, PathError> {
    let mut immutable = if flags_wanted { Flag::Set } else { Flag::NotAsked };
    protect_folder(data, &mut immutable)?;
    let append_only = match flags_wanted {
        false => Flag::NotAsked,
        true if add_flag(ledger, IFlags::APPEND) => Flag::Set,
        true => Flag::Refused,
    };
    Ok(Protection { read_only: true, immutable, append_only })
}

fn protect_folder(folder: &Path, immutable: &mut Flag) -> Result<(), PathError> {
    for (name, kind) in list(folder).doing("list", folder)? {
        let path = folder.join(name);
        if kind.is_dir() {
            protect_folder(&path, immutable)?;
        } else if kind.is_file() {
            protect_one(&path, 0o444, immutable)?;
        }
    }
    protect_one(folder, 0o555, immutable)
}

fn protect_one(path: &Path, mode: u32, immutable: &mut Flag) -> Result<(), PathError> {
    // What an earlier attempt protected already may not even be touched any more.
    if path.symlink_metadata().doing("look at", path)?.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).doing("protect", path)?;
    }
    if *immutable == Flag::Set && !File::open(path).is_ok_and(|file| add_flag(&file, IFlags::IMMUTABLE)) {
        *immutable = Flag::Refused;
    }
    Ok(())
}

fn add_flag(file: &File, flag: IFlags) -> bool {
    let there = ioctl_getflags(file);
    there.is_ok_and(|flags| flags.contains(flag) || ioctl_setflags(file, flags | flag).is_ok())
}

/// Takes back what an attempt to seal that was cut off did to a folder, so that evidence can be added to it.
pub(crate) fn make_writable(folder: impl AsFd) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(fstat(&folder)?.st_mode);
    if mode.contains(Mode::WUSR) {
        return Ok(());
    }
    if let Ok(flags) = ioctl_getflags(&folder)
        && flags.contains(IFlags::IMMUTABLE)
    {
        ioctl_setflags(&folder, flags - IFlags::IMMUTABLE)?;
    }
    fchmod(&folder, mode | Mode::WUSR)
}
