//! Message archives — XEP-0313 1.1.3, sections 4 (queries), 5 (metadata); XEP-0441 0.2, section 2 (preferences).
//!
//! In    a `<query/>` or `<prefs/>`. Out typed values, and the elements that answer.
//! Errors a field that nobody knows is `feature-not-implemented` (§4.1.5), a value that is none `bad-request`.

use super::delay::parse_date_time;
use super::form::Form;
use super::rsm::Wish;
use crate::ns;
use crate::xml::Element;
use crate::{ErrorKind, Jid};

/// What is looked for, and which page of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The asker's name for the query.
    pub queryid: Option<String>,
    /// The other side.
    pub with: Option<Jid>,
    /// Not before this moment, milliseconds since 1970.
    pub start: Option<i64>,
    /// Not after this moment.
    pub end: Option<i64>,
    /// Behind the message of this id.
    pub after_id: Option<String>,
    /// Before the message of this id.
    pub before_id: Option<String>,
    /// These messages alone.
    pub ids: Vec<String>,
    /// Which page.
    pub page: Wish,
    /// The newest of the page first (§4.3.4).
    pub is_flipped: bool,
}

impl Query {
    /// Reads `<query/>`.
    pub fn parse(query: &Element) -> Result<Self, ErrorKind> {
        let mut out = Self {
            queryid: query.attribute("queryid").map(str::to_owned),
            page: Wish::parse(query)?,
            // Example 24 has it inside the set, the schema beside it.
            is_flipped: query.get("flip-page").is_some()
                || query
                    .find("set", ns::RSM)
                    .is_some_and(|set| set.children().any(|c| c.name == "flip-page")),
            ..Self::default()
        };
        let Some(form) = query.find("x", ns::FORM).and_then(Form::parse) else { return Ok(out) };
        if form.value("FORM_TYPE") != Some(ns::MAM) {
            return Err(ErrorKind::BadRequest);
        }
        for field in &form.fields {
            let Some(value) = field.values.first() else { continue };
            let moment = || parse_date_time(value).map(Some).ok_or(ErrorKind::BadRequest);
            match field.var.as_str() {
                "FORM_TYPE" => {}
                "with" => out.with = Some(value.parse().map_err(|_| ErrorKind::JidMalformed)?),
                "start" => out.start = moment()?,
                "end" => out.end = moment()?,
                "after-id" => out.after_id = Some(value.clone()),
                "before-id" => out.before_id = Some(value.clone()),
                "ids" => out.ids.clone_from(&field.values),
                // A user's archive has no messages of rooms, whatever is said here.
                "include-groupchat" => {}
                _ => return Err(ErrorKind::FeatureNotImplemented),
            }
        }
        Ok(out)
    }
}

/// The form that lists what can be looked for (§4.1.5).
pub fn form() -> Element {
    let field = |kind: &str, var: &str| Element::new("field", ns::FORM).with("type", kind).with("var", var);
    let form_type = field("hidden", "FORM_TYPE").text_child("value", ns::MAM);
    let open = Element::new("validate", ns::VALIDATE)
        .with("datatype", "xs:string")
        .child(Element::new("open", ns::VALIDATE));
    Element::new("x", ns::FORM).with("type", "form").children_from([
        form_type,
        field("jid-single", "with"),
        field("text-single", "start"),
        field("text-single", "end"),
        field("text-single", "before-id"),
        field("text-single", "after-id"),
        field("list-multi", "ids").child(open),
        field("boolean", "include-groupchat"),
    ])
}

/// Which messages are archived where no list says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// All.
    Always,
    /// None.
    Never,
    /// Those with contacts of the roster.
    Roster,
}

impl Otherwise {
    /// By the attribute.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Always, Self::Never, Self::Roster].into_iter().find(|it| it.as_str() == word)
    }

    /// The attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Roster => "roster",
        }
    }
}

