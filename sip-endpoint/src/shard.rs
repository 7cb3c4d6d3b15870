//! A shard: one task that owns a part of the transactions. Messages of one transaction always reach the same shard.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::Message;
use sip_core::transaction::{ClientKey, Event, Failure, ServerKey, Timers, Transactions};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::application::{Cancelled, Incoming, ServerHandle};
use crate::flow::Flow;
use crate::inlet::Inlet;
use crate::sent::{Answer, ReplyTo};
use crate::transport::fallback;

/// What a shard is told.
pub(crate) enum Input {
    /// A message came then.
    Message(Box<Message>, Flow, Instant),
    /// The application answers a request.
    Respond(ServerKey, Box<Message>),
    /// The application sends a request.
    Request(Outgoing),
    /// The application cancels its INVITE, for this Reason.
    Cancel(ClientKey, String),
    /// A connection is closed.
    FlowLost(Flow),
    /// The net says that a request did not get where it was sent.
    Undelivered(ClientKey, SocketAddr),
}

/// A request that is sent, with its key.
pub(crate) struct Outgoing {
    pub(crate) key: ClientKey,
    pub(crate) request: Box<Message>,
    pub(crate) flow: Flow,
    pub(crate) reply: ReplyTo,
}

/// What a shard needs besides its transactions.
pub(crate) struct Shard {
    pub(crate) inlet: Inlet,
    pub(crate) inbox: mpsc::Sender<Input>,
}

/// An answer that somebody waits for.
struct Awaited {
    /// Until the last word is told, and whoever listens has gone.
    reply: Option<ReplyTo>,
    /// That the request went by.
    flow: Flow,
    /// Whom the connection was opened for, if it is one of ours with a call.
    host: Box<str>,
    is_in_dialog: bool,
    /// It is an INVITE that has a 2xx.
    is_accepted: bool,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    answers: HashMap<ClientKey, Awaited>,
    /// Of these, INVITEs with a 2xx: another is for whoever listens still (RFC 6026 §7.2).
    accepted: VecDeque<ClientKey>,
    cancels: HashMap<ServerKey, Arc<Cancelled>>,
    /// Large requests that go by UDP if their connection does not come about.
    fallbacks: HashMap<ClientKey, (Box<Message>, Flow)>,
    /// Requests whose connection did not.
    again: Vec<Outgoing>,
}

impl Waiting {
    /// Whom the connection of an INVITE was opened for, of which these bytes are the CANCEL or the ACK.
    fn host_of(&self, flow: &Flow, bytes: &Bytes) -> Option<&str> {
        if !flow.is_own() || !(bytes.starts_with(b"CANCEL ") || bytes.starts_with(b"ACK ")) {
            return None;
        }
        let request = Message::parse(bytes.clone()).ok()?;
        let key = ClientKey::new(request.top_via()?.branch()?, "INVITE");
        self.answers.get(&key).map(|awaited| &*awaited.host)
    }

    /// A response came, of which the sender of its request hears. Given back, with its flow, if they listen no more.
    fn tell(&mut self, key: ClientKey, response: Message) -> Option<(Box<Message>, Flow)> {
        self.fallbacks.remove(&key);
        // Nobody waits for the answer to a CANCEL.
        let Awaited { reply, flow, is_accepted, .. } = self.answers.get_mut(&key)?;
        let status = response.status();
        let answer = Answer::Response(Box::new(response));
        let Some(queue) = &*reply else { return given_back(answer, *flow) };
        let unheard = tell(queue, answer);
        match status {
            ..200 => {}
            200..300 if key.is_invite() && unheard.is_none() => {
                if !std::mem::replace(is_accepted, true) {
                    self.accepted.push_back(key);
                }
            }
            _ => *reply = None,
        }
        given_back(unheard?, *flow)
    }

    /// Lets go of whoever listens no more: a queue and the task behind it are more than a transaction, which stays for half a minute.
    fn forget_gone(&mut self) {
        for _ in 0..self.accepted.len().min(LOOKS) {
            let Some(key) = self.accepted.pop_front() else { return };
            let Some(awaited) = self.answers.get_mut(&key) else { continue };
            match &awaited.reply {
                Some(reply) if !reply.queue.is_closed() => self.accepted.push_back(key),
                _ => awaited.reply = None,
            }
        }
    }
}

fn given_back(answer: Answer, flow: Flow) -> Option<(Box<Message>, Flow)> {
    match answer {
        Answer::Response(response) => Some((response, flow)),
        Answer::Failed(_) => None,
    }
}

