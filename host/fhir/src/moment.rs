//! FHIR's dates and times as moments.
//!
//! A value that names no exact moment is a span: a year, a month, a day, or a second. A start is the first
//! moment of it, an end the first moment after it, since FHIR's periods include whatever their end
//! matches. A document does not say in which time zone a day was meant: where a day begins and ends, two
//! moments are known, between which it does in every time zone there is.
//! Source: FHIR R4, datatypes, `dateTime` and `Period`.

use assent_model::{Date, Instant};

const HOUR_MS: i64 = 3_600_000;
/// A day begins that long before it does in UTC, in the zone furthest east: UTC+14.
const EAST_MS: i64 = 14 * HOUR_MS;
/// And that long after, in the zone furthest west: UTC-12.
const WEST_MS: i64 = 12 * HOUR_MS;

/// A moment that is known, or between which two it lies, both included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) earliest: Instant,
    pub(crate) latest: Instant,
}

impl Edge {
    const fn exact(moment: Instant) -> Self {
        Self { earliest: moment, latest: moment }
    }

    /// The midnight with which a day begins.
    fn midnight(date: Date) -> Option<Self> {
        let utc: Instant = format!("{date}T00:00:00Z").parse().ok()?;
        // At the ends of the calendar it is as early, or as late, as can be said.
        let earliest = later(utc, -EAST_MS).unwrap_or(utc);
        Some(Self { earliest, latest: later(utc, WEST_MS)? })
    }
}

/// The span that a value names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its first moment.
    pub(crate) first: Edge,
    /// The first moment after it; none: the calendar ends with it.
    pub(crate) after: Option<Edge>,
    /// Whether it is a day or longer.
    pub(crate) is_date: bool,
}

/// The span of a FHIR `dateTime`; none: it is no such value.
pub(crate) fn span(text: &str) -> Option<Span> {
    if text.len() > DATE_LEN {
        return moment(text);
    }
    let mut parts = text.split('-');
    let year: i32 = digits(parts.next()?, 4)?.try_into().ok().filter(|year| *year > 0)?;
    let mut two = || parts.next().map(|part| digits(part, 2).and_then(|value| u8::try_from(value).ok()));
    let (month, day) = (two(), two());
    if parts.next().is_some() {
        return None;
    }
    let january = |year| Date::new(year, 1, 1).ok();
    let (first, after) = match (month, day) {
        (None, _) => (january(year)?, january(year + 1)),
        (Some(month), None) => (Date::new(year, month?, 1).ok()?, month_after(year, month?)),
        (Some(month), Some(day)) => {
            let (month, day) = (month?, day?);
            let next = Date::new(year, month, day.saturating_add(1)).ok();
            (Date::new(year, month, day).ok()?, next.or_else(|| month_after(year, month)))
        }
    };
    Some(Span { first: Edge::midnight(first)?, after: after.and_then(Edge::midnight), is_date: true })
}

/// The first day of the month after; none: the calendar ends.
fn month_after(year: i32, month: u8) -> Option<Date> {
    if month == 12 { Date::new(year + 1, 1, 1).ok() } else { Date::new(year, month + 1, 1).ok() }
}

const DATE_LEN: usize = "2026-01-05".len();

/// `2026-01-05T10:00:00Z`, with a fraction or an offset.
fn moment(text: &str) -> Option<Span> {
    let (date, time) = text.split_once('T')?;
    let (clock, offset) = time.split_at(time.find(['Z', '+', '-'])?);
    let well_formed = match offset.split_at_checked(1)? {
        ("Z", "") => true,
        ("+" | "-", offset) => offset.len() == 5 && offset.split(':').all(|part| digits(part, 2).is_some()),
        _ => false,
    };
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
    let is_clock = clock.len() == 8 && clock.split(':').all(|part| digits(part, 2).is_some());
    let is_fraction = fraction.is_none_or(|rest| !rest.is_empty() && digits(rest, rest.len()).is_some());
    if date.len() != DATE_LEN || span(date).is_none() || !well_formed || !is_clock || !is_fraction {
        return None;
    }
    let first: Instant = text.parse().ok()?;
    let after = later(first, if fraction.is_some() { 1 } else { 1_000 });
    Some(Span { first: Edge::exact(first), after: after.map(Edge::exact), is_date: false })
}

