//! Waking clients that are away — XEP-0357 0.4.1, sections 5 (enabling), 6 (disabling), 7 (publishing), 7.1 (errors).
//!
//! ```text
//! message for an account ─▶ which of its clients that asked to be woken is away? ─▶ <publish/> from the domain to their service
//! ```
//!
//! In    a message on its way to an account, or of a room to a session that is away; answers of push services.
//! Out   one publication a client: a summary with how many, and with who and what if the operator allows that.
//! State who asked to be woken, one record each, collection `push` of the account; when each was woken last, in memory.
//! Errors a service that refuses is not asked again until the client asks anew; one that cannot be reached is given up after
//!        [`MOST_FAILURES`] times in a row.
//!
//! A client is away when it has no session, when its session lost the connection (XEP-0198), and when nobody looks at it
//! (XEP-0352). Of many messages in a moment it is told once at once, and once more when the moment is over; of a call (XEP-0353)
//! at once, with high priority, and of many calls once in
//! [`CALL_MOMENT`]. What rooms say wakes the client whose session is in the room.
//! A client that vanished looks present for a while: when it is noticed, it is woken for what came meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use shared_model::{BareJid, Correlation, Fact, PushEvent};
use shared_store::{Expected, Record, Records, StoreError};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use crate::route::route;
use crate::router::Session;
use crate::server::Server;

/// A client that wants to be woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// The push service.
    pub(crate) service: String,
    pub(crate) node: String,
    /// What the service wants beside each publication, as XML.
    pub(crate) options: Option<String>,
    /// The resource that asked.
    pub(crate) resource: String,
}

/// All clients that want to be woken.
pub(crate) struct Pushes {
    records: Arc<dyn Records>,
    /// What was read of each account.
    known: DashMap<String, Arc<[Registration]>>,
    /// Publications that are not answered, by the id of their iq.
    asked: DashMap<String, Asked>,
    /// Clients that were woken, by account and key.
    woken: DashMap<(String, String), Woken>,
}

struct Asked {
    user: String,
    key: String,
    since: Instant,
}

#[derive(Clone, Copy)]
struct Woken {
    at: Instant,
    /// Somebody will wake it again when the moment is over, with this many messages.
    waiting: usize,
    failures: u32,
    /// When it was woken for a call.
    called: Option<Instant>,
}

impl Registration {
    fn key(&self) -> String {
        format!("{} {}", self.service, self.node)
    }
}

