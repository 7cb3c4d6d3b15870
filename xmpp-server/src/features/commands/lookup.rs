//! Who has an address: the record of the service by which an address of one protocol is bound to that of the other —
//! RFC 7081 §3.3 (association by trusted means), §3.5 (S-29: a directory that vouches).
//!
//! In    an address of record, a JID or a number, whole.
//! Out   the account's name, JID and address of record, or that there is none: who asks knew the address already. A number says so to
//!       those alone who find the account (`directory`): numbers can be tried.
//! Errors as many lookups a minute as searches (`directory`): nobody reads the book through.

use std::time::Instant;

use shared_auth::AccountCard;
use shared_model::{Aor, BareJid};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{ErrorKind, Jid, StanzaError};

use super::own::{Own, Who};
use super::{Outcome, Stop};
use crate::features::directory::finds;
use crate::server::Server;

pub(super) const COMMAND: Own = Own {
    node: NODE,
    name: NAME,
    ask: Some(|_, _| Box::pin(async { Ok(form()) })),
    run: |server, user, form| Box::pin(run(server, user, form)),
    is_there: |server| server.config.directory,
    who: Who::Everybody,
};

fn form() -> Form {
    let address =
        Field::empty("address", "text-single", "sip:…, xmpp:…, or a number with its plus").required();
    Form::new("form", NODE).titled(NAME).with(address)
}

async fn run(server: &Server, user: &Jid, form: &Form) -> Result<Outcome, Stop> {
    if !server.searches.may(user.bare_str(), Instant::now()) {
        let why = "lookups are limited: wait a minute";
        return Err(StanzaError::because(ErrorKind::ResourceConstraint, why).into());
    }
    let address = form.value("address").unwrap_or_default().trim();
    let found = find(server, user, address).await?.filter(|card| card.enabled);
    let card = found.ok_or_else(|| Stop::Fail("nobody here has this address".to_owned()))?;
    let shown = Form::new("result", NODE)
        .with(Field::new("name", "text-single", "Name", card.name.clone()))
        .with(Field::new("jid", "jid-single", "Chat", card.jid.as_str().to_owned()))
        .with(Field::new("aor", "text-single", "Calls", card.aor.to_sip_uri()));
    Ok(Outcome::Result(shown))
}

async fn find(server: &Server, user: &Jid, address: &str) -> Result<Option<AccountCard>, Stop> {
    let directory = &server.auth.directory;
    if let Some(number) = address.strip_prefix("tel:").or(address.starts_with('+').then_some(address)) {
        let Some(card) = directory.by_number(number).await? else { return Ok(None) };
        return Ok(finds(server, user, &card).await?.then_some(card));
    }
    let sip = address.strip_prefix("sips:").or_else(|| address.strip_prefix("sip:"));
    if let Some(aor) = sip.and_then(|aor| aor.parse::<Aor>().ok()) {
        return Ok(directory.by_aor(&aor).await?);
    }
    match address.strip_prefix("xmpp:").unwrap_or(address).parse::<BareJid>() {
        Ok(jid) => Ok(directory.by_jid(&jid).await?),
        Err(_) => Ok(None),
    }
}

const NODE: &str = "urn:cusax:directory:0#lookup";
const NAME: &str = "Who has an address or a number";
