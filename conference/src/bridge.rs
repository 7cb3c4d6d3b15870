//! The bridge — S-39, S-40: what happens in a chat room, brought to its call.
//!
//! In    facts from the bus. Out inputs to the conference concerned, if there is one; what waits in mailboxes, to lamps.
//! State none. Errors missed facts make every conference ask its room anew.
//!
//! Neither half waits for the other: a room without a call ignores the focus, and a call goes on by what it last knew.

use std::sync::Arc;

use shared_model::{AccountEvent, Event, Fact, MailboxEvent, RoomAddress, RoomEvent};
use shared_runtime::{Shutdown, bus::Heard, bus::Subscription};

use crate::focus::{Focus, Input};

/// Brings facts to conferences until the shutdown.
pub async fn run(focus: Arc<Focus>, mut facts: Subscription<Fact>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            heard = facts.next() => match heard {
                Some(Heard::Fact(fact)) => bring(&focus, fact.event).await,
                Some(Heard::Missed(missed)) => {
                    tracing::warn!(missed, "facts were missed; every conference asks its room");
                    focus.tell_all(|| Input::Refresh);
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
        _ => {}
    }
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
