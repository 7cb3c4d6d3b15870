//! A dialog that somebody began with us, or we with them — RFC 3261 §12.1.1 (UAS), §12.1.2 (UAC), §12.2.1.1 (requests
//! inside it), §13.2.2.4 (ACK).
//!
//! In    the request and the response that begin it; later requests of the peer. Out requests of ours inside it.
//! State tags, targets and routes, counts; and the flow of the peer's last request, of whatever kind `F` is to the shell.

use crate::Message;
use crate::header::{Name, NameAddr};

/// One dialog, as one of its ends keeps it.
#[derive(Debug, Clone)]
pub struct Dialog<F> {
    /// Its Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    remote_tag: String,
    /// What we write into From, with our tag.
    local: String,
    /// What we write into To, with the peer's.
    remote: String,
    /// Contact of the peer.
    target: String,
    routes: Vec<String>,
    local_cseq: u32,
    remote_cseq: u32,
    /// Our Contact is a SIPS URI in it (§12.1.1).
    is_sips: bool,
    /// What the last request came over; the proxy or the peer is at its other end.
    pub flow: F,
}

impl<F> Dialog<F> {
    /// The dialog that `response` to `request` makes; `None` without a Contact that can be called.
    pub fn begun_by(request: &Message, response: &Message, flow: F) -> Option<Self> {
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
            is_sips: is_sips(request),
            flow,
        })
    }

    /// The dialog that `response`, of the peer, makes of `request`, ours; `None` without a Contact that can be called.
    pub fn begun_with(request: &Message, response: &Message, flow: F) -> Option<Self> {
        let contact = NameAddr::parse(response.elements(Name::Contact).next()?)?;
        let mut routes: Vec<_> = response.elements(Name::RecordRoute).map(str::to_owned).collect();
        routes.reverse();
        Some(Self {
            call_id: request.call_id().to_owned(),
            local_tag: request.from_tag()?.to_owned(),
            remote_tag: response.to_tag()?.to_owned(),
            local: request.value(Name::From)?.to_owned(),
            remote: response.value(Name::To)?.to_owned(),
            target: contact.uri.to_owned(),
            routes,
            local_cseq: request.cseq()?.0,
            remote_cseq: 0,
            is_sips: is_sips(request),
            flow,
        })
    }

    /// Whether a Replaces or Join names this dialog (RFC 3891 §3: `to-tag` is that of whoever gets it).
    pub fn is_named(&self, call_id: &str, to_tag: &str, from_tag: &str) -> bool {
        self.call_id == call_id && self.local_tag == to_tag && self.remote_tag == from_tag
    }

    /// Its Call-ID, our tag and the peer's.
    pub fn names(&self) -> (&str, &str, &str) {
        (&self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// Whether a request from the peer belongs here.
    pub fn has(&self, request: &Message) -> bool {
        request.call_id() == self.call_id
            && request.to_tag() == Some(&self.local_tag)
            && request.from_tag() == Some(&self.remote_tag)
    }

    /// Takes a request's CSeq and, if it may change the target, its Contact (§12.2.2). False if it came out of order.
    pub fn accept(&mut self, request: &Message, flow: F) -> bool {
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

    /// The ACK of the 2xx to our last INVITE, the last request so far; `contact` is ours.
    pub fn ack(&mut self, contact: &str) -> Message {
        self.local_cseq -= 1;
        self.request("ACK", contact)
    }

    /// The ACK of a 2xx to an INVITE of ours inside the dialog, whatever was sent since (§13.2.2.4); its Contact is the target from
    /// now on (§12.2.1.2). `contact` is ours.
    pub fn acknowledge(&mut self, response: &Message, contact: &str) -> Option<Message> {
        let (cseq, _) = response.cseq()?;
        if let Some(target) = response.elements(Name::Contact).next().and_then(NameAddr::parse) {
            self.target = target.uri.to_owned();
        }
        let mut ack = self.ack(contact);
        ack.set(Name::CSeq, &format!("{cseq} ACK"));
        Some(ack)
    }

    /// The next request of ours; `contact` is ours.
    pub fn request(&mut self, method: &str, contact: &str) -> Message {
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
        match self.is_sips {
            true => request.push(Name::Contact, &as_sips(contact)),
            false => request.push(Name::Contact, contact),
        }
        request
    }

    /// The peer's Contact URI.
    pub fn target(&self) -> &str {
        &self.target
    }
}

/// Whether who answers, or sends, a request that begins a dialog has a SIPS URI as Contact: where the Request-URI is one, or the first that the
/// dialog is led by (§8.1.1.8, §12.1.1).
pub fn is_sips(request: &Message) -> bool {
    let is = |uri: &str| uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"));
    let first = request.elements(Name::RecordRoute).next().or_else(|| request.elements(Name::Contact).next());
    is(request.uri()) || first.and_then(NameAddr::parse).is_some_and(|address| is(address.uri))
}

/// A Contact of ours with the URI as SIPS.
pub fn as_sips(contact: &str) -> String {
    contact.replacen("<sip:", "<sips:", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(cseq: u32, to_tag: &str) -> Message {
        let mut request = Message::request("SUBSCRIBE", "sip:bob@x");
        request.push(Name::From, "<sip:bob@x>;tag=theirs");
        request.push(Name::To, &format!("<sip:bob@x>{to_tag}"));
        request.push(Name::CallId, "call");
        request.push(Name::CSeq, &format!("{cseq} SUBSCRIBE"));
        request.push(Name::Contact, "<sip:bob@192.0.2.1>");
        request.push(Name::RecordRoute, "<sip:edge.x;lr>, <sip:inner.x;lr>");
        request
    }

    #[test]
    fn requests_of_ours_go_where_the_peer_is_and_say_who_we_are() {
        let request = subscribe(7, "");
        let mut response = Message::response(&request, 200, "");
        response.set(Name::To, "<sip:bob@x>;tag=ours");
        let mut dialog = Dialog::begun_by(&request, &response, 1).unwrap();
        let mut again = subscribe(8, ";tag=ours");
        assert!(dialog.has(&again) && !dialog.has(&request));
        again.set(Name::Contact, "<sip:bob@192.0.2.2>");
        assert!(dialog.accept(&again, 2) && !dialog.accept(&again, 3), "a CSeq counts once");
        let notify = dialog.request("NOTIFY", "<sip:us>");
        assert_eq!((notify.uri(), dialog.flow), ("sip:bob@192.0.2.2", 2));
        assert_eq!(notify.elements(Name::Route).collect::<Vec<_>>(), ["<sip:edge.x;lr>", "<sip:inner.x;lr>"]);
        assert_eq!((notify.from_tag(), notify.to_tag()), (Some("ours"), Some("theirs")));
        assert_eq!(notify.cseq(), Some((1, "NOTIFY")));
    }

    #[test]
    fn what_we_begin_is_seen_from_the_other_side() {
        let request = subscribe(7, "");
        let mut response = Message::response(&request, 200, "");
        response.set(Name::To, "<sip:bob@x>;tag=ours");
        response.push(Name::Contact, "<sip:dev@192.0.2.9>");
        response.push(Name::RecordRoute, "<sip:edge.x;lr>, <sip:inner.x;lr>");
        let mut dialog = Dialog::begun_with(&request, &response, ()).unwrap();
        let ack = dialog.ack("<sip:us>");
        assert_eq!((ack.cseq(), ack.uri()), (Some((7, "ACK")), "sip:dev@192.0.2.9"));
        assert_eq!(ack.elements(Name::Route).collect::<Vec<_>>(), ["<sip:inner.x;lr>", "<sip:edge.x;lr>"]);
        response.set(Name::Contact, "<sip:dev@192.0.2.10>");
        let again = dialog.acknowledge(&response, "<sip:us>").unwrap();
        assert_eq!((again.cseq(), again.uri()), (Some((7, "ACK")), "sip:dev@192.0.2.10"));
        let bye = dialog.request("BYE", "<sip:us>");
        assert_eq!(
            (bye.from_tag(), bye.to_tag(), bye.cseq()),
            (Some("theirs"), Some("ours"), Some((8, "BYE")))
        );
        assert!(dialog.is_named("call", "theirs", "ours") && !dialog.is_named("call", "ours", "theirs"));
    }

    #[test]
    fn a_peer_without_a_contact_begins_none() {
        let mut request = subscribe(1, "");
        request.remove(Name::Contact);
        let response = Message::response(&request, 200, "");
        assert!(Dialog::begun_by(&request, &response, ()).is_none());
    }

    #[test]
    fn in_secrecy_our_contact_is_a_sips_uri() {
        let contact_of = |change: &dyn Fn(&mut Message)| {
            let mut request = subscribe(1, "");
            change(&mut request);
            let mut response = Message::response(&request, 200, "");
            response.set(Name::To, "<sip:bob@x>;tag=ours");
            let mut dialog = Dialog::begun_by(&request, &response, ()).unwrap();
            dialog.request("NOTIFY", "<sip:us@x>;isfocus").value(Name::Contact).unwrap().to_owned()
        };
        let sips = "<sips:us@x>;isfocus";
        assert_eq!(contact_of(&|_| {}), "<sip:us@x>;isfocus");
        assert_eq!(contact_of(&|request| request.set_uri("sips:bob@x")), sips);
        assert_eq!(contact_of(&|request| request.set(Name::RecordRoute, "<sips:edge.x;lr>")), sips);
        let theirs = |request: &mut Message| {
            request.remove(Name::RecordRoute);
            request.set(Name::Contact, "<SIPS:bob@192.0.2.1>");
        };
        assert_eq!(contact_of(&theirs), sips);
    }
}
