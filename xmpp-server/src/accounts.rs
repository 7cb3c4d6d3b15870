//! What happens to accounts while their clients are here.
//!
//! In    facts of accounts, by whomever they are changed.
//! Out   streams of who may no longer log in end; who is new is welcomed.
//! Errors after missed facts every account with a session is looked up.

use std::sync::Arc;

use shared_model::{AccountEvent, AccountId, Event, Fact};
use shared_runtime::bus::{Heard, Subscription};
use xmpp_core::stream::{StreamCondition, StreamError};

use crate::server::Server;
use crate::{own_chat, standing};

/// Follows accounts until shutdown.
pub(crate) async fn follow(server: Arc<Server>, mut facts: Subscription<Fact>) {
    loop {
        let heard = tokio::select! {
            heard = facts.next() => heard,
            () = server.shutdown.begun() => return,
        };
        match heard {
            None => return,
            Some(Heard::Fact(Fact { event: Event::Account(event), .. })) => match event {
                AccountEvent::Disabled { account } | AccountEvent::Removed { account } => {
                    end_account(&server, account);
                }
                AccountEvent::Created { account } => standing::welcome(&server, account).await,
                AccountEvent::DeviceEnded { account, device } => {
                    own_chat::end_device(&server, account, &device).await;
                }
                AccountEvent::PasswordEnded { account, at } => {
                    own_chat::end_password(&server, account, at).await;
                }
                AccountEvent::Changed { .. } => {}
            },
            Some(Heard::Fact(_)) => {}
            Some(Heard::Missed(missed)) => {
                tracing::warn!(missed, "facts were missed; every bound account is looked up");
                for account in server.router.accounts() {
                    match server.auth.directory.by_id(account).await {
                        Ok(Some(card)) if card.enabled => own_chat::end_gone_devices(&server, &card).await,
                        Ok(_) => end_account(&server, account),
                        Err(error) => tracing::error!(%error, "a bound account cannot be read"),
                    }
                }
                own_chat::end_passwords_of_late(&server).await;
            }
        }
    }
}

fn end_account(server: &Server, account: AccountId) {
    let why = StreamError::because(StreamCondition::NotAuthorized, "the account may no longer log in");
    server.router.end_account(account, &why);
}
