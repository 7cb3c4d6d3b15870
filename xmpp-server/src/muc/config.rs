//! A room's configuration and its form — XEP-0045 §10.2, §16.5.3 (`muc#roomconfig`).
//!
//! In    a submitted form; fields that are not in it stay as they are.
//! Out   the configuration, or the form that shows it.
//! Errors a password-protected room without password, or a value outside its options, is `not-acceptable`.
//! Not here: the lists of owners and admins, which are affiliations (`owner`); `muc#roomconfig_pubsub`.

use serde::{Deserialize, Serialize};
use shared_model::Role;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::payload::layout::Part;
use xmpp_core::{ErrorKind, StanzaError, ns};

/// The rules of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RoomConfig {
    pub(crate) name: String,
    pub(crate) description: String,
    /// The language that is spoken, as a tag of RFC 5646; possibly empty.
    pub(crate) language: String,
    pub(crate) public: bool,
    pub(crate) persistent: bool,
    /// A kept room keeps what is said, for all who may enter.
    pub(crate) logged: bool,
    pub(crate) members_only: bool,
    pub(crate) moderated: bool,
    pub(crate) password: Option<String>,
    pub(crate) non_anonymous: bool,
    pub(crate) members_invite: bool,
    pub(crate) anyone_changes_subject: bool,
    pub(crate) private_messages: Senders,
    /// Roles whose presence others see.
    pub(crate) broadcast: Roles,
    /// Roles that may read the list of members, where real addresses are no secret.
    pub(crate) list_members: Roles,
    pub(crate) max_users: usize,
    pub(crate) history: usize,
    /// Whoever asks for the items of an open room learns who is inside.
    pub(crate) lists_occupants: bool,
    /// Seconds between two messages of one speaker; 0 is no limit (XEP-0500).
    pub(crate) slow_mode: u32,
}

/// Who may send private messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Senders {
    Anyone,
    Participants,
    Moderators,
    None,
}

/// Some of the roles that an occupant can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roles(Vec<Role>);

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            language: String::new(),
            public: true,
            persistent: false,
            logged: true,
            members_only: false,
            moderated: false,
            password: None,
            non_anonymous: false,
            members_invite: false,
            anyone_changes_subject: false,
            private_messages: Senders::Anyone,
            broadcast: Roles::default(),
            list_members: Roles::default(),
            max_users: MOST_USERS,
            history: 20,
            lists_occupants: false,
            slow_mode: 0,
        }
    }
}

impl Senders {
    const ALL: [(&'static str, Self); 4] = [
        ("anyone", Self::Anyone),
        ("participants", Self::Participants),
        ("moderators", Self::Moderators),
        ("none", Self::None),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or("anyone", |(word, _)| word)
    }

    /// Whether somebody of this role is among them.
    pub(crate) fn include(self, role: Role) -> bool {
        match self {
            Self::Anyone => role > Role::None,
            Self::Participants => role.has_voice(),
            Self::Moderators => role == Role::Moderator,
            Self::None => false,
        }
    }
}

impl Default for Roles {
    /// All of them.
    fn default() -> Self {
        Self(OCCUPANTS.to_vec())
    }
}

impl Roles {
    pub(crate) fn contains(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    fn parse(words: &[String]) -> Option<Self> {
        let word = |word: &String| OCCUPANTS.into_iter().find(|role| role.as_str() == word);
        let said: Option<Vec<Role>> = words.iter().filter(|w| !w.is_empty()).map(word).collect();
        let said = said?;
        Some(Self(OCCUPANTS.into_iter().filter(|role| said.contains(role)).collect()))
    }

    fn field(&self, var: &str, label: &str) -> Field {
        let values = self.0.iter().map(|role| role.as_str().to_owned()).collect();
        let options = [("Moderators", "moderator"), ("Participants", "participant"), ("Visitors", "visitor")];
        Field { values, ..Field::new(var, "list-multi", label, "").options(&options) }
    }
}

/// How the form lies on pages, the lists of `owner` among it (XEP-0141).
pub(crate) fn pages() -> Vec<Part> {
    PAGES.iter().map(|(label, fields)| Part::of(label, fields)).collect()
}

impl RoomConfig {
    /// Whether what is said is kept, for all who may enter.
    pub(crate) fn is_archived(&self) -> bool {
        self.persistent && self.logged
    }

    /// Whether those outside may learn who is inside.
    pub(crate) fn shows_occupants(&self) -> bool {
        self.lists_occupants && self.public && !self.members_only && self.password.is_none()
    }

