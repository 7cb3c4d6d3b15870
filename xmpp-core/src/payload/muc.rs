//! What rooms say — XEP-0045 1.35, sections 7 to 10: `<x/>` of `muc#user` with items and status codes.

use crate::ns;
use crate::xml::Element;

/// One `<item/>`.
#[derive(Debug, Clone, Default)]
pub struct Item<'a> {
    /// Word of XEP-0045 §5.2; empty where it is not known.
    pub affiliation: &'a str,
    /// Word of XEP-0045 §5.1; empty where it is not known.
    pub role: &'a str,
    /// The real address, where it may be seen.
    pub jid: Option<&'a str>,
    /// The nick, or the new one in status 303.
    pub nick: Option<&'a str>,
    /// Who did it, by nick.
    pub actor: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

impl Item<'_> {
    /// Prints into the namespace `ns`, that of users or that of admins.
    pub fn to_element(&self, ns: &str) -> Element {
        let item = Element::new("item", ns)
            .with_some("affiliation", said(self.affiliation))
            .with_some("role", said(self.role))
            .with_some("jid", self.jid)
            .with_some("nick", self.nick)
            .children_from(self.actor.map(|nick| Element::new("actor", ns).with("nick", nick)));
        match self.reason {
            Some(reason) => item.text_child("reason", reason),
            None => item,
        }
    }
}

fn said(word: &str) -> Option<&str> {
    Some(word).filter(|word| !word.is_empty())
}

/// `<x xmlns='…muc#user'/>` with an item and status codes in order (XEP-0045 §15.6).
pub fn user(item: Option<&Item<'_>>, codes: &[u16]) -> Element {
    Element::new("x", ns::MUC_USER)
        .children_from(item.map(|item| item.to_element(ns::MUC_USER)))
        .children_from(codes.iter().map(|code| Element::new("status", ns::MUC_USER).with("code", code)))
}

/// How much of the history somebody who enters wants (XEP-0045 §7.2.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryWish {
    /// Characters of XML at most.
    pub max_chars: Option<usize>,
    /// Messages at most.
    pub max_stanzas: Option<usize>,
    /// Not before so many seconds ago.
    pub seconds: Option<i64>,
    /// Not before this moment, in milliseconds since 1970.
    pub since: Option<i64>,
}

impl HistoryWish {
    /// Reads `<history/>` inside `<x xmlns='…muc'/>`.
    pub fn parse(x: &Element) -> Self {
        let Some(history) = x.get("history") else { return Self::default() };
        let number = |name| history.attribute(name).and_then(|value| value.parse().ok());
        Self {
            max_chars: number("maxchars"),
            max_stanzas: number("maxstanzas"),
            seconds: history.attribute("seconds").and_then(|value| value.parse().ok()),
            since: history.attribute("since").and_then(super::delay::parse_date_time),
        }
    }
}
