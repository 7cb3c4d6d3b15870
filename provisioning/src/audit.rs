//! Who changed what: one entry for each change by this face, with what was there before and after.
//!
//! In    who did it (none: whoever held a link; `ldap`, `oidc`: another keeper of people), what, on what, and both states where they say something.
//! Out   a line in the log and an entry; the newest first when asked.
//! State the archive, owner `audit`, at most [`KEPT`] entries. What was done is done whether or not it is noted, and the log tells then.
//! Not here: passwords and tokens, which are in no entry.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Value, json};
use shared_auth::{AccountCard, Auth, OutsideChange};
use shared_runtime::{Redacted, Shutdown, unix_millis};
use shared_store::{Archive, Entry, Position, Query, StoreError};
use tokio::sync::mpsc;

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
        self.change_by(who.map(|card| card.aor.to_string()), what, on, before, after).await;
    }

    async fn change_by(
        &self,
        who: Option<String>,
        what: &str,
        on: impl Display,
        before: Value,
        after: Value,
    ) {
        let (now, on) = (unix_millis(), on.to_string());
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

/// Notes what other keepers of people change, until shutdown.
pub async fn note_outside(
    auth: Auth,
    archive: Arc<dyn Archive>,
    mut changes: mpsc::Receiver<OutsideChange>,
    shutdown: Shutdown,
) {
    let audit = Audit::new(archive);
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
        let (who, what) = (Some(source.as_str().to_owned()), format!("account {what}"));
        audit.change_by(who, &what, on, state(before.as_ref()), state(after.as_ref())).await;
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
