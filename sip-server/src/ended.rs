//! Bindings of accounts that may no longer log in: RFC 3261 §10.3 lets whoever is authorised be bound, and they are not any more.
//!
//! In    `AccountEvent::Disabled`, `Removed`, `DeviceEnded` and `PasswordEnded`; after missed facts every binding is looked at, and then as at the start
//!       what ended in the last hour, of which nothing may have been heard here.
//! Out   a removed account's history of calls is gone; the account's bindings are gone, with one `BindingEvent::Unbound` each, so that who watches is told (RFC 3680).
//!       With a password end the bindings that it proved; of those that do not say what proved them, which are older, all.
//! Errors a store that does not answer is logged: calls reach nobody all the same, and the bindings end by their time.
//! Not here: calls under way, which are the parties'.

use std::sync::Arc;

use shared_model::{AccountEvent, AccountId, Aor, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use shared_runtime::{Shutdown, unix_millis};
use shared_store::{Binding, BindingUpdate, BoundBy, StoreError};

use crate::registrar::tell_unbound;
use crate::server::Server;

/// Listens until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut facts: Subscription<Fact>, shutdown: Shutdown) {
    if let Err(error) = catch_up(&server).await {
        tracing::error!(%error, "bindings of what ended while nobody was here stay until their time");
    }
    loop {
        let heard = tokio::select! {
            heard = facts.next() => heard,
            () = shutdown.begun() => return,
        };
        let done = match heard {
            None => return,
            Some(Heard::Fact(Fact {
                event: Event::Account(AccountEvent::Disabled { account } | AccountEvent::Removed { account }),
                ..
            })) => end(&server, account).await,
            Some(Heard::Fact(Fact {
                event: Event::Account(AccountEvent::DeviceEnded { account, device }),
                ..
            })) => end_proved(&server, account, &BoundBy::Device(device), i64::MAX).await,
            Some(Heard::Fact(Fact {
                event: Event::Account(AccountEvent::PasswordEnded { account, at }),
                ..
            })) => end_proved(&server, account, &BoundBy::Password, at).await,
            Some(Heard::Fact(_)) => continue,
            Some(Heard::Missed(missed)) => {
                tracing::warn!(missed, "facts were missed; every binding is looked at");
                match look(&server).await {
                    Ok(()) => catch_up(&server).await,
                    lost => lost,
                }
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, "bindings of an account that ended stay until their time");
        }
    }
}

async fn end(server: &Server, account: AccountId) -> Result<(), StoreError> {
    let aor = match server.auth.directory.by_id(account).await? {
        // Enabled again meanwhile.
        Some(card) if card.enabled => return Ok(()),
        Some(card) => Some(card.aor),
        None => {
            crate::records::forget(&*server.store.archive, account).await?;
            let gone = server.auth.gone.list().await?;
            gone.into_iter().find(|gone| gone.account == account).map(|gone| gone.aor)
        }
    };
    match aor {
        Some(aor) => {
            unbind(server, &aor, account, |_| true).await?;
            // Who watches it may not any more, be it that nothing was bound.
            server.awaited.tell(&aor);
            Ok(())
        }
        None => Ok(()),
    }
}

/// What ended in the last hour ends what was bound before that.
async fn catch_up(server: &Server) -> Result<(), StoreError> {
    for (at, event) in server.auth.ended_lately().await? {
        match event {
            AccountEvent::Disabled { account } | AccountEvent::Removed { account } => {
                end(server, account).await?;
            }
            AccountEvent::DeviceEnded { account, device } => {
                end_proved(server, account, &BoundBy::Device(device), at).await?;
            }
            AccountEvent::PasswordEnded { account, at } => {
                end_proved(server, account, &BoundBy::Password, at).await?;
            }
            AccountEvent::Created { .. } | AccountEvent::Changed { .. } => {}
        }
    }
    Ok(())
}

async fn end_proved(
    server: &Server,
    account: AccountId,
    proof: &BoundBy,
    before: i64,
) -> Result<(), StoreError> {
    match server.auth.directory.by_id(account).await? {
        Some(card) => {
            unbind(server, &card.aor, account, |binding| {
                binding.updated <= before && binding.by.ends_with(proof)
            })
            .await
        }
        // Its removal is a fact of its own.
        None => Ok(()),
    }
}

async fn look(server: &Server) -> Result<(), StoreError> {
    let mut after = unix_millis();
    loop {
        let page = server.store.bindings.ending(after, i64::MAX, PAGE).await?;
        for binding in &page {
            let card = server.auth.directory.by_id(binding.account).await?;
            if !card.is_some_and(|card| card.enabled) {
                unbind(server, &binding.aor, binding.account, |_| true).await?;
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE && last.expires > after => after = last.expires,
            _ => break,
        }
    }
    for gone in server.auth.gone.list().await? {
        crate::records::forget(&*server.store.archive, gone.account).await?;
    }
    Ok(())
}

/// Takes those bindings of one account away; those that the next owner of a name made are not its.
async fn unbind(
    server: &Server,
    aor: &Aor,
    account: AccountId,
    ends: impl Fn(&Binding) -> bool,
) -> Result<(), StoreError> {
    let now = unix_millis();
    let own = server.store.bindings.by_aor(aor, now).await?;
    let is_its = |binding: &Binding| binding.account == account && ends(binding);
    let remove: Vec<_> = own.into_iter().filter(is_its).map(|binding| binding.key).collect();
    if remove.is_empty() {
        return Ok(());
    }
    // Not a REGISTER of anybody's: its order is its own.
    let call_id = format!("ended-{:016x}", shared_runtime::random());
    let update = BindingUpdate { call_id, cseq: 1, remove, limit: usize::MAX, ..BindingUpdate::default() };
    for binding in server.store.bindings.commit(aor, &update, now).await?.removed {
        tell_unbound(server, &binding);
    }
    server.awaited.tell(aor);
    Ok(())
}

/// Bindings read at once.
const PAGE: usize = 500;
