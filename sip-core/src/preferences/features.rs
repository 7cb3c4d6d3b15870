//! Feature sets — RFC 3840 §5, §9 (as parameters of a Contact), RFC 3841 §8 (as predicates), RFC 2533 §5 (whether two meet).
//!
//! In    parameters. Out conjunctions of tags, each with a disjunction of what it may be: tokens without case, texts with it, numbers.
//! Errors beyond [`MOST_TERMS`] or [`MOST_VALUES`] a rule is none, and a contact is read as far as that.

use smallvec::SmallVec;

use crate::header::Params;

/// A conjunction: feature tags, each with what it may be.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Set(SmallVec<[(String, Term); 4]>);

/// A disjunction of filters of one tag.
pub(super) type Term = SmallVec<[Filter; 4]>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) is_negated: bool,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Tokens and booleans, in small letters.
    Token(String),
    Text(String),
    /// From and to, both included.
    Range(f64, f64),
}

impl Set {
    /// Its tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(tag, _)| tag.as_str())
    }

    /// The feature parameters among these; nothing if there are too many.
    pub(super) fn read(params: Params<'_>) -> Option<Self> {
        let mut set = Self::default();
        for (tag, value) in features(params) {
            if set.term(&tag).is_some() {
                continue;
            }
            let term = term(value, MOST_VALUES + 1);
            if term.is_empty() {
                continue;
            }
            if term.len() > MOST_VALUES || set.0.len() == MOST_TERMS {
                return None;
            }
            set.0.push((tag, term));
        }
        Some(set)
    }

    /// As far as bounds allow.
    pub(super) fn read_leniently(params: Params<'_>) -> Self {
        let mut set = Self::default();
        for (tag, value) in features(params).take(MOST_TERMS) {
            let term = term(value, MOST_VALUES);
            if set.term(&tag).is_none() && !term.is_empty() {
                set.0.push((tag, term));
            }
        }
        set
    }

    pub(super) fn term(&self, tag: &str) -> Option<&Term> {
        self.0.iter().find(|(known, _)| known == tag).map(|(_, term)| term)
    }

    /// Whether something can be both (RFC 2533 §5): what is not said of a contact may be anything.
    pub(super) fn may_be(&self, contact: &Self) -> bool {
        self.0.iter().all(|(tag, wanted)| {
            contact.term(tag).is_none_or(|known| {
                wanted.iter().any(|wanted| known.iter().any(|known| known.may_be(wanted)))
            })
        })
    }
}

impl Filter {
    /// Whether some value is what both want.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        use Value::Range;
        match (self.is_negated, other.is_negated) {
            (false, false) => match (&self.value, &other.value) {
                (Range(from, to), Range(other_from, other_to)) => from.max(*other_from) <= to.min(*other_to),
                (one, other) => one == other,
            },
            (true, true) => match (&self.value, &other.value) {
                (Range(from, to), Range(other_from, other_to)) => {
                    !covers((*from, *to), (*other_from, *other_to))
                }
                _ => true,
            },
            (true, false) => other.is_beyond(&self.value),
            (false, true) => self.is_beyond(&other.value),
        }
    }

    /// Whether this value can be another than that.
    fn is_beyond(&self, that: &Value) -> bool {
        match (&self.value, that) {
            (Value::Range(from, to), Value::Range(that_from, that_to)) => from < that_from || to > that_to,
            (one, that) => one != that,
        }
    }
}

/// Whether two ranges leave no number out.
fn covers(one: (f64, f64), other: (f64, f64)) -> bool {
    let (low, high) = if one.0 <= other.0 { (one, other) } else { (other, one) };
    let is_open_below = low.0 == f64::NEG_INFINITY;
    is_open_below && low.1.max(high.1) == f64::INFINITY && (high.0 <= low.1 || low.1 == f64::INFINITY)
}

