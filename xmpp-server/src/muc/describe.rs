//! What disco says of the service and of a room — XEP-0045 §6.1 to §6.6, §15.5.3 (`muc#roominfo`), RFC 7081 §4.
//!
//! `audio-video-uri` is the call of the room. RFC 7081 names the field and no XEP defines it, so the literal stands
//! there, and the alias `muc#roominfo_audio-video-uri` in the registry's style beside it. A members-only or hidden room
//! shows the call to its members alone.

use shared_model::Affiliation;
use xmpp_core::payload::disco::{Info, items};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::room::Room;

/// The service itself.
pub(crate) fn service() -> Element {
    Info {
        identities: vec![("conference", "text", "Rooms".to_owned())],
        features: vec![
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            ns::MUC,
            ns::PING,
            ns::OCCUPANT_ID,
            ns::STANZA_ID,
            ns::HATS,
            ns::MUC_UNIQUE,
            super::search::NS,
            ns::RSM,
            ns::VCARD_TEMP,
            STABLE_ID,
        ],
        forms: Vec::new(),
    }
    .to_element(None)
}

impl Room {
    /// §6.4.
    pub(crate) fn info(&mut self, from: &Jid, node: Option<&str>, now: i64) -> Result<Element, StanzaError> {
        let activity = self.activity(now);
        if node == Some(super::register::RESERVED_NICK) {
            return Ok(self.reserved_nick(from));
        }
        match node {
            None => {}
            Some(TRAFFIC) => return Err(ErrorKind::ServiceUnavailable.into()), // §18.1.1: all passes
            Some(node) => return self.command_info(node).ok_or_else(|| ErrorKind::ItemNotFound.into()),
        }
        let affiliation = self.affiliation(from);
        if affiliation == Affiliation::Outcast {
            return Err(ErrorKind::Forbidden.into());
        }
        // What is said inside a closed room is for who may read it, as its archive is.
        let subject = if self.may_read(from).is_ok() { self.subject.text.as_str() } else { "" };
        let config = &self.config;
        let word = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
        let name = if config.name.is_empty() { self.address.local().to_owned() } else { config.name.clone() };
        let mut info = Info {
            identities: vec![("conference", "text", name)],
            features: vec![
                ns::DISCO_INFO,
                ns::DISCO_ITEMS,
                ns::MUC,
                ns::PING,
                ns::OCCUPANT_ID,
                ns::STANZA_ID,
                ns::HATS,
                ns::COMMANDS,
                super::coin::COIN,
                ns::REGISTER,
                ns::MODERATE,
                ns::RETRACT,
                "urn:xmpp:message-retract:1#tombstone",
                ns::VCARD_TEMP,
                STABLE_ID,
                "http://jabber.org/protocol/muc#self-ping-optimization",
                "http://jabber.org/protocol/muc#request",
                word(config.public, "muc_public", "muc_hidden"),
                word(config.persistent, "muc_persistent", "muc_temporary"),
                word(config.members_only, "muc_membersonly", "muc_open"),
                word(config.moderated, "muc_moderated", "muc_unmoderated"),
                word(config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
                word(config.non_anonymous, "muc_nonanonymous", "muc_semianonymous"),
            ],
            forms: vec![self.room_info(affiliation, subject, activity).to_element()],
        };
        if config.is_archived() {
            info.features.extend([ns::MAM, ns::MAM_EXTENDED, "urn:xmpp:mam:2#groupchat-field"]);
        }
        Ok(info.to_element(None))
    }

    fn room_info(&self, affiliation: Affiliation, subject: &str, activity: Option<String>) -> Form {
        let field = |var: &str, kind: &str, label: &str, value: String| Field::new(var, kind, label, value);
        let truth = |is: bool| if is { "1".to_owned() } else { "0".to_owned() };
        let mut form = Form::new("result", ns::MUC_INFO)
            .with(field(
                "muc#roominfo_description",
                "text-single",
                "Description",
                self.config.description.clone(),
            ))
            .with(field("muc#roominfo_subject", "text-single", "Subject", subject.to_owned()))
            .with(field("muc#roominfo_subjectmod", "boolean", "", truth(self.config.anyone_changes_subject)))
            .with(field(
                "muc#roominfo_occupants",
                "text-single",
                "Occupants",
                self.nicks().count().to_string(),
            ))
            .with(field("muc#maxhistoryfetch", "text-single", "", self.config.history.to_string()))
            .with(field(
                "muc#roomconfig_changesubject",
                "boolean",
                "",
                truth(self.config.anyone_changes_subject),
            ));
        if let Some(hash) = self.hats.hash() {
            form = form.with(field("hats#hash", "text-single", "Hats hash", hash));
        }
        let slow = self.config.slow_mode.to_string();
        form = form.with(field(
            "muc#roominfo_slow_mode_duration",
            "text-single",
            "Seconds between messages",
            slow,
        ));
        if let Some(activity) = activity {
            let var = "{urn:xmpp:muc-activity}message-activity";
            form = form.with(field(var, "text-single", "Messages per hour", activity));
        }
        if !self.config.language.is_empty() {
            form = form.with(field(
                "muc#roominfo_lang",
                "text-single",
                "Language",
                self.config.language.clone(),
            ));
        }
        if !self.photos.is_empty() {
            let values = self.photos.clone();
            form = form.with(Field { values, ..Field::new("muc#roominfo_avatarhash", "text-multi", "", "") });
        }
        let is_closed = self.config.members_only || !self.config.public;
        if !is_closed || affiliation.is_member() {
            let uri = self.address.to_sip_uri();
            form = form.with(field("audio-video-uri", "text-single", "Call of the room", uri.clone()));
            if self.has_alias {
                form =
                    form.with(field("muc#roominfo_audio-video-uri", "text-single", "Call of the room", uri));
            }
        }
        form
    }

    /// §6.5: who is inside, to those inside; to others the list is empty, unless the owner wants it and the room is open.
    pub(crate) fn items(&self, from: &Jid) -> Element {
        let is_shown = self.config.shows_occupants() && self.affiliation(from) != Affiliation::Outcast;
        let seen: Vec<_> = match self.occupant(from) {
            Some(me) => self.seen_by(me).chain([me]).collect(),
            None if is_shown => self.nicks().filter(|o| self.config.broadcast.contains(o.role)).collect(),
            None => Vec::new(),
        };
        items(None, seen.iter().map(|o| (self.occupant_jid(&o.nick).as_str().to_owned(), String::new())))
    }
}

const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// The node of §18.1.1.
const TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";
