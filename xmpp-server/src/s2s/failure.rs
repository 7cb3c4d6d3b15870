//! Why there is no stream to another server, and what those are told who wait for one — RFC 6120 §8.3.3.16, §8.3.3.17,
//! §10.4; XEP-0220 §2.1.1, §2.5.

use xmpp_core::stream::server::Refusal;
use xmpp_core::stream::{StreamCondition, StreamError};
use xmpp_core::{ErrorKind, StanzaError};

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The domain has no address, or says that it has no such service.
    #[error("the domain has no server")]
    NoSuchDomain,
    /// The name servers do not answer.
    #[error("the name servers do not answer")]
    Silence,
    /// None of its addresses answers.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the server did not answer in time")]
    TooSlow,
    /// So many others are looked for that its turn did not come.
    #[error("too many other servers are looked for")]
    Crowded,
    /// The connection broke while the stream was made.
    #[error("the connection was lost")]
    Lost,
    /// TLS could not be made.
    #[error("no TLS with the server: {0}")]
    Tls(String),
    /// Its certificate is not of the domain, and must be.
    #[error("the certificate of the server is not of its domain")]
    Untrusted,
    /// The stream was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Failure {
    /// Whether another attempt in a moment cannot help.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::NoSuchDomain | Self::Untrusted => true,
            Self::Refused(Refusal::Ended(error)) => is_final_condition(error),
            Self::Refused(_) => true,
            Self::Silence
            | Self::Unreachable(_)
            | Self::TooSlow
            | Self::Crowded
            | Self::Lost
            | Self::Tls(_) => false,
        }
    }

    /// What the senders of stanzas are told.
    pub(super) fn of_stanza(&self) -> StanzaError {
        let kind = match self {
            Self::NoSuchDomain => ErrorKind::RemoteServerNotFound, // §8.3.3.16
            Self::Refused(Refusal::Ended(error))
                if matches!(error.condition, StreamCondition::HostUnknown | StreamCondition::HostGone) =>
            {
                ErrorKind::RemoteServerNotFound
            }
            Self::Crowded => ErrorKind::ResourceConstraint, // it passes
            Self::Refused(Refusal::Invalid) => ErrorKind::InternalServerError, // XEP-0220 §2.1.1
            _ => ErrorKind::RemoteServerTimeout,            // §8.3.3.17
        };
        StanzaError::because(kind, self.to_string())
    }

    /// What a server is told whose key could not be judged (XEP-0220 §2.5, table 1).
    pub(super) fn of_dialback(&self) -> ErrorKind {
        match self.of_stanza().kind {
            ErrorKind::RemoteServerNotFound => ErrorKind::RemoteServerNotFound,
            _ => ErrorKind::RemoteServerTimeout,
        }
    }
}

fn is_final_condition(error: &StreamError) -> bool {
    !matches!(
        error.condition,
        StreamCondition::SystemShutdown
            | StreamCondition::ResourceConstraint
            | StreamCondition::ConnectionTimeout
            | StreamCondition::InternalServerError
            | StreamCondition::RemoteConnectionFailed
            | StreamCondition::Reset
            | StreamCondition::UndefinedCondition
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_answer() {
        let ended = |condition: StreamCondition| Failure::Refused(Refusal::Ended(condition.into()));
        for (failure, kind, is_final) in [
            (Failure::NoSuchDomain, ErrorKind::RemoteServerNotFound, true),
            (Failure::Silence, ErrorKind::RemoteServerTimeout, false),
            (Failure::Unreachable(String::new()), ErrorKind::RemoteServerTimeout, false),
            (Failure::Untrusted, ErrorKind::RemoteServerTimeout, true),
            (Failure::Refused(Refusal::NoTls), ErrorKind::RemoteServerTimeout, true),
            (Failure::Refused(Refusal::Invalid), ErrorKind::InternalServerError, true),
            (ended(StreamCondition::HostUnknown), ErrorKind::RemoteServerNotFound, true),
            (ended(StreamCondition::SystemShutdown), ErrorKind::RemoteServerTimeout, false),
        ] {
            assert_eq!((failure.of_stanza().kind, failure.is_final()), (kind, is_final), "{failure}");
        }
    }
}
