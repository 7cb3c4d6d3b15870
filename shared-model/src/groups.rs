//! Who belongs together: groups of accounts that whoever administers the service made.

use crate::{Aor, Pending, Unavailable};

/// An account that is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose account.
    pub aor: Aor,
    /// The names of its groups.
    pub groups: Vec<String>,
}

/// Says which accounts are in which groups. Provisioning implements it; the chat server asks it.
pub trait Groups: Send + Sync {
    /// Every account that is in one of these groups, or in any where none is asked for; at most so many, those first that are in one
    /// by what is said here.
    fn members<'a>(&'a self, of: &'a [String], most: usize) -> Pending<'a, Result<Vec<Member>, Unavailable>>;
}
