//! Who was invited makes the account in the client — XEP-0445 0.2.0, section 4 (the token), XEP-0077 2.4, section 3.1 (the account).
//!
//! ```text
//! preauth, token ─▶ good ─ get ─▶ what is wanted ─ set, name, password ─▶ account; the client logs in as any other
//! ```
//!
//! In    requests of a stream on which nothing is proved yet. Out their answers.
//! State the token that was good, and when it was looked at: later it does not expire any more (section 4).
//! Errors `item-not-found` for a token that is not good, and it counts as a failed proof; `not-allowed` without a token; what is
//!        wrong with a name or a password, in words.
//! Not here: registration of whoever comes. Nobody is served who was not invited.

use std::net::IpAddr;

use shared_auth::{InviteError, Opens, Wish};
use shared_model::Spec;
use shared_runtime::unix_millis;
use xmpp_core::{Element, ErrorKind, Stanza, StanzaError, ns};

use crate::server::Server;

/// XEP-0445.
pub(crate) const SPEC: Spec = Spec::xep(445, "0.2.0").complete();
/// XEP-0077.
pub(crate) const REGISTRATION: Spec = Spec::xep(77, "2.4").note("for who was invited; with rooms");

/// A registration under way.
#[derive(Default)]
pub(super) struct Registration {
    token: Option<(String, i64)>,
}

impl Registration {
    /// Answers a request.
    pub(super) async fn answer(&mut self, server: &Server, ip: IpAddr, request: &Stanza) -> Option<Stanza> {
        let answer = match request.type_.as_deref() {
            Some("get" | "set") if request.to.as_ref().is_none_or(|to| to.as_str() == server.domain) => {
                self.take(server, ip, request).await
            }
            _ => Err(ErrorKind::NotAuthorized.into()),
        };
        match answer {
            Ok(payload) => Some(request.result(payload.as_ref())),
            Err(error) => request.error(&error),
        }
    }

    async fn take(
        &mut self,
        server: &Server,
        ip: IpAddr,
        request: &Stanza,
    ) -> Result<Option<Element>, StanzaError> {
        let is_set = request.is_type("set");
        if let Some(preauth) = request.find("preauth", ns::PREAUTH).filter(|_| is_set) {
            return self
                .show(server, ip, preauth.attribute("token").unwrap_or_default())
                .await
                .map(|()| None);
        }
        let Some(query) = request.find("query", ns::REGISTER) else {
            return Err(ErrorKind::NotAuthorized.into()); // RFC 6120 §7.1: nothing else is served before a proof
        };
        let Some((token, at)) = &self.token else {
            return Err(StanzaError::because(ErrorKind::NotAllowed, "accounts are made by invitation"));
        };
        if !is_set {
            return self.form(server).await.map(Some);
        }
        let said = |name: &str| query.text_of(name).filter(|text| !text.is_empty());
        let (Some(user), Some(password)) = (said("username"), said("password")) else {
            return Err(StanzaError::because(
                ErrorKind::NotAcceptable,
                "a user name and a password are wanted",
            ));
        };
        // Clients prepare names; one that does not gets what it meant.
        let user = user.to_lowercase();
        let wish = Wish { user: &user, name: "", password: &password };
        match server.auth.invites.accept_shown(token, &server.domain, wish, *at, unix_millis()).await {
            Ok(card) => {
                tracing::info!(account = %card.account, "an account was made by invitation");
                self.token = None;
                Ok(None)
            }
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Section 4: looking spends nothing.
    async fn show(&mut self, server: &Server, ip: IpAddr, token: &str) -> Result<(), StanzaError> {
        if server.auth.authenticator.wait(ip).is_some() {
            return Err(ErrorKind::PolicyViolation.into());
        }
        let now = unix_millis();
        let invite = server.auth.invites.peek(token, now).await.map_err(|error| store_failed(&error))?;
        if !invite.is_some_and(|invite| matches!(invite.opens, Opens::Account { .. })) {
            server.auth.authenticator.suspect(ip);
            let why = "the token is not good, or not any more";
            return Err(StanzaError::because(ErrorKind::ItemNotFound, why));
        }
        self.token = Some((token.to_owned(), now));
        Ok(())
    }

    /// XEP-0077 §3.1: what is wanted; a name that the invitation says is there already.
    async fn form(&self, server: &Server) -> Result<Element, StanzaError> {
        let (token, at) = self.token.as_ref().ok_or(ErrorKind::NotAllowed)?;
        let invite = server.auth.invites.peek(token, *at).await.map_err(|error| store_failed(&error))?;
        let user = invite.and_then(|invite| match invite.opens {
            Opens::Account { user, .. } => user,
            _ => None,
        });
        Ok(Element::new("query", ns::REGISTER)
            .text_child("instructions", "Choose a user name and a password.")
            .text_child("username", user.unwrap_or_default())
            .text_child("password", ""))
    }
}

fn refusal(error: &InviteError) -> StanzaError {
    let kind = match error {
        InviteError::Spent => ErrorKind::NotAllowed,
        InviteError::Name(_) | InviteError::Weak(_) => ErrorKind::NotAcceptable,
        InviteError::TooMany => ErrorKind::ResourceConstraint,
        InviteError::Book(shared_auth::BookError::Store(shared_store::StoreError::Taken(_))) => {
            ErrorKind::Conflict
        }
        InviteError::Book(shared_auth::BookError::Store(error)) => return store_failed(error),
        InviteError::Book(_) => ErrorKind::NotAcceptable,
    };
    StanzaError::because(kind, error.to_string())
}

fn store_failed(error: &shared_store::StoreError) -> StanzaError {
    tracing::error!(%error, "an invitation could not be read");
    ErrorKind::InternalServerError.into()
}
