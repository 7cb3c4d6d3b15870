//! A dialog that somebody began with the focus — RFC 3261 §12.1.1 (UAS), §12.2.1.1 (requests inside it).

use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_endpoint::Flow;

/// One dialog, as the UAS keeps it.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    pub(super) local_tag: String,
    remote_tag: String,
    /// To of the first request, with our tag: what we write into From.
    local: String,
    /// From of the first request: what we write into To.
    remote: String,
    /// Contact of the peer.
    target: String,
    routes: Vec<String>,
    local_cseq: u32,
    remote_cseq: u32,
    /// What the last request came over; the proxy or the peer is at its other end.
    pub(super) flow: Flow,
}

impl Dialog {
    /// The dialog that `response` to `request` makes; `None` without a Contact that can be called.
    pub(super) fn begun_by(request: &Message, response: &Message, flow: Flow) -> Option<Self> {
        let contact = NameAddr::parse(request.elements(Name::Contact).next()?)?;
        Some(Self {
            call_id: request.call_id().to_owned(),
            local_tag: response.to_tag()?.to_owned(),
            remote_tag: request.from_tag()?.to_owned(),
            local: response.value(Name::To)?.to_owned(),
            remote: request.value(Name::From)?.to_owned(),
            target: contact.uri.to_owned(),
            routes: request.elements(Name::RecordRoute).map(str::to_owned).collect(),
            local_cseq: 0,
            remote_cseq: request.cseq()?.0,
            flow,
        })
    }

    /// Whether a request from the peer belongs here.
    pub(super) fn has(&self, request: &Message) -> bool {
        request.call_id() == self.call_id
            && request.to_tag() == Some(&self.local_tag)
            && request.from_tag() == Some(&self.remote_tag)
    }

    /// Takes a request's CSeq and, if it may change the target, its Contact (§12.2.2). False if it came out of order.
    pub(super) fn accept(&mut self, request: &Message, flow: Flow) -> bool {
        let Some((cseq, _)) = request.cseq().filter(|(cseq, _)| *cseq > self.remote_cseq) else {
            return false;
        };
        self.remote_cseq = cseq;
        self.flow = flow;
        if matches!(request.method(), "INVITE" | "UPDATE" | "SUBSCRIBE")
            && let Some(contact) = request.elements(Name::Contact).next().and_then(NameAddr::parse)
        {
            self.target = contact.uri.to_owned();
        }
        true
    }

    /// The next request of ours; `contact` is ours.
    pub(super) fn request(&mut self, method: &str, contact: &str) -> Message {
        self.local_cseq += 1;
        let mut request = Message::request(method, &self.target);
        for route in &self.routes {
            request.push(Name::Route, route);
        }
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, &self.local);
        request.push(Name::To, &self.remote);
        request.push(Name::CallId, &self.call_id);
        request.push(Name::CSeq, &format!("{} {method}", self.local_cseq));
        request.push(Name::Contact, contact);
        request
    }

    /// The peer's Contact URI.
    pub(super) fn target(&self) -> &str {
        &self.target
    }
}
