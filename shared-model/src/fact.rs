//! Facts: what happened, told to whoever listens. Facts are bounded, lossy and idempotent (`docs/architecture.md`).
//!
//! A fact says what happened, never what to do. A listener that missed some asks a directory for a snapshot, so a
//! fact carries enough to act on but is never the only record of anything.

#![expect(missing_docs, reason = "the fields are the nouns of their variant's sentence")]

use std::net::IpAddr;
use std::time::Duration;

use crate::{AccountId, Affiliation, Aor, BareJid, Correlation, Participant, Role, RoomAddress, Waiting};

/// One thing that happened, and the activity that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What events of the same activity share.
    pub correlation: Correlation,
    /// What happened.
    pub event: Event,
    /// Where.
    pub origin: Origin,
}

/// Where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In this process.
    Here,
    /// In another one, which announced it, and writes down itself what is to be written down once.
    Elsewhere,
}

impl Fact {
    /// What happened in this process.
    pub fn new(correlation: Correlation, event: impl Into<Event>) -> Self {
        Self { correlation, event: event.into(), origin: Origin::Here }
    }

    /// The same of another process.
    pub fn elsewhere(self) -> Self {
        Self { origin: Origin::Elsewhere, ..self }
    }
}

/// The kinds of facts, by the service that tells them.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Told by whoever changes accounts.
    Account(AccountEvent),
    /// Told by the one door for every login.
    Login(LoginEvent),
    /// Told by the registrar.
    Binding(BindingEvent),
    /// Told by the proxy.
    Call(CallEvent),
    /// Told by the XMPP server.
    Session(SessionEvent),
    /// Told by rooms.
    Room(RoomEvent),
    /// Told by the focus.
    Conference(ConferenceEvent),
    /// Told by whoever keeps voice messages.
    Mailbox(MailboxEvent),
    /// Told by the focus, of the sound of its legs.
    Media(MediaEvent),
    /// Told by whoever wakes devices.
    Push(PushEvent),
    /// Told by the XMPP server, of accounts of which one half is up and the other is not.
    Halves(HalvesEvent),
    /// Told by the HTTPS face, and by whoever changes passwords.
    Provisioning(ProvisioningEvent),
    /// Told by the registrar and the XMPP server, right after a binding or a session.
    Protected(ProtectedEvent),
}

/// The faces of the service, for labels and timelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Registrar, proxy.
    Sip,
    /// Streams, rooms.
    Xmpp,
    /// The focus.
    Conference,
    /// RTP legs.
    Media,
    /// Proofs of identity.
    Auth,
    /// The HTTPS face.
    Provisioning,
}

impl Protocol {
    /// The word in logs, labels and timelines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Xmpp => "xmpp",
            Self::Conference => "conference",
            Self::Media => "media",
            Self::Auth => "auth",
            Self::Provisioning => "provisioning",
        }
    }
}

/// What happened to an account.
#[derive(Debug, Clone, PartialEq)]
pub enum AccountEvent {
    /// A new account.
    Created { account: AccountId },
    /// Its name, numbers, flags or credentials are others now.
    Changed { account: AccountId },
    /// It may no longer log in; what is up must end.
    Disabled { account: AccountId },
    /// It is gone; what is up must end.
    Removed { account: AccountId },
    /// The password of one of its devices is taken back; what is up by it must end.
    DeviceEnded { account: AccountId, device: String },
    /// Its main password is another since then (milliseconds since 1970); what is up by the one before must end.
    PasswordEnded { account: AccountId, at: i64 },
}

/// What happened at the door.
#[derive(Debug, Clone, PartialEq)]
pub enum LoginEvent {
    /// A proof held; `how` is the mechanism's word.
    Accepted { account: AccountId, protocol: Protocol, from: IpAddr, how: &'static str },
    /// A proof failed. `account` is known if the name was; `reason` is for logs, never for the wire.
    Denied { account: Option<AccountId>, protocol: Protocol, from: IpAddr, reason: &'static str },
}

/// What happened to a SIP binding.
#[derive(Debug, Clone, PartialEq)]
pub enum BindingEvent {
    /// A contact was bound or refreshed.
    Bound { account: AccountId, aor: Aor, contact: String, expires_seconds: u32, change: BindingChange },
    /// The connection of a contact closed: it is bound still, and nothing reaches it until its device registers again,
    /// which tells `Bound`.
    Suspended { account: AccountId, aor: Aor, contact: String },
    /// A contact is gone.
    Unbound { account: AccountId, aor: Aor, contact: String, why: UnboundWhy },
}

/// What a REGISTER made of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingChange {
    /// There was none.
    Made,
    /// It leads elsewhere now: another contact of the same instance, or another connection.
    Moved,
    /// Nothing but its time is new.
    Refreshed,
}

/// Why a contact is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnboundWhy {
    /// Its device said so, or its account may not log in any more.
    Removed,
    /// It was not refreshed in time.
    Expired,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// One of the two hung up.
    Completed,
    /// The caller gave up while it rang.
    Cancelled,
    /// The callee said no; the status that said so (RFC 3261 §21).
    Refused(u16),
    /// Nobody answered in time.
    NoAnswer,
}

