//! What finds something that happened by what else than its account is known of it.

use shared_auth::{AccountCard, Auth};
use shared_model::{AccountId, Address, Aor, BareJid, Happened, Pending, Unavailable, number_in};
use shared_store::StoreError;

use crate::address_in;

/// The account that somebody means: by its address of record, its JID, or a number of its.
pub async fn account_meant(auth: &Auth, text: &str) -> Result<Option<AccountCard>, StoreError> {
    let text = address_in(text);
    if let Ok(address) = Address::kept(&text) {
        return Ok(match auth.directory.by_aor(&Aor(address.clone())).await? {
            Some(card) => Some(card),
            None => auth.directory.by_jid(&BareJid(address)).await?,
        });
    }
    match number_in(&text) {
        Some(number) => auth.directory.by_number(&format!("+{number}")).await,
        None => Ok(None),
    }
}

/// Finds what happened. Operations look it up.
pub trait Search: Send + Sync {
    /// What happened since a moment (milliseconds since 1970), the newest first, with a text if one is given: of a call by its Call-ID, of
    /// anything by its correlation, in a room, from a network address, with a stranger by number, SIP URI or JID.
    fn about<'a>(
        &'a self,
        sought: &'a str,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Answer, Unavailable>>;
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What happened.
    pub found: Vec<Found>,
    /// Whether this is all: timelines are followed up to a bound, the newest first.
    pub is_whole: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// To whom, if to one of ours.
    pub account: Option<AccountId>,
    /// What.
    pub happened: Happened,
}
