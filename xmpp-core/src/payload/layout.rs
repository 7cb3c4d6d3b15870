//! How the fields of a form lie on pages — XEP-0141 1.0, sections 3 and 4.2 (each field once), 8 (elements).
//!
//! ```text
//! page ─▶ [text]… [field]… [table] [section ─▶ the same]…
//! ```
//!
//! Who does not know pages sees the fields as they are.

use crate::ns;
use crate::xml::Element;

/// A page, or a section of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// What a person reads above it; possibly empty.
    pub label: String,
    /// What is in it, in order.
    pub holds: Vec<Held>,
}

/// What a page or a section holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A paragraph.
    Text(String),
    /// A field, by its name.
    Field(String),
    /// The rows of the form.
    Table,
    /// A section inside.
    Section(Part),
}

impl Part {
    /// One with these fields.
    pub fn of(label: &str, fields: &[&str]) -> Self {
        let holds = fields.iter().map(|var| Held::Field((*var).to_owned())).collect();
        Self { label: label.to_owned(), holds }
    }

    /// Every field that it refers to.
    pub fn fields(&self) -> Vec<&str> {
        let mut all = Vec::new();
        self.collect(&mut all);
        all
    }

    fn collect<'a>(&'a self, all: &mut Vec<&'a str>) {
        for held in &self.holds {
            match held {
                Held::Field(var) => all.push(var),
                Held::Section(section) => section.collect(all),
                Held::Text(_) | Held::Table => {}
            }
        }
    }

    /// The same without what is not there, or nothing, if it is empty then: a section holds at least one field (section 3.2).
    pub(super) fn kept(mut self, is_there: &impl Fn(&str) -> bool) -> Option<Self> {
        let held = self.holds.into_iter().filter_map(|held| match held {
            Held::Field(var) => is_there(&var).then_some(Held::Field(var)),
            Held::Section(section) => section.kept(is_there).map(Held::Section),
            other => Some(other),
        });
        self.holds = held.collect();
        let is_empty = self.holds.iter().all(|held| matches!(held, Held::Text(_)));
        (!is_empty).then_some(self)
    }

    /// Prints, as `page` or `section`.
    pub(super) fn to_element(&self, name: &str) -> Element {
        let element = |name: &str| Element::new(name, ns::LAYOUT);
        let part = element(name).with_some("label", (!self.label.is_empty()).then(|| self.label.clone()));
        part.children_from(self.holds.iter().map(|held| match held {
            Held::Text(text) => element("text").text_node(text.clone()),
            Held::Field(var) => element("fieldref").with("var", var),
            Held::Table => element("reportedref"),
            Held::Section(section) => section.to_element("section"),
        }))
    }

    /// Reads a page or a section.
    pub(super) fn parse(part: &Element) -> Self {
        let held = |child: &Element| {
            Some(match child.name.as_str() {
                "text" => Held::Text(child.text()),
                "fieldref" => Held::Field(child.attribute("var")?.to_owned()),
                "reportedref" => Held::Table,
                "section" => Held::Section(Self::parse(child)),
                _ => return None,
            })
        };
        let holds = part.children().filter(|child| child.ns == ns::LAYOUT).filter_map(held).collect();
        Self { label: part.attribute("label").unwrap_or_default().to_owned(), holds }
    }
}

#[cfg(test)]
mod tests {
    use super::super::form::{Field, Form};
    use super::*;

    fn form(fields: &[&str]) -> Form {
        fields
            .iter()
            .fold(Form::new("form", "urn:x"), |form, var| form.with(Field::empty(var, "text-single", "")))
    }

    /// Example 3, in short.
    fn nested() -> Part {
        let name = Part::of("Name", &["name.first", "name.last"]);
        let mut person = Part::of("Personal Information", &["background"]);
        person.holds.insert(0, Held::Section(name));
        person.holds.insert(0, Held::Text("Your personal information will never be shared.".to_owned()));
        Part { label: String::new(), holds: vec![Held::Section(person), Held::Table] }
    }

    #[test]
    fn pages_survive_their_text() {
        let form = form(&["name.first", "name.last", "background"]).laid_out(vec![nested()]);
        let x = form.to_element();
        let text = x.to_string();
        assert!(text.contains(
            "<page xmlns='http://jabber.org/protocol/xdata-layout'><section label='Personal Information'>"
        ));
        assert!(text.contains(
            "<section label='Name'><fieldref var='name.first'/><fieldref var='name.last'/></section>"
        ));
        assert!(text.find("<page").unwrap() < text.find("<field ").unwrap());
        assert_eq!(Form::parse(&x).unwrap(), Form { pages: form.pages.clone(), ..Form::parse(&x).unwrap() });
        assert_eq!(form.pages[0].fields(), ["name.first", "name.last", "background"]);
    }

    #[test]
    fn what_is_not_there_is_on_no_page() {
        let form = form(&["background"]).laid_out(vec![nested(), Part::of("Empty", &["none"])]);
        assert_eq!(form.pages.len(), 1);
        assert_eq!(form.pages[0].fields(), ["background"]);
        assert!(!form.to_element().to_string().contains("'Name'"));
    }
}
