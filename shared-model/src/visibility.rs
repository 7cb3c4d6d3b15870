//! By whom an account is found who does not know its address: in searches, in address books, by its number.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Aor, Pending, Unavailable};

/// Who finds an account. Who knows its address reaches it all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// Nobody.
    Nobody,
    /// Who is in its roster, and sees it or is seen by it.
    Contacts,
    /// Every account of its domain.
    #[default]
    Domain,
}

/// Says by whom accounts are found. Provisioning implements it; the chat server asks it.
pub trait Visibility: Send + Sync {
    /// By whom this account is.
    fn found_by<'a>(&'a self, account: AccountId, aor: &'a Aor) -> Pending<'a, Result<FoundBy, Unavailable>>;
}
