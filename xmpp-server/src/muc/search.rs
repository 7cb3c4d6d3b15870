//! Search among rooms — XEP-0433 0.1.0, sections 4.1 (disco), 4.2 (form, request, errors), 6.1 (fields), 6.2 (items).
//!
//! In    `<search/>` at the rooms' domain: empty, or with a form and a page by XEP-0059.
//! Out   the form; a page of the rooms that are shown in lists, by address or by how many are inside.
//! State the list of rooms that disco shows, which is asked of the rooms once in a moment.
//! Errors the XEP's own conditions; words of less than three letters are no search terms; who searches too often waits
//!        (§4.2.2.4), as in the directory.
//! Not here: rooms of other services; limits by `min_users`, which the XEP shows and does not define.

use std::time::Instant;

use shared_model::Spec;
use xmpp_core::payload::form::{Field, Form};
use xmpp_core::payload::rsm::{self, Place, Wish};
use xmpp_core::{Element, ErrorKind, Jid, StanzaError, ns};

use super::room::Room;
use crate::server::Server;

pub(crate) const SPEC: Spec = Spec::xep(433, "0.1.0").complete();

/// What is shown of a room that everybody may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) address: String,
    pub(crate) name: String,
    description: String,
    language: String,
    users: usize,
    is_open: bool,
    non_anonymous: bool,
    lower: Lower,
}

/// What is searched, in lower case: once for a list, not once for a search.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lower {
    name: String,
    description: String,
    address: String,
}

impl Lower {
    fn of(name: &str, description: &str, address: &str) -> Self {
        let [name, description, address] = [name, description, address].map(str::to_lowercase);
        Self { name, description, address }
    }
}

impl Room {
    /// What lists show of the room; nothing of one that is hidden, or not configured yet.
    pub(crate) fn listing(&self) -> Option<Listing> {
        let config = &self.config;
        let name = if config.name.is_empty() { self.address.local() } else { &config.name };
        (config.public && !self.is_locked).then(|| Listing {
            address: self.address.as_str().to_owned(),
            name: name.to_owned(),
            description: config.description.clone(),
            language: config.language.clone(),
            users: self.nicks().count(),
            is_open: !config.members_only && config.password.is_none(),
            non_anonymous: config.non_anonymous,
            lower: Lower::of(name, &config.description, self.address.as_str()),
        })
    }
}

/// §4.2.2.4: accounts of ours have a rate each, and other domains one for all of theirs.
pub(crate) fn check_rate(server: &Server, from: Option<&Jid>, asked: &Element) -> Result<(), StanzaError> {
    let Some(from) = from.filter(|_| asked.find("x", ns::FORM).is_some()) else { return Ok(()) };
    let who = if server.is_home(from.domain()) { from.bare_str() } else { from.domain() };
    if server.searches.may(who, Instant::now()) {
        return Ok(());
    }
    let limit = Element::new("rate-limit", ERROR).with("retry-after", RETRY_AFTER);
    Err(StanzaError::because(ErrorKind::ResourceConstraint, "searches are limited: wait a minute")
        .with(limit))
}

