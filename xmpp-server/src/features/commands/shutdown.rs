//! The end of the service — XEP-0133 1.3.1, section 4.31, where the operator lets administrators do that (`xmpp.admins_may_stop`).
//!
//! In    a delay in seconds, and what is said to all who are online before it.
//! Out   a note; the service stops after the delay, as it does when the operator stops it.
//! State none: a second command does not delay what the first began.
//! Not here: a restart (§4.30). What watches over the process starts it again, or does not.

use std::time::Duration;

use shared_model::Pending;
use xmpp_core::Jid;
use xmpp_core::payload::form::{Field, Form};

use super::own::{Own, Who};
use super::{Outcome, Stop, announce, bad};
use crate::server::Server;

pub(super) const COMMAND: Own = Own {
    node: "http://jabber.org/protocol/admin#shutdown",
    name: "Shut the service down",
    ask: Some(|_, _| Box::pin(async { Ok(form()) })),
    run,
    is_there: |server| server.config.admins_may_stop,
    who: Who::Administrators,
};

fn form() -> Form {
    let delay = Field {
        options: DELAYS.map(option).to_vec(),
        ..Field::new("delay", "list-single", "Time before it stops", "60")
    };
    let said = Field::empty("announcement", "text-multi", "What to say before");
    super::ask("Shut the service down", &[delay, said])
}

fn run<'a>(server: &'a Server, _: &'a Jid, form: &'a Form) -> Pending<'a, Result<Outcome, Stop>> {
    Box::pin(async move {
        let delay = form.value("delay").unwrap_or("60").trim().parse::<u64>();
        let delay = delay.ok().filter(|delay| *delay <= LONGEST).ok_or_else(|| bad("bad-payload"))?;
        if !form.values("announcement").concat().trim().is_empty() {
            announce::say(server, form).await;
        }
        tracing::warn!(delay, "an administrator shuts the service down");
        let shutdown = server.shutdown.clone();
        server.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(delay)) => shutdown.begin(),
                () = shutdown.begun() => {}
            }
        });
        Ok(Outcome::Note(format!("the service stops in {delay} s")))
    })
}

fn option(seconds: u64) -> (String, String) {
    let label =
        if seconds < 120 { format!("{seconds} seconds") } else { format!("{} minutes", seconds / 60) };
    (label, seconds.to_string())
}

/// Seconds that are offered.
const DELAYS: [u64; 7] = [30, 60, 90, 120, 180, 240, 300];
/// Seconds that are taken: an hour.
const LONGEST: u64 = 3600;
