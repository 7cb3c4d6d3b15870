//! A room's state, and who handles what. No I/O: everything that follows is in [`Effects`].

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ops::Range;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use shared_model::{
    Affiliation, BareJid, Occupant as Shown, Participant, Role, RoomAccess, RoomAddress, RoomEvent,
    RoomSnapshot,
};
use shared_store::Entry;
use xmpp_core::payload::mam::{self, Query};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::call_moderation::Errand;
use super::call_out::CallOut;
use super::config::RoomConfig;
use super::hats::Hats;
use super::invite::{Invitation, Invited};
use super::moderate::Retraction;
use super::pace::Pace;
use super::private::Questions;
use super::roles::Voices;
use super::tombstone::Tombstone;

/// What follows from a command.
#[derive(Default)]
pub(crate) struct Effects {
    /// To send, in order.
    pub(crate) stanzas: Vec<Stanza>,
    /// Which of them are what one occupant says to another alone: a copy for each client of theirs.
    pub(crate) private: Vec<Range<usize>>,
    /// To tell.
    pub(crate) facts: Vec<RoomEvent>,
    /// Whether configuration, affiliations or subject changed.
    pub(crate) save: bool,
    /// Whether the room is kept no more, and what was said in it with it.
    pub(crate) forget: bool,
    /// To append to the history, before anything is sent.
    pub(crate) archive: Vec<Entry>,
    /// Whose error it is if that fails.
    pub(crate) causes: Vec<Stanza>,
    /// Messages that are retracted, before anything is sent.
    pub(crate) retractions: Vec<Retraction>,
    /// Questions to the archive, and whether the asker sees real addresses.
    pub(crate) questions: Vec<(Stanza, Question, bool)>,
    /// The card to keep, or that there is none any more.
    pub(crate) card: Option<Option<String>>,
    /// What stays of a room that is destroyed.
    pub(crate) tombstone: Option<Tombstone>,
    /// To send to accounts that are there.
    pub(crate) invitations: Vec<Invitation>,
    /// To be made by the focus.
    pub(crate) calls: Vec<CallOut>,
    /// For the focus to do in the name of a moderator.
    pub(crate) errands: Vec<Errand>,
}

/// What is asked of what a room keeps in the store.
pub(crate) enum Question {
    /// Its card.
    Card,
    /// A page.
    Page(Box<Query>),
    /// Where it begins and ends.
    Metadata,
}

/// One client in the room. Several clients of one account may share a nick; they are one occupant to the others.
#[derive(Debug, Clone)]
pub(crate) struct Occupant {
    pub(crate) nick: String,
    /// The real, full JID.
    pub(crate) jid: Jid,
    pub(crate) role: Role,
    /// What the client said of itself, the room's own elements taken out.
    pub(crate) presence: Vec<Element>,
    /// When they last asked for voice.
    pub(crate) asked_at: Option<i64>,
}

/// What the room is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) text: String,
    pub(crate) nick: String,
    pub(crate) time: i64,
}

/// One room.
pub(crate) struct Room {
    pub(crate) address: RoomAddress,
    pub(crate) jid: Jid,
    pub(crate) config: RoomConfig,
    /// By bare JID, and bans by domain; none is not kept.
    pub(crate) affiliations: BTreeMap<String, Affiliation>,
    /// Why they have them, where that was said.
    pub(crate) reasons: BTreeMap<String, String>,
    /// In the order of entry.
    pub(crate) occupants: Vec<Occupant>,
    /// Who has a voice, or none, beyond their leaving.
    pub(crate) voices: Voices,
    /// When it was last told something, milliseconds since 1970.
    pub(crate) now: i64,
    pub(crate) subject: Subject,
    /// Nicks that are reserved, by bare JID (§7.10).
    pub(crate) nicks_reserved: BTreeMap<String, String>,
    /// Who asks to become a member, by bare JID, and under which nick (§9.9).
    pub(crate) requests: BTreeMap<String, String>,
    pub(crate) history: VecDeque<(i64, Stanza)>,
    /// A message of the archive, while somebody wants it retracted.
    pub(crate) recalled: Option<Stanza>,
    /// Nobody but the owner enters until it is configured (§10.1.2).
    pub(crate) is_locked: bool,
    pub(crate) is_destroyed: bool,
    pub(crate) was_entered: bool,
    /// Whether it has a card, and the hashes of the photos in it.
    pub(crate) has_card: bool,
    pub(crate) photos: Vec<String>,
    /// Makes occupant ids unguessable.
    pub(crate) salt: String,
    pub(crate) questions: Questions,
    pub(crate) pace: Pace,
    pub(crate) invited: Invited,
    /// What somebody may be beside role and affiliation.
    pub(crate) hats: Hats,
    /// Legs of the room's call, by Call-ID.
    pub(crate) call: Vec<(String, Participant)>,
    /// The call is recorded.
    pub(crate) is_recorded: bool,
    pub(crate) most_history: usize,
    pub(crate) has_alias: bool,
    /// Whom the index names for this room.
    pub(crate) indexed: BTreeSet<String>,
}

