//! What goes to a client: many stanzas a write, counted where the stream is managed — XEP-0198 §4.
//!
//! In    the outbox. Out bytes, and `<r/>` behind a batch when no earlier question is open.
//! State what was taken from the outbox and is not written, and what was written and is not acked.
//! Errors a socket that takes nothing for `xmpp.ack_timeout` is lost, and so is a client that does not answer ([`pulse`]); more
//!        unacked stanzas than `xmpp.unacked` end the session with `resource-constraint`. What nobody got is handed on by
//!        [`Outlet::give_up`].
//!
//! [`pulse`]: super::pulse

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncWrite, WriteHalf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use xmpp_core::stream::management::{ASK, Unacked};
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::client::given;
use super::pulse::{Heard, Look, Pulse};
use super::{Door, undelivered};
use crate::Config;
use crate::c2s::{Io, WRITE_PATIENCE};
use crate::offline::{self, Came, Stage};
use crate::queue::Receiver;
use crate::router::{Outgoing, What};
use crate::server::Server;
use crate::{push, route};

/// The way out of a session, whatever connection it has.
pub(super) struct Outlet {
    inbox: Receiver<Outgoing>,
    batch: Vec<Outgoing>,
    unacked: Arc<Mutex<Unacked<Outgoing>>>,
    is_managed: bool,
    /// What waits until somebody looks (XEP-0352), the oldest first.
    deferred: Vec<Outgoing>,
    /// To be written before anything else: `<resumed/>`, and what is sent again.
    prologue: Vec<u8>,
    door: Arc<Door>,
    /// How many of those that are not acked were looked at since the connection was lost, and put on disk if they must be.
    looked_at: usize,
    /// The last write ended inside an element.
    is_cut: bool,
    /// Stanzas and bytes that may be unacked.
    most: (usize, usize),
    /// Bytes that were written since those that are unacked were weighed.
    unweighed: usize,
    pulse: Pulse,
}

/// Why nothing is written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The socket is gone, or takes nothing.
    Lost,
    /// The client does not answer.
    Silent,
}

/// When to write no longer, and whom to tell that it cannot be done.
pub(super) struct Until {
    pub(super) stopped: oneshot::Receiver<()>,
    pub(super) door: Arc<Door>,
}

impl Outlet {
    pub(super) fn new(inbox: Receiver<Outgoing>, door: Arc<Door>, config: &Config) -> Self {
        let unacked = Arc::default();
        let heard = Heard::new(Instant::now());
        let pulse = Pulse::new(heard, config.ack_timeout, config.idle_timeout);
        Self {
            inbox,
            batch: Vec::new(),
            deferred: Vec::new(),
            unacked,
            is_managed: false,
            prologue: Vec::new(),
            door,
            looked_at: 0,
            is_cut: false,
            most: (config.unacked, config.waiting_bytes),
            unweighed: 0,
            pulse,
        }
    }

    /// Where it is noted that the client said something.
    pub(super) fn heard(&self) -> Arc<Heard> {
        self.pulse.heard()
    }

