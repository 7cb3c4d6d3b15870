//! By whom an account is found who does not know its address: in searches, in address books, by its number.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Aor, BareJid, Pending, Unavailable};

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

/// Whether an account finds another whose address it does not know: people of other domains never, others as it is found
/// ([`FoundBy`]). `is_contact` says whether who asks is in its roster, and sees it or is seen by it; it is asked if that matters.
pub async fn finds(
    asker: &BareJid,
    (account, aor, jid): (AccountId, &Aor, &BareJid),
    visibility: &dyn Visibility,
    is_contact: Pending<'_, Result<bool, Unavailable>>,
) -> Result<bool, Unavailable> {
    if asker == jid {
        return Ok(true);
    }
    if asker.domain() != jid.domain() {
        return Ok(false);
    }
    match visibility.found_by(account, aor).await? {
        FoundBy::Nobody => Ok(false),
        FoundBy::Contacts => is_contact.await,
        FoundBy::Domain => Ok(true),
    }
}

/// Where nobody says by whom accounts are found, it is as where they say nothing.
impl Visibility for () {
    fn found_by<'a>(&'a self, _: AccountId, _: &'a Aor) -> Pending<'a, Result<FoundBy, Unavailable>> {
        Box::pin(async { Ok(FoundBy::default()) })
    }
}
