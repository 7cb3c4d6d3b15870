//! A dialog that somebody began with the focus.

/// One dialog, whose peer or proxy is at the other end of a flow.
pub(super) type Dialog = sip_core::dialog::Dialog<sip_endpoint::Flow>;