    /// Whether the connection ends inside an element, behind which no last words make sense.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn unacked(&self) -> Arc<Mutex<Unacked<Outgoing>>> {
        Arc::clone(&self.unacked)
    }

    /// Empties the outbox into the socket until there is nothing more to come, or it is stopped. When the socket is lost,
    /// that is told, and what comes is only taken in, so that nobody waits for room in the outbox.
    pub(super) async fn write(
        mut self,
        server: Arc<Server>,
        mut io: WriteHalf<Box<dyn Io>>,
        jid: Jid,
        until: Until,
    ) -> (Self, WriteHalf<Box<dyn Io>>) {
        let Until { mut stopped, door } = until;
        let mut buffer = std::mem::take(&mut self.prologue);
        self.pulse.begin(Instant::now());
        self.is_cut = false;
        // One alarm for all: it is set anew when it rings, and sooner only for a question that is due before.
        let mut alarm = std::pin::pin!(sleep_until(Instant::now()));
        let broken = loop {
            let (mut is_silent, mut behind) = (false, None);
            if buffer.is_empty() {
                let count = tokio::select! {
                    count = self.inbox.recv_many(&mut self.batch, LARGEST_BATCH) => count,
                    _ = &mut stopped => return (self, io),
                    () = alarm.as_mut() => match self.look() {
                        Look::Wait(until) => {
                            alarm.as_mut().reset(until);
                            continue;
                        }
                        Look::Gone => break Broken::Silent,
                        Look::Ask => {
                            is_silent = true;
                            1
                        }
                    },
                };
                if count == 0 {
                    return (self, io);
                }
                let end = self.batch.iter().position(|outgoing| matches!(outgoing.what, What::End));
                behind = end.map(|end| self.batch.split_off(end + 1));
                self.defer();
                buffer.reserve_exact(
                    self.batch.iter().map(|outgoing| outgoing.bytes.len()).sum::<usize>() + ASK.len(),
                );
                for outgoing in &self.batch {
                    buffer.extend_from_slice(&outgoing.bytes);
                }
                self.count();
            }
            self.pulse.wrote(buffer.len());
            // Behind the end of a stream comes nothing (RFC 6120 §4.4).
            let due = match behind {
                None => self.ask(&server, &jid, is_silent, &mut buffer),
                Some(_) => None,
            };
            if let Some(due) = due.filter(|due| *due < alarm.deadline()) {
                alarm.as_mut().reset(due);
            }
            if buffer.is_empty() {
                continue; // all of it can wait
            }
            let patience = server.config.ack_timeout;
            let patience = if patience.is_zero() { WRITE_PATIENCE } else { patience };
            self.is_cut = true; // until all of it is written
            let sent = tokio::select! {
                sent = write_all(&mut io, &buffer, patience) => sent,
                _ = &mut stopped => {
                    self.batch.extend(behind.into_iter().flatten());
                    return (self, io);
                }
            };
            if !sent {
                // What stands behind the last words goes elsewhere all the same.
                self.batch.extend(behind.into_iter().flatten());
                break Broken::Lost;
            }
            self.is_cut = false;
            self.written(&server, &jid).await;
            if let Some(behind) = behind {
                self.batch = behind;
                return (self, io);
            }
            buffer = Vec::new(); // the next may be long in coming
        };
        door.breaks(broken);
        loop {
            tokio::select! {
                // Above the bound the session is ending, and who waits for room is not to wait for that.
                is_room = self.absorb() => {
                    if !is_room && self.inbox.is_closed() {
                        break;
                    }
                }
                _ = &mut stopped => break,
            }
        }
        (self, io)
    }

    fn look(&self) -> Look {
        let is_asked = || self.unacked.lock().unwrap_or_else(PoisonError::into_inner).is_asked();
        self.pulse.look(Instant::now(), self.is_managed.then(is_asked))
    }

    /// Puts a question behind what is to be written, if one is to be asked; when the answer is due.
    fn ask(&mut self, server: &Server, jid: &Jid, is_silent: bool, buffer: &mut Vec<u8>) -> Option<Instant> {
        if self.is_managed {
            let mut unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
            if !(if is_silent { unacked.ask_anyway() } else { unacked.ask() }) {
                return None;
            }
            buffer.extend_from_slice(ASK.as_bytes());
        } else if is_silent {
            let ping = Stanza::new(Kind::Iq, Some("get")).with_id(Some(&server.new_id()));
            let ping = ping.with(&Element::new("ping", ns::PING));
            let domain = server.voice_to(jid);
            buffer.extend_from_slice(&ping.addressed(domain.as_ref(), Some(jid)).to_bytes());
        } else {
            return None;
        }
        let now = Instant::now();
        self.pulse.asks(now);
        Some(self.pulse.due(now))
    }

    /// What is left of the batch reached the socket, and nobody counts it.
    async fn written(&mut self, server: &Arc<Server>, user: &Jid) {
        let mut waited: Vec<String> = self.batch.drain(..).filter_map(|it| it.what.had()).collect();
        waited.extend(server.offline.spare(user.bare_str()));
        if !waited.is_empty() {
            Box::pin(given(server, user, &waited)).await;
        }
    }

    /// Takes what can wait out of the batch, and puts what waited before what cannot.
    fn defer(&mut self) {
        let is_deferrable = |outgoing: &Outgoing| matches!(outgoing.what, What::Deferrable(_));
        if self.deferred.is_empty() && !self.batch.iter().any(is_deferrable) {
            return;
        }
        for outgoing in std::mem::take(&mut self.batch) {
            if let What::Deferrable(name) = &outgoing.what {
                self.deferred.retain(|old| !matches!(&old.what, What::Deferrable(known) if known == name));
                self.deferred.push(outgoing);
                if self.deferred.len() < MOST_DEFERRED {
                    continue;
                }
                self.batch.append(&mut self.deferred);
            } else {
                if !matches!(outgoing.what, What::Nudge) {
                    self.batch.append(&mut self.deferred);
                }
                self.batch.push(outgoing);
            }
        }
    }

    /// Moves what is counted from the batch to what waits for an ack.
    fn count(&mut self) {
        if !self.is_managed {
            let Some(at) = self.batch.iter().position(|outgoing| matches!(outgoing.what, What::Enabled))
            else {
                return;
            };
            self.is_managed = true;
            let counted = self.batch.split_off(at);
            return self.wait_for_ack(counted);
        }
        let counted = std::mem::take(&mut self.batch);
        self.wait_for_ack(counted);
    }

    fn wait_for_ack(&mut self, counted: Vec<Outgoing>) {
        let mut unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        for outgoing in counted {
            if !matches!(outgoing.what, What::Words | What::Enabled | What::End | What::Wake | What::Nudge) {
                self.unweighed += outgoing.bytes.len();
                unacked.push(outgoing);
            }
        }
        let is_heavy = is_heavy(&unacked, &mut self.unweighed, self.most.1);
        if is_heavy || unacked.len() > self.most.0 {
            let why =
                StreamError::because(StreamCondition::ResourceConstraint, "too many unacknowledged stanzas");
            self.door.end_unless_ended(why);
        }
    }

    /// Without a connection: the next stanza waits. False when no more may wait.
    pub(super) async fn absorb(&mut self) -> bool {
        if self.inbox.recv_many(&mut self.batch, LARGEST_BATCH).await == 0 {
            return false;
        }
        self.defer();
        self.count();
        // Of what nobody counts, that is kept which goes elsewhere.
        let goes = |what: &What| matches!(what, What::Kept(_) | What::Shared(_) | What::Copied(_));
        self.batch.retain(|it| goes(&it.what) || matches!(it.what, What::Waited(_) | What::Stored(..)));
        let unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        unacked.len() <= self.most.0 && !is_heavy(&unacked, &mut self.unweighed, self.most.1)
    }

    /// The connection is lost: wakes the client for what waits for it.
    pub(super) fn wake(&mut self, server: &Server, jid: &Jid) {
        self.looked_at = 0;
        while let Some(outgoing) = self.inbox.try_recv() {
            self.batch.push(outgoing);
        }
        self.defer();
        self.count();
        let unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<&Stanza> = unacked.waiting().filter_map(message_of).collect();
        push::notify_waiting(server, jid, all.into_iter());
    }

    /// Without a connection, what came since the last look and no archive has is put on disk in one commit, until the client has
    /// it. What there is no room for stays in memory alone.
    pub(super) async fn store(&mut self, server: &Server, (jid, serial): (&Jid, u64)) {
        let owner = jid.bare_str();
        let mut found = Vec::new();
        let all;
        {
            let unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
            for (at, waiting) in unacked.waiting().enumerate().skip(self.looked_at) {
                let kept = match &waiting.what {
                    What::Kept(kept) => kept,
                    What::Shared(among) => among.kept(),
                    _ => continue,
                };
                if route::must_be_stored(&kept.stanza, owner) {
                    found.push((at, kept.clone()));
                }
            }
            all = unacked.len();
        }
        if found.is_empty() {
            self.looked_at = all;
            return;
        }
        let messages: Vec<(&Stanza, Came)> =
            found.iter().map(|(_, kept)| (&kept.stanza, kept.came)).collect();
        let ids = match server.offline.keep(owner, &messages, Some((serial, Stage::InOutbox))).await {
            Ok(ids) => ids,
            Err(error) => {
                // They are looked at again with the next one.
                return tracing::error!(%error, "messages for a client without connection could not be kept");
            }
        };
        self.looked_at = all;
        let mut unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = unacked.waiting_mut().enumerate();
        for ((at, kept), id) in found.into_iter().zip(ids) {
            if let Some((_, waiting)) = all.find(|(place, _)| *place == at) {
                let among = match &waiting.what {
                    What::Shared(among) => Some(Arc::clone(among)),
                    _ => None,
                };
                among.iter().for_each(|among| server.offline.share(owner, &id, among));
                waiting.what = What::Stored(Box::new(kept.stanza), id, among);
            }
        }
    }

    /// The session goes on over another connection: what waits is sent again, behind these words.
    pub(super) fn resume(&mut self, words: String) {
        self.prologue = words.into_bytes();
        // XEP-0352 §5.2: a resumed stream begins active.
        self.pulse.heard().rest(false);
        let deferred = std::mem::take(&mut self.deferred);
        self.wait_for_ack(deferred);
        let mut unacked = self.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        unacked.reconnected();
        for waiting in unacked.waiting() {
            self.prologue.extend_from_slice(&waiting.bytes);
        }
    }

    /// The session is over: what the client did not get goes elsewhere, and wakes it, if that was not done.
    pub(super) async fn give_up(mut self, server: &Server, (jid, serial): (&Jid, u64), is_woken: bool) {
        self.inbox.close();
        while let Some(outgoing) = self.inbox.recv().await {
            self.batch.push(outgoing);
        }
        let mut all = self.unacked.lock().unwrap_or_else(PoisonError::into_inner).take();
        all.append(&mut self.batch);
        if !is_woken {
            push::notify_waiting(server, jid, all.iter().filter_map(message_of));
        }
        let mut messages = Vec::new();
        for outgoing in all {
            match outgoing.what {
                What::Kept(kept) if kept.stanza.kind == Kind::Message => messages.push(*kept),
                What::Kept(kept) => undelivered(server, &kept.stanza).await,
                What::Shared(among) | What::Copied(among) => messages.extend(among.left()),
                _ => {}
            }
        }
        // Nobody looks in between, and misses some of what they came before.
        let turn = server.in_order.turn(vec![&offline::queue(jid.bare_str())]).await;
        if !messages.is_empty() {
            route::put_by(server, &jid.to_bare(), &messages).await;
        }
        let has_waited = server.offline.session_ended(jid.bare_str(), serial).await;
        drop(turn);
        if has_waited || !messages.is_empty() {
            route::give_to_willing(server, jid).await;
        }
    }
}

