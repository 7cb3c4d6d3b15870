//! Who may call an account, and by what — RFC 7081 §3.5 (calls of strangers are a matter of policy), §2 (accounts of both halves
//! call by SIP); XEP-0166 1.1.2 §5 (`session-initiate`), §7.2 (`content-add`), XEP-0353 §3.1 (`<propose/>`).
//!
//! In    a callee, and who calls, by SIP or by XMPP; a call by XMPP between two accounts of ours.
//! Out   whether it rings. By SIP a refusal is that of a block list; by XMPP it is `service-unavailable`, as if nobody were
//!       there, so that strangers do not learn who is.
//! State one record an account that said so, collection `callers`; whom it was asked of lately, and who was warned.
//! Errors while the store fails, nobody is kept from calling.
//!
//! In a room the same holds for who is behind the nick, but that a nick is nobody's contact; and who may not see whose nick it is
//! learns no address.
//!
//! Nothing is concluded from a binding that is missing: who has none is a stranger like others.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use shared_model::{BareJid, Notices};
use shared_store::{Expected, StoreError};
use xmpp_core::{Element, ErrorKind, Jid, Kind, Stanza, StanzaError};

use crate::notices::Voice;
use crate::server::Server;

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Callers {
    /// Everybody who is not blocked.
    #[default]
    Everybody,
    /// Accounts of this service.
    Service,
    /// Who is in the roster, and sees the account or is seen by it.
    Contacts,
}

/// What becomes of a call by XMPP between two accounts that have telephones here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnCalls {
    /// It passes.
    Allow,
    /// It passes, and the caller is told by which address the telephone is reached.
    Warn,
    /// It does not pass.
    Deny,
}

/// What is at hand of it.
#[derive(Default)]
pub(crate) struct Known {
    callers: DashMap<String, Callers>,
    warned: DashMap<String, Instant>,
}

impl Callers {
    pub(crate) async fn read(server: &Server, user: &str) -> Result<Self, StoreError> {
        if let Some(known) = server.callers.callers.get(user).map(|known| *known) {
            return Ok(known);
        }
        let record = server.store.records.get(user, COLLECTION, KEY).await?;
        let wish = record.and_then(|record| serde_json::from_slice(&record.value).ok()).unwrap_or_default();
        if server.callers.callers.len() >= MOST_KNOWN {
            server.callers.callers.clear();
        }
        // What was written while this was read is newer.
        Ok(*server.callers.callers.entry(user.to_owned()).or_insert(wish))
    }

    pub(crate) async fn write(self, server: &Server, user: &str) -> Result<(), StoreError> {
        let value = serde_json::to_vec(&self).unwrap_or_default();
        server.store.records.put(user, COLLECTION, KEY, &value, Expected::Anything).await?;
        server.callers.callers.insert(user.to_owned(), self);
        Ok(())
    }
}

impl Known {
    /// Nothing of an account is at hand any more.
    pub(crate) fn forget(&self, user: &str) {
        self.callers.remove(user);
    }
}

/// Whether an account may be called by somebody, who is not there if they are not known.
pub(crate) async fn may_call(server: &Server, callee: &Jid, caller: Option<&Jid>) -> bool {
    let judged = judge(server, callee, caller).await;
    judged.unwrap_or_else(|error| {
        tracing::error!(%error, "it is not known by whom an account may be called");
        true
    })
}

async fn judge(server: &Server, callee: &Jid, caller: Option<&Jid>) -> Result<bool, StoreError> {
    let wish = Callers::read(server, callee.bare_str()).await?;
    let Some(caller) = caller else { return Ok(wish == Callers::Everybody) };
    Ok(match wish {
        Callers::Everybody => true,
        _ if caller.bare_str() == callee.bare_str() => true,
        Callers::Service => server.is_home(caller.domain()),
        Callers::Contacts => server.rosters.get(callee.bare_str(), &caller.to_bare()).await?.is_agreed(),
    })
}

/// Why a stanza for an account of ours does not pass, if it is a call that may not.
pub(crate) async fn refuses(server: &Server, to: &Jid, stanza: &Stanza) -> Option<StanzaError> {
    let from = stanza.from.as_ref().filter(|from| from.bare_str() != to.bare_str())?;
    if !begins_call(stanza) {
        return None;
    }
    if let Some(error) = Box::pin(own(server, to, from, Shown::Address)).await {
        return Some(error);
    }
    (!Box::pin(may_call(server, to, Some(from))).await).then(|| ErrorKind::ServiceUnavailable.into())
}

/// The same for a call by which an occupant of a room, who is `from`, calls another; `shown` is what they see of one another.
pub(crate) async fn refuses_in_room(
    server: &Server,
    to: &Jid,
    from: &Jid,
    shown: Shown,
) -> Option<StanzaError> {
    if from.bare_str() == to.bare_str() {
        return None;
    }
    if let Some(error) = own(server, to, from, shown).await {
        return Some(error);
    }
    let wish = Callers::read(server, to.bare_str()).await;
    let wish =
        wish.inspect_err(|error| tracing::error!(%error, "it is not known by whom an account may be called"));
    let may = match wish.unwrap_or_default() {
        Callers::Everybody => true,
        Callers::Service => server.is_home(from.domain()),
        Callers::Contacts => false,
    };
    (!may).then(|| ErrorKind::ServiceUnavailable.into())
}

