//! What a node is like — XEP-0060 1.30.0, sections 4.3 (events), 4.5 (access), 7.1.5 (publish options), 8.2 (configuration), 16.4.4 (form).
//!
//! In    a form. Out the configuration, the form that shows it, or which precondition does not hold.
//! Errors a value that is none, or not served here, is `not-acceptable`.

use serde::{Deserialize, Serialize};
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::payload::layout::Part;
use xmpp_core::{Element, ErrorKind, StanzaError, ns};

use super::node::because;
use crate::bookmarks;

/// Who may read (§4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Who may see the owner's presence.
    Presence,
    /// Contacts in groups that the node names.
    Roster,
    /// Whom the owner lists.
    Whitelist,
    /// Whose subscription an owner approved.
    Authorize,
}

/// Who may publish (§16.4.4, `publish_model`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Publishing {
    Publishers,
    Subscribers,
    Open,
}

/// The rules of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeConfig {
    pub(crate) title: String,
    pub(crate) access: Access,
    pub(crate) publishing: Publishing,
    pub(crate) groups: Vec<String>,
    /// `None` is as many as the service keeps.
    pub(crate) max_items: Option<usize>,
    pub(crate) persists: bool,
    pub(crate) delivers_payloads: bool,
    pub(crate) notifies_retract: bool,
    pub(crate) notifies_delete: bool,
    pub(crate) notifies_config: bool,
    /// Whether the last item is sent to who becomes available.
    pub(crate) sends_last_on_presence: bool,
    pub(crate) sends_last_on_subscription: bool,
}

impl Default for NodeConfig {
    /// As personal events are (XEP-0163 §3): one item, for contacts.
    fn default() -> Self {
        Self {
            title: String::new(),
            access: Access::Presence,
            publishing: Publishing::Publishers,
            groups: Vec::new(),
            max_items: Some(1),
            persists: true,
            delivers_payloads: true,
            notifies_retract: true,
            notifies_delete: true,
            notifies_config: false,
            sends_last_on_presence: true,
            sends_last_on_subscription: true,
        }
    }
}

const ACCESS: &[(&str, Access)] = &[
    ("open", Access::Open),
    ("presence", Access::Presence),
    ("roster", Access::Roster),
    ("whitelist", Access::Whitelist),
    ("authorize", Access::Authorize),
];
const PUBLISHING: &[(&str, Publishing)] = &[
    ("publishers", Publishing::Publishers),
    ("subscribers", Publishing::Subscribers),
    ("open", Publishing::Open),
];

impl NodeConfig {
    /// The rules of a node of the service, which has no roster.
    pub(crate) fn of_service() -> Self {
        Self { access: Access::Open, max_items: None, sends_last_on_presence: false, ..Self::default() }
    }

