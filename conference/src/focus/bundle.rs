//! Media that share one port — RFC 9143 §7.1.3 (what holds for all of them stands beside one), §7.3.1 (which one that is), §7.3.3
//! (those that are refused), §6 (`a=bundle-only`). Pure.
//!
//! In    a description of a browser, and what was taken of it. Out the same, in which each medium of the group says what holds
//!       for it; the group of our answer.
//! Errors a group whose first media are all refused has the next of its list for a head; without one there is no group.

use sip_core::sdp::{Media, Sdp};

/// The names of the group, in its order; nothing if there is no group.
pub(super) fn of<'a>(sdp: &Sdp<'a>) -> Option<&'a str> {
    sdp.attributes.iter().find_map(|line| line.strip_prefix("group:BUNDLE"))
}

/// Writes beside each medium of the group what the head of the group says for all; which have a port of their own.
pub(super) fn spread(sdp: &mut Sdp<'_>) -> Vec<bool> {
    // RFC 8839 §5.4, RFC 8122 §5: what the session says holds for media that say nothing of their own.
    let session = sdp.attributes.clone();
    let has_port = sdp.media.iter().map(|media| media.port != 0).collect();
    sdp.media.iter_mut().for_each(|media| media.attributes.extend(&session));
    let Some(group) = of(sdp) else { return has_port };
    // What we refuse is no head of ours.
    let may_be = |one: &&Media<'_>| {
        one.port != 0 && matches!(one.kind, "audio" | "video") && one.attribute("ice-ufrag").is_some()
    };
    let mut members = group.split_ascii_whitespace();
    let head = members.find_map(|mid| sdp.media.iter().filter(may_be).find(|one| is(one, mid)));
    let Some(head) = head.cloned() else { return has_port };
    for media in sdp.media.iter_mut().filter(|media| is_in(group, media)) {
        let of = |line: &str| OF_THE_GROUP.into_iter().find(|name| line.split(':').next() == Some(name));
        let unsaid = OF_THE_GROUP.map(|name| media.attribute(name).is_none().then_some(name));
        for line in &head.attributes {
            if of(line).is_some_and(|name| unsaid.contains(&Some(name))) {
                media.attributes.push(line);
            }
        }
        if media.port == 0 && media.attribute("bundle-only").is_some() {
            (media.port, media.connection) = (head.port, head.connection);
        }
    }
    has_port
}

/// Whether a medium is one of the group.
pub(super) fn is_in(group: &str, media: &Media<'_>) -> bool {
    group.split_ascii_whitespace().any(|mid| is(media, mid))
}

/// The group of an answer: what was taken of the offer's, its head first (§7.3.1).
pub(super) fn answered(group: &str, media: &[Media<'_>], has_port: &[bool], taken: &[usize]) -> String {
    let at = |mid: &str| taken.iter().copied().find(|at| is(&media[*at], mid));
    let mut members: Vec<(&str, usize)> =
        group.split_ascii_whitespace().filter_map(|mid| Some((mid, at(mid)?))).collect();
    let Some(head) = members.iter().position(|(_, at)| has_port[*at]) else { return String::new() };
    members[..=head].rotate_right(1);
    let mids: String = members.iter().map(|(mid, _)| format!(" {mid}")).collect();
    format!("a=group:BUNDLE{mids}\r\n")
}

fn is(media: &Media<'_>, mid: &str) -> bool {
    media.attribute("mid") == Some(mid)
}

/// What is said once for all of a group (RFC 8859: IDENTICAL and TRANSPORT), of what we read.
const OF_THE_GROUP: [&str; 6] = ["ice-ufrag", "ice-pwd", "candidate", "fingerprint", "setup", "rtcp-mux"];

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\na=group:BUNDLE v a d\r\na=fingerprint:sha-256 AB\r\n\
        m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\na=bundle-only\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 192.0.2.1\r\na=mid:v\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=rtcp-mux\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\na=ice-ufrag:other\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:off\r\n";

    #[test]
    fn what_the_head_says_holds_for_the_group() {
        let mut sdp = Sdp::parse(OFFER).unwrap();
        assert_eq!(spread(&mut sdp), [false, true, true, false]);
        let audio = &sdp.media[0];
        assert_eq!(
            (audio.port, audio.attribute("ice-ufrag"), audio.attribute("rtcp-mux")),
            (9, Some("u"), Some(""))
        );
        assert_eq!(audio.connection, "192.0.2.1".parse().ok());
        assert_eq!(sdp.media[2].attribute("ice-ufrag"), Some("other"), "its own stays");
        assert_eq!((sdp.media[3].port, sdp.media[3].attribute("ice-ufrag")), (0, None), "it is off");
        assert!(is_in(" v a d", &sdp.media[0]) && !is_in(" v a d", &sdp.media[3]));
    }

    #[test]
    fn the_head_of_the_answer_is_that_of_the_offer_or_the_next() {
        let mut sdp = Sdp::parse(OFFER).unwrap();
        let has_port = spread(&mut sdp);
        let group = |taken: &[usize]| answered(of(&sdp).unwrap(), &sdp.media, &has_port, taken);
        assert_eq!(group(&[0, 1]), "a=group:BUNDLE v a\r\n", "in the order of the offer's group");
        assert_eq!(group(&[0, 2]), "a=group:BUNDLE d a\r\n", "who has no port of its own is no head");
        assert_eq!(group(&[0]), "");
    }
}
