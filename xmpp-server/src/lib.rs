//! The XMPP server: streams of clients, routing, rosters and presence, what the server answers itself, and rooms.
//!
//! ```text
//! socket ─ c2s ─▶ session ─▶ route ─┬─▶ features   what the server answers
//!                                   ├─▶ muc        rooms
//!                                   ├─▶ pubsub     nodes of accounts and of the service
//!                                   ├─▶ router     outboxes of bound resources ─▶ sockets
//!                                   ├─▶ component  programs that are domains of their own
//!                                   └─▶ s2s        queues for other domains ─▶ their servers, which come by s2s, too
//! ```
//!
//! A session's task takes its client's stanzas one by one, so what one party sends another arrives in order. Outboxes
//! are bounded; a client that does not read is cut off. A session outlives its connection where the client asked for it,
//! and what a client did not get goes elsewhere in the end. Messages are archived before they are delivered.
//! Other services are known by facts on the bus alone, and by [`shared_model::RoomDirectory`], which
//! [`XmppServer::rooms`] hands out.

mod abusers;
mod access;
mod accounts;
mod admission;
mod afar;
mod archive;
mod arrivals;
mod availability;
mod avatar;
mod blocking;
mod bookmarks;
mod c2s;
mod call_log;
mod callers;
mod caps;
mod compliance;
mod component;
mod config;
mod csi;
mod domains;
mod erase;
mod features;
mod guests;
mod half_open;
mod halves;
mod in_order;
mod invited;
mod labels;
mod metrics;
mod muc;
mod notices;
mod offline;
mod on_the_phone;
mod own_chat;
mod own_data;
mod presence;
mod pubsub;
mod push;
mod queue;
mod rate;
mod reach;
mod retention;
mod roster;
mod route;
mod router;
mod s2s;
mod server;
mod session;
mod shared_groups;
mod specs;
mod standing;
mod tel;
pub mod transfer;
mod turn;
mod undisturbed;
mod upload;
mod voicemail;

pub use c2s::{PlainFor, ScramName};
pub use callers::OwnCalls;
pub use compliance::{ADVANCED_SERVER, Row};
pub use component::ComponentConfig;
pub use config::{Config, keys};
pub use features::{Invitations, InviteLinks};
pub use guests::GuestsConfig;
pub use halves::BothOrNothing;
pub use muc::{CreateError, Creators, RoomOptions, Rooms};
pub use s2s::{FederationConfig, Security};
pub use server::{Parts, StartError, XmppServer};
pub use specs::specs;
pub use turn::TurnConfig;
pub use upload::UploadConfig;
