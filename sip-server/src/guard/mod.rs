//! What is refused before anything is done for it: sources that ask too much, scanners, and all when we are late.
//!
//! In    requests outside dialogs, and where they come from. What belongs to a call that is up always passes.
//! Out   503 with Retry-After beyond a rate or when we are late, 403 for scanners and for whom an administrator keeps out.
//! State a bucket a network, bounded.
//! Scanners, and strangers who ask for names that nobody has or for ways through us, count in the throttle that failed proofs share. A challenge
//! that somebody gets is no failure and counts nowhere.

mod config;
mod rates;

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::Flow;

pub use config::GuardConfig;
pub(crate) use config::KEYS;
use rates::Rates;

use crate::server::Server;
use crate::trunks::inbound;

/// What stands at the door.
pub(crate) struct Guard {
    config: GuardConfig,
    rates: Rates,
    refused: [IntCounter; 4],
    /// When somebody may be told of again whose name a stranger said.
    tells: Mutex<Option<Instant>>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its network asks too much.
    Rate,
    /// A scanner sent it.
    Scanner,
    /// We are late.
    Load,
    /// An administrator keeps its network out, or who sent it.
    Banned,
}

impl Guard {
    pub(crate) fn new(config: &GuardConfig, registry: &Registry) -> prometheus::Result<Self> {
        let family = IntCounterVec::new(
            Opts::new("sip_server_refused_total", "Requests that were refused at the door, by reason."),
            &["reason"],
        )?;
        registry.register(Box::new(family.clone()))?;
        Ok(Self {
            rates: Rates::new(config.rate),
            refused: ["rate", "scanner", "load", "banned"].map(|reason| family.with_label_values(&[reason])),
            config: config.clone(),
            tells: Mutex::default(),
        })
    }

    /// Whether somebody is told of whose name a stranger said: now and then, since each costs a look into the store and a line.
    pub(crate) fn tells(&self, now: Instant) -> bool {
        let mut next = self.tells.lock().unwrap_or_else(PoisonError::into_inner);
        let tells = next.is_none_or(|next| now >= next);
        if tells {
            *next = Some(now + BETWEEN_WORDS);
        }
        tells
    }

    /// Whether a request outside a dialog is refused for who sends it.
    pub(crate) fn refuses(&self, request: &Message, ip: IpAddr, now: Instant) -> Option<Refused> {
        let ip = ip.to_canonical();
        if self.config.exempt.iter().any(|network| network.contains(ip)) {
            return None;
        }
        let refused = if self.is_scanner(request) {
            Refused::Scanner
        } else if !self.rates.takes(ip, now) {
            Refused::Rate
        } else {
            return None;
        };
        self.refused[refused as usize].inc();
        Some(refused)
    }

    /// Whether we are so late that nothing is begun any more. What was begun goes on: what is done levels off at what we
    /// can do, and does not collapse.
    pub(crate) fn is_late(&self, lateness: Duration) -> bool {
        !self.config.late.is_zero() && lateness > self.config.late
    }

    /// A request is refused since we are late.
    pub(crate) fn refuse_late(&self) -> Refused {
        self.refused[Refused::Load as usize].inc();
        Refused::Load
    }

    /// A request is refused since its network, or who sent it, is banned.
    pub(crate) fn refuse_banned(&self) -> Refused {
        self.refused[Refused::Banned as usize].inc();
        Refused::Banned
    }

    /// Forgets networks that have been quiet.
    pub(crate) fn forget_quiet(&self, now: Instant) {
        self.rates.forget_quiet(now);
    }

    fn is_scanner(&self, request: &Message) -> bool {
        let Some(agent) = request.value(Name::UserAgent) else { return false };
        self.config.scanners.iter().any(|part| contains(agent.as_bytes(), part.as_bytes()))
    }
}

/// Whether an administrator keeps the network out that a request comes from, or whoever it says that it is from.
pub(crate) fn is_banned(server: &Server, request: &Message, flow: &Flow) -> bool {
    let bans = &server.auth.bans;
    let is_name = |address: &str| {
        let uri = NameAddr::parse(address).and_then(|address| Uri::parse(address.uri));
        uri.is_some_and(|uri| {
            let user = uri.user_unescaped();
            bans.refuses(&user, uri.host)
                || inbound::caller_number(server, &uri, flow)
                    .is_some_and(|number| bans.refuses_number(&number))
        })
    };
    bans.keeps_out(flow.remote.ip())
        || (bans.has_names()
            && request.elements(Name::From).chain(request.elements(Name::PAssertedIdentity)).any(is_name))
}

/// RFC 3261 §21.5.4: told at once, so that who asks goes elsewhere or waits, and what is under way is not slowed.
pub(crate) fn overloaded(request: &Message) -> Message {
    let mut response = Message::response(request, 503, "Too Many Requests Under Way");
    response.push(Name::RetryAfter, RETRY_AFTER);
    response
}

/// Whether a text holds another, without case.
fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

impl Refused {
    /// The answer.
    pub(crate) fn answer(self, request: &Message) -> Message {
        match self {
            Self::Scanner | Self::Banned => Message::response(request, 403, ""),
            Self::Rate | Self::Load => {
                let mut response = Message::response(request, 503, "");
                response.push(Name::RetryAfter, RETRY_AFTER);
                response
            }
        }
    }
}

/// Seconds.
const RETRY_AFTER: &str = "5";

/// How long nobody is told of behind somebody.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(exempt: &[&str]) -> Guard {
        let exempt = exempt.iter().map(|network| network.parse().unwrap()).collect();
        Guard::new(&GuardConfig { rate: 2, exempt, ..GuardConfig::default() }, &Registry::new()).unwrap()
    }

    #[test]
    fn scanners_are_known_by_their_name_and_the_exempt_are_never_refused() {
        let mut request = Message::request("REGISTER", "sip:x");
        request.push(Name::UserAgent, "Friendly-Scanner 1.2");
        let (ip, now) = ("192.0.2.1".parse().unwrap(), Instant::now());
        assert_eq!(guard(&[]).refuses(&request, ip, now), Some(Refused::Scanner));
        assert_eq!(guard(&["192.0.2.0/24"]).refuses(&request, ip, now), None);
        request.set(Name::UserAgent, "Friendly Phone");
        let guard = guard(&[]);
        let judged: Vec<_> = (0..3).map(|_| guard.refuses(&request, ip, now)).collect();
        assert_eq!(judged, [None, None, Some(Refused::Rate)]);
        assert_eq!(Refused::Rate.answer(&request).value(Name::RetryAfter), Some("5"));
    }
}
