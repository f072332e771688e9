//! Texts that must be one of a closed list of names (`@format`): which they are, and the nearest to a
//! wrong one.
//!
//! INVARIANT (what does not fit never counts): a name is right letter for letter or wrong. A wrong time
//! zone would take away the date on which a patient's age rests, and a wrong state the law that holds.

use assent_model::time::{is_time_zone, time_zones};

use crate::source::nearest;

/// A closed list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `@format("time-zone")`: a name of the IANA time zone database.
    TimeZone,
    /// `@format("us-state")`: a two-letter code of the United States Postal Service.
    UsState,
}

/// The values of `@format`.
pub(crate) const FORMATS: &[&str] = &["date", "time-zone", "us-state"];

/// States, territories, freely associated states and military post offices (USPS Publication 28,
/// appendix B), by code: an address can be in any of them.
const US_STATES: &[(&str, &str)] = &[
    ("AA", "Armed Forces Americas"),
    ("AE", "Armed Forces Europe"),
    ("AK", "Alaska"),
    ("AL", "Alabama"),
    ("AP", "Armed Forces Pacific"),
    ("AR", "Arkansas"),
    ("AS", "American Samoa"),
    ("AZ", "Arizona"),
    ("CA", "California"),
    ("CO", "Colorado"),
    ("CT", "Connecticut"),
    ("DC", "District of Columbia"),
    ("DE", "Delaware"),
    ("FL", "Florida"),
    ("FM", "Federated States of Micronesia"),
    ("GA", "Georgia"),
    ("GU", "Guam"),
    ("HI", "Hawaii"),
    ("IA", "Iowa"),
    ("ID", "Idaho"),
    ("IL", "Illinois"),
    ("IN", "Indiana"),
    ("KS", "Kansas"),
    ("KY", "Kentucky"),
    ("LA", "Louisiana"),
    ("MA", "Massachusetts"),
    ("MD", "Maryland"),
    ("ME", "Maine"),
    ("MH", "Marshall Islands"),
    ("MI", "Michigan"),
    ("MN", "Minnesota"),
    ("MO", "Missouri"),
    ("MP", "Northern Mariana Islands"),
    ("MS", "Mississippi"),
    ("MT", "Montana"),
    ("NC", "North Carolina"),
    ("ND", "North Dakota"),
    ("NE", "Nebraska"),
    ("NH", "New Hampshire"),
    ("NJ", "New Jersey"),
    ("NM", "New Mexico"),
    ("NV", "Nevada"),
    ("NY", "New York"),
    ("OH", "Ohio"),
    ("OK", "Oklahoma"),
    ("OR", "Oregon"),
    ("PA", "Pennsylvania"),
    ("PR", "Puerto Rico"),
    ("PW", "Palau"),
    ("RI", "Rhode Island"),
    ("SC", "South Carolina"),
    ("SD", "South Dakota"),
    ("TN", "Tennessee"),
    ("TX", "Texas"),
    ("UT", "Utah"),
    ("VA", "Virginia"),
    ("VI", "Virgin Islands"),
    ("VT", "Vermont"),
    ("WA", "Washington"),
    ("WI", "Wisconsin"),
    ("WV", "West Virginia"),
    ("WY", "Wyoming"),
];

impl Format {
    /// The format of this name; `date` is a type of its own.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "time-zone" => Some(Self::TimeZone),
            "us-state" => Some(Self::UsState),
            _ => None,
        }
    }

    /// Whether this text is one of the names.
    pub(crate) fn holds(self, text: &str) -> bool {
        match self {
            Self::TimeZone => is_time_zone(text),
            Self::UsState => US_STATES.binary_search_by(|(code, _)| (*code).cmp(text)).is_ok(),
        }
    }

    /// What such a text must be, in words for messages.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::TimeZone => "the IANA name of a time zone, such as `America/Los_Angeles`",
            Self::UsState => "the two-letter USPS code of a state, such as `CA`",
        }
    }

    /// The name that was probably meant.
    pub(crate) fn nearest(self, text: &str) -> Option<String> {
        match self {
            Self::TimeZone => nearest_zone(text),
            Self::UsState => {
                let code = US_STATES.iter().find(|(code, _)| code.eq_ignore_ascii_case(text.trim()));
                let named = || {
                    let name = nearest(text, US_STATES.iter().map(|(_, name)| *name))?;
                    US_STATES.iter().find(|(_, known)| *known == name)
                };
                code.or_else(named).map(|(code, _)| (*code).to_owned())
            }
        }
    }
}

/// By the whole name, or by the city alone.
fn nearest_zone(text: &str) -> Option<String> {
    let zones: Vec<String> = time_zones().collect();
    let text = text.trim().replace(' ', "_");
    if let Some(same) = zones.iter().find(|zone| zone.eq_ignore_ascii_case(&text)) {
        return Some(same.clone());
    }
    let whole = nearest(&text, zones.iter().map(String::as_str)).map(str::to_owned);
    whole.or_else(|| {
        let city =
            |zone: &String| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&text));
        zones.iter().find(|zone| city(zone)).cloned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_in_order_and_each_is_found() {
        assert!(US_STATES.is_sorted());
        assert_eq!(US_STATES.len(), 62);
        assert!(US_STATES.iter().all(|(code, _)| Format::UsState.holds(code)));
        assert!(["", "ca", "California", "XX", "CA "].iter().all(|text| !Format::UsState.holds(text)));
    }

    #[test]
    fn time_zones_are_those_of_the_database_letter_for_letter() {
        assert!(["UTC", "America/Los_Angeles", "US/Pacific"].iter().all(|zone| Format::TimeZone.holds(zone)));
        let wrong = ["", "america/los_angeles", "America/Los_Angles", "Etc/Unknown", "PST8", "+01:00"];
        assert!(wrong.iter().all(|zone| !Format::TimeZone.holds(zone)));
    }

    #[test]
    fn the_nearest_name_is_one_that_holds() {
        for (format, text, expected) in [
            (Format::TimeZone, "America/Los_Angles", Some("America/Los_Angeles")),
            (Format::TimeZone, "america/chicago", Some("America/Chicago")),
            (Format::TimeZone, "Los Angeles", Some("America/Los_Angeles")),
            (Format::TimeZone, "somewhere", None),
            (Format::UsState, "Californa", Some("CA")),
            (Format::UsState, "ca", Some("CA")),
            (Format::UsState, "Ontario", None),
        ] {
            let near = format.nearest(text);
            assert_eq!(near.as_deref(), expected, "{text}");
            assert!(near.is_none_or(|near| format.holds(&near)));
        }
    }
}
