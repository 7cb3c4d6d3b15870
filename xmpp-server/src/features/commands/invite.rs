//! Invitations, made in the client — XEP-0401 0.6.0, section 5.1 (a contact), section 5.4 (an account).
//!
//! In    the wish of an account for a link, where the service lets everybody invite; an administrator's, with a user name and
//!       whether the new account is to be a contact.
//! Out   the `xmpp:` URI, the page of the invitation, and when it ends.
//! State the invitation, in `shared-auth`; the name that an invitation says is nobody else's while it is open (section 6.2).
//! Not here: what is done with the link (`c2s::register`, `invited`), and how it is written, which whoever starts the server says.

use std::time::Duration;

use serde_json::Value;
use shared_auth::{AccountCard, Invite, InviteError, Opens};
use shared_model::{BareJid, Spec};
use shared_runtime::unix_millis;
use xmpp_core::payload::delay::date_time;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{ErrorKind, Jid};

use super::own::{Own, Who};
use super::{Outcome, Stop};
use crate::server::Server;

/// XEP-0401.
pub(in crate::features) const SPEC: Spec =
    Spec::xep(401, "0.6.0").complete().note("a directory and an import give out names that invitations keep");

/// Who may invite, and where invitations lead.
pub struct Invitations {
    /// Whether every account may invite contacts; administrators may.
    pub by_everybody: bool,
    /// The links of an invitation and its text.
    pub links: Box<Links>,
}

/// Says where an invitation of this text leads.
type Links = dyn Fn(&str, &Invite) -> InviteLinks + Send + Sync;

/// Where an invitation leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteLinks {
    /// What a chat app opens.
    pub uri: String,
    /// What a browser opens.
    pub page: String,
}

pub(super) const CONTACT: Own = Own {
    node: "urn:xmpp:invite#invite",
    name: "Invite a contact",
    ask: None,
    run: |server, user, _| Box::pin(invite(server, user)),
    is_there: |server| is_open(server) && server.invitations.get().is_some_and(|it| it.by_everybody),
    who: Who::Everybody,
};

pub(super) const ACCOUNT: Own = Own {
    node: "urn:xmpp:invite#create-account",
    name: "Invite to an account",
    ask: Some(|_, _| Box::pin(async { Ok(form()) })),
    run: |server, user, form| Box::pin(create(server, user, form)),
    is_there: is_open,
    who: Who::Administrators,
};

fn is_open(server: &Server) -> bool {
    server.config.invitations && server.invitations.get().is_some()
}

fn form() -> Form {
    Form::new("form", INVITATION)
        .titled("Invite to an account")
        .with(Field::empty("username", "text-single", "User name; empty: the invited one chooses"))
        .with(Field::new("roster-subscription", "boolean", "You are contacts from the start", "0"))
}

async fn invite(server: &Server, user: &Jid) -> Result<Outcome, Stop> {
    let card = asker(server, user).await?;
    let contact = Some(card.jid.clone());
    make(server, &card, opens(&card, None, contact)).await
}

async fn create(server: &Server, user: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let card = asker(server, user).await?;
    let name = form.value("username").map(str::trim).filter(|name| !name.is_empty());
    let contact = form.truth("roster-subscription").unwrap_or(false).then(|| card.jid.clone());
    let user = name.map(str::to_ascii_lowercase);
    if let Some(name) = &user {
        let jid: Jid = format!("{name}@{}", card.jid.domain())
            .parse()
            .map_err(|_| Stop::Fail("that is no user name".to_owned()))?;
        if server.account(&jid).await?.is_some() {
            return Err(Stop::Fail("there is an account of this name".to_owned()));
        }
    }
    make(server, &card, opens(&card, user, contact)).await
}

/// An account of the domain that whoever invites is of.
fn opens(by: &AccountCard, user: Option<String>, contact: Option<BareJid>) -> Opens {
    let domain = Some(by.jid.domain().to_owned());
    Opens::Account { user, domain, name: String::new(), admin: false, contact }
}

async fn asker(server: &Server, user: &Jid) -> Result<AccountCard, Stop> {
    let card = server.account(&user.to_bare()).await?.filter(|card| card.enabled);
    card.ok_or_else(|| Stop::Refuse(ErrorKind::Forbidden.into()))
}

async fn make(server: &Server, by: &AccountCard, opens: Opens) -> Result<Outcome, Stop> {
    let Some(invitations) = server.invitations.get() else {
        return Err(Stop::Refuse(ErrorKind::ServiceUnavailable.into()));
    };
    let maker = Some(by.account);
    let made = server.auth.invites.create(&server.domains, opens, maker, LIFETIME, unix_millis()).await;
    let (text, invite) = made.map_err(|error| match error {
        InviteError::Book(error) => Stop::from(error),
        error => Stop::Fail(error.to_string()),
    })?;
    let after = serde_json::to_value(&invite).unwrap_or_default();
    server.auth.audit.change(by, "invitation made", &invite.id, Value::Null, after).await;
    let links = (invitations.links)(&text, &invite);
    Ok(Outcome::Result(
        Form::new("result", INVITATION)
            .with(Field::new("uri", "text-single", "Link for chat apps", links.uri))
            .with(Field::new("landing-url", "text-single", "Link for browsers", links.page))
            .with(Field::new("expire", "text-single", "Good until", date_time(invite.expires))),
    ))
}

/// `FORM_TYPE` of the result.
const INVITATION: &str = "urn:xmpp:invite#invitation";
/// How long an invitation is good for.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);
