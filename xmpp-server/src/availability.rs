//! Whether somebody wants to be called — RFC 6121 §4.7.2.1 (`dnd`), for the call half: a [`shared_model::Availability`].
//!
//! In    a callee. Out `DoNotDisturb` if every resource that takes messages says so, and there is one.
//! State none: the last presence of each session is asked.
//! Not here: block lists (XEP-0191), which are not served yet.

use std::sync::Arc;

use shared_model::{Availability, BareJid, MayRing, Pending};

use crate::router::Session;
use crate::server::Server;

/// The presences of one server.
pub(crate) struct Presences(pub(crate) Arc<Server>);

impl Availability for Presences {
    fn may_ring<'a>(&'a self, callee: &'a BareJid, _caller: Option<&'a BareJid>) -> Pending<'a, MayRing> {
        let sessions = self.0.router.sessions(callee.as_str());
        let mut there = sessions.iter().filter(|session| session.presence.is_some() && session.priority >= 0);
        let mut is_there = false;
        let is_busy = there.all(|session| {
            is_there = true;
            is_dnd(session)
        });
        let answer = if is_there && is_busy { MayRing::DoNotDisturb } else { MayRing::Yes };
        Box::pin(std::future::ready(answer))
    }
}

fn is_dnd(session: &Session) -> bool {
    let Some(presence) = session.presence.as_ref().filter(|presence| presence.mentions("<show")) else {
        return false;
    };
    let show = presence.children().into_iter().find(|child| child.is("show", xmpp_core::ns::CLIENT));
    show.is_some_and(|show| show.text().trim() == "dnd")
}
