//! The configuration: a tree of the crates' own, and the few keys that belong to nobody else.

mod faults;
mod place;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use shared_auth::{Keepers, LdapConfig, OidcConfig};
use shared_model::{Domains, idn};
use shared_runtime::config::{Fault, Key};
use shared_runtime::{Network, telemetry, tls};
use shared_store::Store;

use crate::out::say;

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// The domain of addresses of record and JIDs, beside which the services stand.
    pub(crate) domain: String,
    /// Further domains of addresses of record and JIDs.
    pub(crate) domains: Vec<DomainConfig>,
    /// Where the store, keys and the local CA live.
    pub(crate) data_dir: PathBuf,
    pub(crate) store: StoreConfig,
    pub(crate) tls: tls::Config,
    pub(crate) sip: sip_server::Config,
    pub(crate) xmpp: xmpp_server::Config,
    pub(crate) conference: conference::Config,
    pub(crate) http: HttpConfig,
    pub(crate) provisioning: provisioning::Config,
    pub(crate) operations: operations::Config,
    pub(crate) auth: shared_auth::Config,
    pub(crate) telemetry: telemetry::Config,
}

/// One of `[[domains]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct DomainConfig {
    pub(crate) name: String,
    /// What becomes of messages and presence by SIP for its users. Default: as `sip.chat`.
    pub(crate) chat: Option<sip_server::Chat>,
    /// Whether the sound of its people's calls to rooms and mailboxes is encrypted. Default: as `conference.srtp`.
    pub(crate) srtp: Option<conference::Secrecy>,
    /// PEM files of its own certificate. Default none: it has to be in that of `[tls]`.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// The directory of its people, by the keys of `[auth.ldap]`. Default none.
    pub(crate) ldap: LdapConfig,
    /// The provider of its people, by the keys of `[auth.oidc]`. Default none.
    pub(crate) oidc: OidcConfig,
}

/// `[store]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StoreConfig {
    /// `sqlite:///…`, `postgres://…` or `memory:`; none: SQLite in the data folder.
    pub(crate) url: Option<String>,
}

/// `[http]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct HttpConfig {
    /// HTTPS listeners.
    pub(crate) https: Vec<SocketAddr>,
    /// What links to this face begin with, such as `https://example.org`; none: the domain and the first listener's port.
    pub(crate) public_url: Option<String>,
    /// Networks of reverse proxies that say for whom they speak. Default none.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Whether those begin each connection by the PROXY protocol. Default no.
    pub(crate) proxy_protocol: bool,
}

const OWN_KEYS: &[Key] = &[
    Key::new("domain", "\"localhost\"", "domain of addresses of record and JIDs"),
    Key::new(
        "domains",
        "[]",
        "further domains of accounts, each a [[domains]]: name, chat = \"refuse\" (pass; default as sip.chat), srtp (as conference.srtp, for calls of its people), certificate and key (PEM files; \
         default: those of [tls] name it too), [domains.ldap] and [domains.oidc] (the keys of auth.ldap and auth.oidc, for its people). Rooms and other services are those of `domain`",
    ),
    Key::new("data_dir", "\"/var/lib/cusax\"", "where the store, keys and the local CA live"),
    Key::new("store.url", "", "sqlite:///…, postgres://… or memory: (forgets all); none: SQLite in data_dir"),
    Key::new("http.https", "[\"0.0.0.0:8443\"]", "HTTPS listeners"),
    Key::new(
        "http.public_url",
        "",
        "what links begin with, such as https://example.org; none: the domain and the first listener's port",
    ),
    Key::new(
        "http.trusted_proxies",
        "[]",
        "networks of reverse proxies, such as \"192.0.2.7\": they alone name the client, by Forwarded, X-Forwarded-For or the PROXY protocol",
    ),
    Key::new(
        "http.proxy_protocol",
        "false",
        "whether trusted_proxies begin each connection by the PROXY protocol (1 or 2): demanded of them all then, else read of nobody",
    ),
];

/// Every key that there is.
pub(crate) fn keys() -> Vec<Key> {
    [
        OWN_KEYS,
        tls::KEYS,
        &sip_server::keys(),
        &xmpp_server::keys(),
        conference::KEYS,
        provisioning::KEYS,
        operations::KEYS,
        &shared_auth::keys(),
        telemetry::KEYS,
    ]
    .concat()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            domains: Vec::new(),
            data_dir: PathBuf::from("/var/lib/cusax"),
            store: StoreConfig::default(),
            tls: tls::Config::default(),
            sip: sip_server::Config::default(),
            xmpp: xmpp_server::Config::default(),
            conference: conference::Config::default(),
            http: HttpConfig::default(),
            provisioning: provisioning::Config::default(),
            operations: operations::Config::default(),
            auth: shared_auth::Config::default(),
            telemetry: telemetry::Config::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            https: vec![SocketAddr::from(([0, 0, 0, 0], 8443))],
            public_url: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
        }
    }
}

