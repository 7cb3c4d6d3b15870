//! Calls as they are written down: one row each, when it is over.
//!
//! ```text
//! INVITE ─▶ Begun ─┬─ refused, given up ─────────▶ row
//!                  └─ 2xx ─▶ open ─ BYE, silence ─▶ row, spend
//! ```
//!
//! A row is an entry of the archive, owner `calls`: rows are read by time and in pages, written in groups, and never
//! changed, which is what archives are for; records are for what changes under its key.
//! Each side that is an account of ours has the call in a history of its own, too, an archive by its id, in the same commit: a person's
//! calls are found among theirs alone, whoever called. They go with their row, and with the account ([`histories`]).
//! What is acknowledged is durable: the answer to a BYE, or a refusal, goes out when its row is in the store.
//! Calls that are up when the process ends are taken up by the next one ([`kept`]).

mod calls;
mod codecs;
mod config;
mod histories;
mod kept;
mod record;
mod writer;

pub(crate) use calls::{Begun, Calls};
pub(crate) use codecs::has_video;
pub(crate) use config::KEYS;
pub use config::RecordConfig;
pub(crate) use histories::forget;
pub(crate) use record::time_text;
pub use record::{CallRecord, CallResult, Direction, page};
