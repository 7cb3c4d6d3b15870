//! The topmost Via of what comes and goes — RFC 3261 §18.2.1 (received), RFC 3581 (rport).

use std::net::{IpAddr, SocketAddr};

use sip_core::Message;
use sip_core::header::{Name, Params, Via};

use crate::written::{put_ip, put_number};

/// Notes in the topmost Via where a request came from, and answers where its responses go (§18.2.2, RFC 3581 §4).
pub(crate) fn stamp(request: &mut Message, source: SocketAddr) -> SocketAddr {
    let source = SocketAddr::new(source.ip().to_canonical(), source.port());
    let Some(top) = request.elements(Name::Via).next() else { return source };
    let Some(via) = Via::parse(top) else { return source };
    let has_rport = via.params.has("rport");
    let is_as_said = via.host.trim_matches(['[', ']']).parse() == Ok(source.ip());
    let reply_port = if has_rport { source.port() } else { via.port.unwrap_or(DEFAULT_PORT) };
    let reply = SocketAddr::new(source.ip(), reply_port);
    if is_as_said && !has_rport {
        return reply;
    }
    // The rest of the Via stays as it came, quotes, spaces and version with it.
    let mut stamped = without(top, via.params, &["received", "rport"]);
    stamped.push_str(";received=");
    put_ip(&mut stamped, source.ip());
    if has_rport {
        stamped.push_str(";rport=");
        put_number(&mut stamped, source.port());
    }
    request.set_front(Name::Via, &stamped);
    reply
}

/// The Via without these parameters.
fn without(via: &str, params: Params<'_>, names: &[&str]) -> String {
    let before = via.len() - params.0.len();
    let mut kept = String::with_capacity(via.len() + MOST_STAMP);
    kept.push_str(via[..before].trim_end());
    for param in params.raw() {
        let name = param.split('=').next().unwrap_or_default().trim();
        if !names.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            kept.push(';');
            kept.push_str(param);
        }
    }
    kept
}

/// Where a response goes by its topmost Via alone (§18.2.2), for responses without a transaction.
pub(crate) fn reply_address(via: &Via<'_>) -> Option<SocketAddr> {
    let host = via.params.value("received").unwrap_or(via.host).trim_matches(['[', ']']);
    let port =
        via.params.value("rport").and_then(|port| port.parse().ok()).or(via.port).unwrap_or(DEFAULT_PORT);
    let ip: IpAddr = host.parse().ok()?;
    // RFC 4475 §3.3.10: a Via that names a whole network would make us its amplifier.
    let is_one = match ip.to_canonical() {
        IpAddr::V4(ip) => !ip.is_broadcast() && !ip.is_multicast() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    };
    is_one.then_some(SocketAddr::new(ip, port))
}

const DEFAULT_PORT: u16 = 5060;
/// Bytes of `;received=` with an IPv6 address and `;rport=`.
const MOST_STAMP: usize = 62;

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(via: &str) -> (String, SocketAddr) {
        let mut request = Message::request("OPTIONS", "sip:x");
        request.push(Name::Via, via);
        let reply = stamp(&mut request, "192.0.2.1:9988".parse().unwrap());
        (request.value(Name::Via).unwrap().to_owned(), reply)
    }

    #[test]
    fn notes_the_source_when_it_is_another_or_asked_for() {
        let (via, reply) = stamped("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff");
        assert_eq!(via, "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988");
        assert_eq!(reply, "192.0.2.1:9988".parse().unwrap());
        let (via, reply) = stamped("SIP/2.0/UDP host:4540;branch=z9hG4bK1");
        assert_eq!(
            (via.as_str(), reply.port()),
            ("SIP/2.0/UDP host:4540;branch=z9hG4bK1;received=192.0.2.1", 4540)
        );
        let (via, reply) = stamped("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
        assert_eq!((via.as_str(), reply.port()), ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", 5060));
    }

    #[test]
    fn what_is_not_about_the_source_stays_as_it_came() {
        let (via, _) = stamped("SIP / 7.0 / UDP host ; x=\"a;b\" ; rport ;branch = z9hG4bK1;flag");
        let wanted = "SIP / 7.0 / UDP host;x=\"a;b\";branch = z9hG4bK1;flag;received=192.0.2.1;rport=9988";
        assert_eq!(via, wanted);
    }

    #[test]
    fn a_response_goes_to_no_network() {
        let address = |via: &str| reply_address(&Via::parse(via).unwrap());
        for wrong in ["255.255.255.255", "224.0.0.1", "0.0.0.0", "[ff02::1]", "[::ffff:255.255.255.255]"] {
            assert_eq!(address(&format!("SIP/2.0/UDP {wrong}")), None, "{wrong}");
        }
        let bracketed = address("SIP/2.0/UDP a;received=[2001:db8::9:255];rport=7");
        assert_eq!(bracketed, "[2001:db8::9:255]:7".parse().ok());
    }

    #[test]
    fn a_lie_in_received_is_replaced() {
        let (via, _) = stamped("SIP/2.0/UDP 10.0.0.1;received=203.0.113.9;rport=1;branch=z9hG4bK1");
        assert_eq!(via, "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=192.0.2.1;rport=9988");
    }
}
