//! Whether our listeners answer; without a server, whether their ports are free.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
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

async fn is_free(face: &Face, found: &mut Findings) {
    let bound = match face.name {
        "sip.udp" | BROWSERS => UdpSocket::bind(face.address).await.map(drop),
        _ => TcpListener::bind(face.address).await.map(drop),
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

const BROWSERS: &str = "conference.media";
const PATIENCE: Duration = Duration::from_secs(2);
