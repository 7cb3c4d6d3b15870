//! Stream management — XEP-0198 1.6.3, sections 3 (enable), 4 (acks), 5 (resumption), 6 (errors).
//!
//! ```text
//! push ─▶ [ waits for an ack ] ─ acknowledge(h) ─▶ done
//!                   └──────────── the stream is lost ─▶ sent again after <resumed/>, or handled as undeliverable
//! ```
//!
//! In    commands of the peer ([`Command::parse`]); what is sent, one by one.
//! Out   what an ack sets free; whether an ack is to be asked for; the elements of the protocol, printed.
//! State how much was sent (modulo 2³²), and what of it is not acked yet, in order.
//! Errors [`TooHigh`]: an ack of more than was sent.
//! Not here: the bound of the queue, time, and what becomes of what nobody acked.

use std::collections::VecDeque;

use crate::ns;
use crate::stanza::ErrorKind;
use crate::xml::{Element, Head};

/// What a client says about the management of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begins (§3).
    Enable {
        /// Whether the stream shall be resumable.
        resume: bool,
        /// For how many seconds at most, if the client says so.
        max: Option<u32>,
    },
    /// Goes on with an earlier stream (§5).
    Resume {
        /// The id that the earlier stream was given.
        previd: String,
        /// How many stanzas the client had of us.
        h: u32,
    },
    /// Asks how many of its stanzas we have (§4).
    Ask,
    /// Says how many of ours it has (§4).
    Ack(u32),
}

impl Command {
    /// Reads an element of this namespace; the error says what to answer in `<failed/>`.
    pub fn parse(head: &Head) -> Result<Self, ErrorKind> {
        let number = |name: &str| head.attribute(name).map(str::parse::<u32>);
        let h = || number("h").and_then(Result::ok).ok_or(ErrorKind::BadRequest);
        match head.name.as_str() {
            "enable" => {
                let resume = matches!(head.attribute("resume"), Some("true" | "1"));
                Ok(Self::Enable { resume, max: number("max").and_then(Result::ok) })
            }
            "resume" => {
                let previd = head.attribute("previd").ok_or(ErrorKind::BadRequest)?.to_owned();
                Ok(Self::Resume { previd, h: h()? })
            }
            "r" => Ok(Self::Ask),
            "a" => Ok(Self::Ack(h()?)),
            _ => Err(ErrorKind::FeatureNotImplemented),
        }
    }
}

/// What whoever takes stanzas says about the management of a stream that we opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It counts from here on (§3), and knows the stream under this id, if it says one.
    Enabled {
        /// The id.
        id: Option<String>,
    },
    /// An earlier stream goes on (§5); so many stanzas of it were handled.
    Resumed {
        /// How many.
        h: u32,
    },
    /// It does not; how many stanzas were handled, if that is still known.
    Failed {
        /// How many.
        h: Option<u32>,
    },
}

impl Reply {
    /// Reads an element of this namespace, if it is one of these.
    pub fn parse(head: &Head) -> Option<Self> {
        let h = || head.attribute("h").and_then(|h| h.parse().ok());
        match head.name.as_str() {
            "enabled" => {
                let id = head.attribute("id").filter(|id| (1..=LONGEST_ID).contains(&id.len()));
                Some(Self::Enabled { id: id.map(str::to_owned) })
            }
            "resumed" => Some(Self::Resumed { h: h()? }),
            "failed" => Some(Self::Failed { h: h() }),
            _ => None,
        }
    }
}

/// An ack of more than was sent (§6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooHigh {
    /// What was acked.
    pub h: u32,
    /// What was sent.
    pub sent: u32,
}

/// What was sent on a managed stream, and what of it waits for an ack.
#[derive(Debug)]
pub struct Unacked<T> {
    sent: u32,
    queue: VecDeque<T>,
    /// How much was sent when an ack was last asked for and not given yet.
    asked: Option<u32>,
}

impl<T> Default for Unacked<T> {
    fn default() -> Self {
        Self { sent: 0, queue: VecDeque::new(), asked: None }
    }
}

impl<T> Unacked<T> {
    /// One stanza is sent, or would be if there were a connection.
    pub fn push(&mut self, item: T) {
        self.sent = self.sent.wrapping_add(1);
        self.queue.push_back(item);
    }

    /// How many stanzas wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What waits, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.queue.iter()
    }

    /// What waits, the oldest first, to note what became of it.
    pub fn waiting_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.queue.iter_mut()
    }

    /// Takes an ack, and answers what it sets free. An ack older than the last one sets nothing free.
    pub fn acknowledge(&mut self, h: u32) -> Result<Vec<T>, TooHigh> {
        let waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        let acked = self.sent.wrapping_sub(waiting);
        let news = h.wrapping_sub(acked);
        if news > waiting {
            // Behind the last ack by less than half of all numbers: an old one. Ahead: a false one.
            let is_old = acked.wrapping_sub(h) < u32::MAX / 2 && acked >= h;
            return if is_old { Ok(Vec::new()) } else { Err(TooHigh { h, sent: self.sent }) };
        }
        if self.asked.is_some_and(|asked| h.wrapping_sub(asked) <= u32::MAX / 2) {
            self.asked = None;
        }
        Ok(self.queue.drain(..news as usize).collect())
    }

    /// Whether an ack is to be asked for now: something waits, and no question is under way.
    pub fn ask(&mut self) -> bool {
        if self.queue.is_empty() || self.asked.is_some() {
            return false;
        }
        self.asked = Some(self.sent);
        true
    }

    /// Asks though nothing waits, to learn whether the peer is there; false if a question is under way.
    pub fn ask_anyway(&mut self) -> bool {
        if self.asked.is_some() {
            return false;
        }
        self.asked = Some(self.sent);
        true
    }

    /// Whether a question is under way.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// The connection is another one: a question on the old one is not answered any more.
    pub fn reconnected(&mut self) {
        self.asked = None;
    }

    /// Takes out all that waits.
    pub fn take(&mut self) -> Vec<T> {
        self.queue.drain(..).collect()
    }
}

