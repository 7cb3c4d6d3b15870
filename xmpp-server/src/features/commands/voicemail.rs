//! Whether callers may leave messages: each account says so itself (B-13). See [`crate::voicemail`].

use shared_model::BareJid;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{ErrorKind, Jid};

use super::own::{Own, Who};
use super::{Outcome, Stop, bad};
use crate::server::Server;
use crate::voicemail;

pub(super) const COMMAND: Own = Own {
    node: NODE,
    name: NAME,
    ask: Some(|server, user| Box::pin(ask(server, user))),
    run: |server, user, form| Box::pin(run(server, user, form)),
    is_there: |_| true,
    who: Who::Everybody,
};

async fn ask(server: &Server, user: &Jid) -> Result<Form, Stop> {
    let now = if voicemail::wants(server, owner(server, user).await?.as_str()).await? { "1" } else { "0" };
    let switch = Field::new(WANTED, "boolean", "Callers whom I do not answer may leave a message", now);
    Ok(Form::new("form", NODE).titled(NAME).with(switch))
}

async fn run(server: &Server, user: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let is_wanted = form.truth(WANTED).ok_or_else(|| bad("bad-payload"))?;
    voicemail::want(server, owner(server, user).await?.as_str(), is_wanted).await?;
    let said = if is_wanted { "Callers may leave a message." } else { "Callers leave no messages." };
    Ok(Outcome::Note(said.to_owned()))
}

/// Who has messages kept: an account here that may log in.
async fn owner(server: &Server, user: &Jid) -> Result<BareJid, Stop> {
    let account = server.account(user).await?.filter(|account| account.enabled);
    Ok(account.ok_or_else(|| Stop::Refuse(ErrorKind::Forbidden.into()))?.jid)
}

const NODE: &str = "urn:cusax:voicemail:0";
const NAME: &str = "Voicemail";
const WANTED: &str = "wanted";
