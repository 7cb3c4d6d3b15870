//! Messages and presence are the XMPP half's — RFC 7081 §2, §6 (S-02, S-06); RFC 3428 §7 lets a server refuse MESSAGE.
//!
//! In    MESSAGE, PUBLISH, a SUBSCRIBE to presence; who sent it, whose AOR it names.
//! Out   405, or 489 for the SUBSCRIBE, whose reason and Call-Info name the JID to write to.
//! Errors who has not proved who they are is not told a JID.
//! Not here: with `sip.chat = "pass"` such requests go to devices as all others do.

use shared_auth::AccountCard;
use sip_core::Message;
use sip_core::header::Name;

/// Whether the XMPP half serves what a request asks for.
pub fn is_chat(request: &Message) -> bool {
    match request.method() {
        "MESSAGE" | "PUBLISH" => true,
        "SUBSCRIBE" => {
            let event = request.value(Name::Event).unwrap_or_default();
            let package = event.split(';').next().unwrap_or_default().trim();
            package.is_empty() || package.to_ascii_lowercase().starts_with("presence")
        }
        _ => false,
    }
}

/// The answer; `to` is whom the request names, if who sent it may know.
pub fn refuse(request: &Message, to: Option<&AccountCard>, (allowed, events): (&str, &str)) -> Message {
    let status = if request.method() == "SUBSCRIBE" { 489 } else { 405 };
    let reason =
        to.map_or("Use XMPP For Messages And Presence".to_owned(), |to| format!("Write To {}", to.jid));
    let mut response = Message::response(request, status, &reason);
    if status == 489 {
        response.push(Name::AllowEvents, events);
    }
    response.push(Name::Allow, allowed);
    if let Some(to) = to {
        response.push(Name::CallInfo, &format!("<{}>;purpose=impp", to.jid.to_xmpp_uri()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::super::tests::bob;
    use super::*;

    fn subscribe(event: &str) -> Message {
        let mut request = Message::request("SUBSCRIBE", "sip:b@x");
        request.push(Name::Event, event);
        request
    }

    #[test]
    fn what_is_chat_is_told_from_what_is_a_call() {
        assert!(
            is_chat(&Message::request("MESSAGE", "sip:b@x"))
                && is_chat(&Message::request("PUBLISH", "sip:b@x"))
        );
        assert!(is_chat(&subscribe("presence")) && is_chat(&subscribe("Presence.winfo;id=1")));
        assert!(!is_chat(&subscribe("dialog")) && !is_chat(&subscribe("conference")));
        assert!(!is_chat(&Message::request("INVITE", "sip:b@x")));
    }

    #[test]
    fn the_answer_says_where_to_write_to_who_may_know() {
        let told = refuse(&Message::request("MESSAGE", "sip:b@x"), Some(&bob()), ("INVITE", "reg"));
        assert_eq!((told.status(), told.reason()), (405, "Write To bob@example.org"));
        assert_eq!(told.value(Name::CallInfo), Some("<xmpp:bob@example.org>;purpose=impp"));
        let stranger = refuse(&subscribe("presence"), None, ("INVITE", "reg"));
        assert_eq!((stranger.status(), stranger.value(Name::CallInfo)), (489, None));
    }
}
