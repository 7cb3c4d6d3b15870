//! The own data in one file, and whether it is all of it.
//!
//! In    an account. Out what is kept of it here and by the chat half; the parts of which something is missing, by name.
//! Bounds of entries, calls and sounds: what is beyond them is left out, the oldest first, and said.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shared_model::KeptMessage;
use shared_store::{Position, Query};

use super::Ask;
use super::problem::Problem;
use super::{chat, own, timeline, voicemail};
use crate::Face;
use crate::audit::card_json;

pub(super) async fn whole(face: &Face, ask: &Ask) -> Result<Value, Problem> {
    let card = &ask.caller.card;
    let mut left_out = Vec::new();
    let mut part = |name: &'static str, is_whole: bool| {
        if !is_whole {
            left_out.push(name);
        }
    };
    let (said, is_whole) = said(face, card.jid.as_str()).await?;
    part("archive", is_whole);
    let (calls, is_whole) = crate::calls::all(&*face.archive, card.account).await?;
    part("calls", is_whole);
    let (messages, is_whole) = voice_messages(face, ask).await;
    part("voice_messages", is_whole);
    // What the chat half keeps, where it is here to say.
    let kept @ [blocked, archiving, undisturbed] = &chat::kept(face, ask).await;
    for (name, value) in ["blocked", "archiving", "undisturbed"].into_iter().zip(kept) {
        part(name, !value.is_null());
    }
    let (happened, is_whole) = timeline::all(face, card.account).await;
    part("timeline", is_whole);
    let devices = own::devices(face, ask).await?;
    Ok(json!({
        "complete": left_out.is_empty(), "left_out": left_out, "account": card_json(card), "devices": devices["devices"],
        "calls": calls, "archive": said, "voice_messages": messages, "blocked": blocked, "archiving": archiving,
        "undisturbed": undisturbed, "timeline": happened,
    }))
}

/// The newest of the archive in its order, and whether that is all.
async fn said(face: &Face, owner: &str) -> Result<(Vec<Value>, bool), Problem> {
    let (mut said, mut position, mut is_whole) = (Vec::new(), Position::Last, false);
    while said.len() < MOST_SAID && !is_whole {
        let max = Query::LARGEST_PAGE.min(MOST_SAID - said.len());
        let query = Query { position, max, most_counted: 0, ..Query::default() };
        let page = face.archive.page(owner, &query).await?;
        is_whole = page.complete;
        let Some(first) = page.entries.first() else {
            is_whole = true;
            break;
        };
        position = Position::Before(first.id.clone());
        said.extend(page.entries.iter().rev().map(|entry| {
            json!({ "id": entry.id, "with": entry.with, "time": entry.time, "stanza": String::from_utf8_lossy(&entry.body) })
        }));
    }
    said.reverse();
    Ok((said, is_whole))
}

/// What callers said, the newest first, with the sound of each as far as there is room; null where nobody says.
async fn voice_messages(face: &Face, ask: &Ask) -> (Value, bool) {
    let jid = &ask.caller.card.jid;
    let Ok(half) = chat::chat(face) else { return (Value::Null, false) };
    let Ok(kept) = half.voice_messages(jid).await else { return (Value::Null, false) };
    let (mut messages, mut bytes, mut is_whole) = (Vec::new(), 0, true);
    for message in &kept {
        // One that was removed meanwhile is nobody's data any more.
        let sound = match bytes < MOST_SOUND {
            true => half.voice_sound(jid, &message.id).await.ok(),
            false => None,
        };
        bytes += sound.as_ref().map_or(0, Vec::len);
        is_whole &= sound.is_some();
        messages.push(shown(message, sound.as_deref()));
    }
    (messages.into(), is_whole)
}

fn shown(message: &KeptMessage, sound: Option<&[u8]>) -> Value {
    let mut shown = voicemail::shown(message);
    shown["media_type"] = voicemail::MEDIA_TYPE.into();
    shown["sound"] = sound.map(|sound| BASE64_STANDARD.encode(sound)).into();
    shown
}

/// Entries of the archive in one file.
const MOST_SAID: usize = 2_000;
/// Bytes of sounds in one file, after which no further one begins.
const MOST_SOUND: usize = 16 * 1024 * 1024;
