//! The stream of an external component — XEP-0114 1.6, section 3 (`jabber:component:accept`).
//!
//! ```text
//! Header ─▶ greet ─▶ Handshake ─hash─▶ accepted ─▶ Open: stanzas of its domain
//! ```
//!
//! In    [`Frame`]s. Out text to send, and a [`Request`].
//! State the phase and the component's name.
//! Errors `not-authorized` before the handshake, `invalid-from` for a stanza of another domain, `improper-addressing` for
//!        one without `to`.
//! Not here: names and secrets, the hash.

use super::{StreamCondition, StreamError, print_component_header};
use crate::ns;
use crate::stanza::{ErrorKind, ParseError, Stanza, StanzaError};
use crate::xml::{Element, Frame, Head};

/// What the shell must do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// A component of this name begins; if it is known: [`Component::greet`].
    Greet(String),
    /// It shows this hash of the stream's id and its secret; if it is right: [`Component::accepted`].
    Handshake(String),
    /// A stanza, or why it is to be answered with an error.
    Stanza(Box<Stanza>, Option<StanzaError>),
    /// The peer ends the stream.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Handshake,
    Open,
}

/// One stream that a component opened.
#[derive(Debug)]
pub struct Component {
    phase: Phase,
    name: String,
    /// Whether our header is out; errors before it send it first.
    pub has_header: bool,
}

impl Default for Component {
    fn default() -> Self {
        Self { phase: Phase::Header, name: String::new(), has_header: false }
    }
}

impl Component {
    /// Takes one frame.
    pub fn handle(&mut self, frame: Frame) -> Result<Request, StreamError> {
        match (frame, self.phase) {
            (Frame::Close, _) => Ok(Request::Close),
            // RFC 6120 §4.9.1.1.
            (Frame::Element(head, _), _) if head.ns == ns::STREAM && head.name == "error" => {
                Ok(Request::Close)
            }
            (Frame::Open(head), Phase::Header) => Self::open(&head),
            (Frame::Element(head, content), Phase::Handshake) => {
                if head.name != "handshake" || head.ns != ns::COMPONENT {
                    return Err(StreamCondition::NotAuthorized.into());
                }
                let text = std::str::from_utf8(&content).unwrap_or_default();
                Ok(Request::Handshake(text.trim().to_owned()))
            }
            (Frame::Element(head, content), Phase::Open) => self.stanza(head, content),
            _ => Err(StreamCondition::BadFormat.into()),
        }
    }

    fn open(head: &Head) -> Result<Request, StreamError> {
        if head.attribute("xmlns") != Some(ns::COMPONENT) {
            return Err(StreamCondition::InvalidNamespace.into());
        }
        super::server::domain(head.attribute("to"))
            .map(Request::Greet)
            .ok_or_else(|| StreamCondition::HostUnknown.into())
    }

    /// Answers the header of a component that is known; `id` is fresh.
    pub fn greet(&mut self, name: &str, id: &str, out: &mut String) {
        print_component_header(name, id, out);
        self.has_header = true;
        self.name = name.to_owned();
        self.phase = Phase::Handshake;
    }

    /// The hash is right.
    pub fn accepted(&mut self, out: &mut String) {
        Element::new("handshake", ns::COMPONENT).print(ns::COMPONENT, out);
        self.phase = Phase::Open;
    }

    fn stanza(&self, head: Head, content: bytes::Bytes) -> Result<Request, StreamError> {
        let (mut stanza, wrong) = match Stanza::from_foreign_frame(ns::COMPONENT, head, content) {
            Ok(stanza) => (Box::new(stanza), None),
            Err((ParseError::BadTo(error) | ParseError::BadFrom(error), Some(stanza))) => {
                // An address of the component's domain that is none is one user's fault: the stream of all stays.
                (stanza, Some(StanzaError::because(ErrorKind::JidMalformed, error.to_string())))
            }
            Err((error, _)) => return Err(error.into()),
        };
        if stanza.from.as_ref().is_none_or(|from| from.domain() != self.name) {
            return Err(StreamCondition::InvalidFrom.into());
        }
        if stanza.to.is_none() && wrong.is_none() {
            return Err(StreamCondition::ImproperAddressing.into());
        }
        if wrong.is_some() {
            stanza.to = self.name.parse().ok();
        }
        Ok(Request::Stanza(stanza, wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Framer, Limits};

    const OPEN: &str = "<stream:stream xmlns='jabber:component:accept' \
                        xmlns:stream='http://etherx.jabber.org/streams' to='plays.shakespeare.lit'>";

    fn run(machine: &mut Component, text: &str) -> Result<Request, StreamCondition> {
        let mut framer = Framer::new(Limits::default());
        if !text.starts_with("<stream:stream") {
            framer.push(OPEN.as_bytes());
            framer.next().unwrap();
        }
        framer.push(text.as_bytes());
        machine.handle(framer.next().unwrap().unwrap()).map_err(|error| error.condition)
    }

    #[test]
    fn goes_from_header_to_stanzas() {
        let mut it = Component::default();
        assert_eq!(run(&mut it, OPEN), Ok(Request::Greet("plays.shakespeare.lit".into())));
        let mut out = String::new();
        it.greet("plays.shakespeare.lit", "3BF96D32", &mut out);
        assert!(out.contains("from='plays.shakespeare.lit' id='3BF96D32'>"), "{out}");
        assert_eq!(
            run(&mut it, "<message from='plays.shakespeare.lit' to='a@b'/>"),
            Err(StreamCondition::NotAuthorized)
        );
        assert_eq!(run(&mut it, "<handshake>aaee</handshake>"), Ok(Request::Handshake("aaee".into())));
        let mut out = String::new();
        it.accepted(&mut out);
        assert_eq!(out, "<handshake/>");
        let message =
            run(&mut it, "<message from='hamlet@plays.shakespeare.lit' to='a@b'><body>x</body></message>");
        let Ok(Request::Stanza(stanza, None)) = message else { panic!() };
        assert!(stanza.find("body", ns::CLIENT).is_some(), "inside it is a client's");
        for (text, wanted) in [
            ("<message from='other.lit' to='a@b'/>", StreamCondition::InvalidFrom),
            ("<message to='a@b'/>", StreamCondition::InvalidFrom),
            ("<message from='plays.shakespeare.lit'/>", StreamCondition::ImproperAddressing),
        ] {
            assert_eq!(run(&mut it, text), Err(wanted), "{text}");
        }
        for addresses in
            ["from='plays.shakespeare.lit' to='@'", "from='a@plays.shakespeare.lit/&#9;' to='a@b'"]
        {
            let wrong = run(&mut it, &format!("<message {addresses}/>"));
            assert!(matches!(wrong, Ok(Request::Stanza(_, Some(_)))), "{addresses}: {wrong:?}");
        }
    }

    #[test]
    fn judges_the_header() {
        let mut it = Component::default();
        assert_eq!(
            run(&mut it, &OPEN.replace("jabber:component:accept", "jabber:client")),
            Err(StreamCondition::InvalidNamespace)
        );
        assert_eq!(
            run(&mut it, &OPEN.replace(" to='plays.shakespeare.lit'", "")),
            Err(StreamCondition::HostUnknown)
        );
    }
}
