//! Periods whose ends are known to a day only, and how they count.
//!
//! A document does not say in which time zone a day was meant, so a day begins and ends somewhere within 26
//! hours. INVARIANT (a date only narrows): a permit is read for what lies within its period in every time
//! zone, a deny for what lies within it in any.

use assent_model::Instant;
use serde_json::{Map, Value};

use crate::moment::{Edge, written};

/// From the first moment within to the first after it; without one of them it has no limit there.
#[derive(Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) start: Option<Edge>,
    pub(crate) end: Option<Edge>,
}

/// Its limits as moments.
type Limits = (Option<Instant>, Option<Instant>);

impl Window {
    pub(crate) const fn is_empty(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    /// Whether it is the same in every time zone.
    pub(crate) fn is_exact(&self) -> bool {
        [self.start, self.end].into_iter().flatten().all(|edge| edge.earliest == edge.latest)
    }

    /// Whether it is over in one time zone before it begins in another.
    pub(crate) fn may_hold_never(&self) -> bool {
        self.start.zip(self.end).is_some_and(|(start, end)| end.earliest <= start.latest)
    }

    /// Whether it ends before it starts, wherever it was written.
    pub(crate) fn ends_before_it_starts(&self) -> bool {
        let before =
            |(start, end): (Edge, Edge)| end.earliest <= start.earliest && end.latest <= start.latest;
        self.start.zip(self.end).is_some_and(before)
    }

    fn in_any_zone(&self) -> Limits {
        (self.start.map(|start| start.earliest), self.end.map(|end| end.latest))
    }

    /// Nothing lies within it where it may hold never: it ends when it starts.
    fn in_every_zone(&self) -> Limits {
        let start = self.start.map(|start| start.latest);
        let end = self.end.map(|end| start.map_or(end.earliest, |start| end.earliest.max(start)));
        (start, end)
    }
}

/// How a window counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// For what permits.
    InEveryZone,
    /// For what denies.
    InAnyZone,
}

/// What limits a provision: what it is about, when it holds, and of when the data are.
#[derive(Default)]
pub(crate) struct Criteria {
    /// All that is no period, under the names of the base schema.
    pub(crate) about: Map<String, Value>,
    pub(crate) period: Window,
    pub(crate) data: Window,
}

impl Criteria {
    pub(crate) fn is_exact(&self) -> bool {
        self.period.is_exact() && self.data.is_exact()
    }

    /// Whether they limit more than when it holds.
    pub(crate) fn limit_more_than_when(&self) -> bool {
        !self.about.is_empty() || !self.data.is_empty()
    }

    /// Both periods under the names of the base schema.
    pub(crate) fn dates(&self, count: Count) -> Map<String, Value> {
        let mut dates = when(self.period, count);
        dates.extend(named(self.data, ["dataStart", "dataEnd"], count));
        dates
    }
}

/// A period of what holds, under the names of the base schema.
pub(crate) fn when(period: Window, count: Count) -> Map<String, Value> {
    named(period, ["start", "end"], count)
}

fn named(window: Window, [start_name, end_name]: [&str; 2], count: Count) -> Map<String, Value> {
    let (start, end) = match count {
        Count::InEveryZone => window.in_every_zone(),
        Count::InAnyZone => window.in_any_zone(),
    };
    let named = |name: &str, moment: Option<Instant>| Some((name.to_owned(), written(moment?).into()));
    [named(start_name, start), named(end_name, end)].into_iter().flatten().collect()
}
