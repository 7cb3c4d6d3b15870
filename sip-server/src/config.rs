//! `[sip]`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use shared_auth::{DigestAlgorithm, Network};
use shared_model::Domains;
use shared_runtime::config::Key;
use sip_core::Uri;
use sip_endpoint::{Limits, Transport};

use crate::challenge::{ChallengePolicy, ChallengeRule};
use crate::cost::{self, CostConfig};
use crate::features::session_timer::Policy;
use crate::guard::{self, GuardConfig};
use crate::hep::{self, HepConfig};
use crate::numbers::{self, NumberConfig, Plan};
use crate::push::{PUSH_KEYS, PushConfig};
use crate::records::{self, RecordConfig};
use crate::relay::{self, RelayConfig};
use crate::stir::{STIR_KEYS, Stir, StirConfig};
use crate::trunks::{self, TrunkConfig, Trunks};

/// `[sip]`: listeners, timers, bounds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// UDP listeners. Default `0.0.0.0:5060`.
    pub udp: Vec<SocketAddr>,
    /// TCP listeners. Default `0.0.0.0:5060`.
    pub tcp: Vec<SocketAddr>,
    /// TLS listeners. Default `0.0.0.0:5061`.
    pub tls: Vec<SocketAddr>,
    /// Name servers, by which servers of chat are found as well. Default: those of the system.
    pub dns: Vec<SocketAddr>,
    /// Transports to other servers in the order in which they are tried, where their domain has no wish. Default `tls`,
    /// `tcp`, `udp`.
    pub prefer: Vec<Transport>,
    /// How long things may take.
    pub timers: TimerConfig,
    /// Requests that may be under way at once; beyond them 503. Default 20000.
    pub requests: usize,
    /// Threads for datagrams and transactions; 0 is half as many as the machine has cores. Default 0.
    pub threads: usize,
    /// Bounds on peers and their connections.
    pub limits: Limits,
    /// Contacts that one account may bind. Default 10.
    pub contacts: usize,
    /// Which Digest algorithms are asked for, and of whom; the first rule that matches decides. Default SHA-256 and MD5 for Linphone,
    /// which takes none where the first is one that it does not know.
    pub challenges: Vec<ChallengeRule>,
    /// User agents that read the first challenge only, by a part of their User-Agent; they are asked for MD5 alone, if
    /// `auth.algorithms` has it. Default `baresip v0`, `baresip v1`, `sipp`.
    pub first_challenge_only: Vec<String>,
    /// The Service-Route (RFC 3608) that clients get with their registration, such as `sip:edge.example.org;lr`. Default none.
    pub service_route: Option<String>,
    /// Where users find each other's cards (RFC 3261 §20.9, `purpose=card`), such as `https://example.org:8443/directory/{aor}.vcf`;
    /// `{aor}` is the address of record. Told to users of ours beside the JID of who calls and who answers. Default none.
    pub card: Option<String>,
    /// Whether re-INVITEs of our users name their JID too (Call-Info, RFC 7081 §3.5), and not the call's first INVITE alone. Default false.
    pub call_info_in_dialog: bool,
    /// Networks of peers whose P-Asserted-Identity is believed, and who are told ours (RFC 3325). Default none.
    pub trusted_networks: Vec<Network>,
    /// The same, by a domain that the peer's TLS certificate proves, which `tls.trust` or the system's roots stand behind. Default none.
    pub trusted_domains: Vec<String>,
    /// What becomes of MESSAGE, PUBLISH and SUBSCRIBE to presence. Default `refuse`.
    pub chat: Chat,
    /// How calls to and from other domains are signed.
    pub stir: StirConfig,
    /// How sleeping devices are woken.
    pub push: PushConfig,
    /// What becomes of a device's 3xx. Default `follow`.
    pub redirect: Redirect,
    /// RFC 4028: how long a session lasts without a refresh; zero puts no session timer into calls. Default `1800s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub session_expires: Duration,
    /// How often a subscriber is told of changes at most (RFC 3680 §4.10). Default `5s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub notify_interval: Duration,
    /// RFC 4028: the shortest session interval that is taken. Default `90s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub min_session_expires: Duration,
    /// How people dial.
    pub numbers: NumberConfig,
    /// Carriers. Default none.
    pub trunks: Vec<TrunkConfig>,
    /// Who may call where, and what they are told.
    pub cost: CostConfig,
    /// Calls as they are written down.
    pub records: RecordConfig,
    /// Copies of messages for a capture server.
    pub hep: HepConfig,
    /// What is refused before anything is done for it.
    pub guard: GuardConfig,
    /// Relays for calls that cannot go from end to end.
    pub rtpengine: RelayConfig,
}

