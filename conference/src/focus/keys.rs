//! Keys that callers press — what they mean in a conference, and how a PIN is typed (S-39). Pure.
//!
//! | keys | meaning |
//! |---|---|
//! | `*6` | mute oneself, and be heard again |
//! | `*9` | raise one's hand, and lower it |
//! | `*2`, `*8` | be heard quieter, or louder, by 3 dB each time, at most 12 |
//! | `*5` | a moderator mutes everybody else; each may be heard again by `*6`, or when the chat gives them a voice |
//! | `*7` | a moderator has the conference recorded, and ends that |
//!
//! A PIN is right as soon as all of it is typed; `#` ends one that is wrong, `*` begins anew.

/// What was asked for by keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Mute oneself, or be heard again.
    Mute,
    /// Raise one's hand, or lower it.
    Hand,
    /// Be heard quieter.
    Quieter,
    /// Be heard louder.
    Louder,
    /// Mute everybody else.
    MuteOthers,
    /// Write down what is said, or end that.
    Record,
}

/// Keys of somebody in the conference.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keys {
    is_after_star: bool,
}

impl Keys {
    /// A key; the wish if it completes one.
    pub(super) fn press(&mut self, key: char) -> Option<Wish> {
        let was_after_star = std::mem::replace(&mut self.is_after_star, key == '*');
        match key {
            '6' if was_after_star => Some(Wish::Mute),
            '9' if was_after_star => Some(Wish::Hand),
            '2' if was_after_star => Some(Wish::Quieter),
            '8' if was_after_star => Some(Wish::Louder),
            '5' if was_after_star => Some(Wish::MuteOthers),
            '7' if was_after_star => Some(Wish::Record),
            _ => None,
        }
    }
}

/// Keys of somebody who types a PIN.
#[derive(Debug, Clone, Default)]
pub(super) struct Pin {
    typed: String,
    wrong: u8,
}

/// What a key made of a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// More is to come.
    Typing,
    /// It is right.
    Right,
    /// It is wrong, and may be typed again.
    Wrong,
    /// It was wrong too often.
    Over,
}

impl Pin {
    /// A key, where `pin` is right.
    pub(super) fn press(&mut self, key: char, pin: &str) -> Step {
        match key {
            '0'..='9' => self.typed.push(key),
            '*' => self.typed.clear(),
            _ => {}
        }
        if self.typed == pin {
            return Step::Right;
        }
        if key != '#' && self.typed.len() <= LONGEST {
            return Step::Typing;
        }
        if self.typed.is_empty() {
            return Step::Typing;
        }
        self.typed.clear();
        self.wrong += 1;
        if self.wrong == MOST_WRONG { Step::Over } else { Step::Wrong }
    }
}

/// Whether a password can be typed on a phone.
pub(super) fn is_pin(password: &str) -> bool {
    (1..=LONGEST).contains(&password.len()) && password.bytes().all(|byte| byte.is_ascii_digit())
}

/// The key that a body of INFO says: `application/dtmf-relay` has lines, `application/dtmf` the key alone.
pub(super) fn key_of_info(content_type: &str, body: &str) -> Option<char> {
    let kind = content_type.split(';').next()?.trim().to_ascii_lowercase();
    let text = match kind.as_str() {
        "application/dtmf-relay" => body.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then_some(value)
        })?,
        "application/dtmf" => body,
        _ => return None,
    };
    // Gateways number the keys as RFC 4733 §3.2 does.
    if let Some(named) = ["10", "11", "12", "13", "14", "15"].iter().position(|number| *number == text.trim())
    {
        return "*#ABCD".chars().nth(named);
    }
    let mut keys = text.trim().chars();
    let key = keys.next().filter(|_| keys.next().is_none())?.to_ascii_uppercase();
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(key)
}

const LONGEST: usize = 16;
const MOST_WRONG: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_two_keys_one_after_another() {
        let wishes = |keys: &str| {
            let mut state = Keys::default();
            keys.chars().filter_map(|key| state.press(key)).collect::<Vec<_>>()
        };
        assert_eq!(wishes("*6*9*5*7"), [Wish::Mute, Wish::Hand, Wish::MuteOthers, Wish::Record]);
        assert_eq!(wishes("*2*8"), [Wish::Quieter, Wish::Louder]);
        assert_eq!(wishes("6*16**6"), [Wish::Mute]);
    }

    #[test]
    fn a_pin_is_right_when_all_of_it_is_typed_and_over_after_three() {
        let steps = |keys: &str| {
            let mut pin = Pin::default();
            keys.chars()
                .map(|key| pin.press(key, "1234"))
                .filter(|step| *step != Step::Typing)
                .collect::<Vec<_>>()
        };
        assert_eq!(steps("1234"), [Step::Right]);
        assert_eq!(steps("99*1234"), [Step::Right]);
        assert_eq!(steps("99#1234"), [Step::Wrong, Step::Right]);
        assert_eq!(steps("#124#9#8#"), [Step::Wrong, Step::Wrong, Step::Over]);
        assert_eq!(steps(&"9".repeat(17)), [Step::Wrong], "endless typing ends");
        assert!(is_pin("0000") && !is_pin("") && !is_pin("secret") && !is_pin(&"1".repeat(17)));
    }

    #[test]
    fn info_brings_keys() {
        assert_eq!(key_of_info("application/dtmf-relay", "Signal= *\r\nDuration= 160\r\n"), Some('*'));
        assert_eq!(key_of_info("Application/DTMF-Relay; x=y", "duration=9\nsignal=5"), Some('5'));
        assert_eq!(key_of_info("application/dtmf", "d\r\n"), Some('D'));
        assert_eq!(key_of_info("application/dtmf-relay", "Signal=10\r\nDuration=100"), Some('*'));
        assert_eq!(key_of_info("application/dtmf-relay", "Signal=11"), Some('#'));
        assert_eq!(key_of_info("application/dtmf-relay", "Signal=16"), None);
        for (kind, body) in [("application/dtmf", "55"), ("application/dtmf", ""), ("text/plain", "5")] {
            assert_eq!(key_of_info(kind, body), None, "{kind} {body}");
        }
    }
}
