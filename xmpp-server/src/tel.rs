//! The `tel` of a business card — RFC 7081 §3.1: what we put in, and what a user may not write.
//!
//! In    the account's addresses, and the card that the user wrote.
//! Out   the card with our numbers in it, or why a card is refused.
//! State none: our numbers are put in whenever a card is read, so that no card can lose them.
//!
//! Two readers shape this. RFC 7081 wants the SIP URI. Jitsi matches a caller's `user@host` against NUMBER by equality
//! or containment, keeps one number a slot (home or work × type), and takes the last type before NUMBER; so the URI
//! and the AOR without scheme stand in different slots, types first, no PREF, and VIDEO is a TEL of its own.
//! Not here: whether the address can be reached.

mod foreign;

use xmpp_core::{Element, ns};

use foreign::{Foreign, strip_scheme};

/// Whose card it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses {
    /// The account's AOR, without scheme.
    pub(crate) aor: String,
    /// The AOR as a URI.
    pub(crate) sip_uri: String,
    /// The account's JID.
    pub(crate) jid: String,
    /// The account's numbers.
    pub(crate) numbers: Vec<String>,
    /// Whether the account takes video calls.
    pub(crate) has_video: bool,
}

/// The card with our numbers first; those that the user wrote into our slots give way.
pub(crate) fn inject(card: &Element, account: &Addresses) -> Element {
    let mut out = Element { nodes: Vec::new(), ..card.clone() };
    let ours = ours(account);
    let slots: Vec<_> = ours.iter().map(slot).collect();
    let theirs = card.children().filter(|child| {
        child.name != "TEL" || (!is_ours(&number(child), account) && !slots.contains(&slot(child)))
    });
    out.nodes.extend(theirs.cloned().map(xmpp_core::xml::Node::Element));
    out.nodes.extend(ours.into_iter().map(xmpp_core::xml::Node::Element));
    if card.get("JABBERID").is_none() && !account.jid.is_empty() {
        out = out.text_child("JABBERID", account.jid.clone());
    }
    out
}

/// The card as it is kept: our numbers out, the user's in their normal form; and the user's numbers of E.164, which must
/// be nobody else's. The error says what is wrong.
pub(crate) fn validate(
    card: &Element,
    account: &Addresses,
    domains: &[&str],
) -> Result<(Element, Vec<String>), String> {
    let mut out = Element { nodes: Vec::new(), ..card.clone() };
    let mut numbers = Vec::new();
    for child in card.children() {
        if child.name != "TEL" {
            out = out.child(child.clone());
            continue;
        }
        let number = number(child);
        if number.is_empty() || is_ours(&number, account) {
            continue;
        }
        let normal = match Foreign::read(&number, domains)? {
            Foreign::Number(number, parameters) => {
                numbers.push(number.clone());
                Foreign::Number(number, parameters)
            }
            address @ Foreign::Address(_) => address,
        };
        let types = child.children().filter(|part| part.name != "NUMBER" && part.name != "PREF").cloned();
        out = out.child(
            Element::new("TEL", ns::VCARD_TEMP).children_from(types).text_child("NUMBER", normal.into_text()),
        );
    }
    Ok((out, numbers))
}

/// Whether a number is one that we put in.
fn is_ours(number: &str, account: &Addresses) -> bool {
    let bare = strip_scheme(number, "sip:").or_else(|| strip_scheme(number, "sips:")).unwrap_or(number);
    let bare = bare.split(';').next().unwrap_or(bare);
    bare.eq_ignore_ascii_case(&account.aor)
        || number.eq_ignore_ascii_case(&account.sip_uri)
        || account.numbers.iter().any(|own| own == strip_scheme(number, "tel:").unwrap_or(number))
}

fn ours(account: &Addresses) -> Vec<Element> {
    if account.aor.is_empty() {
        return Vec::new();
    }
    let mut out = vec![tel("WORK", "VOICE", &account.sip_uri), tel("HOME", "VOICE", &account.aor)];
    if account.has_video {
        out.push(tel("WORK", "VIDEO", &account.sip_uri));
        out.push(tel("HOME", "VIDEO", &account.aor));
    }
    // Two slots that our addresses leave free; further numbers would push each other out of the readers' slots.
    let slots = [("WORK", "CELL"), ("HOME", "CELL"), ("WORK", "MSG"), ("HOME", "MSG")];
    out.extend(account.numbers.iter().zip(slots).map(|(number, (place, kind))| tel(place, kind, number)));
    out
}

