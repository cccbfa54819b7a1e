//! `caselock.toml`: what would otherwise be typed each time. The command line outranks it, and nothing of it is secret.

use std::collections::BTreeMap;
#[cfg(feature = "acquire")]
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::case::{Configuration, Setting};
use crate::model::{Region, Sha256Hash, printable};

use super::output::Output;
use super::{CliError, Exit};

/// The file that is read where none is named.
const NAME: &str = "caselock.toml";
/// Far more than people write.
const LIMIT: u64 = 1024 * 1024;

/// Words in the names of settings that people might write a secret under.
const SECRETS: [&str; 8] = ["external", "mfa", "passphrase", "password", "secret", "token", "access-key", "credential"];

/// What the file may hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    examiner: Option<String>,
    organization: Option<String>,
    authority: Option<String>,
    profile: Option<String>,
    role_arns: Vec<String>,
    regions: Vec<Region>,
    concurrency: Option<u16>,
    signing_key: Option<PathBuf>,
    principal: Option<String>,
    tsa: Option<String>,
    allowed_signers: Option<PathBuf>,
    tsa_roots: Option<PathBuf>,
}

/// Where settings are looked for: an argument of the commands that read them, and of no other.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ConfigurationFile {
    /// Take settings from this file instead of caselock.toml in the working folder.
    #[arg(id = "config", long, value_name = "FILE", display_order = 904)]
    named: Option<PathBuf>,
}

/// Settings, and which of them were used.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    file: Option<(PathBuf, Sha256Hash)>,
    named: bool,
    settings: Settings,
    used: BTreeMap<String, Setting>,
    /// The profile that was not used.
    #[cfg(feature = "acquire")]
    outranked: Option<Outranked>,
}

/// A profile that the environment outranks.
#[cfg(feature = "acquire")]
#[derive(Clone, Debug)]
struct Outranked {
    profile: String,
    variable: &'static str,
}

#[cfg(feature = "acquire")]
impl Outranked {
    fn words(&self) -> String {
        let Self { profile, variable } = self;
        format!("{variable} in the environment outranks the profile {} of caselock.toml.", printable(profile))
    }
}

/// The variable by which the environment chooses the credentials, if it does.
#[cfg(feature = "acquire")]
fn chosen_by(environment: impl Iterator<Item = (OsString, OsString)>) -> Option<&'static str> {
    let set: Vec<OsString> = environment.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect();
    ["AWS_PROFILE", "AWS_ACCESS_KEY_ID"].into_iter().find(|wanted| set.iter().any(|name| name == wanted))
}

impl ConfigurationFile {
    /// Refuses a file that was named where nothing would be taken from it: it would be ignored without a word.
    pub(super) fn refuse_unused(&self, what: &str) -> Result<(), CliError> {
        if self.named.is_none() {
            return Ok(());
        }
        Err(CliError::usage(format!("--config is of no use to {what}: it takes no settings"))
            .meaning("Nothing was begun.")
            .next("Leave --config out."))
    }

    /// Reads the file that was named, which must be there, or the one in the working folder, if there is one.
    pub(super) fn read(&self) -> Result<Defaults, CliError> {
        let path = self.named.clone().unwrap_or_else(|| PathBuf::from(NAME));
        let failed = |what: String| {
            CliError::usage(what).meaning("Nothing was begun.").next(format!(
                "Mend {}, or name another file with --config; the keys it may have are in `caselock collect --help`.",
                path.display()
            ))
        };
        let bytes = match read_bounded(&path) {
            Ok(bytes) => bytes,
            Err(error) if self.named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Defaults::default());
            }
            Err(error) => return Err(failed(format!("the settings in {} could not be read: {error}", path.display()))),
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| failed(format!("{} is not UTF-8", path.display())))?;
        let mut settings = parse(text).map_err(|problem| {
            let error = failed(format!("{} does not read: {problem}", path.display()));
            let secret = SECRETS.iter().any(|word| problem.split('`').nth(1).is_some_and(|key| key.contains(word)));
            if secret {
                error.next("Take it out: secrets do not belong into a file that lies beside evidence. Credentials are AWS's own affair, a passphrase is read from CASELOCK_KEY_PASSPHRASE.")
            } else {
                error
            }
        })?;
        for file in [&mut settings.signing_key, &mut settings.allowed_signers, &mut settings.tsa_roots].into_iter().flatten() {
            *file = resolved(&path, file);
        }
        Ok(Defaults {
            file: Some((path, Sha256Hash::of(&bytes))),
            named: self.named.is_some(),
            settings,
            used: BTreeMap::new(),
            #[cfg(feature = "acquire")]
            outranked: None,
        })
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the settings; a problem is told in one line, with the line it is in.
fn parse(text: &str) -> Result<Settings, String> {
    let settings: Settings = toml::from_str(text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        printable(&format!("{line}{}", error.message().replace('\n', " ")))
    })?;
    #[cfg(feature = "acquire")]
    for role in &settings.role_arns {
        super::arguments::role_arn(role).map_err(|problem| format!("role-arns: `{}`: {problem}", printable(role)))?;
    }
    if settings.concurrency.is_some_and(|number| !(1..=512).contains(&number)) {
        return Err("concurrency: it is a number from 1 to 512".to_owned());
    }
    Ok(settings)
}