    /// The form that an owner fills.
    pub(crate) fn to_form(&self) -> Form {
        let truth = |var: &str, label: &str, value: bool| {
            Field::new(&format!("muc#roomconfig_{var}"), "boolean", label, if value { "1" } else { "0" })
        };
        let text = |var: &str, kind: &str, label: &str, value: &str| {
            Field::new(&format!("muc#roomconfig_{var}"), kind, label, value)
        };
        let whois = if self.non_anonymous { "anyone" } else { "moderators" };
        let secret = self.password.as_deref().unwrap_or_default();
        let form = Form::new("form", ns::MUC_CONFIG)
            .with(text("roomname", "text-single", "Name of the room", &self.name))
            .with(text("roomdesc", "text-single", "Description of the room", &self.description))
            .with(text("lang", "text-single", "Language that is spoken", &self.language))
            .with(truth("publicroom", "Show the room in lists", self.public))
            .with(truth("persistentroom", "Keep the room when it is empty", self.persistent));
        // A temporary room keeps nothing, and does not offer to.
        let logged = truth("enablelogging", "Keep what is said, for all who enter", self.logged);
        let form = if self.persistent { form.with(logged) } else { form };
        form.with(truth("membersonly", "Only members enter", self.members_only))
            .with(truth("moderatedroom", "Only those with voice speak", self.moderated))
            .with(truth("passwordprotectedroom", "A password is asked", self.password.is_some()))
            .with(text(
                "roomsecret",
                "text-private",
                "Password; who is no member enters the chat before the call",
                secret,
            ))
            .with(
                text("whois", "list-single", "Who sees real addresses", whois)
                    .options(&[("Moderators", "moderators"), ("Anyone", "anyone")]),
            )
            .with(truth(
                "allowinvites",
                "Members invite to a members-only room (others may always invite)",
                self.members_invite,
            ))
            .with(truth("changesubject", "Everybody changes the subject", self.anyone_changes_subject))
            .with(
                text("allowpm", "list-single", "Who sends private messages", self.private_messages.as_str())
                    .options(&[
                        ("Anyone", "anyone"),
                        ("Those with voice", "participants"),
                        ("Moderators", "moderators"),
                        ("Nobody", "none"),
                    ]),
            )
            .with(self.broadcast.field("muc#roomconfig_presencebroadcast", "Whose presence others see"))
            .with(self.list_members.field("muc#roomconfig_getmemberlist", "Who reads the list of members"))
            .with(
                text("maxusers", "list-single", "Occupants at most", &self.max_users.to_string()).options(&[
                    ("10", "10"),
                    ("50", "50"),
                    ("200", "200"),
                    ("1000", "1000"),
                    ("5000", "5000"),
                ]),
            )
            .with(
                text(
                    "slow_mode_duration",
                    "text-single",
                    "Seconds between two messages of one speaker, 0 for none",
                    &self.slow_mode.to_string(),
                )
                .at_least(0),
            )
            .with(Field {
                var: PUBLIC_LIST.to_owned(),
                ..truth("", "Everybody learns who is in the room, if it is open", self.lists_occupants)
            })
            .with(Field::new(
                "muc#maxhistoryfetch",
                "text-single",
                "Messages of history",
                self.history.to_string(),
            ))
    }

