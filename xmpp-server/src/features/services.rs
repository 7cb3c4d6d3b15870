//! Services beside this one — XEP-0215 1.0.0, sections 3.1 to 3.3 (all, selected, credentials).
//!
//! In    a get at the domain, of an account of this service.
//! Out   STUN and TURN servers of `[xmpp.turn]`, with a name and a password that are good for a while (`turn`).
//! Errors `forbidden` to others: a relay costs money; `item-not-found` for a service that is not known, or without password.
//! Not here: pushes; the list changes with the configuration, and clients ask again when their passwords end.

use shared_model::Spec;
use shared_runtime::unix_millis;
use xmpp_core::payload::delay::date_time;
use xmpp_core::{Element, ErrorKind, ns};

use super::{Answered, Feature, Request, Target, store_failed};
use crate::server::Server;
use crate::turn::{Credentials, Service};

pub(super) const FEATURE: Feature = Feature {
    specs: &[Spec::xep(215, "1.0.0").complete(), Spec::rfc(7064).complete(), Spec::rfc(7065).complete()],
    takes: &[("services", ns::EXTERNAL), ("credentials", ns::EXTERNAL)],
    server: &[ns::EXTERNAL],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    let known = &server.turn.services;
    if request.target != Target::Server || request.is_set || known.is_empty() {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    let account = server.account(&request.from).await.map_err(|error| store_failed(&error))?;
    let account = account.ok_or(ErrorKind::Forbidden)?;
    let credentials = server.turn.credentials(account.account, unix_millis());
    if request.payload.name == "credentials" {
        let asked = request.payload.get("service").ok_or(ErrorKind::BadRequest)?;
        let (host, type_) = (asked.attribute("host"), asked.attribute("type"));
        let (host, type_) = host.zip(type_).ok_or(ErrorKind::BadRequest)?;
        let port = asked.attribute("port");
        let is_meant = |service: &&Service| {
            let is_port = port.is_none_or(|port| port == service.port.to_string());
            service.host == host && service.type_ == type_ && service.is_relay() && is_port
        };
        let credentials = credentials.ok_or(ErrorKind::ItemNotFound)?;
        let mut shown =
            known.iter().filter(is_meant).map(|service| show(service, Some(&credentials))).peekable();
        shown.peek().ok_or(ErrorKind::ItemNotFound)?;
        return Ok(Element::new("credentials", ns::EXTERNAL).children_from(shown).into());
    }
    let type_ = request.payload.attribute("type");
    let shown = known
        .iter()
        .filter(|service| type_.is_none_or(|type_| type_ == service.type_))
        .map(|service| show(service, credentials.as_ref().filter(|_| service.is_relay())));
    Ok(Element::new("services", ns::EXTERNAL).with_some("type", type_).children_from(shown).into())
}

fn show(service: &Service, credentials: Option<&Credentials>) -> Element {
    let element = Element::new("service", ns::EXTERNAL)
        .with("type", service.type_)
        .with("host", &service.host)
        .with("port", service.port)
        .with("transport", service.transport);
    match credentials {
        Some(it) => element
            .with("username", &it.username)
            .with("password", &it.password)
            .with("expires", date_time(it.expires))
            .with("restricted", "true"),
        None => element,
    }
}
