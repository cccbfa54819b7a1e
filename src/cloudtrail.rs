//! What CloudTrail's files mean.
