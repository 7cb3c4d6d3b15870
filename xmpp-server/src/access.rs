//! How a client came to its session — what XEP-0494 shows of it.
//!
//! In    an identity, and how the installation calls itself. Out a note in `shared-auth`, and what the session keeps.
//! State one [`Access`] a session.
//! Errors none: a login does not fail for want of a note.

use std::net::IpAddr;

use dashmap::DashMap;
use shared_auth::{Clients, How, Identity, Installation};
use shared_model::{AccountId, Protection, Proved};
use shared_runtime::unix_millis;
use xmpp_core::stream::inline::UserAgent;

use crate::router::Session;
use crate::server::Server;

/// By what a client is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Access {
    /// Which client it is, if it says so and that is noted.
    pub(crate) client: Option<String>,
    /// The app password that it proved, now or when it got its token.
    pub(crate) app: Option<String>,
    /// When it proved the main password, milliseconds since 1970, if that is what it proved.
    pub(crate) password: Option<i64>,
    /// As which version its account was known then.
    pub(crate) version: u64,
    /// Whether it showed a certificate.
    pub(crate) is_certified: bool,
    /// Which, if its account gave it (XEP-0257).
    pub(crate) certificate: Option<String>,
    /// Whether its stream is encrypted.
    pub(crate) is_protected: bool,
    /// Whether a provider's word let it in, which proves no password.
    pub(crate) is_by_provider: bool,
    /// Whether it is a guest's, who has no account.
    pub(crate) is_guest: bool,
    /// When, milliseconds since 1970.
    pub(crate) since: i64,
    /// What protects its connection, where that is TLS of ours.
    pub(crate) protection: Option<Protection>,
    /// What let it in.
    pub(crate) proved: Option<Proved>,
    /// From where it comes.
    pub(crate) from: Option<IpAddr>,
}

/// What protects a connection, whether nothing does, and what let it in.
pub(crate) type Guarded = (Option<Protection>, bool, Option<Proved>);

impl Access {
    /// Of somebody who has just proved who they are.
    pub(crate) fn of(identity: &Identity) -> Self {
        let since = unix_millis();
        Self {
            client: None,
            app: identity.app.clone(),
            password: (identity.app.is_none() && identity.how.is_password()).then_some(since),
            version: identity.version,
            is_certified: identity.how == How::Certificate,
            certificate: None,
            is_protected: false,
            is_by_provider: identity.how == How::Oidc,
            is_guest: identity.how == How::Anonymous,
            since,
            protection: None,
            proved: Some(identity.how.proved()),
            from: None,
        }
    }

    /// The same, by a certificate that its account gave.
    #[must_use]
    pub(crate) fn certified(self, certificate: Option<String>) -> Self {
        Self { is_certified: self.is_certified || certificate.is_some(), certificate, ..self }
    }

    /// The same session over another connection, which may be from elsewhere and proved otherwise.
    #[must_use]
    pub(crate) fn resumed(&self, by: &Self) -> Self {
        let (protection, proved, from) = (by.protection, by.proved, by.from);
        let access = Self { protection, is_protected: by.is_protected, proved, from, ..self.clone() };
        if by.certificate.is_some() { access.certified(by.certificate.clone()) } else { access }
    }

    /// How its connection is protected.
    pub(crate) fn guarded(&self) -> Guarded {
        (self.protection, !self.is_protected, self.proved)
    }

    /// Notes that an installation is in, where the operator wants that noted.
    pub(crate) async fn note(&mut self, server: &Server, identity: &Identity, agent: &UserAgent) {
        if server.config.clients_for.is_zero() || self.is_guest {
            return;
        }
        let UserAgent { id, software, device } = agent.clone();
        let installation = Installation { id, software, device };
        match server.auth.clients.note(identity, &installation, self.since).await {
            Ok(()) => self.client = Some(Clients::id_of(&agent.id)),
            Err(error) => tracing::error!(%error, "a client that logged in could not be noted"),
        }
    }
}

/// Passwords that changed of late, for sessions that were proved before and are bound after.
#[derive(Default)]
pub(crate) struct EndedPasswords(DashMap<AccountId, EndedPassword>);

/// A password that is another by now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedPassword {
    /// Since when, milliseconds since 1970.
    pub(crate) at: i64,
    /// As which version its account was read after that; 0 if it was not. What was proved of an older one was proved by what a cache held.
    pub(crate) version: u64,
}

impl EndedPassword {
    /// Whether a session was opened by it.
    pub(crate) fn opened(self, session: &Session) -> bool {
        let Access { password, version, .. } = &*session.access;
        password.is_some_and(|proved| proved < self.at || *version < self.version)
    }
}

impl EndedPasswords {
    /// A password is another since then.
    pub(crate) fn note(&self, account: AccountId, ended: EndedPassword) {
        self.0.retain(|_, old| old.at > ended.at - REMEMBERED);
        self.0.insert(account, ended);
    }

    /// Whether a session was opened by a password that is another by now.
    pub(crate) fn opened(&self, session: &Session) -> bool {
        let ended = self.0.get(&session.account).map(|ended| *ended);
        ended.is_some_and(|ended| ended.opened(session))
    }
}

/// Milliseconds that a changed password is remembered: longer than any login takes.
const REMEMBERED: i64 = 600_000;
