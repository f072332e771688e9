//! Records decisions in the durable log of their organization and year.
//!
//! INVARIANT (receipt before permit): a receipt is given when the record's batch is on durable
//! storage, and not before. Whatever goes wrong on the way is a [`RecordError`], which denies.

use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use assent_audit::log::{AppendError, Status};
use assent_audit::logs::{APPEND_DEADLINE, Logs};
use assent_audit::record::{DecisionEvent, Event, Record};
use assent_audit::text::in_full;
use assent_model::{Digest, Instant, OrganizationId};

use crate::record::{Durability, Receipt, RecordError, Recorder, Recording};

/// The recorder of a service that keeps a durable log.
#[derive(Clone)]
pub struct AuditRecorder {
    logs: Arc<Logs>,
    deadline: Duration,
}

impl AuditRecorder {
    /// A recorder into these logs.
    pub const fn new(logs: Arc<Logs>) -> Self {
        Self { logs, deadline: APPEND_DEADLINE }
    }

    /// Records that something happened to an organization, or to the service on its behalf.
    ///
    /// # Errors
    /// When it could not be made durable in time. What was to happen must then not happen.
    pub async fn note(
        &self,
        organization: &OrganizationId,
        at: Instant,
        event: Event,
    ) -> Result<Receipt, RecordError> {
        self.note_in(organization, at, event).await.map(|(_, receipt)| receipt)
    }

    /// The same, with the origin of the log that has the record.
    ///
    /// # Errors
    /// As [`Self::note`].
    pub async fn note_in(
        &self,
        organization: &OrganizationId,
        at: Instant,
        event: Event,
    ) -> Result<(String, Receipt), RecordError> {
        let bytes = Record::new(at, event).encode().map_err(|error| failed(&error))?;
        let log = self.logs.log(organization, at).map_err(|error| failed(&error))?;
        let receipt = log.append(bytes, deadline(self.deadline)).await.map_err(|error| RecordError {
            may_be_kept: error.may_be_kept(),
            too_large: matches!(error, AppendError::Record(_)),
            ..failed(&error)
        })?;
        let receipt = Receipt { position: receipt.seq, record: Digest::from_bytes(receipt.leaf) };
        Ok((log.origin().to_owned(), receipt))
    }

    /// The logs.
    pub const fn logs(&self) -> &Arc<Logs> {
        &self.logs
    }
}

/// The error with its causes, as they are written for an operator. They name files and numbers,
/// never what a record says.
fn failed(error: &dyn std::error::Error) -> RecordError {
    RecordError::refused(in_full(error))
}

fn deadline(wait: Duration) -> Monotonic {
    Monotonic::now() + wait
}

impl std::fmt::Debug for AuditRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditRecorder")
    }
}

impl Recorder for AuditRecorder {
    fn record(&self, at: Instant, decision: DecisionEvent) -> Recording<'_> {
        Box::pin(async move {
            let organization = decision.organization.clone();
            self.note(&organization, at, Event::Decision(Box::new(decision))).await
        })
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    fn ready(&self) -> Result<(), RecordError> {
        for (organization, Status { failure, closed, .. }) in self.logs.status() {
            if let Some(failure) = failure {
                let reason = failed(&*failure).reason;
                return Err(RecordError::refused(format!("the log of `{organization}`: {reason}")));
            }
            if closed {
                return Err(RecordError::refused(format!("the log of `{organization}` is closed")));
            }
        }
        Ok(())
    }
}
