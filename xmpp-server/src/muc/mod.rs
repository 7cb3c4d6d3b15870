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
mod call;
mod config;
mod describe;
mod directory;
mod history;
mod join;
mod moderate;
mod owner;
mod register;
mod room;
mod speak;
mod state;
mod task;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::RoomAddress;
use shared_store::{Record, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use xmpp_core::payload::disco;
use xmpp_core::{Element, ErrorKind, Kind, Stanza, ns};

pub(crate) use call::follow_conferences;
pub use directory::{CreateError, RoomOptions};

use tracing::Instrument;

use crate::Config;
use crate::labels::RoomSpan;
use crate::route::refuse;
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
    /// When the store was last searched for rooms that another process made, milliseconds since 1970.
    looked: AtomicI64,
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
            looked: AtomicI64::new(0),
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
        kept.restore(&mut room);
        history::load(&self.store, &mut room).await?;
        Ok(Some(self.start(room)))
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
    }

    /// Takes a stanza for the rooms' domain.
    pub(crate) async fn deliver(&self, server: &Server, stanza: Stanza) {
        let Some(to) = stanza.to.clone() else { return };
        let Some(local) = to.local() else { return self.deliver_to_service(server, &stanza).await };
        let mut command = Command::Stanza(stanza);
        for _ in 0..3 {
            let found = match self.find(local).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "rooms cannot be read");
                    if let Command::Stanza(stanza) = &command {
                        refuse(server, stanza, &ErrorKind::InternalServerError.into());
                    }
                    return;
                }
            };
            let task = match (found, &command) {
                (Some(task), _) => task,
                (None, Command::Stanza(stanza))
                    if stanza.kind == Kind::Presence && stanza.type_.is_none() =>
                {
                    if self.tasks.len() >= self.most {
                        return refuse(server, stanza, &ErrorKind::ResourceConstraint.into());
                    }
                    match self.address(local).filter(|_| !to.is_bare()) {
                        Some(address) => self.start(Room::new(address, self.history, self.has_alias)),
                        None => return refuse(server, stanza, &ErrorKind::JidMalformed.into()),
                    }
                }
                (None, Command::Stanza(stanza)) => {
                    if stanza.kind != Kind::Presence {
                        refuse(server, stanza, &ErrorKind::ItemNotFound.into());
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
    }

    /// §6.1 to §6.3: what the service is, and which rooms it shows.
    async fn deliver_to_service(&self, server: &Server, stanza: &Stanza) {
        if stanza.kind != Kind::Iq || matches!(stanza.type_.as_deref(), Some("result" | "error")) {
            return;
        }
        let payload = stanza.children().into_iter().next().unwrap_or_default();
        let answer = match (payload.name.as_str(), payload.ns.as_str()) {
            _ if stanza.is_type("set") => None,
            ("query", ns::DISCO_INFO) => Some(describe::service()),
            ("query", ns::DISCO_ITEMS) => Some(self.listed().await),
            ("unique", ns::MUC_UNIQUE) => {
                // XEP-0307 §2: nobody guesses it, and nobody has it.
                Some(Element::new("unique", ns::MUC_UNIQUE).text_node(server.new_id()))
            }
            ("ping", ns::PING) => {
                reply(server, &stanza.result(None));
                return;
            }
            _ => None,
        };
        match answer {
            Some(answer) => reply(server, &stanza.result(Some(&answer))),
            None => refuse(server, stanza, &ErrorKind::ServiceUnavailable.into()),
        }
    }

    async fn listed(&self) -> Element {
        let now = shared_runtime::unix_millis();
        if now - self.looked.swap(now, Ordering::Relaxed) > LOOK_AGAIN_MILLIS
            && let Err(error) = self.load().await
        {
            tracing::error!(%error, "rooms cannot be read");
        }
        let tasks: Vec<_> = self.tasks.iter().map(|entry| entry.value().clone()).collect();
        let mut listed = Vec::new();
        for task in tasks.into_iter().take(MOST_LISTED) {
            let (answer, asked) = oneshot::channel();
            if task.send(Command::Snapshot(answer)).await.is_ok()
                && let Ok(snapshot) = asked.await
                && !snapshot.access.hidden
            {
                let name =
                    if snapshot.name.is_empty() { snapshot.room.local().to_owned() } else { snapshot.name };
                listed.push((snapshot.room.as_str().to_owned(), name));
            }
        }
        listed.sort();
        disco::items(None, listed)
    }
}

pub(crate) fn reply(server: &Server, stanza: &Stanza) {
    if let Some(to) = &stanza.to {
        server.router.send(to, stanza);
    }
}

/// Commands that wait for one room.
const CHANNEL: usize = 256;
/// How long a room that was not in the store is not looked for again.
const ABSENCE: Duration = Duration::from_secs(1);
/// How often a list of rooms searches the store for new ones.
const LOOK_AGAIN_MILLIS: i64 = 5000;
/// Rooms that are known to be absent.
const MOST_ABSENT: usize = 10_000;
/// Rooms in one answer to `disco#items`.
const MOST_LISTED: usize = 500;
