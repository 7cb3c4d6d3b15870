//! Spans of logs: what every line about one conference or one leg says.

use shared_model::{AccountId, Correlation, RoomAddress};
use shared_runtime::Redacted;
use tracing::{Span, field};

/// The call of a room. Its correlation is that of the room's chat.
pub(crate) struct ConferenceSpan<'a> {
    /// Whose call.
    pub(crate) room: &'a RoomAddress,
}

impl ConferenceSpan<'_> {
    /// Opens the span.
    pub(crate) fn open(&self) -> Span {
        let correlation = Correlation::of_room(self.room);
        tracing::info_span!("conference", room = %Redacted(self.room), %correlation)
    }
}

/// One leg. Its correlation is that of its facts, and of the proxy's lines about the same call.
pub(crate) struct LegSpan<'a> {
    /// The leg's Call-ID.
    pub(crate) call: &'a str,
    /// Whose leg it is, if the proxy proved it.
    pub(crate) account: Option<AccountId>,
}

impl LegSpan<'_> {
    /// Opens the span.
    pub(crate) fn open(&self) -> Span {
        let correlation = Correlation::of_call(self.call);
        tracing::info_span!("leg", call = self.call, account = self.account.map(field::display), %correlation)
    }
}
