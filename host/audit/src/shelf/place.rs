//! Where a record is, in one word that fits into a command line and a URL.

/// The year of a log, and a position in it. Written `2026-17`; in the order in which records came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The year.
    pub year: i32,
    /// The position in that year's log, from 0.
    pub position: u64,
}

/// What is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a year and a position, such as `2026-17`")]
pub struct PlaceError;

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{}", self.year, self.position)
    }
}

impl std::str::FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('-').and_then(|(year, position)| {
            Some(Self { year: year.parse().ok()?, position: position.parse().ok()? })
        });
        // One spelling for each place, so that `2026-017` and `2026-+17` are none.
        parsed.filter(|place| place.to_string() == text).ok_or(PlaceError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_spelling() {
        let place: Place = "2026-17".parse().unwrap();
        assert_eq!((place, place.to_string().as_str()), (Place { year: 2026, position: 17 }, "2026-17"));
        for text in ["", "2026", "2026-", "-17", "2026/17", "2026-017", "2026-+17", "26-17", "2026-17-1"] {
            assert_eq!(text.parse::<Place>(), Err(PlaceError), "{text}");
        }
    }
}