fn tel(place: &str, kind: &str, number: &str) -> Element {
    let v = |name: &str| Element::new(name, ns::VCARD_TEMP);
    v("TEL").child(v(place)).child(v(kind)).text_child("NUMBER", number)
}

fn number(tel: &Element) -> String {
    tel.text_of("NUMBER").unwrap_or_default().trim().to_owned()
}

/// The slot as Smack computes it: home or work, and the last type before NUMBER.
fn slot(tel: &Element) -> (bool, String) {
    let types: Vec<_> =
        tel.children().take_while(|part| part.name != "NUMBER").map(|p| p.name.as_str()).collect();
    let kind = types.iter().rev().find(|kind| !matches!(**kind, "HOME" | "WORK")).copied().unwrap_or("VOICE");
    (types.contains(&"HOME"), kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Addresses {
        Addresses {
            aor: "alice@sip.x.org".into(),
            sip_uri: "sip:alice@sip.x.org".into(),
            jid: "alice@x.org".into(),
            numbers: vec!["+33123456789".into()],
            has_video: false,
        }
    }

    fn card(inner: &str) -> Element {
        Element::parse(&format!("<vCard xmlns='vcard-temp'>{inner}</vCard>"), "").unwrap()
    }

    fn numbers(card: &Element) -> Vec<String> {
        card.children().filter(|c| c.name == "TEL").map(number).collect()
    }

    #[test]
    fn puts_the_uri_and_the_aor_into_different_slots() {
        let card = inject(&card("<FN>Alice</FN>"), &alice());
        assert_eq!(numbers(&card), ["sip:alice@sip.x.org", "alice@sip.x.org", "+33123456789"]);
        let mut slots: Vec<_> = card.children().filter(|c| c.name == "TEL").map(slot).collect();
        slots.sort();
        slots.dedup();
        assert_eq!(slots.len(), 3);
        let with_video = Addresses { has_video: true, ..alice() };
        assert_eq!(numbers(&inject(&card, &with_video)).len(), 5);
    }

    #[test]
    fn what_the_user_wrote_cannot_take_our_slot_nor_double_ours() {
        let written = card(
            "<TEL><WORK/><VOICE/><NUMBER>+4930123456</NUMBER></TEL><TEL><HOME/><NUMBER>sip:ALICE@sip.x.org</NUMBER></TEL>",
        );
        assert_eq!(
            numbers(&inject(&written, &alice())),
            ["sip:alice@sip.x.org", "alice@sip.x.org", "+33123456789"]
        );
    }

    #[test]
    fn refuses_fragments_and_other_peoples_addresses_and_says_why() {
        let set = |n: &str| {
            validate(
                &card(&format!("<TEL><CELL/><NUMBER>{n}</NUMBER></TEL>")),
                &alice(),
                &["x.org", "sip.x.org"],
            )
            .map(|(card, _)| numbers(&card))
        };
        for fragment in ["123", "a", "alice", "alice@", "@x.org", "0123456789", "+12", "sip:bob", "alice@sip"]
        {
            assert!(set(fragment).unwrap_err().contains(fragment), "{fragment}");
        }
        assert!(set("sip:bob@x.org").unwrap_err().contains("somebody else"));
        assert!(set("bob@SIP.x.org;transport=tls").unwrap_err().contains("somebody else"));
        assert_eq!(set("+33 (1) 98-76.54/32").unwrap(), ["+33198765432"]);
        assert_eq!(set("tel:0033198765432").unwrap(), ["+33198765432"]);
        assert_eq!(set("sip:me@other.net").unwrap(), ["sip:me@other.net"]);
        assert!(set("sip:alice@sip.x.org").unwrap().is_empty(), "ours is not kept, it is put in when read");
    }
}
