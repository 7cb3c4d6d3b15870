//! How fast a stream is read: a bucket that runs over slows the reader, and TCP the sender. Nothing is lost.
//!
//! In    a socket, or what something cost. Out what the socket gave, not faster than the rate in the long run. A rate of 0 is none.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until};

pub(crate) struct Rate {
    per_second: usize,
    /// When all that was taken will have been paid for.
    paid: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: usize) -> Self {
        Self { per_second, paid: Instant::now() }
    }

    /// Reads what there is, once it may be read. Cancel safe.
    pub(crate) async fn read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        chunk: &mut [u8],
    ) -> std::io::Result<usize> {
        self.ready().await;
        let length = io.read(chunk).await?;
        self.spend(length);
        Ok(length)
    }

    /// Waits until more may be taken. Cancel safe.
    pub(crate) async fn ready(&self) {
        if self.per_second > 0
            && let Some(at) = self.paid.checked_sub(BURST)
        {
            sleep_until(at).await;
        }
    }

    /// So much was taken.
    pub(crate) fn spend(&mut self, amount: usize) {
        if self.per_second > 0 && amount > 0 {
            let price = Duration::from_secs_f64(amount as f64 / self.per_second as f64);
            self.paid = self.paid.max(Instant::now()) + price;
        }
    }
}

/// How much may come at once: what comes in this time.
const BURST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_waits() {
        let mut chunk = [0; 100];
        let mut rate = Rate::new(100);
        let began = Instant::now();
        let mut source = tokio::io::repeat(b'x');
        for seconds in [0, 0, 0, 1, 2] {
            assert_eq!(rate.read(&mut source, &mut chunk).await.unwrap(), 100);
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
        let mut free = Rate::new(0);
        for _ in 0..100 {
            free.read(&mut source, &mut chunk).await.unwrap();
        }
        assert_eq!(began.elapsed().as_secs(), 2);
    }
}
