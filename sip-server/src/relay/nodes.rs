//! Relays, and how they are asked — the ng protocol of rtpengine: a cookie, a space and a dictionary a datagram, both ways.
//!
//! In    a command. Out its answer, and which node gave it.
//! State a socket a node, what waits for an answer; nodes that did not answer of late. A command that comes again with the same
//!       cookie is done once.
//! Errors a node that is silent is passed over for [`AWAY`]; when all are, each is tried all the same.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use shared_runtime::Shutdown;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::bencode::{Dictionary, Value};

/// All relays.
pub(super) struct Nodes {
    nodes: Vec<Arc<Node>>,
    timeout: Duration,
}

struct Node {
    socket: UdpSocket,
    waiting: DashMap<String, oneshot::Sender<Dictionary>>,
    silent: Mutex<Option<Instant>>,
}

impl Nodes {
    /// Opens a socket to each.
    pub(super) fn open(
        addresses: &[SocketAddr],
        timeout: Duration,
        shutdown: &Shutdown,
    ) -> std::io::Result<Self> {
        let mut nodes = Vec::new();
        for address in addresses {
            let any =
                if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(address)?;
            socket.set_nonblocking(true)?;
            let socket = UdpSocket::from_std(socket)?;
            let node = Arc::new(Node { socket, waiting: DashMap::new(), silent: Mutex::new(None) });
            let (reader, stop) = (Arc::clone(&node), shutdown.clone());
            shutdown.spawn(async move {
                tokio::select! {
                    () = reader.read() => {}
                    () = stop.begun() => {}
                }
            });
            nodes.push(node);
        }
        Ok(Self { nodes, timeout })
    }

    /// In which order they are asked about a call that none of them knows.
    pub(super) fn order(&self, call_id: &str) -> Vec<usize> {
        let mut hasher = DefaultHasher::new();
        call_id.hash(&mut hasher);
        let first = (hasher.finish() % self.nodes.len().max(1) as u64) as usize;
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.rotate_left(first);
        order.sort_by_key(|at| self.nodes[*at].is_away());
        order
    }

    /// Asks one.
    pub(super) async fn ask(&self, at: usize, command: &Dictionary, tries: usize) -> Option<Dictionary> {
        let node = self.nodes.get(at)?;
        let answer = node.ask(command, self.timeout, tries).await;
        let silent = answer.is_none().then(Instant::now);
        *node.silent.lock().unwrap_or_else(PoisonError::into_inner) = silent;
        answer
    }
}

impl Node {
    fn is_away(&self) -> bool {
        let silent = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.is_some_and(|silent| silent.elapsed() < AWAY)
    }

    async fn ask(&self, command: &Dictionary, timeout: Duration, tries: usize) -> Option<Dictionary> {
        let cookie = format!("{:016x}", shared_runtime::random());
        let mut datagram = format!("{cookie} ").into_bytes();
        Value::Dictionary(command.clone()).print(&mut datagram);
        let (sender, mut answer) = oneshot::channel();
        self.waiting.insert(cookie.clone(), sender);
        let mut came = None;
        for _ in 0..tries {
            // What cannot be sent is tried again, as what is lost.
            let _ = self.socket.send(&datagram).await;
            if let Ok(answer) = tokio::time::timeout(timeout, &mut answer).await {
                came = answer.ok();
                break;
            }
        }
        self.waiting.remove(&cookie);
        came
    }

    async fn read(&self) {
        let mut datagram = vec![0; LARGEST];
        loop {
            let Ok(length) = self.socket.recv(&mut datagram).await else {
                // Nobody listens there: not yet, or not any more.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let datagram = &datagram[..length];
            let Some(space) = datagram.iter().position(|byte| *byte == b' ') else { continue };
            let Ok(cookie) = std::str::from_utf8(&datagram[..space]) else { continue };
            if let Some(Value::Dictionary(answer)) = Value::read(&datagram[space + 1..])
                && let Some((_, waiting)) = self.waiting.remove(cookie)
            {
                // Whoever waited may have gone.
                let _ = waiting.send(answer);
            }
        }
    }
}

/// How long a silent node is asked after all others.
const AWAY: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);
const LARGEST: usize = 65_535;
