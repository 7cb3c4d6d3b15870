//! The own data in one file, written while it is read.
//!
//! In    an account. Out what is kept of it here and by the chat half, part by part ([`PARTS`]); at the end of the file, the parts of
//!       which something is missing, by name.
//! State who is given a file now ([`Exports`]); of a file, one page of one part.
//! Bounds [`MOST_BYTES`] of entries: a part goes on no further than there is room, and lists the newest first where it is long.
//! Errors 429 to who is one too many. A file that is not read within [`LONGEST`], or that a shutdown ends, breaks off as its
//!        connection does, so that nobody takes it for whole.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream::{Stream, unfold};
use serde_json::{Value, json};
use shared_auth::card_json;
use shared_model::{AccountId, KeptMessage, KeptPart};
use shared_store::{Position, Query};
use tokio::sync::mpsc;

use super::Ask;
use super::problem::Problem;
use super::{chat, own, timeline, voicemail};
use crate::Face;
use crate::answer::unkept;

/// Who is given a file now.
#[derive(Default)]
pub(crate) struct Exports(Mutex<HashSet<AccountId>>);

impl Exports {
    /// A place, if the account has none and there is one.
    fn enter(&self, account: AccountId) -> bool {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.len() < MOST_AT_ONCE && inside.insert(account)
    }

    fn leave(&self, account: AccountId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
    }
}

/// A place, until it is dropped.
struct Place {
    face: Arc<Face>,
    account: AccountId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.face.exports.leave(self.account);
    }
}

/// Begins a file; the rest is written as fast as it is read.
pub(super) async fn begin(face: Arc<Face>, ask: Ask) -> Result<Response, Problem> {
    let account = ask.caller.card.account;
    if !face.exports.enter(account) {
        return Err(Problem::slow(AGAIN));
    }
    let place = Place { face: Arc::clone(&face), account };
    let devices = own::devices(&face, &ask).await?;
    let (out, written) = mpsc::channel(1);
    let (stop, reader) = (face.shutdown.clone(), out.clone());
    face.shutdown.spawn(async move {
        let file = File::new(out, MOST_BYTES);
        let export = Export { face: &place.face, ask: &ask, file, voice: None, sounds: 0 };
        tokio::select! {
            // One that nobody reads any more needs no end.
            _ = export.write(&devices["devices"]) => {}
            () = reader.closed() => {}
            () = tokio::time::sleep(LONGEST) => {}
            () = stop.begun() => {}
        }
    });
    let body = Body::from_stream(whole(written));
    Ok(unkept(([(header::CONTENT_TYPE, "application/json")], body).into_response()))
}

/// What is written, up to its end; without one it breaks off.
fn whole(written: mpsc::Receiver<Bytes>) -> impl Stream<Item = io::Result<Bytes>> {
    unfold(Some(written), |written| async {
        let mut written = written?;
        match written.recv().await {
            Some(end) if end.is_empty() => None,
            Some(text) => Some((Ok(text), Some(written))),
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
        }
    })
}

/// Where the entries of a part come from.
#[derive(Clone, Copy)]
enum Part {
    Chat(KeptPart),
    Calls,
    Timeline,
    VoiceMessages,
    Archive,
}

/// The parts, in the order in which they find room: what is long comes last.
const PARTS: [(&str, Part); 13] = [
    ("contacts", Part::Chat(KeptPart::Contacts)),
    ("card", Part::Chat(KeptPart::Card)),
    ("nodes", Part::Chat(KeptPart::Nodes)),
    ("private", Part::Chat(KeptPart::Private)),
    ("rooms", Part::Chat(KeptPart::Rooms)),
    ("preferences", Part::Chat(KeptPart::Preferences)),
    ("certificates", Part::Chat(KeptPart::Certificates)),
    ("pushes", Part::Chat(KeptPart::Pushes)),
    ("waiting", Part::Chat(KeptPart::Waiting)),
    ("calls", Part::Calls),
    ("timeline", Part::Timeline),
    ("voice_messages", Part::VoiceMessages),
    ("archive", Part::Archive),
];

/// Some entries of a part.
enum Read {
    Page {
        entries: Vec<Value>,
        next: Option<String>,
    },
    /// Nobody keeps such a thing.
    Nothing,
    Failed,
}

/// A file under way.
struct Export<'a> {
    face: &'a Face,
    ask: &'a Ask,
    file: File,
    /// Voice messages that are yet to be written, once they were listed.
    voice: Option<std::vec::IntoIter<KeptMessage>>,
    /// Bytes of sounds that were written.
    sounds: usize,
}

