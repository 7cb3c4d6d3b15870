//! Entity capabilities — XEP-0115 1.6.0, sections 4 (syntax), 5.1 (what is hashed); XEP-0390 0.3.2, sections 4.1 (what is hashed), 4.3 (its node),
//! 5.4 (syntax).
//!
//! In    `<c/>` of a presence; a `disco#info` answer. Out what to ask for, and the string whose hash names the answer; hashing is the caller's.

use super::form::Form;
use crate::ns;
use crate::stanza::Stanza;
use crate::xml::Element;

/// What a client says of itself in its presence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caps {
    /// By which rules it was hashed.
    pub edition: Edition,
    /// The software, a URI; that of the namespace by XEP-0390.
    pub node: String,
    /// The hash, in base64.
    pub ver: String,
    /// Its algorithm.
    pub hash: String,
}

/// Of two ways to hash the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edition {
    /// XEP-0115.
    First,
    /// XEP-0390.
    Second,
}

impl Caps {
    /// What a presence says, by XEP-0390 if it says both: what is kept by XEP-0115 is not to be taken then (XEP-0390 §7.2).
    pub fn of(presence: &Stanza) -> Option<Self> {
        let second = presence.find("c", ns::CAPS2).as_ref().and_then(Self::second);
        second.or_else(|| presence.find("c", ns::CAPS).as_ref().and_then(Self::first))
    }

