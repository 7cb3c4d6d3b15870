//! How fast a stream is read: a bucket that runs over slows the reader, and TCP the sender. Nothing is lost.
//!
//! In    a socket, or what something cost. Out what the socket gave, not faster than the rate in the long run. A rate of 0 is none.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
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

    /// Reads what there is, once it may be read, and hands it on; how much that was. Cancel safe. Who waits has no buffer: bytes are
    /// read onto the stack.
    pub(crate) async fn read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        says_much: bool,
        mut take: impl FnMut(&[u8]),
    ) -> std::io::Result<usize> {
        self.ready().await;
        let length = poll_fn(|context| match says_much {
            false => poll_read::<SMALL_CHUNK>(io, context, &mut take),
            true => poll_read::<LARGE_CHUNK>(io, context, &mut take),
        })
        .await?;
        self.spend(length);
        Ok(length)
    }

    /// Waits until more may be taken. Cancel safe.
    pub(crate) async fn ready(&self) {
        if self.per_second > 0
            && let Some(at) = self.paid.checked_sub(BURST)
            && at > Instant::now()
        {
            Box::pin(sleep_until(at)).await; // in a box, for it is seldom
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

/// Whether who gave so many bytes at once is to be read in large pieces from now on.
pub(crate) fn says_much(length: usize, said_much: bool) -> bool {
    match said_much {
        false => length == SMALL_CHUNK,
        true => length >= SMALL_CHUNK,
    }
}

fn poll_read<const MOST: usize>(
    io: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
    take: &mut impl FnMut(&[u8]),
) -> Poll<std::io::Result<usize>> {
    let mut bytes = [const { MaybeUninit::uninit() }; MOST];
    let mut bytes = ReadBuf::uninit(&mut bytes);
    ready!(Pin::new(io).poll_read(context, &mut bytes))?;
    take(bytes.filled());
    Poll::Ready(Ok(bytes.filled().len()))
}

/// Bytes that are read at once of who says little, and of who says much.
const SMALL_CHUNK: usize = 1_024;
const LARGE_CHUNK: usize = 16_384;
/// How much may come at once: what comes in this time.
const BURST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred bytes at a time, and always more.
    struct Hundreds;

    impl AsyncRead for Hundreds {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            bytes.put_slice(&[b'x'; 100]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_waits() {
        let mut rate = Rate::new(100);
        let began = Instant::now();
        let mut source = Hundreds;
        for seconds in [0, 0, 0, 1, 2] {
            assert_eq!(rate.read(&mut source, false, |_| ()).await.unwrap(), 100);
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
        let mut free = Rate::new(0);
        for _ in 0..100 {
            free.read(&mut source, false, |_| ()).await.unwrap();
        }
        assert_eq!(began.elapsed().as_secs(), 2);
    }
}
