//! The receiving entity's side of a client's stream, up to the bound resource — RFC 6120 §4.3, §5, §6, §7.
//!
//! ```text
//! Header ─▶ Choose ─starttls─▶ Header(secured) ─▶ Choose ─auth─▶ Proof ─success─▶ Header(proven) ─▶ Bind ─▶ Bound
//!                                                   └─authenticate (XEP-0388)─▶ Proof ─success─▶ Bind, or Bound
//! ```
//!
//! In    [`Frame`]s, and the answers to what was asked ([`Negotiation::proven`], [`Negotiation::refuse`], …).
//! Out   text to send, appended to the caller's buffer, and a [`Request`] when the shell must do something.
//! State the phase, what the shell offers, and how often a proof failed.
//! Errors [`StreamError`] for everything out of order: a stanza before the proof is `not-authorized`.
//! Not here: TLS, the mechanisms themselves, the choice of the resource.

mod offer;
mod tasks;

pub use offer::{Offer, Registrants};

use super::inline::{self, Inline};
use super::management::{self, Command};
use super::{SaslFailure, StreamCondition, StreamError, print_header};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{ErrorKind, Kind, ParseError, Stanza, StanzaError};
use crate::xml::{Element, Frame, Head};

/// What the shell must do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Send what was printed, then handshake, then [`Negotiation::secured`].
    StartTls,
    /// Begin a mechanism, with the initial response if one came; still in base64.
    Auth {
        /// One of those offered.
        mechanism: &'static str,
        /// `Some("")` if the client said that it is empty.
        initial: Option<String>,
    },
    /// Go on with it.
    Response(String),
    /// A task that was asked for begins (XEP-0388 §2.6.3); its name.
    Task(String),
    /// What the client says in a task.
    TaskData(Vec<Element>),
    /// Bind a resource for the iq of this id, then [`Negotiation::bound`].
    Bind {
        /// The iq to answer.
        request: Box<Stanza>,
        /// The resource that was asked for.
        resource: Option<String>,
    },
    /// Go on with an earlier stream (XEP-0198 §5) instead of binding, or [`Negotiation::not_resumed`].
    Resume {
        /// The earlier stream's id.
        previd: String,
        /// How many stanzas of ours the client has.
        h: u32,
    },
    /// A command of stream management on a bound resource.
    Manage(Command),
    /// Whether somebody looks at the client (XEP-0352 §4.2).
    Active(bool),
    /// A request before any proof, which can only be to make an account (XEP-0077 §3.1).
    Register(Box<Stanza>),
    /// A stanza of a bound resource, or why it is to be answered with an error.
    Stanza(Box<Stanza>, Option<StanzaError>),
    /// The peer ends the stream.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Choose,
    Proof,
    /// The proof held, and there is something to be done before the success (XEP-0388 §2.6.3).
    Task,
    ProvenHeader,
    Bind,
    Binding,
    Bound,
}

/// One stream's negotiation.
#[derive(Debug)]
pub struct Negotiation {
    phase: Phase,
    offer: Offer,
    failures: u8,
    attempts: u8,
    /// What the proof under way is by, and by what others failed.
    mechanism: &'static str,
    failed: Vec<&'static str>,
    /// What was asked for beside a proof, if it is one by XEP-0388.
    inline: Option<Inline>,
    is_managed: bool,
    /// The language of their stanzas that name none, if it is not that of our own streams (§4.7.4).
    language: Option<Box<str>>,
    /// Whether our header is out; errors before it send it first (§4.9.1.2).
    pub has_header: bool,
}

impl Negotiation {
    /// A stream that has said nothing yet.
    pub fn new(offer: Offer) -> Self {
        Self {
            phase: Phase::Header,
            offer,
            failures: 0,
            attempts: 0,
            mechanism: "",
            failed: Vec::new(),
            inline: None,
            is_managed: false,
            language: None,
            has_header: false,
        }
    }

    /// The domain that the stream is for.
    pub fn domain(&self) -> &str {
        &self.offer.domain
    }

    /// Whether somebody proved who they are.
    pub fn is_proven(&self) -> bool {
        !matches!(self.phase, Phase::Header | Phase::Choose | Phase::Proof | Phase::Task)
    }

