//! What goes with an account — RFC 6121 §3.2, §3.3 (subscriptions end), XEP-0133 §4.2 (data are destroyed).
//!
//! In    the address of an account that is removed.
//! Out   its contacts learn that neither sees the other any more; roster, cards, nodes, archive and waiting messages go.
//! Errors the store's; what was erased before stays erased, and erasing again does the rest.
//! Not here: affiliations in rooms, which are the rooms'.

use shared_store::StoreError;
use xmpp_core::payload::roster::Change;
use xmpp_core::{Jid, Kind, Stanza};

use crate::presence;
use crate::server::Server;

/// Erases all that is kept for an account.
pub(crate) async fn erase(server: &Server, user: &Jid) -> Result<(), StoreError> {
    for (contact, entry) in server.rosters.all(user.bare_str()).await? {
        let subscription = entry.subscription();
        let ends = [
            (Change::Unsubscribe, "unsubscribe", subscription.to || subscription.pending_out),
            (Change::Unsubscribed, "unsubscribed", subscription.from || subscription.pending_in),
        ];
        for (change, type_, _) in ends.into_iter().filter(|(.., is_due)| *is_due) {
            presence::send(server, user, &contact, change, Stanza::new(Kind::Presence, Some(type_))).await;
        }
    }
    server.uploads.erase(user.bare_str()).await?;
    server.store.records.remove_owner(user.bare_str()).await?;
    server.pushes.forget(user.bare_str());
    server.store.archive.remove_owner(user.bare_str()).await?;
    server.store.archive.remove_owner(&crate::offline::queue(user.bare_str())).await?;
    Ok(())
}
