//! Dialogs that went through us — RFC 3261 §12: both ways of a call, for peers that drop our Record-Route.
//!
//! In    the 2xx of an INVITE, with both sides. Out the flow to the other side, and whose device that is.
//! State one small entry a call, until its BYE or [`LONGEST_CALL`]; at most [`MOST`], beyond which none is added. Sharded.
//! Errors a request of no known dialog finds nothing; it is answered 481.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use shared_model::Aor;
use sip_core::Message;
use sip_core::header::Params;
use sip_endpoint::Flow;

use crate::in_dialog::is_from;

/// Every call that is up, by Call-ID.
#[derive(Default)]
pub(crate) struct Dialogs {
    up: DashMap<Box<str>, Dialog>,
    /// How far ahead our CSeq is in dialogs that are early yet, or not remembered, whose carrier asked for proof since.
    others: DashMap<Box<str>, (Ahead, Instant)>,
}

struct Dialog {
    caller_tag: Box<str>,
    callee_tag: Box<str>,
    caller: Party,
    callee: Party,
    /// If one side is a carrier.
    ahead: Ahead,
    since: Instant,
}

/// How much higher our CSeq is towards the carrier of a call than that of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Ahead {
    /// Of all requests.
    pub(crate) all: u32,
    /// Of the last INVITE, which its ACK and PRACK have to name.
    pub(crate) of_invite: u32,
}

impl Ahead {
    /// As it is when the dialog begins.
    pub(crate) fn of(count: u32) -> Self {
        Self { all: count, of_invite: count }
    }

    /// Of two requests that were counted on at once, what is further.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { all: self.all.max(other.all), of_invite: self.of_invite.max(other.of_invite) }
    }
}

/// One side.
pub(crate) struct Party {
    /// The flow that it began on.
    pub(crate) flow: Flow,
    /// Whose device it is, if it is one of ours.
    pub(crate) aor: Option<Aor>,
}

impl Dialogs {
    /// A 2xx answered an INVITE.
    pub(crate) fn begin(
        &self,
        response: &Message,
        (caller, callee): (Party, Party),
        ahead: u32,
        now: Instant,
    ) {
        if self.up.len() < MOST {
            let caller_tag = response.from_tag().unwrap_or_default().into();
            let callee_tag = response.to_tag().unwrap_or_default().into();
            let early = self.others.remove(response.call_id());
            let ahead = Ahead::of(ahead).max(early.map_or(Ahead::default(), |(_, (early, _))| early));
            let dialog = Dialog { caller_tag, callee_tag, caller, callee, ahead, since: now };
            // Of a second 2xx another dialog begins, in which our Record-Route leads (§13.2.2.4).
            self.up.entry(response.call_id().into()).or_insert(dialog);
        }
    }

    /// The way to the other side of the dialog that a request is in.
    pub(crate) fn other_side(&self, request: &Message) -> Option<Flow> {
        self.of_other(request, |party| party.flow)
    }

    /// Whose device the side is that a request is of.
    pub(crate) fn own_aor(&self, request: &Message) -> Option<Aor> {
        self.up.get(request.call_id())?.sides(request)?.0.aor.clone()
    }

    /// Whose device the side of a dialog is that a Replaces names, as whoever gets it has the tags (RFC 3891 §3).
    pub(crate) fn replaced(&self, replaces: &str) -> Option<Aor> {
        let at = replaces.find(';')?;
        let params = Params(&replaces[at..]);
        let dialog = self.up.get(replaces[..at].trim())?;
        dialog.between(params.value("from-tag")?, params.value("to-tag")?)?.1.aor.clone()
    }

    /// Whose device the other side is.
    pub(crate) fn other_aor(&self, request: &Message) -> Option<Aor> {
        self.of_other(request, |party| party.aor.clone())?
    }

    /// How far ahead of a request our CSeq is, if the dialog is remembered.
    pub(crate) fn ahead(&self, request: &Message) -> Option<Ahead> {
        match self.up.get(request.call_id()) {
            Some(dialog) => dialog.sides(request).map(|_| dialog.ahead),
            None => self.others.get(request.call_id()).map(|other| other.0),
        }
    }

    /// A request went to the carrier with a CSeq that is so far ahead.
    pub(crate) fn went_ahead(&self, request: &Message, ahead: Ahead, now: Instant) {
        if let Some(mut dialog) = self.up.get_mut(request.call_id()) {
            if dialog.sides(request).is_some() {
                dialog.ahead = dialog.ahead.max(ahead);
            }
        } else if self.others.len() < MOST {
            let mut other = self.others.entry(request.call_id().into()).or_insert((ahead, now));
            other.0 = other.0.max(ahead);
        }
    }

