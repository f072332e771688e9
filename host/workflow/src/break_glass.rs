//! An emergency: a practitioner declares it for one patient, is let in for a while, and somebody looks at it after.
//!
//! It opens nothing by itself: it is a relation that policies may ask for. INVARIANT (an emergency ends): at the
//! latest when its time is over, whatever else happens; nothing makes it longer. INVARIANT (everybody is looked
//! at): a review is due from the declaration on, is never closed by whoever declared it, and once escalated stays
//! so until somebody has reviewed it. Uses are decisions, which are in the audit log.
//! Sources: 45 CFR 164.312(a)(2)(ii); 42 CFR 2.51.

use assent_model::{EntityId, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::checks::{self, PATIENT, PRACTITIONER, TEXT_CHARS_MAX};
use crate::redacted::debug_by_name;
use crate::refused::{Refused, Unfit};
use crate::{Machine, Step, Verb, cedar};

/// The longest emergency, in days: who needs the record for longer has a relationship to record.
const DAYS_MAX: u64 = 7;
/// The longest that a review may wait, and then wait again, in days.
const REVIEW_DAYS_MAX: u64 = 60;

/// What an organization sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The reasons that can be given; those of the policies.
    pub reasons: Vec<String>,
    /// How long the justification must be, in characters; 1 to 4000.
    pub justification_min: u32,
    /// How long an emergency lasts, in milliseconds; up to 7 days.
    pub lasts_ms: u64,
    /// When it is to be reviewed, in milliseconds from the declaration; up to 60 days.
    pub review_within_ms: u64,
    /// When an overdue review is escalated, in milliseconds from then; up to 60 days.
    pub escalate_after_ms: u64,
}

impl Settings {
    /// What is wrong with the settings, if anything is.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), Unfit> {
        const REVIEW: &str = "1 millisecond to 60 days";
        checks::names("reasons", &self.reasons)?;
        if self.justification_min == 0 || self.justification_min as usize > TEXT_CHARS_MAX {
            return Err(Unfit { setting: "justificationMin", expected: "1 to 4000 characters" });
        }
        checks::length("lastsMs", self.lasts_ms, DAYS_MAX, "1 millisecond to 7 days")?;
        checks::length("reviewWithinMs", self.review_within_ms, REVIEW_DAYS_MAX, REVIEW)?;
        checks::length("escalateAfterMs", self.escalate_after_ms, REVIEW_DAYS_MAX, REVIEW)
    }
}

/// What a practitioner declares.
#[derive(Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Who declares: a `Practitioner`.
    pub practitioner: EntityId,
    /// Whose emergency it is: a `Patient`.
    pub patient: EntityId,
    /// One of the reasons of the settings.
    pub reason: String,
    /// Why, in words.
    pub justification: String,
}

/// What somebody found who looked at it.
#[derive(Clone, PartialEq, Eq)]
pub struct Finding {
    /// Who looked; never who declared it. Who else may is for the caller to say.
    pub by: EntityId,
    /// What they found.
    pub outcome: Outcome,
    /// What they say to it; required unless it was justified.
    pub comment: Option<String>,
}

/// What a review found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There was reason for it.
    Justified,
    /// There was none: it ends where it is still active.
    Unjustified,
    /// It cannot be told; what follows is for people to say.
    Unclear,
}

/// Where an emergency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It counts.
    Active,
    /// Somebody ended it before its time.
    Ended,
    /// Its time is over.
    Expired,
}

impl Status {
    /// The status, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Expired => "expired",
        }
    }
}

/// Where its review stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReviewState {
    /// It waits, and there is time.
    Open,
    /// It should have been done.
    Overdue,
    /// It should have been done so long ago that others must know.
    Escalated,
    /// It was done.
    Closed,
}

impl ReviewState {
    /// The state, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Overdue => "overdue",
            Self::Escalated => "escalated",
            Self::Closed => "closed",
        }
    }
}

/// An emergency that was declared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document")]
pub struct Emergency(Document);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    id: String,
    practitioner: EntityId,
    patient: EntityId,
    reason: String,
    justification: String,
    declared_at: Instant,
    terms: Terms,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    review: Option<Review>,
}

