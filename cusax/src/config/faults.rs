//! What is wrong with a configuration.
//!
//! In    the configuration. Out a sentence for each fault, with its key; `config check` says them, and a start is refused by the first kind.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use operations::doctor::Face;
use shared_auth::{OidcConfig, Policy};
use shared_model::{Aor, idn};
use shared_runtime::listen::{self, Stack};
use shared_runtime::tls::{TlsError, TlsPolicy};
use shared_runtime::{Network, telemetry};
use shared_store::Store;

use super::Config;

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    // RFC 1035 §2.3.4, of what stands in the DNS.
    let is_short = |name: &str| name.len() <= 253 && name.split('.').all(|label| label.len() <= 63);
    name.split('.').all(is_label) && is_short(&idn::to_ascii(name)) && Aor::new("x", name).is_ok()
}

/// The domain of rooms is no other one: addresses there are rooms.
fn faults_of_rooms(config: &Config) -> Vec<String> {
    let (rooms, domain) = (config.rooms_domain(), &config.domain);
    let is_taken = rooms == *domain || config.services().contains(&rooms);
    let taken = is_taken.then(|| format!("`conference.domain`: `{rooms}` is served here as something else"));
    let conference = &config.conference;
    let names = [("factory", &conference.factory), ("voicemail", &conference.voicemail)];
    let is_name = |name: &str| name.is_empty() || Aor::new(name, &rooms).is_ok();
    let bad = names.into_iter().filter(|(_, name)| !is_name(name));
    let bad = bad.map(|(key, name)| format!("`conference.{key}`: `{name}` is not the name of an address"));
    let is_one = !conference.factory.is_empty() && conference.factory == conference.voicemail;
    let one = is_one.then(|| "`conference.factory` and `conference.voicemail` are one name".to_owned());
    taken.into_iter().chain(bad).chain(one).collect()
}

