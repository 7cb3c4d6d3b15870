//! What the SIP server tells others.

use shared_model::{BindingEvent, CallEvent, Correlation, Fact, ProtectedEvent, PushEvent};
use shared_runtime::bus::Bus;
use sip_core::Message;
use sip_core::header::{Name, NameAddr};

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
