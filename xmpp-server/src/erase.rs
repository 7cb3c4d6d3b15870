//! What goes with an account — RFC 6121 §3.2, §3.3 (subscriptions end), XEP-0133 §4.2 (data are destroyed).
//!
//! In    accounts that are removed, by whomever: the list that `shared-auth` keeps until they are erased.
//! Out   sessions end; contacts learn that neither sees the other any more; roster, cards, nodes, archive, waiting messages, files
//!       and bindings go, what they were in rooms and at nodes of others (but for bans, which are of the name), and invitations to
//!       become their contact; then the names are free.
//! Errors the store's; what was erased before stays erased, and erasing again, in a while or at the next start, does the rest.

use std::sync::Arc;
use std::time::Duration;

use shared_auth::{Gone, Opens};
use shared_model::{AccountEvent, AccountId, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use shared_runtime::unix_millis;
use shared_store::{BindingUpdate, StoreError};
use xmpp_core::payload::roster::Change;
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{Jid, Kind, Stanza};

use crate::presence;
use crate::server::Server;

/// Erases what accounts left that were removed, now and whenever one is, until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut facts: Subscription<Fact>) {
    loop {
        let is_done = match erase_gone(&server).await {
            Ok(is_done) => is_done,
            Err(error) => {
                tracing::error!(%error, "accounts that were removed cannot be listed");
                false
            }
        };
        tokio::select! {
            may_come = removal(&mut facts) => if !may_come { return },
            () = tokio::time::sleep(AGAIN), if !is_done => {}
            () = server.shutdown.begun() => return,
        }
    }
}

/// Waits for the fact that an account was removed, or that facts were missed. False if none comes any more.
async fn removal(facts: &mut Subscription<Fact>) -> bool {
    loop {
        match facts.next().await {
            None => return false,
            Some(Heard::Fact(Fact { event: Event::Account(AccountEvent::Removed { .. }), .. })) => {
                return true;
            }
            Some(Heard::Missed(_)) => return true,
            Some(Heard::Fact(_)) => {}
        }
    }
}

/// Erases every account that was removed. Whether nothing is left.
async fn erase_gone(server: &Server) -> Result<bool, StoreError> {
    let all = server.auth.gone.list().await?;
    if !all.is_empty() {
        server.rooms.load().await?; // another process may have made some that name them
    }
    let mut erased = Vec::new();
    for gone in &all {
        match erase_one(server, gone).await {
            Ok(()) => erased.push(gone),
            Err(error) => {
                tracing::error!(%error, account = %gone.account, "an account that was removed is not erased yet");
            }
        }
    }
    // Others' nodes are many: they are looked at once for all.
    let users: Vec<Jid> = erased.iter().filter_map(|gone| Jid::kept(gone.jid.as_str()).ok()).collect();
    if !users.is_empty()
        && let Err(error) = crate::pubsub::forget_accounts(server, &users).await
    {
        tracing::error!(condition = error.kind.as_str(), "nodes may still name accounts that were removed");
        return Ok(false);
    }
    for gone in &erased {
        server.auth.gone.erased(gone.account).await?;
    }
    Ok(erased.len() == all.len())
}

/// Erases one, but for what nodes of others say of it.
async fn erase_one(server: &Server, gone: &Gone) -> Result<(), StoreError> {
    let Gone { account, aor, jid } = gone;
    if let Ok(user) = Jid::kept(jid.as_str()) {
        let why = StreamError::because(StreamCondition::NotAuthorized, "the account may no longer log in");
        server.router.end_account(*account, &why);
        let mut looks = 0;
        while !server.router.sessions(user.bare_str()).is_empty() {
            looks += 1;
            if looks > LOOKS {
                tracing::warn!("an account is erased whose session does not end");
                break;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        erase(server, &user).await?;
        server.rooms.forget_account(&user).await?;
    }
    for invite in server.auth.invites.list(unix_millis()).await? {
        let (Opens::Account { contact: Some(contact), .. } | Opens::Contact { contact }) = &invite.opens
        else {
            continue;
        };
        if contact == jid {
            server.auth.invites.revoke(&invite.id).await?;
        }
    }
    let call_id = server.new_id();
    let update = BindingUpdate { call_id, remove_all: true, ..BindingUpdate::default() };
    server.store.bindings.commit(aor, &update, unix_millis()).await?;
    server.store.archive.remove_owner(&account.call_history()).await?;
    Ok(())
}

/// Waits for an account that was removed to be erased. Whether it is.
pub(crate) async fn is_erased(server: &Server, account: AccountId) -> bool {
    for _ in 0..LOOKS {
        let gone = server.auth.gone.list().await;
        if gone.is_ok_and(|gone| gone.iter().all(|gone| gone.account != account)) {
            return true;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    false
}

/// Erases all that is kept for an account.
async fn erase(server: &Server, user: &Jid) -> Result<(), StoreError> {
    for (contact, entry) in server.rosters.all(user.bare_str()).await? {
        let subscription = entry.subscription();
        let ends = [
            (Change::Unsubscribe, "unsubscribe", subscription.to || subscription.pending_out),
            (Change::Unsubscribed, "unsubscribed", subscription.from || subscription.pending_in),
        ];
        for (change, type_, _) in ends.into_iter().filter(|(.., is_due)| *is_due) {
            presence::send_anyway(server, user, &contact, change, Stanza::new(Kind::Presence, Some(type_)))
                .await;
        }
    }
    server.uploads.erase(user.bare_str()).await?;
    server.store.records.remove_owner(user.bare_str()).await?;
    server.pushes.forget(user.bare_str());
    server.callers.forget(user.bare_str());
    server.rosters.forget(user.bare_str());
    server.store.archive.remove_owner(user.bare_str()).await?;
    server.store.archive.remove_owner(&crate::offline::queue(user.bare_str())).await?;
    Ok(())
}

/// After which what failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// How often one looks whether something is so, and how long in between: five seconds.
const LOOKS: u32 = 250;
const BETWEEN: Duration = Duration::from_millis(20);
