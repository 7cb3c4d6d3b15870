//! Who calls the API, and what they may do: a token in `Authorization` (RFC 6750 §2.1), or a page's session.
//!
//! In    a request's headers. Out the account, and its scopes; those of an administrator only while it is one.
//! Errors 401 for a token that is not good, which counts against its network if it never was one; 403 for a session's change without its key,
//!        lest another site make it (`x-csrf-key`).

use axum::http::{HeaderMap, Method, StatusCode, header};
use shared_auth::{AccountCard, Bearers};
use shared_runtime::http::Peer;
use shared_runtime::unix_millis;

use super::problem::Problem;
use crate::Parts;
use crate::session::{self, Session};

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read the own account.
    AccountRead,
    /// Change the own account.
    AccountWrite,
    /// Look people up.
    DirectoryRead,
    /// Read everything that administrators see.
    AdminRead,
    /// Change everything that administrators change.
    AdminWrite,
}

impl std::str::FromStr for Scope {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::parse(word)
            .ok_or("a scope is account:read, account:write, directory:read, admin:read or admin:write")
    }
}

impl Scope {
    pub(crate) const ALL: [(&'static str, Self, &'static str); 5] = [
        ("account:read", Self::AccountRead, "read the own account"),
        ("account:write", Self::AccountWrite, "change the own account"),
        ("directory:read", Self::DirectoryRead, "look people up"),
        ("admin:read", Self::AdminRead, "read everything that administrators see"),
        ("admin:write", Self::AdminWrite, "change everything that administrators change"),
    ];

    /// The word in tokens.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, scope, _)| *scope == self).map_or("", |(word, ..)| word)
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == word).map(|(_, scope, _)| *scope)
    }

    /// Whether administrators alone have it.
    pub fn is_admin(self) -> bool {
        matches!(self, Self::AdminRead | Self::AdminWrite)
    }
}

/// An account that was proved for one request.
pub(crate) struct Caller {
    pub(crate) card: AccountCard,
    /// What holds it, among the account's bearers.
    pub(crate) bearer: String,
    /// `None`: a session, which may do whatever the account may.
    scopes: Option<Vec<Scope>>,
}

impl Caller {
    /// Who sits at a page.
    pub(crate) fn of_session(session: &Session) -> Self {
        Self { card: session.card.clone(), bearer: session.bearer.id.clone(), scopes: None }
    }

    /// Who sent the request.
    pub(crate) async fn of(
        parts: &Parts,
        peer: Peer,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Self::by_cookie(parts, method, headers).await;
        };
        let token = value.to_str().ok().and_then(|value| value.split_once(' '));
        let token =
            token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, text)| text.trim());
        let token = token.filter(|text| Bearers::is_well_formed(text));
        let found = match token {
            Some(text) => parts.auth.bearers.find(text, unix_millis()).await?,
            None => None,
        };
        let Some((bearer, card)) =
            found.filter(|(bearer, _)| bearer.scopes.iter().all(|it| it != session::SCOPE))
        else {
            // Nobody guesses one that is good: those are heard whatever others of their network do.
            let ip = peer.address.ip().to_canonical();
            if let Some(wait) = parts.auth.authenticator.wait(ip) {
                return Err(Problem::slow(wait));
            }
            // A program whose token ended does not guess.
            if token.is_none() {
                parts.auth.authenticator.suspect(ip);
            }
            return Err(unproven());
        };
        let scopes = bearer.scopes.iter().filter_map(|word| Scope::parse(word)).collect();
        Ok(Self { card, bearer: bearer.id, scopes: Some(scopes) })
    }

    async fn by_cookie(parts: &Parts, method: &Method, headers: &HeaderMap) -> Result<Self, Problem> {
        let session = Session::of(parts, headers).await.ok_or_else(unproven)?;
        let key = headers.get("x-csrf-key").and_then(|value| value.to_str().ok());
        if *method != Method::GET && !(key == Some(&session.key) && session::is_from_here(parts, headers)) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "a session's change needs its key in x-csrf-key",
            ));
        }
        Ok(Self::of_session(&session))
    }

    /// Whether the request may be made.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        (self.card.admin || !scope.is_admin())
            && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }
}

fn unproven() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "a token is needed, as `Authorization: Bearer …`")
}
