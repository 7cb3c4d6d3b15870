//! What other services and the timeline are told of a session: facts.
//!
//! In    what becomes of a session. Out facts on the bus, each with the stream's correlation.
//! State who it is. Of guests nothing is told: there is no account that it would be about.

use shared_model::{AccountId, BareJid, Correlation, Event, Fact, ProtectedEvent, SessionEvent};

use crate::access::Guarded;
use crate::server::Server;

/// Who tells of one session.
pub(super) struct Teller {
    pub(super) is_guest: bool,
    pub(super) account: AccountId,
    pub(super) jid: BareJid,
    pub(super) resource: String,
    /// The id that we gave the stream.
    pub(super) stream: String,
}

impl Teller {
    pub(super) fn bound(&self, server: &Server) {
        let (account, jid, resource, stream) = self.of();
        self.publish(server, SessionEvent::Bound { account, jid, resource, stream });
    }

    /// How its connection is protected, if somebody proved to be who they are.
    pub(super) fn protected(&self, server: &Server, (protection, is_open, proved): Guarded) {
        if let Some(proved) = proved {
            let (account, _, resource, _) = self.of();
            self.publish(server, ProtectedEvent::Chat { account, resource, protection, is_open, proved });
        }
    }

    /// Whether it is available.
    pub(super) fn shown(&self, server: &Server, available: bool) {
        let (account, jid, resource, _) = self.of();
        self.publish(server, SessionEvent::PresenceChanged { account, jid, resource, available });
    }

    /// Why its connection was lost that another may follow, or that one did.
    pub(super) fn paused(&self, server: &Server, why: Option<&'static str>) {
        let (account, jid, resource, stream) = self.of();
        self.publish(
            server,
            match why {
                Some(why) => SessionEvent::Suspended { account, jid, resource, stream, why },
                None => SessionEvent::Resumed { account, jid, resource, stream },
            },
        );
    }

    pub(super) fn ended(&self, server: &Server, why: &'static str) {
        let (account, jid, resource, stream) = self.of();
        self.publish(server, SessionEvent::Ended { account, jid, resource, stream, why });
    }

    fn of(&self) -> (AccountId, BareJid, String, String) {
        (self.account, self.jid.clone(), self.resource.clone(), self.stream.clone())
    }

    fn publish(&self, server: &Server, event: impl Into<Event>) {
        if !self.is_guest {
            server.bus.publish(Fact::new(Correlation::of_stream(&self.stream), event));
        }
    }
}
