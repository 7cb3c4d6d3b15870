//! The domains whose addresses are accounts of this service.
//!
//! In    the service's own domain, and others that it serves beside it.
//! Out   whether a name, in any case of letters, is one of them, and which.
//! Not here: hosts of services (rooms, components), which belong to the service's own domain.

use std::cmp::Ordering;
use std::sync::Arc;

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
        let main = main.to_ascii_lowercase();
        let mut all: Vec<Box<str>> =
            others.into_iter().map(|other| other.to_ascii_lowercase().into()).collect();
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
}
