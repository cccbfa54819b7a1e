//! SSH signatures (OpenSSH's PROTOCOL.sshsig), checked in process where the key's kind allows.

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use crate::model::printable;

use super::NAMESPACE;

/// Longest signature that is read; OpenSSH's are below two kilobytes, with a large RSA key.
const SIGNATURE_LIMIT: usize = 64 * 1024;

/// The key that made a signature. Whose key that is, the signature cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The kind of key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint, as `ssh-keygen -l` prints it (`SHA256:…`).
    pub fingerprint: String,
    /// The public key, as in a `.pub` file without its comment.
    pub public_key: String,
}

/// Why a signature was not found valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureProblem {
    /// It is not an SSH signature.
    #[error("it is not an SSH signature: {problem}")]
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
    /// It was made for something else than a seal.
    #[error("it was made for `{namespace}`, not for a seal")]
    WrongNamespace {
        /// For what.
        namespace: String,
    },
    /// It does not belong to these bytes, or was not made by the key it names.
    #[error("it does not fit what it is said to sign")]
    Invalid {
        /// The key it names.
        signer: Box<Signer>,
    },
    /// Neither valid nor invalid: this kind of key is checked with `ssh-keygen -Y verify`, not here.
    #[error("a signature by a key of kind {algorithm} is not checked in process; `ssh-keygen -Y verify` checks it")]
    NotChecked {
        /// The kind of key.
        algorithm: String,
        /// The key it names, where it could be read.
        signer: Option<Box<Signer>>,
    },
}

impl Signer {
    pub(super) fn of(key: &KeyData) -> Result<Self, ssh_key::Error> {
        let public = PublicKey::new(key.clone(), "");
        Ok(Self {
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            public_key: public.to_openssh()?,
        })
    }
}

/// Checks the signature of a seal: that the key it names signed exactly `statement`, as a seal.
///
/// Ed25519, ECDSA (P-256, P-384 and P-521), RSA and the hardware kinds of Ed25519 and P-256 are checked here.
pub fn verify_signature(statement: &[u8], signature_pem: &[u8]) -> Result<Signer, SignatureProblem> {
    let unreadable = |problem: &dyn ToString| SignatureProblem::Unreadable { problem: problem.to_string() };
    if signature_pem.len() > SIGNATURE_LIMIT {
        return Err(unreadable(&"it is too long"));
    }
    if !is_canonical_armour(signature_pem) {
        return Err(unreadable(&"its armour is not as OpenSSH writes it"));
    }
    let signature = match SshSig::from_pem(signature_pem) {
        Ok(signature) => signature,
        Err(error) => {
            return Err(certificate_kind(signature_pem)
                .map_or_else(|| unreadable(&error), |algorithm| SignatureProblem::NotChecked { algorithm, signer: None }));
        }
    };
    let signer = Signer::of(signature.public_key()).map_err(|error| unreadable(&error))?;
    if signature.namespace() != NAMESPACE {
        return Err(SignatureProblem::WrongNamespace { namespace: printable(signature.namespace()) });
    }
    let key = signature.public_key();
    let valid = match key {
        KeyData::Ed25519(_) | KeyData::Ecdsa(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {
            signature.algorithm() == key.algorithm()
                && PublicKey::new(key.clone(), "").verify(NAMESPACE, statement, &signature).is_ok()
        }
        KeyData::Rsa(rsa) => is_rsa_valid(rsa, &signature, statement),
        _ => return Err(SignatureProblem::NotChecked { algorithm: signer.algorithm.clone(), signer: Some(Box::new(signer)) }),
    };
    if valid { Ok(signer) } else { Err(SignatureProblem::Invalid { signer: Box::new(signer) }) }
}

/// Whether the armour is spelled as OpenSSH spells it, so that not one byte of the file can be changed unnoticed: the two marker lines, between
/// them base64 in lines of one width, the last of which may be shorter, and nothing else.
fn is_canonical_armour(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----\n";
    const END: &[u8] = b"-----END SSH SIGNATURE-----\n";
    let Some(body) = pem.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)) else { return false };
    let Some(body) = body.strip_suffix(b"\n") else { return false };
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    let Some((last, whole)) = lines.split_last() else { return false };
    let width = whole.first().map_or(last.len(), |line| line.len());
    let is_base64 = |line: &&[u8]| line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
    whole.iter().all(|line| line.len() == width) && (1..=width).contains(&last.len()) && lines.iter().all(is_base64)
}