impl Room {
    pub(crate) fn new(address: RoomAddress, most_history: usize, has_alias: bool) -> Self {
        let jid = Jid::new(Some(address.local()), address.domain(), None);
        let domain = || Jid::new(None, "invalid", None);
        Self {
            jid: jid.or_else(|_| domain()).unwrap_or_else(|_| unreachable!("a literal domain")),
            address,
            config: RoomConfig::default(),
            affiliations: BTreeMap::new(),
            reasons: BTreeMap::new(),
            occupants: Vec::new(),
            voices: Voices::default(),
            now: 0,
            subject: Subject::default(),
            nicks_reserved: BTreeMap::new(),
            requests: BTreeMap::new(),
            history: VecDeque::new(),
            recalled: None,
            is_locked: true,
            is_destroyed: false,
            was_entered: false,
            has_card: false,
            photos: Vec::new(),
            salt: String::new(),
            questions: Questions::default(),
            pace: Pace::default(),
            invited: Invited::default(),
            hats: Hats::default(),
            call: Vec::new(),
            is_recorded: false,
            most_history,
            has_alias,
            indexed: BTreeSet::new(),
        }
    }

    /// Takes one stanza at `now` (milliseconds since 1970).
    pub(crate) fn handle(&mut self, stanza: &Stanza, now: i64, out: &mut Effects) -> Result<(), StanzaError> {
        let (Some(from), Some(to)) = (stanza.from.clone(), stanza.to.clone()) else { return Ok(()) };
        match (stanza.kind, to.resource()) {
            (Kind::Presence, nick) => self.presence(stanza, &from, nick, now, out),
            (Kind::Message, nick) if stanza.is_type("error") => {
                self.returned(stanza, &from, nick, out);
                Ok(())
            }
            (Kind::Message, None) => self.message(stanza, &from, now, out),
            (Kind::Message, Some(nick)) => self.private_message(stanza, &from, nick, out),
            (Kind::Iq, None) => self.iq(stanza, &from, now, out),
            (Kind::Iq, Some(nick)) => self.private_iq(stanza, &from, nick, out),
        }
    }

    fn iq(&mut self, iq: &Stanza, from: &Jid, now: i64, out: &mut Effects) -> Result<(), StanzaError> {
        let is_set = match iq.type_.as_deref() {
            Some("get") => false,
            Some("set") => true,
            _ => return Ok(()),
        };
        if self.is_locked && self.affiliation(from) != Affiliation::Owner {
            return Err(ErrorKind::ItemNotFound.into()); // §7.2.10: officially it is not there yet
        }
        let payload = iq.children().into_iter().next().ok_or(ErrorKind::BadRequest)?;
        let answer = match (payload.name.as_str(), payload.ns.as_str()) {
            ("query", ns::DISCO_INFO) if !is_set => Some(self.info(from, payload.attribute("node"), now)?),
            ("query", ns::DISCO_ITEMS) if !is_set && payload.attribute("node") == Some(ns::COMMANDS) => {
                Some(self.commands(from))
            }
            ("query", ns::DISCO_ITEMS) if !is_set => Some(self.items(from)),
            ("command", ns::COMMANDS) if is_set => Some(self.command(iq, &payload, from, out)?),
            ("query", ns::MUC_ADMIN) if is_set => {
                self.administer(&payload, from, out)?;
                None
            }
            ("query", ns::MUC_ADMIN) => Some(self.list(&payload, from)?),
            ("query", ns::MUC_OWNER) if is_set => {
                self.own(&payload, from, now, out)?;
                None
            }
            ("query", ns::MUC_OWNER) => Some(self.configuration_form(from)?),
            ("ping", ns::PING) => None,
            ("vCard", ns::VCARD_TEMP) if is_set => {
                self.set_card(&payload, from, out)?;
                None
            }
            ("vCard", ns::VCARD_TEMP) => {
                self.may_read(from)?;
                self.ask_card(iq, out);
                return Ok(());
            }
            ("query", ns::REGISTER) if is_set => {
                self.register(&payload, from, out)?;
                None
            }
            ("query", ns::REGISTER) => Some(self.registration(from)?),
            ("moderate", ns::MODERATE) if is_set => {
                self.moderate(&payload, from, now, out)?;
                None
            }
            ("query" | "metadata", ns::MAM) if self.config.is_archived() => {
                self.may_read(from)?;
                if payload.name == "query" && !is_set {
                    Some(Element::new("query", ns::MAM).child(mam::form()))
                } else {
                    let question = match payload.name.as_str() {
                        "query" => Question::Page(Box::new(Query::parse(&payload)?)),
                        _ => Question::Metadata,
                    };
                    let is_moderator = self.occupant(from).is_some_and(|me| me.role == Role::Moderator);
                    let sees = self.config.non_anonymous
                        || is_moderator
                        || self.affiliation(from) >= Affiliation::Admin;
                    out.questions.push((iq.clone(), question, sees));
                    return Ok(());
                }
            }
            _ => return Err(ErrorKind::ServiceUnavailable.into()),
        };
        out.stanzas.push(iq.result(answer.as_ref()));
        out.causes.push(iq.clone());
        Ok(())
    }

