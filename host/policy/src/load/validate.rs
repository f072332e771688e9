//! Strict validation of policies against the schema.
//!
//! Cedar type-checks a policy once for each combination of principal type, action and resource type
//! that the schema allows (about 550 in the base schema). Most combinations differ only in what the
//! condition never reads, so one representative of each is checked here, with Cedar's own type
//! checker: combinations that the scope rules out are false by the scope alone, and those that agree
//! on the types of all that the condition reads get the same types. A test compares the problems
//! found with those of Cedar's own loop over all combinations.

use std::collections::HashSet;

use cedar_policy_core::ast::{
    ActionConstraint, EntityType, EntityUID, PrincipalOrResourceConstraint as Constraint, Template,
};
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::types::RequestEnv;
use cedar_policy_core::validator::{
    ValidationMode, ValidationWarning, Validator, ValidatorSchema, confusable_string_checks,
};

use super::policies::Parsed;
use crate::big_stack;
use crate::error::LoadProblem;
use crate::locate;
use crate::schema::Schema;

/// Reports every way in which the policies contradict the schema.
pub(super) fn validate(schema: &Schema, parsed: &[Parsed<'_>], problems: &mut Vec<LoadProblem>) {
    let validator = schema.validator();
    // In order, so that messages that name an action or type are the same each time.
    let mut environments: Vec<RequestEnv<'_>> =
        validator.unlinked_request_envs(ValidationMode::Strict).collect();
    environments.sort_by_cached_key(|environment| match environment {
        RequestEnv::DeclaredAction { principal, action, resource, .. } => {
            Some(((*action).clone(), (*principal).clone(), (*resource).clone()))
        }
        RequestEnv::UndeclaredAction => None,
    });
    let results = big_stack::map(parsed, |policy| one(validator, &environments, policy));
    for (result, policy) in results.into_iter().zip(parsed) {
        match result {
            Some(found) => problems.extend(found),
            None => {
                problems.push(policy.file.problem(policy.range.start, "this policy could not be checked"))
            }
        }
    }
}

fn one(schema: &ValidatorSchema, environments: &[RequestEnv<'_>], parsed: &Parsed<'_>) -> Vec<LoadProblem> {
    let template = parsed.policy.template();
    let place = |error: &dyn miette::Diagnostic| locate::problems(error, parsed.file, parsed.range.start);
    let mut problems: Vec<LoadProblem> = Validator::validate_entity_types_and_literals(schema, template)
        .flat_map(|error| place(&error))
        .collect();
    for warning in confusable_string_checks(std::iter::once(template)) {
        match &warning {
            // Text that reads differently from what it does has no place in a policy.
            ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
                problems.extend(place(&warning));
            }
            ValidationWarning::MixedScriptString(_)
            | ValidationWarning::MixedScriptIdentifier(_)
            | ValidationWarning::ConfusableIdentifier(_)
            | ValidationWarning::ImpossiblePolicy(_)
            | ValidationWarning::InvalidActionApplication(_) => {}
        }
    }
    let typechecker = Typechecker::new(schema, ValidationMode::Strict);
    let mut never_true = true;
    for environment in representatives(schema, environments, template, parsed) {
        match typechecker.typecheck_by_single_request_env(template, &environment) {
            PolicyCheck::Success(_) => never_true = false,
            PolicyCheck::Irrelevant(errors, _) => {
                problems.extend(errors.iter().flat_map(|error| place(error)))
            }
            PolicyCheck::Fail(errors) => {
                never_true = false;
                problems.extend(errors.iter().flat_map(|error| place(error)));
            }
        }
    }
    problems = merged(problems);
    if never_true && problems.is_empty() {
        problems.push(parsed.file.problem(parsed.range.start, "this policy can never apply").with_help(
            "look for a scope whose action does not take these types, or a condition that is always false",
        ));
    }
    problems
}

/// The same problem at the same place for several types is one problem: the first, and how many more.
fn merged(mut problems: Vec<LoadProblem>) -> Vec<LoadProblem> {
    problems.sort();
    problems.dedup();
    let mut merged: Vec<(LoadProblem, usize)> = Vec::new();
    for problem in problems {
        let same = merged.iter_mut().find(|(first, _)| {
            (first.line, first.column) == (problem.line, problem.column)
                && without_names(&first.message) == without_names(&problem.message)
        });
        match same {
            Some((_, more)) => *more += 1,
            None => merged.push((problem, 0)),
        }
    }
    let with_count = |(mut problem, more): (LoadProblem, usize)| {
        if more > 0 {
            problem.message.push_str(&format!(" (and so for {more} more)"));
        }
        problem
    };
    merged.into_iter().map(with_count).collect()
}

/// A message without what stands in backticks or is an entity's name.
fn without_names(message: &str) -> String {
    let outside = message.split('`').step_by(2).collect::<Vec<_>>().join("``");
    outside.split('"').step_by(2).collect()
}

/// What a combination looks like to a policy: the parts that it does not read are left out.
type Seen<'a> = (Option<&'a EntityType>, Option<&'a EntityUID>, Option<&'a EntityType>, *const ());

