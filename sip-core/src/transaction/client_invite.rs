//! Client INVITE transaction — RFC 3261 figure 5 with RFC 6026 §7.2 (Accepted).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Effect, Life, Reliability, Timers};
use crate::Message;

/// One INVITE that was sent.
#[derive(Debug)]
pub struct ClientInvite {
    /// Until its last answer: its CANCEL and its ACK are made of it.
    request: Option<Box<Message>>,
    reliability: Reliability,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Timers A (retransmission, unreliable only) and B.
    Calling { wire: Bytes, resend: Option<Instant>, interval: Duration, give_up: Instant },
    /// The transaction user bounds this state (Timer C), until it cancels: then 64*T1 do (§9.1). More than 100 says that
    /// somebody has it.
    Proceeding { end: Option<Instant>, is_taken: bool, is_cancelled: bool },
    /// Timer D. Each retransmission of the final response is answered by the same ACK.
    Completed { ack: Bytes, end: Instant },
    /// Timer M (RFC 6026). Every 2xx is passed up.
    Accepted { end: Instant },
}

impl ClientInvite {
    /// Sends the INVITE.
    pub fn start(
        request: Message,
        reliability: Reliability,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Self {
        let wire = request.to_bytes();
        out.push(Effect::Send(wire.clone()));
        let resend = (reliability == Reliability::Unreliable).then(|| now + timers.t1);
        let state = State::Calling { wire, resend, interval: timers.t1, give_up: now + timers.b };
        Self { request: Some(Box::new(request)), reliability, state }
    }

    /// Whether a provisional response has come, so that a CANCEL may be sent (§9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether nothing has come yet.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// Whether somebody said more than 100, and no last word.
    pub fn is_taken(&self) -> bool {
        matches!(self.state, State::Proceeding { is_taken: true, .. })
    }

    /// It was cancelled: who does not even say so has gone (§9.1).
    pub fn cancelled(&mut self, timers: &Timers, now: Instant) {
        if let State::Proceeding { end, is_cancelled, .. } = &mut self.state {
            (*end, *is_cancelled) = (Some(now + timers.b), true);
        }
    }

    /// The connection that it went by is gone. Who has it says so once a minute (§13.3.1.1), by another: who does not has gone, too.
    pub fn parted(&mut self, timers: &Timers, now: Instant) {
        if let State::Proceeding { end, .. } = &mut self.state {
            end.get_or_insert(now + 2 * timers.b);
        }
    }

    /// The INVITE as it was sent, until its last answer.
    pub fn request(&self) -> Option<&Message> {
        self.request.as_deref()
    }

    /// Takes a response.
    pub fn response(
        &mut self,
        response: Message,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Effect>,
    ) -> Life {
        match (&mut self.state, response.status()) {
            (State::Calling { .. }, status @ 100..200) => {
                out.push(Effect::Pass(response));
                self.state = State::Proceeding { end: None, is_taken: status > 100, is_cancelled: false };
            }
            (State::Proceeding { end, is_taken, is_cancelled }, status @ 100..200) => {
                out.push(Effect::Pass(response));
                *end = end.filter(|_| *is_cancelled);
                *is_taken |= status > 100;
            }
            (State::Calling { .. } | State::Proceeding { .. }, 200..300) => {
                out.push(Effect::Pass(response));
                self.request = None;
                self.state = State::Accepted { end: now + timers.b };
            }
            (State::Calling { .. } | State::Proceeding { .. }, 300..) => {
                let Some(request) = self.request.take() else { return Life::IsOver };
                let ack = Message::ack(&request, &response).to_bytes();
                out.push(Effect::Send(ack.clone()));
                out.push(Effect::Pass(response));
                if self.reliability == Reliability::Reliable {
                    // §17.1.1.2: Timer D is zero for reliable transports.
                    return Life::IsOver;
                }
                self.state = State::Completed { ack, end: now + timers.d };
            }
            (State::Completed { ack, .. }, 300..) => out.push(Effect::Send(ack.clone())),
            (State::Accepted { .. }, 200..300) => out.push(Effect::Pass(response)),
            _ => {}
        }
        Life::GoesOn
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<Effect>) -> Life {
        match &mut self.state {
            State::Calling { give_up: end, .. } | State::Proceeding { end: Some(end), .. } if now >= *end => {
                out.push(Effect::TimedOut);
                return Life::IsOver;
            }
            State::Calling { wire, resend: Some(at), interval, .. } if now >= *at => {
                out.push(Effect::Send(wire.clone()));
                *interval *= 2;
                *at = now + *interval;
            }
            State::Completed { end, .. } | State::Accepted { end } if now >= *end => return Life::IsOver,
            _ => {}
        }
        Life::GoesOn
    }

    /// The transport failed: told unless a final response is there already (§17.1.4).
    pub fn unreachable(&self, out: &mut Vec<Effect>) {
        if let State::Calling { .. } | State::Proceeding { .. } = self.state {
            out.push(Effect::Unreachable);
        }
    }

    /// When `timeout` has work.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { resend, give_up, .. } => {
                Some(resend.map_or(*give_up, |resend| resend.min(*give_up)))
            }
            State::Proceeding { end, .. } => *end,
            State::Completed { end, .. } | State::Accepted { end } => Some(*end),
        }
    }
}