/// A path in the file, which counts from the file's own folder; `~/` is the user's.
fn resolved(file: &Path, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => file.parent().unwrap_or(Path::new("")).join(path),
    }
}

impl Defaults {
    /// Fills in a text that was not given.
    fn text(&mut self, key: &str, given: &mut Option<String>, kept: Option<String>) {
        if let (None, Some(kept)) = (&given, kept) {
            self.used.insert(key.to_owned(), Setting::Text(kept.clone()));
            *given = Some(kept);
        }
    }

    /// Fills in a path that was not given.
    fn path(&mut self, key: &str, given: &mut Option<PathBuf>, kept: Option<PathBuf>) {
        if let (None, Some(kept)) = (&given, kept) {
            self.used.insert(key.to_owned(), Setting::Text(kept.display().to_string()));
            *given = Some(kept);
        }
    }

    /// Fills in who acquires, for whom and by whose authority.
    #[cfg(feature = "acquire")]
    pub(super) fn fill_case(&mut self, case: &mut super::arguments::CaseArguments) {
        let settings = self.settings.clone();
        self.text("examiner", &mut case.examiner, settings.examiner);
        self.text("organization", &mut case.organization, settings.organization);
        self.text("authority", &mut case.authority, settings.authority);
    }

    /// Fills in where evidence is looked for.
    #[cfg(feature = "acquire")]
    pub(super) fn fill_scope(&mut self, scope: &mut super::arguments::ScopeArguments) {
        if scope.regions.is_empty() && !self.settings.regions.is_empty() {
            scope.regions.clone_from(&self.settings.regions);
            let names = scope.regions.iter().map(ToString::to_string).collect();
            self.used.insert("regions".to_owned(), Setting::Several(names));
        }
    }

    /// Fills in how AWS is reached, and how much is asked of it at once.
    ///
    /// Credentials that the environment chooses are nearer than a file: as with every AWS tool, they outrank its profile.
    #[cfg(feature = "acquire")]
    pub(super) fn fill_connection(
        &mut self,
        connection: &mut super::arguments::ConnectionArguments,
        at_once: &mut super::arguments::ConcurrencyArguments,
    ) {
        let settings = self.settings.clone();
        match settings.profile {
            Some(profile) if connection.profile.is_none() => match chosen_by(std::env::vars_os()) {
                Some(variable) => self.outranked = Some(Outranked { profile, variable }),
                None => self.text("profile", &mut connection.profile, Some(profile)),
            },
            _ => {}
        }
        if connection.role_arns.is_empty() && !settings.role_arns.is_empty() {
            connection.role_arns.clone_from(&settings.role_arns);
            self.used.insert("role-arns".to_owned(), Setting::Several(settings.role_arns));
        }
        if let (None, Some(number)) = (at_once.concurrency, settings.concurrency) {
            at_once.concurrency = Some(number);
            self.used.insert("concurrency".to_owned(), Setting::Number(u64::from(number)));
        }
    }

    /// Fills in who signs, and who stamps the time.
    pub(super) fn fill_seal(&mut self, key: &mut Option<PathBuf>, principal: &mut Option<String>, tsa: &mut Option<String>) {
        let settings = self.settings.clone();
        // The name belongs to the key.
        if key.is_none() {
            self.path("signing-key", key, settings.signing_key);
            self.text("principal", principal, settings.principal);
        }
        self.text("tsa", tsa, settings.tsa);
    }

