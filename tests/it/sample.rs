//! A small case, made through the library as `collect` makes one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use caselock::case::event::{
    Agreement, Artifact, Caller, CollectionStarted, Event, Exchange, Gap, GapReason, ObjectOrigin, Origin, Tool,
};
use caselock::case::{CaseError, CaseFolder, CaseIdentity, CaseWriter, Committed, FORMAT_VERSION, LEDGER, Pending, Scope};
use caselock::model::{PayloadPath, S3Location, Sha256Hash, Timestamp, Window};
use caselock::package::{PackageSummary, write_package};
use caselock::seal::{SealOptions, SealStatement, Sealed, SigningKey, read_seals, seal_case, seal_case_with};
use caselock::verify::{Options, Report, verify};
use rustix::fs::{FlockOperation, flock};

use crate::account::{Ran, program, run};

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
    loop {
        match CaseWriter::open(root) {
            Err(CaseError::Locked { .. }) => {
                flock(fs::File::open(root.join(LEDGER)).unwrap(), FlockOperation::LockExclusive).unwrap()
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Lets whoever makes a scratch folder remove it, sealed cases included.
pub(crate) fn make_removable(folder: &Path) {
    let _restored = Command::new("chmod").arg("-R").arg("u+w").arg(folder).output();
}

/// What verification says of a case folder.
pub(crate) fn verified_folder(case: &Path) -> Report {
    verify(&CaseFolder::open(case).unwrap(), &Options::default()).unwrap()
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

    /// A case with a few artifacts that nobody has open.
    pub(crate) fn unsealed() -> Self {
        Self::new().0
    }

    /// A sealed case.
    pub(crate) fn sealed() -> Self {
        let (sample, mut writer) = Self::new();
        sample.seal(&mut writer);
        sample
    }

    /// A sealed case whose ledger tells of a run of `collect`.
    pub(crate) fn sealed_after_a_run() -> Self {
        let (sample, mut writer) = Self::new();
        writer.append(started(1)).unwrap();
        sample.seal(&mut writer);
        sample
    }

    /// A case that its examiner sealed, and then counsel, with the key in the file `counsel`.
    pub(crate) fn sealed_by_two() -> (Self, SigningKey) {
        let (sample, mut writer) = Self::new();
        sample.seal(&mut writer);
        let counsel = sample.key_of("counsel", "counsel@example.com");
        sample.seal_by(&counsel, &mut writer);
        (sample, counsel)
    }

    pub(crate) fn seal(&self, writer: &mut CaseWriter) -> Sealed {
        self.seal_by(&self.key(), writer)
    }

    /// Seals as whoever has this key.
    pub(crate) fn seal_by(&self, key: &SigningKey, writer: &mut CaseWriter) -> Sealed {
        seal_case(writer, key, at(), &tool(), "").unwrap()
    }

    /// Seals on demand, whatever speaks against it.
    pub(crate) fn seal_despite(&self, key: &SigningKey, writer: &mut CaseWriter) -> Sealed {
        let options = SealOptions { despite: true, ..SealOptions::default() };
        seal_case_with(writer, key, at(), &tool(), &options).unwrap()
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

    /// A new key of somebody else, in a file of this name.
    pub(crate) fn key_of(&self, name: &str, principal: &str) -> SigningKey {
        SigningKey::generate_ed25519(&self.path(name), principal).unwrap()
    }

    pub(crate) fn open(&self) -> CaseFolder {
        CaseFolder::open(&self.case()).unwrap()
    }

    pub(crate) fn open_again(&self) -> CaseWriter {
        open_again(&self.case())
    }

    pub(crate) fn verify(&self) -> Report {
        verified_folder(&self.case())
    }

    pub(crate) fn verify_with(&self, options: &Options<'_>) -> Report {
        verify(&self.open(), options).unwrap()
    }

    /// What each seal says.
    pub(crate) fn statements(&self) -> Vec<SealStatement> {
        let seals = read_seals(&self.open()).unwrap();
        seals.iter().map(|seal| SealStatement::parse(seal.statement.as_deref().unwrap()).unwrap()).collect()
    }

    /// Packages what is sealed, beside the case.
    pub(crate) fn package(&self, name: &str) -> PackageSummary {
        write_package(&self.open(), &self.path(name)).unwrap()
    }

    /// Runs the program beside the case, which lies in `case`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(program(arguments).current_dir(self.path("")))
    }

    /// Runs a shell script beside the case; it must succeed. Gives what it printed.
    pub(crate) fn shell(&self, script: &str) -> String {
        shell_ok(&self.path(""), script)
    }

    /// The ledger, as it is on disk.
    pub(crate) fn ledger(&self) -> String {
        fs::read_to_string(self.file(LEDGER)).unwrap()
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

    /// Changes what a file says, in the first place where it says so.
    #[track_caller]
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(path)).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        self.overwrite(path, text.replacen(from, to, 1).as_bytes());
    }

    /// Makes the signature over a file of the case anew, with the key in the file `key`.
    pub(crate) fn sign_again(&self, path: &str, key: &str) {
        let script = format!("rm -f {path}.sig; ssh-keygen -q -Y sign -n caselock-seal -f '../{key}' {path}");
        shell_ok(&self.case(), &script);
    }

    /// The paths of all payload files.
    pub(crate) fn payload() -> Vec<PayloadPath> {
        KEYS.iter().map(|key| PayloadPath::for_object(&S3Location::new("example-corp", *key))).collect()
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        make_removable(self.folder.path());
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

/// What the ledger says of something that there is not.
pub(crate) fn gap(what: &str, reason: GapReason) -> Event {
    Event::GapRecorded(Gap {
        source: "ebs".to_owned(),
        account: None,
        region: None,
        what: what.to_owned(),
        reason,
        error_code: None,
        detail: None,
        request_id: None,
    })
}

/// An artifact that is staged and waits to be committed.
pub(crate) fn artifact(writer: &CaseWriter, key: &str, content: &[u8]) -> Pending {
    artifact_of(writer, key, std::iter::once(content))
}

/// The same, of content that comes piece by piece.
pub(crate) fn artifact_of<'a>(writer: &CaseWriter, key: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Pending {
    let path = PayloadPath::for_object(&S3Location::new("example-corp", key));
    let mut file = writer.staging().stage(&path).unwrap();
    pieces.for_each(|piece| file.write(piece).unwrap());
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

/// Runs a shell script in `folder`.
pub(crate) fn shell(folder: &Path, script: &str) -> Output {
    crate::peers::usual_programs_are_there();
    Command::new("sh").args(["-e", "-c", script]).current_dir(folder).output().unwrap()
}

/// Runs a shell script in a folder of `sample` as somebody who is not root, to whom the sample's files are given where that takes root.
pub(crate) fn shell_as_anybody(sample: &Sample, folder: &Path, script: &str) -> Output {
    const NOBODY: &str = "65534";
    let setpriv = Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    if !(rustix::process::getuid().is_root() && setpriv) {
        return shell(folder, script);
    }
    shell_ok(folder, &format!("chown -R {NOBODY}:{NOBODY} '{}'", sample.path("").display()));
    Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-e", "-c", script])
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Runs a shell script that must succeed; gives what it printed.
#[track_caller]
pub(crate) fn shell_ok(folder: &Path, script: &str) -> String {
    let output = shell(folder, script);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{text}");
    text
}
