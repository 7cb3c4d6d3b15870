//! Ad-hoc commands — XEP-0050 1.3.0, sections 2 (list, execute, cancel), 3.4 (actions), 4.4 (errors).
//!
//! A command is a file here, and a line in [`COMMANDS`]: a node, a name, the form that it asks for, and what it does with it.
//!
//! In    `<command/>` for the domain, of an account that administers the service; those of [`own`] of every account.
//! Out   a form to be filled in; then what the command has to say, as a form or a note.
//! State forms that wait to be handed in ([`Sessions`]): bounded, each for its own asker and a quarter of an hour.
//! Errors those of section 4.4. A command that fails is completed with a note that says why (§3.6).
//! Not here: commands of accounts and rooms; several stages: `prev` is a bad action, `next` is `complete`.

mod add_user;
mod announce;
mod blacklist;
mod callers;
mod change_password;
mod counts;
mod delete_user;
mod end_session;
pub(crate) mod invite;
mod lists;
mod lookup;
mod own;
mod phone;
mod sessions;
mod shutdown;
mod standing;
mod switch_user;
mod user_roster;
mod user_stats;
mod voicemail;

use std::fmt::Display;

use serde_json::Value;
use shared_auth::{AccountCard, BookError, card_json};
use shared_model::{Pending, Spec};
use shared_runtime::Redacted;
use shared_store::StoreError;
use xmpp_core::payload::disco::Info;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

pub(crate) use sessions::Sessions;

use own::Who;

use super::{Answered, Feature, Request, Target, store_failed};
use crate::server::Server;

pub(super) const FEATURE: Feature = Feature {
    specs: &[
        invite::SPEC,
        Spec::xep(50, "1.3.0").note("one stage each"),
        Spec::xep(133, "1.3.1")
            .note("all but whitelists and the list of administrators, which are the operator's; a restart and the end of the service if the operator lets"),
    ],
    takes: &[("command", ns::COMMANDS)],
    server: &[ns::COMMANDS],
    account: &[],
    answer: |server, request| Box::pin(answer(server, request)),
};

/// One line of the table.
struct Command {
    node: &'static str,
    name: &'static str,
    /// What it asks for; none is run at once.
    form: Option<fn() -> Form>,
    run: Run,
}

/// What a command does for whom with a form.
type Run = for<'a> fn(&'a Server, &'a Jid, &'a Form) -> Pending<'a, Result<Outcome, Stop>>;

/// Every command, in the order in which they are listed.
const COMMANDS: &[Command] = &[
    add_user::COMMAND,
    delete_user::COMMAND,
    switch_user::DISABLE,
    switch_user::ENABLE,
    change_password::COMMAND,
    end_session::COMMAND,
    user_roster::COMMAND,
    user_stats::COMMAND,
    user_stats::LAST_LOGIN,
    counts::REGISTERED,
    counts::DISABLED,
    counts::ONLINE,
    counts::ACTIVE,
    counts::IDLE,
    lists::REGISTERED,
    lists::DISABLED,
    lists::ONLINE,
    lists::ACTIVE,
    lists::IDLE,
    announce::COMMAND,
];

/// What came of a command.
enum Outcome {
    Done,
    /// What a person reads.
    Note(String),
    Result(Form),
    /// A form, and in it what no field holds.
    Shown(Element),
}

/// Why nothing came of it.
enum Stop {
    /// It cannot be asked so.
    Refuse(StanzaError),
    /// What a person reads.
    Fail(String),
}

impl From<StanzaError> for Stop {
    fn from(error: StanzaError) -> Self {
        Self::Refuse(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchAccount | StoreError::Taken(_) | StoreError::Conflict => {
                Self::Fail(error.to_string())
            }
            error => Self::Refuse(store_failed(&error)),
        }
    }
}

impl From<BookError> for Stop {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Store(error) => error.into(),
            error => Self::Fail(error.to_string()),
        }
    }
}

/// §2.2: the list, for who may execute what is in it; `None` for another node.
pub(super) async fn items(server: &Server, from: &Jid, node: &str) -> Result<Option<Element>, StanzaError> {
    if node != ns::COMMANDS {
        return Ok(Found::at(server, node)
            .map(|found| Element::new("query", ns::DISCO_ITEMS).with("node", found.node())));
    }
    let is_admin = is_admin(server, from).await?;
    let shown = if is_admin { COMMANDS } else { &[] };
    let is_for = |own: &&own::Own| own.who == Who::Everybody || is_admin;
    let own = own::OWN.iter().filter(|own| server.is_home(from.domain()) && (own.is_there)(server));
    let own = own.filter(is_for);
    let shown = shown.iter().map(|c| (c.node, c.name)).chain(own.map(|c| (c.node, c.name)));
    let items = shown.map(|(node, name)| {
        Element::new("item", ns::DISCO_ITEMS)
            .with("jid", server.home_of(from))
            .with("node", node)
            .with("name", name)
    });
    Ok(Some(Element::new("query", ns::DISCO_ITEMS).with("node", node).children_from(items)))
}

