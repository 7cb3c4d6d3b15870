//! CSeq towards carriers that ask for proof — RFC 3261 §22.2 (credentials go with a higher CSeq), §12.2.1.1 (and what follows in the dialog is
//! higher still), RFC 3262 §7.2 (RAck names it).
//!
//! In    a request of a caller, who knows nothing of the challenge that we answered for them. Out the same, counted as the carrier
//!       counts; its responses, counted as the caller does. ACK and CANCEL have the number of their INVITE as it was sent.
//! State none: how far a dialog is ahead stands in our Record-Route; once it was asked again, with the dialog ([`crate::dialogs`]), and
//!       with the call that is written down ([`crate::records`]), which outlives the process.

use sip_core::Message;
use sip_core::header::Name;

/// Counts a request as its carrier does; `of_invite` is how far the INVITE was ahead that a RAck names.
pub(crate) fn count(request: &mut Message, ahead: u32, of_invite: u32) {
    if let Some((number, method)) = request.cseq().filter(|_| ahead > 0) {
        let counted = format!("{} {method}", number.saturating_add(ahead));
        request.set(Name::CSeq, &counted);
    }
    let rack = request.other_values("RAck").next().filter(|_| of_invite > 0);
    let counted = rack.and_then(|rack| {
        let mut words = rack.split_ascii_whitespace();
        let (response, number, method) = (words.next()?, words.next()?.parse::<u32>().ok()?, words.next()?);
        Some(format!("{response} {} {method}", number.saturating_add(of_invite)))
    });
    if let Some(counted) = counted {
        request.remove_other("RAck");
        request.push_other("RAck", &counted);
    }
}

/// Counts a response as who sent the request does.
pub(crate) fn count_back(response: &mut Message, request: &Message) {
    if let Some(counted) = request.value(Name::CSeq) {
        response.set(Name::CSeq, counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prack_names_its_invite_as_that_was_sent() {
        let mut prack = Message::request("PRACK", "sip:b@x");
        prack.push(Name::CSeq, "8 PRACK");
        prack.push_other("RAck", "776656 7  INVITE");
        let asked = prack.clone();
        count(&mut prack, 2, 1);
        assert_eq!(
            (prack.value(Name::CSeq), prack.other_values("RAck").next()),
            (Some("10 PRACK"), Some("776656 8 INVITE"))
        );
        count_back(&mut prack, &asked);
        assert_eq!(prack.value(Name::CSeq), Some("8 PRACK"));
    }
}