/// What a user wants archived (XEP-0441 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// For all others.
    pub default: Otherwise,
    /// Messages with these are.
    pub always: Vec<Jid>,
    /// Messages with these are not.
    pub never: Vec<Jid>,
}

impl Preferences {
    /// Reads `<prefs/>`.
    pub fn parse(prefs: &Element) -> Result<Self, ErrorKind> {
        let default = prefs.attribute("default").and_then(Otherwise::parse).ok_or(ErrorKind::BadRequest)?;
        let list = |name: &str| {
            let jids = prefs.get(name).into_iter().flat_map(Element::children).filter(|c| c.name == "jid");
            let jids = jids.map(|jid| jid.text().trim().parse().map_err(|_| ErrorKind::JidMalformed));
            jids.take(MOST + 1).collect::<Result<Vec<Jid>, _>>()
        };
        let (always, never) = (list("always")?, list("never")?);
        if always.len() > MOST || never.len() > MOST {
            return Err(ErrorKind::PolicyViolation);
        }
        Ok(Self { default, always, never })
    }

    /// Prints.
    pub fn to_element(&self) -> Element {
        let list = |name: &str, jids: &[Jid]| {
            let list = Element::new(name, ns::MAM);
            jids.iter().fold(list, |list, jid| list.text_child("jid", jid.as_str()))
        };
        Element::new("prefs", ns::MAM)
            .with("default", self.default.as_str())
            .child(list("always", &self.always))
            .child(list("never", &self.never))
    }

    /// Whether messages with somebody are archived; `None` if the roster decides (XEP-0441 §2.3).
    pub fn decide(&self, with: &Jid) -> Option<bool> {
        let names = |list: &[Jid]| list.iter().any(|jid| jid == with || *jid == with.to_bare());
        if names(&self.never) {
            return Some(false);
        }
        if names(&self.always) {
            return Some(true);
        }
        match self.default {
            Otherwise::Always => Some(true),
            Otherwise::Never => Some(false),
            Otherwise::Roster => None,
        }
    }
}

/// Addresses in one list of preferences.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(fields: &str) -> Result<Query, ErrorKind> {
        let text = format!(
            "<query xmlns='urn:xmpp:mam:2' queryid='q'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>urn:xmpp:mam:2</value></field>{fields}</x><flip-page/></query>"
        );
        Query::parse(&Element::parse(&text, "").unwrap())
    }

    #[test]
    fn reads_all_fields_and_refuses_others() {
        let all = query(
            "<field var='with'><value>a@x</value></field><field var='start'><value>1970-01-01T00:00:01Z</value></field>\
             <field var='after-id'><value>1</value></field><field var='ids'><value>1</value><value>2</value></field>",
        )
        .unwrap();
        assert_eq!((all.start, all.after_id.as_deref(), all.ids.len()), (Some(1000), Some("1"), 2));
        assert!(all.is_flipped && all.queryid.as_deref() == Some("q"));
        assert_eq!(query("<field var='x'><value>1</value></field>"), Err(ErrorKind::FeatureNotImplemented));
        assert_eq!(query("<field var='start'><value>1</value></field>"), Err(ErrorKind::BadRequest));
        assert_eq!(query("<field var='with'><value>@</value></field>"), Err(ErrorKind::JidMalformed));
    }

    #[test]
    fn the_narrower_list_decides() {
        let text = "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>a@x</jid></always>\
                    <never><jid>b@x</jid><jid>a@x/r</jid></never></prefs>";
        let prefs = Preferences::parse(&Element::parse(text, "").unwrap()).unwrap();
        assert_eq!(Preferences::parse(&prefs.to_element()).unwrap(), prefs);
        let decide = |jid: &str| prefs.decide(&jid.parse().unwrap());
        assert_eq!(decide("a@x/s"), Some(true));
        assert_eq!((decide("a@x/r"), decide("b@x/r"), decide("c@x")), (Some(false), Some(false), None));
    }
}
