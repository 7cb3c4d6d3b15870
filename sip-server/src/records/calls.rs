//! Calls from their INVITE to their row.
//!
//! In    a routed INVITE; its refusal, or its 2xx; refreshes (RFC 4028); a BYE that was answered; the time.
//! Out   rows, and what was spent.
//! State one entry a call that is up, at most [`MOST`], beyond which a call gets its row at once and as long as nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use shared_model::{AccountId, Correlation};
use shared_runtime::{Shutdown, unix_millis};
use shared_store::{Records, Store};
use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_core::privacy;

use super::codecs::codecs_of;
use super::kept::Gone;
use super::record::{CallRecord, CallResult, Direction, time_text};
use super::writer::Writer;
use crate::cost::{Charge, Charges, Spend};
use crate::dialogs::Ahead;
use crate::hang_up::Ends;
use crate::numbers::{Class, Money, Rate};
use crate::routing::Route;

/// All calls that are up, and where rows go.
pub(crate) struct Calls {
    /// By dialog (RFC 3261 §12): whoever knows a Call-ID may call by it, too.
    pub(super) open: DashMap<Box<str>, Open>,
    writer: Option<Writer>,
    pub(crate) charges: Arc<Charges>,
    pub(crate) spend: Spend,
    currency: String,
    /// Whether there ever was a call that may be ended from here.
    is_watched: AtomicBool,
    pub(super) gone: Gone,
    pub(super) records: Arc<dyn Records>,
}

/// A call that was not answered yet.
pub(crate) struct Begun {
    pub(super) began: i64,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: Box<str>,
    /// The caller's tag; empty of what an earlier release wrote down.
    pub(super) tag: Box<str>,
    /// That of who answered.
    pub(super) callee_tag: Box<str>,
    /// How many of the same dialog were up before it: a call that comes back to us on its way is two (§16.3), and none takes the place of
    /// another, whoever pays for that.
    pub(super) nth: u32,
    pub(super) caller: Option<AccountId>,
    pub(super) callee: Option<AccountId>,
    pub(super) direction: Direction,
    pub(super) trunk: Option<String>,
    pub(super) rate: Rate,
    pub(super) charge: Option<Charge>,
    pub(super) codecs: Vec<String>,
    /// Whether the caller wants to stay unknown.
    pub(super) is_anonymous: bool,
    /// Whether the callee's mailbox answered.
    pub(crate) is_left_message: bool,
    /// How it is ended from here, if that may be.
    pub(crate) ends: Option<Box<Ends>>,
}

/// A call that is ended from here.
pub(crate) struct Cut {
    pub(crate) call_id: Box<str>,
    /// The caller's tag.
    pub(crate) tag: Box<str>,
    pub(crate) ends: Box<Ends>,
}

/// A call that is up.
pub(super) struct Open {
    pub(super) begun: Begun,
    pub(super) answered: i64,
    pub(super) since: Instant,
    /// When it is over if nobody refreshes it, and how long a refresh lasts.
    pub(super) until: Instant,
    pub(super) session: Duration,
    /// Whether it may be written down.
    pub(super) is_kept: bool,
    /// Whether what is written down is old.
    pub(super) is_changed: bool,
    /// When this process took it up from another: what came after that was seen by nobody, and is not charged without a BYE.
    pub(super) taken_up: Option<Instant>,
    /// How far ahead of the other side's our CSeq is towards the carrier, once that asked for proof inside the dialog.
    pub(super) ahead: Option<Ahead>,
}

impl Calls {
    /// No call yet; and the task that writes rows, if they are wanted.
    pub(crate) fn new(
        store: &Store,
        keep: usize,
        currency: String,
        shutdown: &Shutdown,
    ) -> (Self, Option<impl Future<Output = ()> + Send + use<>>) {
        let (writer, task) = match keep {
            0 => (None, None),
            _ => {
                let (writer, task) = Writer::new(store, keep, shutdown.clone());
                (Some(writer), Some(task))
            }
        };
        let spend = Spend::new(Arc::clone(&store.records));
        let calls = Self {
            open: DashMap::new(),
            writer,
            charges: Arc::default(),
            spend,
            currency,
            is_watched: AtomicBool::new(false),
            gone: Gone::default(),
            records: Arc::clone(&store.records),
        };
        (calls, task)
    }

