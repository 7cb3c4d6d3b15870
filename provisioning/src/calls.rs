//! The calls of an account, those that it made and those that came to it, from its own history.
//!
//! In    an account, and the entry before which to go on. Out a page, the newest first, and what comes before it.
//! State none; the proxy writes histories when calls end.
//! Errors the store's; an entry that is gone is [`StoreError::NoSuchEntry`].

use serde_json::{Value, json};
use shared_model::AccountId;
use shared_store::{Archive, Position, Query, StoreError};

/// Calls of a page, the newest first, and the entry before which there are more.
pub(crate) struct Page {
    pub(crate) calls: Vec<Value>,
    pub(crate) before: Option<String>,
}

/// The newest calls, or those before an entry; `most` at most.
pub(crate) async fn page(
    archive: &dyn Archive,
    account: AccountId,
    before: Option<&str>,
    most: usize,
) -> Result<Page, StoreError> {
    let position = before.map_or(Position::Last, |id| Position::Before(id.to_owned()));
    let query = Query { position, max: most, most_counted: 0, ..Query::default() };
    let page = archive.page(&account.call_history(), &query).await?;
    let before = page.entries.first().map(|entry| entry.id.clone()).filter(|_| !page.complete);
    let calls = page.entries.iter().rev().filter_map(|entry| {
        let seen: Value = serde_json::from_slice(&entry.body).ok()?;
        Some(json!({
            "id": entry.id, "time": seen["time"], "from": seen["from"], "to": seen["to"], "outgoing": seen["outgoing"],
            "result": seen["result"], "seconds": seen["seconds"],
        }))
    });
    Ok(Page { calls: calls.collect(), before })
}