/// As entity files take it: milliseconds have three digits, or are left out.
pub(crate) fn written(moment: Instant) -> String {
    let millis = moment.as_millis().rem_euclid(1_000);
    match Instant::from_millis(moment.as_millis() - millis) {
        Ok(second) if millis != 0 => format!("{}.{millis:03}Z", second.to_string().trim_end_matches('Z')),
        _ => moment.to_string(),
    }
}

fn later(moment: Instant, millis: i64) -> Option<Instant> {
    Instant::from_millis(moment.as_millis().checked_add(millis)?).ok()
}

/// The number that exactly these many digits write. Only nine of them are counted.
fn digits(text: &str, len: usize) -> Option<u32> {
    let all = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.get(..len.min(9)))??.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<[String; 4]> {
        let span = span(text)?;
        let after =
            |of: fn(Edge) -> Instant| span.after.map_or_else(|| "never".to_owned(), |at| written(of(at)));
        Some([
            written(span.first.earliest),
            written(span.first.latest),
            after(|at| at.earliest),
            after(|at| at.latest),
        ])
    }

    #[test]
    fn a_date_is_the_span_it_names_in_some_time_zone() {
        for (text, first, after) in [
            (
                "2026",
                ["2025-12-31T10:00:00Z", "2026-01-01T12:00:00Z"],
                ["2026-12-31T10:00:00Z", "2027-01-01T12:00:00Z"],
            ),
            (
                "2026-02",
                ["2026-01-31T10:00:00Z", "2026-02-01T12:00:00Z"],
                ["2026-02-28T10:00:00Z", "2026-03-01T12:00:00Z"],
            ),
            (
                "2026-12",
                ["2026-11-30T10:00:00Z", "2026-12-01T12:00:00Z"],
                ["2026-12-31T10:00:00Z", "2027-01-01T12:00:00Z"],
            ),
            (
                "2024-02-29",
                ["2024-02-28T10:00:00Z", "2024-02-29T12:00:00Z"],
                ["2024-02-29T10:00:00Z", "2024-03-01T12:00:00Z"],
            ),
            ("9999-12-31", ["9999-12-30T10:00:00Z", "9999-12-31T12:00:00Z"], ["never", "never"]),
            ("9999", ["9998-12-31T10:00:00Z", "9999-01-01T12:00:00Z"], ["never", "never"]),
            (
                "0001-01-01",
                ["0000-12-31T10:00:00Z", "0001-01-01T12:00:00Z"],
                ["0001-01-01T10:00:00Z", "0001-01-02T12:00:00Z"],
            ),
        ] {
            let expected = [first[0], first[1], after[0], after[1]].map(str::to_owned);
            assert_eq!(shown(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_time_is_exact_and_as_long_as_its_last_digit() {
        for (text, first, after) in [
            ("2026-01-05T10:00:00-08:00", "2026-01-05T18:00:00Z", "2026-01-05T18:00:01Z"),
            ("2026-01-05T10:00:00.250Z", "2026-01-05T10:00:00.250Z", "2026-01-05T10:00:00.251Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "never"),
        ] {
            assert_eq!(shown(text), Some([first, first, after, after].map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "26",
            "0000",
            "2026-1",
            "2026-13",
            "2026-02-30",
            "2026-01-05-01",
            "20260105",
            "2026-01-05T10:00Z",
            "2026-01-05T10:00:00",
            "2026-01-05T10:00:00.Z",
            "2026-01-05t10:00:00Z",
            "2026-01-05 10:00:00Z",
            "2026-01-05T10:00:00+0800",
            "2026-01-05T10:00:00Zulu",
            "2026-01-05T25:00:00Z",
            "20260105T100000Z",
            "２０２６",
            "2026-01-05T10:00:00+99:99",
        ] {
            assert!(shown(text).is_none(), "{text}");
        }
    }
}