    /// Takes one frame. `id` is a fresh stream id, used if the frame opens the stream.
    pub fn handle(
        &mut self,
        frame: Frame,
        id: &str,
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        match frame {
            Frame::Open(head) => self.open(&head, id, out).map(|()| None),
            Frame::Close => Ok(Some(Request::Close)),
            // §4.9.1.1: what a client says of a fault ends its stream; there is no answer to it but the end.
            Frame::Element(head, _) if head.ns == ns::STREAM && head.name == "error" => {
                Ok(Some(Request::Close))
            }
            Frame::Element(head, content) => match self.phase {
                _ if head.ns == ns::SM => Ok(self.manage(&head, out)),
                Phase::Bound if head.ns == ns::CSI && head.name == "active" => {
                    Ok(Some(Request::Active(true)))
                }
                Phase::Bound if head.ns == ns::CSI && head.name == "inactive" => {
                    Ok(Some(Request::Active(false)))
                }
                Phase::Choose
                    if self.offer.registration != Registrants::Nobody
                        && head.name == "iq"
                        && head.ns == ns::CLIENT =>
                {
                    let stanza = Stanza::from_frame(&head, content).map_err(|(error, _)| error)?;
                    let is_registration = stanza.find("query", ns::REGISTER).is_some()
                        || stanza.find("preauth", ns::PREAUTH).is_some();
                    match is_registration {
                        true => Ok(Some(Request::Register(Box::new(stanza)))),
                        false => Err(StreamCondition::NotAuthorized.into()), // §4.9.3.12
                    }
                }
                Phase::Choose => self.choose(&head, &content, out),
                Phase::Proof => self.proof(&head, &content, out),
                Phase::Task => self.task(&head, &content, out),
                Phase::Bind | Phase::Binding | Phase::Bound => self.stanza(&head, content, out),
                Phase::Header | Phase::ProvenHeader => Err(StreamCondition::BadFormat.into()),
            },
        }
    }

