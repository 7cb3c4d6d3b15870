//! The stream's start and end tags as a server writes them — RFC 6120 §4.7, XEP-0220 §2.4.1, XEP-0114 §3.

use crate::ns;
use crate::xml::print_attribute;

/// The response header to a client: from whom, with which id, to whom if they said.
pub fn print_header(from: &str, id: &str, to: Option<&str>, out: &mut String) {
    let attributes = [("from", Some(from)), ("id", Some(id)), ("to", to), ("version", Some("1.0"))];
    print(ns::CLIENT, &attributes, " xml:lang='en'", out);
}

/// The header to another server, which also says that dialback is spoken here. Whoever answers gives the stream an id.
pub fn print_server_header(from: &str, to: Option<&str>, id: Option<&str>, out: &mut String) {
    let attributes = [
        ("xmlns:db", Some(ns::DIALBACK)),
        ("from", Some(from)),
        ("to", to),
        ("id", id),
        ("version", Some("1.0")),
    ];
    print(ns::SERVER, &attributes, " xml:lang='en'", out);
}

/// The response header to an external component: its own name, and the id that it proves its secret with.
pub fn print_component_header(name: &str, id: &str, out: &mut String) {
    print(ns::COMPONENT, &[("from", Some(name)), ("id", Some(id))], "", out);
}

fn print(content: &str, attributes: &[(&str, Option<&str>)], end: &str, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream");
    print_attribute("xmlns", content, out);
    print_attribute("xmlns:stream", ns::STREAM, out);
    for (name, value) in attributes {
        if let Some(value) = value {
            print_attribute(name, value, out);
        }
    }
    out.push_str(end);
    out.push('>');
}

/// The end of a stream (§4.4).
pub const CLOSE: &str = "</stream:stream>";
