//! Time-stamps over a seal that is there already: the question on the wire or in a file, the answer checked before it is filed.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::case::{CaseFolder, CaseWriter};
use crate::model::{Timestamp, printable};
use crate::seal::{SealFile, Stamp, StampProblem, check_stamp, read_seals, stamp_request, stamp_request_with_nonce};

use super::destination::refuse_file_in_case;
use super::output::{Output, wrapped};
use super::{CliError, Exit, shell};

/// Longest answer that is read; real ones are below 10 kB.
const ANSWER_LIMIT: u64 = 1024 * 1024;
/// How long an authority may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `seal` is asked about time-stamps.
#[derive(Debug, clap::Args)]
pub(super) struct TimestampArguments {
    /// Let this RFC 3161 authority stamp the time of the seal; without --signing-key, of the latest seal.
    ///
    /// A seal that has a time-stamp gets another over both, so that the old one still counts when its certificate has run out.
    /// Only http: the answer is signed, so the connection adds nothing. For https, use --timestamp-request and curl.
    #[arg(long, value_name = "URL", conflicts_with_all = ["timestamp_request", "timestamp_response"])]
    pub(super) tsa: Option<String>,
    /// Write the question about the latest seal to this file, to be carried to an authority.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["signing_key", "timestamp_response"])]
    pub(super) timestamp_request: Option<PathBuf>,
    /// File the authority's answer with the latest seal, after checking it.
    #[arg(long, value_name = "FILE", conflicts_with = "signing_key")]
    pub(super) timestamp_response: Option<PathBuf>,
}

impl TimestampArguments {
    /// The wish to have this authority asked.
    pub(super) fn asking(url: &str) -> Self {
        Self { tsa: Some(url.to_owned()), timestamp_request: None, timestamp_response: None }
    }
}

/// A time-stamp that was filed.
#[derive(Debug, Serialize)]
pub(super) struct Stamped {
    file: String,
    time: Timestamp,
    serial: String,
    check: String,
}

/// Does what was asked about the latest seal.
pub(super) fn run(case: &Path, arguments: &TimestampArguments, output: &Output) -> Result<Exit, CliError> {
    if let Some(path) = &arguments.timestamp_request {
        let seals = read_seals(&CaseFolder::open(case)?)?;
        let seal = latest(&seals)?;
        refuse_file_in_case(path)?;
        return write_request(path, seal, &seal.next_stamped(), output);
    }
    let stamped = stamp(case, arguments)?;
    output.result(&stamped, || stamped.text())?;
    Ok(Exit::Done)
}

/// Has the latest seal stamped, or takes an answer that was carried here; files it with the seal.
pub(super) fn stamp(case: &Path, arguments: &TimestampArguments) -> Result<Stamped, CliError> {
    let mut writer = CaseWriter::open(case)?;
    let seals = read_seals(&writer.files()?)?;
    let seal = latest(&seals)?;
    let stamped = seal.next_stamped();
    let (answer, stamp) = match (&arguments.tsa, &arguments.timestamp_response) {
        (Some(url), _) => ask_for_stamp(url, &stamped)?,
        (None, path) => {
            let path = path.as_deref().unwrap_or(Path::new(""));
            let answer = read(path)?;
            let stamp = check_stamp(&stamped, &answer, None).map_err(|error| no_answer(path, seal, &error))?;
            (answer, stamp)
        }
    };
    let file = seal.next_stamp_path();
    let mut filed = writer.begin_tag_file(&file)?;
    filed.write_all(&answer).map_err(|error| CliError::new(Exit::Failed, &error))?;
    filed.finish()?;
    let seconds = stamp.time.instant().timestamp();
    let check = if seal.timestamp.is_none() {
        format!("openssl ts -verify -data {} -in {file} -CAfile ROOT.pem -attime {seconds}", seal.path)
    } else {
        // It is over the seal and the stamps before it, one after the other.
        let before: Vec<String> = (0..seal.renewals.len()).map(|at| seal.renewal_path(at)).collect();
        let before = [vec![seal.path.clone(), format!("{}.tsr", seal.path)], before].concat().join(" ");
        format!("cat {before} | openssl ts -verify -data /dev/stdin -in {file} -CAfile ROOT.pem -attime {seconds}")
    };
    Ok(Stamped { file, time: stamp.time, serial: stamp.serial, check })
}

impl Stamped {
    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    pub(super) fn text(&self) -> String {
        let how = wrapped("To check it in the case folder, with the authority's root certificate, now or in many years:", "");
        format!("Stamped  {}\n         {} (serial {})\n{how}\n    {}", self.file, self.time, self.serial, self.check)
    }
}

