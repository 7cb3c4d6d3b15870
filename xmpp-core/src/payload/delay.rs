//! Delayed delivery — XEP-0203 2.0, section 2: who kept a stanza, and since when.
//!
//! In    milliseconds since 1970. Out `<delay stamp='…Z'/>` in the form of XEP-0082.

use crate::ns;
use crate::xml::Element;

/// The mark that `from` kept a stanza since `unix_millis`.
pub fn delay(from: &str, unix_millis: i64) -> Element {
    Element::new("delay", ns::DELAY).with("from", from).with("stamp", date_time(unix_millis))
}

/// A moment as `CCYY-MM-DDThh:mm:ss.sssZ` (XEP-0082 §3.2).
pub fn date_time(unix_millis: i64) -> String {
    let (days, millis) = (unix_millis.div_euclid(86_400_000), unix_millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let seconds = millis / 1000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        millis % 1000
    )
}

/// Reads a moment as XEP-0082 §3.2 has it: in UTC or with an offset from it, with or without a fraction.
pub fn parse_date_time(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let (time, minutes_ahead) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = time.split_at(time.rfind(['+', '-'])?);
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let is_sane = hours.len() == 2 && minutes.len() == 2;
            let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
            if !is_sane || hours > 14 || minutes > 59 {
                return None;
            }
            let ahead = i64::from(hours) * 60 + i64::from(minutes);
            (time, if offset.starts_with('-') { -ahead } else { ahead })
        }
    };
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<i64>().ok()?, time.next()?.parse::<i64>().ok()?);
    let second = time.next()?.parse::<f64>().ok()?;
    let is_sane = (0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_sane || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..61.0).contains(&second) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 61,000")]
    let milliseconds = (second * 1000.0).round() as i64;
    Some(((days(year, month, day) * 24 + hour) * 60 + minute - minutes_ahead) * 60_000 + milliseconds)
}

/// The date of a day counted from 1970 (H. Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_their_text() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date_time(1_709_208_000_123), "2024-02-29T12:00:00.123Z");
        assert_eq!(parse_date_time("2024-02-29T12:00:00.123Z"), Some(1_709_208_000_123));
        assert_eq!(parse_date_time("2024-02-29T12:00:00Z"), Some(1_709_208_000_000));
        assert_eq!(parse_date_time("2024-02-29T13:30:00+01:30"), Some(1_709_208_000_000));
        assert_eq!(parse_date_time("2024-02-29T00:00:00.123-12:00"), Some(1_709_208_000_123));
        for none in [
            "yesterday",
            "2024-02-29T12:00:00",
            "2024-02-29T12:00:00+1",
            "2024-02-29T12:00:00+99:00",
            "T+\u{e4}",
        ] {
            assert_eq!(parse_date_time(none), None, "{none}");
        }
    }
}
