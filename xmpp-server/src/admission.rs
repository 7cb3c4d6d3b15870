//! Logins when many come at once, as after a restart — RFC 6120 §4.9.3.17 (`resource-constraint`).
//!
//! In    what a login needs next of this server: a handshake, a proof, a binding.
//! Out   the same, a few at once, in the order in which it was asked for.
//! State a queue for each [`Stage`], so that nobody waits for who came later and is not as far. No place is held while a client is
//!       waited for, nor for longer than [`Stage::held`]: a directory that does not answer holds up nobody else.
//! Errors [`Crowded`] to who waited for [`PATIENCE`]; `xmpp.unproven_connections` bounds how many do.
//!
//! What is begun for thousands at once is done for all of them at last, when they have given up, and whoever is in waits behind them.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How far a login is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// Encrypts.
    Handshake,
    /// Says who it is.
    Proof,
    /// Becomes a session.
    Bind,
}

impl Stage {
    /// How long one may hold up others.
    fn held(self) -> Duration {
        match self {
            Self::Handshake | Self::Proof => Duration::from_millis(50), // systems of others may be asked
            Self::Bind => Duration::from_secs(1),                       // the store alone is
        }
    }
}

/// Its turn did not come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

/// The queues of all that log in.
pub(crate) struct Admission {
    stages: [Semaphore; 3],
    /// For those that are told that there is no room.
    pub(crate) farewells: Semaphore,
}

impl Admission {
    /// For as many cores as there are.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of([cores * PER_CORE, cores * PER_CORE, BINDING])
    }

    fn of(places: [usize; 3]) -> Self {
        Self { stages: places.map(Semaphore::new), farewells: Semaphore::new(FAREWELLS) }
    }

    /// Does it when its turn comes.
    pub(crate) async fn turn<T>(&self, stage: Stage, work: impl Future<Output = T>) -> Result<T, Crowded> {
        let Ok(Ok(place)) = timeout(PATIENCE, self.stages[stage as usize].acquire()).await else {
            return Err(Crowded);
        };
        let mut work = pin!(work);
        if let Ok(done) = timeout(stage.held(), &mut work).await {
            return Ok(done);
        }
        drop(place);
        Ok(work.await)
    }
}

/// What who is turned away hears.
pub(crate) const CROWDED: &str = "too many log in at once; come again";
/// Logins of one stage that are worked at, some of which wait for the store.
const PER_CORE: usize = 4;
/// Those that all wait for it: as many as it reads for at once.
const BINDING: usize = 16;
/// Those that are turned away at once and hear so; more are closed without a word.
const FAREWELLS: usize = 256;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_come_in_their_order_and_a_few_at_once() {
        let admission = Admission::new();
        let places = admission.stages[0].available_permits();
        let (done, at_once) = (Mutex::new(Vec::new()), Mutex::new((0_usize, 0)));
        let come = |n: usize| {
            let (done, at_once) = (&done, &at_once);
            admission.turn(Stage::Proof, async move {
                {
                    let mut at_once = at_once.lock().unwrap();
                    *at_once = (at_once.0 + 1, at_once.1.max(at_once.0 + 1));
                }
                sleep(Duration::from_millis(1)).await;
                at_once.lock().unwrap().0 -= 1;
                done.lock().unwrap().push(n);
            })
        };
        assert!(join_all((0..1_000).map(come)).await.iter().all(Result::is_ok));
        assert!(done.lock().unwrap().is_sorted());
        assert_eq!(at_once.lock().unwrap().1, places);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_long_holds_up_nobody_and_who_is_further_waits_for_nobody() {
        let admission = Admission::new();
        let places = admission.stages[0].available_permits();
        let slow = join_all((0..places).map(|_| admission.turn(Stage::Proof, sleep(PATIENCE * 3))));
        let began = tokio::time::Instant::now();
        let next = async {
            admission.turn(Stage::Bind, async {}).await.unwrap();
            assert_eq!(began.elapsed(), Duration::ZERO);
            admission.turn(Stage::Proof, async {}).await.unwrap();
            assert!(began.elapsed() < Stage::Proof.held() * 2);
        };
        assert!(tokio::join!(slow, next).0.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told() {
        let admission = Admission::of([0; 3]);
        let began = tokio::time::Instant::now();
        assert_eq!(admission.turn(Stage::Proof, async {}).await, Err(Crowded));
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
