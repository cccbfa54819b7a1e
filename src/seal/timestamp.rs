//! RFC 3161 time-stamps over a seal: asking for one, and checking the answer in process.

mod der;

use chrono::NaiveDateTime;
use ring::digest;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::model::Timestamp;

use der::{BOOLEAN, CONTEXT_0, CONTEXT_1, CONTEXT_3, Element, INTEGER, OBJECT, OCTETS, Reader, SEQUENCE, SET, TIME};

// Object identifiers, as their DER content.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
/// `id-ce-extKeyUsage`: where a certificate says what it is for.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// `id-kp-timeStamping`: what the authority's certificate must be for.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// A time-stamp whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time it gives.
    pub time: Timestamp,
    /// Its serial number at the authority, in hexadecimal.
    pub serial: String,
    /// The random number of the question, in hexadecimal, where the question had one.
    pub nonce: Option<String>,
    /// Whether the authority's certificate leads to one of the given roots; none when no roots were given.
    pub trusted: Option<bool>,
}

/// Why a time-stamp was not found valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampProblem {
    /// It is not an RFC 3161 response.
    #[error("it cannot be read as an RFC 3161 response ({part})")]
    Unreadable {
        /// Which part of it.
        part: &'static str,
    },
    /// The authority gave no stamp.
    #[error("the authority refused: status {status}")]
    Refused {
        /// RFC 3161's status.
        status: u64,
    },
    /// It stamps other bytes.
    #[error("it stamps something else than this seal")]
    OtherData,
    /// The authority's signature does not hold.
    #[error("the authority's signature does not hold: {problem}")]
    Signature {
        /// What is wrong.
        problem: &'static str,
    },
    /// Neither valid nor invalid: it uses an algorithm that is not checked in process.
    #[error("it uses an algorithm that is not checked in process; `openssl ts -verify` checks it")]
    NotChecked,
}

/// The authorities that are trusted: root certificates.
#[derive(Clone, Debug)]
pub struct AuthorityRoots(Vec<CertificateDer<'static>>);

/// A file of root certificates cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("this is not a file of certificates in PEM")]
pub struct ParseRootsError;

impl AuthorityRoots {
    /// Reads certificates in PEM, one or more.
    pub fn parse(pem: &[u8]) -> Result<Self, ParseRootsError> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ParseRootsError)?;
        let usable = !roots.is_empty() && roots.iter().all(|root| webpki::anchor_from_trusted_cert(root).is_ok());
        usable.then_some(Self(roots)).ok_or(ParseRootsError)
    }

    fn anchors(&self) -> Vec<TrustAnchor<'_>> {
        self.0.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect()
    }
}

/// The question to a time-stamping authority about a seal's statement: a `TimeStampReq`.
///
/// A question that is carried by hand has no nonce: the statement is unique, so an answer that is replayed is an earlier answer to the
/// same question, and true. One that is put directly has, see [`stamp_request_with_nonce`].
#[must_use]
pub fn stamp_request(statement: &[u8]) -> Vec<u8> {
    request(statement, &[])
}

/// The same question with a random number, which the answer must repeat ([`Stamp::nonce`]): it was made for this question and no other.
#[must_use]
pub fn stamp_request_with_nonce(statement: &[u8], random: [u8; 8]) -> (Vec<u8>, String) {
    let mut nonce = random;
    // Positive, and in DER's shortest form.
    if let Some(first) = nonce.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    (request(statement, &der::element(INTEGER, &nonce)), hex::encode(nonce))
}

fn request(statement: &[u8], nonce: &[u8]) -> Vec<u8> {
    let algorithm = der::element(SEQUENCE, &[der::element(OBJECT, SHA256), vec![0x05, 0x00]].concat());
    let hash = der::element(OCTETS, digest::digest(&digest::SHA256, statement).as_ref());
    let imprint = der::element(SEQUENCE, &[algorithm, hash].concat());
    let version = der::element(INTEGER, &[1]);
    let with_certificates = der::element(BOOLEAN, &[0xff]);
    der::element(SEQUENCE, &[version, imprint, nonce.to_vec(), with_certificates].concat())
}

