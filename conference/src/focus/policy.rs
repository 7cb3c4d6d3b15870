//! What a room's rules mean for its call (RFC 7081 §4; S-39, S-40).
//!
//! In    the room as it was last known, and who asks. Out admission, voice, and whom an event removes. Pure.
//!
//! | room | call |
//! |---|---|
//! | caller without an account, unless `conference.strangers` lets them in | 403 |
//! | outcast | 403 |
//! | members-only, no member | 403 |
//! | password, no member nor occupant | the PIN is asked for if it is digits, else 403; three wrong ones end the call |
//! | visitor, or moderated and neither inside nor a member | hears only |
//! | voice revoked, then out of the chat or in it anew | hears only, until a moderator gives a voice again |
//! | voice given | heard, be it that a moderator muted all by a key; not who muted themselves |
//! | kicked, banned, no member of what is members-only now | BYE; who only watches is told no more |
//! | destroyed | BYE to all |
//!
//! The other way, where the operator wants it: removed from the call by SIP, kicked (`conference.kick_from_chat`); muted in the call, without a
//! voice in the chat (`conference.mute_in_chat`).

use std::collections::HashSet;

use shared_model::{Affiliation, BareJid, Occupant, Role, RoomEvent, RoomSnapshot};

/// Whether somebody in the call is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Heard.
    Granted,
    /// Hears only.
    Revoked,
}

/// Why somebody may not join the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such room.
    NoSuchRoom,
    /// Nobody proved who calls, so that no ban would hold.
    AccountWanted,
    /// Banned.
    Banned,
    /// The room is for members.
    MembersOnly,
    /// The room wants a PIN.
    PinWanted,
}

/// Whom an event makes leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Every leg of this JID.
    Of(BareJid),
    /// Everybody.
    All,
}

impl Refusal {
    /// The status that says so, and the phrase beside it (RFC 3261 §21.4).
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Self::NoSuchRoom => (404, "No Such Room"),
            Self::AccountWanted => (403, "This Call Needs An Account"),
            Self::Banned => (403, "Banned From This Room"),
            Self::MembersOnly => (403, "Members Only"),
            Self::PinWanted => (403, "This Room Wants A Password"),
        }
    }
}

/// Whose voice the room revoked while they were in its call. Kept as long as the call, since whoever could leave the
/// chat, or call again, to be heard would not be muted.
#[derive(Debug, Default)]
pub struct Revoked(HashSet<BareJid>);

impl Revoked {
    /// Learns whether the room has somebody in the call without a voice. Coming in anew gives none back.
    pub fn learn(&mut self, room: &RoomSnapshot, jid: &BareJid) {
        let is_mute = best_role(room, Some(jid)).is_some_and(|role| !role.has_voice());
        if is_mute && self.0.len() < MOST_REVOKED {
            self.0.insert(jid.clone());
        }
    }

    /// Learns that a moderator gave a voice.
    pub fn hear(&mut self, event: &RoomEvent) {
        if let Some(jid) = given_voice(event) {
            self.0.remove(jid);
        }
    }

    /// A voice is revoked from outside the room.
    pub fn revoke(&mut self, jid: &BareJid) {
        if self.0.len() < MOST_REVOKED {
            self.0.insert(jid.clone());
        }
    }

    /// And granted.
    pub fn grant(&mut self, jid: &BareJid) {
        self.0.remove(jid);
    }

    /// After events were missed, who has a voice in the chat may have been given it.
    pub fn forgive(&mut self, room: &RoomSnapshot) {
        self.0.retain(|jid| !best_role(room, Some(jid)).is_some_and(Role::has_voice));
    }

    /// Whether the voice of `jid` was revoked and not granted since.
    pub fn has(&self, jid: Option<&BareJid>) -> bool {
        jid.is_some_and(|jid| self.0.contains(jid))
    }
}

/// To whom a moderator gave a voice, be it that they had one.
pub fn given_voice(event: &RoomEvent) -> Option<&BareJid> {
    match event {
        RoomEvent::RoleChanged { jid, role, .. } if role.has_voice() => Some(jid),
        _ => None,
    }
}

/// Whether `jid` (`None` for strangers) may join the call of a room, or watch it.
pub fn admit(room: &RoomSnapshot, jid: Option<&BareJid>, strangers: bool) -> Result<(), Refusal> {
    if jid.is_none() && !strangers {
        return Err(Refusal::AccountWanted);
    }
    let affiliation = jid.map_or(Affiliation::None, |jid| room.affiliation(jid));
    if affiliation == Affiliation::Outcast {
        return Err(Refusal::Banned);
    }
    if room.access.members_only && !affiliation.is_member() {
        return Err(Refusal::MembersOnly);
    }
    if room.access.password.is_some() && !affiliation.is_member() && occupants(room, jid).next().is_none() {
        return Err(Refusal::PinWanted);
    }
    Ok(())
}

