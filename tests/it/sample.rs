//! A small case, made through the library as `collect` makes one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use caselock::case::event::{Agreement, Artifact, Caller, CollectionStarted, Event, Exchange, ObjectOrigin, Origin, Tool};
use caselock::case::{CaseIdentity, CaseWriter, Committed, FORMAT_VERSION, Pending, Scope};
use caselock::model::{PayloadPath, S3Location, Sha256Hash, Timestamp, Window};
use caselock::seal::{Sealed, SigningKey, seal_case};

/// A scratch folder with a case and a key in it. Removed at the end, read-only folders included.
pub(crate) struct Sample {
    folder: tempfile::TempDir,
}

pub(crate) const PRINCIPAL: &str = "examiner@example.com";

/// Keys that a file system, a manifest or a zip could stumble over.
const KEYS: [&str; 10] = [
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_AbCdEfGhIjKlMnOp.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_aBcDeFgHiJkLmNoP.json.gz",
    "a",
    "a/b",
    "a-b",
    "../../etc/passwd",
    "with space/100%/new\nline/back\\slash.json",
    "Grün/é/\u{65}\u{301}",
    "CON",
    "folder/",
];

/// Opens a case again that this process just had open.
///
/// Its lock may outlive it for a moment: in a program that another thread is starting, and that has not begun yet.
pub(crate) fn open_again(root: &Path) -> CaseWriter {
    for _ in 0..200 {
        match CaseWriter::open(root) {
            Err(caselock::case::CaseError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(50)),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", root.display());
}

impl Sample {
    /// An open case with a few artifacts.
    pub(crate) fn new() -> (Self, CaseWriter) {
        Self::with_case_number("IR-2026-014")
    }

    pub(crate) fn with_case_number(case_number: &str) -> (Self, CaseWriter) {
        let sample = Self { folder: tempfile::tempdir().unwrap() };
        let mut writer = CaseWriter::create(&sample.case(), &identity(case_number), &tool()).unwrap();
        let batch = KEYS.iter().map(|key| artifact(&writer, key, format!("content of {key:?}").as_bytes())).collect();
        for committed in writer.commit(batch).unwrap() {
            assert!(matches!(committed, Committed::Stored(_)));
        }
        SigningKey::generate_ed25519(&sample.key_path(), PRINCIPAL).unwrap();
        (sample, writer)
    }

    /// A case in `root` that holds nothing yet.
    pub(crate) fn empty_case(root: &Path) -> CaseWriter {
        CaseWriter::create(root, &identity("IR-2026-014"), &tool()).unwrap()
    }

    /// A sealed case.
    pub(crate) fn sealed() -> Self {
        let (sample, mut writer) = Self::new();
        sample.seal(&mut writer);
        sample
    }

    pub(crate) fn seal(&self, writer: &mut CaseWriter) -> Sealed {
        seal_case(writer, &self.key(), at(), &tool(), "").unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn case(&self) -> PathBuf {
        self.path("case")
    }

    pub(crate) fn key_path(&self) -> PathBuf {
        self.path("key")
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::load(&self.key_path(), None).unwrap()
    }

    /// A file of the case, by its path in it.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.case().join(path)
    }

    /// Changes a file as somebody with every right to would.
    pub(crate) fn overwrite(&self, path: &str, bytes: &[u8]) {
        let path = self.file(path);
        let folder = path.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        if path.exists() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::write(&path, bytes).unwrap();
    }

    /// The paths of all payload files.
    pub(crate) fn payload() -> Vec<PayloadPath> {
        KEYS.iter().map(|key| PayloadPath::for_object(&S3Location::new("example-corp", *key))).collect()
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _restored = Command::new("chmod").arg("-R").arg("u+w").arg(self.folder.path()).output();
    }
}

/// Now, for a seal is made after what it covers.
pub(crate) fn at() -> Timestamp {
    Timestamp::new(chrono::Utc::now())
}

pub(crate) fn tool() -> Tool {
    Tool { name: "caselock".to_owned(), version: "0.1.0".to_owned(), sha256: None }
}

fn identity(case_number: &str) -> CaseIdentity {
    let (start, end) = ("2026-02-28T00:00:00Z".parse().unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
    CaseIdentity {
        format_version: FORMAT_VERSION,
        case_number: case_number.to_owned(),
        evidence_number: "7".to_owned(),
        examiner: "A. Examiner".to_owned(),
        organization: "Example Corp\nPayload-Oxum: 0.0".to_owned(),
        authority: String::new(),
        description: "Keys that were used from elsewhere. ".repeat(8),
        notes: String::new(),
        opened_at: "2026-03-01T10:00:00Z".parse().unwrap(),
        window: Window::new(start, end).unwrap(),
        scope: Scope::default(),
    }
}

/// What the ledger says when a run begins.
pub(crate) fn started(run: u32) -> Event {
    let identity = identity("IR-2026-014");
    Event::CollectionStarted(Box::new(CollectionStarted {
        run,
        tool: tool(),
        host: "host".to_owned(),
        system: "Linux".to_owned(),
        os_user: "user".to_owned(),
        command_line: vec![],
        configuration: None,
        caller: Caller {
            account: "111122223333".parse().unwrap(),
            arn: "arn:aws:sts::111122223333:assumed-role/incident-response/x".to_owned(),
            user_id: "AROAEXAMPLE:x".to_owned(),
            access_key_id: None,
        },
        also_as: Vec::new(),
        roles: Vec::new(),
        endpoint_url: None,
        service_endpoints: std::collections::BTreeMap::new(),
        proxies: std::collections::BTreeMap::new(),
        window: identity.window,
        scope: Scope::default(),
        regions: vec![],
        clock: None,
    }))
}

/// An artifact that is staged and waits to be committed.
pub(crate) fn artifact(writer: &CaseWriter, key: &str, content: &[u8]) -> Pending {
    let path = PayloadPath::for_object(&S3Location::new("example-corp", key));
    let mut file = writer.staging().stage(&path).unwrap();
    file.write(content).unwrap();
    let staged = file.finish();
    let origin = ObjectOrigin {
        source: "cloudtrail".to_owned(),
        account: None,
        region: None,
        bucket: "example-corp".to_owned(),
        key: key.to_owned(),
        version_id: None,
        etag: None,
        checksums: BTreeMap::new(),
        last_modified: None,
        storage_class: None,
        encryption: None,
        kms_key_id: None,
        content_type: None,
        content_encoding: None,
        metadata: BTreeMap::new(),
        aws_digest: Agreement::Absent,
        exchange: Exchange { attempts: 1, ..Exchange::default() },
    };
    let event = Event::ArtifactAcquired(Box::new(Artifact {
        path,
        size: staged.size,
        sha256: staged.sha256,
        content_sha256: None,
        source: Origin::S3Object(Box::new(origin)),
        salt: Sha256Hash::of(format!("salt of {key}").as_bytes()).to_string().chars().take(32).collect(),
    }));
    Pending { staged, event }
}

/// Runs a shell script in `folder`, with more folders in front of `PATH`.
pub(crate) fn shell(folder: &Path, script: &str, path: &[&Path]) -> Output {
    let mut search: Vec<PathBuf> = path.iter().map(|path| (*path).to_owned()).collect();
    search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(search).unwrap())
        .output()
        .unwrap()
}

/// Runs a shell script in a folder of `sample` as somebody who is not root, to whom the sample's files are given where that takes root.
pub(crate) fn shell_as_anybody(sample: &Sample, folder: &Path, script: &str) -> Output {
    const NOBODY: &str = "65534";
    let setpriv = Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    if !(rustix::process::getuid().is_root() && setpriv) {
        return shell(folder, script, &[]);
    }
    shell_ok(folder, &format!("chown -R {NOBODY}:{NOBODY} '{}'", sample.path("").display()), &[]);
    Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-e", "-c", script])
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Runs a shell script that must succeed; gives what it printed.
pub(crate) fn shell_ok(folder: &Path, script: &str, path: &[&Path]) -> String {
    let output = shell(folder, script, path);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{text}");
    text
}
