//! `[xmpp]`: listeners, and the bounds of what clients may cost.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use shared_runtime::config::{Key, duration};
use xmpp_core::payload::mam::Otherwise;

use crate::abusers;
use crate::c2s::{PlainFor, ScramName};
use crate::callers::OwnCalls;
use crate::component::{self, ComponentConfig};
use crate::guests::{self, GuestsConfig};
use crate::halves::BothOrNothing;
use crate::muc::Creators;
use crate::s2s::{self, FederationConfig};
use crate::shared_groups;
use crate::turn::{self, TurnConfig};
use crate::upload::{self, UploadConfig};

/// `[xmpp]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where clients connect and use STARTTLS. Default `["0.0.0.0:5222"]`.
    pub c2s: Vec<SocketAddr>,
    /// Where clients connect with TLS from the first byte (XEP-0368). Default `["0.0.0.0:5223"]`.
    pub c2s_tls: Vec<SocketAddr>,
    /// Where other servers connect and use STARTTLS. If this and `s2s_tls` are empty, nothing comes from other domains and
    /// nothing goes there. Default `["0.0.0.0:5269"]`.
    pub s2s: Vec<SocketAddr>,
    /// Where other servers connect with TLS from the first byte (XEP-0368). Default none.
    pub s2s_tls: Vec<SocketAddr>,
    /// Which other servers, how protected, and what they may cost.
    pub federation: FederationConfig,
    /// Where external components connect (XEP-0114), in the clear. Default none.
    pub components: Vec<SocketAddr>,
    /// Which components.
    pub component: Vec<ComponentConfig>,
    /// Bytes of one stanza of somebody who proved who they are. Default 262144.
    pub stanza_bytes: usize,
    /// Bytes of one element before that. Default 16384.
    pub unproven_bytes: usize,
    /// How long a connection may take until a resource is bound. Default 30 s.
    #[serde(with = "duration")]
    pub login_timeout: Duration,
    /// Connections that have not proved anything, at once; above, who waited three seconds for its own client alone goes for who comes.
    /// Default 10000.
    pub unproven_connections: usize,
    /// Of these, and of those of other servers, as many from one address of IPv4 or one /64 of IPv6; four times as many from its
    /// /24 or /48. Default 500.
    pub unproven_per_network: usize,
    /// Bytes a second that are read from one client, after a burst of two seconds; a faster one is slowed. Default 1048576; 0
    /// means as they come.
    pub rate: usize,
    /// Stanzas a second that are taken from one client, likewise. Default 5000; 0 means as they come.
    pub stanza_rate: usize,
    /// Resources of one account. Default 20.
    pub resources: usize,
    /// Stanzas waiting for one client's socket; above, the client is cut off. Default 4096.
    pub outbox: usize,
    /// Stanzas that one client may leave unacknowledged (XEP-0198); above, it is cut off. Default 5000.
    pub unacked: usize,
    /// Bytes that may wait for one client, unwritten, and as many unacknowledged, and for one domain. Above, it is as if there were too
    /// many stanzas; what answers a client's own questions waits earlier, until it reads. Default 16777216.
    pub waiting_bytes: usize,
    /// How long a client may take to answer `<r/>` (XEP-0198) or a ping, and to read anything of what it is sent; then its
    /// connection counts as lost. Lines that are slow get more time. Default 60 s; 0 s means for ever.
    #[serde(with = "duration")]
    pub ack_timeout: Duration,
    /// How long a client may be silent before it is asked whether it is there. Default 5 min; 0 s means for ever.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// How long a session whose connection was lost waits to be resumed. Default 5 min; 0 s means not at all.
    #[serde(with = "duration")]
    pub resume_timeout: Duration,
    /// Messages kept for an account that is away; above, the sender gets an error. Default 1000.
    pub offline: usize,
    /// Which messages are archived for users who never said: `always`, `roster` (with contacts) or `never`. Default
    /// `always`.
    #[serde(deserialize_with = "otherwise")]
    pub archive: Otherwise,
    /// How long archives of accounts and rooms remember. Default 0 s: for ever.
    #[serde(with = "duration")]
    pub archive_for: Duration,
    /// Messages that an account's archive remembers. Default 0: as many as come.
    pub archive_most: usize,
    /// How often archives are shortened. Default 1 h.
    #[serde(with = "duration")]
    pub archive_round: Duration,
    /// URIs of who runs the server, shown to anybody who asks (XEP-0157). Default none.
    pub admin_addresses: Vec<String>,
    /// URIs for reports of abuse (XEP-0157). Default none.
    pub abuse_addresses: Vec<String>,
    /// Contacts of one account. Default 2000.
    pub contacts: usize,
    /// Groups, as accounts' profiles name them, whose members are in each other's rosters. Default none.
    pub shared_groups: Vec<String>,
    /// How often it is looked who is in which of them. Default 1 min.
    #[serde(with = "duration")]
    pub shared_groups_round: Duration,
    /// Messages of history that a room keeps at most. Default 200.
    pub room_history: usize,
    /// Rooms on this server. Default 10000.
    pub rooms: usize,
    /// Who may make rooms by entering them: `everybody`, other servers' users among them, `local` accounts, or `admins`.
    /// Default `local`.
    pub room_creators: Creators,
    /// Whether accounts find each other by name at `directory.<domain>` (XEP-0055). Default true.
    pub directory: bool,
    /// Whether what became of a call stands in the conversation of its two parties. Default true.
    pub call_log: bool,
    /// Whether who was invited may make the account in the client (XEP-0445). Default true.
    pub invitations: bool,
    /// How long an account's list of its clients (XEP-0494) remembers one that was not seen. Default 90 d; 0 s means that
    /// none is noted.
    #[serde(with = "duration")]
    pub clients_for: Duration,
    /// Whether accounts give certificates by which their clients come in (XEP-0257): clients are asked for one in the handshake, and need
    /// none. Where `tls.client_ca` is given, it says whose certificates count instead. Default true.
    pub own_certificates: bool,
    /// Whether anybody may make an account in the client, uninvited (XEP-0077). Default false.
    pub registration: bool,
    /// Accounts that one network (a /32 of IPv4, a /64 of IPv6) may make so in an hour. Default 3.
    pub registrations: usize,
    /// Whether accounts change their password and end themselves in the client (XEP-0077). Default true.
    pub account_changes: bool,
    /// The hashes of SCRAM that are offered: `SHA-512`, `SHA-256`, `SHA-1`. Accounts that came from another server have
    /// the keys of one, often SHA-1, until their password is set anew, and clients take the first that is offered. Default
    /// all.
    pub scram: Vec<ScramName>,
    /// To which domains clients may send the password itself, over TLS: `always`, or where a `directory` (LDAP) keeps it, which nothing
    /// else proves. Accounts that came from another server without a key of Digest get one when their password comes so. Default
    /// `always`.
    pub plain: PlainFor,
    /// What becomes of an account that has one half alone, chat without calls: `off`, `warn` (it is told when its telephone is
    /// lost, and when it is back) or `enforce` (its sessions end). Default `warn`.
    pub both_or_nothing: BothOrNothing,
    /// How long one half may be alone before anything is said or done. Default 30 s.
    #[serde(with = "duration")]
    pub half_grace: Duration,
    /// How long the first presence of a session waits for a telephone that registers; 0 s means not at all. Default 0 s.
    #[serde(with = "duration")]
    pub presence_gate: Duration,
    /// Whether accounts may have it shown that they are on the phone (XEP-0108). Each is asked by a command; nobody is shown
    /// who did not say yes. Default true.
    pub on_the_phone: bool,
    /// Whether contacts see in an account's presence by which SIP address it is called, while a telephone of it is registered
    /// (XEP-0152). Default true.
    pub reachability: bool,
    /// After how long it is looked again whether calls reach those who are here, in case that was missed; 0 s means never.
    /// Default 10 min.
    #[serde(with = "duration")]
    pub reachability_period: Duration,
    /// What becomes of calls by XMPP (Jingle) between two accounts that have telephones here: `allow`, `warn` (they pass, and
    /// the caller is told the telephone's address) or `deny`. Calls with other domains pass. Default `allow`.
    pub own_calls: OwnCalls,
    /// Whether administrators may shut the service down or restart it by a command in their client (XEP-0133). Default false.
    pub admins_may_stop: bool,
    /// Whether push services learn who wrote, and the beginning of what (XEP-0357). Default false: they learn that
    /// something came.
    pub push_details: bool,
    /// Whether `muc#roominfo_audio-video-uri` stands beside `audio-video-uri`. Default true.
    pub roominfo_alias: bool,
    /// Lists of abusers that are subscribed to, each a service of XEP-0060, `/` and a node whose items have SHA-256 hashes of
    /// addresses and domains for ids, such as `xmppbl.org/muc_bans_sha256`. Default none.
    pub block_lists: Vec<String>,
    /// `[xmpp.guests]`.
    pub guests: GuestsConfig,
    /// `[xmpp.upload]`.
    pub upload: UploadConfig,
    /// `[xmpp.turn]`.
    pub turn: TurnConfig,
}

