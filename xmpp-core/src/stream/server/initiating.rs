//! The initiating entity's side of a stream to another server — RFC 6120 §4.3, §5, §6 (EXTERNAL), XEP-0178 §3, XEP-0220 §2.1
//! (dialback), XEP-0288 §2 (both ways).
//!
//! ```text
//! Header ─▶ Features ─starttls─▶ Proceed ─▶ Header(secured)
//!           Features ─auth EXTERNAL─▶ Proof ─success─▶ ProvenHeader ─▶ ProvenFeatures ─▶ open
//!           Features ─key──────────────▶ Verdict ─valid─▶ open
//!                       Proof ─failure─▶ key, if the other side takes keys
//!           Features ─verify───────────▶ Verdict ─▶ judged                         (Purpose::Verify)
//! ```
//!
//! In    [`Frame`]s, and the answers to what was asked.
//! Out   text to send, appended to the caller's buffer, and an [`Ask`] when the shell must do something.
//! State the phase, what is wanted, and what the other side offered.
//! Errors [`Refusal`]: what the other server would not do, or did wrong.
//! Not here: TLS and whether a certificate is good; keys; sending.

use super::dialback::{Dialback, Step, Verdict, What};
use super::{Pair, Talk};
use crate::ns;
use crate::stream::limits::StreamLimits;
use crate::stream::{StreamCondition, StreamError, print_server_header};
use crate::xml::{Element, Frame, Head};

/// What the stream is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To send stanzas.
    Speak,
    /// To ask whether a key is the other server's own (XEP-0220 §2.1.2).
    Verify {
        /// The stream that the key is for.
        id: String,
        /// The key.
        key: String,
    },
}

/// What we want of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// From whom and to whom.
    pub pair: Pair,
    /// What for.
    pub purpose: Purpose,
    /// TLS holds already.
    pub is_secure: bool,
    /// Without TLS there is to be no stream.
    pub require_tls: bool,
    /// Whether a key may stand in for a certificate.
    pub dialback: bool,
    /// Our domain in base64, as EXTERNAL says it (XEP-0178 §3).
    pub authzid: String,
    /// What we take on a stream that goes both ways (XEP-0478 §3.2).
    pub limits: StreamLimits,
}

/// What the shell must do next.
#[derive(Debug)]
pub enum Ask {
    /// Send what was printed, then handshake, then [`Initiating::secured`].
    StartTls,
    /// Expect a new header ([`crate::xml::Framer::restart`]).
    Restart,
    /// Make a key for the stream of this id, then [`Initiating::show`].
    Key(String),
    /// Stanzas may be sent, and come if the stream goes both ways.
    Open(Talk),
    /// The key that was to be verified is this.
    Judged(Verdict),
}

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The other server has no TLS, and we want it.
    #[error("the other server offers no TLS")]
    NoTls,
    /// Neither our certificate nor a key is taken.
    #[error("the other server takes no proof that we have")]
    NoProof,
    /// It found our key to be none of ours.
    #[error("the other server says that our key is invalid")]
    Invalid,
    /// It could not judge our key.
    #[error("the other server could not check our key: {}", .0.as_str())]
    Unjudged(crate::ErrorKind),
    /// It ended the stream.
    #[error("the other server ended the stream: {}", .0.condition.as_str())]
    Ended(StreamError),
    /// It said something out of order, and is told so.
    #[error("the other server does not keep to the protocol: {}", .0.condition.as_str())]
    Wrong(StreamError),
}

