//! Flow tokens — RFC 5626 §5.2: the user part of our Record-Route names a flow, and cannot be forged.
//!
//! In    a flow. Out `u0-c0000201-5060-1f2e…`: transport and id, the peer's address in hexadecimal, a MAC.
//! State a key that lives as long as the process, as connections do.
//! Errors a token that is not ours is none; the request is then routed by its URI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;
use sip_endpoint::{Endpoint, Flow, Transport};

/// Makes and reads tokens.
pub(crate) struct FlowTokens {
    key: hmac::Key,
}

impl FlowTokens {
    /// Tokens under a key of this process.
    pub(crate) fn new(random: impl Fn() -> u64) -> Self {
        let key: Vec<u8> = (0..4).flat_map(|_| random().to_be_bytes()).collect();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) }
    }

    /// The token of a flow.
    pub(crate) fn token(&self, flow: &Flow) -> String {
        let name = name(flow);
        format!("{name}-{}", self.mac(&name))
    }

    /// The flow that a token names, if the token is ours and the flow is open.
    pub(crate) fn flow(&self, token: &str, endpoint: &Endpoint) -> Option<Flow> {
        let (name, mac) = token.rsplit_once('-')?;
        (self.mac(name) == mac).then(|| parse(name, endpoint))?
    }

    fn mac(&self, name: &str) -> String {
        let tag = hmac::sign(&self.key, name.as_bytes());
        tag.as_ref()[..10].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A flow in words, as it stands in a token and in a binding.
pub(crate) fn name(flow: &Flow) -> String {
    let letter = match flow.transport {
        Transport::Udp => 'u',
        Transport::Tcp => 't',
        Transport::Tls => 's',
        Transport::InProcess => 'p',
    };
    let ip = match flow.remote.ip().to_canonical() {
        IpAddr::V4(ip) => format!("{:08x}", u32::from(ip)),
        IpAddr::V6(ip) => format!("{:032x}", u128::from(ip)),
    };
    format!("{letter}{:x}-{ip}-{}", flow.id, flow.remote.port())
}

/// The open flow that a name in words stands for.
pub(crate) fn parse(name: &str, endpoint: &Endpoint) -> Option<Flow> {
    let mut parts = name.split('-');
    let (head, ip, port) = (parts.next()?, parts.next()?, parts.next()?);
    let transport = match head.get(..1)? {
        "u" => Transport::Udp,
        "t" => Transport::Tcp,
        "s" => Transport::Tls,
        "p" => Transport::InProcess,
        _ => return None,
    };
    let id = u64::from_str_radix(head.get(1..)?, 16).ok()?;
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?).into(),
        32 => Ipv6Addr::from(u128::from_str_radix(ip, 16).ok()?).into(),
        _ => return None,
    };
    endpoint.flow(transport, id, SocketAddr::new(ip, port.parse().ok()?))
}
