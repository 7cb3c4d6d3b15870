//! `cusax doctor`: whether the service is well, beside it or without it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use operations::doctor::{
    Face, Finding, NotOpen, Patients, Running, Severity, TABLE, Ward, examine, firewall, plan,
};
use shared_model::{Diagnosis, Doctor, NotLooked, Pending};
use shared_runtime::bus::Bus;
use shared_runtime::tls::TlsPolicy;
use shared_store::Store;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::open;
use crate::out::say;

/// Whether names are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Ask,
    Pass,
}

/// Prints the findings of one check, or of all; an error if something does not hold.
pub(crate) async fn run(config: &Config, name: Option<&str>, names: Names, json: bool) -> anyhow::Result<()> {
    if let Some(name) = name.filter(|name| TABLE.iter().all(|check| check.name != *name)) {
        let all: Vec<_> = TABLE.iter().map(|check| check.name).chain(["ports"]).collect();
        bail!("there is no check `{name}`; there are {}", all.join(", "));
    }
    let ward = ward(config, names).await;
    let findings = tokio::select! {
        findings = examine(&ward, name) => findings,
        told = broken_off() => {
            told?;
            if let Ok((auth, _)) = &ward.auth
                && let Err(error) = ward.patients.discharge_all(auth).await
            {
                bail!("ended before all was looked at; an account that it was tried with stays until the next look: {error}");
            }
            bail!("ended before all was looked at");
        }
    };
    for finding in &findings {
        if json {
            say(finding.to_json())?;
            continue;
        }
        say(format_args!("{:9}  {:13}  {}", finding.severity.as_str(), finding.check, finding.text))?;
        if !finding.remedy.is_empty() {
            say(format_args!("{:26}→ {}", "", finding.remedy))?;
        }
    }
    let ill = findings.iter().filter(|finding| !finding.severity.is_well()).count();
    match (ill, findings.iter().map(|finding| finding.severity).max()) {
        (0, _) => Ok(()),
        (_, Some(Severity::Unchecked)) => bail!("{ill} things could not be checked"),
        _ => bail!("{ill} things do not hold"),
    }
}

/// Somebody does not want to wait.
async fn broken_off() -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut end, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The doctor for the pages and the API of a running server.
pub(crate) struct Surgery {
    config: Config,
    /// One look at a time: each makes accounts and calls.
    turn: Arc<tokio::sync::Semaphore>,
}

impl Surgery {
    pub(crate) fn new(config: &Config) -> Self {
        Self { config: config.clone(), turn: Arc::new(tokio::sync::Semaphore::new(1)) }
    }
}

impl Doctor for Surgery {
    fn look(&self) -> Pending<'_, Result<(Vec<Diagnosis>, bool), NotLooked>> {
        Box::pin(async {
            let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| NotLooked::UnderWay)?;
            let config = self.config.clone();
            // In a task of its own, so that what it makes goes though whoever asked is gone.
            let look = tokio::spawn(async move {
                let findings = examine(&ward(&config, Names::Ask).await, None).await;
                drop(turn);
                findings
            });
            let findings = look.await.map_err(|_| NotLooked::BrokeOff)?;
            let is_well = findings.iter().all(|finding| finding.severity.is_well());
            let of = |finding: Finding| Diagnosis {
                check: finding.check.to_owned(),
                severity: finding.severity.as_str().to_owned(),
                text: finding.text,
                remedy: finding.remedy,
            };
            Ok((findings.into_iter().map(of).collect(), is_well))
        })
    }
}

/// What the command can be asked for.
pub(crate) fn subjects() -> String {
    let names: Vec<&str> = TABLE.iter().map(|check| check.name).collect();
    format!("One check alone: {}; or `ports`, which prints every port and a firewall", names.join(", "))
}

/// `cusax doctor ports`: every port, and a firewall.
pub(crate) async fn ports(config: &Config, json: bool) -> anyhow::Result<()> {
    let plan = plan(&ward(config, Names::Pass).await);
    for line in &plan {
        let ports = match (line.first, line.last) {
            (0, _) => "any".to_owned(),
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let whose = if line.is_public { "everybody" } else { "this machine" };
        if json {
            say(serde_json::json!({
                "port": line.first, "last": line.last, "transport": line.transport, "key": line.key,
                "purpose": line.purpose, "public": line.is_public,
            }))?;
        } else {
            let (transport, key, purpose) = (line.transport, line.key, line.purpose);
            say(format_args!("{ports:12} {transport:4} {key:21} {whose:13} {purpose}"))?;
        }
    }
    if json { Ok(()) } else { say(format_args!("\n{}", firewall(&plan))) }
}

/// The service as it is configured, and where it answers. Nothing is made here: no folder, no lock, no certificate, and without a
/// server no store.
async fn ward(config: &Config, names: Names) -> Ward {
    let running = Running::read(&config.data_dir);
    let running = match running {
        Some(running) if running.answers().await => Some(running),
        _ => None,
    };
    let (url, store_file) = (config.store_url(), config.store_file());
    let rtp_ports = config.conference.rtp_ports.split_once('-');
    let rtp_ports = rtp_ports.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    Ward {
        domains: config.accounts(),
        rooms_domain: config.rooms_domain(),
        data_dir: config.data_dir.clone(),
        auth: match &running {
            None => Err(NotOpen::NoServer),
            Some(_) => accounts(config, &url).await.map_err(|error| NotOpen::Failed(format!("{error:#}"))),
        },
        store_url: url,
        store_file,
        faces: faces(config),
        rtp_ports: rtp_ports.unwrap_or((0, 0)),
        outside: config
            .keepers()
            .into_iter()
            .map(|it| (it.domain.to_owned(), it.ldap.clone(), it.oidc.clone()))
            .collect(),
        relays: config.xmpp.turn.services.len(),
        requires_tls: config.tls.require,
        digests: config.auth.algorithms.iter().map(|algorithm| algorithm.as_str().to_owned()).collect(),
        name_servers: config.sip.dns.clone(),
        asks_names: names == Names::Ask,
        patients: Patients::default(),
        running,
        tls: TlsPolicy::look(&config.certificates(), &config.data_dir).map_err(|error| error.to_string()),
    }
}

async fn accounts(config: &Config, url: &str) -> anyhow::Result<(shared_auth::Auth, Store)> {
    let store = match url.starts_with("memory") {
        true => bail!("it is in the memory of the server alone, where no command reaches it"),
        false => open::store(config).await?,
    };
    Ok((open::auth(config, &store, &Bus::new(), &prometheus::Registry::new()).await?, store))
}

/// Every listener of the configuration.
pub(crate) fn faces(config: &Config) -> Vec<Face> {
    let (sip, xmpp) = (&config.sip, &config.xmpp);
    let media = [config.conference.media];
    let all: [(&'static str, &[SocketAddr]); 10] = [
        ("sip.udp", &sip.udp),
        ("sip.tcp", &sip.tcp),
        ("sip.tls", &sip.tls),
        ("xmpp.c2s", &xmpp.c2s),
        ("xmpp.c2s_tls", &xmpp.c2s_tls),
        ("xmpp.s2s", &xmpp.s2s),
        ("xmpp.s2s_tls", &xmpp.s2s_tls),
        ("http.https", &config.http.https),
        ("conference.media", &media),
        ("operations.listen", &config.operations.listen),
    ];
    let of = |(name, addresses): (&'static str, &[SocketAddr])| {
        addresses.iter().map(|address| Face { name, address: *address }).collect::<Vec<_>>()
    };
    all.into_iter().flat_map(of).collect()
}
