//! Hats that a room's owners and admins give — XEP-0317 0.2, sections 2 (discovery), 3.2 to 3.7 (commands), by XEP-0050.
//!
//! In    commands to the room. Out a form, or what became of it; presence of those who wear a hat that changed.
//! State the hats that there are, and who wears which, by bare JID; both kept with the room, both bounded.
//! Errors `forbidden` for who is neither owner nor admin, `bad-request` for a hat without title or with an address that is none,
//!        `item-not-found` for one that is not there, `resource-constraint` for more than a room has.
//!
//! Hats of the room's call are [`super::call`]'s; they come first, and nobody gives or takes them.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use shared_model::Affiliation;
use xmpp_core::payload::disco::{Info, items};
use xmpp_core::payload::form::{Field, Form, table};
use xmpp_core::{Element, ErrorKind, Jid, Stanza, StanzaError, ns};

use super::presence::Said;
use super::room::{Effects, Room};

/// What somebody may be beside role and affiliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hat {
    uri: String,
    title: String,
    /// An angle of colour; empty if none.
    hue: String,
}

/// A room's hats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Hats {
    /// In the order in which they were made.
    all: Vec<Hat>,
    /// URIs, by bare JID.
    worn: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Create,
    Destroy,
    Assign,
    Unassign,
    List,
    ListAssigned,
}

const COMMANDS: &[(Command, &str, &str)] = &[
    (Command::Create, "create", "Create a hat"),
    (Command::Destroy, "destroy", "Destroy a hat"),
    (Command::Assign, "assign", "Assign a hat"),
    (Command::Unassign, "unassign", "Remove a hat from somebody"),
    (Command::List, "list", "Hats of the room"),
    (Command::ListAssigned, "list-assigned", "Who wears which hat"),
];

impl Hats {
    /// Somebody wears none any more; whether they did.
    pub(crate) fn forget(&mut self, jid: &Jid) -> bool {
        self.worn.remove(jid.bare_str()).is_some()
    }

    /// As presence shows them.
    fn of(&self, jid: &Jid) -> impl Iterator<Item = Element> {
        let worn = self.worn.get(jid.bare_str());
        let is_worn = move |hat: &&Hat| worn.is_some_and(|worn| worn.contains(&hat.uri));
        self.all.iter().filter(is_worn).map(|hat| {
            Element::new("hat", ns::HATS)
                .with("uri", &hat.uri)
                .with("title", &hat.title)
                .with_some("hue", (!hat.hue.is_empty()).then_some(&hat.hue))
        })
    }

    /// §2: changes with the list.
    pub(super) fn hash(&self) -> Option<String> {
        if self.all.is_empty() {
            return None;
        }
        let text: String =
            self.all.iter().map(|hat| format!("{}\n{}\n{}\n", hat.uri, hat.title, hat.hue)).collect();
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        Some(shared_runtime::hex(&hash.as_ref()[..20]))
    }

    fn find(&self, uri: &str) -> Result<&Hat, StanzaError> {
        self.all.iter().find(|hat| hat.uri == uri).ok_or_else(|| ErrorKind::ItemNotFound.into())
    }

    fn wearers(&self, uri: &str) -> Vec<String> {
        let wears = |worn: &Vec<String>| worn.iter().any(|worn| worn == uri);
        self.worn.iter().filter(|(_, worn)| wears(worn)).map(|(jid, _)| jid.clone()).collect()
    }

    fn take(&mut self, jid: &str, uri: &str) {
        if let Some(worn) = self.worn.get_mut(jid) {
            worn.retain(|worn| worn != uri);
            if worn.is_empty() {
                self.worn.remove(jid);
            }
        }
    }
}

impl Room {
    /// What an occupant's presence says of hats: those of the call, then those that were given.
    pub(crate) fn hats(&self, jid: &Jid) -> Option<Element> {
        let mut hats = self.call_hats(jid).into_iter().flatten().chain(self.hats.of(jid)).peekable();
        hats.peek()?;
        Some(Element::new("hats", ns::HATS).children_from(hats))
    }

