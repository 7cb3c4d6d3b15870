//! Rooms from outside: every room in pages, and what an administrator of the service does to an occupant — XEP-0045 §8.2 (kick), §8.3,
//! §8.4 (voice), §9.7 (who keeps it).
//!
//! In    a nick and a deed. Out what a moderator's item would have done: changed presence, facts that the room's call follows.
//! Errors admins and owners keep their voice, as they do from any moderator.

use std::collections::BTreeSet;

use shared_model::{Affiliation, Deed, Moderation, ModerationError, Pending, Role, RoomAddress, Unavailable};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use xmpp_core::Jid;

use super::room::{Effects, Room};
use super::task::Command;
use super::{REASON, Rooms};

impl Room {
    /// Does something to an occupant in the name of the service.
    pub(crate) fn take_deed(
        &mut self,
        nick: &str,
        deed: Deed,
        out: &mut Effects,
    ) -> Result<(), ModerationError> {
        let whom = self.by_nick(nick).ok_or(ModerationError::Nobody)?;
        let role = match deed {
            Deed::Mute if self.affiliation(&whom.jid) >= Affiliation::Admin => {
                return Err(ModerationError::Refused("admins and owners of a room keep their voice"));
            }
            Deed::Mute => Role::Visitor,
            Deed::Unmute => whom.role.max(Role::Participant),
            Deed::Kick => Role::None,
            Deed::Gain(_) => {
                return Err(ModerationError::Refused("how loud somebody is heard is for the call"));
            }
        };
        self.set_role(nick, role, None, Some(REASON), out);
        Ok(())
    }

    /// Occupants whom the service keeps out from now on go; what they are here stays for when they may come again.
    pub(crate) fn put_out(&mut self, is_kept_out: impl Fn(&Jid) -> bool, out: &mut Effects) {
        let gone = self.occupants.iter().filter(|occupant| is_kept_out(&occupant.jid));
        let nicks: BTreeSet<String> = gone.map(|occupant| occupant.nick.clone()).collect();
        for nick in nicks {
            self.set_role(&nick, Role::None, None, Some(REASON), out);
        }
    }
}

impl Moderation for Rooms {
    fn moderate<'a>(
        &'a self,
        room: &'a RoomAddress,
        nick: &'a str,
        deed: Deed,
    ) -> Pending<'a, Result<(), ModerationError>> {
        Box::pin(async move {
            if room.domain() != self.domain {
                return Err(ModerationError::Nobody);
            }
            let found = self.find(room.local()).await.map_err(|_| ModerationError::Unavailable)?;
            let task = found.ok_or(ModerationError::Nobody)?;
            let (answer, done) = oneshot::channel();
            let command = Command::Moderate(nick.to_owned(), deed, answer);
            task.send(command).await.map_err(|_| ModerationError::Nobody)?;
            done.await.map_err(|_| ModerationError::Nobody)?
        })
    }
}

impl Rooms {
    /// Who is kept out of the service goes from every room that somebody is in; a room that stands still holds up no other.
    pub(crate) fn put_out(&self) {
        for task in &self.tasks {
            // Nobody is in one that ended.
            if let Err(TrySendError::Full(command)) = task.try_send(Command::PutOut) {
                let task = task.clone();
                tokio::spawn(async move { task.send(command).await });
            }
        }
    }

    /// Rooms behind an address, hidden ones too, in the order of their addresses, that have a text in their address or name.
    pub(super) async fn page_of_all(
        &self,
        text: &str,
        after: Option<&RoomAddress>,
        max: usize,
    ) -> Result<Vec<RoomAddress>, Unavailable> {
        self.load().await.map_err(|error| {
            tracing::error!(%error, "rooms cannot be read");
            Unavailable
        })?;
        let locals = self.tasks.iter().map(|entry| entry.key().clone());
        let mut all: Vec<RoomAddress> = locals.filter_map(|local| self.address(&local)).collect();
        all.retain(|room| after.is_none_or(|after| room > after));
        all.sort_unstable();
        if text.is_empty() {
            all.truncate(max);
            return Ok(all);
        }
        let (text, mut found) = (text.to_lowercase(), Vec::new());
        for room in all {
            if found.len() >= max {
                break;
            }
            if self.has_text(&room, &text).await {
                found.push(room);
            }
        }
        Ok(found)
    }

    async fn has_text(&self, room: &RoomAddress, text: &str) -> bool {
        let Some(task) = self.task(room.local()) else { return false };
        let (answer, asked) = oneshot::channel();
        // One that ended meanwhile has none.
        task.send(Command::HasText(text.to_owned(), answer)).await.is_ok() && asked.await.unwrap_or(false)
    }
}
