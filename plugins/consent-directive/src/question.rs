//! Who would get what for which purpose, as the criteria of consents ask it.
//!
//! INVARIANT (unknown is nobody): a recipient, role, group or purpose that cannot be told is answered with
//! "unknown", which opens nothing and stands for whatever a deny means.

use assent_plugin_sdk::prelude::*;

use crate::answer::Answer;
use crate::codes::{self, CONSENT_ACTION, Part};
use crate::facts::Facts;
use crate::record::{Match, Record};
use crate::settings::Groups;

/// Actions that send to somebody; without a destination, nobody knows to whom.
const SENDING_ACTIONS: [&str; 2] = ["export", "share"];
/// Kinds of actors of which it can be told whether they are meant.
const PERSONS: [&str; 4] = ["Application", "Patient", "Practitioner", "RelatedPerson"];
/// Subjects that belong to no organization.
const PRIVATE: [&str; 2] = ["Patient", "RelatedPerson"];
const ORGANIZATION: &str = "Organization";

/// One request.
#[derive(Debug)]
pub struct Question<'a> {
    request: &'a Request,
    facts: &'a Facts,
    groups: &'a Groups,
    /// What is known of the data.
    pub record: Record<'a>,
    /// The names of who would get the data, with the groups they are in; none: nobody knows.
    recipient: Option<Vec<&'a EntityId>>,
    /// The names of who asks, likewise.
    subject: Vec<&'a EntityId>,
    /// Whether it is known of which organization the recipient is.
    organization_known: bool,
    /// Whether it goes to others than who holds the data.
    disclosed: Answer,
}

impl<'a> Question<'a> {
    /// The question that the request asks.
    pub fn of(groups: &'a Groups, request: &'a Request, facts: &'a Facts) -> Self {
        let with_groups = |names: &[Option<&'a EntityId>]| groups.around(names.iter().copied().flatten());
        let subject = with_groups(&[Some(&request.subject), facts.subject_organization.as_ref()]);
        let recipient = match &facts.destination {
            Some(destination) => Some(with_groups(&[Some(destination)])),
            None if SENDING_ACTIONS.contains(&request.action.as_str()) => None,
            None => Some(subject.clone()),
        };
        let private = PRIVATE.contains(&request.subject.kind.as_str());
        let organization_known =
            facts.destination.is_some() || facts.subject_organization.is_some() || private;
        let disclosed = match (&recipient, &facts.holder) {
            (Some(_), _) if private && facts.destination.is_none() => {
                // To relatives as to anybody else; only what goes to patients themselves stays with them.
                Answer::of(request.patient.as_ref() != Some(&request.subject))
            }
            (Some(recipient), Some(holder)) if recipient.contains(&holder) => Answer::No,
            (Some(_), Some(_)) if organization_known => Answer::Yes,
            _ => Answer::Unknown,
        };
        Self {
            organization_known,
            record: Record::of(request, facts),
            request,
            facts,
            groups,
            recipient,
            subject,
            disclosed,
        }
    }

    /// The same as if nothing were known of the data.
    #[must_use]
    pub fn blind(&self) -> Self {
        Self {
            record: self.record.blind(),
            request: self.request,
            facts: self.facts,
            groups: self.groups,
            recipient: self.recipient.clone(),
            subject: self.subject.clone(),
            organization_known: self.organization_known,
            disclosed: self.disclosed,
        }
    }

    /// Whether the provision is about this request, and what the known facts leave open of it: the ways in
    /// which it may match, of which one is enough.
    pub fn matches(&self, provision: &Provision) -> Vec<Match> {
        let asked = self.request.purpose.as_deref();
        let now = Answer::of(provision.period.contains(self.request.now));
        let known = now
            .and(Answer::one_of(&provision.actors, |actor| self.actor(actor)))
            .and(Answer::one_of(&provision.actions, |action| self.action(action)))
            .and(Answer::one_of(&provision.purposes, |of| codes::purpose(of, provision.effect, asked)));
        let emergency = codes::emergency(&provision.purposes, provision.effect, asked);
        let of_data = self.record.matches(provision).into_iter();
        of_data.map(|data| Match { known: data.known.and(known), emergency, ..data }).collect()
    }

    /// Whether the consent is about this request at all.
    pub fn concerned(&self, consent: &Consent) -> Match {
        let recipient = Answer::one_of(&consent.recipients, |who| self.gets(who));
        let data = self.record.in_categories(&consent.categories);
        Match { known: data.known.and(recipient), ..data }
    }

    fn actor(&self, actor: &ConsentActor) -> Answer {
        match codes::part(&actor.role) {
            Some(Part::Recipient) => self.gets(&actor.who),
            Some(Part::Custodian) => self.named(self.facts.holder.as_ref(), &actor.who),
            Some(Part::Author) => self.named(self.facts.author.as_ref(), &actor.who),
            None => Answer::Unknown,
        }
    }

    /// Whether this is who would get the data.
    fn gets(&self, who: &EntityId) -> Answer {
        let Some(recipient) = &self.recipient else { return Answer::Unknown };
        if recipient.contains(&who) {
            return Answer::Yes;
        }
        // Who sends sees what is sent; yet a permit to them is no permit to whom they send it.
        if self.subject.contains(&who) {
            return Answer::Unknown;
        }
        match who.kind.as_str() {
            ORGANIZATION if !self.organization_known => Answer::Unknown,
            kind if kind == ORGANIZATION || PERSONS.contains(&kind) || self.groups.has(who) => Answer::No,
            _ => Answer::Unknown,
        }
    }

    fn named(&self, own: Option<&EntityId>, who: &EntityId) -> Answer {
        match own {
            // A list holds data of many.
            Some(own) if !self.record.list => {
                let same_kind = own.kind == who.kind || self.groups.has(who);
                match self.groups.around([own].into_iter()).contains(&who) {
                    true => Answer::Yes,
                    false if same_kind => Answer::No,
                    false => Answer::Unknown,
                }
            }
            _ => Answer::Unknown,
        }
    }

    fn action(&self, of: &Coding) -> Answer {
        let Some(action) = codes::action(&self.request.action).filter(|_| of.system == CONSENT_ACTION) else {
            return Answer::Unknown;
        };
        let code = of.code.as_str();
        if action.is.contains(&code) {
            Answer::Yes
        } else if code == "disclose" {
            self.disclosed
        } else if action.may.contains(&code) || !codes::CONSENT_ACTIONS.contains(&code) {
            Answer::Unknown
        } else {
            Answer::No
        }
    }

    /// Whether the purpose is not stated.
    pub const fn purpose_missing(&self) -> bool {
        self.request.purpose.is_none()
    }

    /// Whether the person asking is no member of the workforce, and must not learn that there is a record.
    pub fn portal(&self) -> bool {
        self.request.subject.kind != "Practitioner"
    }
}
