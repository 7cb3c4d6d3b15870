//! Forms that wait to be handed in — XEP-0050 1.3.0, sections 3.3 (lifetime), 4.4 (errors).

use std::time::{Duration, Instant};

use dashmap::DashMap;
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::bad;

/// Every execution that is under way, by its id.
#[derive(Default)]
pub(crate) struct Sessions(DashMap<String, Session>);

struct Session {
    by: Jid,
    node: String,
    since: Instant,
}

/// Why a form cannot be handed in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is none of that id, or not any more.
    Expired,
    /// It is another's, or of another command.
    NotYours,
}

impl Wrong {
    pub(super) fn error(&self) -> StanzaError {
        match self {
            Self::Expired => {
                let expired = Element::new("session-expired", ns::COMMANDS);
                StanzaError::new(ErrorKind::NotAllowed).with(expired)
            }
            Self::NotYours => bad("bad-sessionid"),
        }
    }
}

impl Sessions {
    /// A form is shown to somebody. Fails where as many are shown as may be.
    pub(super) fn open(&self, id: &str, node: &str, by: &Jid) -> Result<(), ()> {
        if self.0.len() >= MOST {
            self.0.retain(|_, session| session.since.elapsed() < LIFETIME);
        }
        if self.0.len() >= MOST {
            return Err(());
        }
        let session = Session { by: by.clone(), node: node.to_owned(), since: Instant::now() };
        self.0.insert(id.to_owned(), session);
        Ok(())
    }

    /// Whether somebody may hand in the form of that id.
    pub(super) fn check(&self, id: &str, node: &str, by: &Jid) -> Result<(), Wrong> {
        let session = self.0.get(id).filter(|session| session.since.elapsed() < LIFETIME);
        match session {
            None => Err(Wrong::Expired),
            Some(session) if session.by != *by || session.node != node => Err(Wrong::NotYours),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn close(&self, id: &str) {
        self.0.remove(id);
    }
}

/// Forms that wait at once.
const MOST: usize = 1000;
/// How long one waits.
const LIFETIME: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_its_askers_and_is_handed_in_once() {
        let sessions = Sessions::default();
        let (a, b): (Jid, Jid) = ("a@x/r".parse().unwrap(), "b@x/r".parse().unwrap());
        sessions.open("1", "n", &a).unwrap();
        assert_eq!(sessions.check("1", "n", &b), Err(Wrong::NotYours));
        assert_eq!(sessions.check("1", "m", &a), Err(Wrong::NotYours));
        assert_eq!(sessions.check("1", "n", &a), Ok(()));
        sessions.close("1");
        assert_eq!(sessions.check("1", "n", &a), Err(Wrong::Expired));
        for id in 0..MOST {
            sessions.open(&id.to_string(), "n", &a).unwrap();
        }
        assert!(sessions.open("more", "n", &a).is_err());
    }
}
