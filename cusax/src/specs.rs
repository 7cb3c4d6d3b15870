//! `docs/specs.md` is printed from what the crates claim; this test says when the two differ.

use std::fmt::Write;

use shared_model::{Coverage, Document, Spec};

#[test]
fn the_printed_list_is_what_the_crates_claim() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/specs.md");
    let wanted = print();
    if std::env::var_os("CUSAX_REWRITE_DOCS").is_some() {
        std::fs::write(file, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/specs.md differs; write it anew with CUSAX_REWRITE_DOCS=1 cargo test -p cusax specs"
    );
}

fn print() -> String {
    let mut rows: Vec<(&str, Spec)> = Vec::new();
    rows.extend(shared_auth::SPECS.iter().map(|spec| ("accounts and proofs", *spec)));
    rows.extend(sip_server::SPECS.iter().map(|spec| ("SIP", *spec)));
    rows.extend(xmpp_server::specs().into_iter().map(|spec| ("XMPP", spec)));
    rows.extend(conference::SPECS.iter().map(|spec| ("conference", *spec)));
    rows.extend(provisioning::SPECS.iter().map(|spec| ("provisioning", *spec)));
    rows.sort_by_key(|(part, spec)| (spec.document, *part));
    let mut out = String::from(
        "# Specifications\n\nPrinted from what the code claims; a test says when this page differs.\n\n\
         | document | version | part | coverage | what is there, or is not |\n|---|---|---|---|---|\n",
    );
    for (part, spec) in rows {
        let document = match spec.document {
            Document::Rfc(number) => format!("RFC {number}"),
            Document::Xep(number) => format!("XEP-{number:04}"),
        };
        let coverage = if spec.coverage == Coverage::Complete { "complete" } else { "in part" };
        // Writing to a string does not fail.
        let _ = writeln!(out, "| {document} | {} | {part} | {coverage} | {} |", spec.version, spec.note);
    }
    out
}
