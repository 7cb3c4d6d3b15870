//! ICE as a lite agent has it — RFC 8445 §2.5, §7.3 (receiving checks), RFC 8489 §9.1 (short-term credentials), RFC 8839 §5.4
//! (what SDP says). Pure.
//!
//! In    connectivity checks of a peer. Out answers, and whether the peer nominated the pair they came over.
//! Errors a check with a wrong integrity, or none, gets no answer: nobody learns anything without the password.
//!
//! We have one candidate, our own address, and never check ourselves: the peer, a full agent, controls.

use std::net::SocketAddr;

use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::{ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, is_stun_message};
use rtc_stun::xoraddr::XorMappedAddress;

/// One side's name and password for one leg.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the leg among all on one port.
    pub name: String,
    /// Proves checks.
    pub password: String,
}

/// A check that asks for an answer.
pub(super) struct Check {
    request: Message,
    /// The first half of its USERNAME: whose check it is.
    pub(super) name: String,
    /// Whether the peer chose this pair.
    pub(super) is_nominated: bool,
}

impl Credentials {
    /// New ones, from random numbers (RFC 8445 §5.3: at least 24 bits of name, 128 of password).
    pub fn new(random: fn() -> u64) -> Self {
        let word = || format!("{:016x}", random());
        Self { name: word(), password: word() + &word() }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.name)
    }
}

impl Check {
    /// Reads a datagram as a check; nothing if it is not one.
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        if datagram.len() > LARGEST || !is_stun_message(datagram) {
            return None;
        }
        let mut request = Message::new();
        request.raw = datagram.to_vec();
        request.decode().ok()?;
        if request.typ != BINDING_REQUEST || !request.contains(ATTR_MESSAGE_INTEGRITY) {
            return None;
        }
        let user = String::from_utf8(request.get(ATTR_USERNAME).ok()?).ok()?;
        let name = user.split_once(':')?.0.to_owned();
        let is_nominated = request.contains(ATTR_USE_CANDIDATE);
        Some(Self { request, name, is_nominated })
    }

    /// The answer, if the check proves itself by `password`.
    pub(super) fn answer(mut self, password: &str, source: SocketAddr) -> Option<Vec<u8>> {
        let provider = AwsLcRsProvider::new();
        MessageIntegrity::check(&mut self.request, password.as_bytes(), provider.crypto()).ok()?;
        let mapped = XorMappedAddress { ip: source.ip().to_canonical(), port: source.port() };
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
        let setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(self.request.transaction_id),
            Box::new(BINDING_SUCCESS),
            Box::new(mapped),
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ];
        let mut response = Message::new();
        response.build(&setters).ok()?;
        Some(response.raw)
    }
}

/// Bytes of a check that is read.
const LARGEST: usize = 1_280;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rtc_stun::attributes::RawAttribute;
    use rtc_stun::message::{Getter, TransactionId};

    /// A check as a browser sends it.
    pub(crate) fn check(name: &str, password: &str, is_nominated: bool) -> Vec<u8> {
        let provider = AwsLcRsProvider::new();
        let user = format!("{name}:theirs").into_bytes();
        let raw = |typ, value: Vec<u8>| RawAttribute { typ, length: value.len() as u16, value };
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(TransactionId::new()),
            Box::new(BINDING_REQUEST),
            Box::new(raw(ATTR_USERNAME, user)),
        ];
        if is_nominated {
            setters.push(Box::new(raw(ATTR_USE_CANDIDATE, Vec::new())));
        }
        setters.push(Box::new(integrity));
        setters.push(Box::new(FINGERPRINT));
        let mut request = Message::new();
        request.build(&setters).unwrap();
        request.raw
    }

    #[test]
    fn a_check_that_proves_itself_is_answered_and_no_other() {
        let source = "192.0.2.1:4000".parse().unwrap();
        let read = Check::read(&check("ours", "secret", true)).unwrap();
        assert_eq!((read.name.as_str(), read.is_nominated), ("ours", true));
        let answer = read.answer("secret", source).unwrap();
        let mut response = Message::new();
        response.raw = answer;
        response.decode().unwrap();
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&response).unwrap();
        assert_eq!((response.typ, mapped.to_string()), (BINDING_SUCCESS, "192.0.2.1:4000".to_owned()));
        let provider = AwsLcRsProvider::new();
        MessageIntegrity::check(&mut response, b"secret", provider.crypto()).unwrap();

        let wrong = Check::read(&check("ours", "guessed", false)).unwrap();
        assert!(!wrong.is_nominated && wrong.answer("secret", source).is_none());
        let whole = check("ours", "secret", true);
        for length in 0..whole.len() {
            let cut = Check::read(&whole[..length]).and_then(|cut| cut.answer("secret", source));
            assert_eq!(cut, None, "{length}");
        }
    }

    #[test]
    fn passwords_show_themselves_to_nobody() {
        let credentials = Credentials::new(|| 7);
        assert!(credentials.name.len() >= 4 && credentials.password.len() >= 22);
        assert!(!format!("{credentials:?}").contains(&credentials.password));
    }
}
