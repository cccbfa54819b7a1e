#!/usr/bin/env python3
"""Checks a disclosure made with "caselock package --include": some files of a sealed case, shown without the rest.

    python3 -I verify_disclosure.py DISCLOSURE.zip
    python3 -I verify_disclosure.py FOLDER         (the unpacked zip; the folder that holds custody/)

It needs Python 3.8 or later and nothing else, no network and no other file. It writes nothing. Every line it prints must begin with
"ok"; it ends with 0 if so, with 1 if anything is BAD, and with 2 if nothing is bad but something could not be checked here ("??").
With -I, Python takes no file that lies beside this program or in the current folder for a part of itself.

What is in a disclosure
    data/...                          the files that are disclosed, byte for byte as they were acquired
    custody/disclosure.jsonl          for each of them: the line of the case's ledger that recorded it, and the proof that
                                      this line belongs to the ledger that was sealed
    custody/checkpoints/NNNN.json     what was signed: the size and the Merkle root of that ledger, and who signed it
    custody/checkpoints/NNNN.json.sig the SSH signature (OpenSSH's PROTOCOL.sshsig, namespace caselock-seal)
    manifest-sha256.txt, ...          a BagIt bag (RFC 8493) around them

How a line is proven (RFC 9162, section 2.1)
    The hash of a line is SHA-256(0x00, line). Two hashes are joined to SHA-256(0x01, left, right). "proof" holds the hashes that the
    line's hash is joined with, step by step, until the root is reached; "index" says on which side each stands. Nobody can find other
    hashes that lead to the same root, so a line that reaches the signed root was in the ledger when it was signed.

What it proves: each file under data/ is what the ledger recorded when it was acquired, and the holder of the key signed that ledger.
bag-info.txt, custody/allowed_signers and the name of the zip's one folder must be what follows from what was signed, and no other file may
be there.
What it does not prove: anything about what is not disclosed; when it was signed; whose key it is. Compare the fingerprint that it
prints with what the signer tells you by another channel. Nobody signs for VERIFY.txt and for this program: what comes with the evidence
can be exchanged together with it. Use a copy from elsewhere, and run it from outside the folder that it checks; it says so where the one
among the files is another.
"""

import sys

# What lies beside this program may have come with the evidence: no hashlib.py there answers for Python's own.
if __name__ == "__main__" and not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

import base64
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zipfile

bad = unchecked = 0
SMALL = 16 * 1024 * 1024
LINE = 9 * 1024 * 1024  # the longest line of a ledger, escaped, and its proof
MOST = 100  # lines that are not as they should be and are named one by one


def check(holds, what):
    global bad
    print("ok " if holds else "BAD", what)
    bad += not holds
    return holds


def not_checked(what):
    global unchecked
    print("?? ", what)
    unchecked += 1


def printable(text):
    return "".join("\\u{%x}" % ord(c) if not c.isprintable() or re.match(HIDDEN, c) else c for c in str(text))


def spelled(raw):
    """What JSON says that is spelled in the one way of RFC 8785; anything else could be read in two ways."""

    def refuse(constant):
        raise ValueError(constant + " is no number")

    value = json.loads(raw.decode("utf-8"), parse_constant=refuse)
    if json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8") != raw:
        raise ValueError("JSON is not spelled as caselock spells it")
    return value


# --- the files: a zip or a folder -----------------------------------------------------------------------------------------------


def headers(member, at):
    """What stands before a member, and in the list of members, where it begins at the byte `at`."""
    name, size = member.filename.encode("ascii"), min(member.file_size, 0xFFFFFFFF)
    numbers = [member.file_size] * 2 if member.file_size >= 0xFFFFFFFF else []
    shared = struct.pack("<5H3LH", 45 if numbers else 10, 0, 0, 0, 33, member.CRC, size, size, len(name))

    def zip64(numbers):
        return struct.pack("<HH%dQ" % len(numbers), 1, 8 * len(numbers), *numbers) if numbers else b""

    here, there = zip64(numbers), zip64(numbers + ([at] if at >= 0xFFFFFFFF else []))
    listed = struct.pack("<4H2L", len(there), 0, 0, 0, 0o100444 << 16, min(at, 0xFFFFFFFF))
    return (b"PK\3\4" + shared + struct.pack("<H", len(here)) + name + here,
            b"PK\1\2" + shared[:1] + b"\3" + shared + listed + name + there)


