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
    rows.extend(operations::SPECS.iter().map(|spec| ("operations", *spec)));
    let claims = rows.clone();
    rows.sort_by_key(|(part, spec)| (spec.document, *part));
    let mut out = String::from(
        "# Specifications\n\nPrinted from what the code claims; a test says when this page differs.\n\n\
         | document | version | part | coverage | what is there, or is not |\n|---|---|---|---|---|\n",
    );
    for (part, spec) in rows {
        let document = name(spec.document);
        let coverage = if spec.coverage == Coverage::Complete { "complete" } else { "in part" };
        // Writing to a string does not fail.
        let _ = writeln!(out, "| {document} | {} | {part} | {coverage} | {} |", spec.version, spec.note);
    }
    out.push_str(
        "\n## XEP-0479 0.1.0, advanced server\n\nEach row of the suites of 2023 that an advanced server must have.\n\n\
         | suite | feature | documents | coverage | begin reading at |\n|---|---|---|---|---|\n",
    );
    for row in xmpp_server::ADVANCED_SERVER {
        let is_whole = |document: &Document| {
            claims.iter().any(|(_, spec)| spec.document == *document && spec.coverage == Coverage::Complete)
        };
        let coverage = if row.providers.iter().all(is_whole) { "complete" } else { "in part" };
        let documents: Vec<String> = row.providers.iter().map(|document| name(*document)).collect();
        let (suite, feature, place) = (row.suite, row.feature, row.place);
        let _ = writeln!(out, "| {suite} | {feature} | {} | {coverage} | `{place}` |", documents.join(", "));
    }
    out
}

fn name(document: Document) -> String {
    match document {
        Document::Rfc(number) => format!("RFC {number}"),
        Document::Xep(number) => format!("XEP-{number:04}"),
    }
}
