//! What the server answers itself: one feature a file, one line in [`FEATURES`], looked through in order.
//!
//! In    an iq for the server, or for an account that the server answers for.
//! Out   an [`Answer`]: the payload of the result, and stanzas that follow from it. Features do not send.
//! Errors [`StanzaError`]; an iq that no feature takes is `service-unavailable` (RFC 6120 §8.2.3).

pub(crate) mod blocking;
pub(crate) mod carbons;
pub(crate) mod certificates;
pub(crate) mod clients;
mod commands;
pub(crate) mod directory;
mod disco;
pub(crate) mod last;
pub(crate) mod mam;
mod ping;
pub(crate) mod private;
mod pubsub;
mod push;
mod register;
mod report;
mod roster;
mod services;
mod session;
mod time;
mod upload;
pub(crate) mod vcard;
mod version;

use std::time::Duration;

use shared_model::{Pending, Spec};
use shared_store::StoreError;
use tokio::time::{Instant, sleep, timeout};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError, ns};

pub(crate) use commands::Sessions as CommandSessions;
pub use commands::invite::{Invitations, InviteLinks};
pub(crate) use directory::Searches;
pub(crate) use disco::about;

use crate::route::{refuse, route};
use crate::server::Server;
use crate::session::soon;

/// Whom an iq is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The domain.
    Server,
    /// An account, by its bare JID.
    Account(Jid),
    /// The pubsub service.
    PubSub,
    /// The directory of accounts.
    Directory,
    /// The place for files.
    Upload,
}

/// An iq with one payload.
pub(crate) struct Request {
    pub(crate) from: Jid,
    pub(crate) target: Target,
    pub(crate) is_set: bool,
    pub(crate) payload: Element,
}

impl Request {
    /// The account, if the iq is for the asker's own.
    pub(crate) fn own_account(&self) -> Option<&Jid> {
        match &self.target {
            Target::Account(account) if account.as_str() == self.from.bare_str() => Some(account),
            _ => None,
        }
    }

    /// Whether a client of ours asks for its roster.
    fn begins_a_session(&self) -> bool {
        !self.is_set && self.payload.is("query", ns::ROSTER) && self.own_account().is_some()
    }
}

/// What a feature makes of a request.
#[derive(Default)]
pub(crate) struct Answer {
    /// Messages for the asker alone, before the result.
    pub(crate) before: Vec<Stanza>,
    /// Inside the result.
    pub(crate) payload: Option<Element>,
    /// Roster entries to push to the asker's resources, before the result.
    pub(crate) pushes: Vec<Element>,
    /// Stanzas that end what was, routed after the pushes and before the result: they come before all that the asker does next.
    pub(crate) ends: Vec<Stanza>,
    /// Further stanzas, routed after the result.
    pub(crate) stanzas: Vec<Stanza>,
}

impl From<Element> for Answer {
    fn from(payload: Element) -> Self {
        Self { payload: Some(payload), ..Self::default() }
    }
}

/// The result of a feature.
pub(crate) type Answered = Result<Answer, StanzaError>;

/// One line of the table.
pub(crate) struct Feature {
    pub(crate) specs: &'static [Spec],
    /// Names and namespaces of payloads.
    takes: &'static [(&'static str, &'static str)],
    /// What disco says of the server, and of accounts.
    pub(crate) server: &'static [&'static str],
    pub(crate) account: &'static [&'static str],
    answer: for<'a> fn(&'a Server, &'a Request) -> Pending<'a, Answered>,
}

/// Every feature, in the order of looking.
pub(crate) const FEATURES: &[Feature] = &[
    ping::FEATURE,
    roster::FEATURE,
    disco::INFO,
    disco::ITEMS,
    carbons::FEATURE,
    blocking::FEATURE,
    mam::FEATURE,
    private::FEATURE,
    pubsub::FEATURE,
    pubsub::PERSONAL,
    vcard::TEMP,
    vcard::FOUR,
    session::FEATURE,
    version::FEATURE,
    time::FEATURE,
    last::FEATURE,
    commands::FEATURE,
    directory::FEATURE,
    upload::FEATURE,
    services::FEATURE,
    push::FEATURE,
    clients::FEATURE,
    certificates::FEATURE,
    register::FEATURE,
];

