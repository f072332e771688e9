//! The second lock: Cedar's own check of the entities that a change touches.
//!
//! Our reader has checked all of it already. What both would have to miss is an entity that policies, which
//! Cedar validated against its schema, do not expect.

use std::collections::HashSet;

use assent_model::EntityId;
use cedar_policy_core::entities::{Entities, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::CoreSchema;

use super::Inner;
use super::form::Form;
use super::load::Origin;
use crate::error::{LoadErrors, LoadProblem};
use crate::policies::Policies;

/// Entities that are checked at once: so many are in Cedar's form at a time, whatever the size of a load.
const AT_ONCE: usize = 1_000;

/// Checks the entities with these numbers, together with their ancestors: each by itself against the schema,
/// and that what is above an ancestor is above them.
///
/// # Errors
/// What Cedar's own values or its own check of entities refuse.
pub(super) fn check<'a>(
    policies: &Policies,
    inner: &Inner,
    touched: &[u32],
    origin: impl Fn(&EntityId) -> Option<&'a Origin>,
) -> Result<(), LoadErrors> {
    let mut problems = Vec::new();
    for chunk in touched.chunks(AT_ONCE) {
        let mut seen: HashSet<u32> = chunk.iter().copied().collect();
        let mut numbers = chunk.to_vec();
        let entities = chunk.iter().filter_map(|number| inner.facts.numbered(*number));
        // Siblings share one list.
        let mut lists = HashSet::new();
        for entity in entities.filter(|entity| lists.insert(entity.ancestors.as_ptr().addr())) {
            let above = entity.ancestors.iter().filter_map(|id| inner.facts.number(id));
            numbers.extend(above.filter(|number| seen.insert(*number)));
        }
        let mut forms = Vec::with_capacity(numbers.len());
        for entity in numbers.iter().filter_map(|number| inner.facts.numbered(*number)) {
            match Form::of(&policies.schema, inner, entity) {
                Ok(form) => forms.push(form.cedar),
                Err(attribute) => {
                    let message = format!("`{}`: attrs.{attribute} is out of range", entity.id);
                    problems.push(match origin(&entity.id) {
                        Some(origin) => origin.problem(message),
                        None => LoadProblem::of_file("entities", message),
                    });
                }
            }
        }
        let schema = CoreSchema::new(policies.schema.validator());
        let extensions = Extensions::all_available();
        let enforced = TCComputation::EnforceAlreadyComputed;
        if let Err(error) = Entities::new().add_entities(forms, Some(&schema), enforced, extensions) {
            problems.push(LoadProblem::of_file("entities", error.to_string()));
        }
    }
    LoadErrors::check(problems)
}
