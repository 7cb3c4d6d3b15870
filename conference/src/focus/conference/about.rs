//! What messages of ours say about us — RFC 4579 §5.1 (`isfocus`), RFC 3261 §8.1.1.8, §12.1.1 (Contact), §20.5, §20.37.

use sip_core::Message;
use sip_core::dialog::{as_sips, is_sips};
use sip_core::header::Name;

use super::super::body;
use super::Conference;

impl Conference {
    /// What a 2xx, or an INVITE of ours, says about us: RFC 4579 §5.1 and RFC 3840 (`isfocus`).
    pub(super) fn describe(&self, mut message: Message) -> Message {
        message.push(Name::Contact, &self.contact());
        message.push(Name::Allow, ALLOW);
        message.push(Name::AllowEvents, "conference");
        message.push(Name::Accept, body::ACCEPT);
        // RFC 3262 §4: we take reliable provisional responses for granted, and acknowledge none.
        let is_sent = |option: &&&str| !message.is_request() || **option != "100rel";
        let supported: Vec<&str> = EXTENSIONS.iter().filter(is_sent).copied().collect();
        message.push(Name::Supported, &supported.join(", "));
        message
    }

    /// The 2xx to a request. What begins in secrecy has a SIPS URI as Contact (RFC 3261 §12.1.1, RFC 5630 §3.1.4).
    pub(super) fn taken(&self, request: &Message, status: u16) -> Message {
        let mut response = self.describe(Message::response(request, status, ""));
        if is_sips(request) {
            response.set(Name::Contact, &as_sips(&self.contact()));
        }
        response
    }

    pub(super) fn contact(&self) -> String {
        let feature = if self.mailbox.is_none() { ";isfocus" } else { "" };
        format!("<{}>{feature}", self.room.to_sip_uri())
    }
}

pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, SUBSCRIBE, INFO, REFER";
/// What somebody may insist on. Of 100rel there is nothing to do: calls are answered without a provisional response (RFC 3262 §3).
pub(super) const EXTENSIONS: [&str; 5] = ["replaces", "join", "timer", "norefersub", "100rel"];
