//! Somebody to try the service with: an account that lasts as long as a check.

use shared_auth::{Auth, NewAccount, Profile};
use shared_model::{AccountId, Aor, BareJid};
use shared_runtime::random;

/// A temporary account.
pub(super) struct Patient {
    pub(super) aor: Aor,
    pub(super) password: String,
    account: AccountId,
}

impl Patient {
    pub(super) async fn admit(auth: &Auth, domain: &str) -> Result<Self, String> {
        let name = format!("doctor-{:016x}", random());
        let password = format!("{:016x}{:016x}", random(), random());
        let aor = Aor::new(&name, domain).map_err(|error| error.to_string())?;
        let jid = BareJid(aor.0.clone());
        let profile = Profile { name: "cusax doctor".to_owned(), ..Profile::default() };
        let made = auth.book.create(NewAccount { aor: aor.clone(), jid, profile }, &password).await;
        let card = made.map_err(|error| error.to_string())?;
        Ok(Self { aor, password, account: card.account })
    }

    /// Takes the account away; what it made is erased by the server.
    pub(super) async fn discharge(self, auth: &Auth) -> Result<(), String> {
        auth.book.remove(self.account).await.map_err(|error| error.to_string())
    }
}
