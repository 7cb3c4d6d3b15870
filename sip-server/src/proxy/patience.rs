//! How long a forwarded request is waited for — RFC 3261 §16.6 item 11 and §16.8 (Timer C), and how long a phone may ring.
//!
//! In    the beginning of a round of branches, what they say, the beginning of their end. Out the next deadline.

use std::time::{Duration, Instant};

use sip_core::Message;
use sip_endpoint::{Answer, Flow, Transport};

use crate::config::TimerConfig;
use crate::in_dialog::address;
use crate::server::Server;

/// Ends then, or never.
pub(super) async fn over(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// Whether a caller hears an answer by the connection that its request came over and by no other (RFC 7118 §5, RFC 5626 §5.3): that of
/// a browser, or one from behind a NAT. Others are called back at their Via (RFC 3261 §18.2.2).
pub(super) fn is_tied(request: &Message, flow: &Flow) -> bool {
    let Some(via) = request.top_via().filter(|_| flow.transport.is_stream()) else { return false };
    let is_browser = matches!(flow.transport, Transport::Ws | Transport::Wss);
    let is_nowhere = via.host.to_ascii_lowercase().ends_with(".invalid");
    let is_elsewhere = address(via.host).is_some_and(|ip| ip != flow.remote.ip().to_canonical());
    is_browser || is_nowhere || is_elsewhere
}

/// Ends when something does, if there is something.
pub(super) async fn ended(what: Option<&mut (impl Future<Output = ()> + Unpin)>) {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

/// Ends when a connection has been closed for a while: its caller gives up, or is not there any more.
pub(super) async fn gone(server: &Server, flow: &Flow) {
    let mut looks = 0;
    while looks < LOOKS {
        tokio::time::sleep(LOOK).await;
        looks = if server.endpoint().is_open(flow) { 0 } else { looks + 1 };
    }
}

/// The clock of one forwarded request.
pub(crate) struct Patience {
    /// How long a round may last, if others than Timer C bound it.
    round: Duration,
    /// Timer C, from the last provisional response on.
    c: Option<Duration>,
    /// How long branches have to end once they are cancelled.
    end: Duration,
    round_ends: Instant,
    c_fires: Option<Instant>,
    is_ending: bool,
}

impl Patience {
    /// The first round begins. `rings`: at devices of a callee of ours.
    pub(crate) fn new(timers: &TimerConfig, is_invite: bool, rings: bool, now: Instant) -> Self {
        // Timer C is for INVITE alone; for others Timer F is the branches' own.
        let (round, c) = match (is_invite, rings) {
            (true, true) => (timers.no_answer, Some(timers.c)),
            (true, false) => (LONGEST, Some(timers.c)),
            (false, _) => (timers.b + SLACK, None),
        };
        let c_fires = c.map(|c| now + c);
        Self { round, c, end: timers.b, round_ends: now + round, c_fires, is_ending: false }
    }

    /// Other branches were started.
    pub(crate) fn round(&mut self, now: Instant) {
        self.round_ends = now + self.round;
        self.c_fires = self.c.map(|c| now + c);
        self.is_ending = false;
    }

    /// §16.7, item 2: a provisional response other than 100 begins Timer C anew.
    pub(crate) fn heard(&mut self, answer: &Answer, now: Instant) {
        if let Answer::Response(response) = answer
            && (101..200).contains(&response.status())
            && !self.is_ending
        {
            self.c_fires = self.c.map(|c| now + c);
        }
    }

    /// Branches were cancelled, and have 64*T1 to say so (§9.1).
    pub(crate) fn ending(&mut self, now: Instant) {
        self.round_ends = now + self.end;
        self.c_fires = None;
        self.is_ending = true;
    }

    /// Branches were cancelled since nobody answered: who lost their network keeps the caller neither from others that are to be tried nor
    /// from hearing of it (§16.8). What is said of the first later counts all the same, as long as others are tried.
    pub(crate) fn ending_round(&mut self, now: Instant) {
        self.ending(now);
        self.round_ends = now + self.end.min(LAST_WORDS);
    }

    /// Whether branches were cancelled in this round.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// When time is up.
    pub(crate) fn deadline(&self) -> Instant {
        self.c_fires.map_or(self.round_ends, |c| c.min(self.round_ends))
    }
}

/// How long somebody else may ring who says so again and again.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How long branches have to say that they ended, where others wait for their turn.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a caller's connection is looked at, and how often in a row it is closed until it counts as gone.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 3;
/// How much longer than Timer F we wait for it to be told.
const SLACK: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ringing_phone_puts_timer_c_off_but_not_the_end_of_its_round() {
        let (seconds, start) = (Duration::from_secs, Instant::now());
        let ringing =
            Answer::Response(Box::new(Message::response(&Message::request("INVITE", "sip:b@x"), 180, "")));
        let timers = TimerConfig { c: seconds(180), no_answer: seconds(300), ..TimerConfig::default() };
        let mut patience = Patience::new(&timers, true, true, start);
        assert_eq!(patience.deadline() - start, seconds(180));
        patience.heard(&ringing, start + seconds(100));
        assert_eq!(patience.deadline() - start, seconds(280));
        patience.heard(&ringing, start + seconds(200));
        assert_eq!(patience.deadline() - start, seconds(300));
        patience.ending(start + seconds(200));
        patience.heard(&ringing, start + seconds(201));
        assert!(patience.is_ending());
        assert_eq!(patience.deadline() - start, seconds(232));
        patience.ending_round(start + seconds(202));
        assert!(patience.is_ending());
        assert_eq!(patience.deadline() - start, seconds(204), "others wait for their turn");
    }

    #[test]
    fn a_carrier_that_says_again_that_it_rings_is_not_cut_short() {
        let (seconds, start) = (Duration::from_secs, Instant::now());
        let queued =
            Answer::Response(Box::new(Message::response(&Message::request("INVITE", "sip:b@x"), 182, "")));
        let timers = TimerConfig::default();
        let mut patience = Patience::new(&timers, true, false, start);
        assert!(
            timers.no_answer < seconds(100) && patience.deadline() - start > seconds(180),
            "§16.6, item 11"
        );
        patience.heard(&queued, start + seconds(100));
        assert!(patience.deadline() - start > seconds(280));
    }

    #[test]
    fn other_requests_wait_for_timer_f() {
        let start = Instant::now();
        let patience = Patience::new(&TimerConfig::default(), false, false, start);
        assert_eq!(patience.deadline() - start, Duration::from_secs(35));
    }
}
