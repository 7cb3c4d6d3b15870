//! Block lists — XEP-0191 1.3, sections 3 (syntax) and 6 (which JIDs match).
//!
//! In    items of a command. Out a list, and whether it names an address.
//! Errors `bad-request` for a command that names nobody, `jid-malformed` for an address that is none.

use std::collections::BTreeSet;

use crate::ns;
use crate::xml::Element;
use crate::{ErrorKind, Jid, StanzaError};

/// Whom a user blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockList(BTreeSet<Jid>);

impl BlockList {
    /// Whether somebody is named, in the order of §6: the resource, the account, the domain's resource, the domain.
    pub fn names(&self, jid: &Jid) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let domain = || Jid::new(None, jid.domain(), None).ok();
        self.0.contains(jid)
            || self.0.contains(&jid.to_bare())
            || jid.resource().is_some_and(|resource| {
                Jid::new(None, jid.domain(), Some(resource)).is_ok_and(|jid| self.0.contains(&jid))
            })
            || domain().is_some_and(|domain| self.0.contains(&domain))
    }

    /// Adds addresses; those that are new.
    pub fn add(&mut self, jids: &[Jid]) -> Vec<Jid> {
        jids.iter().filter(|jid| self.0.insert((*jid).clone())).cloned().collect()
    }

    /// Takes addresses out, or all; those that were there.
    pub fn remove(&mut self, jids: &[Jid]) -> Vec<Jid> {
        if jids.is_empty() {
            return std::mem::take(&mut self.0).into_iter().collect();
        }
        jids.iter().filter_map(|jid| self.0.take(jid)).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is blocked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everybody who is blocked.
    pub fn iter(&self) -> impl Iterator<Item = &Jid> {
        self.0.iter()
    }
}

impl FromIterator<Jid> for BlockList {
    fn from_iter<I: IntoIterator<Item = Jid>>(jids: I) -> Self {
        Self(jids.into_iter().collect())
    }
}

/// The items of a command or list.
pub fn parse(command: &Element) -> Result<Vec<Jid>, StanzaError> {
    let items = command.children().filter(|child| child.is("item", ns::BLOCKING));
    let jid = |item: &Element| {
        let jid = item.attribute("jid").ok_or(ErrorKind::BadRequest)?;
        jid.parse().map_err(|_| ErrorKind::JidMalformed.into())
    };
    items.map(jid).collect()
}

/// A command or list of this name.
pub fn print<'a>(name: &str, jids: impl IntoIterator<Item = &'a Jid>) -> Element {
    let items = jids.into_iter().map(|jid| Element::new("item", ns::BLOCKING).with("jid", jid));
    Element::new(name, ns::BLOCKING).children_from(items)
}

/// The answer to a user who writes to somebody whom they block (§3.3, example 9). The type is that of the example.
pub fn own_block() -> StanzaError {
    StanzaError::new(ErrorKind::NotAcceptable).with(Element::new("blocked", ns::BLOCKING_ERRORS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_section_6_says() {
        let list = |jid: &str| std::iter::once(jid.parse().unwrap()).collect::<BlockList>();
        let names = |item: &str, jid: &str| list(item).names(&jid.parse().unwrap());
        for (item, yes, no) in [
            ("a@x/r", "a@x/r", "a@x/s"),
            ("a@x", "a@x/r", "b@x/r"),
            ("x/r", "x/r", "x/s"),
            ("x/r", "a@x/r", "a@x"),
            ("x", "a@x/r", "a@y"),
        ] {
            assert!(names(item, yes) && !names(item, no), "{item}");
        }
    }

    #[test]
    fn removes_all_when_nobody_is_named() {
        let jid: Jid = "a@x".parse().unwrap();
        let mut list = BlockList::default();
        assert_eq!(list.add(&[jid.clone(), jid.clone()]).len(), 1);
        assert_eq!(list.remove(&[]), [jid]);
        assert!(list.is_empty());
    }
}