impl From<StreamCondition> for Refusal {
    fn from(condition: StreamCondition) -> Self {
        Self::Wrong(condition.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Features,
    Proceed,
    Proof,
    ProvenHeader,
    ProvenFeatures,
    Verdict,
}

/// One stream that we open.
#[derive(Debug)]
pub struct Initiating {
    phase: Phase,
    wish: Wish,
    /// The id that the other side gave the stream.
    id: String,
    takes_keys: bool,
    is_bidi: bool,
    counts: bool,
    /// What the other side takes.
    limits: StreamLimits,
}

impl Initiating {
    /// Begins: prints our header.
    pub fn new(wish: Wish, out: &mut String) -> Self {
        let it = Self {
            phase: Phase::Header,
            wish,
            id: String::new(),
            takes_keys: false,
            is_bidi: false,
            counts: false,
            limits: StreamLimits::default(),
        };
        it.print_header(out);
        it
    }

    /// Whether stanzas may come back on this stream (XEP-0288).
    pub fn is_bidi(&self) -> bool {
        self.is_bidi
    }

    /// Whether the other side counts stanzas, and acks them (XEP-0198).
    pub fn counts(&self) -> bool {
        self.counts
    }

    /// What the other side said last that it takes.
    pub fn limits(&self) -> StreamLimits {
        self.limits
    }

    /// The id that the other side gave the stream.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn print_header(&self, out: &mut String) {
        let Pair { ours, theirs } = &self.wish.pair;
        print_server_header(ours, Some(theirs), None, out);
    }

    /// Takes one frame.
    pub fn handle(&mut self, frame: Frame, out: &mut String) -> Result<Option<Ask>, Refusal> {
        let (head, content) = match frame {
            Frame::Close => return Err(Refusal::Ended(StreamCondition::UndefinedCondition.into())),
            Frame::Open(head) => return self.open(&head, out),
            Frame::Element(head, content) => (head, content),
        };
        if head.ns == ns::STREAM && head.name == "error" {
            return Err(Refusal::Ended(StreamError::parse(&content, &head.prefixes)));
        }
        match (self.phase, head.name.as_str(), head.ns.as_str()) {
            (Phase::Features, "features", ns::STREAM) => self.choose(&head, &content, out),
            (Phase::Proceed, "proceed", ns::TLS) => Ok(Some(Ask::StartTls)),
            (Phase::Proceed, "failure", ns::TLS) => Err(Refusal::NoTls),
            (Phase::Proof, "success", ns::SASL) => {
                self.phase = Phase::ProvenHeader;
                self.print_header(out);
                Ok(Some(Ask::Restart))
            }
            (Phase::Proof, "failure", ns::SASL) => self.ask_for_key(),
            (Phase::ProvenFeatures, "features", ns::STREAM) => {
                let text = std::str::from_utf8(&content).unwrap_or_default();
                let features = Element::parse_content(text, ns::SERVER, &head.prefixes);
                self.counts |= features.as_ref().is_ok_and(|features| offers_counting(features));
                // Behind the proof it may take more, or say nothing anew.
                let limits = features.map(|features| StreamLimits::find(&features)).unwrap_or_default();
                self.limits = if limits == StreamLimits::default() { self.limits } else { limits };
                Ok(Some(self.opened()))
            }
            (Phase::Verdict, _, ns::DIALBACK) => self.verdict(&head, &content),
            _ => Err(StreamCondition::NotAuthorized.into()),
        }
    }

    fn open(&mut self, head: &Head, out: &mut String) -> Result<Option<Ask>, Refusal> {
        if head.attribute("xmlns").is_some_and(|content| content != ns::SERVER) {
            return Err(StreamCondition::InvalidNamespace.into());
        }
        self.phase = match self.phase {
            Phase::Header => Phase::Features,
            Phase::ProvenHeader => Phase::ProvenFeatures,
            _ => return Err(StreamCondition::BadFormat.into()),
        };
        self.id = head.attribute("id").filter(|id| id.len() <= LONGEST_ID).unwrap_or_default().to_owned();
        self.takes_keys = head.prefixes.contains(ns::DIALBACK); // XEP-0220 §2.4.1
        if head.attribute("version").is_none() {
            // §4.7.5: a server of before has neither features nor TLS.
            return if self.wish.require_tls { Err(Refusal::NoTls) } else { self.prove(false, out) };
        }
        Ok(None)
    }

    fn choose(&mut self, head: &Head, content: &[u8], out: &mut String) -> Result<Option<Ask>, Refusal> {
        let text = std::str::from_utf8(content).unwrap_or_default();
        let features = Element::parse_content(text, ns::SERVER, &head.prefixes)
            .map_err(|error| Refusal::Wrong(error.into()))?;
        self.limits = StreamLimits::find(&features);
        self.counts |= offers_counting(&features);
        let find = |name: &str, ns: &str| features.iter().find(|feature| feature.is(name, ns));
        if !self.wish.is_secure && find("starttls", ns::TLS).is_some() {
            Element::new("starttls", ns::TLS).print(ns::SERVER, out);
            self.phase = Phase::Proceed;
            return Ok(None);
        }
        if !self.wish.is_secure && self.wish.require_tls {
            return Err(Refusal::NoTls);
        }
        self.takes_keys |= find("dialback", ns::DIALBACK_FEATURE).is_some();
        if self.wish.purpose == Purpose::Speak && find("bidi", ns::BIDI_FEATURE).is_some() {
            Element::new("bidi", ns::BIDI)
                .children_from(self.wish.limits.to_element())
                .print(ns::SERVER, out);
            self.is_bidi = true;
        }
        let mechanisms = find("mechanisms", ns::SASL);
        let mut mechanisms = mechanisms.into_iter().flat_map(Element::children);
        self.prove(mechanisms.any(|mechanism| mechanism.text().trim() == "EXTERNAL"), out)
    }

    fn prove(&mut self, by_certificate: bool, out: &mut String) -> Result<Option<Ask>, Refusal> {
        if let Purpose::Verify { id, key } = self.wish.purpose.clone() {
            self.phase = Phase::Verdict;
            self.print_key(Step::Verify(id), key, out);
            return Ok(None);
        }
        if !by_certificate {
            return self.ask_for_key();
        }
        self.phase = Phase::Proof;
        let auth = Element::new("auth", ns::SASL).with("mechanism", "EXTERNAL");
        auth.text_node(self.wish.authzid.clone()).print(ns::SERVER, out);
        Ok(None)
    }

    fn ask_for_key(&mut self) -> Result<Option<Ask>, Refusal> {
        if !self.takes_keys || !self.wish.dialback || self.id.is_empty() {
            return Err(Refusal::NoProof);
        }
        self.phase = Phase::Verdict;
        Ok(Some(Ask::Key(self.id.clone())))
    }

    /// Shows the key that was asked for.
    pub fn show(&self, key: String, out: &mut String) {
        self.print_key(Step::Result, key, out);
    }

    fn print_key(&self, step: Step, key: String, out: &mut String) {
        let Pair { ours: from, theirs: to } = self.wish.pair.clone();
        Dialback { step, from, to, what: What::Key(key) }.print(out);
    }

    /// TLS holds: prints a new header.
    pub fn secured(&mut self, out: &mut String) {
        self.wish.is_secure = true;
        self.phase = Phase::Header;
        self.print_header(out);
    }

    fn verdict(&mut self, head: &Head, content: &[u8]) -> Result<Option<Ask>, Refusal> {
        // §3.1: an answer counts if it is one to what was asked on this stream.
        let Some(said) = Dialback::parse(head, content) else { return Ok(None) };
        let is_of_pair = said.from == self.wish.pair.theirs && said.to == self.wish.pair.ours;
        let What::Verdict(verdict) = said.what else { return Ok(None) };
        match (&self.wish.purpose, said.step, verdict) {
            _ if !is_of_pair => Ok(None),
            (Purpose::Verify { id, .. }, Step::Verify(answered), _) if *id == answered => {
                Ok(Some(Ask::Judged(verdict)))
            }
            (Purpose::Speak, Step::Result, Verdict::Valid) => Ok(Some(self.opened())),
            (Purpose::Speak, Step::Result, Verdict::Invalid) => Err(Refusal::Invalid),
            (Purpose::Speak, Step::Result, Verdict::Error(kind)) => Err(Refusal::Unjudged(kind)),
            _ => Ok(None),
        }
    }

    fn opened(&self) -> Ask {
        let mut talk = Talk::new(self.is_bidi);
        talk.prove(self.wish.pair.clone());
        Ask::Open(talk)
    }
}

fn offers_counting(features: &[Element]) -> bool {
    features.iter().any(|feature| feature.is("sm", ns::SM))
}

/// Bytes of an id that a key is made for.
const LONGEST_ID: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::xml::{Framer, Limits};

