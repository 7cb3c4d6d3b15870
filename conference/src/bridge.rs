//! The bridge — S-39, S-40: what happens in a chat room, brought to its call.
//!
//! In    facts from the bus. Out inputs to the conference concerned, if there is one; what waits in mailboxes, to lamps.
//! State none. Errors missed facts make every conference ask its room anew, and what ended in the last hour is told again.
//!
//! Neither half waits for the other: a room without a call ignores the focus, and a call goes on by what it last knew.

use std::sync::Arc;

use shared_auth::{Auth, BoundBy};
use shared_model::{AccountEvent, Event, Fact, MailboxEvent, RoomAddress, RoomEvent};
use shared_runtime::{Shutdown, bus::Heard, bus::Subscription};

use crate::focus::{Focus, Input};

/// Brings facts to conferences until the shutdown.
pub async fn run(focus: Arc<Focus>, auth: Auth, mut facts: Subscription<Fact>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            heard = facts.next() => match heard {
                Some(Heard::Fact(fact)) => bring(&focus, fact.event).await,
                Some(Heard::Missed(missed)) => {
                    tracing::warn!(missed, "facts were missed; every conference asks its room");
                    focus.tell_all(|| Input::Refresh);
                    match auth.ended_lately().await {
                        Ok(ended) => ended.into_iter().for_each(|(at, event)| end_proof(&focus, event, at)),
                        Err(error) => tracing::error!(%error, "legs may go on whose passwords ended"),
                    }
                    focus.relight(None).await;
                }
                None => break,
            },
            () = shutdown.begun() => break,
        }
    }
}

async fn bring(focus: &Focus, event: Event) {
    match event {
        Event::Room(event) => focus.insist(&room_of(&event).clone(), Input::Room(event)).await,
        Event::Mailbox(MailboxEvent::Changed { owner, waiting }) => {
            focus.relight(Some((owner, waiting))).await
        }
        Event::Account(AccountEvent::Disabled { account } | AccountEvent::Removed { account }) => {
            focus.tell_all(|| Input::AccountEnded(account));
            focus.unlight(account).await;
        }
        Event::Account(event) => end_proof(focus, event, i64::MAX),
        _ => {}
    }
}

/// Ends what came by the password that an event says is none any more, before that moment if the event does not say when.
fn end_proof(focus: &Focus, event: AccountEvent, before: i64) {
    let (account, ended, at) = match event {
        AccountEvent::DeviceEnded { account, device } => (account, BoundBy::Device(device), before),
        AccountEvent::PasswordEnded { account, at } => (account, BoundBy::Password, at),
        _ => return,
    };
    focus.tell_all(|| Input::ProofEnded(account, ended.clone(), at));
}

fn room_of(event: &RoomEvent) -> &RoomAddress {
    match event {
        RoomEvent::Created { room }
        | RoomEvent::Destroyed { room }
        | RoomEvent::ConfigurationChanged { room }
        | RoomEvent::SubjectChanged { room, .. }
        | RoomEvent::OccupantJoined { room, .. }
        | RoomEvent::OccupantRemoved { room, .. }
        | RoomEvent::NickChanged { room, .. }
        | RoomEvent::RoleChanged { room, .. }
        | RoomEvent::AffiliationChanged { room, .. } => room,
    }
}
