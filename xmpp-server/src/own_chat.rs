//! What accounts keep here, for pages that show and change it: a [`shared_model::OwnChat`].
//!
//! In    an account, and a wish. Out what XMPP clients would have got and done: the same records, and the same pushes to whoever is
//!       connected (XEP-0084, XEP-0153, XEP-0191 §3.3, XEP-0441).
//! State none of its own. Errors a wish that breaks a rule says which.

use std::sync::Arc;

use shared_auth::AccountCard;
use shared_model::{
    AccountEvent, AccountId, Archived, Archiving, BareJid, ChatClient, KeptMessage, KeptPage, KeptPart,
    MailboxState, OwnChat, OwnChatError, Pending, Picture,
};
use shared_store::{Expected, StoreError};
use xmpp_core::payload::mam::{Otherwise, Preferences};
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{ErrorKind, Jid, StanzaError};

use crate::access::EndedPassword;
use crate::features::{blocking, clients, not_now, store_failed, vcard};
use crate::router::Session;
use crate::server::Server;
use crate::{archive, avatar, own_data, route, undisturbed, voicemail};

/// The accounts of one server.
pub(crate) struct Accounts(pub(crate) Arc<Server>);

impl OwnChat for Accounts {
    fn picture<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Option<Picture>, OwnChatError>> {
        Box::pin(async move {
            let photo = vcard::photo(&self.0, &user(of)?).await.map_err(failed)?;
            Ok(photo.map(|(media_type, bytes)| Picture { media_type, bytes }))
        })
    }