impl Export<'_> {
    async fn write(mut self, devices: &Value) -> Result<(), Gone> {
        self.file.field("account", &card_json(&self.ask.caller.card)).await?;
        self.file.field("devices", devices).await?;
        let kept = chat::kept(self.face, self.ask).await;
        for (name, value) in ["blocked", "archiving", "undisturbed"].into_iter().zip(&kept) {
            // Null where the chat half does not say.
            if value.is_null() {
                self.file.miss(name);
            }
            self.file.field(name, value).await?;
        }
        for (name, part) in PARTS {
            self.part(name, part).await?;
        }
        self.file.end().await
    }

    async fn part(&mut self, name: &'static str, part: Part) -> Result<(), Gone> {
        let mut next = match self.read(part, None).await {
            Read::Page { entries, next } => {
                self.file.begin(name);
                self.file.entries(name, &entries).await?.then_some(next).flatten()
            }
            Read::Nothing => return self.file.field(name, &Value::Null).await,
            Read::Failed => {
                self.failed(name);
                return self.file.field(name, &Value::Null).await;
            }
        };
        while let Some(from) = next {
            next = match self.read(part, Some(&from)).await {
                Read::Page { entries, next } => {
                    self.file.entries(name, &entries).await?.then_some(next).flatten()
                }
                Read::Nothing | Read::Failed => {
                    self.failed(name);
                    None
                }
            };
        }
        self.file.close();
        Ok(())
    }

    fn failed(&mut self, name: &'static str) {
        tracing::warn!(part = name, "a part of somebody's own data cannot be read");
        self.file.miss(name);
    }

    async fn read(&mut self, part: Part, from: Option<&str>) -> Read {
        let (face, card) = (self.face, &self.ask.caller.card);
        match part {
            Part::Chat(part) => {
                let Ok(half) = chat::chat(face) else { return Read::Failed };
                let Ok(page) = half.kept(&card.jid, part, from).await else { return Read::Failed };
                let entries = page.entries.into_iter().map(|it| json!({ "name": it.name, "text": it.text }));
                Read::Page { entries: entries.collect(), next: page.next }
            }
            Part::Calls => match crate::calls::page(&*face.archive, card.account, from, PAGE).await {
                Ok(page) => Read::Page { entries: page.calls, next: page.before },
                Err(_) => Read::Failed,
            },
            Part::Timeline => match timeline::before(face, card.account, from).await {
                None => Read::Nothing,
                Some(Ok((entries, next))) => Read::Page { entries, next },
                Some(Err(_)) => Read::Failed,
            },
            Part::VoiceMessages => self.voice_message().await,
            Part::Archive => said(face, card.jid.as_str(), from).await,
        }
    }

    /// What one caller said, the newest first, with its sound as far as there is room.
    async fn voice_message(&mut self) -> Read {
        let (jid, Ok(half)) = (&self.ask.caller.card.jid, chat::chat(self.face)) else { return Read::Failed };
        if self.voice.is_none() {
            let Ok(kept) = half.voice_messages(jid).await else { return Read::Failed };
            self.voice = Some(kept.into_iter());
        }
        let Some(message) = self.voice.as_mut().and_then(Iterator::next) else {
            return Read::Page { entries: Vec::new(), next: None };
        };
        let sound = match self.sounds < MOST_SOUND {
            true => half.voice_sound(jid, &message.id).await.ok(),
            false => None,
        };
        match &sound {
            Some(sound) => self.sounds += sound.len(),
            None => self.file.miss("voice_messages"),
        }
        let mut shown = voicemail::shown(&message);
        shown["media_type"] = voicemail::MEDIA_TYPE.into();
        shown["sound"] = sound.map(|sound| BASE64_STANDARD.encode(sound)).into();
        Read::Page { entries: vec![shown], next: Some(message.id) }
    }
}

/// What was said, the newest first.
async fn said(face: &Face, owner: &str, from: Option<&str>) -> Read {
    let position = from.map_or(Position::Last, |id| Position::Before(id.to_owned()));
    let query = Query { position, max: PAGE, most_counted: 0, ..Query::default() };
    let Ok(page) = face.archive.page(owner, &query).await else { return Read::Failed };
    let next = page.entries.first().map(|entry| entry.id.clone()).filter(|_| !page.complete);
    let entries = page.entries.iter().rev().map(|entry| {
        json!({ "id": entry.id, "with": entry.with, "time": entry.time, "stanza": String::from_utf8_lossy(&entry.body) })
    });
    Read::Page { entries: entries.collect(), next }
}

/// Whoever reads the file is gone.
#[derive(Debug)]
struct Gone;

/// The text of a file, and how much more of entries it may hold.
struct File {
    out: mpsc::Sender<Bytes>,
    left: usize,
    /// What is not handed over yet.
    text: String,
    /// Of the part that was begun, whether no entry is written.
    is_first: bool,
    left_out: Vec<&'static str>,
}