    /// The commands that somebody may run (XEP-0050 §2.2).
    pub(super) fn commands(&self, from: &Jid) -> Element {
        let shown = COMMANDS.iter().filter(|(command, ..)| self.may(*command, from));
        let jid = self.jid.as_str();
        let shown = shown.map(|(_, word, name)| {
            Element::new("item", ns::DISCO_ITEMS).with("jid", jid).with("node", node(word)).with("name", name)
        });
        items(Some(ns::COMMANDS), []).children_from(shown.collect::<Vec<_>>())
    }

    /// What disco says of a command.
    pub(super) fn command_info(&self, asked: &str) -> Option<Element> {
        let (.., name) = find(asked)?;
        let info = Info {
            identities: vec![("automation", "command-node", (*name).to_owned())],
            features: vec![ns::COMMANDS, ns::FORM],
            forms: Vec::new(),
        };
        Some(info.to_element(Some(asked)))
    }

    fn may(&self, command: Command, from: &Jid) -> bool {
        match command {
            Command::List => self.may_read(from).is_ok(),
            _ => self.affiliation(from) >= Affiliation::Admin,
        }
    }

    /// A command about hats.
    pub(super) fn command(
        &mut self,
        iq: &Stanza,
        asked: &Element,
        from: &Jid,
        out: &mut Effects,
    ) -> Result<Element, StanzaError> {
        let asked_node = asked.attribute("node").unwrap_or_default();
        let (command, _, name) = find(asked_node).copied().ok_or(ErrorKind::ItemNotFound)?;
        if !self.may(command, from) {
            return Err(ErrorKind::Forbidden.into());
        }
        // Nothing is kept of a form that is out: what is handed in says it all.
        let session = asked.attribute("sessionid").or(iq.id.as_deref()).unwrap_or_default().to_owned();
        let says = |status: &str| {
            Element::new("command", ns::COMMANDS)
                .with("node", asked_node)
                .with("sessionid", &session)
                .with("status", status)
        };
        if asked.attribute("action") == Some("cancel") {
            return Ok(says("canceled"));
        }
        let rows = match command {
            Command::List => self.hats.all.iter().map(Hat::row).collect(),
            Command::ListAssigned => self.assigned(),
            _ => {
                let Some(form) = asked.find("x", ns::FORM).and_then(Form::parse) else {
                    return Ok(says("executing").child(self.form(command, name).to_element()));
                };
                if form.value("FORM_TYPE").is_some_and(|it| it != FORM) {
                    return Err(ErrorKind::BadRequest.into());
                }
                self.change_hats(command, &form, out)?;
                return Ok(says("completed"));
            }
        };
        let all = ["hats#title", "hats#uri", "hats#hue"].map(|var| (var, "text-single", ""));
        let columns = match command {
            Command::ListAssigned => [&[("hats#jid", "jid-single", "")], &all[..]].concat(),
            _ => all.to_vec(),
        };
        Ok(says("completed").child(table(FORM, &columns, rows)))
    }

    fn assigned(&self) -> Vec<Vec<String>> {
        let of = |(jid, worn): (&String, &Vec<String>)| {
            let hats = self.hats.all.iter().filter(|hat| worn.contains(&hat.uri));
            hats.map(|hat| [vec![jid.clone()], hat.row()].concat()).collect::<Vec<_>>()
        };
        self.hats.worn.iter().flat_map(of).collect()
    }

    fn form(&self, command: Command, name: &str) -> Form {
        let form = Form::new("form", FORM).titled(name);
        let options: Vec<(&str, &str)> =
            self.hats.all.iter().map(|hat| (hat.title.as_str(), hat.uri.as_str())).collect();
        let choice = || Field::empty("hats#uri", "list-single", "The hat").options(&options).required();
        match command {
            Command::Create => form
                .with(Field::empty("hats#title", "text-single", "Hat Title").required())
                .with(Field::empty("hats#uri", "text-single", "Hat URI").required())
                .with(Field::empty("hats#hue", "text-single", "Hat Hue")),
            Command::Destroy => form.with(choice()),
            _ => form.with(Field::empty("hats#jid", "jid-single", "User Address").required()).with(choice()),
        }
    }

