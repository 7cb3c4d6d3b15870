//! From a URI to targets — RFC 3263 §4.1 (which transport), §4.2 (which port and address).

use std::net::{IpAddr, SocketAddr};

use shared_runtime::names::{Names, Silence, Srv, in_order};
use sip_core::Uri;

use super::order;
use super::{MOST_TARGETS, ResolveError, Target};
use crate::endpoint::Random;
use crate::flow::Transport;

pub(super) async fn locate(
    names: &Names,
    uri: &Uri<'_>,
    prefer: &[Transport],
    random: Random,
) -> Result<Vec<Target>, ResolveError> {
    if !uri.is_sip() || uri.host.is_empty() {
        return Err(ResolveError::NotSip);
    }
    let asked = transport_of(uri)?;
    let usual = if uri.is_sips() { Transport::Tls } else { Transport::Udp };
    // §4: TARGET is the maddr if there is one, whatever the host is.
    let target = uri.params.value("maddr").unwrap_or(uri.host).trim_matches(['[', ']']);
    let mut search = Search {
        names,
        random,
        host: uri.host.trim_matches(['[', ']']),
        found: Vec::new(),
        is_silent: false,
    };
    if let Ok(ip) = target.parse::<IpAddr>() {
        let transport = asked.unwrap_or(usual);
        search.add(transport, ip, uri.port.unwrap_or(default_port(transport)));
    } else if let Some(port) = uri.port {
        search.addresses(asked.unwrap_or(usual), target, port).await;
    } else {
        let services = match asked {
            Some(transport) => vec![(transport, service(transport, target))],
            None => search.services(target, uri.is_sips(), prefer).await,
        };
        let mut has_records = false;
        for (transport, name) in services {
            has_records |= search.service(transport, &name).await;
        }
        // RFC 2782: a service that is "decidedly not available" is not looked for elsewhere.
        if !has_records {
            let transport = asked.unwrap_or(usual);
            search.addresses(transport, target, default_port(transport)).await;
        }
    }
    match search {
        Search { found, .. } if !found.is_empty() => Ok(found),
        Search { is_silent: true, .. } => Err(ResolveError::Silence),
        _ => Err(ResolveError::NoAddress),
    }
}

struct Search<'a> {
    names: &'a Names,
    random: Random,
    /// The domain that was asked for.
    host: &'a str,
    found: Vec<Target>,
    /// Some question had no answer.
    is_silent: bool,
}

impl Search<'_> {
    /// Where SRV records are: where NAPTR says, or at the usual place of every transport that we have.
    async fn services(
        &mut self,
        target: &str,
        is_sips: bool,
        prefer: &[Transport],
    ) -> Vec<(Transport, String)> {
        let records = self.names.naptr(target).await;
        let pointed = order::naptr(self.heard(records), is_sips);
        if !pointed.is_empty() {
            return pointed;
        }
        let suits = |transport: &&Transport| !is_sips || **transport == Transport::Tls;
        prefer.iter().filter(suits).map(|transport| (*transport, service(*transport, target))).collect()
    }

    /// Adds what one service has; whether it has records at all.
    async fn service(&mut self, transport: Transport, name: &str) -> bool {
        let records = self.names.srv(name).await;
        let records = self.heard(records);
        let has_records = !records.is_empty();
        for Srv { port, target, .. } in in_order(records, |record| record, self.random) {
            if target != "." && self.found.len() < MOST_TARGETS {
                self.addresses(transport, &target, port).await;
            }
        }
        has_records
    }

    async fn addresses(&mut self, transport: Transport, name: &str, port: u16) {
        let addresses = self.names.addresses(name).await;
        for ip in self.heard(addresses) {
            self.add(transport, ip, port);
        }
    }

    fn add(&mut self, transport: Transport, ip: IpAddr, port: u16) {
        let target = Target {
            transport,
            address: SocketAddr::new(ip.to_canonical(), port),
            host: self.host.to_owned(),
        };
        if self.found.len() < MOST_TARGETS && !self.found.contains(&target) {
            self.found.push(target);
        }
    }

    fn heard<T>(&mut self, answer: Result<Vec<T>, Silence>) -> Vec<T> {
        self.is_silent |= answer.is_err();
        answer.unwrap_or_default()
    }
}

/// The transport that a URI asks for.
fn transport_of(uri: &Uri<'_>) -> Result<Option<Transport>, ResolveError> {
    let Some(word) = uri.transport() else { return Ok(None) };
    let transport = match (word.to_ascii_lowercase().as_str(), uri.is_sips()) {
        ("udp", false) => Transport::Udp,
        ("tcp", false) => Transport::Tcp,
        // RFC 3261 §26.2.2: the word is not used any more, and still is.
        ("tcp", true) | ("tls", _) => Transport::Tls,
        ("ws", false) => Transport::Ws,
        ("ws", true) | ("wss", _) => Transport::Wss,
        _ => return Err(ResolveError::NoTransport),
    };
    Ok(Some(transport))
}

/// The name of the SRV records of a transport (§4.2, RFC 7118 §5.5).
fn service(transport: Transport, target: &str) -> String {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp | Transport::InProcess => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    };
    format!("{prefix}.{target}")
}

fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp | Transport::InProcess => 5060,
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
    }
}
