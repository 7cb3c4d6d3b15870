use super::*;
use crate::message::parse::Malformed;

const INVITE: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
    Via: SIP/2.0/TCP a.example;branch=z9hG4bK1 , SIP/2.0/UDP b.example;branch=z9hG4bK2\r\n\
    f: \"A, B\" <sip:alice@atlanta.example.com>;tag=9fx\r\n\
    To: Bob\r\n <sip:bob@biloxi.example.com>\r\n\
    Call-ID: 3848276298220188511@atlanta.example.com\r\n\
    CSeq: 2 INVITE\r\n\
    X-Odd : kept  as it is \r\n\
    Content-Length: 3\r\n\r\nabcdef";

fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn reads_compact_folded_and_joined_headers() {
    let message = parse(INVITE).unwrap();
    assert_eq!((message.method(), message.uri()), ("INVITE", "sip:bob@biloxi.example.com"));
    assert_eq!(message.elements(Name::Via).count(), 2);
    assert_eq!(message.from_tag(), Some("9fx"));
    assert_eq!(message.value(Name::To), Some("Bob <sip:bob@biloxi.example.com>"));
    assert_eq!(message.other_values("x-odd").next(), Some("kept  as it is"));
    assert_eq!(&message.body()[..], b"abc", "bytes after Content-Length are ignored");
}

#[test]
fn what_is_not_touched_goes_out_as_it_came() {
    let printed = parse(INVITE).unwrap().to_bytes();
    assert_eq!(printed, INVITE.as_bytes()[..INVITE.len() - 3]);
}

#[test]
fn the_second_via_of_a_list_survives_the_first() {
    let mut message = parse(INVITE).unwrap();
    message.push_front(Name::Via, "SIP/2.0/UDP p.example;branch=z9hG4bK0");
    assert_eq!(message.elements(Name::Via).count(), 3);
    message.pop_front(Name::Via);
    assert_eq!(message.pop_front(Name::Via).as_deref(), Some("SIP/2.0/TCP a.example;branch=z9hG4bK1"));
    let left: Vec<_> = message.elements(Name::Via).collect();
    assert_eq!(left, ["SIP/2.0/UDP b.example;branch=z9hG4bK2"]);
}

