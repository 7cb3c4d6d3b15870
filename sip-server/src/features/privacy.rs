//! Privacy — RFC 3323 §4.1 (anonymous From), §4.2 (the Privacy header), §5.1, §5.3; RFC 3325 §9.3 (`id`).
//!
//! In    a request, and a response on its way back.
//! Out   for `user`: an anonymous From, and nothing that the user wrote besides; the caller sees its own From again. For
//! `header`: no header that tells what a device is. `user` is taken out of Privacy when it is done (§5.1).
//! Errors 500 for `critical` with `header` or `session` (§5: the request must not go on without them).
//! Not here: Via, Contact and Record-Route of `header`, and `session`, which would need a back-to-back user agent.

use shared_model::Spec;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};

pub use sip_core::privacy::{is_anonymous, is_wished};

use super::{Destination, Passage, Reply};

/// RFC 3323.
pub const SPEC: Spec =
    Spec::rfc(3323).note("id, user, critical and anonymous From; of header what a proxy can; no session");

/// The answer to who insists on what is not here.
pub fn refuse(request: &Message) -> Option<Message> {
    let asks = |wish| wishes(request, wish);
    (asks("critical") && (asks("header") || asks("session")))
        .then(|| Message::response(request, 500, "Privacy Service Not Available"))
}

/// Takes off what tells who the sender is. Endpoints of ours keep it to themselves.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    if passage.to == Destination::Trusted {
        return;
    }
    let (user, header) = (wishes(request, "user"), wishes(request, "header"));
    if user {
        if let Some(from) = request.value(Name::From).and_then(NameAddr::parse) {
            let tag = from.params.value("tag").map_or(String::new(), |tag| format!(";tag={tag}"));
            request.set(Name::From, &format!("{ANONYMOUS}{tag}"));
        }
        USER.iter().for_each(|name| request.remove_other(name));
        request.remove(Name::Subject);
        request.remove(Name::CallInfo);
        fulfil(request, "user");
    }
    if user || header {
        request.remove(Name::UserAgent);
        request.remove(Name::Server);
    }
}

/// The caller sees the From that it sent.
pub fn apply_to_response(response: &mut Message, reply: &Reply<'_>) {
    if wishes(reply.request, "user")
        && let Some(from) = reply.request.value(Name::From)
    {
        response.set(Name::From, from);
    }
}

pub(super) fn wishes(message: &Message, wanted: &str) -> bool {
    let all = message.values(Name::Privacy).flat_map(|value| value.split([';', ',']));
    all.map(str::trim).any(|wish| wish.eq_ignore_ascii_case(wanted))
}

/// Takes a wish out; `critical` alone asks for nothing.
pub(super) fn fulfil(request: &mut Message, done: &str) {
    let left: Vec<&str> = request
        .values(Name::Privacy)
        .flat_map(|value| value.split([';', ',']))
        .map(str::trim)
        .filter(|wish| !wish.is_empty() && !wish.eq_ignore_ascii_case(done))
        .collect();
    let left = if left.iter().all(|wish| wish.eq_ignore_ascii_case("critical")) {
        String::new()
    } else {
        left.join(";")
    };
    request.remove(Name::Privacy);
    if !left.is_empty() {
        request.push(Name::Privacy, &left);
    }
}

/// §4.1.1.3.
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
/// §4.1: what a user writes, and what names their house.
const USER: [&str; 3] = ["Reply-To", "Organization", "In-Reply-To"];

#[cfg(test)]
mod tests {
    use super::super::tests::{passage, reply};
    use super::*;

    fn request(privacy: &str) -> Message {
        let mut request = Message::request("INVITE", "sip:b@x");
        request.push(Name::From, "\"Alice\" <sip:alice@x>;tag=7");
        request.push(Name::Subject, "secrets");
        request.push(Name::UserAgent, "Phone of Alice");
        request.push_other("Organization", "Alice & Co");
        request.push(Name::Privacy, privacy);
        request
    }

    #[test]
    fn a_user_who_asks_for_it_has_no_name() {
        let mut told = request("id;user;critical");
        apply(&mut told, &passage(None));
        assert_eq!(told.value(Name::From), Some("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=7"));
        assert_eq!((told.value(Name::Subject), told.value(Name::UserAgent)), (None, None));
        assert_eq!(
            (told.other_values("organization").count(), told.value(Name::Privacy)),
            (0, Some("id;critical"))
        );
        let asked = request("user");
        let mut ringing = Message::response(&told, 180, "");
        apply_to_response(&mut ringing, &reply(&asked, None));
        assert_eq!(ringing.value(Name::From), asked.value(Name::From));
        let mut only = request("user; critical");
        apply(&mut only, &passage(None));
        assert_eq!(only.value(Name::Privacy), None);
    }

    #[test]
    fn a_device_that_asks_for_it_is_not_told_and_others_are_left_alone() {
        let mut told = request("header");
        apply(&mut told, &passage(None));
        assert_eq!((told.value(Name::UserAgent), told.value(Name::Subject)), (None, Some("secrets")));
        assert_eq!(told.value(Name::Privacy), Some("header"), "not all of it is done");
        let mut open = request("none");
        apply(&mut open, &passage(None));
        assert_eq!(open.to_bytes(), request("none").to_bytes());
    }

    #[test]
    fn who_insists_on_what_is_not_here_is_refused() {
        for (privacy, is_refused) in [
            ("header;critical", true),
            ("session; Critical", true),
            ("user;critical", false),
            ("header", false),
        ] {
            assert_eq!(refuse(&request(privacy)).is_some(), is_refused, "{privacy}");
        }
    }
}
