//! Who asks — HTTP Basic (RFC 7617), the fields of a form, or a single-use token in the URL.
//!
//! In    a request's headers and fields. Out the account's card, and the password if it was a password that proved it.
//! Errors 401 with one text for every wrong proof; 429 with Retry-After while throttled; 503 without a store.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use shared_auth::{AccountCard, Denied, How, OnWire, Origin, Proof, Spent, Token};
use shared_model::Protocol;
use shared_runtime::http::Peer;
use shared_runtime::unix_millis;

use crate::Parts;
use crate::answer::unkept;

/// What tokens of this face are issued for.
pub const PURPOSE: &str = "provision";

/// How long a token is good that a page shows for a device to scan.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// What may stand in the URL or in a form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    pub(crate) token: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

/// A proved account, and what is known of who asks for it.
pub(crate) struct Proved {
    pub(crate) card: AccountCard,
    /// The password that proved it, if it was one that we keep.
    pub(crate) password: Option<String>,
    /// The device that a token was issued for.
    pub(crate) device: Option<String>,
    /// The token that proved it.
    pub(crate) token: Option<Token>,
}

impl Parts {
    /// The domain that a name without one is of: that of the host which was asked (RFC 9110 §7.2), if accounts are there, or the
    /// main one.
    pub(crate) fn domain_asked(&self, headers: &HeaderMap) -> &str {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.domains.find(name).unwrap_or(self.domains.main())
    }
}

/// Proves the account, or says how to answer.
pub(crate) async fn prove(
    parts: &Parts,
    peer: Peer,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Proved, Response> {
    prove_of(parts, peer, headers, (fields, Spent::Now), parts.domain_asked(headers)).await
}

/// The same, for who uses up the token along with what it is shown for.
pub(crate) async fn prove_unspent(
    parts: &Parts,
    peer: Peer,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Proved, Response> {
    prove_of(parts, peer, headers, (fields, Spent::Later), parts.domain_asked(headers)).await
}

/// The same, where it is known of which domain a name without one is.
pub(crate) async fn prove_of(
    parts: &Parts,
    peer: Peer,
    headers: &HeaderMap,
    (fields, spent): (&Fields, Spent),
    domain: &str,
) -> Result<Proved, Response> {
    let (proof, password) = proof(domain, headers, fields, spent).ok_or_else(unproven)?;
    let broken = |_| unkept(StatusCode::SERVICE_UNAVAILABLE.into_response());
    let origin = Origin::new(Protocol::Provisioning, peer.address.ip().to_canonical());
    let identity = parts.auth.authenticator.verify(proof, origin).await.map_err(|denied| refuse(&denied))?;
    let card = parts.auth.directory.by_id(identity.account).await.map_err(broken)?.ok_or_else(unproven)?;
    // What a directory verifies is of no use to a phone, which gets a password of its own.
    let password = password.filter(|_| identity.how != How::Bind);
    let token = identity.token.map(|token| *token);
    let device = token.as_ref().map(|token| token.note.clone()).filter(|note| !note.is_empty());
    Ok(Proved { card, password, device, token })
}

/// Whether [`prove`] would prove an account; no token is used up.
pub(crate) async fn peek(
    parts: &Parts,
    peer: Peer,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<(), Response> {
    if fields.token.is_empty() {
        return prove(parts, peer, headers, fields).await.map(drop);
    }
    match parts.auth.tokens.peek(PURPOSE, &fields.token, unix_millis()).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            let ip = peer.address.ip().to_canonical();
            if let Some(wait) = parts.auth.authenticator.wait(ip) {
                return Err(refuse(&Denied::Throttled(wait)));
            }
            parts.auth.authenticator.suspect(ip);
            Err(unproven())
        }
        Err(error) => Err(refuse(&error.into())),
    }
}

fn proof(
    domain: &str,
    headers: &HeaderMap,
    fields: &Fields,
    spent: Spent,
) -> Option<(Proof, Option<String>)> {
    if !fields.token.is_empty() {
        let (purpose, text) = (PURPOSE.to_owned(), fields.token.clone());
        return Some((Proof::Token { purpose, text, spent }, None));
    }
    let (name, password) = if fields.username.is_empty() {
        basic(headers)?
    } else {
        (fields.username.clone(), fields.password.clone())
    };
    let domain = domain.to_owned();
    Some((Proof::Plain { name, domain, password: password.clone(), authzid: String::new() }, Some(password)))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn refuse(denied: &Denied) -> Response {
    let response = match denied.on_wire() {
        OnWire::TryLater(wait) => {
            let seconds = wait.as_secs().max(1).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], "too many failed attempts\n")
                .into_response()
        }
        OnWire::TemporaryFailure => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        OnWire::Malformed => StatusCode::BAD_REQUEST.into_response(),
        OnWire::Refused | OnWire::ChallengeAgain | OnWire::ChallengeStale => unproven(),
    };
    unkept(response)
}

pub(crate) fn unproven() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"cusax\", charset=\"UTF-8\"")];
    unkept((StatusCode::UNAUTHORIZED, challenge, "a password or a token is needed\n").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_proof_gets_one_challenge_that_nobody_keeps() {
        for denied in [Denied::WrongProof, Denied::UnknownAccount, Denied::Disabled, Denied::BadToken] {
            let response = refuse(&denied);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn a_throttled_proof_is_told_when_to_come_back() {
        let response = refuse(&Denied::Throttled(Duration::from_secs(7)));
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[test]
    fn basic_splits_at_the_first_colon_and_refuses_what_is_no_base64() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "basic YWxpY2U6YTpi".parse().unwrap());
        assert_eq!(basic(&headers), Some(("alice".to_owned(), "a:b".to_owned())));
        headers.insert(header::AUTHORIZATION, "Basic ???".parse().unwrap());
        assert_eq!(basic(&headers), None);
    }
}
