//! What every message must have — RFC 3261 §8.1.1, §16.3 item 1, §20 — and what of it must be well formed.
//!
//! A proxy reads what it acts on and leaves the rest as it is (§16.3), so that nothing is checked here that nobody reads.

use super::Message;
use super::field::Field;
use super::lines::is_token;
use crate::header::{Name, cseq};

/// A status and a reason phrase.
pub(super) type Fault = (u16, &'static str);

/// Which headers there are of those that there is one of, whether what is read of them is well formed, and which there is more than once.
#[derive(Default)]
struct Single {
    via: Option<bool>,
    from: Option<bool>,
    to: Option<bool>,
    /// Where it is among the fields.
    call_id: Option<usize>,
    cseq: Option<usize>,
    max_forwards: Option<usize>,
    twice: Option<&'static str>,
}

impl Single {
    /// Where tags and branch stand is noted on the way.
    fn of(fields: &mut [Field], head: &str) -> Self {
        let mut single = Self::default();
        for (at, field) in fields.iter_mut().enumerate() {
            let is_second = match field.name {
                Name::Via if single.via.is_none() => {
                    single.via = Some(field.note_mark(head));
                    continue;
                }
                Name::From => single.from.replace(field.note_mark(head)).is_some(),
                Name::To => single.to.replace(field.note_mark(head)).is_some(),
                Name::CallId => single.call_id.replace(at).is_some(),
                Name::CSeq => single.cseq.replace(at).is_some(),
                Name::MaxForwards => single.max_forwards.replace(at).is_some(),
                _ => continue,
            };
            if is_second {
                single.twice = single.twice.or(Some(twice(field.name)));
            }
        }
        single
    }
}

fn twice(name: Name) -> &'static str {
    match name {
        Name::From => "More Than One From",
        Name::To => "More Than One To",
        Name::CallId => "More Than One Call-ID",
        Name::CSeq => "More Than One CSeq",
        _ => "More Than One Max-Forwards",
    }
}

impl Message {
    /// The first thing that is wrong. Where tags and branch stand is noted on the way.
    pub(super) fn check(&mut self) -> Option<Fault> {
        let single = Single::of(&mut self.fields, &self.head);
        let value = |at: usize| self.fields[at].value(&self.head);
        let bad = |reason| Some((400, reason));
        match single.via {
            None => return bad("Missing Via"),
            Some(false) if self.value(Name::Via).is_none_or(str::is_empty) => return bad("Missing Via"),
            Some(false) => return bad("Bad Via"),
            Some(true) => {}
        }
        if let Some(twice) = single.twice {
            return bad(twice);
        }
        match (single.from, single.to) {
            (None, _) => return bad("Missing From"),
            (Some(false), _) => return bad("Bad From"),
            (_, None) => return bad("Missing To"),
            (_, Some(false)) => return bad("Bad To"),
            (Some(true), Some(true)) => {}
        }
        match single.call_id.map(value) {
            None | Some("") => return bad("Missing Call-ID"),
            Some(id) if id.bytes().any(|byte| byte.is_ascii_whitespace()) => return bad("Bad Call-ID"),
            Some(_) => {}
        }
        let Some(value) = single.cseq.map(value) else { return bad("Missing CSeq") };
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
