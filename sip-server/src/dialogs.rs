//! Dialogs that went through us — RFC 3261 §12: both ways of a call, for peers that drop our Record-Route.
//!
//! In    an INVITE, and its 2xx with both sides. Out the flow to the other side, and whose device that is; the name of the call.
//! State one small entry a call, until its BYE or [`LONGEST_CALL`]; at most [`MOST`], beyond which none is added. Sharded.
//! Errors a request of no known dialog finds nothing; it is answered 481.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use serde::{Deserialize, Serialize};
use shared_model::{Aor, second_call as second};
use sip_core::Message;
use sip_core::header::Params;
use sip_endpoint::Flow;
use smallvec::{SmallVec, smallvec};

use crate::in_dialog::is_from;

/// Every call that is up or begins, by Call-ID. Two may have the same (a client that restarts, a tool that counts from one, somebody who
/// has read it): each is told from the other by its caller's tag, and has a name of its own (§12).
#[derive(Default)]
pub(crate) struct Dialogs {
    up: DashMap<Box<str>, SmallVec<[Call; 1]>>,
    /// INVITEs on their way, which are bound by themselves: they keep no call out that is answered.
    attempts: AtomicUsize,
    /// How far ahead our CSeq is in dialogs that are early yet, or not remembered, whose carrier asked for proof since.
    others: DashMap<Box<str>, (Ahead, Instant)>,
}

struct Call {
    caller_tag: Box<str>,
    /// Another call had its Call-ID when it began.
    is_second: bool,
    since: Instant,
    /// INVITEs of it that are on their way.
    attempts: u32,
    /// Once a 2xx came.
    dialog: Option<Dialog>,
}

/// An INVITE on its way. With its end the call is forgotten, unless it was answered.
pub(crate) struct Attempt<'a> {
    dialogs: &'a Dialogs,
    call_id: Box<str>,
    tag: Box<str>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.dialogs.attempts.fetch_sub(1, Ordering::Relaxed);
        self.dialogs.up.remove_if_mut(&self.call_id, |_, calls| {
            if let Some(call) = calls.iter_mut().find(|call| call.caller_tag == self.tag) {
                call.attempts = call.attempts.saturating_sub(1);
            }
            calls.retain(|call| call.attempts > 0 || call.dialog.is_some());
            calls.is_empty()
        });
    }
}

struct Dialog {
    callee_tag: Box<str>,
    caller: Party,
    callee: Party,
    /// If one side is a carrier.
    ahead: Ahead,
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
    /// Who it is, is not told (RFC 3323).
    pub(crate) is_hidden: bool,
}

impl Dialogs {
    /// An INVITE goes on. The name of its call, by which relays and whoever hears of it know it; and what remembers it until somebody
    /// answers.
    pub(crate) fn attempt(&self, request: &Message, now: Instant) -> (String, Option<Attempt<'_>>) {
        let (call_id, tag) = (request.call_id(), request.from_tag().unwrap_or_default());
        let is_full = self.attempts.load(Ordering::Relaxed) >= MOST;
        let name = match self.up.entry(call_id.into()) {
            Entry::Vacant(_) if is_full => return (call_id.to_owned(), None),
            Entry::Vacant(place) => {
                place.insert(smallvec![Call { attempts: 1, ..Call::new(tag, false, now) }]);
                call_id.to_owned()
            }
            Entry::Occupied(mut calls) => {
                let calls = calls.get_mut();
                let is_full = is_full || calls.len() >= MOST_OF_ONE;
                match calls.iter_mut().find(|call| *call.caller_tag == *tag) {
                    // A spiral, or another branch of whoever forked it before us.
                    Some(call) => {
                        call.attempts += 1;
                        call.name(call_id)
                    }
                    None if is_full => return (second(call_id, tag), None),
                    None => {
                        calls.push(Call { attempts: 1, ..Call::new(tag, true, now) });
                        second(call_id, tag)
                    }
                }
            }
        };
        self.attempts.fetch_add(1, Ordering::Relaxed);
        (name, Some(Attempt { dialogs: self, call_id: call_id.into(), tag: tag.into() }))
    }

