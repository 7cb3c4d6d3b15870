//! One tag, from `<` to `>`, taken apart — XML 1.0 productions 40–44, Namespaces in XML 1.0 productions 7–11.
//!
//! In    the text of a complete tag.
//! Out   a [`Tag`] whose slices point into that text; attribute values are still escaped, and known to be sound.
//! Errors whatever makes the tag ill-formed.
//! Not here: binding prefixes to namespaces (`framer`).

use smallvec::SmallVec;

use super::{XmlError, escape};

/// A start tag, an empty-element tag or an end tag.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) kind: TagKind,
    /// The qualified name, prefix and all.
    pub(super) name: &'a str,
    /// Qualified names and raw values, in order.
    pub(super) attributes: SmallVec<[(&'a str, &'a str); 8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagKind {
    Start,
    Empty,
    End,
}

impl<'a> Tag<'a> {
    /// Takes `<…>` apart.
    pub(super) fn lex(text: &'a str, max_attributes: usize) -> Result<Self, XmlError> {
        let inner = &text[1..text.len() - 1];
        let (kind, inner) = match (inner.strip_prefix('/'), inner.strip_suffix('/')) {
            (Some(inner), _) => (TagKind::End, inner),
            (None, Some(inner)) => (TagKind::Empty, inner),
            (None, None) => (TagKind::Start, inner),
        };
        let end = inner.find(is_space).unwrap_or(inner.len());
        let (name, mut rest) = inner.split_at(end);
        check_name(name)?;
        let mut attributes = SmallVec::new();
        loop {
            let trimmed = rest.trim_start_matches(is_space);
            if trimmed.is_empty() {
                break;
            }
            if kind == TagKind::End || trimmed.len() == rest.len() {
                return Err(XmlError::NotWellFormed("something behind the name in a tag"));
            }
            if attributes.len() == max_attributes {
                return Err(XmlError::OverLimit("attributes of one element"));
            }
            let (attribute, behind) = lex_attribute(trimmed)?;
            if attributes.iter().any(|(name, _)| *name == attribute.0) {
                return Err(XmlError::NotWellFormed("an attribute given twice"));
            }
            attributes.push(attribute);
            rest = behind;
        }
        Ok(Self { kind, name, attributes })
    }
}

fn lex_attribute(text: &str) -> Result<((&str, &str), &str), XmlError> {
    let end = text
        .find(|c| c == '=' || is_space(c))
        .ok_or(XmlError::NotWellFormed("an attribute without value"))?;
    let (name, rest) = text.split_at(end);
    check_name(name)?;
    let rest = rest.trim_start_matches(is_space).strip_prefix('=');
    let rest =
        rest.ok_or(XmlError::NotWellFormed("an attribute without value"))?.trim_start_matches(is_space);
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.ok_or(XmlError::NotWellFormed("an attribute value without quotes"))?;
    let (value, rest) = rest[1..]
        .split_once(quote)
        .ok_or(XmlError::NotWellFormed("an attribute value without closing quote"))?;
    if memchr::memchr(b'<', value.as_bytes()).is_some() {
        return Err(XmlError::NotWellFormed("'<' in an attribute value"));
    }
    escape::check(value)?;
    Ok(((name, value), rest))
}

/// Splits a qualified name into prefix (possibly empty) and local part.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

fn check_name(name: &str) -> Result<(), XmlError> {
    let (prefix, local) = split_name(name);
    let has_prefix = prefix.len() + local.len() < name.len();
    if is_nc_name(local) && (!has_prefix || is_nc_name(prefix)) {
        return Ok(());
    }
    Err(XmlError::NotWellFormed("not a name"))
}

/// Namespaces in XML production 4: a name without colon.
fn is_nc_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(|c| {
        is_name_start(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    })
}

/// XML 1.0 production 4, less the colon.
fn is_name_start(c: char) -> bool {
    matches!(c,
        'a'..='z' | 'A'..='Z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_tag_apart() {
        let tag = Tag::lex("<a:b c='1' d = \"it's\"\n/>", 8).unwrap();
        assert_eq!((tag.kind, tag.name), (TagKind::Empty, "a:b"));
        assert_eq!(tag.attributes.as_slice(), [("c", "1"), ("d", "it's")]);
        assert_eq!(Tag::lex("</a >", 8).unwrap().kind, TagKind::End);
    }

    #[test]
    fn refuses_each_way_of_being_ill_formed() {
        for bad in [
            "<>",
            "< a>",
            "<1a>",
            "<a b>",
            "<a b=1>",
            "<a b='1>",
            "<a b='1'c='2'>",
            "<a b='1' b='2'>",
            "</a b='1'>",
            "<a:>",
            "<:a>",
            "<a:b:c>",
            "<a b='&lt'>",
            "<a b='<'>",
            "<a//>",
        ] {
            assert!(matches!(Tag::lex(bad, 8), Err(XmlError::NotWellFormed(_))), "{bad}");
        }
        assert!(matches!(Tag::lex("<a b='' c='' d=''>", 2), Err(XmlError::OverLimit(_))));
    }
}
