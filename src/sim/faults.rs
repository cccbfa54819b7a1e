//! Misbehaviour on request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The caller is not allowed to.
    Deny,
    /// The caller's session has expired.
    Expire,
    /// The service asks for patience.
    Throttle,
    /// The body ends after this many bytes although more were announced.
    Cut(usize),
    /// The connection ends without an answer.
    Reset,
    /// Nothing comes, and the connection stays open.
    Silence,
    /// The body goes silent after this many bytes.
    Stall(usize),
    /// The body ends after this many bytes, and nothing says how many there should be.
    Shorten(usize),
    /// The body is another one.
    Replace(&'static str),
    /// The headers name a checksum that the body does not have.
    WrongChecksum,
    /// The answer is an error: status, code, message.
    Refuse(u16, &'static str, &'static str),
}

/// What a request is about, as far as a fault may be narrowed down.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// `bucket/key`, or what else is asked about.
    pub(super) target: &'a str,
    pub(super) region: &'a str,
    /// Whose credentials signed it.
    pub(super) account: Option<&'a str>,
    /// What a listing is of.
    pub(super) prefix: Option<&'a str>,
}

/// A misbehaviour of one operation, such as `s3:GetObject`; `s3:*` stands for all of a service and
/// `*` for all of all.
///
/// It is narrowed down by [`on`](Fault::on), [`of_prefix`](Fault::of_prefix), [`in_region`](Fault::in_region),
/// [`for_account`](Fault::for_account), [`after`](Fault::after) and [`times`](Fault::times).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    action: String,
    effect: Effect,
    target: Option<String>,
    prefix: Option<String>,
    region: Option<String>,
    account: Option<String>,
    skip: u32,
    remaining: Option<u32>,
}

impl Fault {
    /// Denies access, in the service's own way.
    #[must_use]
    pub fn deny(action: &str) -> Self {
        Self::new(action, Effect::Deny)
    }

    /// Answers, in the service's own way, that the caller's session has expired.
    #[must_use]
    pub fn expire(action: &str) -> Self {
        Self::new(action, Effect::Expire)
    }

    /// Answers with the service's own request for fewer requests.
    #[must_use]
    pub fn throttle(action: &str) -> Self {
        Self::new(action, Effect::Throttle)
    }

    /// Ends the body after some bytes, although the headers announce all of them.
    #[must_use]
    pub fn cut(action: &str, after_bytes: usize) -> Self {
        Self::new(action, Effect::Cut(after_bytes))
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn reset(action: &str) -> Self {
        Self::new(action, Effect::Reset)
    }

    /// Never answers, without closing the connection.
    #[must_use]
    pub fn silence(action: &str) -> Self {
        Self::new(action, Effect::Silence)
    }

    /// Sends some bytes of the body and then nothing, without closing the connection.
    #[must_use]
    pub fn stall(action: &str, after_bytes: usize) -> Self {
        Self::new(action, Effect::Stall(after_bytes))
    }

    /// Sends only the beginning of the body, and does not say how long it should be.
    #[must_use]
    pub fn shorten(action: &str, after_bytes: usize) -> Self {
        Self::new(action, Effect::Shorten(after_bytes))
    }

    /// Sends another body.
    #[must_use]
    pub fn replace(action: &str, body: &'static str) -> Self {
        Self::new(action, Effect::Replace(body))
    }

    /// Names a checksum that the body does not have.
    #[must_use]
    pub fn wrong_checksum(action: &str) -> Self {
        Self::new(action, Effect::WrongChecksum)
    }

    /// Answers with an error.
    #[must_use]
    pub fn refuse(action: &str, status: u16, code: &'static str, message: &'static str) -> Self {
        Self::new(action, Effect::Refuse(status, code, message))
    }

    /// Only where the target, `bucket/key`, contains this.
    #[must_use]
    pub fn on(mut self, target_part: &str) -> Self {
        self.target = Some(target_part.to_owned());
        self
    }

    /// Only for listings of exactly this prefix.
    #[must_use]
    pub fn of_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// Only for whoever asks as one of this account.
    #[must_use]
    pub fn for_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only for requests signed for this region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only after this many matching requests went well.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.remaining = Some(times);
        self
    }

    fn new(action: &str, effect: Effect) -> Self {
        Self {
            action: action.to_owned(),
            effect,
            target: None,
            prefix: None,
            region: None,
            account: None,
            skip: 0,
            remaining: None,
        }
    }

    fn matches(&self, action: &str, asked: &Asked<'_>) -> bool {
        self.action.strip_suffix('*').map_or(self.action == action, |beginning| action.starts_with(beginning))
            && self.target.as_deref().is_none_or(|part| asked.target.contains(part))
            && self.prefix.as_deref().is_none_or(|prefix| asked.prefix == Some(prefix))
            && self.region.as_deref().is_none_or(|wanted| wanted == asked.region)
            && self.account.as_deref().is_none_or(|account| asked.account == Some(account))
            && self.remaining != Some(0)
    }
}

/// The faults of a server; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    faults: Vec<Fault>,
    latency: Duration,
    /// How far the account's clock is ahead of this machine's.
    ahead: TimeDelta,
}

impl Faults {
    /// Adds a fault to those in force; of several that match, the first added strikes.
    pub fn add(&self, fault: Fault) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).faults.push(fault);
    }

    /// Lets every answer take this much longer.
    pub fn set_latency(&self, latency: Duration) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).latency = latency;
    }

    /// Lets the clock of every service be ahead of this machine's, or behind it.
    pub fn set_clock_ahead(&self, ahead: TimeDelta) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).ahead = ahead;
    }

    /// Lets everything work again.
    pub fn clear(&self) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Plan::default();
    }

    pub(super) fn clock_ahead(&self) -> TimeDelta {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).ahead
    }

    pub(super) fn latency(&self) -> Duration {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).latency
    }

    /// What is to go wrong with a request, counting it.
    pub(super) fn strike(&self, service: &str, operation: &str, asked: &Asked<'_>) -> Option<Effect> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.faults.is_empty() {
            return None;
        }
        let action = format!("{service}:{operation}");
        for fault in plan.faults.iter_mut().filter(|fault| fault.matches(&action, asked)) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(remaining) = &mut fault.remaining {
                *remaining = remaining.saturating_sub(1);
            }
            return Some(fault.effect);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_only_what_it_names_and_only_so_often() {
        let faults = Faults::default();
        faults.add(Fault::throttle("s3:GetObject").on("/logs/").in_region("us-east-1").after(1).times(2));
        let strike =
            |operation, target, region| faults.strike("s3", operation, &Asked { target, region, ..Asked::default() }).is_some();
        assert!(!strike("HeadObject", "b/logs/1", "us-east-1"));
        assert!(!strike("GetObject", "b/other", "us-east-1"));
        assert!(!strike("GetObject", "b/logs/1", "us-west-2"));
        let struck: Vec<bool> = (0..4).map(|_| strike("GetObject", "b/logs/1", "us-east-1")).collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn a_fault_strikes_only_whom_and_which_prefix_it_names() {
        let faults = Faults::default();
        faults.add(Fault::deny("s3:ListObjectsV2").of_prefix("AWSLogs/").for_account("111122223333"));
        let strike = |account, prefix| {
            let asked = Asked { target: "b", account: Some(account), prefix: Some(prefix), ..Asked::default() };
            faults.strike("s3", "ListObjectsV2", &asked).is_some()
        };
        assert!(strike("111122223333", "AWSLogs/"));
        assert!(!strike("444455556666", "AWSLogs/") && !strike("111122223333", "AWSLogs/111122223333/"));
    }
}
