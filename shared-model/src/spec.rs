//! Specifications as data: what a feature claims to implement. `docs/specs.md` is printed from these.

/// The document that a [`Spec`] cites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// An RFC by number.
    Rfc(u16),
    /// An XMPP extension protocol by number.
    Xep(u16),
}

/// How much of the document is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All that applies to our role.
    Complete,
    /// A part; the spec's note says which.
    Partial,
}

/// One document as one part of the house implements it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Which document.
    pub document: Document,
    /// The version of a XEP; empty for RFCs.
    pub version: &'static str,
    /// How much of it.
    pub coverage: Coverage,
    /// What is there or what is left out, in one phrase.
    pub note: &'static str,
}

impl Spec {
    /// An RFC, in part until [`Spec::complete`] says otherwise.
    pub const fn rfc(number: u16) -> Self {
        Self { document: Document::Rfc(number), version: "", coverage: Coverage::Partial, note: "" }
    }

    /// A version of a XEP, in part until [`Spec::complete`] says otherwise.
    pub const fn xep(number: u16, version: &'static str) -> Self {
        Self { document: Document::Xep(number), version, coverage: Coverage::Partial, note: "" }
    }

    /// All of it that applies to our role.
    pub const fn complete(self) -> Self {
        Self { coverage: Coverage::Complete, ..self }
    }

    /// Says in one phrase what is there or what is left out.
    pub const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }
}