/// What a time-stamp is over, hashed as it grows: a renewal is over all that the one before is over, and that one.
#[derive(Clone)]
pub struct StampedContent {
    sha256: digest::Context,
    sha384: digest::Context,
    sha512: digest::Context,
}

impl StampedContent {
    /// What the first time-stamp of a statement is over.
    #[must_use]
    pub fn of(statement: &[u8]) -> Self {
        let context = digest::Context::new;
        let (sha256, sha384, sha512) = (context(&digest::SHA256), context(&digest::SHA384), context(&digest::SHA512));
        let mut content = Self { sha256, sha384, sha512 };
        content.add(statement);
        content
    }

    /// Goes on with a time-stamp, which the next one is over as well.
    pub fn add(&mut self, bytes: &[u8]) {
        for context in [&mut self.sha256, &mut self.sha384, &mut self.sha512] {
            context.update(bytes);
        }
    }

    /// The hash by an algorithm that certificates name, if it is one that is known here.
    fn hash(&self, object: &[u8]) -> Option<digest::Digest> {
        let context = match object {
            SHA256 => &self.sha256,
            SHA384 => &self.sha384,
            SHA512 => &self.sha512,
            _ => return None,
        };
        Some(context.clone().finish())
    }
}

impl std::fmt::Debug for StampedContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StampedContent").field("sha256", &self.sha256.clone().finish()).finish_non_exhaustive()
    }
}

/// Checks a `TimeStampResp` over a seal's statement: what it stamps, who signed it, and, where roots are given, that its certificate led
/// to one of them at the stamped time.
pub fn check_stamp(statement: &[u8], response: &[u8], roots: Option<&AuthorityRoots>) -> Result<Stamp, StampProblem> {
    check_stamp_over(&StampedContent::of(statement), response, roots)
}

/// Checks a `TimeStampResp` as [`check_stamp`] does, over what was hashed before.
pub fn check_stamp_over(
    content: &StampedContent,
    response: &[u8],
    roots: Option<&AuthorityRoots>,
) -> Result<Stamp, StampProblem> {
    let unreadable = |part| move || StampProblem::Unreadable { part };
    let mut parts = Reader::only(response, SEQUENCE).ok_or_else(unreadable("response"))?.inside();
    let status = parts.take(SEQUENCE).and_then(|status| status.inside().take(INTEGER)).ok_or_else(unreadable("status"))?;
    let status = status.content.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if status > 1 {
        return Err(StampProblem::Refused { status });
    }
    let token = parts.take(SEQUENCE).ok_or_else(unreadable("token"))?;
    let signed = SignedData::read(token).ok_or_else(unreadable("signed data"))?;
    let info = Info::read(signed.content).ok_or_else(unreadable("time-stamp"))?;
    let hash = content.hash(info.algorithm).ok_or(StampProblem::NotChecked)?;
    if hash.as_ref() != info.imprint {
        return Err(StampProblem::OtherData);
    }
    let trusted = signed.check(info.time, roots)?;
    Ok(Stamp { time: info.time, serial: hex::encode(info.serial), nonce: info.nonce.map(hex::encode), trusted })
}

/// Whether the certificate of the authority that made a `TimeStampResp` still led to one of `roots` at `at`: while it did, nobody else can have made it.
#[must_use]
pub fn is_authority_trusted_at(response: &[u8], roots: &AuthorityRoots, at: Timestamp) -> bool {
    let token = Reader::only(response, SEQUENCE).and_then(|response| {
        let mut parts = response.inside();
        parts.take(SEQUENCE)?;
        parts.take(SEQUENCE)
    });
    let Some(signed) = token.and_then(SignedData::read) else { return false };
    let Some(certificate) = signed.certificate() else { return false };
    let der = CertificateDer::from(certificate.whole);
    EndEntityCert::try_from(&der).is_ok_and(|authority| signed.leads(&authority, roots, at))
}

