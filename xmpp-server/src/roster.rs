//! Rosters as they are kept — RFC 6121 §2: one record a contact, changed by compare and swap.
//!
//! In    an account's bare JID, a contact's, and a change as a function of what is there.
//! Out   what is there now. Acknowledged means durable.
//! State `Records`, collection `roster`, key the contact's bare JID; in memory who is of the same group, which is laid over what is
//!       kept ([`crate::shared_groups`]), and for a moment what was read.
//! Errors those of the store; a contact more than [`Config::contacts`](crate::Config) is `TooMany`.
//! Not here: who is told (`presence`, `features::roster`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use shared_store::{Expected, Place, Record, RecordChange, Records, StoreError};
use xmpp_core::payload::roster::{Item, Set, Subscription};
use xmpp_core::{Element, Jid, ns};

use crate::shared_groups::{Fellow, SharedGroups};

/// One contact as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Contact {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    to: bool,
    from: bool,
    pending_out: bool,
    pending_in: bool,
    approved: bool,
    /// Whether the user sees it in the roster: a request that waits for an answer alone is not seen (§3.1.3).
    pub(crate) is_listed: bool,
    /// The request that waits, as it came, to be shown at every login until it is answered.
    pub(crate) request: Option<String>,
}

impl Contact {
    /// Whether it is in the roster, and sees the account or is seen by it.
    pub(crate) fn is_agreed(&self) -> bool {
        self.is_listed && (self.to || self.from)
    }

    /// The state of the subscription.
    pub(crate) fn subscription(&self) -> Subscription {
        let Self { to, from, pending_out, pending_in, approved, .. } = *self;
        Subscription { to, from, pending_out, pending_in, approved }
    }

    /// Another state of the subscription.
    pub(crate) fn set_subscription(&mut self, it: Subscription) {
        self.to = it.to;
        self.from = it.from;
        self.pending_out = it.pending_out;
        self.pending_in = it.pending_in;
        self.approved = it.approved;
        if !it.pending_in {
            self.request = None;
        }
    }

    /// As the protocol shows it.
    pub(crate) fn to_item(&self, jid: &Jid) -> Item {
        let subscription = self.subscription();
        Item { jid: jid.clone(), name: self.name.clone(), groups: self.groups.clone(), subscription }
    }

    /// An entry as the protocol shows it (RFC 6121 §2.1.2), with all that only the server may say.
    pub(crate) fn from_item(item: &Element) -> Option<(Jid, Self)> {
        let alone = Element::new("query", ns::ROSTER).child(item.clone());
        let Ok(Set::Update(read)) = Item::parse_set(&alone) else { return None };
        let is = |name: &str, word: &str| item.attribute(name) == Some(word);
        let mut contact = Self { name: read.name, groups: read.groups, is_listed: true, ..Self::default() };
        contact.set_subscription(Subscription {
            to: is("subscription", "to") || is("subscription", "both"),
            from: is("subscription", "from") || is("subscription", "both"),
            pending_out: is("ask", "subscribe"),
            pending_in: false,
            approved: is("approved", "true") || is("approved", "1"),
        });
        Some((read.jid, contact))
    }

    /// The same, and it waits for an answer to this request.
    #[must_use]
    pub(crate) fn asked(mut self, request: String) -> Self {
        if !self.from {
            self.pending_in = true;
            self.request = Some(request);
        }
        self
    }

    /// How it is written down.
    pub(crate) fn to_change(&self, jid: &Jid) -> RecordChange {
        RecordChange::put(COLLECTION, jid.bare_str(), &serde_json::to_vec(self).unwrap_or_default())
    }

    /// The same, and of the same group: both see each other, whatever they asked for.
    fn join(&mut self, fellow: &Fellow) {
        self.set_subscription(Subscription { to: true, from: true, ..Subscription::default() });
        self.is_listed = true;
        if self.name.is_empty() {
            self.name = fellow.name.to_string();
        }
        for group in &fellow.groups {
            if !self.groups.iter().any(|known| **known == **group) {
                self.groups.push(group.to_string());
            }
        }
    }

