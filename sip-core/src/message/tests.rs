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
    assert_eq!(reason("hello"), "400 Empty Message");
    assert_eq!(reason("hello there\r\n\r\n"), "400 Bad SIP-Version");
    assert!(parse(&INVITE.replace("CSeq: 2 INVITE\r\n", "")).unwrap_err().readable.is_some());
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
