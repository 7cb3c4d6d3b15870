//! What the SIP server tells others.

use std::time::Instant;

use shared_model::{BindingEvent, CallEvent, CallOutcome, Correlation, Fact, ProtectedEvent, PushEvent};
use shared_runtime::bus::Bus;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};

use crate::dialogs::Attempt;
use crate::routing::Route;
use crate::server::Server;

/// What a request or an answer says of why (RFC 3326), as far as it is shown.
pub(crate) fn reason(message: &Message) -> Option<String> {
    let said = message.value(Name::Reason)?;
    Some(said.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect())
}

/// Who a caller says they are, as far as it is told.
pub(crate) fn from_uri(request: &Message) -> String {
    let from = NameAddr::parse(request.value(Name::From).unwrap_or_default());
    from.map_or("", |from| from.uri).chars().filter(|c| !c.is_control()).take(LONGEST_URI).collect()
}

/// Tells that a call begins or ends, and answers by which name; and what remembers one that begins.
pub(crate) fn tell_call<'a>(
    server: &'a Server,
    request: &Message,
    route: &Route,
) -> (String, Option<Attempt<'a>>) {
    if request.method() == "INVITE" && !request.is_in_dialog() {
        let (call_id, attempt) = server.dialogs.attempt(request, Instant::now());
        server.metrics.calls.inc();
        let from = route.caller.as_ref().map(|caller| caller.account);
        let class = route.outside.as_ref().map_or("free", |outside| outside.rate.class.as_str());
        tracing::debug!(class, "a call is routed");
        let event = CallEvent::Attempted {
            call_id: call_id.clone(),
            from,
            from_uri: from_uri(request),
            is_anonymous: route.is_anonymous,
            to: route.callee.as_ref().map(|callee| callee.account),
            to_uri: request.uri().to_owned(),
        };
        server.facts.call(&call_id, event);
        return (call_id, attempt);
    }
    let Some(call_id) = server.dialogs.name_within(request) else {
        return (server.dialogs.name(request.call_id(), request.from_tag().unwrap_or_default()), None);
    };
    if request.method() == "BYE" {
        let (outcome, reason) = (CallOutcome::Completed, reason(request));
        server.facts.call(&call_id, CallEvent::Ended { call_id: call_id.clone(), outcome, reason });
    }
    (call_id, None)
}

/// Publishes facts with the correlation of their call.
#[derive(Clone)]
pub(crate) struct Facts(Bus<Fact>);

impl Facts {
    pub(crate) fn new(bus: Bus<Fact>) -> Self {
        Self(bus)
    }

    /// Something happened to a call.
    pub(crate) fn call(&self, call_id: &str, event: CallEvent) {
        self.0.publish(Fact::new(Correlation::of_call(call_id), event));
    }

    /// A device is woken for a call.
    pub(crate) fn push(&self, call_id: &str, event: PushEvent) {
        self.0.publish(Fact::new(Correlation::of_call(call_id), event));
    }

    /// How a binding is protected.
    pub(crate) fn protected(&self, call_id: &str, event: ProtectedEvent) {
        self.0.publish(Fact::new(Correlation::of_call(call_id), event));
    }

    /// Something happened to a binding.
    pub(crate) fn binding(&self, call_id: &str, event: BindingEvent) {
        self.0.publish(Fact::new(Correlation::of_call(call_id), event));
    }
}

/// Characters of a reason that are told.
const LONGEST_REASON: usize = 200;
/// Characters of a URI that are told.
const LONGEST_URI: usize = 500;
