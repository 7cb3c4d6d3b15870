//! Two halves of one account — RFC 7081 §2 (both up, or neither; no presence before the telephone is there), §3.2 (one is lost).
//!
//! In    facts of bindings and sessions; a first presence that may have to wait.
//! Out   under `warn` a message of the domain to an account whose telephone was lost for longer than a time of grace, and one
//!       when it is back; under `enforce` the end of the sessions of whom no call reaches, `policy-violation` (RFC 6120
//!       §4.9.3.14). A presence that waited goes out when a telephone registers ([`Halves::registered`]).
//! State contacts whose connection was lost ([`Halves`]); who is to be looked at, and who was told: all bounded.
//! Errors after missed facts the store says who is registered; nobody is told of a loss that was not heard of.
//! Not here: a telephone that lost its chat, which is the call half's to tell; a contact that a push service wakes (RFC 8599)
//! is not lost with its connection.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use dashmap::DashMap;
use serde::Deserialize;
use shared_model::{AccountId, BindingEvent, Correlation, Event, Fact, HalvesEvent, Notices, SessionEvent};
use shared_runtime::bus::{Heard, Subscription};
use shared_runtime::unix_millis;
use shared_store::StoreError;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use xmpp_core::stream::{StreamCondition, StreamError};

use crate::notices::Voice;
use crate::reach;
use crate::server::Server;

/// What becomes of an account that has one half alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BothOrNothing {
    /// Nothing.
    Off,
    /// It is told.
    Warn,
    /// Its sessions end.
    Enforce,
}

/// What is known of telephones beside the store.
#[derive(Default)]
pub(crate) struct Halves {
    /// Contacts that are bound still, and whose connection is gone.
    suspended: DashMap<AccountId, Vec<String>>,
    /// Presences that wait.
    waiting: DashMap<AccountId, Vec<oneshot::Sender<()>>>,
}

impl Halves {
    /// Ends when a telephone of the account registers.
    pub(crate) fn registered(&self, account: AccountId) -> oneshot::Receiver<()> {
        let (registers, registered) = oneshot::channel();
        let mut waiting = self.waiting.entry(account).or_default();
        waiting.retain(|other| !other.is_closed());
        waiting.push(registers);
        registered
    }

    /// What a fact says of a contact.
    fn hear(&self, event: &BindingEvent) {
        match event {
            BindingEvent::Bound { account, contact, .. } => {
                self.forget(*account, contact);
                for registers in self.waiting.remove(account).into_iter().flat_map(|(_, waiting)| waiting) {
                    let _ = registers.send(()); // who waited may be gone
                }
            }
            BindingEvent::Suspended { account, contact, .. } if self.suspended.len() < MOST => {
                let mut contacts = self.suspended.entry(*account).or_default();
                if contacts.len() < MOST_CONTACTS && !contacts.contains(contact) {
                    contacts.push(contact.clone());
                }
            }
            BindingEvent::Suspended { .. } => {}
            BindingEvent::Unbound { account, contact, .. } => self.forget(*account, contact),
        }
    }

    fn forget(&self, account: AccountId, contact: &str) {
        self.suspended.remove_if_mut(&account, |_, contacts| {
            contacts.retain(|known| known != contact);
            contacts.is_empty()
        });
    }

    fn is_suspended(&self, account: AccountId, contact: &str) -> bool {
        // The fact names the contact without what its push service is told.
        let same = |known: &String| contact == known || contact.starts_with(&format!("{known};"));
        self.suspended.get(&account).is_some_and(|contacts| contacts.iter().any(same))
    }
}

/// Whether a call would reach a device of the account.
pub(crate) async fn is_callable(server: &Server, account: AccountId) -> Result<bool, StoreError> {
    let Some(card) = server.auth.directory.by_id(account).await? else { return Ok(false) };
    let bindings = server.store.bindings.by_aor(&card.aor, unix_millis()).await?;
    Ok(bindings.iter().any(|binding| {
        binding.contact.contains("pn-provider=") || !server.halves.is_suspended(account, &binding.contact)
    }))
}

/// Watches over the halves of accounts, until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut facts: Subscription<Fact>) {
    let mut watch = Watch { server: &server, due: VecDeque::new(), lost: HashSet::new() };
    loop {
        let next = watch.due.front().map(|(at, _)| *at);
        tokio::select! {
            heard = facts.next() => match heard {
                None => return,
                Some(Heard::Fact(Fact { event: Event::Binding(event), .. })) => watch.binding(&event).await,
                Some(Heard::Fact(Fact { event: Event::Session(event), .. })) => watch.session(&event),
                Some(Heard::Fact(_)) => {}
                Some(Heard::Missed(missed)) => watch.look_again(missed).await,
            },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if let Some((_, account)) = watch.due.pop_front() {
                    watch.look(account).await;
                }
            }
            () = server.shutdown.begun() => return,
        }
    }
}

struct Watch<'a> {
    server: &'a Arc<Server>,
    /// Who is to be looked at, and when; the earliest first, since grace is the same for all.
    due: VecDeque<(Instant, AccountId)>,
    /// Who was told that their telephone is gone.
    lost: HashSet<AccountId>,
}

