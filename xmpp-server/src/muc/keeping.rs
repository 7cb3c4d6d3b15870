//! Rooms kept from outside: what an administrator of the service makes, ends, and says of who is what in them — XEP-0045 §9 (admins),
//! §10 (owners); and which rooms say something of somebody, without reading them all.
//!
//! In    [`RoomKeeping`]. Out what an owner's own forms and items would have done: changed presence, facts that the room's call follows.
//! State an index: a record with no value for each room and each address of which it says something, in a collection of that address
//!       ([`index_of`]), in one commit with the room. It is a hint: the room's own record says what holds. A room that was kept before there
//!       was an index has it after its first start.
//! Errors a room that has an owner keeps one (§10.5); a domain can be banned, and no more (§9.2).

use std::collections::BTreeSet;

use shared_model::{
    Affiliated, Affiliation, KeptRoom, NewRoom, Pending, RoomAddress, RoomError, RoomKeeping, RoomsOf,
};
use shared_store::{Place, RecordChange, StoreError};
use tokio::sync::oneshot;
use xmpp_core::{Element, Jid, ns};

use super::admin::MOST_AFFILIATIONS;
use super::directory::{CreateError, RoomOptions};
use super::room::{Effects, Room};
use super::state::{COLLECTION, Kept};
use super::task::Command;
use super::{REASON, Rooms};

impl Room {
    /// What is kept of it.
    pub(crate) fn kept(&self) -> KeptRoom {
        let one = |(jid, affiliation): (&String, &Affiliation)| Affiliated {
            jid: jid.clone(),
            affiliation: *affiliation,
            reason: self.reasons.get(jid).cloned(),
        };
        KeptRoom {
            description: self.config.description.clone(),
            is_persistent: self.config.persistent,
            affiliations: self.affiliations.iter().map(one).collect(),
        }
    }

    /// Whether its address or its name has a text that is in lower case.
    pub(crate) fn has_text(&self, text: &str) -> bool {
        self.address.as_str().contains(text) || self.config.name.to_lowercase().contains(text)
    }

    /// Ends it in the name of the service.
    pub(crate) fn end(&mut self, reason: &str, now: i64, out: &mut Effects) {
        let reason = if reason.is_empty() { REASON } else { reason };
        let destroy = Element::new("destroy", ns::MUC_OWNER).text_child("reason", reason.to_owned());
        self.destroy(&destroy, now, out);
    }

    /// Says in the name of the service what somebody is, and answers what they were.
    pub(crate) fn affiliate(
        &mut self,
        whom: &Affiliated,
        out: &mut Effects,
    ) -> Result<Affiliation, RoomError> {
        let jid: Jid = whom.jid.parse().map_err(|_| RoomError::Refused("this is not a JID"))?;
        let (jid, affiliation) = (jid.to_bare(), whom.affiliation);
        if jid.local().is_none() && affiliation.is_member() {
            return Err(RoomError::Refused("a domain can be banned, and no more"));
        }
        let before = self.affiliations.get(jid.as_str()).copied().unwrap_or(Affiliation::None);
        if before == Affiliation::None && self.affiliations.len() >= MOST_AFFILIATIONS {
            return Err(RoomError::Refused("this room knows as many people as one may"));
        }
        self.check_owners(std::iter::once((jid.as_str(), affiliation)))
            .map_err(|_| RoomError::Refused("a room that has an owner keeps one"))?;
        self.set_affiliation(&jid, affiliation, None, whom.reason.as_deref().or(Some(REASON)), out);
        Ok(before)
    }

    /// Of whom it says something, by their addresses.
    pub(super) fn named(&self) -> BTreeSet<String> {
        self.affiliations.keys().chain(self.nicks_reserved.keys()).cloned().collect()
    }

    /// How the index follows what is named now.
    pub(super) fn index_changes(&self, named: &BTreeSet<String>) -> Vec<RecordChange> {
        let local = self.address.local();
        let come = named.difference(&self.indexed);
        let gone = self.indexed.difference(named);
        come.map(|jid| RecordChange::put(&index_of(jid), local, b""))
            .chain(gone.map(|jid| RecordChange::delete(&index_of(jid), local)))
            .collect()
    }
}

