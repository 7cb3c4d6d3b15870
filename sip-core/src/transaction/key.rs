//! Which transaction a message belongs to — RFC 3261 §17.1.3 (responses), §17.2.3 (requests).

use std::sync::Arc;

use smallvec::SmallVec;

use crate::Message;
use crate::header::Name;

/// Branch and method of a request that we sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(Arc<[u8]>);

/// Branch, sent-by and method of a request that came; ACK counts as INVITE.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey(Arc<[u8]>);

/// A key that is being put together.
type Key = SmallVec<[u8; 128]>;

impl ClientKey {
    /// The key of a request that we send, or of a response to one.
    pub fn of(message: &Message) -> Option<Self> {
        let branch = message.top_branch()?;
        let (_, method) = message.cseq()?;
        Some(Self::new(branch, method))
    }

    /// The key of a request that we sent with this branch.
    pub fn new(branch: &str, method: &str) -> Self {
        let mut key = Key::from_slice(branch.as_bytes());
        key.push(b' ');
        key.extend_from_slice(method.as_bytes());
        Self(Arc::from(&key[..]))
    }

    /// Whether the request is an INVITE.
    pub fn is_invite(&self) -> bool {
        self.0.ends_with(b" INVITE")
    }
}

impl ServerKey {
    /// The key of a request that came.
    pub fn of(request: &Message) -> Option<Self> {
        let method = if request.method() == "ACK" { "INVITE" } else { request.method() };
        Self::with_method(request, method)
    }

    /// The key of the INVITE that a CANCEL is about (§9.2).
    pub fn of_cancelled(cancel: &Message) -> Option<Self> {
        Self::with_method(cancel, "INVITE")
    }

    fn with_method(request: &Message, method: &str) -> Option<Self> {
        let via = request.top_via()?;
        let branch = via.branch().unwrap_or_default();
        // RFC 4475 §3.2.1: a cookie with nothing behind it tells no transactions apart.
        if branch.len() > COOKIE.len() && branch.starts_with(COOKIE) {
            let mut key = Key::from_slice(branch.as_bytes());
            key.push(b' ');
            let host = key.len();
            key.extend_from_slice(via.host.as_bytes());
            key[host..].make_ascii_lowercase();
            key.push(b' ');
            key.extend_from_slice(&via.port.unwrap_or_default().to_be_bytes());
            key.extend_from_slice(method.as_bytes());
            return Some(Self(Arc::from(&key[..])));
        }
        // A peer of RFC 2543: what identifies its request is the request (§17.2.3).
        let (number, _) = request.cseq()?;
        let via = request.elements(Name::Via).next()?;
        let tag = request.from_tag().unwrap_or_default();
        let key = format!("2543 {tag} {} {number} {via} {method}", request.call_id());
        Some(Self(Arc::from(key.as_bytes())))
    }
}

/// RFC 3261 §8.1.1.7: what a branch of this RFC begins with.
pub(super) const COOKIE: &str = "z9hG4bK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_cookie_tells_no_transactions_apart() {
        let key = |branch: &str, call: &str| {
            let mut request = Message::request("OPTIONS", "sip:a");
            request.push(Name::Via, &format!("SIP/2.0/UDP a{branch}"));
            request.push(Name::CallId, call);
            request.push(Name::CSeq, "1 OPTIONS");
            ServerKey::of(&request)
        };
        for branch in ["", ";branch=z9hG4bK", ";branch=1"] {
            assert_ne!(key(branch, "one"), key(branch, "two"), "{branch}");
        }
        assert_eq!(key(";branch=z9hG4bK1", "one"), key(";branch=z9hG4bK1", "two"));
    }
}
