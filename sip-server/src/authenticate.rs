//! Who sent it — RFC 3261 §22, RFC 7616, RFC 8760: Digest on every request of our domains' users.
//!
//! In    a request, and what it came over.
//! Out   a proved identity, or the response that asks for proof or refuses it.
//! Errors 401 or 407 with one header an algorithm, in the configured order; 503 or 480 with Retry-After after many failures; 503 with it without a store; 400
//! for credentials that are not well formed; wrong password and unknown user get the same answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use shared_auth::{
    Authenticator, Challenge, DigestAlgorithm, DigestProof, Identity, OnWire, Origin, Proof, Qop,
};
use shared_model::Protocol;
use shared_runtime::tls::PeerCertificate;
use sip_core::header::{AuthParams, Name, NameAddr, quote};
use sip_core::{Message, Uri};
use sip_endpoint::{Flow, Transport};

use crate::challenge::ChallengePolicy;
use crate::routing::unavailable;

/// Which headers ask and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A registrar or user agent: 401, Authorization.
    Server,
    /// A proxy: 407, Proxy-Authorization.
    Proxy,
}

/// How proofs are asked for.
pub(crate) struct Door<'a> {
    /// Who knows passwords.
    pub(crate) authenticator: &'a Authenticator,
    /// Our realm.
    pub(crate) realm: &'a str,
    /// Which algorithms are asked for, and of whom.
    pub(crate) challenges: ChallengePolicy<'a>,
    /// What the client showed when it opened the connection.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// Whether an emergency number is called: nobody in need is told to come again.
    pub(crate) is_urgent: bool,
    /// Whether a URI's host is our domain or address.
    pub(crate) is_us: &'a (dyn Fn(&Uri<'_>) -> bool + Sync),
}

/// Proves who sent a request, or says how to answer it.
pub(crate) async fn prove(
    door: &Door<'_>,
    request: &Message,
    flow: &Flow,
    asker: Asker,
) -> Result<Identity, Box<Message>> {
    let realm = door.realm;
    let origin = Origin {
        is_seen: flow.transport != Transport::Udp,
        is_urgent: door.is_urgent,
        ..Origin::new(Protocol::Sip, flow.remote.ip().to_canonical())
    };
    let name = if asker == Asker::Proxy { Name::ProxyAuthorization } else { Name::Authorization };
    let credentials = request.values(name).filter_map(AuthParams::parse).find(|auth| {
        auth.scheme.eq_ignore_ascii_case("Digest") && auth.value("realm").as_deref() == Some(realm)
    });
    let Some(credentials) = credentials else {
        if let Some(name) = door.certificate.as_ref().and_then(|shown| named(shown, request, realm))
            && let Ok(identity) =
                Box::pin(door.authenticator.verify(Proof::Certificate { name }, origin)).await
        {
            return Ok(identity);
        }
        return Err(challenge(door, request, flow, asker, false));
    };
    let Some(proof) = read(&credentials, request) else {
        return Err(Box::new(Message::response(request, 400, "Bad Digest Credentials")));
    };
    if !is_about(&proof.uri, request.uri(), door.is_us) {
        return Err(Box::new(Message::response(request, 400, "Digest URI Differs From Request-URI")));
    }
    match Box::pin(door.authenticator.verify(Proof::Digest(proof), origin)).await {
        Ok(identity) => Ok(identity),
        Err(denied) => Err(match denied.on_wire() {
            OnWire::ChallengeStale => challenge(door, request, flow, asker, true),
            OnWire::ChallengeAgain | OnWire::Refused => challenge(door, request, flow, asker, false),
            OnWire::Malformed => Box::new(Message::response(request, 400, "Bad Digest Credentials")),
            OnWire::TryLater(wait) => try_later(request, wait),
            OnWire::TemporaryFailure => unavailable(request),
        }),
    }
}

/// The answer to who is slowed down for failed attempts. It is over in a moment, and a phone does not come back after 403 (RFC 3261 §21.4.4);
/// a proxy on the way would go elsewhere with a call that gets 503 (§16.7).
fn try_later(request: &Message, wait: Duration) -> Box<Message> {
    let status = if request.method() == "REGISTER" { 503 } else { 480 };
    let mut response = Message::response(request, status, "Too Many Failed Attempts");
    response.push(Name::RetryAfter, &wait.as_secs().max(1).to_string());
    Box::new(response)
}

/// The sender that a request names, if the client's certificate names it too: as a SIP URI, compared as RFC 3261 §19.1.4
/// compares user and host, or as a mail address (RFC 5280 §4.2.1.6).
fn named(certificate: &PeerCertificate, request: &Message, realm: &str) -> Option<String> {
    let from = NameAddr::parse(request.value(Name::From)?)?;
    let from = Uri::parse(from.uri).filter(|from| from.is_sip() && from.host.eq_ignore_ascii_case(realm))?;
    let user = from.user_unescaped();
    let is_uri = |uri: &String| {
        Uri::parse(uri).is_some_and(|uri| {
            uri.is_sip() && uri.user_unescaped() == user && uri.host.eq_ignore_ascii_case(realm)
        })
    };
    let is_mail = |mail: &String| {
        let (local, domain) = mail.rsplit_once('@').unwrap_or_default();
        local == user && domain.eq_ignore_ascii_case(realm)
    };
    let is_named = certificate.uris.iter().any(is_uri) || certificate.emails.iter().any(is_mail);
    (is_named && !user.is_empty()).then(|| format!("{user}@{realm}"))
}

