//! Server INVITE transaction — RFC 3261 figure 7 with RFC 6026 §7.1 (Accepted).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Reliability, Timers};
use crate::Message;

/// One INVITE that came.
#[derive(Debug)]
pub struct ServerInvite {
    timers: Timers,
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Answers a retransmission with the last provisional response.
    Proceeding { last: Option<Bytes> },
    /// Timers G (unreliable only) and H: waits for the ACK of a final response other than 2xx.
    Completed { last: Bytes, resend: Option<Instant>, interval: Duration, give_up: Instant },
    /// Timer I: absorbs further ACKs.
    Confirmed { end: Instant },
    /// Timer L (RFC 6026): absorbs the INVITE, lets every 2xx and every ACK through.
    Accepted { end: Instant },
}

impl ServerInvite {
    /// An INVITE came; 100 Trying is the transaction user's first word or ours.
    pub fn start(reliability: Reliability, timers: Timers) -> Self {
        Self { timers, reliability, state: State::Proceeding { last: None } }
    }

    /// The transaction user answers.
    pub fn respond(mut self, response: &Message, now: Instant, out: &mut Vec<Effect>) -> Option<Self> {
        self.state = match (self.state, response.status()) {
            (State::Proceeding { .. }, 100..200) => {
                let wire = response.to_bytes();
                out.push(Effect::Send(wire.clone()));
                State::Proceeding { last: Some(wire) }
            }
            (State::Proceeding { .. }, 200..300) => {
                out.push(Effect::Send(response.to_bytes()));
                State::Accepted { end: now + self.timers.b }
            }
            (State::Proceeding { .. }, _) => {
                let wire = response.to_bytes();
                out.push(Effect::Send(wire.clone()));
                let resend = (self.reliability == Reliability::Unreliable).then(|| now + self.timers.t1);
                State::Completed {
                    last: wire,
                    resend,
                    interval: self.timers.t1,
                    give_up: now + self.timers.b,
                }
            }
            (State::Accepted { end }, 200..300) => {
                out.push(Effect::Send(response.to_bytes()));
                State::Accepted { end }
            }
            (state, _) => state,
        };
        Some(self)
    }

    /// The INVITE came again.
    pub fn retransmission(&self, out: &mut Vec<Effect>) {
        match &self.state {
            State::Proceeding { last: Some(wire) } | State::Completed { last: wire, .. } => {
                out.push(Effect::Send(wire.clone()));
            }
            State::Proceeding { last: None } | State::Confirmed { .. } | State::Accepted { .. } => {}
        }
    }

    /// An ACK came.
    pub fn ack(mut self, ack: Message, now: Instant, out: &mut Vec<Effect>) -> Option<Self> {
        match self.state {
            State::Completed { .. } if self.reliability == Reliability::Reliable => return None,
            State::Completed { .. } => self.state = State::Confirmed { end: now + self.timers.t4 },
            State::Accepted { .. } => out.push(Effect::PassAck(ack)),
            State::Proceeding { .. } | State::Confirmed { .. } => {}
        }
        Some(self)
    }

    /// Whether a final response was sent.
    pub fn is_answered(&self) -> bool {
        !matches!(self.state, State::Proceeding { .. })
    }

    /// Does what is due.
    pub fn timeout(mut self, now: Instant, out: &mut Vec<Effect>) -> Option<Self> {
        let t2 = self.timers.t2;
        match &mut self.state {
            State::Completed { give_up, .. } if now >= *give_up => {
                out.push(Effect::TimedOut);
                return None;
            }
            State::Completed { last, resend: Some(at), interval, .. } if now >= *at => {
                out.push(Effect::Send(last.clone()));
                *interval = (*interval * 2).min(t2);
                *at = now + *interval;
            }
            State::Confirmed { end } | State::Accepted { end } if now >= *end => return None,
            _ => {}
        }
        Some(self)
    }

    /// When `timeout` has work.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { .. } => None,
            State::Completed { resend, give_up, .. } => {
                Some(resend.map_or(*give_up, |resend| resend.min(*give_up)))
            }
            State::Confirmed { end } | State::Accepted { end } => Some(*end),
        }
    }
}
