//! The registration document — RFC 3680 §5, with GRUUs as RFC 5628 §5 puts them in.
//!
//! In    what is bound to an AOR, and what a subscriber was told before. Out XML, full or of what changed.
//! Not here: temporary GRUUs, which each REGISTER is given anew; how a device is woken (RFC 8599 §13).

use std::collections::BTreeMap;
use std::fmt::Write;

use quick_xml::escape::escape;
use shared_model::Aor;
use shared_store::Binding;
use sip_core::header::Params;

use crate::gruu::Gruus;
use crate::push::without_push;
use crate::sealed::hash;

/// What is bound to an AOR, by the id of its contact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View(BTreeMap<u64, Binding>);

/// What became of a contact (§4.7.1). Nobody creates, shortens or rejects contacts here but their devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Registered,
    Refreshed,
    Expired,
    Unregistered,
}

impl View {
    /// The bindings of one AOR.
    pub(super) fn new(bindings: Vec<Binding>) -> Self {
        Self(bindings.into_iter().map(|binding| (hash(&binding.key), binding)).collect())
    }

    /// The whole.
    pub(super) fn full(&self, aor: &Aor, version: u32, now: i64) -> String {
        let mut contacts = String::new();
        for (id, binding) in &self.0 {
            print(&mut contacts, *id, binding, Event::Registered, now);
        }
        // §4.7.1: without contacts it is in its first state; the last one's end was told as a change.
        let state = if self.0.is_empty() { "init" } else { "active" };
        document(aor, version, "full", state, &contacts)
    }

    /// What changed since `told`; `None` if nothing did.
    pub(super) fn partial(&self, told: &Self, aor: &Aor, version: u32, now: i64) -> Option<String> {
        let mut contacts = String::new();
        for (id, binding) in &self.0 {
            match told.0.get(id) {
                None => print(&mut contacts, *id, binding, Event::Registered, now),
                Some(old) if old != binding => print(&mut contacts, *id, binding, Event::Refreshed, now),
                Some(_) => {}
            }
        }
        for (id, binding) in told.0.iter().filter(|(id, _)| !self.0.contains_key(id)) {
            let event = if binding.expires <= now { Event::Expired } else { Event::Unregistered };
            print(&mut contacts, *id, binding, event, now);
        }
        let state = if self.0.is_empty() { "terminated" } else { "active" };
        (!contacts.is_empty()).then(|| document(aor, version, "partial", state, &contacts))
    }
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Refreshed => "refreshed",
            Self::Expired => "expired",
            Self::Unregistered => "unregistered",
        }
    }

    fn state(self) -> &'static str {
        match self {
            Self::Registered | Self::Refreshed => "active",
            Self::Expired | Self::Unregistered => "terminated",
        }
    }
}

fn document(aor: &Aor, version: u32, kind: &str, state: &str, contacts: &str) -> String {
    let (uri, id) = (aor.to_sip_uri(), hash(aor.as_str()));
    format!(
        "<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" \
         xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\" version=\"{version}\" state=\"{kind}\">\
         <registration aor=\"{}\" id=\"r{id:016x}\" state=\"{state}\">{contacts}</registration></reginfo>\n",
        escape(&uri)
    )
}

fn print(out: &mut String, id: u64, binding: &Binding, event: Event, now: i64) {
    let left = match event.state() {
        "active" => format!(" expires=\"{}\"", ((binding.expires - now) / 1_000).max(0)),
        _ => String::new(),
    };
    // Writing to a string does not fail, here and below.
    let _ = write!(
        out,
        "<contact id=\"c{id:016x}\" state=\"{}\" event=\"{}\"{left} q=\"{:.3}\" callid=\"{}\" cseq=\"{}\"><uri>{}</uri>",
        event.state(),
        event.as_str(),
        f32::from(binding.q) / 1_000.0,
        escape(&binding.call_id),
        binding.cseq,
        escape(without_push(&binding.contact)),
    );
    if !binding.name.is_empty() {
        let _ = write!(out, "<display-name>{}</display-name>", escape(in_xml(&binding.name)));
    }
    let parameters = format!(";{}", binding.parameters);
    for (name, value) in Params(&parameters).iter() {
        // A value that has no place in a token stood in quotes, and stands so here (RFC 5628 §5).
        let value = value.map_or(String::new(), |value| format!("\"{value}\""));
        let _ = write!(out, "<unknown-param name=\"{}\">{}</unknown-param>", escape(name), escape(&value));
    }
    if !binding.instance.is_empty() && event.state() == "active" {
        let gruu = Gruus::public(&binding.aor, &binding.instance);
        let _ = write!(out, "<gr:pub-gruu uri=\"{}\"/>", escape(&gruu));
    }
    out.push_str("</contact>");
}

/// Without what no document of XML 1.0 has (§2.2), whatever stands before it.
fn in_xml(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gruu::tests::binding;

    fn bound(key: &str, cseq: u32) -> Binding {
        Binding {
            key: key.to_owned(),
            cseq,
            name: "Desk & sofa\u{ffff}".to_owned(),
            q: 800,
            expires: 61_000,
            contact: "sip:alice@192.0.2.1;pn-provider=fcm;pn-prid=1;x=<&>".replace(['<', '>'], ""),
            parameters: "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";audio".to_owned(),
            ..binding("call&1")
        }
    }

    #[test]
    fn the_whole_has_every_contact_and_no_secret() {
        let aor: Aor = "alice@example.org".parse().unwrap();
        let text = View::new(vec![bound("one", 3)]).full(&aor, 0, 1_000);
        for part in [
            "version=\"0\" state=\"full\"",
            "<registration aor=\"sip:alice@example.org\" id=\"r",
            " state=\"active\" event=\"registered\" expires=\"60\" q=\"0.800\" callid=\"call&amp;1\" cseq=\"3\">",
            "<uri>sip:alice@192.0.2.1;x=&amp;</uri><display-name>Desk &amp; sofa</display-name><unknown-param",
            "<unknown-param name=\"+sip.instance\">&quot;&lt;urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF&gt;&quot;<",
            "<unknown-param name=\"audio\"></unknown-param>",
            "<gr:pub-gruu uri=\"sip:alice@example.org;gr=urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF\"/>",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let none = View::default().full(&aor, 4, 1_000);
        assert!(none.contains("state=\"init\"></registration>"), "{none}");
    }

    #[test]
    fn a_change_tells_what_became_of_each_contact() {
        let aor: Aor = "alice@example.org".parse().unwrap();
        let told = View::new(vec![bound("kept", 1), bound("again", 1), bound("gone", 1)]);
        let now = View::new(vec![bound("kept", 1), bound("again", 2), bound("new", 1)]);
        let text = now.partial(&told, &aor, 1, 1_000).unwrap();
        assert!(text.contains("version=\"1\" state=\"partial\"") && text.matches("<contact ").count() == 3);
        for (key, event) in [("again", "refreshed"), ("new", "registered"), ("gone", "unregistered")] {
            let part = format!("id=\"c{:016x}\" state=\"", hash(key));
            let contact = text.split(&part).nth(1).unwrap_or_default();
            assert!(contact.split('>').next().unwrap().contains(event), "{key}: {text}");
        }
        assert_eq!(told.partial(&told, &aor, 1, 1_000), None);
        let over = View::default().partial(&told, &aor, 2, 61_000).unwrap();
        assert!(
            over.contains("state=\"terminated\"><contact") && over.matches("expired").count() == 3,
            "{over}"
        );
    }
}
