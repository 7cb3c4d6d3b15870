//! `cusax serve`: starts, says where it listens, and runs until it is told to stop.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use operations::doctor::seen_by_others;
use shared_runtime::tls::{TlsPolicy, Unread};
use shared_runtime::{Shutdown, open_files, telemetry};
use shared_store::{DataFolderLock, Store};
use tokio::signal::unix::{SignalKind, signal};

use crate::command::Part;
use crate::compose;
use crate::config;
use crate::out::say;

/// Runs the service until SIGTERM or SIGINT, or until an administrator ends it or has it start anew. SIGHUP reads the certificates
/// again.
pub(crate) async fn run(file: Option<PathBuf>, parts: &[Part], json: bool) -> anyhow::Result<()> {
    let config = config::load(file.as_deref())?;
    telemetry::start(&config.telemetry)?;
    if let Some(files) = open_files::raise().filter(|files| *files < FILES) {
        tracing::warn!(
            files,
            "few files and sockets may be open at once (`ulimit -Hn`): connections will be turned away"
        );
    }
    let _lock = DataFolderLock::acquire(&config.data_dir, "cusax serve")?;
    for file in seen_by_others(&config.data_dir, config.store_file().as_deref()) {
        tracing::warn!(file = %file.display(), "others than its owner may read or write this");
    }
    let shutdown = Shutdown::new();
    let mut alone = Store::alone(&config.store_url(), "cusax serve").await.context("store")?;
    let service = compose::start(&config, parts, &shutdown).await?;
    if let Some(chat) = &service.chat {
        let read = move || config::load(file.as_deref()).map(drop).map_err(|error| format!("{error:#}"));
        chat.attach_restart(read);
    }
    for (listener, address) in &service.bound {
        // Whether anybody reads it or not, the service goes on.
        let _ = match json {
            true => say(serde_json::json!({ "listener": listener, "address": address })),
            false => say(format_args!("{listener} {address}")),
        };
    }
    let mut told = pin!(until_told(&service.tls));
    let end = tokio::select! {
        told = &mut told => {
            told?;
            End::Stopped
        }
        () = shutdown.begun() => if shutdown.starts_anew() { End::Restarted } else { End::Stopped },
        () = alone.lost() => {
            tracing::error!("another server took the store while it was away: this one stops");
            End::Lost
        }
    };
    tracing::info!("stopping");
    if !shutdown.finish(PATIENCE).await {
        tracing::warn!("some tasks did not end in time");
    }
    if end == End::Lost {
        bail!("another server has the store");
    }
    if let Err(error) = Store::settle(&config.store_url()).await {
        tracing::warn!(%error, "a part of the store stays in the file beside it (-wal)");
    }
    // Who is told to stop meanwhile does not start.
    if end == End::Restarted && tokio::time::timeout(Duration::ZERO, &mut told).await.is_err() {
        bail!("cannot start anew: {}", start_anew());
    }
    Ok(())
}

/// How it came to stop.
#[derive(PartialEq, Eq)]
enum End {
    Stopped,
    /// By a command of an administrator.
    Restarted,
    /// Another server has the store.
    Lost,
}

/// Becomes a new process of the same command line, with the number that it has: who watches over it sees none end. The program is what
/// has its name now, so that a newer one that was installed meanwhile is what starts. Returns if it could not, and why.
fn start_anew() -> std::io::Error {
    let mut words = std::env::args_os();
    std::process::Command::new(words.next().unwrap_or_default()).args(words).exec()
}

/// Waits for the signal that ends the process.
pub(crate) async fn until_told(tls: &TlsPolicy) -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut end, mut interrupt, mut reload) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = reload.recv() => match tls.reload() {
                Ok(()) => tracing::info!("the certificates were read again"),
                Err(Unread(faults)) => for error in faults {
                    tracing::error!(%error, "this stays as it was; everything else was read again");
                },
            },
        }
    }
}

/// What the bounds of connections that are set out of the box add up to, and something for the store.
const FILES: u64 = 65_536;
/// How long open work may take to end: rooms, then sessions, then streams to other servers, one after the other.
const PATIENCE: Duration = Duration::from_secs(8);