    /// Whether an INVITE that begins a call is of one that was answered: the caller has it, and a second is merged or made up (§8.2.2.2).
    /// A spiral comes before the answer.
    pub(crate) fn is_answered(&self, request: &Message) -> bool {
        let tag = request.from_tag().unwrap_or_default();
        let is_it = |call: &Call| call.dialog.is_some() && *call.caller_tag == *tag;
        request.method() == "INVITE"
            && !request.is_in_dialog()
            && self.up.get(request.call_id()).is_some_and(|calls| calls.iter().any(is_it))
    }

    /// The name of a call that is not remembered, or of the one of this Call-ID and caller's tag that is.
    pub(crate) fn name(&self, call_id: &str, tag: &str) -> String {
        match self.up.get(call_id) {
            None => call_id.to_owned(),
            Some(calls) => match calls.iter().find(|call| *call.caller_tag == *tag) {
                Some(call) => call.name(call_id),
                None => second(call_id, tag),
            },
        }
    }

    /// The name of the call that a request is in; none if others alone have its Call-ID.
    pub(crate) fn name_within(&self, request: &Message) -> Option<String> {
        let call_id = request.call_id();
        match self.up.get(call_id) {
            None => Some(call_id.to_owned()),
            Some(calls) => calls.iter().find(|call| call.may_have(request)).map(|call| call.name(call_id)),
        }
    }

    /// A 2xx answered an INVITE.
    pub(crate) fn begin(
        &self,
        response: &Message,
        (caller, callee): (Party, Party),
        ahead: u32,
        now: Instant,
    ) {
        let early = self.others.remove(&*tags(response)).map_or(Ahead::default(), |(_, (early, _))| early);
        let ahead = Ahead::of(ahead).max(early);
        let callee_tag = response.to_tag().unwrap_or_default().into();
        let dialog = Dialog { callee_tag, caller, callee, ahead };
        let tag = response.from_tag().unwrap_or_default();
        let is_full = self.up.len() >= MOST + self.attempts.load(Ordering::Relaxed);
        match self.up.entry(response.call_id().into()) {
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(place) => {
                place.insert(smallvec![Call { dialog: Some(dialog), ..Call::new(tag, false, now) }]);
            }
            Entry::Occupied(mut calls) => {
                let calls = calls.get_mut();
                let is_many = calls.len() >= MOST_OF_ONE;
                match calls.iter_mut().find(|call| *call.caller_tag == *tag) {
                    // Of a second 2xx another dialog begins, in which our Record-Route leads (§13.2.2.4).
                    Some(Call { dialog: Some(_), .. }) => {}
                    Some(call) => (call.dialog, call.since) = (Some(dialog), now),
                    None if is_many => {}
                    None => calls.push(Call { dialog: Some(dialog), ..Call::new(tag, true, now) }),
                }
            }
        }
    }

    /// The way to the other side of the dialog that a request is in.
    pub(crate) fn other_side(&self, request: &Message) -> Option<Flow> {
        self.of_sides(request, |_, other| other.flow)
    }

    /// Whose device the side is that a request is of.
    pub(crate) fn own_aor(&self, request: &Message) -> Option<Aor> {
        self.of_sides(request, |own, _| own.aor.clone())?
    }

    /// The same, of a side that did not want to stay unknown when the dialog began.
    pub(crate) fn shown_aor(&self, request: &Message) -> Option<Aor> {
        self.of_sides(request, |own, _| own.aor.clone().filter(|_| !own.is_hidden))?
    }

    /// Whose device the side of a dialog is that a Replaces names, as whoever gets it has the tags (RFC 3891 §3).
    pub(crate) fn replaced(&self, replaces: &str) -> Option<Aor> {
        let at = replaces.find(';')?;
        let params = Params(&replaces[at..]);
        let (from, to) = (params.value("from-tag")?, params.value("to-tag")?);
        let calls = self.up.get(replaces[..at].trim())?;
        calls.iter().find_map(|call| call.between(from, to))?.1.aor.clone()
    }

