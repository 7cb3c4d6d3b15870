//! Bindings that end soon — RFC 8599 §5.5: a device that sleeps is woken to refresh its binding.
//!
//! In    the clock. Out a push for each binding, once, so long before its end as is configured.
//! State how far into the future it has looked; a start looks from the present on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use shared_runtime::unix_millis;

use super::{PushTarget, Pushes, Why};
use crate::server::Server;

/// Wakes whoever must refresh, until shutdown.
pub(crate) async fn refresh(server: Arc<Server>, service: Arc<Pushes>) {
    let before = service.config().refresh;
    let mut seen = unix_millis();
    loop {
        tokio::select! {
            () = server.begun_shutdown() => return,
            () = tokio::time::sleep((before / 5).clamp(SHORTEST, LONGEST)) => {}
        }
        service.forget_old(Instant::now());
        let until = unix_millis().saturating_add(i64::try_from(before.as_millis()).unwrap_or(i64::MAX));
        match server.store.bindings.ending(seen, until, MOST).await {
            Ok(ending) => {
                // What is beyond the bound is found the next time.
                seen = if ending.len() < MOST {
                    until
                } else {
                    ending.last().map_or(until, |last| last.expires)
                };
                let targets = ending.iter().filter_map(|binding| PushTarget::of(&binding.contact));
                futures_util::stream::iter(targets)
                    .for_each_concurrent(AT_ONCE, async |target| {
                        // What does not go out is told there; the binding ends, and the device registers when it wakes.
                        let _ = service.wake(&target, Why::Refresh).await;
                    })
                    .await;
            }
            Err(error) => tracing::warn!(%error, "bindings that end soon were not found"),
        }
    }
}

/// How often the store is asked: a fifth of the time that is left, within these.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// Bindings that are taken at once.
const MOST: usize = 1_000;
/// Pushes that are under way at once.
const AT_ONCE: usize = 50;