    /// A call begins, if it is one that is written down.
    pub(crate) fn begin(&self, request: &Message, route: &mut Route) -> Option<Begun> {
        let charge = route.charge.take();
        let is_call = request.method() == "INVITE" && !request.is_in_dialog();
        if !is_call || (self.writer.is_none() && charge.is_none()) {
            return None;
        }
        let from = NameAddr::parse(request.value(Name::From).unwrap_or_default());
        let direction = match (&route.outside, &route.from_trunk) {
            (Some(_), _) => Direction::Out,
            (_, Some(_)) => Direction::In,
            _ => Direction::Inside,
        };
        Some(Begun {
            began: unix_millis(),
            from: cut(from.map_or("", |from| from.uri)),
            to: cut(request.uri()),
            call_id: request.call_id().into(),
            tag: request.from_tag().unwrap_or_default().into(),
            callee_tag: Box::default(),
            nth: 0,
            caller: route.payer().map(|payer| payer.account),
            callee: route.callee.as_ref().map(|callee| callee.account),
            direction,
            trunk: route.from_trunk.as_ref().map(|trunk| trunk.name().to_owned()),
            rate: route.outside.as_ref().map_or(Rate::of_class(Class::Free), |outside| outside.rate),
            charge,
            codecs: codecs_of(request),
            is_anonymous: route.is_anonymous || privacy::is_anonymous(request),
            is_left_message: false,
            ends: None,
        })
    }

    /// A call that is under way goes to the telephone network after all.
    pub(crate) fn goes_out(
        &self,
        begun: Option<Begun>,
        (request, route): (&Message, &mut Route),
        rate: Rate,
        charge: Option<Charge>,
    ) -> Option<Begun> {
        match begun {
            Some(begun) => Some(Begun { rate, charge, direction: Direction::Out, ..begun }),
            None => {
                route.charge = charge;
                self.begin(request, route)
            }
        }
    }

    /// A 2xx came, by this trunk if by one. Only the first counts: a second is the same call.
    pub(crate) fn answered(&self, mut begun: Begun, response: &Message, trunk: Option<&str>) {
        let now = Instant::now();
        if let Some(charge) = &begun.charge {
            charge.answered(now);
        }
        if begun.ends.is_some() {
            self.is_watched.store(true, Ordering::Relaxed);
        }
        let agreed = codecs_of(response);
        if !agreed.is_empty() {
            begun.codecs = agreed;
        }
        begun.trunk = begun.trunk.or_else(|| trunk.map(str::to_owned));
        begun.callee_tag = response.to_tag().unwrap_or_default().into();
        let session = session_of(response);
        if self.open.len() < MOST {
            let until = now + session;
            let open = Open {
                answered: unix_millis(),
                since: now,
                until,
                session,
                begun,
                is_kept: false,
                is_changed: false,
                taken_up: None,
                ahead: None,
            };
            self.put(open);
        } else {
            tracing::error!("too many calls are up: one gets no row");
        }
    }

    /// A call of which no 2xx came, tried by this trunk last if by one. Ends when its row is durable.
    pub(crate) async fn unanswered(
        &self,
        mut begun: Begun,
        status: u16,
        is_cancelled: bool,
        trunk: Option<&str>,
    ) {
        begun.trunk = begun.trunk.or_else(|| trunk.map(str::to_owned));
        let result = match status {
            _ if is_cancelled => CallResult::Cancelled,
            408 => CallResult::NoAnswer,
            _ => CallResult::Refused,
        };
        self.write(&begun, None, unix_millis(), Money::ZERO, (result, status)).await;
    }

