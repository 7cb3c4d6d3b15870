//! Keeping rooms from outside: what an administrator of the service makes, ends, and says of who is what in them (XEP-0045 §9, §10).

use crate::{Affiliation, BareJid, Pending, RoomAddress};

/// A room that is to be made; it is kept, and open at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// Where.
    pub room: RoomAddress,
    /// Its natural-language name, possibly empty.
    pub name: String,
    /// Only members enter.
    pub members_only: bool,
    /// Those without affiliation enter without voice.
    pub moderated: bool,
    /// Lists do not show it.
    pub hidden: bool,
    /// Password of the chat and PIN of the call.
    pub password: Option<String>,
    /// Who owns it.
    pub owners: Vec<BareJid>,
}

/// What is kept of a room, beside what a [`RoomSnapshot`](crate::RoomSnapshot) says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptRoom {
    /// What it says of itself, possibly empty.
    pub description: String,
    /// Whether it stays when nobody is inside.
    pub is_persistent: bool,
    /// Everybody, and every domain, that is something to it, in the order of their addresses.
    pub affiliations: Vec<Affiliated>,
}

/// What somebody is to a room for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affiliated {
    /// A bare JID; of those who are banned also a domain.
    pub jid: String,
    /// What they are.
    pub affiliation: Affiliation,
    /// Why, where that was said.
    pub reason: Option<String>,
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// There is no such room.
    #[error("there is no such room")]
    Nothing,
    /// There is one already.
    #[error("there is such a room already")]
    Exists,
    /// The room's law, or the service's, does not let it be done; says why.
    #[error("{0}")]
    Refused(&'static str),
    /// The store does not answer, or whoever keeps rooms is not there.
    #[error("rooms cannot be kept now")]
    Unavailable,
}

/// Rooms in which somebody is something, and where to go on.
pub type RoomsOf = (Vec<(RoomAddress, Affiliation)>, Option<String>);

/// Whether a text can be the password of a room's chat and the PIN of its call: 4 to 16 digits, which a telephone can send.
pub fn is_pin(text: &str) -> bool {
    (4..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Keeps rooms in the name of the service. The chat server implements it. A change is durable when it is answered.
pub trait RoomKeeping: Send + Sync {
    /// Makes a room.
    fn make(&self, new: NewRoom) -> Pending<'_, Result<(), RoomError>>;
    /// Ends a room for good; those inside are told why.
    fn destroy<'a>(&'a self, room: &'a RoomAddress, reason: &'a str) -> Pending<'a, Result<(), RoomError>>;
    /// What is kept of a room.
    fn kept<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<KeptRoom, RoomError>>;
    /// Says what somebody, or for a ban a whole domain, is to a room from now on, and answers what they were.
    fn affiliate<'a>(
        &'a self,
        room: &'a RoomAddress,
        whom: Affiliated,
    ) -> Pending<'a, Result<Affiliation, RoomError>>;
    /// Rooms that are kept and in which somebody is something: the first, or those after a page that said where to go on.
    fn rooms_of<'a>(&'a self, jid: &'a str, from: Option<&'a str>)
    -> Pending<'a, Result<RoomsOf, RoomError>>;
}
