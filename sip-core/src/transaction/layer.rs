//! The transaction layer — RFC 3261 §17: finds the machine for a message, and the machine that is due.
//!
//! In    messages with the flow they came over, words of the transaction user, instants.
//! Out   [`Event`]s: what to send where, and what the transaction user should know.
//! State every live transaction of one shard; one task owns it, nothing is locked.
//! Errors a CANCEL without its INVITE is answered 481 here; a response without its request goes nowhere (RFC 6026 §7.3).

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

use super::due::Due;
use super::{Client, ClientInvite, ClientKey, Effect, Reliability, Server, ServerInvite, ServerKey, Timers};
use crate::Message;
use crate::header::Name;

/// What the layer asks for, or tells. `F` names a flow.
#[derive(Debug)]
pub enum Event<F> {
    /// Send these bytes.
    Send(F, Bytes),
    /// A new request, other than ACK and CANCEL.
    Request(ServerKey, Message, F),
    /// An ACK that no transaction absorbs, and that acknowledges no answer without one: it is about a 2xx.
    Ack(Message, F),
    /// The INVITE of this transaction was cancelled, and not answered finally before; the CANCEL has its 200. With the
    /// CANCEL's Reason (RFC 3326), or nothing.
    Cancelled(ServerKey, String),
    /// A response to a request that we sent.
    Response(ClientKey, Message),
    /// A request that we sent found no answer.
    Failed(ClientKey, Failure),
    /// A transaction of ours is over; nothing more is told about it.
    Ended(ClientKey),
}

/// Why a request found no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Timer B or F.
    Timeout,
    /// The transport failed.
    Unreachable,
}

/// All live transactions of one shard.
#[derive(Debug)]
pub struct Transactions<F> {
    timers: Timers,
    clients: HashMap<ClientKey, Sent<F>>,
    servers: HashMap<ServerKey, (ServerMachine, F)>,
    due: Due<Key>,
}

/// A request that was sent.
#[derive(Debug)]
struct Sent<F> {
    machine: ClientMachine,
    flow: F,
    reliability: Reliability,
    /// §9.1: a CANCEL waits until there is a provisional response. Its Reason, possibly empty.
    wants_cancel: Option<String>,
}

#[derive(Debug)]
enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

#[derive(Debug)]
enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Client(ClientKey),
    Server(ServerKey),
}

impl<F: Copy + Eq> Transactions<F> {
    /// No transactions.
    pub fn new(timers: Timers) -> Self {
        Self { timers, clients: HashMap::new(), servers: HashMap::new(), due: Due::new(&timers) }
    }

    /// How many transactions are alive.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether none is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a message that came.
    pub fn receive(
        &mut self,
        message: Message,
        flow: F,
        reliability: Reliability,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) {
        if !message.is_request() {
            return self.receive_response(message, now, out);
        }
        let Some(key) = ServerKey::of(&message) else { return };
        match message.method() {
            "ACK" => self.receive_ack(key, message, flow, now, out),
            "CANCEL" => self.receive_cancel(key, message, flow, reliability, now, out),
            method => {
                if self.is_retransmission(&key, out) {
                    return;
                }
                let machine = if method == "INVITE" {
                    ServerMachine::Invite(ServerInvite::start(reliability, self.timers))
                } else {
                    ServerMachine::Other(Server::start(reliability, self.timers, now))
                };
                let is_invite = method == "INVITE";
                if let Some(at) = machine.deadline() {
                    self.due.push(now, at, Key::Server(key.clone()));
                }
                self.servers.insert(key.clone(), (machine, flow));
                if is_invite {
                    // §17.2.1: within 200 ms; at once costs nothing and stops retransmissions soonest.
                    self.respond(&key, &Message::response(&message, 100, ""), now, out);
                }
                out.push(Event::Request(key, message, flow));
            }
        }
    }

    /// Whether a request belongs to a transaction that lives.
    pub fn is_known(&self, request: &Message) -> bool {
        ServerKey::of(request).is_some_and(|key| self.servers.contains_key(&key))
    }

    /// The transaction user answers a request. False if its transaction is over.
    pub fn respond(
        &mut self,
        key: &ServerKey,
        response: &Message,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) -> bool {
        let Some((machine, flow)) = self.servers.remove(key) else { return false };
        let mut effects = Vec::new();
        let next = match machine {
            ServerMachine::Invite(machine) => {
                machine.respond(response, now, &mut effects).map(ServerMachine::Invite)
            }
            ServerMachine::Other(machine) => {
                machine.respond(response, now, &mut effects).map(ServerMachine::Other)
            }
        };
        self.settle_server(key.clone(), next, flow, effects, now, out);
        true
    }

    /// Sends a request, other than ACK, in a transaction of its own. Its topmost Via has a branch that is not in use.
    pub fn request(
        &mut self,
        request: Message,
        flow: F,
        reliability: Reliability,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) -> Option<ClientKey> {
        let key = ClientKey::of(&request)?;
        let mut effects = Vec::new();
        let machine = if request.method() == "INVITE" {
            ClientMachine::Invite(ClientInvite::start(request, reliability, self.timers, now, &mut effects))
        } else {
            ClientMachine::Other(Client::start(&request, reliability, self.timers, now, &mut effects))
        };
        let sent = Sent { machine, flow, reliability, wants_cancel: None };
        self.settle_client(key.clone(), sent, |machine, _| Some(machine), effects, now, out);
        Some(key)
    }

