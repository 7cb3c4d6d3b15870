//! What `xmpp-core` promises of any bytes at all. Each function panics when a promise is broken.

#![allow(dead_code, reason = "each target uses its part")]

use xmpp_core::stream::management::Command;
use xmpp_core::stream::{Negotiation, Offer, Registrants, Request, SaslFailure};
use xmpp_core::xml::{Element, Frame, Framer, Limits};
use xmpp_core::{ErrorKind, Jid, Stanza};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>";

fn frames(bytes: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let mut framer = Framer::new(Limits { bytes: 4096, depth: 16, attributes: 8, prefixes: 8 });
    let mut out = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => break,
                Err(_) => return (out, false),
            }
        }
    }
    (out, true)
}

/// How a stream is cut changes nothing; what is let through is read as a tree, printed, and read as the same.
pub fn xml(bytes: &[u8]) {
    let Some((step, rest)) = bytes.split_first() else { return };
    let all = [HEADER, rest].concat();
    let (whole, is_whole) = frames(&all, all.len());
    assert_eq!((&whole, is_whole), (&frames(&all, usize::from(*step)).0, frames(&all, usize::from(*step)).1));
    for frame in whole {
        let Frame::Element(head, content) = frame else { continue };
        let text = std::str::from_utf8(&content).expect("what is let through is UTF-8");
        let children = Element::parse_content(text, &head.ns, &head.prefixes).expect("and well formed");
        for child in &children {
            let again = Element::parse(&child.to_string(), "").expect("what was read is printed so that it can be read");
            assert_eq!(&again, child);
        }
        if let Ok(stanza) = Stanza::from_frame(&head, content) {
            stanza.children();
            let printed = stanza.to_bytes();
            let printed = std::str::from_utf8(&printed).expect("stanzas are UTF-8");
            assert!(Stanza::parse(printed).is_some(), "{printed}");
        }
    }
}

/// A prepared address is its own preparation, and its parts are those that made it.
pub fn jid(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(jid) = text.parse::<Jid>() else { return };
    let again: Jid = jid.as_str().parse().expect("what was prepared can be read");
    assert_eq!(again, jid);
    let parts = Jid::new(jid.local(), jid.domain(), jid.resource()).expect("and its parts");
    assert_eq!(parts, jid);
    assert!(jid.as_str().starts_with(jid.bare_str()) && jid.to_bare().is_bare());
    let sizes = [jid.local().unwrap_or("x"), jid.domain(), jid.resource().unwrap_or("x")].map(str::len);
    assert!(sizes.iter().all(|size| (1..=1023).contains(size)));
}

/// A client may say anything at any moment; the answers of the shell come from the first bytes. What goes out is XML.
pub fn stream(bytes: &[u8]) {
    let Some((script, rest)) = bytes.split_first_chunk::<8>() else { return };
    let offer = |starttls: bool| Offer {
        domain: "x".to_owned(),
        others: ["y".into()].into(),
        kept_elsewhere: if script[0] & 16 == 16 { ["y".into()].into() } else { [].into() },
        is_plain_elsewhere: script[0] & 32 == 32,
        starttls,
        require_tls: starttls && script[0] & 1 == 1,
        mechanisms: vec!["SCRAM-SHA-1", "PLAIN", "EXTERNAL"],
        guests: if script[0] & 8 == 8 { "guest.x".to_owned() } else { String::new() },
        registration: match script[0] & 4 {
            0 => Registrants::Nobody,
            _ => Registrants::Anybody,
        },
        fast: vec!["HT-SHA-256-EXPR"],
        upgrades: vec!["UPGR-SCRAM-SHA-256"],
        channel_bindings: vec!["tls-exporter"],
        about: Vec::new(),
    };
    let (mut negotiation, mut out) = (Negotiation::new(offer(script[0] & 2 == 2)), String::new());
    let mut framer = Framer::new(Limits { bytes: 4096, depth: 16, attributes: 8, prefixes: 8 });
    framer.push(HEADER);
    framer.push(rest);
    let mut choices = script.iter().cycle().copied();
    while let Ok(Some(frame)) = framer.next() {
        let Ok(request) = negotiation.handle(frame, "id", &mut out) else { return is_xml(&out) };
        let choice = choices.next().unwrap_or_default();
        match request {
            Some(Request::StartTls) => {
                negotiation.secured(offer(false));
                framer.restart();
            }
            Some(Request::Auth { .. } | Request::Response(_)) => match choice % 3 {
                0 => negotiation.challenge("AA==", &mut out),
                1 => {
                    negotiation.proven(Some("AA=="), &mut out);
                    if negotiation.inline().is_none() {
                        framer.restart();
                    }
                }
                _ => {
                    if negotiation.refuse(SaslFailure::NotAuthorized, &mut out).is_err() {
                        return is_xml(&out);
                    }
                }
            },
            Some(Request::Bind { request, .. }) => match choice % 2 {
                0 => negotiation.bound(&request, &"a@x/r".parse().expect("a JID"), &mut out),
                _ => negotiation.unbound(&request, &ErrorKind::Conflict.into(), &mut out),
            },
            Some(Request::Resume { .. }) => negotiation.not_resumed(ErrorKind::ItemNotFound, Some(1), &mut out),
            Some(Request::Manage(Command::Enable { .. })) => negotiation.managed(),
            Some(Request::Close) => return is_xml(&out),
            _ => {}
        }
    }
    is_xml(&out);
}

/// Whether what we say is what we would let through ourselves, header by header.
fn is_xml(out: &str) {
    for part in out.split("<?xml version='1.0'?>").filter(|part| part.starts_with("<stream:stream")) {
        let mut framer = Framer::new(Limits::default());
        framer.push(part.as_bytes());
        loop {
            match framer.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => panic!("{error}: {part}"),
            }
        }
    }
}
