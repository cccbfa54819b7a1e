//! The accounts that were named, and as which nobody asks: what only its own account is told stays unknown of them.

use crate::aws::Halt;
use crate::case::event::GapReason;

use super::errand::Errand;
use super::tally::RowKey;

/// Gaps for a source that only an account itself is told of, once all identities have been through it.
pub(crate) async fn say_not_asked(errand: &Errand, source: &'static str, what: &str) -> Result<(), Halt> {
    for account in errand.request.scope.accounts.iter().filter(|account| !errand.callers().any(|caller| caller == **account)) {
        let row = RowKey { source, account: Some(*account), region: None };
        let detail = "AWS tells of this only who asks as this account, and the run does not: name a role of it (--role-arn)";
        errand.gap(&row, what, GapReason::Failed, Some(detail)).await?;
    }
    Ok(())
}
