//! What is kept of a room: one record in collection `rooms` of the rooms' domain, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared_model::Affiliation;
use xmpp_core::{Element, ns};

use super::config::RoomConfig;
use super::hats::Hats;
use super::roles::Voices;
use super::room::{Room, Subject};

/// A room without its occupants and history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    config: RoomConfig,
    affiliations: BTreeMap<String, Affiliation>,
    subject: Subject,
    salt: String,
    #[serde(default)]
    nicks: BTreeMap<String, String>,
    #[serde(default)]
    reasons: BTreeMap<String, String>,
    #[serde(default)]
    requests: BTreeMap<String, String>,
    #[serde(default)]
    has_card: bool,
    #[serde(default)]
    photos: Vec<String>,
    #[serde(default)]
    hats: Hats,
    #[serde(default)]
    voices: Voices,
    /// Whether the index names the room (`keeping`).
    #[serde(default)]
    indexed: bool,
}

impl Kept {
    pub(crate) fn of(room: &Room) -> Self {
        Self {
            config: room.config.clone(),
            affiliations: room.affiliations.clone(),
            subject: room.subject.clone(),
            salt: room.salt.clone(),
            nicks: room.nicks_reserved.clone(),
            reasons: room.reasons.clone(),
            requests: room.requests.clone(),
            has_card: room.has_card,
            photos: room.photos.clone(),
            hats: room.hats.clone(),
            voices: room.voices.clone(),
            indexed: true,
        }
    }

    pub(crate) fn restore(self, room: &mut Room) {
        room.config = self.config;
        room.affiliations = self.affiliations;
        room.subject = self.subject;
        room.salt = self.salt;
        room.nicks_reserved = self.nicks;
        room.reasons = self.reasons;
        room.requests = self.requests;
        room.has_card = self.has_card;
        room.photos = self.photos;
        room.hats = self.hats;
        room.voices = self.voices;
        room.is_locked = false;
    }

    pub(crate) fn is_indexed(&self) -> bool {
        self.indexed
    }

    /// What somebody is in it, if it says that.
    pub(crate) fn affiliation(&self, jid: &str) -> Option<Affiliation> {
        self.affiliations.get(jid).copied()
    }

    /// What somebody is in it, by the bare JID, as lists say it (XEP-0045 §17.4).
    pub(crate) fn item(&self, jid: &str) -> Option<Element> {
        let (affiliation, nick) = (self.affiliations.get(jid), self.nicks.get(jid));
        if affiliation.is_none() && nick.is_none() {
            return None;
        }
        let item = Element::new("item", ns::MUC_ADMIN)
            .with("affiliation", affiliation.copied().unwrap_or(Affiliation::None).as_str())
            .with("jid", jid)
            .with_some("nick", nick);
        Some(match self.reasons.get(jid) {
            Some(reason) => item.text_child("reason", reason.clone()),
            None => item,
        })
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

pub(crate) const COLLECTION: &str = "rooms";
