//! The second lock: Cedar's own check of the entities that a change touches.
//!
//! Our reader has checked all of it already. What both would have to miss is an entity that policies, which
//! Cedar validated against its schema, do not expect.

use std::collections::HashSet;
use std::error::Error as _;

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

/// What is said where Cedar refuses what our reader let pass.
const REFUSED: &str = "Cedar's own check refuses the entities that would result";

/// Checks the entities with these numbers, together with their ancestors: each by itself against the schema,
/// and that what is above an ancestor is above them.
///
/// # Errors
/// What Cedar's own values or its own check of entities refuse; no entity is named that has no origin.
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
        let mut all_edited = true;
        for entity in numbers.iter().filter_map(|number| inner.facts.numbered(*number)) {
            let origin = origin(&entity.id);
            all_edited &= origin.is_some();
            match Form::of(&policies.schema, inner, entity) {
                Ok(form) => forms.push(form.cedar),
                Err(unfit) => problems.push(match origin {
                    Some(origin) => origin.problem(format!("`{}`: {unfit}", entity.id)),
                    None => LoadProblem::of_file("entities", format!("a `{}`: {unfit}", entity.id.kind)),
                }),
            }
        }
        let schema = CoreSchema::new(policies.schema.validator());
        let extensions = Extensions::all_available();
        let enforced = TCComputation::EnforceAlreadyComputed;
        if let Err(error) = Entities::new().add_entities(forms, Some(&schema), enforced, extensions) {
            let problem = LoadProblem::of_file("entities", REFUSED);
            // Cedar names entities, and not only those that are put.
            let said = error.source().filter(|_| all_edited);
            problems.push(match said {
                Some(said) => problem.with_help(said.to_string()),
                None => problem,
            });
        }
    }
    LoadErrors::check(problems)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use assent_model::{Entity, Value};

    use super::*;
    use crate::testing::{policies, snapshot};

    /// What the check says of the small world, in which one user was spoilt behind the reader's back. `all`: as
    /// if all entities stood in edits.
    fn said(spoil: impl FnOnce(&mut Entity), all: bool) -> Vec<String> {
        let policies = policies(&["permit(principal, action, resource);"]);
        let mut inner = snapshot(&policies).inner.as_ref().clone();
        let mut nina = inner.facts.get(&EntityId::new("User", "nina")).unwrap().as_ref().clone();
        spoil(&mut nina);
        let touched = Arc::make_mut(&mut inner.facts).put(Arc::new(nina)).unwrap();
        let origin = Origin { file: "edit".into(), line: 1, column: 1 };
        match check(&policies, &inner, &[touched], |_| all.then_some(&origin)) {
            Ok(()) => vec![],
            Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
        }
    }

    /// Spoils an entity, and what is said then, or a part of it.
    type Case = (fn(&mut Entity), &'static str);

    #[test]
    fn cedar_refuses_what_our_reader_would_have_let_pass() {
        assert_eq!(said(|_| {}, true), [""; 0]);
        let without_root = |nina: &mut Entity| {
            let kept = nina.ancestors.iter().filter(|id| id.id != "root").cloned().collect();
            nina.ancestors = kept;
        };
        let cases: [Case; 3] = [
            (without_root, "`Org::\"root\"` exists, while `User::\"nina\"` -> `Org::\"root\"` does not"),
            (
                |nina| nina.attributes.insert("active", Value::Integer(1)),
                "attribute `active` on `User::\"nina\"`",
            ),
            (|nina| nina.attributes.insert("unheard-of", Value::Boolean(true)), "attribute `unheard-of` on"),
        ];
        for (spoil, expected) in cases {
            let [said_of_edits] = said(spoil, true).try_into().unwrap();
            assert!(said_of_edits.starts_with(&format!("entities: {REFUSED}; ")), "{said_of_edits}");
            assert!(said_of_edits.contains(expected), "{said_of_edits}");
            assert_eq!(said(spoil, false), [format!("entities: {REFUSED}")]);
        }
    }

    #[test]
    fn what_has_no_form_in_cedar_is_named_where_it_is_an_edit_and_by_type_alone_where_not() {
        let out_of_range: Case = (
            |nina| nina.attributes.insert("level", Value::Ip("no address".into())),
            "attrs.level is out of range",
        );
        let unknown: Case = (
            |nina| nina.attributes.insert("org", Value::Entity(EntityId::new("Planet", "mars"))),
            "attrs.org is out of range",
        );
        for (spoil, expected) in [out_of_range, unknown] {
            assert_eq!(said(spoil, true), [format!("edit:1:1: `User::\"nina\"`: {expected}")]);
            assert_eq!(said(spoil, false), [format!("entities: a `User`: {expected}")]);
        }
        let unknown_type: fn(&mut Entity) = |nina| nina.id = EntityId::new("Planet", "mars");
        let expected = "the schema has no entity type of that name";
        assert_eq!(said(unknown_type, true), [format!("edit:1:1: `Planet::\"mars\"`: {expected}")]);
        assert_eq!(said(unknown_type, false), [format!("entities: a `Planet`: {expected}")]);
    }
}
