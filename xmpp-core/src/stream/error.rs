//! Stream errors — RFC 6120 §4.9: always the last thing on a stream.

use super::management::TooHigh;
use crate::ns;
use crate::stanza::ParseError;
use crate::xml::{Element, XmlError};

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A defined condition (§4.9.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StreamCondition { $($(#[$doc])* $variant,)* }

        impl StreamCondition {
            /// The element's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

conditions! {
    /// §4.9.3.1: XML that cannot be processed.
    BadFormat = "bad-format";
    /// §4.9.3.2: a prefix that is not supported.
    BadNamespacePrefix = "bad-namespace-prefix";
    /// §4.9.3.3: another stream of the same resource takes its place.
    Conflict = "conflict";
    /// §4.9.3.4: silent for too long.
    ConnectionTimeout = "connection-timeout";
    /// §4.9.3.5: a domain that is served here no more.
    HostGone = "host-gone";
    /// §4.9.3.6: a domain that is not served here.
    HostUnknown = "host-unknown";
    /// §4.9.3.7: a stanza without an address that it must have.
    ImproperAddressing = "improper-addressing";
    /// §4.9.3.8: our fault.
    InternalServerError = "internal-server-error";
    /// §4.9.3.9: `from` is not who was authenticated.
    InvalidFrom = "invalid-from";
    /// §4.9.3.10: a namespace other than it must be.
    InvalidNamespace = "invalid-namespace";
    /// §4.9.3.12: a stanza before the proof, or a proof that is no longer worth anything.
    NotAuthorized = "not-authorized";
    /// §4.9.3.13: not XML.
    NotWellFormed = "not-well-formed";
    /// §4.9.3.14: against a local policy.
    PolicyViolation = "policy-violation";
    /// §4.9.3.15: a server that is needed cannot be reached.
    RemoteConnectionFailed = "remote-connection-failed";
    /// §4.9.3.16: begin anew, since what was negotiated holds no more.
    Reset = "reset";
    /// §4.9.3.17: no room for the stream.
    ResourceConstraint = "resource-constraint";
    /// §4.9.3.18: XML that XMPP does not allow.
    RestrictedXml = "restricted-xml";
    /// §4.9.3.19: the domain is served elsewhere.
    SeeOtherHost = "see-other-host";
    /// §4.9.3.20: the server stops.
    SystemShutdown = "system-shutdown";
    /// §4.9.3.21: what another element beside it says.
    UndefinedCondition = "undefined-condition";
    /// §4.9.3.22: not UTF-8.
    UnsupportedEncoding = "unsupported-encoding";
    /// §4.9.3.24: a first-level element that is not understood.
    UnsupportedStanzaType = "unsupported-stanza-type";
    /// §4.9.3.25: a version below 1.0.
    UnsupportedVersion = "unsupported-version";
}

/// Why a stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// The condition.
    pub condition: StreamCondition,
    /// What a person may read; possibly empty.
    pub text: String,
    /// What an extension says beside the condition (§4.9.4).
    pub application: Option<Box<Element>>,
}

impl StreamError {
    /// A condition that says why.
    pub fn because(condition: StreamCondition, text: impl Into<String>) -> Self {
        Self { condition, text: text.into(), application: None }
    }

    /// Reads what a peer said in a `<stream:error/>` with this content, under these declarations of prefixes. What is
    /// not known here is [`StreamCondition::UndefinedCondition`].
    pub fn parse(content: &[u8], prefixes: &str) -> Self {
        let text = std::str::from_utf8(content).unwrap_or_default();
        let said = Element::parse_content(text, ns::SERVER, prefixes).unwrap_or_default();
        let of_streams = || said.iter().filter(|child| child.ns == ns::STREAMS);
        let condition = of_streams().find_map(|child| StreamCondition::from_name(&child.name));
        let text = of_streams().find(|child| child.name == "text").map(Element::text).unwrap_or_default();
        let text: String = text.chars().take(LONGEST_TEXT).collect();
        Self::because(condition.unwrap_or(StreamCondition::UndefinedCondition), text)
    }

    /// Prints `<stream:error/>`; the end of the stream follows ([`super::CLOSE`]).
    pub fn print(&self) -> String {
        let mut out = String::from("<stream:error>");
        Element::new(self.condition.as_str(), ns::STREAMS).print(ns::CLIENT, &mut out);
        if !self.text.is_empty() {
            Element::new("text", ns::STREAMS).text_node(self.text.clone()).print(ns::CLIENT, &mut out);
        }
        if let Some(application) = &self.application {
            application.print(ns::CLIENT, &mut out);
        }
        out.push_str("</stream:error>");
        out
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::because(condition, "")
    }
}

impl From<XmlError> for StreamError {
    fn from(error: XmlError) -> Self {
        let condition = match error {
            XmlError::NotWellFormed(_) => StreamCondition::NotWellFormed,
            XmlError::Restricted(_) => StreamCondition::RestrictedXml,
            XmlError::UnsupportedEncoding => StreamCondition::UnsupportedEncoding,
            XmlError::OverLimit(_) => StreamCondition::PolicyViolation,
            XmlError::BadNamespacePrefix => StreamCondition::BadNamespacePrefix,
            XmlError::InvalidNamespace => StreamCondition::InvalidNamespace,
            XmlError::BadFormat(_) => StreamCondition::BadFormat,
        };
        Self::because(condition, error.to_string())
    }
}

impl From<TooHigh> for StreamError {
    /// XEP-0198 §6.
    fn from(TooHigh { h, sent }: TooHigh) -> Self {
        let application =
            Element::new("handled-count-too-high", ns::SM).with("h", h).with("send-count", sent);
        let text = format!("you acknowledged {h} stanzas, but only {sent} were sent");
        Self {
            application: Some(Box::new(application)),
            ..Self::because(StreamCondition::UndefinedCondition, text)
        }
    }
}

impl From<ParseError> for StreamError {
    fn from(error: ParseError) -> Self {
        let condition = match error {
            ParseError::InvalidNamespace => StreamCondition::InvalidNamespace,
            ParseError::UnknownKind => StreamCondition::UnsupportedStanzaType,
            ParseError::BadTo(_) | ParseError::BadFrom(_) => StreamCondition::InvalidFrom,
        };
        Self::because(condition, error.to_string())
    }
}

/// Characters of a peer's explanation that are kept.
const LONGEST_TEXT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_takes_the_unknown_for_undefined() {
        let error = StreamError::because(StreamCondition::HostUnknown, "not here");
        let printed = error.print();
        let content = printed.trim_start_matches("<stream:error>").trim_end_matches("</stream:error>");
        assert_eq!(StreamError::parse(content.as_bytes(), ""), error);
        for strange in ["<x xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", "<x xmlns='u'/>", "", "<"] {
            let read = StreamError::parse(strange.as_bytes(), "");
            assert_eq!(read.condition, StreamCondition::UndefinedCondition, "{strange}");
        }
    }
}
