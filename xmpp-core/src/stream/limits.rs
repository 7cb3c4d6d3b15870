//! What one side of a stream takes — XEP-0478 0.2.0, section 3: bytes of an element, seconds of silence.
//!
//! In    `<limits/>` of stream features, or inside `<bidi/>` (section 3.2). Out the same, or the numbers.
//! Errors none: what is no number is not said.

use crate::ns;
use crate::xml::Element;

/// Limits that somebody announces; 0 is none that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of one element.
    pub bytes: u64,
    /// Seconds without traffic after which the stream may end.
    pub idle: u64,
}

impl StreamLimits {
    /// Reads the child of features, or of `<bidi/>`.
    pub fn find<'a>(elements: impl IntoIterator<Item = &'a Element>) -> Self {
        let limits = elements.into_iter().find(|child| child.is("limits", ns::LIMITS));
        let number = |name: &str| limits?.text_of(name)?.trim().parse().ok();
        Self { bytes: number("max-bytes").unwrap_or(0), idle: number("idle-seconds").unwrap_or(0) }
    }

    /// The element that says them, if there is anything to say.
    pub fn to_element(self) -> Option<Element> {
        let number = |name: &str, value: u64| {
            (value > 0).then(|| Element::new(name, ns::LIMITS).text_node(value.to_string()))
        };
        let numbers = [number("max-bytes", self.bytes), number("idle-seconds", self.idle)];
        (self != Self::default())
            .then(|| Element::new("limits", ns::LIMITS).children_from(numbers.into_iter().flatten()))
    }

    /// Whether an element of so many bytes is more than is taken.
    pub fn forbid(self, bytes: usize) -> bool {
        self.bytes > 0 && bytes as u64 > self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_reads() {
        let limits = StreamLimits { bytes: 10_000, idle: 1800 };
        let element = limits.to_element().unwrap();
        assert!(
            element.to_string().contains("<max-bytes>10000</max-bytes><idle-seconds>1800</idle-seconds>")
        );
        assert_eq!(StreamLimits::find([&element]), limits);
        assert!(limits.forbid(10_001) && !limits.forbid(10_000) && !StreamLimits::default().forbid(10_001));
        let odd = Element::new("limits", ns::LIMITS).text_child("max-bytes", "-1");
        assert_eq!(StreamLimits::find([&odd]), StreamLimits::default());
        assert!(StreamLimits::default().to_element().is_none());
    }
}
