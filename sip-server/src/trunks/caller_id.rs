//! Who a trunk sees calling — RFC 3325 §5, §7 (P-Asserted-Identity), RFC 3323 §4.1 (anonymous From), RFC 3261 §12.1 (tags).
//!
//! In    the copy of an INVITE for a trunk, and the caller's number. Out From and P-Asserted-Identity as the trunk wants.
//! A From that we wrote is put back in responses, so that the caller sees their own. The tag stays, by which both sides
//! know the dialog; requests inside it carry what the caller writes.
//! Not here: whose number it is (`routing` proved that).

use shared_model::Domains;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_core::privacy::is_wished;

use super::config::CallerId;
use super::trunk::Trunk;
use crate::numbers::Plan;

/// What is known of a caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// Their number, E.164 with its plus.
    pub(crate) number: Option<&'a str>,
    /// Whether they want to stay unknown.
    pub(crate) is_anonymous: bool,
    /// The domain of our accounts.
    pub(crate) domain: &'a str,
}

impl Trunk {
    /// Puts the caller into a request as the trunk wants to see them.
    pub(crate) fn show_caller(&self, request: &mut Message, shown: Shown<'_>, plan: &Plan) {
        let config = self.config();
        let number = shown.number.or(config.number.as_deref());
        request.remove(Name::PAssertedIdentity);
        if let Some(number) = number.filter(|_| config.trusted) {
            request.push(Name::PAssertedIdentity, &format!("<sip:{number}@{};user=phone>", shown.domain));
            if shown.is_anonymous && !is_wished(request) {
                request.set(Name::Privacy, "id");
            }
        }
        let by_number = number.map(|number| format!("<sip:{}@{}>", self.written(number, plan), self.host()));
        let by_user =
            (!config.user.is_empty()).then(|| format!("<sip:{}@{}>", config.user, self.registrar()));
        let from = match config.from {
            CallerId::Keep => None,
            CallerId::User => by_user,
            CallerId::Number if shown.is_anonymous => Some(NOBODY.to_owned()),
            CallerId::Number => by_number.or(by_user),
        };
        if let Some(from) = from {
            let tag = request.from_tag().map_or(String::new(), |tag| format!(";tag={tag}"));
            request.set(Name::From, &(from + &tag));
        }
    }

    /// Puts back what the caller wrote into From.
    pub(crate) fn restore_caller(&self, request: &Message, response: &mut Message) {
        let is_same = response.from_tag() == request.from_tag();
        if let Some(from) =
            request.value(Name::From).filter(|_| is_same && self.config().from != CallerId::Keep)
        {
            response.set(Name::From, from);
        }
    }
}

/// What a trunk that we believe says of who calls: identities that are not of our domain, at most two (RFC 3325 §9.1).
pub(crate) fn asserted_by(request: &Message, trunk: &Trunk, domains: &Domains) -> Vec<String> {
    let is_foreign = |value: &&str| {
        let host = NameAddr::parse(value).and_then(|address| sip_core::Uri::parse(address.uri));
        host.is_some_and(|uri| uri.is_tel() || (uri.is_sip() && !domains.has(uri.host)))
    };
    let told = request.elements(Name::PAssertedIdentity).filter(is_foreign).take(2);
    if trunk.config().trusted { told.map(str::to_owned).collect() } else { Vec::new() }
}

/// RFC 3323 §4.1.1.3.
const NOBODY: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

#[cfg(test)]
mod tests {
    use super::super::{TrunkConfig, Written};
    use super::*;
    use crate::numbers::NumberConfig;

    fn trunk(from: CallerId, trusted: bool) -> Trunk {
        Trunk::bare(TrunkConfig {
            name: "t".into(),
            server: "sip:carrier.example;transport=tcp".into(),
            user: "us".into(),
            written: Written::Digits,
            from,
            trusted,
            number: Some("+331".into()),
            ..TrunkConfig::default()
        })
    }

    fn shown(trunk: &Trunk, number: Option<&str>, is_anonymous: bool) -> Message {
        let plan = Plan::new(&NumberConfig::default(), &Domains::new("example.org", [])).unwrap();
        let mut request = Message::request("INVITE", "sip:1@carrier.example");
        request.push(Name::From, "\"Alice\" <sip:alice@example.org>;tag=a");
        request.push(Name::PAssertedIdentity, "<sip:alice@example.org>");
        trunk.show_caller(&mut request, Shown { number, is_anonymous, domain: "example.org" }, &plan);
        request
    }

    #[test]
    fn from_is_what_the_trunk_wants_with_the_callers_tag() {
        let from = |from, number, is_anonymous| {
            shown(&trunk(from, true), number, is_anonymous).value(Name::From).unwrap().to_owned()
        };
        assert_eq!(from(CallerId::Keep, Some("+332"), false), "\"Alice\" <sip:alice@example.org>;tag=a");
        assert_eq!(from(CallerId::Number, Some("+332"), false), "<sip:332@carrier.example>;tag=a");
        assert_eq!(from(CallerId::Number, None, false), "<sip:331@carrier.example>;tag=a", "the trunk's own");
        assert_eq!(from(CallerId::Number, Some("+332"), true), format!("{NOBODY};tag=a"));
        assert_eq!(from(CallerId::User, Some("+332"), false), "<sip:us@carrier.example>;tag=a");
    }

    #[test]
    fn who_calls_is_told_to_whom_we_trust_and_the_wish_to_hide_with_it() {
        let told = shown(&trunk(CallerId::Keep, true), Some("+332"), false);
        let asserted: Vec<_> = told.values(Name::PAssertedIdentity).collect();
        assert_eq!(asserted, ["<sip:+332@example.org;user=phone>"]);
        assert_eq!(told.value(Name::Privacy), None);
        assert_eq!(shown(&trunk(CallerId::Keep, true), Some("+332"), true).value(Name::Privacy), Some("id"));
        assert_eq!(
            shown(&trunk(CallerId::Keep, false), Some("+332"), false).value(Name::PAssertedIdentity),
            None
        );
    }

    #[test]
    fn the_caller_sees_their_own_from_again() {
        let (trunk, mut request) = (trunk(CallerId::Number, true), Message::request("INVITE", "sip:1@x"));
        request.push(Name::From, "<sip:alice@example.org>;tag=a");
        let mut response = Message::response(&request, 200, "");
        response.set(Name::From, "<sip:332@carrier.example>;tag=a");
        trunk.restore_caller(&request, &mut response);
        assert_eq!(response.value(Name::From), Some("<sip:alice@example.org>;tag=a"));
    }

    #[test]
    fn a_trunk_is_believed_of_others_and_not_of_us() {
        let mut request = Message::request("INVITE", "sip:1@x");
        request.push(
            Name::PAssertedIdentity,
            "<sip:bob@example.org>, <tel:+4930123456>, <sip:+49@carrier.example>",
        );
        let told = asserted_by(&request, &trunk(CallerId::Keep, true), &Domains::new("example.org", []));
        assert_eq!(told, ["<tel:+4930123456>", "<sip:+49@carrier.example>"]);
        assert!(
            asserted_by(&request, &trunk(CallerId::Keep, false), &Domains::new("example.org", [])).is_empty()
        );
    }
}
