//! Where a stanza goes — RFC 6121 §8 (delivery by the address), RFC 6120 §10 (processing).
//!
//! ```text
//! from a session ─▶ no `to`, or own bare JID   the account itself: presence, features
//!                 ─▶ the domain                the server's features
//!                 ─▶ the rooms' domain         rooms
//!                 ─▶ a component's domain      nodes, the directory
//!                 ─▶ a local account           §8.5: the full JID's resource, or the rules of the bare JID
//!                 ─▶ a component's domain      its queue (`component`)
//!                 ─▶ the guests' domain        what rooms say to them, and nothing else (`guests`)
//!                 ─▶ anywhere else             the queue for that domain (`s2s`)
//! from a component ─▶ the same
//! from another server ─▶ the same, but nothing goes on to anywhere else: what comes is for domains of ours
//! ```
//!
//! In    a stanza whose `from` is proven. Out stanzas in outboxes and queues, or an error back to the sender.
//! Errors stanza errors, sent back through the same rules; an error is never answered.

use std::cmp::Reverse;
use std::sync::Arc;

use xmpp_core::payload::roster::Change;
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use crate::features::{carbons, not_now, store_failed};
use crate::offline::{Came, Offline, Stage};
use crate::router::{Among, Kept, Sent, Session};
use crate::server::Server;
use crate::session::Given;
use crate::{
    abusers, afar, archive, blocking, callers, features, guests, presence, push, session, voicemail,
};

/// Routes a stanza that has both addresses.
pub(crate) async fn route(server: &Server, stanza: Stanza) {
    let Some(to) = stanza.to.clone() else { return };
    if to.domain() == server.rooms_domain {
        server.rooms.deliver(server, stanza).await;
    } else if let Some(component) = server.service(to.domain()) {
        to_component(server, component, stanza).await;
    } else if server.is_of_guests(to.domain()) {
        guests::deliver(server, &to, stanza).await;
    } else if !server.is_home(to.domain()) {
        leave(server, stanza);
    } else if to.local().is_none() {
        to_server(server, stanza).await;
    } else {
        to_account(server, &to, stanza).await;
    }
}

/// Takes what another server or a component sent: its `from` is proven.
pub(crate) async fn from_afar(server: &Server, mut stanza: Stanza) {
    if stanza.kind == Kind::Iq {
        let is_known = matches!(stanza.type_.as_deref(), Some("get" | "set" | "result" | "error"));
        if !is_known || stanza.id.is_none() {
            // RFC 6120 §8.2.3, rules 1 and 2.
            stanza.type_ = Some("get".to_owned()); // so that there is an answer
            return refuse(server, &stanza, &ErrorKind::BadRequest.into());
        }
    }
    let stanza = match stanza.kind {
        Kind::Message => archive::without_false_ids(server, stanza),
        _ => stanza,
    };
    route(server, stanza).await;
}

/// Puts a stanza into the queue for its domain, which is a component's or none of ours.
pub(crate) fn leave(server: &Server, stanza: Stanza) {
    let Some(domain) = stanza.to.as_ref().map(Jid::domain) else { return };
    let left = match server.components.knows(domain) {
        true => server.components.send(stanza),
        false => server.federation.send(stanza),
    };
    if let Err(returned) = left {
        let (stanza, error) = *returned;
        give_back(server, &stanza, &error);
    }
}

/// Sends to one address as it is: a resource here, or another domain.
pub(crate) fn pass(server: &Server, stanza: Stanza) {
    pass_among(server, stanza, None);
}

/// The same of what other sessions of the account get, too.
pub(crate) fn pass_among(server: &Server, stanza: Stanza, among: Option<&Arc<Among>>) {
    match &stanza.to {
        Some(to) if is_here(server, to) => {
            let is_sent = server.router.send_among(to, &stanza, among) == Sent::Yes;
            if is_sent && stanza.is_type("groupchat") {
                push::notify_occupant(server, to, &stanza);
            }
        }
        Some(_) => leave(server, stanza),
        None => {}
    }
}

/// As [`pass`], for what nobody misses when the client does not get it.
pub(crate) fn pass_copy(server: &Server, stanza: Stanza) {
    match &stanza.to {
        Some(to) if is_here(server, to) => {
            server.router.send_copy(to, &stanza);
        }
        Some(_) => leave(server, stanza),
        None => {}
    }
}

