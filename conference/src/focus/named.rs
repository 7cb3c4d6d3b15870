//! Calls that name another one — RFC 3891 §6.1 (Replaces), RFC 3911 §7.1 (Join), RFC 3515 §2.1 with RFC 4579 §5.5, §5.7, §5.10 and §5.11
//! (Refer-To, and what a call gets from it: RFC 3261 §19.1.1). Pure.

use sip_core::header::{Name, NameAddr, Params};
use sip_core::uri::unescape;
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
    /// Call this URI, with these headers, which say what becomes of another call.
    Invite(String, Vec<(&'static str, String)>),
    /// Hang up on it.
    Remove(String),
    /// Have the first call the second.
    Refer(String, String),
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

/// What a REFER with one Refer-To asks for. The error is an answer: 501 if that is nothing we do.
pub(super) fn referral(request: &Message) -> Result<Referral, (u16, &'static str)> {
    let nothing = (501, "Neither A Call Nor A Removal");
    let address = request.elements(Name::ReferTo).next().and_then(NameAddr::parse).ok_or(nothing)?;
    let uri = Uri::parse(address.uri).filter(|uri| uri.is_sip() || uri.is_tel()).ok_or(nothing)?;
    // What a number means is in its parameters (RFC 3966 §5.1.5).
    let plain = if uri.is_tel() { address.uri.to_owned() } else { plain(&uri) };
    // What stands outside brackets is the header's; some write the method there.
    let method = uri.params.value("method").or_else(|| address.params.value("method")).unwrap_or("INVITE");
    // RFC 3261 §19.1.5: of the URI only method and headers say what the request is; a device (RFC 5627) and a transport stay.
    let is_method =
        |param: &&str| param.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("method"));
    let params = if uri.is_tel() { "" } else { uri.params.0 };
    let kept = params.split(';').skip(1).filter(|param| !is_method(param));
    let whole = || kept.fold(plain.clone(), |uri, param| uri + ";" + param);
    match method.to_ascii_uppercase().as_str() {
        "BYE" => Ok(Referral::Remove(plain)),
        "INVITE" => {
            let beside = beside(uri.headers).ok_or((400, "One Call Is To Be Named"))?;
            Ok(Referral::Invite(whole(), beside))
        }
        "REFER" => {
            let to = header(uri.headers, "Refer-To").ok_or((400, "Refer To What"))?;
            let to = NameAddr::parse(&to).map(|to| to.uri.to_owned()).ok_or((400, "Refer To What"))?;
            Ok(Referral::Refer(whole(), to))
        }
        _ => Err(nothing),
    }
}

/// The value of the first header of a URI that is called so.
fn header(headers: &str, name: &str) -> Option<String> {
    let mut values = headers.split('&').filter_map(|header| header.split_once('='));
    let value = values.find(|(known, _)| unescape(known).eq_ignore_ascii_case(name))?.1;
    Some(unescape(value).into_owned())
}

/// A SIP URI without parameters and headers.
pub(super) fn plain(uri: &Uri<'_>) -> String {
    let user = if uri.user.is_empty() { String::new() } else { format!("{}@", uri.user) };
    let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}:{user}{}{port}", uri.scheme, uri.host)
}

/// The headers of a URI that say what becomes of another call; nothing if they name none, or two.
fn beside(headers: &str) -> Option<Vec<(&'static str, String)>> {
    let said = |name| header(headers, name);
    let (name, value) = match (said("Replaces"), said("Join")) {
        (None, None) => return Some(Vec::new()),
        (Some(value), None) => ("Replaces", value),
        (None, Some(value)) => ("Join", value),
        // RFC 3911 §4: not both.
        (Some(_), Some(_)) => return None,
    };
    let is_clean = value.len() <= LONGEST && !value.contains(|c: char| c.is_control() || c == ',');
    names(&value).filter(|_| is_clean)?;
    let mut beside = vec![(name, value)];
    // Who insists gets 420 from a phone that would ring instead.
    let insists = said("Require").is_some_and(|option| option.trim().eq_ignore_ascii_case(name));
    beside.extend(insists.then(|| ("Require", name.to_ascii_lowercase())));
    Some(beside)
}

fn names(value: &str) -> Option<Names> {
    let at = value.find(';')?;
    let params = Params(&value[at..]);
    let tag = |name| params.value(name).map(str::to_owned);
    let call_id = value[..at].trim().to_owned();
    Some(Names { call_id, to_tag: tag("to-tag")?, from_tag: tag("from-tag")? })
}

/// Octets of what names a call.
const LONGEST: usize = 512;

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
        let status = |value: &str| of(value).unwrap_err().0;
        let call = |uri: &str| Ok(Referral::Invite(uri.to_owned(), Vec::new()));
        let bob = || "sip:bob@example.org".to_owned();
        assert_eq!(of("<sip:bob@example.org>"), call(&bob()));
        assert_eq!(of("\"Bob\" <sip:bob@example.org;method=INVITE?Subject=x>"), call(&bob()));
        assert_eq!(
            of("<sip:bob@example.org;gr=x;method=INVITE;transport=tcp?>"),
            call(&format!("{};gr=x;transport=tcp", bob()))
        );
        assert_eq!(of("<sip:bob@example.org;method=BYE>"), Ok(Referral::Remove(bob())));
        assert_eq!(of("sip:bob@example.org;method=BYE"), Ok(Referral::Remove(bob())));
        assert_eq!(
            of("<sip:bob@example.org;gr=x;method=REFER?Refer-To=%3Csip:dev%40x%3E>"),
            Ok(Referral::Refer(format!("{};gr=x", bob()), "sip:dev@x".to_owned()))
        );
        assert_eq!(status("<sip:bob@example.org;method=REFER>"), 400);
        let number = "tel:0140;phone-context=+33".to_owned();
        assert_eq!(of(&format!("<{number}>")), call(&number));
        assert_eq!(of(&format!("<{number}>;method=BYE")), Ok(Referral::Remove(number)));
        for nothing in ["<sip:bob@example.org;method=SUBSCRIBE>", "<tel:bob>", "<http://x/>", "rubbish"] {
            assert_eq!(status(nothing), 501, "{nothing}");
        }
        let names = "a%40x%3Bto-tag%3D1%3Bfrom-tag%3D2";
        let replacing = ("Replaces", "a@x;to-tag=1;from-tag=2".to_owned());
        assert_eq!(
            of(&format!("<sip:bob@example.org;gr=urn:x;a?replaces={names}&Require=replaces>")),
            Ok(Referral::Invite(
                format!("{};gr=urn:x;a", bob()),
                vec![replacing.clone(), ("Require", "replaces".into())]
            ))
        );
        let joining = vec![("Join", replacing.1)];
        let join = format!("<sip:bob@example.org?Join={names}&Require=timer>");
        assert_eq!(of(&join), Ok(Referral::Invite(bob(), joining)));
        for wrong in [
            "Replaces=a%40x%3Bto-tag%3D1".to_owned(),
            format!("Replaces={names}%0D%0AX%3A1"),
            format!("Replaces={names}&Join={names}"),
            format!("Replaces={names}{}", "x".repeat(600)),
        ] {
            assert_eq!(status(&format!("<sip:bob@example.org?{wrong}>")), 400, "{wrong}");
        }
    }
}
