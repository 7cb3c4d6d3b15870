//! Voice messages as chat — RFC 7081 §3 (B-13): a [`shared_model::VoiceMessages`]; XEP-0066 1.5 (§2), XEP-0446 0.1.0 and XEP-0447
//! 0.2.0 (§3.1), XEP-0333 1.0.0 (§4.1).
//!
//! In    what a caller said, from the focus. Out a file among the owner's own (`upload`), and a chat message with its address, from the
//!       caller if they are known to us, else from the domain, which asks for a marker when it was displayed.
//! State whether an account wants messages, collection `voicemail-settings`; the messages themselves ([`kept`]).
//! Errors no room for the file, [`MOST_WAITING`] messages that wait, a folder or a store that refuses, nothing recorded: the domain tells the
//!       owner who called, and why they could not leave a message.
//! Not here: when a message counts as heard ([`heard`]).

pub(crate) mod heard;
pub(crate) mod kept;
mod unheard;

use std::sync::Arc;

use shared_model::{BareJid, Pending, Spec, Unavailable, Unrecorded, VoiceMessage, VoiceMessages, Waiting};
use shared_runtime::unix_millis;
use shared_store::{Expected, StoreError};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use crate::route;
use crate::server::Server;
use crate::upload::{Leaving, LeftHere, Unkept};
pub(crate) use heard::Signs;
use kept::Kept;
pub(crate) use unheard::Unheard;

/// XEP-0066.
pub(crate) const OOB: Spec = Spec::xep(66, "1.5").note("in messages of mailboxes");
/// XEP-0446.
pub(crate) const FILE: Spec = Spec::xep(446, "0.1.0").note("in messages of mailboxes");
/// XEP-0447.
pub(crate) const SHARING: Spec = Spec::xep(447, "0.2.0").note("in messages of mailboxes");

/// The mailboxes of one server.
pub(crate) struct Mailboxes(pub(crate) Arc<Server>);

impl VoiceMessages for Mailboxes {
    fn wants<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, bool> {
        Box::pin(async move {
            // Who has nowhere to keep them takes none.
            self.0.uploads.is_open()
                && wants(&self.0, owner.as_str()).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "it is not known whether an account wants messages");
                    false
                })
        })
    }

    fn keep<'a>(&'a self, owner: &'a BareJid, message: VoiceMessage) -> Pending<'a, Result<(), Unavailable>> {
        Box::pin(keep(&self.0, owner, message))
    }

    fn waiting<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, Result<Waiting, Unavailable>> {
        Box::pin(async move { kept::waiting(&self.0, owner.as_str()).await.map_err(|_| Unavailable) })
    }
}

/// Whether an account wants messages; nobody does who did not say so.
pub(crate) async fn wants(server: &Server, owner: &str) -> Result<bool, StoreError> {
    let record = server.store.records.get(owner, SETTINGS, WANTED).await?;
    Ok(record.is_some_and(|record| record.value == b"1"))
}

/// An account wants messages, or none any more.
pub(crate) async fn want(server: &Server, owner: &str, is_wanted: bool) -> Result<(), StoreError> {
    let value: &[u8] = if is_wanted { b"1" } else { b"0" };
    server.store.records.put(owner, SETTINGS, WANTED, value, Expected::Anything).await.map(drop)
}

