//! Which domains are spoken with: lists of the operator's — RFC 6120 §13.11 (a server may refuse by its local policy).
//!
//! In    a domain in its compared form. Out whether it is spoken with: what is denied is not, and if anything is allowed by
//!       name, nothing else is.

use shared_model::idn;

/// The lists of `[xmpp.federation]`.
#[derive(Debug, Default)]
pub(super) struct Policy {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

#[derive(Debug)]
enum Pattern {
    Domain(String),
    /// Every domain that ends in this, a dot before it.
    Below(String),
}

impl Policy {
    pub(super) fn new(allow: &[String], deny: &[String]) -> Self {
        let all = |list: &[String]| list.iter().map(|text| Pattern::parse(text)).collect();
        Self { allow: all(allow), deny: all(deny) }
    }

    pub(super) fn admits(&self, domain: &str) -> bool {
        let is_of = |list: &[Pattern]| list.iter().any(|pattern| pattern.names(domain));
        !is_of(&self.deny) && (self.allow.is_empty() || is_of(&self.allow))
    }
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let prepared = |name: &str| idn::to_unicode(name).map_or_else(|| name.to_lowercase(), Into::into);
        match text.strip_prefix("*.") {
            Some(rest) => Self::Below(prepared(rest)),
            None => Self::Domain(prepared(text)),
        }
    }

    fn names(&self, domain: &str) -> bool {
        match self {
            Self::Domain(name) => name == domain,
            Self::Below(rest) => domain
                .strip_suffix(rest.as_str())
                .is_some_and(|label| label.len() > 1 && label.ends_with('.')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denies_before_it_allows() {
        let list = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let open = Policy::new(&[], &list(&["Bad.example", "*.worse.example."]));
        for (domain, wanted) in [
            ("good.example", true),
            ("bad.example", false),
            ("not.bad.example", true),
            ("worse.example", true),
            ("a.worse.example", false),
            ("a.b.worse.example", false),
            ("notworse.example", true),
            (".worse.example", true),
        ] {
            assert_eq!(open.admits(domain), wanted, "{domain}");
        }
        let closed = Policy::new(&list(&["*.example.net", "example.net"]), &list(&["bad.example.net"]));
        assert!(closed.admits("example.net") && closed.admits("a.example.net"));
        assert!(!closed.admits("bad.example.net") && !closed.admits("example.org"));
    }
}
