//! Whether our listeners answer; without a server, whether their ports are free.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Face, Findings, Ward, ward::from_here};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let Some(running) = &ward.running else {
        found.no_server();
        for face in ward.faces.iter().filter(|face| face.address.port() != 0) {
            is_free(face, found).await;
        }
        return;
    };
    let mut answering = 0;
    for bound in &running.listeners {
        let (name, address) = (bound.listener.as_str(), from_here(bound.address));
        let answer = if name == "sip.udp" { asks(address).await } else { connects(address).await };
        match answer {
            Ok(()) => answering += 1,
            Err(why) => found.error(
                format!("{name} does not answer at {address}: {why}"),
                "look at the log; a firewall between the two may also drop it",
            ),
        }
    }
    // The port of browsers is the mixer's, which tells nobody where it is.
    for face in ward.faces.iter().filter(|face| face.name != BROWSERS) {
        if !running.listeners.iter().any(|bound| bound.listener == face.name) {
            found.warning(
                format!(
                    "{} is configured for {}, and the running server has no such listener",
                    face.name, face.address
                ),
                "restart the server with this configuration, or run that part of it",
            );
        }
    }
    if answering == running.listeners.len() {
        found.ok(format!("all {answering} listeners answer"));
    }
}

async fn connects(address: SocketAddr) -> Result<(), String> {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// RFC 3261 §11: an OPTIONS, which whoever speaks SIP answers.
async fn asks(address: SocketAddr) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(told)?;
    socket.connect(address).await.map_err(told)?;
    let own = socket.local_addr().map_err(told)?;
    let tag = shared_runtime::random();
    let request = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{tag:016x};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:doctor@{own}>;tag={tag:016x}\r\nTo: <sip:{address}>\r\nCall-ID: {tag:016x}\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:doctor@{own}>\r\nContent-Length: 0\r\n\r\n"
    );
    let mut answer = [0; 2048];
    for _ in 0..3 {
        socket.send(request.as_bytes()).await.map_err(told)?;
        match timeout(PATIENCE / 2, socket.recv(&mut answer)).await {
            Ok(Ok(length)) if answer.get(..length).is_some_and(|text| text.starts_with(b"SIP/2.0 ")) => {
                return Ok(());
            }
            Ok(Ok(_)) => return Err("what answers speaks no SIP".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => {}
        }
    }
    Err("no answer in time".to_owned())
}

/// Neither look is in the way of a server that starts meanwhile: a TCP port is taken without listening, as both say that they
/// take it again (SO_REUSEADDR), and a UDP port is not taken at all.
async fn is_free(face: &Face, found: &mut Findings) {
    let bound = match face.name {
        "sip.udp" | BROWSERS => udp_is_free(face.address).await,
        _ => tcp_is_free(face.address),
    };
    if let Err(error) = bound {
        found.error(
            format!("{} cannot have {}: {error}", face.name, face.address),
            format!(
                "another process has it, or it is forbidden: end that process, or set {} to another port",
                face.name
            ),
        );
    }
}

fn tcp_is_free(address: SocketAddr) -> std::io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

/// Whether the address is this machine's, and no socket in the system's table has the port.
async fn udp_is_free(address: SocketAddr) -> std::io::Result<()> {
    UdpSocket::bind((address.ip(), 0)).await?;
    let taken = ["/proc/net/udp", "/proc/net/udp6"].into_iter().any(|table| {
        // A system without such a table tells when the server starts.
        std::fs::read_to_string(table).is_ok_and(|table| has_port(&table, address))
    });
    if taken { Err(std::io::ErrorKind::AddrInUse.into()) } else { Ok(()) }
}

/// Whether a line of the table has this port, at this address or at all (proc(5): numbers of 32 bits as the machine has them).
fn has_port(table: &str, address: SocketAddr) -> bool {
    table.lines().skip(1).filter_map(bound_of).any(|bound| {
        let (ours, theirs) = (address.ip().to_canonical(), bound.ip().to_canonical());
        bound.port() == address.port() && (ours == theirs || ours.is_unspecified() || theirs.is_unspecified())
    })
}

fn bound_of(line: &str) -> Option<SocketAddr> {
    let (ip, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::from(<[u8; 16]>::try_from(words).ok()?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

const BROWSERS: &str = "conference.media";
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_port_is_looked_at_and_not_taken() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let udp = UdpSocket::bind(loopback).await.unwrap();
        let (taken, all) = (udp.local_addr().unwrap(), SocketAddr::from(([0, 0, 0, 0], 0)));
        let everywhere = SocketAddr::new(all.ip(), taken.port());
        assert!(udp_is_free(taken).await.is_err() && udp_is_free(everywhere).await.is_err());
        drop(udp);
        assert!(udp_is_free(taken).await.is_ok());

        let tcp = TcpListener::bind(loopback).await.unwrap();
        let taken = tcp.local_addr().unwrap();
        assert!(tcp_is_free(taken).is_err());
        drop(tcp);
        let look = TcpSocket::new_v4().unwrap();
        look.set_reuseaddr(true).unwrap();
        look.bind(taken).unwrap();
        assert!(TcpListener::bind(taken).await.is_ok(), "a server has the port while the doctor looks");
    }

    #[test]
    fn tables_of_the_system_are_read() {
        let line = "  1: 00000000000000000000000001000000:13C4 00000000000000000000000000000000:0000 07";
        if cfg!(target_endian = "little") {
            assert_eq!(bound_of(line), Some("[::1]:5060".parse().unwrap()));
            assert_eq!(bound_of(" 2: 0100007F:0035 00000000:0000 07"), Some("127.0.0.1:53".parse().unwrap()));
        }
        for wrong in ["", "1:", "1: x:y", "1: 0100007F", "1: \u{e9}\u{e9}\u{e9}\u{e9}:13C4"] {
            assert_eq!(bound_of(wrong), None, "{wrong}");
        }
    }
}
