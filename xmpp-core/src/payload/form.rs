//! Data forms — XEP-0004 2.13.1, section 3: a type, and fields with values.

use super::layout::Part;
use crate::ns;
use crate::xml::Element;

/// A form being filled, offered, or handed in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// `form`, `submit`, `cancel` or `result`.
    pub type_: String,
    /// What a person reads above the fields; possibly empty.
    pub title: String,
    /// What a person is told to do; possibly empty.
    pub instructions: String,
    /// How the fields lie on pages (XEP-0141); possibly not at all.
    pub pages: Vec<Part>,
    /// The fields in order; `FORM_TYPE` (XEP-0068) is one of them.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// The name.
    pub var: String,
    /// `text-single`, `boolean`, …; empty in what is handed in.
    pub type_: String,
    /// What a person reads; possibly empty.
    pub label: String,
    /// The values.
    pub values: Vec<String>,
    /// Labels and values to choose from.
    pub options: Vec<(String, String)>,
    /// Whether it must have a value when the form is handed in.
    pub is_required: bool,
    /// It is a whole number, and no less than this (XEP-0122 §3.2, §4.3).
    pub least: Option<i64>,
}

impl Field {
    /// A field with one value.
    pub fn new(var: &str, type_: &str, label: &str, value: impl Into<String>) -> Self {
        let (var, type_, label) = (var.to_owned(), type_.to_owned(), label.to_owned());
        Self { var, type_, label, values: vec![value.into()], ..Self::default() }
    }

    /// A field to be filled in.
    pub fn empty(var: &str, type_: &str, label: &str) -> Self {
        let (var, type_, label) = (var.to_owned(), type_.to_owned(), label.to_owned());
        Self { var, type_, label, ..Self::default() }
    }

    /// The same with these values.
    #[must_use]
    pub fn values(self, values: Vec<String>) -> Self {
        Self { values, ..self }
    }

    /// The same, a whole number that is no less than this.
    #[must_use]
    pub fn at_least(self, least: i64) -> Self {
        Self { least: Some(least), ..self }
    }

    /// The same, and it must be filled in.
    #[must_use]
    pub fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Adds what may be chosen.
    #[must_use]
    pub fn options(mut self, options: &[(&str, &str)]) -> Self {
        self.options =
            options.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        self
    }
}

impl Form {
    /// A form of this type whose first field is `FORM_TYPE`.
    pub fn new(type_: &str, form_type: &str) -> Self {
        let fields = vec![Field::new("FORM_TYPE", "hidden", "", form_type)];
        Self { type_: type_.to_owned(), fields, ..Self::default() }
    }

    /// The same with a title.
    #[must_use]
    pub fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    /// The same on these pages; fields that it has not are on none, and pages without any are left out.
    #[must_use]
    pub fn laid_out(mut self, pages: Vec<Part>) -> Self {
        let is_there = |var: &str| self.fields.iter().any(|field| field.var == var);
        self.pages = pages.into_iter().filter_map(|page| page.kept(&is_there)).collect();
        self
    }

    /// Fields for people that are on no page or on several (XEP-0141 §4.2), if there are pages.
    pub fn misplaced(&self) -> Vec<&str> {
        let placed: Vec<&str> = self.pages.iter().flat_map(Part::fields).collect();
        let is_shown = |field: &&Field| !matches!(field.type_.as_str(), "hidden" | "fixed");
        let is_once = |var: &str| placed.iter().filter(|placed| **placed == var).count() == 1;
        let shown = self.fields.iter().filter(is_shown).map(|field| field.var.as_str());
        shown.filter(|var| !self.pages.is_empty() && !is_once(var)).collect()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Reads `<x xmlns='jabber:x:data'/>`.
    pub fn parse(x: &Element) -> Option<Self> {
        if !x.is("x", ns::FORM) {
            return None;
        }
        let fields = x.children().filter(|child| child.is("field", ns::FORM)).map(|field| Field {
            var: field.attribute("var").unwrap_or_default().to_owned(),
            type_: field.attribute("type").unwrap_or_default().to_owned(),
            label: field.attribute("label").unwrap_or_default().to_owned(),
            values: field.children().filter(|v| v.is("value", ns::FORM)).map(Element::text).collect(),
            ..Field::default()
        });
        let type_ = x.attribute("type").unwrap_or("submit").to_owned();
        let text = |name| x.text_of(name).unwrap_or_default();
        let (title, instructions) = (text("title"), text("instructions"));
        let pages = x.children().filter(|child| child.is("page", ns::LAYOUT)).map(Part::parse).collect();
        Some(Self { type_, title, instructions, pages, fields: fields.collect() })
    }

    /// All values of a field.
    pub fn values(&self, var: &str) -> &[String] {
        self.fields.iter().find(|field| field.var == var).map(|field| &field.values[..]).unwrap_or_default()
    }

    /// The first value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.var == var)?.values.first().map(String::as_str)
    }

    /// A field as a truth (XEP-0004 §3.3): `1` or `true`, `0` or `false`.
    pub fn truth(&self, var: &str) -> Option<bool> {
        match self.value(var)? {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    /// Prints.
    pub fn to_element(&self) -> Element {
        let mut x = Element::new("x", ns::FORM).with("type", &self.type_);
        if !self.title.is_empty() {
            x = x.text_child("title", self.title.clone());
        }
        if !self.instructions.is_empty() {
            x = x.text_child("instructions", self.instructions.clone());
        }
        let x = x.children_from(self.pages.iter().map(|page| page.to_element("page")));
        x.children_from(self.fields.iter().map(|field| {
            let some = |text: &String| (!text.is_empty()).then(|| text.clone());
            let element = Element::new("field", ns::FORM)
                .with("var", &field.var)
                .with_some("type", some(&field.type_))
                .with_some("label", some(&field.label));
            let element =
                element.children_from(field.is_required.then(|| Element::new("required", ns::FORM)));
            let element = element.children_from(field.least.map(|least| {
                Element::new("validate", ns::VALIDATE)
                    .with("datatype", "xs:integer")
                    .child(Element::new("range", ns::VALIDATE).with("min", least))
            }));
            let element =
                field.values.iter().fold(element, |all, value| all.text_child("value", value.clone()));
            element.children_from(field.options.iter().map(|(label, value)| {
                Element::new("option", ns::FORM).with("label", label).text_child("value", value.clone())
            }))
        }))
    }
}

/// Results with the same fields each (XEP-0004 §3.4): columns by name, type and label, and rows of values.
pub fn table(
    form_type: &str,
    columns: &[(&str, &str, &str)],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Element {
    let reported = columns.iter().map(|(var, type_, label)| {
        Element::new("field", ns::FORM).with("var", var).with("type", type_).with("label", label)
    });
    let cells = |row: Vec<String>| {
        let cell = |((var, ..), value): (&(&str, &str, &str), String)| {
            Element::new("field", ns::FORM).with("var", var).text_child("value", value)
        };
        Element::new("item", ns::FORM).children_from(columns.iter().zip(row).map(cell).collect::<Vec<_>>())
    };
    Form::new("result", form_type)
        .to_element()
        .child(Element::new("reported", ns::FORM).children_from(reported))
        .children_from(rows.into_iter().map(cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_its_text() {
        let form = Form::new("submit", "urn:x").with(Field::new("a", "boolean", "A?", "1"));
        assert_eq!(Form::parse(&form.to_element()).unwrap(), form);
        assert_eq!((form.truth("a"), form.value("b")), (Some(true), None));
    }
}
