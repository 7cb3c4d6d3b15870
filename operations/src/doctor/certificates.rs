//! Certificates as clients see them: each listener's chain, name and time.
//!
//! In    a handshake with each TLS listener. Out whether it is believed by who knows the system's roots, our CA and `tls.trust`; for how long.
//! Not here: STARTTLS, which shows the same certificate, since one policy makes all listeners.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use shared_runtime::tls::judge::of_servers;
use shared_runtime::tls::{PeerCertificate, TlsPolicy};
use shared_runtime::unix_millis;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Findings, Ward};

pub(super) async fn check(ward: &Ward, found: &mut Findings) {
    let tls = match &ward.tls {
        Ok(tls) => tls,
        Err(error) => {
            return found.error(
                format!("the certificate cannot be used: {error}"),
                "see tls.certificate and tls.key, and that this user may read both",
            );
        }
    };
    for unread in tls.iter().flat_map(TlsPolicy::unread) {
        found.error(
            format!(
                "{unread}; a server that runs shows the old one until it ends, and does not start without it"
            ),
            "put a certificate and its key there that this user may read, and send the server SIGHUP",
        );
    }
    let (Some(_), Some(tls)) = (&ward.running, tls) else { return found.no_server() };
    for domain in ward.each_domain(found) {
        let mut well = 0;
        for name in ["sip.tls", "xmpp.c2s_tls", "xmpp.s2s_tls", "http.https"] {
            let Some(address) = ward.reach(name) else { continue };
            match look(tls, domain, address).await {
                Ok(seen) => well += usize::from(tell(name, domain, &seen, found)),
                Err(error) => found.error(
                    format!("{name}: no TLS at {address} for {domain}: {error}"),
                    "look at the log; a proxy or another service may have that port",
                ),
            }
        }
        if well > 0 {
            found.ok(format!("{well} listeners show a certificate that holds for {domain}"));
        }
    }
    if let Some(ca) = tls.local_ca() {
        found.note(
            "the certificate is of a CA of our own: Linphone, Conversations, Gajim and browsers refuse it until they are given that CA; baresip believes anybody unless sip_verify_server is yes",
            format!("install {} on each device, or set tls.certificate to one of a public CA", ca.display()),
        );
    }
}

/// What a listener showed.
struct Seen {
    distrust: Option<rustls::Error>,
    not_after: i64,
}

/// Whether it is well.
fn tell(name: &str, domain: &str, seen: &Seen, found: &mut Findings) -> bool {
    let days = (seen.not_after - unix_millis() / 1_000).div_euclid(86_400);
    if days < 0 {
        found.error(
            format!("{name}: the certificate for {domain} expired {} days ago: every client that looks refuses it", -days),
            "renew it, and send the server SIGHUP",
        );
    } else if let Some(error) = &seen.distrust {
        let remedy = match error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForName)
            | rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForNameContext {
                ..
            }) => {
                format!("get a certificate that names {domain}")
            }
            rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked) => {
                "get a new certificate: a list of tls.revoked has this one".to_owned()
            }
            _ => "put the whole chain into the file of the certificate; a CA of your own goes into tls.trust"
                .to_owned(),
        };
        found
            .error(format!("{name}: clients that look refuse the certificate for {domain}: {error}"), remedy);
    } else if days < SOON {
        found.warning(
            format!("{name}: the certificate for {domain} expires in {days} days"),
            "renew it, and send the server SIGHUP",
        );
    } else {
        return true;
    }
    false
}

async fn look(tls: &TlsPolicy, domain: &str, address: SocketAddr) -> Result<Seen, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let name = shared_runtime::names::to_ascii(domain).unwrap_or_else(|| domain.to_owned());
    let name = ServerName::try_from(name).map_err(|error| told(&error))?;
    let (servers, seen) = (tls.servers(), Arc::new(Mutex::new(None)));
    // Everybody is believed, and it is written down who would not be.
    let witness = Arc::clone(&seen);
    let verifier = of_servers(move |chain, name| {
        let distrust = servers.judge(chain, name).err();
        let not_after = PeerCertificate::read(chain.leaf).map_or(0, |read| read.not_after);
        *witness.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { distrust, not_after });
        Ok(())
    });
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier);
    let handshake = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config.with_no_client_auth())).connect(name, stream).await
    };
    match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no answer in time".to_owned()),
    }
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    seen.ok_or_else(|| "it showed no certificate".to_owned())
}

const PATIENCE: Duration = Duration::from_secs(5);
/// Days before the end that are time to renew.
const SOON: i64 = 21;
