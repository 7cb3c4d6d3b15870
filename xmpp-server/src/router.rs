//! Who is here: bound resources by bare JID, and the door to each one's outbox — RFC 6121 §8.5 (which resources).
//!
//! In    a session that binds, changes its presence, or ends; a stanza for a full or a bare JID.
//! Out   [`Sent`]: whether the stanza is in an outbox.
//! State a sharded map; a shard is held for the time of a lookup and never over an await.
//! Errors a full outbox means a client that does not read: its session is told to end with `policy-violation`, and
//!       the stanza counts as not delivered, so that the caller stores it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dashmap::DashMap;
use shared_model::AccountId;
use xmpp_core::payload::blocking::BlockList;
use xmpp_core::payload::mam::Preferences;
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{Jid, Stanza};

use crate::access::Access;
use crate::blocking::is_exempt;
use crate::caps::Notify;
use crate::csi;
use crate::offline::Came;
use crate::queue::{Sender, Unsent};
use crate::session::{Door, NOT_WHOLE};

mod among;
mod outgoing;

pub(crate) use among::Among;
pub(crate) use outgoing::{Kept, Outgoing, What, is_kept};

/// One bound resource.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) jid: Jid,
    pub(crate) account: AccountId,
    /// By what its client is in.
    pub(crate) access: Arc<Access>,
    /// Tells a later session of the same resource from this one.
    pub(crate) serial: u64,
    pub(crate) outbox: Sender<Outgoing>,
    /// How it is told to end.
    pub(crate) door: Arc<Door>,
    /// The last presence that was broadcast; none while unavailable.
    pub(crate) presence: Option<Arc<Stanza>>,
    pub(crate) priority: i8,
    /// What waited for the account is in its outbox: messages may follow (XEP-0160).
    pub(crate) is_given: bool,
    /// The store is asked again, soon, for what waits.
    pub(crate) gives_later: bool,
    /// The same for the contacts who are to see that it is there.
    pub(crate) arrives_later: bool,
    /// Asked for the roster, so gets its pushes (RFC 6121 §2.1.6).
    pub(crate) is_interested: bool,
    /// Asked for the block list, so gets its pushes (XEP-0191 §3.3).
    pub(crate) is_block_interested: bool,
    /// Gets copies of messages (XEP-0280).
    pub(crate) wants_carbons: bool,
    pub(crate) personal: Personal,
    /// Nodes of which it wants to hear (XEP-0163 §4.3).
    pub(crate) notify: Notify,
    /// Nobody looks at the client (XEP-0352).
    pub(crate) is_inactive: bool,
    /// It lost its connection, and may be resumed (XEP-0198).
    pub(crate) is_detached: bool,
    /// To whom it showed presence directly.
    pub(crate) directed: Arc<Directed>,
}

/// To whom presence was sent directly, and who must learn that it is gone (RFC 6121 §4.6).
#[derive(Default)]
pub(crate) struct Directed(Mutex<HashSet<Jid>>);

impl Directed {
    /// Notes somebody, unless there are so many.
    pub(crate) fn put(&self, jid: &Jid, most: usize) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = all.len() < most || all.contains(jid);
        if fits {
            all.insert(jid.clone());
        }
        fits
    }

    pub(crate) fn remove(&self, jid: &Jid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(jid);
    }

    /// Whom a list names, who are forgotten.
    pub(crate) fn take_named(&self, list: &BlockList) -> Vec<Jid> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named: Vec<Jid> = all.iter().filter(|jid| list.names(jid)).cloned().collect();
        all.retain(|jid| !list.names(jid));
        named
    }

    /// Everybody, who is forgotten.
    pub(crate) fn take(&self) -> HashSet<Jid> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether somebody is among them, by this address or the bare one.
    pub(crate) fn has(&self, jid: &Jid) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(jid) || all.contains(&jid.to_bare())
    }
}

/// What an account wants, at hand in each of its sessions.
#[derive(Clone)]
pub(crate) struct Personal {
    /// Whom it blocks.
    pub(crate) blocked: Arc<BlockList>,
    /// What it wants archived.
    pub(crate) archiving: Arc<Preferences>,
    /// The hash of its avatar; empty if it has none.
    pub(crate) avatar: Arc<str>,
    /// It said that it does not want to be disturbed, whatever its clients say.
    pub(crate) is_undisturbed: bool,
}

