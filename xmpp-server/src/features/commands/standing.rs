//! Announcements that stay — XEP-0133 1.3.1, sections 4.24 to 4.28. See [`crate::standing`].

use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::own::{Own, Who};
use super::{Outcome, Stop, bad};
use crate::server::Server;
use crate::standing::{What, set};

pub(super) const SET_OF_THE_DAY: Own = Own {
    node: "http://jabber.org/protocol/admin#set-motd",
    name: "Set the message of the day",
    ask: Some(|_, _| Box::pin(async { Ok(form(What::OfTheDay, "")) })),
    run: |server, _, form| Box::pin(run(server, What::OfTheDay, form, false)),
    is_there: |_| true,
    who: Who::Administrators,
};

pub(super) const EDIT_OF_THE_DAY: Own = Own {
    node: "http://jabber.org/protocol/admin#edit-motd",
    name: "Correct the message of the day",
    ask: Some(|server, user| Box::pin(ask(server, user))),
    run: |server, _, form| Box::pin(run(server, What::OfTheDay, form, true)),
    ..SET_OF_THE_DAY
};

pub(super) const DELETE_OF_THE_DAY: Own = Own {
    node: "http://jabber.org/protocol/admin#delete-motd",
    name: "Take the message of the day away",
    ask: None,
    run: |server, _, _| Box::pin(take_away(server, What::OfTheDay)),
    ..SET_OF_THE_DAY
};

pub(super) const SET_WELCOME: Own = Own {
    node: "http://jabber.org/protocol/admin#set-welcome",
    name: "Set what new accounts are told",
    ask: Some(|server, _| {
        Box::pin(async {
            let now = server.standing.now(What::Welcome);
            Ok(form(What::Welcome, now.as_ref().map_or("", |now| &now.text)))
        })
    }),
    run: |server, _, form| Box::pin(run(server, What::Welcome, form, false)),
    ..SET_OF_THE_DAY
};

pub(super) const DELETE_WELCOME: Own = Own {
    node: "http://jabber.org/protocol/admin#delete-welcome",
    name: "Tell new accounts nothing",
    ask: None,
    run: |server, _, _| Box::pin(take_away(server, What::Welcome)),
    ..SET_OF_THE_DAY
};

async fn ask(server: &Server, _: &Jid) -> Result<Form, Stop> {
    match server.standing.now(What::OfTheDay) {
        Some(now) => Ok(form(What::OfTheDay, &now.text)),
        None => Err(Stop::Fail("there is no message of the day".to_owned())),
    }
}

fn form(what: What, now: &str) -> Form {
    let (var, label, title) = match what {
        What::OfTheDay => ("motd", "Message of the Day", "The message of the day"),
        What::Welcome => ("welcome", "Welcome", "What new accounts are told"),
    };
    let lines = now.lines().map(str::to_owned).collect();
    Form::new("form", ADMIN)
        .titled(title)
        .with(Field::empty(var, "text-multi", label).values(lines).required())
}

async fn run(server: &Server, what: What, form: &Form, is_correction: bool) -> Result<Outcome, Stop> {
    let var = if what == What::OfTheDay { "motd" } else { "welcome" };
    let text = form.values(var).join("\n");
    if text.trim().is_empty() || text.len() > LONGEST {
        return Err(bad("bad-payload").into());
    }
    set(server, what, Some(text), is_correction).await?;
    Ok(Outcome::Done)
}

async fn take_away(server: &Server, what: What) -> Result<Outcome, Stop> {
    set(server, what, None, false).await?;
    Ok(Outcome::Done)
}

const ADMIN: &str = "http://jabber.org/protocol/admin";
/// Bytes of an announcement.
const LONGEST: usize = 16_384;
