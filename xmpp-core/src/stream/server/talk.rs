//! What may be said on a stream between servers, once it is negotiated — RFC 6120 §8.1.2.2, §8.1.1.2, XEP-0220 §2.2, §2.6,
//! XEP-0288 §2.2, XEP-0198 §4. The same on both sides; which pairs are proven makes the difference.
//!
//! ```text
//! pair unknown ─ key ─▶ asked ─ valid ─▶ proven: its stanzas are taken
//!      ▲                  └── invalid, error ──┘
//! ```
//!
//! In    elements. Out [`Said`].
//! State the pairs whose stanzas are taken, and those whose key is being judged; their number is bounded.
//! Errors `invalid-from` for a stanza of a domain that proved nothing here, `improper-addressing` for one that lacks an
//!        address or is for a domain that is not of the pair. Verdicts that nobody asked for are dropped (XEP-0220 §3.1).

use bytes::Bytes;

use super::Pair;
use super::dialback::{Dialback, Step, Verdict, What};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{ErrorKind, ParseError, Stanza, StanzaError};
use crate::stream::management::{Command, Reply};
use crate::stream::{StreamCondition, StreamError};
use crate::xml::Head;

/// What the other server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A stanza of a proven pair, or why it is to be answered with an error.
    Stanza(Box<Stanza>, Option<StanzaError>),
    /// It wants to speak for a domain, and shows a key: to be answered by [`Talk::judge`].
    Key {
        /// For whom, to whom.
        pair: Pair,
        /// The key.
        key: String,
    },
    /// It was shown a key that should be ours: to be answered by [`Talk::confirm`].
    Verify {
        /// Of whom, by whom.
        pair: Pair,
        /// The stream that the key is for.
        id: String,
        /// The key.
        key: String,
    },
    /// A command of stream management (XEP-0198), or what to answer to one that is none.
    Manage(Result<Command, ErrorKind>),
    /// What it answers to ours.
    Managed(Reply),
    /// It ends the stream, because of this.
    Broken(StreamError),
}

/// Who may speak for whom on one stream.
#[derive(Debug)]
pub struct Talk {
    /// Whether stanzas and keys may come at all.
    takes: bool,
    proven: Vec<Pair>,
    asked: Vec<Pair>,
}

impl Talk {
    /// A stream on which nothing is proven. `takes` is false on a stream of ours that goes one way.
    pub fn new(takes: bool) -> Self {
        Self { takes, proven: Vec::new(), asked: Vec::new() }
    }

    /// From now on stanzas of this pair are taken, if any are.
    pub fn prove(&mut self, pair: Pair) {
        if !self.proven.contains(&pair) {
            self.proven.push(pair);
        }
    }

    /// The pairs that are proven.
    pub fn proven(&self) -> &[Pair] {
        &self.proven
    }

    /// Takes one element.
    pub fn handle(
        &mut self,
        head: Head,
        content: Bytes,
        out: &mut String,
    ) -> Result<Option<Said>, StreamError> {
        match head.ns.as_str() {
            ns::DIALBACK => Ok(Dialback::parse(&head, &content).and_then(|said| self.dialback(said, out))),
            ns::STREAM if head.name == "error" => {
                Ok(Some(Said::Broken(StreamError::parse(&content, &head.prefixes))))
            }
            ns::SM if !self.proven.is_empty() => Ok(Some(match Reply::parse(&head) {
                Some(reply) => Said::Managed(reply),
                None => Said::Manage(Command::parse(&head)),
            })),
            _ => self.stanza(head, content).map(Some),
        }
    }

    fn dialback(&mut self, said: Dialback, out: &mut String) -> Option<Said> {
        let What::Key(key) = said.what else { return None };
        let pair = Pair { ours: said.to, theirs: said.from };
        match said.step {
            Step::Verify(id) => Some(Said::Verify { pair, id, key }),
            Step::Result if !self.takes || self.asked.contains(&pair) => None,
            Step::Result if self.asked.len() >= MOST_ASKED || self.proven.len() >= MOST_PAIRS => {
                print_result(&pair, Verdict::Error(ErrorKind::ResourceConstraint), out);
                None
            }
            Step::Result => {
                self.asked.push(pair.clone());
                Some(Said::Key { pair, key })
            }
        }
    }

    /// Answers a key (XEP-0220 §2.2.1). An invalid one ends a stream on which nothing else is proven.
    pub fn judge(&mut self, pair: &Pair, verdict: Verdict, out: &mut String) -> Result<(), StreamError> {
        self.asked.retain(|asked| asked != pair);
        print_result(pair, verdict, out);
        match verdict {
            Verdict::Valid => self.prove(pair.clone()),
            Verdict::Invalid if self.proven.is_empty() => {
                return Err(StreamError::because(StreamCondition::NotAuthorized, "the key is invalid"));
            }
            Verdict::Invalid | Verdict::Error(_) => {}
        }
        Ok(())
    }

