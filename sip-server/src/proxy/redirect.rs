//! Redirects — RFC 3261 §16.7 item 4, §8.1.3.4: where a 3xx leads, and how it was found (RFC 7044 §10.4).
//!
//! In    a 3xx. Out its SIP contacts, most wanted first, without what was tried.
//! Not here: what policy says of following (`Config::redirect`), and where a target is (`routing`).

use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};

use crate::features::history_info::Found;

/// A target of a redirect.
#[derive(Debug, PartialEq)]
pub(crate) struct Onward {
    /// How much it is wanted.
    pub(crate) q: f32,
    /// The URI, without headers.
    pub(crate) uri: String,
    /// Whose it is.
    pub(crate) found: Option<Found>,
}

/// The targets of a redirect, the most wanted first. At most [`MOST`].
pub(crate) fn targets(response: &Message, was_tried: impl Fn(&str) -> bool) -> Vec<Onward> {
    let mut targets: Vec<Onward> = response
        .elements(Name::Contact)
        .filter_map(NameAddr::parse)
        .filter(|contact| {
            Uri::parse(contact.uri).is_some_and(|uri| uri.is_sip() || uri.is_tel()) && !was_tried(contact.uri)
        })
        .map(|contact| {
            let q = contact.params.value("q").and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
            Onward { q, uri: without_headers(contact.uri).to_owned(), found: Found::of(contact.params) }
        })
        .collect();
    targets.sort_by(|one, other| other.q.total_cmp(&one.q));
    targets.truncate(MOST);
    targets
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
        let contacts = "<sip:low@x>;q=0.1;mp=1, <sip:tried@x>, <http://x/>, <sip:high@x?Subject=x>";
        response.push(Name::Contact, contacts);
        let onward = |q, uri: &str, found| Onward { q, uri: uri.to_owned(), found };
        assert_eq!(
            targets(&response, |uri| uri == "sip:tried@x"),
            [onward(1.0, "sip:high@x", None), onward(0.1, "sip:low@x", Some(Found::OtherUser))]
        );
    }
}
