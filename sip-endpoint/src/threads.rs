//! Threads of an endpoint's own: each has one shard and reads one socket of every UDP listener.
//!
//! In    how many; the shutdown. Out runtimes of one thread each, on which tasks are spawned.
//! What a datagram sets going stays on its thread: between tasks of one thread a wake-up costs no system call, between threads
//! it costs a switch of context, which is more than parsing a request does.
//! Not here: streams and wires within the process, which the runtime of whoever started the endpoint carries.

use std::io;

use shared_runtime::Shutdown;
use tokio::net::UdpSocket;
use tokio::runtime::{Builder, Handle};

/// Runtimes of one thread each.
pub(crate) struct Threads(Vec<Handle>);

impl Threads {
    /// Starts `count` threads, 0 for half as many as the machine has cores. They end when all tasks have ended after the
    /// shutdown began.
    pub(crate) fn start(count: usize, shutdown: &Shutdown) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let count = if count == 0 { (cores / 2).max(1) } else { count };
        (0..count).map(|index| start_one(index, shutdown.clone())).collect::<io::Result<_>>().map(Self)
    }

    /// The runtime that we are in, once a core: for an endpoint without datagrams, whose application may have more to do
    /// than one thread can.
    pub(crate) fn ambient() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self(vec![Handle::current(); cores])
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The thread that owns what has this index.
    pub(crate) fn of(&self, index: usize) -> &Handle {
        &self.0[index % self.0.len()]
    }

    /// Lets each thread hear of its own socket's datagrams.
    pub(crate) fn adopt(&self, sockets: Vec<UdpSocket>) -> io::Result<Vec<UdpSocket>> {
        let adopt = |(index, socket): (usize, UdpSocket)| {
            let socket = socket.into_std()?;
            let _inside = self.of(index).enter();
            UdpSocket::from_std(socket)
        };
        sockets.into_iter().enumerate().map(adopt).collect()
    }
}

fn start_one(index: usize, shutdown: Shutdown) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let life = async move {
        shutdown.begun().await;
        shutdown.ended().await;
    };
    std::thread::Builder::new().name(format!("sip-{index}")).spawn(move || runtime.block_on(life))?;
    Ok(handle)
}
