//! Client state — XEP-0352 1.0.0: what can wait while nobody looks at a client.
//!
//! In    a stanza for an inactive client. Out a name under which it waits, if it can: a later stanza of that name takes its
//!       place, and all is sent before the next stanza that cannot wait, and when somebody looks.
//! State none; the outlet holds what waits.

use shared_model::Spec;
use xmpp_core::{Kind, Stanza, ns};

pub(crate) const SPEC: Spec = Spec::xep(352, "1.0.0").complete();

/// The name under which a stanza waits; `None` for what cannot.
pub(crate) fn can_wait(stanza: &Stanza) -> Option<String> {
    let from = stanza.from.as_ref()?;
    match stanza.kind {
        Kind::Presence if matches!(stanza.type_.as_deref(), None | Some("unavailable")) => {
            // One's own presence in a room is what a client waits for when it enters (XEP-0045 §7.2.2).
            (!stanza.mentions("code='110'")).then(|| format!("presence {from}"))
        }
        Kind::Message if stanza.mentions("<body") || stanza.is_type("error") => None,
        Kind::Message if stanza.mentions(ns::PUBSUB_EVENT) => None,
        Kind::Message if stanza.mentions(ns::CHAT_STATES) => {
            let is_alone = stanza.children().iter().all(|child| {
                matches!(child.ns.as_str(), ns::CHAT_STATES | ns::HINTS | ns::STANZA_ID | ns::OCCUPANT_ID)
                    || child.is("thread", ns::CLIENT)
            });
            is_alone.then(|| format!("state {from}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_and_chat_states_wait_and_nothing_else() {
        let name = |text: &str| can_wait(&Stanza::parse(text).unwrap());
        let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        assert_eq!(name("<presence from='a@x/r'/>").as_deref(), Some("presence a@x/r"));
        assert_eq!(name(&format!("<message from='a@x/r'>{state}</message>")).as_deref(), Some("state a@x/r"));
        for no in [
            "<presence from='a@x' type='subscribe'/>",
            "<message from='a@x'><body>x</body></message>",
            "<iq type='get' id='1' from='a@x/r'><ping xmlns='urn:xmpp:ping'/></iq>",
            "<presence from='r@c/me'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>",
            &format!("<message from='a@x'>{state}<x xmlns='urn:y'/></message>"),
        ] {
            assert_eq!(name(no), None, "{no}");
        }
    }
}
