//! What happens often and is said seldom.
//!
//! State when it may be said again, and how often it was not said meanwhile.

use std::time::{Duration, Instant};

/// Says something at once, and then once a minute.
#[derive(Debug, Default)]
pub struct Seldom {
    again: Option<Instant>,
    others: u64,
}

impl Seldom {
    /// It happened at this moment: how often it did since it was last said, if it is to be said now.
    pub fn say(&mut self, now: Instant) -> Option<u64> {
        self.others += 1;
        if self.again.is_some_and(|again| now < again) {
            return None;
        }
        self.again = Some(now + BETWEEN);
        Some(std::mem::take(&mut self.others))
    }
}

const BETWEEN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_others_by_the_minute() {
        let (mut seldom, now) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.say(now), Some(1));
        assert_eq!(seldom.say(now + BETWEEN / 2), None);
        assert_eq!(seldom.say(now + BETWEEN), Some(2));
    }
}