impl Config {
    /// What no type says, in a server of these domains, that of accounts first: each fault names its key.
    pub fn faults(&self, domains: &[&str]) -> Vec<String> {
        let mut faults = [self.turn.faults(), self.federation.faults()].concat();
        let accounts = domains.first().copied().unwrap_or_default();
        let services = [("directory", self.directory), ("upload", self.upload.enabled)];
        let services: Vec<String> = services
            .iter()
            .filter(|(_, is_on)| *is_on)
            .map(|(name, _)| format!("{name}.{accounts}"))
            .collect();
        let mut taken: Vec<&str> =
            domains.iter().copied().chain(services.iter().map(String::as_str)).collect();
        for component in &self.component {
            faults.extend(component.faults(&taken));
            taken.push(&component.domain);
        }
        faults.extend(self.guests.faults(&taken));
        faults.extend(abusers::faults(&self.block_lists));
        let url = &self.upload.url;
        if !url.is_empty() && !url.starts_with("https://") {
            faults.push(format!("`xmpp.upload.url`: `{url}` does not begin with https://"));
        }
        faults
    }
}

fn otherwise<'de, D: Deserializer<'de>>(reader: D) -> Result<Otherwise, D::Error> {
    let word = String::deserialize(reader)?;
    let wrong = || de::Error::custom(format!("`{word}` is none of always, roster and never"));
    Otherwise::parse(&word).ok_or_else(wrong)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            c2s: vec![SocketAddr::from(([0, 0, 0, 0], 5222))],
            c2s_tls: vec![SocketAddr::from(([0, 0, 0, 0], 5223))],
            s2s: vec![SocketAddr::from(([0, 0, 0, 0], 5269))],
            s2s_tls: Vec::new(),
            federation: FederationConfig::default(),
            components: Vec::new(),
            component: Vec::new(),
            stanza_bytes: 262_144,
            unproven_bytes: 16_384,
            login_timeout: Duration::from_secs(30),
            unproven_connections: 10_000,
            unproven_per_network: 500,
            rate: 1_048_576,
            stanza_rate: 5_000,
            resources: 20,
            outbox: 4096,
            unacked: 5000,
            waiting_bytes: 16_777_216,
            ack_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            resume_timeout: Duration::from_secs(300),
            offline: 1000,
            archive: Otherwise::Always,
            archive_for: Duration::ZERO,
            archive_most: 0,
            archive_round: Duration::from_secs(3600),
            admin_addresses: Vec::new(),
            abuse_addresses: Vec::new(),
            contacts: 2000,
            shared_groups: Vec::new(),
            shared_groups_round: shared_groups::ROUND,
            room_history: 200,
            rooms: 10_000,
            room_creators: Creators::Local,
            directory: true,
            call_log: true,
            invitations: true,
            clients_for: Duration::from_secs(90 * 86_400),
            own_certificates: true,
            registration: false,
            registrations: 3,
            account_changes: true,
            scram: ScramName::ALL.to_vec(),
            plain: PlainFor::Always,
            both_or_nothing: BothOrNothing::Warn,
            half_grace: Duration::from_secs(30),
            presence_gate: Duration::ZERO,
            on_the_phone: true,
            reachability: true,
            reachability_period: Duration::from_secs(600),
            own_calls: OwnCalls::Allow,
            admins_may_stop: false,
            push_details: false,
            roominfo_alias: true,
            block_lists: Vec::new(),
            guests: GuestsConfig::default(),
            upload: UploadConfig::default(),
            turn: TurnConfig::default(),
        }
    }
}