def is_as_written(path, members):
    """Whether a zip is its members, stored, one after the other, then the list of them, and not a byte besides.

    Programs differ in what else they find in a zip: a member that only its own header shows, or other bytes under a name.
    """
    with open(path, "rb") as file:
        at, listed = 0, []
        for member in members:
            before, in_list = headers(member, at)
            file.seek(at)
            if file.read(len(before)) != before:
                return False
            at += len(before) + member.file_size
            listed.append(in_list)
        end, count = b"".join(listed), len(members)
        size, wide = len(end), count > 0xFFFF or max(at, len(end)) > 0xFFFFFFFF
        if wide:
            end += struct.pack("<LQ2H2L4Q", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, at)
            end += struct.pack("<2LQL", 0x07064B50, 0, at + size, 1)
        short = min(count, 0xFFFF)
        end += struct.pack("<L4H2LH", 0x06054B50, 0, 0, short, short, 0xFFFFFFFF if wide else size, min(at, 0xFFFFFFFF), 0)
        file.seek(at)
        return file.read(len(end) + 1) == end


class Zip:
    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        names = [info.filename for info in self.zip.infolist()]
        if not is_as_written(path, self.zip.infolist()):
            raise ValueError("the zip is not built as caselock builds it: something stands in it besides its members, or they are packed")
        check(names == sorted(names), "the members of the zip are in order")
        check(len(names) == len({name.lower() for name in names}), "no name stands in the zip twice")
        check(all(re.fullmatch("[A-Za-z0-9._=+@,~/-]+", name) for name in names), "every name is one that caselock gives")
        tops = {name.split("/", 1)[0] for name in names}
        check(len(tops) == 1 and all("/" in name for name in names), "everything is in one folder")
        self.top = min(tops) + "/"
        self.names = {name[len(self.top):] for name in names}

    def open(self, name):
        return self.zip.open(self.top + name)


class Folder:
    def __init__(self, path):
        self.path = path
        self.top = None  # its name is for whoever unpacked it to choose
        self.names = set()
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                place = os.path.join(folder, name)
                if os.path.islink(place) or not (os.path.isdir(place) or os.path.isfile(place)):
                    check(False, printable(place) + " is a link or a device")
                elif name in files:
                    self.names.add(os.path.relpath(place, path).replace(os.sep, "/"))

    def open(self, name):
        return open(os.path.join(self.path, *name.split("/")), "rb")


def read(files, name):
    """A small file. None that belongs here is larger; one that is cannot be read as if it ended there."""
    with files.open(name) as file:
        content = file.read(SMALL + 1)
    if len(content) > SMALL:
        raise ValueError(name + " is larger than it can be")
    return content


def lines(files, name):
    """The lines of a file of any size. A line ends with a newline: other separators may stand within one."""
    with files.open(name) as file:
        while True:
            line = file.readline(LINE)
            if not line:
                return
            if not line.endswith(b"\n"):
                raise ValueError(name + " has a line that does not end, or is longer than any can be")
            yield line[:-1]


def hash_and_size(files, name):
    digest, size = hashlib.sha256(), 0
    with files.open(name) as file:
        while True:
            piece = file.read(1024 * 1024)
            if not piece:
                return digest.hexdigest(), size
            digest.update(piece)
            size += len(piece)


# --- the Merkle tree (RFC 9162, sections 2.1.1 and 2.1.3.2) ---------------------------------------------------------------------


def leads_to_root(line, index, size, proof, root):
    if not 0 <= index < size:
        return False
    node, at, last = hashlib.sha256(b"\0" + line).digest(), index, size - 1
    for sibling in proof:
        if len(sibling) != 32 or last == 0:
            return False
        if at % 2 == 1 or at == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        at, last = at // 2, last // 2
    return last == 0 and node == root


# --- the signature: Ed25519 (RFC 8032) in an SSH signature (PROTOCOL.sshsig) ----------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    x, y, z, t = f - e, h - g, h + g, f + e
    return x * y % P, z * t % P, y * z % P, x * t % P


