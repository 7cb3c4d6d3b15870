//! Forms of signed-in people as they are drawn: as they are now or, where one was refused, as it was filled in, with the field at
//! fault marked (WCAG 2.2, 3.3.1 and 3.3.3). Passwords are typed anew.

use maud::{Markup, html};

use super::deeds::{Outcome, Refused};
use super::text_field;

/// One form of a page.
pub(super) struct Blank<'a> {
    refused: Option<&'a Refused>,
}

impl<'a> Blank<'a> {
    /// The form of an operation; `thing` are the hidden fields that tell it from others of the page.
    pub(super) fn of(outcome: Option<&'a Outcome>, operation: &str, thing: &[(&str, &str)]) -> Self {
        let refused = match outcome {
            Some(Outcome::Refused(refused)) if refused.operation == operation => Some(refused),
            _ => None,
        };
        let is_this =
            |refused: &&Refused| thing.iter().all(|(name, value)| refused.given(name) == Some(*value));
        Self { refused: refused.filter(is_this) }
    }

    /// The rule that a field broke.
    pub(super) fn fault(&self, name: &str) -> Option<&'a str> {
        self.refused
            .filter(|refused| refused.problem.field == name)
            .map(|refused| refused.problem.detail.as_str())
    }

    /// What was typed into a field, or else what it is now.
    pub(super) fn value<'b>(&self, name: &str, now: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.refused.and_then(|refused| refused.given(name)).unwrap_or(now)
    }

    /// A line of text that may be left empty.
    pub(super) fn line(&self, name: &str, id: &str, label: &str, now: &str) -> Markup {
        text_field(name, id, label, self.value(name, now), self.fault(name))
    }

    /// Several lines.
    pub(super) fn lines(&self, name: &str, id: &str, label: &str, now: &str) -> Markup {
        let (about, fault) = (format!("{id}-about"), self.fault(name));
        html! {
            label for=(id) { (label) }
            textarea id=(id) name=(name) rows="2" spellcheck="false" autocapitalize="none" aria-invalid=[fault.map(|_| "true")]
                aria-describedby=[fault.map(|_| about.as_str())] { (self.value(name, now)) }
            (rule(&about, fault))
        }
    }

    /// One word of several, each with its text; what was sent and is none of them is as if it were not.
    pub(super) fn choice(
        &self,
        name: &str,
        id: &str,
        label: &str,
        words: &[(&str, &str)],
        now: &str,
    ) -> Markup {
        self.choice_with_hint(name, id, label, "", words, now)
    }

    /// The same with a sentence about it.
    pub(super) fn choice_with_hint(
        &self,
        name: &str,
        id: &str,
        label: &str,
        hint: &str,
        words: &[(&str, &str)],
        now: &str,
    ) -> Markup {
        let (about, hint_id, fault) = (format!("{id}-about"), format!("{id}-hint"), self.fault(name));
        let ids = [(!hint.is_empty()).then_some(hint_id.as_str()), fault.map(|_| about.as_str())];
        let described = ids.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let given = self.value(name, now);
        let chosen = if words.iter().any(|(word, _)| *word == given) { given } else { now };
        html! {
            label for=(id) { (label) }
            select id=(id) name=(name) aria-invalid=[fault.map(|_| "true")] aria-describedby=[(!described.is_empty()).then_some(described)] {
                @for (word, text) in words { option value=(word) selected[*word == chosen] { (text) } }
            }
            @if !hint.is_empty() { p.hint id=(hint_id) { (hint) } }
            (rule(&about, fault))
        }
    }

    /// A box that is off until somebody ticks it.
    pub(super) fn tick(&self, name: &str, label: &str) -> Markup {
        let is_on = self.refused.is_some_and(|refused| refused.given(name).is_some());
        html! { label { input type="checkbox" name=(name) checked[is_on]; (label) } @if let Some(rule) = self.fault(name) { p.error { (rule) } } }
    }

    /// A line that is needed.
    pub(super) fn needed(&self, name: &str, id: &str, label: &str) -> Markup {
        let (about, fault) = (format!("{id}-about"), self.fault(name));
        html! {
            label for=(id) { (label) }
            input id=(id) name=(name) value=(self.value(name, "")) autocomplete="off" required aria-invalid=[fault.map(|_| "true")]
                aria-describedby=[fault.map(|_| about.as_str())];
            (rule(&about, fault))
        }
    }

    /// A password that is needed.
    pub(super) fn password(&self, name: &str, id: &str, label: &str, autocomplete: &str) -> Markup {
        let (about, fault) = (format!("{id}-about"), self.fault(name));
        html! {
            label for=(id) { (label) }
            input id=(id) name=(name) type="password" autocomplete=(autocomplete) required aria-invalid=[fault.map(|_| "true")]
                aria-describedby=[fault.map(|_| about.as_str())];
            (rule(&about, fault))
        }
    }
}

/// What was wrong with a field.
fn rule(id: &str, fault: Option<&str>) -> Markup {
    html! { @if let Some(rule) = fault { p.error id=(id) { (rule) } } }
}
