//! Presence and subscriptions — RFC 6121 §3 (subscriptions), §4 (exchange of presence).
//!
//! In    presence that a user sends, or that arrives for one.
//! Out   stanzas to contacts and to the user's own resources; roster pushes.
//! State rosters; the last presence of each session in the router.
//! Errors those of the store are logged: presence has no answer. Requests of strangers elsewhere beyond a bound are dropped.
//! Not here: the tables of states (`xmpp_core::payload::roster`).

use shared_store::StoreError;
use xmpp_core::payload::roster::{Change, Subscription};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use crate::features;
use crate::invited;
use crate::pubsub;
use crate::reach;
use crate::roster::Contact;
use crate::route::{self, route};
use crate::router::Session;
use crate::server::Server;
use crate::session;

/// The user `from` (full) sends a subscription stanza to `contact` (bare): §3.1.2, §3.2.2, §3.3.2, §3.1.4.
pub(crate) async fn send(server: &Server, from: &Jid, contact: &Jid, change: Change, stanza: Stanza) {
    if server.rosters.is_fellow(from.bare_str(), contact) {
        return; // they see each other, and neither may change that
    }
    send_anyway(server, from, contact, change, stanza).await;
}

/// As [`send`], for an account that ends, which leaves its fellows too.
pub(crate) async fn send_anyway(server: &Server, from: &Jid, contact: &Jid, change: Change, stanza: Stanza) {
    let user = from.to_bare();
    let changed = server
        .rosters
        .change(user.as_str(), contact, |entry| {
            entry.set_subscription(entry.subscription().sent(change).0);
            entry.is_listed |= matches!(change, Change::Subscribe | Change::Subscribed);
        })
        .await;
    let (before, after) = match changed {
        Ok(changed) => changed,
        Err(error) => {
            // RFC 6120 §8.3.3.18: a client would show for ever that it asked.
            return route::tell(server, &stanza, &features::store_failed(&error));
        }
    };
    // First what it means here: the contact's server may answer before it has all, and that has a push of its own.
    push_if_changed(server, &user, contact, &before, &after).await;
    let (_, is_routed) = before.subscription().sent(change);
    if is_routed {
        Box::pin(route(server, stanza.addressed(Some(&user), Some(contact)))).await;
    }
    let (saw, sees) = (before.subscription().from, after.subscription().from);
    if sees && !saw {
        show_nodes(server, &user, contact);
        for session in server.router.sessions(user.as_str()) {
            if let Some(presence) = session.presence {
                Box::pin(route(
                    server,
                    reach::shown(server, &session.jid, &presence)
                        .addressed(Some(&session.jid), Some(contact)),
                ))
                .await;
            }
        }
    } else if saw && !sees {
        tell_unavailable(server, &user, contact).await;
    }
}

