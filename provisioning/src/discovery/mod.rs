//! What everybody may learn of the domain: where its services are.

pub(crate) mod host_meta;
pub(crate) mod webfinger;
pub(crate) mod zone;
