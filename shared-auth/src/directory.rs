//! Accounts as every service may see them: without anything that proves them.

use std::sync::Arc;

use shared_model::{AccountId, Aor, BareJid};
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

    /// At most `max` accounts in the order of their AORs, beginning after `after`; and whether there are more.
    pub async fn list(
        &self,
        after: Option<&Aor>,
        max: usize,
    ) -> Result<(Vec<AccountCard>, bool), StoreError> {
        let page = self.cache.store().list(after, max).await?;
        Ok((page.accounts.iter().map(AccountCard::from).collect(), page.more))
    }

    async fn find(&self, name: Name) -> Result<Option<AccountCard>, StoreError> {
        Ok(self.cache.find(name).await?.as_deref().map(AccountCard::from))
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
