//! History-Info — RFC 7044 §5 (the header), §10.3 (its index), §10.4 (how a target was found), §10.1.2 (privacy): where a call went before
//! it came here.
//!
//! In    a request whose callee was called by another name or number, that a redirect sent on, or that goes to a mailbox.
//! Out   one entry for each URI that it was at, `;index=1`, `1.1;rc=1`, …; other domains are not told
//!       of entries in ours that somebody wants to keep, by `history` or `header` in Privacy or in the entry itself.
//! Not here: an entry for every device of an AOR, which would tell callees where each other's phones are; what came with
//! the request stays in front.

use shared_model::{Domains, Spec, idn};
use sip_core::header::{Name, NameAddr, Params};
use sip_core::uri::unescape;
use sip_core::{Message, Uri};

use super::privacy::{fulfil, wishes};
use super::{Destination, Passage};

/// RFC 7044.
pub const SPEC: Spec =
    Spec::rfc(7044).note("entries for other names and numbers of a callee, redirects that are followed, and mailboxes, not for devices; an index counts stations, not forks; what peers sent passes, ours hidden from other domains where that is asked");

/// A URI that a request was at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// The URI, without headers; `tel:` as SIP has it (§9.1).
    uri: String,
    /// How it came there from the station before, if we know.
    pub found: Option<Found>,
    /// The status that sent it on, if one did.
    pub status: Option<u16>,
}

/// How a target was found (§10.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// `rc`: another name of the same user.
    SameUser,
    /// `mp`: another user.
    OtherUser,
}

impl Found {
    /// What a Contact of a redirect says.
    pub fn of(contact: Params<'_>) -> Option<Self> {
        [Self::SameUser, Self::OtherUser].into_iter().find(|found| contact.has(found.word()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::SameUser => "rc",
            Self::OtherUser => "mp",
        }
    }
}

impl Station {
    /// One at a URI; numbers are of this domain.
    pub fn new(uri: &str, found: Option<Found>, domain: &str) -> Self {
        let bare = bare(uri);
        let uri = match Uri::parse(bare).filter(Uri::is_tel).and_then(|_| bare.split_once(':')) {
            // RFC 3261 §19.1.6.
            Some((_, number)) => format!("sip:{number}@{};user=phone", idn::to_ascii(domain)),
            None => bare.to_owned(),
        };
        Self { uri, found, status: None }
    }

    fn entry(&self) -> String {
        match self.status {
            Some(status) => format!("<{}?Reason=SIP%3Bcause%3D{status}>", self.uri),
            None => format!("<{}>", self.uri),
        }
    }
}

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

/// Adds an entry for each station, unless there is but the one where it is.
fn add(request: &mut Message, passage: &Passage<'_>) {
    let [first, .., _] = passage.history else { return };
    if passage.is_anonymous {
        return;
    }
    let last = request.elements(Name::HistoryInfo).last().and_then(last_entry);
    let mut stations = passage.history.iter();
    let mut at = match last {
        None => "1".to_owned(),
        // The one before us had the history too, and its last entry is where we begin.
        Some((uri, index)) if uri == first.uri && first.status.is_none() => {
            stations.next();
            index
        }
        Some((uri, index)) if uri == first.uri => format!("{index}.1"),
        // §10.3, rule 6: something is missing.
        Some((_, index)) => format!("{index}.0.1"),
    };
    let mut before = (stations.len() < passage.history.len()).then(|| at.clone());
    for station in stations {
        if let Some(before) = &before {
            at = format!("{before}.1");
        }
        let found = station.found.map(Found::word).zip(before.as_ref());
        let found = found.map_or(String::new(), |(word, before)| format!(";{word}={before}"));
        request.push_last(Name::HistoryInfo, &format!("{};index={at}{found}", station.entry()));
        before = Some(at.clone());
    }
}

/// The URI and the index of an entry.
fn last_entry(entry: &str) -> Option<(String, String)> {
    let entry = NameAddr::parse(entry)?;
    let index = entry.params.value("index")?;
    let is_index =
        index.len() < LONGEST_INDEX && index.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_index.then(|| (bare(entry.uri).to_owned(), index.to_owned()))
}

/// A URI without headers. A question mark before the `@` is of the user's name.
fn bare(uri: &str) -> &str {
    let at = uri.find('@').unwrap_or(0);
    uri[at..].find('?').map_or(uri, |mark| &uri[..at + mark])
}

/// RFC 3323 §4.1.1.3.
const NOBODY: &str = "sip:anonymous@anonymous.invalid";
/// Bytes of an index that is gone on with.
const LONGEST_INDEX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::tests::passage;
    use super::*;

    fn told(before: &str, history: &[Station]) -> Vec<String> {
        let mut request = Message::request("INVITE", "sip:carol@192.0.2.1");
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

    fn station(uri: &str, found: Option<Found>, status: Option<u16>) -> Station {
        Station { status, ..Station::new(uri, found, "x") }
    }

    #[test]
    fn each_station_has_an_entry_below_the_one_before() {
        assert_eq!(station("sip:a?b@x?c=d", None, None).entry(), "<sip:a?b@x>");
        let moved = [station("sip:bob@x?Subject=y", None, Some(302)), station("sip:carol@x", None, None)];
        let (bob, carol) = ("<sip:bob@x?Reason=SIP%3Bcause%3D302>", "<sip:carol@x>");
        let here = |bob_at: &str, carol_at: &str| {
            vec![format!("{bob};index={bob_at}"), format!("{carol};index={carol_at}")]
        };
        assert_eq!(told("", &moved), here("1", "1.1"), "§10.4: who redirects knows how");
        let with = |before: &str, rest: Vec<String>| [vec![before.to_owned()], rest].concat();
        let gap = "<sip:a@x>;index=1.2";
        assert_eq!(told(gap, &moved), with(gap, here("1.2.0.1", "1.2.0.1.1")));
        let same = "<sip:bob@x?Reason=Q.850>;index=1.2";
        assert_eq!(told(same, &moved), with(same, here("1.2.1", "1.2.1.1")));
        assert_eq!(told("<sip:bob@x>;index=x", &moved)[1..], here("1", "1.1"));
        assert!(told("", &[]).is_empty() && told("", &moved[1..]).is_empty());
    }

    #[test]
    fn how_a_target_was_found_names_the_entry_that_led_there() {
        let (same, other) = (Some(Found::SameUser), Some(Found::OtherUser));
        let numbered = [
            station("tel:+331;phone-context=a", None, None),
            station("sip:bob@x", same, Some(486)),
            station("sip:box@mail", other, None),
        ];
        let [number, bob, mailbox] = [
            "<sip:+331;phone-context=a@x;user=phone>;index=1",
            "<sip:bob@x?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1",
            "<sip:box@mail>;index=1.1.1;mp=1.1",
        ];
        assert_eq!(told("", &numbered), [number, bob, mailbox]);
        let before = "<sip:+331;phone-context=a@x;user=phone>;index=1.7;np=1";
        assert_eq!(
            told(before, &numbered[..2]),
            [before, "<sip:bob@x?Reason=SIP%3Bcause%3D486>;index=1.7.1;rc=1.7"]
        );
        assert_eq!(Found::of(Params(";q=1;mp=1.1")), other);
    }
}
