//! Payloads of stanzas, one document a file: pure parse and print, no opinion about what to do with them.

pub mod blocking;
pub mod caps;
pub mod delay;
pub mod disco;
pub mod form;
pub mod forward;
pub mod layout;
pub mod mam;
pub mod muc;
pub mod roster;
pub mod rsm;
pub mod vcard;
