//! The own mailbox on the page of the account: its switch, what callers said, and the sound itself (RFC 9110 §14, ranges).
//!
//! In    a browser that shows the page, or plays a message. Out HTML; Opus in Ogg, whole or one part.
//! Errors 404 for what is gone or another's, 416 for a part that is not there, 503 where the chat half does not answer.
//!
//! Who plays a message here heard it: the page loads no sound that nobody wants to hear.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use shared_model::{KeptMessage, MailboxState, OwnChatError};
use shared_runtime::http::{Range, is_known};

use super::account::{date, deed, form, length};
use super::asked::asked_deed;
use super::words::Words;
use crate::Face;
use crate::api::voicemail::MEDIA_TYPE;
use crate::session::Session;

/// The sound of one message, which its owner plays.
pub(super) async fn sound(
    State(face): State<Arc<Face>>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let session = match Session::needed(&face, &headers).await {
        Ok(session) => session,
        Err(response) => return response,
    };
    let Some(chat) = &face.own_chat else { return StatusCode::NOT_FOUND.into_response() };
    let (owner, bytes) = match chat.voice_sound(&session.card.jid, &id).await {
        Ok(bytes) => (&session.card.jid, bytes),
        Err(OwnChatError::Nothing) => return StatusCode::NOT_FOUND.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    // A message is never another: its id is its tag.
    let tag = format!("\"{}\"", id.replace(['"', '\\'], ""));
    if is_known(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let range = Range::asked(&method, &headers, &tag, bytes.len() as u64);
    if method == Method::GET
        && range != Range::Nowhere
        && let Err(error) = chat.set_heard(owner, &id, true).await
    {
        tracing::warn!(%error, "a message that is played counts as new");
    }
    part(bytes, range, &tag)
}

fn part(mut bytes: Vec<u8>, range: Range, tag: &str) -> Response {
    let size = bytes.len();
    let within = |at: u64| usize::try_from(at).unwrap_or(size).min(size.saturating_sub(1));
    let (status, content_range) = match range {
        Range::Whole => (StatusCode::OK, None),
        Range::Part(from, to) => {
            (StatusCode::PARTIAL_CONTENT, Some(format!("bytes {}-{}/{size}", within(from), within(to))))
        }
        Range::Nowhere => (StatusCode::RANGE_NOT_SATISFIABLE, Some(format!("bytes */{size}"))),
    };
    match range {
        Range::Part(from, to) => bytes = bytes.drain(within(from)..=within(to)).collect(),
        Range::Nowhere => bytes.clear(),
        Range::Whole => {}
    }
    let mut response = (status, bytes).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, Some(MEDIA_TYPE.to_owned())),
        (header::ACCEPT_RANGES, Some("bytes".to_owned())),
        (header::ETAG, Some(tag.to_owned())),
        (header::CONTENT_RANGE, content_range),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The section of the account's page.
pub(super) fn section(
    words: &Words,
    session: &Session,
    mailbox: &MailboxState,
    messages: &[KeptMessage],
) -> Markup {
    let (now, wish, label) = match mailbox.is_wanted {
        true => (words.voicemail_on, "false", words.voicemail_close),
        false => (words.voicemail_off, "true", words.voicemail_open),
    };
    let waiting = mailbox.waiting;
    html! {
        section {
            h2 { (words.voicemail_title) }
            p { (now) }
            @if waiting.new + waiting.old > 0 {
                dl { dt { (words.voicemail_new) } dd { (waiting.new) } dt { (words.voicemail_old) } dd { (waiting.old) } }
            }
            @if !messages.is_empty() { ul { @for message in messages.iter().take(MOST_SHOWN) { (item(words, session, message)) } } }
            (form(session, "setVoicemail", "/account", html! {
                input type="hidden" name="wanted" value=(wish);
                button.quiet { (label) }
            }))
        }
    }
}

fn item(words: &Words, session: &Session, message: &KeptMessage) -> Markup {
    let caller = if message.caller.is_empty() { words.somebody } else { &message.caller };
    let (wish, label) = if message.is_heard { ("false", words.mark_new) } else { ("true", words.mark_heard) };
    html! {
        li.message {
            p {
                @if message.is_heard { (caller) } @else { strong { (caller) } " – " (words.is_new) }
                @if message.at > 0 { " – " (date(words, &message.at.into())) }
                " – " (length(words, message.duration.as_secs()))
            }
            // Nothing is loaded before somebody plays it: that is what says that it was heard.
            audio controls preload="none" src=(format!("/account/voicemail/{}", message.id)) aria-label=(format!("{}: {caller}", words.voicemail_title)) {}
            div.row {
                (deed(session, "setVoiceMessage", "/account", &[("path.id", &message.id), ("heard", wish)], label, caller))
                (asked_deed(words, session, "removeVoiceMessage", "/account", &[("path.id", &message.id)], caller))
            }
        }
    }
}

/// Messages that the page shows; the API has all.
const MOST_SHOWN: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_which_and_of_how_much() {
        let got = |range| {
            let response = part(b"0123456789".to_vec(), range, "\"t\"");
            let text = |name| {
                response.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned())
            };
            (response.status().as_u16(), text(header::CONTENT_RANGE))
        };
        assert_eq!(got(Range::Whole), (200, None));
        assert_eq!(got(Range::Part(2, 4)), (206, Some("bytes 2-4/10".to_owned())));
        assert_eq!(got(Range::Nowhere), (416, Some("bytes */10".to_owned())));
    }
}
