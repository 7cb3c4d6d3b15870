//! What the own account keeps in the chat half, on its page: picture, disturbance, voicemail, archive, block list. Nothing where the chat server
//! runs in another process.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::Value;

use super::account::{date, deed, form, read};
use super::blank::Blank;
use super::deeds::Outcome;
use super::head;
use super::voicemail;
use super::words::Words;
use crate::session::Session;
use crate::{Face, picture};

/// The picture itself, for the page that shows it.
pub(super) async fn picture(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    let session = match Session::needed(&face, &headers).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let Some(chat) = &face.own_chat else { return StatusCode::NOT_FOUND.into_response() };
    match chat.picture(&session.card.jid).await {
        // What a chat client set may be anything, and is shown only as what it is.
        Ok(Some(shown)) => match picture::media_type(&shown.bytes) {
            Some(media_type) => ([(header::CONTENT_TYPE, media_type)], shown.bytes).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The sections; `None` if the chat half does not answer.
pub(super) async fn sections(
    face: &Face,
    words: &Words,
    session: &Session,
    after: &str,
    outcome: Option<&Outcome>,
) -> Option<Markup> {
    let Some(chat) = &face.own_chat else { return Some(html! {}) };
    let has_picture = chat.picture(&session.card.jid).await.ok()?.is_some();
    let mailbox = chat.mailbox(&session.card.jid).await.ok()?;
    let messages = chat.voice_messages(&session.card.jid).await.ok()?;
    let undisturbed = read(face, session, "showDisturbance").await?["undisturbed"] == true;
    let archiving = read(face, session, "showArchiving").await?;
    let blocked = read(face, session, "listBlocked").await?;
    let clients = read(face, session, "listClients").await?;
    Some(html! {
        (client_list(words, session, &clients))
        div.pair {
            (portrait(words, session, has_picture, outcome))
            (disturbance(words, session, undisturbed))
        }
        @if let Some(mailbox) = mailbox { (voicemail::section(words, session, &mailbox, &messages)) }
        (archive(words, session, &archiving, outcome))
        (block_list(words, session, &blocked, after, outcome))
    })
}

fn client_list(words: &Words, session: &Session, clients: &Value) -> Markup {
    let all = clients["clients"].as_array().cloned().unwrap_or_default();
    html! {
        section {
            h2 { (words.clients_title) }
            @if all.is_empty() { p { (words.no_clients) } } @else { table role="table" {
                (head(&[words.name, words.last_seen], Some(words.deed)))
                tbody role="rowgroup" { @for client in &all {
                    @let (id, name) = (client["id"].as_str().unwrap_or_default(), client["name"].as_str().unwrap_or_default());
                    tr role="row" {
                        td role="cell" { (name) }
                        td role="cell" data-label=(words.last_seen) { @if client["connected"] == true { (words.connected) } @else if !client["last_seen"].is_null() { (date(words, &client["last_seen"])) } }
                        td role="cell" {
                            @if client["revocable"] == true { (deed(session, "revokeClient", "/account", &[("path.id", id)], words.revoke, name)) }
                            @else { span.hint { (words.knows_password) } }
                            @if client["by_provider"] == true { p.hint { (words.by_provider) } }
                        }
                    }
                } }
            } }
        }
    }
}

fn portrait(words: &Words, session: &Session, has_picture: bool, outcome: Option<&Outcome>) -> Markup {
    let wrong = Blank::of(outcome, "setPicture", &[]).fault("picture");
    html! {
        section {
            h2 { (words.picture) }
            @if has_picture {
                img.portrait src="/account/picture" alt=(words.picture_alt) width="96" height="96";
                (deed(session, "removePicture", "/account", &[], words.remove, words.picture))
            }
            form method="post" action="/do/setPicture" enctype="multipart/form-data" {
                input type="hidden" name="key" value=(session.key);
                input type="hidden" name="back" value="/account";
                label for="picture" { (words.new_picture) }
                input #picture name="picture" type="file" accept="image/png,image/jpeg,image/gif,image/webp" required
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby="picture-about" data-shrink="192";
                p.hint #picture-about { @if let Some(rule) = wrong { span.error { (rule) } " " } (words.picture_rule) }
                button.quiet { (words.save) }
            }
        }
    }
}

fn disturbance(words: &Words, session: &Session, is_so: bool) -> Markup {
    let (now, wish, label) = match is_so {
        true => (words.is_undisturbed, "false", words.disturb),
        false => (words.is_disturbed, "true", words.do_not_disturb),
    };
    html! {
        section {
            h2 { (words.undisturbed_title) }
            p { (now) }
            (form(session, "setDisturbance", "/account", html! {
                input type="hidden" name="undisturbed" value=(wish);
                button.quiet { (label) }
            }))
        }
    }
}

fn archive(words: &Words, session: &Session, archiving: &Value, outcome: Option<&Outcome>) -> Markup {
    let kept = archiving["otherwise"].as_str().unwrap_or_default();
    let choices = [
        ("always", words.archive_always),
        ("contacts", words.archive_contacts),
        ("never", words.archive_never),
    ];
    let blank = Blank::of(outcome, "setArchiving", &[]);
    let list = |name: &'static str, label: &str| {
        let all: Vec<&str> =
            archiving[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        // A form takes as many as a request may hold; what a client made longer is the client's to change.
        html! { @if all.len() <= MOST_LISTED { (blank.lines(name, &format!("archive-{name}"), label, &all.join("\n"))) } }
    };
    html! {
        section {
            h2 { (words.archive_title) }
            (form(session, "setArchiving", "/account", html! {
                (blank.choice("otherwise", "archive-otherwise", words.archive_text, &choices, kept))
                (list("always", words.archive_yes))
                (list("never", words.archive_no))
                button.quiet { (words.save) }
            }))
        }
    }
}

/// A part of the block list, which is in the order of addresses.
fn block_list(
    words: &Words,
    session: &Session,
    blocked: &Value,
    after: &str,
    outcome: Option<&Outcome>,
) -> Markup {
    let all: Vec<&str> =
        blocked["blocked"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let at = all.partition_point(|address| *address <= after);
    // Who goes on from what is last, or not there any more, begins again.
    let behind = if at < all.len() { &all[at..] } else { &all[..] };
    let (part, rest) = behind.split_at(behind.len().min(MOST_LISTED));
    html! {
        section {
            h2 { (words.blocked_title) }
            p { (words.blocked_text) }
            @if !part.is_empty() { table role="table" {
                (head(&[words.address], Some(words.deed)))
                tbody role="rowgroup" { @for address in part { tr role="row" {
                    td role="cell" { (address) }
                    td role="cell" { (deed(session, "unblock", "/account", &[("path.address", address)], words.unblock, address)) }
                } } }
            } }
            @if let Some(last) = part.last().filter(|_| !rest.is_empty()) {
                p { a href=(format!("/account?blocked={}", super::admin::escape(last))) { (words.more) } }
            }
            (form(session, "block", "/account", html! {
                (Blank::of(outcome, "block", &[]).line("address", "block-address", words.block_address, ""))
                button.quiet { (words.block) }
            }))
        }
    }
}

/// Addresses in a list of a form.
const MOST_LISTED: usize = 64;
