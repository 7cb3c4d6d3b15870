//! One connection to any of a host's addresses — RFC 8305 §5: one after the other with a short pause between, and the first
//! that stands is taken.
//!
//! In    addresses in the order of preference. Out a socket. Errors what the last address said.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub(super) async fn any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match waiting.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
            }
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        let is_more = waiting.len() > 0;
        // Whoever failed is followed by the next at once.
        tokio::select! {
            Some(done) = attempts.join_next() => match done.unwrap_or_else(|lost| Err(io::Error::other(lost))) {
                Ok(socket) => return Ok(socket), // the others end with the set
                Err(error) => last = error,
            },
            () = sleep(PAUSE), if is_more => {}
        }
    }
}

/// RFC 8305 §5: 250 ms are recommended.
const PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    fn loopback(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], port))
    }

    #[tokio::test]
    async fn takes_the_first_that_stands() {
        let listener = TcpListener::bind(loopback(1, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens at the first two.
        let addresses = [loopback(2, port), loopback(3, port), loopback(1, port)];
        let socket = any(&addresses).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), loopback(1, port));
        let refused = any(&addresses[..2]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(any(&[]).await.is_err());
    }

    /// A listener that accepts nothing and whose queue is full: who connects hears nothing.
    #[tokio::test]
    async fn a_silent_address_holds_nobody_up() {
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&loopback(1, 0).into()).unwrap();
        silent.listen(0).unwrap();
        let deaf = silent.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(socket)) = timeout(Duration::from_millis(300), TcpStream::connect(deaf)).await {
            queued.push(socket);
        }
        let listener = TcpListener::bind(loopback(1, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = timeout(Duration::from_secs(5), any(&[deaf, address])).await.unwrap().unwrap();
        assert_eq!(socket.peer_addr().unwrap(), address);
    }
}
