//! History-Info — RFC 7044 §5 (the header), §10.3 (its index): where a call went before it came here.
//!
//! In    a request that a redirect sent on. Out one entry for each URI that it was at, `;index=1`, `1.1`, …
//! Not here: an entry for every device of an AOR, which would tell callees where each other's phones are; what came with
//! the request stays in front.

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::Name;

use super::Passage;

/// RFC 7044.
pub const SPEC: Spec =
    Spec::rfc(7044).note("entries for redirects that are followed; what peers sent passes");

/// Adds an entry for each URI that sent the request on, and for where it goes now.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
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
    let index = sip_core::header::NameAddr::parse(entry)?.params.value("index")?;
    let is_index =
        index.len() < LONGEST_INDEX && index.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_index.then(|| index.to_owned())
}

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
