//! Conferences without a room, made by a call to the factory — RFC 4579 §5.4 (a conference factory URI).
//!
//! In    a call to the factory's URI. Out a URI that nobody can guess, which the 2xx names as Contact with `isfocus`.
//! State the conferences that are up, and who made each: they own it. At most [`MOST`]; then 503.
//! Not here: chat; such a conference has none, until somebody makes a room.

use dashmap::DashMap;
use shared_model::{Affiliation, BareJid, RoomAccess, RoomAddress, RoomSnapshot};

/// Conferences without a room.
#[derive(Debug, Default)]
pub(super) struct Made(DashMap<RoomAddress, Option<BareJid>>);

impl Made {
    /// A new one; `seed` is random. `None` when there are too many.
    pub(super) fn make(&self, domain: &str, seed: u64) -> Option<RoomAddress> {
        let room = RoomAddress::new(&format!("adhoc-{seed:016x}"), domain).ok()?;
        if self.0.len() >= MOST {
            return None;
        }
        self.0.insert(room.clone(), None);
        Some(room)
    }

    /// Whether there is such a conference.
    pub(super) fn has(&self, room: &RoomAddress) -> bool {
        self.0.contains_key(room)
    }

    /// The first who comes owns it.
    pub(super) fn own(&self, room: &RoomAddress, jid: &BareJid) {
        if let Some(mut owner) = self.0.get_mut(room)
            && owner.is_none()
        {
            *owner = Some(jid.clone());
        }
    }

    /// What it is like, if there is one: open to whoever knows its name.
    pub(super) fn room(&self, room: &RoomAddress) -> Option<RoomSnapshot> {
        let owner = self.0.get(room).map(|owner| owner.clone())?;
        Some(RoomSnapshot {
            room: room.clone(),
            name: String::new(),
            subject: String::new(),
            description: String::new(),
            access: RoomAccess { hidden: true, ..RoomAccess::default() },
            affiliations: owner.map(|jid| (jid, Affiliation::Owner)).into_iter().collect(),
            occupants: Vec::new(),
        })
    }

    /// It is over.
    pub(super) fn forget(&self, room: &RoomAddress) {
        self.0.remove(room);
    }
}

const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_first_owns_it_until_it_is_over() {
        let made = Made::default();
        let room = made.make("conference.example.org", 7).unwrap();
        assert_eq!(room.local(), "adhoc-0000000000000007");
        let (alice, bob) = (BareJid::new("alice", "x").unwrap(), BareJid::new("bob", "x").unwrap());
        made.own(&room, &alice);
        made.own(&room, &bob);
        let snapshot = made.room(&room).unwrap();
        assert_eq!(
            (snapshot.affiliation(&alice), snapshot.affiliation(&bob)),
            (Affiliation::Owner, Affiliation::None)
        );
        made.forget(&room);
        assert!(!made.has(&room) && made.room(&room).is_none());
        made.own(&room, &alice);
        assert!(!made.has(&room));
    }
}
