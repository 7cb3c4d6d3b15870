//! Asking to be woken — XEP-0357 0.4.1, sections 4.1 (disco), 5 (enable), 6 (disable); what follows is in `crate::push`.
//!
//! In    `<enable/>` and `<disable/>` of an account's own client.
//! Out   a registration of that client's resource, or its end.
//! Errors `forbidden` for another's account, `bad-request` without the address of a service, `resource-constraint` for too
//!        many clients.

use shared_model::Spec;
use xmpp_core::payload::form::Form;
use xmpp_core::{ErrorKind, Jid, ns};

use super::{Answer, Answered, Feature, Request, store_failed};
use crate::push::Registration;
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[Spec::xep(357, "0.4.1").complete()],
    takes: &[("enable", ns::PUSH), ("disable", ns::PUSH)],
    server: &[],
    account: &[ns::PUSH],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    let user = request.own_account().ok_or(ErrorKind::Forbidden)?;
    let service = request.payload.attribute("jid").filter(|_| request.is_set).ok_or(ErrorKind::BadRequest)?;
    let service: Jid = service.parse().map_err(|_| ErrorKind::JidMalformed)?;
    let node = request.payload.attribute("node");
    if node.is_some_and(|node| node.len() > LONGEST) {
        return Err(ErrorKind::NotAcceptable.into());
    }
    let done = if request.payload.name == "disable" {
        server.pushes.disable(user.as_str(), service.as_str(), node).await
    } else {
        let form = request.payload.find("x", ns::FORM);
        let options = form.filter(|form| {
            Form::parse(form).is_some_and(|form| form.value("FORM_TYPE") == Some(ns::PUBLISH_OPTIONS))
        });
        let options = options.map(ToString::to_string);
        if options.as_ref().is_some_and(|options| options.len() > LONGEST_OPTIONS) {
            return Err(ErrorKind::NotAcceptable.into());
        }
        let registration = Registration {
            service: service.to_string(),
            node: node.unwrap_or_default().to_owned(),
            options,
            resource: request.from.resource().unwrap_or_default().to_owned(),
        };
        server.pushes.enable(user.as_str(), &registration).await
    };
    done.map_err(|error| store_failed(&error))?;
    Ok(Answer::default())
}

/// Bytes of a node's name, and of what a service wants beside a publication.
const LONGEST: usize = 1024;
const LONGEST_OPTIONS: usize = 4096;