/// Whether `jid`, who is in the call, may not be any more. A password that is set later asks nobody who is there.
pub fn excludes(room: &RoomSnapshot, jid: Option<&BareJid>, strangers: bool) -> bool {
    matches!(admit(room, jid, strangers), Err(Refusal::Banned | Refusal::MembersOnly))
}

/// Whether `jid` is heard: not after their voice was revoked, else as their best role in the room says, or as a
/// newcomer's would.
pub fn voice(room: &RoomSnapshot, jid: Option<&BareJid>, revoked: &Revoked) -> Voice {
    let is_member = jid.is_some_and(|jid| room.affiliation(jid).is_member());
    let has_voice = match best_role(room, jid) {
        Some(role) => role.has_voice(),
        None => !room.access.moderated || is_member,
    };
    if has_voice && !revoked.has(jid) { Voice::Granted } else { Voice::Revoked }
}

/// Whether `jid` moderates: by their role inside, or for good.
pub fn moderates(room: &RoomSnapshot, jid: &BareJid) -> bool {
    let is_moderator = best_role(room, Some(jid)) == Some(Role::Moderator);
    is_moderator || room.affiliation(jid) >= Affiliation::Admin
}

/// Whether a moderator may remove somebody: nobody who is more than they are (XEP-0045 §8.2).
pub fn removes(room: &RoomSnapshot, moderator: &BareJid, jid: &BareJid) -> bool {
    let theirs = room.affiliation(jid);
    theirs < Affiliation::Admin || room.affiliation(moderator) >= theirs
}

/// Whom the event removes from the call.
pub fn removal(event: &RoomEvent) -> Option<Removal> {
    match event {
        RoomEvent::OccupantRemoved { jid, reason, .. } if reason.is_removal() => {
            Some(Removal::Of(jid.clone()))
        }
        RoomEvent::AffiliationChanged { jid, affiliation: Affiliation::Outcast, .. } => {
            Some(Removal::Of(jid.clone()))
        }
        RoomEvent::Destroyed { .. } => Some(Removal::All),
        _ => None,
    }
}

/// Brings a snapshot up to date with an event, for when the room does not answer.
pub fn learn(room: &mut RoomSnapshot, event: &RoomEvent) {
    match event {
        RoomEvent::SubjectChanged { subject, .. } => room.subject.clone_from(subject),
        RoomEvent::OccupantJoined { jid, nick, role, .. } => {
            room.occupants.retain(|occupant| occupant.nick != *nick);
            let affiliation = room.affiliation(jid);
            room.occupants.push(Occupant { nick: nick.clone(), jid: jid.clone(), role: *role, affiliation });
        }
        RoomEvent::OccupantRemoved { nick, .. } => room.occupants.retain(|occupant| occupant.nick != *nick),
        RoomEvent::NickChanged { before, nick, .. } => {
            for occupant in room.occupants.iter_mut().filter(|occupant| occupant.nick == *before) {
                occupant.nick.clone_from(nick);
            }
        }
        RoomEvent::RoleChanged { nick, role, .. } => {
            for occupant in room.occupants.iter_mut().filter(|occupant| occupant.nick == *nick) {
                occupant.role = *role;
            }
        }
        RoomEvent::AffiliationChanged { jid, affiliation, .. } => {
            room.affiliations.retain(|(who, _)| who != jid);
            if *affiliation != Affiliation::None {
                room.affiliations.push((jid.clone(), *affiliation));
            }
        }
        RoomEvent::Created { .. } | RoomEvent::Destroyed { .. } | RoomEvent::ConfigurationChanged { .. } => {}
    }
}

fn best_role(room: &RoomSnapshot, jid: Option<&BareJid>) -> Option<Role> {
    occupants(room, jid).map(|occupant| occupant.role).max()
}

fn occupants<'a>(room: &'a RoomSnapshot, jid: Option<&'a BareJid>) -> impl Iterator<Item = &'a Occupant> {
    room.occupants.iter().filter(move |occupant| jid == Some(&occupant.jid))
}

