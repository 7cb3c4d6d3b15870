//! Accounts are made in the client — XEP-0445 0.2.0, section 4 (the token of who was invited), XEP-0077 2.4, section 3.1 (the
//! account).
//!
//! ```text
//! preauth, token ─▶ good ─ get ─▶ what is wanted ─ set, name, password ─▶ account; the client logs in as any other
//! ```
//!
//! In    requests of a stream on which nothing is proved yet. Out their answers.
//! State the token that was good, and when it was looked at: later it does not expire any more (section 4).
//! Errors `item-not-found` for a token that is not good, and it counts as a failed proof, as does a name that somebody has;
//!        `not-allowed` without a token where `xmpp.registration` is off, as it is by default; `resource-constraint` where too
//!        many came from that network uninvited; what is wrong with a name or a password, in words.
//! Not here: what an account does with itself later (`features::register`).

use std::net::IpAddr;
use std::time::Instant;

use serde_json::Value;
use shared_auth::{AccountCard, BookError, By, InviteError, NewAccount, Opens, Profile, Wish, card_json};
use shared_model::{Aor, BareJid, Spec};
use shared_runtime::unix_millis;
use xmpp_core::{Element, ErrorKind, Stanza, StanzaError, ns};

use crate::arrivals::Arrival;
use crate::features::not_now;
use crate::server::Server;

/// XEP-0445.
pub(crate) const SPEC: Spec = Spec::xep(445, "0.2.0").complete();
/// XEP-0077.
pub(crate) const REGISTRATION: Spec =
    Spec::xep(77, "2.4").complete().note("without forms, redirection and captchas");

/// A registration under way.
#[derive(Default)]
pub(super) struct Registration {
    token: Option<(String, i64)>,
    /// Whether an account was made without one.
    is_done: bool,
}

impl Registration {
    /// Answers a request.
    pub(super) async fn answer(
        &mut self,
        server: &Server,
        (ip, domain): (IpAddr, &str),
        request: &Stanza,
    ) -> Option<Stanza> {
        let answer = match request.type_.as_deref() {
            Some("get" | "set") if request.to.as_ref().is_none_or(|to| to.as_str() == domain) => {
                self.take(server, (ip, domain), request).await
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
        (ip, domain): (IpAddr, &str),
        request: &Stanza,
    ) -> Result<Option<Element>, StanzaError> {
        let is_set = request.is_type("set");
        if let Some(preauth) = request.find("preauth", ns::PREAUTH).filter(|_| is_set) {
            return self
                .show(server, (ip, domain), preauth.attribute("token").unwrap_or_default())
                .await
                .map(|()| None);
        }
        let Some(query) = request.find("query", ns::REGISTER) else {
            return Err(ErrorKind::NotAuthorized.into()); // RFC 6120 §7.1: nothing else is served before a proof
        };
        if self.token.is_none() && !server.config.registration {
            return Err(StanzaError::because(ErrorKind::NotAllowed, "accounts are made by invitation"));
        }
        if !is_set {
            return self.form(server).await.map(Some);
        }
        if self.is_done {
            // §3.1.1: one account a stream.
            return Err(StanzaError::because(
                ErrorKind::NotAcceptable,
                "there is an account already; log in",
            ));
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
        let is_invited = self.token.is_some();
        let made = match &self.token {
            Some((token, at)) => {
                let invite =
                    server.auth.invites.peek(token, *at).await.map_err(|error| store_failed(&error))?;
                if let Some(Opens::Account { user: Some(kept), .. }) = invite.map(|invite| invite.opens)
                    && kept != user
                {
                    let why = format!("this invitation is for the user name {kept}");
                    return Err(StanzaError::because(ErrorKind::NotAcceptable, why));
                }
                server.auth.invites.accept_shown(token, &server.domains, wish, *at, unix_millis()).await
            }
            None => make(server, (ip, domain), wish).await?,
        };
        match made {
            Ok(card) => {
                tracing::info!(account = %card.account, is_invited, "an account was made in a client");
                let what = if is_invited {
                    "account created by invitation"
                } else {
                    "account created by registration"
                };
                let (by, after) = (By::default().at(Some(ip)), card_json(&card));
                server.auth.audit.change(by, what, &card.aor, Value::Null, after).await;
                (self.token, self.is_done) = (None, !is_invited);
                Ok(None)
            }
            Err(error) => Err(refusal(&error)),
        }
    }

    /// Section 4: looking spends nothing. An invitation to another domain is none here.
    async fn show(
        &mut self,
        server: &Server,
        (ip, domain): (IpAddr, &str),
        token: &str,
    ) -> Result<(), StanzaError> {
        let now = unix_millis();
        let invite = server.auth.invites.peek(token, now).await.map_err(|error| store_failed(&error))?;
        if invite.and_then(|invite| invite.domain(&server.domains)) != Some(domain) {
            if server.auth.authenticator.wait(ip).is_some() {
                return Err(ErrorKind::PolicyViolation.into());
            }
            server.auth.authenticator.suspect(ip);
            let why = "the token is not good, or not any more";
            return Err(StanzaError::because(ErrorKind::ItemNotFound, why));
        }
        self.token = Some((token.to_owned(), now));
        Ok(())
    }

    /// XEP-0077 §3.1: what is wanted; a name that the invitation says is there already.
    async fn form(&self, server: &Server) -> Result<Element, StanzaError> {
        let invite = match &self.token {
            Some((token, at)) => {
                server.auth.invites.peek(token, *at).await.map_err(|error| store_failed(&error))?
            }
            None => None,
        };
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

/// Makes an account for somebody whom nobody invited, as far as their network may still make some.
async fn make(
    server: &Server,
    (ip, domain): (IpAddr, &str),
    wish: Wish<'_>,
) -> Result<Result<AccountCard, InviteError>, StanzaError> {
    if server.auth.authenticator.wait(ip).is_some() {
        return Err(ErrorKind::PolicyViolation.into());
    }
    let name = match shared_auth::check_name(wish.user) {
        Ok(name) => name,
        Err(error) => return Ok(Err(error.into())),
    };
    if let Err(weak) = shared_auth::check_password(wish.password, &name) {
        return Ok(Err(weak.into()));
    }
    let (Ok(aor), Ok(jid)) = (Aor::new(&name, domain), BareJid::new(&name, domain)) else {
        return Err(ErrorKind::NotAcceptable.into());
    };
    if !server.arrivals.admit(Arrival::Account, ip, server.config.registrations, Instant::now()) {
        let why = "too many accounts were made from your network; try again in an hour";
        return Err(StanzaError::because(ErrorKind::ResourceConstraint, why));
    }
    let made = match server.auth.invites.holds(&server.domains, &aor, unix_millis()).await {
        Ok(false) => {
            let new = NewAccount { aor, jid, profile: Profile::default() };
            server.auth.book.create(new, wish.password).await
        }
        Ok(true) => Err(shared_store::StoreError::Taken(shared_store::Taken::Aor).into()),
        Err(error) => Err(error.into()),
    };
    if made.is_err() {
        server.arrivals.forget(Arrival::Account, ip);
    }
    if matches!(made, Err(BookError::Store(shared_store::StoreError::Taken(_)))) {
        server.auth.authenticator.suspect(ip); // who asks for many names would learn which there are
    }
    Ok(made.map_err(InviteError::Book))
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
    not_now()
}
