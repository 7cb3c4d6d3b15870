//! What occupants see of each other — XEP-0045 §7.2.2 to §7.2.4, §7.7, §7.14, §11.1, §17.3.
//!
//! In    an occupant who enters, changes or goes; codes, who did it, and why.
//! Out   presence for everybody who sees that role (`muc#roomconfig_presencebroadcast`), and always for oneself, with 110.
//!       Real addresses stand in it for moderators, in a non-anonymous room for all.
//! One who may not be seen any more goes from the eyes of others, and stays.

use shared_model::{LeaveReason, Role, RoomEvent};
use xmpp_core::payload::muc::{Item, user};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError};

use super::config::Roles;
use super::room::{Effects, Occupant, Room, bare};

/// How somebody goes.
pub(crate) struct Removal<'a> {
    pub(crate) why: LeaveReason,
    pub(crate) codes: &'a [u16],
    pub(crate) actor: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    /// What they said when they went.
    pub(crate) farewell: &'a [Element],
    /// The id of the presence with which a client goes, for that client.
    pub(crate) id: Option<&'a str>,
}

impl Removal<'_> {
    /// With the code that goes with the reason (§16.6.2).
    pub(crate) fn new(why: LeaveReason) -> Self {
        let codes: &[u16] = match why {
            LeaveReason::Left | LeaveReason::Destroyed => &[],
            LeaveReason::Kicked => &[307],
            LeaveReason::Banned => &[301],
            LeaveReason::NotMember => &[321],
            LeaveReason::Shutdown => &[332],
            LeaveReason::Lost => &[333],
        };
        Self { why, codes, actor: None, reason: None, farewell: &[], id: None }
    }

    /// §11.1: nobody asked for it, the way to the client broke.
    pub(crate) fn broken() -> Self {
        Self::new(LeaveReason::Lost)
    }
}

/// What presence says beside who somebody is.
#[derive(Default, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// Besides 110.
    pub(crate) codes: &'a [u16],
    pub(crate) actor: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    /// The id of what it answers.
    pub(crate) id: Option<&'a str>,
}

impl Room {
    /// Whether somebody sees real addresses.
    pub(crate) fn sees_jids(&self, viewer: &Occupant) -> bool {
        self.config.non_anonymous || viewer.role == Role::Moderator
    }

    /// Whether `viewer` gets presence of one who has this role and nick.
    fn sees(&self, viewer: &Occupant, role: Role, nick: &str) -> bool {
        viewer.nick == nick || self.config.broadcast.contains(role)
    }

    /// The occupants whom one who enters sees.
    pub(crate) fn seen_by<'a>(&'a self, viewer: &'a Occupant) -> impl Iterator<Item = &'a Occupant> {
        self.nicks().filter(|other| other.nick != viewer.nick && self.sees(viewer, other.role, &other.nick))
    }

    /// Those who see an occupant.
    pub(crate) fn viewers_of(&self, occupant: &Occupant) -> impl Iterator<Item = &Occupant> {
        self.occupants.iter().filter(|viewer| self.sees(viewer, occupant.role, &occupant.nick))
    }

    /// Presence of `occupant` as `viewer` gets it.
    pub(crate) fn presence_for(&self, occupant: &Occupant, viewer: &Occupant, said: &Said<'_>) -> Stanza {
        let is_self = occupant.nick == viewer.nick;
        let mut codes = said.codes.to_vec();
        if is_self {
            codes.push(110);
        }
        let item = Item {
            affiliation: self.affiliation(&occupant.jid).as_str(),
            role: occupant.role.as_str(),
            jid: (self.sees_jids(viewer) || is_self).then(|| occupant.jid.as_str()),
            nick: None,
            actor: said.actor,
            reason: said.reason,
        };
        let mut content = occupant.presence.clone();
        content.push(user(Some(&item), &codes));
        content.push(self.occupant_id(&occupant.jid));
        content.extend(self.hats(&occupant.jid));
        let presence = Stanza::new(Kind::Presence, None).with_content(&content).with_id(said.id);
        presence.addressed(Some(&self.occupant_jid(&occupant.nick)), Some(&viewer.jid))
    }

    /// §17.3, rule 4: one who is inside asks what another's presence is, and whether the room is still there.
    pub(crate) fn probe(&self, from: &Jid, nick: &str, out: &mut Effects) -> Result<(), StanzaError> {
        let viewer = self.occupant(from).ok_or(ErrorKind::NotAcceptable)?;
        let asked = if nick.is_empty() { Some(viewer) } else { self.by_nick(nick) };
        let asked = asked.filter(|asked| self.sees(viewer, asked.role, &asked.nick));
        out.stanzas.push(match asked {
            Some(asked) => self.presence_for(asked, viewer, &Said::default()),
            None => {
                let absent = self.jid.with_resource(nick).map_err(|_| ErrorKind::JidMalformed)?;
                Stanza::new(Kind::Presence, Some("unavailable")).addressed(Some(&absent), Some(from))
            }
        });
        Ok(())
    }

    /// Tells everybody about an occupant whose role was `before`.
    pub(crate) fn broadcast_presence(
        &self,
        occupant: &Occupant,
        before: Role,
        said: &Said<'_>,
        out: &mut Effects,
    ) {
        let seen = self.occupants.iter().filter(|viewer| self.sees(viewer, occupant.role, &occupant.nick));
        self.tell_presence(occupant, seen, said, out);
        let gone = Removal::new(LeaveReason::Left);
        for viewer in &self.occupants {
            if !self.sees(viewer, occupant.role, &occupant.nick) && self.sees(viewer, before, &occupant.nick)
            {
                out.stanzas.push(self.absence_for(occupant, viewer, &gone, None));
            }
        }
    }

