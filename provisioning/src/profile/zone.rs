//! A time zone as POSIX writes it (IEEE 1003.1 §8.3, `TZ`), for desk phones, each of which writes it otherwise.
//!
//! ```text
//! CET-1CEST,M3.5.0,M10.5.0/3     one hour east; summer time from the last Sunday of March, 02:00, to the last of October, 03:00
//! <+0530>-5:30                   five hours and a half east, all year
//! ```
//!
//! It is the last line of a file of the system's zones, such as `/usr/share/zoneinfo/Europe/Paris`.
//! Not here: rules by the day of the year, and hours beyond the day, which phones do not know.

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    /// As it was written.
    pub(crate) text: String,
    /// Seconds east of UTC, without summer time.
    pub(crate) offset: i32,
    pub(crate) summer: Option<Summer>,
}

/// Summer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summer {
    /// Seconds by which clocks go on.
    pub(crate) saved: i32,
    pub(crate) begins: Change,
    pub(crate) ends: Change,
}

/// A day of the year on which clocks change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// 1 to 12.
    pub(crate) month: u8,
    /// Of the month, 1 to 5; 5 is the last.
    pub(crate) week: u8,
    /// 0 is Sunday.
    pub(crate) day: u8,
    /// By the clock before it changes.
    pub(crate) hour: u8,
}

impl Zone {
    /// Reads it; `None` where it is not one, or one that phones do not know.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = name(text)?;
        let (west, rest) = offset(rest)?;
        if rest.is_empty() {
            return Self::of(text, -west, None);
        }
        let rest = name(rest)?;
        let (summer, rest) = if rest.starts_with(',') { (west - HOUR, rest) } else { offset(rest)? };
        let (begins, ends) = rest.strip_prefix(',')?.split_once(',')?;
        let saved = west - summer;
        let summer = Summer { saved, begins: Change::parse(begins)?, ends: Change::parse(ends)? };
        (saved > 0).then_some(())?;
        Self::of(text, -west, Some(summer))
    }

    fn of(text: &str, offset: i32, summer: Option<Summer>) -> Option<Self> {
        (text.len() <= LONGEST).then(|| Self { text: text.to_owned(), offset, summer })
    }
}

impl Change {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut parts = day.strip_prefix('M')?.split('.').map(str::parse::<u8>);
        let mut next =
            |range: std::ops::RangeInclusive<u8>| parts.next()?.ok().filter(|it| range.contains(it));
        let (month, week, day) = (next(1..=12)?, next(1..=5)?, next(0..=6)?);
        let hour = time.strip_suffix(":00:00").or(time.strip_suffix(":00")).unwrap_or(time).parse().ok()?;
        (parts.next().is_none() && hour <= 23).then_some(Self { month, week, day, hour })
    }

    /// The day of the week where Monday is 1 and Sunday 7.
    pub(crate) fn iso_day(self) -> u8 {
        if self.day == 0 { 7 } else { self.day }
    }
}

/// What is behind a name: three letters or more, or anything in angle brackets.
fn name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        let (name, rest) = quoted.split_once('>')?;
        let is_name = name.len() >= 3 && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-".contains(c));
        return is_name.then_some(rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (text.len() - rest.len() >= 3).then_some(rest)
}

/// Seconds west of UTC, and what is behind them.
fn offset(text: &str) -> Option<(i32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-:".contains(c)).unwrap_or(text.len());
    let (written, rest) = text.split_at(end);
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, written.strip_prefix('+').unwrap_or(written)),
    };
    let mut parts = digits.split(':').map(str::parse::<u8>);
    let hours = parts.next()?.ok().filter(|hours| *hours <= 14)?;
    let minutes = parts.next().unwrap_or(Ok(0)).ok().filter(|minutes| *minutes < 60)?;
    let seconds = i32::from(hours) * HOUR + i32::from(minutes) * 60;
    parts.next().is_none().then_some((sign * seconds, rest))
}

const HOUR: i32 = 3600;
/// The longest that Grandstream's phones take.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_as_the_systems_files_end() {
        let paris = Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let begins = Change { month: 3, week: 5, day: 0, hour: 2 };
        let ends = Change { month: 10, week: 5, day: 0, hour: 3 };
        assert_eq!((paris.offset, paris.summer), (3600, Some(Summer { saved: 3600, begins, ends })));
        assert_eq!(begins.iso_day(), 7);
        let york = Zone::parse("EST5EDT,M3.2.0,M11.1.0").unwrap();
        assert_eq!((york.offset, york.summer.unwrap().begins.week), (-18_000, 2));
        let kolkata = Zone::parse("<+0530>-5:30").unwrap();
        assert_eq!((kolkata.offset, kolkata.summer), (19_800, None));
        let howe = Zone::parse("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap();
        assert_eq!((howe.offset, howe.summer.unwrap().saved), (37_800, 1800));
        assert_eq!(Zone::parse("UTC0").map(|zone| zone.offset), Some(0));
    }

    #[test]
    fn what_is_no_zone_or_one_that_no_phone_knows_is_none() {
        for text in [
            "",
            "CE-1",
            "CET",
            "CET-1CEST",
            "Europe/Paris",
            "CET-25",
            "CET-1:60",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,J60,J300",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.5.0/-1,M10.5.0",
            "CET-1CEST,M3.5.0/2:30,M10.5.0",
            "IST-1GMT0,M10.5.0,M3.5.0/1",
            "CET-1\n",
            "<C\n>-1",
        ] {
            assert_eq!(Zone::parse(text), None, "{text:?}");
        }
        assert_eq!(Zone::parse(&format!("<{}>-1", "X".repeat(64))), None);
    }
}