    /// Cancels an INVITE that we sent: now, or when it has a provisional response (§9.1). Nothing happens if it has
    /// a final one. `reason` is the value of its Reason (RFC 3326), or empty.
    pub fn cancel(&mut self, key: &ClientKey, reason: &str, now: Instant, out: &mut Vec<Event<F>>) {
        if let Some(sent) = self.clients.get_mut(key) {
            sent.wants_cancel = Some(reason.to_owned());
        }
        self.cancel_if_wanted(key, now, out);
    }

    /// A flow is gone: what was sent over it and has no answer will get none. But where there is `another_way`, who has an INVITE sends
    /// its answer by a new connection (§18.2.2), and is cancelled by one; who says nothing for more than a minute then has gone.
    pub fn flow_lost(&mut self, flow: F, another_way: bool, now: Instant, out: &mut Vec<Event<F>>) {
        let is_taken = |sent: &Sent<F>| matches!(&sent.machine, ClientMachine::Invite(it) if it.is_taken());
        let is_lost = |sent: &Sent<F>| sent.flow == flow && !(another_way && is_taken(sent));
        let lost: Vec<_> =
            self.clients.iter().filter(|(_, sent)| is_lost(sent)).map(|(key, _)| key.clone()).collect();
        for key in lost {
            self.unreachable(key, now, out);
        }
        for (key, sent) in self.clients.iter_mut().filter(|(_, sent)| sent.flow == flow) {
            if let ClientMachine::Invite(invite) = &mut sent.machine {
                invite.parted(now);
                if let Some(at) = invite.deadline() {
                    self.due.push(now, at, Key::Client(key.clone()));
                }
            }
        }
    }

    /// A request that we sent did not get where it was sent (§18.4). Only of one that nothing was heard of: who answered was reached.
    pub fn undelivered(&mut self, key: ClientKey, now: Instant, out: &mut Vec<Event<F>>) {
        let is_unheard = |sent: &Sent<F>| match &sent.machine {
            ClientMachine::Invite(machine) => machine.is_calling(),
            ClientMachine::Other(machine) => machine.is_trying(),
        };
        if self.clients.get(&key).is_some_and(is_unheard) {
            self.unreachable(key, now, out);
        }
    }

    fn unreachable(&mut self, key: ClientKey, now: Instant, out: &mut Vec<Event<F>>) {
        let Some(sent) = self.clients.remove(&key) else { return };
        let step = |machine, effects: &mut Vec<Effect>| match machine {
            ClientMachine::Invite(machine) => machine.unreachable(effects).map(ClientMachine::Invite),
            ClientMachine::Other(machine) => machine.unreachable(effects).map(ClientMachine::Other),
        };
        self.settle_client(key, sent, step, Vec::new(), now, out);
    }

