//! Evidence-preserving forensic acquisition for AWS.
//!
//! caselock collects the evidence of a case window into a write-once case folder, proves what can be proven about it,
//! seals it and hands it over. Evidence flows one way:
//! `aws → acquire → case → verify → seal → package → report`; [`model`] holds the words all of them share.
//!
//! Without the feature `acquire` the crate is a verifier: no AWS, TLS or asynchronous code in it.

#[cfg(feature = "acquire")]
pub mod acquire;
#[cfg(feature = "acquire")]
pub mod aws;
pub mod case;
pub mod cli;
pub mod cloudtrail;
pub mod model;
pub mod package;
pub mod report;
pub mod seal;
#[cfg(feature = "demo")]
pub mod sim;
pub mod verify;
