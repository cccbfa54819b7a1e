//! `verify.html`: the check in a browser, of packages that are whole, that were changed, and that were forged.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use caselock::model::Sha256Hash;
use caselock::seal::SigningKey;

use crate::chromium::Page;
use crate::sample::{Sample, artifact_of, shell_ok};

pub(crate) const PAGE: &str = include_str!("../../case-template/verify.html");
const HANDOVER: &str = include_str!("../../docs/handover.md");

/// A key that `ssh-keygen` makes.
fn key_of_kind(sample: &Sample, kind: &str, bits: &str) -> SigningKey {
    let script = format!("ssh-keygen -q -t {kind} -b {bits} -N '' -C counsel@example.com -f {kind}{bits}");
    sample.shell(&script);
    SigningKey::load(&sample.path(&format!("{kind}{bits}")), None).unwrap()
}

/// The page as it lies in an unpacked package.
pub(crate) fn page(sample: &Sample) -> Page {
    Page::open(&sample.file("verify.html"))
}

/// The page's verdict on files (`ok`, `unknown` or `bad`), and all it says.
pub(crate) fn verdict(page: &mut Page, files: &[&Path]) -> (String, String) {
    // As a click does: a browser does not tell a page that the same file was chosen again.
    page.evaluate("element('files').value = '', element('main').dataset.state = 'start'");
    page.choose("#files", files);
    concluded(page)
}

fn concluded(page: &mut Page) -> (String, String) {
    page.until("main", "!['start', 'checking'].includes(dataset.state)");
    let state = page.evaluate("document.getElementById('main').dataset.state");
    let text = page.evaluate("document.getElementById('results').innerText");
    (state.as_str().unwrap().to_owned(), text.as_str().unwrap().to_owned())
}

/// A copy of a package in which one byte, `at` bytes after the end of the first `after`, is another.
fn changed(sample: &Sample, package: &Path, after: &str, at: usize) -> PathBuf {
    let mut bytes = fs::read(package).unwrap();
    let found = bytes.windows(after.len()).position(|window| window == after.as_bytes()).unwrap();
    bytes[found + after.len() + at] ^= 1;
    let path = sample.path("changed.zip");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_policy_allows_the_pages_own_script_and_style_and_nothing_else() {
    let policy = PAGE.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    let hash = |tag: &str| {
        let inner = PAGE.split_once(&format!("<{tag}>")).unwrap().1.split_once(&format!("</{tag}>")).unwrap().0;
        let hash = Sha256Hash::of(inner.as_bytes()).to_string();
        base64::engine::general_purpose::STANDARD.encode(hex::decode(hash).unwrap())
    };
    let expected = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; worker-src blob:; base-uri 'none'; form-action 'none'",
        hash("script"),
        hash("style")
    );
    assert_eq!(policy, expected);
    for reference in ["src=", "href=", "@import", "url(", "innerHTML", "fetch(", "XMLHttpRequest", " style=", " onclick="] {
        assert!(!PAGE.contains(reference), "{reference}");
    }
}

#[test]
fn the_published_hash_is_that_of_the_page() {
    let hash = Sha256Hash::of(PAGE.as_bytes()).to_string();
    assert!(HANDOVER.contains(&hash), "docs/handover.md must give the SHA-256 of verify.html, {hash}");
    let sample = Sample::sealed();
    assert_eq!(fs::read_to_string(sample.file("verify.html")).unwrap(), PAGE, "the same bytes in every case");
    assert!(fs::read_to_string(sample.file("tagmanifest-sha256.txt")).unwrap().contains(&format!("{hash}  verify.html\n")));
}

