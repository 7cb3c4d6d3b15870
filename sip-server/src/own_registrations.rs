//! Registrations that their owner ends from elsewhere: a [`shared_model::Registrations`] — RFC 3261 §10.3 (removing), RFC 3680 §3.7.2.
//!
//! In    an account, its address, the key of a binding. Out the binding is gone, with the fact that tells who watches.
//! Errors a binding that is another account's, or not there, is none.
//! Not here: calls that are up, which are the parties'; the device's password, by which it may come back.

use std::sync::Arc;

use shared_model::{AccountId, Aor, Pending, Registrations, Unavailable};
use shared_runtime::unix_millis;
use shared_store::{BindingUpdate, StoreError};

use crate::registrar::tell_unbound;
use crate::server::Server;

/// The registrations of one server.
pub(crate) struct Own(pub(crate) Arc<Server>);

impl Registrations for Own {
    fn end<'a>(
        &'a self,
        aor: &'a Aor,
        account: AccountId,
        key: &'a str,
    ) -> Pending<'a, Result<bool, Unavailable>> {
        Box::pin(async move {
            self.unbind(aor, account, key).await.map_err(|error| {
                tracing::error!(%error, "a registration stays although its owner ended it");
                Unavailable
            })
        })
    }
}

impl Own {
    async fn unbind(&self, aor: &Aor, account: AccountId, key: &str) -> Result<bool, StoreError> {
        let (server, now) = (&self.0, unix_millis());
        let bound = server.store.bindings.by_aor(aor, now).await?;
        if !bound.iter().any(|binding| binding.account == account && binding.key == key) {
            return Ok(false);
        }
        // Not a REGISTER of anybody's: its order is its own.
        let call_id = format!("ended-{:016x}", shared_runtime::random());
        let remove = vec![key.to_owned()];
        let update =
            BindingUpdate { call_id, cseq: 1, remove, limit: usize::MAX, ..BindingUpdate::default() };
        let committed = server.store.bindings.commit(aor, &update, now).await?;
        committed.removed.iter().for_each(|binding| tell_unbound(server, binding));
        Ok(true)
    }
}
