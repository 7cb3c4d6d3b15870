//! `cusax config zone`.

use std::net::{IpAddr, SocketAddr};

use anyhow::bail;
use provisioning::{Ports, Zone};
use shared_model::idn::{to_ascii, to_unicode};

use crate::config::Config;
use crate::out::say;

pub(crate) fn print(
    config: &Config,
    addresses: &[IpAddr],
    host: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    // A port that the system will choose cannot be told beforehand.
    let port = |all: &[SocketAddr]| all.first().map(SocketAddr::port).filter(|port| *port != 0);
    let (sip, xmpp) = (&config.sip, &config.xmpp);
    let others = ["pubsub", "directory", "upload"].map(|name| format!("{name}.{}", config.domain));
    let components = xmpp.component.iter().map(|component| component.domain.clone());
    let services: Vec<String> = std::iter::once(config.rooms_domain())
        .chain(others)
        .chain(components)
        .map(|name| to_ascii(&name).into_owned())
        .collect();
    let domain = to_ascii(&config.domain);
    let host = match host.map(|host| (host, to_unicode(host))) {
        None => domain.clone(),
        Some((_, Some(host))) if is_name(&host) => to_ascii(&host).into_owned().into(),
        Some((host, _)) => bail!("`{host}` is not the name of a host"),
    };
    let zone = Zone {
        domain: &domain,
        host: &host,
        addresses,
        services: &services,
        ports: Ports {
            sip_udp: port(&sip.udp),
            sip_tcp: port(&sip.tcp),
            sip_tls: port(&sip.tls),
            xmpp: port(&xmpp.c2s),
            xmpp_tls: port(&xmpp.c2s_tls),
            xmpp_s2s: port(&xmpp.s2s),
            xmpp_s2s_tls: port(&xmpp.s2s_tls),
            https: port(&config.http.https),
        },
        federation: (port(&xmpp.s2s), port(&xmpp.s2s_tls)),
    };
    tell(&zone, json)?;
    // Other domains are served by the same host, and have no services beside them.
    for domain in &config.domains {
        let further = Zone { domain: &to_ascii(&domain.name), addresses: &[], services: &[], ..zone };
        if !json {
            say("")?;
        }
        tell(&further, json)?;
    }
    Ok(())
}

/// RFC 1123 §2.1: no address, and no label that is empty or has a hyphen at its end.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    host.parse::<IpAddr>().is_err() && host.split('.').all(is_label)
}

/// As a zone file, or as one JSON object for each record.
fn tell(zone: &Zone<'_>, json: bool) -> anyhow::Result<()> {
    let text = zone.print();
    if !json {
        return say(text.trim_end());
    }
    let records = text.lines().filter(|line| !line.starts_with(';'));
    for (name, record) in records.filter_map(|line| line.split_once(" IN ")) {
        let (kind, value) = record.split_once(' ').unwrap_or((record, ""));
        say(serde_json::json!({ "name": name, "type": kind, "ttl": 3600, "value": value }))?;
    }
    Ok(())
}
