//! How many calls one organization can have in flight.
//!
//! INVARIANT: an organization that is slow or under attack uses up its own slots and not those of
//! the others. Taking a slot never waits: with none left the call fails as `busy`, which denies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use assent_model::OrganizationId;

/// The slots of one organization, shared by all its bindings and releases.
#[derive(Clone, Debug)]
pub struct OrganizationSlots {
    organization: OrganizationId,
    free: Arc<AtomicU32>,
}

impl OrganizationSlots {
    pub(crate) fn new(organization: OrganizationId, slots: u32) -> Self {
        Self { organization, free: Arc::new(AtomicU32::new(slots)) }
    }

    /// Whose slots these are; guests see it as the request's `organization`.
    pub const fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// One slot, for as long as the answer is kept; `None` where all are taken.
    pub(crate) fn try_acquire(&self) -> Option<Slot> {
        self.free
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1))
            .is_ok()
            .then(|| Slot { free: Arc::clone(&self.free) })
    }
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    free: Arc<AtomicU32>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_when_the_call_is_over() {
        let slots = OrganizationSlots::new(OrganizationId::new("bay").unwrap(), 2);
        let first = slots.try_acquire().unwrap();
        let _second = slots.try_acquire().unwrap();
        assert!(slots.try_acquire().is_none());
        assert!(slots.clone().try_acquire().is_none());
        drop(first);
        assert!(slots.try_acquire().is_some());
    }
}
