//! One instance's store: everything it may use up, armed.
//!
//! INVARIANT (limits first): this file holds the only `Store::new` of the crate, so that no guest
//! instruction runs without memory limiter, fuel, deadline and copy limit. A store serves one call
//! and is dropped with it: what one patient's request left behind is gone before the next.

use assent_model::{FailureKind, PluginFailure};
use wasmtime::{Engine, ResourceLimiter, Store};

use crate::engine::ticks;
use crate::limits::{Limits, MEMORIES_MAX, TABLES_MAX};

/// Handles are not in the contract; a guest has no use for any.
const HANDLES_MAX: usize = 16;

/// What the host keeps beside an instance: what is left of its memory and tables.
#[derive(Debug)]
pub(crate) struct Guest {
    memory_left: u64,
    table_elements_left: u64,
    instances_max: usize,
}

/// A guest wanted more than its limits allow. Growing fails as a trap and not as `-1`, so that a
/// rule cannot go on, and perhaps permit, with half of what it wanted to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitReached {
    #[error("wanted {wanted} more bytes of memory, where {left} were left")]
    Memory { wanted: u64, left: u64 },
    #[error("wanted {wanted} more table elements, where {left} were left")]
    Table { wanted: u64, left: u64 },
}

impl Guest {
    /// Grants more memory: for the page that taking a snapshot needs in each memory.
    pub(crate) const fn grant_memory(&mut self, bytes: u64) {
        self.memory_left = self.memory_left.saturating_add(bytes);
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = desired.saturating_sub(current) as u64;
        let left = self.memory_left;
        self.memory_left = left.checked_sub(wanted).ok_or(LimitReached::Memory { wanted, left })?;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = desired.saturating_sub(current) as u64;
        let left = self.table_elements_left;
        self.table_elements_left = left.checked_sub(wanted).ok_or(LimitReached::Table { wanted, left })?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances_max
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}

/// A fresh store with these limits armed.
pub(crate) fn armed(engine: &Engine, limits: &Limits) -> Result<Store<Guest>, PluginFailure> {
    let guest = Guest {
        memory_left: limits.memory_max_bytes,
        table_elements_left: limits.table_elements_max,
        instances_max: limits.instances_max as usize,
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    store.set_hostcall_fuel(usize::try_from(limits.copied_max_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(HANDLES_MAX);
    refuel(&mut store, limits)?;
    Ok(store)
}

/// Fills the tank and sets the deadline anew: for the host's own look at an instance that has done its work.
pub(crate) fn refuel(store: &mut Store<Guest>, limits: &Limits) -> Result<(), PluginFailure> {
    store.set_epoch_deadline(ticks(limits.deadline_ms));
    store.set_fuel(limits.fuel).map_err(|error| PluginFailure::new(FailureKind::Host, format!("{error:#}")))
}

/// How much fuel is gone.
pub(crate) fn fuel_used(store: &Store<Guest>, limits: &Limits) -> u64 {
    limits.fuel.saturating_sub(store.get_fuel().unwrap_or_default())
}