    const OPEN: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                        xmlns:db='jabber:server:dialback' from='theirs.example' to='ours.example' id='s1' version='1.0'>";
    const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    const EXTERNAL: &str =
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
    const BIDI: &str = "<bidi xmlns='urn:xmpp:features:bidi'/>";
    const FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    const VALID: &str = "<db:result from='theirs.example' to='ours.example' type='valid'/>";

    fn wish() -> Wish {
        Wish {
            pair: Pair::new("ours.example", "theirs.example"),
            purpose: Purpose::Speak,
            is_secure: true,
            require_tls: true,
            dialback: true,
            authzid: "b3Vycw==".into(),
            limits: StreamLimits::default(),
        }
    }

    fn features(inner: &str) -> String {
        format!("<stream:features>{inner}</stream:features>")
    }

    fn run(machine: &mut Initiating, text: &str) -> (Result<Option<Ask>, Refusal>, String) {
        let mut framer = Framer::new(Limits::default());
        if !text.starts_with("<stream:stream") {
            framer.push(OPEN.as_bytes());
            framer.next().unwrap();
        }
        framer.push(text.as_bytes());
        let frame = framer.next().unwrap().unwrap();
        let mut out = String::new();
        let ask = machine.handle(frame, &mut out);
        (ask, out)
    }