    /// The configuration after a submitted form.
    pub(crate) fn submitted(&self, form: &Form, most_history: usize) -> Result<Self, StanzaError> {
        let mut next = self.clone();
        for field in &form.fields {
            next.set(field, most_history)?;
        }
        let secret = form.fields.iter().find(|field| field.var == "muc#roomconfig_roomsecret");
        let given = secret.and_then(|secret| secret.values.first()).filter(|secret| !secret.is_empty());
        let is_blank = secret.is_some() && given.is_none();
        let secret = given.map(|secret| short(secret)).transpose()?;
        match form.truth("muc#roomconfig_passwordprotectedroom") {
            Some(false) => next.password = None,
            Some(true) => {
                next.password = secret.or(next.password.take());
                if is_blank || next.password.is_none() {
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

    fn set(&mut self, field: &Field, most_history: usize) -> Result<(), StanzaError> {
        let var = field.var.strip_prefix("muc#roomconfig_").or_else(|| field.var.strip_prefix("muc#"));
        let var = var.or((field.var == PUBLIC_LIST).then_some(PUBLIC_LIST));
        let text = field.values.first().map(String::as_str).unwrap_or_default();
        let truth = || match text {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(bad("a yes or no was expected")),
        };
        let number = || text.parse::<usize>().map_err(|_| bad("a number was expected"));
        let roles = || Roles::parse(&field.values).ok_or_else(|| bad("a role was expected"));
        match var.unwrap_or_default() {
            "roomname" => self.name = short(text)?,
            "roomdesc" => self.description = short(text)?,
            "lang" => self.language = short(text)?,
            "publicroom" => self.public = truth()?,
            "persistentroom" => self.persistent = truth()?,
            "enablelogging" => self.logged = truth()?,
            "membersonly" => self.members_only = truth()?,
            "moderatedroom" => self.moderated = truth()?,
            "allowinvites" => self.members_invite = truth()?,
            "changesubject" => self.anyone_changes_subject = truth()?,
            "whois" => match text {
                "anyone" => self.non_anonymous = true,
                "moderators" => self.non_anonymous = false,
                _ => return Err(bad("whois is 'anyone' or 'moderators'")),
            },
            "allowpm" => {
                let found = Senders::ALL.iter().find(|(word, _)| *word == text);
                self.private_messages =
                    found.map(|(_, it)| *it).ok_or_else(|| bad("allowpm is none of these"))?;
            }
            "presencebroadcast" => self.broadcast = roles()?,
            "getmemberlist" => self.list_members = roles()?,
            "maxusers" if text.is_empty() || text == "none" => self.max_users = MOST_USERS,
            "maxusers" if number()? == 0 => return Err(bad("a room holds somebody")),
            "maxusers" => self.max_users = number()?.min(MOST_USERS),
            PUBLIC_LIST => self.lists_occupants = truth()?,
            "slow_mode_duration" => {
                let seconds = number()?.min(SLOWEST);
                self.slow_mode = u32::try_from(seconds).unwrap_or(0);
            }
            "historylength" | "maxhistoryfetch" => self.history = number()?.min(most_history),
            _ => {}
        }
        Ok(())
    }
}

fn bad(why: &str) -> StanzaError {
    StanzaError::because(ErrorKind::NotAcceptable, why)
}

fn short(text: &str) -> Result<String, StanzaError> {
    if text.len() > LONGEST {
        return Err(bad("a field is longer than 1024 bytes"));
    }
    Ok(text.to_owned())
}

const PAGES: [(&str, &[&str]); 4] = [
    (
        "What it is",
        &[
            "muc#roomconfig_roomname",
            "muc#roomconfig_roomdesc",
            "muc#roomconfig_lang",
            "muc#roomconfig_publicroom",
            PUBLIC_LIST,
        ],
    ),
    (
        "Who enters",
        &[
            "muc#roomconfig_membersonly",
            "muc#roomconfig_passwordprotectedroom",
            "muc#roomconfig_roomsecret",
            "muc#roomconfig_allowinvites",
            "muc#roomconfig_maxusers",
        ],
    ),
    (
        "Who may what",
        &[
            "muc#roomconfig_moderatedroom",
            "muc#roomconfig_changesubject",
            "muc#roomconfig_allowpm",
            "muc#roomconfig_slow_mode_duration",
            "muc#roomconfig_whois",
            "muc#roomconfig_presencebroadcast",
            "muc#roomconfig_getmemberlist",
            "muc#roomconfig_roomowners",
            "muc#roomconfig_roomadmins",
        ],
    ),
    (
        "What is kept",
        &["muc#roomconfig_persistentroom", "muc#roomconfig_enablelogging", "muc#maxhistoryfetch"],
    ),
];
/// Roles of those who are inside.
const OCCUPANTS: [Role; 3] = [Role::Moderator, Role::Participant, Role::Visitor];
const LONGEST: usize = 1024;
/// The registry has no field for it; this is the name that owners' clients know from elsewhere.
const PUBLIC_LIST: &str = "public_list";
/// Seconds between two messages: a day.
const SLOWEST: usize = 86_400;
pub(crate) const MOST_USERS: usize = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(var: &str, values: &[&str]) -> Form {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Form::new("submit", ns::MUC_CONFIG).with(Field { values, ..Field::new(var, "", "", "") })
    }

    #[test]
    fn a_form_that_is_handed_back_changes_nothing() {
        let config = RoomConfig {
            password: Some("x".into()),
            members_only: true,
            private_messages: Senders::Moderators,
            broadcast: Roles(vec![Role::Moderator]),
            ..RoomConfig::default()
        };
        assert_eq!(config.submitted(&config.to_form(), 200).unwrap(), config);
    }

    /// XEP-0141 §4.2.
    #[test]
    fn every_field_is_on_one_page() {
        for persistent in [false, true] {
            let form = RoomConfig { persistent, ..RoomConfig::default() }.to_form().laid_out(pages());
            assert_eq!((form.pages.len(), form.misplaced()), (4, Vec::<&str>::new()));
        }
    }

    #[test]
    fn a_password_is_needed_where_one_is_asked() {
        let form = submit("muc#roomconfig_passwordprotectedroom", &["1"]);
        assert!(RoomConfig::default().submitted(&form, 200).is_err());
        let secret = RoomConfig { password: Some("cauldronburn".to_owned()), ..RoomConfig::default() };
        assert_eq!(secret.submitted(&form, 200).unwrap(), secret, "it stays");
        let blank = form.with(Field::new("muc#roomconfig_roomsecret", "", "", ""));
        assert!(secret.submitted(&blank, 200).is_err(), "XEP-0045 section 10.1.3");
    }

    #[test]
    fn what_is_none_of_the_options_is_refused() {
        let config = RoomConfig::default();
        assert!(config.submitted(&submit("muc#roomconfig_allowpm", &["all"]), 200).is_err());
        assert!(config.submitted(&submit("muc#roomconfig_presencebroadcast", &["owner"]), 200).is_err());
        let nobody = config.submitted(&submit("muc#roomconfig_presencebroadcast", &[]), 200).unwrap();
        assert!(!nobody.broadcast.contains(Role::Moderator));
        assert_eq!(config.submitted(&submit("muc#maxhistoryfetch", &["7"]), 200).unwrap().history, 7);
    }
}
