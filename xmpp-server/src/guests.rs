//! `[xmpp.guests]`: guests of rooms, who have no account — XEP-0175 1.2, section 3; RFC 4505 (ANONYMOUS).
//!
//! A stream to the guests' domain offers ANONYMOUS and nothing else; every other stream offers everything but that.
//!
//! In    a proof of nothing; then what a guest sends, and what is sent to one.
//! Out   a JID that nobody had before and nobody has after; stanzas for rooms of this service, and refusals of all else.
//! State seats, bounded in number; arrivals by network and hour; a pace for each guest.
//! Errors `resource-constraint`, as `temporary-auth-failure`, when no seat is free or too many came from that network;
//!        `forbidden` for what is not for a room, or would outlast the guest: invitations, registrations, configurations.
//! Not here: who may enter a room, which is the room's affair. A guest has no roster, archive, presence, files or files' links,
//! reaches no other server and is reached by none, and cannot be resumed: who comes back is somebody else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use shared_auth::{Denied, How, Identity};
use shared_model::{AccountId, Aor, BareJid, Spec};
use shared_runtime::config::Key;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use crate::arrivals::Arrival;
use crate::route;
use crate::server::Server;

/// XEP-0175.
pub(crate) const SPEC: Spec = Spec::xep(175, "1.2").complete().note("for rooms alone; off by default");

/// `[xmpp.guests]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GuestsConfig {
    /// The domain of guests, such as `guest.example.org`. Default none: there are no guests.
    pub domain: String,
    /// Guests at once. Default 200.
    pub most: usize,
    /// Guests that one network (a /32 of IPv4, a /64 of IPv6) may send in an hour. Default 20.
    pub arrivals: usize,
}

impl Default for GuestsConfig {
    fn default() -> Self {
        Self { domain: String::new(), most: 200, arrivals: 20 }
    }
}

/// Every key of `[xmpp.guests]`.
pub(crate) const KEYS: [Key; 3] = [
    Key::new("xmpp.guests.domain", "\"\"", "the domain of guests of rooms; none: there are no guests"),
    Key::new("xmpp.guests.most", "200", "guests at once"),
    Key::new("xmpp.guests.arrivals", "20", "guests that one network may send in an hour"),
];

impl GuestsConfig {
    /// What no type says: each fault names its key.
    pub(crate) fn faults(&self, taken: &[&str]) -> Vec<String> {
        let domain = &self.domain;
        if domain.is_empty() {
            return Vec::new();
        }
        let is_domain = Jid::new(None, domain, None).is_ok_and(|jid| jid.as_str() == domain);
        let is_bad = !is_domain || !domain.contains('.');
        let bad = is_bad.then(|| format!("`xmpp.guests.domain`: `{domain}` is not a domain"));
        let is_taken = taken.contains(&domain.as_str());
        let is_taken =
            is_taken.then(|| format!("`xmpp.guests.domain`: `{domain}` is served here as something else"));
        bad.into_iter().chain(is_taken).collect()
    }
}

/// Places for guests.
pub(crate) struct Guests {
    seats: Arc<Semaphore>,
}

/// A guest's place, free again when it is dropped.
pub(crate) type Seat = OwnedSemaphorePermit;

impl Guests {
    pub(crate) fn new(config: &GuestsConfig) -> Self {
        Self { seats: Arc::new(Semaphore::new(config.most.min(Semaphore::MAX_PERMITS))) }
    }

    /// Makes somebody up for whoever comes from there.
    pub(crate) fn admit(&self, server: &Server, ip: IpAddr) -> Result<(Identity, Seat), Denied> {
        let config = &server.config.guests;
        let full = Denied::Throttled(Duration::from_secs(60));
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| full.clone())?;
        if !server.arrivals.admit(Arrival::Guest, ip, config.arrivals, Instant::now()) {
            return Err(full);
        }
        let name = server.new_id();
        let malformed = |_| Denied::Malformed("the domain of guests is none");
        let jid = BareJid::new(&name, &config.domain).map_err(malformed)?;
        let aor =
            Aor::new(&name, &config.domain).map_err(|_| Denied::Malformed("the domain of guests is none"))?;
        let account = AccountId(u128::from_str_radix(&name, 16).unwrap_or_default());
        tracing::info!(guest = %jid, "a guest came");
        let (version, how) = (1, How::Anonymous);
        Ok((Identity { account, version, aor, jid, how, app: None, token: None }, seat))
    }
}

