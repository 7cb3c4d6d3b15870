//! What a REGISTER is answered — RFC 3261 §10.3 step 8, RFC 3327 §5.3, RFC 3608 §6.3, RFC 5626 §6, RFC 5627 §5.1.

use shared_store::{Binding, StoreError};
use sip_core::Message;
use sip_core::header::Name;

use super::outbound::Outbound;
use super::{EXTENSIONS, supports};
use crate::gruu::Gruus;
use crate::routing::unavailable;
use crate::sealed;
use crate::server::Server;

/// Everything that is bound.
pub(super) fn success(
    server: &Server,
    request: &Message,
    bindings: &[Binding],
    outbound: Outbound,
    now: i64,
) -> Message {
    let wants_gruu = supports(request, "gruu");
    let mut response = Message::response(request, 200, "");
    for binding in bindings {
        let left = ((binding.expires - now) / 1_000).max(1);
        let mut contact = format!("<{}>;expires={left}", binding.contact);
        if binding.q < 1_000 {
            contact.push_str(&format!(";q={:.3}", f32::from(binding.q) / 1_000.0));
        }
        if !binding.parameters.is_empty() {
            contact.push(';');
            contact.push_str(&binding.parameters);
        }
        if wants_gruu && !binding.instance.is_empty() {
            contact.push_str(&gruus(server, binding));
        }
        response.push(Name::Contact, &contact);
    }
    let path: Vec<&str> = request.elements(Name::Path).collect();
    if !path.is_empty() {
        response.push(Name::Path, &path.join(", "));
    }
    if let Some(route) = server.config.service_route.as_deref() {
        // RFC 3608 §6.3: where the client sends what it asks of us from now on.
        response.push_other("Service-Route", &format!("<{route}>"));
    }
    if outbound == Outbound::Used {
        response.push(Name::Require, "outbound");
        response.push_other("Flow-Timer", &FLOW_TIMER.to_string());
    }
    response.push(Name::Supported, &EXTENSIONS.join(", "));
    // §10.3, step 8.
    response.push(Name::Date, &date());
    response
}

/// Both GRUUs of a binding, as parameters of its contact.
fn gruus(server: &Server, binding: &Binding) -> String {
    let public = Gruus::public(&binding.aor, &binding.instance);
    let temporary = server.gruus.temporary(binding, sealed::nonce());
    let temporary = temporary.map_or(String::new(), |gruu| format!(";temp-gruu=\"{gruu}\""));
    format!(";pub-gruu=\"{public}\"{temporary}")
}

/// The answer to a registration that could not be stored.
pub(super) fn failure(request: &Message, error: &StoreError) -> Message {
    match error {
        StoreError::OutOfOrder => Message::response(request, 500, "CSeq Out Of Order"),
        StoreError::TooMany(_) => Message::response(request, 403, "Too Many Contacts"),
        other => {
            tracing::error!(error = %other, "a registration could not be stored");
            *unavailable(request)
        }
    }
}

/// Now, as RFC 3261 §20.17 writes it.
fn date() -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&jiff::Timestamp::now()).unwrap_or_default()
}

/// Seconds within which a client shows that its flow is alive (RFC 5626 §4.4): less than any NAT forgets.
const FLOW_TIMER: u32 = 25;