/// Answers an iq get or set.
pub(crate) async fn answer(server: &Server, target: Target, stanza: Stanza) {
    let is_set = match stanza.type_.as_deref() {
        Some("get") => false,
        Some("set") => true,
        Some("result" | "error") if stanza.kind == Kind::Iq => return,
        _ => return refuse(server, &stanza, &ErrorKind::BadRequest.into()),
    };
    let Some(from) = stanza.from.clone() else { return };
    let mut children = stanza.children().into_iter();
    let (Some(payload), None) = (children.next(), children.next()) else {
        return refuse(server, &stanza, &ErrorKind::BadRequest.into()); // RFC 6120 §8.2.3, rule 4
    };
    if stanza.id.is_none() {
        return refuse(server, &stanza, &ErrorKind::BadRequest.into()); // RFC 6120 §8.1.3
    }
    let request = Request { from, target, is_set, payload };
    let answered = match request.begins_a_session() {
        // Many clients ask once, and go without a roster when they are told to wait.
        true => once_more(|| dispatch(server, &request), |error| *error == not_now()).await,
        false => dispatch(server, &request).await,
    };
    match answered {
        Err(error) => {
            if let Some(error) = stanza.error(&error) {
                crate::route::reply(server, error).await;
            }
        }
        Ok(answer) => {
            for message in answer.before {
                let from = message.from.clone();
                crate::route::pass_copy(server, message.addressed(from.as_ref(), Some(&request.from)));
            }
            let user = request.from.to_bare();
            for item in answer.pushes {
                crate::presence::push(server, &user, item).await;
            }
            for stanza in answer.ends {
                Box::pin(route(server, stanza)).await;
            }
            crate::route::reply(server, stanza.result(answer.payload.as_ref())).await;
            for stanza in answer.stanzas {
                Box::pin(route(server, stanza)).await;
            }
        }
    }
}

async fn dispatch(server: &Server, request: &Request) -> Answered {
    if let Target::Account(account) = &request.target
        && server.account(account).await.map_err(|error| store_failed(&error))?.is_none()
    {
        return Err(ErrorKind::ServiceUnavailable.into()); // RFC 6121 §8.5.1
    }
    let found =
        FEATURES.iter().find(|feature| feature.takes.iter().any(|(name, ns)| request.payload.is(name, ns)));
    match found {
        Some(feature) => (feature.answer)(server, request).await,
        None => Err(ErrorKind::ServiceUnavailable.into()),
    }
}

/// The answer to a failing store.
pub(crate) fn store_failed(error: &StoreError) -> StanzaError {
    tracing::error!(%error, "the store refused");
    match error {
        StoreError::TooMany(_) => ErrorKind::ResourceConstraint.into(),
        StoreError::Overloaded | StoreError::ReadOnly(_) | StoreError::Backend(_) => not_now(),
        _ => ErrorKind::InternalServerError.into(),
    }
}

/// The store does not answer. It passes, so that clients try again (RFC 6120 §8.3.3.18, `wait`): who hears `cancel` does not (§8.3.2).
pub(crate) fn not_now() -> StanzaError {
    StanzaError::because(ErrorKind::ResourceConstraint, NOT_NOW)
}

/// Reads once more from a store that passes over a question at once, as one does that is overloaded. Whoever asks says nothing else
/// meanwhile, so that a store that hangs is not waited for twice.
pub(crate) async fn once_more<T, E, F>(read: impl Fn() -> F, passes: impl Fn(&E) -> bool) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    let first = read().await;
    if began.elapsed() > AT_ONCE || !first.as_ref().is_err_and(passes) {
        return first;
    }
    sleep(soon()).await;
    timeout(AGAIN, read()).await.unwrap_or(first)
}

const NOT_NOW: &str = "the store does not take this now";
/// An error that comes later was waited for.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long the second answer is waited for.
const AGAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Reads, where each answer takes so many seconds; what came, after how many, of how many.
    async fn read(answers: &[(u64, Result<(), ()>)]) -> (Result<(), ()>, u64, usize) {
        let (asked, began) = (Cell::new(0), Instant::now());
        let ask = || async {
            let (seconds, answer) = answers[asked.replace(asked.get() + 1)];
            sleep(Duration::from_secs(seconds)).await;
            answer
        };
        let found = once_more(ask, |()| true).await;
        (found, began.elapsed().as_secs(), asked.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_asked_once_more_and_is_not_waited_for_twice() {
        assert_eq!(read(&[(0, Ok(()))]).await, (Ok(()), 0, 1));
        assert!(matches!(read(&[(0, Err(())), (0, Ok(()))]).await, (Ok(()), 1..=3, 2)));
        assert!(matches!(read(&[(0, Err(())), (0, Err(()))]).await, (Err(()), 1..=3, 2)));
        assert!(matches!(read(&[(0, Err(())), (15, Ok(()))]).await, (Err(()), 3..=5, 2)));
        assert_eq!(read(&[(15, Err(()))]).await, (Err(()), 15, 1));
    }
}
