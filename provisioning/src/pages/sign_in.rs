//! Signing in and out: the account's own password, since that of one device may change nothing.
//!
//! In    a name, without a domain one of the domain whose host was asked; a password. Out a session.
//! Errors 401 with one text for every wrong proof, 429 while throttled.

use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use shared_auth::{OnWire, Origin, Proof};
use shared_model::Protocol;
use shared_runtime::http::Peer;

use super::words::{Words, fill};
use super::{elsewhere, page, throttled, trouble};
use crate::Face;
use crate::session::{self, Session, go};

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    user: String,
    password: String,
}

/// What a form without fields of its own sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Keyed {
    key: String,
}

pub(super) async fn look(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    match Session::of(&face, &headers).await {
        Some(_) => go("/account"),
        None => form(&face, &headers, "", None),
    }
}

pub(super) async fn enter(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let words = Words::of(&headers);
    if !session::is_from_here(&face, &headers) {
        return form(&face, &headers, "", Some(words.sign_in_again));
    }
    let proof = Proof::Plain {
        name: filled.user.trim().to_owned(),
        domain: face.domain_asked(&headers).to_owned(),
        password: filled.password.clone(),
        authzid: String::new(),
    };
    let origin = Origin::new(Protocol::Provisioning, peer.address.ip().to_canonical());
    let identity = match face.auth.authenticator.verify(proof, origin).await {
        Ok(identity) => identity,
        Err(denied) => {
            return match denied.on_wire() {
                OnWire::TryLater(wait) => throttled(words, wait),
                OnWire::TemporaryFailure => trouble(words),
                _ => form(&face, &headers, &filled.user, Some(words.sign_in_wrong)),
            };
        }
    };
    if !matches!(face.auth.book.is_main(&identity, &filled.password).await, Ok(true)) {
        return form(&face, &headers, &filled.user, Some(words.sign_in_device));
    }
    let Some(cookie) = session::begin(&face, identity.account, &headers).await else { return trouble(words) };
    let mut response = go("/account");
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

pub(super) async fn leave(
    State(face): State<Arc<Face>>,
    headers: HeaderMap,
    Form(keyed): Form<Keyed>,
) -> Response {
    let session = match Session::posted(&face, &headers, &keyed.key).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    if let Err(error) = face.auth.bearers.revoke(session.card.account, &session.bearer.id).await {
        tracing::warn!(%error, "a session outlives its browser");
    }
    let mut response = go("/sign-in");
    response.headers_mut().extend(session::forget().map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

pub(super) fn form(face: &Face, headers: &HeaderMap, user: &str, fault: Option<&str>) -> Response {
    let (words, asked) = (Words::of(headers), face.domain_asked(headers));
    let status = if fault.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    let body = html! {
        section {
            @if let Some(fault) = fault { p.error role="alert" #fault { (fault) } }
            form method="post" action="/sign-in" {
                label for="user" { (words.user_name) }
                input #user name="user" value=(user) required autocomplete="username" autocapitalize="none" spellcheck="false"
                    placeholder=(format!("alice@{asked}")) aria-describedby=[fault.map(|_| "fault")];
                label for="password" { (words.password) }
                input #password type="password" name="password" required autocomplete="current-password"
                    aria-describedby=[fault.map(|_| "fault")];
                button { (words.sign_in) }
            }
            p { a href="/sign-in/forgotten" { (words.forgotten_title) } }
            @for (domain, provider) in face.auth.authenticator.providers() {
                @let is_asked = asked == face.domains.main() || asked == domain;
                @if is_asked { p { a href=(elsewhere::begin_at(domain)) { (fill(words.elsewhere, provider.label())) } } }
            }
        }
    };
    page(status, words, words.sign_in_title, &[], &body)
}
