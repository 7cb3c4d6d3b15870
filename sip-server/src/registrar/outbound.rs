//! Whether a registration is of a flow — RFC 5626 §6.
//!
//! In    a REGISTER. Out whether reg-id counts, or the status that refuses it.

use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};

use super::supports;

/// Whether RFC 5626 §6 applies to a REGISTER: its first hop, we or an edge proxy, keeps the flow; the status that
/// refuses it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outbound {
    /// It applies, and the client knows it.
    Used,
    /// reg-id is stored, for the client may know it without saying so; or it is ignored with the flow.
    Unsaid,
    /// reg-id is ignored.
    Ignored,
}

/// Finds out.
pub(super) fn used(request: &Message) -> Result<Outbound, u16> {
    let has_reg_id = request
        .elements(Name::Contact)
        .filter_map(NameAddr::parse)
        .any(|contact| contact.params.has("reg-id") && contact.params.has("+sip.instance"));
    let is_first_hop = request.elements(Name::Via).count() == 1;
    let is_kept_by_edge = request
        .elements(Name::Path)
        .last()
        .and_then(NameAddr::parse)
        .and_then(|edge| Uri::parse(edge.uri))
        .is_some_and(|edge| edge.params.has("ob"));
    let is_said = supports(request, "outbound");
    match (has_reg_id, is_first_hop || is_kept_by_edge, is_said) {
        (true, true, true) => Ok(Outbound::Used),
        (true, false, true) => Err(439),
        (true, true, false) => Ok(Outbound::Unsaid),
        _ => Ok(Outbound::Ignored),
    }
}
