//! Changing a message on its way: only what changes is new, the rest stays as it came.

use bytes::Bytes;

use super::field::Field;
use super::{Message, Piece, Start};
use crate::header::{Elements, Name};

impl Message {
    /// Replaces the Request-URI. Does nothing to a response.
    pub fn set_uri(&mut self, new: &str) {
        if let Start::Request { uri, .. } = &mut self.start {
            *uri = Piece::Own(new.into());
        }
    }

    /// Puts a header before all others of its name, or first of all if there is none.
    pub fn push_front(&mut self, name: Name, value: &str) {
        let position = self.fields.iter().position(|field| field.name == name).unwrap_or(0);
        self.fields.insert(position, new_field(name, value));
    }

    /// Puts a header on top of all, whatever their names.
    pub fn push_top(&mut self, name: Name, value: &str) {
        self.fields.insert(0, new_field(name, value));
    }

    /// Puts a header after all others.
    pub fn push(&mut self, name: Name, value: &str) {
        self.fields.push(new_field(name, value));
    }

    /// Puts a header after all others of its name, or last of all if there is none.
    pub fn push_last(&mut self, name: Name, value: &str) {
        let position = self.fields.iter().rposition(|field| field.name == name);
        let position = position.map_or(self.fields.len(), |position| position + 1);
        self.fields.insert(position, new_field(name, value));
    }

    /// Puts a header of any name after all others.
    pub fn push_other(&mut self, name: &str, value: &str) {
        self.fields.push(Field::new(Name::of(name.as_bytes()), name, value));
    }

    /// Replaces all headers of this name by one, where the first of them stood.
    pub fn set(&mut self, name: Name, value: &str) {
        match self.fields.iter().position(|field| field.name == name) {
            None => self.push(name, value),
            Some(position) => {
                self.remove(name);
                self.fields.insert(position.min(self.fields.len()), new_field(name, value));
            }
        }
    }

    /// Removes all headers of this name; how many there were.
    pub fn remove(&mut self, name: Name) -> usize {
        let before = self.fields.len();
        self.fields.retain(|field| field.name != name);
        before - self.fields.len()
    }

    /// Removes all headers of these names.
    pub fn remove_all(&mut self, names: &[Name]) {
        self.fields.retain(|field| !names.contains(&field.name));
    }

    /// Removes all headers of this name, whether it has a [`Name`] or not.
    pub fn remove_other(&mut self, name: &str) {
        let (known, head) = (Name::of(name.as_bytes()), self.head.clone());
        self.fields
            .retain(|field| field.name != known || (known == Name::Other && !field.is_named(name, &head)));
    }

    /// Keeps the headers of this name whose value is worth it.
    pub fn retain_values(&mut self, name: Name, mut keep: impl FnMut(&str) -> bool) {
        let head = &self.head;
        self.fields.retain(|field| field.name != name || keep(field.value(head)));
    }

    /// Removes the first element of a header that is a list, and the header if that was its last.
    pub fn pop_front(&mut self, name: Name) -> Option<String> {
        let position = self.fields.iter().position(|field| field.name == name)?;
        let mut elements = Elements::new(self.fields[position].value(&self.head));
        let first = elements.next().map(str::to_owned);
        match elements.rest() {
            "" => {
                self.fields.remove(position);
            }
            rest => self.fields[position] = new_field(name, rest),
        }
        first
    }

    /// Replaces the first element of a header that is a list; what follows it stays.
    pub fn set_front(&mut self, name: Name, value: &str) {
        let Some(position) = self.fields.iter().position(|field| field.name == name) else { return };
        let mut elements = Elements::new(self.fields[position].value(&self.head));
        elements.next();
        self.fields[position] = match elements.rest() {
            "" => new_field(name, value),
            rest => new_field(name, &format!("{value}, {rest}")),
        };
    }

    /// Keeps the elements of a list that `keep` says; a header whose elements all stay is not touched.
    pub fn retain_elements(&mut self, name: Name, mut keep: impl FnMut(&str) -> bool) {
        let mut position = 0;
        while position < self.fields.len() {
            if self.fields[position].name != name {
                position += 1;
                continue;
            }
            let value = self.fields[position].value(&self.head);
            let all = Elements::new(value).count();
            let kept: Vec<&str> = Elements::new(value).filter(|element| keep(element)).collect();
            if kept.len() == all {
                position += 1;
            } else if kept.is_empty() {
                self.fields.remove(position);
            } else {
                self.fields[position] = new_field(name, &kept.join(", "));
                position += 1;
            }
        }
    }

    /// Replaces the body, its type and its length. An empty type removes Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        if content_type.is_empty() {
            self.remove(Name::ContentType);
        } else {
            self.set(Name::ContentType, content_type);
        }
        self.set(Name::ContentLength, &body.len().to_string());
        self.body = body;
    }

    /// States the length of the body, as streams demand (RFC 3261 §18.3).
    pub fn ensure_content_length(&mut self) {
        if self.value(Name::ContentLength).is_none() {
            let length = self.body.len().to_string();
            self.push(Name::ContentLength, &length);
        }
    }

    /// Adds a tag to To if it has none.
    pub fn ensure_to_tag(&mut self, tag: &str) {
        if self.to_tag().is_none()
            && let Some(to) = self.fields.iter_mut().find(|field| field.name == Name::To)
        {
            *to = to.followed_by(&format!(";tag={tag}"), &self.head);
        }
    }
}

pub(super) fn new_field(name: Name, value: &str) -> Field {
    Field::new(name, name.as_str(), value)
}
