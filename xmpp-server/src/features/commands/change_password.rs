//! Changes a user's password — XEP-0133 1.3.1, section 4.7. App passwords stay.

use xmpp_core::payload::form::{Field, Form};

use super::{Command, Outcome, Stop, accounts, ask, one_account};
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#change-user-password",
    name: "Change a user's password",
    form: Some(form),
    run: |server, form| Box::pin(run(server, form)),
};

fn form() -> Form {
    let password = Field::empty("password", "text-private", "The new password").required();
    ask("Change a user's password", &[one_account(), password])
}

async fn run(server: &Server, form: &Form) -> Result<Outcome, Stop> {
    for account in accounts(server, form).await? {
        let password = form.value("password").unwrap_or_default();
        server.auth.book.set_password(account.account, password).await?;
    }
    Ok(Outcome::Done)
}