fn message_of(outgoing: &Outgoing) -> Option<&Stanza> {
    match &outgoing.what {
        What::Kept(kept) => Some(&kept.stanza),
        What::Shared(among) => Some(&among.kept().stanza),
        What::Stored(stanza, ..) => Some(&**stanza),
        _ => None,
    }
    .filter(|stanza| stanza.kind == Kind::Message)
}

/// Writes all of it; false when the socket is gone, or takes nothing for so long. A slow one takes a little again and again.
/// Most take all at once, and nobody looks at a clock for them.
async fn write_all(io: &mut WriteHalf<Box<dyn Io>>, bytes: &[u8], patience: Duration) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        match patient(patience, |context| Pin::new(&mut *io).poll_write(context, rest)).await {
            Some(Ok(0) | Err(_)) | None => return false,
            Some(Ok(length)) => rest = &rest[length..],
        }
    }
    matches!(patient(patience, |context| Pin::new(&mut *io).poll_flush(context)).await, Some(Ok(())))
}

/// What this gives in time. The clock is in a box, and only there when it does not give it at once.
async fn patient<T>(patience: Duration, mut give: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let first = poll_fn(|context| match give(context) {
        Poll::Ready(given) => Poll::Ready(Some(given)),
        Poll::Pending => Poll::Ready(None),
    });
    match first.await {
        Some(given) => Some(given),
        None => Box::pin(timeout(patience, poll_fn(give))).await.ok(),
    }
}

/// Whether more bytes are unacked than may be. They are weighed when a sixteenth of that has come since.
fn is_heavy(unacked: &Unacked<Outgoing>, unweighed: &mut usize, most: usize) -> bool {
    if *unweighed <= most / 16 {
        return false;
    }
    let all: usize = unacked.waiting().map(|waiting| waiting.bytes.len()).sum();
    if all <= most {
        *unweighed = 0;
    }
    all > most
}

/// Stanzas that wait until somebody looks.
const MOST_DEFERRED: usize = 500;
/// Stanzas in one write.
const LARGEST_BATCH: usize = 128;
