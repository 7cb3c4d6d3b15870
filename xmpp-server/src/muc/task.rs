//! The task that owns a room: commands in, effects made durable, then sent and told.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use shared_model::{
    Affiliated, Affiliation, Correlation, Deed, Fact, KeptRoom, ModerationError, Participant, RoomError,
    RoomSnapshot,
};
use shared_runtime::unix_millis;
use shared_store::{Entry, Expected, RecordChange, StoreError};
use tokio::sync::{mpsc, oneshot};
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError};

use super::invite::Invitation;
use super::moderate::buried;
use super::room::{Effects, Room};
use super::search::Listing;
use super::{avatar, history, state, tombstone};
use crate::abusers;
use crate::archive;
use crate::callers::{self, Shown};
use crate::features::not_now;
use crate::route;
use crate::router::Among;
use crate::server::Server;

/// What a room is told.
pub(crate) enum Command {
    /// A stanza for the room or one of its occupants.
    Stanza(Stanza),
    /// What is the room like?
    Snapshot(oneshot::Sender<RoomSnapshot>),
    /// What do lists show of it?
    Show(oneshot::Sender<Option<Listing>>),
    /// The room is kept and open from now on; the answer comes when that is durable, or is not.
    Keep(Kept),
    /// An account is gone: whatever it was here, who has its name next is not; the answer is the same.
    Forget(Jid, Kept),
    /// A leg of the room's call is there, or changed; `None` in its place means that it left.
    Call(String, Option<Participant>),
    /// The legs that there are, after facts were missed.
    Calls(Vec<(String, Participant)>),
    /// Whether the call is recorded.
    Recording(bool),
    /// An administrator of the service does something to an occupant.
    Moderate(String, Deed, oneshot::Sender<Result<(), ModerationError>>),
    /// Does its address or its name have this text, which is in lower case?
    HasText(String, oneshot::Sender<bool>),
    /// What is kept of it?
    Look(oneshot::Sender<KeptRoom>),
    /// The service says what somebody is from now on; first what they were is answered, then that it is durable.
    Affiliate(Affiliated, oneshot::Sender<Result<Affiliation, RoomError>>, Kept),
    /// Who is kept out of the service from now on goes.
    PutOut,
    /// The service ends it, and says why.
    End(String, Kept),
}

/// Who waits for the store.
pub(crate) type Kept = oneshot::Sender<Result<(), StoreError>>;

/// Serves a room until it is destroyed, or empty and not kept, or the process stops.
pub(crate) async fn run(server: Arc<Server>, mut room: Room, mut inbox: mpsc::Receiver<Command>) {
    if room.salt.is_empty() {
        room.salt = server.new_id();
    }
    // What is not in the store yet is tried again with whatever comes next.
    let mut is_unsaved = false;
    // Who asked for a room that the store did not take.
    let mut refused = None;
    loop {
        let command = tokio::select! {
            command = inbox.recv() => command,
            () = server.shutdown.begun() => {
                let mut effects = Effects { save: is_unsaved, ..Effects::default() };
                room.close(&mut effects);
                // It was logged, and the process ends.
                let _ = send(&server, &mut room, effects).await;
                break;
            }
        };
        let Some(command) = command else { break };
        let mut effects = Effects { save: is_unsaved, ..Effects::default() };
        let mut kept = Vec::new();
        let mut is_made = matches!(command, Command::Keep(_));
        hear(&server, &mut room, command, &mut effects, &mut kept).await;
        // What waits already shares the store's one commit.
        for _ in 1..BATCH {
            let Ok(command) = inbox.try_recv() else { break };
            is_made |= matches!(command, Command::Keep(_));
            hear(&server, &mut room, command, &mut effects, &mut kept).await;
            if room.is_destroyed {
                break;
            }
        }
        let is_to_save = effects.save;
        let durable = send(&server, &mut room, effects).await;
        is_unsaved = is_to_save && durable.is_err();
        if is_made && is_unsaved && room.occupants.is_empty() {
            refused = Some((kept, durable));
            break;
        }
        for answer in kept {
            let _ = answer.send(durable.clone()); // who asked may have gone
        }
        // One that nobody could enter and nobody owns is none either.
        let is_over = room.was_entered || room.affiliations.is_empty();
        if room.is_destroyed || (room.occupants.is_empty() && !room.config.persistent && is_over) {
            break;
        }
    }
    inbox.close();
    if room.has_card && !room.config.persistent {
        let (domain, local) = (room.address.domain(), room.address.local());
        if let Err(error) = server.store.records.delete(domain, avatar::COLLECTION, local).await {
            tracing::error!(%error, "the card of a room could not be forgotten");
        }
    }
    server.rooms.forget(room.address.local());
    server.metrics.rooms.dec();
    if let Some((kept, why)) = refused {
        for answer in kept {
            let _ = answer.send(why.clone()); // who asked may have gone
        }
    }
    // Commands that came while the room ended belong to its successor, if there is to be one.
    while let Some(command) = inbox.recv().await {
        if let Command::Stanza(stanza) = command
            && !server.shutdown.is_begun()
        {
            Box::pin(server.rooms.deliver(&server, stanza)).await;
        }
    }
}

