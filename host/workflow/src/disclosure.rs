//! A licensed professional's decision to disclose a minor's category of care, or to withhold it.
//!
//! Law asks for a person: who decided, under which licence, why, about whom and for whom. INVARIANT (to disclose
//! ends): a decision that opens something ends when the organization's limit says, at the latest. One that withholds
//! has no limit but the one that its author gives, since time alone must not open what somebody closed.

use std::collections::BTreeSet;

use assent_model::{EntityId, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::checks::{self, PATIENT, PRACTITIONER, RELATED_PERSON};
use crate::redacted::debug_by_name;
use crate::refused::{Refused, Unfit};
use crate::{Machine, Step, Verb, cedar};

/// The longest limit, in days: from birth until one is of age.
const DAYS_MAX: u64 = 18 * 366;

/// What an organization sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// How long a decision to disclose counts at most, in milliseconds; up to 18 years.
    pub expires_within_ms: u64,
    /// Roles that may withdraw a decision beside its author; may be empty.
    #[serde(default)]
    pub withdrawing_roles: Vec<String>,
}

impl Settings {
    /// What is wrong with the settings, if anything is.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn check(&self) -> Result<(), Unfit> {
        checks::length("expiresWithinMs", self.expires_within_ms, DAYS_MAX, "1 millisecond to 18 years")?;
        if self.withdrawing_roles.is_empty() {
            Ok(())
        } else {
            checks::names("withdrawingRoles", &self.withdrawing_roles)
        }
    }
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disclosure {
    /// It may be shown.
    Disclose,
    /// It must not.
    Withhold,
}

impl Disclosure {
    /// The word, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Disclose => "disclose",
            Self::Withhold => "withhold",
        }
    }
}

/// What a professional says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// About whom: a `Patient`.
    pub patient: EntityId,
    /// The category of care, such as `outpatient_mental_health`.
    pub category: String,
    /// The service within it; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// For whom: a `RelatedPerson`; none: for everybody who stands for the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<EntityId>,
    /// What is decided.
    pub disclosure: Disclosure,
    /// Who decides: a `Practitioner`.
    pub author: EntityId,
    /// Under which licence.
    pub licence: String,
    /// Why, in words.
    pub reason: String,
    /// The first moment at which it does not count any more. None: to disclose, as late as the settings allow; to
    /// withhold, not before it is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// Where a decision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It counts.
    Active,
    /// Its time is over.
    Expired,
    /// It was withdrawn.
    Withdrawn,
}

impl Status {
    /// The status, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A decision that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document")]
pub struct Decision(Document);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    id: String,
    statement: Statement,
    decided_at: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withdrawn: Option<Withdrawn>,
}

/// Who withdrew a decision.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Withdrawn {
    /// Who.
    pub by: EntityId,
    /// The role that counted, where it was not the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When.
    pub at: Instant,
}

debug_by_name!(Statement, Decision, Withdrawn);

impl Decision {
    /// A professional decides.
    ///
    /// # Errors
    /// When the settings make no sense, the statement is incomplete, or it would count too long.
    pub fn make(
        id: &str,
        mut statement: Statement,
        settings: &Settings,
        now: Instant,
    ) -> Result<Step<Self>, Refused> {
        checks::id("id", id)?;
        settings.check()?;
        checks::of_type("patient", &statement.patient, PATIENT, "a `Patient` with an id")?;
        checks::name("category", &statement.category)?;
        if let Some(service) = &statement.service {
            checks::name("service", service)?;
        }
        if let Some(recipient) = &statement.recipient {
            checks::of_type("recipient", recipient, RELATED_PERSON, "a `RelatedPerson` with an id")?;
        }
        checks::of_type("author", &statement.author, PRACTITIONER, "a `Practitioner` with an id")?;
        checks::name("licence", &statement.licence)?;
        checks::words("reason", &statement.reason)?;
        let latest = match statement.disclosure {
            Disclosure::Disclose => Some(checks::later(now, settings.expires_within_ms)),
            Disclosure::Withhold => None,
        };
        statement.expires_at = statement.expires_at.or(latest);
        let too_late = latest.is_some_and(|latest| statement.expires_at > Some(latest));
        if too_late || statement.expires_at.is_some_and(|end| end <= now) {
            let expected = "later than now, and to disclose no later than the settings allow";
            return Err(Refused::Invalid { field: "expiresAt", expected });
        }
        let document = Document { id: id.to_owned(), statement, decided_at: now, withdrawn: None };
        Ok(Step { to: Self(document), verb: Verb::Created })
    }