    /// Those without algorithm are of a time before hashes (XEP-0115 §3).
    fn first(c: &Element) -> Option<Self> {
        let attribute = |name: &str| c.attribute(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let (node, ver, hash) = (attribute("node")?, attribute("ver")?, attribute("hash")?);
        Some(Self { edition: Edition::First, node, ver, hash })
    }

    /// The hash that is wanted most, or any: it can be asked for, if not checked.
    fn second(c: &Element) -> Option<Self> {
        let rank =
            |hash: &Self| WANTED.iter().position(|wanted| *wanted == hash.hash).unwrap_or(WANTED.len());
        let hashes = c.children().filter(|child| child.is("hash", ns::HASHES)).filter_map(|child| {
            let (ver, hash) = (child.text().trim().to_owned(), child.attribute("algo")?.to_owned());
            let node = ns::CAPS2.to_owned();
            (!ver.is_empty() && !hash.is_empty()).then_some(Self {
                edition: Edition::Second,
                node,
                ver,
                hash,
            })
        });
        hashes.min_by_key(rank)
    }

    /// The node by which it is asked for (XEP-0115 §6.2, XEP-0390 §4.3).
    pub fn asked_by(&self) -> String {
        match self.edition {
            Edition::First => format!("{}#{}", self.node, self.ver),
            Edition::Second => format!("{}#{}.{}", self.node, self.hash, self.ver),
        }
    }

    /// The string whose hash it is, for this answer.
    pub fn input(&self, info: &Element) -> Option<String> {
        match self.edition {
            Edition::First => verification_string(info),
            Edition::Second => hash_input(info),
        }
    }
}

/// §5.1: identities, features and forms in one order. `None` for an answer that says something twice (§5.4).
///
/// Each list is sorted before the separator is put behind its entries: `nick` comes before `nick+notify`, though `+` comes before `<`.
pub fn verification_string(info: &Element) -> Option<String> {
    let text = |element: &Element, name: &str| element.attribute(name).unwrap_or_default().to_owned();
    let children = |name: &'static str| info.children().filter(move |c| c.is(name, ns::DISCO_INFO));
    let parts = ["category", "type", "xml:lang", "name"];
    let mut identities: Vec<_> = children("identity").map(|one| parts.map(|name| text(one, name))).collect();
    let mut features: Vec<String> = children("feature").map(|feature| text(feature, "var")).collect();
    let mut forms: Vec<(String, Vec<_>)> = Vec::new();
    for form in info.children().filter_map(Form::parse) {
        let Some(form_type) = form.value("FORM_TYPE").map(str::to_owned) else { continue };
        let fields = form.fields.into_iter().filter(|field| field.var != "FORM_TYPE");
        let mut fields: Vec<_> = fields
            .map(|mut field| {
                field.values.sort();
                (field.var, field.values)
            })
            .collect();
        fields.sort();
        forms.push((form_type, fields));
    }
    identities.sort();
    features.sort();
    forms.sort();
    let is_twice = identities.windows(2).any(|two| two[0] == two[1])
        || features.windows(2).any(|two| two[0] == two[1])
        || forms.windows(2).any(|two| two[0].0 == two[1].0);
    if is_twice {
        return None;
    }
    let forms = forms.into_iter().flat_map(|(form_type, fields)| {
        let fields = fields.into_iter().flat_map(|(var, values)| std::iter::once(var).chain(values));
        std::iter::once(form_type).chain(fields)
    });
    let entries = identities.into_iter().map(|parts| parts.join("/")).chain(features).chain(forms);
    Some(entries.fold(String::new(), |string, entry| string + &entry + "<"))
}

/// XEP-0390 §4.1: the same, with separators that no text can hold. `None` for an answer with anything else in it, or with a form that is
/// none of XEP-0068.
pub fn hash_input(info: &Element) -> Option<String> {
    let is_sound = |child: &Element| match Form::parse(child) {
        Some(form) => {
            let is_table =
                child.children().any(|part| part.is("reported", ns::FORM) || part.is("item", ns::FORM));
            form.value("FORM_TYPE").is_some() && !is_table
        }
        None => child.is("identity", ns::DISCO_INFO) || child.is("feature", ns::DISCO_INFO),
    };
    if !info.children().all(is_sound) {
        return None;
    }
    let language = info.attribute("xml:lang").unwrap_or_default();
    let children = |name: &'static str| info.children().filter(move |c| c.is(name, ns::DISCO_INFO));
    let text = |element: &Element, name: &str| element.attribute(name).unwrap_or_default().to_owned();
    let mut features: Vec<String> = children("feature").map(|f| text(f, "var") + "\u{1f}").collect();
    features.sort();
    let mut identities: Vec<String> = children("identity")
        .map(|i| {
            ["category", "type", "xml:lang", "name"]
                .iter()
                .map(|name| match *name {
                    "xml:lang" => i.attribute(name).unwrap_or(language).to_owned() + "\u{1f}",
                    name => text(i, name) + "\u{1f}",
                })
                .collect::<String>()
                + "\u{1e}"
        })
        .collect();
    identities.sort();
    let mut forms: Vec<String> = info
        .children()
        .filter_map(Form::parse)
        .map(|form| {
            let mut fields: Vec<String> = form
                .fields
                .into_iter()
                .map(|field| {
                    let mut values: Vec<String> = field.values.into_iter().map(|v| v + "\u{1f}").collect();
                    values.sort();
                    field.var + "\u{1f}" + &values.concat() + "\u{1e}"
                })
                .collect();
            fields.sort();
            fields.concat() + "\u{1d}"
        })
        .collect();
    forms.sort();
    Some(features.concat() + "\u{1c}" + &identities.concat() + "\u{1c}" + &forms.concat() + "\u{1c}")
}

/// Algorithms of XEP-0300 that are asked for, the first that there is.
const WANTED: [&str; 4] = ["sha-256", "sha3-256", "sha-512", "sha3-512"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 5.3, the complex example.
    #[test]
    fn orders_all_as_the_example_does() {
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
            <identity xml:lang='el' category='client' name='\u{3a8} 0.11' type='pc'/>\
            <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>\
            <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
            <field var='ip_version'><value>ipv4</value><value>ipv6</value></field><field var='os'><value>Mac</value></field>\
            <field var='os_version'><value>10.5.1</value></field><field var='software'><value>Psi</value></field>\
            <field var='software_version'><value>0.11</value></field></x></query>";
        let string = verification_string(&Element::parse(info, "").unwrap()).unwrap();
        assert_eq!(
            string,
            "client/pc/el/\u{3a8} 0.11<client/pc/en/Psi 0.11<http://jabber.org/protocol/caps<\
             http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<\
             urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<os<Mac<os_version<10.5.1<software<Psi<\
             software_version<0.11<"
        );
        let twice = "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='a'/><feature var='a'/></query>";
        assert_eq!(verification_string(&Element::parse(twice, "").unwrap()), None);
        let form = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>f</value></field>";
        let twice = format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'>{form}</x>{form}<field var='a'/></x></query>"
        );
        assert_eq!(verification_string(&Element::parse(&twice, "").unwrap()), None, "two forms of one type");
    }

    /// What `+notify` makes of nearly every client.
    #[test]
    fn sorts_names_and_not_what_follows_them() {
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>\
            <identity category='client' type='pc-2'/><feature var='nick+notify'/><feature var='nick'/>\
            <feature var='muc#user'/><feature var='muc'/></query>";
        assert_eq!(
            verification_string(&Element::parse(info, "").unwrap()).unwrap(),
            "client/pc//<client/pc-2//<muc<muc#user<nick<nick+notify<"
        );
    }
}