/// Further domains: each is one, is nothing else here, and has both files of a certificate or none.
fn faults_of_domains(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let services = config.services();
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

/// A folder with a chat client for browsers has its files; where the client is at a host alone, that is not the one of the pages, of
/// whatever port, since cookies are of hosts.
fn faults_of_web_client(config: &Config) -> Vec<String> {
    let provisioning = &config.provisioning;
    let Some(folder) = &provisioning.web_client_files else { return Vec::new() };
    let page = config.http.public_url.clone().unwrap_or_else(|| format!("https://{}", config.host()));
    let host = |url: &str| {
        url.split(['/', '?', '#']).nth(2).and_then(|host| host.split(':').next()).map(str::to_ascii_lowercase)
    };
    let is_apart = |url: &String| {
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        host(url) != host(&page) && path.strip_prefix("chat/").is_some_and(|rest| !rest.starts_with("files"))
    };
    let elsewhere = provisioning.web_client.as_ref().filter(|url| !is_apart(url)).map(|_| {
        "`provisioning.web_client` beside `provisioning.web_client_files` is `/chat/` at a host that the client alone is at, and not \
         the pages: leave it out where both are at one"
            .to_owned()
    });
    let lacks = provisioning::web_client_fault(folder);
    let lacks = lacks.map(|fault| format!("`provisioning.web_client_files`: {fault}"));
    elsewhere.into_iter().chain(lacks).collect()
}

/// What no type says: names that are none, files that are not there, times in which nothing can happen.
pub(super) fn of(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, domain) in [("domain", &config.domain), ("conference.domain", &config.rooms_domain())] {
        if !is_domain(domain) {
            faults.push(format!("`{key}`: `{domain}` is not a domain"));
        }
    }
    faults.extend(faults_of_domains(config));
    faults.extend(faults_of_rooms(config));
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
    let is_url = |url: &str| {
        let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
        host.is_some_and(|host| !host.is_empty()) && !url.contains(char::is_whitespace)
    };
    if let Some(url) = config.http.public_url.as_ref().filter(|url| !is_url(url)) {
        faults.push(format!("`http.public_url`: `{url}` is not a URL that begins with https://"));
    }
    faults.extend(faults_of_web_client(config));
    for (key, threads) in
        [("sip.threads", config.sip.threads), ("conference.threads", config.conference.threads)]
    {
        if threads > MOST_THREADS {
            faults.push(format!("`{key}`: {threads} are more than {MOST_THREADS}"));
        }
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
    let services = config.services();
    let domains = [config.domain.clone(), config.rooms_domain()].into_iter().chain(services);
    let domains: Vec<String> = domains.collect();
    faults.extend(config.xmpp.faults(&domains.iter().map(String::as_str).collect::<Vec<_>>()));
    faults
}

/// What else would keep the service from starting here and now, files and addresses among it.
pub(super) fn judge(config: &Config) -> anyhow::Result<()> {
    let policy = TlsPolicy::look(&config.certificates(), &config.data_dir).context("tls")?;
    let mut faults = match policy {
        Some(policy) => policy.unread(),
        // Before the first start there is no authority of our own, beside which they would be read.
        None => config
            .certificates()
            .others
            .iter()
            .filter_map(|own| own.check().err())
            .map(|error| error.to_string())
            .collect(),
    };
    faults.extend(telemetry::check(&config.telemetry).err().map(|error| error.to_string()));
    faults.extend(twice(&crate::doctor::faces(config)));
    faults.extend(exempt_proxies(config));
    faults.extend(unreadable(config));
    faults.extend(nowhere(config));
    if config.sip.contacts == 0 {
        faults.push("`sip.contacts` is 0: no phone could register".to_owned());
    }
    if !faults.is_empty() {
        bail!("configuration: {}", faults.join("; "));
    }
    Ok(())
}

/// Files that the service reads at its start, and that cannot be read.
fn unreadable(config: &Config) -> Vec<String> {
    let mut files = Vec::new();
    for keepers in config.keepers() {
        files.push(("auth.ldap.bind_password_file", &keepers.ldap.bind_password_file));
        files.push(("auth.oidc.client_secret_file", &keepers.oidc.client_secret_file));
    }
    let fault = |(key, file): (&str, &Option<PathBuf>)| {
        let file = file.as_ref()?;
        let error = std::fs::read(file).err()?;
        Some(format!("`{key}`: cannot read {}: {error}", file.display()))
    };
    files.into_iter().filter_map(fault).chain(config.sip.faults_of_files()).collect()
}

/// Folders that are none, a store that is no database, and addresses that this machine does not have.
fn nowhere(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let is_folder = |folder: &Path| folder.ancestors().find(|it| it.exists()).is_none_or(Path::is_dir);
    if !is_folder(&config.data_dir) {
        faults.push(format!("`data_dir`: {} cannot be a folder", config.data_dir.display()));
    }
    let recordings = &config.conference.recordings;
    if !recordings.as_os_str().is_empty() && !recordings.is_dir() {
        faults.push(format!("`conference.recordings`: {} is not a folder", recordings.display()));
    }
    if let Some(file) = config.store_file().filter(|file| file.exists())
        && !is_database(&file)
    {
        faults.push(format!("`store.url`: {} is not a database of SQLite", file.display()));
    }
    for face in crate::doctor::faces(config) {
        if !listen::has(face.address.ip()) {
            faults.push(format!("`{}`: {} is not an address of this machine", face.name, face.address.ip()));
        }
    }
    faults
}

/// Whether a file is one that SQLite can open: an empty one becomes one.
fn is_database(file: &Path) -> bool {
    let mut head = Vec::new();
    let read =
        std::fs::File::open(file).and_then(|file| file.take(SQLITE.len() as u64).read_to_end(&mut head));
    // Who may not read it here is not who serves it.
    match read {
        Ok(_) => head.is_empty() || head == SQLITE,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
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
        let meets = |other: &Face| meets(faces, (other.name, other.address), (face.name, face.address));
        let taken = before.filter(|other| is_udp(other) == is_udp(face) && meets(other));
        faults.extend(taken.map(|other| {
            let (one, two) = (other.address, face.address);
            let both = if one == two { one.to_string() } else { format!("{one} and {two}, which meet") };
            format!("`{}` and `{}` both listen on {both}", other.name, face.name)
        }));
    }
    faults
}

/// Whether one address takes what the other is: `0.0.0.0` all of IPv4, and `[::]` that as well, unless its own list has `0.0.0.0`.
fn meets(faces: &[Face], one: (&str, SocketAddr), other: (&str, SocketAddr)) -> bool {
    let takes = |(name, address): (&str, SocketAddr), other: SocketAddr| {
        let neighbours: Vec<_> = faces.iter().filter(|it| it.name == name).map(|it| it.address).collect();
        let is_any = address.ip().is_unspecified();
        let is_dual = address.is_ipv6() && Stack::beside(address, &neighbours) == Stack::Dual;
        address.ip() == other.ip() || (is_any && (address.is_ipv4() == other.is_ipv4() || is_dual))
    };
    one.1.port() == other.1.port() && (takes(one, other.1) || takes(other, one.1))
}

/// How a database of SQLite begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// Threads of one kind: more than machines have cores.
const MOST_THREADS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn nonsense_is_not_well_formed() {
        for (text, why) in [
            ("domain = \"not a domain\"", "`domain`: `not a domain` is not a domain"),
            ("domain = \"\"", "is not a domain"),
            ("domain = \"a..b\"", "is not a domain"),
            ("[conference]\ndomain = \"-\"", "`conference.domain`"),
            ("[conference]\ndomain = \"localhost\"", "`conference.domain`: `localhost` is served here as"),
            ("[conference]\ndomain = \"upload.localhost\"", "`upload.localhost` is served here as"),
            ("[conference]\nfactory = \"voicemail\"", "are one name"),
            ("[conference]\nfactory = \"a b@\"", "`a b@` is not the name of an address"),
            ("[conference]\nthreads = 100000", "`conference.threads`: 100000 are more than 1024"),
            ("[sip]\nthreads = 5000", "`sip.threads`: 5000 are more than 1024"),
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
            ("[http]\npublic_url = \"http://x\"", "`http.public_url`: `http://x` is not a URL"),
            ("[http]\npublic_url = \"https://\"", "`http.public_url`: `https://` is not a URL"),
            ("[http]\npublic_url = \"https://a b\"", "`http.public_url`: `https://a b` is not a URL"),
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
            ("[sip.push]\nurl = \"zz\"", "`sip.push.url`: `zz` is not a URL"),
            ("[sip]\nservice_route = \"zz\"", "`sip.service_route`: `zz` is not a SIP URI"),
            ("[sip.stir]\nkey = \"/dev/null\"", "go together; only one is given"),
            ("[sip.stir]\nverify = \"tell\"", "sip.stir.verify needs sip.stir.trust"),
            ("[store]\nurl = \"sqlite://\"", "`store.url`: a file is missing"),
            ("[store]\nurl = \"mysql://x\"", "`store.url`: no store is called `mysql`"),
        ] {
            let faults = of(&read(text).unwrap()).join("; ");
            assert!(faults.contains(why), "{text}: {faults}");
        }
        assert!(of(&Config::default()).is_empty());
        let made = "[auth.oidc]\nissuer = \"https://i\"\nclient_id = \"x\"\n[xmpp]\nregistration = true";
        assert_eq!(of(&read(made).unwrap()), <Vec<String>>::new(), "names that nobody has");
        for domain in ["localhost", "example.org", "127.0.0.1", "münchen.example"] {
            assert!(of(&Config { domain: domain.to_owned(), ..Config::default() }).is_empty(), "{domain}");
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
    fn a_file_that_the_start_would_miss_is_missed_before() {
        for (text, why) in [
            ("[tls]\ntrust = \"/nowhere/ca.pem\"", "/nowhere/ca.pem"),
            ("[tls]\nclient_ca = \"/nowhere/ca.pem\"", "/nowhere/ca.pem"),
            ("[tls]\nrevoked = [\"/nowhere/crl.pem\"]", "/nowhere/crl.pem"),
            (
                "[sip.push]\nurl = \"https://p.example\"\ntoken_file = \"/nowhere/t\"",
                "`sip.push.token_file`: cannot read /nowhere/t",
            ),
            (
                "[auth.ldap]\nbind_password_file = \"/nowhere/p\"",
                "`auth.ldap.bind_password_file`: cannot read /nowhere/p",
            ),
            ("[telemetry]\nlevel = \"inof\"", "telemetry.level: `inof`"),
            (
                "[sip.stir]\nkey = \"Cargo.toml\"\ncertificate_url = \"https://a.example/c\"",
                "sip.stir.key: Cargo.toml: ",
            ),
            ("[sip.stir]\ntrust = \"Cargo.toml\"", "sip.stir.trust: Cargo.toml: holds no certificate"),
            (
                "[[domains]]\nname = \"a.example\"\ncertificate = \"Cargo.toml\"\nkey = \"Cargo.toml\"",
                "the certificate of a.example: Cargo.toml: holds no certificate",
            ),
            ("data_dir = \"Cargo.toml\"", "`data_dir`: Cargo.toml cannot be a folder"),
            ("data_dir = \"Cargo.toml/x\"", "`data_dir`: Cargo.toml/x cannot be a folder"),
            ("[store]\nurl = \"sqlite:///tmp\"", "`store.url`: /tmp is not a database"),
            ("[store]\nurl = \"sqlite://Cargo.toml\"", "Cargo.toml is not a database"),
            ("[conference]\nrecordings = \"/nowhere\"", "`conference.recordings`: /nowhere is not a folder"),
            ("[conference]\nmedia = \"192.0.2.7:10000\"", "`conference.media`: 192.0.2.7 is not an address"),
            ("[http]\nhttps = [\"192.0.2.9:443\"]", "`http.https`: 192.0.2.9 is not an address"),
            ("[xmpp]\nc2s = [\"0.0.0.0:5222\", \"127.0.0.1:5222\"]", "which meet"),
            ("[xmpp]\nc2s = [\"[::]:5222\"]\nc2s_tls = [\"127.0.0.1:5222\"]", "which meet"),
        ] {
            let judged = judge(&read(text).unwrap());
            let fault = judged.map_or_else(|error| format!("{error:#}"), |()| String::new());
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }

    #[test]
    fn an_archive_is_kept_by_a_word_that_is_one() {
        let error = read("[xmpp]\narchive = \"none\"").unwrap_err().to_string();
        assert!(error.contains("xmpp.archive") && error.contains("always, roster and never"), "{error}");
    }
}
