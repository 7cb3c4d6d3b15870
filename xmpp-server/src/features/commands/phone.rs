//! Whether it is shown that somebody is on the phone: each account says so itself (B-05). See [`crate::on_the_phone`].

use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::own::{Own, Who};
use super::{Outcome, Stop};
use crate::on_the_phone::Wish;
use crate::server::Server;

pub(super) const COMMAND: Own = Own {
    node: NODE,
    name: NAME,
    ask: Some(|server, user| Box::pin(ask(server, user))),
    run: |server, user, form| Box::pin(run(server, user, form)),
    is_there: |server| server.config.on_the_phone,
    who: Who::Everybody,
};

async fn ask(server: &Server, user: &Jid) -> Result<Form, Stop> {
    let wish = Wish::read(server, user).await?;
    let flag =
        |var: &str, label: &str, is: bool| Field::new(var, "boolean", label, if is { "1" } else { "0" });
    Ok(Form::new("form", NODE)
        .titled(NAME)
        .with(flag("activity", "Your contacts see that you are on the phone", wish.activity))
        .with(flag("dnd", "You are shown as not to be disturbed", wish.dnd)))
}

async fn run(server: &Server, user: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let says = |var: &str| matches!(form.value(var), Some("1" | "true"));
    Wish { activity: says("activity"), dnd: says("dnd") }.write(server, user).await?;
    Ok(Outcome::Done)
}

const NODE: &str = "urn:cusax:on-the-phone:0";
const NAME: &str = "What is shown while you are on the phone";
