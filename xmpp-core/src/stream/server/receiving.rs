//! The receiving entity's side of a server's stream — RFC 6120 §4.3, §5, §6 (EXTERNAL, §13.7.2.1), XEP-0178 §3, XEP-0220
//! §2.2 and §2.4 (dialback, offered as a feature), XEP-0288 §2 (both ways).
//!
//! ```text
//! Header ─▶ greet ─▶ Talking ─starttls─▶ secured ─▶ Header
//!                    Talking ─auth EXTERNAL─▶ proven ─▶ ProvenHeader ─▶ greet ─▶ Talking
//!                    Talking ─key─▶ judge: a pair is proven without a new header
//! ```
//!
//! In    [`Frame`]s, and the answers to what was asked.
//! Out   text to send, appended to the caller's buffer, and a [`Request`] when the shell must do something.
//! State the phase, what is offered, whom the header named, and the [`Talk`].
//! Errors [`StreamError`]; `not-authorized` for a stanza while nothing is proven.
//! Not here: TLS, certificates, whom we serve and whom we take streams from: the shell decides before it greets.

use super::dialback::Verdict;
use super::{Pair, Said, Talk, domain};
use crate::ns;
use crate::stanza::ErrorKind;
use crate::stream::limits::StreamLimits;
use crate::stream::{SaslFailure, StreamCondition, StreamError, print_server_header};
use crate::xml::{Element, Frame, Head};

/// What the stream may offer now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Greeting {
    /// What we take (XEP-0478).
    pub limits: StreamLimits,
    /// STARTTLS is possible.
    pub starttls: bool,
    /// Nothing else is served before TLS.
    pub require_tls: bool,
    /// The other side's certificate is that of the domain that its header names.
    pub external: bool,
    /// Keys are judged.
    pub dialback: bool,
}

/// What the shell must do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Somebody opens a stream. If it is to be served: [`Receiving::greet`].
    Greet {
        /// Which of our domains they want; `None` if they name none.
        ours: Option<String>,
        /// Which domain they say they are.
        theirs: Option<String>,
    },
    /// Send what was printed, then handshake, then [`Receiving::secured`].
    StartTls,
    /// EXTERNAL, with an authorization identity in base64 if there is one: [`Receiving::proven`] or
    /// [`Receiving::refuse`].
    External(Option<String>),
    /// Something that needs no negotiation.
    Said(Said),
    /// The peer ends the stream.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Talking,
    Proof,
    ProvenHeader,
}

/// One stream that another server opened.
#[derive(Debug)]
pub struct Receiving {
    phase: Phase,
    greeting: Greeting,
    /// Whom the header named: ours, and theirs if they said.
    named: Option<(String, Option<String>)>,
    is_bidi: bool,
    /// What the other side takes on a stream that goes both ways (XEP-0478 §3.2).
    limits: StreamLimits,
    /// Whether our header is out; errors before it send it first (§4.9.1.2).
    pub has_header: bool,
    /// What is proven.
    pub talk: Talk,
}

impl Default for Receiving {
    fn default() -> Self {
        Self {
            phase: Phase::Header,
            greeting: Greeting::default(),
            named: None,
            is_bidi: false,
            limits: StreamLimits::default(),
            has_header: false,
            talk: Talk::new(true),
        }
    }
}

impl Receiving {
    /// Whether stanzas may go back on this stream (XEP-0288).
    pub fn is_bidi(&self) -> bool {
        self.is_bidi
    }

    /// What the other side takes, if the stream goes both ways.
    pub fn limits(&self) -> StreamLimits {
        self.limits
    }

    /// The pair that the header names.
    pub fn named(&self) -> Option<Pair> {
        let (ours, theirs) = self.named.as_ref()?;
        Some(Pair::new(ours, theirs.as_ref()?))
    }

    /// Takes one frame.
    pub fn handle(&mut self, frame: Frame, out: &mut String) -> Result<Option<Request>, StreamError> {
        match (frame, self.phase) {
            (Frame::Close, _) => Ok(Some(Request::Close)),
            (Frame::Open(head), Phase::Header | Phase::ProvenHeader) => self.open(&head).map(Some),
            (Frame::Element(head, content), Phase::Talking) => match (head.name.as_str(), head.ns.as_str()) {
                ("starttls", ns::TLS) => Ok(Some(self.starttls(out))),
                ("auth", ns::SASL) => self.auth(&head, &content, out),
                ("bidi", ns::BIDI) => self.bidi(&head, &content),
                (_, ns::DIALBACK) if self.greeting.require_tls => self.refuse_key(&head, &content, out),
                (_, ns::DIALBACK | ns::STREAM) => {
                    Ok(self.talk.handle(head, content, out)?.map(Request::Said))
                }
                // §4.9.3.12: nothing is served to whom nobody knows.
                _ if self.talk.proven().is_empty() => Err(StreamCondition::NotAuthorized.into()),
                _ => Ok(self.talk.handle(head, content, out)?.map(Request::Said)),
            },
            _ => Err(StreamCondition::BadFormat.into()),
        }
    }