fn challenge(door: &Door<'_>, request: &Message, flow: &Flow, asker: Asker, stale: bool) -> Box<Message> {
    let (status, name) = match asker {
        Asker::Server => (401, Name::WwwAuthenticate),
        Asker::Proxy => (407, Name::ProxyAuthenticate),
    };
    let mut response = Message::response(request, status, "");
    let offered = door.authenticator.challenges(door.realm, stale, flow.remote.ip());
    for challenge in door.challenges.choose(offered, request, flow) {
        response.push(name, &print(&challenge));
    }
    Box::new(response)
}

fn print(challenge: &Challenge) -> String {
    let (realm, nonce, qop) = (quote(&challenge.realm), quote(&challenge.nonce), quote(challenge.qop));
    let stale = if challenge.stale { ", stale=true" } else { "" };
    let algorithm = challenge.algorithm.as_str();
    ["Digest realm=", &realm, ", nonce=", &nonce, ", algorithm=", algorithm, ", qop=", &qop, stale].concat()
}

/// The proof that credentials are; of a parameter that stands there twice the first counts.
fn read(auth: &AuthParams<'_>, request: &Message) -> Option<DigestProof> {
    const NAMES: [&str; 9] =
        ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "cnonce", "nc"];
    let mut values: [Option<Cow<'_, str>>; 9] = Default::default();
    for (name, value) in auth.iter() {
        if let Some(at) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            values[at].get_or_insert(value);
        }
    }
    let [username, realm, nonce, uri, response, algorithm, qop, cnonce, nc] = values;
    let algorithm = match algorithm {
        Some(word) => DigestAlgorithm::parse(&word)?,
        None => DigestAlgorithm::Md5,
    };
    let qop = match qop {
        None => None,
        Some(qop) => {
            let is_whole = qop.eq_ignore_ascii_case("auth-int");
            if !is_whole && !qop.eq_ignore_ascii_case("auth") {
                return None;
            }
            let body = is_whole.then(|| request.body().to_vec());
            Some(Qop { cnonce: cnonce?.into_owned(), nc: nc?.into_owned(), body })
        }
    };
    Some(DigestProof {
        username: username?.into_owned(),
        realm: realm?.into_owned(),
        nonce: nonce?.into_owned(),
        uri: uri?.into_owned(),
        response: response?.into_owned(),
        algorithm,
        qop,
        method: request.method().to_owned(),
    })
}

/// RFC 7616 §3.4.6: the uri of the credentials names the same resource. Clients leave parameters out, and some name
/// the server that they send to instead, which is us.
fn is_about(digest_uri: &str, request_uri: &str, is_us: impl Fn(&Uri<'_>) -> bool) -> bool {
    if digest_uri == request_uri {
        return true;
    }
    match (Uri::parse(digest_uri), Uri::parse(request_uri)) {
        (Some(named), Some(requested)) => {
            let is_same_user = named.user_unescaped() == requested.user_unescaped();
            (is_same_user && named.host.eq_ignore_ascii_case(requested.host))
                || (is_us(&named) && (is_same_user || named.user.is_empty()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let mut request = Message::request("REGISTER", "sip:x");
        request.push(Name::CSeq, "1 REGISTER");
        let value = r#"Digest username="a", realm="x", nonce="n", uri="sip:x", response="r", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c""#;
        let proof = read(&AuthParams::parse(value).unwrap(), &request).unwrap();
        assert_eq!((proof.algorithm, proof.method.as_str()), (DigestAlgorithm::Sha256, "REGISTER"));
        assert!(read(&AuthParams::parse(&value.replace("SHA-256", "SHA-9")).unwrap(), &request).is_none());
        assert!(read(&AuthParams::parse(&value.replace(", nc=00000001", "")).unwrap(), &request).is_none());
    }

    #[test]
    fn a_certificate_proves_the_sender_that_both_name() {
        let certificate = PeerCertificate {
            uris: vec!["sips:Bob@Example.org;x".to_owned(), "sip:example.org".to_owned()],
            emails: vec!["alice@example.org".to_owned(), "carol@elsewhere.example".to_owned()],
            ..PeerCertificate::default()
        };
        let proved = |from: &str| {
            let mut request = Message::request("REGISTER", "sip:example.org");
            request.push(Name::From, from);
            named(&certificate, &request, "example.org")
        };
        assert_eq!(proved("<sip:%61lice@EXAMPLE.org>;tag=1").as_deref(), Some("alice@example.org"));
        assert_eq!(proved("<sip:Bob@example.org>").as_deref(), Some("Bob@example.org"));
        for other in [
            "<sip:bob@example.org>",
            "<sip:carol@example.org>",
            "<sip:example.org>",
            "<tel:+1>",
            "<sip:carol@elsewhere.example>",
        ] {
            assert_eq!(proved(other), None, "{other}");
        }
    }

    #[test]
    fn credentials_for_another_resource_are_noticed() {
        let is_us = |uri: &Uri<'_>| uri.host == "192.0.2.1";
        assert!(is_about("sip:bob@x;transport=tcp", "sip:bob@X", is_us));
        assert!(is_about("sip:192.0.2.1:5060", "sip:bob@x", is_us), "the server itself");
        assert!(!is_about("sip:bob@x", "sip:carol@x", is_us));
        assert!(!is_about("sip:elsewhere", "sip:carol@x", is_us));
    }
}
