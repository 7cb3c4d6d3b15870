//! The end of the service, or a new start — XEP-0133 1.3.1, sections 4.30 and 4.31, where the operator lets administrators do that
//! (`xmpp.admins_may_stop`).
//!
//! In    a delay in seconds, and what is said to all who are online before it.
//! Out   a note; the service stops after the delay, as it does when the operator stops it, and starts anew if that was asked for.
//! State none: of several commands the first that is due counts.
//! Errors a restart for which the configuration is not well formed any more is none, and the note says what is wrong: its first line, for
//!        those after it are the file's, which may be a secret's.

use std::time::Duration;

use shared_model::Pending;
use xmpp_core::payload::form::{Field, Form};

use super::own::{Own, Who};
use super::{Outcome, Stop, announce, bad};
use crate::server::Server;

pub(super) const STOP: Own = Own {
    node: "http://jabber.org/protocol/admin#shutdown",
    name: "Shut the service down",
    ask: Some(|_, _| Box::pin(async { Ok(form("Shut the service down", "Time before it stops")) })),
    run: |server, _, form| run(server, Then::End, form),
    is_there: |server| server.config.admins_may_stop,
    who: Who::Administrators,
};

pub(super) const RESTART: Own = Own {
    node: "http://jabber.org/protocol/admin#restart",
    name: "Restart the service",
    ask: Some(|_, _| Box::pin(async { Ok(form("Restart the service", "Time before it restarts")) })),
    run: |server, _, form| run(server, Then::StartAnew, form),
    is_there: |server| server.config.admins_may_stop && server.may_start.get().is_some(),
    ..STOP
};

/// What comes after the end.
#[derive(Debug, Clone, Copy)]
enum Then {
    End,
    StartAnew,
}

fn form(title: &str, delay: &str) -> Form {
    let delay =
        Field { options: DELAYS.map(option).to_vec(), ..Field::new("delay", "list-single", delay, "60") };
    let said = Field::empty("announcement", "text-multi", "What to say before");
    super::ask(title, &[delay, said])
}

fn run<'a>(server: &'a Server, then: Then, form: &'a Form) -> Pending<'a, Result<Outcome, Stop>> {
    Box::pin(async move {
        let delay = form.value("delay").unwrap_or("60").trim().parse::<u64>();
        let delay = delay.ok().filter(|delay| *delay <= LONGEST).ok_or_else(|| bad("bad-payload"))?;
        if let (Then::StartAnew, Some(may_start)) = (then, server.may_start.get()) {
            may_start().map_err(|why| {
                let why = why.lines().next().unwrap_or_default();
                Stop::Fail(format!("it would not start again: {why}"))
            })?;
        }
        if !form.values("announcement").concat().trim().is_empty() {
            announce::say(server, form).await;
        }
        tracing::warn!(delay, ?then, "an administrator shuts the service down");
        let shutdown = server.shutdown.clone();
        server.shutdown.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(delay)) => match then {
                    Then::End => shutdown.begin(),
                    Then::StartAnew => shutdown.begin_anew(),
                },
                () = shutdown.begun() => {}
            }
        });
        let does = match then {
            Then::End => "stops",
            Then::StartAnew => "restarts",
        };
        Ok(Outcome::Note(format!("the service {does} in {delay} s")))
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