/// Whether a stanza is in an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Yes,
    No,
}

/// What somebody may not have: more resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// All bound resources of this node.
#[derive(Default)]
pub(crate) struct Router {
    sessions: DashMap<String, Vec<Session>>,
    /// Why nobody stays any more.
    closed: OnceLock<StreamError>,
}

impl Router {
    /// Adds a session; one of the same resource is ended with `conflict` (RFC 6120 §7.7.2.2, the newer wins).
    pub(crate) fn bind(&self, mut session: Session, most: usize) -> Result<(), TooMany> {
        let mut entry = self.sessions.entry(session.jid.bare_str().to_owned()).or_default();
        // What was changed since the new one read it, the others know.
        if let Some(other) = entry.first() {
            session.personal = other.personal.clone();
        }
        if let Some(old) = entry.iter().position(|s| s.jid == session.jid) {
            let old = entry.remove(old);
            old.door.end(StreamError::because(StreamCondition::Conflict, "replaced by a new connection"));
        } else if entry.len() >= most {
            return Err(TooMany);
        }
        let door = Arc::clone(&session.door);
        entry.push(session);
        drop(entry);
        if let Some(why) = self.closed.get() {
            door.end(why.clone());
        }
        Ok(())
    }

    /// Takes a session out; false if another took its place already.
    pub(crate) fn unbind(&self, jid: &Jid, serial: u64) -> bool {
        let mut was_there = false;
        self.sessions.remove_if_mut(jid.bare_str(), |_, sessions| {
            let before = sessions.len();
            sessions.retain(|session| session.serial != serial);
            was_there = sessions.len() < before;
            sessions.is_empty()
        });
        was_there
    }

    /// Changes what is known of a session.
    pub(crate) fn update(&self, jid: &Jid, serial: u64, change: impl FnOnce(&mut Session)) {
        if let Some(mut sessions) = self.sessions.get_mut(jid.bare_str())
            && let Some(session) = sessions.iter_mut().find(|session| session.serial == serial)
        {
            change(session);
        }
    }

    /// Changes what is known of the session of a full JID.
    pub(crate) fn mark(&self, jid: &Jid, change: impl FnOnce(&mut Session)) {
        if let Some(mut sessions) = self.sessions.get_mut(jid.bare_str())
            && let Some(session) = sessions.iter_mut().find(|session| session.jid == *jid)
        {
            change(session);
        }
    }

    /// What an account wants, if it has a session.
    pub(crate) fn personal(&self, bare: &str) -> Option<Personal> {
        self.sessions.get(bare)?.first().map(|session| session.personal.clone())
    }

    /// Whom an account blocks, if it has a session.
    pub(crate) fn blocked(&self, bare: &str) -> Option<Arc<BlockList>> {
        self.sessions.get(bare)?.first().map(|session| Arc::clone(&session.personal.blocked))
    }

    /// From now on an account blocks these.
    pub(crate) fn set_blocked(&self, bare: &str, list: &Arc<BlockList>) {
        if let Some(mut sessions) = self.sessions.get_mut(bare) {
            sessions.iter_mut().for_each(|session| session.personal.blocked = Arc::clone(list));
        }
    }

    /// The hash of an account's avatar, if it has a session.
    pub(crate) fn avatar(&self, bare: &str) -> Option<Arc<str>> {
        self.sessions.get(bare)?.first().map(|session| Arc::clone(&session.personal.avatar))
    }

    /// From now on an account has this avatar.
    pub(crate) fn set_avatar(&self, bare: &str, avatar: &Arc<str>) {
        if let Some(mut sessions) = self.sessions.get_mut(bare) {
            sessions.iter_mut().for_each(|session| session.personal.avatar = Arc::clone(avatar));
        }
    }

    /// Whether an account said that it does not want to be disturbed, if it has a session.
    pub(crate) fn is_undisturbed(&self, bare: &str) -> Option<bool> {
        Some(self.sessions.get(bare)?.first()?.personal.is_undisturbed)
    }

    /// From now on an account wants that, or does not any more.
    pub(crate) fn set_undisturbed(&self, bare: &str, is_so: bool) {
        if let Some(mut sessions) = self.sessions.get_mut(bare) {
            sessions.iter_mut().for_each(|session| session.personal.is_undisturbed = is_so);
        }
    }

