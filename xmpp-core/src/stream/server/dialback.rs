//! The elements of dialback — XEP-0220 1.1.1, sections 2.1, 2.2 (`<db:result/>`, `<db:verify/>`), 2.5 (errors).
//!
//! In    a first-level element of this namespace. Out a [`Dialback`], which prints itself with the prefix `db`, which some
//!       servers insist on (§2.4.1).
//! Errors `None` for what lacks an address, or says neither a key nor a verdict that there is.

use super::domain;
use crate::ns;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::{Element, Head, escape_text, print_attribute};

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one that the domain made.
    Valid,
    /// It is not.
    Invalid,
    /// It could not be judged (§2.5, table 1).
    Error(ErrorKind),
}

/// Which of the two elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `<db:result/>`: between the initiating and the receiving server.
    Result,
    /// `<db:verify/>`, and the id of the stream that the key is for: between the receiving and the authoritative server.
    Verify(String),
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Key(String),
    Verdict(Verdict),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialback {
    pub(super) step: Step,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) what: What,
}

impl Dialback {
    pub(super) fn parse(head: &Head, content: &[u8]) -> Option<Self> {
        let step = match head.name.as_str() {
            "result" => Step::Result,
            "verify" => Step::Verify(head.attribute("id").filter(|id| id.len() <= LONGEST)?.to_owned()),
            _ => return None,
        };
        let (from, to) = (domain(head.attribute("from"))?, domain(head.attribute("to"))?);
        let text = std::str::from_utf8(content).ok()?;
        let what = match head.attribute("type") {
            None => {
                let key = crate::xml::unescape(text).ok()?.trim().to_owned();
                What::Key(Some(key).filter(|key| !key.is_empty() && key.len() <= LONGEST)?)
            }
            Some("valid") => What::Verdict(Verdict::Valid),
            Some("invalid") => What::Verdict(Verdict::Invalid),
            Some("error") => {
                let said = Element::parse_content(text, ns::SERVER, &head.prefixes).unwrap_or_default();
                let error = said.iter().find(|child| child.is("error", ns::SERVER));
                let mut conditions = error.into_iter().flat_map(Element::children);
                let kind = conditions.find_map(|condition| ErrorKind::from_name(&condition.name));
                // §2.1.1: whatever it is, the stanzas go back with this.
                What::Verdict(Verdict::Error(kind.unwrap_or(ErrorKind::RemoteServerTimeout)))
            }
            Some(_) => return None,
        };
        Some(Self { step, from, to, what })
    }

    pub(super) fn print(&self, out: &mut String) {
        let name = match &self.step {
            Step::Result => "db:result",
            Step::Verify(_) => "db:verify",
        };
        out.push('<');
        out.push_str(name);
        print_attribute("from", &self.from, out);
        print_attribute("to", &self.to, out);
        if let Step::Verify(id) = &self.step {
            print_attribute("id", id, out);
        }
        match &self.what {
            What::Key(key) => {
                out.push('>');
                escape_text(key, out);
            }
            What::Verdict(verdict) => {
                let (type_, error) = match verdict {
                    Verdict::Valid => ("valid", None),
                    Verdict::Invalid => ("invalid", None),
                    Verdict::Error(kind) => ("error", Some(StanzaError::new(*kind).to_element())),
                };
                print_attribute("type", type_, out);
                out.push('>');
                if let Some(error) = error {
                    error.print(ns::CLIENT, out); // it inherits the stream's content namespace
                }
            }
        }
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

/// Bytes of a key, and of a stream's id.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, attributes: &[(&str, &str)], content: &str) -> Option<Dialback> {
        let attributes = attributes.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let head = Head { name: name.into(), ns: ns::DIALBACK.into(), attributes, prefixes: String::new() };
        Dialback::parse(&head, content.as_bytes())
    }

    /// Examples 1, 2, 8 of the XEP.
    #[test]
    fn reads_and_prints_the_examples() {
        let pair = [("from", "Capulet.example"), ("to", "montague.example")];
        let key = parse("result", &pair, "\n   b4835385f37fe287\n").unwrap();
        assert_eq!(
            (key.from.as_str(), &key.what),
            ("capulet.example", &What::Key("b4835385f37fe287".into()))
        );
        let mut out = String::new();
        key.print(&mut out);
        assert_eq!(
            out,
            "<db:result from='capulet.example' to='montague.example'>b4835385f37fe287</db:result>"
        );

        let valid = [("from", "montague.example"), ("to", "capulet.example"), ("type", "valid")];
        assert_eq!(parse("result", &valid, "").unwrap().what, What::Verdict(Verdict::Valid));

        let error =
            [("from", "montague.example"), ("id", "417GAF25"), ("to", "capulet.example"), ("type", "error")];
        let said =
            "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let error = parse("verify", &error, said).unwrap();
        assert_eq!(error.what, What::Verdict(Verdict::Error(ErrorKind::ItemNotFound)));
        assert_eq!(error.step, Step::Verify("417GAF25".into()));
        let mut out = String::new();
        error.print(&mut out);
        assert_eq!(
            out,
            format!(
                "<db:verify from='montague.example' to='capulet.example' id='417GAF25' type='error'>{said}</db:verify>"
            )
        );
    }

    #[test]
    fn takes_nothing_that_lacks_what_it_needs() {
        let pair = [("from", "a.example"), ("to", "b.example")];
        assert!(parse("result", &pair[..1], "k").is_none() && parse("result", &pair, " ").is_none());
        assert!(parse("verify", &pair, "k").is_none(), "no id");
        assert!(parse("result", &[("from", "u@a.example"), ("to", "b.example")], "k").is_none());
        assert!(parse("result", &[pair[0], pair[1], ("type", "maybe")], "").is_none());
        assert!(parse("other", &pair, "k").is_none());
        assert!(parse("result", &pair, &"k".repeat(LONGEST + 1)).is_none());
        let unknown = [pair[0], pair[1], ("type", "error")];
        let unknown = parse("result", &unknown, "<error><x/></error>").unwrap();
        assert_eq!(unknown.what, What::Verdict(Verdict::Error(ErrorKind::RemoteServerTimeout)));
    }
}
