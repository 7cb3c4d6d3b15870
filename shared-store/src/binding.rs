//! The shape of bindings (RFC 3261 §10): where the devices of an address of record are.
//!
//! In    one REGISTER's worth of changes to one AOR, and the moment.
//! Out   the bindings that are there then; expired ones are never shown.
//! Errors [`StoreError::OutOfOrder`] and [`StoreError::TooMany`] change nothing.
//! Not here: what a REGISTER may ask for (`sip-server`'s registrar).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Aor};

use crate::StoreError;

/// Bindings by AOR; one REGISTER is one atomic change.
#[async_trait::async_trait]
pub trait Bindings: Send + Sync {
    /// Applies one REGISTER to `aor`, whole or not at all, and answers what is bound then.
    async fn commit(&self, aor: &Aor, update: &BindingUpdate, now: i64) -> Result<Committed, StoreError>;
    /// The bindings of `aor` that are alive at `now`, by `q` downwards, newest first among equals.
    async fn by_aor(&self, aor: &Aor, now: i64) -> Result<Vec<Binding>, StoreError>;
    /// At most `max` bindings that expire after `after` and not after `until`, the earliest first.
    async fn ending(&self, after: i64, until: i64, max: usize) -> Result<Vec<Binding>, StoreError>;
    /// Removes at most `max` bindings that expired at or before `now`, and answers them.
    async fn expire(&self, now: i64, max: usize) -> Result<Vec<Binding>, StoreError>;
}

/// One contact of one AOR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Whose device it is.
    pub account: AccountId,
    /// The address of record.
    pub aor: Aor,
    /// What tells this binding from the AOR's others: instance and reg-id (RFC 5626 §6), or the contact URI.
    pub key: String,
    /// The contact URI.
    pub contact: String,
    /// The `+sip.instance` of the device, without its quotes, possibly empty.
    pub instance: String,
    /// The `reg-id` (RFC 5626 §4.2), if the device sent one.
    pub reg_id: Option<u32>,
    /// Further parameters of the Contact header, as they were sent.
    pub parameters: String,
    /// The Path (RFC 3327), topmost first.
    pub path: Vec<String>,
    /// The flow that the REGISTER came over; only the node that wrote it can read it.
    pub flow: String,
    /// Where the REGISTER came from.
    pub received: Option<SocketAddr>,
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// CSeq number of the REGISTER.
    pub cseq: u32,
    /// Preference in thousandths, 0–1000.
    pub q: u16,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
    /// The node that holds the flow.
    pub node: String,
    /// The User-Agent header, possibly empty.
    pub user_agent: String,
    /// When it was last refreshed, milliseconds since 1970.
    pub updated: i64,
    /// What proved the REGISTER.
    #[serde(default)]
    pub by: BoundBy,
    /// The display name of the contact, without its quotes; usually empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What proved the REGISTER of a binding, or the call of a leg, which ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BoundBy {
    /// It was not written down.
    #[default]
    Unsaid,
    /// The account's main password.
    Password,
    /// The password of the device of this name.
    Device(String),
    /// No password of the account's: a certificate, or whoever keeps it elsewhere.
    Otherwise,
}

impl BoundBy {
    /// Whether what it proved ends with another proof: the same one, or it was not written down.
    pub fn ends_with(&self, ended: &Self) -> bool {
        match (self, ended) {
            (Self::Unsaid, _) => true,
            (Self::Device(name), Self::Device(ended)) => name.eq_ignore_ascii_case(ended),
            (by, ended) => by == ended,
        }
    }

    /// One word of it, between two parts of one process.
    pub fn word(&self) -> String {
        match self {
            Self::Unsaid => "unsaid".to_owned(),
            Self::Password => "password".to_owned(),
            Self::Device(name) => format!("{DEVICE}{name}"),
            Self::Otherwise => "otherwise".to_owned(),
        }
    }

    /// What a word says.
    pub fn of_word(word: &str) -> Self {
        match (word, word.strip_prefix(DEVICE)) {
            (_, Some(name)) => Self::Device(name.to_owned()),
            ("password", _) => Self::Password,
            ("otherwise", _) => Self::Otherwise,
            _ => Self::Unsaid,
        }
    }
}

const DEVICE: &str = "device:";

/// Whether a contact says that the way to it is TLS. Browsers come by WSS alone, whatever they say.
pub fn is_protected(contact: &str) -> bool {
    let contact = contact.to_ascii_lowercase();
    contact.starts_with("sips:")
        || ["tls", "ws", "wss"].iter().any(|way| contact.contains(&format!("transport={way}")))
}

/// One REGISTER's worth of changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BindingUpdate {
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// CSeq number of the REGISTER.
    pub cseq: u32,
    /// Bindings to add or refresh; their `aor` is the one committed to.
    pub set: Vec<Binding>,
    /// Keys of bindings to remove.
    pub remove: Vec<String>,
    /// `Contact: *` (RFC 3261 §10.2.2): remove all.
    pub remove_all: bool,
    /// How many bindings the AOR may have.
    pub limit: usize,
}

/// What a REGISTER came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// What is bound now, as [`Bindings::by_aor`] orders it.
    pub bindings: Vec<Binding>,
    /// What was there and is not any more, expired or removed.
    pub removed: Vec<Binding>,
}

/// Decides what an update makes of an AOR's bindings. All backends decide here.
pub(crate) fn apply(
    current: Vec<Binding>,
    update: &BindingUpdate,
    now: i64,
) -> Result<Committed, StoreError> {
    let (live, mut removed): (Vec<_>, Vec<_>) =
        current.into_iter().partition(|binding| binding.expires > now);
    let touched = |binding: &Binding| {
        update.remove_all
            || update.remove.contains(&binding.key)
            || update.set.iter().any(|new| new.key == binding.key)
    };
    // §10.3, step 7: the same Call-ID must count upwards, or the whole request fails.
    if live.iter().any(|old| touched(old) && old.call_id == update.call_id && old.cseq >= update.cseq) {
        return Err(StoreError::OutOfOrder);
    }
    let mut bindings = update.set.clone();
    for old in live {
        match touched(&old) {
            false => bindings.push(old),
            true if !update.set.iter().any(|new| new.key == old.key) => removed.push(old),
            true => {}
        }
    }
    if bindings.len() > update.limit {
        return Err(StoreError::TooMany(update.limit));
    }
    order(&mut bindings);
    Ok(Committed { bindings, removed })
}

/// Puts bindings in the order in which targets are tried.
pub(crate) fn order(bindings: &mut [Binding]) {
    bindings.sort_by(|a, b| b.q.cmp(&a.q).then(b.updated.cmp(&a.updated)).then(a.key.cmp(&b.key)));
}
