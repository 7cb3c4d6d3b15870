//! Flow tokens — RFC 5626 §5.2: the user part of our Record-Route names a flow, and cannot be forged.
//!
//! In    a flow, and the Call-ID of the dialog that the token is for.
//! Out   `u0-c0000201-5060-1f2e…`: transport and id, the peer's address in hexadecimal, a MAC over these and the Call-ID. A peer whose
//!       Contact is followed has a `-h` or `-a` before the MAC, and a carrier that asked for proof a `-c1`.
//! State a key that all nodes share and that outlives the process, so that a dialog does.
//! Errors a token that is not ours, or of another dialog, is none: who shows it is a stranger to the dialog.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;
use shared_runtime::hex;
use sip_endpoint::{Endpoint, Flow, Transport};

/// Makes and reads tokens.
pub(crate) struct FlowTokens {
    key: hmac::Key,
}

/// What a token that is ours says of its side of a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    /// The flow that leads to the peer; none if its connection is gone.
    pub(crate) flow: Option<Flow>,
    /// Where the peer was seen.
    pub(crate) remote: Option<SocketAddr>,
    /// How far what the peer says of itself is followed.
    pub(crate) reach: Followed,
    /// How much higher our CSeq was towards the peer than that of who called.
    pub(crate) ahead: u32,
}

/// How far what a peer says of where it is, is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Not at all: a NAT, or a connection of its own, is in between.
    Nowhere,
    /// To another port of its host: a device of ours.
    OnItsHost,
    /// Anywhere: a server, or a user, of another domain.
    Anywhere,
}

impl Followed {
    const ALL: [Self; 2] = [Self::OnItsHost, Self::Anywhere];

    /// What follows the name of a flow.
    fn mark(self) -> &'static str {
        match self {
            Self::Nowhere => "",
            Self::OnItsHost => "-h",
            Self::Anywhere => "-a",
        }
    }
}

impl FlowTokens {
    /// Tokens under this key.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The token of a flow in a dialog.
    pub(crate) fn token(&self, flow: &Flow, reach: Followed, ahead: u32, call_id: &str) -> String {
        let mut token = name(flow);
        if ahead != 0 {
            token.push_str("-c");
            token.push_str(&ahead.to_string());
        }
        token.push_str(reach.mark());
        let mac = self.mac(&token, call_id);
        token.push('-');
        token.push_str(&mac);
        token
    }

    /// What a token names, if we made it for this dialog.
    pub(crate) fn read(&self, token: &str, call_id: &str, endpoint: &Endpoint) -> Option<Named> {
        self.is_ours(token, call_id).then(|| {
            let name = token.rsplit_once('-').map_or(token, |(name, _)| name);
            let reach = Followed::ALL.into_iter().find(|reach| name.ends_with(reach.mark()));
            let (ahead, reach) = (ahead(name), reach.unwrap_or(Followed::Nowhere));
            let remote = remote(name).map(|(.., remote)| remote);
            Named { flow: parse(name, endpoint), remote, reach, ahead }
        })
    }

    /// Whether we made a token for this dialog.
    pub(crate) fn is_ours(&self, token: &str, call_id: &str) -> bool {
        token.rsplit_once('-').is_some_and(|(name, mac)| self.mac(name, call_id) == mac)
    }

    fn mac(&self, name: &str, call_id: &str) -> String {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(call_id.as_bytes());
        hex(&mac.sign().as_ref()[..10])
    }
}

/// How far the peer's CSeq is ahead, as a token says behind transport, address and port.
fn ahead(name: &str) -> u32 {
    name.split('-').nth(3).and_then(|part| part.strip_prefix('c')?.parse().ok()).unwrap_or(0)
}

/// A flow in words, as it stands in a token and in a binding.
pub(crate) fn name(flow: &Flow) -> String {
    let letter = match flow.transport {
        Transport::Udp => 'u',
        Transport::Tcp => 't',
        Transport::Tls => 's',
        Transport::Ws => 'w',
        Transport::Wss => 'x',
        Transport::InProcess => 'p',
    };
    let mut name = String::with_capacity(LONGEST);
    name.push(letter);
    put_hex(&mut name, flow.id);
    name.push('-');
    match flow.remote.ip().to_canonical() {
        IpAddr::V4(ip) => name.push_str(&hex(&ip.octets())),
        IpAddr::V6(ip) => name.push_str(&hex(&ip.octets())),
    }
    name.push('-');
    name.push_str(&flow.remote.port().to_string());
    name
}

