//! Disables users and enables them again — XEP-0133 1.3.1, sections 4.3 and 4.4. Who is disabled has no session any more.

use shared_auth::AccountCard;
use xmpp_core::Jid;
use xmpp_core::payload::form::Form;

use super::{Command, Outcome, Stop, accounts, ask, changed, some_accounts};
use crate::server::Server;

pub(super) const DISABLE: Command = Command {
    node: "http://jabber.org/protocol/admin#disable-user",
    name: "Disable users",
    form: Some(|| ask("Disable users", &[some_accounts()])),
    run: |server, by, form| Box::pin(switch(server, by, form, false)),
};

pub(super) const ENABLE: Command = Command {
    node: "http://jabber.org/protocol/admin#reenable-user",
    name: "Enable users again",
    form: Some(|| ask("Enable users again", &[some_accounts()])),
    run: |server, by, form| Box::pin(switch(server, by, form, true)),
};

async fn switch(server: &Server, by: &Jid, form: &Form, enabled: bool) -> Result<Outcome, Stop> {
    for account in accounts(server, form).await? {
        server.auth.book.set_enabled(account.account, enabled).await?;
        let after = AccountCard { enabled, ..account.clone() };
        changed(server, by, "account changed", (Some(&account), Some(&after))).await;
    }
    Ok(Outcome::Done)
}
