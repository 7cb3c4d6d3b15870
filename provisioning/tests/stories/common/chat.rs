//! A chat half and a registrar that keep what they are told, for the pages.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared_model::{
    AccountId, Aor, Archived, Archiving, BareJid, ChatClient, KeptEntry, KeptMessage, KeptPage, KeptPart,
    MailboxState, Notices, OwnChat, OwnChatError, Pending, Picture, Registrations, Unavailable, Waiting,
};
use shared_store::{BindingUpdate, Bindings};

/// What one account keeps.
pub(crate) struct Kept {
    pub(crate) picture: Option<Picture>,
    pub(crate) archiving: Archiving,
    pub(crate) blocked: Vec<String>,
    pub(crate) is_undisturbed: bool,
    pub(crate) contacts: Vec<BareJid>,
    pub(crate) mailbox: MailboxState,
    pub(crate) messages: Vec<KeptMessage>,
    pub(crate) ended: Vec<String>,
    /// What the service said, and to whom.
    pub(crate) told: Vec<(String, String)>,
}

/// The chat half.
pub(crate) struct Chat(pub(crate) Mutex<Kept>);

impl Default for Chat {
    fn default() -> Self {
        let (always, never) = (Vec::new(), Vec::new());
        let archiving = Archiving { otherwise: Archived::Always, always, never, version: None };
        Self(Mutex::new(Kept {
            picture: None,
            archiving,
            blocked: Vec::new(),
            is_undisturbed: false,
            contacts: Vec::new(),
            mailbox: MailboxState { is_wanted: false, waiting: Waiting { new: 2, old: 1 } },
            messages: Vec::new(),
            ended: Vec::new(),
            told: Vec::new(),
        }))
    }
}

impl Chat {
    fn does<T: Send + 'static>(
        &self,
        does: impl FnOnce(&mut Kept) -> Result<T, OwnChatError>,
    ) -> Pending<'_, Result<T, OwnChatError>> {
        let done = does(&mut self.0.lock().unwrap());
        Box::pin(async { done })
    }
}

type Done<'a, T> = Pending<'a, Result<T, OwnChatError>>;

impl OwnChat for Chat {
    fn picture<'a>(&'a self, _: &'a BareJid) -> Done<'a, Option<Picture>> {
        self.does(|kept| Ok(kept.picture.clone()))
    }

    fn set_picture<'a>(&'a self, _: &'a BareJid, picture: Option<Picture>) -> Done<'a, ()> {
        self.does(|kept| {
            kept.picture = picture;
            Ok(())
        })
    }

    fn archiving<'a>(&'a self, _: &'a BareJid) -> Done<'a, Archiving> {
        self.does(|kept| Ok(kept.archiving.clone()))
    }

    fn set_archiving<'a>(&'a self, _: &'a BareJid, wish: Archiving) -> Done<'a, ()> {
        self.does(|kept| {
            kept.archiving = wish;
            Ok(())
        })
    }

    fn blocked<'a>(&'a self, _: &'a BareJid) -> Done<'a, Vec<String>> {
        self.does(|kept| Ok(kept.blocked.clone()))
    }

