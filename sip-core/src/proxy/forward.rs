//! What a proxy does to a request — RFC 3261 §16.3 (checks), §16.4 (Route), §16.6 (forwarding), RFC 5393 (loops).

use std::borrow::Cow;

use crate::fnv::Fnv;
use crate::header::{Name, NameAddr};
use crate::message::Message;
use crate::uri::Uri;

/// Why a request goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// 483: Max-Forwards is used up (§16.3, item 3).
    TooMany,
    /// 482: it was here before with the same target (§16.3, item 4).
    Loop,
    /// 400: Max-Forwards is no number.
    Bad,
}

/// Checks Max-Forwards and loops. `is_ours` says whether a sent-by is one of ours.
pub fn hop_check(request: &Message, is_ours: impl Fn(&str, Option<u16>) -> bool) -> Result<(), Hop> {
    match request.value(Name::MaxForwards).map(str::parse::<u16>) {
        None => {}
        Some(Ok(0)) => return Err(Hop::TooMany),
        Some(Ok(hops)) if hops > 255 => return Err(Hop::Bad),
        Some(Ok(_)) => {}
        Some(Err(_)) => return Err(Hop::Bad),
    }
    // Most requests were never here: what is hashed waits for a Via of ours.
    let was_here = request.elements(Name::Via).filter_map(crate::header::Via::parse).any(|via| {
        is_ours(via.host, via.port)
            && via
                .branch()
                .and_then(|branch| branch.rsplit_once('.'))
                .is_some_and(|(_, was)| was == loop_key(request))
    });
    if was_here { Err(Hop::Loop) } else { Ok(()) }
}

/// A hash of what routing depends on (§16.6, item 8): a request that comes back with the same hash loops, with
/// another it spirals, which is allowed.
pub fn loop_key(request: &Message) -> String {
    let fields = [Name::From, Name::To, Name::CallId, Name::CSeq, Name::Route, Name::ProxyRequire];
    fields
        .into_iter()
        .flat_map(|name| request.values(name))
        .chain([request.uri()])
        .fold(Fnv::new(), |hash, text| hash.and(text.as_bytes()).and(&[0]))
        .digits("")
}

/// Takes our own entries off the Route (§16.4), and repairs what a strict router did to the Request-URI.
/// The user parts of the entries that were ours, topmost first.
pub fn pop_routes(request: &mut Message, is_ours: impl Fn(&Uri<'_>) -> bool) -> Vec<String> {
    let mut ours = Vec::new();
    if request.value(Name::Route).is_none() {
        return ours;
    }
    // §16.4: a strict router put our Record-Route URI into the Request-URI and the target last into Route.
    let is_strict = Uri::parse(request.uri()).is_some_and(|uri| uri.params.has("lr") && is_ours(&uri));
    if is_strict && let Some(last) = request.elements(Name::Route).last().map(str::to_owned) {
        if let Some(user) = Uri::parse(request.uri()).map(|uri| uri.user.to_owned()) {
            ours.push(user);
        }
        let mut left = request.elements(Name::Route).count();
        request.retain_elements(Name::Route, |_| {
            left -= 1;
            left > 0
        });
        if let Some(target) = NameAddr::parse(&last) {
            request.set_uri(target.uri);
        }
    }
    loop {
        let user = request
            .elements(Name::Route)
            .next()
            .and_then(NameAddr::parse)
            .and_then(|route| Uri::parse(route.uri))
            .filter(&is_ours)
            .map(|uri| uri.user.to_owned());
        let Some(user) = user else { return ours };
        request.pop_front(Name::Route);
        ours.push(user);
    }
}

/// §16.6, items 2 and 3, of a copy for one target: the Request-URI and Max-Forwards. Our Via comes with the sending.
pub fn prepare_copy(request: &mut Message, uri: Option<&str>) {
    if let Some(uri) = uri {
        request.set_uri(&as_request_uri(uri));
    }
    let hops = request.value(Name::MaxForwards).and_then(|value| value.parse::<u16>().ok());
    request.set(Name::MaxForwards, &hops.map_or(70, |hops| hops.saturating_sub(1)).to_string());
}

/// A contact as a Request-URI: without what §19.1.1 keeps out of one, its headers and a method (§16.6, item 2).
fn as_request_uri(contact: &str) -> Cow<'_, str> {
    let Some(uri) = Uri::parse(contact).filter(Uri::is_sip) else { return Cow::Borrowed(contact) };
    // Headers come last, after a question mark; one in the user part stands before the `@`.
    let at = contact.find('@').unwrap_or(0);
    let without_headers = contact[at..].find('?').map_or(contact, |mark| &contact[..at + mark]);
    if !uri.params.has("method") {
        return Cow::Borrowed(without_headers);
    }
    let before = without_headers.len() - uri.params.0.len();
    let kept = uri
        .params
        .raw()
        .filter(|param| !param.split('=').next().unwrap_or_default().eq_ignore_ascii_case("method"));
    let mut out = without_headers[..before].to_owned();
    for param in kept {
        out.push(';');
        out.push_str(param);
    }
    Cow::Owned(out)
}

/// How many branches may be open at once for this request (RFC 5393 §5.3.3): what Max-Breadth says, or 60. The status of
/// the answer if there is no room for one.
pub fn breadth(request: &Message) -> Result<usize, u16> {
    match request.value(Name::MaxBreadth).map(|value| value.trim().parse::<u32>()) {
        None => Ok(DEFAULT_BREADTH),
        Some(Ok(0)) => Err(440),
        Some(Ok(breadth)) => Ok(usize::try_from(breadth).unwrap_or(DEFAULT_BREADTH).min(DEFAULT_BREADTH)),
        Some(Err(_)) => Err(400),
    }
}

