//! By what else than its account an entry is found: the activity that it belongs to, the room, the address that it came from, the
//! stranger that it is about.
//!
//! In    entries as they are written; what somebody looks for. Out rows, and the keys that are looked up.
//! State none. A row says in whose timeline there is something of a key, under which correlation, once a day: so it is one for each side of
//!       a call, however much is told of it, and it outlives nothing that it leads to by more than a day. It has no words of its own: what is
//!       removed is found no more.
//!
//! ```text
//! owner                                id: whose timeline, which correlation, which day
//! timeline#6c62272e07bb0142            timeline:00…07 6c62272e07bb0142 20787
//! timeline#192.0.2.7                   timeline@192.0.2.7 0000000000000000 20787
//! ```

use std::net::IpAddr;

use shared_model::{Correlation, RoomAddress, call_id_of, number_in, without_scheme};

use super::entry::{Entry, KIND};

/// Something that entries are found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A call, a stream, a room: what has this correlation, or happened in this room.
    Activity(Correlation),
    /// A network address; a JID, a SIP URI or the digits of a number of nobody of ours.
    Who(String),
}

/// Where entries are: a timeline, and a correlation.
pub(super) type Place = (String, String);

impl Key {
    /// Everything that this may be the name of.
    pub(super) fn all_of(text: &str) -> Vec<Self> {
        let text = text.trim();
        let room = address(text).parse::<RoomAddress>().ok().map(|room| Correlation::of_room(&room));
        let shown = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Correlation)).flatten();
        let by_name = [Correlation::of_call(text), Correlation::of_stream(text)];
        let activities = by_name.into_iter().chain(room).chain(shown).map(Self::Activity);
        activities
            .chain([Some(who(text)), number_in(address(text))].into_iter().flatten().map(Self::Who))
            .collect()
    }

    /// Whose archive its rows are.
    pub(super) fn owner(&self) -> String {
        match self {
            Self::Activity(correlation) => format!("{OWNER}{correlation}"),
            Self::Who(who) => format!("{OWNER}{who}"),
        }
    }

    /// Whether an entry of a place is meant: an account's own correlation is that of much else.
    pub(super) fn means(&self, entry: &Entry) -> bool {
        match self {
            Self::Activity(_) => true,
            Self::Who(who) => {
                let from = entry.what.from.map(|from| from.to_string());
                from.as_ref() == Some(who) || strangers(entry).any(|name| name == *who)
            }
        }
    }
}

/// The rows of an entry that is stored so.
pub(super) fn rows(entry: &Entry, stored: &shared_store::Entry) -> Vec<shared_store::Entry> {
    let what = &entry.what;
    let is_own = entry.account.is_some_and(|account| Correlation::of_account(account) == what.correlation);
    let activity = (!is_own && what.correlation != Correlation(0)).then_some(what.correlation);
    // Of two calls that have one Call-ID, the second has a name of its own, and is found by what both have.
    let call = what.call_id.as_deref().map(call_id_of).map(Correlation::of_call);
    let room = what.room.as_ref().and_then(|room| room.parse().ok()).map(|room| Correlation::of_room(&room));
    let from = what.from.map(|from| from.to_string());
    let activities = activity.into_iter().chain(call).chain(room).map(Key::Activity);
    let mut keys: Vec<Key> =
        activities.chain(from.into_iter().chain(strangers(entry)).map(Key::Who)).collect();
    keys.dedup();
    let row = |key: Key| shared_store::Entry {
        owner: key.owner(),
        id: format!("{} {} {}", stored.owner, stored.with, entry.time.div_euclid(DAY)),
        with: String::new(),
        time: entry.time,
        kind: KIND.to_owned(),
        body: Vec::new(),
    };
    keys.into_iter().map(row).collect()
}

/// What a stranger is found by: the address, and the number that is the user of it, by whichever host it came.
fn strangers(entry: &Entry) -> impl Iterator<Item = String> {
    let stranger = entry.what.stranger.clone();
    let number = stranger.as_deref().and_then(|it| number_in(it.split('@').next().unwrap_or_default()));
    stranger.into_iter().chain(number)
}

/// Where a row leads.
pub(super) fn place(row: &shared_store::Entry) -> Option<Place> {
    let mut parts = row.id.rsplitn(3, ' ');
    let (_day, correlation, owner) = (parts.next()?, parts.next()?, parts.next()?);
    Some((owner.to_owned(), correlation.to_owned()))
}

/// A network address, or an address as people and clients write it, in one form.
pub(super) fn who(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => {
            address(text).chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>().to_lowercase()
        }
    }
}