#[test]
fn a_whole_package_is_found_unchanged_without_a_network() {
    let (sample, mut writer) = Sample::new();
    sample.seal(&mut writer);
    let other = key_of_kind(&sample, "ecdsa", "256");
    sample.seal_by(&other, &mut writer);
    for (kind, bits) in [("rsa", "2048"), ("ecdsa", "384"), ("ecdsa", "521")] {
        sample.seal_by(&key_of_kind(&sample, kind, bits), &mut writer);
    }
    let package = sample.package("out.zip").path;
    let mut page = page(&sample);
    page.drop_files(&[&package, &sample.path("out.zip.sha256")]);
    let (state, text) = concluded(&mut page);
    assert_eq!(state, "ok", "{text}");
    let sha256 = Sha256Hash::of(&fs::read(&package).unwrap()).to_string();
    for part in [
        "UNCHANGED SINCE IT WAS SEALED",
        "IR-2026-014",
        &sha256,
        &sample.key().signer().fingerprint,
        &other.signer().fingerprint,
        "examiner@example.com",
        "the SHA-256 that the .sha256 file gives",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let all = page.evaluate("document.body.innerText").as_str().unwrap().to_owned();
    for part in
        ["First, check this page", "What this page cannot check", "Who signed", "CloudTrail's own signatures", "openssl ts"]
    {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(page.requests.iter().all(|url| url.starts_with("file:") || url.starts_with("blob:")), "{:?}", page.requests);
    assert_eq!(page.complaints, [""; 0]);
    let refused = page.evaluate("fetch('https://example.com/').then(() => 'sent', error => error.name)");
    assert_eq!(refused, "TypeError");
    assert!(page.complaints.iter().any(|complaint| complaint.contains("Content Security Policy")), "{:?}", page.complaints);
}

#[test]
fn a_changed_byte_is_found_wherever_it_is_and_named() {
    let sample = Sample::sealed();
    let package = sample.package("out.zip").path;
    let mut page = page(&sample);
    let of_con = format!("{} was changed", Sample::payload()[8]);
    for (after, at, named) in [
        ("content of \"CO", 0, of_con.as_str()),
        ("\"event\":\"artifact.acquired\"", 20, "The ledger does not hold together"),
        ("HOW TO CHECK THIS CASE", 4, "VERIFY.txt was changed"),
        ("seals/0001.json.sig-----BEGIN SSH SIGNATURE-----\n", 180, "The signature of seal 1 does not hold"),
        ("checkpoints/0001.json.sig-----BEGIN SSH SIGNATURE-----\n", 180, "The checkpoint of seal 1 is not right"),
        ("\"sealed_at\":\"", 3, "The checkpoint of seal 1 is not right"),
        ("\"tagmanifest_sha256\":\"", 3, "The signature of seal 1 does not hold"),
        ("IR-2026-014/manifest-sha256.txt", 5, "The evidence is not what the manifest lists"),
        ("IR-2026-014/tagmanifest-sha256.txt", 5, "tagmanifest-sha256.txt is not the one that was sealed"),
        ("PK\u{3}\u{4}", 2, "differs from the list of members"),
        ("PK\u{1}\u{2}", 4, "is encrypted, streamed or otherwise flagged"),
        ("PK\u{1}\u{2}", 12, "differs from the list of members"),
    ] {
        let (state, text) = verdict(&mut page, &[&changed(&sample, &package, after, at)]);
        assert_eq!(state, "bad", "{after}: {text}");
        assert!(text.contains("DO NOT RELY") && text.contains(named), "{named}: {text}");
    }
}

#[test]
fn no_change_of_a_byte_goes_unnoticed() {
    let sample = Sample::sealed();
    let package = sample.package("out.zip").path;
    let mut page = page(&sample);
    assert_eq!(verdict(&mut page, &[&package]).0, "ok");
    // In the page itself: a prime step through the package, so that every kind of field is met.
    let unnoticed = page.evaluate(
        "(async () => {
            const file = element('files').files[0], bytes = new Uint8Array(await file.arrayBuffer()), unnoticed = [];
            const check = async () => {
                let failed = false;
                const say = { ok() {}, note() {}, unknown() { failed = true; }, bad() { failed = true; } };
                try { await checkPackage(new File([bytes], 'x.zip'), say, { total() {}, add() {} }); }
                catch (error) { if (!(error instanceof Damage)) throw error; failed = true; }
                return failed;
            };
            if (await check()) return ['fails unchanged'];
            for (let at = 0, count = 0; at < bytes.length; at += 197, count++) {
                bytes[at] ^= 1 << (count % 8);
                if (!await check()) unnoticed.push(at);
                bytes[at] ^= 1 << (count % 8);
            }
            return unnoticed;
        })()",
    );
    assert_eq!(unnoticed, serde_json::json!([]));
}