/// What of the settings counts for an emergency once it is declared.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Terms {
    lasts_ms: u64,
    review_within_ms: u64,
    escalate_after_ms: u64,
}

/// Who ended an emergency before its time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ended {
    /// Who.
    pub by: EntityId,
    /// When.
    pub at: Instant,
}

/// A review.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// Who looked.
    pub by: EntityId,
    /// What they found.
    pub outcome: Outcome,
    /// What they said to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When.
    pub at: Instant,
}

debug_by_name!(Declaration, Finding, Emergency, Ended, Review);

impl Emergency {
    /// A practitioner declares an emergency, which is active at once.
    ///
    /// # Errors
    /// When the settings make no sense, or the declaration is incomplete.
    pub fn declare(
        id: &str,
        declaration: Declaration,
        settings: &Settings,
        now: Instant,
    ) -> Result<Step<Self>, Refused> {
        let Declaration { practitioner, patient, reason, justification } = declaration;
        checks::id("id", id)?;
        settings.check()?;
        checks::of_type("practitioner", &practitioner, PRACTITIONER, "a `Practitioner` with an id")?;
        checks::of_type("patient", &patient, PATIENT, "a `Patient` with an id")?;
        if !settings.reasons.contains(&reason) {
            return Err(Refused::Invalid { field: "reason", expected: "one of the reasons of the settings" });
        }
        checks::words("justification", &justification)?;
        if justification.trim().chars().count() < settings.justification_min as usize {
            return Err(Refused::JustificationShort { chars: settings.justification_min });
        }
        let terms = Terms {
            lasts_ms: settings.lasts_ms,
            review_within_ms: settings.review_within_ms,
            escalate_after_ms: settings.escalate_after_ms,
        };
        let document = Document {
            id: id.to_owned(),
            practitioner,
            patient,
            reason,
            justification,
            declared_at: now,
            terms,
            ended: None,
            review: None,
        };
        Ok(Step { to: Self(document), verb: Verb::Created })
    }

    /// Ends it before its time; whoever does it.
    ///
    /// # Errors
    /// When it is over.
    pub fn end(&self, by: EntityId, now: Instant) -> Result<Step<Self>, Refused> {
        let status = self.status(now);
        if status != Status::Active {
            let remedy = "declare another where one is needed";
            return Err(Refused::State { is: status.code(), wanted: "ended", remedy });
        }
        checks::someone("by", &by)?;
        let mut to = self.clone();
        to.0.ended = Some(Ended { by, at: self.moment(now) });
        Ok(Step { to, verb: Verb::Ended })
    }

    /// Somebody has looked at it, perhaps while it is active, which ends it if it was unjustified.
    ///
    /// # Errors
    /// When it was reviewed, by whoever declared it, or without a comment where one is required.
    pub fn review(&self, finding: Finding, now: Instant) -> Result<Step<Self>, Refused> {
        let Finding { by, outcome, comment } = finding;
        if self.0.review.is_some() {
            return Err(Refused::Reviewed);
        }
        checks::someone("by", &by)?;
        if by == self.0.practitioner {
            return Err(Refused::OwnEmergency);
        }
        match (&comment, outcome) {
            (None, Outcome::Justified) => {}
            (None, Outcome::Unjustified | Outcome::Unclear) => checks::words("comment", "")?,
            (Some(comment), _) => checks::words("comment", comment)?,
        }
        let at = self.moment(now);
        let mut to = self.clone();
        if outcome == Outcome::Unjustified && self.status(now) == Status::Active {
            to.0.ended = Some(Ended { by: by.clone(), at });
        }
        to.0.review = Some(Review { by, outcome, comment, at });
        Ok(Step { to, verb: Verb::Reviewed })
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        if self.0.ended.is_some() {
            Status::Ended
        } else if self.moment(now) < self.lasts_until() {
            Status::Active
        } else {
            Status::Expired
        }
    }

    /// Where its review stands.
    #[must_use]
    pub fn review_state(&self, now: Instant) -> ReviewState {
        let now = self.moment(now);
        if self.0.review.is_some() {
            ReviewState::Closed
        } else if now < self.review_due() {
            ReviewState::Open
        } else if now < self.escalates_at() {
            ReviewState::Overdue
        } else {
            ReviewState::Escalated
        }
    }

