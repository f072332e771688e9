//! An approval: somebody asks, others answer, and what they agree on can be done so often and for so long.
//!
//! The shape is that of the AuthZEN Access Request and Approval Profile (draft): a request with a status to ask
//! for, and a new evaluation once it is approved, since an approval is a fact and no permit. INVARIANT (never
//! alone): it is approved by as many different people as the rule says, each in one of its roles, never by whoever
//! asked. INVARIANT (an approval ends): by time, by use, by whoever asked or by whoever may approve; and what has
//! ended stays so.

mod rule;

use std::collections::BTreeSet;

use assent_model::{DecisionId, EntityId, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::checks::{self, PRACTITIONER};
use crate::redacted::debug_by_name;
use crate::refused::Refused;
use crate::{Machine, Step, Verb, cedar};

pub use rule::Rule;

const A_PRACTITIONER: &str = "a `Practitioner`, as approvals are of members of the workforce";

/// What somebody asks for, and what the approval is bound to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// Who asks: a `Practitioner`.
    pub requester: EntityId,
    /// The kind of approval: that of the rule.
    pub kind: String,
    /// The action; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The purpose of use; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// The digest or id of the data.
    pub data_set: String,
    /// The most records; none: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_records: Option<u64>,
    /// Why, in words.
    pub justification: String,
}

impl Ask {
    fn check(&self) -> Result<(), Refused> {
        checks::of_type("requester", &self.requester, PRACTITIONER, A_PRACTITIONER)?;
        checks::name("kind", &self.kind)?;
        for (field, text) in [("action", &self.action), ("purpose", &self.purpose)] {
            if !text.is_empty() {
                checks::name(field, text)?;
            }
        }
        checks::id("dataSet", &self.data_set)?;
        // Cedar's numbers end there.
        if self.max_records.is_some_and(|records| i64::try_from(records).is_err()) {
            return Err(Refused::Invalid { field: "maxRecords", expected: "at most 9223372036854775807" });
        }
        checks::words("justification", &self.justification)
    }
}

/// An answer to the question.
pub struct Answer<'a> {
    /// Who answers: a `Practitioner`.
    pub who: EntityId,
    /// The roles that this person has.
    pub roles: &'a BTreeSet<String>,
    /// Whether they approve.
    pub approves: bool,
    /// What they say to it.
    pub comment: Option<String>,
}

/// What somebody is about to do, to be held against an approval.
pub struct Use<'a> {
    /// Who.
    pub requester: &'a EntityId,
    /// The kind of approval that it takes.
    pub kind: &'a str,
    /// The action.
    pub action: &'a str,
    /// The purpose of use, where it is stated.
    pub purpose: Option<&'a str>,
    /// The digest or id of the data.
    pub data_set: &'a str,
    /// How many records, where it is known.
    pub records: Option<u64>,
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It waits for answers.
    Pending,
    /// Enough people approved; it can be used.
    Approved,
    /// Somebody refused.
    Refused,
    /// Whoever asked took it back.
    Withdrawn,
    /// Somebody in an approving role took it back.
    Revoked,
    /// Nobody answered in time, or it has lasted as long as it may.
    Expired,
    /// It was used as often as it may be.
    Spent,
}

impl Status {
    /// The status, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Spent => "spent",
        }
    }

    /// The status of the task in the words of the AuthZEN profile. What is over must not be taken for approved.
    #[must_use]
    pub const fn task_status(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Refused => "denied",
            Self::Withdrawn | Self::Revoked => "cancelled",
            Self::Expired | Self::Spent => "expired",
        }
    }
}

/// An approval that was asked for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document")]
pub struct Approval(Document);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    id: String,
    rule: Rule,
    ask: Ask,
    requested_at: Instant,
    answers: Vec<Answered>,
    uses: Vec<Used>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withdrawn_at: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<Revoked>,
}

/// An answer that was given.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answered {
    /// Who answered.
    pub who: EntityId,
    /// The role that counted.
    pub role: String,
    /// Whether they approved.
    pub approves: bool,
    /// What they said to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When.
    pub at: Instant,
}