    /// What an account wants archived, if it has a session.
    pub(crate) fn archiving(&self, bare: &str) -> Option<Arc<Preferences>> {
        self.sessions.get(bare)?.first().map(|session| Arc::clone(&session.personal.archiving))
    }

    /// From now on an account wants this archived.
    pub(crate) fn set_archiving(&self, bare: &str, preferences: &Arc<Preferences>) {
        if let Some(mut sessions) = self.sessions.get_mut(bare) {
            sessions.iter_mut().for_each(|session| session.personal.archiving = Arc::clone(preferences));
        }
    }

    /// The sessions of an account at this moment, in the order of binding.
    pub(crate) fn sessions(&self, bare: &str) -> Vec<Session> {
        self.sessions.get(bare).map(|sessions| sessions.clone()).unwrap_or_default()
    }

    /// Those of them of which this is so. Nothing is copied of the others.
    pub(crate) fn those(&self, bare: &str, is_meant: impl Fn(&Session) -> bool) -> Vec<Session> {
        let found = self.sessions.get(bare);
        found.iter().flat_map(|all| all.iter()).filter(|session| is_meant(session)).cloned().collect()
    }

    /// Whether an account has more than one.
    pub(crate) fn has_several(&self, bare: &str) -> bool {
        self.sessions.get(bare).is_some_and(|sessions| sessions.len() > 1)
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.iter().map(|entry| entry.value().len()).sum()
    }

    /// Sends to one full JID, if its account does not block the sender.
    pub(crate) fn send(&self, to: &Jid, stanza: &Stanza) -> Sent {
        self.send_among(to, stanza, None)
    }

    /// The same of what other sessions of the account get, too.
    pub(crate) fn send_among(&self, to: &Jid, stanza: &Stanza, among: Option<&Arc<Among>>) -> Sent {
        self.with(to, |session| match session.blocks(stanza) {
            true => Sent::No,
            false => session.push_among(stanza, among),
        })
    }

    /// Sends to one full JID what its account is told in the name of whomever they block.
    pub(crate) fn send_anyway(&self, to: &Jid, stanza: &Stanza) -> Sent {
        self.with(to, |session| session.push(stanza))
    }

    /// Sends to one full JID what nobody misses when the client does not get it.
    pub(crate) fn send_copy(&self, to: &Jid, stanza: &Stanza) -> Sent {
        self.with(to, |session| session.push_copy(stanza, None))
    }

    /// Puts something into the outbox of a full JID, where it lies in the map: nothing waits there.
    fn with(&self, jid: &Jid, put: impl FnOnce(&Session) -> Sent) -> Sent {
        let sessions = self.sessions.get(jid.bare_str());
        let session = sessions.as_ref().and_then(|all| all.iter().find(|session| session.jid == *jid));
        session.map_or(Sent::No, put)
    }

    /// Sends to every available resource of an account.
    pub(crate) fn send_to_available(&self, bare: &str, stanza: &Stanza) -> Sent {
        let mut sent = Sent::No;
        for session in self.sessions(bare).iter().filter(|session| session.presence.is_some()) {
            if session.push(stanza) == Sent::Yes {
                sent = Sent::Yes;
            }
        }
        sent
    }

    /// Whether a session is there.
    pub(crate) fn is_bound(&self, jid: &Jid) -> bool {
        self.with(jid, |_| Sent::Yes) == Sent::Yes
    }

    /// The session of a full JID, if a message to it is perhaps to be stored before: it has no connection, or was not given yet
    /// what waited.
    pub(crate) fn unready(&self, jid: &Jid) -> Option<Session> {
        let sessions = self.sessions.get(jid.bare_str())?;
        let is_unready = |session: &&Session| session.is_detached || session.is_to_be_given();
        sessions.iter().find(|session| session.jid == *jid).filter(is_unready).cloned()
    }

    /// Whether a session is there, and nobody sees what comes to it.
    pub(crate) fn is_away(&self, jid: &Jid) -> bool {
        self.sessions.get(jid.bare_str()).is_some_and(|all| all.iter().any(|s| s.jid == *jid && s.is_away()))
    }

