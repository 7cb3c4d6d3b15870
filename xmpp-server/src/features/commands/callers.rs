//! By whom an account may be called: each account says so itself (RFC 7081 §3.5). See [`crate::callers`].

use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::own::{Own, Who};
use super::{Outcome, Stop, bad};
use crate::callers::Callers;
use crate::server::Server;

pub(super) const COMMAND: Own = Own {
    node: NODE,
    name: NAME,
    ask: Some(|server, user| Box::pin(ask(server, user))),
    run: |server, user, form| Box::pin(run(server, user, form)),
    is_there: |_| true,
    who: Who::Everybody,
};

async fn ask(server: &Server, user: &Jid) -> Result<Form, Stop> {
    let now = Callers::read(server, user.bare_str()).await?;
    let now = CHOICES.iter().find(|(_, name, _)| *name == now).map_or("everybody", |(value, ..)| value);
    let choices: Vec<(&str, &str)> = CHOICES.iter().map(|(value, _, label)| (*label, *value)).collect();
    let field = Field::new("callers", "list-single", "You may be called by", now).options(&choices);
    Ok(Form::new("form", NODE).titled(NAME).with(field))
}

async fn run(server: &Server, user: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let said = form.value("callers").unwrap_or_default();
    let chosen =
        CHOICES.iter().find(|(value, ..)| *value == said).ok_or_else(|| Stop::from(bad("bad-payload")))?;
    chosen.1.write(server, user.bare_str()).await?;
    Ok(Outcome::Done)
}

const NODE: &str = "urn:cusax:callers:0";
const NAME: &str = "Who may call you";
const CHOICES: &[(&str, Callers, &str)] = &[
    ("everybody", Callers::Everybody, "everybody"),
    ("service", Callers::Service, "people of this service"),
    ("contacts", Callers::Contacts, "your contacts"),
];