/// §2.2: what the list, or a command, is; `None` for another node.
pub(super) async fn info(server: &Server, from: &Jid, node: &str) -> Result<Option<Element>, StanzaError> {
    let (type_, name) = match Found::at(server, node) {
        Some(found) => {
            found.check(server, from).await?;
            ("command-node", found.name())
        }
        None if node == ns::COMMANDS => ("command-list", "Commands"),
        None => return Ok(None),
    };
    let identities = vec![("automation", type_, name.to_owned())];
    let info = Info { identities, features: vec![ns::COMMANDS, ns::FORM], forms: Vec::new() };
    Ok(Some(info.to_element(Some(node))))
}

async fn answer(server: &Server, request: &Request) -> Answered {
    if request.target != Target::Server {
        return Err(ErrorKind::ServiceUnavailable.into());
    }
    let asked = &request.payload;
    let node = asked.attribute("node").filter(|_| request.is_set).ok_or(ErrorKind::BadRequest)?;
    let command = Found::at(server, node).ok_or(ErrorKind::ItemNotFound)?;
    command.check(server, &request.from).await?;
    let action = Action::of(asked)?;
    let id = match (asked.attribute("sessionid"), action) {
        (None, Action::Go) => {
            let id = server.new_id();
            let form = match command.ask(server, &request.from).await {
                Err(Stop::Fail(why)) => {
                    return Ok(command.says(&id, "completed").child(note("error", why)).into());
                }
                Err(Stop::Refuse(error)) => return Err(error),
                Ok(form) => form,
            };
            if let Some(form) = form {
                server.commands.open(&id, node, &request.from).map_err(|()| ErrorKind::ResourceConstraint)?;
                let actions = Element::new("actions", ns::COMMANDS)
                    .with("execute", "complete")
                    .child(Element::new("complete", ns::COMMANDS));
                return Ok(command.says(&id, "executing").child(actions).child(form.to_element()).into());
            }
            id
        }
        (None, Action::Cancel) => return Err(bad("bad-action")),
        (Some(id), action) => {
            server.commands.check(id, node, &request.from).map_err(|wrong| wrong.error())?;
            if action == Action::Cancel {
                server.commands.close(id);
                return Ok(command.says(id, "canceled").into());
            }
            id.to_owned()
        }
    };
    let form = asked.find("x", ns::FORM).and_then(Form::parse);
    let form = match command {
        Found::Admins(Command { form: None, .. }) => form.unwrap_or_default(),
        Found::Admins(Command { form: Some(wanted), .. }) => {
            form.filter(|form| is_filled(&wanted(), form)).ok_or_else(|| bad("bad-payload"))?
        }
        Found::Own(own::Own { ask: None, .. }) => form.unwrap_or_default(),
        Found::Own(_) => form.ok_or_else(|| bad("bad-payload"))?,
    };
    server.commands.close(&id);
    let outcome = command.run(server, &request.from, &form).await;
    let completed = command.says(&id, "completed");
    Ok(match outcome {
        Ok(Outcome::Done) => completed,
        Ok(Outcome::Note(text)) => completed.child(note("info", text)),
        Ok(Outcome::Result(form)) => completed.child(form.to_element()),
        Ok(Outcome::Shown(form)) => completed.child(form),
        Err(Stop::Fail(why)) => completed.child(note("error", why)), // §3.6
        Err(Stop::Refuse(error)) => return Err(error),
    }
    .into())
}

/// A command that is there.
#[derive(Clone, Copy)]
enum Found {
    Admins(&'static Command),
    Own(&'static own::Own),
}

impl Found {
    fn at(server: &Server, node: &str) -> Option<Self> {
        let admins = COMMANDS.iter().find(|command| command.node == node).map(Self::Admins);
        admins.or_else(|| own::find(server, node).map(Self::Own))
    }

    fn node(self) -> &'static str {
        match self {
            Self::Admins(command) => command.node,
            Self::Own(own) => own.node,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Admins(command) => command.name,
            Self::Own(own) => own.name,
        }
    }

    /// Whether somebody may run it.
    async fn check(self, server: &Server, from: &Jid) -> Result<(), StanzaError> {
        let may = match self {
            Self::Admins(_) => is_admin(server, from).await?,
            Self::Own(own) if own.who == Who::Administrators => is_admin(server, from).await?,
            Self::Own(_) => server.is_home(from.domain()),
        };
        if may { Ok(()) } else { Err(ErrorKind::Forbidden.into()) }
    }

    /// The form that it asks for.
    async fn ask(self, server: &Server, from: &Jid) -> Result<Option<Form>, Stop> {
        match self {
            Self::Admins(command) => Ok(command.form.map(|form| form())),
            Self::Own(own) => match own.ask {
                Some(ask) => ask(server, from).await.map(Some),
                None => Ok(None),
            },
        }
    }

    async fn run(self, server: &Server, from: &Jid, form: &Form) -> Result<Outcome, Stop> {
        let (outcome, command) = match self {
            Self::Own(own) if own.who != Who::Administrators => return (own.run)(server, from, form).await,
            Self::Own(own) => ((own.run)(server, from, form).await, own.name),
            Self::Admins(command) => ((command.run)(server, from, form).await, command.name),
        };
        tracing::info!(
            by = %Redacted(from), command, done = outcome.is_ok(),
            "an administrator ran a command"
        );
        outcome
    }

    fn says(self, id: &str, status: &str) -> Element {
        Element::new("command", ns::COMMANDS)
            .with("node", self.node())
            .with("sessionid", id)
            .with("status", status)
    }
}

/// What is to be done with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Go,
    Cancel,
}