/// Takes a command, with what it needs of the archive.
async fn hear(
    server: &Server,
    room: &mut Room,
    command: Command,
    effects: &mut Effects,
    kept: &mut Vec<Kept>,
) {
    if let Command::Stanza(stanza) = &command
        && let Some(id) = room.wants_recalled(stanza)
    {
        match server.store.archive.entry(room.address.as_str(), &id).await {
            Ok(entry) => {
                let entry = entry.filter(|entry| entry.kind == history::KIND);
                room.recalled = entry.and_then(|entry| Stanza::parse(std::str::from_utf8(&entry.body).ok()?));
            }
            Err(error) => {
                // Whether it may be retracted nobody can say now.
                tracing::error!(%error, "a message to be retracted cannot be read");
                let error = not_now().by(room.jid.as_str());
                return route::refuse(server, stanza, &error);
            }
        }
    }
    take(server, room, command, effects, kept);
    room.recalled = None;
}

fn take(server: &Server, room: &mut Room, command: Command, effects: &mut Effects, kept: &mut Vec<Kept>) {
    room.now = unix_millis();
    match command {
        Command::Stanza(stanza) => {
            if let Err(error) = room.handle(&stanza, unix_millis(), effects) {
                route::refuse(server, &stanza, &error.by(room.jid.as_str()));
            }
        }
        Command::Snapshot(answer) => {
            let _ = answer.send(room.snapshot()); // who asked may have gone
        }
        Command::Show(answer) => {
            let _ = answer.send(room.listing()); // who asked may have gone
        }
        Command::Keep(answer) => {
            effects.save = true;
            kept.push(answer);
        }
        Command::Forget(jid, answer) => {
            room.forget_account(&jid, effects);
            kept.push(answer);
        }
        Command::Call(call_id, participant) => room.call_changed(call_id, participant, effects),
        Command::Calls(legs) => room.calls_known(legs, effects),
        Command::Recording(is_recorded) => room.recording_changed(is_recorded, effects),
        Command::Moderate(nick, deed, answer) => {
            let _ = answer.send(room.take_deed(&nick, deed, effects)); // who asked may have gone
        }
        Command::HasText(text, answer) => {
            let _ = answer.send(room.has_text(&text)); // who asked may have gone
        }
        Command::Look(answer) => {
            let _ = answer.send(room.kept()); // who asked may have gone
        }
        Command::Affiliate(whom, answer, durable) => {
            let _ = answer.send(room.affiliate(&whom, effects)); // who asked may have gone
            kept.push(durable);
        }
        Command::PutOut => room.put_out(|jid| abusers::is_name_kept_out(server, jid), effects),
        Command::End(reason, answer) => {
            room.end(&reason, unix_millis(), effects);
            kept.push(answer);
        }
    }
}