/// What becomes of a stanza of a guest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Granted,
    /// It is of no use, and no harm.
    Ignored,
    Refused(StanzaError),
}

/// Whether a stanza of a guest goes on.
pub(crate) fn passage(server: &Server, stanza: &Stanza) -> Passage {
    let refused =
        || Passage::Refused(StanzaError::because(ErrorKind::Forbidden, "guests are in rooms alone"));
    let is_answer = stanza.is_type("result") || stanza.is_type("error");
    let Some(to) = &stanza.to else {
        return match stanza.kind {
            Kind::Presence => Passage::Ignored, // nobody sees it
            Kind::Iq if is_answer => Passage::Ignored,
            _ => refused(),
        };
    };
    if to.domain() != server.rooms_domain {
        let is_question = stanza.kind == Kind::Iq && stanza.is_type("get") && to.local().is_none();
        let is_ours = server.is_home(to.domain()) || to.domain() == server.config.guests.domain;
        return match stanza.children().first() {
            _ if is_answer => Passage::Ignored,
            Some(asked) if is_question && is_ours && QUESTIONS.contains(&asked.ns.as_str()) => {
                Passage::Granted
            }
            _ => refused(),
        };
    }
    match stanza.kind {
        Kind::Presence if matches!(stanza.type_.as_deref(), None | Some("unavailable" | "error")) => {
            Passage::Granted
        }
        Kind::Presence => refused(),
        // A mediated invitation goes anywhere.
        Kind::Message
            if stanza.find("x", ns::MUC_USER).is_some_and(|x| x.find("invite", ns::MUC_USER).is_some()) =>
        {
            refused()
        }
        Kind::Message => Passage::Granted,
        Kind::Iq if is_answer || stanza.is_type("get") => Passage::Granted,
        // A room's archive is asked by a set that changes nothing.
        Kind::Iq if stanza.find("query", ns::MAM).is_some() => Passage::Granted,
        // A name in a room, or what a room remembers, would outlast the guest.
        Kind::Iq => refused(),
    }
}

/// A stanza for the guests' domain: from a room to a guest, or from a guest to the domain.
pub(crate) async fn deliver(server: &Server, to: &Jid, stanza: Stanza) {
    let Some(sender) = &stanza.from else { return };
    let from = sender.domain();
    if to.local().is_none() {
        if server.is_of_guests(from) {
            route::to_server(server, stanza).await;
        } else if server.hosts(from) {
            // Others have nothing to ask there; they are told so (RFC 6120 §8.2.3).
            route::refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into());
        }
    } else if from == server.rooms_domain || server.is_home(sender.as_str()) {
        server.router.send(to, &stanza);
    } else if server.hosts(from) {
        route::refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into());
    }
    // From elsewhere: nobody answers, since nobody here speaks for guests to other servers.
}

/// How fast a guest may speak: who is faster is slowed, and TCP slows the client.
pub(crate) struct Pace {
    /// When all that was said will have been paid for.
    paid: tokio::time::Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { paid: tokio::time::Instant::now() }
    }

    /// Waits until one more stanza may be said.
    pub(crate) async fn wait(&mut self) {
        let now = tokio::time::Instant::now();
        self.paid = self.paid.max(now) + PRICE;
        if let Some(at) = self.paid.checked_sub(BURST) {
            tokio::time::sleep_until(at).await;
        }
    }
}

/// Namespaces of what guests ask the service.
const QUESTIONS: [&str; 4] = [ns::PING, ns::DISCO_INFO, ns::DISCO_ITEMS, ns::TIME];
/// One stanza in the long run, and how much may be said at once.
const PRICE: Duration = Duration::from_millis(200);
const BURST: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn thirty_stanzas_pass_at_once_and_then_five_a_second() {
        let (mut pace, began) = (Pace::new(), tokio::time::Instant::now());
        for _ in 0..30 {
            pace.wait().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            pace.wait().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }

    #[test]
    fn the_domain_of_guests_is_one_and_no_other_is() {
        let faults = |domain: &str| {
            GuestsConfig { domain: domain.to_owned(), ..GuestsConfig::default() }.faults(&["x.example"]).len()
        };
        assert_eq!((faults(""), faults("guest.x.example")), (0, 0));
        assert_eq!((faults("x.example"), faults("guest"), faults("a@b.c")), (1, 1, 1));
    }
}
