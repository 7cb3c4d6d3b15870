//! Rooms — XEP-0045 1.35.5: one task a room, one aspect of rooms a file.
//!
//! ```text
//! stanza for room@conference.x ─▶ Rooms ─ bounded channel ─▶ the room's task ─▶ Room (no I/O) ─▶ Effects
//!                                                                 saved, archived, then sent and told
//! ```
//!
//! In    stanzas for the rooms' domain; facts of the rooms' calls.
//! Out   stanzas, and facts ([`shared_model::RoomEvent`]); snapshots for [`RoomDirectory`].
//! State a sharded map of channels. A room's configuration, affiliations and subject are records, its history an archive.
//! Errors a full channel slows the sender; a room that is not there is `item-not-found`.

mod admin;
mod archive;
mod avatar;
mod call;
mod call_command;
mod call_moderation;
mod call_out;
mod coin;
mod config;
mod describe;
mod directory;
mod hats;
mod history;
mod invite;
mod join;
mod keeping;
mod lists;
mod moderate;
mod outside;
mod owner;
mod pace;
mod presence;
mod private;
mod register;
mod retract;
mod roles;
mod room;
mod search;
mod service;
mod speak;
mod state;
mod task;
mod tombstone;
mod voice;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::RoomAddress;
use shared_store::{Expected, Record, RecordChange, Store, StoreError};
use tokio::sync::{mpsc, watch};
use xmpp_core::{ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

pub(crate) use call::follow_conferences;
pub(crate) use call_command::SPEC as CALL_INVITES;
pub(crate) use coin::SPEC as COIN;
pub use directory::{CreateError, RoomOptions};
pub(crate) use history::KIND as ARCHIVED;
pub(crate) use pace::SPECS as PACE;
pub(crate) use search::SPEC as SEARCH;

use tracing::Instrument;

use crate::Config;
use crate::abusers;
use crate::features::not_now;
use crate::labels::RoomSpan;
use crate::route::{pass, refuse};
use crate::server::Server;
use room::Room;
use task::Command;

/// Every room of this server.
pub struct Rooms {
    server: Weak<Server>,
    domain: String,
    store: Store,
    most: usize,
    history: usize,
    has_alias: bool,
    tasks: DashMap<String, mpsc::Sender<Command>>,
    /// Rooms that were looked for in the store and not found, and when.
    absent: DashMap<String, Instant>,
    /// What lists of rooms show.
    listed: service::Listed,
    /// Who may make rooms.
    creators: Creators,
    /// How many tasks of rooms run.
    open: watch::Sender<usize>,
}

impl Rooms {
    pub(crate) fn new(server: Weak<Server>, domain: &str, store: &Store, config: &Config) -> Self {
        Self {
            server,
            domain: domain.to_owned(),
            store: store.clone(),
            most: config.rooms,
            history: config.room_history,
            has_alias: config.roominfo_alias,
            tasks: DashMap::new(),
            absent: DashMap::new(),
            listed: service::Listed::default(),
            creators: config.room_creators,
            open: watch::Sender::new(0),
        }
    }

    /// Starts every room that is kept and has no task yet.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let page =
                self.store.records.list(&self.domain, state::COLLECTION, after.as_deref(), 500).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for record in page {
                if self.task(&record.key).is_none() {
                    self.restore(&record).await?;
                }
            }
        }
    }

    /// Starts a room that is kept.
    async fn restore(&self, record: &Record) -> Result<Option<mpsc::Sender<Command>>, StoreError> {
        let (Some(address), Some(kept)) = (self.address(&record.key), state::Kept::parse(&record.value))
        else {
            tracing::error!(room = %record.key, "a kept room cannot be read");
            return Ok(None);
        };
        let mut room = Room::new(address, self.history, self.has_alias);
        let is_indexed = kept.is_indexed();
        kept.restore(&mut room);
        if is_indexed {
            room.indexed = room.named();
        } else {
            self.index(&mut room, record.version).await?;
        }
        if room.config.is_archived() {
            history::load(&self.store, &mut room).await?;
        }
        Ok(Some(self.start(room)))
    }

    /// Puts a room into the index that was kept before there was one.
    async fn index(&self, room: &mut Room, version: u64) -> Result<(), StoreError> {
        let (named, local) = (room.named(), room.address.local());
        let mut changes = room.index_changes(&named);
        let kept = RecordChange::put(state::COLLECTION, local, &state::Kept::of(room).to_bytes());
        changes.push(kept.expecting(Expected::Version(version)));
        match self.store.records.commit(&self.domain, &changes).await {
            Ok(_) => room.indexed = named,
            // Another process did it; what it does not know, the next change of the room makes good.
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The task of a room; one that another process made meanwhile is started.
    async fn find(&self, local: &str) -> Result<Option<mpsc::Sender<Command>>, StoreError> {
        if let Some(task) = self.task(local) {
            return Ok(Some(task));
        }
        if self.absent.get(local).is_some_and(|since| since.elapsed() < ABSENCE) {
            return Ok(None);
        }
        match self.store.records.get(&self.domain, state::COLLECTION, local).await? {
            Some(record) => self.restore(&record).await,
            None => {
                if self.absent.len() >= MOST_ABSENT {
                    self.absent.clear();
                }
                self.absent.insert(local.to_owned(), Instant::now());
                Ok(None)
            }
        }
    }

    fn address(&self, local: &str) -> Option<RoomAddress> {
        RoomAddress::new(local, &self.domain).ok()
    }

    /// Starts a room's task, or answers the one that somebody else started meanwhile.
    fn start(&self, room: Room) -> mpsc::Sender<Command> {
        let (sender, inbox) = mpsc::channel(CHANNEL);
        let mut task = self.tasks.entry(room.address.local().to_owned()).or_insert_with(|| sender.clone());
        if !task.same_channel(&sender) && !task.is_closed() {
            return task.clone();
        }
        task.clone_from(&sender);
        drop(task);
        if let Some(server) = self.server.upgrade() {
            server.metrics.rooms.inc();
            self.open.send_modify(|open| *open += 1);
            let span = RoomSpan { room: &room.address }.open();
            server.shutdown.spawn(task::run(Arc::clone(&server), room, inbox).instrument(span));
        }
        sender
    }

    fn task(&self, local: &str) -> Option<mpsc::Sender<Command>> {
        self.tasks.get(local).map(|task| task.clone())
    }

    /// Forgets a room whose task ends; its successor stays.
    pub(crate) fn forget(&self, local: &str) {
        self.tasks.remove_if(local, |_, task| task.is_closed());
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }

    /// Ends when no room has anything to say any more, at most after a moment.
    pub(crate) async fn closed(&self) {
        let mut open = self.open.subscribe();
        // A room that hangs must not hold the others.
        let _ = tokio::time::timeout(LAST_WORDS, open.wait_for(|open| *open == 0)).await;
    }

    /// Whether somebody may make a room here (§10.1.1).
    async fn may_create(&self, server: &Server, local: &str, from: &Jid) -> Result<(), StanzaError> {
        let store_failed = |error: StoreError| crate::features::store_failed(&error);
        let may = match self.creators {
            _ if server.is_of_guests(from.domain()) => false,
            Creators::Everybody => true,
            Creators::Local => server.is_home(from.domain()),
            Creators::Admins => {
                server.account(from).await.map_err(store_failed)?.is_some_and(|account| account.admin)
            }
        };
        if let Some(tombstone) = self.tombstone(local).await.map_err(store_failed)? {
            if !may || !tombstone.yields_to(from) {
                return Err(tombstone.error());
            }
            self.forget_tombstone(local).await.map_err(store_failed)?;
        }
        if !may {
            return Err(ErrorKind::NotAllowed.into());
        }
        if self.tasks.len() >= self.most {
            return Err(ErrorKind::ResourceConstraint.into());
        }
        Ok(())
    }

    /// What is said of a room that is not there.
    async fn absence(&self, local: &str) -> StanzaError {
        match self.tombstone(local).await {
            Ok(Some(tombstone)) => tombstone.error(),
            Ok(None) => ErrorKind::ItemNotFound.into(),
            Err(error) => crate::features::store_failed(&error),
        }
    }

    /// §10.1: the room that somebody enters first; `None` if they only said that they are there (§7.2.18).
    async fn make(
        &self,
        server: &Server,
        local: &str,
        stanza: &Stanza,
    ) -> Result<Option<mpsc::Sender<Command>>, StanzaError> {
        let (Some(from), Some(to)) = (&stanza.from, &stanza.to) else { return Ok(None) };
        let address = self.address(local).filter(|_| !to.is_bare()).ok_or(ErrorKind::JidMalformed)?;
        if stanza.find("x", ns::MUC).is_none() {
            if let Some(gone) = join::not_inside(stanza) {
                pass(server, gone);
            }
            return Ok(None);
        }
        self.may_create(server, local, from).await?;
        Ok(Some(self.start(Room::new(address, self.history, self.has_alias))))
    }

    /// Takes a stanza for the rooms' domain.
    pub(crate) async fn deliver(&self, server: &Server, stanza: Stanza) {
        let Some(to) = stanza.to.clone() else { return };
        let Some(local) = to.local() else { return self.deliver_to_service(server, &stanza).await };
        if abusers::refuses_in_rooms(server, &stanza) {
            return refuse(server, &stanza, &abusers::refusal());
        }
        if coin::is_meant(&stanza) {
            return self.tell_call(server, &stanza, local).await;
        }
        let mut command = Command::Stanza(stanza);
        for _ in 0..3 {
            let found = match self.find(local).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "rooms cannot be read");
                    if let Command::Stanza(stanza) = &command {
                        refuse(server, stanza, &not_now());
                    }
                    return;
                }
            };
            let task = match (found, &command) {
                (Some(task), _) => task,
                (None, Command::Stanza(stanza))
                    if stanza.kind == Kind::Presence && stanza.type_.is_none() =>
                {
                    match self.make(server, local, stanza).await {
                        Ok(Some(task)) => task,
                        Ok(None) => return,
                        Err(error) => return refuse(server, stanza, &error),
                    }
                }
                (None, Command::Stanza(stanza)) => {
                    if stanza.kind != Kind::Presence {
                        refuse(server, stanza, &self.absence(local).await);
                    }
                    return;
                }
                (None, _) => return,
            };
            match task.send(command).await {
                Ok(()) => return,
                // The room ended between the look and the send: look again.
                Err(mpsc::error::SendError(back)) => command = back,
            }
            self.tasks.remove_if(local, |_, task| task.is_closed());
        }
        if let Command::Stanza(stanza) = &command {
            refuse(server, stanza, &not_now());
        }
    }
}

/// Who may make rooms by entering them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creators {
    /// Whoever reaches the service, from other servers as well.
    Everybody,
    /// Accounts of this service.
    Local,
    /// Accounts that administer it.
    Admins,
}

/// What those inside are told of what the service does.
const REASON: &str = "by a moderator or an administrator of the service";
/// Commands that wait for one room.
const CHANNEL: usize = 256;
/// How long a room that was not in the store is not looked for again.
const ABSENCE: Duration = Duration::from_secs(1);
/// Rooms that are known to be absent.
const MOST_ABSENT: usize = 10_000;
/// How long rooms may take for their last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
