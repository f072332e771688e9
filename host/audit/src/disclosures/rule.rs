//! What counts: whether a decision belongs in an accounting of disclosures, and why.
//!
//! The rule, in this order; the first that applies decides:
//! 1. a denial, or an action that gives nothing out, is no disclosure; an unknown action gives something out;
//! 2. a recipient for whom an agency asked for suspension is left out until its end (164.528(a)(2));
//! 3. a policy or plugin put `account-disclosure` on the permit: listed;
//! 4. to the individual, or to the personal representative who stands in the individual's place
//!    (164.502(g)): not listed ((a)(1)(ii));
//! 5. what stays with the holder is a use (160.103): not listed; an export, download, print or share by the
//!    workforce leaves, unless it says that it goes to the holder;
//! 6. a record of a Part 2 program that leaves it within the last three years: listed, treatment, payment
//!    and operations included, since all of this goes through an electronic health record (2.25(a), (b));
//! 7. data without identity (164.502(d)): not listed;
//! 8. exports and the like: listed, whatever they are for;
//! 9. pursuant to an authorization that the scope names: not listed ((a)(1)(iv));
//! 10. treatment, payment, operations ((a)(1)(i)); directory and persons involved in care ((a)(1)(v)), by
//!     purpose of use: not listed;
//! 11. everything else, a purpose that is not stated included: listed.
//!
//! Not recognised, and so listed: incidental disclosures, national security, custody, limited data sets
//! ((a)(1)(iii), (vi) to (viii)); the record does not tell them.

use assent_model::{EntityId, Instant, ObligationCode};

use super::words::{Family, family};
use super::{PART2_LOOK_BACK_YEARS, Scope, years_before};
use crate::record::DecisionEvent;

/// Actions that give nothing out. Any other may.
const SILENT: &[&str] = &[
    "create",
    "update",
    "patch",
    "delete",
    "schedule",
    "replyMessage",
    "deleteMessage",
    "requestAccess",
    "requestAmendment",
    "requestAccounting",
    "administer",
    "audit",
];

/// Actions that take records out of the system.
const LEAVING: &[&str] = &["export", "download", "print", "share"];

/// Relations that put a person in the individual's place.
const REPRESENTATIVE: &[&str] = &["ProxyGrant"];

/// Why a decision is in an accounting, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Access was denied.
    Denied,
    /// The action gives nothing out.
    Silent,
    /// The agency asked that it be held back.
    Suspended,
    /// A policy or plugin said that it must be accounted for.
    Obliged,
    /// To the individual.
    Individual,
    /// To the individual's personal representative.
    Representative,
    /// Within the holder.
    Use,
    /// A Part 2 record that left the program.
    Part2,
    /// Without identity.
    Deidentified,
    /// It left the system.
    Left,
    /// The individual authorized it.
    Authorized,
    /// Treatment, payment, operations.
    Operations,
    /// Directory, or persons involved in care.
    Involved,
    /// A disclosure that none of the exceptions covers.
    Disclosure,
}

impl Listing {
    /// Whether it must be in the accounting.
    pub const fn is_required(self) -> bool {
        match self {
            Self::Obliged | Self::Part2 | Self::Left | Self::Disclosure => true,
            Self::Denied
            | Self::Silent
            | Self::Suspended
            | Self::Individual
            | Self::Representative
            | Self::Use
            | Self::Deidentified
            | Self::Authorized
            | Self::Operations
            | Self::Involved => false,
        }
    }

    /// Whether somebody got something, so that it is shown when all is asked for.
    pub(super) const fn is_shown(self) -> bool {
        !matches!(self, Self::Denied | Self::Silent | Self::Suspended)
    }

    /// The reason, in plain words with its source.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Denied => "access was denied",
            Self::Silent => "nothing was given out",
            Self::Suspended => "held back at the request of an agency (45 CFR 164.528(a)(2))",
            Self::Obliged => "a rule of the organization requires that it be listed",
            Self::Individual => "need not be listed: given to you (45 CFR 164.528(a)(1)(ii))",
            Self::Representative => {
                "need not be listed: given to the person who acts for you (45 CFR 164.528(a)(1)(ii), 164.502(g))"
            }
            Self::Use => "need not be listed: used within the organization (45 CFR 160.103)",
            Self::Part2 => "listed because it is a substance use disorder record (42 CFR 2.25)",
            Self::Deidentified => {
                "need not be listed: without anything that identifies you (45 CFR 164.502(d))"
            }
            Self::Left => "listed because it left the record system",
            Self::Authorized => "need not be listed: you authorized it (45 CFR 164.528(a)(1)(iv))",
            Self::Operations => {
                "need not be listed: treatment, payment or health care operations (45 CFR 164.528(a)(1)(i))"
            }
            Self::Involved => {
                "need not be listed: directory, or persons involved in your care (45 CFR 164.528(a)(1)(v))"
            }
            Self::Disclosure => "must be listed (45 CFR 164.528)",
        }
    }
}

/// Whether this decision belongs in the accounting that is asked for, and why.
pub fn rule(at: Instant, decision: &DecisionEvent, scope: &Scope) -> Listing {
    let receiver = decision.recipient.as_ref().unwrap_or(&decision.subject.entity);
    if !decision.permits() {
        return Listing::Denied;
    }
    if SILENT.contains(&decision.action.as_str()) {
        return Listing::Silent;
    }
    if scope.suspended.iter().any(|(who, until)| is_with(decision, who) && scope.requested < *until) {
        return Listing::Suspended;
    }
    if decision.obliges(&ObligationCode::AccountDisclosure) {
        return Listing::Obliged;
    }
    if *receiver == scope.patient {
        return Listing::Individual;
    }
    let acts_for_patient =
        decision.relations.iter().any(|relation| REPRESENTATIVE.contains(&relation.kind.as_str()));
    if acts_for_patient && decision.recipient.is_none() {
        return Listing::Representative;
    }
    if stays(decision, scope) {
        return Listing::Use;
    }
    if decision.resource.part2 && at >= years_before(scope.requested, PART2_LOOK_BACK_YEARS) {
        return Listing::Part2;
    }
    if decision.obliges(&ObligationCode::Deidentify) || decision.obliges(&ObligationCode::Anonymize) {
        return Listing::Deidentified;
    }
    if leaves(&decision.action) {
        return Listing::Left;
    }
    if decision.consents.iter().any(|consent| scope.authorizations.contains(consent)) {
        return Listing::Authorized;
    }
    match family(decision.purpose.as_deref()) {
        Family::Treatment | Family::Payment | Family::Operations => Listing::Operations,
        Family::Involved => Listing::Involved,
        Family::Permitted | Family::Other => Listing::Disclosure,
    }
}

/// Whether the action takes records out of the system.
pub(crate) fn leaves(action: &str) -> bool {
    LEAVING.contains(&action)
}

fn stays(decision: &DecisionEvent, scope: &Scope) -> bool {
    match &decision.recipient {
        Some(recipient) => *recipient == scope.holder,
        None => !leaves(&decision.action) && decision.subject.organization.as_ref() == Some(&scope.holder),
    }
}

/// Whether this agency received it: as recipient, as subject, or as the subject's organization.
fn is_with(decision: &DecisionEvent, who: &EntityId) -> bool {
    decision.recipient.as_ref() == Some(who)
        || decision.subject.entity == *who
        || decision.subject.organization.as_ref() == Some(who)
}
