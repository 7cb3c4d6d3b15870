//! Files that accounts leave for others — XEP-0363 1.2.0.
//!
//! ```text
//! iq to upload.<domain> ─▶ reserve (quota) ─▶ signed slot ─▶ PUT /upload/<id>/<name> ─▶ disk ─▶ GET by whoever has the URL
//! ```
//!
//! In    requests of the service's own accounts; HTTP.
//! Out   slots; files, for a time.
//! State what each account left, one record a file, collection `upload` of the account; the files ([`files`]).
//! Errors `not-acceptable` with the bound for a file that is too large; `resource-constraint` with the time at which there
//!        will be room, above the quota; users of other domains have one together, too ([`foreign`]).
//! Not here: purposes but `message` and `ephemeral` (§5); storage that several nodes share.

mod config;
mod files;
mod foreign;
mod http;
mod leave;
mod slot;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use shared_runtime::{Shutdown, unix_millis};
use shared_store::{Expected, Record, Records, StoreError};
use tokio::sync::Semaphore;

pub(crate) use config::KEYS;
pub use config::UploadConfig;
pub(crate) use http::route;
pub(crate) use leave::{Leaving, LeftHere, Unkept};

use crate::metrics::Metrics;
use crate::voicemail::Signs;
use files::Files;
use foreign::Foreign;
use slot::{FileId, Slot};

/// The service of one process.
pub(crate) struct Uploads {
    pub(crate) config: UploadConfig,
    files: Files,
    foreign: Foreign,
    records: Arc<dyn Records>,
    key: hmac::Key,
    /// Where clients reach it; none while there is no HTTP.
    base: OnceLock<String>,
    /// Files that are received at once.
    places: Semaphore,
    /// Who wants to know which files of the service's own are fetched.
    signs: Arc<Signs>,
    metrics: Arc<Metrics>,
}

/// What somebody wants to leave.
pub(crate) struct Wish {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) media_type: Option<String>,
    /// When the file must be gone at the latest, milliseconds since 1970.
    pub(crate) before: Option<i64>,
    /// Whether its owner is of another domain.
    pub(crate) is_foreign: bool,
}

/// A slot as the client gets it.
pub(crate) struct Offer {
    pub(crate) put: String,
    pub(crate) get: String,
    pub(crate) authorization: String,
}

/// Why there is no slot.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is room again at that moment, milliseconds since 1970.
    NoRoomUntil(i64),
    Store(StoreError),
}

/// A file of an account, or the place for one.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    size: u64,
    /// Until when it counts, milliseconds since 1970.
    until: i64,
    /// Whether it was received.
    is_there: bool,
    /// Whether the service left it itself, for what others said.
    #[serde(default)]
    is_of_others: bool,
}

impl Uploads {
    pub(crate) fn new(
        config: UploadConfig,
        data_dir: &Path,
        records: Arc<dyn Records>,
        key: &[u8],
        metrics: Arc<Metrics>,
        signs: Arc<Signs>,
    ) -> Self {
        Self {
            foreign: Foreign::new(config.foreign_quota, Arc::clone(&records)),
            config,
            files: Files::new(data_dir),
            records,
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            base: OnceLock::new(),
            places: Semaphore::new(MOST_AT_ONCE),
            signs,
            metrics,
        }
    }

    /// Whether there is anything to offer.
    pub(crate) fn is_open(&self) -> bool {
        self.config.enabled && self.base.get().is_some()
    }

    /// Serves from now on; clients reach it at `base`, unless the operator says where.
    pub(crate) fn open(self: &Arc<Self>, base: &str, shutdown: &Shutdown) {
        if !self.config.enabled || self.base.get().is_some() {
            return;
        }
        if let Err(error) = self.files.clean() {
            return tracing::error!(%error, "the folder for uploads cannot be used: no files are taken");
        }
        let base = if self.config.url.is_empty() { base } else { &self.config.url };
        if self.base.set(base.trim_end_matches('/').to_owned()).is_ok() {
            shutdown.spawn(Arc::clone(self).sweep(shutdown.clone()));
        }
    }