impl Shard {
    pub(crate) async fn run(self, timers: Timers, mut inputs: mpsc::Receiver<Input>) {
        let mut transactions = Transactions::new(timers);
        let mut waiting = Waiting::default();
        let mut events = Vec::new();
        let mut counted = 0;
        let mut batch = Vec::with_capacity(BATCH);
        // One clock for all; it is set anew only when something is due earlier, or when it has rung.
        let mut clock = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        let mut is_set = false;
        loop {
            if let Some(deadline) = transactions.deadline().map(|due| (due + GRAIN).into())
                && (!is_set || deadline < clock.deadline())
            {
                clock.as_mut().reset(deadline);
                is_set = true;
            }
            let is_due = tokio::select! {
                count = inputs.recv_many(&mut batch, BATCH) => match count {
                    // Every sender is gone.
                    0 => return,
                    _ => false,
                },
                () = clock.as_mut(), if is_set => true,
            };
            let now = Instant::now();
            for input in batch.drain(..) {
                self.take(&mut transactions, &mut waiting, input, now, &mut events);
            }
            if is_due {
                is_set = false;
                transactions.timeout(now, &mut events);
            }
            loop {
                for event in events.drain(..) {
                    self.carry_out(event, &mut waiting);
                }
                let Some(outgoing) = waiting.again.pop() else { break };
                request_again(&mut transactions, &mut waiting, outgoing, now, &mut events);
            }
            waiting.forget_gone();
            let live = i64::try_from(transactions.len()).unwrap_or(i64::MAX);
            self.inlet.wires.metrics.transactions.add(live - std::mem::replace(&mut counted, live));
        }
    }

    fn carry_out(&self, event: Event<Flow>, waiting: &mut Waiting) {
        match event {
            Event::Send(flow, bytes) => self.send(flow, bytes, waiting),
            Event::Request(key, request, flow) => {
                let cancelled = Arc::new(Cancelled::default());
                if request.method() == "INVITE" {
                    waiting.cancels.insert(key.clone(), Arc::clone(&cancelled));
                }
                let server = ServerHandle { key, shard: self.inbox.clone(), cancelled };
                self.inlet.application.request(Incoming { request, flow, server });
            }
            Event::Ack(ack, flow) => self.inlet.application.ack(ack, flow),
            Event::Cancelled(key, reason) => {
                if let Some(cancelled) = waiting.cancels.get(&key) {
                    cancelled.tell(reason);
                }
            }
            Event::Response(key, response) => {
                if let Some((response, flow)) = waiting.tell(key, response)
                    && (200..300).contains(&response.status())
                {
                    // Whoever sent the request has gone on; a 2xx that comes again still finds its way.
                    self.inlet.application.stray(*response, flow);
                }
            }
            Event::Failed(key, Failure::Unreachable) if waiting.fallbacks.contains_key(&key) => {
                let sent = waiting.fallbacks.remove(&key).zip(waiting.answers.remove(&key));
                let again = |((request, flow), awaited): (_, Awaited)| {
                    Some(Outgoing { key, request, flow, reply: awaited.reply? })
                };
                waiting.again.extend(sent.and_then(again));
            }
            Event::Failed(key, failure) => {
                if let Some(reply) = waiting.answers.get(&key).and_then(|awaited| awaited.reply.as_ref()) {
                    tell(reply, Answer::Failed(failure));
                }
            }
            Event::Ended(key) => {
                waiting.answers.remove(&key);
                waiting.fallbacks.remove(&key);
            }
        }
    }

    /// Whom a connection was opened for that a call goes by, if it is one of ours.
    fn host_of(&self, request: &Message, flow: &Flow) -> Box<str> {
        let is_kept = request.method() == "INVITE" && flow.is_own();
        let host = is_kept.then(|| self.inlet.wires.connections.with(flow.id, |entry| entry.host.clone()));
        host.flatten().unwrap_or_default()
    }

    /// The answer to a request that is not taken. One whose transaction is known was taken.
    fn refuses(
        &self,
        transactions: &Transactions<Flow>,
        (request, key): (&Message, &ServerKey),
        flow: &Flow,
    ) -> Option<Message> {
        let begins = !matches!(request.method(), "ACK" | "CANCEL") && !transactions.is_known(key);
        begins.then(|| self.inlet.application.refuses(request, flow)).flatten()
    }

    /// A response whose connection is gone finds another to the same peer, and so does what ends an INVITE that went by one of ours: its
    /// CANCEL (§9.1), and the ACK of a refusal (§17.1.1.2).
    fn send(&self, flow: Flow, bytes: Bytes, waiting: &Waiting) {
        let wires = &self.inlet.wires;
        if wires.try_send(flow, bytes.clone()) {
            return;
        }
        let again = || self.inlet.way_again(&flow, waiting.host_of(&flow, &bytes)?);
        match self.inlet.way_back(&flow, &bytes).or_else(again) {
            Some(other) => wires.send(other, bytes),
            None => wires.note_dropped(flow),
        }
    }