/// Asks an authority to stamp `bytes`, with a random number that its answer must repeat.
pub(super) fn ask_for_stamp(url: &str, bytes: &[u8]) -> Result<(Vec<u8>, Stamp), CliError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| CliError::failed("the system gives no random bytes"))?;
    let (question, nonce) = stamp_request_with_nonce(bytes, random);
    let answer = ask(url, &question)?;
    let stamp = check_stamp(bytes, &answer, None).map_err(|error| refused(&error))?;
    if stamp.nonce.as_ref() != Some(&nonce) {
        return Err(CliError::failed(format!("{url} answered another question than the one that was put"))
            .meaning("What it sent was not filed; everything else is as before.")
            .next("Ask again, or ask another authority."));
    }
    Ok((answer, stamp))
}

fn refused(error: &StampProblem) -> CliError {
    CliError::new(Exit::Failed, error)
        .meaning("The case is sealed; the answer was not filed.")
        .next("Ask again, or ask another authority.")
}

/// A file that was named as an answer and is none to this question: named again, it would be none again.
fn no_answer(path: &Path, seal: &SealFile, error: &StampProblem) -> CliError {
    let mut explained = CliError::new(Exit::Usage, error);
    let path = printable(&path.display().to_string());
    explained.what.insert(0, format!("`{path}` is no time-stamp that can be filed with {}", seal.path));
    explained
        .meaning("The case is sealed as before; nothing was filed.")
        .next("Name the file that the authority answered with. Its question must be about the latest seal: --timestamp-request writes that one.")
}

fn latest(seals: &[SealFile]) -> Result<&SealFile, CliError> {
    seals.iter().rev().find(|seal| seal.is_complete()).ok_or_else(|| {
        CliError { exit: Exit::Usage, ..CliError::failed("the case has no seal whose time could be stamped") }
            .meaning("The case is unchanged.")
            .next("Seal it first: caselock seal CASE_DIR --signing-key KEY")
    })
}

#[expect(clippy::disallowed_methods, reason = "the question is no part of a case")]
fn write_request(path: &Path, seal: &SealFile, statement: &[u8], output: &Output) -> Result<Exit, CliError> {
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(&stamp_request(statement))?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return CliError::is_there(path);
        }
        CliError::failed(format!("cannot write the question to `{}`: {error}", path.display()))
            .meaning("The case is sealed as before.")
            .next("Mend the cause, or write it somewhere else.")
    })?;
    let path = path.display().to_string();
    let send = format!(
        "curl -H 'Content-Type: application/timestamp-query' --data-binary {} URL -o answer.tsr\n    \
         caselock seal CASE_DIR --timestamp-response answer.tsr",
        shell::word(&format!("@{path}"))
    );
    let value = serde_json::json!({ "request": path, "seal": seal.path });
    output.result(&value, || {
        format!("Question about {}: {path}\nIt holds a hash and nothing else. Carry it to an authority:\n    {send}", seal.path)
    })?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(ANSWER_LIMIT).read_to_end(&mut bytes));
    read.map_err(|error| CliError::unreadable("the authority's answer", path, &error))?;
    Ok(bytes)
}

/// Refuses an authority that cannot be asked, whatever the network says.
pub(super) fn check_authority(url: &str) -> Result<(), CliError> {
    if !url.starts_with("http://") {
        return Err(CliError::usage(format!("`{url}` is not an http URL"))
            .meaning("Nothing was sent.")
            .next("For https: seal --timestamp-request FILE, send it with curl, then seal --timestamp-response FILE."));
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(CliError::usage(format!("`{}` is no URL: there are blanks in it", printable(url)))
            .meaning("Nothing was sent.")
            .next("Give the authority's address, such as http://tsa.example.com."));
    }
    Ok(())
}

/// Asks an authority over plain HTTP/1.0.
fn ask(url: &str, question: &[u8]) -> Result<Vec<u8>, CliError> {
    check_authority(url)?;
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let exchange = || -> std::io::Result<Vec<u8>> {
        let address = address.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("the name has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/timestamp-query\r\nContent-Length: {}\r\n\r\n",
            question.len()
        );
        // In one piece: a server that answers after the first would reset the connection on the second.
        stream.write_all(&[head.as_bytes(), question].concat())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_LIMIT).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let failed = |error: CliError| {
        error
            .meaning("The case is sealed; only the time-stamp is missing.")
            .next("Try again later, and without --signing-key, which would seal once more: caselock seal CASE_DIR --tsa URL")
    };
    let answer = exchange().map_err(|error| failed(CliError::failed(format!("{url} could not be asked: {error}"))))?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").and_then(|at| answer.get(at + 4..));
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    match body {
        Some(body) if status == b"200" => Ok(body.to_vec()),
        _ => Err(failed(CliError::failed(format!(
            "{url} answered with status `{}`",
            String::from_utf8_lossy(status.get(..3).unwrap_or_default())
        )))),
    }
}
