//! Business cards — vcard-temp (XEP-0054 1.3.1) and vCard4 (XEP-0292 0.12, RFC 6351), one record in two forms.
//!
//! The record is the vcard-temp tree, which real clients write; [`to_vcard4`] and [`from_vcard4`] translate what both
//! know: FN, N, NICKNAME, URL, BDAY, NOTE/DESC, TITLE, ORG, EMAIL, TEL, JABBERID.
//! Numbers keep their scheme: `sip:`, `sips:` and `tel:` are URIs already, and XEP-0292's stylesheet would write
//! `tel:sip:…`.
//! Not here: photographs and postal addresses in vCard4; the vcard-temp form keeps them.

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
    out
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
    for uri in card.children().filter(|c| c.name == "impp").filter_map(|i| i.text_of("uri")) {
        if let Some(jid) = uri.strip_prefix("xmpp:") {
            out = out.child(v("JABBERID").text_node(jid));
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