    fn set_blocked<'a>(&'a self, _: &'a BareJid, whom: &'a str, is_blocked: bool) -> Done<'a, ()> {
        let whom = whom.to_owned();
        self.does(move |kept| {
            if whom.starts_with('@') {
                return Err(OwnChatError::Refused(format!("`{whom}` is neither an address nor a domain")));
            }
            kept.blocked.retain(|known| *known != whom);
            kept.blocked.extend(is_blocked.then_some(whom));
            Ok(())
        })
    }

    fn is_undisturbed<'a>(&'a self, _: &'a BareJid) -> Done<'a, bool> {
        self.does(|kept| Ok(kept.is_undisturbed))
    }

    fn set_undisturbed<'a>(&'a self, _: &'a BareJid, is_so: bool) -> Done<'a, ()> {
        self.does(move |kept| {
            kept.is_undisturbed = is_so;
            Ok(())
        })
    }

    fn contacts<'a>(&'a self, _: &'a BareJid) -> Done<'a, Vec<BareJid>> {
        self.does(|kept| Ok(kept.contacts.clone()))
    }

    fn is_contact<'a>(&'a self, of: &'a BareJid, whom: &'a BareJid) -> Done<'a, bool> {
        // Of two, each has the other.
        self.does(|kept| Ok(kept.contacts.contains(of) || kept.contacts.contains(whom)))
    }

    fn mailbox<'a>(&'a self, _: &'a BareJid) -> Done<'a, Option<MailboxState>> {
        self.does(|kept| Ok(Some(kept.mailbox)))
    }

    fn set_mailbox<'a>(&'a self, _: &'a BareJid, is_wanted: bool) -> Done<'a, ()> {
        self.does(move |kept| {
            kept.mailbox.is_wanted = is_wanted;
            Ok(())
        })
    }

    fn voice_messages<'a>(&'a self, _: &'a BareJid) -> Done<'a, Vec<KeptMessage>> {
        self.does(|kept| Ok(kept.messages.clone()))
    }

    fn voice_sound<'a>(&'a self, _: &'a BareJid, id: &'a str) -> Done<'a, Vec<u8>> {
        let id = id.to_owned();
        self.does(move |kept| {
            kept.messages
                .iter()
                .find(|it| it.id == id)
                .map(|_| b"OggS-sound".to_vec())
                .ok_or(OwnChatError::Nothing)
        })
    }

    fn set_heard<'a>(&'a self, _: &'a BareJid, id: &'a str, is_heard: bool) -> Done<'a, ()> {
        let id = id.to_owned();
        self.does(move |kept| {
            let one = kept.messages.iter_mut().find(|it| it.id == id).ok_or(OwnChatError::Nothing)?;
            one.is_heard = is_heard;
            Ok(())
        })
    }

    fn remove_voice_message<'a>(&'a self, _: &'a BareJid, id: &'a str) -> Done<'a, ()> {
        let id = id.to_owned();
        self.does(move |kept| {
            let before = kept.messages.len();
            kept.messages.retain(|it| it.id != id);
            if kept.messages.len() == before { Err(OwnChatError::Nothing) } else { Ok(()) }
        })
    }

    /// Three contacts, one a page; of every other part one entry.
    fn kept<'a>(&'a self, _: &'a BareJid, part: KeptPart, from: Option<&'a str>) -> Done<'a, KeptPage> {
        let at: u32 = from.map_or(0, |from| from.parse().unwrap());
        let next = (part == KeptPart::Contacts && at < 2).then(|| (at + 1).to_string());
        let entry = KeptEntry { name: format!("{part:?}{at}"), text: "<item name='\"'/>".to_owned() };
        self.does(|_| Ok(KeptPage { entries: vec![entry], next }))
    }

    fn clients<'a>(&'a self, _: &'a BareJid) -> Done<'a, Vec<ChatClient>> {
        let client = |id: &str, is_revocable| ChatClient {
            id: id.to_owned(),
            name: format!("App <{id}>"),
            is_revocable,
            ..ChatClient::default()
        };
        self.does(move |_| Ok(vec![client("token", true), client("password", false)]))
    }

    fn revoke_client<'a>(&'a self, _: &'a BareJid, id: &'a str) -> Done<'a, ()> {
        let id = id.to_owned();
        self.does(move |kept| match id.as_str() {
            "password" => Err(OwnChatError::Refused("the client knows the password".to_owned())),
            "token" => {
                kept.ended.push(id);
                Ok(())
            }
            _ => Err(OwnChatError::Nothing),
        })
    }

    fn end_session<'a>(&'a self, of: &'a BareJid, resource: &'a str) -> Done<'a, ()> {
        let session = format!("{of}/{resource}");
        self.does(move |kept| {
            kept.ended.push(session);
            Ok(())
        })
    }
}

impl Notices for Chat {
    fn tell<'a>(&'a self, to: &'a BareJid, text: &'a str) -> Pending<'a, ()> {
        self.0.lock().unwrap().told.push((to.to_string(), text.to_owned()));
        Box::pin(async {})
    }

    fn ask<'a>(&'a self, _: &'a BareJid, _: &'a str, _: Duration) -> Pending<'a, Option<String>> {
        Box::pin(async { None })
    }
}

/// The registrar.
pub(crate) struct Registrar(pub(crate) Arc<dyn Bindings>);

impl Registrations for Registrar {
    fn end<'a>(&'a self, aor: &'a Aor, _: AccountId, key: &'a str) -> Pending<'a, Result<bool, Unavailable>> {
        Box::pin(async move {
            let (call_id, remove) = ("ended".to_owned(), vec![key.to_owned()]);
            let update = BindingUpdate { call_id, cseq: 1, remove, limit: 9, ..BindingUpdate::default() };
            let done = self.0.commit(aor, &update, shared_runtime::unix_millis()).await;
            Ok(!done.map_err(|_| Unavailable)?.removed.is_empty())
        })
    }
}
