//! Clients that come back — RFC 8446 §2.2 (resumption), §4.6.1 (tickets), RFC 5077 §4 (the ticket holds the state).
//!
//! In    the configuration of a listener that judges no certificate. Out the same, whose clients may come back however many others
//!       came meanwhile: what a connection needs is in the client's ticket, and not in a list here.
//! State a key that is new every six hours, and the one before it; no ticket is good for more than twelve. They are in memory alone, so
//!       that nobody resumes after a restart, and nobody reads old traffic with what is in a file.
//! Errors without random numbers for a key, 256 sessions are remembered in memory.
//! Not here: early data (§2.3), which could be played again; listeners that judge certificates, where a ticket would bring one back
//!       that is revoked since.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;

/// Gives clients of this configuration tickets. The keys are its own: what a ticket of another listener says of its client was
/// not judged here.
pub(super) fn allow(config: &mut ServerConfig) {
    match Ticketer::new() {
        Ok(ticketer) => config.ticketer = ticketer,
        Err(error) => {
            tracing::error!(%error, "clients that come back shake hands anew: there is no key for tickets")
        }
    }
}
