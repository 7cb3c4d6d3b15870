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
use super::{
    Client, ClientInvite, ClientKey, Effect, Life, Reliability, Server, ServerInvite, ServerKey, Timers,
};
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
    /// What a step asks for, while it is carried out: empty between steps.
    effects: Vec<Effect>,
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
        Self {
            timers,
            clients: HashMap::new(),
            servers: HashMap::new(),
            due: Due::new(&timers),
            effects: Vec::new(),
        }
    }

    /// How many transactions are alive.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether none is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a message that came; of a request, with its key.
    pub fn receive(
        &mut self,
        message: Message,
        key: Option<ServerKey>,
        flow: F,
        reliability: Reliability,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) {
        if !message.is_request() {
            return self.receive_response(message, now, out);
        }
        let Some(key) = key else { return };
        match message.method() {
            "ACK" => self.receive_ack(key, message, flow, now, out),
            "CANCEL" => self.receive_cancel(key, message, flow, reliability, now, out),
            method => {
                if self.is_retransmission(&key, out) {
                    return;
                }
                let machine = if method == "INVITE" {
                    ServerMachine::Invite(ServerInvite::start(reliability))
                } else {
                    ServerMachine::Other(Server::start(reliability, &self.timers, now))
                };
                let is_invite = method == "INVITE";
                self.begin_server(key.clone(), machine, flow, now);
                if is_invite {
                    // §17.2.1: within 200 ms; at once costs nothing and stops retransmissions soonest.
                    self.respond(&key, &Message::response(&message, 100, ""), now, out);
                }
                out.push(Event::Request(key, message, flow));
            }
        }
    }

    /// Whether a request with this key belongs to a transaction that lives.
    pub fn is_known(&self, key: &ServerKey) -> bool {
        self.servers.contains_key(key)
    }

    /// The transaction user answers a request. False if its transaction is over.
    pub fn respond(
        &mut self,
        key: &ServerKey,
        response: &Message,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) -> bool {
        self.step_server(key, now, out, |machine, timers, effects| match machine {
            ServerMachine::Invite(machine) => machine.respond(response, timers, now, effects),
            ServerMachine::Other(machine) => machine.respond(response, timers, now, effects),
        })
    }

    /// Sends a request, other than ACK, in a transaction of its own. Its topmost Via has a branch that is not in use, which its key has.
    pub fn request(
        &mut self,
        key: ClientKey,
        request: Message,
        flow: F,
        reliability: Reliability,
        now: Instant,
        out: &mut Vec<Event<F>>,
    ) {
        let mut effects = std::mem::take(&mut self.effects);
        let machine = if request.method() == "INVITE" {
            ClientMachine::Invite(ClientInvite::start(request, reliability, &self.timers, now, &mut effects))
        } else {
            ClientMachine::Other(Client::start(&request, reliability, &self.timers, now, &mut effects))
        };
        if let Some(at) = machine.deadline() {
            self.due.push(now, at, Key::Client(key.clone()));
        }
        self.clients.insert(key.clone(), Sent { machine, flow, reliability, wants_cancel: None });
        self.told_by_client(&key, flow, effects, out);
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
                invite.parted(&self.timers, now);
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
        self.step_client(&key, now, out, |machine, _, effects| {
            match machine {
                ClientMachine::Invite(machine) => machine.unreachable(effects),
                ClientMachine::Other(machine) => machine.unreachable(effects),
            }
            Life::IsOver
        });
    }

    /// The earliest instant at which `timeout` may have work.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first()
    }

    /// Does all that is due.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<Event<F>>) {
        while let Some((at, key)) = self.due.pop(now) {
            match key {
                Key::Client(key) => self.client_timeout(&key, at, now, out),
                Key::Server(key) => self.server_timeout(&key, at, now, out),
            }
        }
    }

    fn receive_response(&mut self, response: Message, now: Instant, out: &mut Vec<Event<F>>) {
        let Some(key) = ClientKey::of(&response) else { return };
        self.step_client(&key, now, out, |machine, timers, effects| match machine {
            ClientMachine::Invite(machine) => machine.response(response, timers, now, effects),
            ClientMachine::Other(machine) => machine.response(response, timers, now, effects),
        });
        self.cancel_if_wanted(&key, now, out);
    }

    fn cancel_if_wanted(&mut self, key: &ClientKey, now: Instant, out: &mut Vec<Event<F>>) {
        let Some(sent) = self.clients.get_mut(key) else { return };
        let ClientMachine::Invite(invite) = &mut sent.machine else { return };
        if !invite.is_proceeding() {
            return;
        }
        let Some(reason) = sent.wants_cancel.take() else { return };
        invite.cancelled(&self.timers, now);
        if let Some(at) = invite.deadline() {
            self.due.push(now, at, Key::Client(key.clone()));
        }
        let Some(mut cancel) = invite.request().map(Message::cancel) else { return };
        let (flow, reliability) = (sent.flow, sent.reliability);
        if !reason.is_empty() {
            cancel.push(Name::Reason, &reason);
        }
        if let Some(key) = ClientKey::of(&cancel) {
            self.request(key, cancel, flow, reliability, now, out);
        }
    }

    fn receive_ack(&mut self, key: ServerKey, ack: Message, flow: F, now: Instant, out: &mut Vec<Event<F>>) {
        if !self.servers.contains_key(&key) {
            if !ack.acknowledges_stateless_answer() {
                out.push(Event::Ack(ack, flow));
            }
            return;
        }
        self.step_server(&key, now, out, |machine, timers, effects| match machine {
            ServerMachine::Invite(machine) => machine.ack(ack, timers, now, effects),
            ServerMachine::Other(_) => Life::GoesOn,
        });
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
        let machine = ServerMachine::Other(Server::start(reliability, &self.timers, now));
        self.begin_server(key.clone(), machine, flow, now);
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
        let answer = match machine {
            ServerMachine::Invite(machine) => machine.retransmission(),
            ServerMachine::Other(machine) => machine.retransmission(),
        };
        out.extend(answer.map(|wire| Event::Send(*flow, wire.clone())));
        true
    }

    fn client_timeout(&mut self, key: &ClientKey, at: Instant, now: Instant, out: &mut Vec<Event<F>>) {
        // If the deadline is another, the machine went on since this entry was made; its newer one is in the heap.
        if self.clients.get(key).is_none_or(|sent| sent.machine.deadline() != Some(at)) {
            return;
        }
        self.step_client(key, now, out, |machine, timers, effects| match machine {
            ClientMachine::Invite(machine) => machine.timeout(now, effects),
            ClientMachine::Other(machine) => machine.timeout(timers, now, effects),
        });
    }

    fn server_timeout(&mut self, key: &ServerKey, at: Instant, now: Instant, out: &mut Vec<Event<F>>) {
        if self.servers.get(key).is_none_or(|(machine, _)| machine.deadline() != Some(at)) {
            return;
        }
        self.step_server(key, now, out, |machine, timers, effects| match machine {
            ServerMachine::Invite(machine) => machine.timeout(timers, now, effects),
            ServerMachine::Other(machine) => machine.timeout(now),
        });
    }

    fn begin_server(&mut self, key: ServerKey, machine: ServerMachine, flow: F, now: Instant) {
        if let Some(at) = machine.deadline() {
            self.due.push(now, at, Key::Server(key.clone()));
        }
        self.servers.insert(key, (machine, flow));
    }

    /// Lets a machine take its step, where it lies, and carries out what it asked for.
    fn step_client(
        &mut self,
        key: &ClientKey,
        now: Instant,
        out: &mut Vec<Event<F>>,
        step: impl FnOnce(&mut ClientMachine, &Timers, &mut Vec<Effect>) -> Life,
    ) {
        let Some(sent) = self.clients.get_mut(key) else { return };
        let (flow, before) = (sent.flow, sent.machine.deadline());
        let mut effects = std::mem::take(&mut self.effects);
        let life = step(&mut sent.machine, &self.timers, &mut effects);
        let after = sent.machine.deadline();
        self.told_by_client(key, flow, effects, out);
        match life {
            Life::GoesOn => self.wait(now, before, after, || Key::Client(key.clone())),
            Life::IsOver => {
                self.clients.remove(key);
                out.push(Event::Ended(key.clone()));
            }
        }
    }

    /// The same of a request that came. False if its transaction is over.
    fn step_server(
        &mut self,
        key: &ServerKey,
        now: Instant,
        out: &mut Vec<Event<F>>,
        step: impl FnOnce(&mut ServerMachine, &Timers, &mut Vec<Effect>) -> Life,
    ) -> bool {
        let Some((machine, flow)) = self.servers.get_mut(key) else { return false };
        let before = machine.deadline();
        let life = step(machine, &self.timers, &mut self.effects);
        let after = machine.deadline();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Send(wire) => out.push(Event::Send(*flow, wire)),
                Effect::PassAck(ack) => out.push(Event::Ack(ack, *flow)),
                // Nobody acknowledged: there is nobody to tell but the log.
                Effect::Pass(_) | Effect::TimedOut | Effect::Unreachable => {}
            }
        }
        match life {
            Life::GoesOn => self.wait(now, before, after, || Key::Server(key.clone())),
            Life::IsOver => drop(self.servers.remove(key)),
        }
        true
    }

    /// A deadline that did not change has its entry.
    fn wait(
        &mut self,
        now: Instant,
        before: Option<Instant>,
        after: Option<Instant>,
        key: impl FnOnce() -> Key,
    ) {
        if let Some(at) = after
            && before != after
        {
            self.due.push(now, at, key());
        }
    }

    /// What a request that we sent asks for; `effects` is left empty, and kept for the next.
    fn told_by_client(
        &mut self,
        key: &ClientKey,
        flow: F,
        mut effects: Vec<Effect>,
        out: &mut Vec<Event<F>>,
    ) {
        out.extend(effects.drain(..).map(|effect| match effect {
            Effect::Send(wire) => Event::Send(flow, wire),
            Effect::Pass(response) => Event::Response(key.clone(), response),
            Effect::PassAck(ack) => Event::Ack(ack, flow),
            Effect::TimedOut => Event::Failed(key.clone(), Failure::Timeout),
            Effect::Unreachable => Event::Failed(key.clone(), Failure::Unreachable),
        }));
        self.effects = effects;
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
