//! In which order records are tried — RFC 2782 (SRV: priority, weight), RFC 3263 §4.1 (NAPTR: order, preference).

use crate::flow::Transport;

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    /// With its final dot.
    pub(super) target: String,
}

/// One NAPTR record (RFC 3403 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones first; a higher one only if the lower ones are of no use.
    pub order: u16,
    /// Lower ones first among those of one order.
    pub preference: u16,
    /// What the record ends in, such as `s` or `u`.
    pub flags: String,
    /// What it is for, such as `SIP+D2T` or `E2U+sip`.
    pub service: String,
    /// A substitution expression, or nothing.
    pub regexp: String,
    /// The next name, with its final dot.
    pub replacement: String,
}

/// SRV records as they are tried: by priority, and by chance among equals, where weight is chance (RFC 2782).
pub(super) fn srv(mut records: Vec<Srv>, mut random: impl FnMut() -> u64) -> Vec<Srv> {
    // Those of weight 0 come first among equals, so that they have a small chance of being chosen.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.partition_point(|record| record.priority == priority);
        let sum: u64 = records[..equals].iter().map(|record| u64::from(record.weight)).sum();
        let chosen = random() % (sum + 1);
        let mut running = 0;
        let at = records[..equals].iter().position(|record| {
            running += u64::from(record.weight);
            running >= chosen
        });
        ordered.push(records.remove(at.unwrap_or(0)));
    }
    ordered
}

/// What of NAPTR records is for us, as it is tried: the transport, and the name of its SRV records.
pub(super) fn naptr(mut records: Vec<Naptr>, is_sips: bool) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    records
        .into_iter()
        .filter(|record| record.flags.eq_ignore_ascii_case("s") && record.regexp.is_empty())
        .filter_map(|record| Some((transport_of(&record.service, is_sips)?, record.replacement)))
        .collect()
}

/// RFC 3263 §4.1, RFC 7118 §5.5. A SIPS URI takes protected services alone; a SIP URI may take them too.
fn transport_of(service: &str, is_sips: bool) -> Option<Transport> {
    match service.to_ascii_uppercase().as_str() {
        "SIPS+D2T" => Some(Transport::Tls),
        "SIPS+D2W" => Some(Transport::Wss),
        "SIP+D2U" if !is_sips => Some(Transport::Udp),
        "SIP+D2T" if !is_sips => Some(Transport::Tcp),
        "SIP+D2W" if !is_sips => Some(Transport::Ws),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.to_owned() }
    }

    fn names(records: Vec<Srv>) -> String {
        records.into_iter().map(|record| record.target).collect()
    }

    #[test]
    fn lower_priority_comes_first_whatever_the_weight() {
        let records = vec![record(20, 65_535, "c"), record(10, 0, "a"), record(15, 1, "b")];
        for chance in [0, 1, u64::MAX] {
            assert_eq!(names(srv(records.clone(), || chance)), "abc");
        }
    }

    /// RFC 2782: the first whose running sum is not less than the number.
    #[test]
    fn weight_is_chance_among_equals() {
        let records = || vec![record(1, 60, "c"), record(1, 10, "a"), record(1, 30, "b"), record(1, 0, "o")];
        let first = |chance| srv(records(), || chance).remove(0).target;
        assert_eq!((first(0).as_str(), first(1).as_str(), first(10).as_str()), ("o", "a", "a"));
        assert_eq!((first(11).as_str(), first(40).as_str(), first(41).as_str()), ("b", "b", "c"));
        assert_eq!(first(100), "c");
        let mut counts = std::collections::HashMap::new();
        let mut seed = 1u64;
        for _ in 0..10_000 {
            let ordered = srv(records(), || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed >> 33
            });
            assert_eq!(ordered.len(), 4);
            *counts.entry(ordered[0].target.clone()).or_insert(0) += 1;
        }
        assert!((5_500..6_500).contains(&counts["c"]) && (2_600..3_400).contains(&counts["b"]), "{counts:?}");
    }

    fn pointer(order: u16, service: &str) -> Naptr {
        Naptr {
            order,
            preference: 50,
            flags: "s".to_owned(),
            service: service.to_owned(),
            regexp: String::new(),
            replacement: format!("{service}."),
        }
    }

    /// RFC 3263 §4.1, the example and its rules.
    #[test]
    fn naptr_gives_the_transports_that_we_have_in_the_servers_order() {
        let mut records = vec![
            pointer(100, "SIP+D2U"),
            pointer(50, "SIPS+D2T"),
            pointer(90, "sip+d2t"),
            pointer(10, "SIP+D2S"),
            pointer(10, "E2U+sip"),
        ];
        records.push(Naptr { flags: "u".to_owned(), ..pointer(1, "SIP+D2U") });
        records.push(Naptr { regexp: "!.*!x!".to_owned(), ..pointer(1, "SIP+D2U") });
        let transports = |is_sips| -> Vec<Transport> {
            naptr(records.clone(), is_sips).into_iter().map(|(transport, _)| transport).collect()
        };
        assert_eq!(transports(false), [Transport::Tls, Transport::Tcp, Transport::Udp]);
        assert_eq!(transports(true), [Transport::Tls]);
    }
}
