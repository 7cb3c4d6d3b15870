//! Local parts and resources of addresses — RFC 7622 §3.3 (UsernameCaseMapped), §3.4 (OpaqueString), by RFC 8265 §3.3, §4.2 and RFC 8264.
//!
//! In    text that may be a part of an address.
//! Out   the part in its compared form, of any length; `None` if no address may have it. What comes out comes out of itself: the
//!       rules are applied until nothing changes (RFC 8264 §7).
//! Not here: domains, and how many bytes a part may have. Passwords and names inside of SCRAM are SASLprep's (RFC 5802 §5.1).
//!
//! Rulings, where the text leaves room or people would be shut out:
//! - Characters are composed before they are judged (RFC 7622 §4: map where it is possible, then refuse). Some keyboards write letters
//!   that are no more than another spelling of a letter or two, such as U+1F71 in Greek or U+0958 in Hindi.
//! - What says how an emoji is painted or joins emoji (variation selectors, and joiners where RFC 5892 appendix A allows none) is mapped
//!   to nothing in resources, as stringprep does it; the FreeformClass would refuse most of what telephones write. In local parts it is refused.
//! - A resource does not begin with a space: by RFC 7622 §3.5, example 18, though the profile does not say so.

mod bidi;
mod class;

use std::borrow::Cow;

use icu_properties::props::{EnumeratedProperty, GeneralCategory};
use unicode_normalization::UnicodeNormalization;

use crate::class::Class;

/// RFC 7622 §3.3: UsernameCaseMapped, without what §3.3.1 excludes.
pub fn localpart(text: &str) -> Option<Cow<'_, str>> {
    let prepared = if text.bytes().all(|b| b.is_ascii_graphic()) {
        match text.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        }
    } else {
        Cow::Owned(stable(text, username)?)
    };
    (!prepared.is_empty() && !prepared.bytes().any(|b| EXCLUDED.contains(&b))).then_some(prepared)
}

/// RFC 7622 §3.4: OpaqueString.
pub fn resourcepart(text: &str) -> Option<Cow<'_, str>> {
    let prepared = match text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(stable(text, opaque)?),
    };
    (!prepared.is_empty() && !prepared.starts_with(' ')).then_some(prepared)
}

/// RFC 8264 §7: once, and three times more if it has to be.
fn stable(text: &str, apply: fn(&str) -> Option<String>) -> Option<String> {
    let mut before = apply(text)?;
    for _ in 0..3 {
        let after = apply(&before)?;
        if after == before {
            return Some(after);
        }
        before = after;
    }
    None
}

/// RFC 8265 §3.3.2 and §3.3.3.
fn username(text: &str) -> Option<String> {
    let narrow: Vec<char> = text.nfc().map(width_mapped).collect();
    if !class::allows(&narrow, Class::Identifier) {
        return None;
    }
    // Letter by letter: a final sigma is none because of where it stands (RFC 7622 §3.5, examples 9 to 11).
    let lower: String = narrow.into_iter().flat_map(char::to_lowercase).nfc().collect();
    bidi::is_satisfied(&lower).then_some(lower)
}

/// RFC 8265 §4.2.1 and §4.2.2.
fn opaque(text: &str) -> Option<String> {
    let spaced = |c| if GeneralCategory::for_char(c) == GeneralCategory::SpaceSeparator { ' ' } else { c };
    let seen: Vec<char> = text.nfc().map(spaced).filter(|c| !VARIATION_SELECTORS.contains(c)).collect();
    let joins = class::joiners(&seen);
    let kept = seen.iter().enumerate().filter(|(at, c)| !class::is_joiner(**c) || joins.contains(at));
    let kept: Vec<char> = kept.map(|(_, c)| *c).collect();
    class::allows(&kept, Class::Freeform).then(|| kept.into_iter().nfc().collect())
}

/// UAX 11: the letters and digits whose width says where they were typed. The others that have one are in no IdentifierClass, mapped or not.
fn width_mapped(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{ff61}'..='\u{ff9f}' => std::iter::once(c).nfkd().next().unwrap_or(c),
        c => c,
    }
}

/// RFC 7622 §3.3.1.
const EXCLUDED: &[u8] = b"\"&'/:<>@";
const VARIATION_SELECTORS: std::ops::RangeInclusive<char> = '\u{fe00}'..='\u{fe0f}';

#[cfg(test)]
mod tests;