/// A subscription stanza arrives for the local account `user` (bare): §3.1.3, §3.1.6, §3.2.3, §3.3.3.
pub(crate) async fn receive(server: &Server, user: &Jid, change: Change, stanza: Stanza) {
    let Some(contact) = stanza.from.as_ref().map(Jid::to_bare) else { return };
    if !matches!(server.account(user).await, Ok(Some(_))) {
        return; // §3.1.3, case 1: silence
    }
    if change == Change::Subscribe && !server.is_home(contact.domain()) {
        match server.rosters.is_crowded(user.as_str(), &contact).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(
                    domain = contact.domain(),
                    "too many requests wait for an answer: one more is dropped"
                );
                return;
            }
            Err(error) => return failed(&error),
        }
    }
    let is_awaited = change == Change::Subscribe
        && invited::is_awaited(server, user, &stanza).await.inspect_err(failed).unwrap_or(false);
    let request = String::from_utf8_lossy(&stanza.to_bytes()).into_owned();
    let changed = server
        .rosters
        .change(user.as_str(), &contact, |entry| {
            if is_awaited {
                entry.set_subscription(Subscription { approved: true, ..entry.subscription() });
                entry.is_listed = true;
            }
            entry.set_subscription(entry.subscription().received(change).0);
            if change == Change::Subscribe && entry.subscription().pending_in {
                entry.request = Some(request.clone());
            }
        })
        .await;
    let Ok((before, after)) = changed.inspect_err(failed) else { return };
    let (_, is_delivered) = before.subscription().received(change);
    let is_delivered = is_delivered && !is_awaited;
    if is_delivered && change == Change::Unsubscribe {
        // A.3.2, note 1: the server answers, and first, lest a request that follows be ended by it.
        let ended = Stanza::new(Kind::Presence, Some("unsubscribed"));
        Box::pin(route(server, ended.addressed(Some(user), Some(&contact)))).await;
    }
    if is_delivered && change == Change::Subscribe {
        server.router.send_to_available(user.as_str(), &stanza);
    } else if is_delivered {
        for session in server.router.sessions(user.as_str()).iter().filter(|session| session.is_interested) {
            session.push(&stanza);
        }
    }
    push_if_changed(server, user, &contact, &before, &after).await;
    if change == Change::Subscribe && after.subscription().from {
        // §3.1.3, case 2 and §3.4: granted already, so the server answers.
        let granted = Stanza::new(Kind::Presence, Some("subscribed"));
        Box::pin(route(server, granted.addressed(Some(user), Some(&contact)))).await;
        show_nodes(server, user, &contact);
        for session in server.router.sessions(user.as_str()) {
            if let Some(presence) = session.presence {
                Box::pin(route(
                    server,
                    reach::shown(server, &session.jid, &presence)
                        .addressed(Some(&session.jid), Some(&contact)),
                ))
                .await;
            }
        }
    }
    if before.subscription().from && !after.subscription().from {
        tell_unavailable(server, user, &contact).await; // §3.3.3
    }
    if is_awaited && !after.subscription().to {
        let request = Stanza::new(Kind::Presence, Some("subscribe"));
        Box::pin(send(server, user, &contact, Change::Subscribe, request)).await; // XEP-0379 §3.5
    }
}

/// §4.3.2: a probe for `to`, answered for those who may see. Another server is told, too, when there is nothing to see. Who was sent
/// presence directly hears that it is there, and no more (§4.6.6).
pub(crate) async fn answer_probe(server: &Server, to: &Jid, probe: &Stanza) {
    let Some(asker) = &probe.from else { return };
    let user = to.to_bare();
    let is_own = asker.bare_str() == user.as_str();
    let is_strange = !server.is_home(asker.domain());
    let is_shown = !to.is_bare()
        && server
            .router
            .sessions(user.as_str())
            .iter()
            .any(|session| session.jid == *to && session.directed.has(asker));
    if !is_strange
        && !is_shown
        && server.router.sessions(user.as_str()).iter().all(|session| session.presence.is_none())
    {
        return; // whether they may see it or not
    }
    let Ok(contact) = server.rosters.get(user.as_str(), asker).await.inspect_err(failed) else { return };
    let answer = |type_: &str| {
        let answer = Stanza::new(Kind::Presence, Some(type_)).with_id(probe.id.as_deref());
        route::pass(server, answer.addressed(Some(&user), Some(asker)));
    };
    if !(contact.subscription().from || is_own) {
        if is_shown {
            let presence = Stanza::new(Kind::Presence, None).with_id(probe.id.as_deref());
            route::pass(server, presence.addressed(Some(to), Some(asker)));
        } else if is_strange {
            answer("unsubscribed"); // rule 1, for accounts that are not there, too
        }
        return;
    }
    let sessions = server.router.sessions(user.as_str());
    let shown = sessions.iter().filter(|session| to.is_bare() || session.jid == *to);
    if is_strange && to.is_bare() && sessions.iter().all(|session| session.presence.is_none()) {
        return answer("unavailable"); // rule 3
    }
    for session in shown {
        if let Some(presence) = &session.presence {
            let presence =
                reach::shown(server, &session.jid, presence).addressed(Some(&session.jid), Some(asker));
            route::pass(server, presence);
        }
    }
}

