//! Roster get, set and remove — RFC 6121 §2.1 (syntax), §2.2 (get), §2.3 (add), §2.4 (change), §2.5 (remove), §2.6 (versions).
//!
//! In    `<query xmlns='jabber:iq:roster'/>` of the account's own user.
//! Out   the roster, or pushes of what changed; removal ends both subscriptions.
//! State the roster; a version is a hash of its content, so that it survives restarts and needs no counter.
//! Errors §2.3.3; `not-allowed` for who is of a shared group (`shared_groups`), who is there as the service says.

use shared_model::Spec;
use xmpp_core::payload::roster::{Change, Item, Set};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, store_failed};
use crate::invited;
use crate::server::Server;

const SPEC: Spec = Spec::rfc(6121)
    .complete()
    .note("receipts and markers of type normal for a resource that is gone go to the account (§8.5.3.2.1)");

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC],
    takes: &[("query", ns::ROSTER)],
    server: &[],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    // §2.2, §2.3.3: a roster is its user's alone.
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    if !request.is_set {
        return get(server, request, user).await;
    }
    match Item::parse_set(&request.payload)? {
        Set::Update(item) if item.jid == *user => Err(ErrorKind::NotAllowed.into()),
        Set::Update(Item { jid, .. }) | Set::Remove(jid) if server.rosters.is_fellow(user.as_str(), &jid) => {
            Err(StanzaError::because(ErrorKind::NotAllowed, "this contact is of a group of the service"))
        }
        Set::Update(item) => update(server, user, item).await,
        Set::Remove(jid) => remove(server, user, &jid).await,
    }
}

async fn get(server: &Server, request: &Request, user: &Jid) -> Answered {
    for session in server.router.sessions(user.as_str()).iter().filter(|session| session.jid == request.from)
    {
        server.router.update(&session.jid, session.serial, |session| session.is_interested = true);
    }
    let is_new = server.rosters.own(user.as_str()).await.map_err(|error| store_failed(&error))?.is_empty();
    if is_new {
        invited::befriend(server, user).await.map_err(|error| store_failed(&error))?;
    }
    let shown = server.rosters.shown(user.as_str()).await.map_err(|error| store_failed(&error))?;
    let is_known =
        request.payload.attribute("ver").is_some_and(|asked| shown.attribute("ver") == Some(asked));
    // §2.6.3: nothing changed.
    if is_known { Ok(Answer::default()) } else { Ok(shown.into()) }
}

async fn update(server: &Server, user: &Jid, item: Item) -> Answered {
    let changed = server
        .rosters
        .change(user.as_str(), &item.jid, |entry| {
            entry.name.clone_from(&item.name);
            entry.groups.clone_from(&item.groups);
            entry.is_listed = true;
        })
        .await;
    let (_, after) = changed.map_err(|error| store_failed(&error))?;
    Ok(Answer { pushes: vec![after.to_item(&item.jid).to_element()], ..Answer::default() })
}

/// §2.5.2: the entry goes, and the contact learns that both subscriptions ended. The client reads the result last, and may
/// then ask the contact anew.
async fn remove(server: &Server, user: &Jid, contact: &Jid) -> Answered {
    let changed = server.rosters.change(user.as_str(), contact, |entry| *entry = Default::default()).await;
    let (before, _) = changed.map_err(|error| store_failed(&error))?;
    if !before.is_listed {
        return Err(ErrorKind::ItemNotFound.into());
    }
    let state = before.subscription();
    let tell = |change: Change, is_due: bool| {
        is_due
            .then(|| Stanza::new(Kind::Presence, Some(change.as_str())).addressed(Some(user), Some(contact)))
    };
    let mut ends: Vec<Stanza> =
        tell(Change::Unsubscribe, state.to || state.pending_out).into_iter().collect();
    ends.extend(tell(Change::Unsubscribed, state.from || state.pending_in));
    if state.from {
        for session in
            server.router.sessions(user.as_str()).iter().filter(|session| session.presence.is_some())
        {
            let gone = Stanza::new(Kind::Presence, Some("unavailable"));
            ends.push(gone.addressed(Some(&session.jid), Some(contact)));
        }
    }
    let gone = Element::new("item", ns::ROSTER).with("jid", contact).with("subscription", "remove");
    Ok(Answer { pushes: vec![gone], ends, ..Answer::default() })
}
