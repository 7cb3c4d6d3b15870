//! The stream's start and end tags as a server writes them — RFC 6120 §4.7.

use crate::ns;
use crate::xml::print_attribute;

/// The response header: from whom, with which id, to whom if they said.
pub fn print_header(from: &str, id: &str, to: Option<&str>, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream");
    print_attribute("xmlns", ns::CLIENT, out);
    print_attribute("xmlns:stream", ns::STREAM, out);
    print_attribute("from", from, out);
    print_attribute("id", id, out);
    if let Some(to) = to {
        print_attribute("to", to, out);
    }
    out.push_str(" version='1.0' xml:lang='en'>");
}

/// The end of a stream (§4.4).
pub const CLOSE: &str = "</stream:stream>";
