//! Whether a consent on file satisfies a row, and whether another one objects.
//!
//! A consent counts where it is active and in its period, signed, of a form that the row accepts, and
//! covers recipient, purpose, category and labels. INVARIANT (unreadable is an objection): a consent
//! that the host could not read fully satisfies nothing, and stands against those that it could.

use assent_law::sensitive::{
    Form, Ground, MarkedBy, is_emergency, known_purpose, label_is, label_within, labels_of, purpose_in,
    purpose_is,
};
use assent_plugin_sdk::prelude::*;

use crate::minors;
use crate::question::{Party, Question};
use crate::record::Reach;
use crate::table::Row;

/// A consent that satisfies the row and to which no other objects; of several, the first by id, so that
/// their order does not matter.
pub fn satisfying<'a>(row: &Row, question: &'a Question<'_>, reach: Reach) -> Option<&'a Consent> {
    let consents = &question.facts.consents;
    let satisfies = |consent: &&Consent| {
        covers(consent, row, question, reach)
            && !consents.iter().any(|other| objects(other, consent, row, question))
    };
    consents.iter().filter(satisfies).min_by(|a, b| a.id.cmp(&b.id))
}

/// Whether the minor's own agreement to disclosure under Part 2 is on record for representatives.
pub fn minor_agreed(row: &Row, question: &Question<'_>) -> bool {
    row.law.ground == Ground::Part2
        && row.forms.iter().any(|form| form.id == "part2-specific")
        && question.party == Party::Representative
        && question.facts.teen_consents_part2 == Some(true)
}

fn covers(consent: &Consent, row: &Row, question: &Question<'_>, reach: Reach) -> bool {
    let satisfies = |form: &&&Form<'_>| {
        consent.forms.iter().any(|id| id == form.id)
            && form_covers(form, question)
            && lasts(consent, form, question.request.now)
            && (!form.names_recipient || !consent.recipients.is_empty())
    };
    in_force(consent, question.request.now)
        && consent.unsupported.is_empty()
        && signed(consent, row, question)
        && row.forms.iter().any(|form| satisfies(&form))
        && (!row.names_recipient || !consent.recipients.is_empty())
        && names_recipient(consent, question)
        && names_category(consent, row, question, reach)
        && provisions_permit(consent, row, question)
}

/// Active, given, and now in its period; the end is the first moment outside.
fn in_force(consent: &Consent, now: Instant) -> bool {
    consent.status == ConsentStatus::Active && consent.given_at <= now && consent.period.contains(now)
}

fn form_covers(form: &Form<'_>, question: &Question<'_>) -> bool {
    match question.request.purpose.as_deref() {
        Some(purpose) => purpose_in(purpose, form.purposes) && !purpose_in(purpose, form.except_purposes),
        None => form.purposes == ["*"] && form.except_purposes.is_empty(),
    }
}

fn lasts(consent: &Consent, form: &Form<'_>, now: Instant) -> bool {
    match (consent.period.end, form.lapses_after_days) {
        (None, Some(days)) => now < consent.given_at + Duration::days(i64::from(days)),
        (Some(_), _) | (None, None) => true,
    }
}

/// Signed by the patient or a representative; by the patient where Part 2 asks a minor (42 CFR 2.14).
fn signed(consent: &Consent, row: &Row, question: &Question<'_>) -> bool {
    let by_patient = consent.signed_by.iter().any(|who| Some(who) == question.request.patient.as_ref());
    let by_other = consent.signed_by.iter().any(|who| who.kind == "RelatedPerson");
    by_patient || (by_other && (row.law.ground != Ground::Part2 || minors::is_adult(question)))
}

fn names_recipient(consent: &Consent, question: &Question<'_>) -> bool {
    consent.recipients.is_empty()
        || consent.recipients.iter().any(|named| question.recipient.names.contains(&named))
}

fn names_category(consent: &Consent, row: &Row, question: &Question<'_>, reach: Reach) -> bool {
    if consent.categories.is_empty() {
        return true;
    }
    let named = |label: &str| {
        consent.categories.iter().any(|category| {
            label_is(label, category)
                || labels_of(category).is_some_and(|labels| labels.iter().any(|of| label_is(label, of)))
        })
    };
    match (row.law.marked_by, reach) {
        // A consent that is limited to categories covers a record of exactly such categories.
        (MarkedBy::AnyRecord, _) => {
            let categories = &question.record.categories;
            !question.list
                && !categories.is_empty()
                && categories.iter().all(|category| consent.categories.iter().any(|named| named == category))
        }
        (MarkedBy::AnyLabel | MarkedBy::AllLabels, Reach::Part | Reach::None) => {
            row.law.labels.iter().all(|label| named(label))
        }
        (MarkedBy::AnyLabel | MarkedBy::AllLabels, Reach::Whole) => {
            let marks = question.record.marks.iter().chain(&question.record.of_patient);
            marks.filter(|mark| concerns(row, mark)).all(|mark| named(mark))
        }
    }
}

fn concerns(row: &Row, mark: &str) -> bool {
    row.law.labels.iter().any(|label| label_within(mark, label))
}