    fn open(&mut self, head: &Head) -> Result<Request, StreamError> {
        if head.attribute("xmlns").is_some_and(|content| content != ns::SERVER) {
            return Err(StreamCondition::InvalidNamespace.into());
        }
        let major = head.attribute("version").and_then(|version| version.split_once('.'));
        if major.and_then(|(major, _)| major.parse::<u32>().ok()) != Some(1) {
            return Err(StreamCondition::UnsupportedVersion.into());
        }
        let theirs = match head.attribute("from") {
            None => None,
            some => Some(domain(some).ok_or(StreamCondition::ImproperAddressing)?),
        };
        let ours = match head.attribute("to") {
            None => None,
            some => Some(domain(some).ok_or(StreamCondition::ImproperAddressing)?),
        };
        if self.phase == Phase::ProvenHeader {
            let (named_ours, named_theirs) = self.named.clone().unwrap_or_default();
            if ours.as_ref().is_some_and(|ours| *ours != named_ours)
                || (theirs.is_some() && theirs != named_theirs)
            {
                // What was proven was another one.
                return Err(StreamCondition::InvalidFrom.into());
            }
            return Ok(Request::Greet { ours: Some(named_ours), theirs: named_theirs });
        }
        Ok(Request::Greet { ours, theirs })
    }

    /// Answers the header of somebody who is to be served; `id` is fresh.
    pub fn greet(
        &mut self,
        greeting: Greeting,
        ours: &str,
        theirs: Option<&str>,
        id: &str,
        out: &mut String,
    ) {
        self.print_header(ours, theirs, id, out);
        self.named = Some((ours.to_owned(), theirs.map(str::to_owned)));
        let is_proven = self.phase == Phase::ProvenHeader;
        self.greeting = if is_proven {
            Greeting { dialback: greeting.dialback, limits: greeting.limits, ..Greeting::default() }
        } else {
            greeting
        };
        self.phase = Phase::Talking;
        let mut features = Vec::new();
        if self.greeting.starttls {
            let starttls = Element::new("starttls", ns::TLS);
            let required = greeting.require_tls.then(|| Element::new("required", ns::TLS));
            features.push(starttls.children_from(required));
        }
        if self.greeting.external {
            features.push(Element::new("mechanisms", ns::SASL).text_child("mechanism", EXTERNAL));
        }
        if self.greeting.dialback && !self.greeting.require_tls {
            let errors = Element::new("errors", ns::DIALBACK_FEATURE);
            features.push(Element::new("dialback", ns::DIALBACK_FEATURE).child(errors));
        }
        if is_proven {
            features.push(Element::new("sm", ns::SM)); // XEP-0198 §3: once somebody is known
        } else {
            features.push(Element::new("bidi", ns::BIDI_FEATURE)); // XEP-0288 §2.1: before TLS and after
        }
        features.extend(self.greeting.limits.to_element());
        out.push_str("<stream:features>");
        for feature in features {
            feature.print(ns::SERVER, out);
        }
        out.push_str("</stream:features>");
    }

    /// Our header, for an error that comes before we greet.
    pub fn print_header(&mut self, ours: &str, theirs: Option<&str>, id: &str, out: &mut String) {
        print_server_header(ours, theirs, Some(id), out);
        self.has_header = true;
    }

    fn starttls(&mut self, out: &mut String) -> Request {
        if self.greeting.starttls && self.talk.proven().is_empty() {
            Element::new("proceed", ns::TLS).print(ns::SERVER, out);
            return Request::StartTls;
        }
        // §5.4.2.2: failure, and the stream ends.
        Element::new("failure", ns::TLS).print(ns::SERVER, out);
        Request::Close
    }

    /// TLS holds: a new header is expected.
    pub fn secured(&mut self) {
        self.phase = Phase::Header;
        self.has_header = false;
        self.is_bidi = false;
        self.named = None;
    }

    fn bidi(&mut self, head: &Head, content: &[u8]) -> Result<Option<Request>, StreamError> {
        if self.greeting.require_tls {
            return Err(StreamError::because(StreamCondition::PolicyViolation, "TLS first"));
        }
        let text = std::str::from_utf8(content).unwrap_or_default();
        self.limits = StreamLimits::find(&Element::parse_content(text, ns::BIDI, &head.prefixes)?);
        self.is_bidi = true;
        Ok(None)
    }

