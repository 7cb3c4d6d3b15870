//! A stream between servers on which something is said — RFC 6120 §4.4 (closing), §4.6 (silence), §13.7.2.3 (certificates
//! end), XEP-0220 §2 (keys), XEP-0288 §2.2 (both ways). The same for streams of ours and of others.
//!
//! In    frames; a [`Queue`] of stanzas that go this way.
//! Out   routed stanzas, each in its recipient's line ([`Lanes`]); what is left of the queue.
//! State which pairs are proven, which keys are being judged, and when the last stanza passed.
//! Whoever enables stream management learns which stanzas are handled (XEP-0198 §4).
//! Errors stream errors. A stream that is silent for `idle` is closed, one that does not read or does not ack is lost; what
//!        becomes of what was not acked is [`acks`]'s.
//!
//! [`acks`]: super::acks

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use shared_runtime::unix_millis;
use tokio::io::ReadHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use xmpp_core::stream::limits::StreamLimits;
use xmpp_core::stream::management::{self, Command, Reply};
use xmpp_core::stream::server::{Pair, Receiving, Request, Said, Talk, Verdict};
use xmpp_core::stream::{CLOSE, StreamCondition, StreamError};
use xmpp_core::xml::{Frame, Framer, Limits};
use xmpp_core::{ErrorKind, Stanza, StanzaError, ns};

use super::acks::{Acks, Count, Left};
use super::inbound::Unproven;
use super::lanes::Lanes;
use super::queue::Queue;
use super::trust::Certificate;
use super::writer::{TooLarge, Writer};
use super::{Side, acks, dialback};
use crate::c2s::{Io, close, linger};
use crate::rate::{self, Rate};
use crate::route;
use crate::server::Server;

/// A negotiated stream.
pub(super) struct Stream {
    /// What the other side takes (XEP-0478).
    pub(super) limits: StreamLimits,
    /// Whether the other side counts what we send (XEP-0198).
    pub(super) counts: bool,
    pub(super) io: Box<dyn Io>,
    pub(super) framer: Framer,
    pub(super) machine: Machine,
    /// The id that we gave it, if it is another's.
    pub(super) id: String,
    /// Who is at the other end, if the roots stand behind it.
    pub(super) certificate: Option<Certificate>,
    /// What was said already.
    pub(super) first: Option<Said>,
    /// Until when a domain must be proven, if none is.
    pub(super) unproven: Option<(Unproven, Instant)>,
}

/// Who opened it.
pub(super) enum Machine {
    /// We did.
    Initiated(Talk),
    /// The other side did.
    Received(Box<Receiving>),
}

enum Heard {
    Said(Said),
    Close,
}

impl Machine {
    fn talk(&mut self) -> &mut Talk {
        match self {
            Self::Initiated(talk) => talk,
            Self::Received(receiving) => &mut receiving.talk,
        }
    }

    fn handle(&mut self, frame: Frame, out: &mut String) -> Result<Option<Heard>, StreamError> {
        match self {
            Self::Initiated(talk) => match frame {
                Frame::Close => Ok(Some(Heard::Close)),
                Frame::Element(head, content) => Ok(talk.handle(head, content, out)?.map(Heard::Said)),
                Frame::Open(_) => Err(StreamCondition::BadFormat.into()),
            },
            Self::Received(receiving) => match receiving.handle(frame, out)? {
                None => Ok(None),
                Some(Request::Said(said)) => Ok(Some(Heard::Said(said))),
                Some(Request::Close) => Ok(Some(Heard::Close)),
                // A key was shown before: it is too late for these.
                Some(Request::StartTls | Request::External(_) | Request::Greet { .. }) => {
                    Err(StreamCondition::PolicyViolation.into())
                }
            },
        }
    }
}

/// Why a stream ended.
pub(super) enum Ended {
    /// Somebody closed it, or it was lost.
    Quietly,
    /// The other side said why.
    Told(StreamError),
}

/// How long a stream may be silent: as we like it, and less than the other side does (XEP-0478), for what is written while it
/// closes is lost.
fn patience(ours: Duration, theirs: StreamLimits) -> Duration {
    match theirs.idle {
        0 => ours,
        seconds => ours.min(Duration::from_secs(seconds) * 9 / 10),
    }
}

