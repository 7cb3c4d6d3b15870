//! What is in users' rosters — XEP-0133 1.3.1, section 4.8.
//!
//! In    the addresses of some accounts.
//! Out   the form with them, and in it for each, in their order, a `<query/>` as the account itself would see it (RFC 6121 §2.1.4).
//! Errors more accounts than [`MOST`]: a note.

use xmpp_core::payload::form::{Field, Form};

use super::{Command, Outcome, Stop, accounts, ask, some_accounts, tell};
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#get-user-roster",
    name: "Rosters of users",
    form: Some(|| ask("Rosters of users", &[some_accounts()])),
    run: |server, _, form| Box::pin(run(server, form)),
};

async fn run(server: &Server, form: &Form) -> Result<Outcome, Stop> {
    let accounts = accounts(server, form).await?;
    if accounts.len() > MOST {
        return Err(Stop::Fail(format!("of {MOST} accounts at most, at once")));
    }
    let (mut jids, mut rosters) = (Vec::new(), Vec::new());
    for account in accounts {
        rosters.push(server.rosters.shown(account.jid.as_str()).await?);
        jids.push(account.jid.as_str().to_owned());
    }
    let shown = tell([Field::empty("accountjids", "jid-multi", "Accounts").values(jids)]);
    Ok(Outcome::Shown(shown.to_element().children_from(rosters)))
}

/// Accounts of one question: a roster may be long.
const MOST: usize = 20;
