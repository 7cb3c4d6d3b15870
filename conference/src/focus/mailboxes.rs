//! Mailboxes — where a call goes that somebody does not take (RFC 7081 §3; a [`shared_model::Mailboxes`]).
//!
//! In    the proxy, which asks for the mailbox of whoever did not answer.
//! Out   a URI for this one call, `sip:<voicemail>-<64 bits>@<domain>`: who knows no such URI leaves no message, so that
//!       block lists and rules of the callee hold.
//! State URIs that wait for their call, for [`PATIENCE`] each, at most [`MOST`]; when there are more, nobody gets another.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::{BareJid, Mailboxes, Pending, RoomAddress};

use super::Focus;

/// URIs that wait for their calls.
#[derive(Debug, Default)]
pub(super) struct Tickets(DashMap<RoomAddress, (BareJid, Instant)>);

impl Tickets {
    /// One more, for a mailbox of `owner`; `seed` is random.
    fn make(
        &self,
        name: &str,
        domain: &str,
        owner: &BareJid,
        seed: u64,
        now: Instant,
    ) -> Option<RoomAddress> {
        let room = RoomAddress::new(&format!("{name}-{seed:016x}"), domain).ok()?;
        self.0.retain(|_, (_, until)| *until > now);
        if self.0.len() >= MOST {
            return None;
        }
        self.0.insert(room.clone(), (owner.clone(), now + PATIENCE));
        Some(room)
    }

    /// The call came: whose mailbox it is for.
    pub(super) fn take(&self, room: &RoomAddress, now: Instant) -> Option<BareJid> {
        let (_, (owner, until)) = self.0.remove(room)?;
        (until > now).then_some(owner)
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
            let room = self.tickets().make(name, &parts.domain, owner, seed, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_for_one_call_and_not_for_long() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let alice = BareJid::new("alice", "x").unwrap();
        let make = |seed| tickets.make("voicemail", "conference.x", &alice, seed, now).unwrap();
        let (one, other) = (make(1), make(2));
        assert_eq!(one.to_sip_uri(), "sip:voicemail-0000000000000001@conference.x");
        assert_eq!(tickets.take(&one, now), Some(alice.clone()));
        assert_eq!((tickets.take(&one, now), tickets.take(&other, now + PATIENCE)), (None, None));
        for seed in 0..MOST {
            tickets.make("voicemail", "conference.x", &alice, seed as u64, now);
        }
        assert_eq!(tickets.make("voicemail", "conference.x", &alice, 9_999, now), None);
        assert!(tickets.make("voicemail", "conference.x", &alice, 9_999, now + PATIENCE).is_some());
    }
}
