//! The Bidi Rule — RFC 5893 §2, for one string.

use icu_properties::props::{BidiClass as Bidi, EnumeratedProperty};

/// Whether the text has nothing that is written from right to left, or all six conditions hold.
pub(crate) fn is_satisfied(text: &str) -> bool {
    let classes: Vec<Bidi> = text.chars().map(Bidi::for_char).collect();
    if !classes
        .iter()
        .any(|class| matches!(*class, Bidi::RightToLeft | Bidi::ArabicLetter | Bidi::ArabicNumber))
    {
        return true;
    }
    // 1. A string that begins from left to right has nothing of the other direction (5), so that 6 has nothing to say here.
    if !matches!(classes.first(), Some(&(Bidi::RightToLeft | Bidi::ArabicLetter))) {
        return false;
    }
    let has = |class: Bidi| classes.contains(&class);
    let last = classes.iter().rfind(|class| **class != Bidi::NonspacingMark);
    classes.iter().all(|class| ALLOWED.contains(class)) // 2
        && last.is_some_and(|last| ENDS.contains(last)) // 3
        && !(has(Bidi::EuropeanNumber) && has(Bidi::ArabicNumber)) // 4
}

const ALLOWED: [Bidi; 10] = [
    Bidi::RightToLeft,
    Bidi::ArabicLetter,
    Bidi::ArabicNumber,
    Bidi::EuropeanNumber,
    Bidi::EuropeanSeparator,
    Bidi::CommonSeparator,
    Bidi::EuropeanTerminator,
    Bidi::OtherNeutral,
    Bidi::BoundaryNeutral,
    Bidi::NonspacingMark,
];
const ENDS: [Bidi; 4] = [Bidi::RightToLeft, Bidi::ArabicLetter, Bidi::EuropeanNumber, Bidi::ArabicNumber];
