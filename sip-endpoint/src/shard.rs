//! A shard: one task that owns a part of the transactions. Messages of one transaction always reach the same shard.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sip_core::Message;
use sip_core::transaction::{ClientKey, Event, Failure, ServerKey, Timers, Transactions};
use tokio::sync::mpsc;

use crate::application::{Application, Cancelled, Incoming, ServerHandle};
use crate::flow::Flow;
use crate::metrics::Metrics;
use crate::sent::{Answer, ReplyTo};
use crate::transport::Wires;

/// What a shard is told.
pub(crate) enum Input {
    /// A message came.
    Message(Box<Message>, Flow),
    /// The application answers a request.
    Respond(ServerKey, Box<Message>),
    /// The application sends a request.
    Request(Box<Message>, Flow, ReplyTo),
    /// The application cancels its INVITE, for this Reason.
    Cancel(ClientKey, String),
    /// A connection is closed.
    FlowLost(Flow),
}

/// What a shard needs besides its transactions.
pub(crate) struct Shard {
    pub(crate) application: Arc<dyn Application>,
    pub(crate) wires: Arc<Wires>,
    pub(crate) metrics: Metrics,
    pub(crate) inbox: mpsc::Sender<Input>,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    /// With the flow that the request went by.
    answers: HashMap<ClientKey, (ReplyTo, Flow)>,
    cancels: HashMap<ServerKey, Arc<Cancelled>>,
}

impl Shard {
    pub(crate) async fn run(self, timers: Timers, mut inputs: mpsc::Receiver<Input>) {
        let mut transactions = Transactions::new(timers);
        let mut waiting = Waiting::default();
        let mut events = Vec::new();
        let mut counted = 0;
        loop {
            let deadline = transactions.deadline().map(tokio::time::Instant::from_std);
            let input = tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => Some(input),
                    None => return,
                },
                () = sleep_until(deadline) => None,
            };
            let now = Instant::now();
            match input {
                Some(input) => take(&mut transactions, &mut waiting, input, now, &mut events),
                None => transactions.timeout(now, &mut events),
            }
            for event in events.drain(..) {
                self.carry_out(event, &mut waiting);
            }
            let live = i64::try_from(transactions.len()).unwrap_or(i64::MAX);
            self.metrics.transactions.add(live - std::mem::replace(&mut counted, live));
        }
    }

    fn carry_out(&self, event: Event<Flow>, waiting: &mut Waiting) {
        match event {
            Event::Send(flow, bytes) => self.wires.send(flow, bytes),
            Event::Request(key, request, flow) => {
                let cancelled = Arc::new(Cancelled::default());
                if request.method() == "INVITE" {
                    waiting.cancels.insert(key.clone(), Arc::clone(&cancelled));
                }
                let server = ServerHandle { key, shard: self.inbox.clone(), cancelled };
                self.application.request(Incoming { request, flow, server });
            }
            Event::Ack(ack, flow) => self.application.ack(ack, flow),
            Event::Cancelled(key, reason) => {
                if let Some(cancelled) = waiting.cancels.get(&key) {
                    cancelled.tell(reason);
                }
            }
            Event::Response(key, response) => {
                // Nobody waits for the answer to a CANCEL.
                let Some((reply, flow)) = waiting.answers.get(&key) else { return };
                let answer = Answer::Response(Box::new(response));
                if let Err(mpsc::error::TrySendError::Closed((_, Answer::Response(response)))) =
                    reply.queue.try_send((reply.tag, answer))
                    && (200..300).contains(&response.status())
                {
                    // Whoever sent the request has gone on; a 2xx that comes again still finds its way.
                    self.application.stray(*response, *flow);
                }
            }
            Event::Stray(response, flow) => self.application.stray(response, flow),
            Event::Failed(key, failure) => {
                if let Some((reply, _)) = waiting.answers.get(&key) {
                    // An error says that nobody waits any more.
                    let _ = reply.queue.try_send((reply.tag, Answer::Failed(failure)));
                }
            }
            Event::Ended(key) => {
                waiting.answers.remove(&key);
            }
        }
    }
}

fn take(
    transactions: &mut Transactions<Flow>,
    waiting: &mut Waiting,
    input: Input,
    now: Instant,
    events: &mut Vec<Event<Flow>>,
) {
    match input {
        Input::Message(message, flow) => {
            transactions.receive(*message, flow, flow.transport.reliability(), now, events);
        }
        Input::Respond(key, response) => {
            if response.status() >= 200 {
                waiting.cancels.remove(&key);
            }
            transactions.respond(&key, &response, now, events);
        }
        Input::Request(request, flow, reply) => {
            if let Some(key) = ClientKey::of(&request) {
                waiting.answers.insert(key, (reply.clone(), flow));
            }
            if transactions.request(*request, flow, flow.transport.reliability(), now, events).is_none() {
                // An error says that nobody waits any more.
                let _ = reply.queue.try_send((reply.tag, Answer::Failed(Failure::Unreachable)));
            }
        }
        Input::Cancel(key, reason) => transactions.cancel(&key, &reason, now, events),
        Input::FlowLost(flow) => transactions.flow_lost(flow, events),
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
