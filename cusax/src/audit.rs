//! What commands change, in the audit of the pages: who is `command line`, since whoever has the store's files is the operator.
//!
//! In    a command that is carried out. Out an entry with what was there before and after, of an account or a profile.
//! Errors none: what was done is done whether or not it is noted, and a store that does not say so fails the command itself.
//! Not here: passwords and tokens, of which it is said that there is another; each of the people who come by files.

use provisioning::{Layer, Profiles};
use serde_json::Value;
use shared_auth::{Invite, card_json};
use shared_model::{Address, Aor, BareJid};

use crate::command::{self, AppPassword, ChangedUser, Command, Phone, Profile, Room, User};
use crate::open::Ground;

/// A change that is under way.
pub(crate) struct Change {
    what: &'static str,
    on: String,
    of: Of,
    before: Value,
}

/// What it is a change of.
enum Of {
    Account(Address),
    Profile(Layer),
    /// Something that has no state worth telling, or an invitation that is made and says its own.
    Other,
}

impl Change {
    /// What a command changes, if it changes something.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        let some = |what, on: String, of| Some(Self { what, on, of, before: Value::Null });
        let of = |what, address: &Address, more: &str| {
            some(what, format!("{address} {more}").trim_end().to_owned(), Of::Account(address.clone()))
        };
        match command {
            Command::User(User::Add(new)) => of("account created", &new.address, ""),
            Command::User(User::Password { address, .. }) => of("password changed", address, ""),
            Command::User(User::Token { address, .. }) => of("token made", address, "provision"),
            Command::User(User::ResetLink { address, .. }) => of("reset link made", address, ""),
            Command::User(
                User::Change(ChangedUser { address, .. })
                | User::Disable { address }
                | User::Enable { address },
            ) => of("account changed", address, ""),
            Command::User(User::Remove { address }) => of("account removed", address, ""),
            Command::AppPassword(AppPassword::Add { address, name, .. }) => of("device added", address, name),
            Command::AppPassword(AppPassword::Remove { address, name }) => {
                of("device removed", address, name)
            }
            Command::ApiToken { address, name, .. } => of("token made", address, name),
            Command::Phone(Phone::Add { address, mac, .. }) => of("device added", address, mac.as_str()),
            Command::Phone(Phone::Remove { address, mac }) => of("device removed", address, mac.as_str()),
            Command::Profile(Profile::Set { layer, .. }) => {
                some("profile changed", layer.to_string(), Of::Profile(layer.clone()))
            }
            Command::Invite(command::Invite::Create(_)) => some("invitation made", String::new(), Of::Other),
            Command::Invite(command::Invite::Revoke { id }) => {
                some("invitation taken back", id.clone(), Of::Other)
            }
            Command::Room(Room::Add(new)) => some("room made", new.address.to_string(), Of::Other),
            Command::Import { path } => some("people came", path.display().to_string(), Of::Other),
            _ => None,
        }
    }

    /// Looks at what is there before it.
    pub(crate) async fn begin(mut self, ground: &Ground) -> Self {
        // Without a store there is nothing yet; one that does not open fails the command, too.
        if ground.known_store().await.is_ok() {
            self.before = self.state(ground).await;
        }
        self
    }

    /// It was carried out, and made an invitation perhaps.
    pub(crate) async fn end(mut self, ground: &Ground, made: Option<&Invite>) {
        let Ok(desk) = ground.known_accounts().await else { return };
        let after = match made {
            Some(invite) => serde_json::to_value(invite).unwrap_or_default(),
            None => self.state(ground).await,
        };
        if let (true, Some(invite)) = (self.on.is_empty(), made) {
            self.on = invite.id.clone();
        }
        let (before, after) = match (self.before, after) {
            // It says what was changed that is no part of it.
            (before, after) if before == after => (Value::Null, Value::Null),
            states => states,
        };
        desk.audit.change("command line", self.what, self.on, before, after).await;
    }

    async fn state(&self, ground: &Ground) -> Value {
        let state = async {
            match &self.of {
                Of::Account(address) => {
                    let directory = &ground.known_accounts().await.ok()?.directory;
                    match directory.by_aor(&Aor(address.clone())).await {
                        Ok(Some(card)) => Some(card_json(&card)),
                        _ => Some(card_json(&directory.by_jid(&BareJid(address.clone())).await.ok()??)),
                    }
                }
                Of::Profile(layer) => {
                    let records = ground.known_store().await.ok()?.records.clone();
                    serde_json::to_value(Profiles::new(records).read(layer).await.ok()?).ok()
                }
                Of::Other => None,
            }
        };
        state.await.unwrap_or_default()
    }
}