impl Rooms {
    /// Rooms that are kept and say something of somebody, and what; and where to go on.
    async fn naming<T>(
        &self,
        jid: &str,
        after: Option<&str>,
        read: impl Fn(RoomAddress, &Kept) -> Option<T>,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        let hints = self.store.records.list(&self.domain, &index_of(jid), after, PAGE).await?;
        let next = hints.last().filter(|_| hints.len() == PAGE).map(|last| last.key.clone());
        let place = |key| Place { owner: &self.domain, collection: COLLECTION, key };
        let places: Vec<Place<'_>> = hints.iter().map(|hint| place(&hint.key)).collect();
        let rooms = self.store.records.several(&places).await?;
        let found = rooms
            .into_iter()
            .flatten()
            .filter_map(|room| read(self.address(&room.key)?, &Kept::parse(&room.value)?));
        Ok((found.collect(), next))
    }

    /// What an account is in rooms, as they say it themselves, for the account.
    pub(crate) async fn of_account(
        &self,
        jid: &str,
        after: Option<&str>,
    ) -> Result<(Vec<(String, Element)>, Option<String>), StoreError> {
        self.naming(jid, after, |room, kept| Some((room.to_string(), kept.item(jid)?))).await
    }

    /// Asks a room that there is.
    async fn ask<T>(
        &self,
        room: &RoomAddress,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, RoomError> {
        if room.domain() != self.domain {
            return Err(RoomError::Nothing);
        }
        let task = self.find(room.local()).await.map_err(|_| RoomError::Unavailable)?;
        let (answer, asked) = oneshot::channel();
        // A room that ends meanwhile is none.
        let task = task.ok_or(RoomError::Nothing)?;
        task.send(command(answer)).await.map_err(|_| RoomError::Nothing)?;
        asked.await.map_err(|_| RoomError::Nothing)
    }
}

impl RoomKeeping for Rooms {
    fn make(&self, new: NewRoom) -> Pending<'_, Result<(), RoomError>> {
        let NewRoom { room, name, members_only, moderated, hidden, password, owners } = new;
        let options = RoomOptions { name, members_only, moderated, hidden, password, owners };
        Box::pin(async move {
            self.create(&room, options).await.map_err(|error| match error {
                CreateError::Exists => RoomError::Exists,
                CreateError::ForeignDomain => {
                    RoomError::Refused("rooms are on the service's domain for rooms")
                }
                CreateError::TooMany => RoomError::Refused("there are as many rooms as xmpp.rooms allows"),
                CreateError::Store(_) | CreateError::Stopping => RoomError::Unavailable,
            })
        })
    }

    fn destroy<'a>(&'a self, room: &'a RoomAddress, reason: &'a str) -> Pending<'a, Result<(), RoomError>> {
        Box::pin(async move {
            let done = self.ask(room, |answer| Command::End(reason.to_owned(), answer)).await?;
            done.map_err(|_| RoomError::Unavailable)
        })
    }

    fn kept<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<KeptRoom, RoomError>> {
        Box::pin(self.ask(room, Command::Look))
    }

    fn affiliate<'a>(
        &'a self,
        room: &'a RoomAddress,
        whom: Affiliated,
    ) -> Pending<'a, Result<Affiliation, RoomError>> {
        Box::pin(async move {
            let (kept, durable) = oneshot::channel();
            let before = self.ask(room, |answer| Command::Affiliate(whom, answer, kept)).await??;
            match durable.await {
                Ok(Ok(())) => Ok(before),
                _ => Err(RoomError::Unavailable),
            }
        })
    }

    fn rooms_of<'a>(
        &'a self,
        jid: &'a str,
        from: Option<&'a str>,
    ) -> Pending<'a, Result<RoomsOf, RoomError>> {
        Box::pin(async move {
            let found = self.naming(jid, from, |room, kept| Some((room, kept.affiliation(jid)?))).await;
            found.map_err(|error| {
                tracing::error!(%error, "it is not known in which rooms somebody is something");
                RoomError::Unavailable
            })
        })
    }
}

/// The collection of the rooms that say something of an address.
pub(super) fn index_of(jid: &str) -> String {
    format!("rooms of {jid}")
}

/// Rooms that are read at once.
const PAGE: usize = 50;
