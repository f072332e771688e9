//! A hold: quarantine at once, by one person; release by two.
//!
//! A hold counts from the moment it is stored, and by nothing but its document: it needs no time and no entity of
//! its own. INVARIANT (a hold holds until two agreed): a proposed release changes nothing, and whoever proposed it
//! cannot confirm it. To keep something held is the safe direction, so anybody may take a proposal back.

use assent_model::{EntityId, Instant};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checks::{self, PATIENT, PRACTITIONER, RELATED_PERSON};
use crate::redacted::debug_by_name;
use crate::refused::Refused;
use crate::{Machine, Step, Verb};

/// Types of entities that act, that others act through, or whose people act; the same that the base schema lets be
/// `quarantined`. The engine holds them against every question, so a hold on another would hold nothing.
pub const ENTITY_TYPES: [&str; 5] = ["Application", "Organization", PATIENT, PRACTITIONER, RELATED_PERSON];

/// What is held.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A subject, an application, another organization: one of [`ENTITY_TYPES`].
    Entity(EntityId),
    /// A caller of the service, by its id.
    Caller(String),
    /// A plugin, by the id of its binding.
    Plugin(String),
    /// Everything in this organization.
    Organization,
}

impl Target {
    /// What kind of thing it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Entity(_) => "entity",
            Self::Caller(_) => "caller",
            Self::Plugin(_) => "plugin",
            Self::Organization => "organization",
        }
    }

    fn check(&self) -> Result<(), Refused> {
        const KINDS: &str =
            "an `Application`, `Organization`, `Patient`, `Practitioner` or `RelatedPerson` with an id";
        match self {
            Self::Entity(entity) if !ENTITY_TYPES.contains(&entity.kind.as_str()) => {
                Err(Refused::Invalid { field: "target", expected: KINDS })
            }
            Self::Entity(entity) => checks::someone("target", entity),
            Self::Caller(id) | Self::Plugin(id) => checks::id("target", id),
            Self::Organization => Ok(()),
        }
    }
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It holds.
    Active,
    /// It holds, and somebody proposes to release it.
    ReleaseProposed,
    /// It does not hold any more.
    Released,
}

impl Status {
    /// The status, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReleaseProposed => "release-proposed",
            Self::Released => "released",
        }
    }
}

/// A hold that was placed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document")]
pub struct Hold(Document);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    id: String,
    target: Target,
    reason: String,
    placed_by: EntityId,
    placed_at: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposal: Option<Proposal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<Release>,
}

/// A release that somebody proposes, or proposed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proposal {
    /// Who.
    pub by: EntityId,
    /// Why it may be released.
    pub comment: String,
    /// When.
    pub at: Instant,
}

/// A release that was confirmed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// Who confirmed it.
    pub by: EntityId,
    /// When.
    pub at: Instant,
}

/// INVARIANT (no patient in logs): the kind is printed.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.kind())
    }
}

debug_by_name!(Hold, Proposal, Release);

impl Hold {
    /// Places a hold.
    ///
    /// # Errors
    /// When the target cannot be held, or it is not said why.
    pub fn place(
        id: &str,
        target: Target,
        reason: String,
        by: EntityId,
        now: Instant,
    ) -> Result<Step<Self>, Refused> {
        checks::id("id", id)?;
        target.check()?;
        checks::words("reason", &reason)?;
        checks::someone("by", &by)?;
        let document = Document {
            id: id.to_owned(),
            target,
            reason,
            placed_by: by,
            placed_at: now,
            proposal: None,
            release: None,
        };
        Ok(Step { to: Self(document), verb: Verb::Created })
    }

    /// Somebody proposes to release it. It still holds.
    ///
    /// # Errors
    /// When it is released, or a release is proposed.
    pub fn propose_release(
        &self,
        by: EntityId,
        comment: String,
        now: Instant,
    ) -> Result<Step<Self>, Refused> {
        self.require_held("proposed for release")?;
        if self.0.proposal.is_some() {
            return Err(Refused::Proposed);
        }
        checks::someone("by", &by)?;
        checks::words("comment", &comment)?;
        let proposal = Proposal { by, comment, at: self.moment(now) };
        Ok(self.stepped(Verb::Updated, |next| next.proposal = Some(proposal)))
    }

