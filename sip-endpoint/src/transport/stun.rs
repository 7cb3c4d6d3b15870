//! STUN on SIP's port — RFC 5626 §3.5.2 and §8 (keepalive), RFC 8489 §6.3.1 (how a request is answered).
//!
//! In    a datagram whose first byte is none that SIP begins with (RFC 5626 §8).
//! Out   a Binding response with XOR-MAPPED-ADDRESS; 420 for attributes that must be understood and are not.
//! Errors what is no Binding request gets no answer, as §6.3 says.

use std::net::SocketAddr;

use rtc_stun::attributes::{ATTR_FINGERPRINT, AttrType};
use rtc_stun::error_code::CODE_UNKNOWN_ATTRIBUTE;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, is_stun_message};
use rtc_stun::uattrs::UnknownAttributes;
use rtc_stun::xoraddr::XorMappedAddress;

/// Whether a datagram is STUN's and not SIP's.
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4) && is_stun_message(datagram)
}

/// The answer to a datagram, if it wants one.
pub(super) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    if datagram.len() > LARGEST {
        return None;
    }
    let mut request = Message::new();
    request.raw = datagram.to_vec();
    request.decode().ok()?;
    if request.typ != BINDING_REQUEST {
        return None;
    }
    let has_fingerprint = request.contains(ATTR_FINGERPRINT);
    if has_fingerprint && FINGERPRINT.check(&request).is_err() {
        return None;
    }
    let unknown: Vec<AttrType> = request
        .attributes
        .0
        .iter()
        .map(|attribute| attribute.typ)
        .filter(|kind| kind.required() && !UNDERSTOOD.contains(&kind.value()))
        .collect();
    let mut setters: Vec<Box<dyn Setter>> = vec![Box::new(request.transaction_id)];
    if unknown.is_empty() {
        setters.push(Box::new(BINDING_SUCCESS));
        setters.push(Box::new(XorMappedAddress { ip: source.ip().to_canonical(), port: source.port() }));
    } else {
        setters.push(Box::new(BINDING_ERROR));
        setters.push(Box::new(CODE_UNKNOWN_ATTRIBUTE));
        setters.push(Box::new(UnknownAttributes(unknown)));
    }
    if has_fingerprint {
        setters.push(Box::new(FINGERPRINT));
    }
    let mut response = Message::new();
    response.build(&setters).ok()?;
    Some(response.raw)
}

/// Bytes of a request that is read; §6.1 keeps them under a path's MTU.
const LARGEST: usize = 1_280;
/// What a server without passwords understands of RFC 8489 §14: USERNAME, MESSAGE-INTEGRITY, REALM, NONCE and their
/// younger kin say nothing to it.
const UNDERSTOOD: [u16; 7] = [0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E];

#[cfg(test)]
mod tests {
    use rtc_stun::error_code::ErrorCodeAttribute;
    use rtc_stun::message::{Getter, TransactionId};

    use super::*;

    fn asked(setters: &[Box<dyn Setter>]) -> Vec<u8> {
        let mut request = Message::new();
        request.build(setters).unwrap();
        request.raw
    }

    fn answered(request: &[u8], source: &str) -> Option<Message> {
        let mut response = Message::new();
        response.raw = answer(request, source.parse().unwrap())?;
        response.decode().unwrap();
        Some(response)
    }

    #[test]
    fn a_binding_request_is_told_its_source() {
        for source in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let id = TransactionId::new();
            let request = asked(&[Box::new(id), Box::new(BINDING_REQUEST), Box::new(FINGERPRINT)]);
            assert!(is_stun(&request));
            let response = answered(&request, source).unwrap();
            assert_eq!((response.typ, response.transaction_id), (BINDING_SUCCESS, id));
            let mut mapped = XorMappedAddress::default();
            mapped.get_from(&response).unwrap();
            assert_eq!(mapped.to_string(), source);
            FINGERPRINT.check(&response).unwrap();
        }
    }

    /// RFC 8489 §6.3.1: 420 with the list of what was not understood.
    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let strange =
            rtc_stun::attributes::RawAttribute { typ: AttrType(0x0003), length: 4, value: vec![0, 0, 0, 2] };
        let request = asked(&[Box::new(TransactionId::new()), Box::new(BINDING_REQUEST), Box::new(strange)]);
        let response = answered(&request, "192.0.2.1:1").unwrap();
        let (mut code, mut unknown) = (ErrorCodeAttribute::default(), UnknownAttributes(Vec::new()));
        code.get_from(&response).unwrap();
        unknown.get_from(&response).unwrap();
        assert_eq!((response.typ, code.code.0), (BINDING_ERROR, 420));
        assert_eq!(unknown.0, [AttrType(0x0003)]);
    }

    #[test]
    fn what_is_no_binding_request_gets_no_answer() {
        let success = asked(&[Box::new(TransactionId::new()), Box::new(BINDING_SUCCESS)]);
        assert!(answered(&success, "192.0.2.1:1").is_none());
        let whole =
            asked(&[Box::new(TransactionId::new()), Box::new(BINDING_REQUEST), Box::new(FINGERPRINT)]);
        for cut in 0..whole.len() {
            assert!(answered(&whole[..cut], "192.0.2.1:1").is_none(), "{cut}");
        }
        let mut forged = whole;
        *forged.last_mut().unwrap() ^= 1;
        assert!(answered(&forged, "192.0.2.1:1").is_none());
        assert!(!is_stun(b"OPTIONS sip:x SIP/2.0\r\n") && !is_stun(&[0; 4]) && !is_stun(&[]));
    }
}