async fn keep(server: &Server, owner: &BareJid, message: VoiceMessage) -> Result<(), Unavailable> {
    let VoiceMessage { from, caller, said } = message;
    let of = said.as_ref().map(|said| (said.duration, said.sound.len()));
    let (duration, size) = of.unwrap_or_default();
    let about = format!("Voice message from {caller}, {} s", duration.as_secs().max(1));
    let id = server.new_id();
    let to = owner.as_str().parse::<Jid>().map_err(|_| Unavailable)?;
    // Who is not known to us speaks by the domain, and so it is whose conversation has the message.
    let chat = from.as_ref().map_or(server.home_of(&to), |jid| jid.as_str());
    let kept = Kept {
        caller: caller.clone(),
        chat: chat.to_owned(),
        message: id.clone(),
        millis: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        at: unix_millis(),
        ..Kept::default()
    };
    let left = match said {
        Ok(said) => leave(server, owner.as_str(), said.sound, kept).await,
        Err(unrecorded) => Err(Lost::Unrecorded(unrecorded)),
    };
    let told = match &left {
        Ok(left) => {
            let file = Element::new("file", METADATA)
                .text_child("media-type", MEDIA_TYPE)
                .text_child("name", NAME)
                .text_child("size", size.to_string())
                .text_child("length", duration.as_millis().to_string())
                .text_child("desc", &about);
            let source = Element::new("url-data", URL_DATA).with("target", &left.url);
            let sharing = Element::new("file-sharing", SFS)
                .with("disposition", "inline")
                .child(file)
                .child(Element::new("sources", SFS).child(source));
            // Clients show a file for a message whose body is its address alone.
            Stanza::new(Kind::Message, Some("chat"))
                .with(&Element::new("body", ns::CLIENT).text_node(&left.url))
                .with(&Element::new("x", X_OOB).text_child("url", &left.url))
                .with(&sharing)
                .with(&Element::new("markable", heard::CHAT_MARKERS))
        }
        Err(lost) => {
            tracing::warn!(error = ?lost, "a voice message could not be kept");
            let text = format!("{caller} called and could not leave a message: {}.", lost.why());
            Stanza::new(Kind::Message, Some("chat")).with(&Element::new("body", ns::CLIENT).text_node(text))
        }
    };
    let domain = || server.voice_to(&to);
    // What was lost the caller did not say: the domain does.
    let from = from.filter(|_| left.is_ok()).and_then(|jid| jid.as_str().parse::<Jid>().ok()).or_else(domain);
    route::route(server, told.addressed(from.as_ref(), Some(&to)).with_id(Some(&id))).await;
    left.map_err(|_| Unavailable)?;
    kept::tell(server, owner.as_str()).await;
    Ok(())
}

/// The sound is among the owner's files, and waits to be heard; or neither.
async fn leave(server: &Server, owner: &str, sound: Vec<u8>, kept: Kept) -> Result<LeftHere, Lost> {
    let before = kept::waiting(server, owner).await.map_err(Lost::Store)?;
    if before.new as usize >= MOST_WAITING {
        return Err(Lost::Full);
    }
    let random = server.new_id() + &server.new_id()[..8];
    let leaving = Leaving { owner, name: NAME, media_type: MEDIA_TYPE, bytes: sound.into() };
    let left = server.uploads.leave(leaving, &random).await.map_err(Lost::File)?;
    if let Err(error) = kept::note(server, owner, &left.id, &Kept { until: left.expires, ..kept }).await {
        server.uploads.take_back(owner, &left.id).await;
        return Err(Lost::Store(error));
    }
    Ok(left)
}

/// Why a message was not kept.
#[derive(Debug)]
#[expect(dead_code, reason = "the log says it")]
enum Lost {
    /// So many wait.
    Full,
    Unrecorded(Unrecorded),
    File(Unkept),
    Store(StoreError),
}

impl Lost {
    /// What its owner is told; the log says more.
    fn why(&self) -> &'static str {
        match self {
            Self::Full => "the mailbox is full",
            Self::File(Unkept::NoRoom) => "there is no room for more files",
            Self::File(Unkept::Closed) => "no files are kept here",
            Self::File(Unkept::Disk(_)) => "the disk refused it",
            Self::File(Unkept::Store(_)) | Self::Store(_) => "the store refused it",
            Self::Unrecorded(_) => "it could not be recorded",
        }
    }
}

const SETTINGS: &str = "voicemail-settings";
const WANTED: &str = "wanted";
/// Messages of one account that wait at once.
const MOST_WAITING: usize = 50;
const NAME: &str = "voice-message.ogg";
pub(crate) const MEDIA_TYPE: &str = "audio/ogg";
const METADATA: &str = "urn:xmpp:file:metadata:0";
const SFS: &str = "urn:xmpp:sfs:0";
const URL_DATA: &str = "http://jabber.org/protocol/url-data";
const X_OOB: &str = "jabber:x:oob";
