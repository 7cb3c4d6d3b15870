//! Block lists as they are kept — XEP-0191: one record an account, and beside each bound resource what holds now.
//!
//! In    an account, and a change of its list.
//! Out   the list. Acknowledged means durable.
//! State `Records`, collection `blocking`; every session of the account has the list at hand.
//! Errors those of the store; more than [`MOST`] entries are `TooMany`. A list that cannot be read blocks nobody.

use std::sync::Arc;

use shared_store::{Expected, Place, Record, RecordChange, Records, StoreError};
use xmpp_core::Jid;
use xmpp_core::payload::blocking::BlockList;

use crate::router::Router;
use crate::server::Server;

/// All block lists.
pub(crate) struct BlockLists {
    records: Arc<dyn Records>,
}

impl BlockLists {
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The list of an account.
    pub(crate) async fn read(&self, owner: &str) -> Result<Arc<BlockList>, StoreError> {
        Ok(Arc::new(self.versioned(owner).await?.0))
    }

    /// The lists of many accounts.
    pub(crate) async fn of_many(&self, owners: &[Jid]) -> Result<Vec<BlockList>, StoreError> {
        let places: Vec<_> = owners.iter().map(|owner| place(owner.bare_str())).collect();
        let found = self.records.several(&places).await?;
        Ok(found.iter().map(|record| listed(record.as_ref())).collect())
    }

    /// Changes a list, and tells every session of the account; what `change` answers.
    pub(crate) async fn change<T>(
        &self,
        router: &Router,
        owner: &str,
        change: impl Fn(&mut BlockList) -> T,
    ) -> Result<T, StoreError> {
        loop {
            let (mut list, expected) = self.versioned(owner).await?;
            let answer = change(&mut list);
            if list.len() > MOST {
                return Err(StoreError::TooMany(MOST));
            }
            let text: Vec<&str> = list.iter().map(Jid::as_str).collect();
            let put = RecordChange::put(COLLECTION, KEY, &serde_json::to_vec(&text).unwrap_or_default());
            match self.records.commit(owner, &[put.expecting(expected)]).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    router.set_blocked(owner, &Arc::new(list));
                    return Ok(answer);
                }
            }
        }
    }

    async fn versioned(&self, owner: &str) -> Result<(BlockList, Expected), StoreError> {
        let Some(record) = self.records.get(owner, COLLECTION, KEY).await? else {
            return Ok((BlockList::default(), Expected::Absent));
        };
        Ok((listed(Some(&record)), Expected::Version(record.version)))
    }
}

/// Where the list of an account is.
pub(crate) fn place(owner: &str) -> Place<'_> {
    Place { owner, collection: COLLECTION, key: KEY }
}

/// Whom a list names; nobody, if there is none.
pub(crate) fn listed(record: Option<&Record>) -> BlockList {
    let kept: Option<Vec<String>> = record.and_then(|record| serde_json::from_slice(&record.value).ok());
    kept.unwrap_or_default().iter().filter_map(|jid| jid.parse().ok()).collect()
}

/// Whether the account `user` (any JID of it) blocks `other`. Nobody blocks themselves or their server (XEP-0191 §5).
pub(crate) async fn blocks(server: &Server, user: &Jid, other: &Jid) -> bool {
    if is_exempt(user, other) {
        return false;
    }
    let list = match server.router.blocked(user.bare_str()) {
        Some(list) => list,
        None => match Box::pin(server.block_lists.read(user.bare_str())).await {
            Ok(list) => list,
            Err(error) => {
                tracing::error!(%error, "a block list could not be read");
                return false;
            }
        },
    };
    list.names(other)
}

/// Whether `other` is the user, or the server itself.
pub(crate) fn is_exempt(user: &Jid, other: &Jid) -> bool {
    other.bare_str() == user.bare_str() || other.bare_str() == user.domain()
}

pub(crate) const COLLECTION: &str = "blocking";
pub(crate) const KEY: &str = "list";
/// Entries of one list.
pub(crate) const MOST: usize = 2000;
