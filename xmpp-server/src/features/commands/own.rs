//! Commands of everybody — XEP-0050 1.3.0: what an account asks the service about itself, and about others by their address.
//!
//! A command is a file here, and a line in [`OWN`]. It is asked for at the domain, as those of administrators are.

use shared_model::Pending;
use xmpp_core::Jid;
use xmpp_core::payload::form::Form;

use super::{Run, Stop, blacklist, callers, invite, lookup, phone, shutdown, standing, voicemail};
use crate::server::Server;

/// One line of the table.
pub(super) struct Own {
    pub(super) node: &'static str,
    pub(super) name: &'static str,
    /// The form, filled with what is so now; a command without one is run at once.
    pub(super) ask: Option<Ask>,
    pub(super) run: Run,
    pub(super) is_there: fn(&Server) -> bool,
    pub(super) who: Who,
}

/// What fills a form for somebody.
type Ask = for<'a> fn(&'a Server, &'a Jid) -> Pending<'a, Result<Form, Stop>>;

/// Whose command it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Everybody,
    Administrators,
}

/// Every command, in the order in which they are listed.
pub(super) const OWN: &[Own] = &[
    phone::COMMAND,
    callers::COMMAND,
    voicemail::COMMAND,
    lookup::COMMAND,
    invite::CONTACT,
    invite::ACCOUNT,
    standing::SET_OF_THE_DAY,
    standing::EDIT_OF_THE_DAY,
    standing::DELETE_OF_THE_DAY,
    standing::SET_WELCOME,
    standing::DELETE_WELCOME,
    blacklist::COMMAND,
    shutdown::RESTART,
    shutdown::STOP,
];

/// The command of a node, if it is served.
pub(super) fn find(server: &Server, node: &str) -> Option<&'static Own> {
    OWN.iter().find(|own| own.node == node && (own.is_there)(server))
}