impl Pushes {
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self { records, known: DashMap::new(), asked: DashMap::new(), woken: DashMap::new() }
    }

    fn known(&self, user: &str) -> Option<Arc<[Registration]>> {
        self.known.get(user).map(|known| Arc::clone(&known))
    }

    /// Who of an account wants to be woken.
    pub(crate) async fn of(&self, user: &str) -> Result<Arc<[Registration]>, StoreError> {
        if let Some(known) = self.known(user) {
            return Ok(known);
        }
        let records = self.records.list(user, COLLECTION, None, MOST).await?;
        let read = |record: &Record| serde_json::from_slice(&record.value).ok();
        let known: Arc<[Registration]> = records.iter().filter_map(read).collect();
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(user.to_owned(), Arc::clone(&known));
        Ok(known)
    }

    /// §5: the last request for a service and node counts.
    pub(crate) async fn enable(&self, user: &str, registration: &Registration) -> Result<(), StoreError> {
        let key = registration.key();
        let known = self.of(user).await?;
        if known.len() >= MOST && known.iter().all(|other| other.key() != key) {
            return Err(StoreError::TooMany(MOST));
        }
        let value = serde_json::to_vec(registration).unwrap_or_default();
        self.records.put(user, COLLECTION, &key, &value, Expected::Anything).await?;
        self.known.remove(user);
        self.woken.remove(&(user.to_owned(), key));
        Ok(())
    }

    /// §6: one node of a service, or all.
    pub(crate) async fn disable(
        &self,
        user: &str,
        service: &str,
        node: Option<&str>,
    ) -> Result<(), StoreError> {
        for registration in self.of(user).await?.iter().filter(|one| one.service == service) {
            if node.is_none_or(|node| node == registration.node) {
                self.records.delete(user, COLLECTION, &registration.key()).await?;
            }
        }
        self.known.remove(user);
        Ok(())
    }

    /// Nothing of an account is kept any more.
    pub(crate) fn forget(&self, user: &str) {
        self.known.remove(user);
    }

    /// Whether a client is to be woken now. One that was a moment ago is counted for later; the first of these is told
    /// how long to wait.
    fn wake(&self, user: &str, key: &str, now: Instant, is_call: bool) -> Wake {
        if self.woken.len() >= MOST_KNOWN {
            self.woken.retain(|_, woken| now.duration_since(woken.at) < FORGOTTEN);
        }
        let new = Woken { at: now, waiting: 0, failures: 0, called: None };
        let mut is_new = false;
        let mut woken = self.woken.entry((user.to_owned(), key.to_owned())).or_insert_with(|| {
            is_new = true;
            new
        });
        let since = now.duration_since(woken.at);
        if is_call {
            // What else is to be told comes when it would have come.
            let is_ringing = woken.called.is_some_and(|called| now.duration_since(called) < CALL_MOMENT);
            if is_ringing {
                return Wake::Later; // it is awake, and sees who else calls
            }
            woken.called = Some(now);
            return Wake::Now;
        }
        if is_new || (since >= MOMENT && woken.waiting == 0) {
            woken.at = now;
            return Wake::Now;
        }
        woken.waiting += 1;
        if woken.waiting == 1 { Wake::After(MOMENT.saturating_sub(since)) } else { Wake::Later }
    }

    /// The moment is over: how many messages came in it.
    fn over(&self, user: &str, key: &str, now: Instant) -> usize {
        let Some(mut woken) = self.woken.get_mut(&(user.to_owned(), key.to_owned())) else { return 0 };
        woken.at = now;
        std::mem::take(&mut woken.waiting)
    }

    /// Takes an answer to a publication. Whether it is one.
    pub(crate) async fn answered(&self, iq: &Stanza) -> bool {
        let Some(id) = iq.id.as_ref().filter(|_| iq.kind == Kind::Iq) else { return false };
        let service = iq.from.as_ref().map_or("", Jid::as_str);
        let is_theirs = |_: &String, asked: &Asked| asked.key.split(' ').next() == Some(service);
        let Some((_, asked)) = self.asked.remove_if(id, is_theirs) else { return false };
        let place = (asked.user.clone(), asked.key.clone());
        if !iq.is_type("error") {
            if let Some(mut woken) = self.woken.get_mut(&place) {
                woken.failures = 0;
            }
            return true;
        }
        let failures = self.woken.get_mut(&place).map_or(1, |mut woken| {
            woken.failures += 1;
            woken.failures
        });
        if !is_passing(iq) || failures >= MOST_FAILURES {
            tracing::debug!(failures, "a push service refuses: its client is not woken any more");
            if let Err(error) = self.records.delete(&asked.user, COLLECTION, &asked.key).await {
                tracing::error!(%error, "a client that cannot be woken could not be forgotten");
            }
            self.known.remove(&asked.user);
        }
        true
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wake {
    Now,
    After(Duration),
    Later,
}

/// §7.1: errors that may be others tomorrow.
fn is_passing(iq: &Stanza) -> bool {
    let error = iq.find("error", ns::CLIENT).unwrap_or_default();
    error.attribute("type") == Some("wait")
        || error.children().any(|child| child.name.starts_with("remote-server-"))
}

/// Wakes the clients of an account that are away, for a message that somebody would want to see.
pub(crate) fn notify(server: &Server, to: &Jid, message: &Stanza) {
    let is_own = message.from.as_ref().is_some_and(|from| from.bare_str() == to.bare_str());
    if message.is_type("groupchat") || is_own || !is_worth_waking(message) {
        return;
    }
    spawn(server, to, message, is_away);
}

/// Wakes the client of a session that is away, for what a room says to it.
pub(crate) fn notify_occupant(server: &Server, to: &Jid, message: &Stanza) {
    if !server.router.is_away(to) || !is_worth_waking(message) || message.mentions(ns::DELAY) {
        return;
    }
    let resource = to.resource().unwrap_or_default().to_owned();
    let is_its = move |_: &Server, _: &Jid, registration: &Registration| registration.resource == resource;
    spawn(server, to, message, is_its);
}

/// Wakes the client of a session whose connection is lost, once for all that it did not get.
pub(crate) fn notify_waiting<'a>(
    server: &Server,
    to: &Jid,
    waiting: impl DoubleEndedIterator<Item = &'a Stanza> + Clone,
) {
    let is_own =
        |message: &Stanza| message.from.as_ref().is_some_and(|from| from.bare_str() == to.bare_str());
    let is_history = |message: &Stanza| message.is_type("groupchat") && message.mentions(ns::DELAY);
    let mut worth = waiting.filter(|it| is_worth_waking(it) && !is_own(it) && !is_history(it));
    let Some(message) = worth.clone().rfind(|it| is_call(it)).or_else(|| worth.next_back()) else { return };
    let resource = to.resource().unwrap_or_default().to_owned();
    let is_its = move |server: &Server, user: &Jid, registration: &Registration| {
        registration.resource == resource && is_away(server, user, registration)
    };
    spawn(server, to, message, is_its);
}

