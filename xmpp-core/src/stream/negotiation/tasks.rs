//! What comes between a proof and its success — XEP-0388 1.0.4, section 2.6.3 (tasks).
//!
//! ```text
//! Proof ─continue─▶ Task ─next─▶ ─task-data ⇄ task-data─▶ continue again, or success
//! ```
//!
//! In    `<next/>` and `<task-data/>`. Out a [`Request`] for the shell, and what it answers.
//! Errors `not-authorized` for everything else: nothing is served before the success.

use super::super::{SaslFailure, StreamCondition, StreamError};
use super::{Negotiation, Phase, Request};
use crate::ns;
use crate::xml::{Element, Head};

impl Negotiation {
    pub(super) fn task(
        &mut self,
        head: &Head,
        content: &[u8],
        out: &mut String,
    ) -> Result<Option<Request>, StreamError> {
        match (head.name.as_str(), head.ns.as_str()) {
            ("next", ns::SASL2) => {
                Ok(Some(Request::Task(head.attribute("task").unwrap_or_default().to_owned())))
            }
            ("task-data", ns::SASL2) => {
                let text = std::str::from_utf8(content).unwrap_or_default();
                Ok(Some(Request::TaskData(Element::parse_content(text, ns::SASL2, &head.prefixes)?)))
            }
            ("abort", ns::SASL2) => self.refuse(SaslFailure::Aborted, out).map(|()| None),
            _ => Err(StreamCondition::NotAuthorized.into()),
        }
    }

    /// The proof held, and a task comes before the success: prints what the mechanism adds, and the task's name.
    pub fn go_on(&mut self, task: &str, additional: Option<&str>, out: &mut String) {
        let tasks = Element::new("tasks", ns::SASL2).text_child("task", task);
        let go_on = Element::new("continue", ns::SASL2);
        let go_on = match additional {
            Some(text) => go_on.text_child("additional-data", text),
            None => go_on,
        };
        go_on.child(tasks).print(ns::CLIENT, out);
        self.phase = Phase::Task;
    }

    /// Prints what a task says.
    pub fn task_data(&self, data: Element, out: &mut String) {
        Element::new("task-data", ns::SASL2).child(data).print(ns::CLIENT, out);
    }
}