    /// Presence of an occupant for all of these. Others than themselves get the same, but for the real address, which some see: it
    /// is made once, and shared.
    pub(crate) fn tell_presence<'a>(
        &self,
        occupant: &Occupant,
        viewers: impl Iterator<Item = &'a Occupant>,
        said: &Said<'_>,
        out: &mut Effects,
    ) {
        let mut made: [Option<Stanza>; 2] = [None, None];
        for viewer in viewers {
            if viewer.nick == occupant.nick {
                out.stanzas.push(self.presence_for(occupant, viewer, said));
                continue;
            }
            let kind = &mut made[usize::from(self.sees_jids(viewer))];
            let stanza = kind.get_or_insert_with(|| self.presence_for(occupant, viewer, said));
            let mut copy = stanza.clone();
            copy.to = Some(viewer.jid.clone());
            out.stanzas.push(copy);
        }
    }

    /// The end of an occupant for all who saw them, likewise.
    fn tell_absence(&self, gone: &Occupant, removal: &Removal<'_>, renamed: Option<&str>, out: &mut Effects) {
        let mut made: [Option<Stanza>; 2] = [None, None];
        for viewer in self.occupants.iter().filter(|viewer| self.sees(viewer, gone.role, &gone.nick)) {
            if viewer.nick == gone.nick {
                out.stanzas.push(self.absence_for(gone, viewer, removal, renamed));
                continue;
            }
            let kind = &mut made[usize::from(self.sees_jids(viewer))];
            let stanza = kind.get_or_insert_with(|| self.absence_for(gone, viewer, removal, renamed));
            let mut copy = stanza.clone();
            copy.to = Some(viewer.jid.clone());
            out.stanzas.push(copy);
        }
    }

    /// The configuration says otherwise than `before` whose presence is seen.
    pub(crate) fn tell_visibility(&self, before: &Roles, out: &mut Effects) {
        let is_other = |o: &&Occupant| before.contains(o.role) != self.config.broadcast.contains(o.role);
        for occupant in self.nicks().filter(is_other) {
            for viewer in self.occupants.iter().filter(|viewer| viewer.nick != occupant.nick) {
                out.stanzas.push(if self.sees(viewer, occupant.role, &occupant.nick) {
                    self.presence_for(occupant, viewer, &Said::default())
                } else {
                    self.absence_for(occupant, viewer, &Removal::new(LeaveReason::Left), None)
                });
            }
        }
    }

    /// The end of an occupant, or of a nick of theirs, as `viewer` gets it.
    fn absence_for(
        &self,
        gone: &Occupant,
        viewer: &Occupant,
        removal: &Removal<'_>,
        renamed: Option<&str>,
    ) -> Stanza {
        let is_self = viewer.nick == gone.nick;
        let mut codes = removal.codes.to_vec();
        if is_self {
            codes.push(110);
        }
        let role = if renamed.is_some() { gone.role } else { Role::None };
        let item = Item {
            affiliation: self.affiliation(&gone.jid).as_str(),
            role: role.as_str(),
            jid: (self.sees_jids(viewer) || is_self).then(|| gone.jid.as_str()),
            nick: renamed,
            actor: removal.actor,
            reason: removal.reason,
        };
        let mut content = removal.farewell.to_vec();
        content.push(user(Some(&item), &codes));
        content.push(self.occupant_id(&gone.jid));
        let id = removal.id.filter(|_| viewer.jid == gone.jid);
        let presence = Stanza::new(Kind::Presence, Some("unavailable")).with_content(&content).with_id(id);
        presence.addressed(Some(&self.occupant_jid(&gone.nick)), Some(&viewer.jid))
    }

    /// §7.6: a nick goes, and the same occupant comes back under another.
    pub(crate) fn tell_rename(&self, before: &Occupant, nick: &str, out: &mut Effects) {
        let removal = Removal { codes: &[303], ..Removal::new(LeaveReason::Left) };
        self.tell_absence(before, &removal, Some(nick), out);
    }

    /// Takes a client out. Who was the only one of its nick is gone for everybody.
    pub(crate) fn remove(&mut self, jid: &Jid, removal: &Removal<'_>, out: &mut Effects) {
        let Some(at) = self.occupants.iter().position(|occupant| occupant.jid == *jid) else { return };
        let gone = self.occupants[at].clone();
        if matches!(removal.why, LeaveReason::Left | LeaveReason::Lost) && self.clients(&gone.nick).len() > 1
        {
            return self.remove_client(at, removal, out);
        }
        self.tell_absence(&gone, removal, None, out);
        self.occupants.remove(at);
        if let Some(jid) = bare(&gone.jid) {
            let room = self.address.clone();
            out.facts.push(RoomEvent::OccupantRemoved { room, jid, nick: gone.nick, reason: removal.why });
        }
    }

    /// All clients of an occupant leave at once: each learns it, and so do the others, once.
    pub(crate) fn remove_nick(&mut self, jid: &Jid, removal: &Removal<'_>, out: &mut Effects) {
        let Some(nick) = self.occupant(jid).map(|occupant| occupant.nick.clone()) else { return };
        self.remove(jid, removal, out);
        self.occupants.retain(|client| client.nick != nick); // they were told with the first
    }

    /// One client of several goes: the others see who remains.
    fn remove_client(&mut self, at: usize, removal: &Removal<'_>, out: &mut Effects) {
        let gone = self.occupants.remove(at);
        out.stanzas.push(self.absence_for(&gone, &gone, removal, None));
        if let Some(remaining) = self.by_nick(&gone.nick).cloned() {
            self.broadcast_presence(&remaining, remaining.role, &Said::default(), out);
        }
    }
}