    fn opened(wish: Wish) -> Initiating {
        let mut out = String::new();
        let mut machine = Initiating::new(wish, &mut out);
        assert!(
            out.contains(" xmlns:db=") && out.contains("from='ours.example' to='theirs.example'"),
            "{out}"
        );
        assert!(run(&mut machine, OPEN).0.unwrap().is_none());
        machine
    }

    #[test]
    fn goes_by_tls_and_external_to_an_open_stream() {
        let mut it = opened(Wish { is_secure: false, ..wish() });
        let (ask, out) = run(&mut it, &features(&format!("{STARTTLS}{BIDI}")));
        assert!(ask.unwrap().is_none() && out.starts_with("<starttls"), "{out}");
        assert!(matches!(
            run(&mut it, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").0,
            Ok(Some(Ask::StartTls))
        ));
        let mut out = String::new();
        it.secured(&mut out);
        assert!(out.contains("<stream:stream"));
        run(&mut it, OPEN).0.unwrap();
        let (_, out) = run(&mut it, &features(&format!("{EXTERNAL}{BIDI}")));
        let bidi = out.find("<bidi xmlns='urn:xmpp:bidi'/>").unwrap();
        assert!(bidi < out.find("<auth").unwrap() && out.contains("b3Vycw=="), "{out}");
        let (ask, out) = run(&mut it, SUCCESS);
        assert!(matches!(ask, Ok(Some(Ask::Restart))) && out.contains("<stream:stream"));
        run(&mut it, OPEN).0.unwrap();
        let Ok(Some(Ask::Open(talk))) = run(&mut it, &features("")).0 else { panic!() };
        assert_eq!(talk.proven(), [wish().pair]);
        assert!(it.is_bidi());
    }

    #[test]
    fn shows_a_key_where_no_certificate_is_asked_for_or_none_is_believed() {
        for (offered, refused) in [(String::new(), None), (EXTERNAL.to_owned(), Some(FAILURE))] {
            let mut it = opened(wish());
            let mut ask = run(&mut it, &features(&offered)).0;
            if let Some(refused) = refused {
                ask = run(&mut it, refused).0;
            }
            assert!(matches!(ask, Ok(Some(Ask::Key(id))) if id == "s1"));
            let mut out = String::new();
            it.show("k".into(), &mut out);
            assert_eq!(out, "<db:result from='ours.example' to='theirs.example'>k</db:result>");
            assert!(matches!(run(&mut it, VALID).0, Ok(Some(Ask::Open(_)))));
        }
    }

    /// One row a way of being refused: what is wanted, what is offered, what follows.
    #[test]
    fn names_each_refusal() {
        let strict = || Wish { dialback: false, ..wish() };
        let plain = || Wish { is_secure: false, ..wish() };
        let invalid = VALID.replace("valid", "invalid");
        let error = VALID.replace("type='valid'/>", "type='error'><error><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
        let ended =
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        let no_tls = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let rows = [
            (strict(), features(""), None, Refusal::NoProof),
            (strict(), features(EXTERNAL), Some(FAILURE), Refusal::NoProof),
            (plain(), features(EXTERNAL), None, Refusal::NoTls),
            (plain(), features(STARTTLS), Some(no_tls), Refusal::NoTls),
            (wish(), features(""), Some(&invalid[..]), Refusal::Invalid),
            (wish(), features(""), Some(&error[..]), Refusal::Unjudged(ErrorKind::Forbidden)),
            (wish(), features(""), Some(ended), Refusal::Ended(StreamCondition::HostUnknown.into())),
            (wish(), features(""), Some("<message/>"), StreamCondition::NotAuthorized.into()),
            (wish(), SUCCESS.to_owned(), None, StreamCondition::NotAuthorized.into()),
        ];
        for (wish, first, second, wanted) in rows {
            let mut it = opened(wish);
            let mut last = run(&mut it, &first).0;
            if let Some(second) = second {
                last = run(&mut it, second).0;
            }
            assert_eq!(last.map(|_| ()).unwrap_err(), wanted, "{first} {second:?}");
        }
    }

    /// XEP-0220 §3.1.
    #[test]
    fn takes_no_verdict_on_another_pair_or_of_another_kind() {
        for text in [
            VALID.replace("theirs", "other"),
            VALID.replace("ours", "other"),
            VALID.replace("db:result", "db:verify").replace(" type", " id='s1' type"),
        ] {
            let mut it = opened(wish());
            run(&mut it, &features("")).0.unwrap();
            assert!(run(&mut it, &text).0.unwrap().is_none(), "{text}");
        }
        let mut early = opened(wish());
        assert!(run(&mut early, VALID).0.is_err(), "before anything was asked");
    }

    #[test]
    fn asks_whether_a_key_is_the_others_own() {
        let purpose = Purpose::Verify { id: "in7".into(), key: "k".into() };
        let mut it = opened(Wish { purpose, ..wish() });
        let (ask, out) = run(&mut it, &features(&format!("{EXTERNAL}{BIDI}")));
        assert!(ask.unwrap().is_none());
        assert_eq!(out, "<db:verify from='ours.example' to='theirs.example' id='in7'>k</db:verify>");
        let answer = VALID.replace("db:result", "db:verify");
        let other = answer.replace(" type", " id='in8' type");
        assert!(run(&mut it, &other).0.unwrap().is_none(), "an answer for another stream");
        let ask = run(&mut it, &answer.replace(" type", " id='in7' type")).0;
        assert!(matches!(ask, Ok(Some(Ask::Judged(Verdict::Valid)))));
    }

    #[test]
    fn a_server_of_before_has_keys_alone() {
        let old = OPEN.replace(" version='1.0'", "");
        let mut it =
            Initiating::new(Wish { is_secure: false, require_tls: false, ..wish() }, &mut String::new());
        assert!(matches!(run(&mut it, &old).0, Ok(Some(Ask::Key(_)))));
        let mut it = Initiating::new(Wish { is_secure: false, ..wish() }, &mut String::new());
        assert_eq!(run(&mut it, &old).0.map(|_| ()), Err(Refusal::NoTls));
    }
}
