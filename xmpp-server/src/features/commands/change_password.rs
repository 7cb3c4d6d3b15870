//! Changes a user's password — XEP-0133 1.3.1, section 4.7. App passwords stay. One that is guessed first is
//! refused, as on the pages.

use shared_auth::check_password;
use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::{Command, Outcome, Stop, accounts, ask, noted, one_account};
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#change-user-password",
    name: "Change a user's password",
    form: Some(form),
    run: |server, by, form| Box::pin(run(server, by, form)),
};

fn form() -> Form {
    let password = Field::empty("password", "text-private", "The new password").required();
    ask("Change a user's password", &[one_account(), password])
}

async fn run(server: &Server, by: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let (accounts, password) = (accounts(server, form).await?, form.value("password").unwrap_or_default());
    for account in &accounts {
        check_password(password, account.aor.local()).map_err(|weak| Stop::Fail(weak.to_string()))?;
    }
    for account in accounts {
        server.auth.book.set_password(account.account, password).await?;
        noted(server, by, "password changed", account.aor).await;
    }
    Ok(Outcome::Done)
}
