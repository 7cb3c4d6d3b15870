//! Typed ids. An id is a number that somebody else rolled; its text is lower-case hexadecimal of fixed width.

use std::fmt;
use std::str::FromStr;

/// Defines an id over an unsigned integer.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty), $width:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $width, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <$int>::from_str_radix(text, 16).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// One person's account: one AOR, one JID, one set of credentials. Never reused.
    AccountId(u128), "32"
}

id! {
    /// What SIP, XMPP, media and conference events of one activity share.
    ///
    /// It is computed from the name that the activity has on the wire, so two services, or two nodes, that see the
    /// same Call-ID say the same correlation without telling each other.
    Correlation(u64), "16"
}

impl AccountId {
    /// Whose archive has the calls that an account made and was called by, as it sees them.
    pub fn call_history(self) -> String {
        format!("calls of {self}")
    }
}

/// The name of a call whose Call-ID another had before it, whose caller has another tag (RFC 3261 §12).
pub fn second_call(call_id: &str, from_tag: &str) -> String {
    format!("{call_id}{FROM_TAG}{from_tag}")
}

/// The Call-ID of the call that has this name.
pub fn call_id_of(name: &str) -> &str {
    name.split_once(FROM_TAG).map_or(name, |(call_id, _)| call_id)
}

/// No Call-ID has a semicolon (§25.1).
const FROM_TAG: &str = ";from-tag=";

impl Correlation {
    /// The activity of one SIP call, conference leg or registration, by its Call-ID.
    pub fn of_call(call_id: &str) -> Self {
        Self(fnv1a(b"call:", call_id.as_bytes()))
    }

    /// The activity of one XMPP stream, by the stream id that the server gave it.
    pub fn of_stream(stream_id: &str) -> Self {
        Self(fnv1a(b"stream:", stream_id.as_bytes()))
    }

    /// What happens in one room, chat and call alike, by the room's address.
    pub fn of_room(room: &crate::RoomAddress) -> Self {
        Self(fnv1a(b"room:", room.as_str().as_bytes()))
    }

    /// What happens to one account outside any call, stream or room.
    pub fn of_account(account: AccountId) -> Self {
        Self(fnv1a(b"account:", &account.0.to_be_bytes()))
    }
}

/// FNV-1a with 64 bits: stable between nodes and releases, which the standard library's hasher does not promise.
fn fnv1a(kind: &[u8], name: &[u8]) -> u64 {
    kind.iter()
        .chain(name)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        let id = AccountId(7);
        assert_eq!(id.to_string(), "00000000000000000000000000000007");
        assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
        assert!("not hex".parse::<AccountId>().is_err());
    }

    #[test]
    fn one_name_has_one_correlation() {
        assert_eq!(Correlation::of_call("a84b4c76e66710"), Correlation::of_call("a84b4c76e66710"));
        assert_ne!(Correlation::of_call("x"), Correlation::of_stream("x"));
    }
}
