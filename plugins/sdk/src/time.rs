//! Dates, ages, moments and lengths of time. No clock is read here: time is always an input.
//!
//! INVARIANT (one answer per date): calendar arithmetic is in whole days of the proleptic Gregorian
//! calendar; an age changes at the start of a day, and whose day it is has been decided by the host
//! (`request.today` is the date in the patient's time zone).

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

pub use crate::bindings::exports::assent::plugin::rules::Date;

/// On which day a person born on 29 February is a year older in a year that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeapDay {
    /// On 1 March: the day after 28 February, when as many days of the year have passed as on the
    /// day of birth. This is what calendar libraries and record systems compute, and the reading
    /// under which nothing that protects a minor ends a day early.
    #[default]
    FirstOfMarch,
    /// On 28 February, where a statute or an organization says so.
    LastOfFebruary,
}

/// Text that is not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeError(&'static str);

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for TimeError {}

const EXPECTED_DATE: TimeError = TimeError("a date such as `2012-02-29`");
const EXPECTED_INSTANT: TimeError = TimeError("a moment such as `2026-11-21T18:00:00Z`");
const EXPECTED_DURATION: TimeError = TimeError("a length of time such as `P7D` or `PT4H`");

const DAY_MS: i64 = 86_400_000;

impl Date {
    /// The date with this year (0 to 9999), month and day, if there is such a day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let exists =
            year <= 9999 && (1..=12).contains(&month) && (1..=month_length(year, month)).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// Completed years of a person born on this day, on the day `on`; a person born on 29 February
    /// completes a year on 1 March where there is no 29 February. `None` before birth.
    pub fn age_on(self, on: Self) -> Option<u32> {
        self.age_on_with(on, LeapDay::default())
    }

    /// The same with the reading of 29 February chosen.
    pub fn age_on_with(self, on: Self, leap_day: LeapDay) -> Option<u32> {
        if on < self {
            return None;
        }
        let years = u32::from(on.year - self.year);
        let reached = self.birthday(years, leap_day).is_some_and(|birthday| birthday <= on);
        Some(if reached { years } else { years.saturating_sub(1) })
    }

    /// The day on which a person born on this day completes that many years: the first day of that
    /// age. `None` after the year 9999.
    pub fn birthday(self, years: u32, leap_day: LeapDay) -> Option<Self> {
        let year = u16::try_from(u32::from(self.year).checked_add(years)?).ok()?;
        Self::new(year, self.month, self.day).or_else(|| match leap_day {
            LeapDay::FirstOfMarch => Self::new(year, 3, 1),
            LeapDay::LastOfFebruary => Self::new(year, 2, 28),
        })
    }

    /// The date that many days later (or earlier). `None` outside the years 0 to 9999.
    pub fn add_days(self, days: i64) -> Option<Self> {
        Self::from_day_number(self.day_number().checked_add(days)?)
    }

    /// Days from this date to the other; negative where the other is earlier.
    pub fn days_until(self, other: Self) -> i64 {
        other.day_number() - self.day_number()
    }

    /// Days since 1970-01-01.
    fn day_number(self) -> i64 {
        // Years begin in March, so that the leap day is the last day of its year; 400 years have
        // 146,097 days.
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let year = if month <= 2 { year - 1 } else { year };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
    }

    fn from_day_number(number: i64) -> Option<Self> {
        // The year by estimate, then exact: the estimate is never more than one year off.
        let estimate = number.checked_add(719_528)?.checked_mul(400)?.div_euclid(146_097);
        let first_of = |year: i64| {
            u16::try_from(year)
                .ok()
                .and_then(|year| Self::new(year, 1, 1))
                .map(|date| (date.year, date.day_number()))
        };
        let (year, start) = [estimate + 1, estimate, estimate - 1]
            .into_iter()
            .filter_map(first_of)
            .find(|&(_, start)| start <= number)?;
        let mut day = number - start + 1;
        for month in 1..=12 {
            let length = i64::from(month_length(year, month));
            if day <= length {
                return Self::new(year, month, u8::try_from(day).ok()?);
            }
            day -= length;
        }
        None
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn month_length(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else {
            return Err(EXPECTED_DATE);
        };
        let digits = |digits: &[u8]| number(digits).ok_or(EXPECTED_DATE);
        let year = digits(&[y1, y2, y3, y4])?;
        let (month, day) = (digits(&[m1, m2])?, digits(&[d1, d2])?);
        let (Ok(month), Ok(day)) = (u8::try_from(month), u8::try_from(day)) else {
            return Err(EXPECTED_DATE);
        };
        Self::new(year, month, day).ok_or(EXPECTED_DATE)
    }
}

/// At most four digits as a number.
fn number(digits: &[u8]) -> Option<u16> {
    digits
        .iter()
        .try_fold(0u16, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u16::from(digit - b'0')))
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Ages from one birthday up to the day before another, such as 12 to 17.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeBand {
    /// The first age in the band.
    pub from: u32,
    /// The first age above it; none: no upper end.
    pub below: Option<u32>,
}

impl AgeBand {
    /// Whether the age, in completed years, is in the band.
    pub fn contains(self, age: u32) -> bool {
        self.from <= age && self.below.is_none_or(|below| age < below)
    }
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

impl Instant {
    /// The calendar date in UTC; for a patient's own date use `request.today`.
    pub fn date_utc(self) -> Option<Date> {
        Date::from_day_number(self.0.div_euclid(DAY_MS))
    }

