//! How we prove ourselves to a carrier — RFC 3261 §22.2, §22.3, RFC 7616 §3.4, RFC 8760 §2.4.
//!
//! In    a 401 or 407 of the carrier, then requests to it.
//! Out   the credentials that answer the challenge; further requests carry them from the start, each with the next count.
//! State the last challenge.
//! Errors a challenge that we cannot answer, or that says that our answer was wrong, is not to be answered.
//! Not here: the CSeq of what goes with credentials ([`crate::proxy`]).

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use shared_auth::{DigestAlgorithm, DigestProof, Qop};
use sip_core::Message;
use sip_core::header::{AuthParams, Name, quote};

/// Our name and password there, and what we were asked last.
pub(crate) struct Credentials {
    user: String,
    password: String,
    asked: Mutex<Option<Asked>>,
}

#[derive(Clone)]
struct Asked {
    answer_in: Name,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: DigestAlgorithm,
    has_qop: bool,
    count: u32,
}

impl Credentials {
    pub(crate) fn new(user: String, password: String) -> Self {
        Self { user, password, asked: Mutex::new(None) }
    }

    /// Reads a challenge. Whether it can be answered: not if what it was made for was the answer to another, just given,
    /// unless that had grown stale meanwhile (RFC 7616 §3.3).
    pub(crate) fn challenged(&self, response: &Message, was_answer: bool) -> bool {
        let (ask, answer_in) = match response.status() {
            401 => (Name::WwwAuthenticate, Name::Authorization),
            407 => (Name::ProxyAuthenticate, Name::ProxyAuthorization),
            _ => return false,
        };
        // RFC 8760 §2.4: the topmost that we can answer.
        let found = response.values(ask).find_map(|challenge| Asked::read(challenge, answer_in));
        let Some((asked, is_stale)) = found else { return false };
        *self.lock() = Some(asked);
        is_stale || !was_answer
    }

    /// Puts credentials into a request, if we were ever asked. `random` is for the cnonce. What the caller's credentials
    /// for us were is gone already.
    pub(crate) fn put(&self, request: &mut Message, random: u64) {
        let Some(asked) = self.next() else { return };
        let qop = asked.has_qop.then(|| Qop {
            cnonce: format!("{random:016x}"),
            nc: format!("{:08x}", asked.count),
            body: None,
        });
        let proof = DigestProof {
            username: self.user.clone(),
            realm: asked.realm.clone(),
            nonce: asked.nonce.clone(),
            uri: request.uri().to_owned(),
            response: String::new(),
            algorithm: asked.algorithm,
            qop,
            method: request.method().to_owned(),
        };
        request.push(asked.answer_in, &print(&proof.answered(&self.password), asked.opaque.as_deref()));
    }

    fn next(&self) -> Option<Asked> {
        let mut asked = self.lock();
        let asked = asked.as_mut()?;
        asked.count = asked.count.saturating_add(1);
        Some(asked.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn read(challenge: &str, answer_in: Name) -> Option<(Self, bool)> {
        let challenge =
            AuthParams::parse(challenge).filter(|auth| auth.scheme.eq_ignore_ascii_case("Digest"))?;
        let algorithm = match challenge.value("algorithm") {
            Some(word) => DigestAlgorithm::parse(&word)?,
            None => DigestAlgorithm::Md5,
        };
        let qop = challenge.value("qop");
        let offers_auth = |qop: &str| qop.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"));
        if qop.as_deref().is_some_and(|qop| !offers_auth(qop)) {
            return None;
        }
        let is_stale = challenge.value("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        let asked = Self {
            answer_in,
            realm: challenge.value("realm")?.into_owned(),
            nonce: challenge.value("nonce")?.into_owned(),
            opaque: challenge.value("opaque").map(Cow::into_owned),
            algorithm,
            has_qop: qop.is_some(),
            count: 0,
        };
        Some((asked, is_stale))
    }
}

fn print(proof: &DigestProof, opaque: Option<&str>) -> String {
    let mut out = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}",
        quote(&proof.username),
        quote(&proof.realm),
        quote(&proof.nonce),
        quote(&proof.uri),
        proof.response,
        proof.algorithm.as_str(),
    );
    if let Some(qop) = &proof.qop {
        out.push_str(&format!(", qop=auth, nc={}, cnonce={}", qop.nc, quote(&qop.cnonce)));
    }
    if let Some(opaque) = opaque {
        out.push_str(&format!(", opaque={}", quote(opaque)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Message {
        let mut response = Message::response(&Message::request("INVITE", "sip:+331@carrier"), 407, "");
        for value in values {
            response.push(Name::ProxyAuthenticate, value);
        }
        response
    }

    #[test]
    fn the_first_challenge_that_we_know_is_answered_and_then_counted() {
        let credentials = Credentials::new("us".into(), "secret".into());
        let mut request = Message::request("INVITE", "sip:+331@carrier");
        credentials.put(&mut request, 1);
        assert!(request.value(Name::ProxyAuthorization).is_none(), "nobody asked");
        let asked = challenge(&[
            "Bearer realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-9",
            "Digest realm=\"r\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth-int,auth\", opaque=\"o\"",
            "Digest realm=\"r\", nonce=\"n2\"",
        ]);
        assert!(credentials.challenged(&asked, false));
        for count in ["00000001", "00000002"] {
            let mut request = Message::request("INVITE", "sip:+331@carrier");
            credentials.put(&mut request, 1);
            let auth = request.value(Name::ProxyAuthorization).unwrap();
            let auth = AuthParams::parse(auth).unwrap();
            for (name, value) in [
                ("nonce", "n1"),
                ("nc", count),
                ("opaque", "o"),
                ("uri", "sip:+331@carrier"),
                ("algorithm", "SHA-256"),
            ] {
                assert_eq!(auth.value(name).as_deref(), Some(value));
            }
        }
    }

    #[test]
    fn an_answer_that_is_refused_is_not_given_again() {
        let credentials = Credentials::new("us".into(), "secret".into());
        let asked = challenge(&["Digest realm=\"r\", nonce=\"n1\""]);
        assert!(credentials.challenged(&asked, false) && !credentials.challenged(&asked, true));
        assert!(credentials.challenged(&challenge(&["Digest realm=\"r\", nonce=\"n2\", stale=TRUE"]), true));
        let body_too = challenge(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""]);
        assert!(!credentials.challenged(&body_too, false));
        assert!(!credentials.challenged(&challenge(&[]), false));
    }
}
