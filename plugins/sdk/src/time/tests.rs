//! Calendar arithmetic against a naive count of days, and birthdays to the day.

use proptest::prelude::*;

use super::*;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn a_birthday_on_29_february_is_1_march_in_common_years() {
    let birth = date("2012-02-29");
    let cases = [
        // on, completed years (1 March), completed years (28 February)
        ("2012-02-29", 0, 0),
        ("2024-02-28", 11, 11),
        ("2024-02-29", 12, 12),
        ("2025-02-27", 12, 12),
        ("2025-02-28", 12, 13),
        ("2025-03-01", 13, 13),
        ("2030-02-28", 17, 18),
        ("2030-03-01", 18, 18),
    ];
    for (on, march, february) in cases {
        assert_eq!(birth.age_on(date(on)), Some(march), "{on}");
        assert_eq!(birth.age_on_with(date(on), LeapDay::LastOfFebruary), Some(february), "{on}");
    }
    assert_eq!(birth.age_on(date("2012-02-28")), None);
    assert_eq!(birth.birthday(18, LeapDay::default()), Some(date("2030-03-01")));
}

#[test]
fn an_age_changes_on_the_birthday_and_not_the_day_before() {
    let birth = date("2008-12-31");
    assert_eq!(birth.age_on(date("2026-12-30")), Some(17));
    assert_eq!(birth.age_on(date("2026-12-31")), Some(18));
    assert_eq!(birth.age_on(date("2027-01-01")), Some(18));
}

#[test]
fn days_that_do_not_exist_are_refused() {
    for text in
        ["2025-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "20120229", "2012-2-09", ""]
    {
        assert_eq!(text.parse::<Date>(), Err(EXPECTED_DATE), "{text}");
    }
    assert!("2000-02-29".parse::<Date>().is_ok());
    assert_eq!(date("9999-12-31").add_days(1), None);
    assert_eq!(date("0000-01-01").add_days(-1), None);
}

#[test]
fn every_day_has_its_number_and_follows_the_day_before() {
    let mut day = date("0000-01-01");
    let mut number = day.day_number();
    while let Some(next) = day.add_days(1) {
        number += 1;
        assert!(next > day, "{next}");
        assert_eq!(next.day_number(), number, "{next}");
        assert!(next.day == day.day + 1 || next.day == 1);
        day = next;
    }
    assert_eq!(day, date("9999-12-31"));
    assert_eq!(date("1970-01-01").day_number(), 0);
}

#[test]
fn instants_read_what_they_write() {
    for text in [
        "2026-11-21T18:00:00Z",
        "1969-12-31T23:59:59.500Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
    ] {
        assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
    }
    assert_eq!("2026-11-21T10:00:00-08:00".parse::<Instant>(), "2026-11-21T18:00:00Z".parse());
    for text in [
        "2026-11-21",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:00:00",
        "2026-11-21T10:00:00+2:00",
        "2026-11-21T10:00:00.Z",
    ] {
        assert!(text.parse::<Instant>().is_err(), "{text}");
    }
}

#[test]
fn durations_are_read_in_days_and_clock_parts() {
    let cases = [
        ("P7D", Some(Duration::days(7))),
        ("PT4H30M", Some(Duration::minutes(270))),
        ("P1DT1S", Some(Duration(86_401_000))),
        ("P", None),
        ("PT", None),
        ("P1M", None),
        ("P1W", None),
        ("PT-4H", None),
        ("PT4H5", None),
        ("7 days", None),
        ("P99999999999999999D", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse().ok(), expected, "{text}");
    }
}

#[test]
fn bands_hold_their_first_age_and_not_the_first_above() {
    let teens = AgeBand { from: 12, below: Some(18) };
    let held: Vec<_> = (10..20).filter(|&age| teens.contains(age)).collect();
    assert_eq!(held, [12, 13, 14, 15, 16, 17]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The naive count: how many birthdays there were after birth, up to and including the day.
    #[test]
    fn ages_are_counted_birthdays(year in 1900u16..2020, month in 1u8..=12, day in 1u8..=31, later in 0i64..5_000) {
        prop_assume!(Date::new(year, month, day).is_some());
        let birth = Date::new(year, month, day).unwrap();
        let on = birth.add_days(later).unwrap();
        for leap_day in [LeapDay::FirstOfMarch, LeapDay::LastOfFebruary] {
            let mut birthdays = 0;
            let mut today = birth;
            while today < on {
                today = today.add_days(1).unwrap();
                let common = !is_leap(today.year);
                let leapling = month == 2 && day == 29 && common;
                let instead = match leap_day { LeapDay::FirstOfMarch => (3, 1), LeapDay::LastOfFebruary => (2, 28) };
                let birthday = if leapling { instead } else { (month, day) };
                birthdays += u32::from((today.month, today.day) == birthday);
            }
            prop_assert_eq!(birth.age_on_with(on, leap_day), Some(birthdays));
        }
    }

    #[test]
    fn adding_days_is_what_days_until_says(year in 0u16..=9999, days in -800_000i64..800_000) {
        let date = Date::new(year, 2, 28).unwrap();
        if let Some(later) = date.add_days(days) {
            prop_assert_eq!(date.days_until(later), days);
        }
    }
}
