//! Why a proof is refused — RFC 6120 §6.5.

/// Why a proof is refused (RFC 6120 §6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslFailure {
    /// §6.5.1: the client gave up.
    Aborted,
    /// §6.5.2: the account may not log in now.
    AccountDisabled,
    /// §6.5.3: it was good, and is not any more.
    CredentialsExpired,
    /// §6.5.4: TLS first.
    EncryptionRequired,
    /// §6.5.5: not base64.
    IncorrectEncoding,
    /// §6.5.6: acting for somebody else.
    InvalidAuthzid,
    /// §6.5.7: not offered.
    InvalidMechanism,
    /// §6.5.8: not what the mechanism asks.
    MalformedRequest,
    /// §6.5.10: wrong.
    NotAuthorized,
    /// §6.5.11: not now.
    TemporaryAuthFailure,
}

impl SaslFailure {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}