    /// Of an account's node: bookmarks are the account's alone, and as many as there are, whatever its client forgets to say (XEP-0402 §4).
    pub(crate) fn of_account(node: &str) -> Self {
        match node {
            bookmarks::NODE | bookmarks::OLD => Self {
                access: Access::Whitelist,
                max_items: None,
                sends_last_on_presence: false,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    /// How many items are kept.
    pub(crate) fn most_items(&self) -> usize {
        self.max_items.unwrap_or(MOST_ITEMS).min(MOST_ITEMS)
    }

    /// §4.3, table 4, and §7.1.3.6: whether a publication is of the node's kind of event.
    pub(crate) fn check_event(&self, item: Option<&Element>) -> Result<(), StanzaError> {
        let has_payload = item.is_some_and(|item| item.children().next().is_some());
        let wrong = match (self.persists, self.delivers_payloads) {
            (false, false) => item.is_some().then_some("item-forbidden"),
            _ if item.is_none() => Some("item-required"),
            (_, true) => (!has_payload).then_some("payload-required"),
            (true, false) => None,
        };
        wrong.map_or(Ok(()), |condition| Err(because(ErrorKind::BadRequest, condition)))
    }

    fn fields(&self) -> Vec<Field> {
        let text = |is: bool| if is { "1" } else { "0" };
        let truth = |var: &str, label: &str, is: bool| {
            Field::new(&format!("pubsub#{var}"), "boolean", label, text(is))
        };
        let word = |all: &[(&'static str, Access)]| {
            all.iter().find(|(_, access)| *access == self.access).map_or("", |(word, _)| *word)
        };
        let publishing = PUBLISHING.iter().find(|(_, p)| *p == self.publishing).map_or("", |(word, _)| *word);
        let last = match (self.sends_last_on_presence, self.sends_last_on_subscription) {
            (true, _) => "on_sub_and_presence",
            (false, true) => "on_sub",
            (false, false) => "never",
        };
        let options = |words: &[&str]| words.iter().map(|w| ((*w).to_owned(), (*w).to_owned())).collect();
        let list = |var: &str, label: &str, value: &str, words: &[&str]| Field {
            options: options(words),
            ..Field::new(var, "list-single", label, value)
        };
        let max = self.max_items.map_or_else(|| "max".to_owned(), |max| max.to_string());
        vec![
            Field::new("pubsub#title", "text-single", "Name of the node", self.title.clone()),
            list(
                "pubsub#access_model",
                "Who may read",
                word(ACCESS),
                &["open", "presence", "roster", "whitelist", "authorize"],
            ),
            list(
                "pubsub#publish_model",
                "Who may publish",
                publishing,
                &["publishers", "subscribers", "open"],
            ),
            Field {
                values: self.groups.clone(),
                ..Field::new("pubsub#roster_groups_allowed", "list-multi", "Groups that may read", "")
            },
            Field::new("pubsub#max_items", "text-single", "Items kept at most", max),
            truth("persist_items", "Items are kept", self.persists),
            truth("deliver_payloads", "Notifications hold the payload", self.delivers_payloads),
            truth("notify_retract", "Tell when items are deleted", self.notifies_retract),
            truth("notify_delete", "Tell when the node is deleted", self.notifies_delete),
            truth("notify_config", "Tell when the configuration changes", self.notifies_config),
            list(
                "pubsub#send_last_published_item",
                "When the last item is sent",
                last,
                &["never", "on_sub", "on_sub_and_presence"],
            ),
        ]
    }

    /// The form that an owner fills, or that describes the node.
    pub(crate) fn to_form(&self, type_: &str) -> Element {
        let form = Form::new(type_, ns::NODE_CONFIG);
        let form = self.fields().into_iter().fold(form, Form::with);
        match type_ {
            "form" => form.laid_out(PAGES.iter().map(|(label, fields)| Part::of(label, fields)).collect()),
            _ => form,
        }
        .to_element()
    }

    /// The rules after a form; fields that are not in it stay.
    pub(crate) fn submitted(&self, form: &Form) -> Result<Self, StanzaError> {
        let mut next = self.clone();
        for field in &form.fields {
            let Some(var) = field.var.strip_prefix("pubsub#") else { continue };
            let value = field.values.first().map(String::as_str).unwrap_or_default();
            let bad = || StanzaError::because(ErrorKind::NotAcceptable, format!("'{value}' is no {var}"));
            let truth = || form.truth(&field.var).ok_or_else(bad);
            match var {
                "title" => next.title = value.chars().take(LONGEST_TITLE).collect(),
                "access_model" => {
                    let found = ACCESS.iter().find(|(word, _)| *word == value);
                    next.access = found.ok_or_else(bad)?.1;
                }
                "publish_model" => {
                    let found = PUBLISHING.iter().find(|(word, _)| *word == value);
                    next.publishing = found.ok_or_else(bad)?.1;
                }
                "roster_groups_allowed" => {
                    next.groups =
                        field.values.iter().filter(|g| !g.is_empty()).take(MOST_GROUPS).cloned().collect();
                }
                "max_items" if value == "max" => next.max_items = None,
                "max_items" => next.max_items = Some(value.parse().map_err(|_| bad())?),
                "persist_items" => next.persists = truth()?,
                "deliver_payloads" => next.delivers_payloads = truth()?,
                "notify_retract" => next.notifies_retract = truth()?,
                "notify_delete" => next.notifies_delete = truth()?,
                "notify_config" => next.notifies_config = truth()?,
                "send_last_published_item" => {
                    (next.sends_last_on_presence, next.sends_last_on_subscription) = match value {
                        "never" => (false, false),
                        "on_sub" => (false, true),
                        "on_sub_and_presence" => (true, true),
                        _ => return Err(bad()),
                    };
                }
                _ => {}
            }
        }
        if next.most_items() == 0 {
            next.persists = false;
        }
        Ok(next)
    }

    /// §7.1.5: whether every option of a publication is as the node is.
    pub(crate) fn meets(&self, options: &Form) -> bool {
        let own = self.fields();
        options.fields.iter().filter(|field| field.var != "FORM_TYPE").all(|option| {
            let Some(field) = own.iter().find(|field| field.var == option.var) else { return false };
            let normal = |field: &Field| {
                let is_truth = field.type_ == "boolean"
                    || matches!(field.values.first().map(String::as_str), Some("true" | "false"));
                let values = field.values.iter().filter(|value| !value.is_empty());
                let mut values: Vec<String> = values
                    .map(|value| match value.as_str() {
                        "true" if is_truth => "1".to_owned(),
                        "false" if is_truth => "0".to_owned(),
                        _ => value.clone(),
                    })
                    .collect();
                values.sort();
                values
            };
            // A number above what is kept is "max" by another name.
            let is_many = |field: &Field| {
                field
                    .values
                    .first()
                    .is_some_and(|v| v == "max" || v.parse::<usize>().is_ok_and(|n| n >= MOST_ITEMS))
            };
            normal(field) == normal(option)
                || (option.var == "pubsub#max_items" && is_many(field) && is_many(option))
        })
    }
}

/// How the form lies on pages (XEP-0141).
const PAGES: [(&str, &[&str]); 3] = [
    (
        "The node",
        &["pubsub#title", "pubsub#access_model", "pubsub#roster_groups_allowed", "pubsub#publish_model"],
    ),
    ("Items", &["pubsub#persist_items", "pubsub#max_items", "pubsub#send_last_published_item"]),
    (
        "Notifications",
        &["pubsub#deliver_payloads", "pubsub#notify_retract", "pubsub#notify_delete", "pubsub#notify_config"],
    ),
];
/// Items of one node, whatever it is configured to.
pub(crate) const MOST_ITEMS: usize = 1000;
const LONGEST_TITLE: usize = 200;
const MOST_GROUPS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn options(fields: &[(&str, &str)]) -> Form {
        let form = Form::new("submit", ns::PUBLISH_OPTIONS);
        fields.iter().fold(form, |form, (var, value)| form.with(Field::new(var, "", "", *value)))
    }

    #[test]
    fn a_form_that_is_handed_back_changes_nothing() {
        let config = NodeConfig { max_items: None, groups: vec!["F".into()], ..NodeConfig::default() };
        let form = Form::parse(&config.to_form("submit")).unwrap();
        assert_eq!(config.submitted(&form).unwrap(), config);
        assert!(config.meets(&form));
    }

    /// XEP-0141 §4.2.
    #[test]
    fn every_field_is_on_one_page_of_the_form_to_fill() {
        let form = Form::parse(&NodeConfig::default().to_form("form")).unwrap();
        assert_eq!((form.pages.len(), form.misplaced()), (3, Vec::<&str>::new()));
        assert!(Form::parse(&NodeConfig::default().to_form("result")).unwrap().pages.is_empty());
    }

    #[test]
    fn preconditions_are_compared_as_values_and_unknown_ones_do_not_hold() {
        let config = NodeConfig { access: Access::Whitelist, max_items: None, ..NodeConfig::default() };
        assert!(
            config.meets(&options(&[("pubsub#access_model", "whitelist"), ("pubsub#persist_items", "true")]))
        );
        assert!(config.meets(&options(&[("pubsub#max_items", "max")])));
        assert!(!config.meets(&options(&[("pubsub#access_model", "open")])));
        assert!(!config.meets(&options(&[("pubsub#unknown", "1")])));
        assert!(NodeConfig::default().submitted(&options(&[("pubsub#access_model", "friends")])).is_err());
    }
}