/// What becomes of messages and presence, which are the XMPP half's (RFC 7081 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chat {
    /// They are refused with the JID to write to.
    Refuse,
    /// They go to devices.
    Pass,
}

/// What becomes of a 3xx (RFC 3261 §16.7, item 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redirect {
    /// The call goes where it says, if that is somebody of ours or a place that the caller may call.
    Follow,
    /// The caller gets the 3xx.
    Pass,
}

impl Redirect {
    /// Whether the call goes where a 3xx says.
    pub fn is_follow(self) -> bool {
        self == Self::Follow
    }
}

impl Config {
    /// What no type says: each fault names its key. `domains` are those of the addresses of record.
    pub fn faults(&self, domains: &Domains) -> Vec<String> {
        let mut faults = Plan::new(&self.numbers, domains).err().unwrap_or_default();
        faults.extend(Trunks::faults(&self.trunks));
        let is_url =
            |card: &str| card.starts_with("http") && !card.contains(['<', '>', '"', ' ', '\r', '\n']);
        if self.card().is_some_and(|card| !is_url(card) || !card.contains("{aor}")) {
            faults.push("sip.card: not a URL with {aor} in it".to_owned());
        }
        if let Some(url) = self.push.url.as_ref().filter(|url| !is_url(url)) {
            faults.push(format!("`sip.push.url`: `{url}` is not a URL of http or https"));
        }
        let is_route = |route: &str| Uri::parse(route).is_some_and(|uri| uri.is_sip());
        if let Some(route) = self.service_route.as_ref().filter(|route| !is_route(route)) {
            faults.push(format!("`sip.service_route`: `{route}` is not a SIP URI"));
        }
        faults.extend(self.stir.fault());
        faults.extend(self.cost.faults());
        faults.extend(self.hep.faults());
        faults
    }

    /// What is wrong with the files that a start reads, and that no command needs.
    pub fn faults_of_files(&self) -> Vec<String> {
        let token = self.push.token_file.as_ref().and_then(|file| {
            let error = std::fs::read(file).err()?;
            Some(format!("`sip.push.token_file`: cannot read {}: {error}", file.display()))
        });
        Stir::faults_of_files(&self.stir).into_iter().chain(token).collect()
    }

    /// Whether a server that calls us is somebody by its certificate, and so is asked for it.
    pub(crate) fn asks_servers(&self) -> bool {
        let is_tls = |transport: &str| transport.eq_ignore_ascii_case("tls");
        let is_secure = |uri: Uri<'_>| uri.is_sips() || uri.params.value("transport").is_some_and(is_tls);
        let mut trunks = self.trunks.iter();
        !self.trusted_domains.is_empty() || trunks.any(|it| Uri::parse(&it.server).is_some_and(is_secure))
    }

    /// Whose networks are known without asking for names: those of peers that are trusted, and of carriers.
    pub fn known_networks(&self) -> Vec<Network> {
        let host =
            |trunk: &TrunkConfig| Uri::parse(&trunk.server)?.host.trim_matches(['[', ']']).parse().ok();
        let trunks = self.trunks.iter();
        let carriers = trunks.flat_map(|trunk| trunk.networks.iter().copied().chain(host(trunk)));
        self.trusted_networks.iter().copied().chain(carriers).collect()
    }

    /// Which challenges clients see.
    pub(crate) fn challenge_policy(&self) -> ChallengePolicy<'_> {
        ChallengePolicy { rules: &self.challenges, first_challenge_only: &self.first_challenge_only }
    }

    /// Where cards are.
    pub(crate) fn card(&self) -> Option<&str> {
        self.card.as_deref().filter(|card| !card.is_empty())
    }

    /// What session timers are told.
    pub(crate) fn session(&self) -> Policy {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let expires = Some(seconds(self.session_expires)).filter(|seconds| *seconds > 0);
        Policy { expires, shortest: seconds(self.min_session_expires) }
    }
}

