//! What log lines of the SIP server belong to.

use shared_model::Correlation;
use shared_runtime::Redacted;
use sip_core::Message;
use sip_endpoint::Flow;

/// The span of one request and all that is done for it.
pub(crate) struct RequestSpan<'a> {
    /// The request.
    pub(crate) request: &'a Message,
    /// What it came over.
    pub(crate) flow: &'a Flow,
}

impl RequestSpan<'_> {
    /// Opens the span; its correlation is that of the call's facts. Calls are told in the log, and so have a span there;
    /// other requests have one where debugging is on, for each costs as much as parsing its request.
    pub(crate) fn open(&self) -> tracing::Span {
        macro_rules! span {
            ($open:ident) => {
                tracing::$open!(
                    "sip",
                    method = self.request.method(),
                    call = self.request.call_id(),
                    account = tracing::field::Empty, // recorded by the door, when a proof holds
                    correlation = %Correlation::of_call(self.request.call_id()),
                    transport = self.flow.transport.as_param(),
                    peer = %Redacted(self.flow.remote),
                )
            };
        }
        if self.request.method() == "INVITE" { span!(info_span) } else { span!(debug_span) }
    }
}
