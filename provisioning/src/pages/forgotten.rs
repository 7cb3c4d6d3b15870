//! Who forgot their password: they read whom to ask; and where the operator lets it (`provisioning.reset_by_chat`), a link to a new
//! one goes to the chat of the account, for who is signed in there on another device.
//!
//! In    a name. Out one and the same page, whether there is such an account or not, and no sooner or later.
//! State which accounts were told lately: once an hour each.
//! Errors every question counts against the network that asks, as failed proofs do; 429 while it is throttled.
//!
//! A chat client may be in by the password of one device, which else may change nothing of the account: whoever lets this says that
//! who reads an account's chat is its owner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use shared_auth::{AccountCard, By, Opens};
use shared_model::{Aor, BareJid};
use shared_runtime::http::Peer;
use shared_runtime::unix_millis;

use super::words::{Words, fill};
use super::{page, throttled};
use crate::Face;
use crate::session;

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    user: String,
}

pub(super) async fn look(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    show(&face, &headers, false)
}

pub(super) async fn ask(
    State(face): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let words = Words::of(&headers);
    if !session::is_from_here(&face, &headers) {
        return session::foreign();
    }
    let ip = peer.address.ip().to_canonical();
    if let Some(wait) = face.auth.authenticator.wait(ip) {
        return throttled(words, wait);
    }
    face.auth.authenticator.suspect(ip);
    if face.config.reset_by_chat {
        let (own, domain) = (Arc::clone(&face), face.domain_asked(&headers).to_owned());
        // Beside the answer, which takes as long for nobody.
        face.shutdown.spawn(async move { tell(&own, words, filled.user.trim(), &domain).await });
    }
    show(&face, &headers, true)
}

/// Tells an account its link, if there is such an account that may have one now.
async fn tell(face: &Face, words: &Words, name: &str, domain: &str) {
    let Some(notices) = &face.notices else { return };
    let Some(card) = find(face, name, domain).await.filter(|card| card.enabled) else { return };
    // Who administrates the service has its command line; one of their devices is not to have all of it.
    if card.admin {
        return;
    }
    // A password that another system keeps is none of ours.
    if !matches!(face.auth.book.keeper(card.account).await, Ok(None))
        || face.forgotten.may(card.account, Instant::now()).is_err()
    {
        return;
    }
    let opens = Opens::Password { account: card.account };
    match face.auth.invites.create(&face.domains, opens, None, LIFETIME, unix_millis()).await {
        Ok((text, _)) => {
            face.auth.audit.note(By::default(), "reset link sent to the chat", &card.aor).await;
            let link = face.url(&format!("/invite/{text}"));
            let said = fill(&fill(words.forgotten_message, card.aor.as_str()), &link);
            notices.tell(&card.jid, &said).await;
        }
        Err(error) => tracing::warn!(%error, "who forgot a password gets no link"),
    }
}

/// The account of a name; without a domain it is of the one that was asked.
async fn find(face: &Face, name: &str, domain: &str) -> Option<AccountCard> {
    let aor = if name.contains('@') { name.parse() } else { Aor::new(name, domain) };
    let jid = if name.contains('@') { name.parse() } else { BareJid::new(name, domain) };
    if let Ok(aor) = aor
        && let Ok(Some(card)) = face.auth.directory.by_aor(&aor).await
    {
        return Some(card);
    }
    face.auth.directory.by_jid(&jid.ok()?).await.ok().flatten()
}

fn show(face: &Face, headers: &HeaderMap, is_asked: bool) -> Response {
    let words = Words::of(headers);
    let by_chat = face.config.reset_by_chat && face.notices.is_some();
    let body = html! {
        section {
            @if is_asked && by_chat { p.done role="status" { (words.forgotten_told) } }
            p {
                (words.forgotten_ask) " "
                @if face.config.contact.is_empty() { (words.forgotten_operator) } @else { strong { (face.config.contact) } }
            }
            @if by_chat && !is_asked {
                p { (words.forgotten_chat) }
                form method="post" action="/sign-in/forgotten" {
                    label for="user" { (words.user_name) }
                    input #user name="user" required maxlength="256" autocomplete="username" autocapitalize="none" spellcheck="false"
                        placeholder=(format!("alice@{}", face.domain_asked(headers)));
                    button { (words.forgotten_submit) }
                }
            }
            p { a href="/sign-in" { (words.sign_in) } }
        }
    };
    page(StatusCode::OK, words, words.forgotten_title, &[], &body)
}

/// How long such a link is good.
const LIFETIME: Duration = Duration::from_secs(3600);
