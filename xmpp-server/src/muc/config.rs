//! A room's configuration and its form — XEP-0045 §10.2, §15.5.4 (`muc#roomconfig`).
//!
//! In    a submitted form; fields that are not in it stay as they are.
//! Out   the configuration, or the form that shows it.
//! Errors a password-protected room without password, or a value outside its options, is `not-acceptable`.

use serde::{Deserialize, Serialize};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::{ErrorKind, StanzaError, ns};

/// The rules of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RoomConfig {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) public: bool,
    pub(crate) persistent: bool,
    pub(crate) members_only: bool,
    pub(crate) moderated: bool,
    pub(crate) password: Option<String>,
    pub(crate) non_anonymous: bool,
    pub(crate) members_invite: bool,
    pub(crate) anyone_changes_subject: bool,
    pub(crate) max_users: usize,
    pub(crate) history: usize,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            public: true,
            persistent: false,
            members_only: false,
            moderated: false,
            password: None,
            non_anonymous: false,
            members_invite: false,
            anyone_changes_subject: false,
            max_users: MOST_USERS,
            history: 20,
        }
    }
}

impl RoomConfig {
    /// The form that an owner fills.
    pub(crate) fn to_form(&self) -> Form {
        let truth = |var: &str, label: &str, value: bool| {
            Field::new(&format!("muc#roomconfig_{var}"), "boolean", label, if value { "1" } else { "0" })
        };
        let text = |var: &str, kind: &str, label: &str, value: String| {
            Field::new(&format!("muc#roomconfig_{var}"), kind, label, value)
        };
        let whois = if self.non_anonymous { "anyone" } else { "moderators" };
        Form::new("form", ns::MUC_CONFIG)
            .with(text("roomname", "text-single", "Name of the room", self.name.clone()))
            .with(text("roomdesc", "text-single", "Description of the room", self.description.clone()))
            .with(truth("publicroom", "Show the room in lists", self.public))
            .with(truth("persistentroom", "Keep the room when it is empty", self.persistent))
            .with(truth("membersonly", "Only members enter", self.members_only))
            .with(truth("moderatedroom", "Only those with voice speak", self.moderated))
            .with(truth("passwordprotectedroom", "A password is asked", self.password.is_some()))
            .with(text(
                "roomsecret",
                "text-private",
                "Password; who is no member enters the chat before the call",
                self.password.clone().unwrap_or_default(),
            ))
            .with(
                text("whois", "list-single", "Who sees real addresses", whois.to_owned())
                    .options(&[("Moderators", "moderators"), ("Anyone", "anyone")]),
            )
            .with(truth("allowinvites", "Everybody invites", self.members_invite))
            .with(truth("changesubject", "Everybody changes the subject", self.anyone_changes_subject))
            .with(
                text("maxusers", "list-single", "Occupants at most", self.max_users.to_string()).options(&[
                    ("10", "10"),
                    ("50", "50"),
                    ("200", "200"),
                    ("1000", "1000"),
                    ("5000", "5000"),
                ]),
            )
            .with(text("historylength", "text-single", "Messages of history", self.history.to_string()))
    }

    /// The configuration after a submitted form.
    pub(crate) fn submitted(&self, form: &Form, most_history: usize) -> Result<Self, StanzaError> {
        let mut next = self.clone();
        let bad = |why: &str| StanzaError::because(ErrorKind::NotAcceptable, why);
        for field in &form.fields {
            let Some(var) = field.var.strip_prefix("muc#roomconfig_") else { continue };
            let text = field.values.first().map(String::as_str).unwrap_or_default();
            let truth = || match text {
                "1" | "true" => Ok(true),
                "0" | "false" => Ok(false),
                _ => Err(bad("a yes or no was expected")),
            };
            let number = || text.parse::<usize>().map_err(|_| bad("a number was expected"));
            match var {
                "roomname" => next.name = short(text)?,
                "roomdesc" => next.description = short(text)?,
                "publicroom" => next.public = truth()?,
                "persistentroom" => next.persistent = truth()?,
                "membersonly" => next.members_only = truth()?,
                "moderatedroom" => next.moderated = truth()?,
                "allowinvites" => next.members_invite = truth()?,
                "changesubject" => next.anyone_changes_subject = truth()?,
                "whois" => match text {
                    "anyone" => next.non_anonymous = true,
                    "moderators" => next.non_anonymous = false,
                    _ => return Err(bad("whois is 'anyone' or 'moderators'")),
                },
                "maxusers" if text.is_empty() || text == "none" => next.max_users = MOST_USERS,
                "maxusers" => next.max_users = number()?.clamp(1, MOST_USERS),
                "historylength" | "maxhistoryfetch" => next.history = number()?.min(most_history),
                _ => {}
            }
        }
        let secret =
            form.value("muc#roomconfig_roomsecret").map(short).transpose()?.filter(|s| !s.is_empty());
        match form.truth("muc#roomconfig_passwordprotectedroom") {
            Some(false) => next.password = None,
            Some(true) => {
                next.password = secret.or(next.password.take());
                if next.password.is_none() {
                    return Err(bad("a room that asks for a password needs one"));
                }
            }
            None => {
                if secret.is_some() {
                    next.password = secret;
                }
            }
        }
        Ok(next)
    }
}

fn short(text: &str) -> Result<String, StanzaError> {
    if text.len() > LONGEST {
        return Err(StanzaError::because(ErrorKind::NotAcceptable, "a field is longer than 1024 bytes"));
    }
    Ok(text.to_owned())
}

const LONGEST: usize = 1024;
pub(crate) const MOST_USERS: usize = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_is_handed_back_changes_nothing() {
        let config = RoomConfig { password: Some("x".into()), members_only: true, ..RoomConfig::default() };
        assert_eq!(config.submitted(&config.to_form(), 200).unwrap(), config);
    }

    #[test]
    fn a_password_is_needed_where_one_is_asked() {
        let form = Form::new("submit", ns::MUC_CONFIG).with(Field::new(
            "muc#roomconfig_passwordprotectedroom",
            "",
            "",
            "1",
        ));
        assert!(RoomConfig::default().submitted(&form, 200).is_err());
    }
}
