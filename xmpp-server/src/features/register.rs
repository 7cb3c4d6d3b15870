//! What an account does with itself in the client — XEP-0077 2.4, section 3.1 (what is registered), 3.2 (removal), 3.3 (another
//! password).
//!
//! In    requests of the account's own user, where `xmpp.account_changes` lets them.
//! Out   an account with another password, or none: sessions end, data are erased and contacts are told (`erase`).
//! Errors `forbidden` to a client that is in by an app password, which is not the account, and `not-authorized` to one that is in by a certificate; what is wrong with a password, in words
//!        (`not-acceptable`); those of the XEP's tables.
//! Not here: making accounts (`c2s::register`); whether the stream is encrypted, which `tls.require` says before the login.

use std::sync::Arc;

use shared_auth::{AccountCard, BookError, card_json};
use shared_runtime::unix_millis;
use xmpp_core::{Element, ErrorKind, StanzaError, ns};

use super::{Answer, Answered, Feature, Request, Target, store_failed};
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[],
    takes: &[("query", ns::REGISTER)],
    server: &[ns::REGISTER],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

async fn answer(server: &Server, request: &Request) -> Answered {
    if request.target != Target::Server && request.own_account().is_none() {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    let card = server.account(&request.from.to_bare()).await.map_err(|error| store_failed(&error))?;
    let card = card.ok_or(ErrorKind::RegistrationRequired)?; // of another server
    if !server.config.account_changes {
        return Err(StanzaError::because(ErrorKind::NotAllowed, "accounts are not changed in band here"));
    }
    if !request.is_set {
        let said = Element::new("query", ns::REGISTER).child(Element::new("registered", ns::REGISTER));
        return Ok(said.text_child("username", card.jid.local()).text_child("password", "").into());
    }
    let sessions = server.router.sessions(request.from.bare_str());
    let asker = sessions.iter().find(|session| session.jid == request.from);
    if asker.is_none_or(|asker| asker.access.app.is_some()) {
        return Err(StanzaError::because(ErrorKind::Forbidden, "an app password may not change the account"));
    }
    if asker.is_some_and(|asker| asker.access.is_certified) {
        // XEP-0257 §5.2: who holds a certificate need not know the password.
        return Err(StanzaError::because(
            ErrorKind::NotAuthorized,
            "a certificate may not change the account",
        ));
    }
    match request.payload.find("remove", ns::REGISTER) {
        Some(_) if request.payload.children().count() > 1 => Err(ErrorKind::BadRequest.into()), // table 1
        Some(_) => remove(server, &card).await,
        None => set_password(server, &card, request).await,
    }
}

async fn remove(server: &Server, card: &AccountCard) -> Answered {
    server.auth.book.remove(card.account).await.map_err(|error| refusal(&error))?;
    tracing::info!(account = %card.account, "an account was ended by its user");
    server
        .auth
        .audit
        .change(card, "account removed", &card.aor, card_json(card), serde_json::Value::Null)
        .await;
    Ok(Answer::default())
}

/// Changes the password; of the sessions that the one before opened, the one that asks goes on.
async fn set_password(server: &Server, card: &AccountCard, request: &Request) -> Answered {
    let said = |name: &str| request.payload.text_of(name).filter(|text| !text.is_empty());
    let (Some(user), Some(password)) = (said("username"), said("password")) else {
        return Err(StanzaError::because(ErrorKind::BadRequest, "a user name and a password are wanted"));
    };
    if !user.eq_ignore_ascii_case(card.jid.local()) {
        return Err(StanzaError::because(ErrorKind::Forbidden, "that is the name of another account"));
    }
    shared_auth::check_password(&password, card.jid.local())
        .map_err(|weak| StanzaError::because(ErrorKind::NotAcceptable, weak.to_string()))?;
    let prove = |at: Option<i64>| {
        server.router.mark(&request.from, |session| {
            let access = Arc::make_mut(&mut session.access);
            access.password = access.password.and(at);
            access.version = u64::MAX; // from now on the time alone says whose password it is
        });
    };
    // Before it changes, since the news of it may be faster than the answer.
    prove(Some(i64::MAX));
    let changed = server.auth.book.set_password(card.account, &password).await;
    prove(Some(unix_millis()));
    changed.map_err(|error| refusal(&error))?;
    tracing::info!(account = %card.account, "a password was changed by its user");
    server.auth.audit.note(card, "password changed", &card.aor).await;
    Ok(Answer::default())
}

fn refusal(error: &BookError) -> StanzaError {
    match error {
        BookError::Store(error) => store_failed(error),
        error => StanzaError::because(ErrorKind::NotAcceptable, error.to_string()),
    }
}