    fn take(
        &self,
        transactions: &mut Transactions<Flow>,
        waiting: &mut Waiting,
        input: Input,
        now: Instant,
        events: &mut Vec<Event<Flow>>,
    ) {
        match input {
            Input::Message(message, flow, came) => {
                self.inlet.wires.lateness.waited(&flow, now.saturating_duration_since(came), now);
                let key = if message.is_request() { ServerKey::of(&message) } else { None };
                if let Some(key) = &key
                    && let Some(answer) = self.refuses(transactions, (&message, key), &flow)
                {
                    return self.inlet.wires.send(flow, answer.to_bytes());
                }
                transactions.receive(*message, key, flow, flow.transport.reliability(), now, events);
            }
            Input::Respond(key, response) => {
                if response.status() >= 200 {
                    waiting.cancels.remove(&key);
                }
                transactions.respond(&key, &response, now, events);
            }
            Input::Request(mut outgoing) => {
                let wires = &self.inlet.wires;
                let Outgoing { key, request, flow, reply } = &outgoing;
                match wires.fallbacks.of(flow) {
                    None if fallback::is_beyond_datagrams(request, flow) => refuse(reply),
                    // A connection that is gone already tells nobody any more.
                    None if !wires.is_open(flow) => refuse(reply),
                    Some(udp) if !wires.is_open(flow) => {
                        outgoing.flow = udp;
                        request_again(transactions, waiting, outgoing, now, events);
                    }
                    udp => {
                        if let Some(udp) = udp {
                            waiting.fallbacks.insert(key.clone(), (request.clone(), udp));
                        }
                        let host = self.host_of(request, flow);
                        send_request(transactions, waiting, outgoing, host, now, events);
                    }
                }
            }
            Input::Cancel(key, reason) => {
                // What is not wanted any more is not tried in another way.
                waiting.fallbacks.remove(&key);
                transactions.cancel(&key, &reason, now, events);
            }
            Input::FlowLost(flow) => transactions.flow_lost(flow, flow.is_own(), now, events),
            Input::Undelivered(key, to) => {
                // A dialog has one way: what is in it is sent again until its time is up, as its peer may be back.
                let is_over = |Awaited { flow, is_in_dialog, .. }: &Awaited| {
                    let is_there =
                        flow.remote.ip().to_canonical() == to.ip() && flow.remote.port() == to.port();
                    is_there && !is_in_dialog
                };
                if waiting.answers.get(&key).is_some_and(is_over) {
                    transactions.undelivered(key, now, events);
                }
            }
        }
    }
}

fn send_request(
    transactions: &mut Transactions<Flow>,
    waiting: &mut Waiting,
    Outgoing { key, request, flow, reply }: Outgoing,
    host: Box<str>,
    now: Instant,
    events: &mut Vec<Event<Flow>>,
) {
    let is_in_dialog = request.is_in_dialog();
    let awaited = Awaited { reply: Some(reply), flow, host, is_in_dialog, is_accepted: false };
    waiting.answers.insert(key.clone(), awaited);
    transactions.request(key, *request, flow, flow.transport.reliability(), now, events);
}

/// RFC 3261 §18.1.1: there is no TCP at the other side, so that the request goes by UDP in spite of its size.
fn request_again(
    transactions: &mut Transactions<Flow>,
    waiting: &mut Waiting,
    mut outgoing: Outgoing,
    now: Instant,
    events: &mut Vec<Event<Flow>>,
) {
    if fallback::is_beyond_datagrams(&outgoing.request, &outgoing.flow) {
        return refuse(&outgoing.reply);
    }
    fallback::by_udp(&mut outgoing.request, &outgoing.flow);
    send_request(transactions, waiting, outgoing, Box::default(), now, events);
}

/// A request could not be sent.
pub(crate) fn refuse(reply: &ReplyTo) {
    tell(reply, Answer::Failed(Failure::Unreachable));
}

/// Tells whoever sent a request, or gives the answer back if nobody waits any more. While their queue is full, what is
/// provisional is dropped, as in a net, and the last word waits: one a request.
fn tell(reply: &ReplyTo, answer: Answer) -> Option<Answer> {
    match reply.queue.try_send((reply.tag, answer)) {
        Ok(()) => None,
        Err(TrySendError::Closed((_, answer))) => Some(answer),
        Err(TrySendError::Full((_, Answer::Response(response)))) if response.status() < 200 => None,
        Err(TrySendError::Full(last)) => {
            let queue = reply.queue.clone();
            tokio::spawn(async move {
                // An error says that nobody waits any more.
                let _ = queue.send(last).await;
            });
            None
        }
    }
}

/// How late a timer may ring, so that those that are due about together ring once: to set the clock is a system call.
const GRAIN: Duration = Duration::from_millis(5);
/// Inputs that are taken at once.
const BATCH: usize = 64;
/// Who listens is looked at this often a turn.
const LOOKS: usize = 4;
