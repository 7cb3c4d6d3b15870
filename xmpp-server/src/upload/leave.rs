//! Files that the service itself leaves for an account, counted as its own, up to a share of its quota: what is said to its mailbox.
//!
//! In    whole files. Out their address, and when they go. Errors as a client's: no room, no store, no disk.

use std::io;

use axum::body::Bytes;
use shared_runtime::unix_millis;
use shared_store::StoreError;
use tokio::io::AsyncReadExt;

use super::files::About;
use super::slot::{FileId, Slot};
use super::{Left, Refusal, Uploads, Wish};
use crate::voicemail::heard::Sign;

/// What is left.
pub(crate) struct Leaving<'a> {
    pub(crate) owner: &'a str,
    pub(crate) name: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) bytes: Bytes,
}

/// Where it is.
#[derive(Debug)]
pub(crate) struct LeftHere {
    pub(crate) id: String,
    pub(crate) url: String,
    /// Milliseconds since 1970.
    pub(crate) expires: i64,
}

/// Why nothing was left.
#[derive(Debug)]
#[expect(dead_code, reason = "the log says it")]
pub(crate) enum Unkept {
    Closed,
    NoRoom,
    Store(StoreError),
    Disk(io::Error),
}

impl Uploads {
    /// Leaves a file; `random` holds 32 hexadecimal digits.
    pub(crate) async fn leave(&self, leaving: Leaving<'_>, random: &str) -> Result<LeftHere, Unkept> {
        let Leaving { owner, name, media_type, bytes } = leaving;
        if !self.is_open() {
            return Err(Unkept::Closed);
        }
        let size = bytes.len() as u64;
        let (now, media) = (unix_millis(), Some(media_type.to_owned()));
        let (of, called) = (owner.to_owned(), name.to_owned());
        let wish = Wish { owner: of, name: called, size, media_type: media, before: None, is_foreign: false };
        let slot = self.slot(wish, now, random);
        self.reserve(&slot, now, true).await.map_err(|refusal| match refusal {
            Refusal::NoRoomUntil(_) => Unkept::NoRoom,
            Refusal::Store(error) => Unkept::Store(error),
        })?;
        self.write(&slot, &bytes, media_type).await.map_err(Unkept::Disk)?;
        let left = Left { size, until: slot.expires, is_there: true, is_of_others: true };
        self.note(owner, &slot.id, &left).await.map_err(Unkept::Store)?;
        Ok(LeftHere { url: self.url_of(&slot), id: slot.id.as_str().to_owned(), expires: slot.expires })
    }

    /// Removes a file that was left, as if it had never been.
    pub(crate) async fn take_back(&self, owner: &str, id: &str) {
        if let Ok(id) = FileId::try_from(id.to_owned())
            && let Err(error) = self.files.remove(&id).await
        {
            return tracing::error!(%error, "a file that nobody hears of stays until its time is over");
        }
        if let Err(error) = self.records.delete(owner, super::COLLECTION, id).await {
            tracing::error!(%error, "a file that is gone counts until its time is over");
        }
    }

    async fn write(&self, slot: &Slot, bytes: &Bytes, media_type: &str) -> io::Result<()> {
        let mut incoming = self.files.receive(&slot.id).await?;
        incoming.write(bytes).await?;
        let about = About {
            owner: slot.owner.clone(),
            name: slot.name.clone(),
            size: slot.size,
            media_type: media_type.to_owned(),
            expires: slot.expires,
        };
        self.files.keep(incoming, slot, &about).await
    }

    /// A file that was left, whole; `None` if it is gone, or another's.
    pub(crate) async fn left_here(&self, owner: &str, id: &str) -> io::Result<Option<Vec<u8>>> {
        let Ok(id) = FileId::try_from(id.to_owned()) else { return Ok(None) };
        let Some((file, about)) = self.files.open(&id, unix_millis()).await? else { return Ok(None) };
        if about.owner != owner || about.size > LARGEST {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.size).unwrap_or_default());
        file.take(about.size).read_to_end(&mut bytes).await?;
        Ok(Some(bytes))
    }

    /// A file was fetched.
    pub(super) fn fetched(&self, about: &About, id: &str) {
        if about.media_type == crate::voicemail::MEDIA_TYPE {
            self.signs.give(Sign::Fetched { owner: about.owner.clone(), id: id.to_owned() });
        }
    }
}

/// Bytes of a file that is read whole: what the longest message needs many times.
const LARGEST: u64 = 32 * 1024 * 1024;