/// §4.2.2: a resource becomes available. Where the store does not say who its contacts are, it is asked again, for no client says twice
/// that it is there; a session that nobody would see at last is ended, so that its client comes again. One task for a session, however
/// often it goes and comes: what it shows at the time is shown.
pub(crate) async fn arrive(server: &Server, (jid, serial): (&Jid, u64), presence: &Stanza) {
    if broadcast(server, jid, presence, true).await.is_ok() {
        return;
    }
    let (Some(server), jid) = (server.me(), jid.clone()) else { return };
    tokio::spawn(async move { arrive_later(&server, &jid, serial).await });
}

async fn arrive_later(server: &Server, jid: &Jid, serial: u64) {
    for _ in 0..TRIES {
        let mut is_begun = true;
        server.router.update(jid, serial, |session| {
            is_begun = std::mem::replace(&mut session.arrives_later, true);
        });
        if is_begun {
            return;
        }
        tokio::time::sleep(session::soon()).await;
        let mut presence = None;
        server.router.update(jid, serial, |session| {
            session.arrives_later = false;
            presence = session.presence.clone();
        });
        let Some(presence) = presence else { return };
        if broadcast(server, jid, &presence, true).await.is_ok() {
            return;
        }
    }
    let sessions = server.router.sessions(jid.bare_str());
    sessions.iter().filter(|session| session.serial == serial).for_each(Session::end_half);
}

/// How often a store is asked for the contacts of who comes.
const TRIES: usize = 5;

/// §4.2 to §4.5: a resource becomes available, changes, or goes. `is_initial` asks for what the contacts show.
pub(crate) async fn broadcast(
    server: &Server,
    from: &Jid,
    presence: &Stanza,
    is_initial: bool,
) -> Result<(), StoreError> {
    let user = from.to_bare();
    let presence = &reach::shown(server, from, presence);
    for session in server.router.sessions(user.as_str()) {
        if session.presence.is_some() || session.jid == *from {
            session.push(&presence.clone().addressed(Some(from), Some(&session.jid)));
        }
    }
    let mut contacts = server.rosters.all(user.as_str()).await.inspect_err(failed)?;
    if let Some(blocked) = server.router.blocked(user.as_str()).filter(|blocked| !blocked.is_empty()) {
        contacts.retain(|(contact, _)| !blocked.names(contact)); // XEP-0191 §3.3: not to them, nor from them
    }
    for (contact, _) in contacts.iter().filter(|(_, entry)| entry.subscription().from) {
        Box::pin(route(server, presence.clone().addressed(Some(from), Some(contact)))).await;
    }
    if !is_initial {
        return Ok(());
    }
    for session in server.router.sessions(user.as_str()) {
        if let Some(theirs) = session.presence.filter(|_| session.jid != *from) {
            server.router.send(
                from,
                &reach::shown(server, &session.jid, &theirs).addressed(Some(&session.jid), Some(from)),
            );
        }
    }
    let seen = contacts.iter().filter(|(_, entry)| entry.subscription().to).map(|(contact, _)| contact);
    let (here, afar): (Vec<&Jid>, Vec<&Jid>) = seen.partition(|contact| is_account(server, contact));
    for contact in afar {
        let probe = Stanza::new(Kind::Presence, Some("probe")).addressed(Some(from), Some(contact));
        Box::pin(route(server, probe)).await;
    }
    show_all(server, &here, from).await;
    for (_, entry) in &contacts {
        if let Some(request) = entry.request.as_deref().and_then(Stanza::parse) {
            server.router.send(from, &request); // §3.1.3, case 4: until it is answered
        }
    }
    Ok(())
}

fn is_account(server: &Server, jid: &Jid) -> bool {
    server.is_home(jid.domain()) && jid.local().is_some()
}

