//! Redirects — RFC 3261 §16.7 item 4, §8.1.3.4: where a 3xx leads, and how its history is told (RFC 7044).
//!
//! In    a 3xx. Out its SIP contacts, most wanted first, without what was tried; the history of who sent on.
//! Not here: what policy says of following (`Config::redirect`), and where a target is (`routing`).

use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};

/// The targets of a redirect, each with its q, the most wanted first. At most [`MOST`].
pub(crate) fn targets(response: &Message, was_tried: impl Fn(&str) -> bool) -> Vec<(f32, String)> {
    let mut targets: Vec<(f32, String)> = response
        .elements(Name::Contact)
        .filter_map(NameAddr::parse)
        .filter(|contact| {
            Uri::parse(contact.uri).is_some_and(|uri| uri.is_sip() || uri.is_tel()) && !was_tried(contact.uri)
        })
        .map(|contact| {
            let q = contact.params.value("q").and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
            (q, without_headers(contact.uri).to_owned())
        })
        .collect();
    targets.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    targets.truncate(MOST);
    targets
}

/// The entry of RFC 7044 §5 for a URI that sent on: with the reason, in the URI's headers.
pub(crate) fn history(uri: &str, status: u16) -> String {
    format!("<{}?Reason=SIP%3Bcause%3D{status}>", without_headers(uri))
}

/// §19.1.5: headers of a redirect's URI would be put into the request; a device may not do that to another's call.
fn without_headers(uri: &str) -> &str {
    uri.split_once('?').map_or(uri, |(uri, _)| uri)
}

/// Redirects that one request follows, and targets of one redirect.
pub(crate) const MOST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_new_targets_come_first() {
        let mut response = Message::response(&Message::request("INVITE", "sip:b@x"), 302, "");
        response.push(Name::Contact, "<sip:low@x>;q=0.1, <sip:tried@x>, <http://x/>, <sip:high@x?Subject=x>");
        assert_eq!(
            targets(&response, |uri| uri == "sip:tried@x"),
            [(1.0, "sip:high@x".to_owned()), (0.1, "sip:low@x".to_owned())]
        );
        assert_eq!(history("sip:b@x?a=b", 302), "<sip:b@x?Reason=SIP%3Bcause%3D302>");
    }
}
