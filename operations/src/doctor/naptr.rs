//! Whether each domain's NAPTR records lead to our ways — RFC 3263 §4.1: which transport of SIP is liked best, and whose SRV records say where.
//!
//! In    records of each domain. Out where they name what listens nowhere, or leave out what listens. A domain of this machine alone is passed over.
//! Not here: the SRV records of the usual names (`dns`).

use shared_runtime::names::{Names, Naptr};

use super::{Findings, Ward, is_loopback_domain};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let names = Names::new(&ward.name_servers);
    for domain in ward.each_domain(found) {
        if !ward.asks_names || is_loopback_domain(domain) {
            found.note(format!("no name server is asked about {domain}"), "");
            continue;
        }
        let Ok(records) = names.naptr(domain).await else {
            return found.unchecked("no name server answers");
        };
        look(ward, &names, domain, &records, found).await;
    }
}

async fn look(ward: &Ward, names: &Names, domain: &str, records: &[Naptr], found: &mut Findings) {
    let listens = |listener: &str| ward.faces.iter().any(|face| face.name == listener);
    judge(domain, records, listens, found);
    for record in records.iter().filter(|record| listener_of(record).is_some_and(listens)) {
        match names.srv(&record.replacement).await {
            Ok(all) if all.is_empty() => found.error(
                format!(
                    "the NAPTR record for {} leads to {}, which has no SRV record",
                    record.service, record.replacement
                ),
                PUBLISH,
            ),
            Ok(_) => {}
            Err(_) => found.unchecked(format!("{}: no name server answers", record.replacement)),
        }
    }
}

fn judge(domain: &str, records: &[Naptr], listens: impl Fn(&str) -> bool, found: &mut Findings) {
    // Those of other protocols are others' (RFC 3263 §4.1).
    let ours: Vec<_> = records.iter().filter_map(|record| Some((record, listener_of(record)?))).collect();
    if ours.is_empty() {
        return found.note(
            format!(
                "{domain} has no NAPTR record for SIP: who calls tries SRV records, in an order of their own"
            ),
            PUBLISH,
        );
    }
    let dead: Vec<_> = ours.iter().filter(|(_, listener)| !listens(listener)).collect();
    for (record, listener) in &dead {
        found.error(
            format!("a NAPTR record of {domain} names {}, and {listener} listens nowhere", record.service),
            "take the record away, or give the listener an address",
        );
    }
    let is_left_out = |listener: &&str| listens(listener) && !ours.iter().any(|(_, named)| named == listener);
    let left: Vec<_> = WAYS.iter().map(|(_, listener)| *listener).filter(is_left_out).collect();
    // Who finds NAPTR records goes by them alone.
    for listener in &left {
        found.warning(
            format!(
                "{domain} has NAPTR records, and none for {listener}: nobody who reads them comes that way"
            ),
            PUBLISH,
        );
    }
    if dead.is_empty() && left.is_empty() {
        found.ok(format!("the NAPTR records of {domain} name the {} ways of calls that listen", ours.len()));
    }
}

/// The listener of a record of ours.
fn listener_of(record: &Naptr) -> Option<&'static str> {
    let is_its = |(service, _): &&(&str, &str)| record.service.eq_ignore_ascii_case(service);
    WAYS.iter().find(is_its).filter(|_| record.flags.eq_ignore_ascii_case("s")).map(|(_, listener)| *listener)
}

const WAYS: [(&str, &str); 3] = [("SIPS+D2T", "sip.tls"), ("SIP+D2T", "sip.tcp"), ("SIP+D2U", "sip.udp")];
const PUBLISH: &str = "publish what `cusax config zone` prints";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    fn of(services: &[&str], listening: &[&str]) -> Vec<(Severity, String)> {
        let record = |service: &&str| Naptr {
            order: 10,
            preference: 0,
            flags: "S".to_owned(),
            service: (*service).to_owned(),
            regexp: String::new(),
            replacement: "_sips._tcp.example.org.".to_owned(),
        };
        let records: Vec<_> = services.iter().map(record).collect();
        let mut found = Findings { check: "naptr", all: Vec::new() };
        judge("example.org", &records, |listener| listening.contains(&listener), &mut found);
        found.all.into_iter().map(|finding| (finding.severity, finding.text)).collect()
    }

    #[test]
    fn records_name_what_listens_and_nothing_else() {
        let all = ["sip.tls", "sip.udp"];
        assert_eq!(of(&["sips+d2t", "SIP+D2U", "AAA+D2T"], &all)[0].0, Severity::Ok);
        assert_eq!(of(&[], &all)[0].0, Severity::Note);
        let left = of(&["SIPS+D2T"], &all);
        assert!(
            left.len() == 1 && left[0].0 == Severity::Warning && left[0].1.contains("sip.udp"),
            "{left:?}"
        );
        let dead = of(&["SIPS+D2T", "SIP+D2T"], &["sip.tls"]);
        assert!(dead.len() == 1 && dead[0].0 == Severity::Error && dead[0].1.contains("SIP+D2T"), "{dead:?}");
    }
}
