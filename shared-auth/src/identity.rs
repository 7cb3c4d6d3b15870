//! Who somebody is, what they show to prove it, and why they are not believed.

use std::net::IpAddr;
use std::time::Duration;

use shared_model::{AccountId, Aor, BareJid, Protocol, Proved, Strength};
use shared_store::{BoundBy, DigestAlgorithm, ScramHash, StoreError};

use crate::{DigestProof, FastFinal, Ht, ScramFinal, Token};

/// A proved account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose account.
    pub account: AccountId,
    /// As which of its versions the account was known then: it may be a cache's, and older than the store's.
    pub version: u64,
    /// Its address of record.
    pub aor: Aor,
    /// Its JID.
    pub jid: BareJid,
    /// What proved it.
    pub how: How,
    /// The name of the app password by which it was proved; none is the main password, or no password.
    pub app: Option<String>,
    /// The single-use token by which it was proved.
    pub token: Option<Box<Token>>,
}

impl Identity {
    /// What holds up what it opens, and ends that with itself.
    pub fn bound_by(&self) -> BoundBy {
        match &self.app {
            Some(device) => BoundBy::Device(device.clone()),
            None if self.how.is_password() => BoundBy::Password,
            None => BoundBy::Otherwise,
        }
    }
}

/// What proved an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// The password itself, over TLS.
    Plain,
    /// HTTP Digest.
    Digest(DigestAlgorithm),
    /// SCRAM without channel binding.
    Scram(ScramHash),
    /// SCRAM with channel binding.
    ScramPlus(ScramHash),
    /// A single-use token.
    Token,
    /// A token of an installation, and what it was bound to (XEP-0484).
    Fast(Ht),
    /// A TLS client certificate.
    Certificate,
    /// The password itself, by a directory that keeps it.
    Bind,
    /// Nothing: a guest, of whom no account tells (RFC 4505).
    Anonymous,
    /// A provider of OpenID Connect, by a code or an access token.
    Oidc,
}

impl How {
    /// Whether a password of the account's own was proved, or what was got by one.
    pub fn is_password(self) -> bool {
        match self {
            Self::Plain | Self::Digest(_) | Self::Scram(_) | Self::ScramPlus(_) | Self::Fast(_) => true,
            Self::Token | Self::Certificate | Self::Bind | Self::Anonymous | Self::Oidc => false,
        }
    }

    /// What is told of it to who looks whether both halves are as well protected.
    pub fn proved(self) -> Proved {
        let (by, strength) = match self {
            Self::Plain | Self::Bind => ("PLAIN", Some(Strength::Password)),
            Self::Digest(DigestAlgorithm::Md5) => ("Digest MD5", Some(Strength::Md5)),
            Self::Digest(DigestAlgorithm::Sha256) => ("Digest SHA-256", Some(Strength::Answer)),
            Self::Digest(DigestAlgorithm::Sha512_256) => ("Digest SHA-512-256", Some(Strength::Answer)),
            Self::Scram(ScramHash::Sha1) => ("SCRAM-SHA-1", Some(Strength::Answer)),
            Self::Scram(ScramHash::Sha256) => ("SCRAM-SHA-256", Some(Strength::Answer)),
            Self::Scram(ScramHash::Sha512) => ("SCRAM-SHA-512", Some(Strength::Answer)),
            Self::ScramPlus(ScramHash::Sha1) => ("SCRAM-SHA-1-PLUS", Some(Strength::Answer)),
            Self::ScramPlus(ScramHash::Sha256) => ("SCRAM-SHA-256-PLUS", Some(Strength::Answer)),
            Self::ScramPlus(ScramHash::Sha512) => ("SCRAM-SHA-512-PLUS", Some(Strength::Answer)),
            Self::Fast(Ht::None) => ("HT-SHA-256-NONE", Some(Strength::Answer)),
            Self::Fast(Ht::Expr) => ("HT-SHA-256-EXPR", Some(Strength::Answer)),
            Self::Fast(Ht::Endp) => ("HT-SHA-256-ENDP", Some(Strength::Answer)),
            Self::Certificate => ("certificate", Some(Strength::Key)),
            // Both are shown to whoever answers, and neither is a password nor lasts as one.
            Self::Token => ("token", None),
            Self::Oidc => ("OAUTHBEARER", None),
            Self::Anonymous => ("ANONYMOUS", None),
        };
        Proved { by, strength }
    }

