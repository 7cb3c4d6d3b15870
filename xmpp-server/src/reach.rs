//! Where somebody is called, in their presence — XEP-0152 1.0, sections 3 (format), 4.1 (by presence), on behalf of clients that do not
//! say it themselves (RFC 7081 §3.3).
//!
//! In    facts of telephones; presence on its way to who may see it. Every `xmpp.reachability_period` everybody who is here is
//!       looked at again, for facts may be missed (RFC 7081 §3.1: the address must be reachable).
//! Out   while a call would reach an account, `<reach/>` with its SIP address in the presence of each of its sessions; contacts
//!       hear of it when that changes.
//! State the addresses of accounts that are here and can be called: in memory, no more than there are accounts with a session.
//! Errors presence in which the client says where it is reached stays as it is; while the store fails, nothing is said.
//!
//! It is a hint, and nothing is concluded from it (§3.3): the card and the directory say whose address it is. Not here: presence
//! that is sent directly, as to rooms.

use std::sync::Arc;

use dashmap::DashMap;
use shared_model::{AccountId, Spec};
use xmpp_core::{Element, Jid, Stanza};

use crate::server::Server;
use crate::{halves, on_the_phone, presence};

pub(crate) const SPEC: Spec =
    Spec::xep(152, "1.0").complete().note("passes; said on behalf while a telephone is registered");

/// SIP URIs by bare JID.
#[derive(Default)]
pub(crate) struct Reach(DashMap<String, Arc<str>>);

/// A presence as others are to see it.
pub(crate) fn shown(server: &Server, from: &Jid, own: &Stanza) -> Stanza {
    let shown = on_the_phone::shown(server, from, own);
    let uri = server.reach.0.get(from.bare_str()).map(|uri| Arc::clone(&uri));
    match uri.filter(|_| shown.type_.is_none() && !shown.mentions(NS)) {
        Some(uri) => with_address(shown, &uri),
        None => shown,
    }
}

fn with_address(presence: Stanza, uri: &str) -> Stanza {
    presence.with(&Element::new("reach", NS).child(Element::new("addr", NS).with("uri", uri)))
}

/// Looks whether an account that becomes available can be called.
pub(crate) async fn learn(server: &Server, account: AccountId) {
    if server.config.reachability {
        look(server, account).await;
    }
}

/// A telephone of an account came or went: its contacts hear of it if that makes a difference.
pub(crate) async fn changed(server: &Server, account: AccountId) {
    if !server.config.reachability {
        return;
    }
    let Some(user) = look(server, account).await else { return };
    for session in server.router.sessions(user.as_str()) {
        if let Some(own) = &session.presence {
            let _ = presence::broadcast(server, &session.jid, own, false).await; // the log has why
        }
    }
}

/// Looks at all who are here again and again, until shutdown.
pub(crate) async fn watch(server: Arc<Server>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(server.config.reachability_period) => {}
            () = server.shutdown.begun() => return,
        }
        let mut uncallable = 0;
        for account in server.router.accounts() {
            if server.shutdown.is_begun() {
                return;
            }
            changed(&server, account).await;
            uncallable += i64::from(halves::is_callable(&server, account).await == Ok(false));
        }
        server.metrics.uncallable.set(uncallable);
    }
}

/// Nobody is here of an account.
pub(crate) fn forget(server: &Server, user: &str) {
    server.reach.0.remove(user);
    tally(server);
}

/// An operator sees how many of those who are here can be called (RFC 7081 §3.1).
fn tally(server: &Server) {
    server.metrics.callable.set(i64::try_from(server.reach.0.len()).unwrap_or(i64::MAX));
}

/// Notes what is so now. Whose it is, if it was not so before.
async fn look(server: &Server, account: AccountId) -> Option<String> {
    let card = server.auth.directory.by_id(account).await;
    let card = card.inspect_err(|error| tracing::error!(%error, "an account cannot be read")).ok()??;
    let user = card.jid.as_str().to_owned();
    if server.router.sessions(&user).is_empty() {
        forget(server, &user);
        return None;
    }
    let is_callable = halves::is_callable(server, account).await;
    let is_callable =
        is_callable.inspect_err(|error| tracing::error!(%error, "bindings cannot be read")).ok()?;
    let is_new = match is_callable && !card.aor.as_str().is_empty() {
        true => {
            let uri: Arc<str> = card.aor.to_sip_uri().into();
            server.reach.0.insert(user.clone(), Arc::clone(&uri)).is_none_or(|before| before != uri)
        }
        false => server.reach.0.remove(&user).is_some(),
    };
    tally(server);
    is_new.then_some(user)
}

const NS: &str = "urn:xmpp:reach:0";

#[cfg(test)]
mod tests {
    use super::*;

    /// §4.1, example 3.
    #[test]
    fn presence_says_where_somebody_is_reached() {
        let own = Stanza::parse("<presence><show>away</show></presence>").unwrap();
        let shown = String::from_utf8(with_address(own, "sip:a@x").to_bytes().to_vec()).unwrap();
        let reach = "<reach xmlns='urn:xmpp:reach:0'><addr uri='sip:a@x'/></reach>";
        assert_eq!(shown, format!("<presence><show>away</show>{reach}</presence>"));
    }
}