#[test]
fn forged_structures_are_refused() {
    let sample = Sample::sealed();
    let package = sample.package("out.zip").path;
    let scratch = sample.path("");
    let forge = |name: &str, body: &str| {
        let script = format!(
            "import zipfile, warnings\nwarnings.simplefilter('ignore')\nsource = zipfile.ZipFile('out.zip')\n\
             members = [(info, source.read(info)) for info in source.infolist()]\n\
             def named(info, name, **fields):\n  made = zipfile.ZipInfo(name, info.date_time)\n  made.external_attr = info.external_attr\n  \
             made.create_system = 3\n  for field, value in fields.items(): setattr(made, field, value)\n  return made\n\
             last = members[-1][0]\n{body}\n\
             forged = zipfile.ZipFile('{name}', 'w')\nfor info, content in members: forged.writestr(info, content)\nforged.close()\n"
        );
        fs::write(scratch.join("forge.py"), script).unwrap();
        shell_ok(&scratch, "python3 forge.py");
        scratch.join(name)
    };
    let mut page = page(&sample);
    let copy = forge("copy.zip", "");
    assert_eq!(verdict(&mut page, &[&copy]).0, "ok", "the members alone, written by another program");
    let top = "IR-2026-014";
    for (name, body, named) in [
        ("twice.zip", "members.append((named(last, last.filename), b'other'))".to_owned(), "stands there twice"),
        (
            "twin.zip",
            format!("members.append((named(last, '{top}/verify.htmL'), b''))\nmembers.sort(key=lambda m: m[0].filename)"),
            "capitals do not count",
        ),
        ("order.zip", "members.reverse()".to_owned(), "out of order"),
        ("outside.zip", format!("members.append((named(last, '{top}/../x'), b''))"), "cannot be the name"),
        ("other.zip", "members.append((named(last, 'zzz/x'), b''))".to_owned(), "not under the one top folder"),
        (
            "link.zip",
            format!("members.append((named(last, '{top}/x', external_attr=0o120777 << 16), b'/etc/passwd'))"),
            "a link",
        ),
        ("packed.zip", format!("members.append((named(last, '{top}/x', compress_type=8), b'x' * 99))"), "is compressed"),
        (
            "fetch.zip",
            format!(
                "members.append((named(last, '{top}/fetch.txt'), b'https://example.com/ 1 data/x'))\nmembers.sort(key=lambda m: m[0].filename)"
            ),
            "to be had from elsewhere",
        ),
        (
            "added.zip",
            format!("members.append((named(last, '{top}/data/zz'), b'x'))\nmembers.sort(key=lambda m: m[0].filename)"),
            "data/zz is in the package and not in the manifest",
        ),
        ("missing.zip", "members = [m for m in members if 'example-corp/a-b' not in m[0].filename]".to_owned(), "is missing"),
        (
            "unsigned.zip",
            "members = [m for m in members if not m[0].filename.endswith('.sig')]".to_owned(),
            "signature of seal 1 does not hold",
        ),
        ("unsealed.zip", "members = [m for m in members if 'seals/' not in m[0].filename]".to_owned(), "nobody has signed"),
    ] {
        let (state, text) = verdict(&mut page, &[&forge(name, &body)]);
        assert_eq!(state, "bad", "{name}: {text}");
        assert!(text.contains(named), "{name}: {text}");
    }
    let whole = fs::read(&package).unwrap();
    for (name, bytes) in [
        ("before.zip", [b"#!/bin/sh\n", &whole[..]].concat()),
        ("after.zip", [&whole[..], b"\0"].concat()),
        ("cut.zip", whole[..whole.len() - 1].to_vec()),
        ("empty.zip", Vec::new()),
        ("text.zip", b"no zip at all, but long enough to look for an end".to_vec()),
    ] {
        fs::write(scratch.join(name), bytes).unwrap();
        let (state, text) = verdict(&mut page, &[&scratch.join(name)]);
        assert_eq!(state, "bad", "{name}: {text}");
        assert!(text.contains("not a whole, unaltered package"), "{name}: {text}");
    }
    // Several at once: the worst verdict is that of all, and each has its own.
    let (state, text) = verdict(&mut page, &[&package, &scratch.join("twice.zip")]);
    assert_eq!(state, "bad");
    assert!(text.contains("UNCHANGED SINCE IT WAS SEALED") && text.contains("DO NOT RELY ON THIS PACKAGE"), "{text}");
}

