//! Whose an address is that browsers' checks proved, and how many a leg has — RFC 7675 §5.1.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::CONSENT;

/// Whose an address is.
pub(super) struct Claim {
    pub(super) name: String,
    /// When they last proved it.
    pub(super) checked: Instant,
}

/// Puts an address among those of a leg. One that it does not prove any more makes room, if it is not where the leg is: who moves often in a
/// long call moves on (RFC 7675 §5.1).
pub(super) fn has_room(
    proved: &mut Vec<SocketAddr>,
    addresses: &mut HashMap<SocketAddr, Claim>,
    (name, target): (&str, Option<SocketAddr>),
    source: SocketAddr,
    now: Instant,
) -> bool {
    if proved.contains(&source) {
        return true;
    }
    if proved.len() >= MOST_ADDRESSES {
        let is_over = |address: &SocketAddr| {
            let claim = addresses.get(address).filter(|claim| claim.name == name);
            target != Some(*address) && claim.is_none_or(|claim| now.duration_since(claim.checked) > CONSENT)
        };
        let Some(at) = proved.iter().position(is_over) else { return false };
        let gone = proved.remove(at);
        if addresses.get(&gone).is_some_and(|claim| claim.name == name) {
            addresses.remove(&gone);
        }
    }
    proved.push(source);
    true
}

pub(super) const MOST_ADDRESSES: usize = 16;
