//! Result sets — XEP-0059 1.0, section 2: which page is asked for, and which one was given.

use crate::ErrorKind;
use crate::ns;
use crate::xml::Element;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// With the first item.
    #[default]
    First,
    /// Behind this item (§2.2).
    After(String),
    /// So that it ends before this item (§2.3).
    Before(String),
    /// So that it ends with the last item (§2.5).
    Last,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Items at most, if that is said.
    pub max: Option<usize>,
    /// Where the page begins.
    pub place: Place,
}

impl Wish {
    /// Reads the `<set/>` inside `parent`; none asks for the first page.
    pub fn parse(parent: &Element) -> Result<Self, ErrorKind> {
        let Some(set) = parent.find("set", ns::RSM) else { return Ok(Self::default()) };
        if set.get("index").is_some() {
            return Err(ErrorKind::FeatureNotImplemented); // §2.6
        }
        let max = set.text_of("max").map(|max| max.trim().parse()).transpose();
        let place = match (set.text_of("after"), set.text_of("before")) {
            (Some(_), Some(_)) => return Err(ErrorKind::BadRequest),
            (Some(id), None) if id.is_empty() => Place::First,
            (Some(id), None) => Place::After(id),
            (None, Some(id)) if id.is_empty() => Place::Last,
            (None, Some(id)) => Place::Before(id),
            (None, None) => Place::First,
        };
        Ok(Self { max: max.map_err(|_| ErrorKind::BadRequest)?, place })
    }
}

/// The `<set/>` of an answer: the ids of the first and last item, how many precede them, how many there are in all.
pub fn answer(ids: Option<(&str, &str)>, index: Option<u64>, count: Option<u64>) -> Element {
    let mut set = Element::new("set", ns::RSM);
    if let Some((first, last)) = ids {
        let element = Element::new("first", ns::RSM).with_some("index", index).text_node(first);
        set = set.child(element).text_child("last", last);
    }
    match count {
        Some(count) => set.text_child("count", count.to_string()),
        None => set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_kind_of_page() {
        let parse = |inner: &str| {
            let text = format!("<q><set xmlns='http://jabber.org/protocol/rsm'>{inner}</set></q>");
            Wish::parse(&Element::parse(&text, "").unwrap())
        };
        let wish = |max, place| Ok(Wish { max, place });
        assert_eq!(parse("<max>5</max>"), wish(Some(5), Place::First));
        assert_eq!(parse("<max>5</max><after>a</after>"), wish(Some(5), Place::After("a".into())));
        assert_eq!(parse("<before>a</before>"), wish(None, Place::Before("a".into())));
        assert_eq!(parse("<before/>"), wish(None, Place::Last));
        assert_eq!(parse("<max>x</max>"), Err(ErrorKind::BadRequest));
        assert_eq!(parse("<index>3</index>"), Err(ErrorKind::FeatureNotImplemented));
    }
}