#[test]
fn what_cannot_be_checked_is_said_and_never_passed() {
    let (sample, mut writer) = Sample::new();
    let key = key_of_kind(&sample, "ed25519", "256");
    sample.seal_by(&key, &mut writer);
    let certify = "ssh-keygen -q -s ed25519256 -I a -n a ed25519256.pub && for of in seals checkpoints; do \
                   ssh-keygen -q -Y sign -f ed25519256-cert.pub -n caselock-seal < case/custody/$of/0001.json > $of.sig; done";
    shell_ok(&sample.path(""), certify);
    for of in ["seals", "checkpoints"] {
        sample.overwrite(&format!("custody/{of}/0001.json.sig"), &fs::read(sample.path(&format!("{of}.sig"))).unwrap());
    }
    let by_certificate = sample.package("certificate.zip").path;
    let mut page = page(&sample);
    let (state, text) = verdict(&mut page, &[&by_certificate]);
    assert_eq!(state, "unknown", "{text}");
    assert!(text.contains("NOT FULLY CHECKED") && text.contains("ssh-keygen"), "{text}");

    let usual = Sample::sealed();
    let by_ed25519 = usual.package("out.zip").path;
    page.evaluate("crypto.subtle.importKey = async () => { throw new DOMException('no', 'NotSupportedError'); }; 0");
    let (state, text) = verdict(&mut page, &[&by_ed25519]);
    assert_eq!(state, "unknown", "a browser without Ed25519: {text}");
    assert!(text.contains("ssh-ed25519) cannot be checked by this browser"), "{text}");
}

#[test]
fn a_signature_by_a_hardware_key_is_checked() {
    let mut page = page(&Sample::sealed());
    for (key, signature) in crate::seal::signed_by_hardware(b"{}") {
        for (statement, expected) in [("{}", true), ("[]", false)] {
            let check =
                format!("isSignatureValid(parseSignature({}), ascii.encode('{statement}'))", serde_json::json!(signature));
            assert_eq!(page.evaluate(&check), expected, "{}", key.algorithm());
        }
    }
}

#[test]
fn a_line_that_a_crash_cut_short_is_accounted_for() {
    let sample = Sample::unsealed();
    sample.overwrite("custody/ledger.jsonl", (sample.ledger() + "{\"at\":\"2026-03-0").as_bytes());
    sample.seal(&mut sample.open_again());
    let whole = sample.package("out.zip").path;
    let mut page = page(&sample);
    let (state, text) = verdict(&mut page, &[&whole]);
    assert_eq!(state, "ok", "{text}");
    let (state, text) = verdict(&mut page, &[&changed(&sample, &whole, "{\"at\":\"2026-03-0\n", 25)]);
    assert_eq!(state, "bad", "{text}");
}

