//! What is up: the devices of an account in both halves, and rooms with a call — told by facts, and by the registrar's bindings.
//!
//! In    facts of sessions, phones and calls of rooms; an account. Out what is there, what is unequal about it (S-44, S-48), and of how
//!       many accounts it is.
//! State sessions, phones and rooms, bounded; after facts were missed all of it is forgotten, lest it show what is over.
//! Not here: what protects a WebSocket, which no fact tells; the timeline (`operations`).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use shared_auth::AccountCard;
use shared_model::{
    AccountEvent, AccountId, ConferenceEvent, Event, Fact, ProtectedEvent, RoomAddress, SessionEvent,
};
use shared_runtime::Shutdown;
use shared_runtime::bus::{Heard, Subscription};
use shared_runtime::unix_millis;
use shared_store::{Binding, StoreError, is_protected};

use crate::Face;
use crate::pages::words::Words;
use crate::profile::Calls;
pub use unequal::Metrics;
use unequal::{Affected, Side, unequal};
pub(crate) use unequal::{Finding, Guarded};

mod unequal;

/// What is up now.
#[derive(Clone)]
pub(crate) struct Live(Arc<Mutex<Up>>);

#[derive(Default)]
struct Up {
    affected: Affected,
    /// Sessions by account.
    chats: HashMap<AccountId, Vec<Chat>>,
    /// How phones are protected, by account and by what tells a binding from others.
    phones: HashMap<AccountId, Vec<(String, Guarded)>>,
    /// Legs of calls, by room.
    rooms: HashMap<RoomAddress, usize>,
}

