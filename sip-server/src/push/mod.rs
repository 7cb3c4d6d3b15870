//! Push — RFC 8599: devices that sleep are woken by their push service, register, and get what waits for them.
//!
//! In    `pn-` parameters of contacts; requests for devices that sleep; bindings that end soon.
//! Out   pushes by way of a [`PushGateway`]; Feature-Caps in answers to REGISTER, 555 for a service that is not known (§5.6.1).
//! State when each device was woken last, at most [`MOST_WOKEN`]; the requests that wait are those of the proxy.
//! Errors a push that does not go out ends the wait for that device (§5.6.2): 480, unless another rings.
//! Not here: being the edge of another registrar; §7 needs nothing beyond §6, for a dialog's Contact comes back to us.

mod bucket;
mod config;
mod device;
mod gateway;
mod offer;
mod purr;
mod refresh;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_model::Spec;
use shared_runtime::fetch::{Bounds, Fetcher};
use shared_runtime::tls::TlsPolicy;
use tokio::sync::Semaphore;

pub(crate) use bucket::{Bucket, Sleeper};
pub(crate) use config::PUSH_KEYS;
pub use config::PushConfig;
pub(crate) use device::{PushTarget, without_push};
pub(crate) use gateway::Why;
use gateway::{HttpGateway, Push, PushError, PushGateway};
pub(crate) use offer::Offer;
pub(crate) use purr::{Purrs, dialog};
pub(crate) use refresh::refresh;

use crate::metrics::Metrics;

/// RFC 8599.
pub(crate) const SPEC: Spec = Spec::rfc(8599)
    .note("home proxy and registrar with an HTTP gateway; all of §5 and §6, VAPID as configured");

/// Wakes devices.
pub(crate) struct Pushes {
    config: PushConfig,
    gateway: Arc<dyn PushGateway>,
    woken: DashMap<PushTarget, Instant>,
    under_way: Semaphore,
    metrics: Metrics,
}

impl Pushes {
    /// Wakes as configured; `None` if there is no gateway. The error is of the token's file.
    pub(crate) fn open(
        config: &PushConfig,
        tls: &TlsPolicy,
        metrics: &Metrics,
    ) -> std::io::Result<Option<Arc<Self>>> {
        let Some(url) = config.url.clone() else { return Ok(None) };
        let token = config.token_file.as_ref().map(std::fs::read_to_string).transpose()?;
        let fetcher = Fetcher::new(tls, Bounds { time: config.timeout, bytes: LARGEST_ANSWER });
        let authorization = token.map(|token| format!("Bearer {}", token.trim()).into());
        Ok(Some(Arc::new(Self {
            config: config.clone(),
            gateway: Arc::new(HttpGateway { fetcher, url, authorization }),
            woken: DashMap::new(),
            under_way: Semaphore::new(config.outstanding.clamp(1, Semaphore::MAX_PERMITS)),
            metrics: metrics.clone(),
        })))
    }

    /// What is configured.
    pub(crate) fn config(&self) -> &PushConfig {
        &self.config
    }

    /// Wakes a device, unless that was done just now.
    pub(crate) async fn wake(&self, target: &PushTarget, why: Why) -> Result<(), PushError> {
        if !self.may_wake(target, Instant::now()) {
            return Ok(());
        }
        let sent = match self.under_way.try_acquire() {
            Ok(_place) => {
                let seconds = self.config.wait.as_secs().max(1);
                self.gateway.push(&Push { target: target.clone(), why, seconds }).await
            }
            Err(_) => Err(PushError::Busy),
        };
        self.metrics.push(match &sent {
            Ok(()) => "sent",
            Err(PushError::Gone) => "gone",
            Err(PushError::Busy) => "busy",
            Err(PushError::Refused(_) | PushError::Silent(_)) => "failed",
        });
        if let Err(error) = &sent {
            tracing::info!(provider = target.provider, %error, "a device was not woken");
            self.woken.remove(target);
        }
        sent
    }

    /// Whether a device may be woken now; then it counts as woken.
    fn may_wake(&self, target: &PushTarget, now: Instant) -> bool {
        if let Some(mut last) = self.woken.get_mut(target) {
            let may = now.duration_since(*last) >= self.config.interval;
            if may {
                *last = now;
            }
            return may;
        }
        if self.woken.len() < MOST_WOKEN {
            self.woken.insert(target.clone(), now);
        }
        true
    }

    /// Forgets whom it may wake again.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.woken.retain(|_, last| now.duration_since(*last) < self.config.interval);
    }

    /// Whether a device that was silent for so long may sleep.
    pub(crate) fn may_sleep(&self, silence: Duration) -> bool {
        silence >= self.config.awake
    }
}

/// Bytes of a gateway's answer, which nobody reads.
const LARGEST_ANSWER: usize = 16 * 1024;
/// Devices that are remembered as woken just now.
const MOST_WOKEN: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use shared_model::Pending;

    use super::*;

    /// A gateway that answers as it is told.
    struct Told(Mutex<Vec<Result<(), PushError>>>);

    impl PushGateway for Told {
        fn push<'a>(&'a self, _push: &'a Push) -> Pending<'a, Result<(), PushError>> {
            let answer = self.0.lock().unwrap().pop().expect("not pushed so often");
            Box::pin(async move { answer })
        }
    }

    fn pushes(answers: Vec<Result<(), PushError>>, outstanding: usize) -> Pushes {
        Pushes {
            config: PushConfig { interval: Duration::from_secs(3_600), ..PushConfig::default() },
            gateway: Arc::new(Told(Mutex::new(answers))),
            woken: DashMap::new(),
            under_way: Semaphore::new(outstanding),
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap(),
        }
    }

    fn target(prid: &str) -> PushTarget {
        PushTarget { provider: "fcm".to_owned(), param: "p".to_owned(), prid: prid.to_owned() }
    }

    #[tokio::test]
    async fn a_device_is_woken_once_in_a_while_and_again_if_that_failed() {
        let pushes = pushes(vec![Ok(()), Err(PushError::Refused(500)), Ok(())], 1);
        assert_eq!(pushes.wake(&target("one"), Why::Call).await, Ok(()));
        assert_eq!(pushes.wake(&target("one"), Why::Refresh).await, Ok(()), "without another push");
        assert_eq!(pushes.wake(&target("two"), Why::Call).await, Err(PushError::Refused(500)));
        assert_eq!(pushes.wake(&target("two"), Why::Call).await, Ok(()));
        pushes.forget_old(Instant::now());
        assert_eq!(pushes.woken.len(), 2);
        pushes.forget_old(Instant::now() + Duration::from_secs(3_600));
        assert!(pushes.woken.is_empty());
    }

    #[tokio::test]
    async fn beyond_what_may_be_under_way_nobody_is_woken() {
        let pushes = pushes(Vec::new(), 0);
        assert_eq!(pushes.wake(&target("one"), Why::Call).await, Err(PushError::Busy));
    }
}