/// A use of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Used {
    /// The decision that used it.
    pub decision: DecisionId,
    /// When.
    pub at: Instant,
}

/// Who took an approval back, in which role, and why.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revoked {
    /// Who.
    pub by: EntityId,
    /// The role that counted.
    pub role: String,
    /// Why.
    pub comment: String,
    /// When.
    pub at: Instant,
}

debug_by_name!(Ask, Answer<'_>, Use<'_>, Approval, Answered, Revoked);

impl Approval {
    /// Somebody asks. The rule is kept: changing it later changes nothing for this approval.
    ///
    /// # Errors
    /// When the rule makes no sense or is of another kind, or the ask is incomplete.
    pub fn request(id: &str, rule: &Rule, ask: Ask, now: Instant) -> Result<Step<Self>, Refused> {
        checks::id("id", id)?;
        rule.check()?;
        ask.check()?;
        if rule.kind != ask.kind {
            return Err(Refused::Invalid { field: "kind", expected: "that of the rule it is asked under" });
        }
        let document = Document {
            id: id.to_owned(),
            rule: rule.clone(),
            ask,
            requested_at: now,
            answers: vec![],
            uses: vec![],
            withdrawn_at: None,
            revoked: None,
        };
        Ok(Step { to: Self(document), verb: Verb::Created })
    }

    /// Somebody answers. One refusal refuses; the quorum approves.
    ///
    /// # Errors
    /// When it is not pending any more, or this person may not answer or has done so.
    pub fn answer(&self, answer: Answer<'_>, now: Instant) -> Result<Step<Self>, Refused> {
        let Answer { who, roles, approves, comment } = answer;
        self.require(&[Status::Pending], "answered", now)?;
        checks::of_type("who", &who, PRACTITIONER, A_PRACTITIONER)?;
        checks::optional_words("comment", comment.as_deref())?;
        if who == self.0.ask.requester {
            return Err(Refused::OwnRequest);
        }
        if self.0.answers.iter().any(|given| given.who == who) {
            return Err(Refused::Answered);
        }
        let role = checks::counting_role(&self.0.rule.roles, roles)?;
        let at = self.moment(now);
        let verb = |next: &Self| match (approves, next.approved_at()) {
            (false, _) => Verb::Ended,
            (true, Some(_)) => Verb::Activated,
            (true, None) => Verb::Updated,
        };
        Ok(self.stepped(verb, |next| next.answers.push(Answered { who, role, approves, comment, at })))
    }

    /// Whoever asked takes it back; also once it is approved.
    ///
    /// # Errors
    /// When it is over, or somebody else tries.
    pub fn withdraw(&self, by: &EntityId, now: Instant) -> Result<Step<Self>, Refused> {
        self.require(&[Status::Pending, Status::Approved], "withdrawn", now)?;
        if *by != self.0.ask.requester {
            return Err(Refused::NotRequester);
        }
        let at = self.moment(now);
        Ok(self.stepped(|_| Verb::Ended, |next| next.withdrawn_at = Some(at)))
    }

    /// Somebody in an approving role takes it back; also before it is approved, since nobody answers twice.
    ///
    /// # Errors
    /// When it is over, or the person has none of the roles.
    pub fn revoke(
        &self,
        by: EntityId,
        roles: &BTreeSet<String>,
        comment: String,
        now: Instant,
    ) -> Result<Step<Self>, Refused> {
        self.require(&[Status::Pending, Status::Approved], "revoked", now)?;
        checks::someone("by", &by)?;
        checks::words("comment", &comment)?;
        let role = checks::counting_role(&self.0.rule.roles, roles)?;
        let at = self.moment(now);
        Ok(self.stepped(|_| Verb::Ended, |next| next.revoked = Some(Revoked { by, role, comment, at })))
    }

