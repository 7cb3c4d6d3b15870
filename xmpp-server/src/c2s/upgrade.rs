//! Keys of SCRAM that an account lacks, from a client that knows its password — XEP-0480 0.2.0, sections 2.2, 2.3 and 3.
//!
//! ```text
//! proof ─▶ wanted? ─no─▶ success
//!            └yes─▶ continue ─next─▶ salt ─hash─▶ the next one, or success
//! ```
//!
//! In    the tasks that a client asked for, and what it says in them.
//! Out   what it is told, and verifiers in `shared-auth`. What the account has is not asked for again.
//! State the tasks that are left, for the time of one login.
//! Errors what is no answer to the task fails the login. A key that cannot be stored does not: the client is in, as before.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared_auth::{Identity, ScramHash, Upgrade};
use shared_model::Spec;
use xmpp_core::{Element, ns};

use super::sasl::UPGRADES;
use crate::server::Server;

/// XEP-0480.
pub(crate) const SPEC: Spec = Spec::xep(480, "0.2.0").complete();

/// Tasks before a success.
pub(super) struct Upgrades {
    who: Identity,
    task: &'static str,
    hash: ScramHash,
    /// What the client computes with, once it began.
    begun: Option<Upgrade>,
    rest: Vec<(&'static str, ScramHash)>,
}

/// What is left after a task.
pub(super) enum Left {
    More(Box<Upgrades>),
    Nothing,
}

impl Upgrades {
    /// The tasks of those `offered` that a client asked for whose result the account lacks.
    pub(super) async fn wanted(
        server: &Server,
        who: &Identity,
        asked: Option<&[String]>,
        offered: &[&'static str],
    ) -> Option<Self> {
        let asked = asked.filter(|asked| !asked.is_empty())?;
        let lacking = match server.auth.book.lacking(who).await {
            Ok(lacking) => lacking,
            Err(error) => {
                tracing::error!(%error, "it cannot be said which keys an account lacks");
                return None;
            }
        };
        let is_wanted = |(task, hash): &&(&str, ScramHash)| {
            lacking.contains(hash) && offered.contains(task) && asked.iter().any(|name| name == task)
        };
        Self::of(who.clone(), UPGRADES.iter().filter(is_wanted).copied().collect())
    }

    fn of(who: Identity, mut tasks: Vec<(&'static str, ScramHash)>) -> Option<Self> {
        if tasks.is_empty() {
            return None;
        }
        let (task, hash) = tasks.remove(0);
        Some(Self { who, task, hash, begun: None, rest: tasks })
    }

    /// The name of the task that is next.
    pub(super) fn task(&self) -> &'static str {
        self.task
    }

    /// The client begins the task of this name: what it is to compute with. None if it is not the one that is next.
    pub(super) fn begin(&mut self, server: &Server, name: &str) -> Option<Element> {
        if name != self.task || self.begun.is_some() {
            return None;
        }
        let upgrade = server.auth.book.begin_upgrade(&self.who, self.hash);
        let salt = Element::new("salt", ns::SCRAM_UPGRADE).with("iterations", upgrade.iterations);
        let salt = salt.text_node(STANDARD.encode(upgrade.salt));
        self.begun = Some(upgrade);
        Some(salt)
    }

    /// The client says what it computed. None if that is nothing that was asked for.
    pub(super) async fn finish(self, server: &Server, data: &[Element]) -> Option<Left> {
        let Self { mut who, task, begun, rest, .. } = self;
        let hash = data.iter().find(|child| child.is("hash", ns::SCRAM_UPGRADE))?;
        let salted = STANDARD.decode(hash.text().trim()).ok()?;
        match server.auth.book.finish_upgrade(begun?, &salted).await {
            Ok(Some(of_now)) => {
                tracing::info!(account = %who.account, task, "an account has keys that it lacked");
                who = of_now;
            }
            Ok(None) => return None,
            Err(error) => tracing::error!(%error, "the keys of a mechanism could not be stored"),
        }
        Some(Self::of(who, rest).map_or(Left::Nothing, |more| Left::More(Box::new(more))))
    }
}