    fn auth(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        if !self.greeting.external || head.attribute("mechanism") != Some(EXTERNAL) {
            return self.refuse(SaslFailure::InvalidMechanism, out).map(|()| None);
        }
        let text = std::str::from_utf8(content).ok().filter(|text| !text.contains('<'));
        let Some(text) = text.map(str::trim) else {
            return self.refuse(SaslFailure::MalformedRequest, out).map(|()| None);
        };
        self.phase = Phase::Proof;
        Ok(Some(Request::External((!matches!(text, "" | "=")).then(|| text.to_owned()))))
    }

    /// The domain that the header named is who they are: prints success and expects a new header.
    pub fn proven(&mut self, out: &mut String) {
        if let Some(pair) = self.named() {
            self.talk.prove(pair);
        }
        Element::new("success", ns::SASL).print(ns::SERVER, out);
        self.phase = Phase::ProvenHeader;
        self.has_header = false;
    }

    /// EXTERNAL is refused, and not offered again; dialback may follow on the same stream.
    pub fn refuse(&mut self, failure: SaslFailure, out: &mut String) -> Result<(), StreamError> {
        let failure = Element::new(failure.as_str(), ns::SASL);
        Element::new("failure", ns::SASL).child(failure).print(ns::SERVER, out);
        self.phase = Phase::Talking;
        self.greeting.external = false;
        if !self.greeting.dialback {
            return Err(StreamError::because(StreamCondition::PolicyViolation, "no other proof is taken"));
        }
        Ok(())
    }

    /// XEP-0220 §2.5: keys come after TLS where TLS is demanded.
    fn refuse_key(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        let verdict = Verdict::Error(ErrorKind::PolicyViolation);
        match self.talk.handle(head.clone(), bytes::Bytes::copy_from_slice(content), out)? {
            Some(Said::Key { pair, .. }) => self.talk.judge(&pair, verdict, out)?,
            Some(Said::Verify { pair, id, .. }) => Talk::confirm(&pair, &id, verdict, out),
            _ => {}
        }
        Ok(None)
    }
}

