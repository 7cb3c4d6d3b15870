//! Long-lived dialogs — RFC 8599 §6: a device that sleeps inside a dialog is woken for what comes in it.
//!
//! In    a binding that is made; a request inside a dialog whose target has `pn-purr`.
//! Out   a PURR, another each time; which binding it means, and whether that device sleeps.
//! State none: a PURR is sealed, so that nobody can make one, read one, or see that two are the same device's (§6.2.1).
//! Errors a PURR that is not ours, or whose binding is gone, changes nothing.

use std::sync::Arc;

use shared_model::AccountId;
use shared_runtime::unix_millis;
use shared_store::Binding;
use sip_core::Uri;
use sip_core::uri::unescape;

use crate::gruu::Device;
use crate::location::{Branch, Devices};
use crate::routing::Route;
use crate::sealed::{Sealer, hash, nonce};
use crate::server::Server;

/// Makes and reads Proxy Unique Registration References.
pub(crate) struct Purrs(Sealer);

impl Purrs {
    /// PURRs under this key.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Sealer::new(key))
    }

    /// A new one for a binding.
    pub(crate) fn issue(&self, binding: &Binding) -> Option<String> {
        let mut content = binding.account.0.to_be_bytes().to_vec();
        content.extend_from_slice(&hash(&binding.key).to_be_bytes());
        self.0.seal(&content, nonce())
    }

    /// Which binding it means.
    fn read(&self, purr: &str) -> Option<(AccountId, Device)> {
        let content = self.0.open(purr)?;
        let (account, key) = content.split_first_chunk::<16>()?;
        let account = AccountId(u128::from_be_bytes(*account));
        Some((account, Device::Bound(account, u64::from_be_bytes(key.try_into().ok()?))))
    }
}

/// Where a request inside a dialog goes whose target has a PURR of ours (§6.2.3): to the binding's flow, or into the
/// bucket. The Request-URI stays that of the dialog.
pub(crate) async fn dialog(server: &Server, uri: &Uri<'_>) -> Option<Route> {
    server.push.as_ref()?;
    let (account, device) = server.purrs.read(&unescape(uri.params.value("pn-purr")?))?;
    // A store that does not answer leaves the request to the dialog's own way.
    let callee = Arc::new(server.auth.directory.by_id(account).await.ok()??);
    let found = Box::pin(server.reach().find(&callee, Some(&device), unix_millis())).await.ok()?;
    if found.is_empty() {
        return None;
    }
    let Devices { groups, asleep } = found;
    let groups =
        groups.into_iter().map(|group| group.into_iter().map(Branch::within_dialog).collect()).collect();
    Some(Route { groups, asleep, callee: Some(callee), device: Some(device), ..Route::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gruu::tests::binding;

    #[test]
    fn a_purr_means_its_binding_and_tells_nothing() {
        let (purrs, mut bound) = (Purrs::new(&[1; 32]), binding("one"));
        bound.key = "<urn:uuid:1> 1".to_owned();
        let (one, other) = (purrs.issue(&bound).unwrap(), purrs.issue(&bound).unwrap());
        assert!(one != other && one[16..] != other[16..], "nobody sees that they are of one device");
        let (account, device) = purrs.read(&one).unwrap();
        assert!(account == bound.account && device.is(&bound));
        bound.key = "<urn:uuid:2> 1".to_owned();
        assert!(!device.is(&bound));
        assert!(Purrs::new(&[2; 32]).read(&one).is_none() && purrs.read("AAAA").is_none());
    }
}