fn spawn(
    server: &Server,
    to: &Jid,
    message: &Stanza,
    is_meant: impl Fn(&Server, &Jid, &Registration) -> bool + Send + 'static,
) {
    let known = server.pushes.known(to.bare_str());
    if known.as_ref().is_some_and(|all| all.is_empty()) {
        return;
    }
    let Some(server) = server.me() else { return };
    let user = to.to_bare();
    if let Some(all) = known {
        return wake_those(&server, &user, &all, message, is_meant);
    }
    let message = message.clone();
    // Not in this task: a message does not wait for whom it wakes.
    tokio::spawn(async move {
        match server.pushes.of(user.as_str()).await {
            Ok(all) => wake_those(&server, &user, &all, &message, is_meant),
            Err(error) => tracing::error!(%error, "clients to be woken cannot be read"),
        }
    });
}

fn wake_those(
    server: &Arc<Server>,
    user: &Jid,
    all: &[Registration],
    message: &Stanza,
    is_meant: impl Fn(&Server, &Jid, &Registration) -> bool,
) {
    for registration in all.iter().filter(|one| is_meant(server, user, one)) {
        wake(server, user, registration, message);
    }
}

fn wake(server: &Arc<Server>, user: &Jid, registration: &Registration, message: &Stanza) {
    let key = registration.key();
    let (server, user, registration) = (Arc::clone(server), user.clone(), registration.clone());
    match server.pushes.wake(user.as_str(), &key, Instant::now(), is_call(message)) {
        Wake::Later => {}
        Wake::Now => {
            let message = message.clone();
            tokio::spawn(async move { publish(&server, &user, &registration, 1, Some(&message)).await });
        }
        Wake::After(moment) => {
            tokio::spawn(async move {
                tokio::time::sleep(moment).await;
                let count = server.pushes.over(user.as_str(), &key, Instant::now());
                if is_away(&server, &user, &registration) {
                    publish(&server, &user, &registration, count, None).await;
                }
            });
        }
    }
}

/// §7.
async fn publish(
    server: &Server,
    user: &Jid,
    registration: &Registration,
    count: usize,
    message: Option<&Stanza>,
) {
    let (Some(from), Ok(to)) = (server.voice_to(user), registration.service.parse::<Jid>()) else { return };
    let field = |var: &str, value: String| Field::new(var, "", "", value);
    let mut summary = Form::new("submit", SUMMARY).with(field("message-count", count.to_string()));
    if let Some(message) = message.filter(|_| server.config.push_details) {
        let sender = message.from.as_ref().map(Jid::to_string).unwrap_or_default();
        let body = message.find("body", ns::CLIENT).map(|body| body.text()).unwrap_or_default();
        let body = body.chars().take(LONGEST_BODY).collect();
        summary = summary.with(field("last-message-sender", sender)).with(field("last-message-body", body));
    }
    let urgent = message.is_some_and(is_call).then(|| Element::new("priority", PRIORITY).text_node("high"));
    let notification =
        Element::new("notification", ns::PUSH).child(summary.to_element()).children_from(urgent);
    let item = Element::new("item", ns::PUBSUB).child(notification);
    let publish = Element::new("publish", ns::PUBSUB)
        .with_some("node", (!registration.node.is_empty()).then_some(&registration.node))
        .child(item);
    let options = registration.options.as_deref().and_then(|text| Element::parse(text, "").ok());
    let options = options.map(|form| Element::new("publish-options", ns::PUBSUB).child(form));
    let pubsub = Element::new("pubsub", ns::PUBSUB).child(publish).children_from(options);
    let id = server.new_id();
    let asked = Asked { user: user.bare_str().to_owned(), key: registration.key(), since: Instant::now() };
    let pushes = &server.pushes;
    if pushes.asked.len() >= MOST_KNOWN {
        pushes.asked.retain(|_, asked| asked.since.elapsed() < FORGOTTEN);
        if pushes.asked.len() >= MOST_KNOWN {
            return tracing::warn!("too many push services do not answer: a client is not woken");
        }
    }
    pushes.asked.insert(id.clone(), asked);
    server.metrics.pushes.inc();
    if let Ok(jid) = user.bare_str().parse::<BareJid>() {
        let sent = PushEvent::ForChat { jid, service: registration.service.clone() };
        // The words that woke it have no activity of their own.
        server.bus.publish(Fact::new(Correlation(0), sent));
    }
    let iq = Stanza::new(Kind::Iq, Some("set")).with_id(Some(&id)).with(&pubsub);
    route(server, iq.addressed(Some(&from), Some(&to))).await;
}