/// Serves a stream to its end, behind what is left of the one before. What it did not write is still in the queue.
pub(super) async fn serve(
    server: &Arc<Server>,
    stream: Stream,
    side: Side,
    mut queue: Queue,
    before: Option<Left>,
) -> (Queue, Ended, Left) {
    let Stream { limits, mut counts, io, framer, machine, id, certificate, first, unproven } = stream;
    counts &= !server.shutdown.is_begun(); // nobody would be there to hear of it
    let counted = Arc::new(Acks::new(server.federation.config.queue));
    let mut known_as = None;
    let mut ask = String::new();
    match before {
        Some(Left { unacked, known_as: Some((previd, handled)), .. }) if counts => {
            ask = management::resume(&previd, handled);
            counted.hold(unacked);
            known_as = Some((previd, handled));
        }
        before => {
            let lost = before.map(|mut left| left.unacked.take()).unwrap_or_default();
            queue.put_first(acks::unknown(server, lost));
            if counts {
                counted.ask();
            }
        }
    }
    let (mut reader, io) = tokio::io::split(io);
    let (words, spoken) = mpsc::channel(WORDS);
    let (stop, stopped) = oneshot::channel();
    let (breaks, broken) = oneshot::channel();
    let last = Arc::new(AtomicI64::new(unix_millis()));
    let sent = server.metrics.s2s_sent.clone();
    let server_of_writer = Arc::clone(server);
    let refuse = Box::new(move |stanza: &Stanza| give_back_too_large(&server_of_writer, stanza));
    let too_large = TooLarge { limits, refuse };
    let acks = Some(Arc::clone(&counted));
    let leaves = Arc::new(AtomicBool::new(false));
    let writer = Writer {
        too_large: Some(too_large),
        acks,
        queue,
        spoken,
        io,
        last: Arc::clone(&last),
        sent,
        leaves: Arc::clone(&leaves),
    };
    let mut write = tokio::spawn(writer.run(stopped, breaks));
    let (judged, verdicts) = mpsc::channel(WORDS);
    let mut conversation = Conversation {
        server,
        side,
        framer,
        machine,
        id,
        expires: certificate.as_ref().map(expiry),
        certificate,
        unproven,
        rate: Rate::new(server.federation.config.rate),
        words,
        judged,
        verdicts,
        lanes: Lanes::new(server),
        acks: Arc::clone(&counted),
        known_as,
        count: None,
        heard: Instant::now(),
        looked: Instant::now(),
        patience: patience(server.federation.config.idle, limits),
        last,
        closing: None,
        ended: Ended::Quietly,
    };
    conversation.say(ask).await;
    let why = conversation.hold(&mut reader, first, broken).await.err();
    conversation.lanes.end().await;
    let Conversation { words, ended, closing, lanes, known_as, count, .. } = conversation;
    let handled = lanes.h();
    if let Some(count) = &count {
        count.end(handled.unwrap_or_default());
    }
    let mut farewell = handled.filter(|_| closing.is_none()).map(management::ack).unwrap_or_default();
    if let Some(why) = &why {
        server.metrics.stream_errors.inc();
        tracing::debug!(
            condition = why.condition.as_str(),
            text = why.text,
            "a stream between servers is ended"
        );
        farewell.push_str(&why.print());
    }
    if closing.is_none() {
        farewell.push_str(CLOSE);
    }
    // There will be no other stream: what waits goes before the last words, as far as there is time.
    leaves.store(server.is_parted(), Ordering::Relaxed);
    let _ = timeout(LAST_WORDS, words.send(farewell)).await; // who does not read hears no last words
    drop(words);
    let written = match timeout(LAST_WORDS, &mut write).await {
        Ok(written) => written,
        Err(_) => {
            drop(stop);
            write.await
        }
    };
    let (queue, io) =
        written.unwrap_or_else(|_| unreachable!("a writer does not panic, and nobody cancels it"));
    if let Some(mut io) = io {
        close(&mut io).await;
        if why.is_some() {
            linger(&mut reader).await;
        }
    }
    let known_as = known_as.map(|(id, before)| (id, handled.unwrap_or(before)));
    let mut left = counted.take(known_as);
    left.count = count;
    let mut queue = queue;
    queue.put_first(std::mem::take(&mut left.unsent));
    (queue, ended, left)
}