    /// Its author withdraws it, or somebody in one of the roles of the settings. From now on it does not count.
    ///
    /// # Errors
    /// When it does not count any more, or this person may not.
    pub fn withdraw(
        &self,
        by: EntityId,
        roles: &BTreeSet<String>,
        settings: &Settings,
        now: Instant,
    ) -> Result<Step<Self>, Refused> {
        let status = self.status(now);
        if status != Status::Active {
            let remedy = "decide anew where a decision is needed";
            return Err(Refused::State { is: status.code(), wanted: "withdrawn", remedy });
        }
        checks::someone("by", &by)?;
        let role = if by == self.0.statement.author {
            None
        } else if settings.withdrawing_roles.is_empty() {
            return Err(Refused::NotAuthor);
        } else {
            Some(checks::counting_role(&settings.withdrawing_roles, roles)?)
        };
        let mut to = self.clone();
        to.0.withdrawn = Some(Withdrawn { by, role, at: self.moment(now) });
        Ok(Step { to, verb: Verb::Ended })
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let now = self.moment(now);
        if self.0.withdrawn.is_some() {
            Status::Withdrawn
        } else if self.0.statement.expires_at.is_some_and(|end| end <= now) {
            Status::Expired
        } else {
            Status::Active
        }
    }

    /// What was said; `expires_at` is what came of it.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.0.statement
    }

    /// When.
    #[must_use]
    pub const fn decided_at(&self) -> Instant {
        self.0.decided_at
    }

    /// Who withdrew it.
    #[must_use]
    pub const fn withdrawn(&self) -> Option<&Withdrawn> {
        self.0.withdrawn.as_ref()
    }

    /// The first moment at which it does not count, where there is one: its own end, or when it was withdrawn.
    #[must_use]
    pub fn expires_at(&self) -> Option<Instant> {
        self.0.withdrawn.as_ref().map_or(self.0.statement.expires_at, |withdrawn| Some(withdrawn.at))
    }

    /// `now`, or the moment of the last step where a clock is behind it.
    fn moment(&self, now: Instant) -> Instant {
        let withdrawn = self.0.withdrawn.as_ref().map(|withdrawn| withdrawn.at);
        [Some(self.0.decided_at), withdrawn].into_iter().flatten().fold(now, Instant::max)
    }
}

/// INVARIANT (only what steps make): what is read is made again from its steps, and must come out the same.
impl TryFrom<Document> for Decision {
    type Error = Refused;

    fn try_from(read: Document) -> Result<Self, Refused> {
        // The settings that it was made under allowed no more than any settings can.
        let role = read.withdrawn.as_ref().and_then(|withdrawn| withdrawn.role.clone());
        let roles: BTreeSet<String> = role.into_iter().collect();
        let withdrawing_roles = roles.iter().cloned().collect();
        let settings = Settings { expires_within_ms: DAYS_MAX * 86_400_000, withdrawing_roles };
        let mut made = Self::make(&read.id, read.statement.clone(), &settings, read.decided_at)?.to;
        if let Some(Withdrawn { by, at, .. }) = read.withdrawn.clone() {
            made = made.withdraw(by, &roles, &settings, at)?.to;
        }
        let expected = "in the order in which things happened";
        if made.0 == read { Ok(made) } else { Err(Refused::Invalid { field: "at", expected }) }
    }
}

impl Machine for Decision {
    const SECTION: &'static str = "disclosure";
    const TYPE: &'static str = "DisclosureDecision";

    fn id(&self) -> &str {
        &self.0.id
    }

    fn patient(&self) -> Option<&EntityId> {
        Some(&self.0.statement.patient)
    }

    /// None once it is withdrawn: it is over for the next decision, whatever the clock says that it is made by.
    fn entity(&self) -> Option<Value> {
        if self.0.withdrawn.is_some() {
            return None;
        }
        let said = &self.0.statement;
        let attributes = cedar::attributes([
            ("patient", Some(cedar::reference(&said.patient))),
            ("category", Some(json!(said.category))),
            ("service", said.service.as_ref().map(|service| json!(service))),
            ("recipient", said.recipient.as_ref().map(cedar::reference)),
            ("disclosure", Some(json!(said.disclosure.code()))),
            ("author", Some(cedar::reference(&said.author))),
            ("licence", Some(json!(said.licence))),
            ("reason", Some(json!(said.reason))),
            ("decidedAt", Some(cedar::datetime(self.0.decided_at))),
            ("expiresAt", said.expires_at.map(cedar::datetime)),
        ]);
        Some(cedar::entity(Self::TYPE, &self.0.id, attributes))
    }
}

#[cfg(test)]
mod tests;
