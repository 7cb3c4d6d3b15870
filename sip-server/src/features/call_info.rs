//! Call-Info with `purpose=impp` — RFC 7081 §3.5, RFC 6993 §2: who calls, and who answers, as a JID. Behind it, where the
//! operator has a directory, `purpose=card` (RFC 3261 §20.9): where that claim is confirmed.
//!
//! In    an INVITE on its way, and who proved to have sent it; its responses, and whose device sent them.
//! Out   exactly one impp entry, first and on its own line, with the bare JID as `xmpp:` URI: ours, or that of another domain which proved to
//! be the one of the JID, and of who calls or answers (§3.5); or none. No other entry with an `xmpp:` URI.
//! Errors none: a claim that nobody proves is taken off, whoever made it (it is a cue that people would trust) but endpoints of ours.
//! Not here: other purposes, which pass untouched; requests inside a dialog, which are no news, but re-INVITEs where the operator wants it
//! (`sip.call_info_in_dialog`).

use shared_model::{Aor, BareJid, Spec, idn};
use sip_core::Message;
use sip_core::header::{Name, NameAddr};
use sip_core::uri::unescape;

use super::{Destination, Passage, Reply, privacy};

/// RFC 7081.
pub const SPEC: Spec = Spec::rfc(7081).note(
    "service side: Call-Info (of other domains where they prove who they are), vCard tel, roominfo, conference, provisioning",
);
/// RFC 6993.
pub const PURPOSE: Spec = Spec::rfc(6993).complete();

/// Takes every impp entry off, and puts ours first if the caller is proved and does not hide.
pub fn apply(request: &mut Message, passage: &Passage<'_>) {
    if passage.is_ours {
        // The focus says which room calls.
        return;
    }
    strip(request);
    let is_invite = request.method() == "INVITE";
    let is_call = is_invite && passage.is_initial;
    if let Some(caller) = passage.caller.filter(|_| is_call && !passage.is_anonymous) {
        let card = passage.card.filter(|_| passage.to != Destination::Foreign);
        announce(request, &caller.jid, card.map(|card| (card, &caller.aor)));
    } else if let Some(jid) = passage.vouched.filter(|_| is_invite && !passage.is_anonymous) {
        announce(request, jid, None);
    }
}

/// The same for whoever answers a call: the callee's JID on what rings and on what is answered.
pub fn apply_to_response(response: &mut Message, reply: &Reply<'_>) {
    if reply.from == Destination::Trusted {
        return;
    }
    strip(response);
    let is_call = reply.request.method() == "INVITE" && !reply.request.is_in_dialog();
    let is_there = (101..300).contains(&response.status()) && !privacy::is_wished(response);
    if let Some(callee) = reply.callee.filter(|_| is_call && is_there) {
        announce(response, &callee.jid, reply.card.map(|card| (card, &callee.aor)));
    } else if let Some(jid) = reply.vouched.filter(|_| is_call && is_there) {
        announce(response, jid, None);
    }
}

/// Who a message says that its sender is in chat, if that is somebody of this domain; the first of several.
pub(crate) fn claimed(message: &Message, domain: &str) -> Option<BareJid> {
    let is_there = |jid: &BareJid| jid.host().eq_ignore_ascii_case(&idn::to_ascii(domain));
    message.elements(Name::CallInfo).filter(|entry| is_impp(entry)).filter_map(jid_of).find(is_there)
}

/// The bare JID of an entry (RFC 5122 §2.2); one with an authority, a resource, a query or a fragment is none.
fn jid_of(entry: &str) -> Option<BareJid> {
    let uri = NameAddr::parse(entry)?.uri;
    let path = uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("xmpp:")).and(uri.get(5..))?;
    let (local, domain) = path.split_once('@').filter(|_| !path.contains(['/', '?', '#']))?;
    BareJid::new(&unescape(local), &unescape(domain)).ok()
}

fn strip(message: &mut Message) {
    message.retain_elements(Name::CallInfo, |entry| !is_impp(entry));
}

fn announce(message: &mut Message, jid: &BareJid, card: Option<(&str, &Aor)>) {
    if let Some((template, aor)) = card {
        // A card of somebody else's beside it would be taken for theirs.
        message.retain_elements(Name::CallInfo, |entry| !has_purpose(entry, "card"));
        let url = template.replace("{aor}", &in_path(aor.as_str()));
        message.push_front(Name::CallInfo, &format!("<{url}>;purpose=card"));
    }
    message.push_front(Name::CallInfo, &format!("<{}>;purpose=impp", jid.to_xmpp_uri()));
}