fn is_rsa_valid(key: &ssh_key::public::RsaPublicKey, signature: &SshSig, statement: &[u8]) -> bool {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents};
    let parameters = match signature.algorithm() {
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) } => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) } => &RSA_PKCS1_2048_8192_SHA512,
        _ => return false,
    };
    let (Some(n), Some(e)) = (key.n.as_positive_bytes(), key.e.as_positive_bytes()) else { return false };
    let Ok(signed) = SshSig::signed_data(NAMESPACE, signature.hash_alg(), statement) else { return false };
    // OpenSSH drops leading zero bytes of the number; PKCS#1 wants as many bytes as the modulus has.
    let bytes = signature.signature_bytes();
    let mut padded = vec![0; n.len().saturating_sub(bytes.len())];
    padded.extend_from_slice(bytes);
    RsaPublicKeyComponents { n, e }.verify(parameters, &signed, &padded).is_ok()
}

/// The kind of certificate that a signature was made with, if that is what keeps it from being read.
fn certificate_kind(pem: &[u8]) -> Option<String> {
    use base64::Engine as _;
    let text = std::str::from_utf8(pem).ok()?;
    let body: String = text.lines().filter(|line| !line.starts_with('-')).flat_map(|line| line.trim().chars()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
    // Magic (6), version (4), length of the key (4), length of its kind (4), its kind.
    let length: [u8; 4] = bytes.get(14..18)?.try_into().ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|length| *length <= 64)?;
    let kind = std::str::from_utf8(bytes.get(18..18 + length)?).ok()?;
    (bytes.starts_with(b"SSHSIG") && kind.ends_with("-cert-v01@openssh.com")).then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use ssh_key::rand_core::OsRng;
    use ssh_key::{EcdsaCurve, LineEnding, PrivateKey};

    use super::*;

    fn signed(key: &PrivateKey, namespace: &str, message: &[u8]) -> String {
        key.sign(namespace, HashAlg::Sha512, message).unwrap().to_pem(LineEnding::LF).unwrap()
    }

    #[test]
    fn a_key_of_each_kind_is_checked_in_process() {
        let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
        for algorithm in curves.map(|curve| Algorithm::Ecdsa { curve }).into_iter().chain([Algorithm::Ed25519]) {
            let key = PrivateKey::random(&mut OsRng, algorithm).unwrap();
            let signer = verify_signature(b"seal", signed(&key, NAMESPACE, b"seal").as_bytes()).unwrap();
            assert_eq!(signer.fingerprint, key.fingerprint(HashAlg::Sha256).to_string());
            assert_eq!(signer.public_key, PublicKey::new(key.public_key().key_data().clone(), "").to_openssh().unwrap());
            let refused = verify_signature(b"seal.", signed(&key, NAMESPACE, b"seal").as_bytes());
            assert_eq!(refused, Err(SignatureProblem::Invalid { signer: Box::new(signer) }));
        }
    }

    #[test]
    fn a_signature_for_something_else_is_refused() {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        let refused = verify_signature(b"seal", signed(&key, "git", b"seal").as_bytes());
        assert_eq!(refused, Err(SignatureProblem::WrongNamespace { namespace: "git".to_owned() }));
    }

    #[test]
    fn another_key_put_into_a_signature_is_refused() {
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        let other = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        let signature = key.sign(NAMESPACE, HashAlg::Sha512, b"seal").unwrap().signature().clone();
        let forged = SshSig::new(other.public_key().key_data().clone(), NAMESPACE, HashAlg::Sha512, signature).unwrap();
        let refused = verify_signature(b"seal", forged.to_pem(LineEnding::LF).unwrap().as_bytes());
        assert!(matches!(refused, Err(SignatureProblem::Invalid { .. })));
    }

    #[test]
    fn what_is_no_signature_is_unreadable() {
        for text in ["", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", &"x".repeat(70_000)] {
            assert!(matches!(verify_signature(b"seal", text.as_bytes()), Err(SignatureProblem::Unreadable { .. })));
        }
    }
}
