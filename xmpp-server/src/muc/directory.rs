//! Rooms as other services and the operator see them: snapshots, and creation from outside.

use shared_model::{Affiliation, BareJid, Pending, RoomAddress, RoomDirectory, RoomSnapshot, Unavailable};
use shared_store::StoreError;
use tokio::sync::oneshot;
use xmpp_core::Jid;

use super::Rooms;
use super::room::Room;
use super::task::Command;

/// What a room made by the operator is like.
#[derive(Debug, Clone, Default)]
pub struct RoomOptions {
    /// Its name; possibly empty.
    pub name: String,
    /// Only members enter.
    pub members_only: bool,
    /// Those without affiliation enter without voice.
    pub moderated: bool,
    /// Lists do not show it.
    pub hidden: bool,
    /// Password of the chat and PIN of the call.
    pub password: Option<String>,
    /// Who owns it.
    pub owners: Vec<BareJid>,
}

/// Why a room was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// There is one already.
    #[error("there is such a room already")]
    Exists,
    /// Not an address of the rooms' domain.
    #[error("the room is not on this service's domain for rooms")]
    ForeignDomain,
    /// As many rooms as the configuration allows.
    #[error("there are as many rooms as xmpp.rooms allows")]
    TooMany,
    /// The store does not say whether there is such a room, or does not take it.
    #[error("the rooms cannot be read or stored: {0}")]
    Store(StoreError),
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}

impl Rooms {
    /// Makes a room that is kept and open; it is durable when this returns.
    pub async fn create(&self, address: &RoomAddress, options: RoomOptions) -> Result<(), CreateError> {
        if address.domain() != self.domain {
            return Err(CreateError::ForeignDomain);
        }
        match self.find(address.local()).await {
            Ok(None) => {}
            Ok(Some(_)) => return Err(CreateError::Exists),
            Err(error) => return Err(CreateError::Store(error)),
        }
        if self.tasks.len() >= self.most {
            return Err(CreateError::TooMany);
        }
        self.forget_tombstone(address.local()).await.map_err(CreateError::Store)?;
        let mut room = Room::new(address.clone(), self.history, self.has_alias);
        room.is_locked = false;
        room.config.persistent = true;
        room.config.name = options.name;
        room.config.members_only = options.members_only;
        room.config.moderated = options.moderated;
        room.config.public = !options.hidden;
        room.config.password = options.password;
        room.affiliations =
            options.owners.into_iter().map(|jid| (jid.as_str().to_owned(), Affiliation::Owner)).collect();
        let (answer, kept) = oneshot::channel();
        let task = self.start(room);
        task.send(Command::Keep(answer)).await.map_err(|_| CreateError::Stopping)?;
        kept.await.map_err(|_| CreateError::Stopping)?.map_err(CreateError::Store)
    }
}

impl Rooms {
    /// An account is gone: no room has it among its owners, admins and members any more, in the store either, when this
    /// succeeds.
    pub(crate) async fn forget_account(&self, jid: &Jid) -> Result<(), StoreError> {
        let tasks: Vec<_> = self.tasks.iter().map(|task| task.value().clone()).collect();
        for task in tasks {
            let (answer, kept) = oneshot::channel();
            // A room that ends meanwhile is none that anybody owns.
            if task.send(Command::Forget(jid.clone(), answer)).await.is_ok() {
                // One that ended without an answer may be in the store as it was.
                let unanswered = |_| StoreError::Backend("a room ended before it answered".to_owned());
                kept.await.map_err(unanswered)??;
            }
        }
        Ok(())
    }
}

impl RoomDirectory for Rooms {
    fn room<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<Option<RoomSnapshot>, Unavailable>> {
        Box::pin(async move {
            if room.domain() != self.domain {
                return Ok(None);
            }
            let Some(task) = self.find(room.local()).await.map_err(|_| Unavailable)? else {
                return Ok(None);
            };
            let (answer, asked) = oneshot::channel();
            task.send(Command::Snapshot(answer)).await.map_err(|_| Unavailable)?;
            asked.await.map(Some).map_err(|_| Unavailable)
        })
    }

    fn rooms<'a>(
        &'a self,
        text: &'a str,
        after: Option<&'a RoomAddress>,
        max: usize,
    ) -> Pending<'a, Result<Vec<RoomAddress>, Unavailable>> {
        Box::pin(self.page_of_all(text, after, max))
    }
}
