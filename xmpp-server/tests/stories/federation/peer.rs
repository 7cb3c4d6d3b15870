//! Another server, as bytes: it says what the test says, and hears what ours says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared_runtime::tls::{self, judge};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use xmpp_core::xml::{Frame, Framer, Limits};

const PATIENCE: Duration = Duration::from_secs(10);

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One stream with a server of ours.
pub(crate) struct Peer {
    io: Box<dyn Io>,
    framer: Framer,
    /// The attributes of the last header that we heard.
    pub(crate) header: Vec<(String, String)>,
}

impl Peer {
    fn new(io: Box<dyn Io>) -> Self {
        Self { io, framer: Framer::new(Limits::default()), header: Vec::new() }
    }

    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::new(Box::new(TcpStream::connect(address).await.unwrap()))
    }

    /// The next who connects to a listener of the test.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (socket, _) = timeout(PATIENCE, listener.accept()).await.expect("somebody connects").unwrap();
        Self::new(Box::new(socket))
    }

    /// Whoever connects over TLS, from the first byte or at this moment.
    pub(crate) async fn protect_server(self, tls: &tls::Config) -> Self {
        let (chain, key) = read(tls);
        let mut config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"xmpp-server".to_vec()];
        let stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(self.io).await.unwrap();
        Self::new(Box::new(stream))
    }

    /// TLS as a client, with a certificate of ours if there is one.
    pub(crate) async fn protect(self, domain: &str, tls: Option<&tls::Config>, alpn: Option<&[u8]>) -> Self {
        let builder = rustls::ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(judge::of_servers(|_, _| Ok(())));
        let mut config = match tls {
            Some(tls) => {
                let (chain, key) = read(tls);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
        let name = ServerName::try_from(domain.to_owned()).unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Self::new(Box::new(connector.connect(name, self.io).await.unwrap()))
    }

    /// Opens the stream from one domain to another; the features.
    pub(crate) async fn open(&mut self, from: &str, to: &str) -> String {
        self.framer = Framer::new(Limits::default());
        self.send(&header(&format!("from='{from}' to='{to}'"))).await;
        self.next().await.unwrap_or_default()
    }

    /// Answers a header that is heard.
    pub(crate) async fn answer(&mut self, id: &str, features: &str) {
        self.heard_header().await;
        let (to, from) = (self.attribute("from"), self.attribute("to"));
        self.send(&header(&format!("from='{from}' to='{to}' id='{id}'"))).await;
        self.send(&format!("<stream:features>{features}</stream:features>")).await;
    }

    /// Waits for a header.
    pub(crate) async fn heard_header(&mut self) {
        self.header.clear();
        while self.header.is_empty() {
            assert!(self.frame().await.is_some(), "the stream ended without a header");
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> String {
        let found = self.header.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// A connection with TLS, and the stream open on it; the features.
    pub(crate) async fn secured(
        address: SocketAddr,
        from: &str,
        to: &str,
        tls: Option<&tls::Config>,
    ) -> (Self, String) {
        let mut peer = Self::connect(address).await;
        let features = peer.open(from, to).await;
        assert!(features.contains("<required"), "{features}");
        peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        peer.expect(&["<proceed"]).await;
        let mut peer = peer.protect(to, tls, None).await;
        let features = peer.open(from, to).await;
        (peer, features)
    }

    /// A stream that was proven by a certificate.
    pub(crate) async fn proven(address: SocketAddr, from: &str, to: &str, tls: &tls::Config) -> Self {
        let (mut peer, features) = Self::secured(address, from, to, Some(tls)).await;
        assert!(features.contains("EXTERNAL"), "{features}");
        peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
        peer.expect(&["<success"]).await;
        peer.open(from, to).await;
        peer
    }

    /// The same, by which what is for it goes back.
    pub(crate) async fn both_ways(address: SocketAddr, from: &str, to: &str, tls: &tls::Config) -> Self {
        let (mut peer, _) = Self::secured(address, from, to, Some(tls)).await;
        peer.send("<bidi xmlns='urn:xmpp:bidi'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
        peer.expect(&["<success"]).await;
        peer.open(from, to).await;
        peer
    }

    pub(crate) async fn send(&mut self, text: &str) {
        let _ = self.io.write_all(text.as_bytes()).await; // the other side may be gone
        let _ = self.io.flush().await;
    }

    /// The next frame; `None` at the end of the stream.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            match self.framer.next().expect("the server writes XML") {
                Some(Frame::Open(head)) => {
                    self.header.clone_from(&head.attributes);
                    return Some(Frame::Open(head));
                }
                Some(Frame::Close) => return None,
                Some(frame) => return Some(frame),
                None => {
                    let mut chunk = [0_u8; 4096];
                    let read = timeout(PATIENCE, self.io.read(&mut chunk)).await;
                    match read.expect("the server says something in time") {
                        Ok(0) | Err(_) => return None,
                        Ok(length) => self.framer.push(&chunk[..length]),
                    }
                }
            }
        }
    }

    /// The next element as text; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Frame::Element(head, content) = self.frame().await? {
                let mut text = format!("<{} xmlns='{}'", head.name, head.ns);
                for (name, value) in &head.attributes {
                    text.push_str(&format!(" {name}='{value}'"));
                }
                let content = String::from_utf8(content.to_vec()).unwrap();
                return Some(format!("{text}>{content}</{}>", head.name));
            }
        }
    }

    /// The next element that holds all of these; what comes before it is passed over.
    pub(crate) async fn expect(&mut self, parts: &[&str]) -> String {
        let mut passed = Vec::new();
        while let Some(text) = self.next().await {
            if parts.iter().all(|part| text.contains(part)) {
                return text;
            }
            passed.push(text);
        }
        panic!("the stream ended without {parts:?}; it said {passed:#?}");
    }

    /// Asserts that the stream ends with this error.
    pub(crate) async fn expect_stream_error(&mut self, condition: &str) {
        let error = self.expect(&["<error", "streams"]).await;
        assert!(error.contains(condition), "{condition} was expected: {error}");
        assert_eq!(self.next().await, None);
    }
}

fn header(addresses: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' {addresses} version='1.0'>"
    )
}

fn read(tls: &tls::Config) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(tls.certificate.as_ref().unwrap()).unwrap();
    let key = PrivateKeyDer::from_pem_file(tls.key.as_ref().unwrap()).unwrap();
    (chain.map(Result::unwrap).collect(), key)
}
