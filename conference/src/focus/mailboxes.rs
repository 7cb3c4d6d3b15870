//! Mailboxes — where a call goes that somebody does not take (RFC 7081 §3; a [`shared_model::Mailboxes`]).
//!
//! In    the proxy, which asks for the mailbox of whoever did not answer; calls of owners to the name of all mailboxes.
//! Out   a URI for this one call, `sip:<voicemail>-<64 bits>@<domain>`: who knows no such URI leaves no message, so that
//!       block lists and rules of the callee hold.
//! State URIs that wait for their call, for [`PATIENCE`] each, at most [`MOST`]; when there are more, nobody gets another.
//!       Calls that mailboxes take, each with a thread that writes: at most [`MOST_OF_OWNER`] of one owner (486 beyond), and
//!       [`MOST_CALLS`] (480).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::{BareJid, Mailboxes, Pending, RoomAddress};

use super::Focus;

/// URIs that wait for their calls.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    /// Whose mailbox it is; `None` if that is who calls.
    waiting: DashMap<RoomAddress, (Option<BareJid>, Instant)>,
    calls: Calls,
    /// Of owners.
    hearings: Calls,
}

/// What a call to a mailbox is for.
#[derive(Debug)]
pub(super) enum Ticket {
    /// It leaves a message, or is refused with this status.
    Leaves(Result<Taken, u16>),
    /// Its owner hears what is there.
    Hears,
}

/// How many calls mailboxes take now, by owner.
type Calls = Arc<Mutex<HashMap<BareJid, usize>>>;

/// A call that a mailbox takes, until its message is kept.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) owner: BareJid,
    calls: Calls,
}

impl Taken {
    /// One more call for `owner`; the status of its refusal, if there are too many.
    fn new(owner: BareJid, calls: &Calls) -> Result<Self, u16> {
        let mut counts = calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = counts.get(&owner).copied().unwrap_or_default();
        if of_owner >= MOST_OF_OWNER {
            return Err(486);
        }
        if counts.values().sum::<usize>() >= MOST_CALLS {
            return Err(480);
        }
        counts.insert(owner.clone(), of_owner + 1);
        Ok(Self { owner, calls: Arc::clone(calls) })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut counts = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.owner)),
        }
    }
}

impl Tickets {
    /// One more, for a mailbox of `owner`, or of whoever calls; `seed` is random.
    pub(super) fn make(
        &self,
        (name, domain): (&str, &str),
        owner: Option<BareJid>,
        seed: u64,
        now: Instant,
    ) -> Option<RoomAddress> {
        let room = RoomAddress::new(&format!("{name}-{seed:016x}"), domain).ok()?;
        self.waiting.retain(|_, (_, until)| *until > now);
        if self.waiting.len() >= MOST {
            return None;
        }
        self.waiting.insert(room.clone(), (owner, now + PATIENCE));
        Some(room)
    }

    /// The call came.
    pub(super) fn take(&self, room: &RoomAddress, now: Instant) -> Option<Ticket> {
        let (_, (owner, until)) = self.waiting.remove(room)?;
        let of = |owner| Ticket::Leaves(Taken::new(owner, &self.calls));
        (until > now).then(|| owner.map_or(Ticket::Hears, of))
    }

    /// An owner calls, or with which status they are refused.
    pub(super) fn hears(&self, owner: BareJid) -> Result<Taken, u16> {
        Taken::new(owner, &self.hearings)
    }
}

impl Mailboxes for Focus {
    fn mailbox<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, Option<String>> {
        Box::pin(async move {
            let parts = self.parts();
            let name = &parts.config.voicemail;
            let messages = parts.messages.as_ref().filter(|_| !name.is_empty())?;
            if !messages.wants(owner).await {
                return None;
            }
            let seed = (parts.random)();
            let room = self.tickets().make((name, &parts.domain), Some(owner.clone()), seed, Instant::now());
            if room.is_none() {
                tracing::warn!("too many calls wait for mailboxes; one gets none");
            }
            room.map(|room| room.to_sip_uri())
        })
    }

    fn watched(&self) -> String {
        let parts = self.parts();
        format!("sip:{}@{}", parts.config.voicemail, parts.domain)
    }
}

/// How long a URI waits for its call.
const PATIENCE: Duration = Duration::from_secs(60);
const MOST: usize = 1_000;
const MOST_OF_OWNER: usize = 2;
const MOST_CALLS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_for_one_call_and_not_for_long() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let alice = BareJid::new("alice", "x").unwrap();
        let names = ("voicemail", "conference.x");
        let another = |seed, now| tickets.make(names, Some(alice.clone()), seed, now);
        let make = |seed| another(seed, now).unwrap();
        let (one, other) = (make(1), make(2));
        assert_eq!(one.to_sip_uri(), "sip:voicemail-0000000000000001@conference.x");
        let Some(Ticket::Leaves(Ok(taken))) = tickets.take(&one, now) else { panic!("no call") };
        assert_eq!(taken.owner, alice);
        assert!(tickets.take(&one, now).is_none() && tickets.take(&other, now + PATIENCE).is_none());
        for seed in 0..MOST {
            another(seed as u64, now);
        }
        assert_eq!(another(9_999, now), None);
        assert!(another(9_999, now + PATIENCE).is_some());
    }

    #[test]
    fn mailboxes_take_so_many_calls_at_once() {
        let calls = Calls::default();
        let owner = |n: usize| BareJid::new(&format!("owner{n}"), "x").unwrap();
        let mut taken: Vec<Taken> =
            (0..MOST_CALLS).map(|n| Taken::new(owner(n / MOST_OF_OWNER), &calls).unwrap()).collect();
        assert_eq!(Taken::new(owner(0), &calls).unwrap_err(), 486);
        assert_eq!(Taken::new(owner(99), &calls).unwrap_err(), 480);
        taken.remove(0);
        let again = Taken::new(owner(0), &calls).unwrap();
        assert_eq!(Taken::new(owner(0), &calls).unwrap_err(), 486);
        drop((again, taken));
        assert!(calls.lock().unwrap().is_empty());
    }
}
