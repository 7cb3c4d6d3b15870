//! Messages of STUN and TURN, as few as a look needs — RFC 8489 §5 (header), §14 (attributes), §9.2 (long-term credentials);
//! RFC 8656 §7 (Allocate), §8 (Refresh).
//!
//! ```text
//!  0                   1                   2                   3
//! |0 0|  method and class         |  bytes behind the header      |
//! |                 0x2112A442                                    |
//! |                 transaction, 96 bits                          |  attributes: type, length, value, padded to 4
//! ```
//!
//! In    what is asked; bytes that came. Out bytes to send; a response, its integrity checked where a key is known.
//! Errors bytes that are no message of this transaction are `None`: datagrams of strangers are passed over.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;
use md5::{Digest, Md5};

/// What is asked: the method as it stands in a request's header (RFC 8656 §17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Method {
    Binding = 0x001,
    Allocate = 0x003,
    Refresh = 0x004,
}

/// A request under construction.
pub(super) struct Request {
    pub(super) transaction: [u8; 12],
    bytes: Vec<u8>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The code and the words of a refusal.
    pub(super) error: Option<(u16, String)>,
    pub(super) realm: String,
    pub(super) nonce: Vec<u8>,
    /// Where the relay receives for us.
    pub(super) relayed: Option<SocketAddr>,
    /// From where the server saw us come.
    pub(super) mapped: Option<SocketAddr>,
}

impl Request {
    pub(super) fn new(method: Method, transaction: [u8; 12]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend((method as u16).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE);
        bytes.extend(transaction);
        Self { transaction, bytes }
    }

    /// Asks for UDP at the relay (RFC 8656 §18.7).
    pub(super) fn for_udp(self) -> Self {
        self.with(REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    }

    /// How long, in seconds.
    pub(super) fn lasting(self, seconds: u32) -> Self {
        self.with(LIFETIME, &seconds.to_be_bytes())
    }

    /// Proves who asks, after a challenge (§9.2.3.1).
    pub(super) fn proven(self, user: &str, key: &[u8; 16], challenge: &Response) -> Self {
        let mut whole = self
            .with(USERNAME, user.as_bytes())
            .with(REALM, challenge.realm.as_bytes())
            .with(NONCE, &challenge.nonce);
        // §14.5: the length says already what the tag adds.
        whole.measure(TAG + 4);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), &whole.bytes);
        whole.with(MESSAGE_INTEGRITY, tag.as_ref())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.measure(0);
        self
    }

    fn measure(&mut self, more: usize) {
        let length = u16::try_from(self.bytes.len() - HEADER + more).unwrap_or(u16::MAX);
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// §9.2.2: the key of a name, a realm and a password.
pub(super) fn key(user: &str, realm: &str, password: &str) -> [u8; 16] {
    Md5::digest(format!("{user}:{realm}:{password}")).into()
}

/// How long a message is whose header this is; `None` for what is none.
pub(super) fn length(header: &[u8]) -> Option<usize> {
    let is_stun = header.first()? & 0xc0 == 0 && header.get(4..8)? == COOKIE;
    let length = usize::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?));
    (is_stun && length % 4 == 0).then_some(HEADER + length)
}

/// Reads the response to a request.
pub(super) fn read(bytes: &[u8], method: Method, transaction: [u8; 12]) -> Option<Response> {
    if length(bytes)? != bytes.len() || bytes.get(8..HEADER)? != transaction {
        return None;
    }
    let kind = u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
    let is_refused = match kind ^ method as u16 {
        0x100 => false,
        0x110 => true,
        _ => return None,
    };
    let mut response =
        Response { error: None, realm: String::new(), nonce: Vec::new(), relayed: None, mapped: None };
    let mut rest = bytes.get(HEADER..)?;
    while !rest.is_empty() {
        let kind = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
        let value = rest.get(4..4 + length)?;
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
        match kind {
            ERROR_CODE => {
                let (class, number) = (value.get(2)? & 7, value.get(3)?);
                let words = String::from_utf8_lossy(value.get(4..)?);
                let words = words.chars().filter(|c| !c.is_control()).take(128).collect();
                response.error = Some((u16::from(class) * 100 + u16::from(*number), words));
            }
            REALM => response.realm = String::from_utf8(value.to_vec()).ok()?,
            NONCE => response.nonce = value.to_vec(),
            XOR_RELAYED_ADDRESS => response.relayed = Some(address(value, transaction)?),
            XOR_MAPPED_ADDRESS => response.mapped = Some(address(value, transaction)?),
            _ => {}
        }
    }
    if is_refused && response.error.is_none() {
        return None; // §6.3.4: an error says which
    }
    Some(response)
}

