//! How far an exporter is: in a running service from memory, for anybody else from its files.
//!
//! Each exporter has two small files for each organization, beside that one's logs: `exports/ID.cursor`, and
//! `exports/ID.refused` with what its receiver refuses. What comes before both has been delivered:
//! [`Standing::undelivered`] is what retention must not pass where the exporter is mandatory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use assent_audit::export::{Cursor, SetAside};
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::shelf::{Place, Shelf};
use assent_model::{Instant, OrganizationId};

use super::definition::ExporterId;
use super::error::Failure;

/// The directory of an organization's exporters.
pub(super) fn directory(config: &LogsConfig, organization: &OrganizationId) -> PathBuf {
    config.directory.join(organization.as_str()).join("exports")
}

pub(super) fn cursor_path(
    config: &LogsConfig,
    organization: &OrganizationId,
    exporter: &ExporterId,
) -> PathBuf {
    directory(config, organization).join(format!("{exporter}.cursor"))
}

pub(super) fn set_aside_path(
    config: &LogsConfig,
    organization: &OrganizationId,
    exporter: &ExporterId,
) -> PathBuf {
    directory(config, organization).join(format!("{exporter}.refused"))
}

/// The place that a cursor stands at.
pub(super) fn place(shelf: &Shelf, cursor: &Cursor) -> Option<Place> {
    let year = cursor.log().rsplit_once('/').and_then(|(_, year)| year.parse().ok())?;
    (shelf.log(year) == cursor.log()).then_some(Place { year, position: cursor.next() })
}

/// How many records there are from this place on.
fn lag(
    years: &[i32],
    next: Option<Place>,
    mut size: impl FnMut(i32) -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    let mut sum = 0;
    for year in years {
        sum += match next {
            Some(next) if next.year > *year => 0,
            Some(next) if next.year == *year => size(*year)?.saturating_sub(next.position),
            Some(_) | None => size(*year)?,
        };
    }
    Ok(sum)
}

/// How an exporter stands with an organization's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The first record that was not delivered; `None` where the exporter has delivered nothing yet.
    pub next: Option<Place>,
    /// How many records, under the newest checkpoint, were not.
    pub lag: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Instant>,
    /// Records that the receiver refuses, and that were passed.
    pub set_aside: Vec<Place>,
}

impl Standing {
    /// The first record that the receiver does not have; `None` where it may have none.
    pub fn undelivered(&self) -> Option<Place> {
        let next = self.next?;
        Some(
            self.set_aside
                .first()
                .copied()
                .filter(|place| (place.year, place.position) < (next.year, next.position))
                .unwrap_or(next),
        )
    }
}

/// How an exporter stands, from its files. Disturbs nobody; a service may run or not.
///
/// # Errors
/// When a cursor or a log cannot be read.
pub fn standing(
    config: &LogsConfig,
    organization: &OrganizationId,
    exporter: &ExporterId,
) -> Result<Standing, Failure> {
    let shelf = Shelf::new(config.clone(), organization.clone());
    let cursor = Cursor::resume(&cursor_path(config, organization, exporter))?;
    let next = cursor.and_then(|cursor| place(&shelf, &cursor));
    let years = shelf.years()?;
    let lag = lag(&years, next, |year| Ok(shelf.reader(year)?.checkpoint()?.size))?;
    let mut oldest = None;
    if lag > 0 {
        let mut first = next.or(years.first().map(|year| Place { year: *year, position: 0 }));
        while let Some(place) = first {
            if let Some((_, record)) = shelf.at(place)? {
                oldest = Some(record.at);
                break;
            }
            let later = years.iter().find(|year| **year > place.year);
            first = later.map(|year| Place { year: *year, position: 0 });
        }
    }
    let set_aside = SetAside::open(&set_aside_path(config, organization, exporter))?.places().collect();
    Ok(Standing { next, lag, oldest, set_aside })
}

/// What the thread of an exporter tells others.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) failing: AtomicBool,
    pub(super) failures: AtomicU64,
    pub(super) organizations: Vec<(OrganizationId, ToldOf)>,
}