    /// Whose device the other side is.
    pub(crate) fn other_aor(&self, request: &Message) -> Option<Aor> {
        self.of_sides(request, |_, other| other.aor.clone())?
    }

    /// How far ahead of a request our CSeq is, if the dialog is remembered.
    pub(crate) fn ahead(&self, request: &Message) -> Option<Ahead> {
        let calls = self.up.get(request.call_id());
        let known = calls.and_then(|calls| {
            let its = calls.iter().find(|call| call.sides(request).is_some())?;
            its.dialog.as_ref().map(|dialog| dialog.ahead)
        });
        known.or_else(|| self.others.get(&*tags(request)).map(|other| other.0))
    }

    /// A request went to the carrier with a CSeq that is so far ahead.
    pub(crate) fn went_ahead(&self, request: &Message, ahead: Ahead, now: Instant) {
        if let Some(mut calls) = self.up.get_mut(request.call_id()) {
            let its = calls.iter_mut().find(|call| call.sides(request).is_some());
            if let Some(dialog) = its.and_then(|call| call.dialog.as_mut()) {
                dialog.ahead = dialog.ahead.max(ahead);
                return;
            }
        }
        if self.others.len() < MOST {
            let mut other = self.others.entry(tags(request)).or_insert((ahead, now));
            other.0 = other.0.max(ahead);
        }
    }

    fn of_sides<T>(&self, request: &Message, of: impl FnOnce(&Party, &Party) -> T) -> Option<T> {
        let calls = self.up.get(request.call_id())?;
        calls.iter().find_map(|call| call.sides(request)).map(|(own, other)| of(own, other))
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
        let Some(calls) = self.up.get(request.call_id()) else { return true };
        let Some((own, other)) = calls.iter().find_map(|call| call.sides(request)) else {
            // Who has one tag of a call, and not the other, is not in it.
            return !calls.iter().any(|call| call.dialog.is_some() && call.may_be_of_caller(request));
        };
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
    pub(crate) fn end(&self, request: &Message) {
        self.drop_such(request.call_id(), |call| call.sides(request).is_some());
        self.others.remove(&*tags(request));
    }

    fn drop_such(&self, call_id: &str, is_such: impl Fn(&Call) -> bool) {
        self.up.remove_if_mut(call_id, |_, calls| {
            calls.retain(|call| !is_such(call));
            calls.is_empty()
        });
    }

    /// Forgets what is longer than any call.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.up.retain(|_, calls| {
            calls.retain(|call| call.attempts > 0 || now.duration_since(call.since) < LONGEST_CALL);
            !calls.is_empty()
        });
        self.others.retain(|_, (_, since)| now.duration_since(*since) < LONGEST_CALL);
    }
}

impl Call {
    fn new(caller_tag: &str, is_second: bool, since: Instant) -> Self {
        Self { caller_tag: caller_tag.into(), is_second, since, attempts: 0, dialog: None }
    }

    fn name(&self, call_id: &str) -> String {
        if self.is_second { second(call_id, &self.caller_tag) } else { call_id.to_owned() }
    }

    /// Whether a request may be in it: by both tags, or, as long as nobody answered, by the caller's.
    fn may_have(&self, request: &Message) -> bool {
        if self.dialog.is_some() { self.sides(request).is_some() } else { self.may_be_of_caller(request) }
    }

    /// Whether one of the tags is the caller's.
    fn may_be_of_caller(&self, request: &Message) -> bool {
        [request.from_tag(), request.to_tag()].contains(&Some(&*self.caller_tag))
    }

    /// The side that a request is of, and the other; none if its tags are not both of this dialog (§12.2.2).
    fn sides(&self, request: &Message) -> Option<(&Party, &Party)> {
        self.between(request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default())
    }

    fn between(&self, own: &str, other: &str) -> Option<(&Party, &Party)> {
        let dialog = self.dialog.as_ref()?;
        match (&*self.caller_tag, &*dialog.callee_tag) {
            (caller, callee) if (own, other) == (caller, callee) => Some((&dialog.caller, &dialog.callee)),
            (caller, callee) if (own, other) == (callee, caller) => Some((&dialog.callee, &dialog.caller)),
            _ => None,
        }
    }
}

