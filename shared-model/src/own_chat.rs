//! What an account keeps in the chat half, for whoever shows it elsewhere: its picture, what is archived, whom it blocks, whether
//! it may be disturbed, the sessions that it has, and all the rest, a page at a time.

use crate::{BareJid, KeptMessage, Pending, Waiting};

/// The picture that an account shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its media type, as whoever set it says.
    pub media_type: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What is archived of conversations with whom no list names (XEP-0441).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Archived {
    /// All.
    Always,
    /// Nothing.
    Never,
    /// What is said with contacts.
    Contacts,
}

/// What an account wants archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archiving {
    /// Of whom no list names.
    pub otherwise: Archived,
    /// Addresses with whom all is.
    pub always: Vec<String>,
    /// Addresses with whom nothing is.
    pub never: Vec<String>,
    /// Of what was read; a wish is written over that alone. `None`: they never said.
    pub version: Option<u64>,
}

/// The mailbox of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailboxState {
    /// Whether callers may leave messages.
    pub is_wanted: bool,
    /// What waits in it.
    pub waiting: Waiting,
}

/// A chat client that has access to an account (XEP-0494).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatClient {
    /// What it is revoked by.
    pub id: String,
    /// How it calls itself, or the device, possibly empty.
    pub name: String,
    /// When it was last seen, milliseconds since 1970, if that is known.
    pub last_seen: Option<i64>,
    /// Whether it is connected now.
    pub is_connected: bool,
    /// Whether a provider of identities let it in, who may do so again when its access was taken.
    pub is_by_provider: bool,
    /// Whether its access can be taken alone; one that knows the account's password keeps it until that is another.
    pub is_revocable: bool,
}

/// A part of the rest that an account keeps. Its entries are as clients would get them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeptPart {
    /// By address: the item of the list (RFC 6121 §2.1.2), and the request that waits for an answer.
    Contacts,
    /// The card (XEP-0054), and the picture of vCard-based avatars.
    Card,
    /// By node: its configuration, then its items (XEP-0163).
    Nodes,
    /// By element: private storage (XEP-0049).
    Private,
    /// By id: stanzas that no client got yet, the oldest first.
    Waiting,
    /// By room: what the account is in it (XEP-0045 §17.4).
    Rooms,
    /// By name: what the account wants, in a word each.
    Preferences,
    /// By name: certificates of its clients (XEP-0257).
    Certificates,
    /// By push service: clients that are woken (XEP-0357).
    Pushes,
}

/// One thing that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEntry {
    /// What it is of.
    pub name: String,
    /// The thing itself, XML or a word.
    pub text: String,
}

/// Some of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptPage {
    /// In their order; none says nothing about whether there are more.
    pub entries: Vec<KeptEntry>,
    /// Where to go on, if there is more.
    pub next: Option<String>,
}

/// Why something of an account's was not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnChatError {
    /// What was given breaks a rule; says which.
    #[error("{0}")]
    Refused(String),
    /// There is no such thing.
    #[error("there is no such thing")]
    Nothing,
    /// It is not what it was when it was read.
    #[error("somebody else changed it meanwhile")]
    Changed,
    /// The store does not answer, or whoever knows is not there.
    #[error("the chat half cannot do this now")]
    Unavailable,
}

/// What came of it.
type Kept<'a, T> = Pending<'a, Result<T, OwnChatError>>;

/// Shows and changes what accounts keep in the chat half. The chat server implements it; provisioning has pages for it. A change is
/// durable when it is answered, and clients that are connected are told at once.
pub trait OwnChat: Send + Sync {
    /// The picture of an account, if it shows one.
    fn picture<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Option<Picture>>;
    /// Shows another picture, or none.
    fn set_picture<'a>(&'a self, of: &'a BareJid, picture: Option<Picture>) -> Kept<'a, ()>;
    /// What an account wants archived.
    fn archiving<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Archiving>;
    /// Archives this from now on; [`OwnChatError::Changed`] if its version is not the one that is there.
    fn set_archiving<'a>(&'a self, of: &'a BareJid, wish: Archiving) -> Kept<'a, ()>;
    /// Whom an account blocks: addresses, domains.
    fn blocked<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Vec<String>>;
    /// Blocks somebody from now on, or does not any more.
    fn set_blocked<'a>(&'a self, of: &'a BareJid, whom: &'a str, is_blocked: bool) -> Kept<'a, ()>;
    /// Whether an account said that it does not want to be disturbed, whatever its clients say.
    fn is_undisturbed<'a>(&'a self, of: &'a BareJid) -> Kept<'a, bool>;
    /// Says so from now on, or does not any more.
    fn set_undisturbed<'a>(&'a self, of: &'a BareJid, is_undisturbed: bool) -> Kept<'a, ()>;
    /// Its contacts that see it or are seen by it, by what both agreed to.
    fn contacts<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Vec<BareJid>>;
    /// Whether one account is among the contacts of another.
    fn is_contact<'a>(&'a self, of: &'a BareJid, whom: &'a BareJid) -> Kept<'a, bool>;
    /// Its mailbox; `None` where messages cannot be kept.
    fn mailbox<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Option<MailboxState>>;
    /// Lets callers leave messages from now on, or does not any more.
    fn set_mailbox<'a>(&'a self, of: &'a BareJid, is_wanted: bool) -> Kept<'a, ()>;
    /// What callers said, the newest first.
    fn voice_messages<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Vec<KeptMessage>>;
    /// What one of them sounds like: Opus in Ogg (RFC 7845).
    fn voice_sound<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Kept<'a, Vec<u8>>;
    /// Says that one was heard, or is to wait again.
    fn set_heard<'a>(&'a self, of: &'a BareJid, id: &'a str, is_heard: bool) -> Kept<'a, ()>;
    /// Removes one and its file for good.
    fn remove_voice_message<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Kept<'a, ()>;
    /// Some of the rest that it keeps: the first, or what comes after a page that said where to go on.
    fn kept<'a>(&'a self, of: &'a BareJid, part: KeptPart, from: Option<&'a str>) -> Kept<'a, KeptPage>;
    /// Clients that have access, and by what.
    fn clients<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Vec<ChatClient>>;
    /// Takes a client's access, and ends its sessions.
    fn revoke_client<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Kept<'a, ()>;
    /// Ends the session of one resource.
    fn end_session<'a>(&'a self, of: &'a BareJid, resource: &'a str) -> Kept<'a, ()>;
}