    /// A re-INVITE or UPDATE was answered (RFC 4028 §10).
    pub(crate) fn refreshed(&self, request: &Message) {
        if let Some(mut open) = self.key_of(request).and_then(|key| self.open.get_mut(&key)) {
            open.until = Instant::now() + open.session;
        }
    }

    /// What a side says in a dialog that may be ended from here.
    pub(crate) fn heard(&self, request: &Message) {
        if self.is_watched.load(Ordering::Relaxed)
            && let Some(mut open) = self.key_of(request).and_then(|key| self.open.get_mut(&key))
            && let Some(ends) = &mut open.begun.ends
        {
            ends.heard(request);
        }
    }

    /// What it takes to end a call whose caller's money is used up.
    pub(crate) fn to_cut(&self, call: &str) -> Option<Cut> {
        let open = self.open.get(call)?;
        let begun = &open.begun;
        let ends = begun.ends.clone()?;
        Some(Cut { call_id: begun.call_id.clone(), tag: begun.tag.clone(), ends })
    }

    /// Such a call ended at this instant, unless it had ended before. Ends when the row is durable.
    pub(crate) async fn cut_off(&self, call: &str, at: Instant) -> bool {
        let Some((_, open)) = self.open.remove(call) else { return false };
        self.close(open, at, CallResult::CutOff).await;
        true
    }

    /// How far ahead our CSeq is in a call whose carrier asked for proof inside the dialog.
    pub(crate) fn ahead(&self, request: &Message) -> Option<Ahead> {
        self.open.get(&self.key_of(request)?)?.ahead
    }

    /// Whether the call that a request is in is up.
    pub(crate) fn is_up(&self, request: &Message) -> bool {
        self.key_of(request).is_some()
    }

    fn put(&self, mut open: Open) {
        loop {
            match self.open.entry(open.begun.key()) {
                Entry::Vacant(place) => {
                    if let Some(charge) = open.begun.charge.as_ref().filter(|_| open.begun.ends.is_some()) {
                        charge.is_of(place.key());
                    }
                    place.insert(open);
                    return;
                }
                Entry::Occupied(_) => open.begun.nth += 1,
            }
        }
    }

    /// The call that a request is in, whichever side sends it. What comes back to us more often ends by its time.
    pub(super) fn key_of(&self, request: &Message) -> Option<Box<str>> {
        let [one, other] = [request.from_tag(), request.to_tag()].map(Option::unwrap_or_default);
        let mut its = (0..SPIRALS).map(|nth| key(request.call_id(), (one, other), nth));
        let earlier = || {
            let key = key(request.call_id(), ("", ""), 0);
            let is_taken_up = self.open.get(&key).is_some_and(|open| open.taken_up.is_some());
            is_taken_up.then_some(key)
        };
        its.find(|key| self.open.contains_key(key)).or_else(earlier)
    }

    /// A BYE that came at this instant was answered, or had its time: nobody speaks after it, nor pays (RFC 3261 §15). Ends when the
    /// row is durable.
    pub(crate) async fn ended(&self, request: &Message, at: Instant) {
        let Some((_, open)) = self.key_of(request).and_then(|key| self.open.remove(&key)) else { return };
        self.close(open, at, CallResult::Completed).await;
    }

    /// Ends the calls that nobody refreshed, and answers which those were: their Call-IDs and callers' tags.
    pub(crate) async fn end_silent(&self, now: Instant) -> Vec<(Box<str>, Box<str>)> {
        let silent: Vec<Box<str>> =
            self.open.iter().filter(|open| open.until <= now).map(|open| open.key().clone()).collect();
        let mut ended = Vec::new();
        for key in silent {
            if let Some((_, open)) = self.open.remove_if(&key, |_, open| open.until <= now) {
                let until = open.taken_up.unwrap_or(open.until);
                let call = (open.begun.call_id.clone(), open.begun.tag.clone());
                self.close(open, until, CallResult::Lost).await;
                ended.push(call);
            }
        }
        ended
    }