impl Config {
    /// The domains of accounts.
    pub(crate) fn accounts(&self) -> Domains {
        Domains::new(&self.domain, self.domains.iter().map(|domain| domain.name.as_str()))
    }

    /// Who may keep the people of each domain, the main one first.
    pub(crate) fn keepers(&self) -> Vec<Keepers<'_>> {
        let main = Keepers { domain: &self.domain, ldap: &self.auth.ldap, oidc: &self.auth.oidc };
        let others = self.domains.iter().map(|domain| Keepers {
            domain: &domain.name,
            ldap: &domain.ldap,
            oidc: &domain.oidc,
        });
        std::iter::once(main).chain(others).collect()
    }

    /// `[tls]`, with the certificates of domains that have their own.
    pub(crate) fn certificates(&self) -> tls::Config {
        let own = |domain: &DomainConfig| {
            let (certificate, key) = (domain.certificate.clone()?, domain.key.clone()?);
            Some(tls::Files { domain: Some(domain.name.clone()), certificate, key })
        };
        tls::Config { others: self.domains.iter().filter_map(own).collect(), ..self.tls.clone() }
    }

    /// The main domain as links, certificates and SIP have it: in A-labels.
    pub(crate) fn host(&self) -> String {
        idn::to_ascii(&self.domain).into_owned()
    }

    /// The host of rooms and their calls.
    pub(crate) fn rooms_domain(&self) -> String {
        self.conference.domain.clone().unwrap_or_else(|| format!("conference.{}", self.domain))
    }

    /// The domains of the services beside those of accounts and rooms.
    pub(crate) fn services(&self) -> [String; 3] {
        ["pubsub", "directory", "upload"].map(|name| format!("{name}.{}", self.domain))
    }

    /// Hosts of this service where nobody has an account.
    pub(crate) fn chat_hosts(&self) -> Domains {
        let [pubsub, others @ ..] = self.services();
        let components = self.xmpp.component.iter().map(|component| component.domain.as_str());
        let rooms = self.rooms_domain();
        let others = others.iter().map(String::as_str).chain(components).chain([rooms.as_str()]);
        let guests = Some(self.xmpp.guests.domain.as_str()).filter(|domain| !domain.is_empty());
        Domains::new(&pubsub, others.chain(guests))
    }

    /// Every domain and host that this service answers to.
    pub(crate) fn own_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.domains.iter().map(|domain| domain.name.clone()).collect();
        names.extend(self.chat_hosts().iter().map(str::to_owned));
        names.push(self.domain.clone());
        let page = self.http.public_url.as_deref().and_then(|url| url.strip_prefix("https://"));
        names.extend(page.and_then(|rest| rest.split([':', '/', '?']).next()).map(str::to_owned));
        names
    }

    /// Addresses of this machine: those that are written here, and those that it speaks to others from.
    pub(crate) fn own_addresses(&self) -> Vec<IpAddr> {
        let listened = crate::doctor::faces(self).into_iter().map(|face| face.address.ip());
        let told = self.provisioning.addresses.iter().copied().chain(self.conference.advertised);
        let written = listened.chain(told).filter(|ip| !ip.is_unspecified());
        written.chain(shared_runtime::listen::own_addresses()).collect()
    }

    /// The same in A-labels.
    pub(crate) fn rooms_host(&self) -> String {
        idn::to_ascii(&self.rooms_domain()).into_owned()
    }

    /// Domains in the form that addresses hold, however they are written; what is none stays, for who says so.
    fn prepare(&mut self) {
        let further = self.domains.iter_mut().map(|domain| &mut domain.name);
        let components = self.xmpp.component.iter_mut().map(|component| &mut component.domain);
        let services =
            [&mut self.domain, &mut self.xmpp.guests.domain].into_iter().chain(&mut self.conference.domain);
        for name in further.chain(components).chain(services) {
            if let Some(prepared) = idn::to_unicode(name) {
                *name = prepared.into_owned();
            }
        }
    }

    /// The port of the first HTTPS listener.
    pub(crate) fn https_port(&self) -> Option<u16> {
        self.http.https.first().map(SocketAddr::port)
    }

    /// Where the store is.
    pub(crate) fn store_url(&self) -> String {
        let default = || format!("sqlite://{}", self.data_dir.join("cusax.db").display());
        self.store.url.clone().unwrap_or_else(default)
    }
}

