//! Several servers, one name server, one authority.

use std::net::SocketAddr;
use std::time::Duration;

use shared_runtime::tls;
use xmpp_server::{Config, FederationConfig, Security};

use super::authority::Authority;
use crate::common::{Served, Site, serve_site};
use crate::dns::Dns;

/// The domains of most tests.
pub(crate) const OURS: &str = "example.org";
pub(crate) const THEIRS: &str = "example.net";

pub(crate) struct World {
    pub(crate) dns: Dns,
    pub(crate) authority: Authority,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self { dns: Dns::start().await, authority: Authority::new() }
    }

    /// A server that the authority certifies, and that can be found.
    pub(crate) async fn serve(&self, domain: &'static str, federation: FederationConfig) -> Served {
        self.serve_with(domain, self.certified(domain), config(federation)).await
    }

    /// A server that can be found.
    pub(crate) async fn serve_with(&self, domain: &'static str, tls: tls::Config, config: Config) -> Served {
        let name_servers = vec![self.dns.address];
        let served = serve_site(Site { domain, config, tls, name_servers, ..Site::default() }).await;
        if let Some(address) = served.server.s2s().first() {
            self.announce(domain, *address);
        }
        served
    }

    pub(crate) fn certified(&self, domain: &str) -> tls::Config {
        let services = ["conference", "pubsub", "directory", "upload"].map(|part| format!("{part}.{domain}"));
        let names: Vec<&str> = [domain].into_iter().chain(services.iter().map(String::as_str)).collect();
        self.authority.tls(&names)
    }

    /// The SRV records of a domain and its services.
    pub(crate) fn announce(&self, domain: &str, address: SocketAddr) {
        let host = format!("host.{domain}");
        let services = ["conference", "pubsub", "directory", "upload"].map(|part| format!("{part}.{domain}"));
        for name in [domain].into_iter().chain(services.iter().map(String::as_str)) {
            self.dns.srv(&format!("_xmpp-server._tcp.{name}"), 0, 0, address.port(), &host);
        }
        self.dns.host(&host, &address.ip().to_string());
    }
}

/// The two servers of most tests, which believe nothing but certificates.
pub(crate) async fn two() -> (World, Served, Served) {
    let world = World::new().await;
    let ours = world.serve(OURS, verified()).await;
    let theirs = world.serve(THEIRS, verified()).await;
    (world, ours, theirs)
}

pub(crate) fn verified() -> FederationConfig {
    FederationConfig { security: Security::Verified, ..quick() }
}

/// Failures are told before a test grows tired.
pub(crate) fn quick() -> FederationConfig {
    FederationConfig { timeout: Duration::from_secs(8), ..FederationConfig::default() }
}

pub(crate) fn config(federation: FederationConfig) -> Config {
    let free = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    Config { s2s: free, federation, ..Config::default() }
}

/// The value of a metric without labels.
pub(crate) fn metric(served: &Served, name: &str) -> u64 {
    let families = served.registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
    let metric = &family.get_metric()[0];
    (metric.get_counter().get_value() + metric.get_gauge().get_value()) as u64
}

/// Asks again until it holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not happen");
}
