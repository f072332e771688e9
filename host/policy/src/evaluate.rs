//! Puts a prepared question before the policies. The only file that runs Cedar's evaluator.
//!
//! INVARIANT (an erroring policy never permits): Cedar skips a policy that fails to evaluate. A
//! skipped permit grants nothing and is only recorded; a skipped forbid would be access, so where
//! the rest would permit the outcome is indeterminate, which denies. The same where principal,
//! resource or action are absent from the entities: `in` and `has` on them would be silently false.

use std::collections::HashMap;
use std::sync::Arc;

use assent_model::{PolicyError, Verdict, VerdictEffect};
use cedar_policy_core::ast;
use cedar_policy_core::entities::Dereference;
use cedar_policy_core::evaluator::{EvaluationError, Evaluator};
use cedar_policy_core::extensions::Extensions;

use crate::big_stack;
use crate::policies::{Policies, Policy};
use crate::prepare::Prepared;

impl Policies {
    /// The verdict of the policies whose scopes the question can satisfy: the same as of all.
    pub fn evaluate(&self, prepared: &Prepared) -> Verdict {
        big_stack::evaluate(|| {
            let entities: &cedar_policy_core::entities::Entities = prepared.entities.as_ref();
            let request: &ast::Request = prepared.request.as_ref();
            let (principal, action, resource) = match presence(entities, request) {
                Ok(present) => present,
                Err(absent) => return indeterminate(absent),
            };
            let evaluator = Evaluator::new(request.clone(), entities, Extensions::all_available());
            let mut tally = Tally::default();
            for position in self.index.candidates(principal, action, resource) {
                let Some(policy) = self.policies.get(position as usize) else { continue };
                tally.count(policy, outcome(&evaluator, policy));
            }
            tally.verdict()
        })
    }

    /// The verdict of all policies, by Cedar's own authorizer: what [`Policies::evaluate`] is tested
    /// and measured against.
    pub fn evaluate_full(&self, prepared: &Prepared) -> Verdict {
        self.full().evaluate(prepared)
    }

    /// All policies as one Cedar policy set, for repeated use of [`FullSet::evaluate`].
    pub fn full(&self) -> FullSet<'_> {
        let mut set = cedar_policy::PolicySet::new();
        let mut permits = cedar_policy::PolicySet::new();
        let mut by_id = HashMap::new();
        for policy in &self.policies {
            by_id.insert(policy.note().id.as_str(), policy);
            // Ids are unique, so that this cannot fail; were it to, tests would see it.
            let added = set.add(cedar_policy::Policy::from(policy.cedar.clone()));
            debug_assert!(added.is_ok(), "ids are unique");
            if policy.note().permits {
                let added = permits.add(cedar_policy::Policy::from(policy.cedar.clone()));
                debug_assert!(added.is_ok(), "ids are unique");
            }
        }
        FullSet { set, permits, by_id }
    }
}

/// All policies as Cedar itself evaluates them.
pub struct FullSet<'a> {
    set: cedar_policy::PolicySet,
    /// The permits alone: Cedar does not say which are satisfied where a forbid is.
    permits: cedar_policy::PolicySet,
    by_id: HashMap<&'a str, &'a Policy>,
}

impl std::fmt::Debug for FullSet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FullSet({} policies)", self.by_id.len())
    }
}

impl FullSet<'_> {
    /// The verdict of all policies.
    pub fn evaluate(&self, prepared: &Prepared) -> Verdict {
        big_stack::evaluate(|| {
            let entities = &prepared.entities;
            if let Err(absent) = presence(entities.as_ref(), prepared.request.as_ref()) {
                return indeterminate(absent);
            }
            let authorizer = cedar_policy::Authorizer::new();
            let response = authorizer.is_authorized(&prepared.request, &self.set, entities);
            let mut tally = Tally::default();
            self.count_reasons(&response, &mut tally);
            if !tally.forbids.is_empty() {
                let permitting = authorizer.is_authorized(&prepared.request, &self.permits, entities);
                self.count_reasons(&permitting, &mut tally);
            }
            for error in response.diagnostics().errors() {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                if let Some(policy) = self.by_id.get(AsRef::<str>::as_ref(error.policy_id())) {
                    tally.count(policy, Err(error.inner().clone()));
                }
            }
            tally.verdict()
        })
    }

    fn count_reasons<'b>(&'b self, response: &cedar_policy::Response, tally: &mut Tally<'b>) {
        for id in response.diagnostics().reason() {
            if let Some(policy) = self.by_id.get(AsRef::<str>::as_ref(id)) {
                tally.count(policy, Ok(true));
            }
        }
    }
}

