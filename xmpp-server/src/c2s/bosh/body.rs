//! `<body/>` — XEP-0124 1.11.2, "Wrapper Element" and "Terminal Binding Conditions"; XEP-0206 1.4 (its own attributes).

use xmpp_core::xml::{Node, escape_attribute};
use xmpp_core::{Element, ns};

/// A request, read.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) rid: u64,
    /// Of which session; none asks for one.
    pub(super) sid: Option<String>,
    pub(super) to: Option<String>,
    /// Whose stream it will be, if the client says so.
    from: Option<String>,
    language: Option<String>,
    pub(super) wait: Option<u64>,
    pub(super) hold: Option<usize>,
    /// Seconds that the client will stay away.
    pub(super) pause: Option<u64>,
    pub(super) restarts: bool,
    pub(super) terminates: bool,
    /// What is for the stream.
    pub(super) elements: Vec<Element>,
}

/// What the first answer says.
pub(super) struct Greeting {
    pub(super) sid: String,
    pub(super) wait: u64,
    pub(super) hold: usize,
    pub(super) from: String,
    /// The id of the stream.
    pub(super) authid: String,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    BadRequest,
    HostUnknown,
    ImproperAddressing,
    ItemNotFound,
    PolicyViolation,
    RemoteStreamError,
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::ItemNotFound => "item-not-found",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteStreamError => "remote-stream-error",
        }
    }
}

impl Body {
    /// Reads what was posted; `None` for what is no body, or has no number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let body = Element::parse(text.trim_start_matches('\u{feff}').trim(), "").ok()?;
        if !body.is("body", HTTPBIND) {
            return None;
        }
        // The prefix of attributes of XEP-0206 is the client's choice.
        let own = |name: &str| {
            let is_it = |(known, _): &&(String, String)| {
                known.split_once(':').is_some_and(|(_, local)| local == name)
            };
            body.attributes.iter().find(is_it).map(|(_, value)| value.as_str())
        };
        let text = |name: &str| body.attribute(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let number = |name: &str| body.attribute(name).and_then(|value| value.parse::<u64>().ok());
        let rid = number("rid").filter(|rid| (1..=LARGEST_RID).contains(rid))?;
        Some(Self {
            rid,
            sid: text("sid"),
            to: text("to"),
            from: text("from"),
            language: text("xml:lang"),
            wait: number("wait"),
            hold: number("hold").and_then(|hold| usize::try_from(hold).ok()),
            pause: number("pause"),
            restarts: matches!(own("restart"), Some("true" | "1")),
            terminates: body.attribute("type") == Some("terminate"),
            elements: body.children().cloned().map(of_client).collect(),
        })
    }

    /// The header of the stream that this body begins or restarts.
    pub(super) fn header(&self, domain: &str) -> String {
        let mut out =
            format!("<stream:stream xmlns='{}' xmlns:stream='{}' version='1.0'", ns::CLIENT, ns::STREAM);
        let to = self.to.as_deref().or((!domain.is_empty()).then_some(domain));
        for (name, value) in
            [("to", to), ("from", self.from.as_deref()), ("xml:lang", self.language.as_deref())]
        {
            if let Some(value) = value {
                attribute(name, value, &mut out);
            }
        }
        out + ">"
    }
}

/// XEP-0206: many clients leave the namespace of stanzas out.
fn of_client(mut element: Element) -> Element {
    if element.ns == HTTPBIND {
        ns::CLIENT.clone_into(&mut element.ns);
    }
    for node in &mut element.nodes {
        if let Node::Element(child) = node {
            *child = of_client(std::mem::take(child));
        }
    }
    element
}

/// An answer.
pub(super) fn wrap(greeting: Option<&Greeting>, said: &[String]) -> String {
    let mut out = format!("<body xmlns='{HTTPBIND}'");
    if let Some(greeting) = greeting {
        out.push_str(" xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'");
        let requests = greeting.hold + 1;
        for (name, value) in [
            ("sid", greeting.sid.as_str()),
            ("wait", &greeting.wait.to_string()),
            ("hold", &greeting.hold.to_string()),
            ("requests", &requests.to_string()),
            ("inactivity", &INACTIVITY_SECONDS.to_string()),
            ("maxpause", &LONGEST_PAUSE_SECONDS.to_string()),
            ("polling", "2"),
            ("ver", "1.11"),
            ("from", &greeting.from),
            ("authid", &greeting.authid),
        ] {
            attribute(name, value, &mut out);
        }
    }
    close(out, said)
}

/// The last answer.
pub(super) fn terminate(why: Option<Condition>, said: &[String]) -> String {
    let mut out = format!("<body xmlns='{HTTPBIND}' type='terminate'");
    if let Some(why) = why {
        attribute("condition", why.as_str(), &mut out);
    }
    close(out, said)
}

fn close(mut out: String, said: &[String]) -> String {
    if said.is_empty() {
        return out + "/>";
    }
    out.push('>');
    said.iter().for_each(|text| out.push_str(text));
    out + "</body>"
}

fn attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape_attribute(value, out);
    out.push('\'');
}

const HTTPBIND: &str = "http://jabber.org/protocol/httpbind";
/// 2⁵³ − 1, the largest that every client can count to.
const LARGEST_RID: u64 = 9_007_199_254_740_991;
pub(super) const INACTIVITY_SECONDS: u64 = 60;
pub(super) const LONGEST_PAUSE_SECONDS: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_xep_0206_shows() {
        let text = "<body content='text/xml; charset=utf-8' from='romeo@example.com' hold='1' rid='1573741820' \
            to='example.com' ver='1.6' wait='60' xml:lang='en' xmpp:version='1.0' \
            xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'/>";
        let body = Body::parse(text).unwrap();
        assert_eq!(
            (body.rid, body.wait, body.hold, body.sid.as_deref()),
            (1_573_741_820, Some(60), Some(1), None)
        );
        assert_eq!(
            body.header(""),
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' \
             to='example.com' from='romeo@example.com' xml:lang='en'>"
        );
        let text = "<body xmlns='http://jabber.org/protocol/httpbind' rid='2' sid='s' xmpp:restart='true' \
            xmlns:xmpp='urn:xmpp:xbosh'><message to='a@x'><body>hi</body></message><iq xmlns='jabber:client' id='1'/></body>";
        let body = Body::parse(text).unwrap();
        assert!(body.restarts && !body.terminates);
        assert_eq!(
            body.elements[0].to_string(),
            "<message xmlns='jabber:client' to='a@x'><body>hi</body></message>"
        );
        for bad in
            ["", "<body rid='1'/>", "<body xmlns='http://jabber.org/protocol/httpbind' rid='0'/>", "<a"]
        {
            assert!(Body::parse(bad).is_none(), "{bad}");
        }
    }
}
