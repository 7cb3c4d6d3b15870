//! Data forms — XEP-0004 2.13.1, section 3: a type, and fields with values.

use crate::ns;
use crate::xml::Element;

/// A form being filled, offered, or handed in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// `form`, `submit`, `cancel` or `result`.
    pub type_: String,
    /// What a person reads above the fields; possibly empty.
    pub title: String,
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
}

impl Field {
    /// A field with one value.
    pub fn new(var: &str, type_: &str, label: &str, value: impl Into<String>) -> Self {
        let (var, type_, label) = (var.to_owned(), type_.to_owned(), label.to_owned());
        Self { var, type_, label, values: vec![value.into()], options: Vec::new() }
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
        Self { type_: type_.to_owned(), title: String::new(), fields }
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
            options: Vec::new(),
        });
        let type_ = x.attribute("type").unwrap_or("submit").to_owned();
        Some(Self { type_, title: x.text_of("title").unwrap_or_default(), fields: fields.collect() })
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
        x.children_from(self.fields.iter().map(|field| {
            let some = |text: &String| (!text.is_empty()).then(|| text.clone());
            let element = Element::new("field", ns::FORM)
                .with("var", &field.var)
                .with_some("type", some(&field.type_))
                .with_some("label", some(&field.label));
            let element =
                field.values.iter().fold(element, |all, value| all.text_child("value", value.clone()));
            element.children_from(field.options.iter().map(|(label, value)| {
                Element::new("option", ns::FORM).with("label", label).text_child("value", value.clone())
            }))
        }))
    }
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
