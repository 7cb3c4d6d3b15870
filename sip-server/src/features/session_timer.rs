//! Session timers — RFC 4028 §8 (proxy): a call whose ends have died is noticed by refreshes that do not come.
//!
//! In    INVITE and UPDATE, and their 2xx.
//! Out   Session-Expires where there is none and the caller could use it, lowered where it is longer than ours; in the 2xx,
//! with the caller as refresher, if the callee does not know timers (§8.2).
//! Errors 422 with our Min-SE for an interval that is shorter (§8.1).
//! Not here: refreshes of our own, which only a user agent may send.

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::{Name, Params};

use super::{Passage, Reply};

/// RFC 4028.
pub const SPEC: Spec = Spec::rfc(4028).note("as proxy");

/// How long sessions last, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What calls get that ask for nothing, and at most; `None` leaves calls as they are.
    pub expires: Option<u32>,
    /// The shortest interval that is taken.
    pub shortest: u32,
}

/// The answer to an interval that is too short.
pub fn refuse(request: &Message, policy: Policy) -> Option<Message> {
    let asked = asked(request).filter(|_| is_refresh(request))?;
    if asked >= policy.shortest || !supports_timer(request) {
        return None;
    }
    let mut response = Message::response(request, 422, "");
    response.push(Name::MinSe, &policy.shortest.to_string());
    Some(response)
}

/// Asks for our interval, if the request asks for none or for a longer one.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    if let Some(seconds) = wanted(request, passage.session) {
        let refresher = refresher(request).map_or(String::new(), |who| format!(";refresher={who}"));
        request.set(Name::SessionExpires, &format!("{seconds}{refresher}"));
    }
}

/// §8.2: the callee did not take the interval; the caller, who knows timers, keeps it alone.
pub fn apply_to_response(response: &mut Message, reply: &Reply<'_>) {
    let is_taken = response.value(Name::SessionExpires).is_some();
    if !(200..300).contains(&response.status()) || is_taken || !supports_timer(reply.request) {
        return;
    }
    let seconds = wanted(reply.request, reply.session).or_else(|| asked(reply.request));
    if let Some(seconds) = seconds.filter(|_| is_refresh(reply.request)) {
        response.push(Name::SessionExpires, &format!("{seconds};refresher=uac"));
        response.push(Name::Require, "timer");
    }
}

/// What we put into the request; `None` if what is there stays.
fn wanted(request: &Message, policy: Policy) -> Option<u32> {
    let ours = policy.expires.filter(|_| is_refresh(request))?;
    let least = number(request, Name::MinSe).unwrap_or(0).max(policy.shortest);
    let ours = ours.max(least);
    match asked(request) {
        Some(asked) if asked < least => Some(least),
        Some(asked) if asked <= ours => None,
        // §8.1: what a caller does not know must not be shortened for it, but may be begun.
        _ => Some(ours),
    }
}

fn is_refresh(request: &Message) -> bool {
    matches!(request.method(), "INVITE" | "UPDATE")
}

fn supports_timer(request: &Message) -> bool {
    request.elements(Name::Supported).any(|option| option.eq_ignore_ascii_case("timer"))
}

fn asked(request: &Message) -> Option<u32> {
    number(request, Name::SessionExpires)
}

fn refresher(request: &Message) -> Option<&str> {
    let value = request.value(Name::SessionExpires)?;
    let who = value.find(';').and_then(|at| Params(&value[at..]).value("refresher"))?;
    ["uac", "uas"].into_iter().find(|known| known.eq_ignore_ascii_case(who))
}

fn number(message: &Message, name: Name) -> Option<u32> {
    message.value(name)?.split(';').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SESSION, passage, reply};
    use super::*;

    fn invite(headers: &[(Name, &str)]) -> Message {
        let mut request = Message::request("INVITE", "sip:b@x");
        for (name, value) in headers {
            request.push(*name, value);
        }
        request
    }

    fn passed(headers: &[(Name, &str)]) -> Option<String> {
        let mut request = invite(headers);
        apply(&mut request, &passage(None));
        request.value(Name::SessionExpires).map(str::to_owned)
    }

    #[test]
    fn calls_get_our_interval_and_longer_ones_are_lowered() {
        assert_eq!(passed(&[]).as_deref(), Some("1800"));
        assert_eq!(
            passed(&[(Name::SessionExpires, "7200;refresher=uas")]).as_deref(),
            Some("1800;refresher=uas")
        );
        assert_eq!(passed(&[(Name::SessionExpires, "600")]).as_deref(), Some("600"));
        assert_eq!(
            passed(&[(Name::MinSe, "3600")]).as_deref(),
            Some("3600"),
            "never below what the caller takes"
        );
        let mut bye = Message::request("BYE", "sip:b@x");
        apply(&mut bye, &passage(None));
        assert!(bye.value(Name::SessionExpires).is_none());
    }

    #[test]
    fn an_interval_that_is_too_short_is_refused_to_who_can_ask_again() {
        let short = [(Name::SessionExpires, "30"), (Name::Supported, "replaces, timer")];
        let refusal = refuse(&invite(&short), SESSION).unwrap();
        assert_eq!((refusal.status(), refusal.value(Name::MinSe)), (422, Some("90")));
        assert!(refuse(&invite(&short[..1]), SESSION).is_none());
        assert!(refuse(&invite(&[(Name::SessionExpires, "90"), short[1]]), SESSION).is_none());
    }

    #[test]
    fn the_caller_refreshes_alone_if_the_callee_does_not_know_timers() {
        let (knows, not) = (invite(&[(Name::Supported, "timer")]), invite(&[]));
        let answered = |request: &Message, taken: bool| {
            let mut response = Message::response(request, 200, "");
            if taken {
                response.push(Name::SessionExpires, "900;refresher=uas");
            }
            apply_to_response(&mut response, &reply(request, None));
            (response.value(Name::SessionExpires).map(str::to_owned), response.value(Name::Require).is_some())
        };
        assert_eq!(answered(&knows, false), (Some("1800;refresher=uac".to_owned()), true));
        assert_eq!(answered(&knows, true), (Some("900;refresher=uas".to_owned()), false));
        assert_eq!(answered(&not, false), (None, false));
    }
}