/// What reads a stream.
struct Conversation<'a> {
    server: &'a Arc<Server>,
    side: Side,
    framer: Framer,
    machine: Machine,
    id: String,
    certificate: Option<Certificate>,
    expires: Option<Instant>,
    unproven: Option<(Unproven, Instant)>,
    rate: Rate,
    words: mpsc::Sender<String>,
    judged: mpsc::Sender<(Pair, Verdict)>,
    verdicts: mpsc::Receiver<(Pair, Verdict)>,
    /// Stanzas that came, and how many are handled since the other side wants to know.
    lanes: Lanes,
    /// How long it may be silent.
    acks: Arc<Acks>,
    /// How the other side knows what we send on it, and how many stanzas of its own we had handled before.
    known_as: Option<(String, u32)>,
    /// How others ask for what is handled of it.
    count: Option<Arc<Count>>,
    /// When anything was heard.
    heard: Instant,
    /// When it was last looked whether anything is overdue.
    looked: Instant,
    patience: Duration,
    /// When the last stanza passed, either way; milliseconds since 1970.
    last: Arc<AtomicI64>,
    /// We said that we end it, and wait until then for the other side to say so.
    closing: Option<Instant>,
    ended: Ended,
}

enum Step {
    Read(std::io::Result<usize>),
    Judged(Pair, Verdict),
    Handled,
    Late,
}