/// What accounts of ours show to a resource that may see them, as if it had probed each (§4.3.2): their rosters are asked at once.
async fn show_all(server: &Server, contacts: &[&Jid], asker: &Jid) {
    let shows = |contact: &&&Jid| {
        let is_here = |session: &Session| session.presence.is_some();
        server.router.sessions(contact.bare_str()).iter().any(is_here)
            // XEP-0191 §3.3; who has a session has the list at hand.
            && !server.router.blocked(contact.bare_str()).is_some_and(|list| list.names(asker))
    };
    let here: Vec<Jid> = contacts.iter().filter(shows).map(|contact| contact.to_bare()).collect();
    let Ok(entries) = server.rosters.of_many(&here, asker).await.inspect_err(failed) else { return };
    for (contact, _) in here.iter().zip(entries).filter(|(_, entry)| entry.subscription().from) {
        for session in server.router.sessions(contact.as_str()) {
            if let Some(presence) = &session.presence {
                let presence = reach::shown(server, &session.jid, presence);
                route::pass(server, presence.addressed(Some(&session.jid), Some(asker)));
            }
        }
    }
}

/// Sends a contact's entry to every resource that asked for the roster (§2.1.6), with the version of the whole (§2.6.3).
pub(crate) async fn push(server: &Server, user: &Jid, item: Element) {
    push_all(server, user, vec![item]).await;
}

/// The same for several entries that changed at once. The last one has the version of the whole; those before it have one that is
/// of nothing, so that who misses the rest gets all anew.
pub(crate) async fn push_all(server: &Server, user: &Jid, items: Vec<Element>) {
    let sessions = server.router.sessions(user.as_str());
    if items.is_empty() || !sessions.iter().any(|session| session.is_interested) {
        return;
    }
    let shown = server.rosters.shown(user.as_str()).await.inspect_err(failed).ok();
    let last = items.len() - 1;
    for (at, item) in items.into_iter().enumerate() {
        // As it is in the whole of that version, should it have changed once more.
        let of_whole = |shown: &Element| {
            shown.children().find(|one| one.attribute("jid") == item.attribute("jid")).cloned()
        };
        let item = shown.as_ref().and_then(of_whole).unwrap_or(item);
        let whole = || shown.as_ref()?.attribute("ver").map(str::to_owned);
        let version = if at == last { whole() } else { Some(server.new_id()) };
        let query = Element::new("query", ns::ROSTER).child(item).with_some("ver", version);
        for session in sessions.iter().filter(|session| session.is_interested) {
            let id = server.new_id();
            let push =
                Stanza::new(Kind::Iq, Some("set")).with_id(Some(&id)).addressed(None, Some(&session.jid));
            session.push(&push.with(&query));
        }
    }
}

/// XEP-0163 §4.3.4: who sees an account from now on gets the last items of its nodes, where they are wanted.
fn show_nodes(server: &Server, user: &Jid, contact: &Jid) {
    if !server.is_home(contact.domain()) {
        return; // those of elsewhere ask with their presence
    }
    let Some(server) = server.me() else { return };
    let (user, contact) = (user.clone(), contact.clone());
    // Not in this task: there may be many nodes.
    tokio::spawn(async move {
        for session in server.router.sessions(contact.bare_str()) {
            if session.presence.is_some() {
                pubsub::send_last_of(&server, &user, &session.jid, &session.notify).await;
            }
        }
    });
}

async fn push_if_changed(server: &Server, user: &Jid, contact: &Jid, before: &Contact, after: &Contact) {
    // A request that waits is the server's secret (§3.1.3).
    let shown =
        |entry: &Contact| (Subscription { pending_in: false, ..entry.subscription() }, entry.is_listed);
    if after.is_listed && shown(before) != shown(after) {
        push(server, user, after.to_item(contact).to_element()).await;
    }
}

async fn tell_unavailable(server: &Server, user: &Jid, contact: &Jid) {
    for session in server.router.sessions(user.as_str()).iter().filter(|session| session.presence.is_some()) {
        let gone = Stanza::new(Kind::Presence, Some("unavailable"));
        Box::pin(route(server, gone.addressed(Some(&session.jid), Some(contact)))).await;
    }
}

fn failed(error: &StoreError) {
    tracing::error!(%error, "a roster could not be read or written");
}