/// The same of one organization.
#[derive(Debug, Default)]
pub(super) struct ToldOf {
    /// The first record that was not delivered, and when the oldest that was read and not delivered was made.
    pub(super) at: Mutex<(Option<Place>, Option<Instant>)>,
    pub(super) sent: AtomicU64,
    pub(super) set_aside: AtomicU64,
}

/// How an exporter of a running service is doing.
#[derive(Clone, Debug)]
pub struct State {
    /// Which.
    pub id: ExporterId,
    /// Whether its last try failed.
    pub failing: bool,
    /// How many tries have failed since the service started.
    pub failures: u64,
    /// How far it is with each organization.
    pub organizations: Vec<OrganizationState>,
}

/// How far an exporter is with an organization.
#[derive(Clone, Debug)]
pub struct OrganizationState {
    /// Whose records.
    pub organization: OrganizationId,
    /// How many were delivered since the service started; those that were delivered twice count twice.
    pub sent: u64,
    /// How many are not delivered yet; `None` where the logs could not be looked at.
    pub lag: Option<u64>,
    /// When the oldest that was read and not delivered was made.
    pub oldest: Option<Instant>,
    /// How many the receiver refuses.
    pub set_aside: u64,
}

impl Told {
    /// How the exporter is doing, given the logs that it follows. Reads a few small files at most.
    pub(super) fn state(&self, id: &ExporterId, logs: &Logs) -> State {
        let of = |(organization, told): &(OrganizationId, ToldOf)| {
            let (next, oldest) = *told.at.lock().unwrap_or_else(PoisonError::into_inner);
            OrganizationState {
                organization: organization.clone(),
                sent: told.sent.load(Ordering::Relaxed),
                lag: lag_of(logs, organization, next).ok(),
                oldest,
                set_aside: told.set_aside.load(Ordering::Relaxed),
            }
        };
        State {
            id: id.clone(),
            failing: self.failing.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            organizations: self.organizations.iter().map(of).collect(),
        }
    }
}

fn lag_of(logs: &Logs, organization: &OrganizationId, next: Option<Place>) -> Result<u64, Failure> {
    let newest = logs.newest(organization);
    // The usual case, without a look at any file.
    if let (Some((year, size)), Some(next)) = (newest, next)
        && year == next.year
    {
        return Ok(size.saturating_sub(next.position));
    }
    let shelf = Shelf::new(logs.config().clone(), organization.clone());
    lag(&shelf.years()?, next, |year| match newest {
        Some((newest, size)) if newest == year => Ok(size),
        _ => Ok(shelf.reader(year)?.checkpoint()?.size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_counts_what_is_left_of_each_year() {
        let sizes = [(2025, 10), (2026, 20), (2027, 30)];
        let years = sizes.map(|(year, _)| year);
        let size = |year| Ok(sizes.iter().find(|(y, _)| *y == year).unwrap().1);
        for (next, expected) in [
            (None, 60),
            (Some((2024, 5)), 60),
            (Some((2025, 4)), 56),
            (Some((2026, 20)), 30),
            (Some((2027, 29)), 1),
            (Some((2027, 31)), 0),
            (Some((2028, 0)), 0),
        ] {
            let next = next.map(|(year, position)| Place { year, position });
            assert_eq!(lag(&years, next, size).unwrap(), expected, "{next:?}");
        }
    }

    #[test]
    fn what_was_refused_was_not_delivered() {
        let place = |position| Place { year: 2026, position };
        let standing = |next, set_aside: &[u64]| Standing {
            next,
            lag: 0,
            oldest: None,
            set_aside: set_aside.iter().map(|n| place(*n)).collect(),
        };
        assert_eq!(standing(None, &[]).undelivered(), None);
        assert_eq!(standing(Some(place(9)), &[]).undelivered(), Some(place(9)));
        assert_eq!(standing(Some(place(9)), &[3, 4]).undelivered(), Some(place(3)));
    }
}