    /// Answers whether a key is ours (XEP-0220 §2.2.2).
    pub fn confirm(pair: &Pair, id: &str, verdict: Verdict, out: &mut String) {
        let Pair { ours: from, theirs: to } = pair.clone();
        Dialback { step: Step::Verify(id.to_owned()), from, to, what: What::Verdict(verdict) }.print(out);
    }

    fn stanza(&self, head: Head, content: Bytes) -> Result<Said, StreamError> {
        let (mut stanza, wrong) = match Stanza::from_foreign_frame(ns::SERVER, head, content) {
            Ok(stanza) => (Box::new(stanza), None),
            Err((error @ (ParseError::BadTo(of) | ParseError::BadFrom(of)), Some(stanza))) => {
                if stanza.from.is_none() {
                    return Err(error.into());
                }
                (stanza, Some(StanzaError::because(ErrorKind::JidMalformed, of.to_string())))
            }
            Err((error, _)) => return Err(error.into()),
        };
        let from = stanza.from.as_ref().ok_or(StreamCondition::ImproperAddressing)?.domain();
        let of_sender = || self.proven.iter().filter(|pair| self.takes && pair.theirs == from);
        let known = of_sender().next().ok_or(StreamCondition::InvalidFrom)?;
        if wrong.is_some() {
            // A user there wrote it: that is no reason to end the stream of all of them.
            stanza.to = known.ours.parse::<Jid>().ok();
            return Ok(Said::Stanza(stanza, wrong));
        }
        let to = stanza.to.as_ref().ok_or(StreamCondition::ImproperAddressing)?.domain();
        if !of_sender().any(|pair| pair.ours == to) {
            return Err(StreamCondition::ImproperAddressing.into());
        }
        Ok(Said::Stanza(stanza, None))
    }
}

fn print_result(pair: &Pair, verdict: Verdict, out: &mut String) {
    let Pair { ours: from, theirs: to } = pair.clone();
    Dialback { step: Step::Result, from, to, what: What::Verdict(verdict) }.print(out);
}

