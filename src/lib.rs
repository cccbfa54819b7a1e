//! Evidence-preserving forensic acquisition for AWS.
//!
//! caselock collects the evidence of a case window into a write-once case folder, proves what can be proven about it,
//! seals it and hands it over. Evidence flows one way:
//! `aws → acquire → case → verify → seal → package → report`; [`model`] holds the words all of them share.
//!
//! Without the feature `acquire` the crate is a verifier: no AWS, TLS or asynchronous code in it.
//!
//! This is the program's own library. Only [`model`], [`case`], [`package`] and [`verify`](mod@verify) are meant for others, and they may change
//! before 1.0. A package is verified like this, a case folder with `case::CaseFolder` instead:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use caselock::package::PackageFiles;
//! use caselock::verify::{Options, verify};
//!
//! let files = PackageFiles::open(Path::new("IR-2026-014.zip"))?;
//! let report = verify(&files, &Options::default())?;
//! for finding in &report.findings {
//!     println!("{} {}: {}", finding.kind, finding.object, finding.detail);
//! }
//! assert_eq!(report.case_failures(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "acquire")]
pub mod acquire;
#[cfg(feature = "acquire")]
pub mod aws;
pub mod case;
#[doc(hidden)]
pub mod cli;
pub mod cloudtrail;
pub mod model;
pub mod package;
pub mod report;
pub mod seal;
#[cfg(feature = "demo")]
#[doc(hidden)]
pub mod sim;
pub mod verify;
