//! Keys pressed on a phone, as RTP brings them — RFC 4733 §2.3 (payload), §2.5 (what is sent again).
//!
//! ```text
//!  0                   1                   2                   3
//! |     event     |E|R| volume    |          duration             |
//! ```
//! In    payloads with their timestamps. Out each key once, at its first packet. State the last event's timestamp.
//! Not here: how long a key is held, tones that are no keys, keys as sound inside the codec.

/// What was pressed last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Events {
    last: Option<u32>,
}

impl Events {
    /// Hears a packet; the key if it is a new one. All packets of one event have its beginning as their timestamp.
    pub fn hear(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let key = KEYS.get(usize::from(*payload.first().filter(|_| payload.len() >= 4)?))?;
        let is_new = self.last.is_none_or(|last| timestamp.wrapping_sub(last).cast_signed() > 0);
        if !is_new {
            return None;
        }
        self.last = Some(timestamp);
        Some(char::from(*key))
    }

    /// Another sender, whose timestamps are others.
    pub fn restart(&mut self) {
        self.last = None;
    }
}

/// Events 0 to 15 (§3.2, table 3).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_heard_once_whatever_is_lost_or_doubled() {
        let mut events = Events::default();
        let mut pressed = String::new();
        for (timestamp, event) in
            [(100, 10), (100, 10), (100, 10), (2_000, 6), (100, 10), (2_000, 6), (4_000, 6)]
        {
            pressed.extend(events.hear(timestamp, &[event, 0x8a, 0, 160]));
        }
        assert_eq!(pressed, "*66");
        assert_eq!(events.hear(9_000, &[10, 0, 0]), None, "too short");
        assert_eq!(events.hear(9_000, &[16, 0, 0, 1]), None, "a flash is no key");
        events.restart();
        assert_eq!(events.hear(5, &[15, 0, 0, 1]), Some('D'));
    }
}
