//! Whether each domain leads to our ports — RFC 3263 §4 (SIP), RFC 6120 §3.2 and XEP-0368 (XMPP).
//!
//! In    addresses and SRV records of each domain. Out where they differ from what listens. A domain of this machine alone is passed over.
//! Further domains need no address of their own: their records lead to the host of the main one.

use shared_runtime::names::{Names, Silence};

use super::{Findings, Ward, is_loopback_domain};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let names = Names::new(&ward.name_servers);
    for domain in ward.each_domain(found) {
        if !ward.asks_names || is_loopback_domain(domain) {
            found.note(format!("no name server is asked about {domain}"), "");
        } else if look(ward, &names, domain, found).await.is_err() {
            return found.unchecked("no name server answers");
        }
    }
}

/// An error where no name server answers.
async fn look(ward: &Ward, names: &Names, domain: &str, found: &mut Findings) -> Result<(), Silence> {
    let is_main = domain == ward.domains.main();
    let mut is_there = true;
    for host in [domain, &ward.rooms_domain].into_iter().take(if is_main { 2 } else { 1 }) {
        let all: Vec<String> = names.addresses(host).await?.iter().map(ToString::to_string).collect();
        match (all.is_empty(), is_main) {
            (false, _) => found.ok(format!("{host} is at {}", all.join(", "))),
            (true, true) => found.error(
                format!("{host} has no address: who knows no SRV finds nobody"),
                "publish what `cusax config zone --address …` prints",
            ),
            // SRV records lead from it to the main domain's host.
            (true, false) => is_there = false,
        }
    }
    for (record, listener) in SERVICES {
        let name = format!("{record}.{domain}");
        let port = ward.faces.iter().find(|face| face.name == *listener).map(|face| face.address.port());
        let Ok(records) = names.srv(&name).await else {
            found.unchecked(format!("{name}: no name server answers"));
            continue;
        };
        let leads = records.iter().filter(|record| record.target != ".").map(|record| record.port);
        judge(&name, listener, port, &leads.collect::<Vec<_>>(), is_there, found);
    }
    Ok(())
}

/// `port`: where we listen; `leads`: the ports that records lead to; `is_there`: whether who finds no record finds the host.
fn judge(name: &str, listener: &str, port: Option<u16>, leads: &[u16], is_there: bool, found: &mut Findings) {
    match (port, leads.first()) {
        (None, Some(led)) => found.error(
            format!("{name} leads to port {led}, and {listener} listens nowhere"),
            "take the record away, or give the listener an address",
        ),
        (Some(0) | None, _) => {}
        (Some(port), None) if port != default_of(listener) => found.error(
            format!("{name} is not published, and {listener} is not at the port that clients guess: {port}"),
            PUBLISH,
        ),
        (Some(_), None) if !is_there => {
            found.error(
                format!("{name} is not published, and its domain has no address: nobody comes that way"),
                PUBLISH,
            );
        }
        (Some(port), None) => {
            found
                .note(format!("{name} is not published; clients guess port {port}, which is right"), PUBLISH);
        }
        (Some(port), Some(led)) if !leads.contains(&port) => {
            found.error(format!("{name} leads to port {led}, and {listener} is at {port}"), PUBLISH);
        }
        _ => {}
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
const PUBLISH: &str = "publish what `cusax config zone` prints";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn records_lead_where_we_listen_or_are_not_needed() {
        let of = |listener: &str, port: Option<u16>, leads: &[u16], is_there: bool| {
            let mut found = Findings { check: "dns", all: Vec::new() };
            judge("_x._tcp.example.net", listener, port, leads, is_there, &mut found);
            found.all.pop().map(|finding| finding.severity)
        };
        assert_eq!(of("xmpp.c2s", Some(5222), &[5222], false), None);
        assert_eq!(of("xmpp.c2s", Some(5222), &[1, 5222], true), None);
        assert_eq!(of("xmpp.c2s", None, &[], false), None);
        assert_eq!(of("xmpp.c2s", Some(0), &[], false), None, "the system chooses it");
        assert_eq!(of("xmpp.c2s", Some(5222), &[], true), Some(Severity::Note));
        assert_eq!(of("xmpp.c2s", Some(5222), &[], false), Some(Severity::Error));
        assert_eq!(of("xmpp.c2s", Some(52), &[], true), Some(Severity::Error));
        assert_eq!(of("xmpp.c2s", Some(5222), &[52], true), Some(Severity::Error));
        assert_eq!(of("xmpp.c2s", None, &[5222], true), Some(Severity::Error));
    }
}
