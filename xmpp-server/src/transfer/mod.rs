//! Users that come from another server, and go to one — XEP-0227 1.1.
//!
//! ```text
//! files ─▶ Files (bounded, XInclude) ─▶ Found ─▶ Arrival (one user) ─▶ accounts, records, archive      import
//! accounts, records, archive ─▶ Departure (one user) ─▶ a file a user                                  export
//! ```
//!
//! In    files as Prosody (`mod_storage_xep0227`, `prosody-migrator`) and ejabberd (`export_piefxis`) write them, or accounts.
//! Out   a [`Report`] for each user, good or bad; one that is broken does not keep others from coming.
//! State what was there stays: an account keeps its passwords, a contact, a card, a node that it has. Coming twice is harmless.
//! Errors [`TransferError`] for a store or a disk that fails; all else is in the reports.
//! Not here: rooms and PubSub services, which the XEP leaves out (§2).

mod arrival;
mod departure;
mod files;
mod nodes;
mod own;

use std::path::{Path, PathBuf};

use shared_auth::Auth;
use shared_model::{Domains, Spec};
use shared_store::{Store, StoreError};

use arrival::Arrival;
use files::{Files, Found};

pub use departure::{Layout, export};

pub(crate) const SPEC: Spec = Spec::xep(227, "1.1").complete();

/// What became of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The JID, or as much of it as could be read.
    pub user: String,
    /// The file that it came from; empty where that is said otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Whether all of it came or went.
    pub done: bool,
    /// Whether an account was made.
    pub created: bool,
    /// What the user logs in with: `password`, `scram`, or `none` if a password must be set.
    pub credentials: &'static str,
    /// Contacts, and requests that wait.
    pub contacts: usize,
    /// Messages that wait.
    pub offline: usize,
    /// Archived messages.
    pub archive: usize,
    /// Nodes.
    pub nodes: usize,
    /// Elements of private storage.
    pub private: usize,
    /// Whether there is a card.
    pub card: bool,
    /// What did not come or go, and why; bounded.
    pub remarks: Vec<String>,
}

impl Report {
    fn remark(&mut self, text: impl Into<String>) {
        if self.remarks.len() < MOST_REMARKS {
            self.remarks.push(text.into());
        }
    }
}

/// Why no more users can come or go.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// Whoever reads the reports has enough.
    #[error(transparent)]
    Told(#[from] std::io::Error),
}

/// Reads a file, or every `.xml` file of a folder, and makes accounts of the users of `domains` in them. The second is that of the
/// service's rooms.
pub async fn import(
    path: &Path,
    (domains, rooms): (&Domains, &str),
    auth: &Auth,
    store: &Store,
    mut tell: impl FnMut(&Report) -> std::io::Result<()>,
) -> Result<(), TransferError> {
    let mut files = Files::open(path)?;
    let (mut arriving, mut file): (Option<Arrival<'_>>, _) = (None, String::new());
    while let Some(found) = files.next() {
        match (found, &mut arriving) {
            (Found::User { host, name, password }, _) => {
                file = files.file().map(|path| path.display().to_string()).unwrap_or_default();
                if let Some(domain) = domains.find(&host) {
                    arriving =
                        Some(Arrival::begin(auth, store, ((domains, rooms), domain), &name, password).await?);
                } else {
                    let user = format!("{name}@{host}");
                    let mut report = Report { user, file: file.clone(), ..Report::default() };
                    report.remark(format!("this service has no users of {host}"));
                    tell(&report)?;
                }
            }
            (Found::End, arrival) => {
                if let Some(arrival) = arrival.take() {
                    tell(&Report { file: file.clone(), ..arrival.end().await? })?;
                }
            }
            (Found::Broken(why), Some(arrival)) => {
                arrival.fail(why);
            }
            (Found::Broken(why), None) => {
                let mut report = Report::default();
                report.remark(why);
                tell(&report)?;
            }
            (Found::Child(child), Some(arrival)) => arrival.child(child).await?,
            (Found::Offline(message), Some(arrival)) => arrival.offline(&message).await?,
            (Found::Archived(result), Some(arrival)) => arrival.archived(&result).await?,
            (_, None) => {}
        }
    }
    Ok(())
}

/// The namespaces of the format.
const PIE: &str = "urn:xmpp:pie:0";
const PIE_SCRAM: &str = "urn:xmpp:pie:0#scram";
const PIE_MAM: &str = "urn:xmpp:pie:0#mam";
const XINCLUDE: &str = "http://www.w3.org/2001/XInclude";
/// Privacy lists (XEP-0016), of which what blocks comes along.
const PRIVACY: &str = "jabber:iq:privacy";
const MOST_REMARKS: usize = 20;
