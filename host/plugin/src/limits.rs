//! What one binding of a plugin may use up, and why each bound is what it is.
//!
//! INVARIANT (limits first): every limit here is armed before a guest's first instruction, its
//! start function included. A binding's limits are checked against the host's own ceilings when
//! a release is built, so that no setting of an organization can widen what the host can bear.

use std::time::Duration;

use assent_model::{FailureKind, PluginFailure};
use serde::{Deserialize, Serialize};

use crate::error::AdmissionProblem;

/// The most memory any binding can be given: the size of a pool slot. A scripting runtime starts
/// with 1.4 MiB; nothing that judges one request needs more than this.
pub const MEMORY_CEILING_BYTES: u64 = 32 << 20;
/// The most table elements: the size of a pool slot's table. A Rust plugin has some hundred.
pub const TABLE_CEILING_ELEMENTS: u64 = 10_000;
/// The most core instances in one component. Encoded Rust has one; two runtimes composed, a dozen.
pub const INSTANCE_CEILING: u32 = 64;
/// The most fuel: some ten seconds of work, far above any deadline. It keeps the arithmetic of the
/// engine, which counts in signed 64-bit numbers, away from its edge.
pub const FUEL_CEILING: u64 = 100_000_000_000;
/// Fuel that lasts about a millisecond; see [`Limits::fuel`].
const FUEL_PER_MS: u64 = 10_000_000;
/// The longest deadline. A caller waits for the answer; longer than this it has gone away.
pub const DEADLINE_CEILING_MS: u64 = 10_000;
/// The most that one call may copy out of a guest.
pub const COPIED_CEILING_BYTES: u64 = 16 << 20;
/// The native stack of a guest. A tokio worker has 2 MiB, so that a guest's overflow is a trap and
/// never the host's.
pub const STACK_MAX_BYTES: usize = 512 << 10;
/// Linear memories and tables of one component: one memory is usual, some languages add a shim's table.
pub const MEMORIES_MAX: u32 = 4;
/// See [`MEMORIES_MAX`].
pub const TABLES_MAX: u32 = 6;

/// The limits of one binding. The defaults suit a rule written in Rust; read them from a table
/// `limits` in the organization's configuration, where unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of all memories together. Default 4 MiB: a Rust rule uses 64 KiB to 1 MiB.
    pub memory_max_bytes: u64,
    /// Elements of all tables together.
    pub table_elements_max: u64,
    /// Core instances in the component.
    pub instances_max: u32,
    /// Units of work, about ten a nanosecond. Default 50 million, some 5 ms: a hundred times what
    /// a rule of a page needs. This is what ends a runaway rule, at the same point on every machine.
    pub fuel: u64,
    /// The wall clock, as a backstop where the machine is overloaded. Default 250 ms: fifty times
    /// what the fuel lasts, so that it never decides on a healthy machine.
    pub deadline_ms: u64,
    /// Bytes copied out of the guest before its answer is looked at. Default 256 KiB: four times the
    /// answer's own limit, for the host's larger layout of lists.
    pub copied_max_bytes: u64,
    /// Text of the whole answer. Default 64 KiB.
    pub output_max_bytes: u64,
    /// Obligations, advice, denials and reviews together. Default 64: a rule gives one or two.
    pub findings_max: u32,
    /// Notes for the author. Default 32.
    pub notes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_max_bytes: 4 << 20,
            table_elements_max: TABLE_CEILING_ELEMENTS,
            instances_max: 32,
            fuel: 50_000_000,
            deadline_ms: 250,
            copied_max_bytes: 256 << 10,
            output_max_bytes: 64 << 10,
            findings_max: 64,
            notes_max: 32,
        }
    }
}

impl Limits {
    /// How long a call may take by these limits, in milliseconds: until the fuel or, if that is
    /// sooner, the deadline ends it. An estimate: fuel counts instructions, and there are slow ones.
    pub fn longest_ms(&self) -> u64 {
        self.fuel.div_ceil(FUEL_PER_MS).min(self.deadline_ms)
    }

    /// What is left of fuel and time for asking a rule once more.
    ///
    /// # Errors
    /// When nothing is.
    pub(crate) fn after(&self, fuel_used: u64, passed: Duration) -> Result<Self, PluginFailure> {
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let gone = |kind| PluginFailure::new(kind, "nothing was left to ask the rule with its approvals");
        let fuel = self.fuel.checked_sub(fuel_used).filter(|left| *left > 0);
        let deadline_ms = self.deadline_ms.checked_sub(passed_ms).filter(|left| *left > 0);
        Ok(Self {
            fuel: fuel.ok_or_else(|| gone(FailureKind::Fuel))?,
            deadline_ms: deadline_ms.ok_or_else(|| gone(FailureKind::Deadline))?,
            ..self.clone()
        })
    }

    /// Every limit that is zero or above the host's ceiling.
    pub(crate) fn problems(&self) -> impl Iterator<Item = AdmissionProblem> {
        let bounds = [
            ("memory_max_bytes", self.memory_max_bytes, MEMORY_CEILING_BYTES),
            ("table_elements_max", self.table_elements_max, TABLE_CEILING_ELEMENTS),
            ("instances_max", u64::from(self.instances_max), u64::from(INSTANCE_CEILING)),
            ("fuel", self.fuel, FUEL_CEILING),
            ("deadline_ms", self.deadline_ms, DEADLINE_CEILING_MS),
            ("copied_max_bytes", self.copied_max_bytes, COPIED_CEILING_BYTES),
            ("output_max_bytes", self.output_max_bytes, COPIED_CEILING_BYTES),
            ("findings_max", u64::from(self.findings_max), 10_000),
            ("notes_max", u64::from(self.notes_max), 10_000),
        ];
        bounds
            .into_iter()
            .filter(|(_, value, ceiling)| *value == 0 || value > ceiling)
            .map(|(name, value, ceiling)| AdmissionProblem::Limit { name, value, ceiling })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_not_there_to_ask_once_more() {
        let limits = Limits { fuel: 10, deadline_ms: 5, ..Limits::default() };
        let after = |fuel, ms| {
            let left = limits.after(fuel, Duration::from_millis(ms));
            left.map(|left| (left.fuel, left.deadline_ms)).map_err(|failure| failure.kind)
        };
        assert_eq!((after(0, 0), after(9, 4)), (Ok((10, 5)), Ok((1, 1))));
        assert_eq!((after(10, 0), after(11, 0)), (Err(FailureKind::Fuel), Err(FailureKind::Fuel)));
        assert_eq!((after(0, 5), after(0, 6)), (Err(FailureKind::Deadline), Err(FailureKind::Deadline)));
    }

    #[test]
    fn fuel_or_deadline_ends_a_call_whichever_is_sooner() {
        let longest = |fuel, deadline_ms| Limits { fuel, deadline_ms, ..Limits::default() }.longest_ms();
        assert_eq!(Limits::default().longest_ms(), 5);
        assert_eq!([longest(1, 250), longest(10_000_001, 250), longest(FUEL_CEILING, 250)], [1, 2, 250]);
        assert_eq!(longest(FUEL_CEILING, DEADLINE_CEILING_MS), DEADLINE_CEILING_MS);
    }
}
