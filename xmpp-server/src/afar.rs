//! What clients of contacts in other domains want to hear of — XEP-0163 1.2.2, section 4.3 (filtered notifications), XEP-0115
//! 1.6.0, section 6.2 (asking for what a hash stands for).
//!
//! In    presence of a contact elsewhere, who may see the account's; the answer to the question that follows.
//! Out   the last items of the account's nodes, and who is interested in a node.
//! State for each account the resources elsewhere that want to hear of something, and the questions that are open; both are
//!       bounded, and gone with the process: the next presence brings them back.
//! Errors a client that does not answer hears of nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use xmpp_core::payload::caps::Caps;
use xmpp_core::{Jid, Stanza, ns};

use crate::caps::{Notify, question};
use crate::server::Server;
use crate::{pubsub, route};

/// What is known of resources elsewhere.
#[derive(Default)]
pub(crate) struct Afar {
    /// By the bare JID of the account that they see.
    known: DashMap<String, Vec<Resource>>,
    /// By the id of the question.
    asked: DashMap<String, Asked>,
}

struct Resource {
    jid: Jid,
    caps: Caps,
    notify: Notify,
}

struct Asked {
    account: Jid,
    resource: Jid,
    caps: Caps,
    since: Instant,
}

impl Afar {
    /// Resources of a contact that want to hear of a node of an account.
    pub(crate) fn interested(&self, account: &str, contact: &str, node: &str) -> Vec<Jid> {
        let Some(known) = self.known.get(account) else { return Vec::new() };
        let is_so = |it: &&Resource| it.jid.bare_str() == contact && it.notify.contains(node);
        known.iter().filter(is_so).map(|it| it.jid.clone()).collect()
    }

    fn has(&self, account: &str, resource: &Jid, caps: &Caps) -> bool {
        let known = self.known.get(account);
        known.is_some_and(|known| known.iter().any(|it| it.jid == *resource && it.caps == *caps))
    }

    fn forget(&self, account: &str, resource: &Jid) {
        self.known.remove_if_mut(account, |_, known| {
            known.retain(|it| it.jid != *resource);
            known.is_empty()
        });
    }

    /// From now on the resource wants this. Whether there is room for it.
    fn note(&self, account: &str, resource: &Jid, caps: Caps, notify: &Notify) -> bool {
        if self.known.len() >= MOST_ACCOUNTS && !self.known.contains_key(account) {
            return false;
        }
        let mut known = self.known.entry(account.to_owned()).or_default();
        known.retain(|it| it.jid != *resource);
        if known.len() >= MOST_RESOURCES {
            return false;
        }
        known.push(Resource { jid: resource.clone(), caps, notify: Arc::clone(notify) });
        true
    }

    fn ask(&self, id: &str, asked: Asked) -> bool {
        if self.asked.len() >= MOST_ASKED {
            self.asked.retain(|_, open| open.since.elapsed() < PATIENCE);
        }
        let is_room = self.asked.len() < MOST_ASKED;
        if is_room {
            self.asked.insert(id.to_owned(), asked);
        }
        is_room
    }
}

/// Presence from elsewhere for an account.
pub(crate) async fn presence(server: &Server, account: &Jid, stanza: &Stanza) {
    let Some(from) = stanza.from.clone().filter(|from| !from.is_bare()) else { return };
    let account = account.to_bare();
    let caps = Caps::of(stanza);
    let Some(caps) = caps.filter(|_| stanza.type_.is_none()) else {
        if matches!(stanza.type_.as_deref(), None | Some("unavailable" | "error")) {
            server.afar.forget(account.as_str(), &from);
        }
        return;
    };
    if server.afar.has(account.as_str(), &from, &caps) {
        return;
    }
    let contact = server.rosters.get(account.as_str(), &from).await;
    if !contact.is_ok_and(|contact| contact.subscription().from) {
        return; // they see nothing of the account's
    }
    if let Some(notify) = server.known_caps.get(&caps) {
        return learned(server, account, from, caps, notify);
    }
    let id = server.new_id();
    let question = question(&caps, &id).addressed(Some(&account), Some(&from));
    if server.afar.ask(&id, Asked { account, resource: from, caps, since: Instant::now() }) {
        route::leave(server, question);
    }
}

/// Whether an iq answers a question of ours, in the name of an account, to a client elsewhere.
pub(crate) fn is_answer(server: &Server, iq: &Stanza) -> bool {
    let (Some(id), Some(from)) = (&iq.id, &iq.from) else { return false };
    let Some((_, asked)) = server.afar.asked.remove_if(id, |_, asked| asked.resource == *from) else {
        return false;
    };
    if let Some(info) = iq.find("query", ns::DISCO_INFO).filter(|_| iq.is_type("result")) {
        let notify = server.known_caps.learn(&asked.caps, &info);
        learned(server, asked.account, asked.resource, asked.caps, notify);
    }
    true
}

fn learned(server: &Server, account: Jid, resource: Jid, caps: Caps, notify: Notify) {
    if !server.afar.note(account.as_str(), &resource, caps, &notify) || notify.is_empty() {
        return;
    }
    if let Some(server) = server.federation.server() {
        // Not in the task of the stream, which has others to serve.
        tokio::spawn(async move { pubsub::send_last_of(&server, &account, &resource, &notify).await });
    }
}

/// Accounts that are seen from elsewhere.
const MOST_ACCOUNTS: usize = 100_000;
/// Resources elsewhere that one account is seen by.
const MOST_RESOURCES: usize = 1_000;
/// Questions that are open.
const MOST_ASKED: usize = 10_000;
/// How long a question stays open when there are too many.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use xmpp_core::payload::caps::Edition;

    use super::*;

    #[test]
    fn knows_who_wants_what_until_they_go() {
        let afar = Afar::default();
        let jid = |text: &str| text.parse::<Jid>().unwrap();
        let caps = |ver: &str| Caps {
            edition: Edition::First,
            node: "n".into(),
            ver: ver.into(),
            hash: "sha-1".into(),
        };
        let notify: Notify = Arc::new(["urn:mood".to_owned()].into());
        assert!(afar.note("a@x", &jid("b@y/1"), caps("1"), &notify));
        assert!(afar.note("a@x", &jid("b@y/2"), caps("1"), &Notify::default()));
        assert!(afar.note("a@x", &jid("c@y/1"), caps("1"), &notify));
        assert_eq!(afar.interested("a@x", "b@y", "urn:mood"), [jid("b@y/1")]);
        assert!(
            afar.interested("a@x", "b@y", "urn:other").is_empty()
                && afar.interested("z@x", "b@y", "").is_empty()
        );
        assert!(afar.has("a@x", &jid("b@y/1"), &caps("1")) && !afar.has("a@x", &jid("b@y/1"), &caps("2")));
        for gone in ["b@y/1", "b@y/2", "c@y/1"] {
            afar.forget("a@x", &jid(gone));
        }
        assert!(afar.known.is_empty());
    }
}
