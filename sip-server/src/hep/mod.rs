//! Copies of every message for HOMER — HEP v3 (draft "HEP3 protocol specification", revision 36).
//!
//! In    messages as the endpoint's tap sees them. Out datagrams to the capture server.
//! State a bounded queue between the two: when it is full, or the name of the server leads nowhere, copies are dropped and
//! counted, and no call waits.

mod config;
mod export;
mod packet;

pub use config::HepConfig;
pub(crate) use config::KEYS;
pub(crate) use export::Exporter;
