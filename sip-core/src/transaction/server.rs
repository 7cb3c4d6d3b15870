//! Server non-INVITE transaction — RFC 3261 figure 8.

use std::time::Instant;

use bytes::Bytes;

use super::{Effect, Life, Reliability, Timers};
use crate::Message;

/// One request other than INVITE and ACK that came.
#[derive(Debug)]
pub struct Server {
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
    pub fn start(reliability: Reliability, timers: &Timers, now: Instant) -> Self {
        Self { reliability, state: State::Trying { end: now + timers.b } }
    }

    /// The transaction user answers.
    pub fn respond(
        &mut self,
        response: &Message,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Life {
        let (State::Trying { end } | State::Proceeding { end, .. }) = self.state else { return Life::GoesOn };
        let wire = response.to_bytes();
        out.push(Effect::Send(wire.clone()));
        if response.status() < 200 {
            self.state = State::Proceeding { last: wire, end };
            return Life::GoesOn;
        }
        if self.reliability == Reliability::Reliable {
            // §17.2.2: Timer J is zero for reliable transports.
            return Life::IsOver;
        }
        self.state = State::Completed { last: wire, end: now + timers.b };
        Life::GoesOn
    }

    /// The request came again: what answers it, if anything.
    pub fn retransmission(&self) -> Option<&Bytes> {
        match &self.state {
            State::Trying { .. } => None,
            State::Proceeding { last, .. } | State::Completed { last, .. } => Some(last),
        }
    }

    /// Does what is due.
    pub fn timeout(&self, now: Instant) -> Life {
        if now >= self.end() { Life::IsOver } else { Life::GoesOn }
    }

    /// When `timeout` has work.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.end())
    }

    fn end(&self) -> Instant {
        let (State::Trying { end } | State::Proceeding { end, .. } | State::Completed { end, .. }) =
            &self.state;
        *end
    }
}