    /// How much later this is than the other; negative where it is earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.0))
    }
}

/// RFC 3339, with up to three decimals of a second: `2026-11-21T18:00:00Z`.
impl FromStr for Instant {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_instant(text).ok_or(EXPECTED_INSTANT)
    }
}

fn parse_instant(text: &str) -> Option<Instant> {
    let (date, rest) = text.split_at_checked(10)?;
    let date: Date = date.parse().ok()?;
    let (clock, mut rest) = rest.split_at_checked(9)?;
    let [b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *clock.as_bytes() else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, after) = fraction.split_at_checked(digits)?;
        millis = match fraction.len() {
            1 => number(fraction.as_bytes())? * 100,
            2 => number(fraction.as_bytes())? * 10,
            3 => number(fraction.as_bytes())?,
            _ => return None,
        };
        rest = after;
    }
    let offset = match *rest.as_bytes() {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = i64::from(hours) * 60 + i64::from(minutes);
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = i64::from(hour) * 60 + i64::from(minute) - offset;
    let seconds = minutes * 60 + i64::from(second);
    Some(Instant(date.day_number() * DAY_MS + seconds * 1000 + i64::from(millis)))
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(date) = self.date_utc() else { return write!(f, "{} ms", self.0) };
        let millis = self.0.rem_euclid(DAY_MS);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        write!(f, "{date}T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if millis != 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

/// A length of time in milliseconds; in settings as ISO 8601, such as `P7D` or `PT4H30M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

impl Duration {
    /// That many days of 24 hours.
    pub const fn days(days: i64) -> Self {
        Self(days.saturating_mul(DAY_MS))
    }

    /// That many hours.
    pub const fn hours(hours: i64) -> Self {
        Self(hours.saturating_mul(3_600_000))
    }

    /// That many minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes.saturating_mul(60_000))
    }

    /// That many seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

/// ISO 8601 in days, hours, minutes and seconds: years and months have no fixed length.
impl FromStr for Duration {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_duration(text).ok_or(EXPECTED_DURATION)
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('P')?;
    let (days, clock) = match text.split_once('T') {
        Some((days, clock)) => (days, Some(clock)),
        None => (text, None),
    };
    let mut total = 0i64;
    let mut parts = 0;
    let mut part = |rest: &mut &str, unit: char, millis: i64| -> Option<()> {
        if let Some((count, after)) = rest.split_once(unit) {
            let plain = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
            let count: i64 = plain.then(|| count.parse().ok())??;
            total = total.checked_add(count.checked_mul(millis)?)?;
            parts += 1;
            *rest = after;
        }
        Some(())
    };
    let mut rest = days;
    part(&mut rest, 'D', DAY_MS)?;
    if !rest.is_empty() {
        return None;
    }
    if let Some(mut clock) = clock {
        if clock.is_empty() {
            return None;
        }
        part(&mut clock, 'H', 3_600_000)?;
        part(&mut clock, 'M', 60_000)?;
        part(&mut clock, 'S', 1000)?;
        if !clock.is_empty() {
            return None;
        }
    }
    (parts > 0).then_some(Duration(total))
}

macro_rules! read_as_text {
    ($($type:ident, $format:literal, $example:literal, $expected:ident;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected.0)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "examples": [$example] })
            }
        }
    )*};
}

read_as_text! {
    Date, "date", "2012-02-29", EXPECTED_DATE;
    Instant, "date-time", "2026-11-21T18:00:00Z", EXPECTED_INSTANT;
    Duration, "duration", "P7D", EXPECTED_DURATION;
}

#[cfg(test)]
mod tests;