impl File {
    fn new(out: mpsc::Sender<Bytes>, most: usize) -> Self {
        Self { out, left: most, text: "{".to_owned(), is_first: true, left_out: Vec::new() }
    }

    async fn field(&mut self, name: &str, value: &Value) -> Result<(), Gone> {
        self.text.push_str(&format!("\"{name}\":{value},"));
        self.hand_over(AT_ONCE).await
    }

    fn begin(&mut self, name: &str) {
        self.text.push_str(&format!("\"{name}\":["));
        self.is_first = true;
    }

    fn close(&mut self) {
        self.text.push_str("],");
    }

    /// Writes entries of the part that was begun. False when one had no room: then something of it is missing.
    async fn entries(&mut self, name: &'static str, entries: &[Value]) -> Result<bool, Gone> {
        for entry in entries {
            let entry = entry.to_string();
            if entry.len() >= self.left {
                self.miss(name);
                return Ok(false);
            }
            self.left -= entry.len() + 1;
            if !std::mem::take(&mut self.is_first) {
                self.text.push(',');
            }
            self.text.push_str(&entry);
            self.hand_over(AT_ONCE).await?;
        }
        Ok(true)
    }

    /// Something of a part is missing.
    fn miss(&mut self, name: &'static str) {
        if !self.left_out.contains(&name) {
            self.left_out.push(name);
        }
    }

    async fn end(mut self) -> Result<(), Gone> {
        let left_out = json!(self.left_out);
        self.text.push_str(&format!("\"complete\":{},\"left_out\":{left_out}}}", self.left_out.is_empty()));
        self.hand_over(1).await?;
        self.send(Bytes::new()).await
    }

    /// Hands over what is written, if it is as much as that.
    async fn hand_over(&mut self, least: usize) -> Result<(), Gone> {
        if self.text.len() < least {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        self.send(text.into()).await
    }

    /// Who takes nothing for a while keeps a place from others.
    async fn send(&self, text: Bytes) -> Result<(), Gone> {
        let sent = tokio::time::timeout(UNREAD, self.out.send(text)).await;
        sent.ok().and_then(Result::ok).ok_or(Gone)
    }
}

/// Bytes of entries in one file.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of sounds in it, after which no further one begins.
const MOST_SOUND: usize = 16 * 1024 * 1024;
/// Entries that are read at once.
const PAGE: usize = 50;
/// Bytes that are handed over at once.
const AT_ONCE: usize = 64 * 1024;
/// Files that are written at once, of one account each.
const MOST_AT_ONCE: usize = 32;
/// How long a reader may take for what was handed over before.
const UNREAD: Duration = Duration::from_secs(30);
/// After which to ask again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the reading of a file may take.
const LONGEST: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_part_ends_where_there_is_no_room_and_those_behind_it_have_what_is_left() {
        let (out, mut written) = mpsc::channel(9);
        let mut file = File::new(out, 24);
        file.field("account", &json!({})).await.unwrap();
        file.begin("long");
        assert!(file.entries("long", &[json!("12345678"), json!("é")]).await.unwrap());
        assert!(!file.entries("long", &[json!("12345678"), json!("")]).await.unwrap());
        file.close();
        file.begin("short");
        assert!(file.entries("short", &[json!("1")]).await.unwrap());
        file.close();
        file.end().await.unwrap();
        let text = written.recv().await.unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            file,
            json!({ "account": {}, "long": ["12345678", "é"], "short": ["1"], "complete": false, "left_out": ["long"] })
        );
    }

    #[tokio::test]
    async fn a_file_without_its_end_breaks_off() {
        for is_ended in [true, false] {
            let (out, written) = mpsc::channel(9);
            let mut file = File::new(out, 100);
            file.field("account", &json!({})).await.unwrap();
            file.hand_over(1).await.unwrap();
            if is_ended {
                file.end().await.unwrap();
            } else {
                drop(file);
            }
            let read: Vec<_> = whole(written).collect().await;
            assert_eq!(read.last().unwrap().is_ok(), is_ended, "{read:?}");
        }
    }

    #[test]
    fn each_account_has_one_file_at_a_time_and_all_have_few() {
        let exports = Exports::default();
        let last = MOST_AT_ONCE as u128;
        assert!((1..last).all(|account| exports.enter(AccountId(account))));
        assert!(!exports.enter(AccountId(1)), "it has one");
        assert!(
            exports.enter(AccountId(last)) && !exports.enter(AccountId(last + 1)),
            "there are as many as may be"
        );
        exports.leave(AccountId(1));
        assert!(exports.enter(AccountId(last + 1)));
    }
}
