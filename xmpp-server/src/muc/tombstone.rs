//! What stays of a destroyed room — XEP-0045 §10.9 (the room ID may be locked), RFC 6120 §8.3.3.5 (`gone`).
//!
//! Clients come back to rooms by themselves. Where a kept room was, or one whose owner named another venue, whoever comes
//! is told that it is gone, and where to; nobody else makes a room there in the meantime and hears what was meant for it.
//!
//! State one record a room, collection `rooms.gone`, for [`REST_MILLIS`]. Its owners may make the room anew, and the operator.

use serde::{Deserialize, Serialize};
use shared_model::Affiliation;
use shared_runtime::unix_millis;
use shared_store::StoreError;
use xmpp_core::{Element, ErrorKind, Jid, StanzaError};

use super::Rooms;
use super::room::Room;

/// A room that was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    /// Where they talk now, if that was said.
    venue: Option<String>,
    reason: Option<String>,
    owners: Vec<String>,
    /// Milliseconds since 1970.
    until: i64,
}

impl Tombstone {
    /// What stays of a room, if anything does.
    pub(crate) fn of(room: &Room, destroy: &Element, now: i64) -> Option<Self> {
        let venue = destroy.attribute("jid").and_then(|jid| jid.parse::<Jid>().ok());
        if venue.is_none() && !room.config.persistent {
            return None;
        }
        let owners = room.affiliations.iter().filter(|(_, a)| **a == Affiliation::Owner);
        Some(Self {
            venue: venue.map(|jid| jid.bare_str().to_owned()),
            reason: destroy.text_of("reason").map(|reason| reason.chars().take(LONGEST_REASON).collect()),
            owners: owners.map(|(jid, _)| jid.clone()).collect(),
            until: now.saturating_add(REST_MILLIS),
        })
    }

    /// Whether somebody may make the room anew.
    pub(crate) fn yields_to(&self, jid: &Jid) -> bool {
        self.owners.iter().any(|owner| owner == jid.bare_str())
    }

    /// What everybody else is told.
    pub(crate) fn error(&self) -> StanzaError {
        let error = StanzaError::because(ErrorKind::Gone, self.reason.clone().unwrap_or_default());
        match &self.venue {
            Some(venue) => error.at(format!("xmpp:{venue}?join")),
            None => error,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Rooms {
    /// What stays of a room; one that rested long enough is forgotten.
    pub(crate) async fn tombstone(&self, local: &str) -> Result<Option<Tombstone>, StoreError> {
        let Some(record) = self.store.records.get(&self.domain, COLLECTION, local).await? else {
            return Ok(None);
        };
        let tombstone: Option<Tombstone> = serde_json::from_slice(&record.value).ok();
        match tombstone.filter(|tombstone| tombstone.until > unix_millis()) {
            Some(tombstone) => Ok(Some(tombstone)),
            None => self.forget_tombstone(local).await.map(|()| None),
        }
    }

    pub(crate) async fn forget_tombstone(&self, local: &str) -> Result<(), StoreError> {
        self.store.records.delete(&self.domain, COLLECTION, local).await.map(drop)
    }
}

pub(crate) const COLLECTION: &str = "rooms.gone";
/// Thirty days.
const REST_MILLIS: i64 = 30 * 24 * 3_600_000;
const LONGEST_REASON: usize = 500;
