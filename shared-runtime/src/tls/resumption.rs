//! Clients that come back — RFC 8446 §2.2 (resumption), §4.6.1 (tickets), RFC 5077 §4 (the ticket holds the state).
//!
//! In    the configuration of a listener that judges no certificate. Out the same, whose clients may come back however many others
//!       came meanwhile: what a connection needs is in the client's ticket, and not in a list here.
//! State a key that is new every six hours, and the one before it; no ticket is good for more than twelve. They are in memory alone, so
//!       that nobody resumes after a restart, and nobody reads old traffic with what is in a file.
//!       No ticket outlives the certificate that it was given with: who comes back sees none, and binds its proof to the one that it
//!       saw (`tls-server-end-point`, RFC 5929 §4.1).
//! Errors without random numbers for a key, 256 sessions are remembered in memory.
//! Not here: early data (§2.3), which could be played again; listeners that judge certificates, where a ticket would bring one back
//!       that is revoked since.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::Current;

/// Gives clients of this configuration tickets. The keys are its own: what a ticket of another listener says of its client was
/// not judged here.
pub(super) fn allow(config: &mut ServerConfig, current: &Arc<Current>) {
    match Ticketer::new() {
        Ok(tickets) => {
            config.ticketer = Arc::new(OfOneCertificate { tickets, current: Arc::clone(current) });
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Err(error) => {
            tracing::error!(%error, "clients that come back shake hands anew: there is no key for tickets")
        }
    }
}

/// Tickets that end with the certificate.
#[derive(Debug)]
struct OfOneCertificate {
    tickets: Arc<dyn ProducesTickets>,
    current: Arc<Current>,
}

impl OfOneCertificate {
    fn generation(&self) -> [u8; 8] {
        self.current.generation.load(Ordering::Acquire).to_be_bytes()
    }
}

impl ProducesTickets for OfOneCertificate {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.encrypt(&[plain, &self.generation()].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.tickets.decrypt(cipher)?;
        let rest = plain.strip_suffix(&self.generation())?.len();
        plain.truncate(rest);
        Some(plain)
    }
}
