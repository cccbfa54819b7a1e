//! The credential scope of a request: who asks which service in which region.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What the `Authorization` header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (_, rest) = header.strip_prefix("AWS4-HMAC-SHA256")?.split_once("Credential=")?;
        let credential = rest.split([',', ' ']).next()?;
        let mut parts = credential.split('/');
        let access_key = parts.next()?.to_owned();
        let (_date, region, service) = (parts.next()?, parts.next()?.to_owned(), parts.next()?.to_owned());
        (parts.next() == Some("aws4_request")).then_some(Self { access_key, region, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_names_key_region_and_service() {
        let mut headers = HeaderMap::new();
        assert_eq!(Scope::of(&headers), None);
        let header =
            "AWS4-HMAC-SHA256 Credential=AKID/20260302/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=00";
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        let scope = Scope::of(&headers).unwrap();
        assert_eq!((scope.access_key.as_str(), scope.region.as_str(), scope.service.as_str()), ("AKID", "eu-central-1", "ec2"));
    }
}
