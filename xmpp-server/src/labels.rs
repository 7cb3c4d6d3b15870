//! Spans of logs: what every line about one stream or one room says.

use shared_model::{AccountId, Correlation, RoomAddress};
use shared_runtime::Redacted;
use tracing::Span;

/// A bound stream.
pub(crate) struct StreamSpan<'a> {
    /// The id that we gave the stream.
    pub(crate) stream: &'a str,
    /// Whose it is.
    pub(crate) account: AccountId,
}

impl StreamSpan<'_> {
    /// Opens the span.
    pub(crate) fn open(&self) -> Span {
        let correlation = Correlation::of_stream(self.stream);
        tracing::info_span!("stream", stream = self.stream, account = %self.account, %correlation)
    }
}

/// A room.
pub(crate) struct RoomSpan<'a> {
    /// Which.
    pub(crate) room: &'a RoomAddress,
}

impl RoomSpan<'_> {
    /// Opens the span.
    pub(crate) fn open(&self) -> Span {
        let correlation = Correlation::of_room(self.room);
        tracing::info_span!("room", room = %Redacted(self.room), %correlation)
    }
}
