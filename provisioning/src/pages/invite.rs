//! The page behind an invitation: it makes the account and then shows all that this device needs (RFC 7081 §6; XEP-0401 §5.2).
//!
//! In    `GET /invite/TOKEN`, which spends nothing; `POST` with a user name and a password, which does.
//! Out   a form beside the `xmpp:` link that lets a chat app do the same (XEP-0445 §3); then [`setup`](super::setup).
//! Errors 422 with the form, its field and rule; 404 with one page for all that is not good, which counts against the
//!        network that asks, as failed proofs do.

use std::sync::Arc;

use axum::Form;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use shared_auth::{BookError, By, Invite, InviteError, NameError, Opens, Wish, card_json};
use shared_runtime::http::Peer;
use shared_runtime::unix_millis;
use shared_store::StoreError;

use super::words::{Words, fill};
use super::{Fault, field, not_good, page, setup, throttled, trouble};
use crate::links::app_uri;
use crate::{Face, Parts, qr, session};

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    user: String,
    name: String,
    password: String,
}

pub(super) async fn look(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    let words = Words::of(&headers);
    match find(&parts, peer, words, &token).await {
        Ok(invite) => show(&parts, words, &token, &invite, &Filled::default(), None).await,
        Err(response) => response,
    }
}

pub(super) async fn accept(
    State(parts): State<Arc<Face>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(token): Path<String>,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Response {
    let words = Words::of(&headers);
    if !session::is_from_here(&parts, &headers) {
        return session::foreign();
    }
    let invite = match find(&parts, peer, words, &token).await {
        Ok(invite) => invite,
        Err(response) => return response,
    };
    // Whoever tries names is not told by this that one is free.
    if matches!(invite.opens, Opens::Account { user: None, .. })
        && let Some(wait) = parts.auth.authenticator.wait(peer.address.ip().to_canonical())
    {
        return throttled(words, wait);
    }
    let (invites, now) = (&parts.auth.invites, unix_millis());
    let wish = Wish { user: &filled.user, name: &filled.name, password: &filled.password };
    let (done, is_new) = match &invite.opens {
        Opens::Account { .. } => (invites.accept(&token, &parts.domains, wish, now).await, true),
        Opens::Password { .. } => (invites.reset(&token, &filled.password, now).await, false),
        Opens::Contact { .. } => return not_good(words),
    };
    let card = match done {
        Ok(card) => card,
        Err(InviteError::Spent) => return not_good(words),
        Err(error) => match fault(words, &filled, &error) {
            Some(fault) if is_taken(&error) => {
                // Lest an invitation be a way to try which names there are.
                parts.auth.authenticator.suspect(peer.address.ip().to_canonical());
                return show(&parts, words, &token, &invite, &filled, Some(&fault)).await;
            }
            Some(fault) => return show(&parts, words, &token, &invite, &filled, Some(&fault)).await,
            None => {
                tracing::warn!(%error, "an invitation could not be accepted");
                return trouble(words);
            }
        },
    };
    let (audit, by) = (&parts.auth.audit, By::default().at(Some(peer.address.ip())));
    match is_new {
        true => {
            let what = "account created by invitation";
            audit.change(by, what, &card.aor, Value::Null, card_json(&card)).await;
        }
        false => audit.note(by, "password reset by link", &card.aor).await,
    }
    let mut response = setup::welcome(&parts, words, &card, is_new).await;
    // Whoever just chose the password need not type it again.
    if let Some(cookie) = session::begin(&parts, card.account, &headers).await {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The invitation, or what to answer.
async fn find(parts: &Parts, peer: Peer, words: &Words, token: &str) -> Result<Invite, Response> {
    match parts.auth.invites.peek(token, unix_millis()).await {
        Ok(Some(invite)) => Ok(invite),
        Ok(None) => {
            let ip = peer.address.ip().to_canonical();
            if let Some(wait) = parts.auth.authenticator.wait(ip) {
                return Err(throttled(words, wait));
            }
            parts.auth.authenticator.suspect(ip);
            Err(not_good(words))
        }
        Err(_) => Err(trouble(words)),
    }
}

/// The field and the rule that a wish breaks; none where it is our fault.
fn fault(words: &Words, filled: &Filled, error: &InviteError) -> Option<Fault> {
    match error {
        InviteError::Name(NameError::Unshowable) => {
            Some(("name", words.say(&error.to_string()).into_owned()))
        }
        // The one rule that both names have.
        InviteError::Name(NameError::TooLong) if filled.user.trim().len() <= 64 => {
            Some(("name", words.say(&error.to_string()).into_owned()))
        }
        InviteError::Name(_) => Some(("user", words.say(&error.to_string()).into_owned())),
        InviteError::Book(BookError::BadName) => Some(("name", words.say(&error.to_string()).into_owned())),
        InviteError::Weak(_) | InviteError::Book(BookError::Password(_)) => {
            Some(("password", words.say(&error.to_string()).into_owned()))
        }
        error if is_taken(error) => Some(("user", words.taken.to_owned())),
        _ => None,
    }
}

fn is_taken(error: &InviteError) -> bool {
    matches!(error, InviteError::Book(BookError::Store(StoreError::Taken(_)) | BookError::StillErased))
}

async fn show(
    parts: &Parts,
    words: &Words,
    token: &str,
    invite: &Invite,
    filled: &Filled,
    fault: Option<&Fault>,
) -> Response {
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    match &invite.opens {
        Opens::Account { user, name, contact, .. } => {
            let domain = invite.domain(&parts.domains);
            let (Some(domain), Some(uri)) = (domain, app_uri(&parts.domains, token, invite)) else {
                return not_good(words);
            };
            let body = html! {
                p { @if let Some(contact) = contact { (fill(words.invite_by, contact.as_str())) " " } (words.invite_text) }
                section { (account_form(words, domain, user.as_deref(), name, filled, fault)) }
                (app(words, &uri))
            };
            page(status, words, &fill(words.invite_title, domain), &[], &body)
        }
        Opens::Password { account } => {
            let Ok(Some(card)) = parts.auth.directory.by_id(*account).await else { return not_good(words) };
            let body = html! {
                p { (words.reset_text) }
                section { form method="post" {
                    input type="hidden" name="user" autocomplete="username" value=(card.aor);
                    (password_field(words, fault))
                    button { (words.reset_submit) }
                } }
            };
            page(status, words, &fill(words.reset_title, card.aor.as_str()), &[], &body)
        }
        Opens::Contact { contact } => {
            let uri = format!("{}?roster;preauth={token}", contact.to_xmpp_uri());
            let body = html! { p { (words.contact_text) } (app(words, &uri)) };
            page(status, words, &fill(words.contact_title, contact.as_str()), &[], &body)
        }
    }
}

fn account_form(
    words: &Words,
    domain: &str,
    user: Option<&str>,
    name: &str,
    filled: &Filled,
    fault: Option<&Fault>,
) -> Markup {
    let shown = if filled.name.is_empty() { name } else { &filled.name };
    html! {
        form method="post" {
            @match user {
                Some(user) => {
                    p { (words.address) ": " strong { (user) "@" (domain) } }
                    input type="hidden" name="user" autocomplete="username" value=(user);
                }
                None => (field("user", words.invite_user, words.invite_user_hint, fault, |about, wrong| html! {
                    input #user name="user" value=(filled.user) required maxlength="64" autocomplete="username"
                        autocapitalize="none" spellcheck="false" aria-describedby=(about) aria-invalid=[wrong.then_some("true")];
                }))
            }
            (password_field(words, fault))
            (field("name", words.invite_name, words.optional, fault, |about, wrong| html! {
                input #name name="name" value=(shown) maxlength="64" autocomplete="name" aria-describedby=(about)
                    aria-invalid=[wrong.then_some("true")];
            }))
            button { (words.invite_submit) }
        }
    }
}

fn password_field(words: &Words, fault: Option<&Fault>) -> Markup {
    field("password", words.invite_password, words.invite_password_hint, fault, |about, wrong| {
        html! {
            input #password type="password" name="password" required minlength="8" maxlength="1024" autocomplete="new-password"
                aria-describedby=(about) aria-invalid=[wrong.then_some("true")];
        }
    })
}

/// The same by a chat app on this device, or by the camera of one.
fn app(words: &Words, uri: &str) -> Markup {
    html! {
        section {
            h2 { (words.invite_app_title) }
            div.pair.code {
                div {
                    p { (words.invite_app_text) }
                    a.button href=(uri) { (words.invite_app_open) }
                    p.hint { code data-copy=(words.copy) { (uri) } }
                }
                (qr::picture(uri, words.invite_app_code))
            }
        }
    }
}
