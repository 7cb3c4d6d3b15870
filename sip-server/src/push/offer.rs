//! What a REGISTER is told of pushes — RFC 8599 §5.4, §5.6.1.
//!
//! In    one contact of a REGISTER. Out Feature-Caps for its 2xx.
//! Errors 555 for a service that the gateway does not know, 423 for a binding that would end before it can be refreshed.

use shared_store::Binding;
use sip_core::header::{Name, NameAddr};
use sip_core::{Message, Uri};

use super::Pushes;
use super::device::Asked;
use crate::server::Server;

/// What one contact is told.
#[derive(Debug)]
pub(crate) struct Offer {
    providers: Vec<String>,
    /// The contact that is woken, if it asked for that.
    woken: Option<String>,
    /// §4.1.4: it wakes itself too.
    is_self_waking: bool,
}

impl Offer {
    /// Judges what a contact asks for; `seconds` is for how long it is bound.
    pub(crate) fn judge(
        service: &Pushes,
        request: &Message,
        contact: &NameAddr<'_>,
        uri: &Uri<'_>,
        seconds: i64,
    ) -> Result<Option<Self>, Box<Message>> {
        // §5.6.1.1: a proxy before us does it.
        let is_done = request.other_values("Feature-Caps").any(|caps| caps.contains("+sip.pns"));
        let asked = if is_done { Asked::Nothing } else { Asked::read(uri) };
        let (wanted, target) = match asked {
            Asked::Nothing => return Ok(None),
            Asked::Which(wanted) => (wanted, None),
            Asked::Wake(target) => (Some(target.provider.clone()), Some(target)),
        };
        let providers: Vec<String> = service
            .config()
            .providers
            .iter()
            .filter(|name| wanted.as_ref().is_none_or(|w| *name == w))
            .cloned()
            .collect();
        if providers.is_empty() {
            return Err(Box::new(Message::response(request, 555, "")));
        }
        if target.as_ref().is_some_and(|target| !target.is_complete()) {
            // Not all is there that the service needs: it is bound, and not woken.
            return Ok(None);
        }
        let woken = target.map(|_| contact.uri.to_owned());
        let shortest = service.config().shortest_binding();
        if woken.is_some() && (1..shortest).contains(&seconds) {
            let mut response = Message::response(request, 423, "");
            response.push(Name::MinExpires, &shortest.to_string());
            return Err(Box::new(response));
        }
        let is_self_waking = contact.params.has("+sip.pnsreg");
        Ok(Some(Self { providers, woken: woken.filter(|_| seconds > 0), is_self_waking }))
    }

    /// One Feature-Caps for each service (§5.4).
    pub(crate) fn tell(
        &self,
        server: &Server,
        service: &Pushes,
        bindings: &[Binding],
        response: &mut Message,
    ) {
        let binding =
            self.woken.as_ref().and_then(|woken| bindings.iter().find(|known| known.contact == *woken));
        for provider in &self.providers {
            let mut caps = format!("*;+sip.pns=\"{provider}\"");
            if let Some(key) = service.config().vapid.as_ref().filter(|_| provider == "webpush") {
                caps.push_str(&format!(";+sip.vapid=\"{key}\""));
            }
            if self.is_self_waking {
                // More than 120, and before we push for it.
                let before = service.config().refresh.as_secs().saturating_add(30).max(121);
                caps.push_str(&format!(";+sip.pnsreg=\"{before}\""));
            }
            if let Some(purr) = binding.and_then(|binding| server.purrs.issue(binding)) {
                caps.push_str(&format!(";+sip.pnspurr=\"{purr}\""));
            }
            response.push_other("Feature-Caps", &caps);
        }
    }
}
