//! The own mailbox: whether callers may leave messages, what they said, and what of it was heard.
//!
//! Errors 404 where messages cannot be kept, and for one that is gone; 503 where the chat half does not run in this process.

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shared_model::{KeptMessage, MailboxState, OwnChatError};

use super::caller::Scope;
use super::chat::{chat, problem};
use super::problem::Problem;
use super::{Ask, Field, Kind, Operation, operation};
use crate::Face;

const SHOW: Operation = Operation {
    id: "showVoicemail",
    method: Method::GET,
    path: "/account/voicemail",
    scope: Scope::AccountRead,
    takes: &[],
    gives: "Voicemail",
    summary: "Whether callers may leave messages, and how many wait",
    run: operation!(show_voicemail),
};

pub(super) const TABLE: &[Operation] = &[
    SHOW,
    Operation {
        id: "setVoicemail",
        method: Method::PUT,
        path: "/account/voicemail",
        scope: Scope::AccountWrite,
        gives: "Voicemail",
        takes: &[Field::needed("wanted", Kind::Flag, "callers may leave messages, which come as chat")],
        summary: "Lets callers leave messages from now on, or does not any more",
        run: operation!(set_voicemail),
    },
    Operation {
        id: "listVoiceMessages",
        path: "/account/voicemail/messages",
        gives: "VoiceMessages",
        summary: "What callers said, the newest first",
        run: operation!(messages),
        ..SHOW
    },
    Operation {
        id: "showVoiceMessage",
        path: "/account/voicemail/messages/{id}",
        gives: "Sound",
        summary: "What one message sounds like; it is marked as heard by `setVoiceMessage` alone",
        run: operation!(sound),
        ..SHOW
    },
    Operation {
        id: "setVoiceMessage",
        method: Method::PUT,
        path: "/account/voicemail/messages/{id}",
        scope: Scope::AccountWrite,
        takes: &[Field::needed("heard", Kind::Flag, "it was heard; phones show it as waiting no more")],
        gives: "",
        summary: "Says that a message was heard, or is to wait again",
        run: operation!(mark),
    },
    Operation {
        id: "removeVoiceMessage",
        method: Method::DELETE,
        path: "/account/voicemail/messages/{id}",
        scope: Scope::AccountWrite,
        gives: "",
        summary: "Removes a message and its sound for good",
        run: operation!(remove),
        ..SHOW
    },
];

async fn show_voicemail(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let kept = chat(face)?.mailbox(&ask.caller.card.jid).await.map_err(|error| problem("", error))?;
    let MailboxState { is_wanted, waiting } = kept.ok_or_else(|| Problem::nothing("mailbox"))?;
    Ok(json!({ "wanted": is_wanted, "new": waiting.new, "old": waiting.old }))
}

async fn set_voicemail(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, is_wanted) = (&ask.caller.card, ask.flag("wanted").unwrap_or_default());
    let before = show_voicemail(face, ask).await?;
    chat(face)?.set_mailbox(&card.jid, is_wanted).await.map_err(|error| problem("wanted", error))?;
    let after = show_voicemail(face, ask).await?;
    let states = [&before, &after].map(|state| json!({ "wanted": state["wanted"] }));
    let [old, new] = states;
    face.auth.audit.change(ask.by(), "voicemail changed", &card.aor, old, new).await;
    Ok(after)
}

async fn messages(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let all = chat(face)?.voice_messages(&ask.caller.card.jid).await.map_err(fault)?;
    Ok(json!({ "messages": all.iter().map(shown).collect::<Vec<_>>() }))
}

/// One message without its sound.
pub(super) fn shown(message: &KeptMessage) -> Value {
    json!({
        "id": message.id, "caller": message.caller, "seconds": message.duration.as_secs(), "left": message.at,
        "until": message.until, "heard": message.is_heard,
    })
}

async fn sound(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let sound = chat(face)?.voice_sound(&ask.caller.card.jid, ask.part("id")).await.map_err(fault)?;
    Ok(json!({ "media_type": MEDIA_TYPE, "sound": BASE64_STANDARD.encode(sound) }))
}

async fn mark(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let (card, id, is_heard) = (&ask.caller.card, ask.part("id"), ask.flag("heard").unwrap_or_default());
    chat(face)?.set_heard(&card.jid, id, is_heard).await.map_err(fault)?;
    let what = if is_heard { "voice message heard" } else { "voice message to wait again" };
    face.auth.audit.note(ask.by(), what, format!("{} {id}", card.aor)).await;
    Ok(Value::Null)
}

async fn remove(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    chat(face)?.remove_voice_message(&card.jid, ask.part("id")).await.map_err(fault)?;
    face.auth.audit.note(ask.by(), "voice message removed", format!("{} {}", card.aor, ask.part("id"))).await;
    Ok(Value::Null)
}

fn fault(error: OwnChatError) -> Problem {
    match error {
        OwnChatError::Nothing => Problem::nothing("message"),
        error => problem("", error),
    }
}

/// RFC 7845 §9.
pub(crate) const MEDIA_TYPE: &str = "audio/ogg; codecs=opus";
