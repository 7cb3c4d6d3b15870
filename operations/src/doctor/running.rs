//! What a running server writes about itself, for commands beside it: where it listens, and since when.
//!
//! In    the listeners, once all are bound. Out a small file in the data folder, removed when the server stops.
//! Errors a file that cannot be written is the caller's to log; one left by a server that was killed names a process that is no more.

use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shared_runtime::unix_millis;

/// The file's name in the data folder.
pub const RUNNING: &str = "cusax.running";

/// A running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub process: u32,
    /// Since when, milliseconds since 1970.
    pub since: i64,
    /// Where it listens.
    pub listeners: Vec<Bound>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its name, such as `sip.tls`.
    pub listener: String,
    /// Where it is bound.
    pub address: SocketAddr,
}

impl Running {
    /// This process, with these listeners.
    pub fn here(listeners: &[(&'static str, SocketAddr)]) -> Self {
        let bound = |(listener, address): &(&'static str, SocketAddr)| Bound {
            listener: (*listener).to_owned(),
            address: *address,
        };
        Self {
            process: std::process::id(),
            since: unix_millis(),
            listeners: listeners.iter().map(bound).collect(),
        }
    }

    /// Writes it where commands look for it.
    pub fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        let text = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        let (file, new) = (data_dir.join(RUNNING), data_dir.join(format!("{RUNNING}.new")));
        std::fs::write(&new, text)?;
        std::fs::rename(new, file)
    }

    /// Reads it; none if no server runs, as far as files tell.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join(RUNNING)).ok()?).ok()
    }

    /// The server stops.
    pub fn forget(data_dir: &Path) {
        // A file that stays names a process that is no more.
        let _ = std::fs::remove_file(data_dir.join(RUNNING));
    }

    /// Whether its process is there, and one of its TCP listeners takes a connection. No lock is tried: a server that starts
    /// meanwhile would find it held.
    pub async fn answers(&self) -> bool {
        if !self.is_there() {
            return false;
        }
        for bound in self.listeners.iter().filter(|bound| bound.listener != "sip.udp") {
            let connect = tokio::net::TcpStream::connect(super::ward::from_here(bound.address));
            if let Ok(Ok(_)) = tokio::time::timeout(std::time::Duration::from_secs(2), connect).await {
                return true;
            }
        }
        false
    }

    /// Whether the process is there, whoever's it is: who was killed leaves the file behind.
    fn is_there(&self) -> bool {
        let Ok(process) = i32::try_from(self.process) else { return false };
        let asked = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None);
        process > 0 && matches!(asked, Ok(()) | Err(nix::errno::Errno::EPERM))
    }
}
