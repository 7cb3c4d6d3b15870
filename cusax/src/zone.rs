//! `cusax config zone`.

use std::net::{IpAddr, SocketAddr};

use provisioning::{Ports, Zone};
use shared_model::idn::to_ascii;

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
    let zone = Zone {
        domain: &domain,
        host: &to_ascii(host.unwrap_or(&config.domain)),
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

/// As a zone file, or as one JSON object for each record.
fn tell(zone: &Zone<'_>, json: bool) -> anyhow::Result<()> {
    let text = zone.print();
    if !json {
        return say(text.trim_end());
    }
    for (name, record) in text.lines().filter_map(|line| line.split_once(" IN ")) {
        let (kind, value) = record.split_once(' ').unwrap_or((record, ""));
        say(serde_json::json!({ "name": name, "type": kind, "ttl": 3600, "value": value }))?;
    }
    Ok(())
}
