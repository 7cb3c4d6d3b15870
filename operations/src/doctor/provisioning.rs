//! Whether a client gets its configuration — RFC 7081 §6: one file, for somebody who proves an account by a password (RFC 7617).
//!
//! In    a temporary account and the listener `http.https`. Out `linphone.xml`, which names that account.
//! Errors the step that did not happen.
//! Not here: that clients understand it; the links and tokens by which phones come.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::patient::{Ill, Patient, Trial};
use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    PROVISIONING.carry_out(ward, found).await;
}

const PROVISIONING: Trial = Trial {
    listener: "http.https",
    without: "configurations come from there",
    done: "got its configuration for Linphone",
    patience: PATIENCE,
    run: |ward, patient| {
        Box::pin(async {
            let remedy = "look at the certificates and the log; a proxy may have that port";
            let answer = fetch(ward, patient).await.map_err(|what| Ill { what, remedy })?;
            let remedy = "see that this server runs the part provisioning, and read its log of that moment";
            judge(&answer, patient.aor.local()).map_err(|what| Ill { what, remedy })
        })
    },
};

async fn fetch(ward: &Ward, patient: &Patient) -> Result<String, String> {
    let told = |error: std::io::Error| format!("http.https: {error}");
    let (Some(address), Ok(Some(tls))) = (ward.reach("http.https"), &ward.tls) else {
        return Err("http.https listens nowhere".to_owned());
    };
    let domain = patient.aor.domain();
    let host = shared_runtime::names::to_ascii(domain).unwrap_or_else(|| domain.to_owned());
    let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
    let socket = TcpStream::connect(address).await.map_err(told)?;
    let mut stream =
        TlsConnector::from(tls.client(&[b"http/1.1"])).connect(name, socket).await.map_err(told)?;
    let proof = BASE64_STANDARD.encode(format!("{}:{}", patient.aor, patient.password));
    let request = format!(
        "GET /provision/{FILE} HTTP/1.1\r\nHost: {host}:{}\r\nAuthorization: Basic {proof}\r\nConnection: close\r\n\r\n",
        address.port()
    );
    stream.write_all(request.as_bytes()).await.map_err(told)?;
    stream.flush().await.map_err(told)?;
    let mut answer = Vec::new();
    // An end without close_notify is one: what came is judged.
    let read = stream.take(LONGEST).read_to_end(&mut answer).await;
    match read {
        Err(error) if answer.is_empty() => Err(told(error)),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// Whether the answer is the file of that account; what it says is not repeated, since a password is in it.
fn judge(answer: &str, user: &str) -> Result<(), String> {
    let status = answer.lines().next().unwrap_or_default();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("{FILE} was refused: {status}"));
    }
    if !body.contains("<config") || !body.contains(user) {
        return Err(format!("{FILE} came, and does not name the account that it is for"));
    }
    Ok(())
}

const FILE: &str = "linphone.xml";
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_of_whom_it_was_asked_for() {
        let answer = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\nA: b\r\n\r\n{body}");
        assert_eq!(judge(&answer("200 OK", "<config>doctor-1</config>"), "doctor-1"), Ok(()));
        assert!(
            judge(&answer("200 OK", "<config>bob</config>"), "doctor-1")
                .unwrap_err()
                .contains("does not name")
        );
        let refused = judge(&answer("401 Unauthorized", "<config>doctor-1"), "doctor-1").unwrap_err();
        assert!(refused.ends_with("HTTP/1.1 401 Unauthorized"), "{refused}");
        assert!(judge("", "doctor-1").is_err());
    }
}
