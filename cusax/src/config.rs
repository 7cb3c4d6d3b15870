//! The configuration: a tree of the crates' own, and the few keys that belong to nobody else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use operations::doctor::Face;
use serde::Deserialize;
use shared_auth::{Keepers, LdapConfig, OidcConfig, Policy};
use shared_model::{Aor, Domains, idn};
use shared_runtime::config::Key;
use shared_runtime::tls::{TlsError, TlsPolicy};
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
    let faults = faults(&config);
    if !faults.is_empty() {
        bail!("configuration: {}", faults.join("; "));
    }
    Ok(config)
}

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    name.split('.').all(is_label) && Aor::new("x", name).is_ok()
}

/// Further domains: each is one, is nothing else here, and has both files of a certificate or none.
fn faults_of_domains(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let services = ["pubsub", "directory", "upload"].map(|name| format!("{name}.{}", config.domain));
    let components = config.xmpp.component.iter().map(|component| component.domain.clone());
    let mut taken: Vec<String> = services.into_iter().chain(components).collect();
    taken.extend([config.domain.clone(), config.rooms_domain(), config.xmpp.guests.domain.clone()]);
    for domain in &config.domains {
        let name = domain.name.clone();
        if !is_domain(&name) {
            faults.push(format!("`domains`: `{name}` is not a domain"));
        } else if taken.contains(&name) {
            faults.push(format!("`domains`: `{name}` is served here already"));
        }
        if domain.certificate.is_some() != domain.key.is_some() {
            faults.push(format!("`domains` of `{name}`: certificate and key go together; only one is given"));
        }
        for file in [&domain.certificate, &domain.key].into_iter().flatten() {
            if let Err(error) = std::fs::File::open(file) {
                faults.push(format!("`domains` of `{name}`: cannot read {}: {error}", file.display()));
            }
        }
        let of_keepers = domain.ldap.faults().into_iter().chain(domain.oidc.faults());
        faults.extend(
            of_keepers.map(|fault| format!("`domains` of `{name}`: {}", fault.replace("`auth.", "`"))),
        );
        taken.push(name);
    }
    let mut issuers: Vec<&str> =
        config.keepers().iter().filter_map(|keepers| keepers.oidc.issuer.as_deref()).collect();
    issuers.sort_unstable();
    for twice in issuers.windows(2).filter(|two| two[0] == two[1]) {
        // Whom it names would be of one domain or of the other.
        faults.push(format!("`domains`: the provider {} is that of two domains", twice[0]));
    }
    faults
}

/// What no type says: names that are none, files that are not there, times in which nothing can happen.
fn faults(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, domain) in [("domain", &config.domain), ("conference.domain", &config.rooms_domain())] {
        if !is_domain(domain) {
            faults.push(format!("`{key}`: `{domain}` is not a domain"));
        }
    }
    faults.extend(faults_of_domains(config));
    if config.tls.certificate.is_some() != config.tls.key.is_some() {
        faults.push(TlsError::HalfGiven.to_string());
    }
    for (key, file) in [("tls.certificate", &config.tls.certificate), ("tls.key", &config.tls.key)] {
        if let Some(Err(error)) = file.as_ref().map(std::fs::File::open) {
            let file = file.as_deref().unwrap_or(Path::new("")).display();
            faults.push(format!("`{key}`: cannot read {file}: {error}"));
        }
    }
    if let Err(error) = config.conference.rtp_ports.parse::<conference::media::ports::Ports>() {
        faults.push(format!("`conference.rtp_ports`: {error}"));
    }
    if let Some(url) = config.http.public_url.as_ref().filter(|url| !url.starts_with("https://")) {
        faults.push(format!("`http.public_url`: `{url}` does not begin with https://"));
    }
    if config.http.proxy_protocol && config.http.trusted_proxies.is_empty() {
        faults.push("`http.proxy_protocol` is of proxies, and `http.trusted_proxies` names none".to_owned());
    }
    if let Err(error) = Store::knows(&config.store_url()) {
        faults.push(format!("`store.url`: {error}"));
    }
    if config.auth.algorithms.is_empty() {
        faults.push("`auth.algorithms` is empty: no phone could log in".to_owned());
    }
    let timers = &config.sip.timers;
    for (key, time) in [
        ("sip.timers.b", timers.b),
        ("sip.timers.c", timers.c),
        ("sip.timers.no_answer", timers.no_answer),
        ("sip.timers.max_expires", timers.max_expires),
        ("conference.silence_timeout", config.conference.silence_timeout),
        ("conference.offer_timeout", config.conference.offer_timeout),
        ("xmpp.login_timeout", config.xmpp.login_timeout),
        ("auth.nonce_lifetime", config.auth.nonce_lifetime),
    ] {
        if time.is_zero() {
            faults.push(format!("`{key}` is zero: nothing can happen in no time"));
        }
    }
    if timers.min_expires > timers.max_expires {
        faults.push("`sip.timers.min_expires` is longer than `sip.timers.max_expires`".to_owned());
    }
    faults.extend(config.auth.ldap.faults());
    faults.extend(config.auth.oidc.faults());
    let links =
        |oidc: &OidcConfig| oidc.issuer.is_some() && matches!(oidc.accounts, Policy::Link | Policy::Both);
    if config.xmpp.registration && config.keepers().iter().any(|keepers| links(keepers.oidc)) {
        faults.push(
            "`auth.oidc.accounts` gives accounts to whoever has their name at the provider, and `xmpp.registration` lets strangers take a name first: one of the two must go"
                .to_owned(),
        );
    }
    faults.extend(config.sip.faults(&config.accounts()));
    let services = ["pubsub", "directory", "upload"].map(|name| format!("{name}.{}", config.domain));
    let domains = [config.domain.clone(), config.rooms_domain()].into_iter().chain(services);
    let domains: Vec<String> = domains.collect();
    faults.extend(config.xmpp.faults(&domains.iter().map(String::as_str).collect::<Vec<_>>()));
    faults
}

