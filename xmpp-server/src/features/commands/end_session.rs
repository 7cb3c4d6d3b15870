//! Ends sessions — XEP-0133 1.3.1, section 4.5: of a full address that one, of a bare one all.

use xmpp_core::Jid;
use xmpp_core::payload::form::Form;
use xmpp_core::stream::{StreamCondition, StreamError};

use super::{Command, Outcome, Stop, ask, bad, noted, some_accounts};
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#end-user-session",
    name: "End sessions",
    form: Some(|| ask("End sessions", &[some_accounts()])),
    run: |server, by, form| Box::pin(run(server, by, form)),
};

async fn run(server: &Server, by: &Jid, form: &Form) -> Result<Outcome, Stop> {
    let mut ended = Vec::new();
    for jid in form.values("accountjids").iter().filter(|jid| !jid.trim().is_empty()) {
        let jid: Jid = jid.trim().parse().map_err(|_| bad("bad-payload"))?;
        for session in server.router.sessions(jid.bare_str()) {
            if jid.is_bare() || session.jid == jid {
                let why = "an administrator ended the session";
                session.door.end(StreamError::because(StreamCondition::PolicyViolation, why));
                ended.push(session.jid.clone());
            }
        }
    }
    for session in &ended {
        noted(server, by, "chat session ended", session).await;
    }
    match ended.len() {
        0 => Err(Stop::Fail("nobody of these is here".to_owned())),
        ended => Ok(Outcome::Note(format!("{ended} sessions end"))),
    }
}