/// What happened to a call through the proxy.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// An INVITE was accepted for routing, or found nobody there. `from` is there if the caller proved who they are, `from_uri` is who
    /// they say; an anonymous one is to stay unknown to whom they call.
    Attempted {
        call_id: String,
        from: Option<AccountId>,
        from_uri: String,
        is_anonymous: bool,
        to: Option<AccountId>,
        to_uri: String,
    },
    /// A callee's device rings.
    Ringing { call_id: String },
    /// It was answered; with pictures, if the answer says that they may flow.
    Answered { call_id: String, has_video: bool },
    /// It is over; `reason` is what the side that ended it said of it (RFC 3326), if anything.
    Ended { call_id: String, outcome: CallOutcome, reason: Option<String> },
    /// The chat of those who are named says what became of it.
    ToldInChat { call_id: String, caller: AccountId, callee: Option<AccountId>, text: String },
}

/// What happened to an XMPP session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// A resource was bound.
    Bound { account: AccountId, jid: BareJid, resource: String, stream: String },
    /// Its connection is lost; it waits for another (XEP-0198 §5).
    Suspended { account: AccountId, jid: BareJid, resource: String, stream: String, why: &'static str },
    /// Another connection goes on with it.
    Resumed { account: AccountId, jid: BareJid, resource: String, stream: String },
    /// The session is over.
    Ended { account: AccountId, jid: BareJid, resource: String, stream: String, why: &'static str },
    /// A session's presence changed; `available` is false when it went unavailable.
    PresenceChanged { account: AccountId, jid: BareJid, resource: String, available: bool },
}

/// How a half is protected: its connection as both handshakes agreed, where that is TLS of ours, and how it proved whose it is.
#[derive(Debug, Clone, PartialEq)]
pub enum ProtectedEvent {
    /// A contact was bound or refreshed; `key` tells it from the address's others, and `is_open` is one whose way nothing says to be TLS.
    Phone { account: AccountId, key: String, protection: Option<Protection>, is_open: bool, proved: Proved },
    /// That contact is gone.
    PhoneGone { account: AccountId, key: String },
    /// A session was bound, or goes on over another connection; `is_open` is one that nothing encrypts.
    Chat {
        account: AccountId,
        resource: String,
        protection: Option<Protection>,
        is_open: bool,
        proved: Proved,
    },
}

/// A version of TLS and its suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// As people write it, such as `TLS 1.3`; the later one is the greater.
    pub version: &'static str,
    /// The registered name.
    pub suite: &'static str,
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proved {
    /// As people write it, such as `SCRAM-SHA-256` or `Digest MD5`.
    pub by: &'static str,
    /// What it withstands; `None`: it is of a kind that does not compare, as a provider's token.
    pub strength: Option<Strength>,
}

/// What a proof withstands, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// The password itself goes to whoever answers as the server.
    Password,
    /// An answer to a challenge from which a weak password is guessed at the rate of MD5.
    Md5,
    /// An answer to a challenge by a hash that is sound.
    Answer,
    /// A key that never leaves its device: there is no password to guess.
    Key,
}

/// Why an occupant is no longer in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaveReason {
    /// By their own wish or because their session ended.
    Left,
    /// A moderator removed them (XEP-0045 §8.2, status 307).
    Kicked,
    /// An admin banned them (§9.1, status 301).
    Banned,
    /// They lost membership of a members-only room (§9.4, status 321), or it became one (status 322).
    NotMember,
    /// The room was destroyed (§10.9).
    Destroyed,
    /// The room service stops (status 332).
    Shutdown,
    /// What was sent to them came back (§18.1.2, status 333).
    Lost,
}

impl LeaveReason {
    /// Whether the room made them leave: what the conference mirrors by ending their legs.
    pub fn is_removal(self) -> bool {
        matches!(self, Self::Kicked | Self::Banned | Self::NotMember)
    }
}

/// What happened in a room.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomEvent {
    /// A room exists that did not.
    Created { room: RoomAddress },
    /// It is gone for good.
    Destroyed { room: RoomAddress },
    /// Its name, rules or password are others now.
    ConfigurationChanged { room: RoomAddress },
    /// The subject is another now.
    SubjectChanged { room: RoomAddress, subject: String },
    /// Somebody entered.
    OccupantJoined { room: RoomAddress, jid: BareJid, nick: String, role: Role },
    /// Somebody is no longer inside.
    OccupantRemoved { room: RoomAddress, jid: BareJid, nick: String, reason: LeaveReason },
    /// Somebody who is inside is called otherwise.
    NickChanged { room: RoomAddress, jid: BareJid, before: String, nick: String },
    /// A role changed: voice was granted or revoked, a moderator made.
    RoleChanged { room: RoomAddress, jid: BareJid, nick: String, role: Role },
    /// Somebody's affiliation changed, whether they are inside or not.
    AffiliationChanged { room: RoomAddress, jid: BareJid, affiliation: Affiliation },
}