/// A dialog by all of its names (§12), whichever side says them.
fn tags(message: &Message) -> Box<str> {
    let (one, two) = (message.from_tag().unwrap_or_default(), message.to_tag().unwrap_or_default());
    format!("{}\0{}\0{}", message.call_id(), one.min(two), one.max(two)).into()
}

/// Calls that are remembered; each takes about 200 bytes.
const MOST: usize = 200_000;
/// Calls that are longer than this may be forgotten; they still have their Record-Route.
const LONGEST_CALL: Duration = Duration::from_secs(12 * 3_600);
/// Calls of one Call-ID.
const MOST_OF_ONE: usize = 16;

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
        Party { flow: flow(id), aor: None, is_hidden: false }
    }

    fn request(from: &str, to: &str) -> Message {
        let mut request = Message::request("INVITE", "sip:b@x");
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
        dialogs.end(&request("two", "one"));
        assert_eq!(dialogs.other_side(&request("one", "two")), None);
        assert!(dialogs.up.is_empty());
    }

    #[test]
    fn a_second_call_of_the_same_call_id_touches_nothing_of_the_first() {
        let (dialogs, now) = (Dialogs::default(), Instant::now());
        let invite = |tag: &str| {
            let mut invite = request(tag, "");
            invite.set(Name::To, "<sip:b@x>");
            invite
        };
        let (name, first) = dialogs.attempt(&invite("one"), now);
        assert_eq!(name, "call");
        // One that comes while it rings, and is refused.
        let (name, refused) = dialogs.attempt(&invite("three"), now);
        assert_eq!(name, "call;from-tag=three");
        assert_eq!(dialogs.name_within(&request("nine", "four")), None);
        drop(refused);
        let (name, spiral) = dialogs.attempt(&invite("one"), now);
        assert_eq!(name, "call", "it comes by again");
        drop(spiral);
        assert!(!dialogs.is_answered(&invite("one")));
        dialogs.begin(&request("one", "two"), (party(1), party(2)), 0, now);
        drop(first);
        assert!(dialogs.is_answered(&invite("one")) && !dialogs.is_answered(&invite("three")));
        assert!(!dialogs.is_answered(&request("one", "two")), "a re-INVITE");
        // One that is answered.
        let (name, fifth) = dialogs.attempt(&invite("five"), now);
        assert_eq!(name, "call;from-tag=five");
        dialogs.begin(&request("five", "six"), (party(5), party(6)), 0, now);
        assert_eq!(dialogs.other_side(&request("six", "five")), Some(flow(5)));
        let across = |from: &str, to: &str, came: u64, went: u64| {
            let flows = (flow(came), flow(went));
            dialogs.is_across(&request(from, to), (&flows.0, &flows.1), |_| None, |_| true)
        };
        assert!(across("one", "two", 1, 2) && across("six", "five", 6, 5));
        assert!(!across("one", "six", 5, 6) && !across("five", "one", 5, 6) && !across("two", "one", 5, 6));
        dialogs.went_ahead(&request("five", "six"), Ahead::of(3), now);
        assert_eq!(dialogs.ahead(&request("one", "two")), Some(Ahead::default()));
        dialogs.end(&request("five", "six"));
        assert_eq!(dialogs.other_side(&request("one", "two")), Some(flow(2)));
        assert_eq!(dialogs.name_within(&request("two", "one")).as_deref(), Some("call"));
        assert_eq!(dialogs.name_within(&request("five", "six")), None);
        let many: Vec<_> =
            (0..2 * MOST_OF_ONE).map(|n| dialogs.attempt(&invite(&n.to_string()), now)).collect();
        assert_eq!(dialogs.up.get("call").unwrap().len(), MOST_OF_ONE);
        drop((fifth, many));
        assert_eq!((dialogs.up.get("call").unwrap().len(), dialogs.attempts.load(Ordering::Relaxed)), (1, 0));
        dialogs.forget_old(now);
        dialogs.end(&request("one", "two"));
        assert!(dialogs.up.is_empty());
    }
}