fn representatives<'a>(
    schema: &ValidatorSchema,
    environments: &'a [RequestEnv<'a>],
    template: &Template,
    parsed: &Parsed<'_>,
) -> Vec<RequestEnv<'a>> {
    let principal_scope = template.principal_constraint().as_inner();
    let resource_scope = template.resource_constraint().as_inner();
    let reads_principal = parsed.shape.reads_principal || depends_on_hierarchy(principal_scope);
    let reads_resource = parsed.shape.reads_resource || depends_on_hierarchy(resource_scope);
    let mut seen: HashSet<Seen<'_>> = HashSet::new();
    let mut chosen = Vec::new();
    for environment in environments {
        let RequestEnv::DeclaredAction { principal, action, resource, context, .. } = environment else {
            continue;
        };
        if !may_be(principal_scope, principal)
            || !may_be(resource_scope, resource)
            || !action_matches(schema, template.action_constraint(), action)
        {
            continue;
        }
        let key = (
            reads_principal.then_some(*principal),
            parsed.shape.reads_action.then_some(*action),
            reads_resource.then_some(*resource),
            std::ptr::from_ref(same_context(&chosen, context)).cast(),
        );
        if seen.insert(key) {
            chosen.push(environment.clone());
        }
    }
    chosen
}

/// The first chosen combination's context of the same type, so that equal contexts of different
/// actions count as one.
fn same_context<'a>(
    chosen: &[RequestEnv<'a>],
    context: &'a cedar_policy_core::validator::types::Type,
) -> &'a cedar_policy_core::validator::types::Type {
    chosen
        .iter()
        .find_map(|environment| match environment {
            RequestEnv::DeclaredAction { context: other, .. }
                if std::ptr::eq(*other, context) || *other == context =>
            {
                Some(*other)
            }
            RequestEnv::DeclaredAction { .. } | RequestEnv::UndeclaredAction => None,
        })
        .unwrap_or(context)
}

/// Whether the type of the variable decides whether the scope can hold, beyond `is`.
const fn depends_on_hierarchy(scope: &Constraint) -> bool {
    match scope {
        Constraint::In(_) | Constraint::Eq(_) | Constraint::IsIn(..) => true,
        Constraint::Is(_) | Constraint::Any => false,
    }
}

fn may_be(scope: &Constraint, actual: &EntityType) -> bool {
    match scope {
        Constraint::Is(expected) | Constraint::IsIn(expected, _) => **expected == *actual,
        Constraint::Any | Constraint::In(_) | Constraint::Eq(_) => true,
    }
}

fn action_matches(schema: &ValidatorSchema, scope: &ActionConstraint, action: &EntityUID) -> bool {
    let is_or_in = |group: &EntityUID| {
        group == action
            || schema
                .get_action_id(group)
                .is_some_and(|group| group.descendants().any(|member| member == action))
    };
    match scope {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(expected) => **expected == *action,
        ActionConstraint::In(groups) => groups.iter().any(|group| is_or_in(group)),
    }
}