impl Conversation<'_> {
    /// Until somebody ends it. An error is what the other side is to be told.
    async fn hold(
        &mut self,
        reader: &mut ReadHalf<Box<dyn Io>>,
        first: Option<Said>,
        mut broken: oneshot::Receiver<()>,
    ) -> Result<(), StreamError> {
        for pair in self.machine.talk().proven().to_vec() {
            self.proved(&pair, "certificate");
        }
        if let Some(said) = first {
            self.said(said).await?;
            if matches!(self.ended, Ended::Told(_)) {
                return Ok(());
            }
        }
        let mut says_much = false;
        loop {
            while let Some(frame) = self.framer.next()? {
                let mut out = String::new();
                let heard = self.machine.handle(frame, &mut out);
                self.say(out).await;
                match heard? {
                    Some(Heard::Close) => return Ok(()),
                    Some(Heard::Said(said)) => {
                        self.said(said).await?;
                        if matches!(self.ended, Ended::Told(_)) {
                            return Ok(());
                        }
                    }
                    None => {}
                }
            }
            let due = self.lanes.due().map(management::ack);
            self.say(due.unwrap_or_default()).await;
            let deadline = self.deadline();
            let step = tokio::select! {
                read = self.rate.read(reader, says_much, |read| self.framer.push(read)) => Step::Read(read),
                Some((pair, verdict)) = self.verdicts.recv() => Step::Judged(pair, verdict),
                () = self.lanes.one() => Step::Handled,
                () = sleep_until(deadline) => Step::Late,
                () = asked_for(self.count.as_deref()) => {
                    let why = "another stream takes its place"; // XEP-0198 §5
                    return Err(StreamError::because(StreamCondition::Conflict, why));
                }
                _ = &mut broken => return Ok(()),
                () = self.server.parted() => return Err(StreamCondition::SystemShutdown.into()),
            };
            match step {
                Step::Read(Ok(0) | Err(_)) => return Ok(()),
                Step::Read(Ok(length)) => {
                    self.heard = Instant::now();
                    says_much = rate::says_much(length, says_much);
                }
                Step::Judged(pair, verdict) => self.judge(&pair, verdict, "dialback").await?,
                Step::Handled => {}
                Step::Late => {
                    self.looked = Instant::now();
                    if self.is_over()? {
                        return Ok(());
                    }
                    self.rest().await;
                }
            }
        }
    }

    async fn said(&mut self, said: Said) -> Result<(), StreamError> {
        match said {
            Said::Stanza(stanza, wrong) => {
                self.last.store(unix_millis(), Ordering::Relaxed);
                self.server.metrics.s2s_received.inc();
                match wrong {
                    Some(error) => {
                        route::give_back(self.server, &stanza, &error);
                        self.lanes.pass_over();
                    }
                    None => self.lanes.put(*stanza).await,
                }
            }
            Said::Key { pair, key } => {
                match dialback::judge_here(self.server, &pair, self.certificate.as_ref()) {
                    Some(verdict) => self.judge(&pair, verdict, "certificate").await?,
                    None => {
                        let (server, judged) = (Arc::clone(self.server), self.judged.clone());
                        let id = self.id.clone();
                        tokio::spawn(async move {
                            let verdict = dialback::ask(&server, &pair, &id, &key).await;
                            let _ = judged.send((pair, verdict)).await; // the stream may be gone
                        });
                    }
                }
            }
            Said::Verify { pair, id, key } => {
                let mut out = String::new();
                let verdict = dialback::confirm(self.server, &pair, &id, &key);
                Talk::confirm(&pair, &id, verdict, &mut out);
                self.say(out).await;
            }
            Said::Manage(command) => self.manage(command).await?,
            Said::Managed(reply) => self.managed(reply)?,
            Said::Broken(error) => self.ended = Ended::Told(error),
        }
        Ok(())
    }

    /// XEP-0198 §3, §4. Streams of others are not resumed here, and whoever had one is told how much of it was handled.
    async fn manage(&mut self, command: Result<Command, ErrorKind>) -> Result<(), StreamError> {
        let answer = match (command, self.lanes.h()) {
            (Ok(Command::Enable { .. }), None) if matches!(self.side, Side::Theirs { .. }) => {
                self.lanes.count_from(0);
                let id = self.server.new_id();
                self.count = Some(self.server.federation.earlier.begin(&id, self.domains()));
                let enabled = management::counted(&id);
                if matches!(&self.machine, Machine::Received(receiving) if receiving.is_bidi()) {
                    self.acks.begin(enabled); // what goes back is counted, too
                    return Ok(());
                }
                enabled
            }
            (Ok(Command::Ask), Some(_)) => {
                self.lanes.ask();
                self.lanes.due().map(management::ack).unwrap_or_default()
            }
            (Ok(Command::Ack(h)), _) => return Ok(self.acks.acknowledge(h)?),
            (Ok(Command::Resume { previd, h }), None) => {
                let theirs = self.domains();
                let handled = self.server.federation.earlier.end(&previd, &theirs, h).await;
                failed(ErrorKind::ItemNotFound, handled)
            }
            (Ok(_), _) => failed(ErrorKind::UnexpectedRequest, None),
            (Err(why), _) => failed(why, None),
        };
        self.say(answer).await;
        Ok(())
    }

    /// The other side answers on a stream of ours.
    fn managed(&mut self, reply: Reply) -> Result<(), StreamError> {
        if !matches!(self.side, Side::Ours { .. }) {
            return Ok(());
        }
        match reply {
            Reply::Enabled { id } => {
                self.lanes.count_from(0);
                self.known_as = id.map(|id| (id, 0));
                self.acks.enabled();
            }
            Reply::Resumed { h } => {
                self.acks.resumed(h)?;
                if let Some((_, handled)) = &self.known_as {
                    self.lanes.count_from(*handled);
                }
            }
            Reply::Failed { h } => {
                let unsure = self.acks.told(h)?;
                self.known_as = None;
                acks::unknown(self.server, unsure); // what may be sent again is not among it
            }
        }
        Ok(())
    }

    /// The domains that the other side may speak for.
    fn domains(&mut self) -> Vec<String> {
        self.machine.talk().proven().iter().map(|pair| pair.theirs.clone()).collect()
    }

    async fn judge(&mut self, pair: &Pair, verdict: Verdict, by: &str) -> Result<(), StreamError> {
        let mut out = String::new();
        let judged = self.machine.talk().judge(pair, verdict, &mut out);
        self.say(out).await;
        match verdict {
            Verdict::Valid => self.proved(pair, by),
            _ => tracing::info!(domain = %pair.theirs, ?verdict, "a domain is not proven"),
        }
        judged
    }

    /// From now on the pair's stanzas are taken, and others may go back.
    fn proved(&mut self, pair: &Pair, by: &str) {
        let Machine::Received(receiving) = &self.machine else { return };
        let is_bidi = receiving.is_bidi();
        tracing::info!(domain = %pair.theirs, to = %pair.ours, by, is_bidi, "stream of another server");
        self.unproven = None;
        let limits = Limits { bytes: self.server.config.stanza_bytes, ..Limits::default() };
        self.framer.set_limits(limits);
        self.server.federation.recovered(pair);
        if let Side::Theirs { serial, back } = &self.side
            && is_bidi
        {
            self.server.federation.offer(pair, *serial, back);
        }
    }

    async fn say(&self, words: String) {
        if !words.is_empty() {
            let _ = self.words.send(words).await; // a writer that is gone ends the stream
        }
    }

    fn idle(&self) -> Duration {
        let since = unix_millis().saturating_sub(self.last.load(Ordering::Relaxed));
        Duration::from_millis(since.max(0).unsigned_abs())
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let rest = self.patience.saturating_sub(self.idle());
        // A silence that acks are waited for in is not over before they are there: then it is looked now and then.
        let is_kept = rest.is_zero() && self.waits_for_acks();
        let idle = self.closing.or((!is_kept).then(|| now + rest));
        let proof = self.unproven.as_ref().map(|(_, until)| *until);
        // The writer asks for acks while we sleep. What is heard meanwhile does not put the look off.
        let patience = self.server.config.ack_timeout;
        let look = (self.acks.is_begun() && !patience.is_zero()).then(|| self.looked + patience / 2);
        let soonest = [idle, proof, self.expires, look].into_iter().flatten().min();
        soonest.unwrap_or_else(|| now + self.patience)
    }

    /// Whether acks are waited for, and not for ever.
    fn waits_for_acks(&self) -> bool {
        self.acks.is_waiting() && !self.server.config.ack_timeout.is_zero()
    }

    /// Whether we waited long enough for the end; an error says what the other side did not do in time.
    fn is_over(&self) -> Result<bool, StreamError> {
        let now = Instant::now();
        if self.unproven.as_ref().is_some_and(|(_, until)| now >= *until) {
            let text = "no domain was proven in time";
            return Err(StreamError::because(StreamCondition::ConnectionTimeout, text));
        }
        if self.expires.is_some_and(|at| now >= at) {
            return Err(StreamError::because(StreamCondition::Reset, "the certificate has expired"));
        }
        let patience = self.server.config.ack_timeout;
        let owed = self.acks.owed_since().filter(|_| !patience.is_zero());
        // Whatever else it says gives it more time, and not for ever.
        let until = |since: Instant| (since.max(self.heard) + patience).min(since + patience * MOST_PATIENT);
        if let Some(since) = owed {
            if now >= since + patience && self.acks.go_without() {
                tracing::debug!("another server offers to count stanzas, and does not say that it does");
            } else if now >= until(since) {
                tracing::debug!("another server does not acknowledge anything");
                return Ok(true);
            }
        }
        Ok(self.closing.is_some_and(|until| now >= until))
    }

    /// §4.4: after a long silence we end our half, and read on until the other side ends its own.
    async fn rest(&mut self) {
        if self.closing.is_some() || self.idle() < self.patience || self.waits_for_acks() {
            return;
        }
        if self.server.federation.retire(&self.side) {
            self.closing = Some(Instant::now() + CLOSING);
            let last = self.lanes.h().map(management::ack).unwrap_or_default();
            self.say(last + CLOSE).await;
        } else {
            self.last.store(unix_millis(), Ordering::Relaxed); // something is on its way
        }
    }
}

