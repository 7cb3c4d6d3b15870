//! Who wants to stay unknown — RFC 3323 §4.1 (anonymous From), §4.2 (the Privacy header); RFC 3325 §9.3 (`id`).
//!
//! In    a message. Out whether its sender wants to stay unknown.
//! Not here: what follows from that; whoever shows or forwards a name asks here first, so that all hear the same wishes.

use crate::header::{Name, NameAddr};
use crate::{Message, Uri};

/// Whether the sender wants to stay unknown: any `Privacy` but `none`, or an anonymous From.
pub fn is_anonymous(request: &Message) -> bool {
    is_wished(request) || request.value(Name::From).is_some_and(is_anonymous_address)
}

/// Whether `Privacy` asks for any service, in a request or a response.
pub fn is_wished(message: &Message) -> bool {
    let mut wishes = message.values(Name::Privacy).flat_map(|value| value.split([';', ',']));
    wishes.any(|wish| {
        ["id", "user", "header", "session", "critical"]
            .iter()
            .any(|known| wish.trim().eq_ignore_ascii_case(known))
    })
}

fn is_anonymous_address(from: &str) -> bool {
    NameAddr::parse(from).and_then(|from| Uri::parse(from.uri)).is_some_and(|uri| is_nobody(&uri))
}

/// Whether a URI names nobody (§4.1.1.3), in whatever domain.
pub fn is_nobody(uri: &Uri<'_>) -> bool {
    uri.host.eq_ignore_ascii_case("anonymous.invalid")
        || uri.user_unescaped().eq_ignore_ascii_case("anonymous")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_each_way_of_asking() {
        let ask = |from: &str, privacy: &str| {
            let mut request = Message::request("INVITE", "sip:b@x");
            request.push(Name::From, from);
            if !privacy.is_empty() {
                request.push(Name::Privacy, privacy);
            }
            is_anonymous(&request)
        };
        assert!(!ask("<sip:a@x>;tag=1", "") && !ask("<sip:a@x>;tag=1", "none"));
        assert!(ask("<sip:a@x>;tag=1", "header; ID"));
        assert!(ask("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1", ""));
        assert!(ask("<sip:Anonymous@example.org>;tag=1", ""));
        assert!(ask("<sip:%61nonymous@example.org>;tag=1", ""), "an escape names the same user");
    }
}