/// What each of `branches` gets of a breadth (RFC 5393 §5.3.3.1); at least 1.
pub fn share_breadth(breadth: usize, branches: usize) -> usize {
    (breadth / branches.max(1)).max(1)
}

/// §16.6, item 6: if the next hop is a strict router, its URI goes into the Request-URI and the target to the end of
/// the Route.
pub fn serve_strict_router(request: &mut Message) {
    let next = request.elements(Name::Route).next().and_then(NameAddr::parse);
    let Some(next) = next.map(|route| route.uri.to_owned()) else { return };
    if Uri::parse(&next).is_none_or(|uri| uri.params.has("lr")) {
        return;
    }
    request.pop_front(Name::Route);
    let target = format!("<{}>", request.uri());
    request.push_last(Name::Route, &target);
    request.set_uri(&next);
}

/// RFC 5393 §5.3.1.
const DEFAULT_BREADTH: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(route: &str, uri: &str, hops: &str) -> Message {
        let mut request = Message::request("INVITE", uri);
        request.push(Name::Via, "SIP/2.0/UDP p:5060;branch=z9hG4bKx.0, SIP/2.0/UDP a");
        request.push(Name::MaxForwards, hops);
        if !route.is_empty() {
            request.push(Name::Route, route);
        }
        request
    }

    fn ours(uri: &Uri<'_>) -> bool {
        uri.host == "p"
    }

    #[test]
    fn counts_hops_and_knows_loops_from_spirals() {
        assert_eq!(hop_check(&request("", "sip:b@x", "0"), |_, _| true), Err(Hop::TooMany));
        assert_eq!(hop_check(&request("", "sip:b@x", "x"), |_, _| true), Err(Hop::Bad));
        assert_eq!(hop_check(&request("", "sip:b@x", "70"), |_, _| true), Ok(()));
        let mut looped = request("", "sip:b@x", "70");
        let via = format!("SIP/2.0/UDP p:5060;branch=z9hG4bKx.{}", loop_key(&looped));
        looped.push_front(Name::Via, &via);
        assert_eq!(hop_check(&looped, |host, _| host == "p"), Err(Hop::Loop));
        looped.set_uri("sip:c@x");
        assert_eq!(hop_check(&looped, |host, _| host == "p"), Ok(()), "a spiral");
    }

    #[test]
    fn takes_all_of_our_own_routes_and_no_other() {
        let mut message = request("<sip:one@p;lr>, <sip:two@p;lr>, <sip:q;lr>", "sip:b@x", "70");
        assert_eq!(pop_routes(&mut message, ours), ["one", "two"]);
        assert_eq!(message.value(Name::Route), Some("<sip:q;lr>"));
    }

    #[test]
    fn mends_what_a_strict_router_did() {
        let mut message = request("<sip:q;lr>, <sip:b@x>", "sip:tok@p;lr", "70");
        assert_eq!(pop_routes(&mut message, ours), ["tok"]);
        assert_eq!((message.uri(), message.value(Name::Route)), ("sip:b@x", Some("<sip:q;lr>")));
    }

    #[test]
    fn breadth_is_shared_and_never_exceeded() {
        let mut message = Message::request("INVITE", "sip:b@x");
        assert_eq!(breadth(&message), Ok(60));
        for (value, known) in [("3", Ok(3)), ("0", Err(440)), ("x", Err(400)), ("4000000000", Ok(60))] {
            message.set(Name::MaxBreadth, value);
            assert_eq!(breadth(&message), known, "{value}");
        }
        assert_eq!((share_breadth(60, 7), share_breadth(3, 4), share_breadth(5, 0)), (8, 1, 5));
    }

    #[test]
    fn a_strict_router_finds_itself_in_the_request_uri() {
        let mut message = request("<sip:strict@q>, <sip:r;lr>", "sip:b@x", "70");
        serve_strict_router(&mut message);
        let routes: Vec<_> = message.elements(Name::Route).collect();
        assert_eq!((message.uri(), routes), ("sip:strict@q", vec!["<sip:r;lr>", "<sip:b@x>"]));
        let mut loose = request("<sip:q;lr>", "sip:b@x", "70");
        serve_strict_router(&mut loose);
        assert_eq!((loose.uri(), loose.value(Name::Route)), ("sip:b@x", Some("<sip:q;lr>")));
    }

    #[test]
    fn a_request_without_max_forwards_gets_70() {
        let mut message = Message::request("OPTIONS", "sip:b@x");
        prepare_copy(&mut message, Some("sip:c@y"));
        assert_eq!((message.value(Name::MaxForwards), message.uri()), (Some("70"), "sip:c@y"));
        prepare_copy(&mut message, None);
        assert_eq!(message.value(Name::MaxForwards), Some("69"));
    }

    #[test]
    fn a_contact_becomes_a_request_uri_without_headers_and_method() {
        for (contact, wanted) in [
            ("sip:a?b@x;lr?Route=%3Csip:c%3E", "sip:a?b@x;lr"),
            ("sip:x?Subject=y", "sip:x"),
            ("sip:a@x;p;Method=BYE;q=1?s=t", "sip:a@x;p;q=1"),
            ("sip:a;method=b@x;methods", "sip:a;method=b@x;methods"),
            ("http://x/?a", "http://x/?a"),
        ] {
            let mut message = Message::request("OPTIONS", "sip:b@x");
            prepare_copy(&mut message, Some(contact));
            assert_eq!(message.uri(), wanted);
        }
    }
}
