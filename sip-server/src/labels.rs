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
    /// Opens the span; its correlation is that of the call's facts.
    pub(crate) fn open(&self) -> tracing::Span {
        let call = self.request.call_id();
        tracing::info_span!(
            "sip",
            method = self.request.method(),
            call,
            correlation = %Correlation::of_call(call),
            transport = self.flow.transport.as_param(),
            peer = %Redacted(self.flow.remote),
        )
    }
}