impl Action {
    fn of(command: &Element) -> Result<Self, StanzaError> {
        match command.attribute("action") {
            None | Some("execute" | "complete" | "next") => Ok(Self::Go),
            Some("cancel") => Ok(Self::Cancel),
            Some("prev") => Err(bad("bad-action")),
            Some(_) => Err(bad("malformed-action")),
        }
    }
}

/// §4.4: a bad request, and what is bad about it.
fn bad(what: &str) -> StanzaError {
    StanzaError::new(ErrorKind::BadRequest).with(Element::new(what, ns::COMMANDS))
}

fn note(type_: &str, text: String) -> Element {
    Element::new("note", ns::COMMANDS).with("type", type_).text_node(text)
}

/// Whether every field that must be is filled in, and none is longer than a person writes.
fn is_filled(wanted: &Form, form: &Form) -> bool {
    let has_value = |field: &Field| form.value(&field.var).is_some_and(|value| !value.trim().is_empty());
    wanted.fields.iter().filter(|field| field.is_required).all(has_value)
}

async fn is_admin(server: &Server, jid: &Jid) -> Result<bool, StanzaError> {
    let account = server.account(jid).await.map_err(|error| store_failed(&error))?;
    Ok(account.is_some_and(|account| account.admin && account.enabled))
}

/// Notes what an administrator changed of an account, as it was before and after, where pages and programs note it.
async fn changed(
    server: &Server,
    by: &Jid,
    what: &str,
    (before, after): (Option<&AccountCard>, Option<&AccountCard>),
) {
    let on = before.or(after).map(|card| card.aor.to_string()).unwrap_or_default();
    let state = |card: Option<&AccountCard>| card.map_or(Value::Null, card_json);
    server.auth.audit.change(name_of(server, by).await.as_str(), what, on, state(before), state(after)).await;
}

/// Notes what an administrator did that has no states worth telling.
async fn noted(server: &Server, by: &Jid, what: &str, on: impl Display) {
    server.auth.audit.note(name_of(server, by).await.as_str(), what, on).await;
}

/// Accounts are named by their address of record; who is none any more, by what they were when they asked.
async fn name_of(server: &Server, by: &Jid) -> String {
    match server.account(by).await {
        Ok(Some(card)) => card.aor.to_string(),
        _ => by.bare_str().to_owned(),
    }
}

/// A form of XEP-0133 to be filled in.
fn ask(title: &str, fields: &[Field]) -> Form {
    fields.iter().cloned().fold(Form::new("form", ADMIN).titled(title), Form::with)
}

/// A form of XEP-0133 with an answer.
fn tell(fields: impl IntoIterator<Item = Field>) -> Form {
    fields.into_iter().fold(Form::new("result", ADMIN), Form::with)
}

/// The accounts that a form names in `accountjids` or `accountjid`: all of them, or why there are none.
async fn accounts(server: &Server, form: &Form) -> Result<Vec<AccountCard>, Stop> {
    let named = [form.values("accountjids"), form.values("accountjid")].concat();
    let named: Vec<&str> = named.iter().map(|jid| jid.trim()).filter(|jid| !jid.is_empty()).collect();
    if named.is_empty() || named.len() > MOST_ACCOUNTS {
        return Err(bad("bad-payload").into());
    }
    let mut found = Vec::new();
    for name in named {
        let account = match name.parse::<Jid>() {
            Ok(jid) => server.account(&jid.to_bare()).await?,
            Err(_) => None,
        };
        found.push(account.ok_or_else(|| Stop::Fail(format!("there is no account {name}")))?);
    }
    Ok(found)
}

/// The field that names one account.
fn one_account() -> Field {
    Field::empty("accountjid", "jid-single", "The address of the account").required()
}

/// The field that names several.
fn some_accounts() -> Field {
    Field::empty("accountjids", "jid-multi", "The addresses of the accounts").required()
}

/// `FORM_TYPE` of XEP-0133.
const ADMIN: &str = "http://jabber.org/protocol/admin";
/// Accounts that one command changes.
const MOST_ACCOUNTS: usize = 1000;
