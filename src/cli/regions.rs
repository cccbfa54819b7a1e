//! A region that the program has not heard of may be new, for new ones come every year: AWS is asked. A slip of the keys is told.

use crate::acquire::unknown_regions;
use crate::aws::Identities;
use crate::case::Scope;
use crate::model::Region;

use super::CliError;
use super::output::Output;
use super::spelling::distance;

/// The regions that were there when this was written, and those of the other partitions.
const KNOWN: [&str; 44] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];

/// From how many letters' difference on two names are no slip of the keys.
const SLIP: usize = 3;

/// Tells of regions that look like a slip of the keys, or that are not known.
pub(super) fn note_unknown(regions: &[Region], output: &Output) {
    for region in regions.iter().filter(|region| !KNOWN.contains(&region.as_str())) {
        output.note(&format!(
            "note: this caselock knows no region `{region}`. {} AWS is asked whether there is one.",
            meant(region).unwrap_or("It may be new.".to_owned())
        ));
    }
}

fn meant(region: &Region) -> Option<String> {
    nearest(region.as_str()).map(|known| format!("Did you mean {known}?"))
}

/// The region through which AWS is asked who is asking: the first in scope, or the one that was meant by it.
pub(super) fn first_asked(regions: &[Region]) -> Option<Region> {
    let first = regions.first()?;
    let is_known = KNOWN.contains(&first.as_str());
    let meant = nearest(first.as_str()).filter(|_| !is_known).and_then(|known| known.parse().ok());
    Some(meant.unwrap_or_else(|| first.clone()))
}

/// Refuses regions that AWS, as far as it may be asked, does not name: in a case they would stay for good, and nothing would come of them.
pub(super) async fn refuse_unknown(identities: &Identities, scope: &Scope) -> Result<(), CliError> {
    let unknown = unknown_regions(identities, scope).await;
    let Some(first) = unknown.first() else { return Ok(()) };
    let names: Vec<String> = unknown.iter().map(|region| format!("`{region}`")).collect();
    let next = meant(first).unwrap_or_else(|| "Check --region.".to_owned());
    Err(CliError::usage(format!("AWS knows no region {}", names.join(", ")))
        .meaning("Nothing was written. AWS was asked who is asking and which regions there are, and for no evidence.")
        .next(format!("{next} `aws ec2 describe-regions --all-regions` names all there are.")))
}

/// The known region that differs the least, if it does so little enough.
fn nearest(name: &str) -> Option<&'static str> {
    let nearest = KNOWN.into_iter().map(|known| (distance(name, known), known)).min()?;
    // The same place with another number is most likely a new region there, and no slip.
    let place = |name: &str| name.rsplit_once('-').map(|(place, _)| place.to_owned());
    (nearest.0 < SLIP && place(name) != place(nearest.1)).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_a_region_that_is_new() {
        for (slip, meant) in [("eu-centrl-1", "eu-central-1"), ("us-esat-1", "us-east-1"), ("ap-southest-2", "ap-southeast-2")]
        {
            assert_eq!(nearest(slip), Some(meant));
        }
        for new in ["us-east-9", "ap-southeast-12", "nz-harbour-1", "eu-antarctic-1"] {
            assert_eq!(nearest(new), None, "{new}");
        }
    }

    #[test]
    fn aws_is_asked_through_a_region_that_there_is() {
        let first = |name: &str| first_asked(&[name.parse().unwrap()]).unwrap().to_string();
        assert_eq!(["us-esat-1", "eu-west-1", "us-east-9"].map(first), ["us-east-1", "eu-west-1", "us-east-9"]);
        assert_eq!(first_asked(&[]), None);
    }

    #[test]
    fn every_known_region_is_one_and_stands_once() {
        assert!(KNOWN.array_windows().all(|[a, b]| a < b));
        assert!(KNOWN.iter().all(|known| known.parse::<Region>().is_ok()));
    }
}
