//! Certificates by which an account's clients come in, that the account itself gave — XEP-0257 0.3, sections 2 and 3.
//!
//! In    a name, a certificate in DER, and whether its client may change this list.
//! Out   all of an account; the one that a client shows, by the hash of the whole. Nobody need have signed it.
//! State one record each, under the account's JID: they go with it. At most [`MOST`].
//! Errors [`CertificateError`].
//! Not here: whether the peer holds the key and whether the certificate is over (who ended the handshake), sessions (`xmpp-server`).

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use shared_model::BareJid;
use shared_runtime::hex;
use shared_store::{Expected, Record, Records, StoreError};

/// The lists of all accounts. Clones share them.
#[derive(Clone)]
pub struct Certificates {
    records: Arc<dyn Records>,
}

/// A certificate of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    /// What its owner calls it.
    pub name: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
    /// Whether a client that shows it may change the list.
    pub may_manage: bool,
}

/// Why a certificate is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No name, or too long a one.
    #[error("a name of 1 to {LONGEST_NAME} characters is wanted")]
    NoName,
    /// The name is another's.
    #[error("another certificate has this name")]
    NameTaken,
    /// It is there.
    #[error("this certificate is there already, as `{0}`")]
    Known(String),
    /// The account has as many as it may.
    #[error("{MOST} certificates are the most")]
    TooMany,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How one is kept under its name.
#[derive(Serialize, Deserialize)]
struct Kept {
    der: String,
    fingerprint: String,
    may_manage: bool,
}

impl Certificates {
    pub(crate) fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// What names a certificate here.
    pub fn fingerprint(der: &[u8]) -> String {
        hex(digest::digest(&digest::SHA256, der).as_ref())
    }

    /// All of an account, by name.
    pub async fn list(&self, jid: &BareJid) -> Result<Vec<OwnCertificate>, StoreError> {
        let records = self.records.list(jid.as_str(), COLLECTION, None, MOST).await?;
        Ok(records.iter().filter_map(read).collect())
    }

    /// The one with this fingerprint.
    pub async fn find(&self, jid: &BareJid, fingerprint: &str) -> Result<Option<OwnCertificate>, StoreError> {
        Ok(self.list(jid).await?.into_iter().find(|known| known.fingerprint == fingerprint))
    }

    /// From now on this one lets its client in.
    pub async fn add(
        &self,
        jid: &BareJid,
        name: &str,
        der: &[u8],
        may_manage: bool,
    ) -> Result<(), CertificateError> {
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(CertificateError::NoName);
        }
        let all = self.list(jid).await?;
        let fingerprint = Self::fingerprint(der);
        if let Some(known) = all.iter().find(|known| known.fingerprint == fingerprint) {
            return Err(CertificateError::Known(known.name.clone()));
        }
        if all.len() >= MOST {
            return Err(CertificateError::TooMany);
        }
        let kept = Kept { der: STANDARD.encode(der), fingerprint, may_manage };
        let value = serde_json::to_vec(&kept).map_err(|error| StoreError::Backend(error.to_string()))?;
        match self.records.put(jid.as_str(), COLLECTION, name, &value, Expected::Absent).await {
            Err(StoreError::Conflict) => Err(CertificateError::NameTaken),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// From now on the one of this name lets nobody in. What it was, if it was there.
    pub async fn remove(&self, jid: &BareJid, name: &str) -> Result<Option<OwnCertificate>, StoreError> {
        Ok(self.records.take(jid.as_str(), COLLECTION, name).await?.as_ref().and_then(read))
    }
}

fn read(record: &Record) -> Option<OwnCertificate> {
    let Kept { der, fingerprint, may_manage } = serde_json::from_slice(&record.value).ok()?;
    Some(OwnCertificate {
        name: record.key.clone(),
        der: STANDARD.decode(der).ok()?,
        fingerprint,
        may_manage,
    })
}

const COLLECTION: &str = "certificates";
/// Certificates of one account.
const MOST: usize = 30;
/// Characters of a name.
const LONGEST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use shared_store::Store;

    use super::*;

    #[tokio::test]
    async fn a_name_and_a_certificate_are_there_once() {
        let certificates = Certificates::new(Store::in_memory().records);
        let (alice, bob) = ("alice@example.org".parse().unwrap(), "bob@example.org".parse().unwrap());
        certificates.add(&alice, "phone", b"one", true).await.unwrap();
        assert_eq!(certificates.add(&alice, "phone", b"two", true).await, Err(CertificateError::NameTaken));
        let known = Err(CertificateError::Known("phone".to_owned()));
        assert_eq!(certificates.add(&alice, "other", b"one", true).await, known);
        for name in ["", "a\nb", &"x".repeat(101)] {
            assert_eq!(certificates.add(&alice, name, b"x", true).await, Err(CertificateError::NoName));
        }
        certificates.add(&alice, "bot", b"two", false).await.unwrap();
        let bot = certificates.find(&alice, &Certificates::fingerprint(b"two")).await.unwrap().unwrap();
        assert_eq!((bot.name.as_str(), bot.der.as_slice(), bot.may_manage), ("bot", &b"two"[..], false));
        assert_eq!(certificates.find(&bob, &bot.fingerprint).await, Ok(None));
        assert_eq!(certificates.remove(&alice, "bot").await, Ok(Some(bot.clone())));
        assert_eq!(certificates.remove(&alice, "bot").await, Ok(None));
        assert_eq!(certificates.find(&alice, &bot.fingerprint).await, Ok(None));
        for n in 0..MOST {
            let added = certificates.add(&bob, &n.to_string(), n.to_string().as_bytes(), true).await;
            assert_eq!(added, Ok(()));
        }
        assert_eq!(certificates.add(&bob, "one more", b"more", true).await, Err(CertificateError::TooMany));
    }
}