    /// The word in logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Digest(DigestAlgorithm::Md5) => "digest-md5",
            Self::Digest(DigestAlgorithm::Sha256) => "digest-sha-256",
            Self::Digest(DigestAlgorithm::Sha512_256) => "digest-sha-512-256",
            Self::Scram(ScramHash::Sha1) => "scram-sha-1",
            Self::Scram(ScramHash::Sha256) => "scram-sha-256",
            Self::Scram(ScramHash::Sha512) => "scram-sha-512",
            Self::ScramPlus(ScramHash::Sha1) => "scram-sha-1-plus",
            Self::ScramPlus(ScramHash::Sha256) => "scram-sha-256-plus",
            Self::ScramPlus(ScramHash::Sha512) => "scram-sha-512-plus",
            Self::Token => "token",
            Self::Fast(Ht::None) => "ht-sha-256-none",
            Self::Fast(Ht::Expr) => "ht-sha-256-expr",
            Self::Fast(Ht::Endp) => "ht-sha-256-endp",
            Self::Certificate => "certificate",
            Self::Bind => "bind",
            Self::Anonymous => "anonymous",
            Self::Oidc => "oidc",
        }
    }
}

/// Where a proof comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Over which face; XMPP names accounts by JID, the others by AOR.
    pub protocol: Protocol,
    /// From which address.
    pub ip: IpAddr,
    /// Whether a connection proves that address.
    pub is_seen: bool,
    /// Whether it is looked at however many failed before: somebody is in need.
    pub is_urgent: bool,
}

impl Origin {
    /// By a connection from this address.
    pub const fn new(protocol: Protocol, ip: IpAddr) -> Self {
        Self { protocol, ip, is_seen: true, is_urgent: false }
    }
}

/// When a single-use token that proves somebody is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// Now.
    Now,
    /// Along with what it is shown for, by whoever does that ([`Auth::fetch_password`](crate::Auth::fetch_password)).
    Later,
}

/// What somebody shows to prove who they are.
pub enum Proof {
    /// A name and the password itself (RFC 4616, HTTP Basic).
    Plain {
        /// `alice`, `alice@example.org`, or with an app password's name `alice+PHONE`.
        name: String,
        /// The domain where the name has none.
        domain: String,
        /// The password.
        password: String,
        /// Whom to act as; empty, or the account's own JID.
        authzid: String,
    },
    /// The fields of an `Authorization` header, and the request that they cover.
    Digest(DigestProof),
    /// The last message of a SCRAM exchange.
    Scram(ScramFinal),
    /// The one message of a token's mechanism.
    Fast(FastFinal),
    /// A TLS client certificate that a CA for clients vouches for.
    Certificate {
        /// An address that it names, with its domain.
        name: String,
    },
    /// A TLS client certificate that the account itself gave (XEP-0257).
    OwnCertificate {
        /// Whose it says it is, with its domain.
        name: String,
        /// What names the certificate, as [`Certificates::fingerprint`](crate::Certificates::fingerprint) makes it.
        fingerprint: String,
    },
    /// A single-use token, as [`Tokens::issue`](crate::Tokens::issue) made it.
    Token {
        /// What it must have been issued for.
        purpose: String,
        /// Its text.
        text: String,
        /// When it is used up.
        spent: Spent,
    },
    /// What a browser brings back from a provider of OpenID Connect.
    Code(CodeProof),
    /// An access token of that provider's (RFC 6750, RFC 7628).
    Bearer {
        /// Its text.
        token: String,
        /// The domain that it was shown to.
        domain: String,
        /// Whom to act as; empty, or the account's own JID.
        authzid: String,
    },
}

/// What a browser brings back from a provider of OpenID Connect.
pub struct CodeProof {
    /// What it kept, as [`Oidc::begin`](crate::Oidc::begin) made it.
    pub note: String,
    /// `state` of the query.
    pub state: String,
    /// `code` of the query.
    pub code: String,
    /// `iss` of the query (RFC 9207), if there is one.
    pub issuer: Option<String>,
    /// Where it was to come back to.
    pub redirect: String,
}

