//! Business cards — vcard-temp (XEP-0054 1.3.1) and vCard4 (XEP-0292 0.12, RFC 6351), one record in two forms.
//!
//! The record is the vcard-temp tree, which real clients write; [`to_vcard4`] and [`from_vcard4`] translate what both
//! know: FN, N, NICKNAME, URL, BDAY, NOTE/DESC, TITLE, ORG, EMAIL, TEL, JABBERID.
//! Numbers keep their scheme: `sip:`, `sips:` and `tel:` are URIs already, and XEP-0292's stylesheet would write
//! `tel:sip:…`.
//! What one form alone can say is kept in the record as it is, by its namespace, and shown in that form alone
//! ([`keep_other_form`]). A `<group/>` of vCard4 (RFC 6351 §5.1) is taken apart, so that nothing hides in one.

use crate::ns;
use crate::xml::Element;

/// Fields that hold one text in both forms: vcard-temp's name, vCard4's name and value type.
const TEXTS: &[(&str, &str, &str)] = &[
    ("FN", "fn", "text"),
    ("NICKNAME", "nickname", "text"),
    ("URL", "url", "uri"),
    ("BDAY", "bday", "date"),
    ("DESC", "note", "text"),
    ("TITLE", "title", "text"),
    ("ROLE", "role", "text"),
];
const NAMES: &[(&str, &str)] = &[
    ("FAMILY", "surname"),
    ("GIVEN", "given"),
    ("MIDDLE", "additional"),
    ("PREFIX", "prefix"),
    ("SUFFIX", "suffix"),
];
/// Types of TEL that both forms know: vcard-temp's and RFC 6350's words.
const TEL_TYPES: &[(&str, &str)] = &[
    ("HOME", "home"),
    ("WORK", "work"),
    ("VOICE", "voice"),
    ("FAX", "fax"),
    ("PAGER", "pager"),
    ("MSG", "text"),
    ("CELL", "cell"),
    ("VIDEO", "video"),
];

/// The vCard4 form of a vcard-temp tree.
pub fn to_vcard4(card: &Element) -> Element {
    let v = |name: &str| Element::new(name, ns::VCARD4);
    let mut out = v("vcard");
    for (old, new, kind) in TEXTS {
        for text in card.children().filter(|c| c.name == *old).map(Element::text).filter(|t| !t.is_empty()) {
            out = out.child(v(new).text_child(kind, text));
        }
    }
    if let Some(name) = card.get("N") {
        let parts = NAMES
            .iter()
            .fold(v("n"), |n, (old, new)| n.text_child(new, name.text_of(old).unwrap_or_default()));
        out = out.child(parts);
    }
    if let Some(org) = card.get("ORG").and_then(|org| org.text_of("ORGNAME")) {
        out = out.child(v("org").text_child("text", org));
    }
    for email in card.children().filter(|c| c.name == "EMAIL").filter_map(|e| e.text_of("USERID")) {
        out = out.child(v("email").text_child("text", email));
    }
    for tel in card.children().filter(|c| c.name == "TEL") {
        let Some(number) = tel.text_of("NUMBER").filter(|n| !n.is_empty()) else { continue };
        let types = TEL_TYPES.iter().filter(|(old, _)| tel.get(old).is_some()).map(|(_, new)| *new);
        out = out.child(tel4(types, &number));
    }
    for jid in card.children().filter(|c| c.name == "JABBERID").map(Element::text).filter(|t| !t.is_empty()) {
        out = out.child(v("impp").text_child("uri", format!("xmpp:{jid}")));
    }
    out.children_from(card.children().filter(|child| child.ns == ns::VCARD4).cloned())
}

/// The card without what vcard-temp cannot say.
pub fn to_vcard_temp(card: &Element) -> Element {
    let said = card.children().filter(|child| child.ns != ns::VCARD4).cloned();
    Element { nodes: Vec::new(), ..card.clone() }.children_from(said)
}

/// The record after `card` replaced `stored`: what the form that was written, vCard4 or vcard-temp, cannot say stays.
pub fn keep_other_form(card: Element, stored: &Element, is_vcard4: bool) -> Element {
    let is_shared = |child: &Element| {
        TEXTS.iter().any(|(old, ..)| *old == child.name)
            || matches!(child.name.as_str(), "N" | "ORG" | "EMAIL" | "TEL" | "JABBERID")
    };
    let stays = stored.children().filter(|child| match is_vcard4 {
        true => child.ns != ns::VCARD4 && !is_shared(child),
        false => child.ns == ns::VCARD4,
    });
    card.children_from(stays.cloned())
}

