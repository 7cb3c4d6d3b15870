//! The domains whose addresses are accounts of this service.
//!
//! In    the service's own domain, and others that it serves beside it.
//! Out   whether a name, in any case of letters, in U-labels or A-labels, is one of them, and which; in U-labels, as addresses are.
//! Not here: hosts of services (rooms, components), which belong to the service's own domain.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::idn;

/// The service's own domain and those that it serves beside it; clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains {
    main: Arc<str>,
    /// All, in order.
    all: Arc<[Box<str>]>,
}

impl Domains {
    /// `main`, and others that may name it again.
    pub fn new<'a>(main: &str, others: impl IntoIterator<Item = &'a str>) -> Self {
        // What is no domain is found by nobody; the configuration is refused for it.
        let prepared = |name: &str| idn::to_unicode(name).map_or(name.to_ascii_lowercase(), Into::into);
        let main = prepared(main);
        let mut all: Vec<Box<str>> = others.into_iter().map(|other| prepared(other).into()).collect();
        all.push(main.as_str().into());
        all.sort();
        all.dedup();
        Self { main: main.into(), all: all.into() }
    }

    /// The service's own: rooms, components and whatever has no account belong to it.
    pub fn main(&self) -> &str {
        &self.main
    }

    /// The domain that is written so, as it is compared.
    pub fn find(&self, name: &str) -> Option<&str> {
        match idn::needs_idna(name) {
            true => self.find_prepared(&idn::to_unicode(name)?),
            false => self.find_prepared(name),
        }
    }

    fn find_prepared(&self, name: &str) -> Option<&str> {
        if self.main.eq_ignore_ascii_case(name) {
            return Some(&self.main);
        }
        let index = self.all.binary_search_by(|domain| compare(domain, name)).ok()?;
        Some(&self.all[index])
    }

    /// Whether accounts may have addresses there.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All, in order, for whoever compares prepared names.
    pub fn all(&self) -> Arc<[Box<str>]> {
        Arc::clone(&self.all)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|domain| &**domain)
    }
}

fn compare(domain: &str, name: &str) -> Ordering {
    domain.bytes().cmp(name.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_found_however_they_are_written() {
        let domains = Domains::new("Example.org", ["b.example", "A.example", "example.ORG", "c.example"]);
        assert_eq!(domains.main(), "example.org");
        let all: Vec<_> = domains.iter().collect();
        assert_eq!(all, ["a.example", "b.example", "c.example", "example.org"]);
        for name in ["EXAMPLE.org", "a.Example", "B.example", "c.example"] {
            assert_eq!(domains.find(name).unwrap(), name.to_ascii_lowercase());
        }
        for name in ["", "example", "example.org.", "d.example", "b.example.org"] {
            assert!(!domains.has(name), "{name}");
        }
    }

    #[test]
    fn either_spelling_of_a_domain_finds_it() {
        for (main, other) in
            [("münchen.example", "xn--kln-sna.example"), ("xn--mnchen-3ya.example", "KÖLN.example")]
        {
            let domains = Domains::new(main, [other]);
            for name in ["münchen.example", "XN--mnchen-3ya.example", "MÜNCHEN.example"] {
                assert_eq!(domains.find(name), Some("münchen.example"), "{name}");
            }
            for name in ["köln.example", "xn--kln-sna.example"] {
                assert_eq!(domains.find(name), Some("köln.example"), "{name}");
            }
            assert!(!domains.has("xn--mnchen.example"));
        }
    }
}
