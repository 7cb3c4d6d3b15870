//! Server INVITE transaction — RFC 3261 figure 7 with RFC 6026 §7.1 (Accepted).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Life, Reliability, Timers};
use crate::Message;

/// One INVITE that came.
#[derive(Debug)]
pub struct ServerInvite {
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
    pub fn start(reliability: Reliability) -> Self {
        Self { reliability, state: State::Proceeding { last: None } }
    }

    /// The transaction user answers.
    pub fn respond(
        &mut self,
        response: &Message,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Life {
        match (&mut self.state, response.status()) {
            (State::Proceeding { last }, 100..200) => {
                let wire = response.to_bytes();
                out.push(Effect::Send(wire.clone()));
                *last = Some(wire);
            }
            (State::Proceeding { .. }, 200..300) => {
                out.push(Effect::Send(response.to_bytes()));
                self.state = State::Accepted { end: now + timers.b };
            }
            (State::Proceeding { .. }, _) => {
                let wire = response.to_bytes();
                out.push(Effect::Send(wire.clone()));
                let resend = (self.reliability == Reliability::Unreliable).then(|| now + timers.t1);
                let (interval, give_up) = (timers.t1, now + timers.b);
                self.state = State::Completed { last: wire, resend, interval, give_up };
            }
            (State::Accepted { .. }, 200..300) => out.push(Effect::Send(response.to_bytes())),
            _ => {}
        }
        Life::GoesOn
    }

    /// The INVITE came again: what answers it, if anything.
    pub fn retransmission(&self) -> Option<&Bytes> {
        match &self.state {
            State::Proceeding { last } => last.as_ref(),
            State::Completed { last, .. } => Some(last),
            State::Confirmed { .. } | State::Accepted { .. } => None,
        }
    }

    /// An ACK came.
    pub fn ack(&mut self, ack: Message, timers: &Timers, now: Instant, out: &mut Vec<Effect>) -> Life {
        match self.state {
            State::Completed { .. } if self.reliability == Reliability::Reliable => return Life::IsOver,
            State::Completed { .. } => self.state = State::Confirmed { end: now + timers.t4 },
            State::Accepted { .. } => out.push(Effect::PassAck(ack)),
            State::Proceeding { .. } | State::Confirmed { .. } => {}
        }
        Life::GoesOn
    }

    /// Whether a final response was sent.
    pub fn is_answered(&self) -> bool {
        !matches!(self.state, State::Proceeding { .. })
    }

    /// Does what is due.
    pub fn timeout(&mut self, timers: &Timers, now: Instant, out: &mut Vec<Effect>) -> Life {
        match &mut self.state {
            State::Completed { give_up, .. } if now >= *give_up => {
                out.push(Effect::TimedOut);
                return Life::IsOver;
            }
            State::Completed { last, resend: Some(at), interval, .. } if now >= *at => {
                out.push(Effect::Send(last.clone()));
                *interval = (*interval * 2).min(timers.t2);
                *at = now + *interval;
            }
            State::Confirmed { end } | State::Accepted { end } if now >= *end => return Life::IsOver,
            _ => {}
        }
        Life::GoesOn
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