/// Answers a search in these rooms, which are in the order of their addresses.
pub(crate) fn answer(asked: &Element, rooms: &[Listing]) -> Result<Element, StanzaError> {
    let Some(form) = asked.find("x", ns::FORM).and_then(Form::parse) else {
        return Ok(Element::new("search", NS).child(form().to_element()));
    };
    let mut found = matching(&form, rooms)?;
    match form.value("key") {
        None | Some(BY_USERS) => found.sort_by(|a, b| b.users.cmp(&a.users).then(a.address.cmp(&b.address))),
        Some(BY_ADDRESS) => {}
        Some(_) => return Err(because(ErrorKind::FeatureNotImplemented, "invalid-sort-key", "")),
    }
    let wish = Wish::parse(asked)?;
    let most = wish.max.unwrap_or(USUAL_PAGE).min(LARGEST_PAGE);
    let find = |id: &String| found.iter().position(|room| room.address == *id).ok_or(ErrorKind::ItemNotFound);
    let (from, to) = match &wish.place {
        Place::First => (0, most.min(found.len())),
        Place::After(id) => {
            let from = find(id)? + 1;
            (from, (from + most).min(found.len()))
        }
        Place::Before(id) => {
            let to = find(id)?;
            (to.saturating_sub(most), to)
        }
        Place::Last => (found.len().saturating_sub(most), found.len()),
    };
    let page = &found[from..to];
    let ids = page.first().zip(page.last()).map(|(a, b)| (a.address.as_str(), b.address.as_str()));
    let index = (!page.is_empty()).then_some(from as u64);
    let set = rsm::answer(ids, index, Some(found.len() as u64));
    let items = page.iter().map(|room| room.to_element());
    Ok(Element::new("result", NS).children_from(items).child(set))
}

fn matching<'a>(form: &Form, rooms: &'a [Listing]) -> Result<Vec<&'a Listing>, StanzaError> {
    let types = form.values("types");
    if !types.is_empty() && types.iter().all(|kind| kind != TYPE) {
        return Ok(Vec::new()); // nothing of these kinds is here
    }
    let all = form.truth("all") == Some(true);
    let words = form.value("q").map(str::to_lowercase);
    match (words, all) {
        (Some(words), true) if !words.trim().is_empty() => {
            let vars = ["all", "q"].map(|var| Element::new("var", ERROR).text_node(var));
            let which = Element::new("conflicting-fields", ERROR).children_from(vars);
            let why = "all rooms cannot be searched by words at the same time";
            Err(StanzaError::because(ErrorKind::BadRequest, why).with(which))
        }
        (_, true) => Ok(rooms.iter().collect()),
        (None, false) => Err(because(ErrorKind::BadRequest, "no-search-conditions", "")),
        (Some(words), false) => {
            let words: Vec<&str> =
                words.split_whitespace().filter(|word| word.chars().count() >= LEAST_LETTERS).collect();
            if words.is_empty() || words.len() > MOST_WORDS {
                let why = "search terms have at least three letters, and there are ten at most";
                return Err(because(ErrorKind::BadRequest, "invalid-search-terms", why));
            }
            let looks = |var: &str| form.truth(var) != Some(false);
            let (name, description) = (looks("sinname"), looks("sindescription"));
            // The table of the XEP and its example write it in two ways.
            let address = looks("sinaddress") && looks("sinaddr");
            let fits = |room: &&Listing| {
                let has =
                    |is_asked: bool, text: &str| is_asked && words.iter().any(|word| text.contains(word));
                let Lower { name: called, description: described, address: at } = &room.lower;
                has(name, called) || has(description, described) || has(address, at)
            };
            Ok(rooms.iter().filter(fits).collect())
        }
    }
}

impl Listing {
    /// A room of which nothing but the address is known.
    #[cfg(test)]
    pub(crate) fn named(address: &str) -> Self {
        let empty = String::new;
        Self {
            address: address.to_owned(),
            name: empty(),
            description: empty(),
            language: empty(),
            users: 0,
            is_open: true,
            non_anonymous: false,
            lower: Lower::of("", "", address),
        }
    }

    fn to_element(&self) -> Element {
        let text = |element: Element, name: &str, text: &str| {
            if text.is_empty() { element } else { element.text_child(name, text) }
        };
        let item =
            Element::new("item", NS).with("address", &self.address).text_child("name", self.name.clone());
        let item = text(item, "description", &self.description);
        let item = text(item, "language", &self.language).text_child("nusers", self.users.to_string());
        let anonymity = if self.non_anonymous { OPEN_NAMES } else { "muc_semianonymous" };
        item.text_child("service-type", TYPE)
            .text_child("is-open", if self.is_open { "true" } else { "false" })
            .text_child("anonymity-mode", anonymity)
    }
}

