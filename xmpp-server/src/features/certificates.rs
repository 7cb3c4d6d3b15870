//! Certificates of an account's own by which its clients come in — XEP-0257 0.3, sections 2 (management), 3 (EXTERNAL), 5.2 (passwords,
//! in `register`).
//!
//! In    requests of the account's own user, over an encrypted stream (section 5.1).
//! Out   the list, with who is in by what; a certificate more or less. The sessions of one that is revoked end, the asker's too; those of
//!       one that is disabled go on.
//! State `shared-auth`'s, durable before the answer.
//! Errors `forbidden` to a client that is in by an app password, or by a certificate that may not change the list; `conflict` for a name or
//!        certificate that is there; `not-acceptable` for what could let nobody in: no certificate, one that is over or names others.
//! Not here: where `tls.client_ca` says whose certificates count, or `xmpp.own_certificates` is false, there is none of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use shared_auth::{CertificateError, OwnCertificate};
use shared_model::{BareJid, Spec};
use shared_runtime::tls::PeerCertificate;
use shared_runtime::unix_millis;
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{Element, ErrorKind, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, clients::REVOKED, store_failed};
use crate::access::Access;
use crate::c2s::xmpp_names;
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[Spec::xep(257, "0.3")
        .note("where no CA for clients is given; no form that asks for the old password")],
    takes: &[
        ("append", ns::SASL_CERT),
        ("items", ns::SASL_CERT),
        ("disable", ns::SASL_CERT),
        ("revoke", ns::SASL_CERT),
    ],
    server: &[ns::SASL_CERT],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    if !server.takes_certificates {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    let jid: BareJid = user.as_str().parse().map_err(|_| ErrorKind::JidMalformed)?;
    let sessions = server.router.sessions(user.as_str());
    let asker = sessions.iter().find(|session| session.jid == request.from).ok_or(ErrorKind::Forbidden)?;
    if !asker.access.is_protected {
        return Err(StanzaError::because(ErrorKind::PolicyViolation, "over an encrypted stream alone"));
    }
    match (request.payload.name.as_str(), request.is_set) {
        ("items", false) => return list(server, &jid).await,
        ("append" | "disable" | "revoke", true) => {}
        _ => return Err(ErrorKind::BadRequest.into()),
    }
    check(server, &jid, &asker.access).await?;
    let name = request.payload.text_of("name").map(|name| name.trim().to_owned()).unwrap_or_default();
    match request.payload.name.as_str() {
        "append" => append(server, &jid, &name, &request.payload).await?,
        "disable" => drop(remove(server, &jid, &name).await?),
        _ => {
            let fingerprint = remove(server, &jid, &name).await?;
            let why = StreamError::because(StreamCondition::NotAuthorized, REVOKED);
            for session in server.router.sessions(jid.as_str()) {
                if session.access.certificate.as_ref() == Some(&fingerprint) {
                    session.door.end(why.clone());
                }
            }
        }
    }
    tracing::info!(account = %asker.account, what = request.payload.name, "an account changed the certificates of its clients");
    Ok(Answer::default())
}

/// Whether the asker may change the list (section 2.1).
async fn check(server: &Server, jid: &BareJid, access: &Access) -> Result<(), StanzaError> {
    if access.app.is_some() {
        return Err(StanzaError::because(
            ErrorKind::Forbidden,
            "an app password may not change certificates",
        ));
    }
    let Some(fingerprint) = &access.certificate else { return Ok(()) };
    let own = server.auth.certificates.find(jid, fingerprint).await.map_err(|error| store_failed(&error))?;
    match own {
        Some(own) if own.may_manage => Ok(()),
        // One that was disabled meanwhile lets nobody do anything more.
        _ => Err(StanzaError::because(ErrorKind::Forbidden, "this certificate may not change certificates")),
    }
}

/// Section 2.2.
async fn list(server: &Server, jid: &BareJid) -> Answered {
    let all = server.auth.certificates.list(jid).await.map_err(|error| store_failed(&error))?;
    let sessions = server.router.sessions(jid.as_str());
    let items = all.into_iter().map(|own| {
        let users =
            sessions.iter().filter(|session| session.access.certificate.as_ref() == Some(&own.fingerprint));
        let users = users
            .filter_map(|session| session.jid.resource())
            .map(|resource| element("resource").text_node(resource));
        let users: Vec<Element> = users.collect();
        let users = (!users.is_empty()).then(|| element("users").children_from(users));
        item(own).children_from(users)
    });
    Ok(element("items").children_from(items).into())
}

/// A certificate as the list has it.
pub(crate) fn item(own: OwnCertificate) -> Element {
    let rights = (!own.may_manage).then(|| element("no-cert-management"));
    element("item")
        .child(element("name").text_node(own.name))
        .children_from(rights)
        .child(element("x509cert").text_node(STANDARD.encode(own.der)))
}

/// Section 2.1.
async fn append(server: &Server, jid: &BareJid, name: &str, said: &Element) -> Result<(), StanzaError> {
    let unfit = |why: &str| StanzaError::because(ErrorKind::NotAcceptable, why);
    let text: String = said.text_of("x509cert").unwrap_or_default().split_whitespace().collect();
    if text.is_empty() || text.len() > LONGEST {
        return Err(StanzaError::because(ErrorKind::BadRequest, "a certificate is wanted, of 8 KiB at most"));
    }
    let der = STANDARD.decode(text).map_err(|_| unfit("this is no base64"))?;
    let read = PeerCertificate::read(&der);
    // What the handshake could do nothing with.
    let is_usable = ParsedCertificate::try_from(&CertificateDer::from(der.as_slice())).is_ok();
    let read = read.filter(|_| is_usable).ok_or_else(|| unfit("this is no certificate of version 3"))?;
    if read.not_after <= unix_millis() / 1000 {
        return Err(unfit("the certificate is over"));
    }
    let names = xmpp_names(&read);
    if !names.is_empty() && !names.iter().any(|name| name.bare_str() == jid.as_str()) {
        return Err(unfit("the certificate names others"));
    }
    let may_manage = said.find("no-cert-management", ns::SASL_CERT).is_none();
    server.auth.certificates.add(jid, name, &der, may_manage).await.map_err(|error| {
        let kind = match &error {
            CertificateError::NoName => ErrorKind::BadRequest,
            CertificateError::NameTaken | CertificateError::Known(_) => ErrorKind::Conflict,
            CertificateError::TooMany => ErrorKind::ResourceConstraint,
            CertificateError::Store(error) => return store_failed(error),
        };
        StanzaError::because(kind, error.to_string())
    })
}

/// Sections 2.3 and 2.4: what named the certificate.
async fn remove(server: &Server, jid: &BareJid, name: &str) -> Result<String, StanzaError> {
    let gone = server.auth.certificates.remove(jid, name).await.map_err(|error| store_failed(&error))?;
    Ok(gone.ok_or(ErrorKind::ItemNotFound)?.fingerprint)
}

fn element(name: &str) -> Element {
    Element::new(name, ns::SASL_CERT)
}

/// Characters of a certificate in base64.
const LONGEST: usize = 11_000;