/// Why a proof was not believed. For the log; [`Denied::on_wire`] is what strangers see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody has this name.
    #[error("no such account")]
    UnknownAccount,
    /// The password, response or client proof is wrong.
    #[error("wrong password")]
    WrongProof,
    /// The account may not log in.
    #[error("the account is disabled")]
    Disabled,
    /// RFC 7616 §3.3: the response is right and its nonce too old; challenge again with `stale=true`.
    #[error("the nonce is too old")]
    Stale,
    /// The nonce was sent to another address than that which a datagram says it is from; challenge again with `stale=true`.
    #[error("the nonce was sent elsewhere")]
    OthersNonce,
    /// The nonce is none of ours; challenge again.
    #[error("the nonce is not ours")]
    ForeignNonce,
    /// The response is right, and its nonce and count were used before.
    #[error("the nonce count was used before")]
    Replayed,
    /// The realm is not the account's.
    #[error("the realm is not the account's")]
    WrongRealm,
    /// Too many failed proofs; for so long none is looked at.
    #[error("too many failed proofs; refused for {} s", .0.as_secs())]
    Throttled(Duration),
    /// Not what the mechanism's grammar allows.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// RFC 5802 §6: the client believes that we do not offer channel binding, though we did.
    #[error("the offer of channel binding was tampered with")]
    Downgraded,
    /// The channel binding is not that of this connection.
    #[error("the proof belongs to another connection")]
    WrongChannel,
    /// The authorization identity is not the account's own.
    #[error("acting as somebody else is not allowed")]
    ForeignAuthzid,
    /// The token is unknown, used or expired.
    #[error("the token is unknown, used or expired")]
    BadToken,
    /// The token was good, and is too old, or a password was changed since.
    #[error("the token is not good any more")]
    Expired,
    /// What another system says or showed is not good.
    #[error("not proved elsewhere: {0}")]
    Foreign(String),
    /// Others could read the proof, so that none is asked for.
    #[error("the connection is not encrypted")]
    Unencrypted,
    /// Credentials of this kind are not stored for the account.
    #[error("the account has no verifier for this mechanism")]
    NoVerifier,
    /// Nothing is kept of the account's password for this mechanism, as where it came from another server that kept other keys: it
    /// cannot be told whether the proof is right.
    #[error("the account has no key of its password for this mechanism")]
    NoKey,
    /// The password is that of a device which calls and does not chat.
    #[error("the password of this device opens calls and the directory, and no chat")]
    CallsAlone,
    /// The provider would not say when it ends the sign-in, and none is taken of which that is not heard.
    #[error("the provider gave no refresh token, and `auth.oidc.unwatched` refuses sign-ins without one")]
    Unwatched,
    /// The accounts cannot be read now.
    #[error("who knows does not answer: {0}")]
    Unavailable(String),
}

/// The answers that strangers can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWire {
    /// Not authorised; nothing more is said.
    Refused,
    /// Challenge again; the user need not be asked.
    ChallengeAgain,
    /// Challenge again and say `stale=true`.
    ChallengeStale,
    /// Not now; perhaps after this long.
    TryLater(Duration),
    /// The request is not well formed.
    Malformed,
    /// Our fault; try again.
    TemporaryFailure,
}

impl Denied {
    /// What a stranger is told. Unknown accounts, wrong passwords and disabled accounts look alike.
    pub fn on_wire(&self) -> OnWire {
        match self {
            // RFC 7616 §3.3: without `stale=true` the password would be the wrong one.
            Self::Stale | Self::OthersNonce | Self::Replayed => OnWire::ChallengeStale,
            Self::ForeignNonce => OnWire::ChallengeAgain,
            Self::Throttled(wait) => OnWire::TryLater(*wait),
            Self::Malformed(_) => OnWire::Malformed,
            Self::Unavailable(_) => OnWire::TemporaryFailure,
            Self::UnknownAccount
            | Self::WrongProof
            | Self::Disabled
            | Self::WrongRealm
            | Self::Downgraded
            | Self::WrongChannel
            | Self::ForeignAuthzid
            | Self::BadToken
            | Self::Expired
            | Self::Foreign(_)
            | Self::Unencrypted
            | Self::NoKey
            | Self::CallsAlone
            | Self::Unwatched
            | Self::NoVerifier => OnWire::Refused,
        }
    }

    /// The word in facts and labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown-account",
            Self::WrongProof => "wrong-proof",
            Self::Disabled => "disabled",
            Self::Stale | Self::OthersNonce => "stale",
            Self::ForeignNonce => "foreign-nonce",
            Self::Replayed => "replayed",
            Self::WrongRealm => "wrong-realm",
            Self::Throttled(_) => "throttled",
            Self::Malformed(_) => "malformed",
            Self::Downgraded => "downgraded",
            Self::WrongChannel => "wrong-channel",
            Self::ForeignAuthzid => "foreign-authzid",
            Self::BadToken => "bad-token",
            Self::Expired => "expired",
            Self::Foreign(_) => "foreign",
            Self::Unencrypted => "unencrypted",
            Self::NoVerifier => "no-verifier",
            Self::NoKey => "no-key",
            Self::CallsAlone => "calls-alone",
            Self::Unwatched => "unwatched",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Whether it counts as an attempt to guess.
    pub fn is_failed_proof(&self) -> bool {
        matches!(
            self,
            Self::UnknownAccount
                | Self::WrongProof
                | Self::WrongRealm
                | Self::BadToken
                | Self::WrongChannel
                | Self::CallsAlone
                | Self::Foreign(_)
        )
    }
}

impl From<crate::LdapError> for Denied {
    fn from(error: crate::LdapError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