    async fn sweep(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            match self.files.sweep(unix_millis()).await {
                Ok(0) => {}
                Ok(hours) => tracing::debug!(hours, "files whose time is over were removed"),
                Err(error) => tracing::error!(%error, "files whose time is over could not be removed"),
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    /// A slot, if there is room.
    pub(crate) async fn offer(&self, wish: Wish, random: &str) -> Result<Offer, Refusal> {
        let now = unix_millis();
        let slot = self.slot(wish, now, random);
        self.reserve(&slot, now, false).await?;
        let url = self.url_of(&slot);
        Ok(Offer { put: url.clone(), get: url, authorization: format!("Bearer {}", slot.sign(&self.key)) })
    }

    fn slot(&self, wish: Wish, now: i64, random: &str) -> Slot {
        let expiry = i64::try_from(self.config.expiry.as_millis()).unwrap_or(i64::MAX);
        let expires = now.saturating_add(expiry).min(wish.before.unwrap_or(i64::MAX));
        Slot {
            id: FileId::new(expires, random),
            owner: wish.owner,
            name: wish.name,
            size: wish.size,
            media_type: wish.media_type,
            until: now + SLOT_MILLIS,
            expires,
            is_foreign: wish.is_foreign,
        }
    }

    fn url_of(&self, slot: &Slot) -> String {
        let base = self.base.get().map_or("", String::as_str);
        format!("{base}/upload/{}/{}", slot.id.as_str(), utf8_percent_encode(&slot.name, UNSAFE))
    }

    /// Counts a file that is to come against what its account may leave; of others, against their share of it, too.
    async fn reserve(&self, slot: &Slot, now: i64, is_of_others: bool) -> Result<(), Refusal> {
        let left = self.left(&slot.owner, now).await.map_err(Refusal::Store)?;
        let of_others = left.iter().filter(|(_, left)| left.is_of_others);
        let shared: u64 = of_others.clone().map(|(_, left)| left.size).sum();
        if is_of_others && shared.saturating_add(slot.size) > self.config.quota / SHARE_OF_OTHERS {
            let soonest = of_others.map(|(_, left)| left.until).min();
            return Err(Refusal::NoRoomUntil(soonest.unwrap_or(now)));
        }
        let used: u64 = left.iter().map(|(_, left)| left.size).sum();
        let is_waiting = |left: &&(String, Left)| !left.1.is_there;
        let waiting = left.iter().filter(is_waiting).count();
        let soonest =
            |them: &mut dyn Iterator<Item = &(String, Left)>| them.map(|(_, left)| left.until).min();
        if waiting >= MOST_WAITING {
            return Err(Refusal::NoRoomUntil(soonest(&mut left.iter().filter(is_waiting)).unwrap_or(now)));
        }
        if used.saturating_add(slot.size) > self.config.quota || left.len() >= MOST_FILES {
            return Err(Refusal::NoRoomUntil(soonest(&mut left.iter()).unwrap_or(now)));
        }
        if slot.is_foreign {
            self.foreign.reserve(slot, now).await?;
        }
        let place = Left { size: slot.size, until: slot.until, is_there: false, is_of_others };
        self.note(&slot.owner, &slot.id, &place).await.map_err(Refusal::Store)
    }

    /// What an account left and still counts; the rest is forgotten.
    async fn left(&self, owner: &str, now: i64) -> Result<Vec<(String, Left)>, StoreError> {
        let records = self.records.list(owner, COLLECTION, None, MOST_FILES + MOST_WAITING).await?;
        let mut left = Vec::new();
        for record in records {
            match read(&record).filter(|left| left.until > now) {
                Some(one) => left.push((record.key, one)),
                None => {
                    self.records.delete(owner, COLLECTION, &record.key).await?;
                }
            }
        }
        Ok(left)
    }

    async fn note(&self, owner: &str, id: &FileId, left: &Left) -> Result<(), StoreError> {
        let value = serde_json::to_vec(left).unwrap_or_default();
        self.records.put(owner, COLLECTION, id.as_str(), &value, Expected::Anything).await.map(drop)
    }

    /// Removes every file of an account.
    pub(crate) async fn erase(&self, owner: &str) -> Result<(), StoreError> {
        for record in self.records.list(owner, COLLECTION, None, MOST_FILES + MOST_WAITING).await? {
            if let Ok(id) = FileId::try_from(record.key)
                && let Err(error) = self.files.remove(&id).await
            {
                tracing::error!(%error, "a file of an account that is removed stays until its time is over");
            }
        }
        Ok(())
    }
}

fn read(record: &Record) -> Option<Left> {
    serde_json::from_slice(&record.value).ok()
}

/// What may not stand in a segment of a path (RFC 3986 §3.3).
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const COLLECTION: &str = "upload";
/// How long a slot waits for its file (§8).
const SLOT_MILLIS: i64 = 300_000;
/// Slots of one account that wait at once.
const MOST_WAITING: usize = 20;
/// Files of one account.
const MOST_FILES: usize = 5000;
/// What others may leave with an account is one of so many parts of its quota.
const SHARE_OF_OTHERS: u64 = 4;
/// Files that are received at once.
const MOST_AT_ONCE: usize = 256;
const SWEEP: Duration = Duration::from_secs(600);
