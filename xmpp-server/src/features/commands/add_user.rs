//! Adds a user — XEP-0133 1.3.1, section 4.1.
//!
//! In    an address of this domain, a password twice, names; and an address of record, which is the address where none is
//!       given, as with `cusax user add`.
//! Out   an account that may log in at once. Email is asked for by the XEP and not kept, so it is not asked for here.
//!       A password that is guessed first is refused, as on the pages.

use shared_auth::{NewAccount, Profile, check_password};
use shared_model::{Aor, BareJid};
use shared_runtime::unix_millis;
use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::{Command, Outcome, Stop, ask, changed, one_account};
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#add-user",
    name: "Add a user",
    form: Some(form),
    run: |server, by, form| Box::pin(run(server, by, form)),
};

fn form() -> Form {
    ask(
        "Add a user",
        &[
            one_account(),
            Field::empty("password", "text-private", "Password").required(),
            Field::empty("password-verify", "text-private", "Password again").required(),
            Field::empty("given_name", "text-single", "Given name"),
            Field::empty("surname", "text-single", "Family name"),
            Field::empty("aor", "text-single", "Address for calls, if it is another one"),
        ],
    )
}

async fn run(server: &Server, by: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let text = |var: &str| form.value(var).unwrap_or_default().trim().to_owned();
    let jid = text("accountjid");
    let aor = Some(text("aor")).filter(|aor| !aor.is_empty()).unwrap_or_else(|| jid.clone());
    let aor = aor.trim_start_matches("sip:");
    let jid: BareJid = jid.parse().map_err(|_| Stop::Fail(format!("{jid} is not an address")))?;
    let aor: Aor = aor.parse().map_err(|_| Stop::Fail(format!("{aor} is not an address for calls")))?;
    if !server.is_home(jid.domain()) {
        return Err(Stop::Fail(format!("this service has no accounts of {}", jid.domain())));
    }
    let password = form.value("password").unwrap_or_default();
    if form.value("password-verify") != Some(password) {
        return Err(Stop::Fail("the two passwords differ".to_owned()));
    }
    check_password(password, aor.local()).map_err(|weak| Stop::Fail(weak.to_string()))?;
    let name = format!("{} {}", text("given_name"), text("surname")).trim().to_owned();
    let profile = Profile { name, ..Profile::default() };
    server.auth.invites.check_free(&server.domains, (&aor, &jid), unix_millis()).await?;
    let card = server.auth.book.create(NewAccount { aor, jid, profile }, password).await?;
    changed(server, by, "account created", (None, Some(&card))).await;
    Ok(Outcome::Done)
}
