//! Accounts as every service may see them: without anything that proves them.

use std::sync::Arc;

use shared_model::{AccountId, Aor, BareJid, without_scheme};
use shared_store::{Account, StoreError};

use crate::cache::{AccountCache, Name};

/// One account without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCard {
    /// Whose it is.
    pub account: AccountId,
    /// What people dial.
    pub aor: Aor,
    /// What people chat with.
    pub jid: BareJid,
    /// The name to show, possibly empty.
    pub name: String,
    /// Telephone numbers, E.164 with their plus.
    pub numbers: Vec<String>,
    /// Whether it may make video calls.
    pub video: bool,
    /// Whether it administers the service.
    pub admin: bool,
    /// Whether it may log in.
    pub enabled: bool,
}

/// Finds accounts. Another process's change is seen about a second later. Clones share the cache.
#[derive(Clone)]
pub struct Directory {
    cache: Arc<AccountCache>,
}

impl Directory {
    pub(crate) fn new(cache: Arc<AccountCache>) -> Self {
        Self { cache }
    }

    /// Forgets what was read, because somebody else changed it.
    pub(crate) fn forget(&self) {
        self.cache.clear();
    }

    /// The account with this id.
    pub async fn by_id(&self, id: AccountId) -> Result<Option<AccountCard>, StoreError> {
        self.find(Name::Id(id)).await
    }

    /// The account with this address of record.
    pub async fn by_aor(&self, aor: &Aor) -> Result<Option<AccountCard>, StoreError> {
        self.find(Name::Aor(aor.clone())).await
    }

    /// The account with this JID.
    pub async fn by_jid(&self, jid: &BareJid) -> Result<Option<AccountCard>, StoreError> {
        self.find(Name::Jid(jid.clone())).await
    }

    /// The account with this number, E.164 with its plus.
    pub async fn by_number(&self, number: &str) -> Result<Option<AccountCard>, StoreError> {
        self.find(Name::Number(number.to_owned())).await
    }

    /// Whether another account than `own` has a number or an AOR that begins with this number, E.164 with its plus.
    pub async fn do_others_begin_with(&self, number: &str, own: AccountId) -> Result<bool, StoreError> {
        self.cache.store().do_others_begin_with(number, own).await
    }

    /// The SIP URI that somebody of the domain `host` calls by an address (a JID or an AOR) or a number; `None` for what is neither.
    /// AOR and JID are never made of one another: the account says which belong together.
    pub async fn uri_of(&self, word: &str, host: &str) -> Result<Option<String>, StoreError> {
        let sip = |aor: &Aor| (!aor.as_str().is_empty()).then(|| aor.to_sip_uri());
        let word = without_scheme(word);
        if word.contains('@') {
            if let Ok(jid) = word.parse::<BareJid>()
                && let Some(card) = self.by_jid(&jid).await?
            {
                return Ok(sip(&card.aor));
            }
            return Ok(word.parse::<Aor>().ok().and_then(|aor| sip(&aor)));
        }
        let number: String = word.chars().filter(|c| !matches!(c, '-' | '.' | '/' | '(' | ')')).collect();
        let digits = number.strip_prefix('+').unwrap_or(&number);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(None);
        }
        if let Some(card) = self.by_number(&number).await? {
            return Ok(sip(&card.aor));
        }
        // As their phone would dial it.
        Ok(Aor::new(&number, host).ok().map(|aor| aor.to_sip_uri()))
    }

    /// At most `max` accounts in the order of their AORs, beginning after `after`; and whether there are more.
    pub async fn list(
        &self,
        after: Option<&Aor>,
        max: usize,
    ) -> Result<(Vec<AccountCard>, bool), StoreError> {
        let page = self.cache.store().list(after, max).await?;
        Ok((page.accounts.iter().map(AccountCard::from).collect(), page.more))
    }

    /// At most `max` accounts that are meant, in the order of their AORs, beginning after `after`; and behind whom to go on, where there are
    /// some that were not looked at: [`MOST_LOOKED_AT`] are, for one answer.
    pub async fn search(
        &self,
        after: Option<&Aor>,
        max: usize,
        is_meant: impl Fn(&AccountCard) -> bool + Send,
    ) -> Result<(Vec<AccountCard>, Option<Aor>), StoreError> {
        let (mut found, mut last, mut looked_at) = (Vec::new(), after.cloned(), 0);
        loop {
            let (page, more) = self.list(last.as_ref(), PAGE.min(max.max(LEAST_PAGE))).await?;
            looked_at += page.len();
            let mut page = page.into_iter();
            for card in page.by_ref() {
                last = Some(card.aor.clone());
                if is_meant(&card) {
                    found.push(card);
                }
                if found.len() >= max {
                    break;
                }
            }
            let is_end = !more && page.len() == 0;
            if is_end || found.len() >= max || looked_at >= MOST_LOOKED_AT {
                return Ok((found, last.filter(|_| !is_end)));
            }
        }
    }

    async fn find(&self, name: Name) -> Result<Option<AccountCard>, StoreError> {
        Ok(self.cache.find(name).await?.as_deref().map(AccountCard::from))
    }
}

impl AccountCard {
    /// Whether an address, the name or a number has this text, whatever its case; of a number its digits count alone.
    pub fn has_text(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        let is_number = !digits.is_empty() && !text.chars().any(char::is_alphabetic);
        [self.aor.as_str(), self.jid.as_str(), &self.name].iter().any(|it| it.to_lowercase().contains(&text))
            || (is_number && self.numbers.iter().any(|number| number.contains(&digits)))
    }
}

impl From<&Account> for AccountCard {
    fn from(account: &Account) -> Self {
        Self {
            account: account.id,
            aor: account.aor.clone(),
            jid: account.jid.clone(),
            name: account.display_name.clone(),
            numbers: account.numbers.clone(),
            video: account.video,
            admin: account.admin,
            enabled: account.enabled,
        }
    }
}

/// Accounts that are read at once, and those that are looked at for one answer.
const PAGE: usize = 500;
const LEAST_PAGE: usize = 50;
const MOST_LOOKED_AT: usize = 10_000;