/// `[sip.timers]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TimerConfig {
    /// RFC 3261 Timers B and F: how long a transaction waits for an answer. Default `32s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub b: Duration,
    /// RFC 3261 Timer C: how long an INVITE waits after its last provisional response; more than three minutes. Default `181s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub c: Duration,
    /// How long a callee may ring. Default `60s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub no_answer: Duration,
    /// The shortest registration. Default `60s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub min_expires: Duration,
    /// The longest registration. Default `3600s`.
    #[serde(with = "shared_runtime::config::duration")]
    pub max_expires: Duration,
}

/// Every key of `[sip]` and of the tables in it.
pub fn keys() -> Vec<Key> {
    [
        KEYS,
        PUSH_KEYS,
        STIR_KEYS,
        numbers::KEYS,
        trunks::KEYS,
        cost::KEYS,
        records::KEYS,
        hep::KEYS,
        guard::KEYS,
        relay::KEYS,
    ]
    .concat()
}

/// Those of `[sip]` itself.
pub const KEYS: &[Key] = &[
    Key::new("sip.udp", "[\"0.0.0.0:5060\"]", "UDP listeners"),
    Key::new("sip.tcp", "[\"0.0.0.0:5060\"]", "TCP listeners"),
    Key::new("sip.tls", "[\"0.0.0.0:5061\"]", "TLS listeners"),
    Key::new(
        "sip.dns",
        "[]",
        "name servers, by which servers of chat are found as well; none: those of the system",
    ),
    Key::new(
        "sip.prefer",
        "[\"tls\", \"tcp\", \"udp\"]",
        "transports to other servers in the order in which they are tried, where their domain has no wish",
    ),
    Key::new("sip.contacts", "10", "contacts that one account may bind"),
    Key::new(
        "sip.first_challenge_only",
        "[\"baresip v0\", \"baresip v1\", \"sipp\", \"sipsak\"]",
        "parts of the User-Agent of clients that read the first challenge only; they are asked for MD5",
    ),
    Key::new(
        "sip.challenges",
        "[{ user_agent = \"Linphone\", algorithms = [\"SHA-256\", \"MD5\"] }]",
        "rules such as { listener = \"udp\", user_agent = \"Old\", account = \"alice\", algorithms = [\"MD5\"] }: the first that matches \
         says what is asked for, and in which order",
    ),
    Key::new(
        "sip.card",
        "",
        "where users find each other's cards, such as \"https://example.org:8443/directory/{aor}.vcf\"; told beside the JID of who calls \
         (Call-Info, purpose=card)",
    ),
    Key::new(
        "sip.call_info_in_dialog",
        "false",
        "re-INVITEs of users name their JID too (Call-Info, purpose=impp), and not the call's first INVITE alone",
    ),
    Key::new(
        "sip.service_route",
        "",
        "the Service-Route (RFC 3608) that clients get with their registration, such as \"sip:edge.example.org;lr\"",
    ),
    Key::new(
        "sip.trusted_networks",
        "[]",
        "networks of peers whose P-Asserted-Identity is believed, and who are told ours (RFC 3325)",
    ),
    Key::new(
        "sip.trusted_domains",
        "[]",
        "the same, by a domain that the peer's TLS certificate proves (tls.trust, the system's roots); who calls us by TLS is asked for one",
    ),
    Key::new(
        "sip.chat",
        "\"refuse\"",
        "what becomes of MESSAGE, PUBLISH and SUBSCRIBE to presence: refuse (the answer names the JID), pass",
    ),
    Key::new(
        "sip.redirect",
        "\"follow\"",
        "what becomes of a device's 3xx: follow (the call goes on to somebody of ours, or where the caller may call), pass",
    ),
    Key::new(
        "sip.session_expires",
        "\"1800s\"",
        "how long a call lasts without a refresh (RFC 4028); 0s puts no timer in",
    ),
    Key::new(
        "sip.notify_interval",
        "\"5s\"",
        "how often a subscriber is told of changes to registrations at most (RFC 3680)",
    ),
    Key::new("sip.min_session_expires", "\"90s\"", "the shortest session interval that is taken"),
    Key::new(
        "sip.requests",
        "20000",
        "requests that may be under way at once; beyond them 503 with Retry-After",
    ),
    Key::new(
        "sip.threads",
        "0",
        "threads for datagrams and transactions; 0 is half as many as the machine has cores",
    ),
    Key::new("sip.limits.connections", "50000", "TCP, TLS and WebSocket connections at once"),
    Key::new(
        "sip.limits.connections_per_network",
        "1000",
        "connections at once from one network (IPv4 /24, IPv6 /64)",
    ),
    Key::new(
        "sip.limits.message_bytes",
        "262144",
        "bytes of one message on a connection; more is answered 413",
    ),
    Key::new(
        "sip.limits.greeting",
        "\"30s\"",
        "how long a new connection may go without a whole message, and a message may be on its way",
    ),
    Key::new(
        "sip.limits.unproven",
        "\"120s\"",
        "how long a connection may last whose peer neither proves who it is nor has a call",
    ),
    Key::new("sip.limits.idle", "\"3700s\"", "how long a connection may be silent"),
    Key::new(
        "sip.limits.websocket_ping",
        "\"30s\"",
        "how often a WebSocket is pinged; one that does not answer until the next time is closed",
    ),
    Key::new(
        "sip.limits.tcp_alias",
        "false",
        "whether a TCP connection stands for what its peer says in alias (RFC 5923); over TLS its certificate decides",
    ),
    Key::new("sip.timers.b", "\"32s\"", "how long a transaction waits for an answer (RFC 3261 Timers B, F)"),
    Key::new(
        "sip.timers.c",
        "\"181s\"",
        "how long an INVITE waits after its last provisional response (Timer C)",
    ),
    Key::new("sip.timers.no_answer", "\"60s\"", "how long a callee may ring"),
    Key::new("sip.timers.min_expires", "\"60s\"", "the shortest registration"),
    Key::new("sip.timers.max_expires", "\"3600s\"", "the longest registration"),
];