    /// Fills in who is trusted to seal and to stamp; only from a file that was named.
    ///
    /// One that merely lies in the working folder may have come with the evidence, and would vouch for itself.
    pub(super) fn fill_trust(&mut self, allowed_signers: &mut Option<PathBuf>, tsa_roots: &mut Option<PathBuf>) {
        if self.named {
            let settings = self.settings.clone();
            self.path("allowed-signers", allowed_signers, settings.allowed_signers);
            self.path("tsa-roots", tsa_roots, settings.tsa_roots);
        }
    }

    /// What was used, if anything was.
    pub(super) fn used(&self) -> Option<Configuration> {
        let (path, sha256) = self.file.as_ref().filter(|_| !self.used.is_empty())?;
        Some(Configuration { file: path.display().to_string(), sha256: *sha256, settings: self.used.clone() })
    }

    /// Why the file's profile was not used, if it was not.
    #[cfg(feature = "acquire")]
    pub(super) fn outranked(&self) -> Option<String> {
        self.outranked.as_ref().map(Outranked::words)
    }

    /// Says which settings were used, so that nobody wonders where they came from.
    pub(super) fn note(&self, output: &Output) {
        if let Some(used) = self.used() {
            output.note(&words(&used));
        }
        #[cfg(feature = "acquire")]
        self.outranked().into_iter().for_each(|words| output.note(&words));
    }
}

/// The settings that were used, in a sentence.
pub(super) fn words(used: &Configuration) -> String {
    let settings = used.settings.iter().map(|(key, setting)| match setting {
        Setting::Text(text) => format!("{key} {}", printable(text)),
        Setting::Several(texts) => format!("{key} {}", printable(&texts.join(" "))),
        Setting::Number(number) => format!("{key} {number}"),
    });
    format!("Settings from {}: {}.", printable(&used.file), settings.collect::<Vec<_>>().join(", "))
}

impl CliError {
    /// A signing key is needed, and none was given.
    pub(super) fn no_signing_key() -> Self {
        Self { exit: Exit::Usage, ..Self::failed("no key to sign with was given") }
            .meaning("Nothing was sealed; the case is unchanged.")
            .next("Add --signing-key KEY, an SSH private key (ssh-keygen -t ed25519 makes one), or write signing-key into caselock.toml.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_setting_is_told_with_its_line() {
        let problem = parse("examiner = \"A\"\nexaminr = \"B\"\n").unwrap_err();
        assert!(problem.starts_with("line 2: unknown field `examinr`"), "{problem}");
    }

    #[test]
    fn settings_of_the_wrong_kind_are_refused() {
        for text in ["examiner = 1", "regions = [\"nowhere at all\"]", "concurrency = 0", "concurrency = 100000"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[cfg(feature = "acquire")]
    #[test]
    fn a_role_must_be_one() {
        assert!(parse("role-arns = [\"arn:aws:iam::111122223333:role/reader\"]").is_ok());
        assert!(parse("role-arns = [\"reader\"]").is_err());
    }

    #[cfg(feature = "acquire")]
    #[test]
    fn the_environment_chooses_by_its_profile_or_its_keys() {
        let chosen =
            |set: &[(&str, &str)]| chosen_by(set.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        assert_eq!(chosen(&[("AWS_PROFILE", "incident")]), Some("AWS_PROFILE"));
        assert_eq!(chosen(&[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_PROFILE", "incident")]), Some("AWS_PROFILE"));
        assert_eq!(chosen(&[("AWS_ACCESS_KEY_ID", "AKIA")]), Some("AWS_ACCESS_KEY_ID"));
        assert_eq!(chosen(&[("AWS_PROFILE", ""), ("AWS_REGION", "us-east-1")]), None);
    }

    #[test]
    fn paths_count_from_the_file() {
        assert_eq!(resolved(Path::new("desk/caselock.toml"), Path::new("keys/mine")), Path::new("desk/keys/mine"));
        assert_eq!(resolved(Path::new("caselock.toml"), Path::new("/keys/mine")), Path::new("/keys/mine"));
    }

    #[test]
    fn a_file_that_was_only_found_vouches_for_nobody() {
        let settings = Settings { allowed_signers: Some(PathBuf::from("signers")), ..Settings::default() };
        for named in [false, true] {
            let file = Some((PathBuf::from(NAME), Sha256Hash::ZERO));
            let mut defaults = Defaults { file, named, settings: settings.clone(), ..Defaults::default() };
            let (mut signers, mut roots) = (None, None);
            defaults.fill_trust(&mut signers, &mut roots);
            assert_eq!(signers.is_some(), named);
        }
    }
}
