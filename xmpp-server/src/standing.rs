//! What everybody is told once — XEP-0133 1.3.1, sections 4.24 to 4.26 (message of the day), 4.27 and 4.28 (welcome).
//!
//! In    what an administrator sets, corrects or takes away; who becomes available; accounts that are made.
//! Out   the message of the day to all who are here when it is set, and to others when they next are, each once; a welcome to a new
//!       account, which finds it at its first login.
//! State both texts, kept under [`OWNER`] and at hand; for each account the message that it was told last.
//! Errors while the store fails nobody is told, and at the next login again.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use shared_model::{AccountId, Notices};
use shared_store::{Expected, Records, StoreError};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use crate::notices::Voice;
use crate::server::Server;

/// What is told, and its name, which is another for another message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    id: String,
    pub(crate) text: String,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    OfTheDay,
    Welcome,
}

/// Both, at hand.
#[derive(Default)]
pub(crate) struct Standing {
    of_the_day: RwLock<Option<Arc<Text>>>,
    welcome: RwLock<Option<Arc<Text>>>,
}

impl What {
    fn key(self) -> &'static str {
        match self {
            Self::OfTheDay => "of-the-day",
            Self::Welcome => "welcome",
        }
    }
}

impl Standing {
    /// What was set before.
    pub(crate) async fn load(&self, records: &dyn Records) -> Result<(), StoreError> {
        for what in [What::OfTheDay, What::Welcome] {
            let record = records.get(OWNER, COLLECTION, what.key()).await?;
            let text = record.and_then(|record| serde_json::from_slice::<Text>(&record.value).ok());
            *self.place(what).write().unwrap_or_else(PoisonError::into_inner) = text.map(Arc::new);
        }
        Ok(())
    }

    fn place(&self, what: What) -> &RwLock<Option<Arc<Text>>> {
        match what {
            What::OfTheDay => &self.of_the_day,
            What::Welcome => &self.welcome,
        }
    }

    pub(crate) fn now(&self, what: What) -> Option<Arc<Text>> {
        self.place(what).read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sets a text, corrects the one that is there, which is then told to nobody again, or takes it away.
pub(crate) async fn set(
    server: &Server,
    what: What,
    text: Option<String>,
    is_correction: bool,
) -> Result<(), StoreError> {
    let records = &server.store.records;
    let before = server.standing.now(what).filter(|_| is_correction);
    let text = text.map(|text| {
        let id = before.map_or_else(|| server.new_id(), |before| before.id.clone());
        Arc::new(Text { id, text })
    });
    match &text {
        Some(text) => {
            let value = serde_json::to_vec(&**text).unwrap_or_default();
            records.put(OWNER, COLLECTION, what.key(), &value, Expected::Anything).await?;
        }
        None => {
            records.delete(OWNER, COLLECTION, what.key()).await?;
        }
    }
    *server.standing.place(what).write().unwrap_or_else(PoisonError::into_inner) = text;
    if what == What::OfTheDay && !is_correction {
        tell_all(server);
    }
    Ok(())
}

/// Tells the message of the day to all who are here.
fn tell_all(server: &Server) {
    let Some(server) = server.me() else { return };
    // Not in this task, which is an administrator's session.
    tokio::spawn(async move {
        for (bare, _) in server.router.online() {
            if let Ok(user) = bare.parse::<Jid>()
                && !server.is_of_guests(user.domain())
            {
                greet(&server, &user).await;
            }
        }
    });
}

/// Tells an account what it was not told yet.
pub(crate) async fn greet(server: &Server, user: &Jid) {
    let Some(text) = server.standing.now(What::OfTheDay) else { return };
    let records = &server.store.records;
    let told = async {
        let told = records.get(user.bare_str(), TOLD, What::OfTheDay.key()).await?;
        if told.is_some_and(|told| told.value == text.id.as_bytes()) {
            return Ok(false);
        }
        records
            .put(user.bare_str(), TOLD, What::OfTheDay.key(), text.id.as_bytes(), Expected::Anything)
            .await
            .map(|_| true)
    };
    match told.await {
        Ok(false) => {}
        Ok(true) => {
            let from = server.voice_to(user);
            let body = Element::new("body", ns::CLIENT).text_node(&text.text);
            let message =
                Stanza::new(Kind::Message, Some("headline")).with_id(Some(&server.new_id())).with(&body);
            server
                .router
                .send_to_available(user.bare_str(), &message.addressed(from.as_ref(), Some(&user.to_bare())));
        }
        Err::<_, StoreError>(error) => {
            tracing::error!(%error, "who knows the message of the day is not known")
        }
    }
}

/// An account was made.
pub(crate) async fn welcome(server: &Arc<Server>, account: AccountId) {
    let Some(text) = server.standing.now(What::Welcome) else { return };
    match server.auth.directory.by_id(account).await {
        Ok(Some(card)) if server.is_home(card.jid.domain()) => {
            Voice(Arc::clone(server)).tell(&card.jid, &text.text).await;
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "a new account cannot be read"),
    }
}

/// Who owns the texts, and where it is kept what an account was told.
const OWNER: &str = "announcements";
const COLLECTION: &str = "standing";
const TOLD: &str = "settings";
