//! Connectivity checks and their answers — RFC 8445 §7.1 (what they say), §7.2.2 and §7.3 (who may), RFC 8489 §9.1 (short-term
//! credentials). Pure.
//!
//! In    checks of a peer, and its answers to ours. Out the same of ours; whether the peer chose the pair they came over.
//! Errors a check with a wrong integrity, or none, gets no answer: nobody learns anything without the password.
//!
//! As a lite agent (§2.5) we answer and never check; what a full one does is in [`super::agent`].

use std::net::SocketAddr;

use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_USE_CANDIDATE,
    ATTR_USERNAME, AttrType, RawAttribute,
};
use rtc_stun::error_code::{ErrorCode, ErrorCodeAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, Setter, TransactionId, is_stun_message,
};
use rtc_stun::xoraddr::XorMappedAddress;

use super::agent::{CONFLICT, Role};

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
    /// Who controls, as the peer sees it, and its number for who is right.
    pub(super) role: Option<(Role, u64)>,
    /// Of the address that it came from, if that is not known.
    pub(super) priority: u32,
}

/// What we say to a check of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    /// Both control, or neither does.
    Conflict,
}

/// A check of ours.
pub(super) struct Ask<'a> {
    pub(super) transaction: [u8; 12],
    /// Their name and ours.
    pub(super) user: String,
    pub(super) password: &'a str,
    pub(super) role: (Role, u64),
    /// Whether we choose this pair.
    pub(super) is_nominated: bool,
}

/// An answer to a check of ours.
pub(super) struct Reply {
    message: Message,
    pub(super) transaction: [u8; 12],
    /// The code, if it is a refusal.
    pub(super) error: Option<u16>,
}

impl Ask<'_> {
    pub(super) fn print(&self) -> Option<Vec<u8>> {
        let raw = |typ: AttrType, value: Vec<u8>| RawAttribute { typ, length: value.len() as u16, value };
        let provider = AwsLcRsProvider::new();
        let password = self.password.to_owned();
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password, provider.crypto());
        let (role, tiebreaker) = match self.role {
            (Role::Controlling, number) => (ATTR_ICE_CONTROLLING, number),
            (Role::Controlled, number) => (ATTR_ICE_CONTROLLED, number),
        };
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(TransactionId(self.transaction)),
            Box::new(BINDING_REQUEST),
            Box::new(raw(ATTR_USERNAME, self.user.clone().into_bytes())),
            Box::new(raw(ATTR_PRIORITY, REFLEXIVE.to_be_bytes().to_vec())),
            Box::new(raw(role, tiebreaker.to_be_bytes().to_vec())),
        ];
        if self.is_nominated {
            setters.push(Box::new(raw(ATTR_USE_CANDIDATE, Vec::new())));
        }
        setters.push(Box::new(integrity));
        setters.push(Box::new(FINGERPRINT));
        let mut request = Message::new();
        request.build(&setters).ok()?;
        Some(request.raw)
    }
}

impl Reply {
    /// Reads a datagram as an answer; nothing if it is none.
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        let message = message(datagram)?;
        let error = match message.typ {
            BINDING_SUCCESS => None,
            BINDING_ERROR => {
                let mut error = ErrorCodeAttribute::default();
                error.get_from(&message).ok()?;
                Some(error.code.0)
            }
            _ => return None,
        };
        let transaction = message.transaction_id.0;
        Some(Self { message, transaction, error })
    }

    /// Whether it is of whom we asked.
    pub(super) fn proves(&self, password: &str) -> bool {
        let (mut message, provider) = (Message::new(), AwsLcRsProvider::new());
        message.raw.clone_from(&self.message.raw);
        let is_whole = message.decode().is_ok() && message.contains(ATTR_MESSAGE_INTEGRITY);
        is_whole && MessageIntegrity::check(&mut message, password.as_bytes(), provider.crypto()).is_ok()
    }
}

/// A check that proves nothing, and opens the way through whatever is between (RFC 5763 §6.7.2).
pub(in crate::media) fn ask_pinhole() -> Option<Vec<u8>> {
    let mut request = Message::new();
    request
        .build(&[Box::new(TransactionId::new()), Box::new(BINDING_REQUEST), Box::new(FINGERPRINT)])
        .ok()?;
    Some(request.raw)
}

/// The answer to such a check; nothing if it is none.
pub(in crate::media) fn answer_pinhole(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let request = message(datagram).filter(|message| message.typ == BINDING_REQUEST)?;
    let mapped = XorMappedAddress { ip: source.ip().to_canonical(), port: source.port() };
    let setters: [Box<dyn Setter>; 4] = [
        Box::new(request.transaction_id),
        Box::new(BINDING_SUCCESS),
        Box::new(mapped),
        Box::new(FINGERPRINT),
    ];
    let mut response = Message::new();
    response.build(&setters).ok()?;
    Some(response.raw)
}