/// What a URI is of, without parameters (RFC 3261 §19.1.1) and without a resource (RFC 7622 §3.1).
fn address(text: &str) -> &str {
    without_scheme(text).split([';', '?', '/']).next().unwrap_or_default()
}

/// Milliseconds of a day: how often a row is written anew.
pub(super) const DAY: i64 = 86_400_000;
const OWNER: &str = "timeline#";
/// Characters of a stranger's name.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use shared_model::{AccountId, Protocol};

    use super::super::entry::What;
    use super::*;

    fn rows_of(account: Option<AccountId>, what: What) -> Vec<(String, Option<Place>)> {
        let entry = Entry { time: 3 * DAY + 5, account, what };
        rows(&entry, &entry.stored("x".to_owned()))
            .iter()
            .map(|row| (row.owner.clone(), place(row)))
            .collect()
    }

    #[test]
    fn a_leg_is_found_by_its_call_and_by_its_room() {
        let (call, room) =
            (Correlation::of_call("c1"), "dev@rooms.example.org".parse::<RoomAddress>().unwrap());
        let what =
            What::new(call, Protocol::Conference, "leg_joined", "x").of_call("c1").of_room(room.as_str());
        let place = Some(("timeline:00000000000000000000000000000001".to_owned(), call.to_string()));
        let owners = [format!("timeline#{call}"), format!("timeline#{}", Correlation::of_room(&room))];
        assert_eq!(rows_of(Some(AccountId(1)), what), owners.map(|owner| (owner, place.clone())));
        for text in [
            "dev@rooms.example.org",
            "xmpp:dev@rooms.example.org?join",
            "sip:DEV@rooms.example.org;transport=tls",
        ] {
            assert!(Key::all_of(text).contains(&Key::Activity(Correlation::of_room(&room))), "{text}");
        }
        for text in ["c1", " c1 ", &call.to_string()] {
            assert!(Key::all_of(text).contains(&Key::Activity(call)), "{text}");
        }
    }

    #[test]
    fn a_stranger_has_one_name_however_it_is_written() {
        for (text, one) in [
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:DB8::1", "2001:db8::1"),
            ("sip:Eve@Elsewhere.example;user=phone", "eve@elsewhere.example"),
            ("xmpp:eve@elsewhere.example/phone", "eve@elsewhere.example"),
            ("tel:+33123", "+33123"),
            ("é", "é"),
        ] {
            assert_eq!(who(text), one);
        }
        let what =
            What::new(Correlation(0), Protocol::Auth, "login_failed", "x").of_address([192, 0, 2, 7].into());
        let what = What { stranger: Some("192.0.2.7".to_owned()), ..what };
        let place = ("timeline@192.0.2.7".to_owned(), "0000000000000000".to_owned());
        assert_eq!(rows_of(None, what), [("timeline#192.0.2.7".to_owned(), Some(place))]);
    }

    #[test]
    fn a_call_is_found_by_the_strangers_number_and_by_their_address() {
        let call = Correlation::of_call("c1");
        let what = What::new(call, Protocol::Sip, "call_begun", "x").of_call("c1");
        let what = What { stranger: Some(who("sip:+33123@carrier.example;user=phone")), ..what };
        let owners: Vec<String> =
            rows_of(Some(AccountId(1)), what.clone()).into_iter().map(|(owner, _)| owner).collect();
        let by_who = ["timeline#+33123@carrier.example", "timeline#33123"].map(str::to_owned);
        assert_eq!(owners[1..], by_who);
        let entry = Entry { time: 1, account: Some(AccountId(1)), what };
        for text in ["+33 123", "tel:+33123", "33123", "sips:+33123@Carrier.example", "c1"] {
            assert!(Key::all_of(text).iter().any(|key| key.means(&entry)), "{text}");
            assert!(Key::all_of(text).iter().any(|key| owners.contains(&key.owner())), "{text}");
        }
        let other = Key::all_of("+331234");
        assert!(!other.iter().any(|key| matches!(key, Key::Who(_)) && key.means(&entry)), "{other:?}");
    }

    #[test]
    fn what_happens_to_an_account_alone_has_no_row() {
        let alice = AccountId(1);
        let what = |at| What::new(at, Protocol::Auth, "x", "y");
        assert_eq!(rows_of(Some(alice), what(Correlation::of_account(alice))), []);
        assert_eq!(rows_of(None, what(Correlation(0))), []);
        let login = what(Correlation::of_account(alice)).of_address([192, 0, 2, 7].into());
        assert_eq!(rows_of(Some(alice), login).len(), 1);
    }
}