    fn is_worth_keeping(&self) -> bool {
        self.is_listed || self.pending_in || self.approved
    }
}

/// When a roster was read, and what it was.
type Recent = (Instant, Arc<[(Jid, Contact)]>);

/// All rosters.
pub(crate) struct Rosters {
    records: Arc<dyn Records>,
    most: usize,
    /// Who is a contact without having been asked.
    pub(crate) shared: SharedGroups,
    /// What was read a moment ago: a login asks for the same several times.
    recent: DashMap<String, Recent>,
    /// How many changes there were, so that none is missed between a look and what is remembered of it.
    changes: AtomicU64,
}

impl Rosters {
    pub(crate) fn new(records: Arc<dyn Records>, most: usize) -> Self {
        Self {
            records,
            most,
            shared: SharedGroups::default(),
            recent: DashMap::new(),
            changes: AtomicU64::new(0),
        }
    }

    /// Every contact of an account, requests and fellows among them.
    pub(crate) async fn all(&self, owner: &str) -> Result<Vec<(Jid, Contact)>, StoreError> {
        let mut all = self.own(owner).await?;
        let mut fellows = self.shared.known().fellows(owner);
        for (jid, contact) in &mut all {
            if let Some(fellow) = fellows.remove(jid.as_str()) {
                contact.join(&fellow);
            }
        }
        all.extend(fellows.into_iter().filter_map(|(jid, fellow)| {
            let mut contact = Contact::default();
            contact.join(&fellow);
            Some((jid.parse().ok()?, contact))
        }));
        Ok(all)
    }

    /// What the user sees, with its version (§2.6.2).
    pub(crate) async fn shown(&self, owner: &str) -> Result<Element, StoreError> {
        let contacts = self.all(owner).await?;
        let listed = contacts.iter().filter(|(_, entry)| entry.is_listed);
        let items = listed.map(|(jid, entry)| entry.to_item(jid).to_element());
        let query = Element::new("query", ns::ROSTER).children_from(items);
        let version = version(&query);
        Ok(query.with("ver", version))
    }

    /// Whether somebody is a contact who cannot be taken out.
    pub(crate) fn is_fellow(&self, owner: &str, other: &Jid) -> bool {
        self.shared.known().fellow(owner, other.bare_str()).is_some()
    }

    /// Every contact that is an account's own. Another process's change is seen a moment later.
    pub(crate) async fn own(&self, owner: &str) -> Result<Vec<(Jid, Contact)>, StoreError> {
        if let Some(known) = self.recent.get(owner).filter(|known| known.0.elapsed() < MOMENT) {
            return Ok(known.1.to_vec());
        }
        let before = self.changes.load(Ordering::Acquire);
        let records = self.records.list(owner, COLLECTION, None, self.most + 1).await?;
        let read =
            |r: shared_store::Record| Some((r.key.parse().ok()?, serde_json::from_slice(&r.value).ok()?));
        let own: Arc<[(Jid, Contact)]> = records.into_iter().filter_map(read).collect();
        if self.recent.len() >= MOST_RECENT {
            self.recent.retain(|_, known| known.0.elapsed() < MOMENT);
        }
        if self.recent.len() < MOST_RECENT {
            // Under the map's lock, which whoever changes something takes after counting.
            let entry = self.recent.entry(owner.to_owned());
            if self.changes.load(Ordering::Acquire) == before {
                entry.insert((Instant::now(), Arc::clone(&own)));
            }
        }
        Ok(own.to_vec())
    }

