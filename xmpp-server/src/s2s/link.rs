//! From one domain of ours to one of another server: a queue, and the streams that empty it, one after the other — RFC 6120
//! §10.4 (remote domains).
//!
//! ```text
//! stanzas wait ─▶ dial ─┬─ open ─▶ served ─ closed, lost ─▶ anything waiting? dial again, or end
//!                  ▲    └─ fails ─ soon? ─▶ again in a moment
//!                  └────────────┘     └─ no ─▶ all go back to their senders, and for a while so do those that follow
//! ```
//!
//! State the queue, and what the last stream sent and nobody acked. Errors [`Failure`], told to every sender.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use xmpp_core::stream::server::{Pair, Purpose, Refusal};
use xmpp_core::{ErrorKind, StanzaError};

use super::acks::{Left, unknown};
use super::failure::Failure;
use super::outbound::{Dialed, dial};
use super::queue::Queue;
use super::stream::{Ended, Stream, serve};
use super::{Counted, Side};
use crate::route;
use crate::server::Server;

/// Serves a queue until nothing waits, or nobody takes it.
/// `by` wrote first, so that it is their turn that it takes.
pub(super) async fn run(server: Arc<Server>, (pair, by): (Pair, String), serial: u64, mut queue: Queue) {
    let mut brief = 0;
    let mut before: Option<Left> = None;
    let mut was_open = false;
    loop {
        let is_done = before.is_none() && queue.is_empty();
        if is_done && (server.is_parted() || server.federation.retire_way(&pair, serial)) {
            return;
        }
        if server.is_parted() && was_open {
            return abandon(&server, &pair, queue);
        }
        let stream = tokio::select! {
            opened = open(&server, &pair, &by) => opened,
            () = too_late(&server) => return abandon(&server, &pair, queue),
        };
        let failure = match stream {
            Err(failure) => failure,
            Ok(stream) => {
                was_open = true;
                server.federation.recovered(&pair);
                let began = Instant::now();
                let _open = Counted::new(&server.metrics.s2s_streams_out);
                let (ended, mut left);
                let side = Side::Ours { serial, pair: pair.clone() };
                (queue, ended, left) = serve(&server, *stream, side, queue, before.take()).await;
                let was_of_use = left.is_acked || (began.elapsed() >= BRIEF && !left.is_stuck);
                if left.known_as.is_none() || left.unacked.is_empty() {
                    queue.put_first(unknown(&server, left.unacked.take()));
                } else {
                    before = Some(left);
                }
                if queue.is_empty() && before.is_none() {
                    continue;
                }
                // Who takes us and lets us go again and again is not there.
                brief = if was_of_use { 0 } else { brief + 1 };
                if brief < MOST_BRIEF {
                    pause(&server, FIRST_PAUSE * brief).await;
                    continue;
                }
                match ended {
                    Ended::Told(error) => Refusal::Ended(error).into(),
                    Ended::Quietly => Failure::Lost,
                }
            }
        };
        let lost = before.map(|mut left| left.unacked.take()).unwrap_or_default();
        queue.put_first(unknown(&server, lost));
        return give_up(&server, &pair, serial, queue, &failure);
    }
}

/// Tries until a stream is open, or trying is of no use, or those who wait have waited long enough.
async fn open(server: &Server, pair: &Pair, by: &str) -> Result<Box<Stream>, Failure> {
    let deadline = Instant::now() + server.federation.config.timeout;
    let turn = timeout_at(deadline, server.federation.turns.take(by)).await;
    let Ok(_turn) = turn else { return Err(Failure::Crowded) };
    let mut wait = FIRST_PAUSE;
    loop {
        let failure = match dial(server, pair, Purpose::Speak, deadline).await {
            Ok(Dialed::Open(stream)) => return Ok(stream),
            Ok(Dialed::Judged(_)) => Failure::Lost, // nothing was asked
            Err(failure) => failure,
        };
        tracing::debug!(domain = %pair.theirs, %failure, "no stream to another server yet");
        if failure.is_final() || Instant::now() + wait >= deadline {
            return Err(failure);
        }
        pause(server, wait).await;
        wait *= 2;
    }
}

async fn pause(server: &Server, length: Duration) {
    // Not all at the same moment, when many lost the same server.
    let chance = (shared_runtime::random() % 1000) as f32 / 1000.0;
    let until = Instant::now() + length.mul_f32(0.75 + chance / 2.0);
    tokio::select! {
        () = sleep_until(until) => {}
        () = server.parted() => {}
    }
}

/// When we stop, and what waits had its time.
async fn too_late(server: &Server) {
    server.parted().await;
    sleep(LAST_TRY).await;
}

/// We stop, and what still waits does not leave any more.
fn abandon(server: &Server, pair: &Pair, queue: Queue) {
    let waiting = queue.drain();
    if !waiting.is_empty() {
        tracing::warn!(domain = %pair.theirs, stanzas = waiting.len(), "what waited for another server is given back");
    }
    let why = StanzaError::because(ErrorKind::RemoteServerTimeout, "this server stops");
    for stanza in waiting {
        server.metrics.s2s_returned.inc();
        route::give_back(server, &stanza, &why);
    }
}

fn give_up(server: &Server, pair: &Pair, serial: u64, queue: Queue, failure: &Failure) {
    let error = failure.of_stanza();
    server.federation.failed(pair, serial, failure);
    let waiting = queue.drain();
    tracing::info!(domain = %pair.theirs, %failure, stanzas = waiting.len(), "no stream to another server");
    server.metrics.s2s_failures.inc();
    for stanza in waiting {
        server.metrics.s2s_returned.inc();
        route::give_back(server, &stanza, &error);
    }
}

/// How long to wait before the second attempt; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long what waits may take to leave when we stop.
const LAST_TRY: Duration = Duration::from_secs(2);
/// A stream that ends sooner was none.
const BRIEF: Duration = Duration::from_secs(5);
/// So many of these in a row are a failure.
const MOST_BRIEF: u32 = 3;