def multiply(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def decompress(octets):
    y = int.from_bytes(octets, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_holds(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    public, point, scalar = decompress(key), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    if public is None or point is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    x1, y1, z1, _ = multiply(scalar, BASE)
    x2, y2, z2, _ = add(point, multiply(challenge, public))
    return (x1 * z2 - x2 * z1) % P == 0 and (y1 * z2 - y2 * z1) % P == 0


def strings(data):
    found = []
    while data:
        (length,) = struct.unpack(">I", data[:4])
        if length > len(data) - 4:
            raise ValueError("a string is cut short")
        found.append(data[4:4 + length])
        data = data[4 + length:]
    return found


def signature_holds(signature, message, public_key):
    """True or False; None where only ssh-keygen can tell and it is not there."""
    rows = signature.decode("ascii").splitlines()
    if rows[0] != "-----BEGIN SSH SIGNATURE-----" or rows[-1] != "-----END SSH SIGNATURE-----":
        return False
    blob = base64.b64decode("".join(rows[1:-1]), validate=True)
    if blob[:10] != b"SSHSIG\0\0\0\1":
        return False
    key, namespace, reserved, algorithm, made = strings(blob[10:])
    kind, encoded = public_key.split(" ")[:2]
    if namespace != b"caselock-seal" or key != base64.b64decode(encoded, validate=True):
        return False
    if kind == "ssh-ed25519" and algorithm in (b"sha256", b"sha512"):
        digest = hashlib.new(algorithm.decode(), message).digest()
        fields = [namespace, reserved, algorithm, digest]
        signed = b"SSHSIG" + b"".join(struct.pack(">I", len(field)) + field for field in fields)
        made_kind, value = strings(made)
        return made_kind == b"ssh-ed25519" and ed25519_holds(strings(key)[1], signed, value)
    if not shutil.which("ssh-keygen"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("signers", b"signer " + public_key.encode() + b"\n"), ("signature", signature)):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "signer", "-n", "caselock-seal", "-s", "signature"]
        return subprocess.run(command, cwd=folder, input=message, capture_output=True).returncode == 0


# --- what caselock writes around the files, which follows from what was signed --------------------------------------------------

BLANKS = "[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
# What shows nothing of itself or changes how the rest is shown; caselock and verify.html have the same list.
HIDDEN = ("[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5"
          "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
          "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")


def field(label, value):
    words = [re.sub(HIDDEN, lambda c: "\\u{%x}" % ord(c[0]), word) for word in re.split(BLANKS, value) if word]
    text, line = "", label + ":"
    for at, word in enumerate(words):
        if at and len(line) + 1 + len(word) > 79:
            text, line = text + line + "\n", " "
        line += " " + word
    return text + line + "\n" if words else ""


def size_for_people(size):
    tenths, unit = size * 10, "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if tenths < 10000:
            break
        tenths, unit = tenths // 1000, larger
    return "%d bytes" % size if unit == "bytes" else "%d.%d %s" % (tenths // 10, tenths % 10, unit)


def bag_info(checkpoint, count, size):
    return "".join((
        field("External-Identifier", checkpoint["case_number"]),
        field("External-Description", "A part of a sealed case, disclosed with proofs; see VERIFY.txt"),
        field("Bagging-Date", checkpoint["sealed_at"][:10]),
        field("Bag-Size", size_for_people(size)),
        field("Payload-Oxum", "%d.%d" % (size, count)),
    ))


def top_folder(checkpoint):
    name = re.sub("[^A-Za-z0-9._-]", "-", re.sub("^%s|%s\\Z" % (BLANKS, BLANKS), "", checkpoint["case_number"]))[:40].strip(".-")
    device = re.fullmatch("CON|PRN|AUX|NUL|(COM|LPT).", name.split(".")[0].upper())
    return ("case-" + name if device else name or "case") + "-disclosure"


def allowed_signers(signer):
    if not re.fullmatch("[a-z0-9@.-]+ [A-Za-z0-9+/=]+", signer["public_key"]):
        raise ValueError("the checkpoint does not name a public key")
    safe = re.fullmatch("[A-Za-z0-9@._+][A-Za-z0-9@._+-]*", signer["principal"])
    return '%s namespaces="caselock-seal" %s\n' % (signer["principal"] if safe else "signer", signer["public_key"])


# --- the checks -----------------------------------------------------------------------------------------------------------------


def manifest(files, name):
    listed, previous = {}, ""
    for line in lines(files, name):
        digest, path = line.decode("ascii").split("  ", 1)
        if not re.fullmatch("[0-9a-f]{64}", digest) or path <= previous:
            raise ValueError("%s is not in order, or not as caselock writes it: %s" % (name, path))
        listed[path], previous = digest, path
    return listed


def disclosed(raw):
    """A line of the disclosure: which line of the ledger it shows, that line, its proof, and what it says."""
    entry = spelled(raw)
    nodes = entry["proof"]
    if sorted(entry) != ["index", "line", "proof"] or type(entry["index"]) is not int:
        raise ValueError("a line of the disclosure has other members than caselock writes")
    if not all(re.fullmatch("[0-9a-f]{64}", node) for node in nodes):
        raise ValueError("a proof in the disclosure is not a list of hashes")
    line = entry["line"].encode("utf-8")
    return entry["index"], line, [bytes.fromhex(node) for node in nodes], spelled(line)


def main(path):
    files = Folder(path) if os.path.isdir(path) else Zip(path)
    checkpoints = [name for name in files.names if re.fullmatch(r"custody/checkpoints/[0-9]{4}\.json", name)]
    if not check(len(checkpoints) == 1, "there is one checkpoint"):
        return
    raw = read(files, checkpoints[0])
    checkpoint = spelled(raw)
    signer, size, root = checkpoint["signer"], checkpoint["ledger"]["lines"], bytes.fromhex(checkpoint["ledger"]["root"])
    members = ["case_number", "format_version", "kind", "ledger", "number", "sealed_at", "signer"]
    check(sorted(checkpoint) == members and checkpoint["kind"] == "checkpoint" and checkpoint["format_version"] == 1
          and checkpoints[0] == "custody/checkpoints/%04d.json" % checkpoint["number"]
          and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.](?!000)[0-9]{3})?Z", checkpoint["sealed_at"]),
          "it is a checkpoint of format version 1")
    if files.top is not None:
        check(files.top == top_folder(checkpoint) + "/", "the folder in the zip has the name of the case")
    holds = signature_holds(read(files, checkpoints[0] + ".sig"), raw, signer["public_key"])
    if holds is None:
        not_checked("the signature: a key of this kind needs ssh-keygen, which is not there")
    else:
        check(holds, "the signature over the checkpoint holds")
    blob = base64.b64decode(signer["public_key"].split(" ")[1])
    fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    check(fingerprint == signer["fingerprint"], "the signer's key has the fingerprint " + fingerprint)

    recorded, previous, wrong = {}, -1, 0
    for number, shown in enumerate(lines(files, "custody/disclosure.jsonl"), 1):
        index, line, proof, told = disclosed(shown)
        belongs = leads_to_root(line, index, size, proof, root) and index > previous
        if not (belongs and told["event"] == "artifact.acquired" and told["path"] not in recorded):
            wrong += 1
            if wrong <= MOST:
                check(False, "line %d of the disclosure belongs to the signed ledger, after the lines before, about a file of its own" % number)
            continue
        previous = index
        recorded[told["path"]] = (told["sha256"], told["size"])
    if wrong > MOST:
        check(False, "and so do %d more" % (wrong - MOST))
    check(recorded, "%d lines of the ledger, of the %d signed, are shown and proven" % (len(recorded), size))

    for path, expected in sorted(recorded.items()):
        if path not in files.names or hash_and_size(files, path) != expected:
            check(False, printable(path) + " is what the ledger recorded")
    check(not bad, "the files are what the ledger recorded when they were acquired")
    payload = {name for name in files.names if name.startswith("data/")}
    check(payload == set(recorded), "no file under data/ is missing or too many")
    listed = manifest(files, "manifest-sha256.txt")
    check(listed == {path: digest for path, (digest, _) in recorded.items()}, "manifest-sha256.txt lists them with the same hashes")
    tags = manifest(files, "tagmanifest-sha256.txt")
    others = files.names - payload - {"tagmanifest-sha256.txt"}
    check(set(tags) == others, "tagmanifest-sha256.txt lists every other file")
    check(all(hash_and_size(files, name)[0] == tags[name] for name in others & set(tags)), "and they have the hashes it gives")
    usual = {"VERIFY.txt", "bag-info.txt", "bagit.txt", "custody/allowed_signers", checkpoints[0], checkpoints[0] + ".sig",
             "custody/disclosure.jsonl", "manifest-sha256.txt", "verify_disclosure.py"}
    check(others == usual, "there are the files of a disclosure and no others" + "".join(": " + printable(name) for name in sorted(others - usual)[:1]))
    expected = {
        "bagit.txt": "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": bag_info(checkpoint, len(recorded), sum(length for _, length in recorded.values())),
        "custody/allowed_signers": allowed_signers(signer),
    }
    for name, text in expected.items():
        check(name in others and read(files, name) == text.encode("utf-8"), name + " says what follows from what was signed")
    with open(os.path.abspath(__file__), "rb") as file:
        if "verify_disclosure.py" in others and read(files, "verify_disclosure.py") != file.read():
            not_checked("verify_disclosure.py among the files is not this program: another version, or exchanged; do not run it")
    print("    case %s, signed by %s at %s (the signer's clock)"
          % tuple(map(printable, (checkpoint["case_number"], signer["principal"], checkpoint["sealed_at"]))))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError, AttributeError, struct.error,
            zipfile.BadZipFile) as error:
        check(False, "it can be read: %s %s" % (type(error).__name__, printable(error)))
    sys.exit(1 if bad else 2 if unchecked else 0)
