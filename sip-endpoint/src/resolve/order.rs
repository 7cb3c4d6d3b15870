//! In which order NAPTR records are tried — RFC 3263 §4.1: order, preference.

use shared_runtime::names::Naptr;

use crate::flow::Transport;

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