async fn asked_for(count: Option<&Count>) {
    match count {
        Some(count) => count.stop.notified().await,
        None => std::future::pending().await,
    }
}

fn failed(why: ErrorKind, handled: Option<u32>) -> String {
    let mut out = String::new();
    management::failed(why, handled).print(ns::SERVER, &mut out);
    out
}

/// XEP-0478 §4: the other side would end the stream over it.
fn give_back_too_large(server: &Server, stanza: &Stanza) {
    server.metrics.s2s_returned.inc();
    let why = "this is larger than the other server takes";
    route::give_back(server, stanza, &StanzaError::because(ErrorKind::PolicyViolation, why));
}

/// When a certificate ends, or it is time to look again.
fn expiry(certificate: &Certificate) -> Instant {
    let seconds = certificate.not_after().saturating_sub(unix_millis() / 1000).clamp(0, LONGEST_LOOK);
    Instant::now() + Duration::from_secs(seconds.unsigned_abs())
}

/// Words of the stream itself that wait, and keys that are being judged.
const WORDS: usize = 64;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the other side may take to end its half (RFC 6120 §4.4).
const CLOSING: Duration = Duration::from_secs(5);
/// For so many times as long as an ack may take a stream may say other things instead.
const MOST_PATIENT: u32 = 10;
/// A stream is made anew at least this often, in seconds.
const LONGEST_LOOK: i64 = 30 * 86_400;