    /// Who declared it.
    #[must_use]
    pub const fn practitioner(&self) -> &EntityId {
        &self.0.practitioner
    }

    /// The reason, of the list.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Why, in words.
    #[must_use]
    pub fn justification(&self) -> &str {
        &self.0.justification
    }

    /// When it was declared.
    #[must_use]
    pub const fn declared_at(&self) -> Instant {
        self.0.declared_at
    }

    /// The first moment at which its time is over.
    #[must_use]
    pub fn lasts_until(&self) -> Instant {
        checks::later(self.0.declared_at, self.0.terms.lasts_ms)
    }

    /// The first moment at which the review is overdue.
    #[must_use]
    pub fn review_due(&self) -> Instant {
        checks::later(self.0.declared_at, self.0.terms.review_within_ms)
    }

    /// The first moment at which the review is escalated.
    #[must_use]
    pub fn escalates_at(&self) -> Instant {
        checks::later(self.review_due(), self.0.terms.escalate_after_ms)
    }

    /// Who ended it before its time.
    #[must_use]
    pub const fn ended(&self) -> Option<&Ended> {
        self.0.ended.as_ref()
    }

    /// The review that closed it.
    #[must_use]
    pub const fn reviewed(&self) -> Option<&Review> {
        self.0.review.as_ref()
    }

    /// `now`, or the moment of the last step where a clock is behind it.
    fn moment(&self, now: Instant) -> Instant {
        let ended = self.0.ended.as_ref().map(|ended| ended.at);
        let reviewed = self.0.review.as_ref().map(|review| review.at);
        [Some(self.0.declared_at), ended, reviewed].into_iter().flatten().fold(now, Instant::max)
    }
}

/// INVARIANT (only what steps make): what is read is made again from its steps, and must come out the same.
impl TryFrom<Document> for Emergency {
    type Error = Refused;

    fn try_from(read: Document) -> Result<Self, Refused> {
        let Document { id, practitioner, patient, reason, justification, terms, .. } = read.clone();
        let settings = Settings {
            reasons: vec![reason.clone()],
            justification_min: 1,
            lasts_ms: terms.lasts_ms,
            review_within_ms: terms.review_within_ms,
            escalate_after_ms: terms.escalate_after_ms,
        };
        let declaration = Declaration { practitioner, patient, reason, justification };
        let mut made = Self::declare(&id, declaration, &settings, read.declared_at)?.to;
        // The end came first, or with the review; else a review came before it that let it go on.
        let reviewed_first = match (&read.ended, &read.review) {
            (Some(ended), Some(review)) => review.at < ended.at,
            _ => false,
        };
        let end = |made: Self| match read.ended.clone() {
            Some(Ended { by, at }) => made.end(by, at).map(|step| step.to),
            None => Ok(made),
        };
        if !reviewed_first {
            made = end(made)?;
        }
        if let Some(Review { by, outcome, comment, at }) = read.review.clone() {
            made = made.review(Finding { by, outcome, comment }, at)?.to;
        }
        if reviewed_first {
            made = end(made)?;
        }
        let expected = "in the order in which things happened";
        if made.0 == read { Ok(made) } else { Err(Refused::Invalid { field: "at", expected }) }
    }
}

impl Machine for Emergency {
    const SECTION: &'static str = "break-glass";
    const TYPE: &'static str = "EmergencyAccess";

    fn id(&self) -> &str {
        &self.0.id
    }

    fn patient(&self) -> Option<&EntityId> {
        Some(&self.0.patient)
    }

    /// None once somebody has ended it: it is over for the next decision, whatever the clock says that it is made by.
    /// When its time is over, the relation does not hold any more, though it is still stored.
    fn entity(&self) -> Option<Value> {
        if self.0.ended.is_some() {
            return None;
        }
        let attributes = cedar::attributes([
            ("practitioner", Some(cedar::reference(&self.0.practitioner))),
            ("patient", Some(cedar::reference(&self.0.patient))),
            ("reason", Some(json!(self.0.reason))),
            ("start", Some(cedar::datetime(self.0.declared_at))),
            ("end", Some(cedar::datetime(self.lasts_until()))),
        ]);
        Some(cedar::entity(Self::TYPE, &self.0.id, attributes))
    }
}

#[cfg(test)]
mod tests;
