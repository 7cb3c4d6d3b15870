//! `cusax serve`: starts, says where it listens, and runs until it is told to stop.

use std::time::Duration;

use anyhow::{Context, bail};
use operations::doctor::seen_by_others;
use shared_runtime::tls::{TlsPolicy, Unread};
use shared_runtime::{Shutdown, open_files, telemetry};
use shared_store::{DataFolderLock, Store};
use tokio::signal::unix::{SignalKind, signal};

use crate::command::Part;
use crate::compose;
use crate::config::Config;
use crate::out::say;

/// Runs the service until SIGTERM or SIGINT, or until an administrator ends it. SIGHUP reads the certificates again.
pub(crate) async fn run(config: Config, parts: &[Part], json: bool) -> anyhow::Result<()> {
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
    for (listener, address) in &service.bound {
        // Whether anybody reads it or not, the service goes on.
        let _ = match json {
            true => say(serde_json::json!({ "listener": listener, "address": address })),
            false => say(format_args!("{listener} {address}")),
        };
    }
    let mut is_lost = false;
    tokio::select! {
        told = until_told(&service.tls) => told?,
        () = shutdown.begun() => {} // by a command of an administrator
        () = alone.lost() => {
            tracing::error!("another server took the store while it was away: this one stops");
            is_lost = true;
        }
    }
    tracing::info!("stopping");
    if !shutdown.finish(PATIENCE).await {
        tracing::warn!("some tasks did not end in time");
    }
    if is_lost {
        bail!("another server has the store");
    }
    if let Err(error) = Store::settle(&config.store_url()).await {
        tracing::warn!(%error, "a part of the store stays in the file beside it (-wal)");
    }
    Ok(())
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
