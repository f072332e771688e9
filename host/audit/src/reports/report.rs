//! The reports by name, with the periods that reviews are held for.

use std::str::FromStr;

use assent_model::Instant;
use serde::Serialize;
use serde_json::{Value, json};

use super::{DAY_MS, accounts, break_glass_unreviewed, denial_bursts, exports, without_relationship};
use crate::record::Record;

/// Denials of one subject within this time are a burst.
const BURST_WINDOW_MS: i64 = 600_000;
/// So many of them are.
const BURST_COUNT: usize = 10;
/// What is reviewed weekly.
const WEEK_MS: i64 = 7 * DAY_MS;
/// What is reviewed monthly.
const MONTH_MS: i64 = 30 * DAY_MS;
/// An account that nobody has used for so long is dormant.
const DORMANT_MS: i64 = 90 * DAY_MS;

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Emergency access that nobody has reviewed within a day.
    BreakGlass,
    /// What left in the last seven days.
    Exports,
    /// Access in the last thirty days to patients to whom no relation led.
    WithoutRelationship,
    /// Accounts first seen in the last seven days, and those not seen for ninety.
    Accounts,
    /// Ten denials or more of one subject within ten minutes, in the last seven days.
    DenialBursts,
}

impl Report {
    /// All reports.
    pub const ALL: [Self; 5] =
        [Self::BreakGlass, Self::Exports, Self::WithoutRelationship, Self::Accounts, Self::DenialBursts];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BreakGlass => "break-glass",
            Self::Exports => "exports",
            Self::WithoutRelationship => "without-relationship",
            Self::Accounts => "accounts",
            Self::DenialBursts => "denial-bursts",
        }
    }

    /// What is to be reviewed at this moment, by all records of the organization.
    pub fn over(self, records: impl Iterator<Item = Record>, now: Instant) -> Vec<Value> {
        // Periods end before their last moment, and what happens in this one belongs to the report.
        let until = later(now, 1);
        let since = |millis: i64| later(now, -millis);
        match self {
            Self::BreakGlass => findings(&break_glass_unreviewed(records, now, DAY_MS)),
            Self::Exports => findings(&exports(records, since(WEEK_MS), until)),
            Self::WithoutRelationship => findings(&without_relationship(records, since(MONTH_MS), until)),
            Self::Accounts => {
                let found = accounts(records, now, WEEK_MS, DORMANT_MS);
                let named = |name: &str, accounts: Vec<super::Account>| -> Vec<Value> {
                    accounts.iter().map(|account| json!({ "is": name, "account": account })).collect()
                };
                [named("new", found.new), named("dormant", found.dormant)].concat()
            }
            Self::DenialBursts => {
                findings(&denial_bursts(records, since(WEEK_MS), BURST_WINDOW_MS, BURST_COUNT))
            }
        }
    }
}

impl FromStr for Report {
    type Err = UnknownReport;

    fn from_str(name: &str) -> Result<Self, UnknownReport> {
        Self::ALL.into_iter().find(|report| report.as_str() == name).ok_or(UnknownReport)
    }
}

/// What names no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the name of a report: `break-glass`, `exports`, `without-relationship`, `accounts` or `denial-bursts`"
)]
pub struct UnknownReport;

fn findings<T: Serialize>(found: &[T]) -> Vec<Value> {
    found.iter().map(|finding| json!(finding)).collect()
}

/// That many milliseconds later; at the ends of time, the moment itself.
fn later(at: Instant, millis: i64) -> Instant {
    Instant::from_millis(at.as_millis().saturating_add(millis)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_is_found_by_its_name_and_the_message_names_all() {
        for report in Report::ALL {
            assert_eq!(report.as_str().parse(), Ok(report));
            assert!(UnknownReport.to_string().contains(&format!("`{}`", report.as_str())));
        }
        assert_eq!("break_glass".parse::<Report>(), Err(UnknownReport));
    }
}
