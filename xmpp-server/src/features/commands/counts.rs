//! Numbers of users — XEP-0133 1.3.1, sections 4.13 to 4.17.
//!
//! Online is an account with an available resource, active one whose client somebody looks at (XEP-0352), idle one where
//! nobody does. Accounts are counted page by page, and not beyond [`MOST_COUNTED`].

use shared_auth::AccountCard;
use xmpp_core::payload::form::Field;

use super::{Command, Outcome, Run, Stop, tell};
use crate::server::Server;

/// A command that says how many.
const fn count(node: &'static str, name: &'static str, run: Run) -> Command {
    Command { node, name, form: None, run }
}

pub(super) const REGISTERED: Command = count(
    "http://jabber.org/protocol/admin#get-registered-users-num",
    "Number of registered users",
    |server, _, _| Box::pin(accounts(server, "registeredusersnum", |_| true)),
);

pub(super) const DISABLED: Command = count(
    "http://jabber.org/protocol/admin#get-disabled-users-num",
    "Number of disabled users",
    |server, _, _| Box::pin(accounts(server, "disabledusersnum", |account| !account.enabled)),
);

pub(super) const ONLINE: Command = count(
    "http://jabber.org/protocol/admin#get-online-users-num",
    "Number of online users",
    |server, _, _| Box::pin(async move { Ok(said("onlineusersnum", server.router.online().len())) }),
);

pub(super) const ACTIVE: Command = count(
    "http://jabber.org/protocol/admin#get-active-users-num",
    "Number of active users",
    |server, _, _| Box::pin(async move { Ok(said("activeusersnum", of(server, true))) }),
);

pub(super) const IDLE: Command =
    count("http://jabber.org/protocol/admin#get-idle-users-num", "Number of idle users", |server, _, _| {
        Box::pin(async move { Ok(said("idleusersnum", of(server, false))) })
    });

fn of(server: &Server, is_active: bool) -> usize {
    server.router.online().iter().filter(|(_, active)| *active == is_active).count()
}

fn said(var: &str, number: usize) -> Outcome {
    Outcome::Result(tell([Field::new(var, "text-single", "Number", number.to_string())]))
}

async fn accounts(server: &Server, var: &str, is_one: fn(&AccountCard) -> bool) -> Result<Outcome, Stop> {
    let (mut number, mut seen, mut after) = (0, 0, None);
    loop {
        let (page, more) = server.auth.directory.list(after.as_ref(), PAGE).await?;
        number += page.iter().filter(|account| is_one(account)).count();
        seen += page.len();
        after = page.last().map(|account| account.aor.clone());
        if !more || after.is_none() {
            return Ok(said(var, number));
        }
        if seen >= MOST_COUNTED {
            return Err(Stop::Fail(format!("there are more than {MOST_COUNTED} accounts: ask the database")));
        }
    }
}

/// Accounts read at once.
const PAGE: usize = 1000;
const MOST_COUNTED: usize = 500_000;
