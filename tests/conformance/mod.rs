//! The messages of RFC 4475 and RFC 5118 with the reactions that we owe them; test crates include this file by its path.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// One message.
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    /// `valid`, or a status and a fault.
    pub parser: String,
    /// `dropped`, `forwarded`, or a status with or without a reason phrase; one or more, in order.
    pub server: Vec<String>,
    /// The same over TCP, where there is also `waits` and `closed`.
    pub stream: Vec<String>,
}

/// The 49 messages of RFC 4475.
pub fn rfc4475() -> Vec<Case> {
    cases("rfc4475", rfc4475_files())
}

/// The 12 messages of RFC 5118.
pub fn rfc5118() -> Vec<Case> {
    let folder = folder("rfc5118");
    let names = read(&folder.join("reactions.txt"));
    let files = names.lines().filter_map(divide).map(|columns| {
        let name = columns[0];
        let bytes = std::fs::read(folder.join(format!("{name}.sip"))).expect("each message is a file");
        (name.to_owned(), bytes)
    });
    cases("rfc5118", files.collect())
}

/// Every file of RFC 4475's archive, that which no section is about among them.
pub fn rfc4475_files() -> HashMap<String, Vec<u8>> {
    let text = read(&folder("rfc4475").join("messages.tar.gz.base64"));
    let packed = STANDARD.decode(text.split_whitespace().collect::<String>()).expect("base64");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
    let entries = archive.entries().expect("a tar archive").map(|entry| entry.expect("whole"));
    entries
        .filter(|entry| entry.header().entry_type().is_file())
        .map(|mut entry| {
            let path = entry.path().expect("a name").into_owned();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("whole");
            (name, bytes)
        })
        .collect()
}

fn cases(rfc: &str, mut files: HashMap<String, Vec<u8>>) -> Vec<Case> {
    let reactions = read(&folder(rfc).join("reactions.txt"));
    let streams = std::fs::read_to_string(folder(rfc).join("streams.txt")).unwrap_or_default();
    let words = |column: &str| -> Vec<String> { column.split(" then ").map(str::to_owned).collect() };
    let case = |columns: Vec<&str>| {
        let [name, parser, server, ..] = columns[..] else { panic!("{columns:?} are not enough columns") };
        let stream = streams.lines().filter_map(divide).find(|columns| columns[0] == name);
        Case {
            name: name.to_owned(),
            bytes: files.remove(name).unwrap_or_else(|| panic!("there is a message {name}")),
            parser: parser.to_owned(),
            server: words(server),
            stream: words(stream.map_or(server, |columns| columns[1])),
        }
    };
    reactions.lines().filter_map(divide).map(case).collect()
}

/// The columns of a line; `None` for a comment.
fn divide(line: &str) -> Option<Vec<&str>> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    (!columns[0].is_empty() && !columns[0].starts_with('#')).then_some(columns)
}

fn folder(rfc: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance").join(rfc)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
