//! Says something to all who are online — XEP-0133 1.3.1, section 4.23. It is of the moment: nobody finds it later.

use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, Jid, Kind, Stanza, ns};

use super::{Command, Outcome, Stop, ask};
use crate::server::Server;

pub(super) const COMMAND: Command = Command {
    node: "http://jabber.org/protocol/admin#announce",
    name: "Send an announcement to online users",
    form: Some(form),
    run: |server, _, form| Box::pin(run(server, form)),
};

fn form() -> Form {
    let subject = Field::empty("subject", "text-single", "Subject");
    let text = Field::empty("announcement", "text-multi", "What to say").required();
    ask("Say something to all who are online", &[subject, text])
}

async fn run(server: &Server, form: &Form) -> Result<Outcome, Stop> {
    let told = say(server, form).await;
    Ok(Outcome::Note(format!("{told} users were told")))
}

/// Says what a form holds to all who are online; how many these are.
pub(super) async fn say(server: &Server, form: &Form) -> usize {
    let text = form.values("announcement").join("\n");
    let mut message = Stanza::new(Kind::Message, Some("headline"));
    if let Some(subject) = form.value("subject").filter(|subject| !subject.is_empty()) {
        message = message.with(&Element::new("subject", ns::CLIENT).text_node(subject));
    }
    let message = message.with(&Element::new("body", ns::CLIENT).text_node(text));
    let online = server.router.online();
    for (at, (bare, _)) in online.iter().enumerate() {
        let to: Option<Jid> = bare.parse().ok();
        let from = to.as_ref().and_then(|to| server.voice_to(to));
        let message = message.clone().with_id(Some(&server.new_id())).addressed(from.as_ref(), to.as_ref());
        server.router.send_to_available(bare, &message);
        if at % AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    online.len()
}

/// Users who are told before others get their turn.
const AT_ONCE: usize = 256;