impl Config {
    /// The file that the store is in, where it is SQLite.
    pub(crate) fn store_file(&self) -> Option<PathBuf> {
        // A URL that cannot be read is told of where the store is opened.
        Store::file(&self.store_url()).ok().flatten()
    }
}

/// Reads the file, if one is given, and the environment.
pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let text = match file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => String::new(),
    };
    let config = read(&text)?;
    let faults = faults::of(&config);
    if !faults.is_empty() {
        bail!("configuration: {}", faults.join("; "));
    }
    Ok(config)
}

fn read(text: &str) -> anyhow::Result<Config> {
    // Of ours, and for whoever tests and builds.
    let is_key = |(name, _): &(String, String)| !NOT_KEYS.contains(&name.as_str());
    let read = shared_runtime::config::load(text, std::env::vars().filter(is_key), &keys());
    let mut config: Config = read.map_err(|faults| {
        let faults: Vec<String> = faults
            .iter()
            .map(|fault| match fault {
                Fault::BadValue(what) => place::found(what, text).unwrap_or_else(|| what.clone()),
                fault => fault.to_string(),
            })
            .collect();
        anyhow::anyhow!("configuration: {}", faults.join("; "))
    })?;
    config.prepare();
    Ok(config)
}

/// `cusax config check`.
pub(crate) fn check(file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let judged = load(file).and_then(|config| faults::judge(&config));
    match &judged {
        outcome if json => {
            let fault = outcome.as_ref().err().map(|error| format!("{error:#}"));
            say(serde_json::json!({ "well_formed": fault.is_none(), "fault": fault }))?;
        }
        Ok(()) => say("the configuration is well formed")?,
        Err(_) => {} // whoever called says it
    }
    judged
}

/// `cusax config print`: a file that can be used as it is.
pub(crate) fn print(json: bool) -> anyhow::Result<()> {
    if json {
        for key in keys() {
            let line = serde_json::json!({ "key": key.path, "default": key.default, "meaning": key.meaning });
            say(line)?;
        }
        return Ok(());
    }
    say(sample().trim_end())
}

/// Every key with its default, table by table.
fn sample() -> String {
    let mut keys = keys();
    let table_of = |key: &Key| key.path.rsplit_once('.').map_or("", |(table, _)| table);
    keys.sort_by_key(|key| table_of(key));
    let mut out = String::new();
    let mut table = "";
    for key in &keys {
        if table_of(key) != table {
            table = table_of(key);
            out.push_str(&format!("\n[{table}]\n"));
        }
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        match key.default {
            "" => out.push_str(&format!("# {}\n# {name} =\n", key.meaning)),
            default => out.push_str(&format!("# {}\n{name} = {default}\n", key.meaning)),
        }
    }
    out
}

/// Variables that begin as keys do and are none.
const NOT_KEYS: &[&str] =
    &["CUSAX_BINARY", "CUSAX_REWRITE_DOCS", "CUSAX_TESTS_QUICK", "CUSAX_TEST_VICTIM_URL"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_holds_without_a_file() {
        let printed = read(&sample()).unwrap();
        assert_eq!(format!("{printed:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn what_is_of_this_service_is_known_by_name_and_address() {
        let text = "domain = \"example.org\"\n[http]\npublic_url = \"https://id.example.com:8443/x\"\n[xmpp.guests]\n\
                    domain = \"guests.example.org\"\n[conference]\nadvertised = \"203.0.113.9\"\n[[domains]]\nname = \"example.net\"";
        let config = read(text).unwrap();
        let names = config.own_names();
        for name in
            ["example.org", "example.net", "conference", "pubsub", "upload", "guests", "id.example.com"]
        {
            let whole = if name.contains('.') { name.to_owned() } else { format!("{name}.example.org") };
            assert!(names.contains(&whole), "{whole}: {names:?}");
        }
        let hosts = config.chat_hosts();
        assert!(hosts.has("guests.example.org") && hosts.has("conference.example.org"));
        assert!(!hosts.has("example.org") && !hosts.has(""));
        assert!(config.own_addresses().contains(&"203.0.113.9".parse().unwrap()));
    }

    #[test]
    fn no_key_is_told_twice() {
        let mut paths: Vec<_> = keys().iter().map(|key| key.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = read("[sip]\nudpp = []").unwrap_err().to_string();
        assert_eq!(error, "configuration: unknown key `sip.udpp`; did you mean `sip.udp`?");
    }
}
