//! What one row makes of one request: the order in which it is asked.
//!
//! Is the row in force, does its jurisdiction count, does it bind this party, is it about this record,
//! purpose and recipient? Then: is it settled, does an exception show, does a consent satisfy it, may
//! an exception apply that only a person can tell of? What remains is withheld.

use assent_law::sensitive::{Default as Rule, Exception, What};
use assent_plugin_sdk::prelude::*;

use crate::consent;
use crate::exception::{Excepted, excepted};
use crate::question::{EMERGENCY, Party, Question, TPO};
use crate::record::Reach;
use crate::table::Row;

/// What a row makes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Judgement<'a> {
    /// The row is not about it.
    NotConcerned,
    /// It may be released, with the row's obligations.
    Released(Reach, Release<'a>),
    /// It must be withheld.
    Withheld(Reach),
    /// A person must decide; withheld until then.
    Asks(Reach, Ask),
}

/// What a release rests on.
#[derive(Clone, Copy, Debug)]
pub enum Release<'a> {
    /// The row itself permits it.
    Rule,
    /// An exception that facts show.
    Exception(&'static Exception),
    /// A consent on file.
    Consent(&'a Consent),
    /// The minor's agreement to disclosure under Part 2.
    MinorAgreed,
}

/// Why a person must decide.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// The row is low in confidence, or the law conflicts or is moving.
    Unsettled,
    /// This exception may apply.
    Exception(&'static Exception),
    /// The law leaves it to a professional.
    Professional,
    /// Whether the record would be stored abroad.
    StorageAbroad,
}

/// What the row makes of the request.
pub fn judge<'a>(row: &Row, question: &'a Question<'_>) -> Judgement<'a> {
    // Most rows are another state's: that is asked first, because it costs least.
    if !concerned(row, question) {
        return Judgement::NotConcerned;
    }
    let reach = question.record.reach(row.law, question.list);
    if reach == Reach::None {
        return Judgement::NotConcerned;
    }
    if !row.settled {
        return Judgement::Asks(reach, Ask::Unsettled);
    }
    match row.default {
        Rule::PermitRelevantPart | Rule::RouteCommunications => {
            return Judgement::Released(reach, Release::Rule);
        }
        Rule::MayRefuseRepresentative if row.categories().any(|category| question.decided(category)) => {
            return Judgement::Released(reach, Release::Rule);
        }
        Rule::MayRefuseRepresentative => return Judgement::Asks(reach, Ask::Professional),
        Rule::DenyStorageAbroad => return Judgement::Asks(reach, Ask::StorageAbroad),
        Rule::NotInForce => return Judgement::NotConcerned,
        Rule::Deny
        | Rule::DenyAlsoToPatient
        | Rule::DenyAlways
        | Rule::DenyExchange
        | Rule::DenyOutOfState
        | Rule::DenyOutOfStateProcess
        | Rule::DenyOutsideTpo
        | Rule::DenyToPlan
        | Rule::DenyWithoutRelationship => {}
    }
    let excepted = excepted(row, question);
    if let Excepted::Shown(exception) = excepted {
        return Judgement::Released(reach, Release::Exception(exception));
    }
    if consent::minor_agreed(row, question) {
        return Judgement::Released(reach, Release::MinorAgreed);
    }
    if let Some(consent) = consent::satisfying(row, question, reach) {
        return Judgement::Released(reach, Release::Consent(consent));
    }
    match excepted {
        Excepted::Asks(exception) => Judgement::Asks(reach, Ask::Exception(exception)),
        Excepted::Shown(_) | Excepted::No => Judgement::Withheld(reach),
    }
}

/// Whether the row is in force here, binds this party, and is about this purpose and recipient.
fn concerned(row: &Row, question: &Question<'_>) -> bool {
    in_force(row, question.request.now)
        && question.counts(row.law.jurisdiction)
        && binds(row, question)
        && about_purpose(row, question)
        && !(row.law.what == What::Disclosure && question.ordinary_use)
        && bears(row, question)
}

fn in_force(row: &Row, now: Instant) -> bool {
    let Some(from) = row.law.effective_from else { return true };
    // A moment that has no date is no reason to leave a row out.
    Date::new(from.year, from.month, from.day).zip(now.date_utc()).is_none_or(|(from, today)| from <= today)
}

fn binds(row: &Row, question: &Question<'_>) -> bool {
    let also_patient = row.default == Rule::DenyAlsoToPatient;
    match question.party {
        Party::Patient => also_patient,
        Party::Representative => also_patient || row.law.representatives,
        Party::Other => true,
    }
}

fn about_purpose(row: &Row, question: &Question<'_>) -> bool {
    // A plan that does not say what for is taken to pay and operate.
    let unstated_to_plan = row.default == Rule::DenyToPlan && question.request.purpose.is_none();
    row.law.purposes.is_empty() || question.purpose_in(row.law.purposes) || unstated_to_plan
}

/// Whether what the row withholds would go where the row says it must not.
fn bears(row: &Row, question: &Question<'_>) -> bool {
    let recipient = &question.recipient;
    let state = row.law.jurisdiction;
    match row.default {
        Rule::Deny
        | Rule::DenyAlsoToPatient
        | Rule::DenyAlways
        | Rule::DenyWithoutRelationship
        | Rule::PermitRelevantPart
        | Rule::RouteCommunications => true,
        Rule::DenyExchange => {
            !question.inside
                && (question.table.exchange
                    || recipient.category.is_none_or(|category| category == "exchange"))
        }
        Rule::DenyOutOfState => match recipient.state {
            Some(known) => known != state,
            None => !question.inside,
        },
        Rule::DenyOutOfStateProcess => recipient.state != Some(state),
        Rule::DenyOutsideTpo => !question.purpose_in(TPO) && !question.purpose_in(&EMERGENCY),
        Rule::DenyStorageAbroad => {
            question.facts.destination_country.as_deref().is_some_and(|country| country != "US")
        }
        Rule::DenyToPlan => {
            recipient.category == Some("payer")
                || (recipient.category.is_none() && !question.inside && !question.purpose_in(&["HOPERAT"]))
        }
        Rule::MayRefuseRepresentative => question.request.subject.kind == "RelatedPerson",
        Rule::NotInForce => false,
    }
}