    fn open(&mut self, head: &Head, id: &str, out: &mut String) -> Result<(), StreamError> {
        if !matches!(self.phase, Phase::Header | Phase::ProvenHeader) {
            return Err(StreamCondition::BadFormat.into());
        }
        let to = head.attribute("to").map(str::parse::<Jid>);
        let is_guest =
            to.as_ref().is_some_and(|to| to.as_ref().is_ok_and(|to| to.as_str() == self.offer.guests));
        if is_guest && self.phase == Phase::Header {
            self.offer.for_guests();
        }
        if let Some(Ok(to)) = to.as_ref().filter(|_| self.phase == Phase::Header) {
            self.offer.for_domain(to.as_str());
        }
        self.language = head.attribute("xml:lang").filter(|tag| is_foreign(tag)).map(Into::into);
        print_header(&self.offer.domain, id, head.attribute("from"), out);
        self.has_header = true;
        // §4.8.2: whoever declares no content namespace qualifies each stanza.
        if head.attribute("xmlns").is_some_and(|content| content != ns::CLIENT) {
            return Err(StreamCondition::InvalidNamespace.into());
        }
        // §4.7.5: a higher minor number is ignored; §4.9.3.25: another major one is not spoken here.
        let version = head.attribute("version").and_then(|version| version.split_once('.'));
        let version = version.map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()));
        if !matches!(version, Some((Ok(1), Ok(_)))) {
            return Err(StreamCondition::UnsupportedVersion.into());
        }
        match to {
            Some(Ok(to)) if to.as_str() == self.offer.domain => {}
            _ => return Err(StreamCondition::HostUnknown.into()),
        }
        self.phase = if self.phase == Phase::Header { Phase::Choose } else { Phase::Bind };
        self.features(out);
        Ok(())
    }

    fn features(&self, out: &mut String) {
        let mut features = Vec::new();
        if matches!(self.phase, Phase::Bind | Phase::Bound) {
            if self.phase == Phase::Bind {
                features.push(Element::new("bind", ns::BIND));
                // RFC 6121 appendix E: old clients ask for a session; `optional` tells the others not to.
                let optional = Element::new("optional", ns::SESSION);
                features.push(Element::new("session", ns::SESSION).child(optional));
            }
            if !self.is_managed {
                features.push(Element::new("sm", ns::SM));
            }
            features.push(Element::new("csi", ns::CSI));
            features.push(Element::new("ver", ns::ROSTER_VERSIONING));
            features.push(Element::new("sub", ns::PRE_APPROVAL));
        } else {
            if self.offer.starttls {
                let starttls = Element::new("starttls", ns::TLS);
                let required = self.offer.require_tls.then(|| Element::new("required", ns::TLS));
                features.push(starttls.children_from(required));
            }
            if !self.offer.mechanisms.is_empty() {
                let names = self.offer.mechanisms.iter();
                features
                    .push(names.fold(Element::new("mechanisms", ns::SASL), |all, m| {
                        all.text_child("mechanism", *m)
                    }));
                let names = self.offer.mechanisms.iter();
                let authentication = names.fold(Element::new("authentication", ns::SASL2), |all, m| {
                    all.text_child("mechanism", *m)
                });
                let authentication = authentication.child(inline::offered(&self.offer.fast));
                let tasks = self.offer.upgrades.iter();
                features.push(authentication.children_from(
                    tasks.map(|task| Element::new("upgrade", ns::SASL_UPGRADE).text_node(*task)),
                ));
            }
            if self.offer.registration != Registrants::Nobody {
                features.push(Element::new("register", ns::REGISTRATION));
            }
            if self.offer.registration == Registrants::Invited {
                features.push(Element::new("register", ns::REGISTRATION_BY_TOKEN));
            }
            if !self.offer.channel_bindings.is_empty() {
                let types = self.offer.channel_bindings.iter();
                features.push(types.fold(Element::new("sasl-channel-binding", ns::SASL_CB), |all, name| {
                    all.child(Element::new("channel-binding", ns::SASL_CB).with("type", name))
                }));
            }
        }
        features.extend(self.offer.about.iter().cloned());
        out.push_str("<stream:features>");
        for feature in features {
            feature.print(ns::CLIENT, out);
        }
        out.push_str("</stream:features>");
    }

    fn choose(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        match (head.name.as_str(), head.ns.as_str()) {
            ("starttls", ns::TLS) if self.offer.starttls => {
                Element::new("proceed", ns::TLS).print(ns::CLIENT, out);
                Ok(Some(Request::StartTls))
            }
            ("starttls", ns::TLS) => {
                // §5.4.2.2: failure, and the stream ends.
                Element::new("failure", ns::TLS).print(ns::CLIENT, out);
                Ok(Some(Request::Close))
            }
            ("auth", ns::SASL) => {
                self.inline = None;
                self.auth(head, content, out)
            }
            ("authenticate", ns::SASL2) => self.authenticate(head, content, out),
            ("abort" | "response", ns::SASL) => {
                self.refuse(SaslFailure::MalformedRequest, out).map(|()| None)
            }
            // §4.9.3.12: nothing is served to whom nobody knows.
            _ => Err(StreamCondition::NotAuthorized.into()),
        }
    }

    fn auth(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        let asked = head.attribute("mechanism").unwrap_or_default();
        let Some(mechanism) = self.offer.mechanisms.iter().copied().find(|m| *m == asked) else {
            let failure = if self.offer.require_tls {
                SaslFailure::EncryptionRequired
            } else {
                SaslFailure::InvalidMechanism
            };
            return self.refuse(failure, out).map(|()| None);
        };
        let Some(text) = text_of(content) else {
            return self.refuse(SaslFailure::MalformedRequest, out).map(|()| None);
        };
        self.phase = Phase::Proof;
        self.mechanism = mechanism;
        let initial = match text.as_str() {
            "" => None,
            "=" => Some(String::new()), // §6.4.2: an empty initial response
            _ => Some(text),
        };
        Ok(Some(Request::Auth { mechanism, initial }))
    }

    /// XEP-0388 §2.4.
    fn authenticate(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        let text = std::str::from_utf8(content).unwrap_or_default();
        let children = Element::parse_content(text, ns::SASL2, &head.prefixes)?;
        let (initial, inline) = Inline::parse(&children);
        // XEP-0484 §3.4: a token is shown by mechanisms of its own, and a password by none of these.
        let offered = if inline.fast.is_some() { &self.offer.fast } else { &self.offer.mechanisms };
        let asked = head.attribute("mechanism").unwrap_or_default();
        let found = offered.iter().copied().find(|m| *m == asked);
        self.inline = Some(inline);
        let Some(mechanism) = found else {
            return self.refuse(SaslFailure::InvalidMechanism, out).map(|()| None);
        };
        self.phase = Phase::Proof;
        self.mechanism = mechanism;
        Ok(Some(Request::Auth { mechanism, initial }))
    }

    fn proof(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        let is_inline = self.inline.is_some();
        match (head.name.as_str(), head.ns.as_str()) {
            ("response", ns::SASL2) if is_inline => match text_of(content) {
                Some(text) => Ok(Some(Request::Response(text))),
                None => self.refuse(SaslFailure::MalformedRequest, out).map(|()| None),
            },
            ("abort", ns::SASL2) if is_inline => self.refuse(SaslFailure::Aborted, out).map(|()| None),
            _ if is_inline => Err(StreamCondition::NotAuthorized.into()),
            ("response", ns::SASL) => match text_of(content) {
                Some(text) => Ok(Some(Request::Response(if text == "=" { String::new() } else { text }))),
                None => self.refuse(SaslFailure::MalformedRequest, out).map(|()| None),
            },
            ("abort", ns::SASL) => self.refuse(SaslFailure::Aborted, out).map(|()| None),
            ("auth", ns::SASL) => self.refuse(SaslFailure::MalformedRequest, out).map(|()| None),
            _ => Err(StreamCondition::NotAuthorized.into()),
        }
    }

    fn stanza(
        &mut self,
        head: &Head,
        content: bytes::Bytes,
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        let (stanza, wrong) = match Stanza::from_frame(head, content) {
            Ok(stanza) => (Box::new(stanza), None),
            Err((ParseError::BadTo(error), Some(stanza))) => {
                (stanza, Some(StanzaError::because(ErrorKind::JidMalformed, error.to_string())))
            }
            Err((error, _)) => return Err(error.into()),
        };
        if self.phase == Phase::Bound {
            let stanza = match &self.language {
                Some(tag) => Box::new(stanza.in_language(tag)),
                None => stanza,
            };
            return Ok(Some(Request::Stanza(stanza, wrong)));
        }
        // §7.1: until a resource is bound, nothing but its request is served.
        let bind = (stanza.kind == Kind::Iq && stanza.is_type("set"))
            .then(|| stanza.find("bind", ns::BIND))
            .flatten();
        let Some(bind) = bind.filter(|_| self.phase == Phase::Bind) else {
            if stanza.kind == Kind::Iq
                && let Some(error) = stanza.error(&ErrorKind::NotAuthorized.into())
            {
                out.push_str(&String::from_utf8_lossy(&error.to_bytes()));
                return Ok(None);
            }
            return Err(StreamCondition::NotAuthorized.into());
        };
        self.phase = Phase::Binding;
        let resource = bind.text_of("resource").filter(|resource| !resource.is_empty());
        Ok(Some(Request::Bind { request: stanza, resource }))
    }

    /// XEP-0198 §3: a stream is managed once its resource is bound, and resumed instead of binding one.
    fn manage(&mut self, head: &Head, out: &mut String) -> Option<Request> {
        let why = match (self.phase, Command::parse(head)) {
            (Phase::Bind, Ok(Command::Resume { previd, h })) => {
                self.phase = Phase::Binding;
                return Some(Request::Resume { previd, h });
            }
            (Phase::Bound, Ok(command)) if !matches!(command, Command::Resume { .. }) => {
                return Some(Request::Manage(command));
            }
            (_, Ok(_)) => ErrorKind::UnexpectedRequest,
            (_, Err(why)) => why,
        };
        management::failed(why, None).print(ns::CLIENT, out);
        None
    }

    /// The earlier stream goes on in this one.
    pub fn resumed(&mut self) {
        self.serve();
    }

    /// From now on stanzas are served. Nothing more is offered, so that it needs no room while the session lasts.
    fn serve(&mut self) {
        self.phase = Phase::Bound;
        self.offer = Offer::default();
    }

    /// The earlier stream cannot go on: prints why; a resource may be bound now (XEP-0198 §5).
    pub fn not_resumed(&mut self, why: ErrorKind, h: Option<u32>, out: &mut String) {
        management::failed(why, h).print(ns::CLIENT, out);
        self.phase = Phase::Bind;
    }

    /// TLS holds: what is offered now is this, and a new header is expected.
    pub fn secured(&mut self, offer: Offer) {
        self.offer = offer;
        self.phase = Phase::Header;
    }

    /// Prints a challenge, in base64.
    pub fn challenge(&self, text: &str, out: &mut String) {
        let ns = if self.inline.is_some() { ns::SASL2 } else { ns::SASL };
        Element::new("challenge", ns).text_node(text).print(ns::CLIENT, out);
    }

    /// What is asked for beside a proof by XEP-0388 that is under way.
    pub fn inline(&self) -> Option<&Inline> {
        self.inline.as_ref()
    }

    /// Whether a token may be handed out for this mechanism.
    pub fn offers_fast(&self, mechanism: &str) -> bool {
        self.offer.fast.contains(&mechanism)
    }

    /// What was asked for beside a proof by XEP-0388, which holds now. No new header is expected; the success is printed
    /// by [`Negotiation::succeeded`] or [`Negotiation::begun`].
    pub fn take_inline(&mut self) -> Option<Inline> {
        let inline = self.inline.take()?;
        self.phase = Phase::Binding;
        Some(inline)
    }

    /// Stream management is on: it is not offered again, since there are clients that would enable it once more.
    pub fn managed(&mut self) {
        self.is_managed = true;
    }

    /// A proof by XEP-0388 held, and no resource is bound with it: prints the success and what may follow.
    pub fn succeeded(&mut self, success: &str, out: &mut String) {
        out.push_str(success);
        self.phase = Phase::Bind;
        self.features(out);
    }

    /// The resource is bound with the proof: prints the success and what may follow.
    pub fn begun(&mut self, success: &str, out: &mut String) {
        out.push_str(success);
        self.phase = Phase::Bound;
        self.features(out);
        self.serve();
    }

    /// The proof held: prints success with what the mechanism adds, and expects a new header.
    pub fn proven(&mut self, additional: Option<&str>, out: &mut String) {
        let success = Element::new("success", ns::SASL);
        let success = if let Some(text) = additional { success.text_node(text) } else { success };
        success.print(ns::CLIENT, out);
        self.phase = Phase::ProvenHeader;
    }

    /// The proof failed. After some failures the stream ends (§6.4.5). A client whose password is mistyped falls back to one mechanism
    /// after the other, as that section lets it: each may fail once for one mistake.
    ///
    /// What is malformed holds no proof: a client that tries all mechanisms with a channel binding which we do not have, the strongest
    /// first, still comes to those that it can do.
    pub fn refuse(&mut self, failure: SaslFailure, out: &mut String) -> Result<(), StreamError> {
        let ns = if self.inline.take().is_some() { ns::SASL2 } else { ns::SASL };
        Element::new("failure", ns).child(Element::new(failure.as_str(), ns::SASL)).print(ns::CLIENT, out);
        self.phase = Phase::Choose;
        self.attempts += 1;
        if failure != SaslFailure::MalformedRequest {
            let is_fallback = !self.failed.is_empty() && !self.failed.contains(&self.mechanism);
            self.failures += u8::from(!is_fallback);
            self.failed.push(self.mechanism);
        }
        if self.failures >= TRIES || self.attempts >= ATTEMPTS {
            return Err(StreamError::because(StreamCondition::PolicyViolation, "too many failed proofs"));
        }
        Ok(())
    }

    /// The resource is bound: prints the result (§7.6.1).
    pub fn bound(&mut self, request: &Stanza, jid: &Jid, out: &mut String) {
        let bind = Element::new("bind", ns::BIND).text_child("jid", jid.as_str());
        let result = request.result(Some(&bind)).addressed(None, Some(jid));
        out.push_str(&String::from_utf8_lossy(&result.to_bytes()));
        self.serve();
    }

    /// The resource could not be bound: another may be asked for (§7.7.2).
    pub fn unbound(&mut self, request: &Stanza, error: &StanzaError, out: &mut String) {
        if let Some(error) = request.error(error) {
            out.push_str(&String::from_utf8_lossy(&error.to_bytes()));
        }
        self.phase = Phase::Bind;
    }
}

/// The text of an element that must hold nothing else.
fn text_of(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    if text.contains('<') {
        return None;
    }
    crate::xml::unescape(text).ok().map(|text| text.trim().to_owned())
}

/// RFC 6120 §6.4.5 asks for two to five.
const TRIES: u8 = 5;
/// Beginnings of an exchange in all, with those that held no proof.
const ATTEMPTS: u8 = 10;

/// Whether it is a language (RFC 5646 §4.4.1: a tag of 35 characters holds all that is usual), and another than ours.
fn is_foreign(tag: &str) -> bool {
    let is_tag = tag.len() <= 35 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_tag && !tag.is_empty() && !tag.eq_ignore_ascii_case("en")
}

#[cfg(test)]
mod tests;
