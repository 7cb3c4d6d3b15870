//! Keys of further SCRAM hashes for a password, from its owner's client, which knows it — XEP-0480 0.2.0, section 3.
//!
//! ```text
//! lacking ─▶ begin_upgrade: salt, rounds ─▶ the client's SaltedPassword ─▶ finish_upgrade: one more verifier
//! ```
//!
//! In    who has just proved a password. Out what the account lacks for it, and the account with one verifier more.
//! State none: an [`Upgrade`] is held by whoever asks, and is void when the account changes meanwhile.

use shared_store::{Account, Credentials, ScramHash};

use super::{AccountBook, BookError};
use crate::{How, Identity, hash, password};

/// A hash under way to one password of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// Of the mechanism.
    pub hash: ScramHash,
    /// What the client is to salt with.
    pub salt: [u8; 16],
    /// Rounds of PBKDF2.
    pub iterations: u32,
    who: Identity,
}

impl AccountBook {
    /// The hashes of SCRAM for which there is no verifier of the password that somebody has just proved; none if it was proved
    /// by something else.
    pub async fn lacking(&self, who: &Identity) -> Result<Vec<ScramHash>, BookError> {
        if !matches!(who.how, How::Plain | How::Scram(_) | How::ScramPlus(_)) {
            return Ok(Vec::new());
        }
        let mut account = self.read(who.account).await?;
        let Some(credentials) = proved(&mut account, who) else { return Ok(Vec::new()) };
        Ok(super::lacking(credentials))
    }

    /// Says what the client is to compute with.
    pub fn begin_upgrade(&self, who: &Identity, hash: ScramHash) -> Upgrade {
        Upgrade { hash, salt: hash::random(), iterations: self.iterations, who: who.clone() }
    }

    /// Takes the client's `SaltedPassword` (RFC 5802 §3). Who goes on; none if it is none of that hash, or if the account is another
    /// than it was when the password was proved.
    pub async fn finish_upgrade(
        &self,
        upgrade: Upgrade,
        salted: &[u8],
    ) -> Result<Option<Identity>, BookError> {
        let Upgrade { hash, salt, iterations, mut who } = upgrade;
        let mut account = self.read(who.account).await?;
        if salted.len() != hash::scram_hash(hash, b"").len() || account.version != who.version {
            return Ok(None);
        }
        let Some(credentials) = proved(&mut account, &who) else { return Ok(None) };
        credentials.scram.retain(|known| known.hash != hash);
        credentials.scram.push(password::verifier_of_salted(hash, salted, &salt, iterations));
        self.change(account, |_| ()).await?;
        who.version += 1;
        Ok(Some(who))
    }
}

/// What is kept of the password that somebody proved.
fn proved<'a>(account: &'a mut Account, who: &Identity) -> Option<&'a mut Credentials> {
    match &who.app {
        None => Some(&mut account.credentials),
        Some(app) => {
            let mut apps = account.app_passwords.iter_mut();
            apps.find(|known| known.name == *app).map(|known| &mut known.credentials)
        }
    }
}
