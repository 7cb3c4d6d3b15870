//! Who was silent, and why — what the counts of a leg's sound say, in a sentence.
//!
//! In    [`Sound`], as the focus counted it. Out a sentence of the numbers and one of the verdict. State none. Errors none.

use std::time::Duration;

use shared_model::Sound;

/// The numbers, and what they mean.
pub(super) fn sentence(sound: &Sound) -> String {
    let codec = sound.codec;
    let protection = if sound.is_encrypted { "encrypted" } else { "in the clear" };
    let loss = 100.0 * share(sound.lost, sound.received);
    let mut text = format!(
        "{codec}, {protection}; {} packets in ({loss:.1} % lost), {} out ({:.1} % lost there); jitter {:.0} ms; ",
        sound.received,
        sound.sent,
        100.0 * there(sound),
        sound.jitter.as_secs_f64() * 1_000.0,
    );
    if let Some(heard) = &sound.there {
        text.push_str(&format!("{:.1} % too late there", 100.0 * f64::from(heard.discarded) / 256.0));
        if !heard.burst.is_zero() {
            text.push_str(&format!(", in bursts of {} ms", heard.burst.as_millis()));
        }
        text.extend(heard.mos.map(|mos| format!(", where MOS is {mos:.1}")));
        text.push_str("; ");
    }
    if let Some(round_trip) = sound.round_trip {
        text.push_str(&format!("{:.0} ms there and back; ", round_trip.as_secs_f64() * 1_000.0));
    }
    if fell_silent(sound) {
        text.push_str(&format!("nothing in for the last {} s; ", sound.silent_for.as_secs()));
    }
    text.push_str(&format!("MOS {:.1}. {}", sound.mos, verdict(sound)));
    text
}

/// One sentence: who was silent and why, or how it was.
pub(super) fn verdict(sound: &Sound) -> &'static str {
    let loss = share(sound.lost, sound.received);
    if sound.was_to_send && sound.received == 0 && sound.disbelieved > 0 {
        "It was silent: what came was from another address than signalled, or its protection was wrong (NAT, or keys that do not match)."
    } else if sound.was_to_send && sound.received == 0 {
        "It was silent: not one packet of it came (a firewall or NAT before it, or it sends nothing)."
    } else if sound.was_to_receive && sound.sent == 0 {
        "It heard nothing: nothing was sent to it."
    } else if sound.was_to_receive && sound.has_reported && there(sound) > 0.5 {
        "It heard hardly anything: it says that most of what was sent is lost on the way (a firewall or NAT before it)."
    } else if fell_silent(sound) {
        "It was heard and fell silent before its end (its network or device was gone, or it sends nothing while muted)."
    } else if !sound.was_to_send && sound.received == 0 {
        "It was silent by its own will: on hold, or it only listens."
    } else if loss > 0.05 {
        "It was heard badly: much of its sound was lost on the way to us."
    } else if there(sound) > 0.05 {
        "It heard badly: much of what was sent to it was lost on the way."
    } else if sound.was_to_receive && !sound.has_reported {
        "It was heard; what it heard is not known, since it never reported (RTCP)."
    } else {
        "Both ways were heard."
    }
}

/// It spoke, and nothing came any more for a while before the end.
fn fell_silent(sound: &Sound) -> bool {
    sound.was_to_send && sound.received > 0 && sound.silent_for >= SILENT
}

/// The part that was lost.
fn share(lost: u64, received: u64) -> f64 {
    lost as f64 / (lost + received).max(1) as f64
}

/// The part that the leg did not hear, by its last report or by those of all the time.
fn there(sound: &Sound) -> f64 {
    let extended = sound.there.map_or(0.0, |heard| f64::from(heard.lost) + f64::from(heard.discarded));
    f64::from(sound.lost_there).max(extended) / 256.0
}

/// What sends nothing in pauses, as Opus may (RFC 6716 §2.1.9), still sends a packet each 400 ms.
const SILENT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use shared_model::HeardThere;

    use super::*;

    fn good() -> Sound {
        Sound {
            codec: "opus",
            is_encrypted: true,
            was_to_send: true,
            was_to_receive: true,
            received: 980,
            silent_for: Duration::from_millis(20),
            lost: 20,
            sent: 1_000,
            disbelieved: 0,
            lost_there: 0,
            has_reported: true,
            there: None,
            jitter: Duration::from_millis(7),
            round_trip: Some(Duration::from_millis(40)),
            mos: 4.25,
        }
    }

    #[test]
    fn says_the_numbers() {
        assert_eq!(
            sentence(&good()),
            "opus, encrypted; 980 packets in (2.0 % lost), 1000 out (0.0 % lost there); jitter 7 ms; 40 ms there and back; MOS 4.2. Both ways were heard."
        );
    }

    #[test]
    fn says_what_the_leg_told_of_its_hearing() {
        let burst = Duration::from_millis(120);
        let heard = HeardThere { lost: 2, discarded: 26, burst, mos: Some(3.1) };
        let told = sentence(&Sound { there: Some(heard), ..good() });
        let numbers = "(10.9 % lost there); jitter 7 ms; 10.2 % too late there, in bursts of 120 ms, where MOS is 3.1; 40 ms";
        assert!(told.contains(numbers) && told.contains("It heard badly"), "{told}");
        let whole = HeardThere { lost: 0, discarded: 0, burst: Duration::ZERO, mos: None };
        assert!(sentence(&Sound { there: Some(whole), ..good() }).contains("; 0.0 % too late there; 40 ms"));
    }

    #[test]
    fn says_how_long_nothing_came() {
        let ended = Sound { silent_for: Duration::from_secs(30), ..good() };
        assert!(
            sentence(&ended)
                .contains("; nothing in for the last 30 s; MOS 4.2. It was heard and fell silent")
        );
    }

    #[test]
    fn says_who_was_silent_and_why() {
        let silent = Sound { received: 0, lost: 0, ..good() };
        for (sound, begins) in [
            (good(), "Both ways"),
            (Sound { silent_for: SILENT, ..good() }, "It was heard and fell silent"),
            (Sound { silent_for: SILENT, was_to_send: false, ..good() }, "Both ways"),
            (silent.clone(), "It was silent: not one packet"),
            (Sound { disbelieved: 9, ..silent.clone() }, "It was silent: what came was from another"),
            (Sound { was_to_send: false, ..silent }, "It was silent by its own will"),
            (Sound { sent: 0, ..good() }, "It heard nothing"),
            (Sound { lost_there: 200, ..good() }, "It heard hardly anything"),
            (Sound { lost: 500, ..good() }, "It was heard badly"),
            (Sound { lost_there: 25, ..good() }, "It heard badly"),
            (Sound { has_reported: false, ..good() }, "It was heard; what it heard is not known"),
        ] {
            assert!(verdict(&sound).starts_with(begins), "{begins}: {}", verdict(&sound));
        }
    }
}
