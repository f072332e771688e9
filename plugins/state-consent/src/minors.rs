//! Where a row of minor consent does not settle what a minor's representative may see.
//!
//! A minor's own consent may end after some sessions or days, may not reach medication, may hold in one
//! setting only, or may depend on the result of a test. Past such a limit the row decides nothing: a licensed professional must.
//! Who among representatives sees what where the row does settle it is the matter of the plugin
//! `adolescent-privacy`, not of this one.

use assent_law::minor_consent;
use assent_law::sensitive::{LIMITED, Limited, label_within, labels_of};
use assent_plugin_sdk::prelude::*;

use crate::question::{Party, Question};

/// A row that does not settle the matter.
#[derive(Clone, Copy, Debug)]
pub struct Doubt {
    /// The row of minor consent.
    pub row: &'static Limited,
    /// Which limit is met.
    pub why: &'static str,
}

/// The rows that are about this record and do not settle it, unless a professional has decided.
pub fn doubts(question: &Question<'_>) -> Vec<Doubt> {
    let consented_alone = question.facts.minor_consented.as_deref() != Some("no");
    if question.party != Party::Representative || !consented_alone || is_adult(question) {
        return Vec::new();
    }
    let mut doubts = Vec::new();
    for row in LIMITED {
        let concerned =
            row.consent_ends && question.counts(row.state) && about(row, question) && eligible(row, question);
        if let Some(why) = if concerned { limit(row, question) } else { None }
            && !question.decided(row.category)
        {
            doubts.push(Doubt { row, why });
        }
    }
    doubts
}

/// Whether the patient is of full age, or treated so, in every state that counts. Unknown: no.
pub fn is_adult(question: &Question<'_>) -> bool {
    let facts = question.facts;
    if facts.emancipated == Some(true) || facts.status_minor.is_some() {
        return true;
    }
    let states = question.service_states.iter().copied().chain(facts.residence.as_deref());
    // No state is known to set a higher age than the highest of the table.
    let majority = states.filter_map(minor_consent::majority).map(|majority| majority.age).max();
    age(question).zip(majority).is_some_and(|(age, majority)| age >= u32::from(majority))
}

fn age(question: &Question<'_>) -> Option<u32> {
    question
        .facts
        .birth_date
        .zip(question.request.today.known().copied())
        .and_then(|(birth, today)| birth.age_on(today))
}

fn about(row: &Limited, question: &Question<'_>) -> bool {
    let marked = |label: &&str| question.record.marks.iter().any(|mark| label_within(mark, label));
    question.list
        || question.record.categories.contains(&row.category)
        || labels_of(row.category).is_some_and(|labels| labels.iter().any(marked))
}

fn eligible(row: &Limited, question: &Question<'_>) -> bool {
    let old_enough = |min: u8| age(question).is_none_or(|age| age >= u32::from(min));
    row.min_age.is_none_or(old_enough)
}

/// The limit that is met; in a list, where nobody can look, any that there is.
fn limit(limits: &Limited, question: &Question<'_>) -> Option<&'static str> {
    let facts = question.facts;
    let sessions =
        |max: u16| question.list || facts.session_count.is_some_and(|count| count > i64::from(max));
    let days = |max: u16| {
        let over = |start: Instant| question.request.now >= start + Duration::days(i64::from(max));
        question.list || facts.service_started.is_some_and(over)
    };
    let medication = |from: u8| {
        let too_young = age(question).is_none_or(|age| age < u32::from(from));
        too_young && (question.list || facts.medication == Some(true))
    };
    let result = |is: &str| question.list || facts.test_result.as_deref() == Some(is);
    if limits.sessions_max.is_some_and(sessions) {
        Some("more sessions than the minor's own consent covers")
    } else if limits.days_max.is_some_and(days) {
        Some("a longer treatment than the minor's own consent covers")
    } else if limits.medication_from_age.is_some_and(medication) {
        Some("the minor's own consent does not reach medication")
    } else if limits.negative_result_withheld && result("negative") {
        Some("a negative result may not be disclosed to the parent")
    } else if limits.only_positive_result && result("positive") {
        Some("a positive result is treated apart")
    } else if !limits.setting.is_empty() {
        Some("the minor's own consent holds only in a setting or for a subject that is not on record")
    } else {
        None
    }
}
