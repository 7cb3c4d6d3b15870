//! Registrar and proxy — RFC 3261 §10, §16: one account's devices are found, and called.
//!
//! In    requests from the endpoint. Out answers, forwarded requests, facts about bindings and calls.
//! State bindings in the store; a task for each request that is under way.
//! Errors each module says which status it answers; nothing is met with silence but ACK and what is no SIP.

mod authenticate;
mod awaited;
mod caller;
mod challenge;
mod config;
mod cost;
mod destination;
mod dialogs;
mod ended;
mod facts;
pub mod features;
mod flow_token;
mod gruu;
mod guard;
mod hang_up;
mod hep;
mod in_dialog;
mod labels;
mod location;
mod metrics;
pub mod numbers;
mod own_registrations;
mod proxy;
mod push;
pub mod records;
mod reg_event;
mod registrar;
mod relay;
mod routing;
mod sealed;
mod server;
mod sips;
mod specs;
mod stir;
mod suspension;
mod telephony;
mod tenants;
mod trunks;
mod trust;
mod voicemail;
mod wishes;

pub use challenge::ChallengeRule;
pub use config::{Chat, Config, KEYS, Redirect, TimerConfig, keys};
pub use cost::{AccountCost, CostConfig};
pub use guard::GuardConfig;
pub use hep::HepConfig;
pub use push::PushConfig;
pub use relay::{RelayConfig, Relayed};
pub use server::{Hosted, Needs, SipServer, StartError};
pub use specs::SPECS;
pub use stir::{StirConfig, Verify};
pub use trunks::{CallerId, TrunkConfig, Written};