/// An address of record as a segment of a path (RFC 3986 §3.3): what is neither unreserved nor `@` is escaped.
fn in_path(aor: &str) -> String {
    let mut out = String::with_capacity(aor.len());
    for byte in aor.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'@' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Whether a reader could take an entry for a JID: by its purpose, which may be a quoted string with escapes (RFC 3261
/// §25.1), or by its URI, whatever the purpose. What cannot be read could be read by somebody else.
fn is_impp(entry: &str) -> bool {
    let Some(entry) = NameAddr::parse(entry) else { return true };
    let is_jid = entry.uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("xmpp:"));
    is_jid || is_for(&entry, "impp")
}

fn has_purpose(entry: &str, purpose: &str) -> bool {
    NameAddr::parse(entry).is_none_or(|entry| is_for(&entry, purpose))
}

fn is_for(entry: &NameAddr<'_>, wanted: &str) -> bool {
    let purpose = entry.params.value("purpose");
    purpose.is_some_and(|purpose| purpose.replace('\\', "").trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use shared_auth::Identity;

    use super::super::tests::{alice, bob, passage, reply};
    use super::*;

    fn pass(call_info: &[&str], caller: Option<&Identity>, is_anonymous: bool) -> Vec<String> {
        let mut request = Message::request("INVITE", "sip:b@x");
        for value in call_info {
            request.push(Name::CallInfo, value);
        }
        apply(&mut request, &Passage { is_anonymous, ..passage(caller) });
        request.values(Name::CallInfo).map(str::to_owned).collect()
    }

    #[test]
    fn a_proved_caller_is_announced_first_on_a_line_of_its_own() {
        let told =
            pass(&["<http://x/a.png>;purpose=icon, <xmpp:mallory@x>;purpose=IMPP"], Some(&alice()), false);
        assert_eq!(told, ["<xmpp:alice@example.org>;purpose=impp", "<http://x/a.png>;purpose=icon"]);
    }

    #[test]
    fn whom_their_own_domain_vouches_for_is_announced_and_another_is_not() {
        let told = |headers: &[&str], is_anonymous: bool| {
            let mut request = Message::request("INVITE", "sip:b@x");
            headers.iter().for_each(|value| request.push(Name::CallInfo, value));
            let vouched = claimed(&request, "One.Example");
            apply(&mut request, &Passage { vouched: vouched.as_ref(), is_anonymous, ..passage(None) });
            request.values(Name::CallInfo).map(str::to_owned).collect::<Vec<_>>()
        };
        let alice = "<xmpp:alice@one.example>;purpose=impp";
        assert_eq!(
            told(&["<xmpp:boss@x>;purpose=impp, <XMPP:alice@one.example>; purpose=impp", alice], false),
            [alice]
        );
        assert_eq!(told(&["<xmpp:a%6Cice@one.example>"], false), [alice], "by its scheme alone");
        assert!(told(&[alice], true).is_empty(), "who hides");
        for other in [
            "<xmpp:alice@two.example>;purpose=impp",
            "<xmpp:alice@one.example/phone>;purpose=impp",
            "<xmpp://one.example/alice@one.example>;purpose=impp",
            "<xmpp:alice@one.example?message>;purpose=impp",
            "<xmpp:one.example>;purpose=impp",
            "<sip:alice@one.example>;purpose=impp",
            "nothing that can be read",
        ] {
            assert!(told(&[other], false).is_empty(), "{other}");
        }
    }

    #[test]
    fn what_an_endpoint_of_ours_says_stays() {
        let mut request = Message::request("INVITE", "sip:b@x");
        request.push(Name::CallInfo, "<xmpp:dev@conference.x>;purpose=impp");
        apply(&mut request, &Passage { is_ours: true, ..passage(None) });
        assert_eq!(request.value(Name::CallInfo), Some("<xmpp:dev@conference.x>;purpose=impp"));
    }

    #[test]
    fn where_a_directory_is_it_is_named_to_our_own() {
        let alice = alice();
        let told = |to: Destination| {
            let mut request = Message::request("INVITE", "sip:b@x");
            let card = Some("https://x/directory/{aor}.vcf");
            request.push(Name::CallInfo, "<http://evil.example/x>;purpose=card");
            request.push(Name::CallInfo, "<http://x/a.png>;purpose=icon");
            apply(&mut request, &Passage { card, to, ..passage(Some(&alice)) });
            request.values(Name::CallInfo).map(str::to_owned).collect::<Vec<_>>()
        };
        let impp = "<xmpp:alice@example.org>;purpose=impp";
        let icon = "<http://x/a.png>;purpose=icon";
        let card = "<https://x/directory/100@example.org.vcf>;purpose=card";
        assert_eq!(told(Destination::Device), [impp, card, icon], "and no other card");
        assert_eq!(told(Destination::Foreign), [impp, "<http://evil.example/x>;purpose=card", icon]);
        assert_eq!(in_path("a>/;?é@x"), "a%3E%2F%3B%3F%C3%A9@x");
    }

    #[test]
    fn a_claim_of_a_stranger_is_taken_off() {
        assert!(pass(&["<xmpp:alice@example.org>;purpose=impp"], None, false).is_empty());
        for claim in [
            "<xmpp:alice@example.org> ; Purpose = \"impp\"",
            "<xmpp:alice@example.org>;purpose=\"im\\pp\"",
            "<XMPP:alice@example.org>",
            "<xmpp:alice@example.org>;purpose=info",
            "<http://x/>;purpose=\"\\impp\"",
            "xmpp:alice@example.org",
            "nothing that can be read",
        ] {
            assert!(pass(&[claim], None, false).is_empty(), "{claim}");
        }
    }

    #[test]
    fn who_hides_is_not_announced() {
        assert!(pass(&["<xmpp:alice@example.org>;purpose=impp"], Some(&alice()), true).is_empty());
    }

    fn answer(status: u16, privacy: &str, is_known: bool) -> Vec<String> {
        let (request, bob) = (Message::request("INVITE", "sip:b@x"), bob());
        let mut response = Message::response(&request, status, "");
        response.push(Name::CallInfo, "<xmpp:mallory@x>;purpose=impp, <http://x/b.png>;purpose=icon");
        response.push(Name::Privacy, privacy);
        apply_to_response(&mut response, &reply(&request, is_known.then_some(&bob)));
        response.values(Name::CallInfo).map(str::to_owned).collect()
    }

    #[test]
    fn who_rings_and_answers_is_announced_by_us_alone() {
        let (ours, icon) = ("<xmpp:bob@example.org>;purpose=impp", "<http://x/b.png>;purpose=icon");
        assert_eq!(answer(180, "none", true), [ours, icon]);
        assert_eq!(answer(200, "none", true), [ours, icon]);
        assert_eq!(answer(200, "id", true), [icon], "the callee hides");
        assert_eq!(answer(486, "none", true), [icon], "nobody is there");
        assert_eq!(answer(200, "none", false), [icon], "a stranger answers");
    }
}
