//! The proxy's core — RFC 3261 §16: what is done to a request on its way, and which response is the best.

mod context;
mod forward;

pub use context::{Action, BranchId, ResponseContext};
pub use forward::{
    Hop, breadth, hop_check, loop_key, pop_routes, prepare_copy, serve_strict_router, share_breadth,
};
