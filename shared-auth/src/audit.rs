//! Who changed what: one entry for each change by pages and programs, by commands of the operator and of administrators' chat
//! clients, and by other keepers of people, with what was there before and after.
//!
//! In    who did it (an account, or in a word: `command line`, `ldap`, `oidc`; none: whoever held a link), from which address where that is
//!       known, what, on what, and both states where they say something.
//! Out   a line in the log and an entry; the newest first when asked.
//! State the archive, owner `audit`, at most [`KEPT`] entries and a few more, each as long as whoever removes old ones says. What was done is done
//!       whether or not it is noted, and the log tells then. Entries name accounts, also such as were removed since.
//! Not here: passwords and tokens, which are in no entry.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use shared_runtime::{Redacted, Shutdown, unix_millis};
use shared_store::{Archive, Entry, Position, Query, StoreError};
use tokio::sync::mpsc;

use crate::{AccountCard, Auth, OutsideChange};

/// Who changes something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct By {
    /// An AOR, or a word; nobody that is known otherwise.
    pub who: Option<String>,
    /// From where, if that is known.
    pub from: Option<IpAddr>,
}

impl By {
    /// The same, from an address.
    pub fn at(self, from: Option<IpAddr>) -> Self {
        Self { from: from.map(|ip| ip.to_canonical()), ..self }
    }
}

impl From<&AccountCard> for By {
    fn from(card: &AccountCard) -> Self {
        Self { who: Some(card.aor.to_string()), from: None }
    }
}

impl From<&str> for By {
    fn from(word: &str) -> Self {
        Self { who: Some(word.to_owned()), from: None }
    }
}

/// Writes entries. Clones share the archive.
#[derive(Clone)]
pub struct Audit {
    archive: Arc<dyn Archive>,
    /// Entries of this process: now and then those that are too many go, since counting them costs more than one more.
    written: Arc<AtomicUsize>,
}

impl Audit {
    pub(crate) fn new(archive: Arc<dyn Archive>) -> Self {
        Self { archive, written: Arc::default() }
    }

