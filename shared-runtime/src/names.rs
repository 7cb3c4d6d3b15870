//! What name servers say: hickory's cache and resolver behind four questions (NAPTR, SRV, A and AAAA).
//!
//! State answers for as long as their TTL says, absence for as long as the zone says.
//! Errors [`Silence`]: no server answered. That a name has no such records is no error, it is an answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

mod order;

pub use order::in_order;

/// Whoever can be asked.
pub struct Names(Option<TokioResolver>);

/// No server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence;

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones come first.
    pub priority: u16,
    /// The chance among those of one priority.
    pub weight: u16,
    /// Where the service listens.
    pub port: u16,
    /// The host, with its final dot; the dot alone says that there is no such service.
    pub target: String,
}

/// One NAPTR record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones come first.
    pub order: u16,
    /// Lower ones come first among those of one order.
    pub preference: u16,
    /// What the replacement is.
    pub flags: String,
    /// What is served there.
    pub service: String,
    /// A rule of substitution, mostly empty.
    pub regexp: String,
    /// With its final dot.
    pub replacement: String,
}

impl Names {
    /// Asks these servers, or else those of the system; a system that names none has one on itself (resolv.conf(5)).
    pub fn new(servers: &[SocketAddr]) -> Self {
        let of_system = || {
            hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
                tracing::debug!(%error, "no name servers of the system; asking this machine");
                (configured(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]), ResolverOpts::default())
            })
        };
        let (config, mut options) =
            if servers.is_empty() { of_system() } else { (configured(servers), ResolverOpts::default()) };
        options.timeout = TIMEOUT;
        options.attempts = 2;
        options.cache_size = CACHED;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let built = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build();
        Self(built.inspect_err(|error| tracing::error!(%error, "names cannot be resolved")).ok())
    }

    /// NAPTR records of a name.
    pub async fn naptr(&self, name: &str) -> Result<Vec<Naptr>, Silence> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let records = self.ask(name, RecordType::NAPTR).await?;
        let all = records.into_iter().filter_map(|record| match record {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: text(&naptr.flags),
                service: text(&naptr.services),
                regexp: text(&naptr.regexp),
                replacement: naptr.replacement.to_ascii(),
            }),
            _ => None,
        });
        Ok(all.take(MOST_RECORDS).collect())
    }

    /// SRV records of a name.
    pub async fn srv(&self, name: &str) -> Result<Vec<Srv>, Silence> {
        let records = self.ask(name, RecordType::SRV).await?;
        let all = records.into_iter().filter_map(|record| match record {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii(),
            }),
            _ => None,
        });
        Ok(all.take(MOST_RECORDS).collect())
    }

    /// IPv4 and IPv6 addresses of a host; from the hosts file, too.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Silence> {
        let (Some(resolver), Some(name)) = (&self.0, absolute(host)) else { return Ok(Vec::new()) };
        match resolver.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().take(MOST_RECORDS).collect()),
            Err(error) => absent(&error).map(|()| Vec::new()),
        }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, Silence> {
        let (Some(resolver), Some(name)) = (&self.0, absolute(name)) else { return Ok(Vec::new()) };
        match resolver.lookup(name, kind).await {
            Ok(lookup) => Ok(lookup.answers().iter().map(|record| record.data.clone()).collect()),
            Err(error) => absent(&error).map(|()| Vec::new()),
        }
    }
}

/// A domain as name servers and certificates have it, without a final dot: other letters than ASCII become A-labels
/// (RFC 5890). `None` if it is no domain.
pub fn to_ascii(domain: &str) -> Option<String> {
    let name = Name::from_utf8(domain).ok()?.to_ascii();
    let name = name.trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

fn configured(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |address: &SocketAddr| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = address.port();
            connection
        });
        NameServerConfig::new(address.ip(), true, connections.into())
    };
    ResolverConfig::from_name_servers(servers.iter().map(server).collect())
}

/// A name from its root down, so that no search list of the system is added. `None` if it is none.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_utf8(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn absent(error: &NetError) -> Result<(), Silence> {
    if error.is_no_records_found() {
        return Ok(());
    }
    tracing::debug!(%error, "a name was not resolved");
    Err(Silence)
}

/// How long one server may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Answers that are remembered.
const CACHED: u64 = 8_192;
/// Records of one answer that are looked at.
const MOST_RECORDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form_in_ascii() {
        assert_eq!(to_ascii("Bücher.example.").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(to_ascii("_xmpp.Example.org").as_deref(), Some("_xmpp.example.org"));
        assert_eq!((to_ascii(""), to_ascii("a..b")), (None, None));
    }
}
