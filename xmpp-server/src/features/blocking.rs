//! Blocking — XEP-0191 1.3, sections 3.2 (list), 3.3 (block), 3.4 and 3.5 (unblock).
//!
//! In    commands of the account's own user.
//! Out   a list, or pushes to every resource that asked for it; unavailable presence to whom is blocked, the current one
//!       to whom is not any more, where the roster lets them see it.
//! State [`crate::blocking`]. What a list does to stanzas: `route` (to the user), `session` (from the user), `presence`.
//! Errors `bad-request` for a block of nobody, `jid-malformed`; a foreign list is `forbidden`.
//! Subscriptions stay as they are ("polite blocking", §4).

use shared_model::Spec;
use xmpp_core::payload::blocking::{BlockList, parse, print};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, report, store_failed};
use crate::blocking::is_exempt;
use crate::server::Server;

const SPEC: Spec = Spec::xep(191, "1.3").complete();

pub(super) const FEATURE: Feature = Feature {
    specs: &[SPEC, report::SPEC],
    takes: &[("blocklist", ns::BLOCKING), ("block", ns::BLOCKING), ("unblock", ns::BLOCKING)],
    server: &[ns::BLOCKING, ns::REPORTING],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    match (request.payload.name.as_str(), request.is_set) {
        ("blocklist", false) => {
            server.router.mark(&request.from, |session| session.is_block_interested = true);
            let list = server.block_lists.read(user.as_str()).await.map_err(|error| store_failed(&error))?;
            Ok(print("blocklist", list.iter()).into())
        }
        ("block", true) => {
            let jids = parse(&request.payload)?;
            let stanzas = block(server, user, &jids).await?;
            report::keep(server, user, &request.payload).await;
            Ok(Answer { stanzas, ..Answer::default() })
        }
        ("unblock", true) => {
            let stanzas = unblock(server, user, &parse(&request.payload)?).await?;
            Ok(Answer { stanzas, ..Answer::default() })
        }
        _ => Err(ErrorKind::BadRequest.into()),
    }
}

/// §3.3: blocks these from now on; what follows from it is to be sent.
pub(crate) async fn block(server: &Server, user: &Jid, jids: &[Jid]) -> Result<Vec<Stanza>, StanzaError> {
    if jids.is_empty() {
        return Err(ErrorKind::BadRequest.into()); // §3.3
    }
    let new = change(server, user, |list| list.add(jids)).await?;
    let mut stanzas = pushes(server, user, &print("block", jids));
    stanzas.extend(hide_presence(server, user, &new).await?);
    Ok(stanzas)
}

/// §3.4: does not block these any more, or nobody if there are none; what follows from it is to be sent.
pub(crate) async fn unblock(server: &Server, user: &Jid, jids: &[Jid]) -> Result<Vec<Stanza>, StanzaError> {
    let gone = change(server, user, |list| list.remove(jids)).await?;
    let mut stanzas = pushes(server, user, &print("unblock", jids));
    stanzas.extend(show_presence(server, user, &gone).await?);
    Ok(stanzas)
}

async fn change(
    server: &Server,
    user: &Jid,
    change: impl Fn(&mut BlockList) -> Vec<Jid>,
) -> Result<Vec<Jid>, StanzaError> {
    let changed = server.block_lists.change(&server.router, user.as_str(), change).await;
    changed.map_err(|error| store_failed(&error))
}

/// §3.3: to all resources that have requested the list.
fn pushes(server: &Server, user: &Jid, command: &Element) -> Vec<Stanza> {
    let sessions = server.router.sessions(user.as_str()).into_iter();
    let push = |jid: &Jid| {
        let push = Stanza::new(Kind::Iq, Some("set")).with_id(Some(&server.new_id()));
        push.addressed(None, Some(jid)).with(command)
    };
    sessions.filter(|session| session.is_block_interested).map(|session| push(&session.jid)).collect()
}

/// §3.3: whom the roster lets see the user's presence, or who was sent it directly, sees it go.
async fn hide_presence(server: &Server, user: &Jid, jids: &[Jid]) -> Result<Vec<Stanza>, StanzaError> {
    let mut stanzas = Vec::new();
    let list: BlockList = jids.iter().cloned().collect();
    for session in server.router.sessions(user.as_str()) {
        for shown in session.directed.take_named(&list) {
            let gone = Stanza::new(Kind::Presence, Some("unavailable"));
            stanzas.push(gone.addressed(Some(&session.jid), Some(&shown)));
        }
    }
    for contact in seeing(server, user, jids, |subscription| subscription.from).await? {
        for session in server.router.sessions(user.as_str()).iter().filter(|s| s.presence.is_some()) {
            let gone = Stanza::new(Kind::Presence, Some("unavailable"));
            stanzas.push(gone.addressed(Some(&session.jid), Some(&contact)));
        }
    }
    Ok(stanzas)
}

/// §3.4: they see it again, and the user theirs.
async fn show_presence(server: &Server, user: &Jid, jids: &[Jid]) -> Result<Vec<Stanza>, StanzaError> {
    let mut stanzas = Vec::new();
    let sessions = server.router.sessions(user.as_str());
    for contact in seeing(server, user, jids, |subscription| subscription.from).await? {
        let shown = sessions.iter().filter_map(|session| Some((session, session.presence.as_ref()?)));
        stanzas.extend(shown.map(|(session, presence)| {
            crate::reach::shown(server, &session.jid, presence).addressed(Some(&session.jid), Some(&contact))
        }));
    }
    for contact in seeing(server, user, jids, |subscription| subscription.to).await? {
        stanzas.extend(sessions.iter().filter(|session| session.presence.is_some()).map(|session| {
            Stanza::new(Kind::Presence, Some("probe")).addressed(Some(&session.jid), Some(&contact))
        }));
    }
    Ok(stanzas)
}

/// Contacts whom a list of these addresses names, and for whom `is_so`.
async fn seeing(
    server: &Server,
    user: &Jid,
    jids: &[Jid],
    is_so: impl Fn(&xmpp_core::payload::roster::Subscription) -> bool,
) -> Result<Vec<Jid>, StanzaError> {
    let list: BlockList = jids.iter().cloned().collect();
    let contacts = server.rosters.all(user.as_str()).await.map_err(|error| store_failed(&error))?;
    let concerned = contacts
        .into_iter()
        .filter(|(jid, contact)| list.names(jid) && !is_exempt(user, jid) && is_so(&contact.subscription()));
    Ok(concerned.map(|(jid, _)| jid).collect())
}
