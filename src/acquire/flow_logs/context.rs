//! What flow records speak of: the networks and interfaces behind their addresses and ids, as they are now.

use crate::aws::{Call, Halt};
use crate::model::{AccountId, Region};

use super::super::errand::Errand;
use super::super::pages::every_page_or_gap;
use super::super::tally::RowKey;
use super::NAME;

const PAGE: i32 = 1000;

/// Asks for every page of one listing, and keeps it.
macro_rules! keep {
    ($errand:ident, $row:ident, $account:ident, $region:ident, $client:ident, $operation:literal, $method:ident) => {
        // In a place of its own: the futures of all the questions together would be large.
        Box::pin(async {
            let call = Call::new(NAME, "ec2", $operation, $account, $region).with("MaxResults", PAGE.to_string());
            let send =
                |token, tap| $client.$method().max_results(PAGE).set_next_token(token).customize().interceptor(tap).send();
            every_page_or_gap($errand, &$row, &call, send, |output| output.next_token(), |_| ()).await
        })
    };
}

/// Keeps what explains the records of one region.
pub(super) async fn collect(errand: &Errand, account: AccountId, region: &Region) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().ec2(region);
    tokio::try_join!(
        keep!(errand, row, account, region, client, "DescribeVpcs", describe_vpcs),
        keep!(errand, row, account, region, client, "DescribeSubnets", describe_subnets),
        keep!(errand, row, account, region, client, "DescribeNetworkInterfaces", describe_network_interfaces),
        keep!(errand, row, account, region, client, "DescribeInstances", describe_instances),
        keep!(errand, row, account, region, client, "DescribeSecurityGroups", describe_security_groups),
        keep!(errand, row, account, region, client, "DescribeNetworkAcls", describe_network_acls),
    )?;
    Ok(())
}
