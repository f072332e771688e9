//! How long logs are kept, what holds them longer, and what two persons decided together.
//!
//! Everything is read from `retention` records, of all years, so nothing else must be kept. INVARIANT (a hold is
//! never overlooked): before a year is let go, its holds are read from the records themselves and not
//! through an index, and what cannot be read stays. INVARIANT (two persons): a request counts only with
//! a second person's record, under another name, within [`REQUEST_DAYS`].
//!
//! The law: 45 CFR 164.316(b)(2)(i) has documentation kept for six years from its creation or from when it was last
//! in effect; 45 CFR 164.528 gives patients an accounting of the disclosures of six years. States ask for
//! more of medical records, often until some years after a minor is of age; whether that reaches an audit log is
//! for the organization to say.

mod holds;
mod let_go;
mod state;

pub use holds::Hold;
pub use let_go::{LetGoError, Shard, Tombstone};
pub use state::{Asked, Request, RequestError, State, Wanted, same_person};

use std::fmt;

use assent_model::Instant;

/// What federal law asks for, counted from the end of the log's year.
pub const YEARS_DEFAULT: u32 = 6;
/// Nobody plans further ahead.
pub const YEARS_MAX: u32 = 100;
/// How long a request waits for the second person. Long enough for a weekend, short enough to be remembered.
pub const REQUEST_DAYS: i64 = 7;

/// Whether a request of one moment may still be agreed to, or acted on, at another.
pub const fn is_in_time(asked: Instant, at: Instant) -> bool {
    at.as_millis() - asked.as_millis() <= REQUEST_DAYS * DAY_MS
}

const DAY_MS: i64 = 86_400_000;

/// Why a year's log stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It is the newest, into which records go.
    Newest,
    /// It has not been kept for long enough.
    Kept {
        /// The last year in which it must be kept.
        through: i32,
    },
    /// Somebody holds it.
    Held {
        /// The holds' ids.
        holds: Vec<String>,
    },
    /// It does not verify, or cannot be read.
    NotWhole {
        /// What is wrong.
        problem: String,
    },
    /// A copy is configured and does not have all of it.
    NotCopied {
        /// What is missing.
        problem: String,
    },
    /// Somebody has not read all of it yet: an exporter, such as `siem`.
    Unread {
        /// Who, and how far that one is.
        reader: String,
    },
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("it is the newest, into which records go"),
            Self::Kept { through } => write!(f, "it is kept through {through}"),
            Self::Held { holds } => write!(f, "held by {}", holds.join(", ")),
            Self::NotWhole { problem } => write!(f, "it does not verify: {problem}"),
            Self::NotCopied { problem } => write!(f, "its copy is not whole: {problem}"),
            Self::Unread { reader } => write!(f, "not read by {reader}"),
        }
    }
}

/// The last year in which a year's log must be kept: `years` full years after its end.
pub fn kept_through(year: i32, years: u32) -> i32 {
    year.saturating_add_unsigned(years)
}

/// Why this year's log stays, by its age and by what is held. `newest` is the last year that there is.
pub fn stays(year: i32, newest: i32, years: u32, state: &State, now: Instant) -> Vec<Stay> {
    let mut stays = vec![];
    if year >= newest {
        stays.push(Stay::Newest);
    }
    let through = kept_through(year, years);
    if now.year() <= through {
        stays.push(Stay::Kept { through });
    }
    let holds: Vec<String> = state.holding(year).map(|hold| hold.id.clone()).collect();
    if !holds.is_empty() {
        stays.push(Stay::Held { holds });
    }
    stays
}

#[cfg(test)]
mod tests;
