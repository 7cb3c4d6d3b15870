//! What every parser of `sip-core` promises of any bytes at all; fuzzing and property tests include this file by its path.
//!
//! Each function panics when a promise is broken.

#![allow(dead_code, unreachable_pub, reason = "each target uses its part")]

use bytes::Bytes;
use sip_core::header::{AuthParams, Elements, Name, NameAddr, Params, Via, cseq, number, quote, qvalue};
use sip_core::message::{Framed, Framer, LARGEST_BODY, LARGEST_HEAD};
use sip_core::proxy::{hop_check, loop_key, pop_routes, prepare_copy};
use sip_core::sdp::Sdp;
use sip_core::transaction::{ClientKey, ServerKey};
use sip_core::{Message, Uri};

/// A message is read or refused; what is read goes out so that it is read as the same.
pub fn message(bytes: &[u8]) {
    let buffer = Bytes::copy_from_slice(bytes);
    let message = match Message::parse(buffer.clone()) {
        Ok(message) => message,
        Err(malformed) => {
            assert!((400..600).contains(&malformed.status) && !malformed.reason.is_empty());
            if let Some(readable) = malformed.readable {
                read(&readable);
                readable.to_bytes();
                Message::response(&readable, malformed.status, malformed.reason).to_bytes();
            }
            return;
        }
    };
    read(&message);
    let printed = message.to_bytes();
    let again = Message::parse(printed.clone()).expect("what was read is printed so that it can be read");
    assert_eq!(again.to_bytes(), printed, "printing is stable");
    is_same(&message, &again);
    is_untouched(bytes, &printed);
    forward(&message);
    answer(&message);
}