/// First durable, then said. What could not be made durable is not said, and those who asked for it learn why.
async fn send(server: &Arc<Server>, room: &mut Room, mut effects: Effects) -> Result<(), StoreError> {
    let durable = match keep_private(server, room, &mut effects).await {
        Ok(private) => {
            if !room.config.is_archived() {
                effects.archive.clear();
            }
            effects.archive.extend(private);
            persist(server, room, &effects).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &durable {
        tracing::error!(%error, "a room could not be kept");
        for asked in &effects.causes {
            route::refuse(server, asked, &not_now());
        }
        // Who is inside is true all the same.
        effects.stanzas.retain(|stanza| stanza.kind == Kind::Presence);
        effects.private.clear();
    }
    let shared = among(server, &effects);
    for (at, stanza) in effects.stanzas.into_iter().enumerate() {
        let Some(to) = &stanza.to else { continue };
        let among = shared.iter().find(|(copies, _)| copies.contains(&at)).map(|(_, among)| among);
        if to.is_bare() && server.is_home(to.domain()) {
            // An invitation, or a question about an account: by the rules of the bare JID. Not in this task, which
            // would wait for itself if the answer came back while its channel is full.
            let server = Arc::clone(server);
            tokio::spawn(async move { route::route(&server, stanza).await });
        } else if let Some(error) = refused(server, room, to, &stanza).await {
            route::give_back(server, &stanza, &error); // to who called, by way of the room
            among.into_iter().for_each(|among| among.had()); // nobody is to get it
        } else {
            route::pass_among(server, stanza, among);
        }
    }
    for (_, among) in shared {
        let server = Arc::clone(server);
        // Not in this task: who has the account's turn may be waiting for it.
        tokio::spawn(async move {
            let to = among.kept().stanza.to.clone();
            if let Some(to) = to {
                route::given_among(&server, &to, Some(among)).await;
            }
        });
    }
    for invitation in effects.invitations {
        let server = Arc::clone(server);
        tokio::spawn(async move { invite(&server, invitation).await });
    }
    for call in effects.calls {
        let (server, address, jid) = (Arc::clone(server), room.address.clone(), room.jid.clone());
        // Not in this task: the focus asks the room whether it may.
        tokio::spawn(async move { super::call_out::call(&server, &address, &jid, &call).await });
    }
    for errand in effects.errands {
        let (server, address, jid) = (Arc::clone(server), room.address.clone(), room.jid.clone());
        tokio::spawn(async move { super::call_moderation::run(&server, &address, &jid, &errand).await });
    }
    for (iq, question, sees_jids) in effects.questions {
        let (server, owner) = (Arc::clone(server), room.jid.clone());
        // Not in this task: pages are long, and the room goes on.
        tokio::spawn(async move { super::archive::answer(&server, &owner, &iq, question, sees_jids).await });
    }
    let correlation = Correlation::of_room(&room.address);
    for fact in effects.facts {
        server.bus.publish(Fact::new(correlation, fact));
    }
    durable
}

/// What occupants say to one another alone, as the archives of those who hear it are to have it (XEP-0313 §6.1.1); it has its id from
/// then on. Nobody's turn is waited for: who has one may be waiting for this task.
async fn keep_private(server: &Server, room: &Room, effects: &mut Effects) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for copies in effects.private.clone() {
        let Some(first) = effects.stanzas.get(copies.start) else { continue };
        let Some(to) = first.to.as_ref().filter(|to| server.is_home(to.domain())) else { continue };
        if refused(server, room, to, first).await.is_some() {
            continue;
        }
        let Some(entry) = archive::received(server, first, to).await? else { continue };
        for copy in effects.stanzas.get_mut(copies).into_iter().flatten() {
            if let Some(to) = copy.to.clone() {
                *copy = archive::with_id(copy.clone(), Some(&entry.id), &to);
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Of which private messages several clients of one of ours get a copy each, and which copies these are: what one of them has is not
/// given to it again when another is lost.
fn among(server: &Server, effects: &Effects) -> Vec<(Range<usize>, Arc<Among>)> {
    let shared = effects.private.iter().filter(|copies| copies.len() > 1).filter_map(|copies| {
        let first = effects.stanzas.get(copies.start)?;
        let to = first.to.as_ref().filter(|to| server.is_home(to.domain()))?;
        Some((copies.clone(), Among::of(&server.router, to.bare_str(), first)?))
    });
    shared.collect()
}

/// Why an occupant's private stanza, or call, does not reach another one of ours.
async fn refused(server: &Server, room: &Room, to: &Jid, stanza: &Stanza) -> Option<StanzaError> {
    if !server.is_home(to.domain()) {
        return None;
    }
    let is_asked = match stanza.kind {
        Kind::Message => !matches!(stanza.type_.as_deref(), Some("groupchat" | "error")),
        Kind::Iq => matches!(stanza.type_.as_deref(), Some("get" | "set")),
        Kind::Presence => false,
    };
    let blocks = |from: &Jid| server.router.blocked(to.bare_str()).is_some_and(|list| list.names(from));
    if is_asked && stanza.from.as_ref().is_some_and(|from| !from.is_bare() && blocks(from)) {
        return Some(ErrorKind::ServiceUnavailable.into()); // XEP-0191 §3.3
    }
    if !callers::begins_call(stanza) {
        return None;
    }
    let from = room.clients(stanza.from.as_ref()?.resource()?).into_iter().next()?;
    let sees = room.occupant(&from).is_some_and(|caller| room.sees_jids(caller));
    let shown = if sees { Shown::Address } else { Shown::Nick };
    callers::refuses_in_room(server, to, &from, shown).await
}

/// §7.8.2: who invites somebody that is not there learns it.
async fn invite(server: &Server, Invitation { message, cause }: Invitation) {
    let Some(to) = &message.to else { return };
    let is_nobody = server.is_home(to.domain()) && matches!(server.account(to).await, Ok(None));
    if !is_nobody {
        route::route(server, message).await;
    } else if let Some(cause) = cause {
        route::refuse(server, &cause, &ErrorKind::ItemNotFound.into());
    }
}

async fn persist(server: &Server, room: &mut Room, effects: &Effects) -> Result<(), StoreError> {
    let (records, archive) = (&server.store.records, &server.store.archive);
    if room.is_destroyed {
        let (domain, local) = (room.address.domain(), room.address.local());
        let mut changes = vec![
            RecordChange::delete(state::COLLECTION, local),
            RecordChange::delete(avatar::COLLECTION, local),
        ];
        changes.extend(room.index_changes(&BTreeSet::new()));
        if let Some(tombstone) = &effects.tombstone {
            changes.push(RecordChange::put(tombstone::COLLECTION, local, &tombstone.to_bytes()));
        }
        // Its messages go first: a room that is half forgotten is still there, and its owner's to destroy.
        archive.remove_owner(room.address.as_str()).await?;
        records.commit(domain, &changes).await?;
        return Ok(());
    }
    if effects.forget && !room.config.persistent {
        // Or whoever makes a room of this name next would read it.
        archive.remove_owner(room.address.as_str()).await?;
    }
    if effects.save {
        let (domain, local) = (room.address.domain(), room.address.local());
        let named = if room.config.persistent { room.named() } else { BTreeSet::new() };
        let mut changes = room.index_changes(&named);
        changes.push(match room.config.persistent {
            true => RecordChange::put(state::COLLECTION, local, &state::Kept::of(room).to_bytes()),
            false => RecordChange::delete(state::COLLECTION, local),
        });
        records.commit(domain, &changes).await?;
        room.indexed = named;
    }
    if let Some(card) = &effects.card {
        let (domain, local) = (room.address.domain(), room.address.local());
        match card {
            Some(card) => {
                let (collection, bytes) = (avatar::COLLECTION, card.as_bytes());
                records.put(domain, collection, local, bytes, Expected::Anything).await?;
            }
            None => {
                records.delete(domain, avatar::COLLECTION, local).await?;
            }
        }
    }
    if !effects.archive.is_empty() {
        archive.append(&effects.archive).await?;
    }
    for retraction in effects.retractions.iter().filter(|_| room.config.persistent) {
        let (owner, id) = (room.address.as_str(), &retraction.id);
        let Some(entry) = archive.entry(owner, id).await? else { continue };
        let message = std::str::from_utf8(&entry.body).ok().and_then(Stanza::parse);
        if let Some(message) = message {
            let tombstone = buried(message, &retraction.tombstone);
            archive.replace(owner, id, &tombstone.to_bytes()).await?;
        }
    }
    Ok(())
}

/// Commands that are taken before the room is stored once.
const BATCH: usize = 64;