    /// Counts a decision as a use. Whether the approval covers it is for [`Self::covers`] to say.
    ///
    /// # Errors
    /// When it cannot be used now, or this decision is counted.
    pub fn spend(&self, decision: DecisionId, now: Instant) -> Result<Step<Self>, Refused> {
        if self.0.uses.iter().any(|used| used.decision == decision) {
            return Err(Refused::Counted);
        }
        self.require(&[Status::Approved], "used", now)?;
        checks::id("decision", decision.as_str())?;
        let at = self.moment(now);
        let verb = |next: &Self| if next.uses_left() == 0 { Verb::Ended } else { Verb::Updated };
        Ok(self.stepped(verb, |next| next.uses.push(Used { decision, at })))
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let now = self.moment(now);
        if let Some(over) = self.ended_by() {
            return over;
        }
        match self.approved_at() {
            Some(_) if now >= self.expires_at() => Status::Expired,
            Some(_) => Status::Approved,
            None if now >= self.expires_at() => Status::Expired,
            None => Status::Pending,
        }
    }

    /// Whether it is for this: the same person, kind and data, the action and purpose if it names them, and no more
    /// records. Whether it can be used now is for [`Self::status`] to say.
    #[must_use]
    pub fn covers(&self, wanted: &Use<'_>) -> bool {
        let ask = &self.0.ask;
        let named = |name: &str, wanted: Option<&str>| name.is_empty() || wanted == Some(name);
        ask.requester == *wanted.requester
            && ask.kind == wanted.kind
            && named(&ask.action, Some(wanted.action))
            && named(&ask.purpose, wanted.purpose)
            && ask.data_set == wanted.data_set
            && ask.max_records.is_none_or(|most| wanted.records.is_some_and(|records| records <= most))
    }

    /// What was asked for.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.0.ask
    }

    /// The rule it was asked under.
    #[must_use]
    pub const fn rule(&self) -> &Rule {
        &self.0.rule
    }

    /// When it was asked for.
    #[must_use]
    pub const fn requested_at(&self) -> Instant {
        self.0.requested_at
    }

    /// The answers so far.
    #[must_use]
    pub fn answers(&self) -> &[Answered] {
        &self.0.answers
    }

    /// The uses so far.
    #[must_use]
    pub fn uses(&self) -> &[Used] {
        &self.0.uses
    }

    /// When whoever asked took it back.
    #[must_use]
    pub const fn withdrawn_at(&self) -> Option<Instant> {
        self.0.withdrawn_at
    }

    /// Who else took it back.
    #[must_use]
    pub const fn revoked(&self) -> Option<&Revoked> {
        self.0.revoked.as_ref()
    }

    /// When enough people had approved.
    #[must_use]
    pub fn approved_at(&self) -> Option<Instant> {
        let last = usize::try_from(self.0.rule.quorum).ok()?.checked_sub(1)?;
        self.approvers().nth(last).map(|answer| answer.at)
    }

    /// The first moment at which it is over: for an answer while it is pending, then for use.
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        match self.approved_at() {
            Some(at) => checks::later(at, self.0.rule.lasts_ms),
            None => checks::later(self.0.requested_at, self.0.rule.answer_within_ms),
        }
    }

    /// How often it can still be used, if and as long as it is approved. What has ended has no use left.
    #[must_use]
    pub fn uses_left(&self) -> u32 {
        let used = u32::try_from(self.0.uses.len()).unwrap_or(u32::MAX);
        let over = self.0.withdrawn_at.is_some() || self.0.revoked.is_some() || self.is_refused();
        if over { 0 } else { self.0.rule.uses.saturating_sub(used) }
    }

    fn approvers(&self) -> impl Iterator<Item = &Answered> {
        self.0.answers.iter().filter(|answer| answer.approves)
    }

    fn is_refused(&self) -> bool {
        self.0.answers.iter().any(|answer| !answer.approves)
    }

    /// What ended it, other than time.
    fn ended_by(&self) -> Option<Status> {
        if self.0.withdrawn_at.is_some() {
            Some(Status::Withdrawn)
        } else if self.0.revoked.is_some() {
            Some(Status::Revoked)
        } else if self.is_refused() {
            Some(Status::Refused)
        } else if self.uses_left() == 0 {
            Some(Status::Spent)
        } else {
            None
        }
    }

    /// `now`, or the moment of the last step where a clock is behind it.
    fn moment(&self, now: Instant) -> Instant {
        let answered = self.0.answers.last().map(|answer| answer.at);
        let used = self.0.uses.last().map(|used| used.at);
        let revoked = self.0.revoked.as_ref().map(|revoked| revoked.at);
        let steps = [Some(self.0.requested_at), answered, used, self.0.withdrawn_at, revoked];
        steps.into_iter().flatten().fold(now, Instant::max)
    }

    fn require(&self, in_one_of: &[Status], wanted: &'static str, now: Instant) -> Result<(), Refused> {
        let status = self.status(now);
        if in_one_of.contains(&status) {
            return Ok(());
        }
        let remedy =
            if status == Status::Pending { "wait until others have approved it" } else { "ask anew" };
        Err(Refused::State { is: status.code(), wanted, remedy })
    }

    fn stepped(&self, verb: impl FnOnce(&Self) -> Verb, change: impl FnOnce(&mut Document)) -> Step<Self> {
        let mut to = self.clone();
        change(&mut to.0);
        Step { verb: verb(&to), to }
    }
}

