//! Lists of users — XEP-0133 1.3.1, sections 4.18 to 4.22: at most as many as are asked for, and no more than [`MOST`].

use shared_auth::AccountCard;
use xmpp_core::payload::form::{Field, Form};

use super::{Command, Outcome, Stop, ask, bad, tell};
use crate::server::Server;

pub(super) const REGISTERED: Command = Command {
    node: "http://jabber.org/protocol/admin#get-registered-users-list",
    name: "List of registered users",
    form: Some(form),
    run: |server, _, form| Box::pin(accounts(server, form, "registereduserjids", |_| true)),
};

pub(super) const DISABLED: Command = Command {
    node: "http://jabber.org/protocol/admin#get-disabled-users-list",
    name: "List of disabled users",
    form: Some(form),
    run: |server, _, form| Box::pin(accounts(server, form, "disableduserjids", |account| !account.enabled)),
};

pub(super) const ONLINE: Command = Command {
    node: "http://jabber.org/protocol/admin#get-online-users-list",
    name: "List of online users",
    form: Some(form),
    run: |server, _, form| Box::pin(async move { online(server, form, "onlineuserjids", |_| true) }),
};

pub(super) const ACTIVE: Command = Command {
    node: "http://jabber.org/protocol/admin#get-active-users",
    name: "List of active users",
    form: Some(form),
    run: |server, _, form| Box::pin(async move { online(server, form, "activeuserjids", |active| active) }),
};

pub(super) const IDLE: Command = Command {
    node: "http://jabber.org/protocol/admin#get-idle-users",
    name: "List of idle users",
    form: Some(form),
    run: |server, _, form| Box::pin(async move { online(server, form, "idleuserjids", |active| !active) }),
};

fn form() -> Form {
    let sizes =
        [("25", "25"), ("100", "100"), ("200", "200"), ("1000", "1000"), ("As many as may be", "none")];
    let most = Field::new("max_items", "list-single", "How many to show", "100").options(&sizes);
    ask("List of users", &[most])
}

/// How many are asked for.
fn most(form: &Form) -> Result<usize, Stop> {
    match form.value("max_items") {
        None | Some("none" | "") => Ok(MOST),
        Some(number) => Ok(number.parse::<usize>().map_err(|_| bad("bad-payload"))?.min(MOST)),
    }
}

fn listed(var: &str, jids: Vec<String>) -> Outcome {
    Outcome::Result(tell([Field::empty(var, "jid-multi", "Users").values(jids)]))
}

async fn accounts(
    server: &Server,
    form: &Form,
    var: &str,
    is_one: fn(&AccountCard) -> bool,
) -> Result<Outcome, Stop> {
    let most = most(form)?;
    let (mut jids, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let (page, more) = server.auth.directory.list(after.as_ref(), PAGE).await?;
        after = page.last().map(|account| account.aor.clone());
        jids.extend(page.iter().filter(|account| is_one(account)).map(|a| a.jid.as_str().to_owned()));
        pages += 1;
        if jids.len() >= most || !more || after.is_none() || pages >= MOST_PAGES {
            jids.truncate(most);
            return Ok(listed(var, jids));
        }
    }
}

fn online(server: &Server, form: &Form, var: &str, is_one: fn(bool) -> bool) -> Result<Outcome, Stop> {
    let most = most(form)?;
    let mut jids: Vec<String> = server
        .router
        .online()
        .into_iter()
        .filter(|(_, active)| is_one(*active))
        .map(|(jid, _)| jid)
        .collect();
    jids.sort_unstable();
    jids.truncate(most);
    Ok(listed(var, jids))
}

/// Users in one answer.
const MOST: usize = 2000;
/// Accounts read at once, and how often.
const PAGE: usize = 500;
const MOST_PAGES: usize = 200;
