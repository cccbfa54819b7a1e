//! The key that signs a seal: a key file in process, or whatever the system's `ssh-keygen` can reach.
#![expect(clippy::disallowed_methods, reason = "writes a fresh key pair outside any case, and never over an existing file")]

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, Error, HashAlg, LineEnding, PrivateKey, PublicKey};

use crate::case::{IoContext as _, PathError};

use super::{NAMESPACE, SignatureProblem, Signer, verify_signature};

/// Largest key file that is read.
const KEY_LIMIT: u64 = 64 * 1024;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The file is no key.
    #[error("`{}` is not an SSH key: {problem}", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The key needs its passphrase.
    #[error("the key `{}` is protected by a passphrase, and none was given", path.display())]
    Encrypted {
        /// The key's file.
        path: PathBuf,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key `{}`", path.display())]
    WrongPassphrase {
        /// The key's file.
        path: PathBuf,
    },
    /// The name for the key cannot stand in a file of allowed signers.
    #[error("`{principal}` cannot name a signer: letters, digits and `@ . _ + -` are allowed")]
    Principal {
        /// The name.
        principal: String,
    },
    /// `ssh-keygen` did not sign.
    #[error("`ssh-keygen -Y sign` with `{}` did not sign: {problem}", path.display())]
    External {
        /// The key's file.
        path: PathBuf,
        /// What it came to.
        problem: String,
    },
    /// The key could not sign.
    #[error("the key `{}` did not sign", path.display())]
    Sign {
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ssh_key::Error,
    },
    /// The signature that came back does not hold.
    #[error("the signature made with `{}` does not hold: {problem}", path.display())]
    BadSignature {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        problem: SignatureProblem,
    },
}

/// A key that can sign seals, and the name it signs under.
#[derive(Debug)]
pub struct SigningKey {
    means: Means,
    path: PathBuf,
    signer: Signer,
    principal: String,
    notices: Vec<String>,
}

#[derive(Debug)]
enum Means {
    InProcess(Box<PrivateKey>),
    /// RSA, hardware and agent keys: by the system's `ssh-keygen`.
    External,
}

impl SigningKey {
    /// Loads a key file.
    ///
    /// Ed25519 and ECDSA private keys sign in process. For any other kind, for a public key whose private half is with an agent, and for a
    /// spelling that is not read here (that of a quarter of all P-521 keys), the system's `ssh-keygen -Y sign` is run when the key is used.
    pub fn load(path: &Path, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let not_a_key = |problem: &dyn ToString| KeyError::NotAKey { path: path.to_owned(), problem: problem.to_string() };
        let (text, mode) = read_key(path)?;
        if !text.contains("PRIVATE KEY-----") {
            let public = PublicKey::from_openssh(text.trim()).map_err(|error| not_a_key(&error))?;
            return Self::new(Means::External, path, &public, Vec::new());
        }
        let mut notices = Vec::new();
        if mode & 0o077 != 0 {
            notices.push(format!(
                "other users may read the key `{}` (mode {:04o}); ssh would refuse it",
                path.display(),
                mode & 0o777
            ));
        }
        let key = match PrivateKey::from_openssh(&text) {
            Ok(key) if is_signed_in_process(&key.public_key().algorithm()) => key,
            // Another kind, or another spelling than OpenSSH's own: if its public half is at hand, ssh-keygen may know what to do.
            Ok(other) => return Self::new(Means::External, path, other.public_key(), notices),
            Err(error) => {
                let public = public_half(path).ok_or_else(|| {
                    let half = with_suffix(path, ".pub");
                    let (half, path) = (half.display(), path.display());
                    not_a_key(&format!("{error}. If ssh-keygen can read it, it signs once the public half is there: ssh-keygen -y -f {path} > {half}"))
                })?;
                return Self::new(Means::External, path, &public, notices);
            }
        };
        let key = if key.is_encrypted() {
            let passphrase = passphrase.ok_or_else(|| KeyError::Encrypted { path: path.to_owned() })?;
            match key.decrypt(passphrase) {
                Ok(key) => key,
                // It was opened, and its number is spelled as only ssh-keygen reads it.
                Err(Error::Encoding(_)) if matches!(key.public_key().algorithm(), Algorithm::Ecdsa { .. }) => {
                    return Self::new(Means::External, path, key.public_key(), notices);
                }
                Err(_) => return Err(KeyError::WrongPassphrase { path: path.to_owned() }),
            }
        } else {
            key
        };
        let public = key.public_key().clone();
        Self::new(Means::InProcess(Box::new(key)), path, &public, notices)
    }

    /// Makes a new Ed25519 key, writes it to `path` and `path.pub`, never over a file that is there.
    pub fn generate_ed25519(path: &Path, comment: &str) -> Result<Self, KeyError> {
        let sign = |source| KeyError::Sign { path: path.to_owned(), source };
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(sign)?;
        key.set_comment(comment);
        let public = key.public_key().clone();
        let private_text = key.to_openssh(LineEnding::LF).map_err(sign)?;
        let public_text = format!("{}\n", public.to_openssh().map_err(sign)?);
        write_new(path, 0o600, private_text.as_bytes())?;
        write_new(&with_suffix(path, ".pub"), 0o644, public_text.as_bytes())?;
        Self::new(Means::InProcess(Box::new(key)), path, &public, Vec::new())
    }

    fn new(means: Means, path: &Path, public: &PublicKey, notices: Vec<String>) -> Result<Self, KeyError> {
        let signer = Signer::of(public.key_data())
            .map_err(|error| KeyError::NotAKey { path: path.to_owned(), problem: error.to_string() })?;
        // An encrypted file hides the comment; the public half beside it shows it.
        let beside = public_half(path).filter(|half| half.key_data() == public.key_data());
        let comment = match (public.comment(), &beside) {
            ("", Some(half)) => half.comment(),
            (comment, _) => comment,
        };
        Ok(Self { means, path: path.to_owned(), signer, principal: principal_from(comment), notices })
    }