/// What is stamped: a `TSTInfo`.
struct Info<'a> {
    algorithm: &'a [u8],
    imprint: &'a [u8],
    serial: &'a [u8],
    time: Timestamp,
    nonce: Option<&'a [u8]>,
}

impl<'a> Info<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = Reader::only(bytes, SEQUENCE)?.inside();
        parts.take(INTEGER)?;
        parts.take(OBJECT)?;
        let mut imprint = parts.take(SEQUENCE)?.inside();
        let algorithm = imprint.take(SEQUENCE)?.inside().take(OBJECT)?.content;
        let hash = imprint.take(OCTETS)?.content;
        let serial = parts.take(INTEGER)?.content;
        let time = generalized_time(parts.take(TIME)?.content)?;
        // The accuracy, and whether stamps are ordered.
        parts.take_if(SEQUENCE);
        parts.take_if(BOOLEAN);
        let nonce = parts.take_if(INTEGER).map(|nonce| nonce.content);
        Some(Self { algorithm, imprint: hash, serial, time, nonce })
    }
}

/// `YYYYMMDDhhmmss[.f…]Z`; authorities do give fractions.
fn generalized_time(bytes: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let digits = text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !digits || text.split('.').next()?.len() != 14 {
        return None;
    }
    NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S%.f").ok().map(|time| Timestamp::new(time.and_utc()))
}

fn algorithm(object: &[u8]) -> Option<&'static digest::Algorithm> {
    match object {
        SHA256 => Some(&digest::SHA256),
        SHA384 => Some(&digest::SHA384),
        SHA512 => Some(&digest::SHA512),
        _ => None,
    }
}

/// A CMS `SignedData` (RFC 5652) with one signer.
struct SignedData<'a> {
    content: &'a [u8],
    certificates: Vec<Element<'a>>,
    signer: Element<'a>,
    digest: &'a [u8],
    attributes: Element<'a>,
    signature: &'a [u8],
}

impl<'a> SignedData<'a> {
    fn read(token: Element<'a>) -> Option<Self> {
        let mut outer = token.inside();
        if outer.take(OBJECT)?.content != SIGNED_DATA {
            return None;
        }
        let mut parts = outer.take(CONTEXT_0)?.inside().take(SEQUENCE)?.inside();
        parts.take(INTEGER)?;
        parts.take(SET)?;
        let mut encapsulated = parts.take(SEQUENCE)?.inside();
        if encapsulated.take(OBJECT)?.content != TST_INFO {
            return None;
        }
        let content = encapsulated.take(CONTEXT_0)?.inside().take(OCTETS)?.content;
        let mut certificates = Vec::new();
        if let Some(set) = parts.take_if(CONTEXT_0) {
            let mut set = set.inside();
            while let Some(certificate) = set.any() {
                certificates.push(certificate);
            }
        }
        parts.take_if(CONTEXT_1);
        let mut signers = parts.take(SET)?.inside();
        let mut info = signers.take(SEQUENCE)?.inside();
        // RFC 3161: the token has the authority's signature and no other.
        if !signers.is_empty() {
            return None;
        }
        info.take(INTEGER)?;
        let signer = info.any()?;
        let digest = info.take(SEQUENCE)?.inside().take(OBJECT)?.content;
        let attributes = info.take(CONTEXT_0)?;
        info.take(SEQUENCE)?;
        let signature = info.take(OCTETS)?.content;
        Some(Self { content, certificates, signer, digest, attributes, signature })
    }

