//! Who may ask: the one user, the roles of the account and its members, and the sessions they were given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{ACCOUNT_ID, Account};

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) secret: String,
    /// The token that goes with the key of a session.
    pub(super) token: Option<String>,
    /// Whether a second factor was given.
    second_factor: bool,
}

/// The key of a session, as it is handed out.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) access_key_id: String,
    pub(super) principal: Principal,
}

/// Everybody who may ask; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Principals {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    keys: BTreeMap<String, Principal>,
    members: BTreeMap<String, Account>,
    external_id: Option<String>,
    /// The device's serial number and its next code.
    second_factor: Option<(String, Option<String>)>,
}

impl Principals {
    /// One user with one key.
    pub(super) fn of(access_key_id: &str, secret: &str, arn: &str) -> Self {
        let user = Principal {
            account: ACCOUNT_ID.to_owned(),
            arn: arn.to_owned(),
            user_id: "AROAIOSFODNN7RESPONSE:responder".to_owned(),
            secret: secret.to_owned(),
            token: None,
            second_factor: false,
        };
        let keys = BTreeMap::from([(access_key_id.to_owned(), user)]);
        let known = Known { keys, members: BTreeMap::new(), external_id: None, second_factor: None };
        Self { known: Arc::new(Mutex::new(known)) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose an access key is.
    pub(super) fn with_key(&self, access_key_id: &str) -> Option<Principal> {
        self.known().keys.get(access_key_id).cloned()
    }

    /// The member account of that number.
    pub(super) fn member(&self, account: &str) -> Option<Account> {
        self.known().members.get(account).cloned()
    }

    pub(super) fn add_member(&self, number: &str, account: Account) {
        self.known().members.insert(number.to_owned(), account);
    }

    pub(super) fn require_external_id(&self, id: &str) {
        self.known().external_id = Some(id.to_owned());
    }

    pub(super) fn require_second_factor(&self, serial: &str, code: &str) {
        self.known().second_factor = Some((serial.to_owned(), Some(code.to_owned())));
    }

    /// Lets somebody become a role, or says why not.
    pub(super) fn assume(
        &self,
        asking: &Principal,
        role: &str,
        session: &str,
        external_id: Option<&str>,
        code: Option<(&str, &str)>,
    ) -> Result<Issued, String> {
        let refused = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {role}", asking.arn);
        let mut known = self.known();
        let mut parts = role.splitn(6, ':').skip(4);
        let (Some(account), Some(name)) = (parts.next(), parts.next()) else { return Err(refused) };
        let is_ours = account == ACCOUNT_ID || known.members.contains_key(account);
        if !is_ours || (known.external_id.is_some() && known.external_id.as_deref() != external_id) {
            return Err(refused);
        }
        let given = match code {
            Some(code) => known.spend(code)?,
            None => asking.second_factor,
        };
        if known.second_factor.is_some() && !given {
            return Err(refused);
        }
        let name = name.rsplit('/').next().unwrap_or_default();
        let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
        let user_id = format!("AROAIOSFODNN7EXAMPLE:{session}");
        Ok(known.issue(account, arn, user_id, given))
    }

    /// Gives a user a session for a second factor, or says why not.
    pub(super) fn session(&self, asking: &Principal, code: Option<(&str, &str)>) -> Result<Issued, String> {
        if asking.token.is_some() {
            return Err("Cannot call GetSessionToken with session credentials".to_owned());
        }
        let mut known = self.known();
        let given = code.map_or(Ok(false), |code| known.spend(code))?;
        Ok(known.issue(&asking.account, asking.arn.clone(), asking.user_id.clone(), given))
    }
}

impl Known {
    /// Takes a code, which is good once.
    fn spend(&mut self, (serial, code): (&str, &str)) -> Result<bool, String> {
        let known = self.second_factor.as_mut().filter(|(known, next)| known == serial && next.as_deref() == Some(code));
        let Some((_, next)) = known else {
            return Err("MultiFactorAuthentication failed with invalid MFA one time pass code.".to_owned());
        };
        *next = None;
        Ok(true)
    }

    fn issue(&mut self, account: &str, arn: String, user_id: String, second_factor: bool) -> Issued {
        let access_key_id = format!("ASIA{:016}", self.keys.len());
        let secret = hex::encode(Sha256::digest(access_key_id.as_bytes()));
        let token = Some(format!("simulatedSessionToken{}", hex::encode(Sha256::digest(secret.as_bytes()))));
        let principal = Principal { account: account.to_owned(), arn, user_id, secret, token, second_factor };
        self.keys.insert(access_key_id.clone(), principal.clone());
        Issued { access_key_id, principal }
    }
}
