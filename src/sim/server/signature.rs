//! Checking AWS Signature Version 4 of requests to services other than S3.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};
use sha2::{Digest as _, Sha256};

/// Whether a request was signed with a secret.
pub(super) fn is_signed_with(secret: &str, request: &Parts, body: &[u8]) -> bool {
    check(secret, request, body).is_some()
}

fn check(secret: &str, request: &Parts, body: &[u8]) -> Option<()> {
    let header = text(&request.headers, AUTHORIZATION.as_str())?;
    let field = |name: &str| {
        let (_, rest) = header.split_once(name)?;
        rest.split([',', ' ']).next()
    };
    let (credential, names, signature) = (field("Credential=")?, field("SignedHeaders=")?, field("Signature=")?);
    let (_, scope) = credential.split_once('/')?;
    let time = text(&request.headers, "x-amz-date")?;

    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.uri.path(), request.uri.query().unwrap_or_default());
    for name in names.split(';') {
        let value = text(&request.headers, name)?.split_whitespace().collect::<Vec<_>>().join(" ");
        canonical.push_str(&[name, ":", &value, "\n"].concat());
    }
    canonical.push_str(&["\n", names, "\n", &hex::encode(Sha256::digest(body))].concat());
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));

    let mut key = Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    for part in scope.split('/') {
        key = Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref());
    }
    verify(&key, to_sign.as_bytes(), &hex::decode(signature).ok()?).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