/// Accounts whose revocation one call remembers.
const MOST_REVOKED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use shared_model::{LeaveReason, RoomAccess, RoomAddress};

    fn admit(room: &RoomSnapshot, jid: Option<&BareJid>) -> Result<(), Refusal> {
        super::admit(room, jid, true)
    }

    fn voice(room: &RoomSnapshot, jid: Option<&BareJid>) -> Voice {
        super::voice(room, jid, &Revoked::default())
    }

    fn jid(name: &str) -> BareJid {
        BareJid::new(name, "example.org").unwrap()
    }

    fn room(access: RoomAccess) -> RoomSnapshot {
        RoomSnapshot {
            room: address(),
            name: String::new(),
            subject: String::new(),
            description: String::new(),
            access,
            affiliations: vec![(jid("owner"), Affiliation::Owner), (jid("troll"), Affiliation::Outcast)],
            occupants: Vec::new(),
        }
    }

    fn address() -> RoomAddress {
        RoomAddress::new("dev", "conference.example.org").unwrap()
    }

    #[test]
    fn rules_of_entry_hold_for_calls() {
        let open = room(RoomAccess::default());
        assert_eq!(admit(&open, None), Ok(()));
        assert_eq!(super::admit(&open, None, false), Err(Refusal::AccountWanted));
        assert_eq!(admit(&open, Some(&jid("troll"))), Err(Refusal::Banned));
        let closed = room(RoomAccess { members_only: true, ..RoomAccess::default() });
        assert_eq!(admit(&closed, Some(&jid("alice"))), Err(Refusal::MembersOnly));
        assert_eq!(admit(&closed, None), Err(Refusal::MembersOnly));
        assert_eq!(admit(&closed, Some(&jid("owner"))), Ok(()));
        assert!(
            excludes(&closed, Some(&jid("alice")), true) && !excludes(&closed, Some(&jid("owner")), true)
        );
        let locked = room(RoomAccess { password: Some("1234".to_owned()), ..RoomAccess::default() });
        assert_eq!(admit(&locked, Some(&jid("alice"))), Err(Refusal::PinWanted));
        assert_eq!(admit(&locked, Some(&jid("owner"))), Ok(()));
        assert!(!excludes(&locked, Some(&jid("alice")), true), "who is there stays");
    }

    #[test]
    fn voice_follows_the_role() {
        let mut moderated = room(RoomAccess { moderated: true, ..RoomAccess::default() });
        assert_eq!(voice(&moderated, Some(&jid("alice"))), Voice::Revoked);
        let at = |role| RoomEvent::RoleChanged { room: address(), jid: jid("alice"), nick: "a".into(), role };
        let joined = RoomEvent::OccupantJoined {
            room: address(),
            jid: jid("alice"),
            nick: "a".into(),
            role: Role::Visitor,
        };
        learn(&mut moderated, &joined);
        assert_eq!(voice(&moderated, Some(&jid("alice"))), Voice::Revoked);
        learn(&mut moderated, &at(Role::Participant));
        assert_eq!(voice(&moderated, Some(&jid("alice"))), Voice::Granted);
        learn(&mut moderated, &at(Role::Visitor));
        assert_eq!(voice(&moderated, Some(&jid("alice"))), Voice::Revoked);
        let (room, jid, before, nick) = (address(), jid("alice"), "a".into(), "al".into());
        learn(&mut moderated, &RoomEvent::NickChanged { room, jid, before, nick });
        let nicks: Vec<&str> = moderated.occupants.iter().map(|occupant| occupant.nick.as_str()).collect();
        assert_eq!(nicks, ["al"], "one all the time");
    }

    #[test]
    fn a_revoked_voice_comes_back_by_a_moderator_alone() {
        let mut open = room(RoomAccess::default());
        let (alice, mut revoked) = (jid("alice"), Revoked::default());
        let inside = |role| {
            vec![Occupant { nick: "a".into(), jid: jid("alice"), role, affiliation: Affiliation::None }]
        };
        open.occupants = inside(Role::Visitor);
        revoked.learn(&open, &alice);
        for occupants in [inside(Role::Visitor), Vec::new(), inside(Role::Participant)] {
            open.occupants = occupants;
            revoked.learn(&open, &alice);
            assert_eq!(super::voice(&open, Some(&alice), &revoked), Voice::Revoked);
        }
        let role = Role::Participant;
        revoked.hear(&RoomEvent::RoleChanged { room: address(), jid: alice.clone(), nick: "a".into(), role });
        assert_eq!(super::voice(&open, Some(&alice), &revoked), Voice::Granted);
    }

    #[test]
    fn removals_end_legs_and_leaving_does_not() {
        let removed = |reason| RoomEvent::OccupantRemoved {
            room: address(),
            jid: jid("alice"),
            nick: "a".into(),
            reason,
        };
        assert_eq!(removal(&removed(LeaveReason::Kicked)), Some(Removal::Of(jid("alice"))));
        assert_eq!(removal(&removed(LeaveReason::Left)), None);
        assert_eq!(removal(&RoomEvent::Destroyed { room: address() }), Some(Removal::All));
        let banned = RoomEvent::AffiliationChanged {
            room: address(),
            jid: jid("b"),
            affiliation: Affiliation::Outcast,
        };
        assert_eq!(removal(&banned), Some(Removal::Of(jid("b"))));
    }
}