/// `CASELOCK_LARGE_BYTES=5000000000` tries a package beyond four gigabytes.
#[test]
fn a_large_package_is_read_in_pieces() {
    let bytes: u64 = std::env::var("CASELOCK_LARGE_BYTES").map_or(200_000_000, |bytes| bytes.parse().unwrap());
    let (sample, mut writer) = Sample::new();
    let piece = b"neither a power of two, nor the size of a piece\n".repeat(100_000);
    let pieces = usize::try_from(bytes).unwrap() / piece.len();
    let large = artifact_of(&writer, "large", std::iter::repeat_n(&piece[..], pieces));
    let path = large.staged.path().to_string();
    writer.commit(vec![large]).unwrap();
    sample.seal(&mut writer);
    let whole = sample.package("out.zip").path;
    let size = fs::metadata(&whole).unwrap().len();
    let mut page = page(&sample);
    let begun = std::time::Instant::now();
    let (state, text) = verdict(&mut page, &[&whole]);
    println!("{size} bytes checked in {:.1?}", begun.elapsed());
    assert_eq!(state, "ok", "{text}");
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&whole).unwrap();
    file.write_all_at(b"X", size / 2).unwrap();
    let (state, text) = verdict(&mut page, &[&whole]);
    assert_eq!(state, "bad", "{text}");
    assert!(text.contains(&format!("{path} was changed")), "{text}");
}

#[test]
fn the_pages_sha_256_is_the_standards() {
    let sample = Sample::sealed();
    let mut page = page(&sample);
    // FIPS 180-4 examples, then every length around the blocks, in pieces of every size, against the browser's own.
    for (message, expected) in [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ] {
        assert_eq!(page.evaluate(&format!("hex(sha256(ascii.encode('{message}')))")), expected);
    }
    let wrong = page.evaluate(
        "(async () => {
            const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 31 + 7) & 255), wrong = [];
            for (let length = 0; length <= 300; length++) {
                const expected = hex(await crypto.subtle.digest('SHA-256', bytes.subarray(0, length)));
                for (const size of [1, 7, 63, 64, 65, 300]) {
                    const hash = new Sha256();
                    for (let at = 0; at < length; at += size) hash.update(bytes.subarray(at, Math.min(at + size, length)));
                    if (hex(hash.digest()) !== expected) wrong.push([length, size]);
                }
            }
            return wrong;
        })()",
    );
    assert_eq!(wrong, serde_json::json!([]));
}

#[test]
fn an_inclusion_proof_holds_for_its_own_line_and_place_alone() {
    let sample = Sample::sealed();
    let mut page = page(&sample);
    // Root and proofs by the definitions of RFC 9162, sections 2.1.1 and 2.1.3.1.
    let wrong = page.evaluate(
        "(() => {
            const one = new Uint8Array([1]), zero = new Uint8Array([0]), wrong = [];
            const half = n => { let k = 1; while (2 * k < n) k *= 2; return k; };
            const root = d => d.length === 1 ? sha256(zero, d[0]) : sha256(one, root(d.slice(0, half(d.length))), root(d.slice(half(d.length))));
            const path = (m, d) => {
                const k = half(d.length);
                if (d.length === 1) return [];
                return m < k ? [...path(m, d.slice(0, k)), root(d.slice(k))] : [...path(m - k, d.slice(k)), root(d.slice(0, k))];
            };
            for (let size = 1; size <= 33; size++) {
                const lines = Array.from({ length: size }, (_, i) => ascii.encode(`line ${i}`)), tree = new MerkleTree();
                for (const line of lines) tree.push(line);
                const ledger = { lines: size, root: hex(root(lines)) };
                if (tree.root() !== ledger.root) wrong.push(`root of ${size}`);
                lines.forEach((line, at) => {
                    const proof = path(at, lines).map(hex);
                    if (!isIncluded(line, at, proof, ledger)) wrong.push(`${at} of ${size} refused`);
                    const other = proof.map(hash => hash.replace(/^./, c => c === '0' ? '1' : '0'));
                    if (size > 1 && isIncluded(line, at, other, ledger)) wrong.push(`${at} of ${size} with another proof`);
                    if (size > 1 && isIncluded(line, (at + 1) % size, proof, ledger)) wrong.push(`${at} of ${size} elsewhere`);
                    if (isIncluded(ascii.encode('other'), at, proof, ledger)) wrong.push(`another line at ${at} of ${size}`);
                    if (isIncluded(line, at, [...proof, ledger.root], ledger)) wrong.push(`${at} of ${size} with too long a proof`);
                });
            }
            return wrong;
        })()",
    );
    assert_eq!(wrong, serde_json::json!([]));
}
