//! What a phone speaks over: datagrams, or a connection that it opened.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sip_core::message::{Framed, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// Any stream.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// One phone's way to the server.
pub(crate) enum Line {
    Udp(UdpSocket),
    Stream(Box<Stream>),
}

/// A connection. It closes when it is dropped.
pub(crate) struct Stream {
    via: &'static str,
    local: SocketAddr,
    reader: Mutex<(ReadHalf<Box<dyn Duplex>>, Framer)>,
    writer: Mutex<WriteHalf<Box<dyn Duplex>>>,
}

impl Line {
    pub(crate) async fn udp(server: SocketAddr) -> Self {
        Self::Udp(UdpSocket::bind(SocketAddr::new(server.ip(), 0)).await.unwrap())
    }

    pub(crate) async fn tcp(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        let local = stream.local_addr().unwrap();
        Self::stream("TCP", local, stream)
    }

    /// A connection over TLS, with a certificate to show or none.
    pub(crate) async fn tls(
        server: SocketAddr,
        roots: rustls::RootCertStore,
        proof: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Self {
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
        let config = match proof {
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(server).await.unwrap();
        let local = stream.local_addr().unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Self::stream("TLS", local, TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }

    pub(crate) fn stream(via: &'static str, local: SocketAddr, stream: impl Duplex + 'static) -> Self {
        let (reader, writer) = tokio::io::split(Box::new(stream) as Box<dyn Duplex>);
        let reader = Mutex::new((reader, Framer::default()));
        Self::Stream(Box::new(Stream { via, local, reader, writer: Mutex::new(writer) }))
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Stream(stream) => stream.local,
        }
    }

    /// The word in a Via.
    pub(crate) fn via(&self) -> &'static str {
        match self {
            Self::Udp(_) => "UDP",
            Self::Stream(stream) => stream.via,
        }
    }

    /// The parameter of a Contact.
    pub(crate) fn param(&self) -> String {
        match self {
            Self::Udp(_) => String::new(),
            Self::Stream(stream) => format!(";transport={}", stream.via.to_ascii_lowercase()),
        }
    }

    pub(crate) async fn send(&self, bytes: &[u8], server: SocketAddr) {
        match self {
            Self::Udp(socket) => {
                socket.send_to(bytes, server).await.unwrap();
            }
            Self::Stream(stream) => {
                let mut writer = stream.writer.lock().await;
                writer.write_all(bytes).await.unwrap();
                writer.flush().await.unwrap();
            }
        }
    }

    /// The next message.
    pub(crate) async fn receive(&self) -> Bytes {
        match self {
            Self::Udp(socket) => {
                let mut buffer = vec![0; 65_535];
                let length = socket.recv(&mut buffer).await.unwrap();
                buffer.truncate(length);
                buffer.into()
            }
            Self::Stream(stream) => {
                let mut reader = stream.reader.lock().await;
                let (reader, framer) = &mut *reader;
                loop {
                    match framer.next_framed().unwrap() {
                        Some(Framed::Message(bytes)) => return bytes,
                        Some(Framed::Ping) => {}
                        None => {
                            let read = reader.read_buf(framer.buffer()).await.unwrap();
                            assert!(read > 0, "the connection is closed");
                        }
                    }
                }
            }
        }
    }
}