    fn set_picture<'a>(
        &'a self,
        of: &'a BareJid,
        picture: Option<Picture>,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move { avatar::set(&self.0, &user(of)?, picture).await.map_err(failed) })
    }

    fn archiving<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Archiving, OwnChatError>> {
        Box::pin(async move {
            let (kept, version) = archive::read(&self.0, &user(of)?).await.map_err(unkept)?;
            let texts = |list: &[Jid]| list.iter().map(|jid| jid.as_str().to_owned()).collect();
            let otherwise = match kept.default {
                Otherwise::Always => Archived::Always,
                Otherwise::Never => Archived::Never,
                Otherwise::Roster => Archived::Contacts,
            };
            Ok(Archiving { otherwise, always: texts(&kept.always), never: texts(&kept.never), version })
        })
    }

    fn set_archiving<'a>(
        &'a self,
        of: &'a BareJid,
        wish: Archiving,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move {
            let default = match wish.otherwise {
                Archived::Always => Otherwise::Always,
                Archived::Never => Otherwise::Never,
                Archived::Contacts => Otherwise::Roster,
            };
            let preferences = Preferences { default, always: all(&wish.always)?, never: all(&wish.never)? };
            let expected = wish.version.map_or(Expected::Absent, Expected::Version);
            let kept = archive::prefer(&self.0, &user(of)?, preferences, expected).await;
            kept.map_err(|error| match error {
                StoreError::Conflict => OwnChatError::Changed,
                error => unkept(error),
            })
        })
    }

    fn blocked<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Vec<String>, OwnChatError>> {
        Box::pin(async move {
            let list = self.0.block_lists.read(user(of)?.as_str()).await.map_err(unkept)?;
            let mut all: Vec<String> = list.iter().map(|jid| jid.as_str().to_owned()).collect();
            all.sort_unstable();
            Ok(all)
        })
    }

    fn set_blocked<'a>(
        &'a self,
        of: &'a BareJid,
        whom: &'a str,
        is_blocked: bool,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move {
            let (user, whom) = (user(of)?, [address(whom)?]);
            let stanzas = match is_blocked {
                true => blocking::block(&self.0, &user, &whom).await,
                false => blocking::unblock(&self.0, &user, &whom).await,
            };
            for stanza in stanzas.map_err(failed)? {
                route::route(&self.0, stanza).await;
            }
            Ok(())
        })
    }

    fn is_undisturbed<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<bool, OwnChatError>> {
        Box::pin(async move { undisturbed::read(&self.0, &user(of)?).await.map_err(unkept) })
    }

    fn set_undisturbed<'a>(
        &'a self,
        of: &'a BareJid,
        is_undisturbed: bool,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move { undisturbed::set(&self.0, &user(of)?, is_undisturbed).await.map_err(unkept) })
    }

    fn contacts<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Vec<BareJid>, OwnChatError>> {
        Box::pin(async move {
            let all = self.0.rosters.all(of.as_str()).await.map_err(unkept)?;
            let agreed = all.into_iter().filter(|(_, contact)| contact.is_agreed());
            Ok(agreed.filter_map(|(jid, _)| jid.bare_str().parse().ok()).collect())
        })
    }

    fn is_contact<'a>(
        &'a self,
        of: &'a BareJid,
        whom: &'a BareJid,
    ) -> Pending<'a, Result<bool, OwnChatError>> {
        Box::pin(async move {
            let Ok(whom) = whom.as_str().parse() else { return Ok(false) };
            Ok(self.0.rosters.get(of.as_str(), &whom).await.map_err(unkept)?.is_agreed())
        })
    }

    fn mailbox<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Option<MailboxState>, OwnChatError>> {
        Box::pin(async move {
            if !self.0.uploads.is_open() {
                return Ok(None);
            }
            let is_wanted = voicemail::wants(&self.0, of.as_str()).await.map_err(unkept)?;
            let waiting = voicemail::kept::waiting(&self.0, of.as_str()).await.map_err(unkept)?;
            Ok(Some(MailboxState { is_wanted, waiting }))
        })
    }

    fn set_mailbox<'a>(&'a self, of: &'a BareJid, is_wanted: bool) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move {
            if !self.0.uploads.is_open() {
                return Err(OwnChatError::Unavailable);
            }
            voicemail::want(&self.0, of.as_str(), is_wanted).await.map_err(unkept)
        })
    }

    fn voice_messages<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Vec<KeptMessage>, OwnChatError>> {
        Box::pin(async move { voicemail::kept::shown(&self.0, of.as_str()).await.map_err(unkept) })
    }

    fn voice_sound<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Pending<'a, Result<Vec<u8>, OwnChatError>> {
        Box::pin(voicemail::kept::sound(&self.0, of.as_str(), id))
    }

    fn set_heard<'a>(
        &'a self,
        of: &'a BareJid,
        id: &'a str,
        is_heard: bool,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(voicemail::kept::mark(&self.0, of.as_str(), id, is_heard))
    }

    fn remove_voice_message<'a>(
        &'a self,
        of: &'a BareJid,
        id: &'a str,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(voicemail::kept::remove(&self.0, of.as_str(), id))
    }

    fn kept<'a>(
        &'a self,
        of: &'a BareJid,
        part: KeptPart,
        from: Option<&'a str>,
    ) -> Pending<'a, Result<KeptPage, OwnChatError>> {
        Box::pin(async move { own_data::page(&self.0, of, part, from).await.map_err(unkept) })
    }

    fn clients<'a>(&'a self, of: &'a BareJid) -> Pending<'a, Result<Vec<ChatClient>, OwnChatError>> {
        Box::pin(async move {
            let clients = clients::list(&self.0, of).await.map_err(failed)?;
            let shown = clients.into_iter().map(|(client, is_connected)| ChatClient {
                is_by_provider: client.is_by_provider && !client.has_password,
                is_revocable: !client.has_password && !client.has_certificate,
                name: [client.software, client.device]
                    .into_iter()
                    .filter(|it| !it.is_empty())
                    .collect::<Vec<_>>()
                    .join(", "),
                id: client.id,
                last_seen: client.last_seen,
                is_connected,
            });
            Ok(shown.collect())
        })
    }

    fn revoke_client<'a>(&'a self, of: &'a BareJid, id: &'a str) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move {
            let taken = clients::take(&self.0, of, id, None).await;
            taken.map_err(|error| match error.kind {
                xmpp_core::ErrorKind::ItemNotFound => OwnChatError::Nothing,
                _ => failed(error),
            })
        })
    }

    fn end_session<'a>(
        &'a self,
        of: &'a BareJid,
        resource: &'a str,
    ) -> Pending<'a, Result<(), OwnChatError>> {
        Box::pin(async move {
            let sessions = self.0.router.sessions(of.as_str());
            let session = sessions.iter().find(|session| session.jid.resource() == Some(resource));
            let why = "its owner ended the session";
            let why = StreamError::because(StreamCondition::PolicyViolation, why);
            session.ok_or(OwnChatError::Nothing)?.door.end(why);
            Ok(())
        })
    }
}