#[test]
fn each_fault_is_named() {
    let reason = |text: &str| parse(text).map(|_| ()).unwrap_err().to_string();
    assert_eq!(reason(&INVITE.replace("CSeq: 2 INVITE\r\n", "")), "400 Missing CSeq");
    assert_eq!(reason(&INVITE.replace("2 INVITE", "2 BYE")), "400 CSeq Method Differs From Request Method");
    assert_eq!(reason(&INVITE.replace("CSeq: 2", "CSeq: 99999999999")), "400 Bad CSeq");
    assert_eq!(reason(&INVITE.replace("Length: 3", "Length: 300")), "400 Body Shorter Than Content-Length");
    assert_eq!(reason(&INVITE.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia")), "505 Version Not Supported");
    assert_eq!(reason(&INVITE.replace("Via: ", "Vai: ")), "400 Missing Via");
    for wrong in [";tag", ";tag=", ";x=\"y;tag=1"] {
        assert_eq!(reason(&INVITE.replace(";tag=9fx", wrong)), "400 Bad From", "{wrong}");
    }
    assert_eq!(reason("hello"), "400 Empty Message");
    assert_eq!(reason("hello there\r\n\r\n"), "400 Bad SIP-Version");
    assert!(parse(&INVITE.replace("CSeq: 2 INVITE\r\n", "")).unwrap_err().readable.is_some());
}

#[test]
fn a_start_line_is_one_line_of_three_words() {
    let told = |start: &str| {
        let (_, rest) = INVITE.split_once("\r\n").unwrap();
        let parsed = parse(&format!("{start}\r\n{rest}"));
        parsed.map_or_else(
            |fault| fault.to_string(),
            |message| format!("{} {}", message.uri(), message.status()),
        )
    };
    assert_eq!(told("INVITE  sip:b@x \t sip/2.0 "), "sip:b@x 0");
    assert_eq!(told("INVITE nobody:knows SIP/2.0"), "nobody:knows 0");
    assert_eq!(told("SIP/2.0 200"), " 200");
    assert_eq!(told("SIP/2.0 299 No such thing"), " 299");
    assert_eq!(told("SIP/2.0 299 No\r\n such thing"), "400 Bad Reason-Phrase");
    for wrong in [
        "INVITE sip:b@x",
        "INVITE sip:b@x SIP/2",
        "INVITE sip:b@x SIP/two.0",
        "INVITE sip:b@x\r",
        "INVITE SIP/2.0x",
        "INVITE sip:b@x HTTP/1.1",
        "INVITE sip:b@x SIP/2.0\r",
    ] {
        assert_eq!(told(wrong), "400 Bad SIP-Version", "{wrong}");
    }
    for wrong in [
        "INVITE  SIP/2.0",
        "INVITE sip:b @x SIP/2.0",
        "INVITE <sip:b@x> SIP/2.0",
        "INVITE sip:b@x\r\n SIP/2.0",
    ] {
        assert_eq!(told(wrong), "400 Bad Request-URI", "{wrong}");
    }
    for wrong in [
        "SIP/2.0 4294967301 x",
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 20x x",
        "SIP/2.0 +20 x",
        "SIP/2.0 ",
    ] {
        assert_eq!(told(wrong), "400 Bad Status-Code", "{wrong}");
    }
    for wrong in
        ["IN(VITE sip:b@x SIP/2.0", "SIP/3.0 200 OK", " sip:b@x SIP/2.0", "\u{e9}t\u{e9} sip:b@x SIP/2.0"]
    {
        assert_eq!(told(wrong), "400 Bad Method", "{wrong}");
    }
}

#[test]
fn what_there_is_once_is_not_there_twice() {
    for (name, line) in [
        ("From", "f: <sip:c@x>;tag=2"),
        ("To", "To: <sip:c@x>"),
        ("Call-ID", "i: 2"),
        ("CSeq", "cseq: 2 INVITE"),
        ("Max-Forwards", "Max-Forwards: 1\r\nMax-Forwards: 1"),
        ("Content-Length", "l: 2"),
    ] {
        let twice = INVITE.replace("Content-Length", &format!("{line}\r\nContent-Length"));
        assert_eq!(parse(&twice).map(|_| ()).unwrap_err().to_string(), format!("400 More Than One {name}"));
    }
    let same = INVITE.replace("Content-Length", "l: 3\r\nContent-Length");
    assert!(parse(&same).is_ok(), "the same length twice is a length");
}

#[test]
fn every_name_of_a_header_finds_it() {
    let message = parse(&INVITE.replace("X-Odd", "r: <sip:c@x>\r\nX-Odd")).unwrap();
    assert_eq!(
        (message.value(Name::ReferTo), message.other_values("refer-to").count()),
        (Some("<sip:c@x>"), 1)
    );
    let mut message = message;
    message.push_other("Referred-By", "<sip:d@x>");
    assert_eq!(message.value(Name::ReferredBy), Some("<sip:d@x>"));
}

/// A name in Latin-1 must not hide the tag behind it, and ACK and CANCEL have the From that was sent.
#[test]
fn a_request_with_bytes_that_are_not_utf8_is_answered_and_acknowledged_as_it_came() {
    let from = b"f: J\xfcrgen <sip:a@x>;tag=9fx";
    let at = INVITE.find("f: ").unwrap();
    let end = at + INVITE[at..].find("\r\n").unwrap();
    let bytes = [&INVITE.as_bytes()[..at], from, &INVITE.as_bytes()[end..]].concat();
    let request = Message::parse(bytes.into()).unwrap();
    assert_eq!(request.from_tag(), Some("9fx"));
    let response = Message::response(&request, 404, "");
    for message in [&response, &Message::ack(&request, &response), &Message::cancel(&request)] {
        let printed = message.to_bytes();
        assert!(printed.windows(from.len()).any(|window| window == from), "{}", printed.escape_ascii());
    }
}

#[test]
fn a_response_has_what_the_request_had() {
    let response = Message::response(&parse(INVITE).unwrap(), 404, "");
    let text = String::from_utf8(response.to_bytes().to_vec()).unwrap();
    assert!(text.starts_with("SIP/2.0 404 Not Found\r\nVia: SIP/2.0/TCP a.example"), "{text}");
    assert!(response.to_tag().is_some() && response.from_tag() == Some("9fx"));
    assert_eq!(response.elements(Name::Via).count(), 2);
    let again = Message::response(&parse(INVITE).unwrap(), 404, "");
    assert_eq!(again.to_tag(), response.to_tag(), "a stateless answer is the same each time");
}

#[test]
fn a_value_cannot_smuggle_a_header() {
    let mut message = parse(INVITE).unwrap();
    message.push_other("X-Note", "a\r\nEvil: yes");
    assert!(message.other_values("Evil").next().is_none());
    assert!(Message::parse(message.to_bytes()).unwrap().other_values("Evil").next().is_none());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _either = Message::parse(Bytes::from(bytes));
    }

    #[test]
    fn a_bent_message_makes_no_panic(at in 0_usize..INVITE.len(), with: u8) {
        let mut bytes = INVITE.as_bytes().to_vec();
        bytes[at] = with;
        if let Ok(message) = Message::parse(Bytes::from(bytes.clone())) {
            let again = Message::parse(message.to_bytes()).expect("what was read is printed so that it can be read");
            proptest::prop_assert_eq!(again.to_bytes(), message.to_bytes());
        }
    }
}