    /// Removes entries that are older than `term`, until shutdown; none if it is zero.
    pub async fn forget_old(self, term: Duration, shutdown: Shutdown) {
        if term.is_zero() {
            return;
        }
        loop {
            if let Err(error) = self.forget_before(term, unix_millis()).await {
                tracing::warn!(%error, "what the audit keeps too long stays until the next look");
            }
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    /// Removes what is older than the term is at a moment.
    async fn forget_before(&self, term: Duration, now: i64) -> Result<(), StoreError> {
        let term = i64::try_from(term.as_millis()).unwrap_or(i64::MAX);
        while self.archive.remove_older(KIND, now.saturating_sub(term), AT_ONCE).await? >= AT_ONCE as u64 {}
        Ok(())
    }

    /// Notes a change that has no states worth telling.
    pub async fn note(&self, by: impl Into<By>, what: &str, on: impl Display) {
        self.change(by, what, on, Value::Null, Value::Null).await;
    }

    /// Notes a change.
    pub async fn change(&self, by: impl Into<By>, what: &str, on: impl Display, before: Value, after: Value) {
        let (by, on) = (by.into(), on.to_string());
        let written = self.archive.append(&[entry(&by, what, &on, before, after)]).await;
        self.wrote(&by, what, &on, written).await;
    }

    /// What follows an entry that was written, here or along with what it tells of.
    pub(crate) async fn wrote(&self, by: &By, what: &str, on: &str, mut written: Result<(), StoreError>) {
        let who = by.who.as_deref().unwrap_or("-");
        tracing::info!(who = %Redacted(who), what, on = %Redacted(on), "changed");
        if self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN_TRIMS) {
            written = written.and(self.archive.trim(OWNER, KEPT, AT_ONCE).await.map(drop));
        }
        if let Err(error) = written {
            tracing::error!(%error, "a change was made that the audit does not tell");
        }
    }

    /// The newest entries, at most `max`, that end before the entry `before`; newest first.
    pub async fn page(&self, before: Option<String>, max: usize) -> Result<Vec<(String, Value)>, StoreError> {
        let position = before.map_or(Position::Last, Position::Before);
        let query = Query { position, max, most_counted: 0, ..Query::default() };
        let page = self.archive.page(OWNER, &query).await?;
        let read = |entry: Entry| Some((entry.id, serde_json::from_slice(&entry.body).ok()?));
        Ok(page.entries.into_iter().rev().filter_map(read).collect())
    }
}

/// What is written of a change.
pub(crate) fn entry(By { who, from }: &By, what: &str, on: &str, before: Value, after: Value) -> Entry {
    let now = unix_millis();
    let body = json!({
        "time": now, "who": who, "from": from, "what": what, "on": on, "before": before, "after": after,
    });
    Entry {
        owner: OWNER.to_owned(),
        id: format!("{now:020}-{:016x}", shared_runtime::random()),
        with: on.to_owned(),
        time: now,
        kind: KIND.to_owned(),
        body: body.to_string().into_bytes(),
    }
}

/// Notes what other keepers of people change, until shutdown.
pub async fn note_outside(auth: Auth, mut changes: mpsc::Receiver<OutsideChange>, shutdown: Shutdown) {
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = shutdown.begun() => return,
        };
        let Some(OutsideChange { source, account, what, before }) = change else { return };
        // A store that does not answer knows no state to tell; the entry says what it can.
        let after = auth.directory.by_id(account).await.ok().flatten();
        let on = after.as_ref().or(before.as_ref()).map_or(account.to_string(), |card| card.aor.to_string());
        let state = |card: Option<&AccountCard>| card.map_or(Value::Null, card_json);
        let what = format!("account {what}");
        auth.audit.change(source.as_str(), &what, on, state(before.as_ref()), state(after.as_ref())).await;
    }
}

/// An account as entries and the API show it.
pub fn card_json(card: &AccountCard) -> Value {
    json!({
        "id": card.account, "aor": card.aor, "jid": card.jid, "name": card.name, "numbers": card.numbers,
        "video": card.video, "admin": card.admin, "enabled": card.enabled,
    })
}

const OWNER: &str = "audit";
/// What its entries are, in an archive that holds other things too.
const KIND: &str = "change";
/// How often it is looked whether an entry's time is over.
const BETWEEN_LOOKS: Duration = Duration::from_secs(6 * 3600);
/// Entries that are kept.
const KEPT: usize = 100_000;
/// Entries that go at once, which are more than come until then.
const AT_ONCE: usize = 100;
const BETWEEN_TRIMS: usize = 64;

#[cfg(test)]
mod tests {
    use shared_store::Store;

    use super::*;

    #[tokio::test]
    async fn an_entry_goes_when_its_time_is_over_and_nothing_else_does() {
        let archive = Store::in_memory().archive;
        let (audit, day) = (Audit::new(Arc::clone(&archive)), Duration::from_secs(86_400));
        for n in 0..2 * AT_ONCE {
            audit.note(By::default(), "made", n).await;
        }
        let said = Entry {
            owner: "alice".to_owned(),
            id: "1".to_owned(),
            with: String::new(),
            time: 0,
            kind: "chat".to_owned(),
            body: Vec::new(),
        };
        archive.append(&[said]).await.unwrap();
        let now = unix_millis();
        audit.forget_before(day, now + 86_000_000).await.unwrap();
        assert_eq!(audit.page(None, 500).await.unwrap().len(), 2 * AT_ONCE);
        audit.forget_before(day, now + 87_000_000).await.unwrap();
        assert!(audit.page(None, 500).await.unwrap().is_empty());
        assert!(archive.entry("alice", "1").await.unwrap().is_some());
    }
}
