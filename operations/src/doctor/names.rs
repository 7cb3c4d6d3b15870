//! Whether the domain leads to our ports — RFC 3263 §4 (SIP), RFC 6120 §3.2 and XEP-0368 (XMPP).
//!
//! In    addresses and SRV records of the domain. Out where they differ from what listens. A domain of this machine alone is passed over.

use shared_runtime::names::Names;

use super::{Findings, Ward, is_loopback_domain};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    if !ward.asks_names || is_loopback_domain(&ward.domain) {
        return found.note(format!("no name server is asked about {}", ward.domain), "");
    }
    let names = Names::new(&ward.name_servers);
    for host in [&ward.domain, &ward.rooms_domain] {
        match names.addresses(host).await {
            Err(_) => return found.unchecked("no name server answers"),
            Ok(all) if all.is_empty() => found.error(
                format!("{host} has no address: who knows no SRV finds nobody"),
                "publish what `cusax config zone --address …` prints",
            ),
            Ok(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                found.ok(format!("{host} is at {}", all.join(", ")));
            }
        }
    }
    for (record, listener) in SERVICES {
        let name = format!("{record}.{}", ward.domain);
        let port = ward.faces.iter().find(|face| face.name == *listener).map(|face| face.address.port());
        let Ok(records) = names.srv(&name).await else {
            found.unchecked(format!("{name}: no name server answers"));
            continue;
        };
        let leads = records.iter().filter(|record| record.target != ".").collect::<Vec<_>>();
        match port {
            None if !leads.is_empty() => found.error(
                format!("{name} leads to port {}, and {listener} listens nowhere", leads[0].port),
                "take the record away, or give the listener an address",
            ),
            Some(port) if port != 0 && leads.is_empty() && port != default_of(listener) => found.error(
                format!(
                    "{name} is not published, and {listener} is not at the port that clients guess: {port}"
                ),
                "publish what `cusax config zone` prints",
            ),
            Some(port) if port != 0 && leads.is_empty() => found.note(
                format!("{name} is not published; clients guess port {port}, which is right"),
                "publish what `cusax config zone` prints",
            ),
            Some(port) if port != 0 && leads.iter().all(|record| record.port != port) => found.error(
                format!("{name} leads to port {}, and {listener} is at {port}", leads[0].port),
                "publish what `cusax config zone` prints",
            ),
            _ => {}
        }
    }
}

/// The port that is guessed where no record says it.
fn default_of(listener: &str) -> u16 {
    match listener {
        "sip.udp" | "sip.tcp" => 5060,
        "sip.tls" => 5061,
        "xmpp.c2s" => 5222,
        "xmpp.s2s" => 5269,
        // Nobody guesses direct TLS.
        _ => 5223,
    }
}

const SERVICES: &[(&str, &str)] = &[
    ("_sips._tcp", "sip.tls"),
    ("_sip._tcp", "sip.tcp"),
    ("_sip._udp", "sip.udp"),
    ("_xmpps-client._tcp", "xmpp.c2s_tls"),
    ("_xmpp-client._tcp", "xmpp.c2s"),
    ("_xmpp-server._tcp", "xmpp.s2s"),
];