    fn change_hats(&mut self, command: Command, form: &Form, out: &mut Effects) -> Result<(), StanzaError> {
        // §3.3, example 10: forms for destruction name the field otherwise.
        let uri = form.value("hats#uri").or_else(|| form.value("hat")).unwrap_or_default().trim().to_owned();
        let changed = match command {
            Command::Create => {
                let hat = Hat::read(uri, form)?;
                match self.hats.all.iter().position(|known| known.uri == hat.uri) {
                    Some(at) => self.hats.all[at] = hat.clone(),
                    None if self.hats.all.len() >= MOST_HATS => {
                        return Err(ErrorKind::ResourceConstraint.into());
                    }
                    None => self.hats.all.push(hat.clone()),
                }
                self.hats.wearers(&hat.uri)
            }
            Command::Destroy => {
                self.hats.find(&uri)?;
                let wearers = self.hats.wearers(&uri);
                self.hats.all.retain(|hat| hat.uri != uri);
                for jid in &wearers {
                    self.hats.take(jid, &uri);
                }
                wearers
            }
            _ => {
                let jid: Jid = form
                    .value("hats#jid")
                    .and_then(|jid| jid.trim().parse().ok())
                    .ok_or(ErrorKind::JidMalformed)?;
                let jid = jid.bare_str().to_owned();
                self.hats.find(&uri)?;
                if command == Command::Assign {
                    let is_full = self.hats.worn.len() >= MOST_WEARERS && !self.hats.worn.contains_key(&jid);
                    if is_full {
                        return Err(ErrorKind::ResourceConstraint.into());
                    }
                    let worn = self.hats.worn.entry(jid.clone()).or_default();
                    if !worn.contains(&uri) {
                        worn.push(uri);
                    }
                } else {
                    self.hats.take(&jid, &uri);
                }
                vec![jid]
            }
        };
        out.save = true;
        if matches!(command, Command::Create | Command::Destroy) {
            self.say_configured(vec![104], out);
        }
        let is_changed = |jid: &Jid| changed.iter().any(|changed| changed == jid.bare_str());
        let shown: Vec<_> = self.nicks().filter(|occupant| is_changed(&occupant.jid)).cloned().collect();
        for occupant in &shown {
            self.broadcast_presence(occupant, occupant.role, &Said::default(), out);
        }
        Ok(())
    }
}

impl Hat {
    fn read(uri: String, form: &Form) -> Result<Self, StanzaError> {
        let bad = |why: &str| Err(StanzaError::because(ErrorKind::BadRequest, why));
        let title = form.value("hats#title").unwrap_or_default().trim().to_owned();
        let hue = form.value("hats#hue").unwrap_or_default().trim().to_owned();
        if title.is_empty() || title.chars().count() > LONGEST_TITLE {
            return bad("a hat has a title");
        }
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_scheme || uri.len() > LONGEST_URI || uri.contains(char::is_whitespace) {
            return bad("a hat has a URI");
        }
        if uri.starts_with(super::call::CALL) {
            return bad("hats of the call are given by the room");
        }
        if !hue.is_empty() && !hue.parse::<f64>().is_ok_and(|hue| (0.0..=360.0).contains(&hue)) {
            return bad("a hue is an angle of 0 to 360");
        }
        Ok(Self { uri, title, hue })
    }

    fn row(&self) -> Vec<String> {
        vec![self.title.clone(), self.uri.clone(), self.hue.clone()]
    }
}

fn node(word: &str) -> String {
    format!("{FORM}:{word}")
}

fn find(asked: &str) -> Option<&'static (Command, &'static str, &'static str)> {
    let word = asked.strip_prefix(FORM)?.strip_prefix(':')?;
    COMMANDS.iter().find(|(_, known, _)| *known == word)
}

/// The type of all forms, and the beginning of all nodes.
const FORM: &str = "urn:xmpp:hats:commands";
/// Hats of a room, and who wear any.
const MOST_HATS: usize = 100;
const MOST_WEARERS: usize = 2_000;
/// Characters of a title, bytes of a URI.
const LONGEST_TITLE: usize = 100;
const LONGEST_URI: usize = 500;
