//! A recorded decision, made again for an auditor: whether it came out the same, and what differs if not.
//!
//! The answer holds digests, codes and places, and nothing of what was asked or decided: who may read the
//! record reads it there. Why an archive cannot be built is for the operator, since it may quote its files.

use assent_audit::record::AuditUse;
use assent_engine::Replayed;
use assent_engine::replay::Alarm;
use assent_model::Digest;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::archive::Again;
use super::{Asking, Wanted};
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, json_reply};

/// What came of it, as it is answered.
#[derive(Serialize)]
struct Answer {
    place: String,
    log: String,
    /// The decision's id.
    id: String,
    release: Digest,
    facts: Digest,
    /// `log`: the release was built again of what the log archived; `service`: the release that decides now is
    /// the one that decided then.
    built_from: &'static str,
    /// `same`, `alarm` or `not-tried`.
    replay: &'static str,
    /// What differs, or why it was not tried, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Of what differs: the digest as it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Digest>,
    /// And as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<Digest>,
}

impl Asking<'_> {
    /// INVARIANT (receipt before permit): that it was made again is a record before anything of it is answered.
    pub(super) async fn replay(&self, wanted: Wanted) -> Result<Response, Refusal> {
        let put = wanted.as_query("replay");
        let found = self.archive.read(move |shelf| wanted.look_up(shelf)).await?;
        let patient = found.as_ref().and_then(|found| found.record.event.patient().cloned());
        let (place, record, decision) = match found {
            None => {
                self.note(AuditUse::Replay, patient, put, 0).await?;
                return Err(Refusal::NoRecord);
            }
            Some(found) => match found.record.decision().cloned() {
                None => {
                    self.note(AuditUse::Replay, patient, put, 1).await?;
                    return Err(Refusal::NotADecision);
                }
                Some(decision) => (found.place, found.record, decision),
            },
        };
        let again = self.archive.replay(place, record, self.present.clone()).await?;
        self.note(AuditUse::Replay, patient, put, 1).await?;
        let Again { replayed, from_log } = again;
        let mut answer = Answer {
            place: place.to_string(),
            log: self.archive.shelf().log(place.year),
            id: decision.id.to_string(),
            release: decision.release,
            facts: decision.facts.snapshot,
            built_from: if from_log { "log" } else { "service" },
            replay: "same",
            code: None,
            message: None,
            recorded: None,
            again: None,
        };
        match replayed {
            Replayed::Same => {}
            Replayed::NotTried(why) => {
                (answer.replay, answer.code, answer.message) =
                    ("not-tried", Some(why.code()), Some(why.to_string()));
            }
            Replayed::Alarm(alarm) => {
                (answer.replay, answer.code, answer.message) =
                    ("alarm", Some(alarm.code()), Some(alarm.to_string()));
                if let Alarm::Decision { recorded, again }
                | Alarm::Release { recorded, built: again, .. }
                | Alarm::Facts { recorded, built: again, .. } = alarm
                {
                    (answer.recorded, answer.again) = (Some(recorded), Some(again));
                }
            }
        }
        Ok(json_reply(StatusCode::OK, NO_STORE, &answer))
    }
}
