//! Headers — RFC 3261 §20, §25.1: their names, and the typed reading of the values that we act on.
//!
//! A typed reading borrows from the message and is done when somebody asks; what nobody asks about is never read.

mod auth;
mod elements;
mod name;
mod name_addr;
mod params;
mod via;

pub use auth::{AuthParams, quote};
pub use elements::Elements;
pub use name::Name;
pub use name_addr::NameAddr;
pub use params::Params;
pub use via::Via;

use std::str::FromStr;

use crate::message::is_token_text;

/// Reads a CSeq (§20.16): a number below 2³¹ and a method.
pub fn cseq(value: &str) -> Option<(u32, &str)> {
    let (number, method) = value.trim_ascii().split_once(|c: char| c.is_ascii_whitespace())?;
    let number: u32 = self::number(number)?;
    let method = method.trim_ascii();
    (number < 1 << 31 && is_token_text(method)).then_some((number, method))
}

/// Reads `1*DIGIT`: no sign, no space, nothing too large.
pub fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Reads a `qvalue` in thousandths: 0 to 1 with at most three places.
pub fn qvalue(text: &str) -> Option<u16> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let whole: u16 = number(whole).filter(|whole| *whole <= 1)?;
    let places: u16 = match places.len() {
        0 => 0,
        1..=3 => number(&format!("{places:0<3}"))?,
        _ => return None,
    };
    Some(whole * 1_000 + places).filter(|thousandths| *thousandths <= 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        assert_eq!((number::<u32>("0009"), cseq("0009\tINVITE")), (Some(9), Some((9, "INVITE"))));
        for wrong in ["", "+1", "-1", "1 ", "0x1", "4294967296", "1e3"] {
            assert_eq!(number::<u32>(wrong), None, "{wrong}");
        }
        for wrong in
            ["+1 INVITE", "2147483648 INVITE", "1", "1 IN VITE", "1 ", "INVITE", "36893488147419103232 A"]
        {
            assert_eq!(cseq(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_preference_is_between_0_and_1() {
        let all = ["0", "1", "0.5", "0.33", "1.000", "0.", "0.001"].map(qvalue);
        assert_eq!(all, [0, 1_000, 500, 330, 1_000, 0, 1].map(Some));
        for wrong in
            ["", "1.001", "2", "-0.5", "+0.5", "0.0001", ".5", "1e-1", "NaN", "inf", "0.5.5", "65535"]
        {
            assert_eq!(qvalue(wrong), None, "{wrong}");
        }
    }
}