/// A `<tel/>` of vCard4.
pub fn tel4<'a>(types: impl IntoIterator<Item = &'a str>, number: &str) -> Element {
    let v = |name: &str| Element::new(name, ns::VCARD4);
    let types = types.into_iter().fold(v("type"), |all, word| all.text_child("text", word));
    let has_scheme = ["tel:", "sip:", "sips:"].iter().any(|scheme| number.starts_with(scheme));
    let tel = v("tel").child(v("parameters").child(types));
    match (has_scheme, number.contains('@')) {
        (true, _) => tel.text_child("uri", number),
        (false, true) => tel.text_child("text", number), // an AOR without scheme, for readers of plain text
        (false, false) => tel.text_child("uri", format!("tel:{number}")),
    }
}

/// The vcard-temp form of a vCard4 tree.
pub fn from_vcard4(card: &Element) -> Element {
    let v = |name: &str| Element::new(name, ns::VCARD_TEMP);
    let is_group = |child: &&Element| child.is("group", ns::VCARD4);
    let grouped = card.children().filter(is_group).flat_map(Element::children);
    let flat = card.children().filter(|child| !is_group(child)).chain(grouped).cloned();
    let card = &Element { nodes: Vec::new(), ..card.clone() }.children_from(flat);
    let first = |element: &Element| element.children().map(Element::text).find(|text| !text.is_empty());
    let mut out = v("vCard");
    for (old, new, _) in TEXTS {
        for text in card.children().filter(|c| c.name == *new).filter_map(first) {
            out = out.child(v(old).text_node(text));
        }
    }
    if let Some(name) = card.get("n") {
        let parts = NAMES
            .iter()
            .fold(v("N"), |n, (old, new)| n.text_child(old, name.text_of(new).unwrap_or_default()));
        out = out.child(parts);
    }
    if let Some(org) = card.get("org").and_then(first) {
        out = out.child(v("ORG").text_child("ORGNAME", org));
    }
    for email in card.children().filter(|c| c.name == "email").filter_map(|e| e.text_of("text")) {
        out = out.child(v("EMAIL").child(v("INTERNET")).text_child("USERID", email));
    }
    for tel in card.children().filter(|c| c.name == "tel") {
        let Some(number) = tel.text_of("uri").or_else(|| tel.text_of("text")) else { continue };
        let number = number.strip_prefix("tel:").unwrap_or(&number).to_owned();
        let words: Vec<String> = tel
            .get("parameters")
            .into_iter()
            .flat_map(Element::children)
            .filter(|p| p.name == "type")
            .flat_map(Element::children)
            .map(Element::text)
            .collect();
        let types =
            TEL_TYPES.iter().filter(|(_, new)| words.iter().any(|word| word == new)).map(|(old, _)| v(old));
        out = out.child(v("TEL").children_from(types).text_child("NUMBER", number));
    }
    for child in card.children() {
        let jid = child.text_of("uri").filter(|_| child.name == "impp");
        let is_shared = TEXTS.iter().any(|(_, new, _)| *new == child.name)
            || matches!(child.name.as_str(), "n" | "org" | "email" | "tel");
        match jid.as_deref().and_then(|uri| uri.strip_prefix("xmpp:")) {
            Some(jid) => out = out.child(v("JABBERID").text_node(jid)),
            None if !is_shared && child.ns == ns::VCARD4 => out = out.child(child.clone()),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_scheme_of_a_number_in_both_directions() {
        let card = "<vCard xmlns='vcard-temp'><FN>A</FN><TEL><WORK/><VOICE/><NUMBER>sip:a@x</NUMBER></TEL>\
                    <TEL><HOME/><CELL/><NUMBER>+331</NUMBER></TEL><JABBERID>a@x</JABBERID></vCard>";
        let card = Element::parse(card, "").unwrap();
        let four = to_vcard4(&card);
        let uris: Vec<_> = four.children().filter_map(|c| c.text_of("uri")).collect();
        assert_eq!(uris, ["sip:a@x", "tel:+331", "xmpp:a@x"]);
        assert_eq!(from_vcard4(&four), card);
    }
}