    /// XEP-0313 §6.1.2: who may enter at the time of the query, and of a room with a password who is inside or known.
    pub(super) fn may_read(&self, from: &Jid) -> Result<(), StanzaError> {
        let affiliation = self.affiliation(from);
        let is_known = affiliation.is_member() || self.occupant(from).is_some();
        let is_closed = self.config.members_only || self.config.password.is_some();
        if affiliation == Affiliation::Outcast || (is_closed && !is_known) {
            return Err(ErrorKind::Forbidden.into());
        }
        Ok(())
    }

    /// Whom an occupant is to others: `room@service/nick`.
    pub(crate) fn occupant_jid(&self, nick: &str) -> Jid {
        self.jid.with_resource(nick).unwrap_or_else(|_| self.jid.clone())
    }

    /// The occupant of a full JID.
    pub(crate) fn occupant(&self, jid: &Jid) -> Option<&Occupant> {
        self.occupants.iter().find(|occupant| occupant.jid == *jid)
    }

    /// The occupant of a nick; of several clients the one that entered first.
    pub(crate) fn by_nick(&self, nick: &str) -> Option<&Occupant> {
        self.occupants.iter().find(|occupant| occupant.nick == nick)
    }

    /// Every client of a nick.
    pub(crate) fn clients(&self, nick: &str) -> Vec<Jid> {
        self.occupants.iter().filter(|occupant| occupant.nick == nick).map(|o| o.jid.clone()).collect()
    }

    /// The occupants as others see them: one for each nick.
    pub(crate) fn nicks(&self) -> impl Iterator<Item = &Occupant> {
        let mut seen = HashSet::with_capacity(self.occupants.len());
        self.occupants.iter().filter(move |occupant| seen.insert(occupant.nick.as_str()))
    }

    /// What somebody is to the room for good.
    pub(crate) fn affiliation(&self, jid: &Jid) -> Affiliation {
        let known = self.affiliations.get(jid.bare_str()).copied();
        // §9.2: the address itself goes before its domain, which can but be banned.
        let domain =
            || self.affiliations.get(jid.domain()).filter(|theirs| **theirs == Affiliation::Outcast).copied();
        known.or_else(domain).unwrap_or(Affiliation::None)
    }

    /// The role that an affiliation enters with (§5.1.2, table).
    pub(crate) fn role_of(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::Member => Role::Participant,
            Affiliation::None if !self.config.moderated => Role::Participant,
            Affiliation::None => Role::Visitor,
            Affiliation::Outcast => Role::None,
        }
    }

    /// Sends one message to everybody; its content is shared.
    pub(crate) fn broadcast(&self, message: &Stanza, out: &mut Effects) {
        for occupant in &self.occupants {
            out.stanzas.push(message.clone().addressed(message.from.as_ref(), Some(&occupant.jid)));
        }
    }

    /// XEP-0421 §3: the same for one account in one room, and nothing anywhere else.
    pub(crate) fn occupant_id(&self, jid: &Jid) -> Element {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.salt.as_bytes());
        let tag = hmac::sign(&key, jid.bare_str().as_bytes());
        let id = shared_runtime::hex(&tag.as_ref()[..16]);
        Element::new("occupant-id", ns::OCCUPANT_ID).with("id", id)
    }

    /// The room as other services see it.
    pub(crate) fn snapshot(&self) -> RoomSnapshot {
        let shown = |occupant: &Occupant| {
            let affiliation = self.affiliation(&occupant.jid);
            Some(Shown {
                nick: occupant.nick.clone(),
                jid: bare(&occupant.jid)?,
                role: occupant.role,
                affiliation,
            })
        };
        let affiliations = self.affiliations.iter().filter_map(|(jid, a)| Some((jid.parse().ok()?, *a)));
        RoomSnapshot {
            room: self.address.clone(),
            name: self.config.name.clone(),
            subject: self.subject.text.clone(),
            description: self.config.description.clone(),
            access: RoomAccess {
                members_only: self.config.members_only,
                moderated: self.config.moderated,
                hidden: !self.config.public || self.is_locked,
                password: self.config.password.clone(),
                non_anonymous: self.config.non_anonymous,
            },
            affiliations: affiliations.collect(),
            occupants: self.nicks().filter_map(shown).collect(),
        }
    }
}

/// The account of a full JID.
pub(crate) fn bare(jid: &Jid) -> Option<BareJid> {
    jid.bare_str().parse().ok()
}