    /// Takes the proposal back; whoever does it.
    ///
    /// # Errors
    /// When none is open.
    pub fn take_back(&self) -> Result<Step<Self>, Refused> {
        self.require_held("kept on hold")?;
        if self.0.proposal.is_none() {
            return Err(Refused::NotProposed);
        }
        Ok(self.stepped(Verb::Updated, |next| next.proposal = None))
    }

    /// Another person confirms the release. From here on it does not hold.
    ///
    /// # Errors
    /// When none is proposed, or by the same person.
    pub fn confirm_release(&self, by: EntityId, now: Instant) -> Result<Step<Self>, Refused> {
        self.require_held("released")?;
        let Some(proposal) = &self.0.proposal else { return Err(Refused::NotProposed) };
        checks::someone("by", &by)?;
        if by == proposal.by {
            return Err(Refused::SamePerson);
        }
        let release = Release { by, at: self.moment(now) };
        Ok(self.stepped(Verb::Ended, |next| next.release = Some(release)))
    }

    /// Where it stands, which no time changes.
    #[must_use]
    pub const fn status(&self) -> Status {
        match (&self.0.release, &self.0.proposal) {
            (Some(_), _) => Status::Released,
            (None, Some(_)) => Status::ReleaseProposed,
            (None, None) => Status::Active,
        }
    }

    /// Whether it still holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        match self.status() {
            Status::Active | Status::ReleaseProposed => true,
            Status::Released => false,
        }
    }

    /// What is held.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.0.target
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Who placed it.
    #[must_use]
    pub const fn placed_by(&self) -> &EntityId {
        &self.0.placed_by
    }

    /// When it was placed.
    #[must_use]
    pub const fn placed_at(&self) -> Instant {
        self.0.placed_at
    }

    /// The release that is proposed, or was confirmed.
    #[must_use]
    pub const fn proposal(&self) -> Option<&Proposal> {
        self.0.proposal.as_ref()
    }

    /// Who confirmed the release.
    #[must_use]
    pub const fn release(&self) -> Option<&Release> {
        self.0.release.as_ref()
    }

    /// `now`, or the moment of the last step where a clock is behind it.
    fn moment(&self, now: Instant) -> Instant {
        let proposed = self.0.proposal.as_ref().map(|proposal| proposal.at);
        [Some(self.0.placed_at), proposed].into_iter().flatten().fold(now, Instant::max)
    }

    fn require_held(&self, wanted: &'static str) -> Result<(), Refused> {
        if self.holds() {
            return Ok(());
        }
        let remedy = "place another hold where one is needed";
        Err(Refused::State { is: self.status().code(), wanted, remedy })
    }

    fn stepped(&self, verb: Verb, change: impl FnOnce(&mut Document)) -> Step<Self> {
        let mut to = self.clone();
        change(&mut to.0);
        Step { to, verb }
    }
}

/// INVARIANT (only what steps make): what is read is made again from its steps, and must come out the same.
impl TryFrom<Document> for Hold {
    type Error = Refused;

    fn try_from(read: Document) -> Result<Self, Refused> {
        let Document { id, target, reason, placed_by, placed_at, .. } = read.clone();
        let mut made = Self::place(&id, target, reason, placed_by, placed_at)?.to;
        if let Some(Proposal { by, comment, at }) = read.proposal.clone() {
            made = made.propose_release(by, comment, at)?.to;
        }
        if let Some(Release { by, at }) = read.release.clone() {
            made = made.confirm_release(by, at)?.to;
        }
        let expected = "in the order in which things happened";
        if made.0 == read { Ok(made) } else { Err(Refused::Invalid { field: "at", expected }) }
    }
}

impl Machine for Hold {
    const SECTION: &'static str = "hold";
    const TYPE: &'static str = "Hold";

    fn id(&self) -> &str {
        &self.0.id
    }

    /// The patient who is held.
    fn patient(&self) -> Option<&EntityId> {
        match &self.0.target {
            Target::Entity(entity) if entity.kind == PATIENT => Some(entity),
            Target::Entity(_) | Target::Caller(_) | Target::Plugin(_) | Target::Organization => None,
        }
    }

    /// A hold is no fact of its own: it is laid over what it holds.
    fn entity(&self) -> Option<Value> {
        None
    }
}

#[cfg(test)]
mod tests;
