//! The torture messages of RFC 4475 and RFC 5118: what is valid is read and goes out byte for byte, what is not is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tests/conformance/mod.rs"]
mod conformance;

use bytes::Bytes;
use conformance::{Case, rfc4475, rfc5118};
use sip_core::header::{Name, NameAddr, Via};
use sip_core::{Message, Uri};

fn told(bytes: &[u8]) -> String {
    match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(_) => "valid".to_owned(),
        Err(fault) if fault.readable.is_none() => format!("{fault} (unreadable)"),
        Err(fault) => fault.to_string(),
    }
}

fn message(name: &str) -> Message {
    let case = rfc4475().into_iter().find(|case| case.name == name).unwrap();
    Message::parse(case.bytes.into()).unwrap()
}

#[test]
fn every_message_is_read_or_its_fault_is_named() {
    let (first, second) = (rfc4475(), rfc5118());
    assert_eq!((first.len(), second.len()), (49, 12));
    let wrong: Vec<String> = first
        .iter()
        .chain(&second)
        .filter(|case| told(&case.bytes) != case.parser)
        .map(|case| format!("{}: {} and not {}", case.name, told(&case.bytes), case.parser))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a proxy prints of a message: spaces that should not be in the start line, and bytes after the body, are gone.
fn as_it_goes_out(case: &Case) -> Vec<u8> {
    let text = case.bytes.clone();
    let without = |came: &str, goes: &str| {
        let at = text.windows(came.len()).position(|window| window == came.as_bytes()).unwrap();
        [&text[..at], goes.as_bytes(), &text[at + came.len()..]].concat()
    };
    match case.name.as_str() {
        "lwsstart" => {
            without("INVITE  sip:user@example.com  SIP/2.0\r\n", "INVITE sip:user@example.com SIP/2.0\r\n")
        }
        "trws" => without("SIP/2.0  \r\n", "SIP/2.0\r\n"),
        "dblreq" => {
            let end = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            text[..end].to_vec()
        }
        _ => text,
    }
}

#[test]
fn what_is_valid_goes_out_as_it_came() {
    for case in rfc4475().iter().chain(&rfc5118()).filter(|case| case.parser == "valid") {
        let printed = Message::parse(Bytes::copy_from_slice(&case.bytes)).unwrap().to_bytes();
        let wanted = as_it_goes_out(case);
        assert!(
            printed == wanted,
            "{}: {}\nand not\n{}",
            case.name,
            printed.escape_ascii(),
            wanted.escape_ascii()
        );
    }
}

/// RFC 4475 §3.1.1.1.
#[test]
fn a_tortuous_invite_is_understood() {
    let invite = message("wsinv");
    assert_eq!((invite.to_tag(), invite.from_tag()), (Some("1918181833n"), Some("98asjd8")));
    assert_eq!((invite.cseq(), invite.value(Name::MaxForwards)), (Some((9, "INVITE")), Some("0068")));
    let vias: Vec<Via<'_>> = invite.elements(Name::Via).map(|via| Via::parse(via).unwrap()).collect();
    let said: Vec<_> = vias.iter().map(|via| (via.transport, via.host, via.branch().unwrap())).collect();
    let wanted = [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ];
    assert_eq!(said, wanted);
    let contact = NameAddr::parse(invite.value(Name::Contact).unwrap()).unwrap();
    assert_eq!((contact.display, contact.uri), (r#"Quoted string \"\""#, "sip:jdrosen@example.com"));
    assert_eq!(
        (contact.params.value("newparam"), contact.params.value("q")),
        (Some("newvalue"), Some("0.33"))
    );
    assert_eq!(invite.value(Name::Subject), Some(""));
    let unfolded = "newfangled value continued newfangled value";
    assert_eq!(invite.other_values("newfangledheader").next(), Some(unfolded));
}

/// RFC 4475 §3.1.1.2.
#[test]
fn odd_characters_are_understood() {
    let odd = message("intmeth");
    assert_eq!(odd.method(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(Uri::parse(odd.uri()).unwrap().host, "example.com");
    assert_eq!(odd.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(odd.top_via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(odd.call_id(), r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#);
    assert!(odd.other_values("extensionHeader-!.%*+_`'~").next().is_some());
}

/// RFC 4475 §3.1.1.5: an escape in a header's name or a method is none.
#[test]
fn a_percent_sign_is_not_always_an_escape() {
    let message = message("esc02");
    assert_eq!(message.method(), "RE%47IST%45R");
    assert_eq!(message.elements(Name::Contact).count(), 2);
    assert_eq!(NameAddr::parse(message.value(Name::To).unwrap()).unwrap().display, "%Z%45");
}

/// RFC 4475 §3.1.1.4, §3.1.1.11.
#[test]
fn nulls_cut_nothing() {
    let register = message("escnull");
    let to = NameAddr::parse(register.value(Name::To).unwrap()).unwrap();
    assert_eq!(Uri::parse(to.uri).unwrap().user_unescaped(), "null-\0-null");
    let contacts: Vec<_> = register.elements(Name::Contact).filter_map(NameAddr::parse).collect();
    assert!(!Uri::parse(contacts[0].uri).unwrap().is_same(&Uri::parse(contacts[1].uri).unwrap()));
    let multipart = message("mpart01");
    assert_eq!(multipart.body().len(), 553);
    assert!(multipart.body().contains(&0) && multipart.body().ends_with(b"--7a9cbec02ceef655--\r\n"));
}

/// RFC 4475 §3.1.2.13, §3.3.12 to §3.3.14.
#[test]
fn a_contact_keeps_its_parameters_apart_from_its_uri() {
    let contact = |name: &str| message(name).value(Name::Contact).unwrap().to_owned();
    let (outside, inside, headers) = (contact("cparam01"), contact("cparam02"), contact("regescrt"));
    let outside = NameAddr::parse(&outside).unwrap();
    assert!(outside.params.has("unknownparam") && !outside.uri.contains("unknownparam"));
    let inside = NameAddr::parse(&inside).unwrap();
    assert!(!inside.params.has("unknownparam") && Uri::parse(inside.uri).unwrap().params.has("unknownparam"));
    let uri = NameAddr::parse(&headers).unwrap().uri;
    assert_eq!(Uri::parse(uri).unwrap().headers, "Route=%3Csip:sip.example.com%3E");
    assert!(NameAddr::parse(&contact("regbadct")).is_none());
}
