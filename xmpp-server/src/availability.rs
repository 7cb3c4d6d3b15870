//! Whether somebody wants to be called — RFC 6121 §4.7.2.1 (`dnd`), for the call half: a [`shared_model::Availability`].
//!
//! In    a callee, and who calls. Out `Blocked` if the callee's block list (XEP-0191) names the caller, hidden or not, or the callee is not called by
//!       such as them; `DoNotDisturb` if every resource that takes messages says so, and there is one, or if the account said so for
//!       all of them.
//! State none: the block list, the account's wishes and the last presence of each session are asked.

use std::sync::Arc;

use shared_model::{Availability, BareJid, CalledBy, MayRing, Pending};

use xmpp_core::Jid;

use crate::blocking::blocks;
use crate::callers::may_call;
use crate::router::Session;
use crate::server::Server;
use crate::undisturbed;

/// The presences of one server.
pub(crate) struct Presences(pub(crate) Arc<Server>);

impl Availability for Presences {
    fn may_ring<'a>(&'a self, callee: &'a BareJid, caller: CalledBy<'a>) -> Pending<'a, MayRing> {
        Box::pin(async move {
            let (caller, shown) = match caller {
                CalledBy::Unknown => (None, None),
                CalledBy::Hidden(caller) => (to_jid(caller), None),
                CalledBy::Shown(caller) => (to_jid(caller), to_jid(caller)),
            };
            if let Some(callee) = to_jid(callee) {
                if let Some(caller) = &caller
                    && blocks(&self.0, &callee, caller).await
                {
                    return MayRing::Blocked;
                }
                if !may_call(&self.0, &callee, shown.as_ref()).await {
                    return MayRing::Blocked;
                }
                if undisturbed::is_so(&self.0, &callee).await {
                    return MayRing::DoNotDisturb;
                }
            }
            self.presence(callee)
        })
    }
}

impl Presences {
    fn presence(&self, callee: &BareJid) -> MayRing {
        let sessions = self.0.router.sessions(callee.as_str());
        let mut there = sessions.iter().filter(|session| session.takes_messages());
        let mut is_there = false;
        let is_busy = there.all(|session| {
            is_there = true;
            is_dnd(session)
        });
        if is_there && is_busy { MayRing::DoNotDisturb } else { MayRing::Yes }
    }
}

fn to_jid(jid: &BareJid) -> Option<Jid> {
    jid.as_str().parse().ok()
}

fn is_dnd(session: &Session) -> bool {
    let Some(presence) = session.presence.as_ref().filter(|presence| presence.mentions("<show")) else {
        return false;
    };
    let show = presence.children().into_iter().find(|child| child.is("show", xmpp_core::ns::CLIENT));
    show.is_some_and(|show| show.text().trim() == "dnd")
}
