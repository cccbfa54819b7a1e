//! How whoever reads the report checks the case, without the program that made it.

use crate::seal::verify_page_sha256;
use crate::verify::Report;

use super::facts::{Facts, SealFacts};
use super::markup::Markup;

/// What checks the signature of every seal with the key that it names, whoever sealed: the same as step 6 of VERIFY.txt.
const SIGNATURES: &str = r#"signers=$(mktemp)
for seal in custody/seals/[0-9][0-9][0-9][0-9].json; do
  python3 -I -c 'import json, sys
signer = json.load(open(sys.argv[1], encoding="utf-8"))["signer"]
print("signer", signer["public_key"], file=open(sys.argv[2], "w"))
print(sys.argv[1], "says it is by", ascii(signer["principal"]))' "$seal" "$signers"
  ssh-keygen -Y verify -f "$signers" -I signer -n caselock-seal -s "$seal.sig" < "$seal" || echo "BAD signature: $seal"
done
rm "$signers""#;

/// What compares every file with the manifests; names are shown so that none can move the cursor.
const FILES: &str = "sha256sum --check --quiet manifest-sha256.txt tagmanifest-sha256.txt 2>&1 | cat -v";

pub(super) fn how_to_verify(page: &mut Markup, facts: &Facts, _report: &Report) {
    if facts.seals.is_empty() {
        page.paragraph(
            "The case is not sealed: it has no signature, no manifests and no VERIFY.txt yet, so nothing but the program can check it, \
             and nothing says that somebody with the whole folder has not made it anew. “caselock verify” compares every stored file \
             with the ledger and checks AWS's own signatures on CloudTrail's digests, without a network.",
        );
        return;
    }
    page.paragraph(
        "Nobody needs to trust the program that made this report. A sealed case is a BagIt bag (RFC 8493) signed with an SSH \
         signature; VERIFY.txt in it gives every command with this case's own values.",
    );
    page.paragraph(format_args!(
        "Without a terminal: open verify.html from the package in a browser and drop the zip on it. It works offline. Compare that file's \
         SHA-256 first, for it came with the package: that of the page which this version of caselock ships is {}; a case that another \
         version sealed has that version's page, whose SHA-256 caselock publishes as well.",
        verify_page_sha256()
    ));
    page.paragraph("In a terminal, in short, in the unpacked folder:");
    page.raw("<pre>").text_in_lines(FILES).raw("\n");
    page.text_in_lines(SIGNATURES).raw("</pre>\n");
    page.paragraph(
        "The first command prints nothing if every file is unchanged since the manifests were written. The second shows for each seal whose key \
         signed it, and the name that the signer gave, which proves nothing; step 3 of VERIFY.txt ties manifests and ledger to the seals. A key proves nothing about who holds it, so compare \
         each fingerprint it prints with what that signer told you by another channel:",
    );
    let signer = |seal: &SealFacts| {
        let statement = &seal.statement;
        format!("Seal {}: {} ({})", statement.number, statement.signer.fingerprint, statement.signer.principal)
    };
    page.list(&facts.seals.iter().map(signer).collect::<Vec<_>>());
    page.paragraph(
        "With the program: “caselock verify” checks all of this, and AWS's own signatures on CloudTrail's digests as well, without a network.",
    );
}