/// The feature parameters among those of a Contact, by the names of their tags (§7.2.3, §8).
fn features<'a>(params: Params<'a>) -> impl Iterator<Item = (String, &'a str)> {
    params.iter().filter_map(|(name, value)| {
        let tag = match name.strip_prefix('+') {
            Some(tag) => tag.to_ascii_lowercase().replace('!', ":").replace('\'', "/"),
            None => {
                let is_base = BASE.iter().any(|base| base.eq_ignore_ascii_case(name));
                let is_bare = PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(name));
                match (is_base, is_bare) {
                    (true, _) => format!("sip.{}", name.to_ascii_lowercase()),
                    (_, true) => name.to_ascii_lowercase(),
                    _ => return None,
                }
            }
        };
        Some((tag, value.unwrap_or("TRUE")))
    })
}

/// The filters of a value, at most so many (§8).
pub(super) fn term(value: &str, most: usize) -> Term {
    let value = value.trim();
    if let Some(text) = value.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
        return std::iter::once(Filter { is_negated: false, value: Value::Text(text.to_owned()) }).collect();
    }
    let values = value.split(',').map(str::trim).filter(|value| !value.is_empty());
    values.take(most).map(Filter::read).collect()
}

impl Filter {
    fn read(text: &str) -> Self {
        let (is_negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let value = text.strip_prefix('#').and_then(range);
        match (value, text.to_ascii_lowercase().as_str()) {
            (Some((from, to)), _) => Self { is_negated, value: Value::Range(from, to) },
            // There are two of these: what is not one is the other.
            (None, "true") if is_negated => {
                Self { is_negated: false, value: Value::Token("false".to_owned()) }
            }
            (None, "false") if is_negated => {
                Self { is_negated: false, value: Value::Token("true".to_owned()) }
            }
            (None, token) => Self { is_negated, value: Value::Token(token.to_owned()) },
        }
    }
}

/// What follows an octothorpe (RFC 3840 §9).
fn range(text: &str) -> Option<(f64, f64)> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some(from) = text.strip_prefix(">=") {
        return Some((number(from)?, f64::INFINITY));
    }
    if let Some(to) = text.strip_prefix("<=") {
        return Some((f64::NEG_INFINITY, number(to)?));
    }
    if let Some(exact) = text.strip_prefix('=') {
        return number(exact).map(|exact| (exact, exact));
    }
    let (from, to) = text.split_once(':')?;
    Some((number(from)?, number(to)?))
}

/// Base tags of RFC 3840 §9 that are in the SIP tree.
const BASE: [&str; 18] = [
    "audio",
    "automata",
    "class",
    "duplex",
    "data",
    "control",
    "mobility",
    "description",
    "events",
    "priority",
    "methods",
    "schemes",
    "application",
    "video",
    "actor",
    "isfocus",
    "extensions",
    "text",
];
/// Base tags that are not.
const PLAIN: [&str; 2] = ["language", "type"];
/// Tags of one rule, and of one contact.
pub(super) const MOST_TERMS: usize = 32;
/// Values of one tag.
pub(super) const MOST_VALUES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_and_negations_read() {
        let meets = |one: &str, other: &str| {
            let (one, other) = (term(one, MOST_VALUES), term(other, MOST_VALUES));
            let found = one.iter().any(|one| other.iter().any(|other| one.may_be(other)));
            let back = other.iter().any(|other| one.iter().any(|one| other.may_be(one)));
            assert_eq!(found, back);
            found
        };
        for (one, other) in [
            ("#=5", "#>=4"),
            ("#-4:+5.125", "#<=-4"),
            ("!#=5", "#>=5"),
            ("!presence,message-summary", "dialog"),
            ("!presence,message-summary", "message-summary"),
            ("!TRUE", "false"),
            ("!a", "!b"),
            ("!#>=5", "!#<=4"),
            ("x", "!#=1"),
        ] {
            assert!(meets(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("#=5", "#>=6"),
            ("#-4:+5.125", "#>=5.2"),
            ("!#>=5", "#=7"),
            ("!presence", "PRESENCE"),
            ("!TRUE", "TRUE"),
            ("!TRUE", "!FALSE"),
            ("!#>=5", "!#<=5"),
            ("#nonsense", "#=1"),
            ("<a>", "a"),
        ] {
            assert!(!meets(one, other), "{one} {other}");
        }
    }
}