/// A datagram as a message of STUN.
fn message(datagram: &[u8]) -> Option<Message> {
    if datagram.len() > LARGEST || !is_stun_message(datagram) {
        return None;
    }
    let mut message = Message::new();
    message.raw = datagram.to_vec();
    message.decode().ok()?;
    Some(message)
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
        let request = message(datagram)?;
        if request.typ != BINDING_REQUEST || !request.contains(ATTR_MESSAGE_INTEGRITY) {
            return None;
        }
        let user = String::from_utf8(request.get(ATTR_USERNAME).ok()?).ok()?;
        let name = user.split_once(':')?.0.to_owned();
        let is_nominated = request.contains(ATTR_USE_CANDIDATE);
        let number = |kind| Some(u64::from_be_bytes(*request.get(kind).ok()?.first_chunk()?));
        let controlling = number(ATTR_ICE_CONTROLLING).map(|number| (Role::Controlling, number));
        let role = controlling.or_else(|| Some((Role::Controlled, number(ATTR_ICE_CONTROLLED)?)));
        let priority = request.get(ATTR_PRIORITY).ok().and_then(|octets| octets.first_chunk().copied());
        let priority = priority.map_or(REFLEXIVE, u32::from_be_bytes);
        Some(Self { request, name, is_nominated, role, priority })
    }

    /// Whether it proves itself by `password`.
    pub(super) fn proves(&mut self, password: &str) -> bool {
        let provider = AwsLcRsProvider::new();
        MessageIntegrity::check(&mut self.request, password.as_bytes(), provider.crypto()).is_ok()
    }

    /// The answer to a check that proved itself.
    pub(super) fn answer(&self, password: &str, source: SocketAddr, verdict: Verdict) -> Option<Vec<u8>> {
        let provider = AwsLcRsProvider::new();
        let mapped = XorMappedAddress { ip: source.ip().to_canonical(), port: source.port() };
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
        let (kind, said): (_, Box<dyn Setter>) = match verdict {
            Verdict::Right => (BINDING_SUCCESS, Box::new(mapped)),
            Verdict::Conflict => {
                let (code, reason) = (ErrorCode(CONFLICT), b"Role Conflict".to_vec());
                (BINDING_ERROR, Box::new(ErrorCodeAttribute { code, reason }))
            }
        };
        let setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(self.request.transaction_id),
            Box::new(kind),
            said,
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ];
        let mut response = Message::new();
        response.build(&setters).ok()?;
        Some(response.raw)
    }
}

/// §5.1.2.1, §7.1.1: the priority that our one candidate would have as a reflexive one (110), of one component.
const REFLEXIVE: u32 = 110 << 24 | 65_535 << 8 | 255;
/// Bytes of a check that is read.
const LARGEST: usize = 1_280;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

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
        let mut read = Check::read(&check("ours", "secret", true)).unwrap();
        assert_eq!((read.name.as_str(), read.is_nominated, read.role), ("ours", true, None));
        assert!(read.proves("secret"));
        let answer = read.answer("secret", source, Verdict::Right).unwrap();
        let mut response = Message::new();
        response.raw = answer;
        response.decode().unwrap();
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&response).unwrap();
        assert_eq!((response.typ, mapped.to_string()), (BINDING_SUCCESS, "192.0.2.1:4000".to_owned()));
        let provider = AwsLcRsProvider::new();
        MessageIntegrity::check(&mut response, b"secret", provider.crypto()).unwrap();

        let mut wrong = Check::read(&check("ours", "guessed", false)).unwrap();
        assert!(!wrong.is_nominated && !wrong.proves("secret"));
        let whole = check("ours", "secret", true);
        for length in 0..whole.len() {
            let is_taken = Check::read(&whole[..length]).is_some_and(|mut cut| cut.proves("secret"));
            assert!(!is_taken && Reply::read(&whole[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn what_we_ask_can_be_read_and_its_answer_too() {
        let ask = |role, is_nominated| {
            let (user, transaction) = ("theirs:ours".to_owned(), [7; 12]);
            Ask { transaction, user, password: "secret", role, is_nominated }.print().unwrap()
        };
        let source = "192.0.2.1:4000".parse().unwrap();
        for (role, is_nominated) in [((Role::Controlling, 9), true), ((Role::Controlled, u64::MAX), false)] {
            let mut read = Check::read(&ask(role, is_nominated)).unwrap();
            assert!(read.proves("secret") && !read.proves("guessed"));
            let said = (read.name.as_str(), read.role, read.is_nominated, read.priority);
            assert_eq!(said, ("theirs", Some(role), is_nominated, REFLEXIVE));
            for (verdict, error) in [(Verdict::Right, None), (Verdict::Conflict, Some(487))] {
                let answer = read.answer("secret", source, verdict).unwrap();
                let reply = Reply::read(&answer).unwrap();
                assert_eq!((reply.transaction, reply.error), ([7; 12], error));
                assert!(reply.proves("secret") && !reply.proves("guessed"));
                for length in 0..answer.len() {
                    let is_taken = Reply::read(&answer[..length]).is_some_and(|cut| cut.proves("secret"));
                    assert!(!is_taken, "{length}");
                }
            }
        }
    }

    #[test]
    fn a_check_that_opens_the_way_is_answered() {
        let source = "192.0.2.1:4000".parse().unwrap();
        let asked = ask_pinhole().unwrap();
        let answer = answer_pinhole(&asked, source).unwrap();
        assert_eq!(Reply::read(&answer).unwrap().transaction, message(&asked).unwrap().transaction_id.0);
        assert_eq!(answer_pinhole(&answer, source), None);
        assert_eq!(answer_pinhole(&asked[..10], source), None);
    }

    #[test]
    fn passwords_show_themselves_to_nobody() {
        let credentials = Credentials::new(|| 7);
        assert!(credentials.name.len() >= 4 && credentials.password.len() >= 22);
        assert!(!format!("{credentials:?}").contains(&credentials.password));
    }
}
