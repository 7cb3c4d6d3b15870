//! Requests that load the HTTPS face: over connections that are up before the clock begins, each asking for the next when it has the
//! answer, as clients behind a proxy do.
//!
//! ```text
//! load ADDRESS CONNECTIONS SECONDS PATH [HEADER]…      PATHs may hold `@`, which stands for a line of standard input, each used once
//! ```
//!
//! Prints one line of JSON: `answers`, those that were `good` (200), `seconds`, and `p50` and `p99` in milliseconds. `run.py` starts the
//! service and reads its CPU time.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a program of the tests")]

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use shared_runtime::tls::judge;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [address, connections, seconds, path, headers @ ..] = words.as_slice() else {
        return; // a run of all benches, which means the others
    };
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let mut values = String::new();
    if path.contains('@') {
        std::io::stdin().read_to_string(&mut values).unwrap();
    }
    let work = Arc::new(Work {
        address: address.clone(),
        path: path.clone(),
        headers: headers.iter().map(|header| format!("{header}\r\n")).collect(),
        values: values.lines().map(str::to_owned).collect(),
        next: AtomicUsize::new(0),
        seconds: Duration::from_secs(seconds.parse().unwrap()),
    });
    let connections: usize = connections.parse().unwrap();
    let connecting: Vec<_> = (0..connections).map(|_| tokio::spawn(Arc::clone(&work).connect())).collect();
    let mut streams = Vec::new();
    for one in connecting {
        streams.push(one.await.unwrap());
    }
    let begun = Instant::now();
    let all: Vec<_> =
        streams.into_iter().map(|one| tokio::spawn(Arc::clone(&work).ask(one, begun))).collect();
    let (mut times, mut good) = (Vec::new(), 0);
    for one in all {
        let (taken, fine) = one.await.unwrap();
        times.extend(taken);
        good += fine;
    }
    times.sort_unstable();
    let at = |share: f64| {
        times.get((times.len() as f64 * share) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let (answers, seconds) = (times.len(), begun.elapsed().as_secs_f64());
    println!(
        "{{\"answers\": {answers}, \"good\": {good}, \"seconds\": {seconds:.3}, \"p50\": {:.2}, \"p99\": {:.2}}}",
        at(0.5),
        at(0.99)
    );
}

/// What all connections share.
struct Work {
    address: String,
    path: String,
    headers: String,
    values: Vec<String>,
    next: AtomicUsize,
    seconds: Duration,
}

impl Work {
    async fn connect(self: Arc<Self>) -> TlsStream<TcpStream> {
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(judge::of_servers(|_, _| Ok(())))
            .with_no_client_auth();
        let (connector, name) = (TlsConnector::from(Arc::new(config)), "localhost");
        let socket = TcpStream::connect(&self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        connector.connect(ServerName::try_from(name).unwrap(), socket).await.unwrap()
    }

    /// Asks over one connection until the time is over, or the values are used up.
    async fn ask(self: Arc<Self>, stream: TlsStream<TcpStream>, begun: Instant) -> (Vec<Duration>, usize) {
        let (mut stream, mut times, mut good) = (BufReader::new(stream), Vec::new(), 0);
        let until = begun + self.seconds;
        while Instant::now() < until {
            let Some(path) = self.path() else { break };
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{}\r\n", self.address, self.headers);
            let begun = Instant::now();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            good += usize::from(answer(&mut stream).await);
            times.push(begun.elapsed());
        }
        (times, good)
    }

    fn path(&self) -> Option<String> {
        if !self.path.contains('@') {
            return Some(self.path.clone());
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        self.values.get(at).map(|value| self.path.replace('@', value))
    }
}

/// Reads one answer whole; whether it is 200.
async fn answer<S: tokio::io::AsyncRead + Unpin>(stream: &mut BufReader<S>) -> bool {
    let (mut is_good, mut length, mut line) = (false, 0, String::new());
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the service hung up");
        if line.starts_with("HTTP/1.1 ") {
            is_good = line.starts_with("HTTP/1.1 200");
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    is_good
}