/// Pairs of one stream.
const MOST_PAIRS: usize = 50;
/// Keys of one stream that are judged at once: each may cost a connection.
const MOST_ASKED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Frame, Framer, Limits};

    fn talk() -> Talk {
        let mut talk = Talk::new(true);
        talk.prove(Pair::new("ours.example", "theirs.example"));
        talk
    }

    fn say(talk: &mut Talk, text: &str) -> (Result<Option<Said>, StreamCondition>, String) {
        let mut framer = Framer::new(Limits::default());
        framer.push(
            b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
              xmlns:db='jabber:server:dialback'>",
        );
        framer.push(text.as_bytes());
        framer.next().unwrap();
        let Some(Frame::Element(head, content)) = framer.next().unwrap() else { panic!() };
        let mut out = String::new();
        let said = talk.handle(head, content, &mut out).map_err(|error| error.condition);
        (said, out)
    }

    #[test]
    fn takes_stanzas_of_proven_pairs_alone() {
        for (addresses, wanted) in [
            ("from='a@theirs.example/r' to='b@ours.example'", Ok(())),
            ("from='theirs.example' to='ours.example'", Ok(())),
            ("from='a@other.example' to='b@ours.example'", Err(StreamCondition::InvalidFrom)),
            ("from='a@sub.theirs.example' to='b@ours.example'", Err(StreamCondition::InvalidFrom)),
            ("from='a@ours.example' to='b@ours.example'", Err(StreamCondition::InvalidFrom)),
            ("from='a@theirs.example' to='b@elsewhere.example'", Err(StreamCondition::ImproperAddressing)),
            ("from='a@theirs.example'", Err(StreamCondition::ImproperAddressing)),
            ("to='b@ours.example'", Err(StreamCondition::ImproperAddressing)),
            ("from='@theirs.example' to='b@ours.example'", Ok(())),
            ("from='@other.example' to='b@ours.example'", Err(StreamCondition::InvalidFrom)),
            ("from='@' to='b@ours.example'", Err(StreamCondition::InvalidFrom)),
        ] {
            let (said, _) = say(&mut talk(), &format!("<message {addresses}/>"));
            assert_eq!(said.map(|_| ()), wanted, "{addresses}");
        }
        let (said, _) =
            say(&mut talk(), "<presence xmlns='jabber:client' from='a@theirs.example' to='ours.example'/>");
        assert_eq!(said, Err(StreamCondition::InvalidNamespace));
        assert_eq!(say(&mut talk(), "<letter/>").0, Err(StreamCondition::UnsupportedStanzaType));
    }

    #[test]
    fn an_address_that_is_none_is_answered_and_ends_nothing() {
        let (said, _) = say(&mut talk(), "<message from='a@theirs.example' to='b c@ours.example'/>");
        let Ok(Some(Said::Stanza(stanza, Some(error)))) = said else { panic!("{said:?}") };
        assert_eq!(error.kind, ErrorKind::JidMalformed);
        assert_eq!(stanza.to.unwrap().as_str(), "ours.example");
        let (said, _) = say(&mut talk(), "<message from='a@theirs.example/&#9;' to='b@ours.example'/>");
        let Ok(Some(Said::Stanza(stanza, Some(error)))) = said else { panic!("{said:?}") };
        assert_eq!(error.kind, ErrorKind::JidMalformed);
        assert_eq!(stanza.from.unwrap().as_str(), "theirs.example");
    }

    #[test]
    fn a_key_makes_a_pair_once_it_is_found_valid() {
        let mut talk = talk();
        let pair = Pair::new("ours.example", "rooms.theirs.example");
        let key = "<db:result from='rooms.theirs.example' to='ours.example'>k</db:result>";
        let message = "<message from='rooms.theirs.example' to='b@ours.example'/>";
        assert_eq!(say(&mut talk, key).0, Ok(Some(Said::Key { pair: pair.clone(), key: "k".into() })));
        assert_eq!(say(&mut talk, key).0, Ok(None), "it is being judged");
        assert_eq!(say(&mut talk, message).0, Err(StreamCondition::InvalidFrom));
        let mut out = String::new();
        talk.judge(&pair, Verdict::Error(ErrorKind::RemoteServerNotFound), &mut out).unwrap();
        assert!(out.contains("type='error'") && out.contains("<remote-server-not-found"), "{out}");
        assert!(say(&mut talk, key).0.unwrap().is_some(), "it may try again");
        talk.judge(&pair, Verdict::Valid, &mut out).unwrap();
        assert!(
            out.ends_with(
                "<db:result from='ours.example' to='rooms.theirs.example' type='valid'></db:result>"
            )
        );
        assert!(say(&mut talk, message).0.is_ok());
    }

    #[test]
    fn an_invalid_key_ends_a_stream_that_has_nothing_else() {
        let pair = Pair::new("ours.example", "bad.example");
        assert!(talk().judge(&pair, Verdict::Invalid, &mut String::new()).is_ok());
        let ended = Talk::new(true).judge(&pair, Verdict::Invalid, &mut String::new()).unwrap_err();
        assert_eq!(ended.condition, StreamCondition::NotAuthorized);
    }

    #[test]
    fn drops_verdicts_that_nobody_asked_for() {
        for text in [
            "<db:result from='bad.example' to='ours.example' type='valid'/>",
            "<db:verify from='bad.example' to='ours.example' id='1' type='valid'/>",
            "<db:result from='bad.example'>k</db:result>",
        ] {
            let mut talk = talk();
            assert_eq!(say(&mut talk, text), (Ok(None), String::new()), "{text}");
            assert_eq!(talk.proven().len(), 1);
        }
    }

    #[test]
    fn a_stream_of_ours_that_goes_one_way_takes_nothing_but_questions() {
        let mut talk = Talk::new(false);
        talk.prove(Pair::new("ours.example", "theirs.example"));
        let message = "<message from='a@theirs.example' to='b@ours.example'/>";
        assert_eq!(say(&mut talk, message).0, Err(StreamCondition::InvalidFrom));
        let key = "<db:result from='theirs.example' to='ours.example'>k</db:result>";
        assert_eq!(say(&mut talk, key).0, Ok(None));
        let question = "<db:verify from='theirs.example' to='ours.example' id='i'>k</db:verify>";
        assert!(matches!(say(&mut talk, question).0, Ok(Some(Said::Verify { .. }))));
    }

    #[test]
    fn pairs_are_bounded() {
        let mut talk = Talk::new(true);
        let last = "<db:result from='d.example' to='ours.example'>k</db:result>";
        let is_refused = |talk: &mut Talk| {
            let (said, out) = say(talk, last);
            said == Ok(None) && out.contains("<resource-constraint")
        };
        for n in 0..MOST_ASKED {
            let key = format!("<db:result from='d{n}.example' to='ours.example'>k</db:result>");
            assert!(say(&mut talk, &key).0.unwrap().is_some());
        }
        assert!(is_refused(&mut talk), "so many are being judged");
        for n in 0..MOST_PAIRS {
            let pair = Pair::new("ours.example", &format!("d{n}.example"));
            talk.judge(&pair, Verdict::Valid, &mut String::new()).unwrap();
        }
        assert!(is_refused(&mut talk), "so many are proven");
    }

    #[test]
    fn hears_why_the_other_ends() {
        let text =
            "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        let Ok(Some(Said::Broken(error))) = say(&mut talk(), text).0 else { panic!() };
        assert_eq!(error.condition, StreamCondition::SystemShutdown);
    }
}