/// `<r/>`.
pub const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// `<a/>`: how many stanzas of the peer were handled.
pub fn ack(h: u32) -> String {
    print(&Element::new("a", ns::SM).with("h", h))
}

/// `<enabled/>`; with an id and seconds where the stream can be resumed.
pub fn enabled(resumable: Option<(&str, u64)>) -> String {
    let enabled = Element::new("enabled", ns::SM);
    print(&match resumable {
        Some((id, max)) => enabled.with("id", id).with("resume", "true").with("max", max),
        None => enabled,
    })
}

/// `<enabled/>` for a stream that is not resumed, and whose count is told to who asks for this id (§3, example 10).
pub fn counted(id: &str) -> String {
    print(&Element::new("enabled", ns::SM).with("id", id))
}

/// `<enable/>`, for a stream that is not to be resumed.
pub const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";

/// `<resume/>`.
pub fn resume(previd: &str, h: u32) -> String {
    print(&Element::new("resume", ns::SM).with("previd", previd).with("h", h))
}

/// `<resumed/>`.
pub fn resumed(previd: &str, h: u32) -> String {
    print(&Element::new("resumed", ns::SM).with("previd", previd).with("h", h))
}

/// `<failed/>`, with the number of stanzas that were handled if that is still known.
pub fn failed(why: ErrorKind, h: Option<u32>) -> Element {
    Element::new("failed", ns::SM).with_some("h", h).child(Element::new(why.as_str(), ns::STANZAS))
}

fn print(element: &Element) -> String {
    let mut out = String::new();
    element.print(ns::CLIENT, &mut out);
    out
}

/// Bytes of an id (§3).
const LONGEST_ID: usize = 4000;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(count: u32) -> Unacked<u32> {
        let mut unacked = Unacked::default();
        (1..=count).for_each(|n| unacked.push(n));
        unacked
    }

    #[test]
    fn an_ack_sets_free_what_it_counts_and_no_more() {
        let mut unacked = sent(5);
        assert_eq!(unacked.acknowledge(2), Ok(vec![1, 2]));
        assert_eq!(unacked.acknowledge(2), Ok(vec![]));
        assert_eq!(unacked.acknowledge(1), Ok(vec![]), "an old ack");
        assert_eq!(unacked.acknowledge(6), Err(TooHigh { h: 6, sent: 5 }));
        assert_eq!(unacked.waiting().copied().collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(unacked.acknowledge(5), Ok(vec![3, 4, 5]));
        assert!(unacked.is_empty());
    }

    #[test]
    fn counters_wrap_at_two_to_the_32() {
        let mut unacked = Unacked { sent: u32::MAX - 1, queue: VecDeque::new(), asked: None };
        (1..=4).for_each(|n| unacked.push(n));
        assert_eq!(unacked.acknowledge(u32::MAX), Ok(vec![1]));
        assert_eq!(unacked.acknowledge(1), Ok(vec![2, 3]));
        assert_eq!(unacked.acknowledge(3), Err(TooHigh { h: 3, sent: 2 }));
    }

    #[test]
    fn asks_once_until_it_is_answered() {
        let mut unacked = sent(2);
        assert!(unacked.ask() && !unacked.ask());
        unacked.push(3);
        unacked.acknowledge(1).unwrap();
        assert!(!unacked.ask(), "the answer to the question is at least 2");
        unacked.acknowledge(2).unwrap();
        assert!(unacked.ask());
        unacked.acknowledge(3).unwrap();
        assert!(!unacked.ask(), "nothing waits");
    }

    #[test]
    fn reads_commands_and_says_what_is_wrong_with_them() {
        let parse = |name: &str, attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let head = Head { name: name.into(), ns: ns::SM.into(), attributes, prefixes: String::new() };
            Command::parse(&head)
        };
        assert_eq!(parse("enable", &[("resume", "1")]), Ok(Command::Enable { resume: true, max: None }));
        assert_eq!(parse("enable", &[("max", "9")]), Ok(Command::Enable { resume: false, max: Some(9) }));
        assert_eq!(parse("a", &[("h", "7")]), Ok(Command::Ack(7)));
        assert_eq!(parse("a", &[]), Err(ErrorKind::BadRequest));
        assert_eq!(parse("resume", &[("h", "-1"), ("previd", "x")]), Err(ErrorKind::BadRequest));
    }
}
