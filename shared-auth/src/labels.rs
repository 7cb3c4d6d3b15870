//! Spans of logs: what every line about one proof says.

use shared_model::{AccountId, Correlation};
use shared_runtime::Redacted;
use tracing::{Span, field};

use crate::Origin;

/// One proof while it is judged, inside whatever asks for it.
pub(crate) struct LoginSpan {
    asking: Span,
    judged: Span,
}

impl LoginSpan {
    /// Opens the span; `account` and `correlation` follow when it is known whose account the proof is about. It is there
    /// where debugging is on, since most proofs hold and are told nowhere else; who asks has a span for the rest.
    pub(crate) fn open(origin: Origin) -> Self {
        let asking = Span::current();
        let judged = tracing::debug_span!(
            "login",
            protocol = origin.protocol.as_str(),
            from = %Redacted(origin.ip),
            account = field::Empty,
            correlation = field::Empty,
        );
        Self { asking, judged }
    }

    /// The span that judging runs in.
    pub(crate) fn span(&self) -> Span {
        self.judged.clone()
    }

    /// Whose account the proof is about.
    pub(crate) fn about(&self, account: AccountId) {
        self.judged.record("account", field::display(account));
        self.judged.record("correlation", field::display(Correlation::of_account(account)));
    }

    /// The proof held: the request, stream or page that asked for it is this account's from now on.
    pub(crate) fn proved(&self, account: AccountId) {
        self.asking.record("account", field::display(account));
    }
}
