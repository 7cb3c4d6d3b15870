//! Do not disturb, as an account says it once for all its devices (B-11) — RFC 6121 §4.7.2.1 (`dnd`).
//!
//! In    what the account wants, from whoever shows it a page.
//! Out   while it is so, every presence of the account says `dnd`, and calls do not ring (`availability`).
//! State one record an account, collection `settings`, at hand in every session.
//! Errors those of the store; one that cannot be read disturbs nobody less than before.

use shared_store::{Expected, Place, StoreError};
use xmpp_core::Jid;

use crate::on_the_phone;
use crate::server::Server;

/// Where it is kept that an account said so.
pub(crate) fn place(owner: &str) -> Place<'_> {
    Place { owner, collection: COLLECTION, key: KEY }
}

/// Whether an account said so, as it is kept.
pub(crate) async fn read(server: &Server, user: &Jid) -> Result<bool, StoreError> {
    Ok(server.store.records.get(user.bare_str(), COLLECTION, KEY).await?.is_some())
}

/// Whether an account said so; at hand if it has a session.
pub(crate) async fn is_so(server: &Server, user: &Jid) -> bool {
    match server.router.is_undisturbed(user.bare_str()) {
        Some(known) => known,
        None => read(server, user).await.unwrap_or_else(|error| {
            tracing::error!(%error, "whether somebody may be disturbed cannot be read");
            false
        }),
    }
}

/// It is so from now on, or not any more; whoever sees the account sees it at once.
pub(crate) async fn set(server: &Server, user: &Jid, is_so: bool) -> Result<(), StoreError> {
    let records = &server.store.records;
    match is_so {
        true => {
            records.put(user.bare_str(), COLLECTION, KEY, b"true", Expected::Anything).await?;
        }
        false => {
            records.delete(user.bare_str(), COLLECTION, KEY).await?;
        }
    }
    server.router.set_undisturbed(user.bare_str(), is_so);
    on_the_phone::show_again(server, user).await;
    Ok(())
}

const COLLECTION: &str = "settings";
const KEY: &str = "undisturbed";