/// What happened in a room's call.
#[derive(Debug, Clone, PartialEq)]
pub enum ConferenceEvent {
    /// A leg joined.
    ParticipantJoined { room: RoomAddress, call_id: String, participant: Participant },
    /// A leg can do something else with its sound now; `participant` says what.
    ParticipantChanged { room: RoomAddress, call_id: String, participant: Participant },
    /// A leg ended.
    ParticipantLeft { room: RoomAddress, call_id: String, participant: Participant },
    /// What is said is written down from now on, or is not any more.
    RecordingChanged { room: RoomAddress, is_recorded: bool },
}

/// What happened in a mailbox.
#[derive(Debug, Clone, PartialEq)]
pub enum MailboxEvent {
    /// Something else waits in it now.
    Changed { owner: BareJid, waiting: Waiting },
}

/// What became of the sound of a leg.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaEvent {
    /// The leg is over, and so it went.
    Ended { room: RoomAddress, call_id: String, account: Option<AccountId>, sound: Sound },
}

/// How the sound of a leg went, from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// The format that was agreed on last, such as `opus`.
    pub codec: &'static str,
    /// Whether it was encrypted.
    pub is_encrypted: bool,
    /// Whether the leg was to send at its end, as offer and answer say.
    pub was_to_send: bool,
    /// Whether the leg was to receive at its end.
    pub was_to_receive: bool,
    /// Packets that came.
    pub received: u64,
    /// How long before the end the last of them came; since the leg was heard at all, if none did.
    pub silent_for: Duration,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that we sent.
    pub sent: u64,
    /// Packets that came and were not believed: from elsewhere than signalled, or badly protected.
    pub disbelieved: u64,
    /// Lost of 256 on the way there, as the leg said last.
    pub lost_there: u8,
    /// Whether the leg ever reported what it received.
    pub has_reported: bool,
    /// How it says that it hears, if it said so (RFC 3611).
    pub there: Option<HeardThere>,
    /// The mean deviation of the transit time.
    pub jitter: Duration,
    /// There and back, if it told.
    pub round_trip: Option<Duration>,
    /// What a listener would say, 1 (bad) to 4.5 (good).
    pub mos: f64,
}

/// How a leg says that it hears us, from the beginning on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeardThere {
    /// Lost of 256.
    pub lost: u8,
    /// Came too late to be played, of 256.
    pub discarded: u8,
    /// How long times of many losses last, in the mean.
    pub burst: Duration,
    /// What a listener would say, 1 (bad) to 5 (good).
    pub mos: Option<f64>,
}

/// What woke a device.
#[derive(Debug, Clone, PartialEq)]
pub enum PushEvent {
    /// A push service was asked to wake a client of this account for chat (XEP-0357).
    ForChat { jid: BareJid, service: String },
    /// A push service was asked to wake a device for a call (RFC 8599).
    ForCall { account: AccountId, provider: String },
}

/// What happened to who has two halves, a telephone and a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HalvesEvent {
    /// The chat is there, and the telephone is not registered any more.
    PhoneLost { account: AccountId },
    /// The telephone is registered again.
    PhoneBack { account: AccountId },
    /// The chat was ended, since the telephone is gone and the policy has both or nothing.
    ChatEnded { account: AccountId },
}

/// What happened at the HTTPS face, or to passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisioningEvent {
    /// A client fetched its configuration; `client` is the name of its form.
    ConfigurationFetched { account: AccountId, client: String },
    /// An invitation became this account.
    InvitationFollowed { account: AccountId },
    /// The main password is another now.
    PasswordChanged { account: AccountId },
    /// A password for one device was made.
    DevicePasswordMade { account: AccountId, device: String },
    /// A token for programs was made; what it may do.
    TokenMade { account: AccountId, name: String, scopes: String },
    /// A token for programs was taken back.
    TokenRevoked { account: AccountId, name: String },
    /// This administrator keeps somebody out: a network, an address or a domain. None: whoever has the command line.
    Banned { account: Option<AccountId>, who: String },
    /// And lets them in again.
    BanLifted { account: Option<AccountId>, who: String },
}

macro_rules! into_event {
    ($($variant:ident($event:ty)),* $(,)?) => {
        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })*
    };
}

into_event! {
    Media(MediaEvent), Push(PushEvent), Halves(HalvesEvent), Provisioning(ProvisioningEvent),
    Account(AccountEvent), Login(LoginEvent), Binding(BindingEvent), Call(CallEvent),
    Session(SessionEvent), Room(RoomEvent), Conference(ConferenceEvent),
    Mailbox(MailboxEvent), Protected(ProtectedEvent),
}
