//! Whether chat works — RFC 6120, RFC 6121: somebody logs in over TLS and writes to themself.
//!
//! In    a temporary account and the listener `xmpp.c2s_tls`. Out SASL PLAIN, a bound resource, one message that comes back.
//! Errors the step that did not happen.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::patient::{Patient, Trial};
use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    CHAT.carry_out(ward, found).await;
}

const CHAT: Trial = Trial {
    listener: "xmpp.c2s_tls",
    without: "this chat goes by direct TLS",
    done: "logged in, wrote to itself, and got it",
    patience: PATIENCE,
    run: |ward, patient| Box::pin(async { Ok(talk(ward, patient).await?) }),
};

/// One stream, and what came since the last word of ours.
pub(super) struct Talk {
    stream: TlsStream<TcpStream>,
    heard: String,
}

async fn talk(ward: &Ward, patient: &Patient) -> Result<(), String> {
    let mut line = Talk::log_in(ward, patient).await?;
    line.say("<presence/>").await?;
    let word = format!("{:016x}", shared_runtime::random());
    let own = &patient.aor.0;
    line.say(&format!("<message type='chat' id='m' to='{own}'><body>{word}</body></message>")).await?;
    line.until(&word, "the message to oneself did not come").await?;
    line.say("</stream:stream>").await
}

impl Talk {
    /// A session of the account, its resource bound.
    pub(super) async fn log_in(ward: &Ward, patient: &Patient) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("xmpp.c2s_tls: {error}");
        let (Some(address), Ok(Some(tls))) = (ward.reach("xmpp.c2s_tls"), &ward.tls) else {
            return Err("xmpp.c2s_tls listens nowhere".to_owned());
        };
        let domain = patient.aor.domain();
        let name = shared_runtime::names::to_ascii(domain).unwrap_or_else(|| domain.to_owned());
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let socket = TcpStream::connect(address).await.map_err(told)?;
        let stream = TlsConnector::from(tls.client(&[b"xmpp-client"])).connect(name, socket).await;
        let mut line = Talk { stream: stream.map_err(told)?, heard: String::new() };
        let open = format!(
            "<stream:stream to='{domain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        line.say(&open).await?;
        line.until("</stream:features>", "no features of the stream").await?;
        let (user, password) = (patient.aor.local(), &patient.password);
        let proof = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        line.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"))
            .await?;
        line.until("<success", "the login was refused").await?;
        line.say(&open).await?;
        line.until("</stream:features>", "no features after the login").await?;
        line.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>doctor</resource></bind></iq>")
        .await?;
        line.until("</jid>", "no resource was bound").await?;
        Ok(line)
    }

    pub(super) fn heard(&self) -> &str {
        &self.heard
    }

    pub(super) async fn say(&mut self, text: &str) -> Result<(), String> {
        self.heard.clear();
        let said = async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await
        };
        said.await.map_err(|error| format!("xmpp.c2s_tls: {error}"))
    }

    /// Reads until this is there.
    pub(super) async fn until(&mut self, wanted: &str, otherwise: &str) -> Result<(), String> {
        let mut bytes = [0; 4096];
        while !self.heard.contains(wanted) {
            let length =
                self.stream.read(&mut bytes).await.map_err(|error| format!("{otherwise}: {error}"))?;
            if length == 0 || self.heard.len() > LONGEST || self.heard.contains("<failure") {
                return Err(otherwise.to_owned());
            }
            self.heard.push_str(&String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()));
        }
        Ok(())
    }
}

pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer.
const LONGEST: usize = 256 * 1024;