/// Where nothing is odd about the line breaks and the start line, printing gives back what came.
fn is_untouched(bytes: &[u8], printed: &[u8]) {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
    let came = &bytes[start..];
    // The head with its empty line, which the parser accepts with a lone LF too.
    let end_of_head = |at: usize| match &came[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    };
    let head = &came[..(0..came.len()).find_map(end_of_head).unwrap_or(came.len())];
    let is_odd = |at: usize| match head[at] {
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\r' => head.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    let first = head.iter().position(|byte| *byte == b'\r').unwrap_or(0);
    if !(0..head.len()).any(is_odd) && printed.starts_with(&head[..first]) {
        assert!(came.starts_with(printed), "{} became {}", came.escape_ascii(), printed.escape_ascii());
    }
}

/// A copy for one target, as a proxy makes it, is a message; its own headers stand where they should.
fn forward(message: &Message) {
    if !message.is_request() {
        let mut response = message.clone();
        response.pop_front(Name::Via);
        response.to_bytes();
        return;
    }
    let _ = hop_check(message, |_, _| true);
    loop_key(message);
    let mut copy = message.clone();
    let routes = copy.elements(Name::Route).count();
    let vias = copy.elements(Name::Via).count();
    pop_routes(&mut copy, |uri| uri.host == "ours");
    assert!(copy.elements(Name::Route).count() <= routes);
    prepare_copy(&mut copy, Some("sip:target@192.0.2.1"));
    copy.push_front(Name::Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKours");
    copy.push_front(Name::RecordRoute, "<sip:192.0.2.2;lr>");
    copy.retain_elements(Name::CallInfo, |element| !element.contains("impp"));
    let sent = Message::parse(copy.to_bytes()).expect("a proxy sends what can be read");
    assert_eq!((sent.uri(), sent.method()), ("sip:target@192.0.2.1", message.method()));
    assert_eq!(sent.top_via().and_then(|via| via.branch()), Some("z9hG4bKours"));
    assert_eq!(sent.elements(Name::Via).count(), vias + 1);
    assert_eq!((sent.body(), sent.call_id()), (message.body(), message.call_id()));
    ClientKey::of(&sent).expect("a request that we send has a key");
}

/// An answer has the request's Vias and the rest that makes it an answer; ACK and CANCEL are requests.
fn answer(message: &Message) {
    if !message.is_request() {
        return;
    }
    ServerKey::of(message);
    let response = Message::response(message, 404, "");
    let told = Message::parse(response.to_bytes()).expect("an answer can be read");
    assert_eq!((told.status(), told.call_id(), told.cseq()), (404, message.call_id(), message.cseq()));
    assert_eq!(told.from_tag(), message.from_tag());
    assert!(told.to_tag().is_some(), "an answer has a tag");
    assert_eq!(told.elements(Name::Via).count(), message.elements(Name::Via).count());
    for request in [Message::ack(message, &response), Message::cancel(message)] {
        Message::parse(request.to_bytes()).expect("ACK and CANCEL can be read");
    }
}

fn read(message: &Message) {
    let _ = (message.method(), message.uri(), message.status(), message.reason(), message.header_count());
    let _ = (message.call_id(), message.cseq(), message.to_tag(), message.from_tag(), message.top_via());
    for name in ALL {
        for value in message.values(name) {
            assert!(!value.contains(['\r', '\n']), "a value is one line");
            text(value);
        }
    }
    let _ = message.other_values("X-Odd").count();
    if let Ok(body) = std::str::from_utf8(message.body()) {
        sdp(body.as_bytes());
    }
}

fn is_same(one: &Message, other: &Message) {
    assert_eq!((one.method(), one.uri(), one.status()), (other.method(), other.uri(), other.status()));
    assert_eq!(
        (one.reason(), one.header_count(), one.body()),
        (other.reason(), other.header_count(), other.body())
    );
    for name in ALL {
        assert!(one.values(name).eq(other.values(name)), "{name:?}");
    }
}

/// What stands in headers.
pub fn uri(bytes: &[u8]) {
    text(&String::from_utf8_lossy(bytes));
}

fn text(text: &str) {
    if let Some(uri) = Uri::parse(text) {
        assert!(uri.is_same(&uri), "{text} is itself");
        let _ = (uri.user_unescaped(), uri.transport(), uri.params.iter().count());
        for other in [uri.user, uri.host, "sip:a@b", "tel:+1", "sip:[::1]"].into_iter().filter_map(Uri::parse)
        {
            assert_eq!(uri.is_same(&other), other.is_same(&uri), "{text}: both ways alike");
        }
        if uri.is_sip() {
            let host = Uri::parse(&format!("{}:{}", uri.scheme, uri.host)).map(|other| other.host.to_owned());
            assert_eq!(host.as_deref(), Some(uri.host), "a host is one without the rest");
        }
    }
    if let Some(address) = NameAddr::parse(text) {
        assert!(!address.uri.is_empty() && !address.uri.contains(|c: char| c.is_ascii_whitespace()));
        let _ = (address.params.iter().count(), Uri::parse(address.uri));
        // What is in brackets is what it was outside of them.
        let bracketed = format!("<{}>{}", address.uri, address.params.0);
        let again = NameAddr::parse(&bracketed).expect("an address can be written in brackets");
        assert_eq!((again.uri, again.params), (address.uri, address.params));
    }
    if let Some(via) = Via::parse(text) {
        let _ = (via.branch(), via.params.is_well_formed(), via.params.raw().count());
    }
    if let Some(auth) = AuthParams::parse(text) {
        let _ = (auth.value("realm"), auth.value("nonce"));
    }
    let params = Params(text);
    assert!(params.iter().all(|(name, _)| params.has(name)));
    if params.is_well_formed() {
        assert!(params.raw().count() == params.iter().count());
    }
    let elements: Vec<&str> = Elements::new(text).collect();
    assert!(elements.iter().all(|element| !element.is_empty() && *element == element.trim_ascii()));
    let quoted = format!("Digest realm={}", quote(text));
    if !text.contains(['\r', '\n']) {
        assert_eq!(AuthParams::parse(&quoted).and_then(|auth| auth.value("realm")).as_deref(), Some(text));
    }
    let _ = (cseq(text), number::<u16>(text), qvalue(text), Name::of(text.as_bytes()));
}

/// A session description.
pub fn sdp(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(sdp) = Sdp::parse(text) else { return };
    for medium in &sdp.media {
        let _ = (medium.rtpmap("0"), medium.direction.mirrored());
        let refused = format!("v=0\r\n{}", medium.refusal());
        let refused = Sdp::parse(&refused).expect("a refusal is a description");
        let told = &refused.media[0];
        assert_eq!((told.kind, told.port, told.protocol), (medium.kind, 0, medium.protocol));
        assert_eq!(told.formats, medium.formats);
    }
}

/// A stream gives the same frames however it is cut; its first byte says where.
pub fn framer(bytes: &[u8]) {
    let [cut, stream @ ..] = bytes else { return };
    let cut = usize::from(*cut).max(1);
    frames_are_the_same(stream, stream.chunks(cut));
}

/// The frames of whole and of pieces are the same, and each message in them is as long as it says.
pub fn frames_are_the_same<'a>(whole: &'a [u8], pieces: impl Iterator<Item = &'a [u8]>) {
    let (at_once, piecewise) = (frames(std::iter::once(whole)), frames(pieces));
    let messages = |frames: &[Framed]| -> Vec<Bytes> {
        let only =
            |frame: &Framed| if let Framed::Message(bytes) = frame { Some(bytes.clone()) } else { None };
        frames.iter().filter_map(only).collect()
    };
    assert_eq!(messages(&at_once), messages(&piecewise), "{}", whole.escape_ascii());
    for bytes in messages(&at_once) {
        assert!(bytes.len() <= LARGEST_HEAD + LARGEST_BODY);
        if let Ok(message) = Message::parse(bytes.clone()) {
            assert!(bytes.ends_with(message.body()), "the parser finds the body where the framer did");
        }
    }
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Framed> {
    let (mut framer, mut all) = (Framer::default(), Vec::new());
    for piece in pieces {
        framer.buffer().extend_from_slice(piece);
        loop {
            match framer.next_framed() {
                Ok(Some(framed)) => all.push(framed),
                Ok(None) => break,
                Err(_) => return all,
            }
        }
    }
    all
}

const ALL: [Name; 17] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::Contact,
    Name::MaxForwards,
    Name::ContentLength,
    Name::ContentType,
    Name::Route,
    Name::RecordRoute,
    Name::Expires,
    Name::Authorization,
    Name::CallInfo,
    Name::Date,
    Name::Warning,
    Name::Other,
];
