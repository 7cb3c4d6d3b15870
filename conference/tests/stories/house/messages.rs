//! The chat half as mailboxes ask it: what was left stands in a list.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use shared_model::{
    Archiving, BareJid, ChatClient, KeptMessage, KeptPage, KeptPart, MailboxState, OwnChat, OwnChatError,
    Pending, Picture, Unavailable, VoiceMessage, VoiceMessages, Waiting,
};

#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) wanted: Mutex<Vec<BareJid>>,
    /// Nobody can say what waits.
    pub(crate) is_down: AtomicBool,
    /// There is no room for what is left.
    pub(crate) is_full: AtomicBool,
    /// Nobody says whether there is.
    pub(crate) is_frozen: AtomicBool,
    pub(crate) kept: Mutex<Vec<(BareJid, VoiceMessage)>>,
    /// What was kept before, whose it is, and what each sounds like.
    pub(crate) old: Mutex<Vec<(BareJid, KeptMessage, Vec<u8>)>>,
}

impl VoiceMessages for Messages {
    fn wants<'a>(&'a self, owner: &'a BareJid) -> Pending<'a, bool> {
        Box::pin(async { self.wanted.lock().unwrap().contains(owner) })
    }

    fn keep<'a>(&'a self, owner: &'a BareJid, message: VoiceMessage) -> Pending<'a, Result<(), Unavailable>> {
        Box::pin(async {
            if self.is_frozen.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.is_full.load(Ordering::Relaxed) {
                return Err(Unavailable);
            }
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

impl Messages {
    /// Does something with an older message of theirs.
    fn with<T>(
        &self,
        of: &BareJid,
        id: &str,
        what: impl FnOnce(&mut Vec<(BareJid, KeptMessage, Vec<u8>)>, usize) -> T,
    ) -> Result<T, OwnChatError> {
        let mut old = self.old.lock().unwrap();
        let at = old.iter().position(|(owner, message, _)| owner == of && message.id == id);
        Ok(what(&mut old, at.ok_or(OwnChatError::Nothing)?))
    }
}

type Kept<'a, T> = Pending<'a, Result<T, OwnChatError>>;

/// Of which a focus asks for messages alone.
impl OwnChat for Messages {
    fn voice_messages<'a>(&'a self, of: &'a BareJid) -> Kept<'a, Vec<KeptMessage>> {
        Box::pin(async move {
            if self.is_down.load(Ordering::Relaxed) {
                return Err(OwnChatError::Unavailable);
            }
            let old = self.old.lock().unwrap();
            Ok(old.iter().filter(|(owner, ..)| owner == of).map(|(_, message, _)| message.clone()).collect())
        })
    }

    fn voice_sound<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Kept<'a, Vec<u8>> {
        Box::pin(async move { self.with(of, id, |old, at| old[at].2.clone()) })
    }

    fn set_heard<'a>(&'a self, of: &'a BareJid, id: &'a str, is_heard: bool) -> Kept<'a, ()> {
        Box::pin(async move { self.with(of, id, |old, at| old[at].1.is_heard = is_heard) })
    }

    fn remove_voice_message<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Kept<'a, ()> {
        Box::pin(async move { self.with(of, id, |old, at| drop(old.remove(at))) })
    }

    fn picture<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, Option<Picture>> {
        unreachable!()
    }

    fn set_picture<'a>(&'a self, _of: &'a BareJid, _picture: Option<Picture>) -> Kept<'a, ()> {
        unreachable!()
    }

    fn archiving<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, Archiving> {
        unreachable!()
    }

    fn set_archiving<'a>(&'a self, _of: &'a BareJid, _wish: Archiving) -> Kept<'a, ()> {
        unreachable!()
    }

    fn blocked<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, Vec<String>> {
        unreachable!()
    }

    fn set_blocked<'a>(&'a self, _of: &'a BareJid, _whom: &'a str, _is_blocked: bool) -> Kept<'a, ()> {
        unreachable!()
    }

    fn is_undisturbed<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, bool> {
        unreachable!()
    }

    fn set_undisturbed<'a>(&'a self, _of: &'a BareJid, _is_undisturbed: bool) -> Kept<'a, ()> {
        unreachable!()
    }

    fn contacts<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, Vec<BareJid>> {
        unreachable!()
    }

    fn is_contact<'a>(&'a self, _of: &'a BareJid, _whom: &'a BareJid) -> Kept<'a, bool> {
        unreachable!()
    }

    fn mailbox<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, Option<MailboxState>> {
        unreachable!()
    }

    fn set_mailbox<'a>(&'a self, _of: &'a BareJid, _is_wanted: bool) -> Kept<'a, ()> {
        unreachable!()
    }

    fn kept<'a>(&'a self, _of: &'a BareJid, _part: KeptPart, _from: Option<&'a str>) -> Kept<'a, KeptPage> {
        unreachable!()
    }

    fn clients<'a>(&'a self, _of: &'a BareJid) -> Kept<'a, Vec<ChatClient>> {
        unreachable!()
    }

    fn revoke_client<'a>(&'a self, _of: &'a BareJid, _id: &'a str) -> Kept<'a, ()> {
        unreachable!()
    }

    fn end_session<'a>(&'a self, _of: &'a BareJid, _resource: &'a str) -> Kept<'a, ()> {
        unreachable!()
    }
}