const EXTERNAL: &str = "EXTERNAL";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Framer, Limits};

    const OPEN: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                        xmlns:db='jabber:server:dialback' from='theirs.example' to='ours.example' version='1.0'>";
    const KEY: &str = "<db:result from='theirs.example' to='ours.example'>k</db:result>";
    const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>dA==</auth>";
    const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    const BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";
    const MESSAGE: &str = "<message from='a@theirs.example' to='b@ours.example'/>";

    const LIMITS: StreamLimits = StreamLimits { bytes: 0, idle: 0 };
    const PLAIN: Greeting =
        Greeting { limits: LIMITS, starttls: true, require_tls: true, external: false, dialback: true };
    const SECURE: Greeting =
        Greeting { limits: LIMITS, starttls: false, require_tls: false, external: true, dialback: true };

    fn run(machine: &mut Receiving, text: &str) -> (Result<Option<Request>, StreamCondition>, String) {
        let mut framer = Framer::new(Limits::default());
        if !text.starts_with("<stream:stream") {
            framer.push(OPEN.as_bytes());
            framer.next().unwrap();
        }
        framer.push(text.as_bytes());
        let frame = framer.next().unwrap().unwrap();
        let mut out = String::new();
        let request = machine.handle(frame, &mut out).map_err(|error| error.condition);
        (request, out)
    }

    /// A machine that has greeted with this.
    fn greeted(greeting: Greeting) -> (Receiving, String) {
        let mut machine = Receiving::default();
        let wanted =
            Request::Greet { ours: Some("ours.example".into()), theirs: Some("theirs.example".into()) };
        assert_eq!(run(&mut machine, OPEN).0, Ok(Some(wanted)));
        let mut out = String::new();
        machine.greet(greeting, "ours.example", Some("theirs.example"), "i1", &mut out);
        (machine, out)
    }

    #[test]
    fn goes_by_tls_and_external_to_stanzas() {
        let (mut it, out) = greeted(PLAIN);
        assert!(out.contains("<required/>") && out.contains("id='i1'"), "{out}");
        assert!(!out.contains("mechanisms") && !out.contains("<dialback"), "TLS first: {out}");
        let (request, out) = run(&mut it, STARTTLS);
        assert!(request == Ok(Some(Request::StartTls)) && out.starts_with("<proceed"));
        it.secured();
        assert!(!it.has_header, "what follows is another stream");
        run(&mut it, OPEN).0.unwrap();
        let mut out = String::new();
        it.greet(SECURE, "ours.example", Some("theirs.example"), "i2", &mut out);
        assert!(
            out.contains("<mechanism>EXTERNAL<") && out.contains("<errors/>") && !out.contains("starttls")
        );
        assert_eq!(run(&mut it, BIDI), (Ok(None), String::new()));
        assert_eq!(run(&mut it, AUTH).0, Ok(Some(Request::External(Some("dA==".into())))));
        let mut out = String::new();
        it.proven(&mut out);
        assert!(out.starts_with("<success"));
        run(&mut it, OPEN).0.unwrap();
        let mut out = String::new();
        it.greet(SECURE, "ours.example", Some("theirs.example"), "i3", &mut out);
        assert!(!out.contains("mechanism") && !out.contains("bidi") && out.contains("<dialback"), "{out}");
        assert!(matches!(run(&mut it, MESSAGE).0, Ok(Some(Request::Said(Said::Stanza(..))))));
        assert!(it.is_bidi());
    }

    /// One row an arrow: the greeting, what comes, and what is made of it.
    #[test]
    fn each_element_has_its_place() {
        let dialback = Greeting { external: false, ..SECURE };
        let closed = Greeting { dialback: false, ..SECURE };
        let auth = |text: &str| AUTH.replace("dA==", text);
        let rows = [
            (PLAIN, MESSAGE.to_owned(), Err(StreamCondition::NotAuthorized), ""),
            (PLAIN, KEY.to_owned(), Ok(None), "<policy-violation"),
            (PLAIN, BIDI.to_owned(), Err(StreamCondition::PolicyViolation), ""),
            (PLAIN, auth("dA=="), Ok(None), "<invalid-mechanism"),
            (SECURE, STARTTLS.to_owned(), Ok(Some(Request::Close)), "<failure"),
            (SECURE, MESSAGE.to_owned(), Err(StreamCondition::NotAuthorized), ""),
            (dialback, auth("dA=="), Ok(None), "<invalid-mechanism"),
            (
                closed,
                auth("").replace("EXTERNAL", "PLAIN"),
                Err(StreamCondition::PolicyViolation),
                "<invalid-mechanism",
            ),
            (SECURE, auth("="), Ok(Some(Request::External(None))), ""),
            (SECURE, auth("<x/>"), Ok(None), "<malformed-request"),
            (SECURE, "</stream:stream>".to_owned(), Ok(Some(Request::Close)), ""),
        ];
        for (greeting, text, wanted, said) in rows {
            let (mut machine, _) = greeted(greeting);
            let (request, out) = run(&mut machine, &text);
            assert_eq!(request, wanted, "{text}");
            assert!(out.contains(said), "{text}: {out}");
        }
        let (mut machine, _) = greeted(dialback);
        assert!(matches!(run(&mut machine, KEY).0, Ok(Some(Request::Said(Said::Key { .. })))));
    }

    #[test]
    fn judges_the_header() {
        for (change, wanted) in [
            (("jabber:server'", "jabber:client'"), StreamCondition::InvalidNamespace),
            (("version='1.0'", ""), StreamCondition::UnsupportedVersion),
            (("version='1.0'", "version='2.0'"), StreamCondition::UnsupportedVersion),
            (("from='theirs", "from='u@theirs"), StreamCondition::ImproperAddressing),
            (("to='ours", "to='u@ours"), StreamCondition::ImproperAddressing),
        ] {
            let (result, _) = run(&mut Receiving::default(), &OPEN.replacen(change.0, change.1, 1));
            assert_eq!(result, Err(wanted), "{change:?}");
        }
        let nameless = OPEN.replace("from='theirs.example' ", "").replace("to='ours.example' ", "");
        let greet = Request::Greet { ours: None, theirs: None };
        assert_eq!(run(&mut Receiving::default(), &nameless).0, Ok(Some(greet)));
        let (mut machine, _) = greeted(SECURE);
        assert_eq!(run(&mut machine, OPEN).0, Err(StreamCondition::BadFormat), "a second header");
    }

    #[test]
    fn who_proved_to_be_one_domain_cannot_go_on_as_another() {
        let (mut machine, _) = greeted(SECURE);
        run(&mut machine, AUTH).0.unwrap();
        machine.proven(&mut String::new());
        let other = OPEN.replace("theirs.example", "other.example");
        assert_eq!(run(&mut machine, &other).0, Err(StreamCondition::InvalidFrom));
    }
}