    /// The single value of a signed attribute.
    fn attribute(&self, wanted: &[u8]) -> Option<Element<'a>> {
        let mut attributes = self.attributes.inside();
        while let Some(attribute) = attributes.take(SEQUENCE) {
            let mut parts = attribute.inside();
            if parts.take(OBJECT)?.content == wanted {
                let mut values = parts.take(SET)?.inside();
                let value = values.any()?;
                return values.is_empty().then_some(value);
            }
        }
        None
    }

    fn check(&self, time: Timestamp, roots: Option<&AuthorityRoots>) -> Result<Option<bool>, StampProblem> {
        let wrong = |problem| StampProblem::Signature { problem };
        let hash = algorithm(self.digest).ok_or(StampProblem::NotChecked)?;
        let digested =
            self.attribute(MESSAGE_DIGEST).filter(|value| value.tag == OCTETS).ok_or(wrong("it signs no content"))?;
        if digest::digest(hash, self.content).as_ref() != digested.content {
            return Err(wrong("the stamp was changed after it was signed"));
        }
        if self.attribute(CONTENT_TYPE).is_none_or(|value| value.tag != OBJECT || value.content != TST_INFO) {
            return Err(wrong("it does not sign a time-stamp"));
        }
        let certificate = self.certificate().ok_or(wrong("the authority's certificate is not in it"))?;
        if !self.binds(certificate.whole) {
            return Err(wrong("it is bound to another certificate"));
        }
        let der = CertificateDer::from(certificate.whole);
        let authority = EndEntityCert::try_from(&der).map_err(|_| wrong("the authority's certificate cannot be read"))?;
        // What is signed is the set itself, not its place in the message.
        let signed = der::element(SET, self.attributes.content);
        self.check_signature(&authority, &signed)?;
        Ok(roots.map(|roots| self.leads(&authority, roots, time)))
    }

    /// The certificate that the signer names.
    fn certificate(&self) -> Option<Element<'a>> {
        let named = |certificate: &&Element<'a>| issuer_and_serial(**certificate).is_some_and(|named| self.names(named));
        self.certificates.iter().find(named).copied()
    }

    /// Whether the authority's certificate is for time-stamping and leads to one of `roots` at `time`.
    fn leads(&self, authority: &EndEntityCert<'_>, roots: &AuthorityRoots, time: Timestamp) -> bool {
        let is_for_nothing_else =
            self.certificate().is_some_and(|certificate| is_for_time_stamping_alone(certificate) == Some(true));
        let seconds = u64::try_from(time.instant().timestamp()).unwrap_or(0);
        let between: Vec<CertificateDer<'_>> =
            self.certificates.iter().map(|certificate| CertificateDer::from(certificate.whole)).collect();
        let anchors = roots.anchors();
        let led = authority.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &between,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
            KeyUsage::required(TIME_STAMPING),
            None,
            None,
        );
        is_for_nothing_else && led.is_ok()
    }

    fn check_signature(&self, authority: &EndEntityCert<'_>, signed: &[u8]) -> Result<(), StampProblem> {
        use webpki::ring::{
            ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384, RSA_PKCS1_2048_8192_SHA256,
            RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        };
        let kinds: &[&dyn SignatureVerificationAlgorithm] = match self.digest {
            SHA256 => &[RSA_PKCS1_2048_8192_SHA256, ECDSA_P256_SHA256, ECDSA_P384_SHA256],
            SHA384 => &[RSA_PKCS1_2048_8192_SHA384, ECDSA_P256_SHA384, ECDSA_P384_SHA384],
            _ => &[RSA_PKCS1_2048_8192_SHA512],
        };
        let mut fits = false;
        for kind in kinds {
            match authority.verify_signature(*kind, signed, self.signature) {
                Ok(()) => return Ok(()),
                Err(webpki::Error::InvalidSignatureForPublicKey) => fits = true,
                Err(_) => {}
            }
        }
        if fits {
            return Err(StampProblem::Signature { problem: "it was not made with the key of the authority's certificate" });
        }
        Err(StampProblem::NotChecked)
    }

    /// Whether the signer is named by this issuer and serial number.
    fn names(&self, (issuer, serial): (&[u8], &[u8])) -> bool {
        let mut named = self.signer.inside();
        self.signer.tag == SEQUENCE
            && named.take(SEQUENCE).is_some_and(|name| name.whole == issuer)
            && named.take(INTEGER).is_some_and(|number| number.content == serial)
    }

    /// Whether the signed attributes hold the hash of this certificate (RFC 5816, RFC 2634), as they must.
    fn binds(&self, certificate: &[u8]) -> bool {
        let first = |value: Element<'a>| value.inside().take(SEQUENCE)?.inside().take(SEQUENCE);
        let held =
            |hash: &'static digest::Algorithm, held: Element<'_>| digest::digest(hash, certificate).as_ref() == held.content;
        if let Some(id) = self.attribute(SIGNING_CERTIFICATE_V2).and_then(first) {
            let mut parts = id.inside();
            let named = match parts.take_if(SEQUENCE) {
                Some(named) => named.inside().take(OBJECT).and_then(|object| algorithm(object.content)),
                None => Some(&digest::SHA256),
            };
            return named.zip(parts.take(OCTETS)).is_some_and(|(hash, value)| held(hash, value));
        }
        let id = self.attribute(SIGNING_CERTIFICATE).and_then(first).and_then(|id| id.inside().take(OCTETS));
        id.is_some_and(|value| held(&digest::SHA1_FOR_LEGACY_USE_ONLY, value))
    }
}