impl Watch<'_> {
    async fn binding(&mut self, event: &BindingEvent) {
        self.server.halves.hear(event);
        match event {
            BindingEvent::Bound { account, .. } => self.back(*account).await,
            BindingEvent::Suspended { account, .. } | BindingEvent::Unbound { account, .. } => {
                self.schedule(*account);
            }
        }
        let (BindingEvent::Bound { account, .. }
        | BindingEvent::Suspended { account, .. }
        | BindingEvent::Unbound { account, .. }) = event;
        reach::changed(self.server, *account).await;
    }

    fn session(&mut self, event: &SessionEvent) {
        if let SessionEvent::Ended { jid, .. } = event
            && self.server.router.sessions(jid.as_str()).is_empty()
        {
            reach::forget(self.server, jid.as_str());
        }
        match event {
            SessionEvent::Bound { account, .. } if self.policy() == BothOrNothing::Enforce => {
                self.schedule(*account);
            }
            SessionEvent::Ended { account, jid, .. }
                if self.lost.contains(account) && self.server.router.sessions(jid.as_str()).is_empty() =>
            {
                self.found(*account); // no half is there: nobody is half connected
            }
            _ => {}
        }
    }

    fn schedule(&mut self, account: AccountId) {
        if self.policy() != BothOrNothing::Off && self.due.len() < MOST {
            self.due.push_back((Instant::now() + self.server.config.half_grace, account));
        }
    }

    /// Grace is over.
    async fn look(&mut self, account: AccountId) {
        match is_callable(self.server, account).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => return tracing::error!(%error, "whether an account is registered is not known"),
        }
        if self.policy() == BothOrNothing::Enforce {
            self.publish(HalvesEvent::ChatEnded { account });
            let why = "your telephone is not registered, and this service has both or nothing";
            let why = StreamError::because(StreamCondition::PolicyViolation, why);
            return self.server.router.end_account(account, &why);
        }
        if self.lost.len() < MOST && !self.lost.contains(&account) && self.tell(account, LOST).await {
            self.lost.insert(account);
            self.publish(HalvesEvent::PhoneLost { account });
            self.server.metrics.half_connected.inc();
        }
    }

    /// A telephone registered.
    async fn back(&mut self, account: AccountId) {
        if self.found(account) {
            self.publish(HalvesEvent::PhoneBack { account });
            self.tell(account, BACK).await;
        }
    }

    /// Nobody is half connected any more; whether they were.
    fn found(&mut self, account: AccountId) -> bool {
        let was_lost = self.lost.remove(&account);
        if was_lost {
            self.server.metrics.half_connected.dec();
        }
        was_lost
    }

    /// Facts were missed: what was suspended may be back, and whoever waits need not wait longer.
    async fn look_again(&mut self, missed: u64) {
        tracing::debug!(missed, "facts were missed; the store says who is registered");
        self.server.halves.suspended.clear();
        self.server.halves.waiting.clear();
        let lost: Vec<_> = self.lost.iter().copied().collect();
        for account in lost {
            if is_callable(self.server, account).await.unwrap_or(false) {
                self.back(account).await;
            }
        }
        for account in self.server.router.accounts() {
            reach::changed(self.server, account).await;
        }
    }

    /// Says something to who is there. Whether somebody is.
    async fn tell(&self, account: AccountId, text: &str) -> bool {
        let card = self.server.auth.directory.by_id(account).await;
        let Ok(Some(card)) = card.inspect_err(|error| tracing::error!(%error, "an account cannot be read"))
        else {
            return false;
        };
        let sessions = self.server.router.sessions(card.jid.as_str());
        let is_there = sessions.iter().any(|session| session.presence.is_some());
        if is_there {
            Voice(Arc::clone(self.server)).tell(&card.jid, text).await;
        }
        is_there
    }

    fn publish(&self, event: HalvesEvent) {
        let (HalvesEvent::PhoneLost { account }
        | HalvesEvent::PhoneBack { account }
        | HalvesEvent::ChatEnded { account }) = &event;
        self.server.bus.publish(Fact::new(Correlation::of_account(*account), event));
    }

    fn policy(&self) -> BothOrNothing {
        self.server.config.both_or_nothing
    }
}

const LOST: &str = "Your telephone is not registered any more: calls do not reach you. Chat goes on.";
const BACK: &str = "Your telephone is registered again: calls reach you.";
/// Accounts that are looked after at once.
const MOST: usize = 100_000;
/// Contacts of one account.
const MOST_CONTACTS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_lost_until_it_registers_and_a_presence_waits_for_that() {
        let (halves, account) = (Halves::default(), AccountId(1));
        let aor: shared_model::Aor = "a@x".parse().unwrap();
        let contact = "sip:a@192.0.2.1".to_owned();
        let mut registered = halves.registered(account);
        halves.hear(&BindingEvent::Suspended { account, aor: aor.clone(), contact: contact.clone() });
        assert!(halves.is_suspended(account, &contact));
        assert!(halves.is_suspended(account, "sip:a@192.0.2.1;pn-prid=1"), "with what was left out");
        assert!(!halves.is_suspended(account, "sip:a@192.0.2.10") && registered.try_recv().is_err());
        halves.hear(&BindingEvent::Bound {
            account,
            aor,
            contact: contact.clone(),
            expires_seconds: 60,
            change: shared_model::BindingChange::Made,
        });
        assert!(!halves.is_suspended(account, &contact) && registered.try_recv().is_ok());
        assert!(halves.suspended.is_empty() && halves.waiting.is_empty());
    }
}
