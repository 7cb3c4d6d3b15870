//! What becomes of accounts, wherever it is done: lists are read anew, and what a removed one left here is forgotten.
//!
//! In    facts of accounts. Out nothing; after missed facts the lists are read anew all the same.
//! Errors a store that does not answer is logged: then a profile waits for the next removal of that name.
//! Not here: rosters, archives and files, which the chat server erases.

use std::sync::Arc;

use shared_model::{AccountEvent, AccountId, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use shared_store::StoreError;

use crate::{Face, forget};

/// Listens until shutdown.
pub(crate) async fn follow(face: Arc<Face>, mut facts: Subscription<Fact>) {
    loop {
        let heard = tokio::select! {
            heard = facts.next() => heard,
            () = face.shutdown.begun() => return,
        };
        match heard {
            None => return,
            Some(Heard::Fact(Fact { event: Event::Account(event), .. })) => {
                face.listed.forget();
                if let AccountEvent::Removed { account } = event
                    && let Err(error) = removed(&face, account).await
                {
                    tracing::error!(%account, %error, "what a removed account left is still there");
                }
            }
            Some(Heard::Fact(_)) => {}
            Some(Heard::Missed(_)) => face.listed.forget(),
        }
    }
}

async fn removed(face: &Face, account: AccountId) -> Result<(), StoreError> {
    let gone = face.auth.gone.list().await?;
    match gone.iter().find(|gone| gone.account == account) {
        Some(gone) => forget(&face.auth, &face.records, account, &gone.aor).await,
        // Its names are free already; whoever removed it forgot these, or somebody else has them.
        None => Ok(()),
    }
}
