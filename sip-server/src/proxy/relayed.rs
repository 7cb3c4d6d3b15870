//! Descriptions of a call on their way through a relay — RFC 3264 §5, §6; RFC 3261 §13.2.1 (who offers when), RFC 3311 §5.
//!
//! In    copies for branches, answers of branches. Out the same, with a relay's addresses where the call needs one.
//! State what the relay made of the offer, which its branches get; who answered first, after whom others move nothing.
//! Errors without a relay calls begin as they came; a new offer within one that has a relay is refused (500) if none takes it.

use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};
use sip_endpoint::Transport;

use super::fork::{Forwarding, Started};
use crate::features::Destination;
use crate::location::Branch;
use crate::relay::{Relay, Tags, sdp_of};

/// What became of a request's offer.
#[derive(Default)]
pub(super) enum Offer {
    #[default]
    Unseen,
    /// As the relay has it; `None` as it came.
    Seen(Option<String>),
}

impl Forwarding<'_> {
    /// In a call that a relay carries, nothing is offered past it. False if none takes the offer: what is refused leaves the call
    /// as it was (§14.1).
    pub(super) async fn relay_again(&mut self, branches: &[Branch]) -> bool {
        let is_offer = matches!(self.request.method(), "INVITE" | "UPDATE") && self.request.is_in_dialog();
        let Some(branch) = branches.first().filter(|_| is_offer && sdp_of(&self.request).is_some()) else {
            return true;
        };
        let is_relayed = self.server.relay.as_ref().is_some_and(|relay| self.is_relayed(relay, branch));
        let mut copy = self.request.clone();
        !is_relayed || self.relay_offer(branch, &mut copy).await
    }

    /// Puts a relay into the copy for a branch, if the call needs one. Whether it is in there.
    pub(super) async fn relay_offer(&mut self, branch: &Branch, copy: &mut Message) -> bool {
        let Some(relay) = self.server.relay.as_ref().filter(|relay| self.is_relayed(relay, branch)) else {
            return false;
        };
        let Some(sdp) = sdp_of(&self.request) else { return false };
        let (call_id, to) = (&*self.route.call, self.request.to_tag());
        // RFC 3262 §5: a PRACK answers what a provisional response offered, or offers anew.
        if self.request.method() == "PRACK" && relay.has_offered(call_id, to) {
            let tags = Tags { offerer: to.unwrap_or_default(), answerer: self.request.from_tag() };
            if let Some(sdp) = relay.answer(call_id, tags, sdp).await {
                copy.set_body("application/sdp", sdp.into());
            }
            return false;
        }
        if matches!(self.offer, Offer::Unseen) {
            let offerer = self.request.from_tag().unwrap_or_default();
            let tags = Tags { offerer, answerer: self.request.to_tag() };
            self.offer = Offer::Seen(relay.offer(&self.route.call, tags, sdp).await);
        }
        if let Offer::Seen(Some(sdp)) = &self.offer {
            copy.set_body("application/sdp", sdp.clone().into());
            return true;
        }
        false
    }

    /// The same for what a branch answers.
    pub(super) async fn relay_answer(&mut self, id: usize, response: &mut Message) {
        let Some(relay) = &self.server.relay else { return };
        let Some(Started { branch, is_relayed, .. }) =
            self.started.get(id).filter(|_| response.status() < 300)
        else {
            return;
        };
        let (Some(from), Some(to)) = (response.from_tag(), response.to_tag()) else { return };
        // While the call is up, the relay stays with who took it (§13.2.2.4: the caller ends what others answer).
        let is_late = match response.status() {
            200.. => self.winner.get_or_insert_with(|| to.to_owned()) != to,
            _ => self.context.is_answered(),
        };
        let Some(sdp) = sdp_of(response).filter(|_| !is_late) else { return };
        let call_id = &self.route.call;
        let sdp = match sdp_of(&self.request) {
            Some(_) if *is_relayed => {
                relay.answer(call_id, Tags { offerer: from, answerer: Some(to) }, sdp).await
            }
            // Its offer is in the answer, and theirs in the ACK.
            None if self.request.method() == "INVITE" && self.is_answer_relayed(relay, branch, response) => {
                relay.offer(call_id, Tags { offerer: to, answerer: Some(from) }, sdp).await
            }
            _ => None,
        };
        if let Some(sdp) = sdp {
            response.set_body("application/sdp", sdp.into());
        }
    }

    /// A call is over, or was none.
    pub(super) fn end_relay(&self) {
        if let Some(relay) = self.server.relay.clone().filter(|relay| relay.has(&self.route.call)) {
            let call_id = self.route.call.clone();
            tokio::spawn(async move { relay.delete(&call_id).await });
        }
    }

    fn may_be_relayed(&self, branch: &Branch) -> bool {
        let is_inside = |transport| transport == Transport::InProcess;
        matches!(self.request.method(), "INVITE" | "UPDATE" | "PRACK")
            && branch.to != Destination::Trusted
            && !is_inside(self.flow.transport)
            && !is_inside(branch.flow.transport)
    }

    fn is_relayed(&self, relay: &Relay, branch: &Branch) -> bool {
        if !self.may_be_relayed(branch) || self.request.is_in_dialog() {
            return self.may_be_relayed(branch) && relay.has(&self.route.call);
        }
        let contact = branch.uri.as_deref().and_then(Uri::parse);
        let contact = contact.and_then(|uri| uri.host.trim_matches(['[', ']']).parse().ok());
        // Of another domain nobody knows more than where it is.
        let contact = contact.filter(|_| branch.to == Destination::Device && branch.path.is_empty());
        relay.has(&self.route.call)
            || relay.wants(&self.request, self.flow.remote.ip(), (contact, branch.flow.remote.ip()))
    }

    /// The same of an offer that comes in an answer.
    fn is_answer_relayed(&self, relay: &Relay, branch: &Branch, answer: &Message) -> bool {
        let is_known = relay.has(&self.route.call);
        if !self.may_be_relayed(branch) || is_known || self.request.is_in_dialog() {
            return self.may_be_relayed(branch) && is_known;
        }
        // Behind another proxy the caller's own address says nothing.
        let is_near = self.route.caller.is_some() && self.request.values(Name::Via).count() == 1;
        let contact = self.request.elements(Name::Contact).next().and_then(NameAddr::parse);
        let contact = contact.filter(|_| is_near).and_then(|contact| Uri::parse(contact.uri));
        let contact = contact.and_then(|uri| uri.host.trim_matches(['[', ']']).parse().ok());
        relay.wants(answer, branch.flow.remote.ip(), (contact, self.flow.remote.ip()))
    }
}
