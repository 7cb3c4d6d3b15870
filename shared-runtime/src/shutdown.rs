//! Graceful shutdown: everything long-lived is spawned here, hears the call to stop, and is waited for.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The one handle by which a started process is stopped. Clones share it.
#[derive(Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    starts_anew: Arc<AtomicBool>,
}

impl Shutdown {
    /// A process that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` until it ends by itself; it should end soon after [`Shutdown::begun`] does.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// As [`Shutdown::spawn`], on another runtime.
    pub fn spawn_on<F>(&self, task: F, runtime: &tokio::runtime::Handle) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn_on(task, runtime)
    }

    /// Ends when the process was told to stop and all its tasks have ended. Cancel safe.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }

    /// Ends when the process is told to stop. Cancel safe.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Whether the process was told to stop.
    pub fn is_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Tells the process to stop.
    pub fn begin(&self) {
        self.token.cancel();
        self.tasks.close();
    }

    /// Tells the process to stop and to start anew, unless it was told to stop before.
    pub fn begin_anew(&self) {
        if !self.is_begun() {
            self.starts_anew.store(true, Ordering::Release);
        }
        self.begin();
    }

    /// Whether the process was told to start anew when it has stopped.
    pub fn starts_anew(&self) -> bool {
        self.starts_anew.load(Ordering::Acquire)
    }

    /// Tells the process to stop and waits for its tasks, at most `patience`. False if some were still running.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.begin();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_tasks_that_hear_it() {
        let shutdown = Shutdown::new();
        let heard = shutdown.clone();
        let task = shutdown.spawn(async move { heard.begun().await });
        assert!(shutdown.finish(Duration::from_secs(5)).await);
        assert!(task.await.is_ok() && shutdown.is_begun());
    }

    #[test]
    fn starts_anew_if_that_is_the_first_that_it_is_told() {
        let (again, over) = (Shutdown::new(), Shutdown::new());
        again.clone().begin_anew();
        again.begin();
        over.begin();
        over.begin_anew();
        assert_eq!([again.starts_anew(), over.starts_anew()], [true, false]);
        assert!(again.is_begun() && over.is_begun());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_task_that_does_not_hear() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        assert!(!shutdown.finish(Duration::from_secs(5)).await);
    }
}
