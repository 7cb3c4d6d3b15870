//! What commands change, in the audit of the pages: who is `command line`, since whoever has the store's files is the operator.
//!
//! In    a command that is carried out. Out an entry with what was there before and after, of an account or a profile.
//! Errors none: what was done is done whether or not it is noted, and a store that does not say so fails the command itself.
//! Not here: passwords and tokens, of which it is said that there is another; each of the people who come by files.

use prometheus::Registry;
use provisioning::{Layer, Profiles, card_json, note_command};
use serde_json::Value;
use shared_model::{Address, Aor, BareJid};
use shared_runtime::bus::Bus;
use shared_runtime::unix_millis;
use shared_store::Store;

use crate::command::{AppPassword, Command, Invite, Phone, Profile, Room, User};
use crate::config::Config;
use crate::open;

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
    /// The invitation that is made; `on` is its id then.
    Invitation,
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
            Command::User(User::Disable { address } | User::Enable { address }) => {
                of("account changed", address, "")
            }
            Command::User(User::Remove { address }) => of("account removed", address, ""),
            Command::AppPassword(AppPassword::Add { address, name }) => of("device added", address, name),
            Command::AppPassword(AppPassword::Remove { address, name }) => {
                of("device removed", address, name)
            }
            Command::ApiToken { address, name, .. } => of("token made", address, name),
            Command::Phone(Phone::Add { address, mac, .. }) => of("device added", address, mac.as_str()),
            Command::Phone(Phone::Remove { address, mac }) => of("device removed", address, mac.as_str()),
            Command::Profile(Profile::Set { layer, .. }) => {
                some("profile changed", layer.to_string(), Of::Profile(layer.clone()))
            }
            Command::Invite(Invite::Create(_)) => some("invitation made", String::new(), Of::Invitation),
            Command::Invite(Invite::Revoke { id }) => some("invitation taken back", id.clone(), Of::Other),
            Command::Room(Room::Add(new)) => some("room made", new.address.to_string(), Of::Other),
            Command::RenewKey => some("key renewed", "auth.key".to_owned(), Of::Other),
            Command::Import { path } => some("people came", path.display().to_string(), Of::Other),
            _ => None,
        }
    }

    /// Looks at what is there before it.
    pub(crate) async fn begin(mut self, config: &Config) -> Self {
        // Without a store there is nothing yet; one that does not open fails the command, too.
        if let (Of::Account(_) | Of::Profile(_), Ok(store)) = (&self.of, open::known_store(config).await) {
            self.before = self.state(config, &store).await;
        }
        self
    }

    /// It was carried out.
    pub(crate) async fn end(mut self, config: &Config) {
        let Ok(store) = open::known_store(config).await else { return };
        let after = self.state(config, &store).await;
        if let (Of::Invitation, Some(id)) = (&self.of, after["id"].as_str()) {
            self.on = id.to_owned();
        }
        note_command(store.archive, self.what, &self.on, (self.before, after)).await;
    }

    async fn state(&self, config: &Config, store: &Store) -> Value {
        let state = async {
            if let Of::Profile(layer) = &self.of {
                let settings = Profiles::new(store.records.clone()).read(layer).await.ok()?;
                return serde_json::to_value(settings).ok();
            }
            let desk = open::auth(config, store, &Bus::new(), &Registry::new()).await.ok()?;
            match &self.of {
                Of::Account(address) => match desk.directory.by_aor(&Aor(address.clone())).await {
                    Ok(Some(card)) => Some(card_json(&card)),
                    _ => Some(card_json(&desk.directory.by_jid(&BareJid(address.clone())).await.ok()??)),
                },
                Of::Invitation => {
                    let all = desk.invites.list(unix_millis()).await.ok()?;
                    serde_json::to_value(all.iter().max_by_key(|invite| invite.created)?).ok()
                }
                Of::Profile(_) | Of::Other => None,
            }
        };
        state.await.unwrap_or_default()
    }
}