/// §14.2: an address, mixed with the cookie and the transaction.
fn address(value: &[u8], transaction: [u8; 12]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(value.get(2..4)?.try_into().ok()?) ^ 0x2112;
    let mask = [&COOKIE[..], &transaction[..]].concat();
    let ip: IpAddr = match value.get(1)? {
        1 => {
            let mut ip: [u8; 4] = value.get(4..8)?.try_into().ok()?;
            ip.iter_mut().zip(&mask).for_each(|(byte, mask)| *byte ^= mask);
            ip.into()
        }
        2 => {
            let mut ip: [u8; 16] = value.get(4..20)?.try_into().ok()?;
            ip.iter_mut().zip(&mask).for_each(|(byte, mask)| *byte ^= mask);
            ip.into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Bytes of a header.
pub(super) const HEADER: usize = 20;
/// Bytes of a tag by HMAC-SHA1.
const TAG: usize = 20;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const LIFETIME: u16 = 0x000d;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const ID: [u8; 12] = *b"transaction!";

    /// A response as a server writes it.
    pub(in crate::doctor::relays) fn response(
        kind: u16,
        transaction: [u8; 12],
        attributes: &[(u16, &[u8])],
    ) -> Vec<u8> {
        let mut request = Request::new(Method::Binding, transaction);
        request.bytes[..2].copy_from_slice(&kind.to_be_bytes());
        let all = attributes.iter().fold(request, |request, (kind, value)| request.with(*kind, value));
        all.bytes
    }

    /// RFC 5769 §2.4: a request with long-term authentication, of this name, password and realm.
    #[test]
    fn a_proof_is_that_of_the_test_vectors() {
        let user = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
        let wanted: [u8; 20] = [
            0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2,
            0x8c, 0xa8, 0x96, 0x66,
        ];
        let challenge = Response {
            error: None,
            realm: "example.org".to_owned(),
            nonce: b"f//499k954d6OL34oL9FSTvy64sA".to_vec(),
            relayed: None,
            mapped: None,
        };
        let transaction = [0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e];
        let key = key(user, "example.org", "TheMatrIX");
        // The vector has the nonce before the realm; ours is of the same attributes in the order of the vector.
        let mut whole = Request::new(Method::Binding, transaction)
            .with(USERNAME, user.as_bytes())
            .with(NONCE, &challenge.nonce)
            .with(REALM, challenge.realm.as_bytes());
        whole.measure(TAG + 4);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &whole.bytes);
        assert_eq!(tag.as_ref(), wanted);
        let ours = Request::new(Method::Binding, transaction).proven(user, &key, &challenge);
        assert_eq!(length(ours.bytes()), Some(ours.bytes().len()));
        assert_eq!(ours.bytes()[ours.bytes().len() - 24..][..4], [0, 8, 0, 20]);
    }

    #[test]
    fn a_response_is_read_and_what_is_none_of_this_request_is_passed_over() {
        let relayed = [0, 1, 0x21 ^ 0x13, 0x12 ^ 0x88, 0x21 ^ 192, 0x12, 0xa4 ^ 2, 0x42 ^ 1];
        let good = response(0x103, ID, &[(XOR_RELAYED_ADDRESS, &relayed), (0x8022, b"x")]);
        let read_it = |bytes: &[u8]| read(bytes, Method::Allocate, ID);
        assert_eq!(read_it(&good).unwrap().relayed, Some("192.0.2.1:5000".parse().unwrap()));
        let six = [vec![0, 2, 0x21, 0x12], [&COOKIE[..], &ID[..]].concat()].concat();
        let good = response(0x101, ID, &[(XOR_MAPPED_ADDRESS, &six)]);
        assert_eq!(read(&good, Method::Binding, ID).unwrap().mapped, Some("[::]:0".parse().unwrap()));
        let refused =
            response(0x113, ID, &[(ERROR_CODE, b"\0\0\x04\x01No\n"), (REALM, b"r"), (NONCE, b"nnn")]);
        let refused = read_it(&refused).unwrap();
        assert_eq!((refused.error, refused.nonce.as_slice()), (Some((401, "No".to_owned())), &b"nnn"[..]));
        assert!(read_it(&response(0x113, ID, &[])).is_none(), "an error that says nothing");
        assert!(read_it(&response(0x103, *b"another one!", &[])).is_none());
        assert!(read_it(&response(0x101, ID, &[])).is_none(), "of another method");
        let whole = response(0x103, ID, &[(REALM, b"realm"), (XOR_RELAYED_ADDRESS, &relayed)]);
        for end in 0..whole.len() {
            assert!(read_it(&whole[..end]).is_none(), "{end}");
        }
        let mut long = whole;
        long[HEADER + 3] = 0xff;
        assert!(read_it(&long).is_none(), "an attribute beyond the end");
    }
}
