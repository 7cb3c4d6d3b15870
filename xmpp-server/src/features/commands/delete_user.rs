//! Deletes users — XEP-0133 1.3.1, section 4.2: the accounts, their sessions, and what was kept for them.

use xmpp_core::Jid;
use xmpp_core::payload::form::Form;

use super::{Command, Outcome, Stop, accounts, ask, changed, some_accounts};
use crate::erase;
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#delete-user",
    name: "Delete users",
    form: Some(|| ask("Delete users and all that is kept for them", &[some_accounts()])),
    run: |server, by, form| Box::pin(run(server, by, form)),
};

async fn run(server: &Server, by: &Jid, form: &Form) -> Result<Outcome, Stop> {
    for account in accounts(server, form).await? {
        server.auth.book.remove(account.account).await?; // ends the sessions and erases, by way of a fact
        changed(server, by, "account removed", (Some(&account), None)).await;
        if !erase::is_erased(server, account.account).await {
            tracing::warn!(account = %account.account, "an account that was deleted is still being erased");
        }
    }
    Ok(Outcome::Done)
}