impl Live {
    /// Counts in these metrics.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self(Arc::new(Mutex::new(Up { affected: Affected::new(metrics), ..Up::default() })))
    }

    /// Listens until shutdown.
    pub(crate) async fn follow(self, mut facts: Subscription<Fact>, shutdown: Shutdown) {
        loop {
            let heard = tokio::select! {
                heard = facts.next() => heard,
                () = shutdown.begun() => return,
            };
            match heard {
                None => return,
                Some(Heard::Missed(_)) => self.up().forget(),
                Some(Heard::Fact(fact)) => self.up().hear(fact.event, unix_millis()),
            }
        }
    }

    /// Rooms in whose call somebody is.
    pub(crate) fn rooms(&self) -> Vec<RoomAddress> {
        let mut rooms: Vec<_> = self.up().rooms.keys().cloned().collect();
        rooms.sort();
        rooms
    }

    fn chats(&self, account: AccountId) -> Vec<Chat> {
        self.up().chats.get(&account).cloned().unwrap_or_default()
    }

    fn phones(&self, account: AccountId) -> Vec<(String, Guarded)> {
        self.up().phones.get(&account).cloned().unwrap_or_default()
    }

    fn up(&self) -> MutexGuard<'_, Up> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Up {
    fn forget(&mut self) {
        let mut affected = std::mem::take(&mut self.affected);
        affected.forget();
        *self = Self { affected, ..Self::default() };
    }

    fn hear(&mut self, event: Event, now: i64) {
        let changed = match &event {
            Event::Session(SessionEvent::Bound { account, .. } | SessionEvent::Ended { account, .. })
            | Event::Account(AccountEvent::Removed { account })
            | Event::Protected(
                ProtectedEvent::Chat { account, .. }
                | ProtectedEvent::Phone { account, .. }
                | ProtectedEvent::PhoneGone { account, .. },
            ) => Some(*account),
            _ => None,
        };
        self.note(event, now);
        if let Some(account) = changed {
            let phones = self.phones.get(&account).into_iter().flatten().map(|(_, guarded)| *guarded);
            let chats = self.chats.get(&account).into_iter().flatten().map(|chat| chat.guarded);
            self.affected.count(account, &unequal(Side::of(phones), Side::of(chats)));
        }
    }

    fn note(&mut self, event: Event, now: i64) {
        match event {
            Event::Session(SessionEvent::Bound { account, resource, .. })
                if self.chats.len() < MOST || self.chats.contains_key(&account) =>
            {
                let chats = self.chats.entry(account).or_default();
                chats.retain(|known| known.resource != resource);
                if chats.len() < MOST_OF_ONE {
                    chats.push(Chat { resource, since: now, guarded: Guarded::default() });
                }
            }
            Event::Protected(ProtectedEvent::Chat { account, resource, protection, is_open, proved }) => {
                let chats = self.chats.get_mut(&account);
                let of_it = chats.and_then(|chats| chats.iter_mut().find(|it| it.resource == resource));
                if let Some(chat) = of_it {
                    chat.guarded = Guarded { protection, is_open, proved: Some(proved) };
                }
            }
            Event::Protected(ProtectedEvent::Phone { account, key, protection, is_open, proved })
                if self.phones.len() < MOST || self.phones.contains_key(&account) =>
            {
                let phones = self.phones.entry(account).or_default();
                phones.retain(|(known, _)| *known != key);
                if phones.len() >= MOST_OF_ONE {
                    phones.remove(0);
                }
                phones.push((key, Guarded { protection, is_open, proved: Some(proved) }));
            }
            Event::Protected(ProtectedEvent::PhoneGone { account, key }) => {
                if let Some(phones) = self.phones.get_mut(&account) {
                    phones.retain(|(known, _)| *known != key);
                    if phones.is_empty() {
                        self.phones.remove(&account);
                    }
                }
            }
            Event::Account(AccountEvent::Removed { account }) => {
                self.phones.remove(&account);
            }
            Event::Session(SessionEvent::Ended { account, resource, .. }) => {
                if let Some(chats) = self.chats.get_mut(&account) {
                    chats.retain(|known| known.resource != resource);
                    if chats.is_empty() {
                        self.chats.remove(&account);
                    }
                }
            }
            Event::Conference(ConferenceEvent::ParticipantJoined { room, .. }) if self.rooms.len() < MOST => {
                *self.rooms.entry(room).or_default() += 1;
            }
            Event::Conference(ConferenceEvent::ParticipantLeft { room, .. }) => {
                if let Some(legs) = self.rooms.get_mut(&room) {
                    *legs = legs.saturating_sub(1);
                    if *legs == 0 {
                        self.rooms.remove(&room);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Both halves of one account.
pub(crate) struct State {
    pub(crate) phones: Vec<Phone>,
    pub(crate) chats: Vec<Chat>,
    pub(crate) findings: Vec<Finding>,
}

/// A session of chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chat {
    pub(crate) resource: String,
    pub(crate) since: i64,
    /// How it is protected, as far as that was heard.
    pub(crate) guarded: Guarded,
}

/// A device that is registered for calls.
pub(crate) struct Phone {
    /// Names its registration.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) contact: String,
    /// How it is protected: as it says itself, where nothing was heard.
    pub(crate) guarded: Guarded,
    pub(crate) since: i64,
    pub(crate) until: i64,
}

impl State {
    pub(crate) fn to_json(&self) -> Value {
        let phones = self.phones.iter().map(|phone| {
            json!({
                "id": phone.id, "name": phone.name, "contact": phone.contact, "protected": !phone.guarded.is_open, "since": phone.since,
                "until": phone.until, "tls": phone.guarded.tls(), "login": phone.guarded.login(),
            })
        });
        let chats = self.chats.iter().map(|chat| {
            let (tls, login) = (chat.guarded.tls(), chat.guarded.login());
            json!({
                "resource": chat.resource, "protected": !chat.guarded.is_open, "since": chat.since, "tls": tls, "login": login,
            })
        });
        let findings = self.findings.iter().map(|finding| {
            let (what, mend) = finding.words(Words::english());
            json!({ "kind": finding.as_str(), "what": what, "mend": mend })
        });
        json!({
            "phones": phones.collect::<Vec<_>>(), "chats": chats.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

/// Both halves as they are now.
pub(crate) async fn of(face: &Face, card: &AccountCard) -> Result<State, StoreError> {
    let bindings = face.bindings.by_aor(&card.aor, unix_millis()).await?;
    let heard = face.live.phones(card.account);
    let phones: Vec<Phone> = bindings
        .into_iter()
        .map(|binding| (heard.iter().find(|(key, _)| *key == binding.key).map(|heard| heard.1), binding))
        .map(|(heard, binding)| Phone {
            id: phone_id(&binding),
            // What was heard holds, whatever its Contact says.
            guarded: heard
                .unwrap_or(Guarded { is_open: !is_protected(&binding.contact), ..Guarded::default() }),
            name: if binding.user_agent.is_empty() { "a phone".to_owned() } else { binding.user_agent },
            contact: binding.contact,
            since: binding.updated,
            until: binding.expires,
        })
        .collect();
    let chats = face.live.chats(card.account);
    let settings = face.profiles.of(card, None).await?;
    let is_open = settings.srtp == Some(Calls::Off);
    let findings = findings(&phones, &chats, settings.linked.unwrap_or(true), is_open);
    Ok(State { phones, chats, findings })
}

/// A name for a binding that fits into a path: what tells it from the address's others may be long, and have any characters.
pub(crate) fn phone_id(binding: &Binding) -> String {
    let mut hasher = DefaultHasher::new();
    binding.key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// `is_open`: phones are configured to send sound in the clear.
fn findings(phones: &[Phone], chats: &[Chat], linked: bool, is_open: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_open {
        findings.push(Finding::MediaOpen);
    }
    let of_phones = Side::of(phones.iter().map(|phone| phone.guarded));
    findings.extend(unequal(of_phones, Side::of(chats.iter().map(|chat| chat.guarded))));
    match (phones.is_empty(), chats.is_empty()) {
        (true, false) if linked => findings.push(Finding::NoPhone),
        (false, true) if linked => findings.push(Finding::NoChat),
        _ => {}
    }
    findings
}

/// Accounts with sessions, and rooms with calls, that are followed.
const MOST: usize = 100_000;
/// Sessions of one account that are followed.
const MOST_OF_ONE: usize = 64;

#[cfg(test)]
mod tests {
    use shared_model::{BareJid, Protection, Proved, Strength};

    use super::*;

    #[test]
    fn sessions_come_and_go_and_rooms_have_calls_while_somebody_is_in_them() {
        let (mut up, account) = (Up::default(), AccountId(1));
        let jid: BareJid = "a@b".parse().unwrap();
        let bound = |resource: &str| SessionEvent::Bound {
            account,
            jid: jid.clone(),
            resource: resource.to_owned(),
            stream: String::new(),
        };
        up.hear(bound("one").into(), 1);
        up.hear(bound("one").into(), 2);
        up.hear(bound("two").into(), 3);
        let shown =
            |up: &Up| up.chats[&account].iter().map(|it| (it.resource.clone(), it.since)).collect::<Vec<_>>();
        assert_eq!(shown(&up), [("one".to_owned(), 2), ("two".to_owned(), 3)]);
        let protection = Some(Protection { version: "TLS 1.3", suite: "x" });
        let proved = Proved { by: "SCRAM-SHA-256", strength: Some(Strength::Answer) };
        let (resource, is_open) = ("two".to_owned(), true);
        up.hear(ProtectedEvent::Chat { account, resource, protection, is_open, proved }.into(), 4);
        assert_eq!(
            up.chats[&account].iter().map(|it| it.guarded.protection).collect::<Vec<_>>(),
            [None, protection]
        );
        assert!(up.chats[&account][1].guarded.is_open);
        for n in 0..=MOST_OF_ONE {
            let (key, is_open) = (n.to_string(), false);
            up.hear(ProtectedEvent::Phone { account, key, protection, is_open, proved }.into(), 4);
        }
        assert!(up.phones[&account].len() == MOST_OF_ONE && up.phones[&account][0].0 == "1");
        for n in 1..=MOST_OF_ONE {
            up.hear(ProtectedEvent::PhoneGone { account, key: n.to_string() }.into(), 4);
        }
        assert!(up.phones.is_empty());
        for resource in ["one", "two"] {
            let (jid, resource) = (jid.clone(), resource.to_owned());
            up.hear(SessionEvent::Ended { account, jid, resource, stream: String::new(), why: "" }.into(), 4);
        }
        assert!(up.chats.is_empty());
    }

    #[test]
    fn what_is_unequal_is_found_where_the_halves_are_one() {
        let phone = |contact: &str| Phone {
            id: String::new(),
            name: String::new(),
            contact: contact.to_owned(),
            guarded: Guarded { is_open: !is_protected(contact), ..Guarded::default() },
            since: 0,
            until: 0,
        };
        let one = [Chat { resource: String::new(), since: 0, guarded: Guarded::default() }];
        assert_eq!(findings(&[phone("sip:a@b;transport=tls")], &one, true, false), []);
        assert_eq!(findings(&[phone("sip:a@b")], &one, true, false), [Finding::PhoneUnprotected]);
        assert_eq!(findings(&[], &one, true, false), [Finding::NoPhone]);
        assert_eq!(findings(&[phone("sip:a@b;transport=TLS")], &[], true, false), [Finding::NoChat]);
        assert_eq!(findings(&[], &one, false, false), []);
        assert_eq!(findings(&[phone("sips:a@b")], &one, true, true), [Finding::MediaOpen]);
    }
}
