//! The two string classes — RFC 8264 §8 (algorithm), §9 (categories), with the exceptions and contextual rules of RFC 5892 §2.6, appendix A.

use std::collections::BTreeSet;

use icu_properties::props::{
    BinaryProperty, DefaultIgnorableCodePoint, EnumeratedProperty, GeneralCategory as Category,
    HangulSyllableType as Hangul, JoiningType as Joining, NoncharacterCodePoint, Script,
};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// RFC 8264 §4.2.
    Identifier,
    /// RFC 8264 §4.3.
    Freeform,
}

/// What §8 derives for a character.
enum Derived {
    Valid,
    /// ID_DIS or FREE_PVAL.
    FreeformOnly,
    ByContext,
    /// Or unassigned, which is as bad.
    Disallowed,
}

/// Whether each character is valid in the class, where it stands.
pub(crate) fn allows(text: &[char], class: Class) -> bool {
    let around = Around::of(text);
    text.iter().enumerate().all(|(at, c)| match derived(*c) {
        Derived::Valid => true,
        Derived::FreeformOnly => class == Class::Freeform,
        Derived::ByContext => is_in_context(text, at, around),
        Derived::Disallowed => false,
    })
}

/// U+200C and U+200D.
pub(crate) fn is_joiner(c: char) -> bool {
    matches!(c, NON_JOINER | JOINER)
}

/// Where joiners stand that their contexts allow.
pub(crate) fn joiners(text: &[char]) -> BTreeSet<usize> {
    let around = Around::default();
    (0..text.len()).filter(|at| is_joiner(text[*at]) && is_in_context(text, *at, around)).collect()
}

/// In the order of §8, which may not be changed.
fn derived(c: char) -> Derived {
    match c {
        // RFC 5892 §2.6.
        'ß' | 'ς' | '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' => return Derived::Valid,
        MIDDLE_DOT | '\u{375}' | '\u{5f3}' | '\u{5f4}' | KATAKANA_MIDDLE_DOT => return Derived::ByContext,
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => return Derived::ByContext,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => {
            return Derived::Disallowed;
        }
        _ => {}
    }
    let category = Category::for_char(c);
    if category == Category::Unassigned {
        return Derived::Disallowed;
    }
    if c.is_ascii_graphic() {
        return Derived::Valid;
    }
    if is_joiner(c) {
        return Derived::ByContext;
    }
    let is_old_jamo =
        matches!(Hangul::for_char(c), Hangul::LeadingJamo | Hangul::VowelJamo | Hangul::TrailingJamo);
    let is_ignorable = DefaultIgnorableCodePoint::for_char(c) || NoncharacterCodePoint::for_char(c);
    if is_old_jamo || is_ignorable || category == Category::Control {
        return Derived::Disallowed;
    }
    if !std::iter::once(c).nfkc().eq(std::iter::once(c)) {
        return Derived::FreeformOnly;
    }
    match category {
        Category::LowercaseLetter
        | Category::UppercaseLetter
        | Category::OtherLetter
        | Category::DecimalNumber
        | Category::ModifierLetter
        | Category::NonspacingMark
        | Category::SpacingMark => Derived::Valid,
        // Format, private use, surrogates, and separators of lines and paragraphs.
        Category::Format
        | Category::PrivateUse
        | Category::Surrogate
        | Category::LineSeparator
        | Category::ParagraphSeparator => Derived::Disallowed,
        // OtherLetterDigits, Spaces, Symbols, Punctuation.
        _ => Derived::FreeformOnly,
    }
}

/// What some contextual rules want to know of the whole string.
#[derive(Clone, Copy, Default)]
struct Around {
    is_japanese: bool,
    has_arabic_digits: bool,
    has_extended_digits: bool,
}

impl Around {
    fn of(text: &[char]) -> Self {
        let is_japanese =
            |c: &char| matches!(Script::for_char(*c), Script::Hiragana | Script::Katakana | Script::Han);
        Self {
            is_japanese: text.contains(&KATAKANA_MIDDLE_DOT) && text.iter().any(is_japanese),
            has_arabic_digits: text.iter().any(|c| ('\u{660}'..='\u{669}').contains(c)),
            has_extended_digits: text.iter().any(|c| ('\u{6f0}'..='\u{6f9}').contains(c)),
        }
    }
}

/// RFC 5892 appendix A.
fn is_in_context(text: &[char], at: usize, around: Around) -> bool {
    let before = at.checked_sub(1).map(|at| text[at]);
    let follows = |script| before.is_some_and(|c| Script::for_char(c) == script);
    let follows_virama = || before.is_some_and(|c| canonical_combining_class(c) == VIRAMA);
    match text[at] {
        NON_JOINER => follows_virama() || separates_cursive(text, at), // A.1
        JOINER => follows_virama(),                                    // A.2
        MIDDLE_DOT => before == Some('l') && text.get(at + 1) == Some(&'l'), // A.3
        '\u{375}' => text.get(at + 1).is_some_and(|c| Script::for_char(*c) == Script::Greek), // A.4
        '\u{5f3}' | '\u{5f4}' => follows(Script::Hebrew),              // A.5, A.6
        KATAKANA_MIDDLE_DOT => around.is_japanese,                     // A.7
        '\u{660}'..='\u{669}' => !around.has_extended_digits,          // A.8
        '\u{6f0}'..='\u{6f9}' => !around.has_arabic_digits,            // A.9
        _ => false,
    }
}

/// A.1: between letters that would join.
fn separates_cursive(text: &[char], at: usize) -> bool {
    let is_joined = |c: &char| Joining::for_char(*c) != Joining::Transparent;
    let before = text[..at].iter().rfind(|c| is_joined(c)).map(|c| Joining::for_char(*c));
    let after = text[at + 1..].iter().find(|c| is_joined(c)).map(|c| Joining::for_char(*c));
    matches!(before, Some(Joining::LeftJoining | Joining::DualJoining))
        && matches!(after, Some(Joining::RightJoining | Joining::DualJoining))
}

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const MIDDLE_DOT: char = '\u{b7}';
const KATAKANA_MIDDLE_DOT: char = '\u{30fb}';
/// The combining class of signs that take a consonant's vowel.
const VIRAMA: u8 = 9;
