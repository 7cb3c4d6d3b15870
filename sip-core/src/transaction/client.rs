//! Client non-INVITE transaction — RFC 3261 figure 6.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Life, Reliability, Timers};
use crate::Message;

/// One request other than INVITE and ACK that was sent.
#[derive(Debug)]
pub struct Client {
    /// The request, until its last answer.
    wire: Bytes,
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Timers E and F.
    Trying { resend: Option<Instant>, interval: Duration, give_up: Instant },
    /// Timers E, at T2, and F.
    Proceeding { resend: Option<Instant>, give_up: Instant },
    /// Timer K.
    Completed { end: Instant },
}

impl Client {
    /// Sends the request.
    pub fn start(
        request: &Message,
        reliability: Reliability,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Self {
        let wire = request.to_bytes();
        out.push(Effect::Send(wire.clone()));
        let resend = (reliability == Reliability::Unreliable).then(|| now + timers.t1);
        let state = State::Trying { resend, interval: timers.t1, give_up: now + timers.b };
        Self { wire, reliability, state }
    }

    /// Whether nothing has come yet.
    pub fn is_trying(&self) -> bool {
        matches!(self.state, State::Trying { .. })
    }

    /// Takes a response.
    pub fn response(
        &mut self,
        response: Message,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Life {
        match (&self.state, response.status()) {
            (State::Trying { resend, give_up, .. } | State::Proceeding { resend, give_up }, 100..200) => {
                out.push(Effect::Pass(response));
                self.state = State::Proceeding { resend: resend.map(|_| now + timers.t2), give_up: *give_up };
            }
            (State::Trying { .. } | State::Proceeding { .. }, 200..) => {
                out.push(Effect::Pass(response));
                if self.reliability == Reliability::Reliable {
                    // §17.1.2.2: Timer K is zero for reliable transports.
                    return Life::IsOver;
                }
                self.wire = Bytes::new();
                self.state = State::Completed { end: now + timers.t4 };
            }
            _ => {}
        }
        Life::GoesOn
    }

    /// Does what is due.
    pub fn timeout(&mut self, timers: &Timers, now: Instant, out: &mut Vec<Effect>) -> Life {
        match &mut self.state {
            State::Trying { give_up, .. } | State::Proceeding { give_up, .. } if now >= *give_up => {
                out.push(Effect::TimedOut);
                return Life::IsOver;
            }
            State::Trying { resend: Some(at), interval, .. } if now >= *at => {
                out.push(Effect::Send(self.wire.clone()));
                *interval = (*interval * 2).min(timers.t2);
                *at = now + *interval;
            }
            State::Proceeding { resend: Some(at), .. } if now >= *at => {
                out.push(Effect::Send(self.wire.clone()));
                *at = now + timers.t2;
            }
            State::Completed { end } if now >= *end => return Life::IsOver,
            _ => {}
        }
        Life::GoesOn
    }

    /// The transport failed: told unless a final response is there already.
    pub fn unreachable(&self, out: &mut Vec<Effect>) {
        if !matches!(self.state, State::Completed { .. }) {
            out.push(Effect::Unreachable);
        }
    }

    /// When `timeout` has work.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { resend, give_up, .. } | State::Proceeding { resend, give_up } => {
                Some(resend.map_or(*give_up, |resend| resend.min(*give_up)))
            }
            State::Completed { end } => Some(*end),
        }
    }
}