/// Whether nobody sees what comes to that client.
fn is_away(server: &Server, user: &Jid, registration: &Registration) -> bool {
    let sessions = server.router.sessions(user.bare_str());
    let session = sessions.iter().find(|session| session.jid.resource() == Some(&registration.resource));
    session.is_none_or(Session::is_away)
}

/// Words, calls, and what is encrypted and may be either.
fn is_worth_waking(message: &Stanza) -> bool {
    if matches!(message.type_.as_deref(), Some("error" | "headline")) {
        return false;
    }
    if is_call(message) {
        return true;
    }
    let is_shown = !(message.mentions(ns::HINTS) && message.find("no-store", ns::HINTS).is_some());
    is_shown && (message.mentions("<body") || message.mentions("<encrypted"))
}

/// XEP-0353 §3.1: somebody calls, and it rings now or not at all.
fn is_call(message: &Stanza) -> bool {
    !message.is_type("groupchat") && message.find("propose", CALLS).is_some()
}

pub(crate) const COLLECTION: &str = "push";
const SUMMARY: &str = "urn:xmpp:push:summary";
/// XEP-0353: somebody calls.
const CALLS: &str = "urn:xmpp:jingle-message:0";
/// What push services pass on to the network of a telephone's maker, so that it wakes a telephone that sleeps.
const PRIORITY: &str = "tigase:push:priority:0";
/// Clients of one account.
const MOST: usize = 20;
/// Accounts, clients and questions at hand.
const MOST_KNOWN: usize = 100_000;
/// Times that a service may fail in a row.
const MOST_FAILURES: u32 = 16;
/// How often a client is woken.
const MOMENT: Duration = Duration::from_secs(5);
/// How often a client is woken for calls.
const CALL_MOMENT: Duration = Duration::from_secs(2);
/// After how long an answer is not waited for, and a client counts as never woken.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Characters of a message that a service is told.
const LONGEST_BODY: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_woken_at_once_and_once_more_after_a_moment() {
        let pushes = Pushes::new(shared_store::Store::in_memory().records);
        let start = Instant::now();
        assert_eq!(pushes.wake("a@x", "s n", start, false), Wake::Now);
        assert_eq!(
            pushes.wake("a@x", "s n", start + Duration::from_secs(1), false),
            Wake::After(Duration::from_secs(4))
        );
        assert_eq!(pushes.wake("a@x", "s n", start + Duration::from_secs(2), false), Wake::Later);
        assert_eq!(pushes.wake("a@x", "s n", start + Duration::from_secs(2), true), Wake::Now, "a call");
        let soon = Duration::from_millis(3_900);
        assert_eq!(pushes.wake("a@x", "s n", start + soon, true), Wake::Later, "many calls");
        assert_eq!(pushes.wake("a@x", "s n", start + Duration::from_secs(4), true), Wake::Now);
        assert_eq!(pushes.wake("b@x", "s n", start, false), Wake::Now);
        assert_eq!(pushes.over("a@x", "s n", start + MOMENT), 2);
        assert_eq!(pushes.wake("a@x", "s n", start + 2 * MOMENT, false), Wake::Now);
    }

    #[test]
    fn words_and_calls_wake_and_the_rest_does_not() {
        let wakes = |text: &str| is_worth_waking(&Stanza::parse(text).unwrap());
        let call = "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>";
        assert!(wakes("<message type='chat'><body>x</body></message>"));
        assert!(wakes("<message><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>"));
        assert!(wakes(&format!("<message>{call}<no-store xmlns='urn:xmpp:hints'/></message>")));
        for no in [
            &format!("<message type='groupchat'>{call}</message>"),
            "<message type='headline'><body>x</body></message>",
            "<message><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "<message><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>",
        ] {
            assert!(!wakes(no), "{no}");
        }
    }
}
