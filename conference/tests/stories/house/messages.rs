//! The chat half as mailboxes ask it: what was left stands in a list.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use shared_model::{BareJid, Pending, Unavailable, VoiceMessage, VoiceMessages, Waiting};

#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) wanted: Mutex<Vec<BareJid>>,
    /// Nobody can say what waits.
    pub(crate) is_down: AtomicBool,
    pub(crate) kept: Mutex<Vec<(BareJid, VoiceMessage)>>,
}

impl VoiceMessages for Messages {
    fn wants<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, bool> {
        Box::pin(async { self.wanted.lock().unwrap().contains(owner) })
    }

    fn keep<'a>(&'a self, owner: &'a BareJid, message: VoiceMessage) -> Pending<'a, Result<(), Unavailable>> {
        Box::pin(async {
            self.kept.lock().unwrap().push((owner.clone(), message));
            Ok(())
        })
    }

    fn waiting<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, Result<Waiting, Unavailable>> {
        Box::pin(async move {
            if self.is_down.load(Ordering::Relaxed) {
                return Err(Unavailable);
            }
            let kept = self.kept.lock().unwrap();
            let new = kept.iter().filter(|(of, _)| of == owner).count() as u32;
            Ok(Waiting { new, old: 0 })
        })
    }
}

impl Messages {
    /// Waits until so many were left.
    pub(crate) async fn until(&self, count: usize) -> Vec<(BareJid, VoiceMessage)> {
        let left = async {
            loop {
                let kept = self.kept.lock().unwrap().clone();
                if kept.len() >= count {
                    return kept;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), left).await.unwrap()
    }
}