/// §4.2.1.
fn form() -> Form {
    let yes = |var: &str, label: &str| Field::new(var, "boolean", label, "true");
    Form::new("form", "urn:xmpp:channel-search:0:search-params")
        .with(Field::empty("q", "text-single", "Search for"))
        .with(Field::new("all", "boolean", "All rooms, whatever is searched for", "false"))
        .with(yes("sinname", "Search in names"))
        .with(yes("sindescription", "Search in descriptions"))
        .with(yes("sinaddress", "Search in addresses"))
        .with(Field::new("types", "list-multi", "Kinds of rooms", TYPE).options(&[("Rooms", TYPE)]))
        .with(
            Field::new("key", "list-single", "Sorted by", BY_USERS)
                .options(&[("How many are inside", BY_USERS), ("Address", BY_ADDRESS)]),
        )
}

fn because(kind: ErrorKind, condition: &str, why: &str) -> StanzaError {
    StanzaError::because(kind, why).with(Element::new(condition, ERROR)).to_be_changed()
}

/// What the service says that it can.
pub(crate) const NS: &str = "urn:xmpp:channel-search:0:search";
const ERROR: &str = "urn:xmpp:channel-search:0:error";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
const BY_USERS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const OPEN_NAMES: &str = "{urn:xmpp:channel-search:0:anonymity}none";
const TYPE: &str = "xep-0045";
/// Seconds.
const RETRY_AFTER: u32 = 60;
const LEAST_LETTERS: usize = 3;
const MOST_WORDS: usize = 10;
const USUAL_PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms() -> Vec<Listing> {
        let room = |address: &str, name: &str, description: &str, users| Listing {
            name: name.to_owned(),
            description: description.to_owned(),
            users,
            lower: Lower::of(name, description, address),
            ..Listing::named(address)
        };
        vec![
            room("a@r", "Alpha", "all of it", 1),
            room("b@r", "Beta", "ALPHA again", 9),
            room("c@r", "C", "", 4),
        ]
    }

    fn search(fields: &[(&str, &str)], page: &str) -> Result<Vec<String>, String> {
        let form = fields
            .iter()
            .fold(Form::new("submit", "x"), |form, (var, value)| form.with(Field::new(var, "", "", *value)));
        let page = Element::parse(&format!("<set xmlns='{}'>{page}</set>", ns::RSM), "").unwrap();
        let asked = Element::new("search", NS).child(page).child(form.to_element());
        match answer(&asked, &rooms()) {
            Ok(found) => {
                Ok(found.children().filter_map(|i| i.attribute("address").map(str::to_owned)).collect())
            }
            Err(error) => Err(error.application.map(|it| it.name).unwrap_or_default()),
        }
    }

    #[test]
    fn rooms_are_found_by_their_words_and_sorted() {
        assert_eq!(search(&[("q", "alpha x")], "").unwrap(), ["b@r", "a@r"], "more are in b");
        assert_eq!(search(&[("q", "alpha"), ("sindescription", "0")], "").unwrap(), ["a@r"]);
        assert_eq!(search(&[("all", "1"), ("key", BY_ADDRESS)], "<max>2</max>").unwrap(), ["a@r", "b@r"]);
        assert_eq!(search(&[("all", "1")], "<max>2</max><after>c@r</after>").unwrap(), ["a@r"]);
        assert!(search(&[("all", "1"), ("types", "xep-0369")], "").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_searched_is_said() {
        let says = |fields: &[(&str, &str)]| search(fields, "").unwrap_err();
        assert_eq!(says(&[]), "no-search-conditions");
        assert_eq!(says(&[("q", "ab c")]), "invalid-search-terms");
        assert_eq!(says(&[("q", "alpha"), ("all", "1")]), "conflicting-fields");
        assert_eq!(says(&[("all", "1"), ("key", "luck")]), "invalid-sort-key");
    }
}