/// Appends a number in hexadecimal, without zeroes before it.
fn put_hex(out: &mut String, number: u64) {
    let digits = hex(&number.to_be_bytes());
    let zeroes = digits.bytes().take(digits.len() - 1).take_while(|digit| *digit == b'0').count();
    out.push_str(&digits[zeroes..]);
}

/// Bytes of a token of an IPv4 address.
const LONGEST: usize = 64;

/// The open flow that a name in words stands for. An id that is another peer's by now names nothing.
pub(crate) fn parse(name: &str, endpoint: &Endpoint) -> Option<Flow> {
    let (transport, id, remote) = remote(name)?;
    let flow = endpoint.flow(transport, id, remote)?;
    let ip = flow.remote.ip().to_canonical();
    (ip == remote.ip() && flow.remote.port() == remote.port()).then_some(flow)
}

/// Where a name in words says that a connection may be opened: it names none that there ever was.
pub(crate) fn called_up(name: &str) -> Option<SocketAddr> {
    remote(name)
        .filter(|(transport, id, _)| (*transport, *id) == (Transport::Tcp, 0))
        .map(|(.., remote)| remote)
}

/// What a name in words says of a flow.
fn remote(name: &str) -> Option<(Transport, u64, SocketAddr)> {
    let mut parts = name.split('-');
    let (head, ip, port) = (parts.next()?, parts.next()?, parts.next()?);
    let transport = match head.get(..1)? {
        "u" => Transport::Udp,
        "t" => Transport::Tcp,
        "s" => Transport::Tls,
        "w" => Transport::Ws,
        "x" => Transport::Wss,
        "p" => Transport::InProcess,
        _ => return None,
    };
    let id = u64::from_str_radix(head.get(1..)?, 16).ok()?;
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?).into(),
        32 => Ipv6Addr::from(u128::from_str_radix(ip, 16).ok()?).into(),
        _ => return None,
    };
    Some((transport, id, SocketAddr::new(ip, port.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        // An address whose hexadecimal digits look like a count.
        let remote = ([192, 0, 2, 1], 5060).into();
        Flow { transport: Transport::Tls, id: 7, local: remote, remote }
    }

    #[test]
    fn a_count_is_read_where_it_stands_and_an_address_is_none() {
        let tokens = FlowTokens::new(&[1; 32]);
        for (reach, count) in [(Followed::Nowhere, 0), (Followed::Anywhere, 0), (Followed::OnItsHost, 3)] {
            let token = tokens.token(&flow(), reach, count, "call");
            assert_eq!(ahead(token.rsplit_once('-').unwrap().0), count, "{token}");
        }
    }

    #[test]
    fn a_flow_is_named_in_hexadecimal() {
        let remote = ([192, 0, 2, 1], 5060).into();
        let of = |id| name(&Flow { id, ..flow() });
        assert_eq!(
            (of(7), of(0), of(0xab0)),
            ("s7-c0000201-5060".to_owned(), "s0-c0000201-5060".to_owned(), "sab0-c0000201-5060".to_owned())
        );
        let v6 = Flow { remote: "[2001:db8::1]:9".parse().unwrap(), ..flow() };
        assert_eq!(name(&v6), "s7-20010db8000000000000000000000001-9");
        assert_eq!(self::remote(&of(0xab0)), Some((Transport::Tls, 0xab0, remote)));
    }

    #[test]
    fn a_token_is_good_for_its_dialog_and_its_key_alone() {
        let flow = flow();
        let tokens = FlowTokens::new(&[1; 32]);
        let token = tokens.token(&flow, Followed::Nowhere, 0, "call");
        let direct = tokens.token(&flow, Followed::Anywhere, 0, "call");
        assert!(tokens.is_ours(&direct, "call") && !tokens.is_ours(&direct.replace("-a-", "-"), "call"));
        assert!(tokens.is_ours(&token, "call"));
        assert!(!tokens.is_ours(&token, "another"));
        assert!(!tokens.is_ours(&token.replace("s7", "s8"), "call"));
        assert!(!tokens.is_ours("alice", "call") && !tokens.is_ours("", ""));
        assert!(!FlowTokens::new(&[2; 32]).is_ours(&token, "call"));
    }
}