    /// The same key under another name.
    pub fn with_principal(self, principal: &str) -> Result<Self, KeyError> {
        if principal.is_empty() || principal != principal_from(principal) {
            return Err(KeyError::Principal { principal: crate::model::printable(principal) });
        }
        Ok(Self { principal: principal.to_owned(), ..self })
    }

    /// The name it signs under: from the key's comment, or given.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The key's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The key's public side.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What a person should know before using this key.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether signing runs the system's `ssh-keygen`, which may ask for a passphrase or a touch on the terminal.
    #[must_use]
    pub fn signs_through_ssh_keygen(&self) -> bool {
        matches!(self.means, Means::External)
    }

    /// Signs a statement as a seal. Gives the signature in PEM, checked.
    pub(super) fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, KeyError> {
        let pem = match &self.means {
            Means::InProcess(key) => {
                let sign = |source| KeyError::Sign { path: self.path.clone(), source };
                let signature = key.sign(NAMESPACE, HashAlg::Sha512, statement).map_err(sign)?;
                signature.to_pem(LineEnding::LF).map_err(sign)?.into_bytes()
            }
            Means::External => self.sign_through_ssh_keygen(statement)?,
        };
        match verify_signature(statement, &pem) {
            Ok(signer) if signer == self.signer => Ok(pem),
            Ok(other) => {
                Err(KeyError::External { path: self.path.clone(), problem: format!("it used the key {}", other.fingerprint) })
            }
            Err(SignatureProblem::NotChecked { .. }) => Ok(pem),
            Err(problem) => Err(KeyError::BadSignature { path: self.path.clone(), problem }),
        }
    }

    fn sign_through_ssh_keygen(&self, statement: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |problem: String| KeyError::External { path: self.path.clone(), problem };
        // Its messages go to the terminal: it may ask for a passphrase there, or for a touch of a hardware key. `-q` keeps it from saying
        // that it signs standard input.
        let mut child = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
            .arg(&self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("it could not be started: {error}")))?;
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(statement));
        let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(format!("it ended with {}", output.status)));
        }
        written.map_err(|error| failed(error.to_string()))?;
        Ok(output.stdout)
    }
}

fn is_signed_in_process(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ed25519 | Algorithm::Ecdsa { .. })
}

fn read_key(path: &Path) -> Result<(String, u32), KeyError> {
    let file = OpenOptions::new().read(true).open(path).doing("read the key", path)?;
    let mode = file.metadata().doing("read the key", path)?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(KEY_LIMIT).read_to_end(&mut bytes).doing("read the key", path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| KeyError::NotAKey { path: path.to_owned(), problem: "it is not text".to_owned() })?;
    Ok((text, mode))
}

fn public_half(path: &Path) -> Option<PublicKey> {
    let (text, _) = read_key(&with_suffix(path, ".pub")).ok()?;
    PublicKey::from_openssh(text.trim()).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).doing("write the key", path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).doing("write the key", path)
}

/// A name that can stand in a file of allowed signers, and in a command line, without quotes.
pub(super) fn principal_from(comment: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "@._+-".contains(c) { c } else { '-' };
    let name: String = comment.trim().chars().take(128).map(safe).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "signer".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_private_loads_again_and_signs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = SigningKey::generate_ed25519(&path, "examiner@example.com").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = SigningKey::load(&path, None).unwrap();
        assert_eq!((loaded.signer(), loaded.principal()), (made.signer(), "examiner@example.com"));
        assert!(loaded.notices().is_empty());
        let pem = loaded.sign(b"seal").unwrap();
        assert_eq!(verify_signature(b"seal", &pem).unwrap(), *made.signer());
        assert!(SigningKey::generate_ed25519(&path, "again").is_err());
    }

    #[test]
    fn an_encrypted_key_wants_its_own_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap().encrypt(&mut OsRng, "correct horse").unwrap();
        write_new(&path, 0o600, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
        assert!(matches!(SigningKey::load(&path, None), Err(KeyError::Encrypted { .. })));
        assert!(matches!(SigningKey::load(&path, Some("battery")), Err(KeyError::WrongPassphrase { .. })));
        assert!(SigningKey::load(&path, Some("correct horse")).unwrap().sign(b"seal").is_ok());
    }

    #[test]
    fn a_key_others_may_read_is_a_notice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        SigningKey::generate_ed25519(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let key = SigningKey::load(&path, None).unwrap();
        assert!(key.notices()[0].contains("0644"), "{:?}", key.notices());
        assert_eq!(key.principal(), "signer");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in ["", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(SigningKey::load(&path, None), Err(KeyError::NotAKey { .. })), "{text}");
        }
        assert!(matches!(SigningKey::load(&folder.path().join("none"), None), Err(KeyError::Io(_))));
    }

    #[test]
    fn a_name_that_would_need_quotes_is_refused_and_a_comment_is_made_fit() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate_ed25519(&folder.path().join("key"), "A. Examiner (work)\"; rm *").unwrap();
        assert_eq!(key.principal(), "A.-Examiner--work----rm");
        for bad in ["", "a b", "a,b", "a*", "\"a\"", "$(a)"] {
            let key = SigningKey::load(&folder.path().join("key"), None).unwrap();
            assert!(key.with_principal(bad).is_err(), "{bad}");
        }
        let key = key.with_principal("examiner@example.com").unwrap();
        assert_eq!(key.principal(), "examiner@example.com");
    }
}
