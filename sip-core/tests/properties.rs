//! What every parser promises of any bytes, tried with messages of our own making, with bent torture messages and with
//! noise. The promises are in `tests/conformance/properties.rs`, which fuzzing tries too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tests/conformance/mod.rs"]
mod conformance;
#[path = "../../tests/conformance/properties.rs"]
mod promise;

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sip_core::Message;

static TORTURE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    conformance::rfc4475().into_iter().chain(conformance::rfc5118()).map(|case| case.bytes).collect()
});

/// `token`, §25.1.
fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,12}"
}

fn uri() -> impl Strategy<Value = String> {
    let user = "([A-Za-z0-9_.!~*'()&=+$,;?/-]|%[0-9A-Fa-f]{2}){1,12}";
    let password = prop_oneof![Just(String::new()), "[:]([a-z0-9&=+$,]|%[0-9A-F]{2}){0,6}".boxed()];
    let host = prop_oneof![
        "[a-z][a-z0-9-]{0,8}[a-z](\\.[a-z]{2,6}){0,2}".boxed(),
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()).boxed(),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]")).boxed(),
    ];
    let port =
        prop::option::of(any::<u16>()).prop_map(|port| port.map_or(String::new(), |port| format!(":{port}")));
    let params = "(;[a-z]{1,6}(=([a-z0-9/:&+$-]|%[0-9A-F]{2}){1,6})?){0,3}";
    (user, password, host, port, params)
        .prop_map(|(user, password, host, port, params)| format!("sip:{user}{password}@{host}{port}{params}"))
}

/// White space where it may be, folded or not.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(" "), Just("  "), Just("\t"), Just("\r\n "), Just(" \r\n\t")]
}

fn address(tag: &'static str) -> impl Strategy<Value = String> {
    let quoted = r#""([a-zA-Z ,;<>@äß]|\\["\\]){0,12}" "#;
    let display =
        prop_oneof![Just(String::new()), quoted.boxed(), token().prop_map(|name| name + " ").boxed()];
    (display, uri(), space(), token())
        .prop_map(move |(display, uri, space, value)| format!("{display}<{uri}>{space};{tag}={value}"))
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        "[ -~]{0,30}".prop_map(String::into_bytes),
        // Anything but what would end the line.
        vec(prop_oneof![0_u8..10, 11_u8..13, 14_u8..=255], 0..30),
    ];
    (token(), prop_oneof![Just(": "), Just(":"), Just(" \t: ")], value)
        .prop_filter("a name that would be the second of its kind", |(name, ..)| {
            !["v", "f", "t", "i", "l"].contains(&name.to_ascii_lowercase().as_str())
        })
        .prop_map(|(name, colon, value)| {
            [b"X-".to_vec(), name.into(), colon.into(), value, b"\r\n".to_vec()].concat()
        })
}

/// A message of §25.1, and the number of its headers.
fn message() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let start = prop_oneof![
        (token(), uri()).prop_map(|(method, uri)| (format!("{method} {uri} SIP/2.0\r\n"), method)),
        (100_u16..700, "[A-Za-z0-9 é%]{0,20}", token())
            .prop_map(|(status, reason, method)| (format!("SIP/2.0 {status} {reason}\r\n"), method)),
    ];
    let fixed = (uri(), address("tag"), address("tag"), token(), 0_u32..1 << 31, space());
    let others = (vec(header(), 0..4), vec(header(), 0..4), vec(any::<u8>(), 0..64));
    (start, fixed, others, any::<bool>()).prop_map(|((start, method), fixed, (before, after, body), is_compact)| {
        let (contact, from, to, call_id, number, space) = fixed;
        let names = if is_compact { ["v", "f", "t", "i", "m", "l"] } else { LONG };
        let [via, f, t, i, m, l] = names;
        let head = format!(
            "{via}:{space}SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call_id}\r\n{f}: {from}\r\n{t}:{space}{to}\r\n\
             {i}: {call_id}\r\nCSeq: {number}{space}{method}\r\n{m}: <{contact}>\r\n{l}: {}\r\n",
            body.len()
        );
        let count = 7 + before.len() + after.len();
        let bytes = [start.into(), before.concat(), head.into(), after.concat(), b"\r\n".to_vec(), body].concat();
        (bytes, count)
    })
}

const LONG: [&str; 6] = ["Via", "From", "To", "Call-ID", "Contact", "Content-Length"];

/// A torture message with some bytes replaced, put in, or taken out.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        0_u8..3,
        prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'"')],
    );
    (any::<prop::sample::Index>(), vec(change, 1..6)).prop_map(|(which, changes)| {
        let mut bytes = which.get(&TORTURE).clone();
        for (at, how, byte) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_message_goes_out_as_it_came((bytes, headers) in message()) {
        let read = Message::parse(Bytes::copy_from_slice(&bytes));
        let read = read.map_err(|fault| TestCaseError::fail(format!("{fault}: {}", bytes.escape_ascii())))?;
        prop_assert_eq!(read.header_count(), headers);
        prop_assert!(read.to_bytes() == bytes, "{} and not {}", read.to_bytes().escape_ascii(), bytes.escape_ascii());
        promise::message(&bytes);
    }

    #[test]
    fn a_bent_message_breaks_no_promise(bytes in bent()) {
        promise::message(&bytes);
    }

    #[test]
    fn noise_breaks_no_promise(bytes in vec(any::<u8>(), 0..512)) {
        promise::message(&bytes);
        promise::uri(&bytes);
        promise::sdp(&bytes);
        promise::framer(&bytes);
    }

    #[test]
    fn whatever_stands_in_a_header_breaks_no_promise(text in "[ -~\t]{0,60}", uri in uri(), address in address("x")) {
        for text in [&text, &uri, &address, &format!("{uri}{text}"), &format!("{address}{text}")] {
            promise::uri(text.as_bytes());
        }
    }

    #[test]
    fn a_description_with_odd_lines_breaks_no_promise(lines in vec("[vmcao]=[ -~]{0,30}", 0..12)) {
        promise::sdp(format!("v=0\r\n{}", lines.join("\r\n")).as_bytes());
    }

    #[test]
    fn a_stream_is_cut_anywhere_and_frames_the_same(
        messages in vec(prop_oneof![message().prop_map(|(bytes, _)| bytes), bent(), Just(b"\r\n\r\n".to_vec())], 1..4),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = messages.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([stream.len()]) {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        promise::frames_are_the_same(&stream, pieces.into_iter());
    }
}
