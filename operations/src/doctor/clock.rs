//! Whether the clock goes: certificates, nonces and tokens live by it.

use shared_runtime::unix_millis;

use super::{Findings, Ward};

pub(super) fn check(ward: &Ward, found: &mut Findings) {
    let now = unix_millis();
    if now < BEGINNING {
        let remedy = "set the clock, and keep it right (NTP)";
        return found.error("the clock is years behind: certificates do not hold yet", remedy);
    }
    if let Some(running) = ward.running.as_ref().filter(|running| running.since > now + LEEWAY) {
        let seconds = (running.since - now) / 1_000;
        return found.error(
            format!("the clock was set back: the server started {seconds} s from now"),
            "keep the clock right (NTP), and restart the server",
        );
    }
    found.ok("the clock goes forwards");
}

/// The beginning of 2025, milliseconds since 1970.
const BEGINNING: i64 = 1_735_689_600_000;
/// Milliseconds that say nothing.
const LEEWAY: i64 = 2_000;