/// Every key of `[xmpp]`.
pub fn keys() -> Vec<Key> {
    [KEYS, s2s::KEYS, component::KEYS, &guests::KEYS, &turn::KEYS, &upload::KEYS].concat()
}

const KEYS: &[Key] = &[
    Key::new("xmpp.c2s", "[\"0.0.0.0:5222\"]", "where clients connect and use STARTTLS"),
    Key::new("xmpp.c2s_tls", "[\"0.0.0.0:5223\"]", "where clients connect with TLS from the first byte"),
    Key::new(
        "xmpp.s2s",
        "[\"0.0.0.0:5269\"]",
        "where other servers connect; with s2s_tls empty as well, [] ends federation",
    ),
    Key::new("xmpp.s2s_tls", "[]", "where other servers connect with TLS from the first byte"),
    Key::new("xmpp.stanza_bytes", "262144", "bytes of one stanza"),
    Key::new("xmpp.unproven_bytes", "16384", "bytes of one element before the login"),
    Key::new("xmpp.login_timeout", "\"30s\"", "how long a login may take"),
    Key::new("xmpp.unproven_connections", "10000", "connections before their login, at once"),
    Key::new(
        "xmpp.unproven_per_network",
        "500",
        "of these, as many from one IPv4 address or IPv6 /64; four times as many from its /24 or /48",
    ),
    Key::new("xmpp.rate", "1048576", "bytes a second that are read from one client; a faster one is slowed"),
    Key::new("xmpp.stanza_rate", "5000", "stanzas a second that are taken from one client, likewise"),
    Key::new("xmpp.resources", "20", "resources of one account"),
    Key::new("xmpp.outbox", "4096", "stanzas waiting for one client's socket; above, it is cut off"),
    Key::new("xmpp.unacked", "5000", "stanzas that a client may leave unacknowledged; above, it is cut off"),
    Key::new(
        "xmpp.waiting_bytes",
        "16777216",
        "bytes that wait for one client or domain, and that a client may leave unacknowledged; above, likewise",
    ),
    Key::new(
        "xmpp.ack_timeout",
        "\"60s\"",
        "how long a client may take to answer or to read; then its connection is lost",
    ),
    Key::new("xmpp.idle_timeout", "\"5m\"", "silence after which a client is asked whether it is there"),
    Key::new("xmpp.resume_timeout", "\"5m\"", "how long a session without connection waits to be resumed"),
    Key::new("xmpp.offline", "1000", "messages kept for an account that is away"),
    Key::new(
        "xmpp.archive",
        "\"always\"",
        "which messages are archived for users who never said: always, roster or never",
    ),
    Key::new(
        "xmpp.archive_for",
        "\"0s\"",
        "how long archives of accounts and rooms remember; 0s is for ever",
    ),
    Key::new("xmpp.archive_most", "0", "messages that an account's archive remembers; 0 is as many as come"),
    Key::new("xmpp.archive_round", "\"1h\"", "how often archives are shortened"),
    Key::new("xmpp.admin_addresses", "[]", "URIs of who runs the server, such as mailto:admin@example.org"),
    Key::new("xmpp.abuse_addresses", "[]", "URIs for reports of abuse"),
    Key::new("xmpp.contacts", "2000", "contacts of one account"),
    Key::new("xmpp.shared_groups", "[]", "groups of accounts whose members are in each other's rosters"),
    Key::new("xmpp.shared_groups_round", "\"1m\"", "how often it is looked who is in which of them"),
    Key::new("xmpp.room_history", "200", "messages of history that a room keeps at most"),
    Key::new("xmpp.rooms", "10000", "rooms on this server"),
    Key::new("xmpp.room_creators", "\"local\"", "who may make rooms: everybody, local accounts or admins"),
    Key::new("xmpp.directory", "true", "accounts find each other by name at directory.<domain>"),
    Key::new("xmpp.call_log", "true", "what became of a call stands in the conversation of its two parties"),
    Key::new("xmpp.invitations", "true", "who was invited may make the account in the client (XEP-0445)"),
    Key::new(
        "xmpp.clients_for",
        "\"90d\"",
        "how long a client that was not seen is in the list of an account's clients",
    ),
    Key::new(
        "xmpp.own_certificates",
        "true",
        "accounts give certificates by which their clients come in (XEP-0257), where tls.client_ca is not given",
    ),
    Key::new("xmpp.registration", "false", "anybody may make an account in the client, uninvited (XEP-0077)"),
    Key::new("xmpp.registrations", "3", "accounts that one network may make so in an hour"),
    Key::new(
        "xmpp.account_changes",
        "true",
        "accounts change their password and end themselves in the client",
    ),
    Key::new(
        "xmpp.scram",
        "[\"SHA-512\", \"SHA-256\", \"SHA-1\"]",
        "hashes of SCRAM that are offered; accounts from another server may have the keys of one alone",
    ),
    Key::new(
        "xmpp.plain",
        "\"always\"",
        "clients may send the password itself (PLAIN): always, or where a directory (LDAP) keeps it",
    ),
    Key::new(
        "xmpp.both_or_nothing",
        "\"warn\"",
        "chat without calls: off, warn (say so when the telephone is lost) or enforce (end the sessions)",
    ),
    Key::new("xmpp.half_grace", "\"30s\"", "how long one half may be alone before anything is said or done"),
    Key::new(
        "xmpp.presence_gate",
        "\"0s\"",
        "how long the first presence waits for a telephone that registers",
    ),
    Key::new("xmpp.on_the_phone", "true", "accounts may have it shown that they are on the phone"),
    Key::new("xmpp.block_lists", "[]", "lists of abusers, such as \"xmppbl.org/muc_bans_sha256\""),
    Key::new(
        "xmpp.reachability",
        "true",
        "presence says by which SIP address somebody is called, while a telephone is registered",
    ),
    Key::new(
        "xmpp.reachability_period",
        "\"10m\"",
        "after how long it is looked again whether calls reach those who are here; 0s: never",
    ),
    Key::new(
        "xmpp.own_calls",
        "\"allow\"",
        "calls by Jingle between two accounts that have telephones here: allow, warn or deny",
    ),
    Key::new(
        "xmpp.admins_may_stop",
        "false",
        "administrators may shut the service down or restart it by a command",
    ),
    Key::new("xmpp.push_details", "false", "push services learn who wrote, and the beginning of what"),
    Key::new("xmpp.roominfo_alias", "true", "muc#roominfo_audio-video-uri beside audio-video-uri"),
];
