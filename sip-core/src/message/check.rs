//! What every message must have — RFC 3261 §8.1.1, §16.3 item 1, §20 — and what of it must be well formed.
//!
//! A proxy reads what it acts on and leaves the rest as it is (§16.3), so that nothing is checked here that nobody reads.

use super::Message;
use super::lines::is_token;
use crate::header::{Elements, Name, NameAddr, Via, cseq};

/// A status and a reason phrase.
pub(super) type Fault = (u16, &'static str);

/// The first value of each header that there is once, and which of them there is more than once.
#[derive(Default)]
struct Single<'a> {
    via: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    call_id: Option<&'a str>,
    cseq: Option<&'a str>,
    max_forwards: Option<&'a str>,
    twice: Option<&'static str>,
}

impl<'a> Single<'a> {
    fn of(message: &'a Message) -> Self {
        let mut single = Self::default();
        for field in &message.fields {
            let (slot, twice) = match field.name {
                Name::Via if single.via.is_none() => {
                    single.via = Some(field.value(&message.buffer));
                    continue;
                }
                Name::From => (&mut single.from, "More Than One From"),
                Name::To => (&mut single.to, "More Than One To"),
                Name::CallId => (&mut single.call_id, "More Than One Call-ID"),
                Name::CSeq => (&mut single.cseq, "More Than One CSeq"),
                Name::MaxForwards => (&mut single.max_forwards, "More Than One Max-Forwards"),
                _ => continue,
            };
            if slot.replace(field.value(&message.buffer)).is_some() {
                single.twice = single.twice.or(Some(twice));
            }
        }
        single
    }
}

impl Message {
    /// The first thing that is wrong.
    pub(super) fn check(&self) -> Option<Fault> {
        let single = Single::of(self);
        let bad = |reason| Some((400, reason));
        let Some(via) = single.via.and_then(|value| Elements::new(value).next()) else {
            return bad("Missing Via");
        };
        if !Via::parse(via).is_some_and(|via| via.params.is_well_formed()) {
            return bad("Bad Via");
        }
        if let Some(twice) = single.twice {
            return bad(twice);
        }
        let Some(from) = single.from else { return bad("Missing From") };
        if !is_party(from) {
            return bad("Bad From");
        }
        let Some(to) = single.to else { return bad("Missing To") };
        if !is_party(to) {
            return bad("Bad To");
        }
        match single.call_id {
            None | Some("") => return bad("Missing Call-ID"),
            Some(id) if id.bytes().any(|byte| byte.is_ascii_whitespace()) => return bad("Bad Call-ID"),
            Some(_) => {}
        }
        let Some(value) = single.cseq else { return bad("Missing CSeq") };
        let Some((_, method)) = cseq(value) else { return bad("Bad CSeq") };
        if !self.is_request() || method == self.method() {
            None
        } else if METHODS.contains(&self.method()) {
            bad("CSeq Method Differs From Request Method")
        } else {
            // RFC 4475 §3.1.2.18: 501 leaves more room for methods to come.
            Some((501, "Method Unknown And Not That Of CSeq"))
        }
    }
}

/// Whether it is a From or To whose tag, if it has one, can be read, and to which a tag can be added.
fn is_party(value: &str) -> bool {
    let Some(address) = NameAddr::parse(value) else { return false };
    let tag = address.params.iter().find(|(name, _)| name.eq_ignore_ascii_case("tag"));
    tag.is_none_or(|(_, tag)| tag.is_some_and(|tag| !tag.is_empty())) && !address.params.has_open_quote()
}

/// Whether a text is a token (§25.1).
pub(crate) fn is_token_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token)
}

/// Methods that the standards know.
const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];