/// Whether an address is of this server itself: an account, or a service of ours.
fn is_here(server: &Server, to: &Jid) -> bool {
    server.hosts(to.domain()) && !server.components.knows(to.domain())
}

/// Sends an answer to who asked: a resource here, an occupant by way of the room, or another domain.
pub(crate) async fn reply(server: &Server, answer: Stanza) {
    let Some(to) = &answer.to else { return };
    if to.domain() == server.rooms_domain {
        Box::pin(server.rooms.deliver(server, answer)).await;
    } else {
        pass(server, answer);
    }
}

/// Tells the sender of a stanza that reached nobody in another domain, or not as it should. Of presence that is but news
/// nobody is told.
pub(crate) fn give_back(server: &Server, stanza: &Stanza, error: &StanzaError) {
    let is_news =
        stanza.kind == Kind::Presence && !matches!(stanza.type_.as_deref(), None | Some("subscribe"));
    let Some(answer) = stanza.error(error).filter(|_| !is_news) else { return };
    let Some(to) = &answer.to else { return };
    if !is_here(server, to) {
        leave(server, answer);
    } else if server.is_home(to.domain()) && !to.is_bare() {
        server.router.send_anyway(to, &answer);
    } else if let Some(server) = server.federation.server() {
        // A room, which may be the one that calls this: its task would wait for itself.
        tokio::spawn(async move { route(&server, answer).await });
    }
}

/// Sends the error that a stanza gets, if it may get one, to its sender.
pub(crate) fn refuse(server: &Server, stanza: &Stanza, error: &StanzaError) {
    // RFC 6121 §8.5.1: presence that went nowhere is not answered, but to rooms.
    let is_room = stanza.to.as_ref().is_some_and(|to| to.domain() == server.rooms_domain);
    if stanza.kind != Kind::Presence || is_room {
        tell(server, stanza, error);
    }
}

/// As [`refuse`], for presence too.
pub(crate) fn tell(server: &Server, stanza: &Stanza, error: &StanzaError) {
    let Some(answer) = stanza.error(error) else { return };
    match &answer.to {
        Some(to) if server.is_home(to.as_str()) => {
            // The domain asked, to wake somebody.
            if let Some(server) = server.me() {
                tokio::spawn(async move {
                    server.abusers.answered(&answer) || server.pushes.answered(&answer).await
                });
            }
        }
        Some(to) if to.domain() == server.rooms_domain => {
            // An occupant, by way of the room, whose task may be the one that calls this: it would wait for itself.
            if let Some(server) = server.me() {
                tokio::spawn(async move { server.rooms.deliver(&server, answer).await });
            }
        }
        Some(to) if is_here(server, to) => {
            server.router.send_anyway(to, &answer);
            if features::carbons::is_eligible(stanza) {
                // XEP-0280 §6.1: or the other devices show what was refused as sent.
                features::carbons::copy_received(&server.router, to, &answer, std::slice::from_ref(to), None);
            }
        }
        Some(_) => leave(server, answer),
        None => {}
    }
}

fn is_answer(iq: &Stanza) -> bool {
    iq.is_type("result") || iq.is_type("error")
}

async fn to_component(server: &Server, component: features::Target, stanza: Stanza) {
    let is_service = stanza.to.as_ref().is_some_and(|to| to.local().is_none() && to.is_bare());
    match stanza.kind {
        Kind::Iq if is_service => features::answer(server, component, stanza).await,
        Kind::Presence => {}
        Kind::Message
            if component == features::Target::PubSub && crate::pubsub::decide(server, &stanza).await => {}
        _ => refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into()),
    }
}

/// RFC 6121 §8.5: what the domain itself gets.
pub(crate) async fn to_server(server: &Server, stanza: Stanza) {
    match stanza.kind {
        Kind::Iq if is_answer(&stanza) => {
            // Of those that nobody asked, nothing is said.
            let _ = server.abusers.answered(&stanza) || server.pushes.answered(&stanza).await;
        }
        Kind::Iq => features::answer(server, features::Target::Server, stanza).await,
        Kind::Message if server.questions.take(&stanza) || server.abusers.hear(&stanza) => {}
        Kind::Message if voicemail::heard::is_marker(&stanza) => {}
        Kind::Message => refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into()),
        Kind::Presence => {}
    }
}