    /// What was read of an account is not so any more.
    pub(crate) fn forget(&self, owner: &str) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.recent.remove(owner);
    }

    /// One contact.
    pub(crate) async fn get(&self, owner: &str, contact: &Jid) -> Result<Contact, StoreError> {
        let entry = match self.at_hand(owner, contact) {
            Some(entry) => entry,
            None => read(self.records.get(owner, COLLECTION, contact.bare_str()).await?.as_ref()),
        };
        Ok(self.joined(owner, contact, entry))
    }

    /// What many accounts have of one contact, in one look.
    pub(crate) async fn of_many(&self, owners: &[Jid], contact: &Jid) -> Result<Vec<Contact>, StoreError> {
        let mut known: Vec<_> = owners.iter().map(|owner| self.at_hand(owner.bare_str(), contact)).collect();
        let key = contact.bare_str();
        let unknown = owners.iter().zip(&known).filter(|(_, known)| known.is_none());
        let places: Vec<_> = unknown
            .map(|(owner, _)| Place { owner: owner.bare_str(), collection: COLLECTION, key })
            .collect();
        let mut found = self.records.several(&places).await?.into_iter();
        for entry in known.iter_mut().filter(|entry| entry.is_none()) {
            *entry = found.next().map(|record| read(record.as_ref()));
        }
        let entries = owners.iter().zip(known);
        Ok(entries
            .map(|(owner, entry)| self.joined(owner.bare_str(), contact, entry.unwrap_or_default()))
            .collect())
    }

    /// One contact of a roster that was read a moment ago.
    fn at_hand(&self, owner: &str, contact: &Jid) -> Option<Contact> {
        let known = self.recent.get(owner).filter(|known| known.0.elapsed() < MOMENT)?;
        let found = known.1.iter().find(|(jid, _)| jid.as_str() == contact.bare_str());
        Some(found.map(|(_, entry)| entry.clone()).unwrap_or_default())
    }

    fn joined(&self, owner: &str, contact: &Jid, mut entry: Contact) -> Contact {
        if let Some(fellow) = self.shared.known().fellow(owner, contact.bare_str()) {
            entry.join(&fellow);
        }
        entry
    }

    /// Whether as many strangers wait for an answer as may. A contact, or one who waits already, is no further one.
    pub(crate) async fn is_crowded(&self, owner: &str, stranger: &Jid) -> Result<bool, StoreError> {
        if self.records.get(owner, COLLECTION, stranger.bare_str()).await?.is_some() {
            return Ok(false);
        }
        let is_waiting = |(_, contact): &&(Jid, Contact)| contact.pending_in && !contact.is_listed;
        Ok(self.own(owner).await?.iter().filter(is_waiting).count() >= MOST_WAITING)
    }

    /// Changes one contact; `change` may run more than once. What is there before and after.
    pub(crate) async fn change(
        &self,
        owner: &str,
        contact: &Jid,
        change: impl Fn(&mut Contact),
    ) -> Result<(Contact, Contact), StoreError> {
        let key = contact.bare_str();
        loop {
            let record = self.records.get(owner, COLLECTION, key).await?;
            let expected =
                record.as_ref().map_or(Expected::Absent, |record| Expected::Version(record.version));
            let before: Contact =
                record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default();
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                return Ok((before, after));
            }
            if expected == Expected::Absent
                && self.records.list(owner, COLLECTION, None, self.most).await?.len() >= self.most
            {
                return Err(StoreError::TooMany(self.most));
            }
            let next = if after.is_worth_keeping() {
                RecordChange::put(COLLECTION, key, &serde_json::to_vec(&after).unwrap_or_default())
            } else if expected == Expected::Absent {
                return Ok((before, after));
            } else {
                RecordChange::delete(COLLECTION, key)
            };
            let committed = self.records.commit(owner, &[next.expecting(expected)]).await;
            self.forget(owner);
            match committed {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok((before, after)),
            }
        }
    }
}

/// What is kept of a contact; nothing, if nothing is.
fn read(record: Option<&Record>) -> Contact {
    record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default()
}

pub(crate) const COLLECTION: &str = "roster";
/// Requests of strangers that wait for an answer: they must leave room for contacts.
const MOST_WAITING: usize = 100;

/// For how long, and of how many accounts, it is remembered what was read.
const MOMENT: Duration = Duration::from_secs(1);
const MOST_RECENT: usize = 512;

/// The same for the same contacts, and no other's.
fn version(query: &Element) -> String {
    let text = query.to_string();
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
