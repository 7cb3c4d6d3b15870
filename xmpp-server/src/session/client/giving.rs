//! Messages that waited for an account, given to a session of it — XEP-0160 §3, RFC 6120 §10.1 (order).
//!
//! In    a session that wants them. Out what waited, oldest first, in its outbox before anything that is said later.
//! State none: what was given is forgotten when the client has it.
//! Errors an outbox that is full leaves the rest waiting for the session; one that is over leaves them to the next. A store that does
//!        not say what waits is asked again.

use std::pin::Pin;
use std::time::Duration;

use xmpp_core::Jid;

use super::Client;
use crate::offline::Stage;
use crate::queue::{Sender, Unsent};
use crate::router::{Outgoing, Session, What};
use crate::server::Server;
use crate::session::soon;
use crate::{offline, route};

impl Client<'_> {
    /// Gives what waited for the account.
    pub(super) async fn give(&mut self) {
        let sessions = self.server.router.sessions(self.jid.bare_str());
        if let Some(own) = sessions.into_iter().find(|session| session.serial == self.serial) {
            give(self.server, &own).await;
        }
    }
}

/// What waited comes first, and what follows behind it (RFC 6120 §10.1): until then messages go on to wait, and while they are
/// given none is delivered. A client that reads slowly is waited for without the turn of its account.
async fn give(server: &Server, session: &Session) {
    loop {
        let turn = server.in_order.turn(vec![session.jid.bare_str()]).await;
        let mut is_willing = false;
        server.router.update(&session.jid, session.serial, |session| {
            is_willing = session.takes_messages();
            session.is_given = is_willing;
        });
        if !is_willing {
            server.offline.release(session.jid.bare_str(), session.serial);
            break;
        }
        match give_waiting(server, &session.jid, session.serial, &session.outbox).await {
            Given::All => return,
            Given::Over => break,
            Given::Full => has_more(server, session),
            Given::Unread => return give_again(server, session.clone()),
        }
        drop(turn);
        if !has_room(session).await {
            server.offline.release(session.jid.bare_str(), session.serial);
            break;
        }
    }
    route::give_to_willing(server, &session.jid).await;
}

/// Gives the rest of what waits as soon as the session has room for it; what comes meanwhile waits behind.
pub(crate) fn give_later(server: &Server, session: Session) {
    give_after(server, session, Duration::ZERO);
}

/// Gives what waits once the store may say it.
pub(crate) fn give_again(server: &Server, session: Session) {
    give_after(server, session, soon());
}

/// One task for a session, however often it goes and comes.
fn give_after(server: &Server, session: Session, pause: Duration) {
    has_more(server, &session);
    let Some(server) = server.me() else { return };
    let mut is_begun = true;
    server.router.update(&session.jid, session.serial, |session| {
        is_begun = std::mem::replace(&mut session.gives_later, true);
    });
    if is_begun {
        return;
    }
    // Its type would be part of itself.
    let giving: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        tokio::time::sleep(pause).await;
        let has_room = has_room(&session).await;
        server.router.update(&session.jid, session.serial, |session| session.gives_later = false);
        if !has_room {
            server.offline.release(session.jid.bare_str(), session.serial);
            return route::give_to_willing(&server, &session.jid).await;
        }
        give(&server, &session).await;
    });
    tokio::spawn(giving);
}

fn has_more(server: &Server, session: &Session) {
    server.router.update(&session.jid, session.serial, |session| session.is_given = false);
}

/// Waits until the outbox takes something more; false if the session ends before.
async fn has_room(session: &Session) -> bool {
    tokio::select! {
        has_room = session.outbox.has_room(usize::MAX) => has_room,
        () = session.door.to_end() => false,
    }
}

/// What became of the messages that wait for an account.
#[derive(Debug)]
pub(crate) enum Given {
    /// The session has all of them.
    All,
    /// Its outbox is full: the rest waits for it.
    Full,
    /// The session is over.
    Over,
    /// The store did not say what waits.
    Unread,
}

/// Offline messages, oldest first (XEP-0160 §3, step 6), as many as the outbox takes: others have a turn behind this, and none waits
/// for a socket.
pub(crate) async fn give_waiting(
    server: &Server,
    user: &Jid,
    serial: u64,
    outbox: &Sender<Outgoing>,
) -> Given {
    let owner = user.bare_str();
    // One at a time, so that they come in their order.
    let _turn = server.in_order.turn(vec![&offline::queue(owner)]).await;
    let bound: Vec<u64> = server.router.sessions(owner).iter().map(|session| session.serial).collect();
    match server.offline.waiting(owner, serial, &bound).await {
        Ok(waiting) => {
            let mut waiting = waiting.into_iter();
            while let Some((id, message)) = waiting.next() {
                let outgoing = Outgoing { bytes: message.to_bytes(), what: What::Waited(id.clone()) };
                match outbox.try_send(outgoing) {
                    Ok(()) => {}
                    Err(Unsent::Closed(_)) => {
                        server.offline.session_ended(owner, serial).await;
                        return Given::Over;
                    }
                    Err(Unsent::Full(_)) => {
                        let rest: Vec<String> =
                            std::iter::once(id).chain(waiting.map(|(id, _)| id)).collect();
                        server.offline.give(owner, &rest, serial, Stage::Behind);
                        return Given::Full;
                    }
                }
            }
        }
        Err(error) => {
            tracing::error!(%error, "messages that wait could not be read");
            return Given::Unread;
        }
    }
    Given::All
}

/// Forgets messages that a client has.
pub(crate) async fn given(server: &Server, user: &Jid, ids: &[String]) {
    // Whoever reads the queue meanwhile would give them once more.
    let _turn = server.in_order.turn(vec![&offline::queue(user.bare_str())]).await;
    if let Err(error) = server.offline.forget(user.bare_str(), ids).await {
        tracing::error!(%error, "messages that were given could not be forgotten");
    }
}