fn read(text: &str) -> anyhow::Result<Config> {
    // Of ours, and for whoever tests and builds.
    let is_key = |(name, _): &(String, String)| !NOT_KEYS.contains(&name.as_str());
    let read = shared_runtime::config::load(text, std::env::vars().filter(is_key), &keys());
    let mut config: Config = read.map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("configuration: {}", faults.join("; "))
    })?;
    config.prepare();
    Ok(config)
}

/// `cusax config check`.
pub(crate) fn check(file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let judged = judge(file);
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

fn judge(file: Option<&Path>) -> anyhow::Result<()> {
    let config = load(file)?;
    let policy = TlsPolicy::look(&config.certificates(), &config.data_dir).context("tls")?;
    let mut faults = policy.map(|policy| policy.unread()).unwrap_or_default();
    faults.extend(telemetry::check(&config.telemetry).err().map(|error| error.to_string()));
    faults.extend(twice(&crate::doctor::faces(&config)));
    faults.extend(exempt_proxies(&config));
    if config.sip.contacts == 0 {
        faults.push("`sip.contacts` is 0: no phone could register".to_owned());
    }
    if !faults.is_empty() {
        bail!("configuration: {}", faults.join("; "));
    }
    Ok(())
}

/// Proxies that are never slowed: where one hides its client, nobody slows that one's guesses.
fn exempt_proxies(config: &Config) -> Vec<String> {
    let first = |network: &Network| network.to_string().split('/').next().and_then(|ip| ip.parse().ok());
    let is_in = |inner: &Network, outer: &Network| first(inner).is_some_and(|ip| outer.contains(ip));
    let mut faults = Vec::new();
    for proxy in &config.http.trusted_proxies {
        let exempt = config.auth.throttle_exempt.iter();
        faults.extend(exempt.filter(|exempt| is_in(proxy, exempt) || is_in(exempt, proxy)).map(|exempt| {
            format!("`http.trusted_proxies` has {proxy}, and `auth.throttle_exempt` {exempt}: who comes by a proxy would guess passwords unslowed wherever it hides its client; take it out of the second")
        }));
    }
    faults
}

/// Listeners that cannot have an address because another of the same transport has it.
fn twice(faces: &[Face]) -> Vec<String> {
    let is_udp = |face: &Face| matches!(face.name, "sip.udp" | "conference.media");
    let mut faults = Vec::new();
    for (at, face) in faces.iter().enumerate().filter(|(_, face)| face.address.port() != 0) {
        let before = faces.iter().take(at);
        let taken = before.filter(|other| is_udp(other) == is_udp(face) && other.address == face.address);
        faults
            .extend(taken.map(|other| {
                format!("`{}` and `{}` both listen on {}", other.name, face.name, face.address)
            }));
    }
    faults
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
    fn no_key_is_told_twice() {
        let mut paths: Vec<_> = keys().iter().map(|key| key.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }

    #[test]
    fn nonsense_is_not_well_formed() {
        for (text, why) in [
            ("domain = \"not a domain\"", "`domain`: `not a domain` is not a domain"),
            ("domain = \"\"", "is not a domain"),
            ("domain = \"a..b\"", "is not a domain"),
            ("[conference]\ndomain = \"-\"", "`conference.domain`"),
            ("[conference]\nrtp_ports = \"9-8\"", "`conference.rtp_ports`"),
            ("[tls]\nkey = \"/nowhere/key.pem\"", "go together"),
            ("[tls]\ncertificate = \"/nowhere/c.pem\"\nkey = \"/dev/null\"", "cannot read /nowhere/c.pem"),
            ("[sip.timers]\nb = \"0s\"", "`sip.timers.b` is zero"),
            ("[sip.timers]\nmin_expires = \"2h\"", "is longer than"),
            ("[sip.numbers]\ncountry = \"+33\"", "`sip.numbers.country`: `+33` is not digits"),
            (
                "[sip.numbers.extensions]\n112 = \"alice\"",
                "`sip.numbers.extensions`: `112` is an emergency number",
            ),
            ("[xmpp.federation]\ndeny = [\"*\"]", "`xmpp.federation.deny`: `*` is neither a domain"),
            ("[xmpp.turn]\nservices = [\"http://x\"]", "`xmpp.turn.services`: `http://x` is not a URI"),
            ("[xmpp.upload]\nurl = \"http://x\"", "`xmpp.upload.url`: `http://x` does not begin"),
            ("[[xmpp.component]]\ndomain = \"localhost\"", "that domain is served here"),
            ("[[xmpp.component]]\ndomain = \"upload.localhost\"", "that domain is served here"),
            ("[[xmpp.component]]\ndomain = \"a.example\"", "cannot read secret_file"),
            ("[http]\npublic_url = \"http://x\"", "`http.public_url`: `http://x` does not begin"),
            ("[http]\nproxy_protocol = true", "`http.trusted_proxies` names none"),
            ("[auth]\nalgorithms = []", "`auth.algorithms` is empty"),
            ("[[domains]]\nname = \"a..b\"", "`domains`: `a..b` is not a domain"),
            ("[[domains]]\nname = \"Localhost\"", "`localhost` is served here already"),
            (
                "domain = \"münchen.example\"\n[[domains]]\nname = \"xn--mnchen-3ya.example\"",
                "`münchen.example` is served here already",
            ),
            ("domain = \"xn--99999999.example\"", "is not a domain"),
            ("[[domains]]\nname = \"upload.localhost\"", "`upload.localhost` is served here already"),
            ("[[domains]]\nname = \"a.example\"\nkey = \"/dev/null\"", "certificate and key go together"),
            (
                "[[domains]]\nname = \"a.example\"\n[domains.ldap]\nurl = \"http://x\"",
                "`domains` of `a.example`: `ldap.url`: `http://x` begins with neither",
            ),
            (
                "[auth.oidc]\nissuer = \"https://i\"\nclient_id = \"x\"\n[[domains]]\nname = \"a.example\"\n[domains.oidc]\n\
                 issuer = \"https://i\"\nclient_id = \"y\"",
                "the provider https://i is that of two domains",
            ),
            (
                "[xmpp]\nregistration = true\n[[domains]]\nname = \"a.example\"\n[domains.oidc]\nissuer = \"https://i\"\n\
                 client_id = \"y\"\naccounts = \"link\"",
                "lets strangers take a name first",
            ),
            (
                "[auth.oidc]\nissuer = \"https://i\"\nclient_id = \"x\"\naccounts = \"link\"\n[xmpp]\nregistration = true",
                "lets strangers take a name first",
            ),
            (
                "[auth.oidc]\nissuer = \"https://i\"\nclient_id = \"x\"\naccounts = \"both\"\n[xmpp]\nregistration = true",
                "lets strangers take a name first",
            ),
            ("[store]\nurl = \"sqlite://\"", "`store.url`: a file is missing"),
            ("[store]\nurl = \"mysql://x\"", "`store.url`: no store is called `mysql`"),
        ] {
            let faults = faults(&read(text).unwrap()).join("; ");
            assert!(faults.contains(why), "{text}: {faults}");
        }
        assert!(faults(&Config::default()).is_empty());
        let made = "[auth.oidc]\nissuer = \"https://i\"\nclient_id = \"x\"\n[xmpp]\nregistration = true";
        assert_eq!(faults(&read(made).unwrap()), <Vec<String>>::new(), "names that nobody has");
        for domain in ["localhost", "example.org", "127.0.0.1", "münchen.example"] {
            assert!(
                faults(&Config { domain: domain.to_owned(), ..Config::default() }).is_empty(),
                "{domain}"
            );
        }
    }

    #[test]
    fn a_proxy_that_is_believed_is_slowed_too() {
        let faults = |proxy: &str, exempt: &str| {
            let text =
                format!("[http]\ntrusted_proxies = [\"{proxy}\"]\n[auth]\nthrottle_exempt = [\"{exempt}\"]");
            exempt_proxies(&read(&text).unwrap()).len()
        };
        assert_eq!(faults("192.0.2.7", "192.0.2.7"), 1);
        assert_eq!(faults("192.0.2.7", "192.0.2.0/24"), 1);
        assert_eq!(faults("2001:db8::/32", "2001:db8:1::/48"), 1);
        assert_eq!(faults("192.0.2.7", "192.0.2.8"), 0);
        assert_eq!(faults("192.0.2.0/28", "2001:db8::/32"), 0);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = read("[sip]\nudpp = []").unwrap_err().to_string();
        assert_eq!(error, "configuration: unknown key `sip.udpp`; did you mean `sip.udp`?");
    }
}
