//! Via — RFC 3261 §20.42, RFC 3581 (rport).

use super::Params;
use crate::cut;
use crate::message::is_token_text;
use crate::uri::split_host_port;

/// One Via.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS`, or what a peer invented.
    pub transport: &'a str,
    /// The host of sent-by; IPv6 in brackets.
    pub host: &'a str,
    /// The port of sent-by.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one Via; white space is allowed around each of its parts.
    pub fn parse(text: &'a str) -> Option<Self> {
        // §25.1: any token is a protocol and a version, so that an answer finds its way back to a newer peer.
        let (name, rest) = cut::once(text, b'/')?;
        let (version, rest) = cut::once(rest, b'/')?;
        let rest = rest.trim_ascii_start();
        let (transport, rest) = rest.split_at(rest.bytes().position(|byte| byte.is_ascii_whitespace())?);
        if ![name.trim_ascii(), version.trim_ascii(), transport].into_iter().all(is_token_text) {
            return None;
        }
        let (sent_by, params) = cut::before(rest, b';');
        let (host, port) = split_host_port(sent_by.trim_ascii())?;
        Some(Self { transport, host, port, params: Params(params) })
    }

    /// The branch (§8.1.1.7).
    pub fn branch(&self) -> Option<&'a str> {
        self.params.value("branch")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_grammar_allows() {
        let via = Via::parse("SIP / 2.0 / UDP  192.0.2.1 : 5060 ;rport;branch=z9hG4bKnashds7").unwrap();
        assert_eq!((via.transport, via.host, via.port), ("UDP", "192.0.2.1", Some(5060)));
        assert_eq!(via.branch(), Some("z9hG4bKnashds7"));
        assert_eq!(Via::parse("SIP/2.0/TLS [2001:db8::1]:5061").unwrap().host, "[2001:db8::1]");
        assert_eq!(Via::parse("SIP/7.0/UNKNOWN a;received=[2001:db8::9:255]").unwrap().transport, "UNKNOWN");
        for wrong in
            ["", "SIP/2.0/UDP", "SIP//UDP a", "S P/2.0/UDP a", "SIP/2.0/UDP a:99999", "SIP/2.0/UDP a b"]
        {
            assert_eq!(Via::parse(wrong), None, "{wrong}");
        }
    }
}
