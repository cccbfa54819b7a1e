//! Evidence-preserving forensic acquisition for AWS.