/// What a caller may know of the callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Who they are.
    Address,
    /// A nick.
    Nick,
}

/// A call between two accounts of ours.
async fn own(server: &Server, to: &Jid, from: &Jid, shown: Shown) -> Option<StanzaError> {
    if server.config.own_calls == OwnCalls::Allow || !server.is_home(from.domain()) {
        return None;
    }
    let (Ok(Some(callee)), Ok(Some(caller))) = (server.account(to).await, server.account(from).await) else {
        return None;
    };
    if callee.aor.as_str().is_empty() || caller.aor.as_str().is_empty() {
        return None; // one half alone
    }
    let why = match shown {
        Shown::Address => format!("on this service one calls by telephone: {}", callee.aor.to_sip_uri()),
        Shown::Nick => "on this service one calls by telephone".to_owned(),
    };
    if server.config.own_calls == OwnCalls::Deny {
        return Some(StanzaError::because(ErrorKind::NotAllowed, why));
    }
    server.callers.warn(server, &caller.jid, why);
    None
}

impl Known {
    fn warn(&self, server: &Server, caller: &BareJid, why: String) {
        let now = Instant::now();
        if self.warned.len() >= MOST_KNOWN {
            self.warned.retain(|_, at| now.duration_since(*at) < ONCE);
        }
        let before = self.warned.insert(caller.as_str().to_owned(), now);
        let Some(server) = server.me().filter(|_| before.is_none_or(|at| now.duration_since(at) >= ONCE))
        else {
            return;
        };
        let caller = caller.clone();
        // Not in this task, which may be the caller's session.
        tokio::spawn(async move { Voice(server).tell(&caller, &why).await });
    }
}

/// Whether a stanza asks somebody to talk: files and games by Jingle are no calls.
pub(crate) fn begins_call(stanza: &Stanza) -> bool {
    let may_ask = match stanza.kind {
        // What is said to a whole room calls nobody.
        Kind::Message => !matches!(stanza.type_.as_deref(), Some("groupchat" | "error")),
        Kind::Iq => stanza.is_type("set"),
        Kind::Presence => false,
    };
    if !may_ask || !stanza.may_have(RTP) {
        return false;
    }
    let is_talk = |content: &Element| content.children().any(|child| child.ns == RTP);
    match stanza.kind {
        Kind::Message => stanza.find("propose", PROPOSALS).is_some_and(|propose| is_talk(&propose)),
        _ => stanza.find("jingle", JINGLE).is_some_and(|jingle| {
            matches!(jingle.attribute("action"), Some("session-initiate" | "content-add"))
                && jingle.children().any(is_talk)
        }),
    }
}

const COLLECTION: &str = "callers";
const KEY: &str = "callers";
const JINGLE: &str = "urn:xmpp:jingle:1";
const PROPOSALS: &str = "urn:xmpp:jingle-message:0";
/// XEP-0167: voice and pictures.
const RTP: &str = "urn:xmpp:jingle:apps:rtp:1";
/// Accounts at hand.
const MOST_KNOWN: usize = 100_000;
/// How often a caller is told the same.
const ONCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn propose_of(app: &str) -> String {
        format!("<propose xmlns='{PROPOSALS}' id='1'><description xmlns='{app}'/></propose>")
    }

    #[test]
    fn talks_are_calls_and_files_are_not() {
        let begins = |text: &str| begins_call(&Stanza::parse(text).unwrap());
        let jingle = |action: &str, app: &str| {
            format!(
                "<iq type='set' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s'>\
                 <content creator='initiator' name='c'><description xmlns='{app}'/></content></jingle></iq>"
            )
        };
        assert!(begins(&jingle("session-initiate", RTP)));
        assert!(!begins(&jingle("session-accept", RTP)), "what was begun may go on");
        assert!(begins(&jingle("content-add", RTP)), "a file that becomes a talk");
        assert!(begins(&jingle("session-initiate", &RTP.replace("rtp", "&#114;tp"))));
        assert!(!begins(&format!("<message type='groupchat'>{}</message>", propose_of(RTP))));
        assert!(!begins(&jingle("session-initiate", "urn:xmpp:jingle:apps:file-transfer:5")));
        let propose = |name: &str| {
            format!(
                "<message><{name} xmlns='{PROPOSALS}' id='1'><description xmlns='{RTP}' media='audio'/></{name}></message>"
            )
        };
        assert!(begins(&propose("propose")));
        assert!(!begins(&propose("reject")));
        assert!(!begins(&format!("<message><body>{RTP} {JINGLE}</body></message>")));
        assert!(!begins(&format!(
            "<message type='chat'><body>&#10;</body>{}</message>",
            propose_of("urn:games")
        )));
        assert!(!begins(&format!(
            "<message type='error'><propose xmlns='{PROPOSALS}'/><x xmlns='{RTP}'/></message>"
        )));
    }
}
