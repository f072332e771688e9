//! Measurements, as others hand them in and as Prometheus reads them (text format 0.0.4).
//!
//! [`Gauges`] is the seam: whatever runs beside the service and has something to show (exporters, copies,
//! witnesses) is asked for its families when somebody reads. INVARIANT (no patient in logs): labels are
//! organizations, configured ids and words of closed lists, so that their number is bounded and none tells of a
//! person. What is of an organization says so, and is shown only to those who may see that one.

mod counts;
mod text;

use std::fmt;

use assent_model::OrganizationId;

pub(crate) use counts::{Decisions, Durations};
pub(crate) use text::text;

/// Something that has measurements to show. Asked on a thread where it may read small files, and waited for by
/// whoever reads the metrics alone.
pub trait Gauges: Send + Sync + fmt::Debug {
    /// Its families, each with its own name.
    fn families(&self) -> Vec<Family>;
}

/// What a number does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start of the process; its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Measurements of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name: `assent_`, what it is of, and the unit in the plural.
    pub name: &'static str,
    /// One sentence that says what is measured.
    pub help: &'static str,
    /// What the number does.
    pub kind: Kind,
    /// The numbers.
    pub samples: Vec<Sample>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose it is; `None`: nobody's in particular.
    pub organization: Option<OrganizationId>,
    /// Further labels, from closed lists or the configuration.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

impl Sample {
    /// Nobody's in particular.
    pub const fn new(value: f64) -> Self {
        Self { organization: None, labels: vec![], value }
    }

    /// An organization's.
    #[must_use]
    pub fn of(organization: &OrganizationId, value: f64) -> Self {
        Self { organization: Some(organization.clone()), labels: vec![], value }
    }

    /// The same with one more label.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: &str) -> Self {
        self.labels.push((label, value.to_owned()));
        self
    }
}