    /// The earliest instant at which `timeout` may have work.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first()
    }

    /// Does all that is due.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<Event<F>>) {
        while let Some((at, key)) = self.due.pop(now) {
            match key {
                Key::Client(key) => self.client_timeout(key, at, now, out),
                Key::Server(key) => self.server_timeout(key, at, now, out),
            }
        }
    }

    fn receive_response(&mut self, response: Message, now: Instant, out: &mut Vec<Event<F>>) {
        let Some(key) = ClientKey::of(&response) else { return };
        let Some(sent) = self.clients.remove(&key) else {
            return;
        };
        let step = |machine, effects: &mut Vec<Effect>| match machine {
            ClientMachine::Invite(machine) => {
                machine.response(response, now, effects).map(ClientMachine::Invite)
            }
            ClientMachine::Other(machine) => {
                machine.response(response, now, effects).map(ClientMachine::Other)
            }
        };
        self.settle_client(key.clone(), sent, step, Vec::new(), now, out);
        self.cancel_if_wanted(&key, now, out);
    }

    fn cancel_if_wanted(&mut self, key: &ClientKey, now: Instant, out: &mut Vec<Event<F>>) {
        let Some(sent) = self.clients.get_mut(key) else { return };
        let ClientMachine::Invite(invite) = &mut sent.machine else { return };
        if !invite.is_proceeding() {
            return;
        }
        let Some(reason) = sent.wants_cancel.take() else { return };
        invite.cancelled(now);
        if let Some(at) = invite.deadline() {
            self.due.push(now, at, Key::Client(key.clone()));
        }
        let (mut cancel, flow, reliability) =
            (Message::cancel(invite.request()), sent.flow, sent.reliability);
        if !reason.is_empty() {
            cancel.push(Name::Reason, &reason);
        }
        self.request(cancel, flow, reliability, now, out);
    }

    fn receive_ack(&mut self, key: ServerKey, ack: Message, flow: F, now: Instant, out: &mut Vec<Event<F>>) {
        let Some((machine, on)) = self.servers.remove(&key) else {
            if !ack.acknowledges_stateless_answer() {
                out.push(Event::Ack(ack, flow));
            }
            return;
        };
        let mut effects = Vec::new();
        let next = match machine {
            ServerMachine::Invite(machine) => machine.ack(ack, now, &mut effects).map(ServerMachine::Invite),
            other @ ServerMachine::Other(_) => Some(other),
        };
        self.settle_server(key, next, on, effects, now, out);
    }

    fn receive_cancel(
        &mut self,
        key: ServerKey,
        cancel: Message,
        flow: F,
        reliability: Reliability,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) {
        if self.is_retransmission(&key, out) {
            return;
        }
        self.servers
            .insert(key.clone(), (ServerMachine::Other(Server::start(reliability, self.timers, now)), flow));
        let invite = ServerKey::of_cancelled(&cancel).filter(|invite| self.servers.contains_key(invite));
        let status = if invite.is_some() { 200 } else { 481 };
        self.respond(&key, &Message::response(&cancel, status, ""), now, out);
        if let Some(invite) = invite
            && let Some((ServerMachine::Invite(machine), _)) = self.servers.get(&invite)
            && !machine.is_answered()
        {
            out.push(Event::Cancelled(invite, cancel.value(Name::Reason).unwrap_or_default().to_owned()));
        }
    }

    fn is_retransmission(&self, key: &ServerKey, out: &mut Vec<Event<F>>) -> bool {
        let Some((machine, flow)) = self.servers.get(key) else { return false };
        let mut effects = Vec::new();
        match machine {
            ServerMachine::Invite(machine) => machine.retransmission(&mut effects),
            ServerMachine::Other(machine) => machine.retransmission(&mut effects),
        }
        for effect in effects {
            if let Effect::Send(wire) = effect {
                out.push(Event::Send(*flow, wire));
            }
        }
        true
    }

    fn client_timeout(&mut self, key: ClientKey, at: Instant, now: Instant, out: &mut Vec<Event<F>>) {
        // If the deadline is another, the machine went on since this entry was made; its newer one is in the heap.
        if self.clients.get(&key).is_none_or(|sent| sent.machine.deadline() != Some(at)) {
            return;
        }
        let Some(sent) = self.clients.remove(&key) else { return };
        let step = |machine, effects: &mut Vec<Effect>| match machine {
            ClientMachine::Invite(machine) => machine.timeout(now, effects).map(ClientMachine::Invite),
            ClientMachine::Other(machine) => machine.timeout(now, effects).map(ClientMachine::Other),
        };
        self.settle_client(key, sent, step, Vec::new(), now, out);
    }

    fn server_timeout(&mut self, key: ServerKey, at: Instant, now: Instant, out: &mut Vec<Event<F>>) {
        if self.servers.get(&key).is_none_or(|(machine, _)| machine.deadline() != Some(at)) {
            return;
        }
        let Some((machine, flow)) = self.servers.remove(&key) else { return };
        let mut effects = Vec::new();
        let next = match machine {
            ServerMachine::Invite(machine) => machine.timeout(now, &mut effects).map(ServerMachine::Invite),
            ServerMachine::Other(machine) => machine.timeout(now).map(ServerMachine::Other),
        };
        self.settle_server(key, next, flow, effects, now, out);
    }

    /// Lets a machine take its step, carries out what it asked for, and keeps it if it lives.
    fn settle_client(
        &mut self,
        key: ClientKey,
        sent: Sent<F>,
        step: impl FnOnce(ClientMachine, &mut Vec<Effect>) -> Option<ClientMachine>,
        mut effects: Vec<Effect>,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) {
        let flow = sent.flow;
        let next = step(sent.machine, &mut effects);
        for effect in effects {
            out.push(match effect {
                Effect::Send(wire) => Event::Send(flow, wire),
                Effect::Pass(response) => Event::Response(key.clone(), response),
                Effect::PassAck(ack) => Event::Ack(ack, flow),
                Effect::TimedOut => Event::Failed(key.clone(), Failure::Timeout),
                Effect::Unreachable => Event::Failed(key.clone(), Failure::Unreachable),
            });
        }
        let Some(machine) = next else { return out.push(Event::Ended(key)) };
        if let Some(at) = machine.deadline() {
            self.due.push(now, at, Key::Client(key.clone()));
        }
        self.clients.insert(key, Sent { machine, ..sent });
    }

    fn settle_server(
        &mut self,
        key: ServerKey,
        next: Option<ServerMachine>,
        flow: F,
        effects: Vec<Effect>,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) {
        for effect in effects {
            match effect {
                Effect::Send(wire) => out.push(Event::Send(flow, wire)),
                Effect::PassAck(ack) => out.push(Event::Ack(ack, flow)),
                // Nobody acknowledged: there is nobody to tell but the log.
                Effect::Pass(_) | Effect::TimedOut | Effect::Unreachable => {}
            }
        }
        let Some(machine) = next else { return };
        if let Some(at) = machine.deadline() {
            self.due.push(now, at, Key::Server(key.clone()));
        }
        self.servers.insert(key, (machine, flow));
    }
}

impl ClientMachine {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }
}

impl ServerMachine {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }
}