/// RFC 6121 §8.5.
async fn to_account(server: &Server, to: &Jid, stanza: Stanza) {
    if is_news_for_nobody(server, to, &stanza) {
        return;
    }
    if let Some(from) = &stanza.from
        && blocking::blocks(server, to, from).await
    {
        // XEP-0191 §3.3: presence and answers vanish; to all else the user looks away.
        let is_answer = stanza.is_type("error") || stanza.is_type("result");
        if stanza.kind != Kind::Presence && !is_answer {
            refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into());
        }
        return;
    }
    if abusers::refuses(server, to, &stanza).await {
        return refuse(server, &stanza, &abusers::refusal());
    }
    if stanza.kind == Kind::Presence {
        return to_account_presence(server, to, stanza).await;
    }
    if let Some(error) = callers::refuses(server, to, &stanza).await {
        return refuse(server, &stanza, &error);
    }
    if stanza.kind == Kind::Message {
        if !to.is_bare() && stanza.find("result", ns::MAM).is_some() {
            // From an archive of elsewhere, for who asked, and for nobody else (XEP-0313 §4.2).
            server.router.send_copy(to, &stanza);
            return;
        }
        // From a room or another server; a local sender keeps both sides at once.
        if is_for_nobody(server, to, &stanza) {
            return refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into());
        }
        return match archive::keep(server, &stanza, None, Some(to)).await {
            Ok(archived) => {
                let _turn = archived.turn;
                let stanza = archive::with_id(stanza, archived.by_recipient.as_deref(), to);
                deliver_message(server, to, stanza).await;
            }
            Err(error) => {
                tracing::error!(%error, "a message could not be archived");
                refuse(server, &stanza, &not_now());
            }
        };
    }
    if to.is_bare() && afar::is_answer(server, &stanza) {
        return;
    }
    if !to.is_bare() && server.router.send(to, &stanza) == Sent::Yes {
        return; // §8.5.3.1
    }
    match stanza.kind {
        // §8.5.2.1.3: the server answers on behalf of the account.
        Kind::Iq if to.is_bare() => {
            features::answer(server, features::Target::Account(to.clone()), stanza).await;
        }
        _ => refuse(server, &stanza, &ErrorKind::ServiceUnavailable.into()), // §8.5.3.2.3
    }
}

/// Whether a stanza is presence that one of ours shows, or a probe of theirs, while nobody of the account is here: nothing comes of
/// it, whatever the account wants, and so the store is not asked.
fn is_news_for_nobody(server: &Server, to: &Jid, stanza: &Stanza) -> bool {
    stanza.kind == Kind::Presence
        && matches!(stanza.type_.as_deref(), None | Some("unavailable" | "probe"))
        && stanza.from.as_ref().is_some_and(|from| server.is_home(from.domain()))
        && server.router.sessions(to.bare_str()).is_empty()
}

/// §8.5.3.2.1: whether a message is for one resource alone, which is not there. What says that another was received or displayed
/// is for the account: clients send it without a type to the resource that the other came from.
pub(crate) fn is_for_nobody(server: &Server, to: &Jid, message: &Stanza) -> bool {
    let is_normal = !matches!(message.type_.as_deref(), Some("chat" | "error" | "groupchat" | "headline"));
    let is_of_resource = is_normal && !to.is_bare() && !server.router.is_bound(to);
    is_of_resource && !(message.mentions(ns::RECEIPTS) || message.mentions(ns::MARKERS))
}