/// Whether the consent's own provisions leave a permit: no deny that may match, however deep it is nested in what may
/// match, and, where the base does not permit, a permit that does match. A deny of treatment is one of an emergency as
/// well, unless a permit beside it names that emergency; one that it is nested in is what it is an exception to.
fn provisions_permit(consent: &Consent, row: &Row, question: &Question<'_>) -> bool {
    let roots = || consent.provisions.iter().filter(|provision| provision.parent.is_none());
    let permitting =
        || roots().filter(|p| p.effect == ProvisionEffect::Permit && matches(p, row, question, false));
    let emergency = question.request.purpose.as_deref().filter(|purpose| is_emergency(purpose));
    let names = |p: &Provision| p.purposes.iter().any(|of| Some(of.code.as_str()) == emergency);
    let named_beside = |root: &Provision| permitting().any(|p| names(p) && !std::ptr::eq(p, root));
    let denies = |p: &Provision| {
        let known = p.purposes.iter().all(|of| known_purpose(&of.code).is_some());
        let may_give_way = !p.purposes.is_empty() && known && !names(p);
        let gives_way = emergency.is_some() && may_give_way && root_of(consent, p).is_some_and(named_beside);
        p.effect == ProvisionEffect::Deny && !gives_way && reached(consent, p, row, question)
    };
    let denied = consent.provisions.iter().any(denies);
    let permits = || permitting().next().is_some();
    let needs_one = match consent.base {
        Some(ProvisionEffect::Permit) => false,
        Some(ProvisionEffect::Deny) => true,
        None => roots().any(|p| p.effect == ProvisionEffect::Permit),
    };
    !denied && (!needs_one || permits())
}

/// The outermost provision that this one is nested in; none where its parents lead nowhere.
fn root_of<'a>(consent: &'a Consent, provision: &'a Provision) -> Option<&'a Provision> {
    let mut at = provision;
    for _ in &consent.provisions {
        let Some(parent) = at.parent else { return Some(at) };
        at = consent.provisions.get(parent as usize)?;
    }
    None
}

/// Whether the provision and all that it is nested in may be about this request. One whose parents lead nowhere may.
fn reached(consent: &Consent, provision: &Provision, row: &Row, question: &Question<'_>) -> bool {
    let mut at = Some(provision);
    // As many steps as there are provisions: parents that lead in a circle end as well.
    for _ in &consent.provisions {
        let Some(one) = at else { break };
        if !matches(one, row, question, true) {
            return false;
        }
        at = one.parent.and_then(|parent| consent.provisions.get(parent as usize));
    }
    true
}

/// Whether the provision is about this request. What cannot be told is answered with `in_doubt`; an
/// exception nested in it is not followed, so that a deny stays a deny and a permit in doubt is none.
fn matches(provision: &Provision, row: &Row, question: &Question<'_>, in_doubt: bool) -> bool {
    let purpose = question.request.purpose.as_deref();
    let any = |codes: &[Coding], test: &dyn Fn(&str) -> bool| {
        codes.is_empty() || codes.iter().any(|coding| test(&coding.code))
    };
    let data_limited = !provision.codes.is_empty()
        || !provision.data.is_empty()
        || provision.data_period != Period::default()
        || (!in_doubt && !provision.actions.is_empty());
    provision.period.contains(question.request.now)
        && (provision.actors.is_empty()
            || provision.actors.iter().any(|actor| match gets(actor) {
                true => question.recipient.names.contains(&&actor.who),
                // Who wrote records, or keeps them.
                false => in_doubt,
            }))
        && any(&provision.purposes, &|code| {
            // What forbids reaches all that is part of it, and a code that is not known may be part of anything.
            purpose.map_or(in_doubt, |purpose| {
                let unknown = || [purpose, code].iter().any(|code| known_purpose(code).is_none());
                purpose_in(purpose, &[code]) || (in_doubt && (purpose_is(purpose, code) || unknown()))
            })
        })
        && any(&provision.security_labels, &|code| {
            concerns(row, code) || (in_doubt && known_to_record(question, code))
        })
        && any(&provision.classes, &|code| {
            code == question.request.resource.kind || (in_doubt && question.list)
        })
        && (!data_limited || in_doubt)
}

/// Whether an actor is there as who would get records: by its role, or because it has none.
fn gets(actor: &ConsentActor) -> bool {
    const RECIPIENTS: [&str; 2] = ["IRCP", "PRCP"];
    let role = &actor.role;
    role.code.is_empty()
        || (role.system == "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
            && RECIPIENTS.contains(&role.code.as_str()))
}

fn known_to_record(question: &Question<'_>, code: &str) -> bool {
    question.record.marks.iter().any(|mark| label_within(mark, code))
}

/// Whether a consent on file stands against this one: it could not be read, or it is a later refusal.
fn objects(other: &Consent, consent: &Consent, row: &Row, question: &Question<'_>) -> bool {
    let about = |category: &String| {
        labels_of(category).is_none_or(|labels| labels.iter().any(|label| concerns(row, label)))
            || concerns(row, category)
    };
    let concerned = other.categories.is_empty()
        || row.law.marked_by == MarkedBy::AnyRecord
        || other.categories.iter().any(about);
    let refuses = other.base == Some(ProvisionEffect::Deny)
        && other.given_at >= consent.given_at
        && !provisions_permit(other, row, question);
    in_force(other, question.request.now)
        && concerned
        && names_recipient(other, question)
        && (!other.unsupported.is_empty() || refuses)
}
