//! Server non-INVITE transaction — RFC 3261 figure 8.

use std::time::Instant;

use bytes::Bytes;

use super::{Effect, Reliability, Timers};
use crate::Message;

/// One request other than INVITE and ACK that came.
#[derive(Debug)]
pub struct Server {
    timers: Timers,
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing answered yet; a retransmission is dropped. After 64*T1 nobody waits any more (Timer F), also if it stays
    /// unanswered (RFC 4320 §4.2).
    Trying { end: Instant },
    /// Answers a retransmission with the last provisional response.
    Proceeding { last: Bytes, end: Instant },
    /// Timer J.
    Completed { last: Bytes, end: Instant },
}

impl Server {
    /// A request came.
    pub fn start(reliability: Reliability, timers: Timers, now: Instant) -> Self {
        Self { timers, reliability, state: State::Trying { end: now + timers.b } }
    }

    /// The transaction user answers.
    pub fn respond(mut self, response: &Message, now: Instant, out: &mut Vec<Effect>) -> Option<Self> {
        let (State::Trying { end } | State::Proceeding { end, .. }) = self.state else { return Some(self) };
        let wire = response.to_bytes();
        out.push(Effect::Send(wire.clone()));
        if response.status() < 200 {
            self.state = State::Proceeding { last: wire, end };
            return Some(self);
        }
        if self.reliability == Reliability::Reliable {
            // §17.2.2: Timer J is zero for reliable transports.
            return None;
        }
        self.state = State::Completed { last: wire, end: now + self.timers.b };
        Some(self)
    }

    /// The request came again.
    pub fn retransmission(&self, out: &mut Vec<Effect>) {
        match &self.state {
            State::Trying { .. } => {}
            State::Proceeding { last, .. } | State::Completed { last, .. } => {
                out.push(Effect::Send(last.clone()))
            }
        }
    }

    /// Does what is due.
    pub fn timeout(self, now: Instant) -> Option<Self> {
        match self.state {
            State::Trying { end } | State::Proceeding { end, .. } | State::Completed { end, .. }
                if now >= end =>
            {
                None
            }
            _ => Some(self),
        }
    }

    /// When `timeout` has work.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { end } | State::Proceeding { end, .. } | State::Completed { end, .. } => {
                Some(*end)
            }
        }
    }
}