    /// The bare JIDs that have a session.
    pub(crate) fn bares(&self) -> Vec<String> {
        self.sessions.iter().map(|entry| entry.key().clone()).collect()
    }

    /// Accounts with a session, each once.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        let mut accounts: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|e| e.value().first().filter(|s| !s.access.is_guest).map(|s| s.account))
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// Accounts with an available resource, and whether somebody looks at one (XEP-0352).
    pub(crate) fn online(&self) -> Vec<(String, bool)> {
        let is_here = |session: &&Session| session.presence.is_some();
        let look = |sessions: &[Session]| {
            sessions.iter().filter(is_here).map(|session| !session.is_inactive).reduce(|a, b| a | b)
        };
        self.sessions.iter().filter_map(|entry| Some((entry.key().clone(), look(entry.value())?))).collect()
    }

    /// Ends every session, and each that comes from now on.
    pub(crate) fn close(&self, why: &StreamError) {
        let why = self.closed.get_or_init(|| why.clone());
        for entry in &self.sessions {
            for session in entry.value() {
                session.door.end(why.clone());
            }
        }
    }

    /// Ends every session of an account.
    pub(crate) fn end_account(&self, account: AccountId, why: &StreamError) {
        self.end_those(account, |_| true, why);
    }

    /// Ends sessions of an account.
    pub(crate) fn end_those(&self, account: AccountId, ends: impl Fn(&Session) -> bool, why: &StreamError) {
        self.end_whose(|session| session.account == account && ends(session), why);
    }

    /// Ends sessions of whoever has them.
    pub(crate) fn end_whose(&self, ends: impl Fn(&Session) -> bool, why: &StreamError) {
        for entry in &self.sessions {
            for session in entry.value().iter().filter(|session| ends(session)) {
                session.door.end(why.clone());
            }
        }
    }
}

impl Session {
    /// A resource that has just been bound.
    pub(crate) fn new(
        jid: Jid,
        account: AccountId,
        serial: u64,
        outbox: Sender<Outgoing>,
        door: Arc<Door>,
        personal: Personal,
    ) -> Self {
        Self {
            jid,
            account,
            access: Arc::default(),
            serial,
            outbox,
            door,
            presence: None,
            priority: 0,
            is_given: false,
            gives_later: false,
            arrives_later: false,
            is_interested: false,
            is_block_interested: false,
            wants_carbons: false,
            personal,
            notify: Notify::default(),
            is_inactive: false,
            is_detached: false,
            directed: Arc::default(),
        }
    }

    /// Whether messages of the bare address come here (RFC 6121 §8.5.2.1.1).
    pub(crate) fn takes_messages(&self) -> bool {
        self.presence.is_some() && self.priority >= 0
    }

    /// Whether it is about to be given what waited for the account, or the rest of it.
    pub(crate) fn is_to_be_given(&self) -> bool {
        self.takes_messages() && !self.is_given
    }

    /// Whether nobody sees what comes.
    pub(crate) fn is_away(&self) -> bool {
        self.is_detached || self.is_inactive
    }

    /// Whether the account blocks the sender of a stanza.
    fn blocks(&self, stanza: &Stanza) -> bool {
        let is_blocked = |from: &Jid| self.personal.blocked.names(from) && !is_exempt(&self.jid, from);
        !self.personal.blocked.is_empty() && stanza.from.as_ref().is_some_and(is_blocked)
    }

    /// Puts a copy into the outbox, which nobody misses when the client does not get it, if it is no copy of what others have, too.
    pub(crate) fn push_copy(&self, stanza: &Stanza, among: Option<&Arc<Among>>) -> Sent {
        let what = match (self.is_inactive.then(|| csi::can_wait(stanza)).flatten(), among) {
            (Some(name), _) => What::Deferrable(name),
            (None, Some(among)) => What::Copied(Arc::clone(among)),
            (None, None) => What::Fleeting,
        };
        self.put(Outgoing { bytes: stanza.to_bytes(), what })
    }

    /// Puts a stanza into the outbox. What the client does not get of it goes elsewhere, or back.
    pub(crate) fn push(&self, stanza: &Stanza) -> Sent {
        self.push_among(stanza, None)
    }

