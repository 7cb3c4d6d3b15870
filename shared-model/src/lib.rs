//! The words that services share: addresses, typed ids, rooms, facts, and the specifications they claim.
//!
//! Nothing here does I/O, reads a clock or rolls dice. A service that must know something of another reads a
//! [`Fact`] from the bus or asks one of the two directory traits ([`RoomDirectory`], [`ConferenceDirectory`]);
//! `cusax` hands them over.

mod address;
mod announcement;
mod availability;
mod branches;
mod conference;
mod domains;
mod fact;
mod groups;
pub mod idn;
mod ids;
mod moderation;
mod notice;
mod own_chat;
mod registrations;
mod room;
mod room_keeping;
mod spec;
mod telephony;
mod timelines;
mod uri;
mod visibility;
mod voicemail;

pub use address::{Address, AddressError, Aor, BareJid, RoomAddress, domain_in_xmpp_uri};
pub use announcement::{Announcement, Announcements};
pub use availability::{Availability, CalledBy, MayRing};
pub use branches::Branches;
pub use conference::{Audio, CallOutError, ConferenceDirectory, ConferenceSnapshot, Participant};
pub use domains::Domains;
pub use fact::{
    AccountEvent, BindingChange, BindingEvent, CallEvent, CallOutcome, ConferenceEvent, Event, Fact,
    HalvesEvent, HeardThere, LeaveReason, LoginEvent, MailboxEvent, MediaEvent, Origin, ProtectedEvent,
    Protection, Protocol, Proved, ProvisioningEvent, PushEvent, RoomEvent, SessionEvent, Sound, Strength,
    UnboundWhy,
};
pub use groups::{Groups, Member};
pub use ids::{AccountId, Correlation, call_id_of, second_call};
pub use moderation::{Deed, Moderation, ModerationError};
pub use notice::Notices;
pub use own_chat::{
    Archived, Archiving, ChatClient, KeptEntry, KeptPage, KeptPart, MailboxState, OwnChat, OwnChatError,
    Picture,
};
pub use registrations::Registrations;
pub use room::{Affiliation, Occupant, Role, RoomAccess, RoomDirectory, RoomSnapshot, Unavailable};
pub use room_keeping::{Affiliated, KeptRoom, NewRoom, RoomError, RoomKeeping, RoomsOf, is_pin};
pub use spec::{Coverage, Document, Spec};
pub use telephony::{Meaning, NumberRoute, Plan, Price, Telephony, TrunkState};
pub use timelines::{Diagnosis, Doctor, Happened, NotLooked, Past, Timelines};
pub use uri::{number_in, without_scheme};
pub use visibility::{FoundBy, Visibility, finds};
pub use voicemail::{KeptMessage, Mailboxes, Said, Unrecorded, VoiceMessage, VoiceMessages, Waiting};

/// An answer that is still being looked up; what the directory traits return, so that they stay object-safe.
pub type Pending<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
