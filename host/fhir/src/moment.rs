//! FHIR's dates and times as moments.
//!
//! A value that names no exact moment is a span: a year, a month, a day, or a second. A start is the first
//! moment of it, an end the first moment after it, since FHIR's periods include whatever their end
//! matches. Days are those of UTC, as a document does not say where it was written.
//! Source: FHIR R4, datatypes, `dateTime` and `Period`.

use assent_model::{Date, Instant};

const DAY_MS: i64 = 86_400_000;

/// The span that a value names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its first moment.
    pub(crate) first: Instant,
    /// The first moment after it; none: the calendar ends with it.
    pub(crate) after: Option<Instant>,
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
    let (first, after) = match (month, day) {
        (None, _) => (Date::new(year, 1, 1).ok(), midnight(Date::new(year + 1, 1, 1).ok())),
        (Some(month), None) => {
            let month = month?;
            let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            (Date::new(year, month, 1).ok(), midnight(Date::new(next.0, next.1, 1).ok()))
        }
        (Some(month), Some(day)) => {
            let date = Date::new(year, month?, day?).ok();
            (date, midnight(date).and_then(|first| later(first, DAY_MS)))
        }
    };
    Some(Span { first: midnight(first)?, after, is_date: true })
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
    Some(Span { first, after, is_date: false })
}

/// As entity files take it: milliseconds have three digits, or are left out.
pub(crate) fn written(moment: Instant) -> String {
    let millis = moment.as_millis().rem_euclid(1_000);
    match Instant::from_millis(moment.as_millis() - millis) {
        Ok(second) if millis != 0 => format!("{}.{millis:03}Z", second.to_string().trim_end_matches('Z')),
        _ => moment.to_string(),
    }
}

fn midnight(date: Option<Date>) -> Option<Instant> {
    format!("{}T00:00:00Z", date?).parse().ok()
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

    fn shown(text: &str) -> Option<(String, String)> {
        let span = span(text)?;
        Some((written(span.first), span.after.map_or_else(|| "never".to_owned(), written)))
    }

    #[test]
    fn a_value_is_the_span_it_names() {
        for (text, first, after) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-02", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2026-01-05T10:00:00-08:00", "2026-01-05T18:00:00Z", "2026-01-05T18:00:01Z"),
            ("2026-01-05T10:00:00.250Z", "2026-01-05T10:00:00.250Z", "2026-01-05T10:00:00.251Z"),
            ("9999", "9999-01-01T00:00:00Z", "never"),
            ("9999-12-31", "9999-12-31T00:00:00Z", "never"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "never"),
            ("0001-01-01", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"),
        ] {
            assert_eq!(shown(text), Some((first.to_owned(), after.to_owned())), "{text}");
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