/// A message that is archived where it is to be, to a local account (§8.5).
pub(crate) async fn deliver_message(server: &Server, to: &Jid, message: Stanza) {
    push::notify(server, to, &message);
    let among = if to.is_bare() { None } else { Among::of(&server.router, to.bare_str(), &message) };
    let sent = match server.router.unready(to) {
        Some(session) if session.is_to_be_given() && Offline::is_kept(&message) => {
            Box::pin(put_behind(server, &session, &message, among.as_ref())).await
        }
        Some(session) if session.is_detached => {
            Box::pin(hand(server, &session, &message, among.as_ref())).await
        }
        _ if to.is_bare() => Sent::No,
        _ => server.router.send_among(to, &message, among.as_ref()),
    };
    if sent == Sent::Yes {
        if message.is_type("groupchat") {
            push::notify_occupant(server, to, &message);
        }
        let got = std::slice::from_ref(to);
        carbons::copy_received(&server.router, to, &message, got, among.as_ref()); // §8.5.3.1
        if among.is_some() {
            Box::pin(given_among(server, to, among)).await;
        }
        return;
    }
    Box::pin(to_account_message(server, to, message)).await;
}

/// §8.5.2.1.1, §8.5.2.2.1, §8.5.3.2.1.
async fn to_account_message(server: &Server, to: &Jid, message: Stanza) {
    let type_ = message.type_.as_deref().unwrap_or("normal");
    if type_ == "error" || (type_ == "headline" && !to.is_bare()) {
        return;
    }
    if type_ == "groupchat" {
        return refuse(server, &message, &ErrorKind::ServiceUnavailable.into());
    }
    let bare = to.bare_str();
    let sessions = server.router.sessions(bare);
    // Who is not given yet what waited gets what can wait behind it, and what cannot at once.
    let can_wait = Offline::is_kept(&message);
    let willing: Vec<&Session> =
        sessions.iter().filter(|s| s.takes_messages() && (s.is_given || !can_wait)).collect();
    let highest = willing.iter().map(|session| session.priority).max();
    let is_headline = type_ == "headline";
    let chosen = willing.into_iter().filter(|s| is_headline || Some(s.priority) == highest);
    let among = Among::of(&server.router, bare, &message);
    let (away, here): (Vec<&Session>, Vec<&Session>) = chosen.partition(|session| session.is_detached);
    let mut got: Vec<Jid> = here
        .iter()
        .filter(|s| s.push_among(&message, among.as_ref()) == Sent::Yes)
        .map(|session| session.jid.clone())
        .collect();
    for session in away {
        let sent = match got.is_empty() {
            true => hand(server, session, &message, among.as_ref()).await,
            false => session.push_among(&message, among.as_ref()),
        };
        got.extend((sent == Sent::Yes).then(|| session.jid.clone()));
    }
    carbons::copy_received(&server.router, to, &message, &got, among.as_ref());
    if !got.is_empty() {
        return given_among(server, to, among).await;
    }
    if !is_headline {
        put_by(server, to, &[Kept { stanza: message, came: Came::now() }]).await;
        // Somebody may have come online since we looked, and have been given what waited before this.
        give_to_willing(server, to).await;
    }
}

/// Those whom a message was given have their copies. Whoever ended meanwhile left it to us.
pub(crate) async fn given_among(server: &Server, to: &Jid, among: Option<Arc<Among>>) {
    let Some(among) = among else { return };
    let left = among.left();
    let is_left = left.is_some();
    if let Some(kept) = left {
        put_by(server, &to.to_bare(), &[kept]).await;
    }
    if is_left || server.offline.settle(to.bare_str()) {
        give_to_willing(server, to).await;
    }
}

/// Puts a message into the outbox of a session without connection: on disk first, if it must be.
async fn hand(server: &Server, session: &Session, message: &Stanza, among: Option<&Arc<Among>>) -> Sent {
    let owner = session.jid.bare_str();
    if !must_be_stored(message, owner) {
        return session.push_among(message, among);
    }
    let ids = stored(server, session, (message, among), Stage::InOutbox).await;
    let Some(id) = ids.first() else { return session.push_among(message, among) };
    among.into_iter().for_each(|among| server.offline.share(owner, id, among));
    if session.push_stored(message, id, among) == Sent::No {
        // The session ended meanwhile, and the message waits.
        server.offline.wait_again(owner, &ids);
        give_to_willing(server, &session.jid).await;
    }
    Sent::Yes
}

