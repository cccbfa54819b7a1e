//! The roles of one run, each assumed once; one that is refused does not keep the others from asking. Who asks for what is decided in
//! `acquire`.

use tokio::task::JoinSet;

use crate::model::{AccountId, printable};

use super::connection::{AwsError, Connection, Ground};
use super::failure::{Failure, FailureKind};
use super::session::Session;

/// Everybody as whom one run asks: one session for each role that could be assumed, or one for the credentials as they are.
#[derive(Clone, Debug)]
pub struct Identities {
    first: Session,
    others: Vec<Session>,
    roles: Vec<String>,
    refused: Vec<RefusedRole>,
}

/// A role as which nothing could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRole {
    /// Its ARN.
    pub role: String,
    /// The account that it is of.
    pub account: Option<AccountId>,
    /// What AWS said.
    pub failure: Failure,
}

impl From<&Session> for Identities {
    fn from(session: &Session) -> Self {
        Self { first: session.clone(), others: Vec::new(), roles: Vec::new(), refused: Vec::new() }
    }
}

impl From<&Self> for Identities {
    fn from(identities: &Self) -> Self {
        identities.clone()
    }
}

impl Identities {
    /// Assumes every role that the connection names. A role that is refused ends nothing, as long as another one is granted.
    pub async fn connect(connection: &Connection) -> Result<Self, AwsError> {
        let ground = Ground::of(connection).await?;
        if connection.role_arns.is_empty() {
            return Ok(Self::from(&Session::open(ground, connection).await?));
        }
        let mut opening = JoinSet::new();
        for (number, role) in connection.role_arns.iter().cloned().enumerate() {
            let (ground, connection) = (ground.clone(), connection.clone());
            opening.spawn(async move {
                let opened = match ground.assume(&role, &connection).await {
                    Ok(assumed) => Session::open(assumed, &connection).await,
                    Err(error) => Err(error),
                };
                (number, opened)
            });
        }
        let mut all_opened = Vec::new();
        while let Some(done) = opening.join_next().await {
            all_opened.push(done?);
        }
        all_opened.sort_unstable_by_key(|(number, _)| *number);
        let (mut sessions, mut refused, mut first_error) = (Vec::new(), Vec::new(), None);
        for (role, (_, opened)) in connection.role_arns.iter().zip(all_opened) {
            match opened {
                Ok(session) => sessions.push(session),
                Err(error @ AwsError::Unreachable { .. }) => return Err(error),
                Err(error) => {
                    refused.push(RefusedRole {
                        role: printable(role),
                        account: account_of_role(role),
                        failure: failure_of(&error),
                    });
                    first_error.get_or_insert(error);
                }
            }
        }
        let mut sessions = sessions.into_iter();
        match (sessions.next(), first_error) {
            (Some(first), _) => {
                let roles = connection.role_arns.iter().map(|role| printable(role)).collect();
                Ok(Self { first, others: sessions.collect(), roles, refused })
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(AwsError::NoRole),
        }
    }

    /// The first of them, which speaks for all where only one can.
    #[must_use]
    pub fn first(&self) -> &Session {
        &self.first
    }

    /// All of them.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The ARNs of the roles that were to be assumed, granted or refused.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The roles that were refused.
    #[must_use]
    pub fn refused(&self) -> &[RefusedRole] {
        &self.refused
    }

    /// Requests sent so far by all of them, retries included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sessions().map(Session::requests).sum()
    }
}

/// The account in the ARN of a role: `arn:aws:iam::ACCOUNT:role/NAME`.
#[must_use]
pub fn account_of_role(arn: &str) -> Option<AccountId> {
    let mut parts = arn.split(':');
    let is_role = parts.next() == Some("arn") && parts.nth(1) == Some("iam");
    let account = parts.nth(1).filter(|_| is_role)?;
    let name = parts.next()?.strip_prefix("role/")?;
    if name.is_empty() { None } else { account.parse().ok() }
}

fn failure_of(error: &AwsError) -> Failure {
    match error {
        AwsError::Unreachable { source, .. } => source.as_ref().clone(),
        AwsError::AssumeRole { source, .. }
        | AwsError::SecondFactor(source)
        | AwsError::WrongCredentials(source)
        | AwsError::Unidentified(source) => source.clone(),
        AwsError::Proxy { .. }
        | AwsError::NoCredentialsGiven
        | AwsError::NoRegion
        | AwsError::NoRole
        | AwsError::TaskLost(_) => Failure::found(FailureKind::Other, &error.to_string()),
        AwsError::NoCredentials(source) | AwsError::CredentialsUnavailable { source, .. } => {
            Failure::found(FailureKind::Credentials, &source.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_role_is_read_from_its_arn() {
        let account = |arn| account_of_role(arn).map(|account| account.to_string());
        assert_eq!(account("arn:aws:iam::444455556666:role/path/reader").as_deref(), Some("444455556666"));
        assert_eq!(account("arn:aws-us-gov:iam::444455556666:role/reader").as_deref(), Some("444455556666"));
        for other in
            ["", "reader", "arn:aws:iam::444455556666:user/a", "arn:aws:iam::4444:role/a", "arn:aws:iam::444455556666:role/"]
        {
            assert_eq!(account(other), None, "{other}");
        }
    }
}
