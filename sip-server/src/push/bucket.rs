//! The bucket — RFC 8599 §5.2, §5.6.2: a request waits for devices that are being woken.
//!
//! In    devices that sleep; how their pushes went; who is still asleep after a REGISTER.
//! Out   whether somebody may still come.
//! State the sleepers, and when the wait is over (the Bucket Timer).
//! Errors a push that does not go out takes its device out; when the last is out the request has its answer.

use std::sync::Arc;
use std::time::Instant;

use sip_core::Message;
use tokio::task::JoinSet;

use super::{PushTarget, Pushes, Why};
use crate::server::Server;

/// A device that may sleep, and can be woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sleeper {
    /// The key of its binding.
    pub(crate) key: String,
    /// How it is woken.
    pub(crate) target: PushTarget,
    /// What it says that it can.
    pub(crate) features: String,
}

/// What one request waits for.
pub(crate) struct Bucket {
    sleepers: Vec<Sleeper>,
    /// Pushes that are under way, with the device that did not get one.
    pushes: JoinSet<Option<PushTarget>>,
    until: Instant,
}

impl Bucket {
    /// Wakes whom a request is for.
    pub(crate) fn fill(server: &Server, sleepers: Vec<Sleeper>, request: &Message) -> Self {
        let mut pushes = JoinSet::new();
        let Some(service) = server.push.as_ref().filter(|_| !sleepers.is_empty()) else {
            return Self { sleepers: Vec::new(), pushes, until: Instant::now() };
        };
        let is_call = request.method() == "INVITE";
        let mut targets: Vec<&PushTarget> = Vec::with_capacity(sleepers.len());
        for Sleeper { target, .. } in &sleepers {
            if targets.contains(&target) {
                continue;
            }
            targets.push(target);
            let why = if is_call { Why::Call } else { Why::Request };
            pushes.spawn(wake(Arc::clone(service), target.clone(), why));
        }
        let wait = service.config().wait;
        // §5.6.2: the answer comes before the sender of another request gives up (Timer F).
        let wait = if is_call { wait } else { wait.min(server.config.timers.b * 2 / 3) };
        Self { sleepers, pushes, until: Instant::now() + wait }
    }

    /// By whom the first of those who sleep is woken.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.sleepers.first().map(|sleeper| sleeper.target.provider.as_ref())
    }

    /// Whether somebody may still come.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.sleepers.is_empty()
    }

    /// Ends when fewer may come. Cancel safe.
    pub(crate) async fn dwindled(&mut self) {
        loop {
            let is_pushing = !self.pushes.is_empty();
            tokio::select! {
                Some(pushed) = self.pushes.join_next(), if is_pushing => match pushed {
                    Ok(None) => {}
                    Ok(Some(missed)) => return self.sleepers.retain(|sleeper| sleeper.target != missed),
                    // A push that cannot be told of is waited for as long as the others.
                    Err(_) => {}
                },
                () = tokio::time::sleep_until(self.until.into()) => return self.sleepers.clear(),
            }
        }
    }

    /// Something registered: who is not asleep any more is not waited for.
    pub(crate) fn keep(&mut self, asleep: &[Sleeper]) {
        self.sleepers.retain(|sleeper| asleep.iter().any(|other| other.key == sleeper.key));
    }
}

async fn wake(service: Arc<Pushes>, target: PushTarget, why: Why) -> Option<PushTarget> {
    service.wake(&target, why).await.is_err().then_some(target)
}
