//! A record of every request the server answered.

use tokio::sync::watch;

/// A request, as the server understood it, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `s3`, `cloudtrail`, `ec2` or `sts`; empty when it could not be told.
    pub service: String,
    /// The API operation, such as `ListObjectsV2`; empty when it could not be told.
    pub operation: String,
    /// The region the request was signed for.
    pub region: String,
    /// For S3 `bucket` or `bucket/key`; empty elsewhere.
    pub target: String,
    /// The HTTP method.
    pub method: String,
    /// Whether an SDK sent it, which numbers every operation; not somebody who only signs.
    pub sdk: bool,
    /// The HTTP status of the answer; 0 when the connection was cut instead.
    pub status: u16,
}

impl Request {
    /// Service and operation: `s3:GetObject`.
    #[must_use]
    pub fn action(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

/// The growing record; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestLog {
    entries: watch::Sender<Vec<Request>>,
}

impl RequestLog {
    pub(super) fn add(&self, request: Request) {
        self.entries.send_modify(|entries| entries.push(request));
    }

    pub(super) fn all(&self) -> Vec<Request> {
        self.entries.borrow().clone()
    }

    pub(super) async fn until(&self, holds: impl Fn(&[Request]) -> bool) {
        let mut entries = self.entries.subscribe();
        // It is never closed while somebody waits for it.
        drop(entries.wait_for(|entries| holds(entries)).await);
    }
}
