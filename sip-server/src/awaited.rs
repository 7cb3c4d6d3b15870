//! Calls that wait for devices: a phone that registers while an AOR is being rung is rung too.
//!
//! In    who waits for an AOR; a REGISTER that bound something to it. Out a wake-up, after which the waiter looks again.
//! State one entry an AOR that is being rung, taken out when nobody waits any more.
//! Errors none: wake-ups that come together are one.

use dashmap::DashMap;
use shared_model::Aor;
use tokio::sync::watch;

/// Who waits for which AOR.
#[derive(Default)]
pub(crate) struct Awaited(DashMap<Aor, watch::Sender<()>>);

/// One that waits, until it is dropped.
pub(crate) struct Waiting<'a> {
    awaited: &'a Awaited,
    aor: Aor,
    woken: watch::Receiver<()>,
}

impl Awaited {
    /// Waits for bindings of an AOR from now on.
    pub(crate) fn wait(&self, aor: Aor) -> Waiting<'_> {
        let woken = self.0.entry(aor.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Waiting { awaited: self, aor, woken }
    }

    /// Something was bound to an AOR, or is gone.
    pub(crate) fn tell(&self, aor: &Aor) {
        if let Some(waiting) = self.0.get(aor) {
            waiting.send_replace(());
        }
    }
}

impl Waiting<'_> {
    /// Ends when something was bound since the last time. Cancel safe.
    pub(crate) async fn bound(&mut self) {
        if self.woken.changed().await.is_err() {
            // The sender lives as long as somebody waits, and we do.
            std::future::pending().await
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Our own receiver is still counted.
        self.awaited.0.remove_if(&self.aor, |_, waiting| waiting.receiver_count() <= 1);
    }
}

/// Waits for a device, if for one; or forever.
pub(crate) async fn bound(waiting: Option<&mut Waiting<'_>>) {
    match waiting {
        Some(waiting) => waiting.bound().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_binding_wakes_who_waits_and_nobody_else() {
        let awaited = Awaited::default();
        let aor = |name| Aor::new(name, "example.org").unwrap();
        let (mut bob, carol) = (awaited.wait(aor("bob")), awaited.wait(aor("carol")));
        awaited.tell(&aor("bob"));
        awaited.tell(&aor("dave"));
        bob.bound().await;
        assert!(!carol.woken.has_changed().unwrap());
        drop((bob, carol));
        assert!(awaited.0.is_empty(), "nobody waits any more");
    }
}
