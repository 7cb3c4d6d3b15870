//! History-Info — RFC 7044 §5 (the header), §10.3 (its index), §10.1.2 (privacy): where a call went before it came here.
//!
//! In    a request that a redirect sent on, or that goes to a mailbox. Out one entry for each URI that it was at, `;index=1`, `1.1`, …; other domains are not told
//!       of entries in ours that somebody wants to keep, by `history` or `header` in Privacy or in the entry itself.
//! Not here: an entry for every device of an AOR, which would tell callees where each other's phones are; what came with
//! the request stays in front.

use shared_model::{Domains, Spec};
use sip_core::header::{Name, NameAddr};
use sip_core::uri::unescape;
use sip_core::{Message, Uri};

use super::privacy::{fulfil, wishes};
use super::{Destination, Passage};

/// RFC 7044.
pub const SPEC: Spec =
    Spec::rfc(7044).note("entries for redirects that are followed, and for mailboxes; what peers sent passes, ours hidden from other domains where that is asked");

/// Tells where the call was, and other domains no more of it than they may know.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    add(request, passage);
    hide(request, passage);
}

/// Hides what other domains are not to know.
fn hide(request: &mut Message, passage: &Passage<'_>) {
    if passage.to != Destination::Foreign || request.value(Name::HistoryInfo).is_none() {
        return;
    }
    let is_all = wishes(request, "history") || wishes(request, "header");
    let entries: Vec<String> =
        request.elements(Name::HistoryInfo).map(|entry| hidden(entry, is_all, passage.domains)).collect();
    request.set(Name::HistoryInfo, &entries.join(", "));
    if wishes(request, "history") {
        fulfil(request, "history");
    }
}

/// An entry as another domain sees it.
fn hidden(entry: &str, is_all: bool, domains: &Domains) -> String {
    let Some(name) = NameAddr::parse(entry) else { return entry.to_owned() };
    let Some(uri) = Uri::parse(name.uri).filter(|uri| domains.has(uri.host)) else { return entry.to_owned() };
    let is_asked = uri.headers.split('&').filter_map(privacy).any(|value| {
        unescape(value).split([';', ',']).any(|wish| wish.trim().eq_ignore_ascii_case("history"))
    });
    if is_all || is_asked {
        return format!("<{NOBODY}>{}", name.params.0);
    }
    let kept: Vec<&str> = uri.headers.split('&').filter(|header| privacy(header).is_none()).collect();
    let bare = name.uri.split_once('?').map_or(name.uri, |(bare, _)| bare);
    let headers = if kept.concat().is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    format!("<{bare}{headers}>{}", name.params.0)
}

/// What a header in a URI asks for, if it is Privacy.
fn privacy(header: &str) -> Option<&str> {
    let (name, value) = header.split_once('=').unwrap_or((header, ""));
    name.eq_ignore_ascii_case("privacy").then_some(value)
}

/// Adds an entry for each URI that sent the request on, and for where it goes now.
fn add(request: &mut Message, passage: &Passage<'_>) {
    if passage.history.is_empty() || passage.is_anonymous {
        return;
    }
    // A new branch of what is there already hangs on its last index (§10.3).
    let last = request.elements(Name::HistoryInfo).last().and_then(index);
    let mut index = last.map_or("1".to_owned(), |last| format!("{last}.1"));
    for entry in passage.history {
        request.push_last(Name::HistoryInfo, &format!("{entry};index={index}"));
        index.push_str(".1");
    }
    let target = format!("<{}>;index={index};mp=1", request.uri());
    request.push_last(Name::HistoryInfo, &target);
}

fn index(entry: &str) -> Option<String> {
    let index = NameAddr::parse(entry)?.params.value("index")?;
    let is_index =
        index.len() < LONGEST_INDEX && index.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_index.then(|| index.to_owned())
}

/// RFC 3323 §4.1.1.3.
const NOBODY: &str = "sip:anonymous@anonymous.invalid";
/// Bytes of an index that is gone on with.
const LONGEST_INDEX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::tests::passage;
    use super::*;

    fn told(before: &str, history: &[String]) -> Vec<String> {
        let mut request = Message::request("INVITE", "sip:carol@x");
        if !before.is_empty() {
            request.push(Name::HistoryInfo, before);
        }
        apply(&mut request, &Passage { history, ..passage(None) });
        request.elements(Name::HistoryInfo).map(str::to_owned).collect()
    }

    #[test]
    fn other_domains_do_not_hear_of_what_somebody_keeps() {
        let shown = |privacy: &str, entries: &str, to| {
            let mut request = Message::request("INVITE", "sip:f@far");
            request.push(Name::HistoryInfo, entries);
            if !privacy.is_empty() {
                request.push(Name::Privacy, privacy);
            }
            hide(&mut request, &Passage { to, ..passage(None) });
            let left = request.value(Name::Privacy).unwrap_or_default().to_owned();
            (request.value(Name::HistoryInfo).unwrap().to_owned(), left)
        };
        let both = "<sip:secret@x>;index=1, <sip:open@far>;index=1.1";
        let kept = "<sip:anonymous@anonymous.invalid>;index=1, <sip:open@far>;index=1.1";
        assert_eq!(shown("history;id", both, Destination::Foreign), (kept.to_owned(), "id".to_owned()));
        assert_eq!(shown("header", both, Destination::Foreign).0, kept);
        assert_eq!(shown("history", both, Destination::Device), (both.to_owned(), "history".to_owned()));
        let one = "<sip:a@x?Privacy=history&Reason=SIP>;index=1, <sip:b@x?Reason=SIP&privacy=id>;index=1.1";
        let kept = "<sip:anonymous@anonymous.invalid>;index=1, <sip:b@x?Reason=SIP>;index=1.1";
        assert_eq!(shown("", one, Destination::Foreign).0, kept);
    }

    #[test]
    fn each_station_has_an_entry_below_the_one_before() {
        let history = ["<sip:bob@x?Reason=SIP%3Bcause%3D302>".to_owned()];
        assert_eq!(
            told("", &history),
            ["<sip:bob@x?Reason=SIP%3Bcause%3D302>;index=1", "<sip:carol@x>;index=1.1;mp=1"]
        );
        assert_eq!(
            told("<sip:a@x>;index=1.2", &history),
            [
                "<sip:a@x>;index=1.2",
                "<sip:bob@x?Reason=SIP%3Bcause%3D302>;index=1.2.1",
                "<sip:carol@x>;index=1.2.1.1;mp=1"
            ]
        );
        assert!(told("", &[]).is_empty());
    }
}