#[expect(clippy::result_large_err, reason = "Cedar's own error, counted at once and never passed on")]
fn outcome(evaluator: &Evaluator<'_>, policy: &Policy) -> Result<bool, EvaluationError> {
    match evaluator.interpret(&policy.condition, policy.cedar.env())?.value_kind() {
        ast::ValueKind::Lit(ast::Literal::Bool(satisfied)) => Ok(*satisfied),
        // Validation makes every condition a boolean; Cedar names what this one is.
        ast::ValueKind::Lit(_)
        | ast::ValueKind::Set(_)
        | ast::ValueKind::Record(_)
        | ast::ValueKind::ExtensionValue(_) => evaluator.evaluate(&policy.cedar),
    }
}

type Present<'a> = (&'a ast::Entity, &'a ast::EntityUID, &'a ast::Entity);

fn presence<'a>(
    entities: &'a cedar_policy_core::entities::Entities,
    request: &'a ast::Request,
) -> Result<Present<'a>, &'static str> {
    let find = |entry: &'a ast::EntityUIDEntry, absent| {
        let uid = entry.uid().ok_or(absent)?;
        match entities.entity(uid) {
            Dereference::Data(entity) => Ok(entity),
            Dereference::NoSuchEntity | Dereference::Residual(_) => Err(absent),
        }
    };
    let principal = find(request.principal(), "no entity data for the subject")?;
    let resource = find(request.resource(), "no entity data for the resource")?;
    let action = find(request.action(), "no entity data for the action")?;
    Ok((principal, action.uid(), resource))
}

fn indeterminate(why: &str) -> Verdict {
    Verdict {
        effect: VerdictEffect::Indeterminate(why.to_owned()),
        determining: Vec::new(),
        errors: Vec::new(),
        permit_satisfied: false,
    }
}

/// What the policies said, before it is weighed.
#[derive(Default)]
struct Tally<'a> {
    permits: Vec<&'a Policy>,
    forbids: Vec<&'a Policy>,
    errors: Vec<PolicyError>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, policy: &'a Policy, outcome: Result<bool, EvaluationError>) {
        match (outcome, policy.note().permits) {
            (Ok(false), _) => {}
            (Ok(true), true) => self.permits.push(policy),
            (Ok(true), false) => self.forbids.push(policy),
            (Err(error), permits) => self.errors.push(PolicyError {
                id: policy.note().id.clone(),
                permits,
                code: code(&error).to_owned(),
                message: error.to_string(),
            }),
        }
    }

    fn verdict(self) -> Verdict {
        let Self { permits, forbids, mut errors } = self;
        let permit_satisfied = !permits.is_empty();
        errors.sort();
        let notes = |policies: Vec<&Policy>| {
            let mut notes: Vec<Arc<_>> =
                policies.iter().map(|policy| Arc::clone(&policy.info.note)).collect();
            notes.sort_by(|a, b| a.id.cmp(&b.id));
            notes.iter().map(|note| note.as_ref().clone()).collect::<Vec<_>>()
        };
        if !forbids.is_empty() {
            return Verdict {
                effect: VerdictEffect::Forbidden,
                determining: notes(forbids),
                errors,
                permit_satisfied,
            };
        }
        if permits.is_empty() {
            return Verdict {
                effect: VerdictEffect::NoPolicy,
                determining: Vec::new(),
                errors,
                permit_satisfied,
            };
        }
        let failed: Vec<String> = errors
            .iter()
            .filter(|error| !error.permits)
            .map(|error| format!("`{}` ({})", error.id, error.code))
            .collect();
        let effect = if failed.is_empty() {
            VerdictEffect::Permit
        } else {
            VerdictEffect::Indeterminate(format!("a forbid could not be evaluated: {}", failed.join(", ")))
        };
        Verdict { effect, determining: notes(permits), errors, permit_satisfied }
    }
}

/// The kinds of evaluation error, as they appear in records and metrics.
fn code(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::EntityDoesNotExist(_) => "missing-entity",
        EvaluationError::EntityAttrDoesNotExist(_) | EvaluationError::RecordAttrDoesNotExist(_) => {
            "missing-attribute"
        }
        EvaluationError::IntegerOverflow(_) => "overflow",
        EvaluationError::FailedExtensionFunctionLookup(_)
        | EvaluationError::FailedExtensionFunctionExecution(_) => "extension",
        EvaluationError::TypeError(_) | EvaluationError::WrongNumArguments(_) => "type",
        EvaluationError::RecursionLimit(_) => "recursion",
        EvaluationError::UnlinkedSlot(_) | EvaluationError::NonValue(_) => "other",
    }
}

#[cfg(test)]
mod tests;
