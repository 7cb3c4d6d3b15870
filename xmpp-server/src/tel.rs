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

use shared_auth::AccountCard;
use shared_model::{AccountId, idn};
use xmpp_core::{Element, Jid, ns};

use foreign::{Foreign, strip_scheme};

/// Whose card it is.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// Whose they are.
    pub(crate) account: AccountId,
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

impl Addresses {
    /// Those of an account.
    pub(crate) fn of(account: AccountCard, has_video: bool) -> Self {
        Self {
            account: account.account,
            aor: format!("{}@{}", account.aor.local(), account.aor.host()),
            sip_uri: account.aor.to_sip_uri(),
            jid: account.jid.as_str().to_owned(),
            numbers: account.numbers,
            has_video,
        }
    }
}

/// The card with our numbers and our JID in it, last, since readers that keep one of a kind keep the last.
///
/// Our two addresses have their slots; what the user wrote there moves to a free one, and the account's numbers take
/// what is left. A card with more numbers than there are slots keeps them all the same.
pub(crate) fn inject(card: &Element, account: &Addresses) -> Element {
    let addresses = our_addresses(account);
    let mut taken: Vec<Slot> = addresses.iter().map(slot).collect();
    let is_theirs = |child: &Element| match child.name.as_str() {
        "TEL" => !is_ours(&number(child), account),
        "JABBERID" => !child.text().eq_ignore_ascii_case(&account.jid),
        _ => true,
    };
    let mut theirs: Vec<Element> = card.children().filter(|child| is_theirs(child)).cloned().collect();
    let is_displaced = |tel: &Element, taken: &[Slot]| taken.contains(&slot(tel));
    // First all that may stay where they are, so that none of them is displaced by another that moves.
    let (mut staying, mut moving) = (Vec::new(), Vec::new());
    for (at, tel) in theirs.iter().enumerate().filter(|(_, child)| child.name == "TEL") {
        match is_displaced(tel, &taken) {
            true => moving.push(at),
            false => staying.push(slot(tel)),
        }
    }
    taken.append(&mut staying);
    for at in moving {
        let is_home = slot(&theirs[at]).0;
        if let Some((_, kind)) = free_slot(&[is_home], &mut taken) {
            theirs[at] = with_last_type(&theirs[at], kind);
        }
    }
    let numbers = account.numbers.iter().filter(|_| !addresses.is_empty()).map(|number| {
        let (is_home, kind) = free_slot(&[false, true], &mut taken).unwrap_or((false, "VOICE"));
        tel(if is_home { "HOME" } else { "WORK" }, kind, number)
    });
    let numbers: Vec<Element> = numbers.collect();
    let out = Element { nodes: Vec::new(), ..card.clone() };
    let out = out.children_from(theirs).children_from(addresses).children_from(numbers);
    if account.jid.is_empty() { out } else { out.text_child("JABBERID", account.jid.clone()) }
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
        match child.name.as_str() {
            "TEL" => {}
            "JABBERID" => {
                check_jid(&child.text(), account, domains)?;
                out = out.child(child.clone());
                continue;
            }
            "impp" => {
                let uri = child.text_of("uri").unwrap_or_default();
                let address = ["sip:", "sips:"].iter().any(|scheme| strip_scheme(&uri, scheme).is_some());
                if address && is_ours(&uri, account) {
                    continue;
                }
                if address {
                    Foreign::read(&uri, domains)?;
                }
                out = out.child(child.clone());
                continue;
            }
            _ => {
                out = out.child(child.clone());
                continue;
            }
        }
        let number = number(child);
        if number.is_empty() || is_ours(&number, account) {
            continue;
        }
        let normal = match Foreign::read(&number, domains)? {
            Foreign::Number(number, _) if account.numbers.contains(&number) => continue,
            Foreign::Number(number, parameters) => {
                numbers.push(number.clone());
                Foreign::Number(number, parameters)
            }
            address @ Foreign::Address(_) => address,
        };
        // PREF first: last before NUMBER, it would be the slot.
        let (preference, types): (Vec<_>, Vec<_>) = child
            .children()
            .filter(|part| part.name != "NUMBER")
            .cloned()
            .partition(|part| part.name == "PREF");
        let types = preference.into_iter().chain(types);
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

/// A JID in a card is the account's own or one elsewhere.
fn check_jid(jid: &str, account: &Addresses, domains: &[&str]) -> Result<(), String> {
    let bare = jid.trim().split('/').next().unwrap_or_default();
    let domain = bare.rsplit('@').next().and_then(idn::to_unicode).unwrap_or_default();
    let is_own = bare.parse::<Jid>().is_ok_and(|jid| jid.as_str() == account.jid);
    if domains.contains(&&*domain) && !is_own {
        return Err(format!("the JID '{jid}' is that of somebody else on this service"));
    }
    Ok(())
}

/// The account's AOR in both forms.
fn our_addresses(account: &Addresses) -> Vec<Element> {
    if account.aor.is_empty() {
        return Vec::new();
    }
    let mut out = vec![tel("WORK", "VOICE", &account.sip_uri), tel("HOME", "VOICE", &account.aor)];
    if account.has_video {
        out.push(tel("WORK", "VIDEO", &account.sip_uri));
        out.push(tel("HOME", "VIDEO", &account.aor));
    }
    out
}

/// Takes the first free slot in these places, whose kinds name none that would tell a fax from a telephone.
fn free_slot(places: &[bool], taken: &mut Vec<Slot>) -> Option<(bool, &'static str)> {
    let slots = KINDS.iter().flat_map(|kind| places.iter().map(move |place| (*place, *kind)));
    let free = slots.into_iter().find(|(place, kind)| !taken.contains(&(*place, (*kind).to_owned())))?;
    taken.push((free.0, free.1.to_owned()));
    Some(free)
}

/// The same with one more type, which Smack takes for its slot. A place stays.
fn with_last_type(tel: &Element, kind: &str) -> Element {
    let types = tel.children().filter(|part| part.name != "NUMBER").cloned();
    let out = Element { nodes: Vec::new(), ..tel.clone() }.children_from(types);
    out.child(Element::new(kind, ns::VCARD_TEMP)).text_child("NUMBER", number(tel))
}

fn tel(place: &str, kind: &str, number: &str) -> Element {
    let v = |name: &str| Element::new(name, ns::VCARD_TEMP);
    v("TEL").child(v(place)).child(v(kind)).text_child("NUMBER", number)
}

fn number(tel: &Element) -> String {
    tel.text_of("NUMBER").unwrap_or_default().trim().to_owned()
}

/// What a reader keeps one number of: whether it is at home, and its kind.
type Slot = (bool, String);

/// The slot as Smack computes it: home or work, and the last type before NUMBER.
fn slot(tel: &Element) -> Slot {
    let types: Vec<_> =
        tel.children().take_while(|part| part.name != "NUMBER").map(|p| p.name.as_str()).collect();
    let kind = types.iter().rev().find(|kind| !matches!(**kind, "HOME" | "WORK")).copied().unwrap_or("VOICE");
    (types.contains(&"HOME"), kind.to_owned())
}

/// Kinds in which a number can stand that is neither our address nor a fax.
const KINDS: &[&str] = &["CELL", "MSG", "PAGER", "PCS", "ISDN"];

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Addresses {
        Addresses {
            account: AccountId(1),
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
    fn what_the_user_wrote_keeps_out_of_our_slots_and_is_not_lost() {
        let written = card(
            "<TEL><WORK/><VOICE/><NUMBER>+4930123456</NUMBER></TEL><TEL><CELL/><NUMBER>+49151123456</NUMBER></TEL>\
             <TEL><HOME/><NUMBER>sip:ALICE@sip.x.org</NUMBER></TEL>",
        );
        let card = inject(&written, &alice());
        assert_eq!(
            numbers(&card),
            ["+4930123456", "+49151123456", "sip:alice@sip.x.org", "alice@sip.x.org", "+33123456789"]
        );
        let slots: std::collections::HashSet<_> =
            card.children().filter(|c| c.name == "TEL").map(slot).collect();
        assert_eq!(slots.len(), 5);
        assert!(slots.contains(&(false, "CELL".to_owned())));
        // As many as one likes: none is lost.
        let many: String =
            (0..40).map(|n| format!("<TEL><VOICE/><NUMBER>+49301234{n}</NUMBER></TEL>")).collect();
        let many = Element::parse(&format!("<vCard xmlns='vcard-temp'>{many}</vCard>"), "").unwrap();
        assert_eq!(numbers(&inject(&many, &alice())).len(), 43);
    }

    #[test]
    fn the_accounts_jid_is_always_there() {
        let card = inject(&card("<JABBERID>z@z.org</JABBERID><JABBERID>Alice@x.org</JABBERID>"), &alice());
        let jids: Vec<_> = card.children().filter(|c| c.name == "JABBERID").map(Element::text).collect();
        assert_eq!(jids, ["z@z.org", "alice@x.org"]);
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
