//! What is examined: the service as it is configured, and where it listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use shared_auth::{Auth, Keepers, LdapConfig, OidcConfig};
use shared_model::Domains;
use shared_runtime::tls::TlsPolicy;

use super::Findings;
use super::patient::Patients;
use super::running::Running;

/// A listener as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Its name, such as `sip.tls`.
    pub name: &'static str,
    /// Where it shall listen; port 0 is chosen by the system.
    pub address: SocketAddr,
}

/// Everything that a check may use.
pub struct Ward {
    /// The domains of accounts.
    pub domains: Domains,
    /// The host of rooms.
    pub rooms_domain: String,
    /// Where the service keeps its files.
    pub data_dir: PathBuf,
    /// Where the store is, as it is opened.
    pub store_url: String,
    /// The file of an SQLite store.
    pub store_file: Option<PathBuf>,
    /// Listeners, as configured.
    pub faces: Vec<Face>,
    /// Ports of the sound of conferences, the first and the last.
    pub rtp_ports: (u16, u16),
    /// Who may keep the people of each domain.
    pub outside: Vec<(String, LdapConfig, OidcConfig)>,
    /// STUN and TURN servers that clients are told of.
    pub relays: usize,
    /// `tls.require`.
    pub requires_tls: bool,
    /// Digest algorithms offered, the word of each.
    pub digests: Vec<String>,
    /// Name servers; empty: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// Whether names are to be asked for.
    pub asks_names: bool,
    /// What the running server wrote about itself; none if no server runs.
    pub running: Option<Running>,
    /// Certificates as they are, none if no server made any yet, or why they cannot be read.
    pub tls: Result<Option<TlsPolicy>, String>,
    /// The accounts that checks are trying something with.
    pub patients: Patients,
    /// Accounts, or why the store is not open.
    pub auth: Result<(Auth, shared_store::Store), NotOpen>,
}

/// Why the store is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOpen {
    /// No server runs: to open the store is to make it and to bring its schema up to date, which is the server's.
    NoServer,
    /// It does not open.
    Failed(String),
}

impl Ward {
    /// Where listeners of this name answer, for a connection from this machine.
    pub(crate) fn reach(&self, name: &str) -> Option<SocketAddr> {
        let running = self.running.as_ref()?;
        let bound = running.listeners.iter().find(|bound| bound.listener == name)?;
        Some(from_here(bound.address))
    }

    /// Who keeps the people of each domain, of those for whom it `holds`: so many as a look has time for.
    pub(crate) fn keepers(
        &self,
        holds: impl Fn(&Keepers<'_>) -> bool,
        found: &mut Findings,
    ) -> Vec<Keepers<'_>> {
        let all = self.outside.iter().map(|(domain, ldap, oidc)| Keepers { domain, ldap, oidc });
        let mut all: Vec<_> = all.filter(holds).collect();
        if all.len() > MOST_DOMAINS {
            found.note(format!("of {} domains the first {MOST_DOMAINS} are looked at", all.len()), "");
            all.truncate(MOST_DOMAINS);
        }
        all
    }

    /// The domains that are looked at: the main one, then the others in order, so many as a look has time for.
    pub(crate) fn each_domain(&self, found: &mut Findings) -> Vec<&str> {
        let main = self.domains.main();
        let others = self.domains.iter().filter(|domain| *domain != main);
        let mut all: Vec<&str> = std::iter::once(main).chain(others).collect();
        if all.len() > MOST_DOMAINS {
            found.note(format!("of {} domains the first {MOST_DOMAINS} are looked at", all.len()), "");
            all.truncate(MOST_DOMAINS);
        }
        all
    }

    /// Whether every listener of clients is on loopback.
    pub(crate) fn is_private(&self) -> bool {
        self.faces.iter().all(|face| face.address.ip().is_loopback())
    }
}

/// Where one reaches a listener on all addresses from here.
pub(crate) fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Domains that are looked at.
const MOST_DOMAINS: usize = 50;

/// Whether a domain is this machine's alone, so that no name server knows it (RFC 6761 §6.3, RFC 2606 §2).
pub fn is_loopback_domain(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default();
    matches!(last, "localhost" | "test" | "invalid" | "example") || domain.parse::<IpAddr>().is_ok()
}
