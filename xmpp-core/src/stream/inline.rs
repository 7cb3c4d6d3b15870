//! What a client asks for together with its proof — XEP-0388 1.0.4, section 2.4; XEP-0386 1.1.0, section 3.2; XEP-0198 §9;
//! XEP-0484 0.2.0, sections 3.1, 3.2, 3.4, 3.6; XEP-0480 0.2.0, section 2.2.
//!
//! In    the content of `<authenticate/>`.
//! Out   the initial response, and the requests that are served when the proof holds.
//! Errors none: what is not understood is passed over, as XEP-0388 §2.4 says.

use super::management::Command;
use crate::ns;
use crate::xml::{Element, Head};

/// Requests beside a proof.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inline {
    /// The installation of the client, if it says which it is.
    pub user_agent: Option<UserAgent>,
    /// Binds a resource.
    pub bind: Option<InlineBind>,
    /// Goes on with an earlier stream: its id, and how many stanzas the client has.
    pub resume: Option<(String, u32)>,
    /// The proof is by a token (XEP-0484 §3.4).
    pub fast: Option<Fast>,
    /// A token is wanted for this mechanism (XEP-0484 §3.2).
    pub request_token: Option<String>,
    /// Tasks that the client would do before the success (XEP-0480 §2.2).
    pub upgrades: Vec<String>,
}

/// An installation of a client, as it calls itself (XEP-0388 §2.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserAgent {
    /// Its own, and stable; not empty.
    pub id: String,
    /// The name of the software, possibly empty.
    pub software: String,
    /// The name of the device, possibly empty.
    pub device: String,
}

/// A proof by a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fast {
    /// The token is not to be good again (XEP-0484 §3.6).
    pub invalidate: bool,
}

/// A resource to bind, and what its session begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InlineBind {
    /// The name of the software, for the resource.
    pub tag: Option<String>,
    /// Copies of messages (XEP-0280).
    pub carbons: bool,
    /// Nobody looks at the client (XEP-0352).
    pub is_inactive: bool,
    /// Stream management (XEP-0198): whether resumable, and for how many seconds at most.
    pub manage: Option<(bool, Option<u32>)>,
}

impl Inline {
    /// Reads the content of `<authenticate/>`: the initial response in base64, if there is one, and the rest.
    pub(super) fn parse(children: &[Element]) -> (Option<String>, Self) {
        let child = |name: &str, ns: &str| children.iter().find(|child| child.is(name, ns));
        let initial = child("initial-response", ns::SASL2).map(|response| response.text().trim().to_owned());
        let user_agent = child("user-agent", ns::SASL2).and_then(|agent| {
            let said = |name: &str| agent.text_of(name).unwrap_or_default().trim().to_owned();
            let id = agent.attribute("id").filter(|id| !id.is_empty())?.to_owned();
            Some(UserAgent { id, software: said("software"), device: said("device") })
        });
        let bind = child("bind", ns::BIND2).map(|bind| InlineBind {
            tag: bind.text_of("tag").map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()),
            carbons: bind.find("enable", ns::CARBONS).is_some(),
            is_inactive: bind.find("inactive", ns::CSI).is_some(),
            manage: bind.find("enable", ns::SM).and_then(command).and_then(|command| match command {
                Command::Enable { resume, max } => Some((resume, max)),
                _ => None,
            }),
        });
        let resume = child("resume", ns::SM).and_then(command).and_then(|command| match command {
            Command::Resume { previd, h } => Some((previd, h)),
            _ => None,
        });
        let fast = child("fast", ns::FAST)
            .map(|fast| Fast { invalidate: matches!(fast.attribute("invalidate"), Some("1" | "true")) });
        let request_token = child("request-token", ns::FAST).and_then(|asked| asked.attribute("mechanism"));
        let request_token = request_token.map(str::to_owned);
        let upgrades =
            children.iter().filter(|child| child.is("upgrade", ns::SASL_UPGRADE)).take(MOST_UPGRADES);
        let upgrades = upgrades.map(|task| task.text().trim().to_owned()).collect();
        (initial, Self { user_agent, bind, resume, fast, request_token, upgrades })
    }
}

fn command(element: &Element) -> Option<Command> {
    let (name, ns, attributes) = (element.name.clone(), element.ns.clone(), element.attributes.clone());
    Command::parse(&Head { name, ns, attributes, prefixes: String::new() }).ok()
}

/// `<success/>` of SASL2 around what answers the requests, which is printed already.
pub fn success(additional: Option<&str>, jid: &str, answers: &str) -> String {
    let mut out = String::from("<success xmlns='urn:xmpp:sasl:2'>");
    let text = |name: &str, text: &str, out: &mut String| {
        Element::new(name, ns::SASL2).text_node(text).print(ns::SASL2, out);
    };
    if let Some(additional) = additional {
        text("additional-data", additional, &mut out);
    }
    text("authorization-identifier", jid, &mut out);
    out + answers + "</success>"
}

/// What is offered beside the mechanisms (XEP-0386 §3.1, XEP-0484 §3.1).
pub(super) fn offered(fast: &[&str]) -> Element {
    let feature = |var: &str| Element::new("feature", ns::BIND2).with("var", var);
    let features = [ns::CARBONS, ns::CSI, ns::SM].map(feature);
    let bind =
        Element::new("bind", ns::BIND2).child(Element::new("inline", ns::BIND2).children_from(features));
    let tokens =
        fast.iter().fold(Element::new("fast", ns::FAST), |all, name| all.text_child("mechanism", *name));
    let tokens = (!fast.is_empty()).then_some(tokens);
    Element::new("inline", ns::SASL2).child(bind).child(Element::new("sm", ns::SM)).children_from(tokens)
}

/// Tasks that one client asks for; more are passed over.
const MOST_UPGRADES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_requests_beside_a_proof() {
        let text = "<initial-response>AA==</initial-response><user-agent id='u'><software>S</software></user-agent>\
            <bind xmlns='urn:xmpp:bind:0'><tag>T</tag><enable xmlns='urn:xmpp:carbons:2'/>\
            <enable xmlns='urn:xmpp:sm:3' resume='true'/><inactive xmlns='urn:xmpp:csi:0'/></bind>\
            <resume xmlns='urn:xmpp:sm:3' previd='p' h='7'/><fast xmlns='urn:xmpp:fast:0' invalidate='true'/>\
            <request-token xmlns='urn:xmpp:fast:0' mechanism='M'/>\
            <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>";
        let (initial, inline) = Inline::parse(&Element::parse_content(text, ns::SASL2, "").unwrap());
        assert_eq!(initial.as_deref(), Some("AA=="));
        assert_eq!(inline.fast, Some(Fast { invalidate: true }));
        assert_eq!(inline.request_token.as_deref(), Some("M"));
        let agent = inline.user_agent.unwrap();
        assert_eq!((agent.id.as_str(), agent.software.as_str(), agent.device.as_str()), ("u", "S", ""));
        assert_eq!(
            (inline.resume, inline.upgrades),
            (Some(("p".to_owned(), 7)), vec!["UPGR-SCRAM-SHA-256".to_owned()])
        );
        let bind = inline.bind.unwrap();
        assert!(bind.carbons && bind.is_inactive && bind.manage == Some((true, None)));
        assert_eq!(Inline::parse(&[]), (None, Inline::default()));
    }
}
