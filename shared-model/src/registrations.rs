//! Registrations of devices, for whoever lets people end theirs.

use crate::{AccountId, Aor, Pending, Unavailable};

/// Ends registrations. The registrar implements it; provisioning has a page for it.
pub trait Registrations: Send + Sync {
    /// Ends one registration of an account, by the key of its binding; false if there is none. Who watches is told at once.
    fn end<'a>(
        &'a self,
        aor: &'a Aor,
        account: AccountId,
        key: &'a str,
    ) -> Pending<'a, Result<bool, Unavailable>>;
}
