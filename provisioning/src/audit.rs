//! Who changed what: one entry for each change by this face, with what was there before and after.
//!
//! In    who did it (none: whoever held a link), what, on what, and both states where they say something.
//! Out   a line in the log and an entry; the newest first when asked.
//! State the archive, owner `audit`, at most [`KEPT`] entries. What was done is done whether or not it is noted, and the log tells then.
//! Not here: passwords and tokens, which are in no entry.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Value, json};
use shared_auth::AccountCard;
use shared_runtime::{Redacted, unix_millis};
use shared_store::{Archive, Entry, Position, Query, StoreError};

/// Writes entries. Clones share the archive.
#[derive(Clone)]
pub(crate) struct Audit {
    archive: Arc<dyn Archive>,
}

impl Audit {
    pub(crate) fn new(archive: Arc<dyn Archive>) -> Self {
        Self { archive }
    }

    /// Notes a change that has no states worth telling.
    pub(crate) async fn note(&self, who: Option<&AccountCard>, what: &str, on: impl Display) {
        self.change(who, what, on, Value::Null, Value::Null).await;
    }

    /// Notes a change.
    pub(crate) async fn change(
        &self,
        who: Option<&AccountCard>,
        what: &str,
        on: impl Display,
        before: Value,
        after: Value,
    ) {
        let (now, who, on) = (unix_millis(), who.map(|card| card.aor.to_string()), on.to_string());
        tracing::info!(who = %Redacted(who.as_deref().unwrap_or("-")), what, on = %Redacted(&on), "changed");
        let body =
            json!({ "time": now, "who": who, "what": what, "on": on, "before": before, "after": after });
        let entry = Entry {
            owner: OWNER.to_owned(),
            id: format!("{now:020}-{:016x}", shared_runtime::random()),
            with: on,
            time: now,
            kind: "change".to_owned(),
            body: body.to_string().into_bytes(),
        };
        let written = self.archive.append(&[entry]).await;
        if let Err(error) = written.and(self.archive.trim(OWNER, KEPT, AT_ONCE).await.map(drop)) {
            tracing::error!(%error, "a change was made that the audit does not tell");
        }
    }

    /// The newest entries, at most `max`, that end before the entry `before`; newest first.
    pub(crate) async fn page(
        &self,
        before: Option<String>,
        max: usize,
    ) -> Result<Vec<(String, Value)>, StoreError> {
        let position = before.map_or(Position::Last, Position::Before);
        let query = Query { position, max, most_counted: 0, ..Query::default() };
        let page = self.archive.page(OWNER, &query).await?;
        let read = |entry: Entry| Some((entry.id, serde_json::from_slice(&entry.body).ok()?));
        Ok(page.entries.into_iter().rev().filter_map(read).collect())
    }
}

/// An account as entries and the API show it.
pub(crate) fn card_json(card: &AccountCard) -> Value {
    json!({
        "id": card.account, "aor": card.aor, "jid": card.jid, "name": card.name, "numbers": card.numbers,
        "video": card.video, "admin": card.admin, "enabled": card.enabled,
    })
}

const OWNER: &str = "audit";
/// Entries that are kept.
const KEPT: usize = 100_000;
/// Entries that go with one that comes.
const AT_ONCE: usize = 100;
