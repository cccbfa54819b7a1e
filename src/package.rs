//! The package: one zip of a sealed case, written so that the same case always gives the same bytes, and read without trust.
//!
//! docs/case-format.md is normative. Members are stored, sorted, with fixed times and modes, under one top folder named after
//! the case number. Reading needs no unpacking and believes nothing: the whole structure is checked before a member is shown.

mod archive;
mod central;
mod disclosure;
#[cfg(feature = "encrypt")]
mod encryption;
mod error;
mod files;
mod glob;
mod headers;
mod joined;
mod large;
mod load;
mod loading;
mod lookup;
mod parts;
mod progress;
mod publish;
mod receipts;
mod writing;

pub use disclosure::{write_disclosure, write_disclosure_with};
#[cfg(feature = "encrypt")]
pub use encryption::{Recipient, read_recipients};
pub use error::PackageError;
pub use files::PackageFiles;
pub use glob::Glob;
pub use joined::JoinedParts;
pub use parts::{part_of, write_parts, write_parts_with};
pub use progress::Progress;
pub use publish::{Delivery, EncryptedPackage};
pub use receipts::{package_head, package_places, read_receipt, read_receipts, receipt_places, write_receipt};
pub use writing::{PackageSummary, top_folder, write_package, write_package_with};
