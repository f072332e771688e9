//! The seam to the audit log: what is recorded of a decision, and the receipt for it.
//!
//! INVARIANT (receipt before permit): no answer leaves before its record has a receipt.
//! [`AuditRecorder`](crate::AuditRecorder) writes the durable log; [`MemoryRecorder`] keeps records in memory
//! and says so ([`Recorder::durability`]); readiness passes that on, so that nobody takes it for the log.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use assent_audit::record::{DecisionEvent, Event, Record};
use assent_model::{Digest, Instant};
use serde::Serialize;

/// Where a record is, once it is safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The position in the log, from 0.
    pub position: u64,
    /// The digest of the record as stored.
    pub record: Digest,
}

/// Why a record could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log could not take the record: {reason}")]
pub struct RecordError {
    /// What is wrong with the log.
    pub reason: String,
    /// Whether the record may be on the log, or come there, all the same.
    pub may_be_kept: bool,
    /// Whether it is too large for any log.
    pub too_large: bool,
}

impl RecordError {
    /// The log took nothing, for this reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), may_be_kept: false, too_large: false }
    }
}

/// How safe a record is once there is a receipt for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Lost when the process ends.
    Memory,
    /// On durable storage.
    Durable,
}

/// The future of a receipt.
pub type Recording<'a> = Pin<Box<dyn Future<Output = Result<Receipt, RecordError>> + Send + 'a>>;

/// Takes records and gives receipts.
pub trait Recorder: Send + Sync + std::fmt::Debug {
    /// Keeps the record of a decision made `at` that moment. Ready when it is as safe as [`Recorder::durability`] says.
    ///
    /// # Errors
    /// When it could not be kept. The decision is then denied.
    fn record(&self, at: Instant, decision: DecisionEvent) -> Recording<'_>;

    /// How safe records are here.
    fn durability(&self) -> Durability;

    /// Whether records can be taken now.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self) -> Result<(), RecordError>;
}

/// Keeps the newest records in memory.
#[derive(Debug)]
pub struct MemoryRecorder {
    state: Mutex<MemoryLog>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct MemoryLog {
    next_position: u64,
    records: VecDeque<DecisionEvent>,
}

impl MemoryRecorder {
    /// A recorder that keeps that many records and forgets the oldest beyond.
    pub fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), capacity }
    }

    /// The records kept, oldest first.
    pub fn records(&self) -> Vec<DecisionEvent> {
        self.lock().records.iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, MemoryLog> {
        // Each step below leaves the log whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for MemoryRecorder {
    fn record(&self, at: Instant, decision: DecisionEvent) -> Recording<'_> {
        Box::pin(async move {
            let record = Record::new(at, Event::Decision(Box::new(decision)));
            let bytes = record.encode().map_err(|e| RecordError::refused(e.to_string()))?;
            let Event::Decision(decision) = record.event else {
                return Err(RecordError::refused("not a decision"));
            };
            let mut log = self.lock();
            let position = log.next_position;
            log.next_position += 1;
            log.records.push_back(*decision);
            if log.records.len() > self.capacity {
                log.records.pop_front();
            }
            Ok(Receipt { position, record: Digest::of(&bytes) })
        })
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn ready(&self) -> Result<(), RecordError> {
        Ok(())
    }
}
