//! What finds something that happened by what else than its account is known of it.

use std::net::IpAddr;

use shared_auth::{AccountCard, Auth};
use shared_model::{AccountId, Address, Aor, BareJid, Happened, Pending};
use shared_store::StoreError;

use crate::address_in;

/// The account that somebody means: by its address of record, its JID, or a number of its.
pub async fn account_meant(auth: &Auth, text: &str) -> Result<Option<AccountCard>, StoreError> {
    let text = address_in(text);
    if let Ok(address) = text.parse::<Address>() {
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

/// The digits of a telephone number, as people and URIs write it; a network address is none.
pub fn number_in(text: &str) -> Option<String> {
    let text = text.trim();
    let digits: String = text.chars().filter(|c| !" -()./".contains(*c)).collect();
    let number = digits.strip_prefix('+').unwrap_or(&digits);
    let is_number = number.len() > 1 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && text.parse::<IpAddr>().is_err()).then(|| number.to_owned())
}

/// Finds what happened. Operations look it up, the proxy knows who called; `cusax` joins them.
pub trait Search: Send + Sync {
    /// What happened since a moment (milliseconds since 1970), the newest first, with a text if one is given: of a call by its Call-ID, of
    /// anything by its correlation, in a room, from a network address, with a stranger by number, SIP URI or JID.
    fn about<'a>(
        &'a self,
        sought: &'a str,
        since: Option<i64>,
        text: &'a str,
    ) -> Pending<'a, Result<Answer, NotSearched>>;
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What happened.
    pub found: Vec<Found>,
    /// Whether this is all: timelines are followed and calls are looked through up to a bound, the newest first.
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

/// Why nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSearched {
    /// It is in no timeline and not in the newest calls, and more were made since then than are looked through.
    TooMany,
    /// The store does not answer.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_however_they_are_parted() {
        for (text, number) in [
            ("+33 1 55-50 (19) 80", Some("33155501980")),
            ("1980", Some("1980")),
            ("192.0.2.7", None),
            ("2001:db8::1", None),
            ("a84b4c76", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(number_in(text).as_deref(), number, "{text}");
        }
    }
}
