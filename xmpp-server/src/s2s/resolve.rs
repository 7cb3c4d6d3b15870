//! Where a domain's server is — RFC 6120 §3.2 (SRV, fallback), XEP-0368 1.1.0, section 3 (records of both kinds are one
//! list), RFC 2782 (order), RFC 8305 §4 (addresses of both families in turn).
//!
//! In    a domain. Out hosts in the order in which they are tried, each with its addresses.
//! Errors [`Failure::NoSuchDomain`] for a domain without addresses or with a "." as its service; [`Failure::Silence`] when
//!        no name server answers.

use std::net::{IpAddr, SocketAddr};

use shared_runtime::names::{Names, Silence, Srv, in_order};
use shared_runtime::random;

use super::failure::Failure;

/// One host of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// In the order in which they are tried.
    pub(super) addresses: Vec<SocketAddr>,
    /// TLS from the first byte.
    pub(super) is_direct: bool,
}

pub(super) async fn hosts(names: &Names, domain: &str) -> Result<Vec<Host>, Failure> {
    if let Ok(ip) = domain.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![Host { addresses: vec![SocketAddr::new(ip, PORT)], is_direct: false }]);
    }
    let (direct, plain) = (format!("_xmpps-server._tcp.{domain}"), format!("_xmpp-server._tcp.{domain}"));
    let (direct, plain) = tokio::join!(names.srv(&direct), names.srv(&plain));
    let is_silent = direct.is_err() || plain.is_err();
    let of_kind = |records: Result<Vec<Srv>, Silence>, is_direct: bool| {
        records.unwrap_or_default().into_iter().map(move |record| (record, is_direct))
    };
    let records: Vec<(Srv, bool)> = of_kind(direct, true).chain(of_kind(plain, false)).collect();
    // §3.2.1, XEP-0368 §5: who has records has no fallback, even if they say "not here".
    if records.is_empty() {
        let addresses = names.addresses(domain).await;
        let is_silent = is_silent || addresses.is_err();
        let addresses = in_turn(addresses.unwrap_or_default(), PORT);
        return match addresses.is_empty() {
            false => Ok(vec![Host { addresses, is_direct: false }]),
            true if is_silent => Err(Failure::Silence),
            true => Err(Failure::NoSuchDomain),
        };
    }
    let mut hosts = Vec::new();
    let mut is_silent = is_silent;
    for (record, is_direct) in in_order(records, |(record, _)| record, random) {
        if record.target == "." || hosts.len() == MOST_HOSTS {
            continue;
        }
        match names.addresses(&record.target).await {
            Ok(found) if found.is_empty() => {}
            Ok(found) => hosts.push(Host { addresses: in_turn(found, record.port), is_direct }),
            Err(Silence) => is_silent = true,
        }
    }
    match hosts.is_empty() {
        false => Ok(hosts),
        true if is_silent => Err(Failure::Silence),
        true => Err(Failure::NoSuchDomain),
    }
}

/// RFC 8305 §4: IPv6 first, then the families in turn.
fn in_turn(addresses: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) =
        addresses.into_iter().map(|ip| ip.to_canonical()).partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let pairs = std::iter::from_fn(|| {
        let pair = [six.next(), four.next()];
        pair.iter().any(Option::is_some).then_some(pair)
    });
    pairs.flatten().flatten().take(MOST_ADDRESSES).map(|ip| SocketAddr::new(ip, port)).collect()
}

/// RFC 6120 §14.7.
const PORT: u16 = 5269;
/// Hosts of one domain that are tried.
const MOST_HOSTS: usize = 8;
/// Addresses of one host that are tried.
const MOST_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_the_newer_begins() {
        let ips = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "::ffff:192.0.2.3"].map(|ip| ip.parse().unwrap());
        let addresses: Vec<String> = in_turn(ips.to_vec(), 1).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
    }
}
