//! Calls that name another one — RFC 3891 §6.1 (Replaces), RFC 3911 §7.1 (Join), RFC 3515 §2.1 with RFC 4579 §5.5 and §5.11
//! (Refer-To). Pure.

use sip_core::header::{Name, NameAddr, Params};
use sip_core::{Message, Uri};

/// What an INVITE has to do with another call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relation {
    /// It takes its place.
    Replaces(Names),
    /// It comes to where that one is.
    Joins(Names),
}

/// The names of a dialog, as whoever gets them has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) call_id: String,
    pub(super) to_tag: String,
    pub(super) from_tag: String,
}

/// What a REFER asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Referral {
    /// Call this URI.
    Invite(String),
    /// Hang up on it.
    Remove(String),
}

/// What an INVITE has to do with another call. The error is a status.
pub(super) fn relation(request: &Message) -> Result<Option<Relation>, u16> {
    let value = |name| {
        let mut values = request.other_values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => names(value).map(Some).ok_or(400_u16),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(400),
        }
    };
    match (value("Replaces")?, value("Join")?) {
        // RFC 3911 §4: not both.
        (Some(_), Some(_)) => Err(400),
        (Some(names), None) => Ok(Some(Relation::Replaces(names))),
        (None, Some(names)) => Ok(Some(Relation::Joins(names))),
        (None, None) => Ok(None),
    }
}

/// Whether an INVITE wants to replace a call only while that rings (RFC 3891 §3).
pub(super) fn is_early_only(request: &Message) -> bool {
    let of = |value: &str| Params(&value[value.find(';').unwrap_or(value.len())..]).has("early-only");
    request.other_values("Replaces").any(of)
}

/// What a REFER with one Refer-To asks for; `None` if that is nothing we do.
pub(super) fn referral(request: &Message) -> Option<Referral> {
    let address = NameAddr::parse(request.elements(Name::ReferTo).next()?)?;
    let uri = Uri::parse(address.uri).filter(|uri| uri.is_sip() || uri.is_tel())?;
    // What a number means is in its parameters (RFC 3966 §5.1.5).
    let plain = match uri.is_tel() {
        true => address.uri.to_owned(),
        false => address.uri.split(';').next()?.split('?').next()?.to_owned(),
    };
    // What stands outside brackets is the header's; some write the method there.
    match uri.params.value("method").or_else(|| address.params.value("method")) {
        None => Some(Referral::Invite(plain)),
        Some(method) if method.eq_ignore_ascii_case("INVITE") => Some(Referral::Invite(plain)),
        Some(method) if method.eq_ignore_ascii_case("BYE") => Some(Referral::Remove(plain)),
        Some(_) => None,
    }
}

fn names(value: &str) -> Option<Names> {
    let at = value.find(';')?;
    let params = Params(&value[at..]);
    let tag = |name| params.value(name).map(str::to_owned);
    let call_id = value[..at].trim().to_owned();
    Some(Names { call_id, to_tag: tag("to-tag")?, from_tag: tag("from-tag")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, values: &[&str]) -> Message {
        let mut request = Message::request("INVITE", "sip:dev@x");
        values.iter().for_each(|value| request.push_other(name, value));
        request
    }

    #[test]
    fn reads_which_call_is_meant() {
        let names = Names { call_id: "98@bob.example".into(), to_tag: "r33".into(), from_tag: "12".into() };
        let value = "98@bob.example;from-tag=12;to-tag=r33";
        assert_eq!(relation(&with("Replaces", &[value])), Ok(Some(Relation::Replaces(names.clone()))));
        assert_eq!(relation(&with("join", &[value])), Ok(Some(Relation::Joins(names))));
        let mut both = with("Join", &[value]);
        both.push_other("Replaces", value);
        assert_eq!(relation(&both), Err(400));
        assert_eq!(relation(&with("Join", &[value, value])), Err(400));
        assert_eq!(relation(&with("Join", &["98;to-tag=1"])), Err(400));
        assert_eq!(relation(&with("X", &[])), Ok(None));
        assert!(is_early_only(&with("Replaces", &[&format!("{value};early-only")])));
        assert!(!is_early_only(&with("Replaces", &[value])));
    }

    #[test]
    fn reads_what_is_asked_for() {
        let of = |value: &str| referral(&with("Refer-To", &[value]));
        let bob = || "sip:bob@example.org".to_owned();
        assert_eq!(of("<sip:bob@example.org>"), Some(Referral::Invite(bob())));
        assert_eq!(
            of("\"Bob\" <sip:bob@example.org;method=INVITE?Subject=x>"),
            Some(Referral::Invite(bob()))
        );
        assert_eq!(of("<sip:bob@example.org;method=BYE>"), Some(Referral::Remove(bob())));
        assert_eq!(of("sip:bob@example.org;method=BYE"), Some(Referral::Remove(bob())));
        let number = "tel:0140;phone-context=+33".to_owned();
        assert_eq!(of(&format!("<{number}>")), Some(Referral::Invite(number.clone())));
        assert_eq!(of(&format!("<{number}>;method=BYE")), Some(Referral::Remove(number)));
        for nothing in ["<sip:bob@example.org;method=SUBSCRIBE>", "<tel:bob>", "<http://x/>", "rubbish"] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}