/// Ends the sessions that a device's password opened, which holds no more.
pub(crate) async fn end_device(server: &Server, account: AccountId, device: &str) {
    let card = match server.auth.directory.by_id(account).await {
        Ok(Some(card)) => card,
        // Its removal is a fact of its own.
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%account, %error, "sessions of a device go on whose password was taken back");
            return;
        }
    };
    let why = StreamError::because(StreamCondition::NotAuthorized, clients::REVOKED);
    let is_its = |app: &Option<String>| app.as_ref().is_some_and(|app| app.eq_ignore_ascii_case(device));
    for session in server.router.sessions(card.jid.as_str()).iter().filter(|it| is_its(&it.access.app)) {
        session.door.end(why.clone());
    }
}

/// Ends the sessions of an account whose device's password holds no more, which may have been told while nobody heard.
pub(crate) async fn end_gone_devices(server: &Server, card: &AccountCard) {
    let is_device = |session: &Session| session.access.app.is_some();
    if !server.router.sessions(card.jid.as_str()).iter().any(is_device) {
        return;
    }
    let kept = match server.auth.book.app_passwords(card.account).await {
        Ok(kept) => kept,
        Err(error) => {
            return tracing::error!(%error, "sessions of devices may go on whose passwords were taken back");
        }
    };
    let why = StreamError::because(StreamCondition::NotAuthorized, clients::REVOKED);
    for session in server.router.sessions(card.jid.as_str()) {
        let is_kept = |app: &String| {
            kept.iter().any(|device| device.opens_chat && device.name.eq_ignore_ascii_case(app))
        };
        if session.access.app.as_ref().is_some_and(|app| !is_kept(app)) {
            session.door.end(why.clone());
        }
    }
}

/// Ends the sessions that a password opened which is another since then, be it by what was remembered of the account for a moment more.
/// Who came in that moment by the new one, and whose account changed once more, logs in again.
pub(crate) async fn end_password(server: &Server, account: AccountId, at: i64) {
    let version = server.auth.book.version(account).await.unwrap_or_else(|error| {
        tracing::error!(%account, %error, "sessions may go on that the old password opened a moment ago");
        0
    });
    end_opened(server, account, EndedPassword { at, version });
}

fn end_opened(server: &Server, account: AccountId, ended: EndedPassword) {
    server.ended_passwords.note(account, ended);
    let why = StreamError::because(StreamCondition::NotAuthorized, ANOTHER_PASSWORD);
    server.router.end_those(account, |session| ended.opened(session), &why);
}

/// Ends what was opened by passwords that changed while nobody heard.
pub(crate) async fn end_passwords_of_late(server: &Server) {
    match server.auth.ended_lately().await {
        Ok(ended) => ended.into_iter().for_each(|(_, event)| {
            if let AccountEvent::PasswordEnded { account, at } = event {
                // Whether its account changed since then is not told.
                end_opened(server, account, EndedPassword { at, version: 0 });
            }
        }),
        Err(error) => tracing::error!(%error, "sessions may go on whose passwords changed"),
    }
}

fn user(jid: &BareJid) -> Result<Jid, OwnChatError> {
    jid.as_str().parse().map_err(|_| OwnChatError::Nothing)
}

/// Addresses of a list, each once.
fn all(texts: &[String]) -> Result<Vec<Jid>, OwnChatError> {
    if texts.len() > MOST {
        return Err(OwnChatError::Refused(format!("a list has at most {MOST} addresses")));
    }
    let mut jids = texts.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = std::collections::HashSet::new();
    jids.retain(|jid| seen.insert(jid.clone()));
    Ok(jids)
}

fn address(text: &str) -> Result<Jid, OwnChatError> {
    let refused = |_| OwnChatError::Refused(format!("`{text}` is neither an address nor a domain"));
    text.trim().parse().map_err(refused)
}

fn failed(error: StanzaError) -> OwnChatError {
    match error.kind {
        ErrorKind::InternalServerError => OwnChatError::Unavailable,
        ErrorKind::ResourceConstraint if error == not_now() => OwnChatError::Unavailable,
        ErrorKind::ResourceConstraint => OwnChatError::Refused("there is no room for more".to_owned()),
        kind if error.text.is_empty() => OwnChatError::Refused(kind.as_str().to_owned()),
        _ => OwnChatError::Refused(error.text),
    }
}

fn unkept(error: StoreError) -> OwnChatError {
    failed(store_failed(&error))
}

/// What those are told who are in by the one before.
pub(crate) const ANOTHER_PASSWORD: &str = "the password is another one now";
/// Addresses of one list of preferences.
const MOST: usize = 500;