/// The issuer's name, encoded, and the serial number of a certificate.
fn issuer_and_serial(certificate: Element<'_>) -> Option<(&[u8], &[u8])> {
    let mut parts = certificate.inside().take(SEQUENCE)?.inside();
    parts.take_if(CONTEXT_0);
    let serial = parts.take(INTEGER)?.content;
    parts.take(SEQUENCE)?;
    Some((parts.take(SEQUENCE)?.whole, serial))
}

/// Whether a certificate is for time-stamping and nothing else, critically, as RFC 3161 section 2.3 demands; none if it cannot be read.
fn is_for_time_stamping_alone(certificate: Element<'_>) -> Option<bool> {
    let mut parts = certificate.inside().take(SEQUENCE)?.inside();
    while let Some(part) = parts.any() {
        if part.tag != CONTEXT_3 {
            continue;
        }
        let mut extensions = part.inside().take(SEQUENCE)?.inside();
        while let Some(extension) = extensions.take(SEQUENCE) {
            let mut fields = extension.inside();
            if fields.take(OBJECT)?.content != EXTENDED_KEY_USAGE {
                continue;
            }
            let critical = fields.take_if(BOOLEAN).is_some_and(|critical| critical.content == [0xff]);
            let mut purposes = Reader::only(fields.take(OCTETS)?.content, SEQUENCE)?.inside();
            let first = purposes.take(OBJECT)?.content;
            return Some(critical && first == TIME_STAMPING && purposes.is_empty());
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_fractions_are_read() {
        let read = |text: &str| generalized_time(text.as_bytes()).map(|time| time.to_string());
        assert_eq!(read("20261121065622Z").as_deref(), Some("2026-11-21T06:56:22Z"));
        assert_eq!(read("20261121065622.184Z").as_deref(), Some("2026-11-21T06:56:22.184Z"));
        for wrong in
            ["20261121065622", "202611210656Z", "20261321065622Z", "20261121065622.Z", "2026112106562 Z", "+0261121065622Z"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_hashed_piece_by_piece_has_the_hash_of_the_whole() {
        let mut content = StampedContent::of(b"statement");
        content.add(b"");
        content.add(b"stamp");
        for object in [SHA256, SHA384, SHA512] {
            let whole = digest::digest(algorithm(object).unwrap(), b"statementstamp");
            assert_eq!(content.hash(object).unwrap().as_ref(), whole.as_ref());
        }
        assert!(content.hash(TST_INFO).is_none());
    }

    #[test]
    fn what_is_no_response_is_unreadable() {
        for bytes in [&b""[..], b"\x30\x00", b"<html>", &[0x30; 600]] {
            assert!(matches!(check_stamp(b"x", bytes, None), Err(StampProblem::Unreadable { .. })), "{bytes:x?}");
        }
    }
}
