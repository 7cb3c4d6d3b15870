//! Extended reports in descriptions — RFC 3611 §5.1 (`a=rtcp-xr`), §5.2 (offer and answer). Pure.
//!
//! In    a medium of theirs. Out what they want, and our line, which asks for the same of them: what is not offered is not answered.
//! State none. Errors what is not known is passed over; a line without words asks for nothing.
//!
//! What a medium says replaces what the session says.

use sip_core::sdp::{Media, Sdp};

use crate::media::xr::{RoundTrip, Wanted};

/// Writes beside each medium what the session says for all.
pub(super) fn spread(sdp: &mut Sdp<'_>) {
    let Some(line) = sdp.attributes.iter().copied().find(|line| line.starts_with(LINE)) else { return };
    let are_silent = sdp.media.iter_mut().filter(|media| media.attribute(NAME).is_none());
    are_silent.for_each(|media| media.attributes.push(line));
}

/// What a medium asks for.
pub(super) fn wanted(media: &Media<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    for word in media.attribute(NAME).unwrap_or_default().split_ascii_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value.split(':').next()) {
            ("voip-metrics", _) => wanted.metrics = true,
            // How much of a packet the answers may take: ours is one, of 24 octets.
            ("rcvr-rtt", Some("all")) => wanted.round_trip = Some(RoundTrip::All),
            ("rcvr-rtt", Some("sender")) => wanted.round_trip = Some(RoundTrip::Senders),
            _ => {}
        }
    }
    wanted
}

/// Our line; nothing if nothing is wanted.
pub(super) fn print(wanted: Wanted) -> Option<String> {
    let trip = wanted.round_trip.map(|of| match of {
        RoundTrip::All => " rcvr-rtt=all",
        RoundTrip::Senders => " rcvr-rtt=sender",
    });
    let words: String = trip.into_iter().chain(wanted.metrics.then_some(" voip-metrics")).collect();
    (!words.is_empty()).then(|| format!("a={LINE}{}\r\n", words.trim_start()))
}

/// What our offers to phones ask for.
pub(super) const OF_PHONES: Wanted = Wanted { metrics: true, round_trip: Some(RoundTrip::All) };
/// What our offers to browsers ask for: they know no metrics.
pub(super) const OF_BROWSERS: Wanted = Wanted { metrics: false, round_trip: Some(RoundTrip::All) };

const NAME: &str = "rtcp-xr";
const LINE: &str = "rtcp-xr:";

#[cfg(test)]
mod tests {
    use super::*;

    fn said(session: &str, medium: &str) -> Option<String> {
        let text = format!("v=0\r\n{session}m=audio 9 RTP/AVP 0\r\n{medium}");
        let mut sdp = Sdp::parse(&text).unwrap();
        spread(&mut sdp);
        print(wanted(&sdp.media[0]))
    }

    #[test]
    fn what_is_known_of_an_offer_is_answered() {
        let of_a_phone = "a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\n";
        let both = Some("a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n".to_owned());
        assert_eq!((said(of_a_phone, ""), said("", of_a_phone)), (both.clone(), both));
        for (session, medium, expected) in [
            (of_a_phone, "a=rtcp-xr:rcvr-rtt=sender\r\n", Some("a=rtcp-xr:rcvr-rtt=sender\r\n")),
            (of_a_phone, "a=rtcp-xr:\r\n", None),
            ("", "a=rtcp-xr:pkt-loss-rle=5 rcvr-rtt=nobody rcvr-rtt\r\n", None),
            ("", "", None),
        ] {
            assert_eq!(said(session, medium).as_deref(), expected, "{session}{medium}");
        }
    }
}