impl Default for Config {
    fn default() -> Self {
        let any = |port| vec![SocketAddr::from(([0, 0, 0, 0], port))];
        Self {
            udp: any(5060),
            tcp: any(5060),
            tls: any(5061),
            dns: Vec::new(),
            prefer: vec![Transport::Tls, Transport::Tcp, Transport::Udp],
            timers: TimerConfig::default(),
            requests: 20_000,
            threads: 0,
            limits: Limits::default(),
            contacts: 10,
            challenges: vec![ChallengeRule {
                user_agent: Some("Linphone".to_owned()),
                algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
                ..ChallengeRule::default()
            }],
            first_challenge_only: ["baresip v0", "baresip v1", "sipp", "sipsak"].map(str::to_owned).to_vec(),
            service_route: None,
            card: None,
            call_info_in_dialog: false,
            trusted_networks: Vec::new(),
            trusted_domains: Vec::new(),
            chat: Chat::Refuse,
            stir: StirConfig::default(),
            push: PushConfig::default(),
            redirect: Redirect::Follow,
            session_expires: Duration::from_secs(1_800),
            notify_interval: Duration::from_secs(5),
            min_session_expires: Duration::from_secs(90),
            numbers: NumberConfig::default(),
            trunks: Vec::new(),
            cost: CostConfig::default(),
            records: RecordConfig::default(),
            hep: HepConfig::default(),
            guard: GuardConfig::default(),
            rtpengine: RelayConfig::default(),
        }
    }
}

impl Default for TimerConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            b: seconds(32),
            c: seconds(181),
            no_answer: seconds(60),
            min_expires: seconds(60),
            max_expires: seconds(3_600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_the_configuration_names_by_network_is_known() {
        let trunk = |server: &str, networks: &[&str]| TrunkConfig {
            server: server.to_owned(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            ..TrunkConfig::default()
        };
        let config = Config {
            trusted_networks: vec!["192.0.2.0/24".parse().unwrap()],
            trunks: vec![
                trunk("sip:carrier.example;transport=tls", &["198.51.100.0/24"]),
                trunk("sip:203.0.113.7:5061", &[]),
                trunk("sips:[2001:db8::1]", &[]),
            ],
            ..Config::default()
        };
        let known: Vec<_> = config.known_networks().iter().map(Network::to_string).collect();
        assert_eq!(known, ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.7/32", "2001:db8::1/128"]);
    }
}
