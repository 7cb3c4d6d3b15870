//! Stanza errors — RFC 6120 §8.3.2 (syntax), §8.3.3 (conditions and the type that each goes with).

use crate::ns;
use crate::xml::Element;

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:literal;)*) => {
        /// A defined condition.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $variant,)* }

        impl ErrorKind {
            /// The element's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The condition of this name, if it is one that is known here.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// The error type that goes with it.
            pub fn type_(self) -> &'static str {
                match self { $(Self::$variant => $kind,)* }
            }
        }
    };
}

conditions! {
    /// §8.3.3.1: what was sent makes no sense.
    BadRequest = "bad-request", "modify";
    /// §8.3.3.2: there is one already.
    Conflict = "conflict", "cancel";
    /// §8.3.3.3: understood and not done here.
    FeatureNotImplemented = "feature-not-implemented", "cancel";
    /// §8.3.3.4: not allowed to this one.
    Forbidden = "forbidden", "auth";
    /// §8.3.3.5: reached here before, not any more.
    Gone = "gone", "cancel";
    /// §8.3.3.6: our fault.
    InternalServerError = "internal-server-error", "cancel";
    /// §8.3.3.7: there is none.
    ItemNotFound = "item-not-found", "cancel";
    /// §8.3.3.8: an address that is none.
    JidMalformed = "jid-malformed", "modify";
    /// §8.3.3.9: understood, and against our criteria.
    NotAcceptable = "not-acceptable", "modify";
    /// §8.3.3.10: allowed to nobody.
    NotAllowed = "not-allowed", "cancel";
    /// §8.3.3.11: a proof is asked first.
    NotAuthorized = "not-authorized", "auth";
    /// §8.3.3.12: against a local policy.
    PolicyViolation = "policy-violation", "modify";
    /// §8.3.3.13: not there for now.
    RecipientUnavailable = "recipient-unavailable", "wait";
    /// §8.3.3.15: one must register first.
    RegistrationRequired = "registration-required", "auth";
    /// §8.3.3.16: there is no such domain.
    RemoteServerNotFound = "remote-server-not-found", "cancel";
    /// §8.3.3.17: the domain is there, and no stream to it could be made in time.
    RemoteServerTimeout = "remote-server-timeout", "wait";
    /// §8.3.3.18: too much for now.
    ResourceConstraint = "resource-constraint", "wait";
    /// §8.3.3.19: nobody answers to that.
    ServiceUnavailable = "service-unavailable", "cancel";
    /// §8.3.3.22: not now, not in this order.
    UnexpectedRequest = "unexpected-request", "modify";
}

/// The answer to a stanza that could not be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// The condition.
    pub kind: ErrorKind,
    /// What a person may read; possibly empty.
    pub text: String,
    /// Where it is now, inside the condition: a URI (§8.3.3.5).
    pub location: Option<String>,
    /// What an extension says beside the condition (§8.3.4).
    pub application: Option<Box<Element>>,
    /// Who refuses, if not whom the stanza was for (§8.3.1).
    pub by: Option<String>,
    /// Another type than the condition's own (§8.3.2).
    pub other_type: Option<&'static str>,
}

impl StanzaError {
    /// A condition without words.
    pub fn new(kind: ErrorKind) -> Self {
        Self::because(kind, "")
    }

    /// A condition that says why.
    pub fn because(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), location: None, application: None, by: None, other_type: None }
    }

    /// The same with what an extension says.
    #[must_use]
    pub fn with(self, application: Element) -> Self {
        Self { application: Some(Box::new(application)), ..self }
    }

    /// The same, and it may be tried again later.
    #[must_use]
    pub fn for_now(self) -> Self {
        Self { other_type: Some("wait"), ..self }
    }

    /// The same, and something else may be asked instead.
    #[must_use]
    pub fn to_be_changed(self) -> Self {
        Self { other_type: Some("modify"), ..self }
    }

    /// The same with where it is now.
    #[must_use]
    pub fn at(self, uri: impl Into<String>) -> Self {
        Self { location: Some(uri.into()), ..self }
    }

    /// The same with who refuses.
    #[must_use]
    pub fn by(self, who: impl Into<String>) -> Self {
        Self { by: Some(who.into()), ..self }
    }

    /// The `<error/>` of the content namespace.
    pub fn to_element(&self) -> Element {
        let mut condition = Element::new(self.kind.as_str(), ns::STANZAS);
        if let Some(location) = &self.location {
            condition = condition.text_node(location.clone());
        }
        let error = Element::new("error", ns::CLIENT)
            .with("type", self.other_type.unwrap_or(self.kind.type_()))
            .with_some("by", self.by.as_ref())
            .child(condition);
        let error = error.children_from(self.application.as_deref().cloned());
        if self.text.is_empty() {
            return error;
        }
        error.child(Element::new("text", ns::STANZAS).with("xml:lang", "en").text_node(self.text.clone()))
    }
}

impl From<ErrorKind> for StanzaError {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}
