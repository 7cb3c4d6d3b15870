//! What the domain says to its accounts, and what they write back — RFC 6121 §5.2 (messages), a [`shared_model::Notices`].
//!
//! In    a text of another service; a message that an account sends to the domain.
//! Out   a chat message from the domain; the text that answers a question.
//! State one question an account, while it waits.
//! Errors a message to the domain that answers nothing is refused, as before (`route`).

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use shared_model::{BareJid, Notices, Pending};
use tokio::sync::oneshot;
use xmpp_core::xml::Element;
use xmpp_core::{Jid, Kind, Stanza, ns};

use crate::server::Server;

/// Who was asked something.
#[derive(Default)]
pub(crate) struct Questions(DashMap<String, oneshot::Sender<String>>);

impl Questions {
    /// Takes a message to the domain as an answer. Whether it is one.
    pub(crate) fn take(&self, message: &Stanza) -> bool {
        let (Some(from), Some(body)) = (&message.from, message.find("body", ns::CLIENT)) else {
            return false;
        };
        let Some((_, asker)) = self.0.remove(from.bare_str()) else { return false };
        // Who asked may have given up this moment.
        asker.send(body.text().trim().to_owned()).is_ok()
    }

    fn ask(&self, who: &str) -> Option<oneshot::Receiver<String>> {
        let (asker, answer) = oneshot::channel();
        let mut is_free = false;
        self.0.entry(who.to_owned()).and_modify(|old| is_free = old.is_closed()).or_insert_with(|| {
            is_free = true;
            oneshot::channel().0
        });
        if is_free {
            self.0.insert(who.to_owned(), asker);
        }
        is_free.then_some(answer)
    }
}

/// The voice of one server's domain.
pub(crate) struct Voice(pub(crate) Arc<Server>);

impl Notices for Voice {
    fn tell<'a>(&'a self, to: &'a BareJid, text: &'a str) -> Pending<'a, ()> {
        Box::pin(self.say(to, text))
    }

    fn ask<'a>(&'a self, to: &'a BareJid, text: &'a str, patience: Duration) -> Pending<'a, Option<String>> {
        Box::pin(async move {
            let is_there =
                self.0.router.sessions(to.as_str()).iter().any(|session| session.presence.is_some());
            let answer = is_there.then(|| self.0.questions.ask(to.as_str())).flatten()?;
            self.say(to, text).await;
            let answered = tokio::time::timeout(patience, answer).await;
            // A question that nobody answered in time is none any more.
            self.0.questions.0.remove_if(to.as_str(), |_, asker| asker.is_closed());
            answered.ok()?.ok()
        })
    }
}

impl Voice {
    async fn say(&self, to: &BareJid, text: &str) {
        let Ok(to) = to.as_str().parse::<Jid>() else { return };
        let Some(from) = self.0.voice_to(&to) else { return };
        let message = Stanza::new(Kind::Message, Some("chat"))
            .addressed(Some(&from), Some(&to))
            .with_id(Some(&self.0.new_id()))
            .with(&Element::new("body", ns::CLIENT).text_node(text));
        crate::route::route(&self.0, message).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_waits_for_one_answer() {
        let questions = Questions::default();
        let said =
            Stanza::parse("<message xmlns='jabber:client' from='a@x/r' to='x'><body> Yes </body></message>")
                .unwrap();
        assert!(!questions.take(&said), "nobody asked");
        let mut answer = questions.ask("a@x").unwrap();
        assert!(questions.ask("a@x").is_none(), "one at a time");
        assert!(questions.take(&said) && !questions.take(&said));
        assert_eq!(answer.try_recv().as_deref(), Ok("Yes"));
        drop(questions.ask("a@x").unwrap());
        assert!(questions.ask("a@x").is_some(), "who asked before gave up");
    }
}