    async fn close(&self, mut open: Open, at: Instant, result: CallResult) {
        if open.is_kept {
            self.forget(&open.begun.key()).await;
        }
        let length = at.saturating_duration_since(open.since);
        let charge = open.begun.charge.take();
        let cost = if charge.is_some() { open.begun.rate.cost(length) } else { Money::ZERO };
        let ended = open.answered + i64::try_from(length.as_millis()).unwrap_or(0);
        // Before it is added, or the account's other calls would be weighed against both.
        drop(charge);
        if let Some(account) = open.begun.caller.filter(|_| cost > Money::ZERO)
            && let Err(error) = self.spend.add(account, cost, ended).await
        {
            tracing::error!(%error, %account, %cost, "what a call cost could not be added");
        }
        self.write(&open.begun, Some((open.answered, length)), ended, cost, (result, 200)).await;
    }

    async fn write(
        &self,
        begun: &Begun,
        answered: Option<(i64, Duration)>,
        ended: i64,
        cost: Money,
        (result, status): (CallResult, u16),
    ) {
        let Some(writer) = &self.writer else { return };
        let seconds = |length: Duration| length.as_secs() + u64::from(length.subsec_nanos() > 0);
        let record = CallRecord {
            time: time_text(begun.began),
            answered: answered.map(|(at, _)| time_text(at)),
            ended: time_text(ended),
            seconds: answered.map_or(0, |(_, length)| seconds(length)),
            from: begun.from.clone(),
            to: begun.to.clone(),
            caller: begun.caller,
            callee: begun.callee,
            direction: begun.direction,
            trunk: begun.trunk.clone(),
            result,
            status,
            codecs: begun.codecs.clone(),
            is_anonymous: begun.is_anonymous,
            is_left_message: begun.is_left_message,
            class: begun.rate.class.as_str().to_owned(),
            cost: cost.to_string(),
            currency: self.currency.clone(),
            correlation: Correlation::of_call(&begun.call_id).to_string(),
            call_id: cut(&begun.call_id),
        };
        writer.write(record.entries(begun.began, ended, shared_runtime::random())).await;
    }
}

impl Begun {
    /// Whether it costs its caller something.
    pub(crate) fn is_charged(&self) -> bool {
        self.charge.is_some()
    }

    pub(super) fn key(&self) -> Box<str> {
        key(&self.call_id, (&self.tag, &self.callee_tag), self.nth)
    }
}

/// That of what an earlier release wrote down, which knew no tags, is the Call-ID.
fn key(call_id: &str, tags: (&str, &str), nth: u32) -> Box<str> {
    match (tags, nth) {
        (("", ""), 0) => call_id.into(),
        ((one, other), nth) => format!("{call_id}\0{}\0{}\0{nth}", one.min(other), one.max(other)).into(),
    }
}

/// How long a call lasts without a refresh; half again as long, for a refresher may be late.
fn session_of(response: &Message) -> Duration {
    let interval =
        response.value(Name::SessionExpires).and_then(|value| value.split(';').next()?.trim().parse().ok());
    interval.map_or(LONGEST, |seconds: u32| Duration::from_secs(u64::from(seconds)) * 3 / 2).min(LONGEST)
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_TEXT.min(text.len()));
    text[..end].to_owned()
}

/// Calls that are up; each takes less than a kilobyte.
const MOST: usize = 200_000;
/// Rows of one dialog that its requests are looked for in.
const SPIRALS: u32 = 8;
/// Calls are taken for over after this.
const LONGEST: Duration = Duration::from_secs(12 * 3_600);
/// Bytes of a URI in a row.
const LONGEST_TEXT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_as_long_as_it_says_and_half_as_long_again() {
        let mut response = Message::response(&Message::request("INVITE", "sip:b@x"), 200, "");
        assert_eq!(session_of(&response), LONGEST);
        response.push(Name::SessionExpires, "1800;refresher=uac");
        assert_eq!(session_of(&response), Duration::from_secs(2_700));
        assert_eq!(cut(&"é".repeat(400)).len(), 512);
    }
}
