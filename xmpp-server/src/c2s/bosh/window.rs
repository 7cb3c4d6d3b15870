//! Which request is next, and which is answered — XEP-0124 1.11.2, "Request IDs" and "Broken Connections".
//!
//! In    requests in any order, each with its `rid`.
//! Out   their bodies in the order of their `rid`s; answers to the oldest that waits.
//! State requests that came too early, those that wait for an answer, and the last answers, for a client whose connection
//!       broke and that asks again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::body::Body;

/// The requests of one session.
pub(super) struct Window {
    /// The last `rid` whose body was taken.
    last: u64,
    hold: usize,
    wait: Duration,
    early: BTreeMap<u64, (Body, oneshot::Sender<String>)>,
    held: VecDeque<Held>,
    answered: VecDeque<(u64, String)>,
}

struct Held {
    rid: u64,
    answer: oneshot::Sender<String>,
    until: Instant,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in the window.
    Queued,
    /// It is known, and answered again or in time.
    Again,
    /// It is none of the next, nor of the last.
    OutOfWindow,
}

impl Window {
    pub(super) fn new(first: u64, hold: usize, wait: u64) -> Self {
        Self {
            last: first.saturating_sub(1),
            hold,
            wait: Duration::from_secs(wait),
            early: BTreeMap::new(),
            held: VecDeque::new(),
            answered: VecDeque::new(),
        }
    }

    /// How many requests may be under way at once.
    fn requests(&self) -> u64 {
        self.hold as u64 + 1
    }

    pub(super) fn take(&mut self, body: Body, answer: oneshot::Sender<String>, now: Instant) -> Taken {
        let rid = body.rid;
        if rid > self.last {
            if rid - self.last > self.requests() {
                // Who waits for this answer learns of the end like everybody.
                self.held.push_back(Held { rid, answer, until: now });
                return Taken::OutOfWindow;
            }
            self.early.insert(rid, (body, answer));
            return Taken::Queued;
        }
        if let Some((_, text)) = self.answered.iter().find(|(known, _)| *known == rid) {
            let _ = answer.send(text.clone()); // whose connection broke again asks again
            return Taken::Again;
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.rid == rid) {
            held.answer = answer; // the earlier connection is gone
            return Taken::Again;
        }
        self.held.push_back(Held { rid, answer, until: now });
        Taken::OutOfWindow
    }

    /// The body of the next request in order, which waits for its answer from now on.
    pub(super) fn next(&mut self, now: Instant) -> Option<Body> {
        let rid = self.last + 1;
        let (body, answer) = self.early.remove(&rid)?;
        self.last = rid;
        self.held.push_back(Held { rid, answer, until: now + self.wait });
        Some(body)
    }

    /// Whether a request waits for an answer.
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether more wait than are to wait.
    pub(super) fn has_too_many(&self) -> bool {
        self.held.len() > self.hold
    }

    /// When the oldest is to be answered at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }

    /// Answers the oldest, and remembers the answer if it is one that may be asked for again.
    pub(super) fn answer(&mut self, is_kept: bool, text: &mut dyn FnMut(u64) -> String) {
        let Some(held) = self.held.pop_front() else { return };
        let text = text(held.rid);
        if is_kept {
            self.answered.push_back((held.rid, text.clone()));
            while self.answered.len() as u64 > self.requests() {
                self.answered.pop_front();
            }
        }
        let _ = held.answer.send(text); // whose connection broke asks again
    }

    /// Those that came too early are told that there will be no more.
    pub(super) fn refuse_waiting(&mut self, text: impl Fn() -> String) {
        for (_, (_, answer)) in std::mem::take(&mut self.early) {
            let _ = answer.send(text()); // nobody may be there
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(rid: u64) -> Body {
        Body::parse(&format!("<body xmlns='http://jabber.org/protocol/httpbind' rid='{rid}' sid='s'/>"))
            .unwrap()
    }

    fn ask(window: &mut Window, rid: u64) -> (Taken, oneshot::Receiver<String>) {
        let (answer, answered) = oneshot::channel();
        (window.take(body(rid), answer, Instant::now()), answered)
    }

    #[test]
    fn bodies_come_in_the_order_of_their_ids() {
        let mut window = Window::new(10, 1, 60);
        let now = Instant::now();
        assert_eq!(ask(&mut window, 11).0, Taken::Queued);
        assert!(window.next(now).is_none() && !window.is_held(), "the first is missing");
        assert_eq!(ask(&mut window, 10).0, Taken::Queued);
        assert_eq!((window.next(now).unwrap().rid, window.next(now).unwrap().rid), (10, 11));
        assert!(window.next(now).is_none() && window.has_too_many());
        assert_eq!(ask(&mut window, 14).0, Taken::OutOfWindow);
        assert_eq!(ask(&mut window, 9).0, Taken::OutOfWindow);
    }

    #[test]
    fn an_answer_is_given_again_to_who_asks_again() {
        let mut window = Window::new(1, 1, 60);
        let now = Instant::now();
        let (_, mut lost) = ask(&mut window, 1);
        window.next(now);
        let (taken, mut again) = ask(&mut window, 1);
        assert_eq!(taken, Taken::Again);
        window.answer(true, &mut |rid| format!("to {rid}"));
        assert!(lost.try_recv().is_err());
        assert_eq!(again.try_recv().unwrap(), "to 1");
        assert_eq!(ask(&mut window, 1).1.try_recv().unwrap(), "to 1");
        for rid in 2..5 {
            ask(&mut window, rid);
            window.next(now);
            window.answer(true, &mut |rid| format!("to {rid}"));
        }
        assert_eq!(ask(&mut window, 1).0, Taken::OutOfWindow, "nobody keeps answers for ever");
    }
}
