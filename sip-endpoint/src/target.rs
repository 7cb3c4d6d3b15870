//! Where a request goes — RFC 3261 §18.1.1, §19.1.2 (defaults); names by A and AAAA records.
//!
//! Not here: NAPTR and SRV (RFC 3263).

use std::net::{IpAddr, SocketAddr};

use sip_core::Uri;

use crate::flow::Transport;

/// A transport and an address, and the name that a certificate must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What carries it.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// The host that was asked for, for TLS.
    pub host: String,
}

/// Why a URI leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not a SIP URI, or one without a host.
    #[error("not a SIP URI with a host")]
    NotSip,
    /// A transport that we do not have.
    #[error("no such transport here")]
    NoTransport,
    /// The host has no address.
    #[error("the host has no address")]
    NoAddress,
}

impl Target {
    /// Finds where a URI leads.
    pub async fn resolve(uri: &Uri<'_>) -> Result<Self, ResolveError> {
        if !uri.is_sip() || uri.host.is_empty() {
            return Err(ResolveError::NotSip);
        }
        let transport = match uri.transport().map(str::to_ascii_lowercase).as_deref() {
            Some("udp") if !uri.is_sips() => Transport::Udp,
            Some("tls") => Transport::Tls,
            Some("tcp") => {
                if uri.is_sips() {
                    Transport::Tls
                } else {
                    Transport::Tcp
                }
            }
            None if uri.is_sips() => Transport::Tls,
            None => Transport::Udp,
            Some(_) => return Err(ResolveError::NoTransport),
        };
        let port = uri.port.unwrap_or(if transport == Transport::Tls { 5061 } else { 5060 });
        // §19.1.1: maddr says where to send, whatever the host is.
        let host = uri.params.value("maddr").unwrap_or(uri.host).trim_matches(['[', ']']);
        let address = match host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, port),
            Err(_) => tokio::net::lookup_host((host, port))
                .await
                .ok()
                .and_then(|mut all| all.next())
                .ok_or(ResolveError::NoAddress)?,
        };
        Ok(Self { transport, address, host: host.to_owned() })
    }
}
