//! Facts: what happened, told to whoever listens. Facts are bounded, lossy and idempotent (`docs/architecture.md`).
//!
//! A fact says what happened, never what to do. A listener that missed some asks a directory for a snapshot, so a
//! fact carries enough to act on but is never the only record of anything.

#![expect(missing_docs, reason = "the fields are the nouns of their variant's sentence")]

use std::net::IpAddr;

use crate::{AccountId, Affiliation, Aor, BareJid, Correlation, Participant, Role, RoomAddress, Waiting};

/// One thing that happened, and the activity that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What events of the same activity share.
    pub correlation: Correlation,
    /// What happened.
    pub event: Event,
}

impl Fact {
    /// Joins the two.
    pub fn new(correlation: Correlation, event: impl Into<Event>) -> Self {
        Self { correlation, event: event.into() }
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
}

/// What happened at the door.
#[derive(Debug, Clone, PartialEq)]
pub enum LoginEvent {
    /// A proof held.
    Accepted { account: AccountId, protocol: Protocol, from: IpAddr },
    /// A proof failed. `account` is known if the name was; `reason` is for logs, never for the wire.
    Denied { account: Option<AccountId>, protocol: Protocol, from: IpAddr, reason: &'static str },
}

/// What happened to a SIP binding.
#[derive(Debug, Clone, PartialEq)]
pub enum BindingEvent {
    /// A contact was bound or refreshed.
    Bound { account: AccountId, aor: Aor, contact: String, expires_seconds: u32 },
    /// The connection of a contact closed: it is bound still, and nothing reaches it until its device registers again,
    /// which tells `Bound`.
    Suspended { account: AccountId, aor: Aor, contact: String },
    /// A contact is gone: unregistered or expired.
    Unbound { account: AccountId, aor: Aor, contact: String },
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
    /// An INVITE was accepted for routing, or found nobody there. `from` is there if the caller proved who they are; an
    /// anonymous one is to stay unknown to whom they call.
    Attempted {
        call_id: String,
        from: Option<AccountId>,
        is_anonymous: bool,
        to: Option<AccountId>,
        to_uri: String,
    },
    /// A callee's device rings.
    Ringing { call_id: String },
    /// It was answered; with pictures, if the answer says that they may flow.
    Answered { call_id: String, has_video: bool },
    /// It is over.
    Ended { call_id: String, outcome: CallOutcome },
}

/// What happened to an XMPP session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEvent {
    /// A resource was bound.
    Bound { account: AccountId, jid: BareJid, resource: String, stream: String },
    /// The session is over.
    Ended { account: AccountId, jid: BareJid, resource: String, stream: String },
    /// A session's presence changed; `available` is false when it went unavailable.
    PresenceChanged { account: AccountId, jid: BareJid, resource: String, available: bool },
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
    Account(AccountEvent), Login(LoginEvent), Binding(BindingEvent), Call(CallEvent),
    Session(SessionEvent), Room(RoomEvent), Conference(ConferenceEvent),
    Mailbox(MailboxEvent),
}
