//! Instants and calendar dates. No clock is read here: time is always an input.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds (as Cedar's
/// `datetime`). Written as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

/// Text that is neither a date nor a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct TimeError {
    expected: &'static str,
}

const EXPECTED_INSTANT: TimeError =
    TimeError { expected: "a moment such as `2026-11-21T18:00:00Z` or `2026-11-21T10:00:00-08:00`" };
const EXPECTED_DATE: TimeError = TimeError { expected: "a date such as `2012-02-29`" };

/// Years whose instants and dates can be written as text.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9999;
const MIN_MS: i64 = -62_167_219_200_000; // 0000-01-01T00:00:00Z
const MAX_MS: i64 = 253_402_300_799_999; // 9999-12-31T23:59:59.999Z

impl Instant {
    /// The instant that many milliseconds after (or before) the epoch.
    ///
    /// # Errors
    /// Outside the years 0000 to 9999.
    pub const fn from_millis(millis: i64) -> Result<Self, TimeError> {
        if millis < MIN_MS || millis > MAX_MS { Err(EXPECTED_INSTANT) } else { Ok(Self(millis)) }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The calendar date at this instant in an IANA time zone such as `America/Los_Angeles`;
    /// `None` where the zone is unknown. The zone data is compiled in, so that the answer does
    /// not depend on the machine.
    pub fn date_in(self, time_zone: &str) -> Option<Date> {
        let zone = jiff::tz::TimeZone::get(time_zone).ok().filter(|zone| !zone.is_unknown())?;
        let timestamp = jiff::Timestamp::from_millisecond(self.0).ok()?;
        Date::from_civil(timestamp.to_zoned(zone).date()).ok()
    }

    /// The calendar year at this instant in UTC: 0 to 9999.
    pub fn year(self) -> i32 {
        let days = self.0.div_euclid(86_400_000);
        // Days since 0000-03-01, in eras of 400 years that all have 146,097 days.
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        // The year begins in March here: January and February belong to the next.
        let january = i64::from(day_of_year >= 306);
        i32::try_from(era * 400 + year + january).unwrap_or_default()
    }
}

/// Whether this is the name of an IANA time zone, letter for letter: `america/los_angeles` is not.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok_and(|zone| zone.iana_name() == Some(name))
}

/// The names of all time zones, to suggest one from.
pub fn time_zones() -> impl Iterator<Item = String> {
    jiff::tz::db().available().map(|name| name.to_string())
}

const EPOCH: jiff::civil::DateTime = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// jiff's timestamps end some hours before the year 9999 does, but `9999-12-31T23:59:59Z` is how
/// many systems write "for ever".
fn last_day_from_str(text: &str) -> Option<Instant> {
    let moment: jiff::civil::DateTime = text.strip_suffix('Z')?.parse().ok()?;
    let millis = moment.duration_since(EPOCH).as_millis();
    Instant::from_millis(i64::try_from(millis).ok()?).ok()
}

impl FromStr for Instant {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Self::from_millis(timestamp.as_millisecond()),
            Err(_) => last_day_from_str(text).ok_or(EXPECTED_INSTANT),
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => {
                let since = jiff::SignedDuration::from_millis(self.0);
                match EPOCH.checked_add(since) {
                    Ok(moment) => write!(f, "{moment}Z"),
                    Err(_) => write!(f, "{} ms", self.0),
                }
            }
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A calendar date, years 0000 to 9999. Written as `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i16,
    month: u8,
    day: u8,
}

impl Date {
    /// The date with this year (0 to 9999), month (1 to 12) and day (1 to the month's length).
    ///
    /// # Errors
    /// When there is no such day.
    pub fn new(year: i32, month: u8, day: u8) -> Result<Self, TimeError> {
        let date = i16::try_from(year)
            .ok()
            .zip(i8::try_from(month).ok())
            .zip(i8::try_from(day).ok())
            .and_then(|((year, month), day)| jiff::civil::Date::new(year, month, day).ok())
            .ok_or(EXPECTED_DATE)?;
        Self::from_civil(date)
    }

    fn from_civil(date: jiff::civil::Date) -> Result<Self, TimeError> {
        if !YEARS.contains(&i32::from(date.year())) {
            return Err(EXPECTED_DATE);
        }
        Ok(Self { year: date.year(), month: date.month().unsigned_abs(), day: date.day().unsigned_abs() })
    }

    /// 0 to 9999.
    pub fn year(self) -> i32 {
        i32::from(self.year)
    }

    /// 1 to 12.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// 1 to 31.
    pub const fn day(self) -> u8 {
        self.day
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        // jiff also reads `20120229` and date-times; a date in a record is written one way.
        if text.len() != 10 {
            return Err(EXPECTED_DATE);
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| EXPECTED_DATE)?;
        Self::from_civil(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_changes_at_local_midnight_to_the_second() {
        let before: Instant = "2026-03-08T07:59:59Z".parse().unwrap();
        let after: Instant = "2026-03-08T08:00:00Z".parse().unwrap();
        assert_eq!(before.date_in("America/Los_Angeles").unwrap().to_string(), "2026-03-07");
        assert_eq!(after.date_in("America/Los_Angeles").unwrap().to_string(), "2026-03-08");
        assert_eq!(after.date_in("Nowhere/Else"), None);
    }

    #[test]
    fn years_begin_and_end_as_the_calendar_says() {
        for year in 0..=9998 {
            let first: Instant = format!("{year:04}-01-01T00:00:00Z").parse().unwrap();
            let next: Instant = format!("{:04}-01-01T00:00:00Z", year + 1).parse().unwrap();
            assert_eq!(first.year(), year);
            let last = Instant::from_millis(next.as_millis() - 1).unwrap();
            assert_eq!((last.year(), next.year()), (year, year + 1));
        }
        assert_eq!(Instant::from_millis(MAX_MS).unwrap().year(), 9999);
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in ["2025-02-29", "2026-13-01", "20120229", "2012-2-9", "2012-02-29T00:00", ""] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert_eq!("2012-02-29".parse::<Date>().unwrap(), Date::new(2012, 2, 29).unwrap());
    }

    #[test]
    fn instants_round_trip_as_rfc_3339() {
        for text in [
            "2026-11-21T18:00:00Z",
            "1969-12-31T23:59:59.5Z",
            "9999-12-31T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
        }
        assert!("2026-11-21".parse::<Instant>().is_err());
    }
}