    fn of_other<T>(&self, request: &Message, of: impl FnOnce(&Party) -> T) -> Option<T> {
        let dialog = self.up.get(request.call_id())?;
        dialog.sides(request).map(|(_, other)| of(other))
    }

    /// Whether a request that came by `came` and went along `flow` went from one side of its dialog to the other, who may have moved
    /// if its flow is closed. Carriers do not move, and nobody speaks for them. Of a call that is not remembered, nobody knows better.
    pub(crate) fn is_across<'a>(
        &self,
        request: &Message,
        (came, flow): (&Flow, &Flow),
        carrier: impl Fn(&Flow) -> Option<&'a str>,
        is_open: impl FnOnce(&Flow) -> bool,
    ) -> bool {
        let Some(dialog) = self.up.get(request.call_id()) else { return true };
        let Some((own, other)) = dialog.sides(request) else { return false };
        let (own, other) = (&own.flow, &other.flow);
        // A carrier may open a connection for what it says, from any port of its host.
        let is_carriers = || carrier(came) == carrier(own) || is_from(came, own);
        if carrier(own).is_some() && !is_carriers() {
            return false;
        }
        if let Some(name) = carrier(other) {
            // By whichever of its connections.
            return carrier(flow) == Some(name);
        }
        flow == other || (flow != own && !is_open(other))
    }

    /// A BYE was answered.
    pub(crate) fn end(&self, call_id: &str) {
        self.up.remove(call_id);
        self.others.remove(call_id);
    }

    /// Forgets what is longer than any call.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.up.retain(|_, dialog| now.duration_since(dialog.since) < LONGEST_CALL);
        self.others.retain(|_, (_, since)| now.duration_since(*since) < LONGEST_CALL);
    }
}

impl Dialog {
    /// The side that a request is of, and the other; none if its tags are not both of this dialog (§12.2.2).
    fn sides(&self, request: &Message) -> Option<(&Party, &Party)> {
        self.between(request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default())
    }

    fn between(&self, own: &str, other: &str) -> Option<(&Party, &Party)> {
        match (&*self.caller_tag, &*self.callee_tag) {
            (caller, callee) if (own, other) == (caller, callee) => Some((&self.caller, &self.callee)),
            (caller, callee) if (own, other) == (callee, caller) => Some((&self.callee, &self.caller)),
            _ => None,
        }
    }
}

/// Calls that are remembered; each takes about 200 bytes.
const MOST: usize = 200_000;
/// Calls that are longer than this may be forgotten; they still have their Record-Route.
const LONGEST_CALL: Duration = Duration::from_secs(12 * 3_600);

#[cfg(test)]
mod tests {
    use sip_core::header::Name;
    use sip_endpoint::Transport;

    use super::*;

    fn flow(id: u64) -> Flow {
        let nowhere = ([127, 0, 0, 1], 1).into();
        Flow { transport: Transport::Udp, id, local: nowhere, remote: nowhere }
    }

    fn party(id: u64) -> Party {
        Party { flow: flow(id), aor: None }
    }

    fn request(from: &str, to: &str) -> Message {
        let mut request = Message::request("BYE", "sip:b@x");
        request.push(Name::From, &format!("<sip:a@x>;tag={from}"));
        request.push(Name::To, &format!("<sip:b@x>;tag={to}"));
        request.push(Name::CallId, "call");
        request
    }

    #[test]
    fn each_side_finds_the_other_and_a_stranger_nobody() {
        let dialogs = Dialogs::default();
        dialogs.begin(&request("one", "two"), (party(1), party(2)), 0, Instant::now());
        assert_eq!(dialogs.other_side(&request("one", "two")), Some(flow(2)));
        assert_eq!(dialogs.other_side(&request("two", "one")), Some(flow(1)));
        for (from, to) in [("three", "four"), ("one", "four"), ("three", "one"), ("two", "two")] {
            assert_eq!(dialogs.other_side(&request(from, to)), None, "{from} {to}");
        }
        dialogs.forget_old(Instant::now());
        assert_eq!(dialogs.other_side(&request("one", "two")), Some(flow(2)));
        dialogs.forget_old(Instant::now() + LONGEST_CALL);
        assert_eq!(dialogs.other_side(&request("one", "two")), None);
        dialogs.begin(&request("one", "two"), (party(1), party(2)), 0, Instant::now());
        dialogs.end("call");
        assert_eq!(dialogs.other_side(&request("one", "two")), None);
    }
}