/// Puts a message behind what a session is about to be given (RFC 6120 §10.1). It waits for that session while it lasts.
async fn put_behind(
    server: &Server,
    session: &Session,
    message: &Stanza,
    among: Option<&Arc<Among>>,
) -> Sent {
    let owner = session.jid.bare_str();
    let ids = stored(server, session, (message, among), Stage::Behind).await;
    let Some(id) = ids.first() else { return session.push_among(message, among) };
    among.into_iter().for_each(|among| server.offline.share(owner, id, among));
    let is_it = |now: &Session| now.serial == session.serial && now.is_to_be_given();
    if !server.router.sessions(owner).iter().any(is_it) {
        // It has all of that meanwhile, or is over.
        server.offline.wait_again(owner, &ids);
        give_to_willing(server, &session.jid).await;
    }
    Sent::Yes
}

/// The id under which a message waits for a session; none where it cannot be kept. It is one for all sessions that it waits for.
async fn stored(
    server: &Server,
    session: &Session,
    (message, among): (&Stanza, Option<&Arc<Among>>),
    stage: Stage,
) -> Vec<String> {
    let whose = Some((session.serial, stage));
    let came = among.map_or_else(Came::now, |among| among.kept().came);
    let kept = server.offline.keep(session.jid.bare_str(), &[(message, came)], whose).await;
    kept.unwrap_or_else(|error| {
        tracing::error!(%error, "a message that is to wait for its client could not be kept");
        Vec::new()
    })
}

/// Whether a message would be lost with a session that waits for its client, and may not be.
pub(crate) fn must_be_stored(message: &Stanza, owner: &str) -> bool {
    message.kind == Kind::Message && Offline::is_kept(message) && !archive::has(message, owner)
}

/// Keeps messages that nobody took for the next login; the sender is told when that cannot be.
pub(crate) async fn put_by(server: &Server, to: &Jid, messages: &[Kept]) {
    let error = match server.account(to).await {
        Ok(None) => ErrorKind::ServiceUnavailable.into(), // §8.5.1
        Err(error) => store_failed(&error),
        Ok(Some(_)) => {
            let kept = messages.iter().filter(|message| Offline::is_kept(&message.stanza));
            let kept: Vec<(&Stanza, Came)> = kept.map(|message| (&message.stanza, message.came)).collect();
            match server.offline.keep(to.bare_str(), &kept, None).await {
                Ok(ids) => {
                    server.metrics.offline.inc_by(ids.len() as u64);
                    for (message, _) in &kept[ids.len()..] {
                        refuse(server, message, &ErrorKind::ServiceUnavailable.into()); // XEP-0160 §3, step 3
                    }
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "a message could not be kept");
                    not_now()
                }
            }
        }
    };
    for message in messages {
        refuse(server, &message.stanza, &error);
    }
}

/// Gives what waits for an account to a resource that takes messages, if there is one. One that is about to be given all that
/// waits gets this with it.
pub(crate) async fn give_to_willing(server: &Server, user: &Jid) {
    let is_willing = |s: &Session| s.takes_messages() && s.is_given && !s.door.is_ended();
    // One that ends meanwhile leaves it to the next.
    for _ in 0..MOST_GIVEN {
        let sessions = server.router.sessions(user.bare_str());
        // Who is connected comes first, and then whom the account prefers.
        let best =
            sessions.into_iter().filter(is_willing).min_by_key(|s| (s.is_detached, Reverse(s.priority)));
        let Some(session) = best else { return };
        match session::give_waiting(server, &session.jid, session.serial, &session.outbox).await {
            Given::All => return,
            Given::Full => return session::give_later(server, session),
            Given::Unread => return session::give_again(server, session),
            Given::Over => {}
        }
    }
}

async fn to_account_presence(server: &Server, to: &Jid, stanza: Stanza) {
    if stanza.from.as_ref().is_some_and(|from| !is_here(server, from)) {
        afar::presence(server, to, &stanza).await;
    }
    let type_ = stanza.type_.as_deref().unwrap_or_default();
    if let Some(change) = Change::from_type(type_) {
        presence::receive(server, &to.to_bare(), change, stanza).await;
    } else if type_ == "probe" {
        presence::answer_probe(server, to, &stanza).await;
    } else if to.is_bare() {
        server.router.send_to_available(to.bare_str(), &stanza);
    } else {
        server.router.send(to, &stanza);
    }
}

/// Sessions that are tried with what waits before it waits for a login.
const MOST_GIVEN: usize = 8;
