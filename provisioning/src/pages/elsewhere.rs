//! Signing in at a provider of OpenID Connect (Core 1.0 §3.1, RFC 7636): there, and back with a code.
//!
//! In    `GET /sign-in/oidc?domain=…`, for who has people of several domains; `GET /sign-in/oidc/callback` with `code` and `state`, or with `error`; from the provider itself
//!       `POST /sign-in/oidc/logout` with `logout_token` (Back-Channel Logout 1.0 §2.5).
//! Out   a way to the provider, and a note that this browser alone keeps; a session, or the page to sign in with a reason.
//! State in the browser: a sealed cookie for ten minutes. It is `Lax`, since the way back begins at another site.
//! Errors one text for whatever was not proved; the log tells why. 503 where the provider does not answer.

use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Deserialize;
use shared_auth::{CodeProof, Denied, OnWire, Origin, Proof};
use shared_model::Protocol;
use shared_runtime::http::Peer;

use super::words::Words;
use super::{not_good, page, sign_in, throttled, trouble};
use crate::Face;
use crate::session::{self, go};

/// What the provider sends back.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    code: String,
    state: String,
    iss: Option<String>,
    error: String,
}

/// Where a sign-in begins.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    /// Of whom the provider is; empty: of the domain whose host was asked.
    domain: String,
    /// Whether this is where people come back to.
    here: bool,
}

/// The way to the provider of a domain.
pub(super) fn begin_at(domain: &str) -> String {
    format!("/sign-in/oidc?domain={domain}")
}

pub(super) async fn go_there(
    State(face): State<Arc<Face>>,
    Query(begin): Query<Begin>,
    headers: HeaderMap,
) -> Response {
    let words = Words::of(&headers);
    let asked = face.domain_asked(&headers);
    let domain = if begin.domain.is_empty() { asked } else { &begin.domain };
    let Some(provider) = face.auth.authenticator.provider(domain) else { return not_good(words) };
    // The note is a cookie of the host that people come back to, which is the service's own.
    if asked != face.domains.main() && !begin.here {
        return go(&face.url(&format!("{}&here=true", begin_at(domain))));
    }
    let begun = match provider.begin(&face.url(BACK)).await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::error!(%error, "nobody can sign in by the provider");
            return trouble(words);
        }
    };
    let mut response = go(&begun.url);
    response.headers_mut().extend(cookie(&begun.note, LASTS).map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

pub(super) async fn come_back(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(back): Query<Back>,
    headers: HeaderMap,
) -> Response {
    let words = Words::of(&headers);
    if face.auth.authenticator.providers().next().is_none() {
        return not_good(words);
    }
    let mut response = enter(&face, peer, back, &headers, words).await;
    // The note was good for one way.
    response.headers_mut().extend(cookie("", 0).map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

async fn enter(face: &Face, peer: Peer, back: Back, headers: &HeaderMap, words: &Words) -> Response {
    let refused = || sign_in::form(face, headers, "", Some(words.elsewhere_refused));
    if !back.error.is_empty() {
        tracing::info!(error = %back.error.chars().filter(|c| c.is_ascii_graphic()).take(64).collect::<String>(), "the provider refused a sign-in");
        return refused();
    }
    let Some(note) = session::cookie_named(headers, NOTE) else { return refused() };
    let proof = Proof::Code(CodeProof {
        note: note.to_owned(),
        state: back.state,
        code: back.code,
        issuer: back.iss,
        redirect: face.url(BACK),
    });
    let origin = Origin::new(Protocol::Provisioning, peer.address.ip().to_canonical());
    let identity = match face.auth.authenticator.verify(proof, origin).await {
        Ok(identity) => identity,
        // The provider knows them: they may hear why, and whom to ask.
        Err(Denied::Unwatched) => return sign_in::form(face, headers, "", Some(words.elsewhere_unwatched)),
        Err(denied) => {
            return match denied.on_wire() {
                OnWire::TryLater(wait) => throttled(words, wait),
                OnWire::TemporaryFailure => trouble(words),
                _ => refused(),
            };
        }
    };
    let Some(begun) = session::begin(face, identity.account, headers).await else { return trouble(words) };
    // Not a redirection: the session's cookie is `Strict`, and goes along with what begins at a page of ours alone.
    let body = html! { section { p { a href="/account" { (words.account) } } } };
    let mut response = page(StatusCode::OK, words, words.sign_in_title, &[], &body);
    response.headers_mut().append(header::SET_COOKIE, begun);
    response.headers_mut().insert(header::REFRESH, HeaderValue::from_static("0; url=/account"));
    response
}

/// What the provider shows where somebody signed out there.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct End {
    logout_token: String,
}

/// §2.7, §2.8: the browsers of whoever signed out there are signed out here; 200 if that is done, 400 for a token that is none.
pub(super) async fn told_of_end(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Form(end): Form<End>,
) -> Response {
    let ip = peer.address.ip().to_canonical();
    if face.auth.authenticator.wait(ip).is_some() {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    let (account, moment) = match face.auth.authenticator.signed_out(&end.logout_token).await {
        Ok(Some(known)) => known,
        // Nobody of ours has nothing to end.
        Ok(None) => return StatusCode::OK.into_response(),
        Err(denied) if denied.on_wire() == OnWire::TemporaryFailure => {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Err(denied) => {
            tracing::info!(reason = %denied, "a sign-out of the provider is not believed");
            // The provider itself must not be shut out, whose clock may be wrong.
            if denied.is_failed_proof() {
                face.auth.authenticator.suspect(ip);
            }
            return StatusCode::BAD_REQUEST.into_response();
        }
    };
    match face.auth.bearers.end_older(account, session::SCOPE, moment).await {
        Ok(ended) => {
            tracing::info!(%account, ended, "somebody signed out at the provider");
            StatusCode::OK.into_response()
        }
        Err(error) => {
            tracing::error!(%account, %error, "browsers stay signed in of somebody who signed out at the provider");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn cookie(note: &str, seconds: u64) -> Option<HeaderValue> {
    let line = format!("{NOTE}={note}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&line).ok()
}

/// Where people come back to; the provider must know it.
const BACK: &str = "/sign-in/oidc/callback";
const NOTE: &str = "__Host-cusax-oidc";
/// Seconds that somebody may take at the provider.
const LASTS: u64 = 600;
