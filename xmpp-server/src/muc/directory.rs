//! Rooms as other services and the operator see them: snapshots, and creation from outside.

use shared_model::{Affiliation, BareJid, Pending, RoomAddress, RoomDirectory, RoomSnapshot, Unavailable};
use tokio::sync::oneshot;

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
    /// Password of the chat and PIN of the call.
    pub password: Option<String>,
    /// Who owns it.
    pub owners: Vec<BareJid>,
}

/// Why a room was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
        if self.task(address.local()).is_some() {
            return Err(CreateError::Exists);
        }
        if self.tasks.len() >= self.most {
            return Err(CreateError::TooMany);
        }
        let mut room = Room::new(address.clone(), self.history, self.has_alias);
        room.is_locked = false;
        room.config.persistent = true;
        room.config.name = options.name;
        room.config.members_only = options.members_only;
        room.config.moderated = options.moderated;
        room.config.password = options.password;
        room.affiliations =
            options.owners.into_iter().map(|jid| (jid.as_str().to_owned(), Affiliation::Owner)).collect();
        let (answer, kept) = oneshot::channel();
        let task = self.start(room);
        task.send(Command::Keep(answer)).await.map_err(|_| CreateError::Stopping)?;
        kept.await.map_err(|_| CreateError::Stopping)
    }
}

impl RoomDirectory for Rooms {
    fn room<'a>(&'a self, room: &'a RoomAddress) -> Pending<'a, Result<Option<RoomSnapshot>, Unavailable>> {
        Box::pin(async move {
            let Some(task) = self.task(room.local()).filter(|_| room.domain() == self.domain) else {
                return Ok(None);
            };
            let (answer, asked) = oneshot::channel();
            task.send(Command::Snapshot(answer)).await.map_err(|_| Unavailable)?;
            asked.await.map(Some).map_err(|_| Unavailable)
        })
    }
}