    /// The same of what other sessions of the account get, too.
    pub(crate) fn push_among(&self, stanza: &Stanza, among: Option<&Arc<Among>>) -> Sent {
        let what = match (is_kept(stanza), self.is_inactive.then(|| csi::can_wait(stanza)).flatten()) {
            (_, Some(name)) => What::Deferrable(name),
            (true, None) if let Some(among) = among => What::Shared(Arc::clone(among)),
            (true, None) => What::Kept(Box::new(Kept { stanza: stanza.clone(), came: Came::now() })),
            (false, None) => What::Fleeting,
        };
        self.put(Outgoing { bytes: stanza.to_bytes(), what })
    }

    /// Puts a message into the outbox that waits under this id.
    pub(crate) fn push_stored(&self, message: &Stanza, id: &str, among: Option<&Arc<Among>>) -> Sent {
        let what = What::Stored(Box::new(message.clone()), id.to_owned(), among.cloned());
        self.put(Outgoing { bytes: message.to_bytes(), what })
    }

    fn put(&self, outgoing: Outgoing) -> Sent {
        match self.outbox.try_send(outgoing) {
            Ok(()) => Sent::Yes,
            Err(Unsent::Closed(_)) => Sent::No,
            Err(Unsent::Full(_)) => {
                self.end_unread();
                Sent::No
            }
        }
    }

    /// The store did not say what it begins with: its client is to come again.
    pub(crate) fn end_half(&self) {
        let why = StreamError::because(StreamCondition::ResourceConstraint, NOT_WHOLE);
        self.door.end(why);
    }

    /// Its outbox is full.
    pub(crate) fn end_unread(&self) {
        let why = StreamError::because(StreamCondition::PolicyViolation, "the client does not read");
        self.door.end(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(jid: &str, serial: u64) -> (Session, crate::queue::Receiver<Outgoing>) {
        let (outbox, inbox) = crate::queue::bounded(1, 1);
        let door = Arc::default();
        let jid = jid.parse().unwrap();
        let default = xmpp_core::payload::mam::Otherwise::Always;
        let archiving = Arc::new(Preferences { default, always: Vec::new(), never: Vec::new() });
        let personal =
            Personal { blocked: Arc::default(), archiving, avatar: "".into(), is_undisturbed: false };
        (Session::new(jid, AccountId(1), serial, outbox, door, personal), inbox)
    }

    #[test]
    fn the_newer_of_one_resource_wins() {
        let router = Router::default();
        let (old, _inbox) = session("a@x/r", 1);
        let ended = Arc::clone(&old.door);
        router.bind(old, 1).unwrap();
        router.bind(session("a@x/r", 2).0, 1).unwrap();
        assert_eq!(ended.ended().unwrap().condition, StreamCondition::Conflict);
        assert!(!router.unbind(&"a@x/r".parse().unwrap(), 1));
        assert_eq!(router.bind(session("a@x/s", 3).0, 1), Err(TooMany));
        assert!(router.unbind(&"a@x/r".parse().unwrap(), 2));
        assert_eq!(router.len(), 0);
    }

    #[test]
    fn whoever_comes_when_it_is_closed_is_told_as_the_others_are() {
        let router = Router::default();
        let (early, _inbox) = session("a@x/r", 1);
        let (late, _other) = session("a@x/s", 2);
        let ends = [Arc::clone(&early.door), Arc::clone(&late.door)];
        router.bind(early, 9).unwrap();
        router.close(&StreamCondition::SystemShutdown.into());
        router.bind(late, 9).unwrap();
        for ended in ends {
            assert_eq!(ended.ended().unwrap().condition, StreamCondition::SystemShutdown);
        }
    }

    #[test]
    fn a_client_that_does_not_read_is_ended_and_the_stanza_is_not_delivered() {
        let router = Router::default();
        let (slow, _inbox) = session("a@x/r", 1);
        let ended = Arc::clone(&slow.door);
        router.bind(slow, 9).unwrap();
        let to = "a@x/r".parse().unwrap();
        let message = Stanza::new(xmpp_core::Kind::Message, None);
        assert_eq!(router.send(&to, &message), Sent::Yes);
        assert_eq!(router.send(&to, &message), Sent::No);
        assert_eq!(ended.ended().unwrap().condition, StreamCondition::PolicyViolation);
    }
}