/// INVARIANT (only what steps make): what is read is made again from its steps, and must come out the same.
impl TryFrom<Document> for Approval {
    type Error = Refused;

    fn try_from(read: Document) -> Result<Self, Refused> {
        let mut made = Self::request(&read.id, &read.rule, read.ask.clone(), read.requested_at)?.to;
        for Answered { who, role, approves, comment, at } in read.answers.iter().cloned() {
            let answer = Answer { who, roles: &BTreeSet::from([role]), approves, comment };
            made = made.answer(answer, at)?.to;
        }
        for Used { decision, at } in read.uses.iter().cloned() {
            made = made.spend(decision, at)?.to;
        }
        if let Some(at) = read.withdrawn_at {
            made = made.withdraw(&read.ask.requester, at)?.to;
        }
        if let Some(Revoked { by, role, comment, at }) = read.revoked.clone() {
            made = made.revoke(by, &BTreeSet::from([role]), comment, at)?.to;
        }
        let expected = "in the order in which things happened";
        if made.0 == read { Ok(made) } else { Err(Refused::Invalid { field: "at", expected }) }
    }
}

impl Machine for Approval {
    const SECTION: &'static str = "approval";
    const TYPE: &'static str = "Approval";

    fn id(&self) -> &str {
        &self.0.id
    }

    /// An approval is bound to data, which can be of many.
    fn patient(&self) -> Option<&EntityId> {
        None
    }

    /// The schema knows fewer words: what was revoked is `withdrawn`. Nothing is written when time runs out, so that
    /// a pending or approved one carries its end, after which readers take it for expired.
    fn entity(&self) -> Option<Value> {
        let status = match self.ended_by() {
            Some(Status::Refused) => Status::Refused,
            Some(Status::Spent) => Status::Spent,
            Some(_) => Status::Withdrawn,
            None if self.approved_at().is_some() => Status::Approved,
            None => Status::Pending,
        };
        let approver = |answer: &Answered| json!({"who": cedar::reference(&answer.who), "role": answer.role, "at": cedar::datetime(answer.at)});
        let ask = &self.0.ask;
        let unless_any = |text: &str| (!text.is_empty()).then(|| json!(text));
        let attributes = cedar::attributes([
            ("requester", Some(cedar::reference(&ask.requester))),
            ("kind", Some(json!(ask.kind))),
            ("status", Some(json!(status.code()))),
            ("approvers", Some(self.approvers().map(approver).collect())),
            ("dataSet", Some(json!(ask.data_set))),
            ("action", unless_any(&ask.action)),
            ("purpose", unless_any(&ask.purpose)),
            ("maxRecords", ask.max_records.map(|records| json!(records))),
            ("requestedAt", Some(cedar::datetime(self.0.requested_at))),
            ("expiresAt", Some(cedar::datetime(self.expires_at()))),
            ("usesLeft", Some(json!(self.uses_left()))),
        ]);
        Some(cedar::entity(Self::TYPE, &self.0.id, attributes))
    }
}

#[cfg(test)]
mod tests;
