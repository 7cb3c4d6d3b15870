//! A stream of ours to another server, up to the moment when it may be used — RFC 6120 §3.2, §5.4.3 (initiating entity),
//! §13.7.2.1, XEP-0368 (TLS from the first byte).
//!
//! In    a pair of domains, and what the stream is for.
//! Out   an open stream, or the verdict on a key.
//! State none that outlives the call. Every host of the domain is tried, in order, until one takes us.
//! Errors [`Failure`]: of the last host.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use shared_runtime::names::to_ascii;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use xmpp_core::stream::CLOSE;
use xmpp_core::stream::server::{Ask, Initiating, Pair, Purpose, Refusal, Talk, Verdict, Wish};
use xmpp_core::xml::{Framer, Limits};

use super::config::Security;
use super::dialback::authzid;
use super::failure::Failure;
use super::resolve::{Host, hosts};
use super::stream::{Machine, Stream};
use super::trust::Certificate;
use super::{connect, tune};
use crate::c2s::{Io, close};
use crate::server::Server;

/// What became of a call.
pub(super) enum Dialed {
    Open(Box<Stream>),
    Judged(Verdict),
}

/// Connects and negotiates until `deadline`.
pub(super) async fn dial(
    server: &Server,
    pair: &Pair,
    purpose: Purpose,
    deadline: Instant,
) -> Result<Dialed, Failure> {
    let domain = to_ascii(&pair.theirs).ok_or(Failure::NoSuchDomain)?;
    let found = timeout_at(deadline, hosts(&server.federation.names, &domain)).await;
    let mut last = Failure::TooSlow;
    for host in found.map_err(|_| Failure::Silence)?? {
        // A host that is silent leaves time for the next one.
        let until = deadline.min(Instant::now() + server.federation.config.timeout.div_f32(2.0));
        match timeout_at(until, call(server, pair, &purpose, &domain, &host)).await {
            Ok(Ok(dialed)) => return Ok(dialed),
            Ok(Err(failure)) => last = failure,
            Err(_) => last = Failure::TooSlow,
        }
    }
    Err(last)
}

async fn call(
    server: &Server,
    pair: &Pair,
    purpose: &Purpose,
    domain: &str,
    host: &Host,
) -> Result<Dialed, Failure> {
    let socket = connect::any(&host.addresses).await;
    let socket = socket.map_err(|error| Failure::Unreachable(error.to_string()))?;
    tune(&socket);
    // A server that vanished without a word acknowledges nothing. An error leaves the socket as the system made it, which works too.
    let _ = SockRef::from(&socket).set_tcp_user_timeout(Some(server.config.ack_timeout));
    let mut call = Call { server, pair, domain, io: Box::new(socket), certificate: None };
    if host.is_direct {
        call.protect(true).await?;
    }
    call.negotiate(purpose.clone(), host.is_direct).await
}

struct Call<'a> {
    server: &'a Server,
    pair: &'a Pair,
    domain: &'a str,
    io: Box<dyn Io>,
    certificate: Option<Certificate>,
}

impl Call<'_> {
    /// TLS, with the name of the domain and not of its host (RFC 6120 §13.7.2.1).
    async fn protect(&mut self, is_direct: bool) -> Result<(), Failure> {
        let trust = &self.server.federation.trust;
        let name = ServerName::try_from(self.domain.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| Failure::Tls(error.to_string()))?;
        let config = trust.client(&self.pair.ours, is_direct);
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let connected = TlsConnector::from(Arc::clone(config)).connect(name, plain).await;
        let stream = connected.map_err(|error| Failure::Tls(error.to_string()))?;
        self.certificate = trust.judge(stream.get_ref().1.peer_certificates());
        self.io = Box::new(stream);
        let is_known = self.certificate.as_ref().is_some_and(|it| it.is_of(&self.pair.theirs));
        if !is_known && self.server.federation.config.security == Security::Verified {
            return Err(Failure::Untrusted);
        }
        Ok(())
    }

    async fn negotiate(mut self, purpose: Purpose, is_secure: bool) -> Result<Dialed, Failure> {
        let config = &self.server.federation.config;
        let wish = Wish {
            pair: self.pair.clone(),
            purpose,
            is_secure,
            require_tls: config.security != Security::Optional,
            dialback: true,
            authzid: authzid(&self.pair.ours),
            limits: self.server.federation.limits,
        };
        let limits = Limits { bytes: self.server.config.unproven_bytes, ..Limits::default() };
        let mut out = String::new();
        let mut machine = Initiating::new(wish, &mut out);
        let mut framer = Framer::new(limits);
        loop {
            loop {
                let frame = match framer.next() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) => return Err(self.give_up(Refusal::Wrong(error.into()), out).await),
                };
                match machine.handle(frame, &mut out) {
                    Ok(None) => {}
                    Ok(Some(Ask::StartTls)) => {
                        self.flush(&mut out).await?;
                        // Bytes behind <proceed/> may be an attacker's (RFC 6120 §5.4.3.3).
                        if framer.restart() {
                            return Err(Failure::Tls("something was said before TLS".to_owned()));
                        }
                        self.protect(false).await?;
                        machine.secured(&mut out);
                    }
                    Ok(Some(Ask::Restart)) => {
                        framer.restart();
                    }
                    Ok(Some(Ask::Key(id))) => {
                        machine.show(self.server.federation.keys.make(self.pair, &id), &mut out);
                    }
                    Ok(Some(Ask::Judged(verdict))) => {
                        self.end(out).await;
                        return Ok(Dialed::Judged(verdict));
                    }
                    Ok(Some(Ask::Open(talk))) => {
                        self.flush(&mut out).await?;
                        return Ok(Dialed::Open(Box::new(self.opened(talk, &machine, framer))));
                    }
                    Err(refusal) => return Err(self.give_up(refusal, out).await),
                }
            }
            self.flush(&mut out).await?;
            let mut chunk = [0_u8; 4096];
            match self.io.read(&mut chunk).await {
                Ok(0) | Err(_) => return Err(Failure::Lost),
                Ok(length) => framer.push(&chunk[..length]),
            }
        }
    }

    fn opened(self, talk: Talk, machine: &Initiating, mut framer: Framer) -> Stream {
        framer.set_limits(Limits { bytes: self.server.config.stanza_bytes, ..Limits::default() });
        let by = match &self.certificate {
            Some(certificate) if certificate.is_of(&self.pair.theirs) => "certificate",
            _ => "name servers",
        };
        let is_bidi = machine.is_bidi();
        tracing::info!(domain = %self.pair.theirs, from = %self.pair.ours, by, is_bidi, "stream to another server");
        Stream {
            io: self.io,
            framer,
            limits: machine.limits(),
            counts: machine.counts(),
            machine: Machine::Initiated(talk),
            id: machine.id().to_owned(),
            certificate: self.certificate,
            first: None,
            unproven: None,
        }
    }

    async fn give_up(&mut self, refusal: Refusal, mut out: String) -> Failure {
        if let Refusal::Wrong(error) = &refusal {
            out.push_str(&error.print());
        }
        self.end(out).await;
        refusal.into()
    }

    async fn end(&mut self, mut out: String) {
        out.push_str(CLOSE);
        let _ = self.flush(&mut out).await; // the peer may be gone
        close(&mut self.io).await;
    }

    async fn flush(&mut self, out: &mut String) -> Result<(), Failure> {
        let text = std::mem::take(out);
        let write = async {
            self.io.write_all(text.as_bytes()).await?;
            self.io.flush().await
        };
        write.await.map_err(|_| Failure::Lost)
    }
}
